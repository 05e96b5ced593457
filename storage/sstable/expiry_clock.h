#ifndef KVARTS_STORAGE_SSTABLE_EXPIRY_CLOCK_H_
#define KVARTS_STORAGE_SSTABLE_EXPIRY_CLOCK_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace kvarts::sstable {

// Thread-safe. By which time entries expire. A compaction drops for ever what has expired, so a
// clock that is wrong for a moment must not be believed: it is compared with a time that nobody
// sets. After a step of more than a minute the time goes on as it went before, and only ten minutes
// later, when the clock still has it, does the step count. What was read as expired never comes
// back: the time does not go back.
class ExpiryClock {
 public:
  // Goes on while the machine sleeps, and is never set: CLOCK_BOOTTIME.
  static absl::Duration BootTime();

  // `clock` outlives this. Without `elapsed` it is believed.
  ExpiryClock(const Clock* clock, std::function<absl::Duration()> elapsed);

  // Since the Unix epoch.
  int64_t NowMs();
  // How many steps of more than a minute were noticed.
  uint64_t steps() const { return steps_.load(std::memory_order_relaxed); }

 private:
  struct Step {
    int64_t by_ms;
    int64_t since_ms;  // elapsed
  };
  // The clock is not where it should be; and it is there again.
  int64_t WhileItIsOff(int64_t elapsed_ms, int64_t now_ms);
  void IsBack();

  const Clock& clock_;
  const std::function<absl::Duration()> elapsed_;
  // The clock less the elapsed time, as it is believed.
  std::atomic<int64_t> offset_ms_{0};
  std::atomic<int64_t> latest_ms_{0};
  std::atomic<uint64_t> steps_{0};
  std::atomic<bool> is_off_{false};  // there is a step_
  Mutex mu_;
  std::optional<Step> step_ ABSL_GUARDED_BY(mu_);
};

}  // namespace kvarts::sstable

#endif  // KVARTS_STORAGE_SSTABLE_EXPIRY_CLOCK_H_
