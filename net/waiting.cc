#include "net/waiting.h"

#include <memory>
#include <utility>

namespace kvarts {

absl::Status Unshared(const absl::Status& status) {
  return absl::Status(status.code(), status.message());
}

absl::Status OnLoopError() {
  return absl::FailedPreconditionError(
      "a remote store was called on its own loop, where nothing can answer it");
}

absl::Status StatusWaiter::Wait() {
  MutexLock lock(&mu_);
  while (!done_) wake_.Wait(&mu_);
  return std::move(status_);
}

void StatusWaiter::Done(const absl::Status& status) {
  MutexLock lock(&mu_);
  done_ = true;
  status_ = Unshared(status);
  wake_.Signal();
}

bool RunOnLoop(EventLoop* loop, Task task) {
  struct Shared {
    Mutex mu;
    CondVar wake;
    bool over ABSL_GUARDED_BY(mu) = false;
    bool ran ABSL_GUARDED_BY(mu) = false;
  };
  auto shared = std::make_shared<Shared>();
  // Its end comes with the task's, run or not.
  std::shared_ptr<void> end(nullptr, [shared](void*) {
    MutexLock lock(&shared->mu);
    shared->over = true;
    shared->wake.SignalAll();
  });
  loop->Post([shared, end = std::move(end), task = std::move(task)]() mutable {
    task();
    MutexLock lock(&shared->mu);
    shared->ran = true;
  });
  MutexLock lock(&shared->mu);
  while (!shared->over) shared->wake.Wait(&shared->mu);
  return shared->ran;
}

}  // namespace kvarts
