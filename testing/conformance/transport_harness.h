#ifndef KVARTS_TESTING_CONFORMANCE_TRANSPORT_HARNESS_H_
#define KVARTS_TESTING_CONFORMANCE_TRANSPORT_HARNESS_H_

#include "base/language.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "net/event_loop.h"

namespace kvarts {

// How long a test waits for what must happen before it gives up. Long: a loaded
// machine under a sanitizer is slow, and nobody waits for it in the good case.
inline constexpr absl::Duration kTestPatience = absl::Seconds(120);

// A status that goes from one thread to another. absl::Status counts its holders
// inside the prebuilt Abseil, where ThreadSanitizer does not look, and reports a
// race where two threads let go of one.
class CrossThreadStatus {
 public:
  CrossThreadStatus() = default;
  CrossThreadStatus(const absl::Status& status)  // NOLINT: as absl::Status
      : code_(status.code()), message_(status.message()) {}
  absl::Status Get() const { return absl::Status(code_, message_); }

 private:
  absl::StatusCode code_ = absl::StatusCode::kOk;
  std::string message_;
};

// Not thread-safe: of the thread that made it, until its end. Waits of this thread run
// `step` again and again in place of sleeping, for loops that have no thread of their
// own (a simulated world's). `step` does a bit of what there is to do, and returns false
// where there is nothing: a wait ends then, since nothing can change any more.
class WaitBySteps {
 public:
  explicit WaitBySteps(std::function<bool()> step)
      : step_(std::move(step)), outer_(std::exchange(Current(), this)) {}
  ~WaitBySteps() { Current() = outer_; }
  WaitBySteps(const WaitBySteps&) = delete;
  WaitBySteps& operator=(const WaitBySteps&) = delete;

  // Null where this thread sleeps when it waits.
  static WaitBySteps*& Current() {
    thread_local WaitBySteps* current = nullptr;
    return current;
  }
  bool Step() { return step_(); }

 private:
  const std::function<bool()> step_;
  WaitBySteps* const outer_;
};

// Thread-safe. State that tests wait for.
template <typename T>
class Awaited {
 public:
  Awaited() : value_() {}
  explicit Awaited(T value) : value_(std::move(value)) {}

  void Set(T value) {
    Update([&](T* v) { *v = std::move(value); });
  }
  // Runs `change` on the value.
  template <typename Change>
  void Update(Change change) {
    MutexLock lock(&mu_);
    change(&value_);
    changed_.SignalAll();
  }
  T Get() const {
    MutexLock lock(&mu_);
    return value_;
  }
  // False where it took longer than kTestPatience, or, waiting by steps, where nothing
  // is left to do.
  template <typename Condition>
  bool Await(Condition condition) const {
    if (WaitBySteps* const steps = WaitBySteps::Current()) {
      while (!Holds(condition)) {
        if (!steps->Step()) return Holds(condition);
      }
      return true;
    }
    MutexLock lock(&mu_);
    while (!condition(value_)) {
      if (!changed_.WaitFor(&mu_, kTestPatience)) return condition(value_);
    }
    return true;
  }
  bool AwaitValue(const T& wanted) const {
    return Await([&](const T& value) { return value == wanted; });
  }

 private:
  template <typename Condition>
  bool Holds(Condition condition) const {
    MutexLock lock(&mu_);
    return condition(value_);
  }

  mutable Mutex mu_;
  mutable CondVar changed_;
  T value_ ABSL_GUARDED_BY(mu_);
};

// Not from a loop. Runs `work` on `loop` and returns when it has run; false
// where it was destroyed unrun, or did not run in time.
inline bool RunOn(EventLoop* loop, std::function<void()> work) {
  enum State { kWaiting, kRun, kDropped };
  auto state = std::make_shared<Awaited<State>>(kWaiting);
  struct Drop {
    explicit Drop(std::shared_ptr<Awaited<State>> s) : state(std::move(s)) {}
    const std::shared_ptr<Awaited<State>> state;
    ~Drop() {
      state->Update([](State* s) { *s = *s == kWaiting ? kDropped : *s; });
    }
  };
  loop->Post([drop = std::make_unique<Drop>(state), work = std::move(work)] {
    work();
    drop->state->Set(kRun);
  });
  state->Await([](State s) { return s != kWaiting; });
  return state->Get() == kRun;
}

}  // namespace kvarts

#endif  // KVARTS_TESTING_CONFORMANCE_TRANSPORT_HARNESS_H_
