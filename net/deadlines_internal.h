#ifndef KVARTS_NET_DEADLINES_INTERNAL_H_
#define KVARTS_NET_DEADLINES_INTERNAL_H_

#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "net/event_loop.h"

namespace kvarts {
namespace net_internal {

// On its loop only. The deadlines of a stream's two directions on one timer,
// which is made at the first finite one and is set again only for an earlier
// time or when it ends: an operation that completes in time leaves it alone.
class Deadlines {
 public:
  enum Direction { kRead = 0, kWrite = 1 };

  // `expired` must neither destroy this nor run a callback of the user's.
  Deadlines(EventLoop* loop, absl::AnyInvocable<void(Direction)> expired)
      : loop_(loop), expired_(std::move(expired)) {}

  void Set(Direction direction, absl::Duration timeout) {
    if (timeout == absl::InfiniteDuration()) return;
    due_[direction] = loop_->Now() + timeout;
    Arm(due_[direction]);
  }
  void Clear(Direction direction) { due_[direction] = absl::InfiniteDuration(); }
  void Stop() { timer_.reset(); }

 private:
  void Arm(absl::Duration due) {
    if (due >= armed_) return;
    armed_ = due;
    if (timer_ == nullptr) timer_ = loop_->NewTimer();
    timer_->Start(due - loop_->Now(), [this] { OnTimer(); });
  }

  void OnTimer() {
    armed_ = absl::InfiniteDuration();
    const absl::Duration now = loop_->Now();
    for (const Direction direction : {kRead, kWrite}) {
      if (due_[direction] > now) continue;
      Clear(direction);
      expired_(direction);
    }
    Arm(due_[kRead] < due_[kWrite] ? due_[kRead] : due_[kWrite]);
  }

  EventLoop* const loop_;
  absl::AnyInvocable<void(Direction)> expired_;
  std::unique_ptr<Timer> timer_;
  absl::Duration due_[2] = {absl::InfiniteDuration(), absl::InfiniteDuration()};
  absl::Duration armed_ = absl::InfiniteDuration();
};

}  // namespace net_internal
}  // namespace kvarts

#endif  // KVARTS_NET_DEADLINES_INTERNAL_H_
