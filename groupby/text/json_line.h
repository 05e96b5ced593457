#ifndef KVARTS_GROUPBY_TEXT_JSON_LINE_H_
#define KVARTS_GROUPBY_TEXT_JSON_LINE_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kvarts::groupby_text {

// A member of a JSON object.
struct JsonMember {
  bool found = false;
  bool is_string = false;
  // The value as it stands, a string with its quotes.
  absl::Span<char> raw;
};

// Checks that `text` is one JSON object (RFC 8259, UTF-8, at most 1000 levels deep) and
// finds some of its members; "" or what is wrong, with its column. One of them that comes
// twice is wrong. As many `members` as `names`.
std::string ParseJsonObject(absl::Span<char> text, absl::Span<const std::string> names,
                            JsonMember* members);

// The text of a JSON string that was checked, made in its place.
absl::string_view UnescapeJson(absl::Span<char> raw);

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_JSON_LINE_H_
