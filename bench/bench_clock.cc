#include "bench/bench_clock.h"

#include <sys/prctl.h>
#include <time.h>

namespace kvarts {
namespace {

class RealBenchClock final : public BenchClock {
 public:
  int64_t NowNs() const override {
    timespec now;
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  }
  void SleepUntilNs(int64_t ns) const override {
    // The system otherwise wakes a thread up to 50 us late, to save power.
    thread_local const int exact = ::prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    static_cast<void>(exact);
    timespec until;
    until.tv_sec = ns / 1'000'000'000;
    until.tv_nsec = ns % 1'000'000'000;
    ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
  }
};

}  // namespace

const BenchClock* BenchClock::Real() {
  static const RealBenchClock* const clock = new RealBenchClock;
  return clock;
}

}  // namespace kvarts
