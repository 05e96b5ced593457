#ifndef KVARTS_BENCH_MANUAL_BENCH_CLOCK_H_
#define KVARTS_BENCH_MANUAL_BENCH_CLOCK_H_

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "bench/bench_clock.h"

namespace kvarts {

// A clock that stands until it is moved; who sleeps on it moves it. Thread-safe
// as long as one thread moves it.
class ManualBenchClock final : public BenchClock {
 public:
  int64_t NowNs() const override { return now_ns_.load(); }
  void SleepUntilNs(int64_t ns) const override { now_ns_ = std::max(ns, NowNs()); }
  void Advance(int64_t ns) { now_ns_ += ns; }

 private:
  mutable std::atomic<int64_t> now_ns_{1'000'000'000'000};
};

}  // namespace kvarts

#endif  // KVARTS_BENCH_MANUAL_BENCH_CLOCK_H_
