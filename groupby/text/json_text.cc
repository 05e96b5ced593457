#include "groupby/text/json_text.h"

#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace kvarts::groupby_text {
namespace {

bool IsSpecial(char byte) {
  return static_cast<signed char>(byte) < 0x20 || byte == '"' || byte == '\\';  // or above 7F
}

bool IsTail(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

}  // namespace

const char* FindJsonSpecial(const char* at, const char* end) {
#ifdef __SSE2__
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i space = _mm_set1_epi8(' ');
  for (; end - at >= 16; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    // Signed: below a space are control bytes and all above 7F.
    const __m128i hits =
        _mm_or_si128(_mm_cmplt_epi8(bytes, space),
                     _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
    const int mask = _mm_movemask_epi8(hits);
    if (mask != 0) return at + __builtin_ctz(static_cast<unsigned>(mask));
  }
#endif
  while (at < end && !IsSpecial(*at)) ++at;
  return at;
}

size_t Utf8Size(const char* at, const char* end) {
  const auto lead = static_cast<unsigned char>(*at);
  const auto left = static_cast<size_t>(end - at);
  const unsigned char second = left > 1 ? static_cast<unsigned char>(at[1]) : 0;
  if (lead >= 0xC2 && lead <= 0xDF) return IsTail(static_cast<char>(second)) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const unsigned char low = lead == 0xE0 ? 0xA0 : 0x80;
    const unsigned char high = lead == 0xED ? 0x9F : 0xBF;
    return left > 2 && second >= low && second <= high && IsTail(at[2]) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const unsigned char low = lead == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = lead == 0xF4 ? 0x8F : 0xBF;
    return left > 3 && second >= low && second <= high && IsTail(at[2]) && IsTail(at[3]) ? 4 : 0;
  }
  return 0;
}

absl::string_view JsonEscape(char byte, char room[6]) {
  switch (byte) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      break;
  }
  constexpr char kDigits[] = "0123456789abcdef";
  std::memcpy(room, "\\u00", 4);
  room[4] = kDigits[static_cast<unsigned char>(byte) >> 4];
  room[5] = kDigits[static_cast<unsigned char>(byte) & 15];
  return absl::string_view(room, 6);
}

bool AppendJsonString(absl::string_view text, std::string* out) {
  const char* at = text.data();
  const char* const end = at + text.size();
  const char* copied = at;
  while ((at = FindJsonSpecial(at, end)) < end) {
    if (static_cast<signed char>(*at) < 0) {
      const size_t size = Utf8Size(at, end);
      if (size == 0) return false;
      at += size;
      continue;
    }
    out->append(copied, static_cast<size_t>(at - copied));
    char escape[6];
    const absl::string_view escaped = JsonEscape(*at, escape);
    out->append(escaped.data(), escaped.size());
    copied = ++at;
  }
  out->append(copied, static_cast<size_t>(end - copied));
  return true;
}

}  // namespace kvarts::groupby_text
