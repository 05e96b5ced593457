#ifndef KVARTS_NET_STORE_RUNNER_H_
#define KVARTS_NET_STORE_RUNNER_H_

#include "base/language.h"

#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "net/event_loop.h"
#include "storage/store.h"

namespace kvarts {

// Thread-safe. Where servers run their calls on a store: at once, on the loop,
// for a store that does not block; on a pool of threads for one that may.
class StoreRunner {
 public:
  // `store` must outlive the runner. `threads` of a pool, started only where
  // the store may block.
  static std::unique_ptr<StoreRunner> New(Store* store, int threads);
  // Waits for what is under way. The loops must outlive it.
  virtual ~StoreRunner();

  virtual Store* store() const = 0;

  // True while more calls wait than the pool should take on. Run() still takes
  // them: a server answers kUnavailable instead of calling it.
  virtual bool full() const = 0;

  // On `loop`. Runs `work` and then, on `loop`, `done`. A store that does not
  // block: both inside this call. Else `work` runs on a pool thread, so that it
  // must own all it touches; the order between several calls is not kept.
  virtual void Run(EventLoop* loop, Task work, Task done) = 0;

  // Work of seconds, beside all calls: on a thread of its own, also for a store that does
  // not block. One at a time: false where one is under way.
  bool RunAside(Task work);
  bool is_aside() const;  // whether one is

 private:
  mutable Mutex aside_mu_;
  bool is_aside_ ABSL_GUARDED_BY(aside_mu_) = false;
  std::thread aside_ ABSL_GUARDED_BY(aside_mu_);
};

}  // namespace kvarts

#endif  // KVARTS_NET_STORE_RUNNER_H_
