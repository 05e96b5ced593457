#include "storage/memory/sweeper.h"

#include <utility>

#include "absl/time/clock.h"
#include "base/thread.h"

namespace kvarts::memory_internal {
namespace {

constexpr absl::Duration kInterval = absl::Milliseconds(100);
constexpr absl::Duration kRetry = absl::Seconds(1);
constexpr absl::Duration kPause = absl::Milliseconds(2);
constexpr size_t kSegmentsAtOnce = 8;  // about a millisecond

}  // namespace

void Sweeper::StartSlow() {
  const int64_t now = absl::GetCurrentTimeNanos();
  if (now < next_try_ns_.load(std::memory_order_relaxed)) return;
  MutexLock lock(&mu_);
  started_.store(true, std::memory_order_release);
  if (stopped_ || thread_.joinable()) return;
  absl::StatusOr<std::thread> thread = StartThread([this] { Run(); });
  if (!thread.ok()) {
    next_try_ns_.store(now + absl::ToInt64Nanoseconds(kRetry), std::memory_order_relaxed);
    return;
  }
  thread_ = *std::move(thread);
  runs_.store(true, std::memory_order_release);
}

void Sweeper::Stop() {
  std::thread thread;
  {
    MutexLock lock(&mu_);
    stopped_ = true;
    changed_.SignalAll();
    thread = std::move(thread_);
  }
  if (thread.joinable()) thread.join();
}

void Sweeper::Run() {
  uint64_t position = 0;
  bool at_end = true;
  MutexLock lock(&mu_);
  while (!stopped_) {
    changed_.WaitFor(&mu_, at_end ? kInterval : kPause);
    if (stopped_) return;
    mu_.Unlock();
    if (at_end) position = 0;
    at_end = table_.Sweep(absl::ToUnixMillis(clock_.Now()), kSegmentsAtOnce, &position);
    mu_.Lock();
  }
}

}  // namespace kvarts::memory_internal
