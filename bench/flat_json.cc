#include "bench/flat_json.h"

#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace kvarts {
namespace {

// Not thread-safe. Each method takes what it names off the front; false: it is
// not there.
class Parser {
 public:
  explicit Parser(absl::string_view text) : text_(text) {}

  bool Object(const std::string& path) {
    if (!Take('{')) return false;
    if (Take('}')) return true;
    do {
      std::string name;
      if (!String(&name) || !Take(':')) return false;
      if (!Value(path.empty() ? name : absl::StrCat(path, ".", name))) return false;
    } while (Take(','));
    return Take('}');
  }
  bool AtEnd() {
    Space();
    return text_.empty();
  }
  std::map<std::string, std::string>& members() { return members_; }

 private:
  void Space() { text_ = absl::StripLeadingAsciiWhitespace(text_); }
  bool Take(char c) {
    Space();
    return absl::ConsumePrefix(&text_, absl::string_view(&c, 1));
  }

  bool Value(const std::string& path) {
    Space();
    if (absl::StartsWith(text_, "{")) return Object(path);
    std::string value;
    if (absl::StartsWith(text_, "\"")) {
      if (!String(&value)) return false;
    } else if (absl::ConsumePrefix(&text_, "null")) {
      value = "null";
    } else if (absl::ConsumePrefix(&text_, "true")) {
      value = "true";
    } else if (absl::ConsumePrefix(&text_, "false")) {
      value = "false";
    } else if (!Number(&value)) {
      return false;
    }
    return members_.emplace(path, value).second;
  }

  size_t Digits(size_t i) const {
    while (i < text_.size() && absl::ascii_isdigit(static_cast<unsigned char>(text_[i]))) ++i;
    return i;
  }
  bool Number(std::string* value) {
    size_t i = absl::StartsWith(text_, "-") ? 1 : 0;
    size_t end = Digits(i);
    if (end == i || (text_[i] == '0' && end > i + 1)) return false;
    i = end;
    if (i < text_.size() && text_[i] == '.') {
      end = Digits(i + 1);
      if (end == i + 1) return false;
      i = end;
    }
    if (i < text_.size() && (text_[i] == 'e' || text_[i] == 'E')) {
      ++i;
      if (i < text_.size() && (text_[i] == '+' || text_[i] == '-')) ++i;
      end = Digits(i);
      if (end == i) return false;
      i = end;
    }
    *value = std::string(text_.substr(0, i));
    text_.remove_prefix(i);
    return true;
  }

  // Escapes stay as they are.
  bool String(std::string* value) {
    if (!Take('"')) return false;
    for (size_t i = 0; i < text_.size(); ++i) {
      if (text_[i] == '"') {
        *value = std::string(text_.substr(0, i));
        text_.remove_prefix(i + 1);
        return true;
      }
      if (static_cast<unsigned char>(text_[i]) < 0x20) return false;
      if (text_[i] != '\\') continue;
      ++i;
      if (i == text_.size()) return false;
      if (text_[i] == 'u') {
        for (int k = 0; k < 4; ++k) {
          ++i;
          if (i == text_.size() || !absl::ascii_isxdigit(static_cast<unsigned char>(text_[i]))) {
            return false;
          }
        }
      } else if (absl::string_view("\"\\/bfnrt").find(text_[i]) == absl::string_view::npos) {
        return false;
      }
    }
    return false;
  }

  absl::string_view text_;
  std::map<std::string, std::string> members_;
};

}  // namespace

std::optional<std::map<std::string, std::string>> ParseFlatJson(absl::string_view text) {
  Parser parser(text);
  if (!parser.Object("") || !parser.AtEnd()) return std::nullopt;
  return std::move(parser.members());
}

}  // namespace kvarts
