#ifndef KVARTS_STORAGE_BISECT_KEY_CODING_H_
#define KVARTS_STORAGE_BISECT_KEY_CODING_H_

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "base/coding.h"

namespace kvarts {

// Thread-safe once made. Maps keys to 64-bit codes that keep their order: a < b
// in bytes implies Code(a) <= Code(b). The closer the codes of a file's keys
// are to uniform, the better interpolation works.
//
// kUuid4: every key is a version 4 UUID in canonical lower-case text
// (RFC 9562). The code is its first 60 random bits: hex digits 1-12 and 14-16,
// without the fixed version digit between them; the low 4 bits are zero.
//
// kText: any keys. The longest prefix common to all is left out; the bytes behind
// it are digits, by their rank among the `a` different bytes that occur there, of a
// number in base `a`, as many as fit into 58 bits (17 decimal digits), scaled to
// 64. A key that ends sooner goes on with zeros.
class KeyCoding {
 public:
  enum class Kind : uint8_t { kUuid4 = 0, kText = 1 };
  static constexpr size_t kMaxPrefix = 2048;

  // The bytes that occur behind the common prefix, as a set of 256 bits.
  using Alphabet = std::array<uint64_t, 4>;

  static KeyCoding Uuid4() { return KeyCoding(); }
  // `prefix` up to kMaxPrefix.
  static KeyCoding Text(absl::string_view prefix, const Alphabet& alphabet);

  Kind kind() const { return kind_; }
  const std::string& prefix() const { return prefix_; }
  const Alphabet& alphabet() const { return alphabet_; }
  // How many bytes behind the prefix tell keys apart.
  int digits() const { return digits_; }

  // The code of a key that may be in the file; false: it cannot be. May let
  // through keys that cannot be either.
  bool Code(absl::string_view key, uint64_t* code) const {
    if (kind_ != Kind::kUuid4) return TextCode(key, code);
    if (key.size() != 36) return false;
    *code = Uuid4Code(key.data());
    return true;
  }

  // The upper kUuidHeadBits of Code() of a UUID's text, and anything below.
  static constexpr int kUuidHeadBits = 48;
  static uint64_t UuidHead(const char* text) { return Sixteen(text); }

  // Code() of a UUID that was packed by PackUuid().
  static uint64_t PackedCode(const char packed[16]) {
    const uint64_t head = LoadBE64(packed);  // 48 bits, the version, 12 bits
    return (head >> 16) << 16 | (head & 0xFFF) << 4;
  }

  // For bounds of ranges: a code for any bytes that keeps order with the file's
  // keys: bound <= key implies BoundCode(bound) <= Code(key), and bound >= key
  // implies BoundCode(bound) >= Code(key).
  uint64_t BoundCode(absl::string_view bound) const;

  // Whether `key` is canonical text of a version 4 UUID.
  static bool IsUuid4(absl::string_view key);
  // Between the 36 bytes of an IsUuid4() key and the 16 of the UUID. Packed
  // bytes keep the order of the texts.
  static void PackUuid(const char* text, char packed[16]);
  static void UnpackUuid(const char packed[16], char text[36]);

 private:
  KeyCoding() = default;

  // Eight hex digits to 32 bits; garbage in, garbage out.
  static uint64_t Hex8(const char* p) {
    uint64_t v = LoadBE64(p);
    v = (v & 0x0F0F0F0F0F0F0F0Fu) + 9 * ((v >> 6) & 0x0101010101010101u);
    v = (v | (v >> 4)) & 0x00FF00FF00FF00FFu;
    v = (v | (v >> 8)) & 0x0000FFFF0000FFFFu;
    return (v | (v >> 16)) & 0xFFFFFFFFu;
  }
  // xxxxxxxx and xxxx-4xx as hex digits, whatever the dash is as one.
  static uint64_t Sixteen(const char* p) {
#if defined(__SSE2__)
    const auto load = [](const char* from) {
      return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
    };
    const __m128i text = _mm_unpacklo_epi64(load(p), load(p + 9));
    const __m128i letters = _mm_cmpgt_epi8(text, _mm_set1_epi8('9'));
    const __m128i nibbles = _mm_add_epi8(_mm_and_si128(text, _mm_set1_epi8(15)),
                                         _mm_and_si128(letters, _mm_set1_epi8(9)));
    const __m128i pairs = _mm_and_si128(
        _mm_or_si128(_mm_slli_epi16(nibbles, 4), _mm_srli_epi16(nibbles, 8)), _mm_set1_epi16(255));
    return __builtin_bswap64(_mm_cvtsi128_si64(_mm_packus_epi16(pairs, _mm_setzero_si128())));
#else
    return Hex8(p) << 32 | Hex8(p + 9);
#endif
  }
  // Digits 0-7, 9-12, 15-17 of xxxxxxxx-xxxx-4xxx-...
  static uint64_t Uuid4Code(const char* p) {
    const uint64_t both = Sixteen(p);
    const uint64_t last = (p[17] & 0xF) + 9 * ((static_cast<uint8_t>(p[17]) >> 6) & 1);
    return (both & ~uint64_t{0xFFFF}) | (both & 0xFF) << 8 | (last & 0xF) << 4;
  }
  bool TextCode(absl::string_view key, uint64_t* code) const;
  uint64_t Uuid4Bound(absl::string_view bound) const;
  uint64_t TextBound(absl::string_view bound) const;

  Kind kind_ = Kind::kUuid4;
  std::string prefix_;
  Alphabet alphabet_{};
  uint64_t base_ = 0;                // the size of the alphabet
  int digits_ = 0;                   // base_ to the power of digits_ is at most 2^58
  uint64_t scale_ = 0;               // 2^64 by that power
  std::array<int16_t, 256> rank_{};  // -1: not in the alphabet
};

// Not thread-safe. Learns the prefix and alphabet of kText from all keys.
class AlphabetBuilder {
 public:
  void Add(absl::string_view key);
  KeyCoding Build() const { return KeyCoding::Text(prefix_, alphabet_); }

 private:
  void Note(absl::string_view bytes);

  bool any_ = false;
  std::string prefix_;
  KeyCoding::Alphabet alphabet_{};
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_BISECT_KEY_CODING_H_
