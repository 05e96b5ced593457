#ifndef KVARTS_GROUPBY_TEXT_JSON_TEXT_H_
#define KVARTS_GROUPBY_TEXT_JSON_TEXT_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace kvarts::groupby_text {

// The first byte from `at` on that is more than itself in a JSON string: a quote, a
// backslash, a control byte, or one above 7F; `end` where there is none.
const char* FindJsonSpecial(const char* at, const char* end);

// The size of the character of two to four bytes at `at`; 0 where it is not valid UTF-8
// (RFC 3629: no surrogates, no longer forms, nothing above 10FFFF).
size_t Utf8Size(const char* at, const char* end);

// A quote, a backslash or a control byte as it stands in a JSON string; uses `room`.
absl::string_view JsonEscape(char byte, char room[6]);

// Appends `text` as the inside of a JSON string. False where it is not valid UTF-8.
bool AppendJsonString(absl::string_view text, std::string* out);

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_JSON_TEXT_H_
