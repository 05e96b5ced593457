#ifndef KVARTS_TESTING_SIM_WORLD_H_
#define KVARTS_TESTING_SIM_WORLD_H_

#include "base/language.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "bench/random.h"
#include "net/event_loop.h"

namespace kvarts {

class SimWorld;

namespace sim_internal {
class SimLoop;
class TimerCore;
}  // namespace sim_internal

// What the other processes notice when one crashes.
enum class SimCrash {
  // Its system lives on, and ends its connections: after a message's delay peers have
  // read what was sent, then get kUnavailable. Connecting to it is refused.
  kKilled,
  // The machine is gone: bytes to it are never acknowledged, connecting to it takes
  // until the deadline. When a process of its name is started, peers that had sent
  // something get kUnavailable, as from a machine that has booted again.
  kSilent,
};

// Not thread-safe: of its world's thread. A process of a simulated world: some loops, and
// the two clocks of its machine. It is owned by the world and lasts as long as that, also
// after its crash.
class SimProcess {
 public:
  // Also the name of its machine: faults of the network go by it.
  const std::string& name() const { return name_; }
  bool crashed() const { return crashed_; }
  bool paused() const { return paused_; }

  // The civil time: the world's, moved by all jumps. Lasts as long as the process.
  const Clock* clock() const { return &clock_; }
  // Steps the civil time, to the past where `by` is negative. The loops' Now() does not step.
  void JumpClock(absl::Duration by) { clock_.jumped += by; }

 private:
  friend class SimWorld;
  friend class sim_internal::SimLoop;

  struct JumpingClock final : public Clock {
    explicit JumpingClock(const SimWorld* w) : world(w) {}
    absl::Time Now() const override;
    const SimWorld* const world;
    absl::Duration jumped;
  };

  SimProcess(SimWorld* world, std::string name, int64_t start);

  const std::string name_;
  const int64_t start_;  // what its loops' Now() is ahead of the world's
  JumpingClock clock_;
  std::vector<sim_internal::SimLoop*> loops_;
  bool crashed_ = false;
  bool paused_ = false;
};

// Is told what becomes of processes, so that it can end what it keeps for them. A
// simulated device (a network, a disk) is one.
class SimObserver {
 public:
  virtual ~SimObserver() = default;
  virtual void OnStart(SimProcess* process) = 0;
  // At once, perhaps inside one of the process's tasks: nothing of it acts on the world
  // from here on. Call nothing of the user's, destroy nothing of the user's.
  virtual void OnCrash(SimProcess* process, SimCrash crash) = 0;
  // The loop has run its last task. Callbacks kept for it are to be destroyed unrun.
  virtual void OnLoopStopped(EventLoop* loop) = 0;
};

struct SimWorldOptions {
  // A task takes so long of its loop. Not zero: a task that posts itself again until
  // something has happened would stop the world's time.
  absl::Duration task_time = absl::Microseconds(1);
  // A loop that has nothing to do begins its next task after up to so long, at random, so
  // that loops come in another order with another seed.
  absl::Duration most_wake_delay = absl::Microseconds(20);
};

// Not thread-safe: all of it, its loops and what runs on them belong to the thread that
// made it (checked). A world of processes with a time of its own, which passes only when
// something is to happen. All that happens follows from the seed: the same program with
// the same seed runs the same way, event by event (trace_hash()).
//
// Events happen by time, and in the order they were asked for at one time. A loop runs its
// tasks one at a time, in the order posted or due. Destroy what runs on the loops (streams,
// timers, listeners, nodes) before the world; loops and processes last as long as it.
//
// It does not preempt: a task that waits for another one, or for a thread, waits for ever.
class SimWorld {
 public:
  explicit SimWorld(uint64_t seed, const SimWorldOptions& options = {});
  ~SimWorld();
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;

  uint64_t seed() const { return seed_; }
  // For whatever chance decides in the run, the test's own choices too.
  BenchRandom* random() { return &random_; }
  // True in a share of `chance` of the calls. Draws nothing where it is 0 or less.
  bool Chance(double chance) { return chance > 0 && random_.Fraction() < chance; }
  // From `least` to `most`.
  absl::Duration Between(absl::Duration least, absl::Duration most);

  // Time since the world's start.
  absl::Duration Now() const { return absl::Nanoseconds(now_); }

  // Starts a process. A name may be used again once the last one of it has crashed.
  SimProcess* NewProcess(absl::string_view name);
  // A loop of a process that has not crashed. Its Now() begins anywhere and never steps.
  EventLoop* NewLoop(SimProcess* process);
  // Some loops, for what asks for EventLoops; its Stop(), or end, stops them.
  std::unique_ptr<EventLoops> NewLoops(SimProcess* process, int size);
  // Whose loop it is; null for one of another kind or another world.
  SimProcess* ProcessOf(EventLoop* loop);
  // Whether a loop of this world has stopped, with its process or before.
  bool HasStopped(EventLoop* loop);

  // Holds the process's tasks and timers back until Resume(), as SIGSTOP does: its
  // machine goes on taking in what peers send, as far as there is room.
  void Pause(SimProcess* process);
  void Resume(SimProcess* process);
  // Ends a process: tasks and timers vanish unrun, its streams are dead, nothing it still
  // calls has an effect. May be called inside a task of it, whose rest still runs: that is
  // a crash at this very point. What the process's code owns is the caller's to destroy.
  void Crash(SimProcess* process, SimCrash crash);

  // Runs `task` after `delay`, outside all processes: faults that a test plans.
  void After(absl::Duration delay, Task task);

  // Runs the next event; false where there is none. Not inside an event.
  bool Step();
  // Runs until `done` holds, asked after each event; false where `most` has passed before,
  // or nothing is left to happen.
  bool RunUntil(absl::FunctionRef<bool()> done, absl::Duration most);
  // Runs until nothing is left to happen; false where that is not so after `most`.
  bool RunUntilIdle(absl::Duration most);
  // Runs all that happens in `duration`, and lets that time pass.
  void RunFor(absl::Duration duration);

  // Events so far.
  uint64_t events() const { return events_; }
  // Of all events so far, their times and order, and what was added by Trace(). Equal for
  // two runs that were the same.
  uint64_t trace_hash() const { return trace_; }
  void Trace(uint64_t what) { trace_ = (trace_ ^ what) * 0x9E3779B97F4A7C15u + (trace_ >> 29); }

  // The world keeps it, and tells it of what happens from here on.
  void AddObserver(std::shared_ptr<SimObserver> observer) {
    observers_.push_back(std::move(observer));
  }

 private:
  friend class SimProcess;
  friend class sim_internal::SimLoop;
  friend class sim_internal::TimerCore;

  // At a time, one of: a loop's turn, a timer that is due, a task of After().
  struct Event {
    int64_t time;
    uint64_t sequence;
    sim_internal::SimLoop* loop;
    std::shared_ptr<sim_internal::TimerCore> timer;
    uint64_t number;  // of the timer's wait, or of the task's place
  };
  static bool Later(const Event& a, const Event& b) {
    return a.time != b.time ? a.time > b.time : a.sequence > b.sequence;
  }

  void Add(int64_t time, sim_internal::SimLoop* loop,
           std::shared_ptr<sim_internal::TimerCore> timer, uint64_t number);
  // False for an event that no longer means anything: no time passes for it.
  bool Run(Event event);
  // Runs the next event that comes by `end`; false where there is none.
  bool StepUntil(int64_t end);
  void CheckThread() const;

  const uint64_t seed_;
  const int64_t task_time_;
  const absl::Duration most_wake_delay_;
  const std::thread::id thread_ = std::this_thread::get_id();
  BenchRandom random_;
  int64_t now_ = 0;  // nanoseconds
  uint64_t sequence_ = 0;
  uint64_t events_ = 0;
  uint64_t trace_;
  std::vector<Event> queue_;  // a heap
  std::vector<Task> tasks_;   // of After()
  std::vector<size_t> free_tasks_;
  bool stepping_ = false;
  std::vector<std::shared_ptr<SimObserver>> observers_;
  std::vector<std::unique_ptr<SimProcess>> processes_;
  std::vector<std::unique_ptr<sim_internal::SimLoop>> loops_;
};

}  // namespace kvarts

#endif  // KVARTS_TESTING_SIM_WORLD_H_
