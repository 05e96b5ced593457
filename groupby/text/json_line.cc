#include "groupby/text/json_line.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "groupby/text/json_text.h"

namespace kvarts::groupby_text {
namespace {

constexpr size_t kMaxDepth = 1000;

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The four digits behind \u; -1 where they are none.
int32_t HexUnit(const char* at, const char* end) {
  if (end - at < 4) return -1;
  int32_t unit = 0;
  for (int i = 0; i < 4; ++i) {
    const int digit = HexDigit(at[i]);
    if (digit < 0) return -1;
    unit = unit * 16 + digit;
  }
  return unit;
}

bool IsLeading(int32_t unit) { return unit >= 0xD800 && unit < 0xDC00; }
bool IsTrailing(int32_t unit) { return unit >= 0xDC00 && unit < 0xE000; }

char* AppendUtf8(uint32_t character, char* to) {
  if (character < 0x80) {
    *to++ = static_cast<char>(character);
  } else if (character < 0x800) {
    *to++ = static_cast<char>(0xC0 | (character >> 6));
    *to++ = static_cast<char>(0x80 | (character & 0x3F));
  } else if (character < 0x10000) {
    *to++ = static_cast<char>(0xE0 | (character >> 12));
    *to++ = static_cast<char>(0x80 | ((character >> 6) & 0x3F));
    *to++ = static_cast<char>(0x80 | (character & 0x3F));
  } else {
    *to++ = static_cast<char>(0xF0 | (character >> 18));
    *to++ = static_cast<char>(0x80 | ((character >> 12) & 0x3F));
    *to++ = static_cast<char>(0x80 | ((character >> 6) & 0x3F));
    *to++ = static_cast<char>(0x80 | (character & 0x3F));
  }
  return to;
}

// Not thread-safe. Goes over one document. Each method returns false, with error_, where
// the document is wrong.
class Walk {
 public:
  explicit Walk(absl::Span<char> text)
      : begin_(text.data()), at_(text.data()), end_(text.data() + text.size()) {}

  bool Object(absl::Span<const std::string> names, JsonMember* members) {
    Space();
    if (!Take('{')) return Fail("expected a JSON object");
    Space();
    if (!Take('}')) {
      do {
        Space();
        char* const name = at_;
        if (!String()) return false;
        const absl::Span<char> raw(name, static_cast<size_t>(at_ - name));
        JsonMember* const member = Find(raw, names, members);
        if (member != nullptr && member->found) {
          at_ = name;
          return Fail("the member comes a second time");
        }
        Space();
        if (!Take(':')) return Fail("expected a colon");
        Space();
        char* const value = at_;
        if (!Value()) return false;
        if (member != nullptr) {
          member->found = true;
          member->is_string = *value == '"';
          member->raw = absl::MakeSpan(value, static_cast<size_t>(at_ - value));
        }
        Space();
      } while (Take(','));
      if (!Take('}')) return Fail("expected a comma or the end of the object");
    }
    Space();
    return at_ == end_ || Fail("expected nothing behind the object");
  }

  const std::string& error() const { return error_; }

 private:
  bool Fail(absl::string_view what) {
    error_ = absl::StrCat(what, " in column ", at_ - begin_ + 1);
    return false;
  }
  void Space() {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\r' || *at_ == '\n')) ++at_;
  }
  bool Take(char byte) {
    if (at_ == end_ || *at_ != byte) return false;
    ++at_;
    return true;
  }

  // The member whose name is `raw`; null: another one.
  JsonMember* Find(absl::Span<char> raw, absl::Span<const std::string> names, JsonMember* members) {
    absl::string_view name(raw.data() + 1, raw.size() - 2);
    if (name.find('\\') != absl::string_view::npos) {
      name_.assign(raw.data(), raw.size());
      name = UnescapeJson(absl::MakeSpan(&name_[0], name_.size()));
    }
    for (size_t i = 0; i < names.size(); ++i) {
      if (name == names[i]) return members + i;
    }
    return nullptr;
  }

  // Any value, without recursion: open_ has a bit for each array or object around.
  bool Value() {
    size_t depth = 0;
    while (true) {
      Space();
      if (at_ == end_) return Fail("expected a value");
      const char byte = *at_;
      if (byte == '{' || byte == '[') {
        if (depth == kMaxDepth) return Fail("expected no more than 1000 levels");
        open_[depth++] = byte;
        ++at_;
        Space();
        if (!Take(byte == '{' ? '}' : ']')) {
          if (byte == '{' && !Name()) return false;
          continue;
        }
        --depth;
      } else if (byte == '"') {
        if (!String()) return false;
      } else if (byte == '-' || absl::ascii_isdigit(static_cast<unsigned char>(byte))) {
        if (!Number()) return false;
      } else if (!Word("true") && !Word("false") && !Word("null")) {
        return Fail("expected a value");
      }
      // Behind a value.
      while (true) {
        if (depth == 0) return true;
        Space();
        if (Take(',')) break;
        if (!Take(open_[depth - 1] == '{' ? '}' : ']')) {
          return Fail(open_[depth - 1] == '{' ? "expected a comma or the end of the object"
                                              : "expected a comma or the end of the array");
        }
        --depth;
      }
      if (open_[depth - 1] == '{' && !Name()) return false;
    }
  }

  bool Name() {
    Space();
    if (!String()) return false;
    Space();
    return Take(':') || Fail("expected a colon");
  }

  bool Word(absl::string_view word) {
    if (absl::string_view(at_, static_cast<size_t>(end_ - at_)).substr(0, word.size()) != word) {
      return false;
    }
    at_ += word.size();
    return true;
  }

  bool Digits() {
    const char* const begin = at_;
    while (at_ < end_ && absl::ascii_isdigit(static_cast<unsigned char>(*at_))) ++at_;
    return at_ > begin || Fail("expected a digit");
  }

  bool Number() {
    Take('-');
    if (!Take('0') && !Digits()) return false;
    if (Take('.') && !Digits()) return false;
    if (Take('e') || Take('E')) {
      if (!Take('+')) Take('-');
      return Digits();
    }
    return true;
  }

  bool String() {
    if (!Take('"')) return Fail("expected a string");
    while (true) {
      at_ += FindJsonSpecial(at_, end_) - at_;
      if (at_ == end_) return Fail("expected the end of the string");
      if (*at_ == '"') break;
      if (static_cast<signed char>(*at_) < 0) {
        const size_t size = Utf8Size(at_, end_);
        if (size == 0) return Fail("expected valid UTF-8");
        at_ += size;
      } else if (*at_ == '\\') {
        if (!Escape()) return false;
      } else {
        return Fail("expected no control character in a string");
      }
    }
    ++at_;
    return true;
  }

  bool Escape() {
    const char kind = end_ - at_ > 1 ? at_[1] : '\0';
    if (kind != 'u') {
      if (kind == '\0' || std::strchr("\"\\/bfnrt", kind) == nullptr) {
        return Fail("expected one of JSON's escapes");
      }
      at_ += 2;
      return true;
    }
    const int32_t unit = HexUnit(at_ + 2, end_);
    if (unit < 0) return Fail("expected \\u and four hexadecimal digits");
    if (IsTrailing(unit)) return Fail("expected a surrogate's first half before its second");
    if (IsLeading(unit)) {
      const char* const second = at_ + 6;
      if (end_ - second < 6 || second[0] != '\\' || second[1] != 'u' ||
          !IsTrailing(HexUnit(second + 2, end_))) {
        return Fail("expected a surrogate's second half");
      }
      at_ += 6;
    }
    at_ += 6;
    return true;
  }

  const char* const begin_;
  char* at_;
  char* const end_;
  char open_[kMaxDepth];  // '{' or '[' of each level
  std::string name_;
  std::string error_;
};

}  // namespace

std::string ParseJsonObject(absl::Span<char> text, absl::Span<const std::string> names,
                            JsonMember* members) {
  std::fill_n(members, names.size(), JsonMember());
  Walk walk(text);
  walk.Object(names, members);
  return walk.error();
}

absl::string_view UnescapeJson(absl::Span<char> raw) {
  char* const begin = raw.data() + 1;
  char* const end = raw.data() + raw.size() - 1;
  char* from = static_cast<char*>(std::memchr(begin, '\\', static_cast<size_t>(end - begin)));
  if (from == nullptr) return absl::string_view(begin, static_cast<size_t>(end - begin));
  char* to = from;
  while (from < end) {
    if (*from != '\\') {
      *to++ = *from++;
      continue;
    }
    const char kind = from[1];
    from += 2;
    switch (kind) {
      case 'b':
        *to++ = '\b';
        break;
      case 'f':
        *to++ = '\f';
        break;
      case 'n':
        *to++ = '\n';
        break;
      case 'r':
        *to++ = '\r';
        break;
      case 't':
        *to++ = '\t';
        break;
      case 'u': {
        auto character = static_cast<uint32_t>(HexUnit(from, end));
        from += 4;
        if (IsLeading(static_cast<int32_t>(character))) {
          const auto second = static_cast<uint32_t>(HexUnit(from + 2, end));
          character = 0x10000 + ((character - 0xD800) << 10) + (second - 0xDC00);
          from += 6;
        }
        to = AppendUtf8(character, to);  // never longer than the escape
        break;
      }
      default:
        *to++ = kind;
    }
  }
  return absl::string_view(begin, static_cast<size_t>(to - begin));
}

}  // namespace kvarts::groupby_text
