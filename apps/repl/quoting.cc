#include "apps/repl/quoting.h"

#include <algorithm>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "net/http/json.h"

namespace kvarts {
namespace {

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

// Where a letter's escape stands for a byte, that byte.
std::optional<char> LetterEscape(char letter) {
  switch (letter) {
    case 'a':
      return '\a';
    case 'b':
      return '\b';
    case 'e':
      return '\x1B';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'v':
      return '\v';
    default:
      return std::nullopt;
  }
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = absl::ascii_tolower(static_cast<unsigned char>(c));
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool IsBetween(absl::string_view character, absl::string_view first, absl::string_view last) {
  return character.size() == first.size() && character >= first && character <= last;
}

// Control characters beyond ASCII, what is not seen, and what turns the direction of writing.
bool IsHidden(absl::string_view character) {
  return IsBetween(character, "\xC2\x80", "\xC2\x9F") ||          // C1
         IsBetween(character, "\xD8\x9C", "\xD8\x9C") ||          // U+061C
         IsBetween(character, "\xE2\x80\x8B", "\xE2\x80\x8F") ||  // U+200B to U+200F
         IsBetween(character, "\xE2\x80\xA8", "\xE2\x80\xAE") ||  // U+2028 to U+202E
         IsBetween(character, "\xE2\x81\xA0", "\xE2\x81\xAF") ||  // U+2060 to U+206F
         IsBetween(character, "\xEF\xBB\xBF", "\xEF\xBB\xBF") ||  // U+FEFF
         IsBetween(character, "\xEF\xBF\xB9", "\xEF\xBF\xBB");    // U+FFF9 to U+FFFB
}

// The bytes of the printable character that begins `bytes`; 0 where none does.
size_t PrintableBytes(absl::string_view bytes) {
  const auto first = static_cast<unsigned char>(bytes[0]);
  if (first < 0x80) return absl::ascii_isprint(first) ? 1 : 0;
  const size_t size = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  const absl::string_view character = bytes.substr(0, size);
  return character.size() == size && IsUtf8(character) && !IsHidden(character) ? size : 0;
}

bool IsPrintable(absl::string_view bytes) {
  while (!bytes.empty()) {
    const size_t size = PrintableBytes(bytes);
    if (size == 0) return false;
    bytes.remove_prefix(size);
  }
  return true;
}

// REQUIRES: IsPrintable(bytes).
bool IsPlain(absl::string_view bytes) {
  if (bytes.empty() || absl::StartsWith(bytes, "--")) return false;
  return std::all_of(bytes.begin(), bytes.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x80 || absl::ascii_isalnum(byte) || absl::StrContains("_-./:@%+,=", c);
  });
}

bool BeginsWithQuote(absl::string_view text) {
  return absl::StartsWith(text, "'") || absl::StartsWith(text, "\"") ||
         absl::StartsWith(text, "$'");
}

// `quoted`: for between $' and '.
std::string Escaped(absl::string_view bytes, bool quoted) {
  std::string out;
  while (!bytes.empty()) {
    const char c = bytes[0];
    const size_t printable = PrintableBytes(bytes);
    if (quoted && (c == '\'' || c == '\\')) {
      absl::StrAppend(&out, "\\", bytes.substr(0, 1));
    } else if (printable > 0) {
      absl::StrAppend(&out, bytes.substr(0, printable));
    } else if (c == '\n' || c == '\t' || c == '\r') {
      absl::StrAppend(&out, c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r");
    } else {
      absl::StrAppendFormat(&out, "\\x%02x", static_cast<unsigned char>(c));
    }
    bytes.remove_prefix(std::max<size_t>(printable, 1));
  }
  return out;
}

std::string DollarQuoted(absl::string_view bytes) {
  return absl::StrCat("$'", Escaped(bytes, true), "'");
}

}  // namespace

bool WordReader::AtEnd() {
  while (at_ < line_.size() && IsBlank(line_[at_])) ++at_;
  return at_ == line_.size();
}

absl::StatusOr<Word> WordReader::Next() {
  Word word;
  word.begin = at_;
  word.quoted = BeginsWithQuote(line_.substr(at_)) || Peek(0) == '\\';
  while (at_ < line_.size() && !IsBlank(line_[at_])) KVARTS_RETURN_IF_ERROR(ReadPiece(&word));
  word.end = at_;
  return word;
}

absl::StatusOr<Word> WordReader::Data() {
  if (BeginsWithQuote(line_.substr(at_))) {
    KVARTS_ASSIGN_OR_RETURN(Word word, Next());
    if (!AtEnd()) {
      return ErrorAt(at_, "something follows the quoted DATA; quote all of it, or nothing");
    }
    return word;
  }
  Word word;
  word.begin = at_;
  word.bytes = std::string(line_.substr(at_));
  word.end = at_ = line_.size();
  return word;
}

absl::Status WordReader::ReadPiece(Word* word) {
  const char c = Peek(0);
  if (c == '\\') return ReadEscape(&word->bytes);
  if (c == '\'') return ReadQuoted('\'', false, &word->bytes);
  if (c == '"') return ReadQuoted('"', true, &word->bytes);
  if (c == '$' && Peek(1) == '\'') {
    ++at_;
    return ReadQuoted('\'', true, &word->bytes);
  }
  word->bytes += c;
  ++at_;
  return absl::OkStatus();
}

absl::Status WordReader::ReadQuoted(char quote, bool escapes, std::string* out) {
  const size_t begin = at_++;
  while (at_ < line_.size()) {
    const char c = line_[at_];
    if (c == quote) {
      ++at_;
      return absl::OkStatus();
    }
    if (escapes && c == '\\') {
      KVARTS_RETURN_IF_ERROR(ReadEscape(out));
    } else {
      *out += c;
      ++at_;
    }
  }
  if (may_be_open_) return absl::OkStatus();
  return ErrorAt(begin, absl::StrCat("the quote ", absl::string_view(&quote, 1), " is not closed"));
}

absl::Status WordReader::ReadEscape(std::string* out) {
  const size_t begin = at_++;
  if (at_ == line_.size()) {
    if (may_be_open_) return absl::OkStatus();
    return ErrorAt(begin, "nothing follows the backslash");
  }
  const char c = line_[at_++];
  if (const std::optional<char> byte = LetterEscape(c)) {
    *out += *byte;
    return absl::OkStatus();
  }
  if (c == 'x') {
    const int high = HexDigit(Peek(0));
    const int low = high < 0 ? -1 : HexDigit(Peek(1));
    if (low < 0) {
      if (may_be_open_) return absl::OkStatus();
      return ErrorAt(begin, "\\x needs two hexadecimal digits");
    }
    *out += static_cast<char>(high * 16 + low);
    at_ += 2;
    return absl::OkStatus();
  }
  if (c == '0') {
    // Elsewhere that is an octal number.
    if (absl::ascii_isdigit(static_cast<unsigned char>(Peek(0)))) {
      return ErrorAt(begin, "\\0 with a digit behind it; a byte is \\xHH");
    }
    *out += '\0';
    return absl::OkStatus();
  }
  if (!absl::ascii_isalnum(static_cast<unsigned char>(c))) {
    *out += c;
    return absl::OkStatus();
  }
  return ErrorAt(begin, absl::StrCat("\\", absl::string_view(&c, 1),
                                     " is no escape; known are \\a \\b \\e \\f \\n \\r \\t \\v "
                                     "\\0 \\xHH, and \\ in front of what is no letter or digit"));
}

absl::Status WordReader::ErrorAt(size_t position, absl::string_view what) const {
  return absl::InvalidArgumentError(absl::StrCat("column ", position + 1, ": ", what));
}

std::string QuoteWord(absl::string_view bytes) {
  if (!IsPrintable(bytes)) return DollarQuoted(bytes);
  if (IsPlain(bytes)) return std::string(bytes);
  if (!absl::StrContains(bytes, '\'')) return absl::StrCat("'", bytes, "'");
  if (!absl::StrContains(bytes, '"') && !absl::StrContains(bytes, '\\')) {
    return absl::StrCat("\"", bytes, "\"");
  }
  return DollarQuoted(bytes);
}

std::string QuoteData(absl::string_view bytes) {
  // A blank at the end is there, but who would see it?
  const bool plain = !bytes.empty() && !IsBlank(bytes.front()) && !IsBlank(bytes.back()) &&
                     !BeginsWithQuote(bytes) && IsPrintable(bytes) && bytes != "(absent)";
  return plain ? std::string(bytes) : QuoteWord(bytes);
}

std::string QuoteOpen(absl::string_view bytes) {
  if (bytes.empty()) return "";
  std::string word = QuoteWord(bytes);
  if (!IsPrintable(bytes) || !IsPlain(bytes)) word.pop_back();
  return word;
}

std::string Shown(absl::string_view bytes) { return Escaped(bytes, false); }

bool IsText(absl::string_view bytes) {
  while (!bytes.empty()) {
    const size_t size = bytes[0] == '\n' || bytes[0] == '\t' ? 1 : PrintableBytes(bytes);
    if (size == 0) return false;
    bytes.remove_prefix(size);
  }
  return true;
}

}  // namespace kvarts
