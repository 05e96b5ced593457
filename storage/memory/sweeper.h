#ifndef KVARTS_STORAGE_MEMORY_SWEEPER_H_
#define KVARTS_STORAGE_MEMORY_SWEEPER_H_

#include <atomic>
#include <cstdint>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "base/clock.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "storage/memory/table.h"

namespace kvarts::memory_internal {

// Thread-safe. Removes what has expired, on a thread of its own, ten times a second: of
// a few segments at a time, with pauses that are longer than the work.
class Sweeper {
 public:
  // Both must outlive it.
  Sweeper(Table* table, const Clock* clock) : table_(*table), clock_(*clock) {}
  ~Sweeper() { Stop(); }

  // From the first expiry on; later calls cost a load. Where the system has no thread to
  // give a call tries again a second later: what has expired is absent all the same.
  void Start() {
    if (!runs_.load(std::memory_order_acquire)) StartSlow();
  }
  // True from the first Start() on: entries may expire.
  bool is_started() const { return started_.load(std::memory_order_acquire); }
  void Stop();

 private:
  void StartSlow();
  void Run();

  Table& table_;
  const Clock& clock_;
  std::atomic<bool> started_{false};
  std::atomic<bool> runs_{false};
  std::atomic<int64_t> next_try_ns_{INT64_MIN};  // absl::GetCurrentTimeNanos()

  Mutex mu_;
  CondVar changed_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_ ABSL_GUARDED_BY(mu_);
};

}  // namespace kvarts::memory_internal

#endif  // KVARTS_STORAGE_MEMORY_SWEEPER_H_
