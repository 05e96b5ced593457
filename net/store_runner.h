#ifndef KVARTS_NET_STORE_RUNNER_H_
#define KVARTS_NET_STORE_RUNNER_H_

#include "base/language.h"

#include <cstddef>
#include <memory>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "net/event_loop.h"
#include "storage/store.h"

namespace kvarts {

// A batch on its way to a store, how, and what became of it. What the batch borrows is
// another's.
struct StoreWrite {
  WriteBatch batch;
  WriteOptions options;
  WriteResults results;
};

// Thread-safe. Where servers run their calls on a store:
//
//   a store that does not block                     at once, on the loop
//   one that may (Capabilities::may_block)          on a pool of threads
//   one that says how not to (no_wait as well)      on the pool; but reads are tried on the loop
//                                                   first, and plain writes are submitted there
//
// So many connections' writes are with the store at once. What the pool gets of such a store is
// left to wait: reads of the disk, and reads that write (INCR, EXEC), which share a sync. Its pool
// grows with them, to 64 threads, and keeps those.
class StoreRunner {
 public:
  // `store` must outlive the runner. `threads` of a pool at first, started only where the store
  // may block.
  // kResourceExhausted where the system has not the threads.
  static absl::StatusOr<std::unique_ptr<StoreRunner>> New(Store* store, int threads);
  // Waits for what is under way, also for the writes that were submitted. The loops must
  // outlive it.
  virtual ~StoreRunner();

  virtual Store* store() const = 0;

  // Whether the store may block and says how not to: else there is no Submit(), nor are reads
  // to be tried on a loop.
  virtual bool no_wait() const { return false; }

  // True while more calls wait than the pool should take on. Run() still takes
  // them: a server answers kUnavailable instead of calling it.
  virtual bool full() const = 0;

  // On `loop`. Runs `work` and then, on `loop`, `done`. A store that does not
  // block: both inside this call. Else `work` runs on a pool thread, so that it
  // must own all it touches; the order between several calls is not kept.
  virtual void Run(EventLoop* loop, Task work, Task done) = 0;

  // Run() of a call that takes up to seconds: on a pool's thread also where the store does not
  // block, and `done` in a task of its own. Without a thread to be had it is Run().
  virtual void RunLong(EventLoop* loop, Task work, Task done) {
    Run(loop, std::move(work), std::move(done));
  }

  // On `loop`. REQUIRES: no_wait(). Store::Submit(), whose `done` then runs on `loop`,
  // in a task of its own. `write`, and what its batch borrows, must stay until `done` has run or
  // was destroyed: let it own them.
  using WriteDone = absl::AnyInvocable<void(const absl::Status&)>;
  void Submit(EventLoop* loop, StoreWrite* write, WriteDone done);

  // Work of seconds, beside all calls: on a thread of its own, also for a store that does
  // not block. One at a time: false where one is under way. kResourceExhausted where there is
  // no thread. `done`, if there is one, runs on that thread when another may begin, and must not
  // wait nor call the runner.
  absl::StatusOr<bool> RunAside(Task work, Task done = nullptr);
  bool is_aside() const;  // whether one is

 protected:
  // Writes that the store has and has not ended.
  size_t submitted() const;

 private:
  mutable Mutex aside_mu_;
  bool is_aside_ ABSL_GUARDED_BY(aside_mu_) = false;
  std::thread aside_ ABSL_GUARDED_BY(aside_mu_);

  mutable Mutex submitted_mu_;
  CondVar none_submitted_;
  size_t submitted_ ABSL_GUARDED_BY(submitted_mu_) = 0;
};

}  // namespace kvarts

#endif  // KVARTS_NET_STORE_RUNNER_H_
