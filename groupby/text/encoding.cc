#include "groupby/text/encoding.h"

#include "absl/strings/str_format.h"
#include "groupby/text/json_text.h"

namespace kvarts::groupby_text {
namespace {

void AppendHex(char byte, std::string* out) {
  absl::StrAppendFormat(out, "\\x%02x", static_cast<unsigned char>(byte));
}

}  // namespace

void AppendEscaped(absl::string_view text, absl::string_view others, std::string* out) {
  for (const char byte : text) {
    switch (byte) {
      case '\\':
        out->append("\\\\");
        break;
      case '\t':
        out->append("\\t");
        break;
      case '\n':
        out->append("\\n");
        break;
      case '\r':
        out->append("\\r");
        break;
      default:
        if (others.find(byte) != absl::string_view::npos) {
          AppendHex(byte, out);
        } else {
          out->push_back(byte);
        }
    }
  }
}

void AppendEscapedUtf8(absl::string_view text, std::string* out) {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    size_t size = 1;
    if (static_cast<signed char>(*at) < 0) {
      size = Utf8Size(at, end);
      if (size == 0) {
        AppendHex(*at++, out);
        continue;
      }
    } else if (*at == '\\') {
      out->push_back('\\');
    }
    out->append(at, size);
    at += size;
  }
}

}  // namespace kvarts::groupby_text
