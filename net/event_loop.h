#ifndef KVARTS_NET_EVENT_LOOP_H_
#define KVARTS_NET_EVENT_LOOP_H_

#include "base/language.h"

#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"

namespace kvarts {

// Work for a loop. Called once. Must not wait.
using Task = absl::AnyInvocable<void()>;

// One use at a time, on its loop's thread. Destruction cancels.
class Timer {
 public:
  virtual ~Timer() = default;
  // Runs `task` on the loop after `delay`; replaces what was set before.
  virtual void Start(absl::Duration delay, Task task) = 0;
  // The task will not run after this.
  virtual void Cancel() = 0;
};

// Runs tasks one after the other, on one thread. Everything of a connection
// happens on its loop, so that nothing of it needs a lock. A simulation has one
// loop for a whole world.
class EventLoop {
 public:
  virtual ~EventLoop() = default;

  // Thread-safe. Runs `task` on the loop, later, never inside this call; in the
  // order posted. Tasks posted to a loop that has stopped are destroyed unrun.
  virtual void Post(Task task) = 0;

  // Thread-safe. True on the loop's own thread, or while it runs a task.
  virtual bool InLoop() const = 0;

  // On the loop. Time since some start, for deadlines; never steps back.
  virtual absl::Duration Now() const = 0;
  virtual std::unique_ptr<Timer> NewTimer() = 0;
};

// Thread-safe. Loops with a thread each, over Boost.Asio (one io_context a thread).
class EventLoops {
 public:
  static std::unique_ptr<EventLoops> New(int threads);
  // Stops and joins. Destroy streams, listeners and timers before it, on their
  // loops (or after Stop()).
  virtual ~EventLoops() = default;

  virtual int size() const = 0;
  virtual EventLoop* loop(int i) = 0;
  // Returns when no loop runs a task any more. Not from a loop.
  virtual void Stop() = 0;
};

}  // namespace kvarts

#endif  // KVARTS_NET_EVENT_LOOP_H_
