#ifndef KVARTS_BENCH_BENCH_CLOCK_H_
#define KVARTS_BENCH_BENCH_CLOCK_H_

#include "base/language.h"

#include <cstdint>

namespace kvarts {

// Thread-safe. The time that latencies are measured in: nanoseconds since some
// start, which never step back. Tests hand in one that they move.
class BenchClock {
 public:
  virtual ~BenchClock() = default;
  virtual int64_t NowNs() const = 0;
  // Waits until then, or shorter.
  virtual void SleepUntilNs(int64_t ns) const = 0;

  // The machine's. Sleepers wake a few microseconds late.
  static const BenchClock* Real();
};

}  // namespace kvarts

#endif  // KVARTS_BENCH_BENCH_CLOCK_H_
