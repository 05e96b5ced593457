#include "groupby/text/row_limits.h"

#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "groupby/text/json_text.h"

namespace kvarts::groupby_text {
namespace {

constexpr size_t kShownKeyBytes = 60;

// The first byte of `text` that is one of `bytes`; null: none.
const char* Find(absl::string_view text, absl::string_view bytes) {
  for (const char byte : bytes) {
    const void* const found = text.empty() ? nullptr : std::memchr(text.data(), byte, text.size());
    if (found != nullptr) return static_cast<const char*>(found);
  }
  return nullptr;
}

}  // namespace

std::string ByteName(char byte) {
  switch (byte) {
    case '\t':
      return "a tab";
    case '\n':
      return "a newline";
    case ' ':
      return "a space";
    case ',':
      return "a comma";
    default:
      return absl::ascii_isgraph(static_cast<unsigned char>(byte))
                 ? absl::StrCat("a '", absl::string_view(&byte, 1), "'")
                 : absl::StrFormat("the byte 0x%02x", static_cast<unsigned char>(byte));
  }
}

std::string ShowKey(absl::string_view key) {
  const absl::string_view shown = key.substr(0, kShownKeyBytes);
  std::string unused;
  return absl::StrCat(
      "\"",
      AppendJsonString(shown, &unused) ? absl::Utf8SafeCHexEscape(shown) : absl::CHexEscape(shown),
      shown.size() < key.size() ? "..." : "", "\"");
}

bool SizesFit(absl::string_view key, absl::string_view value) {
  return key.size() <= Grouping::kMaxKeyBytes &&
         key.size() + value.size() <= Grouping::kMaxRowBytes;
}

std::string SizeError(absl::string_view key, absl::string_view value) {
  if (key.size() > Grouping::kMaxKeyBytes) {
    return absl::StrCat("a key of ", key.size(), " bytes; the limit is ", Grouping::kMaxKeyBytes);
  }
  return absl::StrCat("a key and a value of ", key.size() + value.size(), " bytes; the limit is ",
                      Grouping::kMaxRowBytes);
}

std::string KeyError(absl::string_view key, const OutputLimits& limits) {
  if (key.empty() && !limits.empty_key) return "an empty key, which the output cannot hold";
  const char* const found = Find(key, limits.key_bytes);
  if (found == nullptr) return "";
  return absl::StrCat("the key ", ShowKey(key), " holds ", ByteName(*found),
                      ", which the output cannot; --encoding or another --format can");
}

std::string ValueError(absl::string_view key, absl::string_view value, const OutputLimits& limits) {
  const char* const found = Find(value, limits.value_bytes);
  if (found == nullptr) return "";
  return absl::StrCat("a value of the key ", ShowKey(key), " holds ", ByteName(*found),
                      ", which the output cannot; --encoding, --separator or another --format can");
}

std::string RowError(absl::string_view key, absl::string_view value, const OutputLimits& limits) {
  if (!SizesFit(key, value)) return SizeError(key, value);
  std::string error = KeyError(key, limits);
  return error.empty() ? ValueError(key, value, limits) : error;
}

}  // namespace kvarts::groupby_text
