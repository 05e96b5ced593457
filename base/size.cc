#include "base/size.h"

#include <limits>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kvarts {
namespace {

struct Unit {
  absl::string_view name;
  uint64_t bytes;
};

constexpr Unit kUnits[] = {
    {"", 1},
    {"B", 1},
    {"KB", 1000},
    {"MB", 1000 * 1000},
    {"GB", 1000 * 1000 * 1000},
    {"TB", 1000ull * 1000 * 1000 * 1000},
    {"KiB", 1 << 10},
    {"MiB", 1 << 20},
    {"GiB", 1 << 30},
    {"TiB", 1ull << 40},
};

}  // namespace

absl::StatusOr<uint64_t> ParseSize(absl::string_view text) {
  const auto error = [text](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not a size: ", why));
  };
  size_t digits = 0;
  while (digits < text.size() && absl::ascii_isdigit(text[digits])) ++digits;
  if (digits == 0) {
    return error("expected digits and a unit, such as 64MiB, 64MB or plain bytes");
  }
  const absl::string_view name = absl::StripLeadingAsciiWhitespace(text.substr(digits));
  for (const Unit& unit : kUnits) {
    if (!absl::EqualsIgnoreCase(name, unit.name)) continue;
    uint64_t number = 0;
    if (!absl::SimpleAtoi(text.substr(0, digits), &number) ||
        number > std::numeric_limits<uint64_t>::max() / unit.bytes) {
      return error("it is larger than 64 bits hold");
    }
    return number * unit.bytes;
  }
  return error(
      "expected a whole number and one of B, KB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB "
      "(powers of 1024)");
}

std::string FormatSize(uint64_t bytes) {
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  static constexpr absl::string_view kNames[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  size_t i = 0;
  // 1023.95 would be printed as 1024.0.
  for (; value >= 1023.95 && i + 1 < std::size(kNames); ++i) value /= 1024;
  return absl::StrFormat("%.1f %s", value, kNames[i]);
}

std::string FormatCount(double count) {
  if (count < 999.5) return absl::StrFormat("%.0f", count);
  static constexpr absl::string_view kNames[] = {"k", "M", "G", "T", "P", "E"};
  double value = count / 1000;
  size_t i = 0;
  for (; value >= 999.5 && i + 1 < std::size(kNames); ++i) value /= 1000;
  return absl::StrFormat("%.3g %s", value, kNames[i]);
}

}  // namespace kvarts
