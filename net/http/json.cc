#include "net/http/json.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace kvarts {
namespace {

constexpr size_t kSlice = 16 << 10;

// The bytes of the character that begins `bytes`; 0 where none does (RFC 3629:
// no overlong forms, no surrogates, nothing above U+10FFFF).
size_t CharacterBytes(absl::string_view bytes) {
  const auto at = [&](size_t i) {
    return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0u;
  };
  const auto follows = [&](size_t i, unsigned low = 0x80, unsigned high = 0xBF) {
    return at(i) >= low && at(i) <= high;
  };
  const unsigned first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = first == 0xED ? 0x9F : 0xBF;
    return follows(1, low, high) && follows(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned low = first == 0xF0 ? 0x90 : 0x80;
    const unsigned high = first == 0xF4 ? 0x8F : 0xBF;
    return follows(1, low, high) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

// What stands behind the backslash for these; 0: they need six bytes, or none.
char ShortEscape(unsigned char byte) {
  switch (byte) {
    case '"':
    case '\\':
      return static_cast<char>(byte);
    case '\b':
      return 'b';
    case '\f':
      return 'f';
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    default:
      return 0;
  }
}

void AppendEscaped(absl::string_view text, std::string* out) {
  static constexpr char kHex[] = "0123456789abcdef";
  size_t plain = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
    out->append(text.data() + plain, i - plain);
    plain = i + 1;
    *out += '\\';
    if (const char escape = ShortEscape(byte); escape != 0) {
      *out += escape;
    } else {
      absl::StrAppend(out, "u00", absl::string_view(&kHex[byte >> 4], 1),
                      absl::string_view(&kHex[byte & 15], 1));
    }
  }
  out->append(text.data() + plain, text.size() - plain);
}

// Whether the escapes of `text` make it longer than base64 would, with the object around that.
bool IsShorterAsBase64(absl::string_view text) {
  constexpr size_t kAround = 13;  // {"base64":""} for ""
  const auto controls = static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }));
  if (5 * controls <= text.size() / 3) return false;
  size_t escapes = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    escapes += ShortEscape(byte) != 0 ? 1 : byte < 0x20 ? 5 : 0;
  }
  return text.size() + escapes + 2 > (text.size() + 2) / 3 * 4 + kAround;
}

}  // namespace

bool IsUtf8(absl::string_view bytes) {
  while (!bytes.empty()) {
    // Eight at a time, while they are ASCII.
    uint64_t word;
    while (bytes.size() >= sizeof(word)) {
      std::memcpy(&word, bytes.data(), sizeof(word));
      if ((word & 0x8080808080808080u) != 0) break;
      bytes.remove_prefix(sizeof(word));
    }
    if (bytes.empty()) return true;
    const size_t n = CharacterBytes(bytes);
    if (n == 0) return false;
    bytes.remove_prefix(n);
  }
  return true;
}

void JsonBytesWriter::Start(absl::string_view bytes, bool base64) {
  rest_ = bytes;
  text_ = !base64 && IsUtf8(bytes) && !IsShorterAsBase64(bytes);
  begun_ = false;
}

bool JsonBytesWriter::Append(size_t size, std::string* out) {
  if (!begun_) out->append(text_ ? "\"" : "{\"base64\":\"");
  begun_ = true;
  while (!rest_.empty()) {
    if (out->size() >= size) return false;
    // Escapes are per byte, so that text may be cut anywhere; base64 may be
    // where three bytes end.
    const absl::string_view slice = rest_.substr(0, text_ ? kSlice : kSlice / 3 * 3);
    rest_.remove_prefix(slice.size());
    if (text_) {
      AppendEscaped(slice, out);
    } else {
      out->append(absl::Base64Escape(slice));
    }
  }
  out->append(text_ ? "\"" : "\"}");
  return true;
}

void AppendJsonBytes(absl::string_view bytes, std::string* out, bool base64) {
  JsonBytesWriter writer;
  writer.Start(bytes, base64);
  writer.Append(std::numeric_limits<size_t>::max(), out);
}

}  // namespace kvarts
