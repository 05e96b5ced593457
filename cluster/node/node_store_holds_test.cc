#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/slot.h"
#include "cluster/node/node_fixture.h"
#include "cluster/node/node_store.h"
#include "gtest/gtest.h"
#include "storage/layers/forwarding_store.h"
#include "storage/memory/memory.h"
#include "storage/slot_status.h"
#include "testing/model/slow_store.h"

// Requests for slots that are held: who waits, what comes of it, and in which order.
namespace kvarts {
namespace cluster {
namespace {

using absl::StatusCode;
using Log = std::vector<std::string>;

// Notes the writes that reach it, in their order.
class NotingStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override {
    absl::Status status;
    {
      MutexLock lock(&mu_);
      for (const Mutation& m : batch.mutations()) log_.push_back(absl::StrCat(m.key, "=", m.value));
      status = ForwardingStore::Write(batch, options, results);
    }
    if (after_write) std::exchange(after_write, nullptr)();
    return status;
  }
  void Submit(const WriteBatch& batch, const WriteOptions& options, WriteResults* results,
              WriteDone done) override {
    done(Write(batch, options, results));
  }
  Log log() const {
    MutexLock lock(&mu_);
    return log_;
  }

  std::function<void()> after_write;  // once

 private:
  mutable Mutex mu_;
  Log log_ ABSL_GUARDED_BY(mu_);
};

// A write that is submitted, and what became of it. Stays where it is.
struct Submitted {
  using Pairs = std::vector<std::pair<std::string, std::string>>;

  Submitted(NodeStore* node, Pairs puts) : pairs(std::move(puts)) {
    for (const auto& [key, value] : pairs) batch.Put(key, value);
    node->Submit(batch, {}, &results, [this](const absl::Status& end) {
      status = end;
      has_ended = true;
    });
  }
  Submitted(const Submitted&) = delete;

  const Pairs pairs;
  WriteBatch batch;
  WriteResults results;
  absl::Status status;
  std::atomic<bool> has_ended{false};
};

constexpr uint16_t kFoo = 12182;
constexpr uint16_t kBar = 5061;
constexpr uint16_t kHello = 866;

class HoldsTest : public testing::Test {
 protected:
  HoldsTest() : below_(NewMemoryStore()), node_(NewNode(&below_)) {
    node_->SetStates(AllSlots(), SlotState::kServing);
    auto map = std::make_shared<ClusterMap>();
    map->nodes.resize(1);
    map->nodes[0].host = "other";
    map->nodes[0].resp_port = 1;
    map->owner.fill(0);
    node_->slots()->SetMap(std::move(map));
  }

  static std::unique_ptr<NodeStore> NewNode(Store* below) {
    return std::make_unique<NodeStore>(below, [](Task) { FAIL() << "the store does not block"; });
  }
  void Set(const std::vector<uint16_t>& slots, SlotState state) { node_->SetStates(slots, state); }
  // Runs `call` on another thread, which must not return before a hold of "foo" ended in `state`.
  void CallWhileHeld(SlotState state, const std::function<void()>& call) {
    Set({kFoo}, SlotState::kHeld);
    std::atomic<bool> is_released{false};
    std::atomic<bool> was_early{false};
    std::thread thread([&] {
      call();
      was_early = !is_released;
    });
    // Mostly it waits by now; where not, nothing is wrong.
    for (int i = 0; i < 100; ++i) std::this_thread::yield();
    is_released = true;
    Set({kFoo}, state);
    thread.join();
    EXPECT_FALSE(was_early);
    Set({kFoo}, SlotState::kServing);
  }

  NotingStore below_;
  std::unique_ptr<NodeStore> node_;
};

TEST_F(HoldsTest, SubmittedWritesGoOnInTheOrderOfTheirCalls) {
  Set({kFoo}, SlotState::kHeld);
  Submitted first(node_.get(), {{"foo", "1"}});
  Submitted second(node_.get(), {{"foo", "2"}});
  Submitted other(node_.get(), {{"bar", "3"}});
  EXPECT_FALSE(first.has_ended);
  EXPECT_TRUE(other.has_ended) << "its slot is not held";
  Set({kFoo}, SlotState::kServing);
  EXPECT_TRUE(first.has_ended && second.has_ended);
  EXPECT_TRUE(first.status.ok());
  EXPECT_EQ(below_.log(), (Log{"bar=3", "foo=1", "foo=2"}));
}

TEST_F(HoldsTest, AWriteThatComesWhileHeldOnesGoOnIsBehindThem) {
  Set({kFoo}, SlotState::kHeld);
  Submitted first(node_.get(), {{"foo", "1"}});
  Submitted second(node_.get(), {{"foo", "2"}});
  std::unique_ptr<Submitted> third;
  below_.after_write = [&] {
    std::thread([&] {
      third = std::make_unique<Submitted>(node_.get(), Submitted::Pairs{{"foo", "3"}});
      ReadOptions options;
      options.no_wait = true;
      ReadResults read;
      node_->Read("foo", options, &read);
      EXPECT_FALSE(read[0].status.ok()) << "a read is behind them too";
    }).join();
  };
  Set({kFoo}, SlotState::kServing);
  EXPECT_TRUE(third->has_ended);
  EXPECT_EQ(below_.log(), (Log{"foo=1", "foo=2", "foo=3"}));
}

// The release comes at every moment of a Submit(): also between its look at the slot and its wait.
TEST_F(HoldsTest, AWriteThatIsSubmittedWhileTheHoldEndsIsNotForgotten) {
  constexpr int kRounds = 300;
  // So many keys behind the held one that the look at them takes a while.
  Submitted::Pairs pairs(2000, {"bar", "1"});
  pairs[0].first = "foo";
  std::atomic<int> round{-1};
  std::atomic<int> returned{-1};
  std::vector<std::unique_ptr<Submitted>> writes(kRounds);
  std::thread thread([&] {
    for (int i = 0; i < kRounds; ++i) {
      while (round < i) std::this_thread::yield();
      writes[static_cast<size_t>(i)] = std::make_unique<Submitted>(node_.get(), pairs);
      returned = i;
    }
  });
  int forgotten = 0;
  for (int i = 0; i < kRounds; ++i) {
    Set({kFoo}, SlotState::kHeld);
    round = i;
    for (std::atomic<int> spins{0}; spins < i % 100 * 300;) ++spins;
    Set({kFoo}, SlotState::kServing);
    while (returned < i) std::this_thread::yield();
    if (!writes[static_cast<size_t>(i)]->has_ended) ++forgotten;
  }
  thread.join();
  EXPECT_EQ(forgotten, 0);
}

TEST_F(HoldsTest, AWriteDoesNotOvertakeOneThatIsHeldForAnotherSlotOfItsBatch) {
  Set({kFoo}, SlotState::kHeld);
  Submitted both(node_.get(), {{"foo", "1"}, {"bar", "1"}});
  Submitted bar(node_.get(), {{"bar", "2"}, {"hello", "2"}});
  Submitted hello(node_.get(), {{"hello", "3"}});
  Submitted free(node_.get(), {{"free", "4"}});
  EXPECT_FALSE(bar.has_ended || hello.has_ended);
  EXPECT_TRUE(free.has_ended);
  Set({kFoo}, SlotState::kServing);
  EXPECT_TRUE(hello.has_ended);
  EXPECT_EQ(below_.log(), (Log{"free=4", "foo=1", "bar=1", "bar=2", "hello=2", "hello=3"}));
  Submitted last(node_.get(), {{"hello", "5"}});
  EXPECT_TRUE(last.has_ended) << "nothing is held any more";
}

TEST_F(HoldsTest, WhatIsHeldForASecondSlotIsNotOvertakenWhenTheFirstIsReleased) {
  Set({kFoo, kBar}, SlotState::kHeld);
  Submitted both(node_.get(), {{"foo", "1"}, {"bar", "1"}});
  Submitted foo(node_.get(), {{"foo", "2"}});
  Set({kFoo}, SlotState::kServing);
  Submitted later(node_.get(), {{"foo", "3"}});
  EXPECT_FALSE(both.has_ended || foo.has_ended || later.has_ended);
  Set({kBar}, SlotState::kServing);
  EXPECT_TRUE(both.has_ended && foo.has_ended && later.has_ended);
  EXPECT_EQ(below_.log(), (Log{"foo=1", "bar=1", "foo=2", "foo=3"}));
}

TEST_F(HoldsTest, AWaitingWriteGoesOnAfterWhatIsHeldForAnotherSlotOfItsBatch) {
  CallWhileHeld(SlotState::kServing, [this] {
    Submitted both(node_.get(), {{"foo", "1"}, {"bar", "1"}});
    EXPECT_TRUE(node_->Put("bar", "2").ok());
    EXPECT_TRUE(both.has_ended);
  });
  EXPECT_EQ(below_.log(), (Log{"foo=1", "bar=1", "bar=2"}));
}

TEST_F(HoldsTest, AHoldMayEndElsewhereOrWithNobody) {
  for (const SlotState state : {SlotState::kElsewhere, SlotState::kDown}) {
    Set({kFoo}, SlotState::kHeld);
    Submitted write(node_.get(), {{"foo", "1"}});
    Submitted half(node_.get(), {{"foo", "1"}, {"bar", "1"}});
    Set({kFoo}, state);
    ASSERT_TRUE(write.has_ended && half.has_ended);
    const auto is_expected = state == SlotState::kDown ? IsSlotDown : IsMoved;
    EXPECT_TRUE(is_expected(write.status));
    EXPECT_TRUE(is_expected(half.results.results[0].status));
    EXPECT_TRUE(half.results.results[1].status.ok());
  }
  EXPECT_EQ(below_.log(), (Log{"bar=1", "bar=1"}));
}

TEST_F(HoldsTest, AHoldMayEndInCopying) {
  const auto outbox = std::make_shared<Outbox>(&below_);
  node_->SetOutbox(outbox);
  Set({kFoo}, SlotState::kHeld);
  Submitted write(node_.get(), {{"foo", "1"}});
  Set({kFoo}, SlotState::kCopying);
  EXPECT_TRUE(write.status.ok());
  std::vector<Effect> effects;
  EXPECT_EQ(outbox->Take(1 << 20, &effects), 1U);
}

TEST_F(HoldsTest, ReadsThatMustNotWaitAreUnavailableForTheHeldKeysAlone) {
  ASSERT_TRUE(below_.Put("foo", "f").ok());
  ASSERT_TRUE(below_.Put("bar", "b").ok());
  Set({kFoo}, SlotState::kHeld);
  ReadOptions options;
  options.no_wait = true;
  ReadResults results;
  node_->MultiGet({"foo", "bar"}, options, &results);
  EXPECT_EQ(results[0].status.code(), StatusCode::kUnavailable);
  EXPECT_FALSE(IsSlotDown(results[0].status)) << "then it would not be tried again";
  EXPECT_FALSE(results[0].found);
  EXPECT_EQ(results[1].value, "b");
}

TEST_F(HoldsTest, WaitingCallsGoOnWhenTheHoldEnds) {
  CallWhileHeld(SlotState::kServing, [&] { EXPECT_TRUE(node_->Put("foo", "1").ok()); });
  CallWhileHeld(SlotState::kServing, [&] { EXPECT_EQ(*node_->Get("foo"), "1"); });
  CallWhileHeld(SlotState::kCopying, [&] {
    EXPECT_TRUE(
        node_->Modify("foo", {}, [](const ReadResult&) { return Modification::Put("2"); }).ok());
  });
  CallWhileHeld(SlotState::kServing, [&] {
    ScanPage page;
    EXPECT_TRUE((*node_->NewCursor({}))->Next(PageLimits(), &page).ok());
    EXPECT_EQ(page.size(), 1U);
  });
  CallWhileHeld(SlotState::kServing, [&] {
    WriteBatch range;
    range.DeleteRange("", "");
    EXPECT_TRUE(node_->Write(range, {}, nullptr).ok());
  });
  EXPECT_EQ(*node_->Get("foo"), std::nullopt);
}

TEST_F(HoldsTest, WaitingCallsAreMovedWhenTheSlotIs) {
  const auto elsewhere = SlotState::kElsewhere;
  CallWhileHeld(elsewhere, [&] { EXPECT_TRUE(IsMoved(node_->Put("foo", "1"))); });
  CallWhileHeld(elsewhere, [&] { EXPECT_TRUE(IsMoved(node_->Get("foo").status())); });
  CallWhileHeld(elsewhere, [&] {
    EXPECT_TRUE(IsMoved(
        node_->Modify("foo", {}, [](const ReadResult&) { return Modification::Nothing(); })));
  });
  CallWhileHeld(SlotState::kDown, [&] { EXPECT_TRUE(IsSlotDown(node_->Put("foo", "1"))); });
}

TEST_F(HoldsTest, CloseEndsAllThatIsHeld) {
  Set({kFoo}, SlotState::kHeld);
  Submitted held(node_.get(), {{"foo", "1"}});
  std::vector<std::thread> waiting;
  const auto is_closed = [](const absl::Status& status) {
    return status.code() == StatusCode::kFailedPrecondition;
  };
  const auto cursor = *node_->NewCursor({});
  waiting.emplace_back([&] { EXPECT_TRUE(is_closed(node_->Put("foo", "1"))); });
  waiting.emplace_back([&] { EXPECT_TRUE(is_closed(node_->Get("foo").status())); });
  waiting.emplace_back([&] {
    EXPECT_TRUE(is_closed(
        node_->Modify("foo", {}, [](const ReadResult&) { return Modification::Nothing(); })));
  });
  waiting.emplace_back([&] {
    ScanPage page;
    EXPECT_TRUE(is_closed(cursor->Next(PageLimits(), &page)));
  });
  EXPECT_TRUE(node_->Close().ok());
  for (std::thread& thread : waiting) thread.join();
  ASSERT_TRUE(held.has_ended);
  EXPECT_TRUE(is_closed(held.status));
  EXPECT_EQ(held.results.results.size(), 1U);
  Submitted late(node_.get(), {{"foo", "1"}});
  EXPECT_TRUE(late.has_ended && is_closed(late.status));
  Set({kFoo}, SlotState::kServing);
  EXPECT_TRUE(is_closed(node_->Put("foo", "1")));
  EXPECT_EQ(below_.log(), (Log{"foo=1"})) << "only the last one was let go on, to a closed store";
}

TEST_F(HoldsTest, AStoreThatIsDestroyedHasEndedWhatWasHeld) {
  Set({kFoo}, SlotState::kHeld);
  Submitted held(node_.get(), {{"foo", "1"}});
  node_.reset();
  EXPECT_TRUE(held.has_ended);
  EXPECT_EQ(held.status.code(), StatusCode::kFailedPrecondition);
}

TEST_F(HoldsTest, WritersWaitForRoomInTheOutbox) {
  const auto outbox = std::make_shared<Outbox>(&below_);
  node_->SetOutbox(outbox);
  Set({kFoo}, SlotState::kCopying);
  const std::string large(Outbox::kRoom, 'v');
  Submitted submitted(node_.get(), {{"foo", large}});
  EXPECT_FALSE(submitted.has_ended);
  EXPECT_TRUE(node_->Put("bar", large).ok()) << "others do not";
  node_->slots()->calls()->Flip();
  EXPECT_TRUE(node_->slots()->calls()->Drained()) << "who waits for room is not under way";
  std::atomic<int> returned{0};
  std::vector<std::thread> waiting;
  waiting.emplace_back([&] {
    EXPECT_TRUE(node_->Put("foo", large).ok());
    ++returned;
  });
  waiting.emplace_back([&] {
    EXPECT_TRUE(
        node_->Modify("foo", {}, [&](const ReadResult&) { return Modification::Put(large); }).ok());
    ++returned;
  });
  while (outbox->bytes() < 3 * Outbox::kRoom) std::this_thread::yield();
  // Who did not wait would mostly be back by now.
  for (int i = 0; i < 1000; ++i) std::this_thread::yield();
  EXPECT_EQ(returned, 0);
  std::vector<Effect> effects;
  outbox->Take(~size_t{0}, &effects);
  EXPECT_TRUE(submitted.has_ended);
  for (std::thread& thread : waiting) thread.join();
}

// Over a store whose writes end later, on another thread.
TEST(SlowHoldsTest, AWriteIsUnderWayUntilItsEffectIsInTheOutbox) {
  SlowStoreOptions options;
  options.by_itself = false;
  SlowStore below(NewMemoryStore(), options);
  std::vector<Task> tasks;
  const auto outbox = std::make_shared<Outbox>(&below);
  NodeStore node(&below, [&](Task task) { tasks.push_back(std::move(task)); });
  InFlight* const calls = node.slots()->calls();
  node.SetOutbox(outbox);
  const uint16_t foo = kFoo;
  for (const SlotState state : {SlotState::kServing, SlotState::kCopying}) {
    node.SetStates(absl::MakeConstSpan(&foo, 1), state);
    Submitted write(&node, {{"foo", "1"}});
    calls->Flip();
    EXPECT_FALSE(calls->Drained());
    EXPECT_EQ(below.Commit(), 1U);
    if (state == SlotState::kCopying) {
      EXPECT_FALSE(write.has_ended) << "the store must not be read where a write ends";
      EXPECT_FALSE(calls->Drained());
      ASSERT_EQ(tasks.size(), 1U);
      // By then the slot may be held: the write saw the copying all the same.
      node.SetStates(absl::MakeConstSpan(&foo, 1), SlotState::kHeld);
      std::thread([&] { tasks[0](); }).join();
      EXPECT_FALSE(outbox->empty());
    }
    EXPECT_TRUE(write.has_ended);
    EXPECT_TRUE(calls->Drained());
  }
  EXPECT_TRUE(tasks.size() == 1);
}

TEST(SlowHoldsTest, AStoreThatIsDestroyedWaitsForWhatItsPoolHas) {
  const auto below = std::make_unique<SlowStore>(NewMemoryStore());
  const auto outbox = std::make_shared<Outbox>(below.get());
  TestPool pool;
  std::vector<std::unique_ptr<Submitted>> writes;
  {
    NodeStore node(below.get(), [&](Task task) { pool.Run(std::move(task)); });
    node.SetOutbox(outbox);
    node.SetStates(AllSlots(), SlotState::kCopying);
    for (int i = 0; i < 100; ++i) {
      writes.push_back(std::make_unique<Submitted>(&node, Submitted::Pairs{{"foo", "1"}}));
    }
  }
  for (const auto& write : writes) EXPECT_TRUE(write->has_ended);
}

// Slots are held and released as fast as can be while threads submit and write. Nobody's writes
// come in another order than they were made in, and none is forgotten.
void SubmitBesideHolds(SlotState between, std::unique_ptr<Store> store, int holds) {
  NotingStore below(std::move(store));
  TestPool pool;
  NodeStore node(&below, [&](Task task) { pool.Run(std::move(task)); });
  std::vector<uint16_t> slots;
  constexpr int kThreads = 3;
  constexpr int kKeys = 3;  // of each thread
  const auto key_of = [](int t, int k) { return absl::StrCat("key", t, "-", k); };
  for (int t = 0; t < kThreads; ++t) {
    for (int k = 0; k < kKeys; ++k) slots.push_back(KeySlot(key_of(t, k)));
  }
  const auto outbox = std::make_shared<Outbox>(&below);
  node.SetOutbox(outbox);
  TestTaker taker(outbox, [](const std::vector<Effect>&) {});
  node.SetStates(slots, between);
  std::atomic<bool> stop{false};
  std::vector<std::vector<std::unique_ptr<Submitted>>> writes(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; !stop && i < 50000; ++i) {
        const std::string value = absl::StrCat(i);
        Submitted::Pairs puts = {{key_of(t, i % kKeys), value}};
        if (i % 5 == 0) puts.push_back({key_of(t, (i + 1) % kKeys), value});
        if (i % 1000 == 999) {
          EXPECT_TRUE(node.Put(puts[0].first, value).ok());
          ReadOptions options;
          options.stamp = true;
          ReadResults read;
          node.Read(puts[0].first, options, &read);
          EXPECT_TRUE(read[0].status.ok()) << read[0].status;
          WriteBatch batch;
          batch.Put(puts[0].first, value);
          batch.RequireUnchanged(puts[0].first, read[0].stamp);
          WriteOptions atomic;
          atomic.atomic = true;
          const absl::Status status = node.Write(batch, atomic, nullptr);
          EXPECT_TRUE(status.ok() || absl::IsFailedPrecondition(status)) << status;
        } else {
          writes[static_cast<size_t>(t)].push_back(
              std::make_unique<Submitted>(&node, std::move(puts)));
        }
      }
    });
  }
  for (int i = 0; i < holds; ++i) {
    const auto first = slots.begin() + i % 5;
    const absl::Span<const uint16_t> some(&*first, 1 + static_cast<size_t>(i) % 4);
    node.SetStates(some, SlotState::kHeld);
    for (int y = 0; y < i % 3; ++y) std::this_thread::yield();
    node.SetStates(some, between);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  node.SetStates(slots, between);
  node.slots()->calls()->Flip();
  while (!node.slots()->calls()->Drained()) std::this_thread::yield();
  taker.Finish();
  size_t forgotten = 0;
  for (const auto& of_thread : writes) {
    for (const auto& write : of_thread) {
      if (!write->has_ended) ++forgotten;
      EXPECT_TRUE(!write->has_ended || write->status.ok()) << write->status;
    }
  }
  EXPECT_EQ(forgotten, 0U);
  std::map<std::string, int> last;
  int overtaken = 0;
  for (const std::string& entry : below.log()) {
    const size_t equals = entry.find('=');
    int value = 0;
    ASSERT_TRUE(absl::SimpleAtoi(entry.substr(equals + 1), &value));
    int& before = last[entry.substr(0, equals)];
    if (value < before) ++overtaken;
    before = value;
  }
  EXPECT_EQ(overtaken, 0);
}

TEST(HoldsStressTest, NothingIsOvertakenOrForgottenBesideServing) {
  SubmitBesideHolds(SlotState::kServing, NewMemoryStore(), 20000);
}

TEST(HoldsStressTest, NothingIsOvertakenOrForgottenBesideCopying) {
  SubmitBesideHolds(SlotState::kCopying, NewMemoryStore(), 20000);
}

}  // namespace
}  // namespace cluster
}  // namespace kvarts
