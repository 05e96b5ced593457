#ifndef KVARTS_STORAGE_MEMORY_INDEX_GROUP_H_
#define KVARTS_STORAGE_MEMORY_INDEX_GROUP_H_

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <cstddef>
#include <cstdint>

#include "storage/memory/shared_words.h"

namespace kvarts::memory_internal {

// Twenty slots of a segment's index in one cache line, which may be written while it is
// read (see shared_words.h):
//
//   bytes 0-19   a tag each, 8 bits of the hash; 0 for an empty slot
//   byte  20     1 where a record whose home this is, or one before it, is in a group behind
//   bytes 21-23  0
//   bytes 24-63  where each record is, in words from the beginning of the segment
//
// Where there is SSE2, sixteen tags are compared at once; else eight, in a register.
class IndexGroup {
 public:
  static constexpr size_t kBytes = 64;
  static constexpr uint32_t kSlots = 20;

  explicit IndexGroup(char* line) : line_(line) {}

  static uint8_t Tag(uint64_t hash) {
    const auto tag = static_cast<uint8_t>(hash);
    return tag != 0 ? tag : 1;
  }

  struct Tags {
    uint64_t words[3];  // the upper half of the last: overflow

    bool overflows() const { return (words[2] >> 32 & 1) != 0; }
    // A bit for each slot with this tag.
    uint32_t Matches(uint8_t tag) const {
#if defined(__SSE2__)
      const __m128i needle = _mm_set1_epi8(static_cast<char>(tag));
      const __m128i low =
          _mm_set_epi64x(static_cast<int64_t>(words[1]), static_cast<int64_t>(words[0]));
      const __m128i high = _mm_cvtsi64_si128(static_cast<int64_t>(words[2]));
      const auto a = static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(low, needle)));
      const auto b = static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(high, needle)));
      return a | (b & 0xf) << 16;
#else
      return MatchesPortably(tag);
#endif
    }
    // The same without SSE2.
    uint32_t MatchesPortably(uint8_t tag) const {
      return ZeroBytes(words[0] ^ kOnes * tag) | ZeroBytes(words[1] ^ kOnes * tag) << 8 |
             (ZeroBytes(words[2] ^ kOnes * tag) & 0xf) << 16;
    }
    uint32_t Empty() const { return Matches(0); }

   private:
    static constexpr uint64_t kOnes = 0x0101010101010101;
    // A bit for each byte that is 0.
    static uint32_t ZeroBytes(uint64_t x) {
      const uint64_t low = 0x7f * kOnes;
      const uint64_t zeros = ~(((x & low) + low) | x | low);  // 0x80 where 0
      return static_cast<uint32_t>((zeros >> 7) * 0x0102040810204080 >> 56);
    }
  };

  Tags tags() const { return {{Load64(line_), Load64(line_ + 8), Load64(line_ + 16)}}; }
  uint32_t position(uint32_t slot) const {
    return __atomic_load_n(reinterpret_cast<const Word16*>(line_ + 24 + 2 * slot),
                           __ATOMIC_ACQUIRE);
  }

  void Set(uint32_t slot, uint8_t tag, uint32_t position) {
    SetPosition(slot, position);
    __atomic_store_n(line_ + slot, static_cast<char>(tag), __ATOMIC_RELEASE);
  }
  void SetPosition(uint32_t slot, uint32_t position) {
    __atomic_store_n(reinterpret_cast<Word16*>(line_ + 24 + 2 * slot),
                     static_cast<uint16_t>(position), __ATOMIC_RELEASE);
  }
  void Erase(uint32_t slot) { __atomic_store_n(line_ + slot, char{0}, __ATOMIC_RELEASE); }
  void SetOverflows() { Store32(line_ + 20, Load32(line_ + 20) | 1); }

 private:
  char* const line_;
};

}  // namespace kvarts::memory_internal

#endif  // KVARTS_STORAGE_MEMORY_INDEX_GROUP_H_
