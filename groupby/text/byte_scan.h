#ifndef KVARTS_GROUPBY_TEXT_BYTE_SCAN_H_
#define KVARTS_GROUPBY_TEXT_BYTE_SCAN_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace kvarts::groupby_text {

// Not thread-safe. Goes from one byte of interest to the next, of N different ones: 64
// bytes are compared at a time, so that bytes between cost a fraction of a nanosecond, and
// a find costs about one. Reads nothing behind `end`.
template <size_t N>
class ByteScan {
 public:
  ByteScan(const char* begin, const char* end, const std::array<char, N>& bytes)
      : end_(end), bytes_(bytes) {
    Seek(begin);
  }

  // The next one; end where there is none.
  const char* Next() {
    while (mask_ == 0) {
      if (end_ - block_ <= 64) {
        block_ = end_;
        return end_;
      }
      block_ += 64;
      mask_ = Load();
    }
    const char* const found = block_ + __builtin_ctzll(mask_);
    mask_ &= mask_ - 1;
    return found;
  }

  // Goes on at `at`, in either direction.
  void Seek(const char* at) {
    block_ = at;
    mask_ = at < end_ ? Load() : 0;
  }

 private:
  uint64_t Load() const {
    const size_t left = static_cast<size_t>(end_ - block_);
    if (left >= 64) return Compare(block_);
    char padded[64] = {};
    std::memcpy(padded, block_, left);
    return Compare(padded) & ((uint64_t{1} << left) - 1);
  }

#ifdef __SSE2__
  uint64_t Compare(const char* bytes) const {
    uint64_t mask = 0;
    for (int i = 0; i < 4; ++i) {
      const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes) + i);
      __m128i hits = _mm_cmpeq_epi8(block, _mm_set1_epi8(bytes_[0]));
      for (size_t k = 1; k < N; ++k) {
        hits = _mm_or_si128(hits, _mm_cmpeq_epi8(block, _mm_set1_epi8(bytes_[k])));
      }
      mask |= static_cast<uint64_t>(static_cast<uint32_t>(_mm_movemask_epi8(hits))) << (16 * i);
    }
    return mask;
  }
#else
  uint64_t Compare(const char* bytes) const {
    uint64_t mask = 0;
    for (int i = 0; i < 64; ++i) {
      bool hit = false;
      for (const char byte : bytes_) hit |= bytes[i] == byte;
      mask |= static_cast<uint64_t>(hit) << i;
    }
    return mask;
  }
#endif

  const char* const end_;
  const std::array<char, N> bytes_;
  const char* block_ = nullptr;
  uint64_t mask_ = 0;  // finds of the block that are left
};

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_BYTE_SCAN_H_
