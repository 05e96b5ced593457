#include "net/store_runner.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "base/thread.h"

namespace kvarts {
namespace {

// About 10 MB of waiting calls. Beyond it a server says that it is overloaded
// instead of answering ever later.
constexpr size_t kMaxWaiting = 64 << 10;

// The pool of a store that says how not to wait has so many threads at the most: what comes to it
// waits, for a disk or for the sync that it shares with others, and not for a core.
constexpr size_t kMostWaiters = 64;

// For what takes long beside a store that does not block.
constexpr int kLongThreads = 2;

class PoolRunner final : public StoreRunner {
 public:
  explicit PoolRunner(Store* store) : store_(store), no_wait_(store->capabilities().no_wait) {}

  // Once. After an error it is to be destroyed.
  absl::Status Start(int threads) {
    MutexLock lock(&mu_);
    for (int i = 0; i < threads; ++i) KVARTS_RETURN_IF_ERROR(AddThread());
    return absl::OkStatus();
  }

  ~PoolRunner() override {
    {
      MutexLock lock(&mu_);
      stopping_ = true;
    }
    wake_.SignalAll();
    std::vector<std::thread> threads;
    {
      MutexLock lock(&mu_);
      threads.swap(threads_);
    }
    for (std::thread& thread : threads) thread.join();
  }

  Store* store() const override { return store_; }
  bool no_wait() const override { return no_wait_; }
  bool full() const override {
    return waiting_.load(std::memory_order_relaxed) + submitted() >= kMaxWaiting;
  }

  void Run(EventLoop* loop, Task work, Task done) override {
    {
      MutexLock lock(&mu_);
      queue_.push_back({loop, std::move(work), std::move(done)});
      if (no_wait_ && queue_.size() > idle_ && threads_.size() < kMostWaiters) {
        AddThread().IgnoreError();  // those that there are get to it
      }
      waiting_.store(queue_.size(), std::memory_order_relaxed);
    }
    wake_.Signal();
  }

 private:
  struct Job {
    EventLoop* loop;
    Task work;
    Task done;
  };

  absl::Status AddThread() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    KVARTS_ASSIGN_OR_RETURN(std::thread thread, StartThread([this] { Work(); }));
    threads_.push_back(std::move(thread));
    return absl::OkStatus();
  }

  // Ends when the queue is empty, not before: each job's `done` answers somebody.
  void Work() {
    while (true) {
      Job job;
      {
        MutexLock lock(&mu_);
        while (queue_.empty()) {
          if (stopping_) return;
          ++idle_;
          wake_.Wait(&mu_);
          --idle_;
        }
        job = std::move(queue_.front());
        queue_.pop_front();
        waiting_.store(queue_.size(), std::memory_order_relaxed);
      }
      job.work();
      job.work = nullptr;  // lets go of what it owned here, not on the loop
      job.loop->Post(std::move(job.done));
    }
  }

  Store* const store_;
  const bool no_wait_;
  std::atomic<size_t> waiting_{0};

  Mutex mu_;
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mu_);
  size_t idle_ ABSL_GUARDED_BY(mu_) = 0;  // threads that wait for a call
  CondVar wake_;
  std::deque<Job> queue_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
};

class InlineRunner final : public StoreRunner {
 public:
  explicit InlineRunner(Store* store) : store_(store) {}

  Store* store() const override { return store_; }
  bool full() const override { return false; }
  void Run(EventLoop*, Task work, Task done) override {
    work();
    done();
  }
  void RunLong(EventLoop* loop, Task work, Task done) override {
    PoolRunner* const pool = Pool();
    if (pool == nullptr) return Run(loop, std::move(work), std::move(done));
    pool->Run(loop, std::move(work), std::move(done));
  }

 private:
  // Null where there is no thread.
  PoolRunner* Pool() {
    MutexLock lock(&mu_);
    if (pool_ == nullptr) {
      auto pool = std::make_unique<PoolRunner>(store_);
      if (!pool->Start(kLongThreads).ok()) return nullptr;
      pool_ = std::move(pool);
    }
    return pool_.get();
  }

  Store* const store_;
  Mutex mu_;
  std::unique_ptr<PoolRunner> pool_ ABSL_GUARDED_BY(mu_);  // once something took long
};

}  // namespace

StoreRunner::~StoreRunner() {
  std::thread aside;
  {
    MutexLock lock(&aside_mu_);
    aside = std::move(aside_);
  }
  if (aside.joinable()) aside.join();
  MutexLock lock(&submitted_mu_);
  while (submitted_ > 0) none_submitted_.Wait(&submitted_mu_);
}

void StoreRunner::Submit(EventLoop* loop, StoreWrite* write, WriteDone done) {
  {
    MutexLock lock(&submitted_mu_);
    ++submitted_;
  }
  store()->Submit(write->batch, write->options, &write->results,
                  [this, loop, done = std::move(done)](absl::Status status) mutable {
                    loop->Post([done = std::move(done), status = std::move(status)]() mutable {
                      done(status);
                    });
                    MutexLock lock(&submitted_mu_);
                    // Inside the lock: who waits for it destroys this.
                    if (--submitted_ == 0) none_submitted_.SignalAll();
                  });
}

size_t StoreRunner::submitted() const {
  MutexLock lock(&submitted_mu_);
  return submitted_;
}

absl::StatusOr<bool> StoreRunner::RunAside(Task work, Task done) {
  MutexLock lock(&aside_mu_);
  if (is_aside_) return false;
  if (aside_.joinable()) aside_.join();  // it has said that it is done
  // Shared, since a thread's function is copyable and a task is not.
  auto shared = std::make_shared<std::pair<Task, Task>>(std::move(work), std::move(done));
  KVARTS_ASSIGN_OR_RETURN(aside_, StartThread([this, shared]() {
                            shared->first();
                            shared->first = nullptr;
                            {
                              MutexLock ended(&aside_mu_);
                              is_aside_ = false;
                            }
                            if (shared->second) shared->second();
                          }));
  is_aside_ = true;
  return true;
}

bool StoreRunner::is_aside() const {
  MutexLock lock(&aside_mu_);
  return is_aside_;
}

absl::StatusOr<std::unique_ptr<StoreRunner>> StoreRunner::New(Store* store, int threads) {
  if (!store->capabilities().may_block) return std::make_unique<InlineRunner>(store);
  auto pool = std::make_unique<PoolRunner>(store);
  KVARTS_RETURN_IF_ERROR(pool->Start(std::max(threads, 1)));
  return pool;
}

}  // namespace kvarts
