#ifndef KVARTS_NET_RESP_SLOW_LOG_H_
#define KVARTS_NET_RESP_SLOW_LOG_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/mutex.h"

namespace kvarts {
namespace resp {

// Microseconds of the machine's clock, for durations. The coarse one has steps of some
// milliseconds and costs a quarter of the other: enough for what takes longer.
int64_t CoarseMicros();
int64_t PreciseMicros();

// Of one command, or of reads that went to the store together.
struct SlowCommand {
  uint64_t id = 0;
  absl::Time at;
  int64_t micros = 0;
  std::vector<std::string> args;  // cut, see SlowLog
  std::string address;
  std::string name;  // of the connection
};

// Thread-safe. The last commands that took long. Arguments beyond 32, and bytes of an
// argument beyond 128, are counted, not kept: an entry is at most some 5 KiB.
class SlowLog {
 public:
  static constexpr int64_t kMostEntries = 10000;

  // Microseconds; below 0: nothing is slow.
  int64_t threshold() const { return threshold_.load(std::memory_order_relaxed); }
  void set_threshold(int64_t micros) { threshold_.store(micros, std::memory_order_relaxed); }
  bool IsSlow(int64_t micros) const {
    const int64_t threshold = this->threshold();
    return threshold >= 0 && micros >= threshold;
  }
  // At most kMostEntries are kept, whatever is set.
  int64_t max_entries() const;
  void set_max_entries(int64_t entries);

  // `more`: commands that were carried out with it, and took this time together. They are told
  // as an argument, "... (7 more commands)".
  void Add(absl::Time at, int64_t micros, absl::Span<const absl::string_view> args, size_t more,
           std::string address, std::string name);
  // The newest first, at most `most`.
  std::vector<SlowCommand> Newest(size_t most) const;
  size_t size() const;
  void Clear();

 private:
  void Cut() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  std::atomic<int64_t> threshold_{10000};

  mutable Mutex mu_;
  int64_t max_entries_ ABSL_GUARDED_BY(mu_) = 128;
  uint64_t next_id_ ABSL_GUARDED_BY(mu_) = 0;
  std::deque<SlowCommand> entries_ ABSL_GUARDED_BY(mu_);  // the newest first
};

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_SLOW_LOG_H_
