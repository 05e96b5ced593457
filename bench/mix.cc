#include "bench/mix.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace kvarts {

absl::string_view ToText(Operation operation) {
  static constexpr absl::string_view kNames[kOperations] = {"get",    "mget",   "put",
                                                            "insert", "delete", "scan"};
  return kNames[static_cast<size_t>(operation)];
}

absl::StatusOr<OperationMix> ParseMix(absl::string_view text) {
  OperationMix mix = {};
  std::array<bool, kOperations> named = {};
  double sum = 0;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::pair<absl::string_view, absl::string_view> halves =
        absl::StrSplit(part, absl::MaxSplits(':', 1));
    size_t i = 0;
    while (i < kOperations && ToText(kAllOperations[i]) != halves.first) ++i;
    double weight = 0;
    if (i == kOperations) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", part,
                       "\": expected OPERATION:WEIGHT, the operation one of get, mget, "
                       "put, insert, delete, scan"));
    }
    if (named[i]) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", text, "\" has ", halves.first, " twice"));
    }
    if (!absl::SimpleAtod(halves.second, &weight) || !std::isfinite(weight) || weight < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", part, "\": expected a number of 0 or more behind the colon"));
    }
    named[i] = true;
    mix[i] = weight;
    sum += weight;
  }
  if (!(sum > 0)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\": all weights are 0"));
  }
  for (double& weight : mix) weight /= sum;
  return mix;
}

}  // namespace kvarts
