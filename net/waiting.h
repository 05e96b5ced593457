#ifndef KVARTS_NET_WAITING_H_
#define KVARTS_NET_WAITING_H_

#include "base/language.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "net/event_loop.h"

namespace kvarts {

// The same status, in memory of its own: for one that goes to another thread.
// Abseil counts the references to a status in its prebuilt library, where
// ThreadSanitizer does not see it.
absl::Status Unshared(const absl::Status& status);

// Thread-safe. What one thread waits for and another, a loop's, says: once.
class StatusWaiter {
 public:
  // Not on the loop that is to say it. Returns what Done() was given.
  absl::Status Wait();
  void Done(const absl::Status& status);

 private:
  Mutex mu_;
  CondVar wake_;
  bool done_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mu_);
};

// A call of a client that a thread waits for, or whose end is told on the loop.
template <typename CallT>
class WaitingCall : public CallT {
 public:
  // Not on the loop, once. Returns when OnDone() has come, with its status.
  absl::Status Wait() { return waiter_.Wait(); }
  // Before it is started, and instead of Wait(): `done` gets that status, on the loop.
  using Done = absl::AnyInvocable<void(const absl::Status&)>;
  void Then(Done done) { done_ = std::move(done); }

  void OnDone(const absl::Status& status) override {
    if (done_ == nullptr) return waiter_.Done(status);
    auto done = std::exchange(done_, nullptr);
    done(status);
  }

 private:
  StatusWaiter waiter_;
  Done done_;
};

// What a store that waits says on its own loop, where nothing could answer it.
absl::Status OnLoopError();

// Thread-safe; not on the loop. Runs `task` there and waits for its end; false
// where the loop has stopped and will not.
bool RunOnLoop(EventLoop* loop, Task task);

}  // namespace kvarts

#endif  // KVARTS_NET_WAITING_H_
