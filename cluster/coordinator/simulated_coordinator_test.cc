#include "cluster/coordinator/simulated_coordinator.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "testing/conformance/coordinator_harness.h"
#include "testing/conformance/coordinator_suite.h"
#include "testing/conformance/transport_harness.h"

namespace kvarts {
namespace {

using Fate = CoordinatorPolicy::Fate;

class SimulatedFixture final : public CoordinatorFixture {
 public:
  explicit SimulatedFixture(EventLoop* loop, CoordinatorPolicy* policy = nullptr) : loop_(loop) {
    RunOn(loop_, [&] { coordinator_ = std::make_unique<SimulatedCoordinator>(loop_, policy); });
  }
  ~SimulatedFixture() override {
    RunOn(loop_, [this] { coordinator_.reset(); });
  }
  std::unique_ptr<Coordinator> NewClient(EventLoop* loop) override {
    return coordinator_->NewClient(loop);
  }
  SimulatedCoordinator* get() { return coordinator_.get(); }

 private:
  EventLoop* const loop_;
  std::unique_ptr<SimulatedCoordinator> coordinator_;
};

INSTANTIATE_TEST_SUITE_P(Simulated, CoordinatorSuite,
                         testing::Values(CoordinatorSuiteParam{
                             "Simulated",
                             [](EventLoops* loops) {
                               return std::make_unique<SimulatedFixture>(loops->loop(0));
                             }}),
                         CoordinatorSuiteName);

// What a test says befalls the next calls; then nothing does.
class Script final : public CoordinatorPolicy {
 public:
  Fate NextCall(int /*client*/, Call /*call*/) override {
    if (next_ == fates.size()) return Fate();
    return fates[next_++];
  }
  HintFate NextHint(int /*client*/) override {
    ++hints;
    return {.lost = lose_hints, .delay = absl::ZeroDuration()};
  }

  std::vector<Fate> fates;
  bool lose_hints = false;
  int hints = 0;

 private:
  size_t next_ = 0;
};

class SimulatedCoordinatorTest : public testing::Test {
 protected:
  // Before the first call.
  void Start(std::vector<Fate> fates) {
    script_.fates = std::move(fates);
    fixture_ = std::make_unique<SimulatedFixture>(loops_->loop(0), &script_);
    client_ = std::make_unique<TestCoordinator>(fixture_.get(), loops_->loop(0));
  }

  Script script_;
  const std::unique_ptr<EventLoops> loops_ = EventLoops::New(1).value();
  std::unique_ptr<SimulatedFixture> fixture_;
  std::unique_ptr<TestCoordinator> client_;
};

TEST_F(SimulatedCoordinatorTest, ARefusedCallIsUnavailableAndDoesNothing) {
  Start({{.refused = true}, {.refused = true}});
  EXPECT_EQ(client_->Commit(PutIf("a", 0, "1")).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(client_->Read().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(client_->Read()->values.empty());
}

TEST_F(SimulatedCoordinatorTest, ALostCallMissesItsDeadlineAndDoesNothing) {
  Start({{.lost = true}, {.lost = true}});
  EXPECT_EQ(client_->Commit(PutIf("a", 0, "1"), absl::Milliseconds(1)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(client_->Read(absl::Milliseconds(1)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(client_->Read()->values.empty());
}

TEST_F(SimulatedCoordinatorTest, ACallWhoseAnswerIsLostMissesItsDeadlineAndIsDone) {
  Start({{.answer_lost = true}});
  EXPECT_EQ(client_->Commit(PutIf("a", 0, "1"), absl::Milliseconds(1)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(client_->Read()->values["a"].bytes, "1");
}

TEST_F(SimulatedCoordinatorTest, AnEffectMayComeAfterTheDeadlineAndTheClientsEnd) {
  Start({{.delay = absl::Milliseconds(50)}});
  TestCoordinator other(fixture_.get(), loops_->loop(0));
  Awaited<int> hints(0);
  ASSERT_TRUE(RunOn(loops_->loop(0),
                    [&] { other.get()->Watch([&] { hints.Update([](int* n) { ++*n; }); }); }));
  EXPECT_EQ(client_->Commit(PutIf("a", 0, "1"), absl::Milliseconds(1)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  client_->End();
  ASSERT_TRUE(hints.AwaitValue(1));
  EXPECT_EQ(other.Read()->values["a"].bytes, "1");
  other.End();
}

TEST_F(SimulatedCoordinatorTest, ALateEffectIsNoneWhereWhatItComparesHasChanged) {
  Start({{.delay = absl::Milliseconds(20)}});
  EXPECT_EQ(client_->Commit(PutIf("a", 0, "late"), absl::Milliseconds(1)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  ASSERT_TRUE(client_->Commit(PutIf("a", 0, "new")).ok());
  // Behind the late one: timers of one loop are in order.
  Awaited<bool> later(false);
  std::unique_ptr<Timer> timer;
  ASSERT_TRUE(RunOn(loops_->loop(0), [&] {
    timer = loops_->loop(0)->NewTimer();
    timer->Start(absl::Milliseconds(40), [&] { later.Set(true); });
  }));
  ASSERT_TRUE(later.AwaitValue(true));
  ASSERT_TRUE(RunOn(loops_->loop(0), [&] { timer.reset(); }));
  EXPECT_EQ(client_->Read()->values["a"].bytes, "new");
}

TEST_F(SimulatedCoordinatorTest, AHintCanBeLost) {
  Start({});
  script_.lose_hints = true;
  Awaited<int> hints(0);
  ASSERT_TRUE(RunOn(loops_->loop(0),
                    [&] { client_->get()->Watch([&] { hints.Update([](int* n) { ++*n; }); }); }));
  ASSERT_TRUE(client_->Commit(PutIf("a", 0, "1")).ok());
  ASSERT_TRUE(RunOn(loops_->loop(0), [&] { script_.lose_hints = false; }));
  ASSERT_TRUE(client_->Commit(PutIf("b", 0, "1")).ok());
  ASSERT_TRUE(hints.Await([](int n) { return n > 0; }));
  client_->End();
  EXPECT_EQ(script_.hints, 2);
  EXPECT_EQ(hints.Get(), 1);
}

TEST_F(SimulatedCoordinatorTest, ARestoredBackupIsWhatClientsRead) {
  Start({});
  ASSERT_TRUE(client_->Commit(PutIf("a", 0, "1")).ok());
  Coordinator::Contents backup;
  ASSERT_TRUE(RunOn(loops_->loop(0), [&] { backup = fixture_->get()->contents(); }));
  ASSERT_TRUE(client_->Commit(PutIf("b", 0, "1")).ok());
  ASSERT_TRUE(RunOn(loops_->loop(0), [&] { fixture_->get()->Restore(backup); }));
  EXPECT_EQ(client_->Read()->revision, backup.revision);
  EXPECT_EQ(client_->Read()->values, backup.values);
}

TEST_F(SimulatedCoordinatorTest, ACallToOneThatIsGoneMissesItsDeadline) {
  Start({});
  ASSERT_TRUE(client_->Read().ok());
  fixture_.reset();
  EXPECT_EQ(client_->Read(absl::Milliseconds(1)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_F(SimulatedCoordinatorTest, NoIncrementIsLostOrDoneTwiceWhateverFails) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const auto policy = NewRandomCoordinatorPolicy(seed, {.refused = 0.1,
                                                          .lost = 0.05,
                                                          .answer_lost = 0.1,
                                                          .late = 0.1,
                                                          .hint_lost = 0.5,
                                                          .delay = absl::Microseconds(200),
                                                          .late_delay = absl::Milliseconds(6)});
    SimulatedFixture fixture(loops_->loop(0), policy.get());
    ExpectNoLostIncrement(&fixture, loops_.get(), 3, 30, absl::Milliseconds(3));
  }
}

TEST_F(SimulatedCoordinatorTest, ASeedGivesTheSameFates) {
  const CoordinatorFaults faults = {.refused = 0.5, .lost = 0.5, .delay = absl::Seconds(1)};
  const auto one = NewRandomCoordinatorPolicy(7, faults);
  const auto two = NewRandomCoordinatorPolicy(7, faults);
  const auto other = NewRandomCoordinatorPolicy(8, faults);
  int differ = 0;
  for (int i = 0; i < 100; ++i) {
    const Fate a = one->NextCall(0, CoordinatorPolicy::Call::kRead);
    const Fate b = two->NextCall(0, CoordinatorPolicy::Call::kRead);
    const Fate c = other->NextCall(0, CoordinatorPolicy::Call::kRead);
    EXPECT_EQ(a.refused, b.refused);
    EXPECT_EQ(a.delay, b.delay);
    differ += a.delay != c.delay;
  }
  EXPECT_GT(differ, 90);
}

}  // namespace
}  // namespace kvarts
