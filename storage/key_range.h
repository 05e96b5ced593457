#ifndef KVARTS_STORAGE_KEY_RANGE_H_
#define KVARTS_STORAGE_KEY_RANGE_H_

#include "base/language.h"

#include <string>

#include "absl/strings/string_view.h"

namespace kvarts {

// The keys k with begin <= k < end in bytewise order. A value: copy it freely.
//   All()            == ["", no end)
//   Prefix("a/")     == ["a/", "a0")      Prefix("\xff") == ["\xff", no end)
//   Point("a")       == ["a", "a\0")
//   FromTo("b", "d") == ["b", "d")        FromTo("d", "b") is empty
// An empty `end` means that there is no end; every range that would end at ""
// holds nothing anyway, and is written as an empty one by FromTo.
struct KeyRange {
  std::string begin;
  std::string end;

  static KeyRange All() { return {}; }
  static KeyRange From(absl::string_view begin) { return {std::string(begin), ""}; }
  static KeyRange FromTo(absl::string_view begin, absl::string_view end);
  static KeyRange Prefix(absl::string_view prefix);
  static KeyRange Point(absl::string_view key);

  bool Contains(absl::string_view key) const {
    return key >= absl::string_view(begin) && !IsPast(key);
  }
  // True where `key` lies at or behind the end.
  bool IsPast(absl::string_view key) const { return !end.empty() && key >= absl::string_view(end); }
  bool empty() const { return !end.empty() && begin >= end; }

  // Intersect(["a","c"), ["b", no end)) == ["b","c").
  friend KeyRange Intersect(const KeyRange& a, const KeyRange& b);
  friend bool operator==(const KeyRange& a, const KeyRange& b) {
    return a.begin == b.begin && a.end == b.end;
  }
};

KeyRange Intersect(const KeyRange& a, const KeyRange& b);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_KEY_RANGE_H_
