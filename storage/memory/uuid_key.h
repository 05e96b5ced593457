#ifndef KVARTS_STORAGE_MEMORY_UUID_KEY_H_
#define KVARTS_STORAGE_MEMORY_UUID_KEY_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/strings/string_view.h"
#include "base/coding.h"

// UUIDs as text, 36 characters with lower-case digits (RFC 9562, section 4), in 16 bytes.
namespace kvarts::memory_internal {

inline constexpr size_t kUuidTextBytes = 36;
inline constexpr size_t kUuidBytes = 16;

// Eight hexadecimal digits, the first in the lowest byte, to four bytes. False where one
// is none, or an upper-case one.
inline bool ParseHex8(uint64_t text, uint32_t* bytes) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  const uint64_t letters = text >> 6 & kOnes;
  const uint64_t digits = (text & 0x0f * kOnes) + 9 * letters;
  // Back to text: equal only for what was canonical.
  const uint64_t low = digits & 0x0f * kOnes;
  const uint64_t above_nine = (low + 6 * kOnes) >> 4 & kOnes;
  if (low + 0x30 * kOnes + 0x27 * above_nine != text) return false;
  uint64_t v = (low << 4 | low >> 8) & 0x00ff00ff00ff00ff;
  v = (v | v >> 8) & 0x0000ffff0000ffff;
  *bytes = static_cast<uint32_t>(v | v >> 16);
  return true;
}
inline uint64_t FormatHex8(uint32_t bytes) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  uint64_t v = (bytes | uint64_t{bytes} << 16) & 0x0000ffff0000ffff;
  v = (v | v << 8) & 0x00ff00ff00ff00ff;
  const uint64_t low = (v >> 4 | v << 8) & 0x0f * kOnes;
  const uint64_t above_nine = (low + 6 * kOnes) >> 4 & kOnes;
  return low + 0x30 * kOnes + 0x27 * above_nine;
}

// False where `text` is no such UUID.
inline bool PackUuid(absl::string_view text, char packed[kUuidBytes]) {
  if (text.size() != kUuidTextBytes) return false;
  const char* const t = text.data();
  if (t[8] != '-' || t[13] != '-' || t[18] != '-' || t[23] != '-') return false;
  const uint64_t parts[4] = {
      LoadLE64(t),
      LoadLE32(t + 9) | uint64_t{LoadLE32(t + 14)} << 32,
      LoadLE32(t + 19) | uint64_t{LoadLE32(t + 24)} << 32,
      LoadLE64(t + 28),
  };
  uint32_t bytes[4];
  bool good = true;
  for (int i = 0; i < 4; ++i) good &= ParseHex8(parts[i], &bytes[i]);
  std::memcpy(packed, bytes, kUuidBytes);
  return good;
}

inline void UnpackUuid(const char packed[kUuidBytes], char text[kUuidTextBytes]) {
  uint64_t parts[4];
  for (int i = 0; i < 4; ++i) parts[i] = FormatHex8(LoadLE32(packed + 4 * i));
  StoreLE64(text, parts[0]);
  StoreLE32(text + 9, static_cast<uint32_t>(parts[1]));
  StoreLE32(text + 14, static_cast<uint32_t>(parts[1] >> 32));
  StoreLE32(text + 19, static_cast<uint32_t>(parts[2]));
  StoreLE32(text + 24, static_cast<uint32_t>(parts[2] >> 32));
  StoreLE64(text + 28, parts[3]);
  text[8] = text[13] = text[18] = text[23] = '-';
}

}  // namespace kvarts::memory_internal

#endif  // KVARTS_STORAGE_MEMORY_UUID_KEY_H_
