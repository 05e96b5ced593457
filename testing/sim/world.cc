#include "testing/sim/world.h"

#include <glog/logging.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace kvarts {

namespace sim_internal {

// A timer whose time lies further ahead than this never runs.
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
constexpr int64_t kFurthest = kNever / 2;

// The civil time at a world's start: some day in 2023.
constexpr int64_t kStartMs = 1700000000000;

int64_t Later(int64_t now, absl::Duration delay) {
  const int64_t nanoseconds = absl::ToInt64Nanoseconds(std::max(delay, absl::ZeroDuration()));
  return nanoseconds >= kFurthest - now ? kNever : now + nanoseconds;
}

// What a timer is made of; outlives it while an event or an item of its loop names it.
// The event may be for an earlier time than `due`: then another follows it. So a timer
// that is set again and again has one event, not one each time.
class TimerCore {
 public:
  explicit TimerCore(SimLoop* l) : loop(l) {}

  SimLoop* const loop;
  Task task;
  int64_t due = kNever;
  int64_t event_time = kNever;  // of the event that counts
  uint64_t event_number = 0;
  uint64_t starts = 0;  // and cancellations
  size_t index = 0;     // in the loop's list
};

class SimLoop final : public EventLoop {
 public:
  SimLoop(SimWorld* world, SimProcess* process, uint64_t id)
      : world_(world), process_(process), id_(id) {}

  void Post(Task task) override {
    world_->CheckThread();
    if (stopped_) return;
    items_.push_back({std::move(task), nullptr, 0});
    Wake();
  }
  bool InLoop() const override { return running_; }
  absl::Duration Now() const override { return absl::Nanoseconds(process_->start_ + world_->now_); }
  std::unique_ptr<Timer> NewTimer() override;

  SimWorld* world() const { return world_; }
  SimProcess* process() const { return process_; }
  uint64_t id() const { return id_; }
  bool stopped() const { return stopped_; }

  // Has the next item run, where there is one and nothing holds it back.
  void Wake() {
    if (woken_ || stopped_ || items_.empty() || process_->paused_) return;
    woken_ = true;
    int64_t time = world_->now_;
    if (world_->most_wake_delay_ > absl::ZeroDuration() && free_at_ <= time) {
      time +=
          absl::ToInt64Nanoseconds(world_->Between(absl::ZeroDuration(), world_->most_wake_delay_));
    }
    world_->Add(std::max(time, free_at_), this, nullptr, 0);
  }

  // The loop's turn has come: runs one item.
  void RunOne() {
    woken_ = false;
    if (stopped_ || process_->paused_ || items_.empty()) return;
    free_at_ = world_->now_ + world_->task_time_;
    running_ = true;
    {
      Item item = std::move(items_.front());
      items_.pop_front();
      if (item.timer == nullptr) {
        item.task();
      } else if (item.timer->starts == item.number && item.timer->task != nullptr) {
        item.task = std::exchange(item.timer->task, nullptr);
        item.task();
      }
    }
    running_ = false;
    if (stopped_) return Drop();
    Wake();
  }

  // A timer's event. False where it means nothing any more.
  bool TimerEvent(const std::shared_ptr<TimerCore>& timer, uint64_t number) {
    if (timer->event_number != number) return false;
    timer->event_time = kNever;
    if (timer->task == nullptr || stopped_) return false;
    if (timer->due > world_->now_) {
      Await(timer);
      return false;
    }
    items_.push_back({nullptr, timer, timer->starts});
    Wake();
    return true;
  }

  void StartTimer(const std::shared_ptr<TimerCore>& timer, absl::Duration delay, Task task) {
    world_->CheckThread();
    if (stopped_) return;
    const Task replaced = std::exchange(timer->task, std::move(task));
    ++timer->starts;
    timer->due = sim_internal::Later(world_->now_, delay);
    if (timer->due < timer->event_time) Await(timer);
  }

  void Forget(TimerCore* timer) {
    if (timer->index >= timers_.size() || timers_[timer->index] != timer) return;
    timers_[timer->index] = timers_.back();
    timers_[timer->index]->index = timer->index;
    timers_.pop_back();
  }

  void Stop() {
    if (stopped_) return;
    stopped_ = true;
    if (!running_) Drop();
  }

 private:
  // A task, or a timer's, which may have been cancelled.
  struct Item {
    Task task;
    std::shared_ptr<TimerCore> timer;
    uint64_t number;  // of the timer's start
  };

  void Await(const std::shared_ptr<TimerCore>& timer) {
    timer->event_time = timer->due;
    ++timer->event_number;
    if (timer->due < kNever) world_->Add(timer->due, this, timer, timer->event_number);
  }

  // Destroys what will not run, after the last item has.
  void Drop() {
    std::deque<Item> items;
    items.swap(items_);
    std::vector<Task> tasks;
    for (TimerCore* const timer : timers_) tasks.push_back(std::exchange(timer->task, nullptr));
    for (const auto& observer : world_->observers_) observer->OnLoopStopped(this);
  }

  SimWorld* const world_;
  SimProcess* const process_;
  const uint64_t id_;
  std::deque<Item> items_;
  std::vector<TimerCore*> timers_;
  int64_t free_at_ = 0;
  bool woken_ = false;  // its turn is an event of the world
  bool running_ = false;
  bool stopped_ = false;
};

namespace {

class SimTimer final : public Timer {
 public:
  explicit SimTimer(std::shared_ptr<TimerCore> core) : core_(std::move(core)) {}
  ~SimTimer() override {
    Cancel();
    core_->loop->Forget(core_.get());
  }
  void Start(absl::Duration delay, Task task) override {
    core_->loop->StartTimer(core_, delay, std::move(task));
  }
  void Cancel() override {
    ++core_->starts;
    const Task cancelled = std::exchange(core_->task, nullptr);
  }

 private:
  const std::shared_ptr<TimerCore> core_;
};

// Loops for what wants them together.
class SimLoops final : public EventLoops {
 public:
  explicit SimLoops(std::vector<SimLoop*> loops) : loops_(std::move(loops)) {}
  ~SimLoops() override { Stop(); }
  int size() const override { return static_cast<int>(loops_.size()); }
  EventLoop* loop(int i) override { return loops_[i]; }
  void Stop() override {
    for (SimLoop* const loop : loops_) loop->Stop();
  }

 private:
  const std::vector<SimLoop*> loops_;
};

}  // namespace

std::unique_ptr<Timer> SimLoop::NewTimer() {
  auto core = std::make_shared<TimerCore>(this);
  core->index = timers_.size();
  timers_.push_back(core.get());
  return std::make_unique<SimTimer>(std::move(core));
}

}  // namespace sim_internal

using sim_internal::SimLoop;
using sim_internal::TimerCore;

absl::Time SimProcess::JumpingClock::Now() const {
  return absl::FromUnixMillis(sim_internal::kStartMs) + world->Now() + jumped;
}

SimProcess::SimProcess(SimWorld* world, std::string name, int64_t start)
    : name_(std::move(name)), start_(start), clock_(world) {}

SimWorld::SimWorld(uint64_t seed, const SimWorldOptions& options)
    : seed_(seed),
      task_time_(absl::ToInt64Nanoseconds(options.task_time)),
      most_wake_delay_(options.most_wake_delay),
      random_(seed, 0),
      trace_(seed) {}

SimWorld::~SimWorld() {
  CHECK(!stepping_);
  for (const auto& loop : loops_) loop->Stop();
  tasks_.clear();
}

absl::Duration SimWorld::Between(absl::Duration least, absl::Duration most) {
  if (most <= least) return least;
  const int64_t range = absl::ToInt64Nanoseconds(most - least);
  return least + absl::Nanoseconds(static_cast<int64_t>(random_.Below(range + 1)));
}

SimProcess* SimWorld::NewProcess(absl::string_view name) {
  CheckThread();
  for (const auto& process : processes_) {
    CHECK(process->crashed_ || process->name_ != name) << name << " runs already";
  }
  // Loops of two processes show different times, as machines do.
  const int64_t start = absl::ToInt64Nanoseconds(Between(absl::Hours(1), absl::Hours(1000)));
  processes_.push_back(std::unique_ptr<SimProcess>(new SimProcess(this, std::string(name), start)));
  SimProcess* const process = processes_.back().get();
  for (const auto& observer : observers_) observer->OnStart(process);
  return process;
}

EventLoop* SimWorld::NewLoop(SimProcess* process) {
  CHECK(!process->crashed_);
  loops_.push_back(std::make_unique<SimLoop>(this, process, loops_.size() + 1));
  process->loops_.push_back(loops_.back().get());
  return loops_.back().get();
}

std::unique_ptr<EventLoops> SimWorld::NewLoops(SimProcess* process, int size) {
  std::vector<SimLoop*> loops;
  for (int i = 0; i < size; ++i) loops.push_back(static_cast<SimLoop*>(NewLoop(process)));
  return std::make_unique<sim_internal::SimLoops>(std::move(loops));
}

SimProcess* SimWorld::ProcessOf(EventLoop* loop) {
  auto* const sim = dynamic_cast<SimLoop*>(loop);
  return sim == nullptr || sim->world() != this ? nullptr : sim->process();
}

bool SimWorld::HasStopped(EventLoop* loop) { return dynamic_cast<SimLoop*>(loop)->stopped(); }

void SimWorld::Pause(SimProcess* process) { process->paused_ = true; }

void SimWorld::Resume(SimProcess* process) {
  process->paused_ = false;
  for (SimLoop* const loop : process->loops_) loop->Wake();
}

void SimWorld::Crash(SimProcess* process, SimCrash crash) {
  CheckThread();
  if (process->crashed_) return;
  process->crashed_ = true;
  for (const auto& observer : observers_) observer->OnCrash(process, crash);
  for (SimLoop* const loop : process->loops_) loop->Stop();
}

void SimWorld::After(absl::Duration delay, Task task) {
  CheckThread();
  const int64_t time = sim_internal::Later(now_, delay);
  if (time == sim_internal::kNever) return;
  if (free_tasks_.empty()) {
    free_tasks_.push_back(tasks_.size());
    tasks_.emplace_back();
  }
  const size_t place = free_tasks_.back();
  free_tasks_.pop_back();
  tasks_[place] = std::move(task);
  Add(time, nullptr, nullptr, place);
}

void SimWorld::Add(int64_t time, SimLoop* loop, std::shared_ptr<TimerCore> timer, uint64_t number) {
  queue_.push_back({time, sequence_++, loop, std::move(timer), number});
  std::push_heap(queue_.begin(), queue_.end(), Later);
}

bool SimWorld::Run(Event event) {
  const int64_t before = std::exchange(now_, event.time);
  if (event.timer != nullptr) {
    if (!event.loop->TimerEvent(event.timer, event.number)) {
      now_ = before;
      return false;
    }
    Trace(event.loop->id() * 4 + 1);
  } else if (event.loop != nullptr) {
    Trace(event.loop->id() * 4 + 2);
    event.loop->RunOne();
  } else {
    Trace(3);
    Task task = std::move(tasks_[event.number]);
    free_tasks_.push_back(event.number);
    task();
  }
  Trace(static_cast<uint64_t>(event.time));
  ++events_;
  return true;
}

bool SimWorld::Step() { return StepUntil(sim_internal::kNever); }

bool SimWorld::StepUntil(int64_t end) {
  CheckThread();
  CHECK(!stepping_) << "an event waits for another one: it would wait for ever";
  stepping_ = true;
  bool ran = false;
  while (!ran && !queue_.empty() && queue_.front().time <= end) {
    std::pop_heap(queue_.begin(), queue_.end(), Later);
    Event event = std::move(queue_.back());
    queue_.pop_back();
    ran = Run(std::move(event));
  }
  stepping_ = false;
  return ran;
}

bool SimWorld::RunUntil(absl::FunctionRef<bool()> done, absl::Duration most) {
  const int64_t end = sim_internal::Later(now_, most);
  while (!done()) {
    if (StepUntil(end)) continue;
    if (!queue_.empty()) now_ = end;
    return false;
  }
  return true;
}

bool SimWorld::RunUntilIdle(absl::Duration most) {
  const int64_t end = sim_internal::Later(now_, most);
  while (StepUntil(end)) {
  }
  if (queue_.empty()) return true;
  now_ = end;
  return false;
}

void SimWorld::RunFor(absl::Duration duration) {
  const int64_t end = sim_internal::Later(now_, duration);
  CHECK_NE(end, sim_internal::kNever);
  while (StepUntil(end)) {
  }
  now_ = end;
}

void SimWorld::CheckThread() const {
  CHECK(std::this_thread::get_id() == thread_) << "a simulated world has one thread";
}

}  // namespace kvarts
