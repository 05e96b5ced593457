#ifndef KVARTS_GROUPBY_TEXT_ROW_LIMITS_H_
#define KVARTS_GROUPBY_TEXT_ROW_LIMITS_H_

#include <string>

#include "absl/strings/string_view.h"
#include "groupby/text/row_parser.h"

namespace kvarts::groupby_text {

// "a tab", "a space", "a comma", "the byte 0x07".
std::string ByteName(char byte);
// A key as errors show it: quoted, escaped and cut off after some bytes.
std::string ShowKey(absl::string_view key);

// A carriage return at `at` that neither a newline nor the end of the input follows. Taken
// for a byte of its column, it would hide the rows of a file whose lines end so.
inline bool IsBareReturn(const char* at, const char* end) {
  return *at == '\r' && at + 1 < end && at[1] != '\n';
}
inline constexpr absl::string_view kBareReturn =
    "a carriage return that no newline follows: rows end with a newline, and only quotes of "
    "CSV hold such a byte";

// What is wrong with a row for the grouping or the output; "": nothing.
// Sizes alone; a handful of instructions.
bool SizesFit(absl::string_view key, absl::string_view value);
std::string SizeError(absl::string_view key, absl::string_view value);
// Keys, values against OutputLimits.
std::string KeyError(absl::string_view key, const OutputLimits& limits);
std::string ValueError(absl::string_view key, absl::string_view value, const OutputLimits& limits);
// All of these.
std::string RowError(absl::string_view key, absl::string_view value, const OutputLimits& limits);

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_ROW_LIMITS_H_
