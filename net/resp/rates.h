#ifndef KVARTS_NET_RESP_RATES_H_
#define KVARTS_NET_RESP_RATES_H_

#include <atomic>
#include <cstdint>
#include <deque>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"

namespace kvarts {
namespace resp {

// Thread-safe. How much a second, over about the last 1.6 seconds, as redis-server's
// "instantaneous" fields: samples of what was counted, a tenth of a second apart or more. Those
// who count take them, so that nothing is sampled while nothing happens. Times are PreciseNanos().
class Rates {
 public:
  struct Counts {
    uint64_t commands = 0;
    uint64_t bytes_in = 0;
    uint64_t bytes_out = 0;
  };
  struct PerSecond {
    double commands = 0;
    double bytes_in = 0;
    double bytes_out = 0;
  };

  // Nothing was counted at `now`.
  explicit Rates(int64_t now) : samples_{{now, Counts()}} {}

  // Whether a sample is to be taken: a load and a comparison.
  bool IsDue(int64_t now) const { return now >= due_.load(std::memory_order_relaxed); }
  void Sample(int64_t now, const Counts& counts);
  // What was counted since the last sample before the last 1.6 seconds, over these: nothing was
  // counted while no samples were taken. Of a younger object: since it was made.
  PerSecond Now(int64_t now, const Counts& counts) const;

 private:
  struct Taken {
    int64_t at;
    Counts counts;
  };

  std::atomic<int64_t> due_{0};
  mutable Mutex mu_;
  std::deque<Taken> samples_ ABSL_GUARDED_BY(mu_);  // the oldest first; never empty
};

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_RATES_H_
