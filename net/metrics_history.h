#ifndef KVARTS_NET_METRICS_HISTORY_H_
#define KVARTS_NET_METRICS_HISTORY_H_

#include "base/language.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "net/event_loop.h"
#include "net/metrics.h"

namespace kvarts {

// What a protocol did in one interval of time.
struct IntervalStats {
  std::string name;
  RequestCounts counts;  // of the interval
  int64_t open = 0;      // connections at its end
  uint64_t p50_ns = 0;
  uint64_t p99_ns = 0;
  uint64_t p999_ns = 0;
  uint64_t max_ns = 0;
};

struct MetricsSample {
  int64_t time_ms = 0;  // Unix time of the interval's end
  double seconds = 0;   // its length
  std::vector<IntervalStats> protocols;
};

// Thread-safe. The last minutes of a process's metrics, sampled once an
// interval, so that a page that is opened shows what was before it too. A
// sample costs about 10 us a protocol, and 100 bytes.
class MetricsHistory {
 public:
  static constexpr size_t kSamples = 300;

  // `metrics` and `clock` must outlive it.
  explicit MetricsHistory(const Metrics* metrics, absl::Duration interval = absl::Seconds(1),
                          const Clock* clock = Clock::Real());

  absl::Duration interval() const { return interval_; }

  // Samples each interval, on `loop`, from now on. Call it once; destroy the history on
  // that loop, or when the loops have stopped.
  void Start(EventLoop* loop);
  // Takes a sample now.
  void Sample();

  // Those taken after `time_ms`, the oldest first.
  std::vector<MetricsSample> Since(int64_t time_ms) const;

 private:
  void Again();

  const Metrics* const metrics_;
  const absl::Duration interval_;
  const Clock* const clock_;
  std::unique_ptr<Timer> timer_;  // touched on the loop only

  mutable Mutex mu_;
  std::vector<ProtocolStats> before_ ABSL_GUARDED_BY(mu_);
  absl::Time before_time_ ABSL_GUARDED_BY(mu_);
  std::deque<MetricsSample> samples_ ABSL_GUARDED_BY(mu_);
};

}  // namespace kvarts

#endif  // KVARTS_NET_METRICS_HISTORY_H_
