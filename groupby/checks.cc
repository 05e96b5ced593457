#include "groupby/checks.h"

#include "absl/strings/str_cat.h"
#include "base/size.h"

namespace kvarts::groupby_internal {

absl::Status CheckOptions(const GroupingOptions& options) {
  const size_t memory = options.budget == nullptr ? options.memory_bytes : options.budget->total();
  if (memory < GroupingOptions::kMinMemory) {
    return absl::InvalidArgumentError(absl::StrCat("grouping in ", memory,
                                                   " bytes of memory, expected at least ",
                                                   FormatSize(GroupingOptions::kMinMemory)));
  }
  if (options.fs == nullptr) return absl::InvalidArgumentError("grouping without a file system");
  if (options.threads < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("grouping with ", options.threads, " threads, expected at least 1"));
  }
  if (options.max_open_runs != 0 && options.max_open_runs < 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        "grouping with max_open_runs ", options.max_open_runs, ", expected at least 2, or 0"));
  }
  return absl::OkStatus();
}

absl::Status RowSizeError(const KeyValue& row) {
  return absl::InvalidArgumentError(
      absl::StrCat("a row to group has a key of ", row.key.size(), " bytes (at most ",
                   Grouping::kMaxKeyBytes, ") and a value of ", row.value.size(), " (at most ",
                   Grouping::kMaxRowBytes, " with the key)"));
}

}  // namespace kvarts::groupby_internal
