#include "net/resp/glob.h"

#include <algorithm>
#include <cstddef>

namespace kvarts {
namespace resp {
namespace {

// Takes one element of the pattern, at `at`, which is no star; `*next` is behind
// it. True where it matches the byte.
bool ElementMatches(absl::string_view pattern, size_t at, char byte, size_t* next) {
  const char first = pattern[at];
  if (first == '?') {
    *next = at + 1;
    return true;
  }
  if (first == '\\' && at + 1 < pattern.size()) {
    *next = at + 2;
    return pattern[at + 1] == byte;
  }
  if (first != '[') {
    *next = at + 1;
    return first == byte;
  }
  size_t p = at + 1;
  const bool inverted = p < pattern.size() && pattern[p] == '^';
  if (inverted) ++p;
  const auto b = static_cast<unsigned char>(byte);
  bool in = false;
  for (; p < pattern.size() && pattern[p] != ']'; ++p) {
    if (pattern[p] == '\\' && p + 1 < pattern.size()) {
      in = in || pattern[++p] == byte;
    } else if (p + 2 < pattern.size() && pattern[p + 1] == '-') {
      auto low = static_cast<unsigned char>(pattern[p]);
      auto high = static_cast<unsigned char>(pattern[p + 2]);
      if (low > high) std::swap(low, high);
      in = in || (b >= low && b <= high);
      p += 2;
    } else {
      in = in || pattern[p] == byte;
    }
  }
  *next = std::min(p + 1, pattern.size());
  return in != inverted;
}

}  // namespace

// After a mismatch only the last star may take one byte more: what an earlier one
// could take instead, the last one can as well.
bool GlobMatches(absl::string_view pattern, absl::string_view text, uint64_t* steps) {
  size_t p = 0;
  size_t t = 0;
  size_t star = absl::string_view::npos;  // behind the last star
  size_t star_text = 0;                   // where it ends
  uint64_t looked_at = 0;
  const auto done = [&](bool matches) {
    if (steps != nullptr) *steps += looked_at;
    return matches;
  };
  while (t < text.size()) {
    size_t next = p;
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      star_text = t;
    } else if (p < pattern.size() && ElementMatches(pattern, p, text[t], &next)) {
      looked_at += next - p;
      p = next;
      ++t;
    } else if (star != absl::string_view::npos) {
      looked_at += next - p + 1;
      p = star;
      t = ++star_text;
    } else {
      looked_at += next - p + 1;
      return done(false);
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return done(p == pattern.size());
}

std::string GlobPrefix(absl::string_view pattern) {
  std::string prefix;
  for (size_t p = 0; p < pattern.size(); ++p) {
    if (pattern[p] == '*' || pattern[p] == '?' || pattern[p] == '[') break;
    if (pattern[p] == '\\' && p + 1 < pattern.size()) ++p;
    prefix.push_back(pattern[p]);
  }
  return prefix;
}

bool GlobMatchesAll(absl::string_view pattern) {
  return !pattern.empty() && pattern.find_first_not_of('*') == absl::string_view::npos;
}

}  // namespace resp
}  // namespace kvarts
