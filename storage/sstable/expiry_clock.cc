#include "storage/sstable/expiry_clock.h"

#include <time.h>

#include <algorithm>
#include <cstdlib>

namespace kvarts::sstable {
namespace {

constexpr int64_t kStepMs = 60 * 1000;
constexpr int64_t kDoubtMs = 10 * 60 * 1000;

}  // namespace

absl::Duration ExpiryClock::BootTime() {
  timespec now = {};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return absl::DurationFromTimespec(now);
}

ExpiryClock::ExpiryClock(const Clock* clock, std::function<absl::Duration()> elapsed)
    : clock_(*clock), elapsed_(std::move(elapsed)) {
  if (elapsed_ == nullptr) return;
  offset_ms_ = absl::ToUnixMillis(clock_.Now()) - absl::ToInt64Milliseconds(elapsed_());
}

int64_t ExpiryClock::NowMs() {
  int64_t now = absl::ToUnixMillis(clock_.Now());
  if (elapsed_ != nullptr) {
    const int64_t elapsed = absl::ToInt64Milliseconds(elapsed_());
    const int64_t off = now - elapsed - offset_ms_.load(std::memory_order_relaxed);
    if (std::abs(off) > kStepMs) {
      now = WhileItIsOff(elapsed, now);
    } else if (is_off_.load(std::memory_order_relaxed)) {
      IsBack();
    }
  }
  int64_t latest = latest_ms_.load(std::memory_order_relaxed);
  while (latest < now && !latest_ms_.compare_exchange_weak(latest, now)) {
  }
  return std::max(latest, now);
}

int64_t ExpiryClock::WhileItIsOff(int64_t elapsed_ms, int64_t now_ms) {
  MutexLock lock(&mu_);
  // Another thread may have come to believe the clock meanwhile.
  const int64_t offset = offset_ms_.load(std::memory_order_relaxed);
  const int64_t by_ms = now_ms - elapsed_ms - offset;
  if (std::abs(by_ms) <= kStepMs) return now_ms;
  if (!step_.has_value() || std::abs(step_->by_ms - by_ms) > kStepMs) {
    step_ = Step{by_ms, elapsed_ms};
    is_off_.store(true, std::memory_order_relaxed);
    steps_.fetch_add(1, std::memory_order_relaxed);
  }
  if (elapsed_ms - step_->since_ms < kDoubtMs) return elapsed_ms + offset;
  step_.reset();
  is_off_.store(false, std::memory_order_relaxed);
  offset_ms_.store(offset + by_ms, std::memory_order_relaxed);
  return elapsed_ms + offset + by_ms;
}

// The same step, some day, is another one.
void ExpiryClock::IsBack() {
  MutexLock lock(&mu_);
  step_.reset();
  is_off_.store(false, std::memory_order_relaxed);
}

}  // namespace kvarts::sstable
