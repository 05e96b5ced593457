#include "cluster/node/in_flight.h"

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "cluster/node/slot_table.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace cluster {
namespace {

TEST(InFlightTest, ACallIsWaitedForFromTheFlipThatItWasUnderWayAt) {
  InFlight calls;
  EXPECT_TRUE(calls.Drained());
  InFlight::Guard before(&calls);
  calls.Flip();
  EXPECT_FALSE(calls.Drained());
  InFlight::Guard after(&calls);
  before.Release();
  EXPECT_TRUE(calls.Drained()) << "one that began after the flip is not waited for";
  calls.Flip();
  EXPECT_FALSE(calls.Drained());
  after.Release();
  after.Release();  // once is enough
  EXPECT_TRUE(calls.Drained());
}

TEST(InFlightTest, AGuardThatIsMovedIsOneCallStill) {
  InFlight calls;
  InFlight::Guard first(&calls);
  InFlight::Guard second(std::move(first));
  calls.Flip();
  first.Release();  // NOLINT(bugprone-use-after-move): it holds nothing
  EXPECT_FALSE(calls.Drained());
  InFlight::Guard third;
  third = std::move(second);
  EXPECT_FALSE(calls.Drained());
  third = InFlight::Guard();
  EXPECT_TRUE(calls.Drained());
}

TEST(InFlightTest, ACallMayEndOnAnotherThread) {
  InFlight calls;
  auto guard = std::make_optional<InFlight::Guard>(&calls);
  calls.Flip();
  std::thread([&] { guard.reset(); }).join();
  EXPECT_TRUE(calls.Drained());
}

// Calls read a state and then act on it: they count themselves under what they have read. Once
// drained, the count of the old state must be zero, and stay so. `plain` is written without
// atomics, so that ThreadSanitizer sees where the order is not enough.
void ActBesideChanges(int callers, int changes) {
  const auto table = std::make_unique<SlotTable>();
  constexpr uint16_t kSlot = 7;
  std::atomic<int> acting[2] = {};
  // By state and caller, a line each.
  std::vector<int> plain(static_cast<size_t>(2 * callers * 16));
  std::atomic<bool> stop{false};
  table->SetState(kSlot, SlotState::kServing);
  std::vector<std::thread> threads;
  for (int t = 0; t < callers; ++t) {
    threads.emplace_back([&, t] {
      while (!stop.load(std::memory_order_relaxed)) {
        InFlight::Guard guard(table->calls());
        const int seen = table->state(kSlot) == SlotState::kServing ? 0 : 1;
        acting[seen].fetch_add(1, std::memory_order_relaxed);
        int& count = plain[static_cast<size_t>((seen * callers + t) * 16)];
        // For longer than a change takes where nobody is waited for.
        for (int i = 0; i < 400; ++i) {
          ++count;
          std::atomic_signal_fence(std::memory_order_seq_cst);
        }
        acting[seen].fetch_sub(1, std::memory_order_relaxed);
      }
    });
  }
  int64_t late = 0;
  int64_t calls = 0;
  for (int i = 0; i < changes || calls == 0; ++i) {
    const int old = i % 2;
    table->SetState(kSlot, old == 0 ? SlotState::kCopying : SlotState::kServing);
    table->calls()->Flip();
    while (!table->calls()->Drained()) std::this_thread::yield();
    for (int look = 0; look < 20; ++look) {
      if (acting[old].load(std::memory_order_relaxed) != 0) ++late;
    }
    for (int t = 0; t < callers; ++t) {
      int& count = plain[static_cast<size_t>((old * callers + t) * 16)];
      calls += std::exchange(count, 0);
    }
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(late, 0) << "of " << calls << " calls";
}

// A single one mostly stands between two calls when a change begins: that finds a call which counts
// itself too late. Several, more than cores, are stopped anywhere.
TEST(InFlightTest, OnceDrainedNoCallActsOnTheOldState) {
  ActBesideChanges(1, 3000);
  ActBesideChanges(3, 200);
}

}  // namespace
}  // namespace cluster
}  // namespace kvarts
