#ifndef KVARTS_STORAGE_MEMORY_SHARED_WORDS_H_
#define KVARTS_STORAGE_MEMORY_SHARED_WORDS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/strings/string_view.h"

// Memory that one thread writes while others read it, and find out afterwards whether
// what they read was good: the data under a sequence lock (H. Boehm, "Can seqlocks get
// along with programming language memory models?", 2012). Each access is an atomic one
// of a word, loads acquire and stores release, so that the version of the lock, loaded
// last, is not loaded before the data. On x86 these are ordinary moves.
//
// Addresses are multiples of the word; the last word of some bytes is written whole.
//
// Where KVARTS_WIDE_LOADS is defined readers load up to sixteen bytes by one instruction,
// at any address: more than C++ calls atomic, which is why it is said in assembly. It may
// be torn, as a word after another is; x86 keeps the order of loads, and the compiler that
// of volatile assembly and atomic accesses. ThreadSanitizer would not see them.
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define KVARTS_WIDE_LOADS 1
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#undef KVARTS_WIDE_LOADS
#endif
#endif
#endif

#if defined(KVARTS_WIDE_LOADS)
#include <emmintrin.h>
#endif

namespace kvarts::memory_internal {

using Word16 [[gnu::may_alias]] = uint16_t;
using Word32 [[gnu::may_alias]] = uint32_t;
using Word64 [[gnu::may_alias]] = uint64_t;

inline uint32_t Load32(const char* p) {
  return __atomic_load_n(reinterpret_cast<const Word32*>(p), __ATOMIC_ACQUIRE);
}
inline uint64_t Load64(const char* p) {
  return __atomic_load_n(reinterpret_cast<const Word64*>(p), __ATOMIC_ACQUIRE);
}
inline void Store32(char* p, uint32_t v) {
  __atomic_store_n(reinterpret_cast<Word32*>(p), v, __ATOMIC_RELEASE);
}
inline void Store64(char* p, uint64_t v) {
  __atomic_store_n(reinterpret_cast<Word64*>(p), v, __ATOMIC_RELEASE);
}

inline constexpr size_t kWord = 4;
inline constexpr size_t RoundToWord(size_t n) { return (n + kWord - 1) / kWord * kWord; }

// 64 bits at a multiple of four.
inline uint64_t Load2x32(const char* p) { return Load32(p) | uint64_t{Load32(p + 4)} << 32; }
inline void Store2x32(char* p, uint64_t v) {
  Store32(p, static_cast<uint32_t>(v));
  Store32(p + 4, static_cast<uint32_t>(v >> 32));
}

#if defined(KVARTS_WIDE_LOADS)

inline uint64_t LoadWide64(const char* p) {
  uint64_t out;
  asm volatile("movq %1, %0" : "=r"(out) : "m"(*reinterpret_cast<const char(*)[8]>(p)) : "memory");
  return out;
}
inline void LoadWide128(const char* from, char* to) {
  __m128i out;
  asm volatile("movdqu %1, %0"
               : "=x"(out)
               : "m"(*reinterpret_cast<const char(*)[16]>(from))
               : "memory");
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), out);
}

// Reads `n` bytes, and up to three behind them, which are not given out.
inline void LoadBytes(const char* from, size_t n, char* to) {
  if (n >= 16) {
    const char* const last = from + n - 16;
    char* const last_to = to + n - 16;
    for (; from < last; from += 16, to += 16) LoadWide128(from, to);
    LoadWide128(last, last_to);
  } else if (n >= 8) {
    const uint64_t first = LoadWide64(from);
    const uint64_t last = LoadWide64(from + n - 8);
    std::memcpy(to, &first, 8);
    std::memcpy(to + n - 8, &last, 8);
  } else {
    for (; n > 0; from += 4, to += 4) {
      const uint32_t word = Load32(from);
      const size_t some = n < 4 ? n : 4;
      std::memcpy(to, &word, some);
      n -= some;
    }
  }
}

#else

// Reads `n` bytes, and up to three behind them, which are not given out.
inline void LoadBytes(const char* from, size_t n, char* to) {
  if ((reinterpret_cast<uintptr_t>(from) & 4) != 0 && n >= 4) {
    const uint32_t word = Load32(from);
    std::memcpy(to, &word, 4);
    from += 4, to += 4, n -= 4;
  }
  for (; n >= 8; from += 8, to += 8, n -= 8) {
    const uint64_t word = Load64(from);
    std::memcpy(to, &word, 8);
  }
  for (; n > 0; from += 4, to += 4) {
    const uint32_t word = Load32(from);
    const size_t some = n < 4 ? n : 4;
    std::memcpy(to, &word, some);
    n -= some;
  }
}

#endif

// Fills the last word with zeros.
inline void StoreBytes(char* to, absl::string_view bytes) {
  const char* from = bytes.data();
  size_t n = bytes.size();
  if ((reinterpret_cast<uintptr_t>(to) & 4) != 0 && n >= 4) {
    uint32_t word;
    std::memcpy(&word, from, 4);
    Store32(to, word);
    from += 4, to += 4, n -= 4;
  }
  for (; n >= 8; from += 8, to += 8, n -= 8) {
    uint64_t word;
    std::memcpy(&word, from, 8);
    Store64(to, word);
  }
  for (; n > 0; from += 4, to += 4) {
    uint32_t word = 0;
    const size_t some = n < 4 ? n : 4;
    std::memcpy(&word, from, some);
    Store32(to, word);
    n -= some;
  }
}

// Of whole words.
inline void CopyWords(char* to, const char* from, size_t n) {
  for (; n >= 4; from += 4, to += 4, n -= 4) Store32(to, Load32(from));
}

inline bool EqualBytes(const char* p, absl::string_view bytes) {
  const char* q = bytes.data();
  size_t n = bytes.size();
#if defined(KVARTS_WIDE_LOADS)
  for (; n >= 8; p += 8, q += 8, n -= 8) {
    uint64_t word;
    std::memcpy(&word, q, 8);
    if (LoadWide64(p) != word) return false;
  }
#endif
  for (; n >= 4; p += 4, q += 4, n -= 4) {
    uint32_t word;
    std::memcpy(&word, q, 4);
    if (Load32(p) != word) return false;
  }
  if (n == 0) return true;
  uint32_t word = 0;
  std::memcpy(&word, q, n);
  return Load32(p) == word;
}

}  // namespace kvarts::memory_internal

#endif  // KVARTS_STORAGE_MEMORY_SHARED_WORDS_H_
