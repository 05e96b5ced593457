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
