#ifndef KVARTS_BASE_SIPHASH_H_
#define KVARTS_BASE_SIPHASH_H_

#include "base/language.h"

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "base/coding.h"

namespace kvarts {

// 128 bits that nobody outside may learn. Whoever knows them can make keys collide.
struct HashSeed {
  uint64_t k0 = 0;
  uint64_t k1 = 0;

  // From the system's source of randomness.
  static HashSeed Random();
};

// SipHash-C-D of Aumasson and Bernstein (2012): C rounds a word of 8 bytes, D at the
// end. 2-4 is the one of the paper; 1-3 is faster, and what hash tables commonly use.
template <int C, int D>
uint64_t SipHash(absl::string_view bytes, const HashSeed& seed) {
  uint64_t v0 = seed.k0 ^ 0x736f6d6570736575;
  uint64_t v1 = seed.k1 ^ 0x646f72616e646f6d;
  uint64_t v2 = seed.k0 ^ 0x6c7967656e657261;
  uint64_t v3 = seed.k1 ^ 0x7465646279746573;
  const auto rotate = [](uint64_t x, int by) { return x << by | x >> (64 - by); };
  const auto round = [&] {
    v0 += v1;
    v2 += v3;
    v1 = rotate(v1, 13) ^ v0;
    v3 = rotate(v3, 16) ^ v2;
    v0 = rotate(v0, 32) + v3;
    v2 += v1;
    v1 = rotate(v1, 17) ^ v2;
    v3 = rotate(v3, 21) ^ v0;
    v2 = rotate(v2, 32);
  };
  const auto take = [&](uint64_t word) {
    v3 ^= word;
    for (int i = 0; i < C; ++i) round();
    v0 ^= word;
  };
  const char* p = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; left -= 8, p += 8) take(LoadLE64(p));
  uint64_t last = uint64_t{bytes.size() & 0xff} << 56;
  for (size_t i = 0; i < left; ++i) last |= uint64_t{static_cast<unsigned char>(p[i])} << (8 * i);
  take(last);
  v2 ^= 0xff;
  for (int i = 0; i < D; ++i) round();
  return v0 ^ v1 ^ v2 ^ v3;
}

}  // namespace kvarts

#endif  // KVARTS_BASE_SIPHASH_H_
