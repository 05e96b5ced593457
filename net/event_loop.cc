#include "net/event_loop.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/thread.h"
#include "net/event_loop_internal.h"

namespace kvarts {
namespace net_internal {
namespace {

using SteadyClock = std::chrono::steady_clock;
// With the context's executor itself: the default one is behind virtual calls.
using SteadyTimer =
    boost::asio::basic_waitable_timer<SteadyClock, boost::asio::wait_traits<SteadyClock>,
                                      boost::asio::io_context::executor_type>;

// Has the kernel run this thread, once it is woken, when a core is free, and not in place
// of another thread there. Where there are more threads than cores, that one is often the
// client, or another loop, in the middle of what it sends: each loop then found a request
// or two where it could have found many. On a free core nothing changes.
void DoNotPreempt() {
  // Not where somebody has chosen otherwise for the process.
  if (::sched_getscheduler(0) != SCHED_OTHER) return;
  const sched_param none{};
  ::sched_setscheduler(0, SCHED_BATCH, &none);
}

// How often a turn looks for new work before the context may look for events.
constexpr int kRoundsPerTurn = 16;
// Work of milliseconds that goes on by posting its next step leaves I/O its turn in between.
constexpr std::chrono::microseconds kRoundsTime{200};

// Longer is for ever: it would overflow the clock.
constexpr absl::Duration kLongestDelay = absl::Hours(24 * 365 * 50);

thread_local const AsioLoop* current_loop = nullptr;

// What a timer is made of; outlives it while a wait is under way. The wait may
// be for an earlier time than `due_`: then it is renewed when it ends. A timer
// that is set again and again, as those of timeouts are, so costs nothing.
class TimerCore {
 public:
  explicit TimerCore(AsioLoop* loop) : loop_(loop), timer_(loop->context()) {}

  void Start(absl::Duration delay, Task task) {
    Task replaced = std::exchange(task_, std::move(task));
    due_ =
        delay >= kLongestDelay
            ? SteadyClock::time_point::max()
            : SteadyClock::now() + absl::ToChronoNanoseconds(std::max(delay, absl::ZeroDuration()));
    if (due_ < waits_until_) Wait();
  }

  void Cancel() { Task cancelled = std::exchange(task_, nullptr); }

  void Detach() {
    ++wait_;
    timer_.cancel();
    Cancel();
  }

 private:
  friend class LocalRef<TimerCore>;

  void Wait() {
    waits_until_ = due_;
    timer_.expires_at(due_);
    timer_.async_wait([self = LocalRef<TimerCore>(this), wait = ++wait_](
                          const boost::system::error_code& error) { self->OnWait(wait); });
  }

  void OnWait(uint64_t wait) {
    AsioLoop::Turn turn(loop_);
    if (wait != wait_) return;
    waits_until_ = SteadyClock::time_point::max();
    if (task_ == nullptr) return;
    if (due_ > SteadyClock::now()) {
      if (due_ < waits_until_) Wait();
      return;
    }
    Task task = std::exchange(task_, nullptr);
    task();
  }

  AsioLoop* const loop_;
  SteadyTimer timer_;
  Task task_;
  SteadyClock::time_point due_;
  SteadyClock::time_point waits_until_ = SteadyClock::time_point::max();
  uint64_t wait_ = 0;  // the number of the wait that counts
  int refs_ = 0;
};

class AsioTimer final : public Timer {
 public:
  explicit AsioTimer(AsioLoop* loop) : core_(new TimerCore(loop)) {}
  ~AsioTimer() override { core_->Detach(); }
  void Start(absl::Duration delay, Task task) override { core_->Start(delay, std::move(task)); }
  void Cancel() override { core_->Cancel(); }

 private:
  LocalRef<TimerCore> core_;
};

}  // namespace

void SoonList::RunAll() {
  if (empty()) return;
  SoonList now;
  now.head_.next_ = head_.next_;
  now.head_.prev_ = head_.prev_;
  now.head_.next_->prev_ = now.head_.prev_->next_ = &now.head_;
  head_.next_ = head_.prev_ = &head_;
  while (!now.empty()) {
    Soon* const soon = now.head_.next_;
    soon->Unlink();
    soon->Run();
  }
}

// The context's own I/O locks are not needed: only the loop's thread starts or
// cancels I/O.
AsioLoop::AsioLoop()
    : context_(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO), work_(context_.get_executor()) {
  // Has the context take its descriptors now. At the first socket it would throw
  // where there are none left, and the process would end with all its connections.
  const boost::asio::steady_timer first(context_);
}

AsioLoop::~AsioLoop() = default;

void AsioLoop::Post(Task task) {
  {
    MutexLock lock(&mu_);
    if (closed_) return;  // `task` ends after the lock
    tasks_.push_back(std::move(task));
    has_tasks_.store(true, std::memory_order_relaxed);
    // A turn looks at the tasks when it ends.
    if (waking_ || InLoop()) return;
    waking_ = true;
  }
  Wake();
}

bool AsioLoop::InLoop() const { return current_loop == this; }

absl::Duration AsioLoop::Now() const {
  return absl::FromChrono(SteadyClock::now().time_since_epoch());
}

std::unique_ptr<Timer> AsioLoop::NewTimer() { return std::make_unique<AsioTimer>(this); }

void AsioLoop::Wake() {
  boost::asio::post(context_, [this] {
    {
      MutexLock lock(&mu_);
      waking_ = false;
    }
    Turn turn(this);
  });
}

void AsioLoop::EndTurn() {
  SteadyClock::time_point second;
  for (int round = 0; round < kRoundsPerTurn; ++round) {
    if (soon_.empty() && !has_tasks_.load(std::memory_order_relaxed)) return;
    if (stopping_.load(std::memory_order_relaxed)) return;
    // Most turns need no look at the clock.
    if (round == 1) second = SteadyClock::now();
    if (round > 1 && SteadyClock::now() - second > kRoundsTime) break;
    soon_.RunAll();
    RunTasks();
  }
  {
    MutexLock lock(&mu_);
    if (waking_) return;
    waking_ = true;
  }
  Wake();
}

void AsioLoop::RunTasks() {
  if (!has_tasks_.load(std::memory_order_relaxed)) return;
  {
    MutexLock lock(&mu_);
    running_.swap(tasks_);
    has_tasks_.store(false, std::memory_order_relaxed);
  }
  for (next_running_ = 0; next_running_ < running_.size();) {
    if (stopping_.load(std::memory_order_relaxed)) return;
    Task task = std::move(running_[next_running_++]);
    task();
  }
  running_.clear();
}

absl::Status AsioLoop::StartThread(int index, int one_of) {
  KVARTS_ASSIGN_OR_RETURN(thread_, ::kvarts::StartThread([this, index, one_of] {
                            if (one_of > 1) DoNotPreempt();
                            ThreadMain(index);
                          }));
  return absl::OkStatus();
}

void AsioLoop::ThreadMain(int index) {
  pthread_setname_np(pthread_self(), ("loop-" + std::to_string(index)).c_str());
  current_loop = this;
  context_.run();
}

void AsioLoop::RequestStop() {
  {
    MutexLock lock(&mu_);
    closed_ = true;
  }
  stopping_.store(true, std::memory_order_relaxed);
  context_.stop();
}

void AsioLoop::Join() {
  if (thread_.joinable()) thread_.join();
}

void AsioLoop::DestroyTasks() {
  std::vector<Task> unrun = std::move(running_);
  for (Task& task : unrun) task = nullptr;
  {
    MutexLock lock(&mu_);
    unrun.swap(tasks_);
  }
  for (Task& task : unrun) task = nullptr;
}

namespace {

class AsioLoops final : public EventLoops {
 public:
  AsioLoops() = default;
  ~AsioLoops() override { Stop(); }

  // Once. After an error it is to be destroyed.
  absl::Status Start(int threads) {
    try {
      for (int i = 0; i < threads; ++i) loops_.push_back(std::make_unique<AsioLoop>());
    } catch (const boost::system::system_error& error) {
      return absl::ResourceExhaustedError(absl::StrCat("no descriptors for event loop ", size() + 1,
                                                       " of ", threads, ": ",
                                                       error.code().message()));
    }
    for (int i = 0; i < size(); ++i) {
      const absl::Status started = loops_[i]->StartThread(i, size());
      if (started.ok()) continue;
      return absl::Status(started.code(), absl::StrCat("no thread for event loop ", i + 1, " of ",
                                                       threads, ": ", started.message()));
    }
    return absl::OkStatus();
  }

  int size() const override { return static_cast<int>(loops_.size()); }
  EventLoop* loop(int i) override { return loops_[i].get(); }

  void Stop() override {
    MutexLock lock(&stop_mu_);
    if (stopped_) return;
    stopped_ = true;
    for (const auto& loop : loops_) loop->RequestStop();
    for (const auto& loop : loops_) loop->Join();
    // After all threads, before any loop goes: a task's end may touch any of them.
    for (const auto& loop : loops_) loop->DestroyTasks();
    for (const auto& loop : loops_) loop->DestroyHandlers();
  }

 private:
  std::vector<std::unique_ptr<AsioLoop>> loops_;
  Mutex stop_mu_;
  bool stopped_ ABSL_GUARDED_BY(stop_mu_) = false;
};

}  // namespace
}  // namespace net_internal

absl::StatusOr<std::unique_ptr<EventLoops>> EventLoops::New(int threads) {
  auto loops = std::make_unique<net_internal::AsioLoops>();
  KVARTS_RETURN_IF_ERROR(loops->Start(std::max(threads, 1)));
  return loops;
}

}  // namespace kvarts
