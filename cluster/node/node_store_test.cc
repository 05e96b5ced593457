#include "cluster/node/node_store.h"

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/slot.h"
#include "cluster/busy_slots.h"
#include "cluster/node/node_fixture.h"
#include "gtest/gtest.h"
#include "net/cluster_map.h"
#include "storage/layers/forwarding_store.h"
#include "storage/memory/memory.h"
#include "storage/slot_status.h"
#include "testing/model/manual_clock.h"
#include "testing/model/model_store.h"

// What is a node's own; the contract of a store is tested by the suite, and holds by
// node_store_holds_test.cc.
namespace kvarts {
namespace cluster {
namespace {

using absl::StatusCode;

// Runs what a test hands it in the middle of a read, once the store has answered or before.
class InterruptedStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    ForwardingStore::MultiGet(keys, options, results);
    if (after_read) std::exchange(after_read, nullptr)();
  }
  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override {
    const absl::Status status = ForwardingStore::Write(batch, options, results);
    if (after_write) std::exchange(after_write, nullptr)();
    return status;
  }
  void Submit(const WriteBatch& batch, const WriteOptions& options, WriteResults* results,
              WriteDone done) override {
    done(Write(batch, options, results));
  }
  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options) override {
    auto cursor = ForwardingStore::NewCursor(options);
    if (!cursor.ok()) return cursor.status();
    return std::unique_ptr<Cursor>(std::make_unique<InterruptedCursor>(*std::move(cursor), this));
  }

  std::function<void()> after_read;
  std::function<void()> after_write;
  std::function<void()> after_page;

 private:
  class InterruptedCursor final : public Cursor {
   public:
    InterruptedCursor(std::unique_ptr<Cursor> under, InterruptedStore* store)
        : under_(std::move(under)), store_(store) {}
    absl::Status Next(const PageLimits& limits, ScanPage* page) override {
      const absl::Status status = under_->Next(limits, page);
      if (store_->after_page) std::exchange(store_->after_page, nullptr)();
      return status;
    }
    std::string position() const override { return under_->position(); }

   private:
    const std::unique_ptr<Cursor> under_;
    InterruptedStore* const store_;
  };
};

// "foo" is in slot 12182, "bar" in 5061, "hello" in 866.
constexpr uint16_t kFoo = 12182;
constexpr uint16_t kBar = 5061;
constexpr uint16_t kHello = 866;

TEST(SlotsTest, TheTestsKeysAreInTheseSlots) {
  EXPECT_EQ(KeySlot("foo"), kFoo);
  EXPECT_EQ(KeySlot("bar"), kBar);
  EXPECT_EQ(KeySlot("hello"), kHello);
}

class NodeStoreTest : public testing::Test {
 protected:
  NodeStoreTest() {
    MemoryOptions options;
    options.clock = &clock_;
    below_ = std::make_unique<InterruptedStore>(NewMemoryStore(options));
    node_ = std::make_unique<NodeStore>(below_.get(), [](Task task) { task(); });
    node_->SetStates(AllSlots(), SlotState::kServing);
  }

  void Set(uint16_t slot, SlotState state) {
    node_->SetStates(absl::MakeConstSpan(&slot, 1), state);
  }
  // Slot `kFoo` is another node's, which is alive or not.
  void GiveFooAway(bool is_alive = true) {
    auto map = std::make_shared<ClusterMap>();
    map->nodes.resize(2);
    map->myself = 0;
    map->nodes[1].host = "10.0.0.2";
    map->nodes[1].resp_port = 7379;
    map->nodes[1].http_port = 8080;
    map->nodes[1].is_alive = is_alive;
    map->owner.fill(0);
    map->owner[kFoo] = 1;
    node_->slots()->SetMap(std::move(map));
    Set(kFoo, SlotState::kElsewhere);
  }
  std::shared_ptr<Outbox> CopyFoo() {
    auto outbox = std::make_shared<Outbox>(below_.get());
    node_->SetOutbox(outbox);
    Set(kFoo, SlotState::kCopying);
    return outbox;
  }
  static std::vector<Effect> Take(Outbox* outbox) {
    std::vector<Effect> effects;
    outbox->Take(~size_t{0}, &effects);
    return effects;
  }
  absl::Status StatusOf(absl::string_view key) { return node_->Get(key).status(); }
  Stamp StampOf(absl::string_view key) {
    ReadOptions options;
    options.stamp = true;
    ReadResults results;
    node_->Read(key, options, &results);
    EXPECT_TRUE(results[0].status.ok());
    return results[0].stamp;
  }
  // A put of `key` where it has that stamp still.
  absl::Status PutIf(absl::string_view key, const Stamp& stamp) {
    WriteBatch batch;
    batch.Put(key, "under a condition");
    batch.RequireUnchanged(key, stamp);
    WriteOptions atomic;
    atomic.atomic = true;
    return node_->Write(batch, atomic, nullptr);
  }
  absl::StatusOr<std::set<std::string>> Scan(std::vector<SlotRange> slots = {},
                                             size_t entries = 1000) {
    ScanOptions options;
    options.slots = std::move(slots);
    std::set<std::string> keys;
    const auto cursor = *node_->NewCursor(options);
    ScanPage page;
    PageLimits limits;
    limits.entries = entries;
    do {
      const absl::Status status = cursor->Next(limits, &page);
      if (!status.ok()) return status;
      for (const ScanEntry& entry : page) keys.emplace(entry.key);
    } while (!page.empty());
    return keys;
  }
  void PutAll() {
    for (const char* key : {"foo", "bar", "hello"}) ASSERT_TRUE(below_->Put(key, "old").ok());
  }

  ManualClock clock_;
  std::unique_ptr<InterruptedStore> below_;
  std::unique_ptr<NodeStore> node_;
};

using Keys = std::set<std::string>;

TEST_F(NodeStoreTest, AKeyElsewhereIsMovedToItsOwnerInTheMap) {
  GiveFooAway();
  const auto moved = MovedTo(StatusOf("foo"));
  ASSERT_TRUE(moved.has_value());
  EXPECT_EQ(moved->slot, kFoo);
  EXPECT_EQ(moved->resp, "10.0.0.2:7379");
  EXPECT_EQ(moved->http, "http://10.0.0.2:8080");
  EXPECT_TRUE(IsMoved(node_->Put("foo", "v")));
  EXPECT_TRUE(IsMoved(node_->Modify("foo", {}, [](const ReadResult&) {
    ADD_FAILURE() << "it is another node's";
    return Modification::Nothing();
  })));
  EXPECT_TRUE(StatusOf("bar").ok());
}

TEST_F(NodeStoreTest, AKeyWhoseOwnerIsDeadOrUnknownIsDown) {
  GiveFooAway(/*is_alive=*/false);
  EXPECT_TRUE(IsSlotDown(StatusOf("foo")));
  Set(kBar, SlotState::kElsewhere);  // the map says that it is this node's
  EXPECT_TRUE(IsSlotDown(StatusOf("bar")));
  node_->slots()->SetMap(std::make_shared<ClusterMap>());
  EXPECT_TRUE(IsSlotDown(StatusOf("foo")));
  Set(kHello, SlotState::kDown);
  EXPECT_TRUE(IsSlotDown(node_->Put("hello", "v")));
}

TEST_F(NodeStoreTest, EachKeyOfAReadHasItsOwnOutcomeAndForeignBytesAreNotShown) {
  PutAll();
  GiveFooAway();
  Set(kHello, SlotState::kDown);
  ReadResults results;
  node_->MultiGet({"foo", "bar", "hello", "foo"}, {}, &results);
  EXPECT_TRUE(IsMoved(results[0].status));
  EXPECT_FALSE(results[0].found);
  EXPECT_EQ(results[0].value, "");
  EXPECT_EQ(results[1].value, "old");
  EXPECT_TRUE(IsSlotDown(results[2].status));
  EXPECT_TRUE(IsMoved(results[3].status));
}

TEST_F(NodeStoreTest, EachMutationOfABatchHasItsOwnOutcome) {
  PutAll();
  GiveFooAway();
  WriteBatch batch;
  batch.Delete("bar");
  batch.Put("foo", "new");
  batch.Delete("absent");
  WriteOptions options;
  options.report_existed = true;
  for (const bool submit : {false, true}) {
    WriteResults results;
    absl::Status status;
    if (submit) {
      node_->Submit(batch, options, &results, [&](const absl::Status& end) { status = end; });
    } else {
      status = node_->Write(batch, options, &results);
    }
    EXPECT_TRUE(IsMoved(status));
    ASSERT_EQ(results.results.size(), 3U);
    EXPECT_EQ(results.results[0].existed, !submit);
    EXPECT_TRUE(IsMoved(results.results[1].status));
    EXPECT_TRUE(results.results[2].status.ok());
  }
  EXPECT_EQ(*below_->Get("foo"), "old");
}

TEST_F(NodeStoreTest, AnAtomicBatchOfASlotElsewhereIsRefusedWhole) {
  PutAll();
  GiveFooAway();
  WriteBatch batch;
  batch.Put("foo", "new");
  batch.Put("{foo}2", "new");
  batch.RequirePresent("foo");
  WriteOptions options;
  options.atomic = true;
  WriteResults results;
  EXPECT_TRUE(IsMoved(node_->Write(batch, options, &results)));
  ASSERT_EQ(results.results.size(), 2U);
  EXPECT_TRUE(IsMoved(results.results[0].status));
  EXPECT_TRUE(IsMoved(results.results[1].status));
  WriteBatch conditions;
  conditions.RequirePresent("foo");
  EXPECT_TRUE(IsMoved(node_->Write(conditions, options, &results)));
  EXPECT_TRUE(results.results.empty()) << "one outcome a mutation";
  EXPECT_EQ(*below_->Get("foo"), "old");
}

TEST_F(NodeStoreTest, AnAtomicBatchOfSeveralSlotsIsInvalid) {
  WriteOptions options;
  options.atomic = true;
  for (const bool by_condition : {false, true}) {
    WriteBatch batch;
    batch.Put("foo", "v");
    by_condition ? batch.RequireAbsent("bar") : batch.Put("bar", "v");
    EXPECT_EQ(node_->Write(batch, options, nullptr).code(), StatusCode::kInvalidArgument);
    absl::Status submitted;
    node_->Submit(batch, options, nullptr, [&](const absl::Status& end) { submitted = end; });
    EXPECT_EQ(submitted.code(), StatusCode::kInvalidArgument);
  }
  WriteBatch range;
  range.DeleteRange("a", "b");
  EXPECT_EQ(node_->Write(range, options, nullptr).code(), StatusCode::kInvalidArgument);
}

TEST_F(NodeStoreTest, EveryCallIsUnderWayWhileTheStoreUnderItWorks) {
  PutAll();
  InFlight* const calls = node_->slots()->calls();
  int looks = 0;
  const auto look = [&] {
    calls->Flip();
    EXPECT_FALSE(calls->Drained());
    ++looks;
  };
  below_->after_read = look;
  EXPECT_TRUE(StatusOf("foo").ok());
  EXPECT_TRUE(calls->Drained());
  below_->after_write = look;
  EXPECT_TRUE(node_->Put("foo", "v").ok());
  EXPECT_TRUE(calls->Drained());
  WriteBatch batch;
  batch.Put("foo", "v");
  below_->after_write = look;
  node_->Submit(batch, {}, nullptr, [](const absl::Status& end) { EXPECT_TRUE(end.ok()); });
  EXPECT_TRUE(calls->Drained());
  EXPECT_TRUE(node_
                  ->Modify("foo", {},
                           [&](const ReadResult&) {
                             look();
                             return Modification::Nothing();
                           })
                  .ok());
  EXPECT_TRUE(calls->Drained());
  below_->after_page = look;
  EXPECT_TRUE(Scan().ok());
  EXPECT_TRUE(calls->Drained());
  EXPECT_EQ(looks, 5);
}

TEST_F(NodeStoreTest, WhatComesToBeServedInTheMiddleOfAReadWasReadTooEarly) {
  GiveFooAway();
  below_->after_read = [this] {
    ASSERT_TRUE(below_->Put("foo", "complete").ok());
    Set(kFoo, SlotState::kServing);
  };
  EXPECT_TRUE(IsMoved(StatusOf("foo")));
  EXPECT_EQ(*node_->Get("foo"), "complete");
}

TEST_F(NodeStoreTest, AStampMatchesInItsEpochAndInNoOther) {
  PutAll();
  node_->slots()->SetEpoch(kFoo, 5);
  const Stamp stamp = StampOf("foo");
  const Stamp absent = StampOf("{foo}absent");
  EXPECT_EQ(StampOf("foo"), stamp);
  node_->slots()->SetEpoch(kFoo, 6);
  EXPECT_NE(StampOf("foo"), stamp);
  EXPECT_EQ(PutIf("foo", stamp).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(PutIf("{foo}absent", absent).code(), StatusCode::kFailedPrecondition);
  node_->slots()->SetEpoch(kFoo, 5);
  EXPECT_TRUE(PutIf("foo", stamp).ok());
  EXPECT_EQ(PutIf("foo", stamp).code(), StatusCode::kFailedPrecondition) << "it was written";
}

TEST_F(NodeStoreTest, AnEpochThatBeginsInTheMiddleOfAReadIsNotInItsStamp) {
  PutAll();
  Stamp stamp;
  node_->slots()->SetEpoch(kFoo, 5);
  below_->after_read = [this] { node_->slots()->SetEpoch(kFoo, 6); };
  stamp = StampOf("foo");
  EXPECT_EQ(PutIf("foo", stamp).code(), StatusCode::kFailedPrecondition);
}

TEST_F(NodeStoreTest, ScansShowOnlyServedSlotsWhileOthersMayBeThere) {
  PutAll();
  EXPECT_EQ(*Scan(), (Keys{"foo", "bar", "hello"}));
  node_->slots()->SetForeign(1);
  EXPECT_EQ(*Scan(), (Keys{"foo", "bar", "hello"}));
  GiveFooAway();
  EXPECT_EQ(*Scan(), (Keys{"bar", "hello"}));
  Set(kBar, SlotState::kDown);
  Set(kHello, SlotState::kCopying);
  EXPECT_EQ(*Scan({}, 1), Keys{"hello"}) << "pages of foreign entries are not the end";
}

TEST_F(NodeStoreTest, AScanOfCertainSlotsFailsWhereOneIsNotServed) {
  PutAll();
  GiveFooAway();
  EXPECT_EQ(*Scan({{kBar, kBar}}), Keys{"bar"});
  EXPECT_TRUE(IsMoved(Scan({{kBar, kFoo}}).status()));
  Set(kBar, SlotState::kDown);
  EXPECT_TRUE(IsSlotDown(Scan({{kBar, kBar}}).status()));
  Set(kBar, SlotState::kHeld);
  EXPECT_EQ(Scan({{kBar, kBar}}).status().code(), StatusCode::kUnavailable);
  Set(kBar, SlotState::kServing);
  // Between two pages.
  ScanOptions options;
  options.slots = {{kHello, kBar}};
  const auto cursor = *node_->NewCursor(options);
  ScanPage page;
  PageLimits one;
  one.entries = 1;
  ASSERT_TRUE(cursor->Next(one, &page).ok());
  EXPECT_EQ(page.size(), 1U);
  Set(kBar, SlotState::kElsewhere);
  EXPECT_FALSE(cursor->Next(one, &page).ok());
  EXPECT_TRUE(page.empty());
  Set(kBar, SlotState::kServing);
  ASSERT_TRUE(cursor->Next(one, &page).ok()) << "it stands where it stood";
  EXPECT_EQ(page.size(), 1U);
}

TEST_F(NodeStoreTest, APageHasNothingOfASlotThatCameWhileItWasRead) {
  PutAll();
  GiveFooAway();
  node_->slots()->SetForeign(1);
  below_->after_page = [this] {
    node_->slots()->SetForeign(0);
    Set(kFoo, SlotState::kServing);
  };
  EXPECT_EQ(*Scan(), (Keys{"bar", "hello"})) << "it may have been read before it was complete";
  EXPECT_EQ(*Scan(), (Keys{"foo", "bar", "hello"}));
  below_->after_page = [this] {
    Set(kFoo, SlotState::kHeld);
    Set(kFoo, SlotState::kServing);
  };
  EXPECT_EQ(*Scan(), (Keys{"foo", "bar", "hello"})) << "a hold that moved nothing hides nothing";
}

TEST_F(NodeStoreTest, APageHasNothingOfLeftoversThatWereCleanedWhileItWasRead) {
  PutAll();
  GiveFooAway();
  node_->slots()->SetForeign(1);
  below_->after_page = [this] {
    ASSERT_TRUE(below_->Delete("foo").ok());
    node_->slots()->SetForeign(0);
  };
  EXPECT_EQ(*Scan(), (Keys{"bar", "hello"}));
}

TEST_F(NodeStoreTest, ARangeIsDeletedOnlyInServedSlots) {
  PutAll();
  GiveFooAway();
  node_->slots()->SetForeign(1);
  WriteBatch batch;
  batch.Put("hello", "new");
  batch.DeleteRange("", "");
  batch.Put("bar", "after");
  WriteResults results;
  ASSERT_TRUE(node_->Write(batch, {}, &results).ok());
  EXPECT_EQ(results.results.size(), 3U);
  EXPECT_EQ(*below_->Get("foo"), "old");
  EXPECT_EQ(*below_->Get("hello"), std::nullopt);
  EXPECT_EQ(*below_->Get("bar"), "after");
}

TEST_F(NodeStoreTest, ARangeIsDeletedInTheCopyToo) {
  PutAll();
  const auto outbox = CopyFoo();
  WriteBatch batch;
  batch.DeleteRange("", "");
  for (const int foreign : {0, 1}) {
    ASSERT_TRUE(below_->Put("foo", "old").ok());
    node_->slots()->SetForeign(foreign);
    ASSERT_TRUE(node_->Write(batch, {}, nullptr).ok());
    const std::vector<Effect> effects = Take(outbox.get());
    ASSERT_EQ(effects.size(), 1U) << foreign;
    EXPECT_EQ(effects[0].key, "foo");
    EXPECT_FALSE(effects[0].found);
    EXPECT_EQ(*below_->Get("bar"), std::nullopt);
  }
}

TEST_F(NodeStoreTest, ARangeBesideAKeyElsewhereIsDeleted) {
  PutAll();
  ASSERT_TRUE(below_->Delete("foo").ok());
  GiveFooAway();
  WriteBatch batch;
  batch.Put("foo", "new");
  batch.DeleteRange("foo", "");  // begins in a slot that is elsewhere
  WriteResults results;
  EXPECT_TRUE(IsMoved(node_->Write(batch, {}, &results)));
  EXPECT_TRUE(results.results[1].status.ok());
  EXPECT_EQ(*below_->Get("hello"), std::nullopt);
  EXPECT_EQ(*below_->Get("bar"), "old");
}

TEST_F(NodeStoreTest, ABadRangeIsInvalidAlsoWhileSlotsMove) {
  WriteBatch batch;
  const std::string end(kMaxKeyBytes + 2, 'z');
  batch.DeleteRange("", end);
  EXPECT_EQ(node_->Write(batch, {}, nullptr).code(), StatusCode::kInvalidArgument);
  node_->slots()->SetForeign(1);
  EXPECT_EQ(node_->Write(batch, {}, nullptr).code(), StatusCode::kInvalidArgument);
}

TEST_F(NodeStoreTest, ARangeThatMustNotWaitIsUnavailableWhileSlotsMove) {
  PutAll();
  WriteBatch batch;
  batch.DeleteRange("", "");
  absl::Status status;
  const auto submit = [&] {
    node_->Submit(batch, {}, nullptr, [&](const absl::Status& end) { status = end; });
    return status.code();
  };
  node_->slots()->SetForeign(1);
  EXPECT_EQ(submit(), StatusCode::kUnavailable);
  node_->slots()->SetForeign(0);
  Set(kFoo, SlotState::kHeld);
  EXPECT_EQ(submit(), StatusCode::kUnavailable);
  Set(kFoo, SlotState::kServing);
  CopyFoo();
  EXPECT_EQ(submit(), StatusCode::kUnavailable);
  Set(kFoo, SlotState::kServing);
  EXPECT_EQ(*node_->Get("foo"), "old");
  EXPECT_EQ(submit(), StatusCode::kOk);
  EXPECT_EQ(*node_->Get("foo"), std::nullopt);
}

TEST_F(NodeStoreTest, AStoreWithoutRangesHasNone) {
  Capabilities capabilities = ModelCapabilities();
  capabilities.delete_range = Support::kAbsent;
  ModelStoreOptions options;
  options.capabilities = capabilities;
  const auto below = NewModelStore(std::move(options));
  const NodeStore node(below.get(), [](Task task) { task(); });
  EXPECT_EQ(node.capabilities().delete_range, Support::kAbsent);
}

TEST_F(NodeStoreTest, StatsCountTheNodesOwnEntries) {
  PutAll();
  EXPECT_EQ(node_->Stats()->entries, 3U);
  GiveFooAway();
  node_->slots()->SetForeign(1);
  const StoreStats stats = *node_->Stats();
  EXPECT_EQ(stats.entries, 2U);
  EXPECT_TRUE(stats.entries_exact);
  Set(kBar, SlotState::kHeld);
  EXPECT_EQ(node_->Stats()->entries, 2U) << "it may stay, and to count must not wait";
  Set(kFoo, SlotState::kHeld);
  EXPECT_EQ(node_->Stats()->entries, 2U) << "it is another node's still";
  Set(kFoo, SlotState::kServing);
  EXPECT_EQ(node_->Stats()->entries, 3U);
}

TEST_F(NodeStoreTest, StatsNameTheBusiestOfItsSlotsWhateverTheCallsAre) {
  const auto busiest = [this] {
    const StoreStats stats = *node_->Stats();
    for (const auto& [name, value] : stats.details) {
      if (name == kBusySlotsDetail) return *ParseBusySlots(value);
    }
    return std::vector<BusySlot>();
  };
  EXPECT_TRUE(busiest().empty());
  // So many that each next kind of call comes before the one before it.
  constexpr int kCalls = 20000;
  ReadResults results;
  for (int i = 0; i < kCalls; ++i) node_->Read("foo", {}, &results);
  ASSERT_EQ(busiest().size(), 1U);
  EXPECT_EQ(busiest()[0].slot, kFoo);
  for (int i = 0; i < 2 * kCalls; ++i) EXPECT_TRUE(node_->Put("bar", "written").ok());
  EXPECT_EQ(busiest()[0].slot, kBar);
  WriteBatch batch;
  for (int i = 0; i < 4; ++i) batch.Put("hello", "submitted");
  for (int i = 0; i < kCalls; ++i) node_->Submit(batch, {}, nullptr, [](const absl::Status&) {});
  EXPECT_EQ(busiest()[0].slot, kHello);
  for (int i = 0; i < 6 * kCalls; ++i) {
    EXPECT_TRUE(
        node_->Modify("{foo}", {}, [](const ReadResult&) { return Modification::Nothing(); }).ok());
  }
  EXPECT_EQ(busiest()[0].slot, kFoo);
  EXPECT_EQ(busiest()[0].tag, "foo");
  GiveFooAway();
  EXPECT_EQ(busiest()[0].slot, kHello);
}

TEST_F(NodeStoreTest, WritesOfASlotThatIsCopiedAreInTheOutboxWithTypeAndExpiry) {
  const auto outbox = CopyFoo();
  const int64_t soon = absl::ToUnixMillis(clock_.Now()) + 1000;
  WriteBatch batch;
  batch.Put("foo", "v", Metadata::Of(soon, "t/1"));
  batch.Put("bar", "not copied");
  ASSERT_TRUE(node_->Write(batch, {}, nullptr).ok());
  WriteBatch touch;
  touch.Touch("foo", Metadata{Metadata::Change::kClear, 0, Metadata::Change::kKeep, {}});
  node_->Submit(touch, {}, nullptr, [](const absl::Status& end) { EXPECT_TRUE(end.ok()); });
  ASSERT_TRUE(
      node_->Modify("foo", {}, [](const ReadResult&) { return Modification::Put("w"); }).ok());
  const std::vector<Effect> effects = Take(outbox.get());
  ASSERT_EQ(effects.size(), 3U);
  EXPECT_EQ(effects[0].value, "v");
  EXPECT_EQ(effects[0].content_type, "t/1");
  EXPECT_EQ(effects[0].expires_at_ms, soon);
  EXPECT_EQ(effects[1].content_type, "t/1");
  EXPECT_EQ(effects[1].expires_at_ms, 0);
  EXPECT_EQ(effects[2].value, "w");
  ASSERT_TRUE(node_->Put("foo", "v", Metadata::Of(soon, "")).ok());
  clock_.Advance(absl::Seconds(2));
  ASSERT_TRUE(node_->Put("{foo}2", "v").ok());
  outbox->Add({"foo"});
  EXPECT_FALSE(Take(outbox.get()).back().found) << "what has expired is removed there too";
}

TEST_F(NodeStoreTest, AConditionalWriteOfASlotThatIsCopiedIsInTheOutbox) {
  PutAll();
  const auto outbox = CopyFoo();
  const Stamp stamp = StampOf("foo");
  ASSERT_TRUE(PutIf("foo", stamp).ok());
  ASSERT_EQ(Take(outbox.get()).size(), 1U);
  // Together with a key that is elsewhere.
  Set(kBar, SlotState::kElsewhere);
  WriteBatch batch;
  batch.Put("bar", "v");
  batch.Delete("foo");
  EXPECT_FALSE(node_->Write(batch, {}, nullptr).ok());
  const std::vector<Effect> effects = Take(outbox.get());
  ASSERT_EQ(effects.size(), 1U);
  EXPECT_EQ(effects[0].key, "foo");
}

TEST_F(NodeStoreTest, AWriteThatSawTheCopyingIsInTheOutboxThoughTheSlotIsHeldMeanwhile) {
  const auto outbox = CopyFoo();
  for (const bool submit : {false, true}) {
    below_->after_write = [this] { Set(kFoo, SlotState::kHeld); };
    WriteBatch batch;
    batch.Put("foo", "v");
    if (submit) {
      node_->Submit(batch, {}, nullptr, [](const absl::Status& end) { EXPECT_TRUE(end.ok()); });
    } else {
      ASSERT_TRUE(node_->Write(batch, {}, nullptr).ok());
    }
    EXPECT_EQ(Take(outbox.get()).size(), 1U);
    Set(kFoo, SlotState::kCopying);
  }
}

}  // namespace
}  // namespace cluster
}  // namespace kvarts
