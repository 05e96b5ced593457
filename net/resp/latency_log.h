#ifndef KVARTS_NET_RESP_LATENCY_LOG_H_
#define KVARTS_NET_RESP_LATENCY_LOG_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"

namespace kvarts {
namespace resp {

struct LatencySample {
  int64_t unix_seconds = 0;
  int64_t millis = 0;
};

// The spikes of one kind of event.
struct LatencyEvent {
  const char* name = "";
  std::deque<LatencySample> samples;  // the oldest first, one a second at most
  int64_t most_millis = 0;
};

// Thread-safe. When commands took long, by kind: the last 160 seconds in which one did.
class LatencyLog {
 public:
  // Milliseconds; 0: nothing is noted.
  int64_t threshold() const { return threshold_.load(std::memory_order_relaxed); }
  void set_threshold(int64_t millis) { threshold_.store(millis, std::memory_order_relaxed); }
  bool IsSpike(int64_t micros) const {
    const int64_t threshold = this->threshold();
    return threshold > 0 && micros / 1000 >= threshold;
  }

  void Add(bool fast_command, int64_t unix_seconds, int64_t millis);
  // Those with samples.
  std::vector<LatencyEvent> Events() const;
  // True where it had samples. Any case.
  bool Clear(absl::string_view name);

 private:
  std::atomic<int64_t> threshold_{0};

  mutable Mutex mu_;
  LatencyEvent events_[2] ABSL_GUARDED_BY(mu_) = {{"command", {}, 0}, {"fast-command", {}, 0}};
};

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_LATENCY_LOG_H_
