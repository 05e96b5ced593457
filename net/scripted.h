#ifndef KVARTS_NET_SCRIPTED_H_
#define KVARTS_NET_SCRIPTED_H_

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "net/store_runner.h"
#include "net/transport.h"

namespace kvarts {

// For tests and fuzzing. An event loop that runs in the test's own thread, when
// it is told to, with a time of its own. Only Post() is thread-safe.
class ScriptedLoop final : public EventLoop {
 public:
  void Post(Task task) override {
    MutexLock lock(&mu_);
    tasks_.push_back(std::move(task));
  }
  bool InLoop() const override { return running_; }
  absl::Duration Now() const override { return now_; }
  std::unique_ptr<Timer> NewTimer() override { return std::make_unique<ScriptedTimer>(this); }

  // Runs what was posted, and what that posts.
  void Run() {
    running_ = true;
    while (true) {
      {
        MutexLock lock(&mu_);
        if (tasks_.empty()) break;
      }
      std::deque<Task> tasks;
      {
        MutexLock lock(&mu_);
        tasks.swap(tasks_);
      }
      for (Task& task : tasks) {
        task();
        task = nullptr;
      }
    }
    running_ = false;
  }

  // Lets time pass, with the timers that end in it, in their order.
  void Advance(absl::Duration by) {
    const absl::Duration end = now_ + by;
    Run();
    while (!timers_.empty() && timers_.begin()->first <= end) {
      const auto next = timers_.begin();
      now_ = std::max(now_, next->first);
      ScriptedTimer* const timer = next->second;
      timers_.erase(next);
      running_ = true;
      timer->Fire();
      Run();
    }
    now_ = end;
  }

 private:
  class ScriptedTimer final : public Timer {
   public:
    explicit ScriptedTimer(ScriptedLoop* loop) : loop_(loop) {}
    ~ScriptedTimer() override { Cancel(); }
    void Start(absl::Duration delay, Task task) override {
      Cancel();
      task_ = std::move(task);
      loop_->timers_.emplace(loop_->now_ + delay, this);
    }
    void Cancel() override {
      for (auto it = loop_->timers_.begin(); it != loop_->timers_.end();) {
        it = it->second == this ? loop_->timers_.erase(it) : std::next(it);
      }
      task_ = nullptr;
    }
    void Fire() {
      Task task = std::move(task_);
      task_ = nullptr;
      task();
    }

   private:
    ScriptedLoop* const loop_;
    Task task_;
  };

  bool running_ = false;
  absl::Duration now_ = absl::Seconds(1000);
  std::multimap<absl::Duration, ScriptedTimer*> timers_;
  Mutex mu_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mu_);
};

// The far end of a ScriptedStream: what the test does and sees.
struct Wire {
  std::string to_read;             // what the stream's owner reads next
  size_t read_at_most = SIZE_MAX;  // in one read
  bool ended = false;              // after it, the peer's direction ends
  bool broken = false;             // reads and writes fail
  bool takes_writes = true;        // false: writes wait
  bool fails_writes = false;       // reads go on

  std::string written;
  bool write_ended = false;
  bool closed = false;
  size_t read = 0;  // bytes taken
};

// A stream whose other end is a Wire, on a ScriptedLoop. Call Moved() after a
// change of the wire.
class ScriptedStream final : public Stream {
 public:
  ScriptedStream(ScriptedLoop* loop, std::shared_ptr<Wire> wire)
      : loop_(loop), wire_(std::move(wire)) {}
  ~ScriptedStream() override {
    wire_->closed = true;
    // Until now the buffer was the stream's: a sanitizer says where it was gone before.
    if (read_) std::fill(read_buffer_.begin(), read_buffer_.end(), '?');
  }

  void Read(absl::Span<char> buffer, absl::Duration, ReadCallback callback) override {
    read_buffer_ = buffer;
    read_ = std::move(callback);
    Moved();
  }
  void Write(absl::Span<const absl::string_view> pieces, absl::Duration,
             WriteCallback callback) override {
    pieces_.assign(pieces.begin(), pieces.end());
    write_ = std::move(callback);
    Moved();
  }
  void CloseWrite() override { wire_->write_ended = true; }
  void Close() override {
    wire_->closed = true;
    Moved();
  }
  EventLoop* loop() const override { return loop_; }
  std::string peer() const override { return "scripted:"; }
  StreamSocket socket() const override { return {"scripted:here", 7}; }

  // Does, in a task of the loop, what the wire allows now.
  void Moved() {
    loop_->Post([alive = std::weak_ptr<ScriptedStream*>(self_)] {
      ScriptedStream* stream = nullptr;  // not the owner: Move() may destroy it
      if (const auto self = alive.lock()) stream = *self;
      if (stream != nullptr) stream->Move();
    });
  }

 private:
  void Move() {
    const std::weak_ptr<ScriptedStream*> alive = self_;
    if (write_ && (wire_->takes_writes || Dead())) {
      if (!Dead() && !wire_->fails_writes) {
        for (const absl::string_view piece : pieces_) {
          wire_->written.append(piece.data(), piece.size());
        }
      }
      WriteCallback callback = std::exchange(write_, nullptr);
      callback(wire_->fails_writes ? absl::UnavailableError("broken pipe") : DeadStatus());
    }
    if (alive.expired() || !read_) return;
    if (!Dead() && wire_->to_read.empty() && !wire_->ended) return;
    size_t n = 0;
    if (!Dead()) {
      n = std::min({read_buffer_.size(), wire_->to_read.size(), wire_->read_at_most});
      std::memcpy(read_buffer_.data(), wire_->to_read.data(), n);
      wire_->to_read.erase(0, n);
      wire_->read += n;
    }
    ReadCallback callback = std::exchange(read_, nullptr);
    const absl::Status status = DeadStatus();
    status.ok() ? callback(n) : callback(status);
  }

  bool Dead() const { return wire_->closed || wire_->broken; }
  absl::Status DeadStatus() const {
    if (wire_->closed) return absl::CancelledError("closed");
    return wire_->broken ? absl::UnavailableError("broken") : absl::OkStatus();
  }

  ScriptedLoop* const loop_;
  const std::shared_ptr<Wire> wire_;
  const std::shared_ptr<ScriptedStream*> self_ = std::make_shared<ScriptedStream*>(this);
  absl::Span<char> read_buffer_;
  ReadCallback read_;
  std::vector<absl::string_view> pieces_;
  WriteCallback write_;
};

// Calls that wait until the test runs them, in any order.
class HeldRunner final : public StoreRunner {
 public:
  explicit HeldRunner(Store* store) : store_(store) {}
  Store* store() const override { return store_; }
  bool no_wait() const override { return store_->capabilities().no_wait; }
  bool full() const override { return full_; }
  void Run(EventLoop* loop, Task work, Task done) override {
    held.push_back([loop, work = std::move(work), done = std::move(done)]() mutable {
      work();
      loop->Post(std::move(done));
    });
  }
  void RunHeld() {
    auto now = std::exchange(held, {});
    for (Task& task : now) task();
  }

  std::vector<Task> held;
  bool full_ = false;

 private:
  Store* const store_;
};

}  // namespace kvarts

#endif  // KVARTS_NET_SCRIPTED_H_
