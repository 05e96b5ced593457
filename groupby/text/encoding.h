#ifndef KVARTS_GROUPBY_TEXT_ENCODING_H_
#define KVARTS_GROUPBY_TEXT_ENCODING_H_

#include <string>

#include "absl/strings/string_view.h"

namespace kvarts::groupby_text {

// How the program writes bytes that an output format cannot hold. Both ways back are
// plain: each backslash begins one of \\ \t \n \r \xNN; base64 is RFC 4648, padded.

// Appends `text`, with a backslash, tab, newline, carriage return and the bytes of
// `others` escaped.
void AppendEscaped(absl::string_view text, absl::string_view others, std::string* out);
// The same for JSON: escapes a backslash, and bytes that are not valid UTF-8. What it
// appends is valid UTF-8, and no JSON string yet.
void AppendEscapedUtf8(absl::string_view text, std::string* out);

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_ENCODING_H_
