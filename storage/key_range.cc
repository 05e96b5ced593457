#include "storage/key_range.h"

#include <algorithm>

namespace kvarts {

KeyRange KeyRange::FromTo(absl::string_view begin, absl::string_view end) {
  // ["\0", "\0") is empty and, unlike ["", ""), is not All().
  if (end.empty()) return {std::string(1, '\0'), std::string(1, '\0')};
  return {std::string(begin), std::string(end)};
}

KeyRange KeyRange::Prefix(absl::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(end.back() + 1);
  return {std::string(prefix), end};
}

KeyRange KeyRange::Point(absl::string_view key) {
  std::string end(key);
  end.push_back('\0');
  return {std::string(key), end};
}

KeyRange Intersect(const KeyRange& a, const KeyRange& b) {
  KeyRange out;
  out.begin = std::max(a.begin, b.begin);
  out.end = a.end.empty() ? b.end : b.end.empty() ? a.end : std::min(a.end, b.end);
  return out;
}

}  // namespace kvarts
