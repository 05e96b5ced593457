#ifndef KVARTS_NET_EVENT_LOOP_INTERNAL_H_
#define KVARTS_NET_EVENT_LOOP_INTERNAL_H_

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "base/mutex.h"
#include "net/event_loop.h"

namespace kvarts {
namespace net_internal {

// On its loop's thread only, or after the loops have stopped. A pointer to a T
// that counts its own references in `int refs_ = 0` and befriends LocalRef. Not
// atomic: everything of a connection is on one thread.
template <typename T>
class LocalRef {
 public:
  explicit LocalRef(T* object) : object_(object) { ++object_->refs_; }
  LocalRef(const LocalRef& other) : LocalRef(other.object_) {}
  LocalRef(LocalRef&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  LocalRef& operator=(const LocalRef&) = delete;
  ~LocalRef() {
    if (object_ != nullptr && --object_->refs_ == 0) delete object_;
  }
  T* operator->() const { return object_; }
  T* get() const { return object_; }

 private:
  T* object_;
};

// On its loop's thread only. A place in a loop's list of what to run at the end
// of the turn (AsioLoop::RunSoon). Its destruction takes it out.
class Soon {
 public:
  Soon() = default;
  Soon(const Soon&) = delete;
  Soon& operator=(const Soon&) = delete;
  virtual ~Soon() { Unlink(); }

 protected:
  // May destroy this object.
  virtual void Run() = 0;

 private:
  friend class SoonList;
  void Unlink() {
    if (next_ == nullptr) return;
    next_->prev_ = prev_;
    prev_->next_ = next_;
    next_ = prev_ = nullptr;
  }
  Soon* prev_ = nullptr;
  Soon* next_ = nullptr;
};

class SoonList {
 public:
  SoonList() { head_.next_ = head_.prev_ = &head_; }
  ~SoonList() {
    while (!empty()) head_.next_->Unlink();
    head_.next_ = nullptr;
  }
  bool empty() const { return head_.next_ == &head_; }
  // Nothing where it is in a list already.
  void Add(Soon* soon) {
    if (soon->next_ != nullptr) return;
    soon->prev_ = head_.prev_;
    soon->next_ = &head_;
    head_.prev_->next_ = soon;
    head_.prev_ = soon;
  }
  // Runs what is in it now; what is added meanwhile waits for the next call.
  void RunAll();

 private:
  class Head : public Soon {
    void Run() override {}
  };
  Head head_;
};

// Threading as EventLoop. One io_context, run by one thread.
//
// Every handler of the context works inside a Turn. At its end the loop runs
// what was posted and what completed at once meanwhile, without going through
// the context, which would ask epoll for news before each of them.
class AsioLoop final : public EventLoop {
 public:
  AsioLoop();
  ~AsioLoop() override;

  // Null where `loop` does not come from EventLoops::New().
  static AsioLoop* From(EventLoop* loop) { return dynamic_cast<AsioLoop*>(loop); }

  // Opens each handler.
  class Turn {
   public:
    explicit Turn(AsioLoop* loop) : loop_(loop) {}
    ~Turn() { loop_->EndTurn(); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    AsioLoop* const loop_;
  };

  boost::asio::io_context& context() { return context_; }

  // On the loop. Calls soon->Run() after the caller has returned.
  void RunSoon(Soon* soon) { soon_.Add(soon); }

  void Post(Task task) override;
  bool InLoop() const override;
  absl::Duration Now() const override;
  std::unique_ptr<Timer> NewTimer() override;

  // For EventLoops, in this order.
  // `one_of`: of so many loops.
  absl::Status StartThread(int index, int one_of);
  void RequestStop();
  void Join();
  void DestroyTasks();
  void DestroyHandlers() { context_.Shutdown(); }

 private:
  class Context : public boost::asio::io_context {
   public:
    using io_context::io_context;
    void Shutdown() { shutdown(); }  // destroys the handlers; what the destructor begins with
  };

  void EndTurn();
  void RunTasks();
  // Has the context open a turn.
  void Wake();
  void ThreadMain(int index);

  Context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::thread thread_;
  std::atomic<bool> stopping_{false};

  // On the loop.
  SoonList soon_;
  std::vector<Task> running_;
  size_t next_running_ = 0;

  std::atomic<bool> has_tasks_{false};  // set under mu_, read without it
  Mutex mu_;
  std::vector<Task> tasks_ ABSL_GUARDED_BY(mu_);
  bool waking_ ABSL_GUARDED_BY(mu_) = false;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace net_internal
}  // namespace kvarts

#endif  // KVARTS_NET_EVENT_LOOP_INTERNAL_H_
