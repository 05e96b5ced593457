#include "testing/sim/world.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kvarts {
namespace {

constexpr absl::Duration kLong = absl::Hours(1);

struct World : SimWorld {
  explicit World(uint64_t seed = 1) : SimWorld(seed) {}
  SimProcess* const process = NewProcess("a");
  EventLoop* const loop = NewLoop(process);
};

// Says when the task that holds it is destroyed.
std::shared_ptr<bool> Mark(bool* destroyed) {
  return std::shared_ptr<bool>(destroyed, [](bool* d) { *d = true; });
}

TEST(SimWorldTest, TasksRunLaterInTheOrderPostedOneAtATime) {
  World world;
  std::string log;
  world.loop->Post([&] {
    EXPECT_TRUE(world.loop->InLoop());
    world.loop->Post([&] { log += "3"; });
    log += "1";
  });
  world.loop->Post([&] { log += "2"; });
  EXPECT_EQ(log, "");
  EXPECT_FALSE(world.loop->InLoop());
  EXPECT_TRUE(world.RunUntilIdle(kLong));
  EXPECT_EQ(log, "123");
  EXPECT_FALSE(world.Step());
}

TEST(SimWorldTest, InLoopIsTrueForTheLoopThatRunsOnly) {
  World world;
  EventLoop* const other = world.NewLoop(world.process);
  bool ran = false;
  world.loop->Post([&] {
    EXPECT_FALSE(other->InLoop());
    ran = true;
  });
  world.RunUntilIdle(kLong);
  EXPECT_TRUE(ran);
}

TEST(SimWorldTest, TimersRunByTime) {
  World world;
  std::string log;
  std::vector<std::unique_ptr<Timer>> timers;
  const absl::Duration start = world.loop->Now();
  for (const int ms : {30, 10, 20}) {
    timers.push_back(world.loop->NewTimer());
    timers.back()->Start(absl::Milliseconds(ms), [&log, &world, ms, start] {
      EXPECT_TRUE(world.loop->InLoop());
      EXPECT_GE(world.loop->Now() - start, absl::Milliseconds(ms));
      EXPECT_LT(world.loop->Now() - start, absl::Milliseconds(ms + 1));
      absl::StrAppend(&log, ms, " ");
    });
  }
  world.RunUntilIdle(kLong);
  EXPECT_EQ(log, "10 20 30 ");
}

TEST(SimWorldTest, TimerSetAgainRunsOnceAndItsLastTask) {
  World world;
  for (const int second_ms : {5, 50}) {
    std::string log;
    const absl::Duration start = world.Now();
    const std::unique_ptr<Timer> timer = world.loop->NewTimer();
    timer->Start(absl::Milliseconds(20), [&] { log += "first"; });
    timer->Start(absl::Milliseconds(second_ms), [&] { log += "second"; });
    world.RunUntilIdle(kLong);
    EXPECT_EQ(log, "second");
    EXPECT_GE(world.Now() - start, absl::Milliseconds(second_ms));
  }
}

TEST(SimWorldTest, CancelledAndDestroyedTimersNeitherRunNorLetTimePass) {
  World world;
  const absl::Duration start = world.Now();
  const std::unique_ptr<Timer> cancelled = world.loop->NewTimer();
  cancelled->Start(absl::Seconds(1), [] { FAIL(); });
  std::unique_ptr<Timer> destroyed = world.loop->NewTimer();
  destroyed->Start(absl::Seconds(1), [] { FAIL(); });
  const std::unique_ptr<Timer> never = world.loop->NewTimer();
  never->Start(absl::InfiniteDuration(), [] { FAIL(); });
  cancelled->Cancel();
  destroyed.reset();
  EXPECT_TRUE(world.RunUntilIdle(kLong));
  EXPECT_EQ(world.Now(), start);
}

TEST(SimWorldTest, TimerCancelledWhenItIsDueButHasNotRunDoesNotRun) {
  World world;
  const std::unique_ptr<Timer> timer = world.loop->NewTimer();
  timer->Start(absl::Milliseconds(1), [] { FAIL(); });
  world.Pause(world.process);
  world.RunFor(absl::Milliseconds(2));
  timer->Cancel();
  world.Resume(world.process);
  world.RunUntilIdle(kLong);
}

TEST(SimWorldTest, TimerMayBeDestroyedInItsTask) {
  World world;
  std::unique_ptr<Timer> timer = world.loop->NewTimer();
  bool ran = false;
  timer->Start(absl::Milliseconds(1), [&, text = std::string(100, 'x')] {
    timer.reset();
    ran = text.size() == 100;
  });
  world.RunUntilIdle(kLong);
  EXPECT_TRUE(ran);
}

TEST(SimWorldTest, TaskThatPostsItselfLetsTimePass) {
  World world;
  bool done = false;
  std::function<void()> again = [&] {
    if (!done) world.loop->Post(again);
  };
  again();
  world.After(absl::Milliseconds(1), [&] { done = true; });
  EXPECT_TRUE(world.RunUntilIdle(kLong));
}

TEST(SimWorldTest, RunsUntilAConditionHoldsOrTimeIsOver) {
  World world;
  int ticks = 0;
  const std::unique_ptr<Timer> timer = world.loop->NewTimer();
  std::function<void()> tick = [&] {
    ++ticks;
    timer->Start(absl::Milliseconds(10), tick);
  };
  tick();
  EXPECT_TRUE(world.RunUntil([&] { return ticks == 4; }, kLong));
  EXPECT_EQ(ticks, 4);
  const absl::Duration start = world.Now();
  EXPECT_FALSE(world.RunUntil([&] { return ticks == 1000; }, absl::Milliseconds(105)));
  EXPECT_EQ(world.Now() - start, absl::Milliseconds(105));
  EXPECT_FALSE(world.RunUntilIdle(absl::Seconds(1)));
  world.RunFor(absl::Seconds(1));
  EXPECT_EQ(world.Now() - start, absl::Milliseconds(2105));
}

TEST(SimWorldTest, PausedProcessRunsNothingUntilItIsResumed) {
  World world;
  SimProcess* const other = world.NewProcess("b");
  EventLoop* const other_loop = world.NewLoop(other);
  std::string log;
  world.loop->Post([&] { log += "posted before "; });
  const std::unique_ptr<Timer> timer = world.loop->NewTimer();
  timer->Start(absl::Milliseconds(1), [&] { log += "timer "; });
  world.Pause(world.process);
  other_loop->Post([&] { log += "other "; });
  world.RunFor(absl::Seconds(5));
  EXPECT_EQ(log, "other ");
  world.loop->Post([&] { log += "posted after "; });
  world.Resume(world.process);
  world.RunUntilIdle(kLong);
  EXPECT_EQ(log, "other posted before timer posted after ");
}

TEST(SimWorldTest, CrashDestroysTasksAndTimersUnrun) {
  for (const SimCrash crash : {SimCrash::kKilled, SimCrash::kSilent}) {
    World world;
    bool task = false;
    bool timed = false;
    const std::unique_ptr<Timer> timer = world.loop->NewTimer();
    world.loop->Post([mark = Mark(&task)] { FAIL(); });
    timer->Start(absl::Milliseconds(1), [mark = Mark(&timed)] { FAIL(); });
    world.Crash(world.process, crash);
    EXPECT_TRUE(task);
    EXPECT_TRUE(timed);
    EXPECT_TRUE(world.process->crashed());
    bool late = false;
    world.loop->Post([mark = Mark(&late)] { FAIL(); });
    EXPECT_TRUE(late);
    timer->Start(absl::Milliseconds(1), [] { FAIL(); });
    world.RunUntilIdle(kLong);
    // Another one of the name has loops of its own.
    SimProcess* const next = world.NewProcess("a");
    bool ran = false;
    world.NewLoop(next)->Post([&] { ran = true; });
    world.RunUntilIdle(kLong);
    EXPECT_TRUE(ran);
  }
}

TEST(SimWorldTest, CrashInsideATaskLetsItsRestRunAndNothingElse) {
  World world;
  bool rest = false;
  bool waiting = false;
  world.loop->Post([&] {
    world.Crash(world.process, SimCrash::kKilled);
    EXPECT_FALSE(waiting);  // what the task may still use is there
    world.loop->Post([] { FAIL(); });
    rest = true;
  });
  world.loop->Post([mark = Mark(&waiting)] { FAIL(); });
  world.RunUntilIdle(kLong);
  EXPECT_TRUE(rest);
  EXPECT_TRUE(waiting);
}

TEST(SimWorldTest, ClocksJumpEachForItselfAndLoopsDoNot) {
  World world;
  SimProcess* const other = world.NewProcess("b");
  const absl::Time start = world.process->clock()->Now();
  EXPECT_EQ(other->clock()->Now(), start);
  const absl::Duration loop_start = world.loop->Now();
  world.RunFor(absl::Seconds(10));
  world.process->JumpClock(-absl::Hours(1));
  other->JumpClock(absl::Seconds(2));
  EXPECT_EQ(world.process->clock()->Now(), start + absl::Seconds(10) - absl::Hours(1));
  EXPECT_EQ(other->clock()->Now(), start + absl::Seconds(12));
  EXPECT_EQ(world.loop->Now() - loop_start, absl::Seconds(10));
}

TEST(SimWorldTest, LoopsOfTwoProcessesShowDifferentTimes) {
  World world;
  EXPECT_NE(world.loop->Now(), world.NewLoop(world.NewProcess("b"))->Now());
  EXPECT_EQ(world.loop->Now(), world.NewLoop(world.process)->Now());
}

TEST(SimWorldTest, StoppedLoopsDropTheirTasks) {
  World world;
  const std::unique_ptr<EventLoops> loops = world.NewLoops(world.process, 2);
  ASSERT_EQ(loops->size(), 2);
  bool dropped = false;
  loops->loop(1)->Post([mark = Mark(&dropped)] { FAIL(); });
  loops->Stop();
  EXPECT_TRUE(dropped);
  EXPECT_TRUE(world.HasStopped(loops->loop(0)));
  EXPECT_FALSE(world.HasStopped(world.loop));
}

// Loops that post to each other and set timers, all by chance. Returns in what order.
std::string Chatter(uint64_t seed, uint64_t* hash) {
  SimWorld world(seed);
  std::vector<EventLoop*> loops;
  std::vector<std::unique_ptr<Timer>> timers;
  for (int i = 0; i < 5; ++i) {
    loops.push_back(world.NewLoop(world.NewProcess(absl::StrCat("p", i))));
    timers.push_back(loops.back()->NewTimer());
  }
  std::string log;
  int left = 1000;
  std::function<void(int)> run = [&](int i) {
    log += static_cast<char>('0' + i);
    if (--left < 0) return;
    const int to = static_cast<int>(world.random()->Below(5));
    loops[to]->Post([&run, to] { run(to); });
    timers[i]->Start(world.Between(absl::ZeroDuration(), absl::Milliseconds(1)),
                     [&run, i] { run(i); });
  };
  for (int i = 0; i < 5; ++i) loops[i]->Post([&run, i] { run(i); });
  EXPECT_TRUE(world.RunUntilIdle(kLong));
  *hash = world.trace_hash();
  return log;
}

TEST(SimWorldTest, SeedGivesTheSameRunAgainAndAnotherSeedAnotherRun) {
  uint64_t first, again, other;
  const std::string log = Chatter(17, &first);
  EXPECT_EQ(Chatter(17, &again), log);
  EXPECT_EQ(first, again);
  EXPECT_NE(Chatter(18, &other), log);
  EXPECT_NE(first, other);
}

}  // namespace
}  // namespace kvarts
