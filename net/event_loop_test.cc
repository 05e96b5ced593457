#include "net/event_loop.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "testing/conformance/transport_harness.h"

namespace kvarts {
namespace {

TEST(EventLoopTest, TasksRunInTheOrderPostedByEachThread) {
  auto loops = EventLoops::New(1).value();
  EventLoop* const loop = loops->loop(0);
  constexpr int kThreads = 3;
  constexpr int kTasks = 20000;
  std::vector<std::vector<int>> seen(kThreads);
  Awaited<int> done;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kTasks; ++i) loop->Post([&, t, i] { seen[t].push_back(i); });
      loop->Post([&] { done.Update([](int* n) { ++*n; }); });
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(done.AwaitValue(kThreads));
  for (const auto& numbers : seen) {
    ASSERT_EQ(numbers.size(), kTasks);
    for (int i = 0; i < kTasks; ++i) ASSERT_EQ(numbers[i], i);
  }
}

TEST(EventLoopTest, TaskPostedOnTheLoopRunsAfterTheCallAndAfterEarlierOnes) {
  auto loops = EventLoops::New(1).value();
  EventLoop* const loop = loops->loop(0);
  std::vector<int> order;
  Awaited<bool> done;
  loop->Post([&] {
    loop->Post([&] { order.push_back(2); });
    // From elsewhere, but before the next one.
    std::thread([&] { loop->Post([&] { order.push_back(3); }); }).join();
    loop->Post([&] {
      order.push_back(4);
      done.Set(true);
    });
    order.push_back(1);
  });
  ASSERT_TRUE(done.AwaitValue(true));
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4}));
}

TEST(EventLoopTest, LoopsThatMayCrowdACoreDoNotPreempt) {
  if (::sched_getscheduler(0) != SCHED_OTHER) GTEST_SKIP() << "the process has a policy";
  for (const int n : {1, 2}) {
    auto loops = EventLoops::New(n).value();
    for (int i = 0; i < n; ++i) {
      int policy = -1;
      RunOn(loops->loop(i), [&policy] { policy = ::sched_getscheduler(0); });
      EXPECT_EQ(policy, n == 1 ? SCHED_OTHER : SCHED_BATCH);
    }
  }
}

TEST(EventLoopTest, InLoopIsTrueOnTheLoopsOwnThreadOnly) {
  auto loops = EventLoops::New(2).value();
  EXPECT_FALSE(loops->loop(0)->InLoop());
  EXPECT_TRUE(RunOn(loops->loop(0), [&] {
    EXPECT_TRUE(loops->loop(0)->InLoop());
    EXPECT_FALSE(loops->loop(1)->InLoop());
  }));
}

TEST(EventLoopTest, TaskThatPostsItselfForEverLeavesRoomForTimers) {
  auto loops = EventLoops::New(1).value();
  EventLoop* const loop = loops->loop(0);
  Awaited<bool> fired;
  std::unique_ptr<Timer> timer;
  std::function<void()> again = [&] { loop->Post([&] { again(); }); };
  loop->Post([&] {
    timer = loop->NewTimer();
    timer->Start(absl::Milliseconds(5), [&] { fired.Set(true); });
    again();
  });
  EXPECT_TRUE(fired.AwaitValue(true));
  loops->Stop();
  timer.reset();
}

// A step of a millisecond, and again: events come between every few, not behind sixteen.
TEST(EventLoopTest, LongWorkThatPostsItsNextStepLeavesRoomForEvents) {
  const auto loops = EventLoops::New(1).value();
  EventLoop* const loop = loops->loop(0);
  std::atomic<bool> stop{false};
  int steps = 0;
  std::function<void()> step = [&] {
    if (stop) return;
    ++steps;
    const absl::Time until = absl::Now() + absl::Milliseconds(1);
    while (absl::Now() < until) {
    }
    loop->Post([&] { step(); });
  };
  constexpr int kEvents = 20;
  Awaited<bool> done;
  std::unique_ptr<Timer> timer;
  int events = 0;
  std::function<void()> event = [&] {
    if (++events == kEvents) {
      stop = true;
      timer = nullptr;
      return done.Set(true);
    }
    timer->Start(absl::ZeroDuration(), [&] { event(); });
  };
  loop->Post([&] {
    timer = loop->NewTimer();
    timer->Start(absl::ZeroDuration(), [&] { event(); });
    step();
  });
  EXPECT_TRUE(done.AwaitValue(true));
  EXPECT_LE(steps, kEvents * 8);
  loops->Stop();
}

TEST(EventLoopTest, StopDestroysPendingTasksUnrun) {
  auto loops = EventLoops::New(2).value();
  auto token = std::make_shared<int>(0);
  Awaited<bool> entered;
  Awaited<bool> posted;
  // A task under way ends; those behind it do not run.
  loops->loop(0)->Post([&] {
    entered.Set(true);
    posted.AwaitValue(true);
  });
  ASSERT_TRUE(entered.AwaitValue(true));
  Awaited<int> run;
  for (int i = 0; i < 10; ++i) {
    loops->loop(0)->Post([token, &run] { run.Set(1); });
  }
  std::thread stopper([&] { loops->Stop(); });
  // Once a Post is refused, the loop is stopping.
  for (bool refused = false; !refused;) {
    auto probe = std::make_shared<int>(0);
    loops->loop(0)->Post([probe, token] {});
    refused = probe.use_count() == 1;
  }
  posted.Set(true);
  stopper.join();
  EXPECT_EQ(run.Get(), 0);
  EXPECT_EQ(token.use_count(), 1);
  loops->loop(1)->Post([token] {});
  EXPECT_EQ(token.use_count(), 1);
  loops->Stop();
}

TEST(EventLoopTest, TaskDestroyedAtStopMayPostToAnyLoop) {
  auto loops = EventLoops::New(2).value();
  struct Poster {
    EventLoop* other;
    ~Poster() {
      other->Post([] { FAIL() << "ran after Stop()"; });
    }
  };
  Awaited<bool> entered;
  Awaited<bool> stopping;
  loops->loop(0)->Post([&] {
    entered.Set(true);
    stopping.AwaitValue(true);
  });
  ASSERT_TRUE(entered.AwaitValue(true));
  loops->loop(0)->Post(
      [poster = std::shared_ptr<Poster>(new Poster{loops->loop(1)})] { (void)poster; });
  std::thread stopper([&] { loops->Stop(); });
  for (bool refused = false; !refused;) {
    auto probe = std::make_shared<int>(0);
    loops->loop(0)->Post([probe] {});  // busy: it cannot have run
    refused = probe.use_count() == 1;
  }
  stopping.Set(true);
  stopper.join();
}

class TimerTest : public testing::Test {
 protected:
  ~TimerTest() override {
    RunOn(loop_, [this] { timer_.reset(); });
  }
  // Runs `work` on the loop with a timer.
  void On(std::function<void()> work) {
    ASSERT_TRUE(RunOn(loop_, [&] {
      if (timer_ == nullptr) timer_ = loop_->NewTimer();
      work();
    }));
  }

  std::unique_ptr<EventLoops> loops_ = EventLoops::New(1).value();
  EventLoop* const loop_ = loops_->loop(0);
  std::unique_ptr<Timer> timer_;
  Awaited<std::vector<int>> fired_;
  void Fire(int n) {
    fired_.Update([n](std::vector<int>* v) { v->push_back(n); });
  }
  // Has a fresh timer fire behind all that was set before for at most `delay`.
  void Flush(absl::Duration delay) {
    std::unique_ptr<Timer> flush;
    Awaited<bool> done;
    RunOn(loop_, [&] {
      flush = loop_->NewTimer();
      flush->Start(delay, [&] { done.Set(true); });
    });
    EXPECT_TRUE(done.AwaitValue(true));
    RunOn(loop_, [&] { flush.reset(); });
  }
};

TEST_F(TimerTest, FiresOnceAndNotBeforeItsTime) {
  absl::Duration started, ended;
  On([&] {
    started = loop_->Now();
    timer_->Start(absl::Milliseconds(20), [&] {
      ended = loop_->Now();
      EXPECT_TRUE(loop_->InLoop());
      Fire(1);
    });
  });
  EXPECT_TRUE(fired_.AwaitValue({1}));
  EXPECT_GE(ended - started, absl::Milliseconds(20));
  Flush(absl::Milliseconds(30));
  EXPECT_EQ(fired_.Get(), std::vector<int>{1});
}

TEST_F(TimerTest, DelayOfZeroFiresAfterTheCall) {
  for (const absl::Duration delay :
       {absl::ZeroDuration(), absl::Seconds(-1), -absl::InfiniteDuration()}) {
    fired_.Set({});
    On([&] {
      timer_->Start(delay, [&] { Fire(2); });
      Fire(1);
    });
    EXPECT_TRUE(fired_.AwaitValue({1, 2}));
  }
}

TEST_F(TimerTest, StartReplacesWhatWasSetBeforeForLaterAndForEarlier) {
  auto token = std::make_shared<int>(0);
  On([&] {
    timer_->Start(absl::Milliseconds(5), [&, token] { Fire(1); });
    timer_->Start(absl::Milliseconds(30), [&] { Fire(2); });
    EXPECT_EQ(token.use_count(), 1);  // replaced is destroyed
  });
  EXPECT_TRUE(fired_.AwaitValue({2}));
  On([&] {
    timer_->Start(absl::Hours(1), [&] { Fire(3); });
    timer_->Start(absl::Milliseconds(5), [&] { Fire(4); });
  });
  EXPECT_TRUE(fired_.AwaitValue({2, 4}));
}

TEST_F(TimerTest, CancelledTaskDoesNotRunAndIsDestroyed) {
  auto token = std::make_shared<int>(0);
  On([&] {
    timer_->Start(absl::Milliseconds(5), [&, token] { Fire(1); });
    timer_->Cancel();
    timer_->Cancel();
    EXPECT_EQ(token.use_count(), 1);
  });
  Flush(absl::Milliseconds(10));
  EXPECT_TRUE(fired_.Get().empty());
  On([&] { timer_->Start(absl::Milliseconds(1), [&] { Fire(2); }); });
  EXPECT_TRUE(fired_.AwaitValue({2}));
}

TEST_F(TimerTest, DueTimerThatIsCancelledByAnEarlierTaskDoesNotRun) {
  On([&] {
    timer_->Start(absl::ZeroDuration(), [&] { Fire(1); });
    loop_->Post([&] { timer_->Cancel(); });
  });
  Flush(absl::Milliseconds(5));
  EXPECT_TRUE(fired_.Get().empty());
}

TEST_F(TimerTest, DestructionCancels) {
  auto token = std::make_shared<int>(0);
  On([&] {
    timer_->Start(absl::Milliseconds(5), [&, token] { Fire(1); });
    timer_.reset();
    EXPECT_EQ(token.use_count(), 1);
  });
  Flush(absl::Milliseconds(10));
  EXPECT_TRUE(fired_.Get().empty());
}

TEST_F(TimerTest, TaskMayStartItsTimerAgainOrDestroyIt) {
  On([&] {
    timer_->Start(absl::Milliseconds(1), [&] {
      Fire(1);
      timer_->Start(absl::Milliseconds(1), [&, big = std::vector<int>(100, 7)] {
        timer_.reset();
        Fire(big[50]);
      });
    });
  });
  EXPECT_TRUE(fired_.AwaitValue({1, 7}));
}

TEST_F(TimerTest, InfiniteDelayNeverFires) {
  On([&] {
    timer_->Start(absl::InfiniteDuration(), [&] { Fire(1); });
    timer_->Start(absl::Hours(24 * 365 * 1000), [&] { Fire(2); });
  });
  Flush(absl::Milliseconds(5));
  EXPECT_TRUE(fired_.Get().empty());
}

TEST_F(TimerTest, DestroyedAfterStopDropsItsTask) {
  auto token = std::make_shared<int>(0);
  On([&] { timer_->Start(absl::Hours(1), [token] {}); });
  loops_->Stop();
  timer_.reset();
  EXPECT_EQ(token.use_count(), 1);
}

}  // namespace
}  // namespace kvarts
