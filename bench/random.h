#ifndef KVARTS_BENCH_RANDOM_H_
#define KVARTS_BENCH_RANDOM_H_

#include "base/language.h"

#include <cstdint>

#include "bench/bench_data.h"

namespace kvarts {

// The product of two numbers. Not of ISO C++, which -Wpedantic would say.
__extension__ using BenchUint128 = unsigned __int128;

// Not thread-safe: one a thread. Numbers that follow from a seed, 2 ns each: the
// sequence of SplitMix64.
class BenchRandom {
 public:
  // The sequences of one seed and different streams have nothing in common.
  BenchRandom(uint64_t seed, uint64_t stream) : state_(Mix(Mix(seed) ^ Mix(~stream))) {}

  uint64_t Next() {
    const uint64_t out = Mix(state_);
    state_ += 0x9E3779B97F4A7C15u;
    return out;
  }
  // From 0 to n - 1, for n > 0.
  uint64_t Below(uint64_t n) { return static_cast<uint64_t>((BenchUint128{Next()} * n) >> 64); }
  // From 0 on, below 1.
  double Fraction() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

 private:
  uint64_t state_;
};

}  // namespace kvarts

#endif  // KVARTS_BENCH_RANDOM_H_
