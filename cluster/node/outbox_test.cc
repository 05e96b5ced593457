#include "cluster/node/outbox.h"

#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cluster/node/node_fixture.h"
#include "cluster/node/node_store.h"
#include "gtest/gtest.h"
#include "storage/layers/forwarding_store.h"
#include "storage/memory/memory.h"

namespace kvarts {
namespace cluster {
namespace {

// Applies effects as the node that slots move to does.
void ApplyTo(Store* target, const std::vector<Effect>& effects) {
  WriteBatch batch;
  for (const Effect& effect : effects) {
    if (effect.found) {
      batch.Put(effect.key, effect.value, Metadata::Of(effect.expires_at_ms, effect.content_type));
    } else {
      batch.Delete(effect.key);
    }
  }
  ASSERT_TRUE(target->Write(batch, {}, nullptr).ok());
}

using Entries = std::map<std::string, std::string>;

// By key: value, type and expiry.
Entries EntriesOf(Store& store) {
  Entries entries;
  const auto cursor = *store.NewCursor({});
  ScanPage page;
  do {
    EXPECT_TRUE(cursor->Next(PageLimits(), &page).ok());
    for (const ScanEntry& entry : page) {
      entries[std::string(entry.key)] =
          absl::StrCat(entry.value, "|", entry.content_type, "|", entry.expires_at_ms);
    }
  } while (!page.empty());
  return entries;
}

std::vector<std::string> KeysOf(const std::vector<Effect>& effects) {
  std::vector<std::string> keys;
  for (const Effect& effect : effects) keys.push_back(effect.key);
  return keys;
}

void Add(Outbox* outbox, absl::string_view key) { outbox->Add(absl::MakeConstSpan(&key, 1)); }

TEST(OutboxTest, AnEffectIsWhatTheKeyIsWithTypeAndExpiry) {
  const auto store = NewMemoryStore();
  const int64_t later = absl::ToUnixMillis(absl::Now()) + 1000000;
  ASSERT_TRUE(store->Put("k", "v", Metadata::Of(later, "t/1")).ok());
  Outbox outbox(store.get());
  outbox.Add({"k", "absent"});
  EXPECT_FALSE(outbox.empty());
  std::vector<Effect> effects;
  EXPECT_EQ(outbox.Take(1 << 20, &effects), 2U);
  EXPECT_TRUE(effects[0].found);
  EXPECT_EQ(effects[0].value, "v");
  EXPECT_EQ(effects[0].content_type, "t/1");
  EXPECT_EQ(effects[0].expires_at_ms, later);
  EXPECT_EQ(effects[1].key, "absent");
  EXPECT_FALSE(effects[1].found);
  EXPECT_TRUE(outbox.empty());
  EXPECT_EQ(outbox.bytes(), 0U);
}

TEST(OutboxTest, TakesGoByTheBytesAndKeepTheOrder) {
  const auto store = NewMemoryStore();
  Outbox outbox(store.get());
  std::vector<std::string> keys;
  for (int i = 0; i < 100; ++i) {
    keys.push_back(absl::StrCat("key", i));
    Add(&outbox, keys.back());
  }
  const size_t all = outbox.bytes();
  std::vector<Effect> effects;
  EXPECT_EQ(outbox.Take(1, &effects), 1U) << "at least one";
  EXPECT_EQ(outbox.bytes(), all - effects[0].bytes());
  while (outbox.Take(300, &effects) > 0) {
    EXPECT_EQ(outbox.empty(), effects.size() == keys.size());
    if (effects.size() == 50) Add(&outbox, keys.emplace_back("late"));
  }
  EXPECT_EQ(KeysOf(effects), keys);
  EXPECT_EQ(outbox.bytes(), 0U);
}

// Fails reads when told to.
class FailingStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    if (fails) return results->Fail(keys.size(), absl::DataLossError("a bad block"));
    ForwardingStore::MultiGet(keys, options, results);
  }
  std::atomic<bool> fails{false};
};

TEST(OutboxTest, AnErrorOfTheStoreIsKeptAndNothingIsQueuedAfterIt) {
  FailingStore store(NewMemoryStore());
  Outbox outbox(&store);
  Add(&outbox, "first");
  store.fails = true;
  Add(&outbox, "second");
  store.fails = false;
  Add(&outbox, "third");
  EXPECT_EQ(outbox.status().code(), absl::StatusCode::kDataLoss);
  std::vector<Effect> effects;
  outbox.Take(1 << 20, &effects);
  EXPECT_EQ(KeysOf(effects), std::vector<std::string>{"first"});
}

// More than there is room for: of keys "0" on.
void Fill(Store* store, Outbox* outbox) {
  const std::string value(size_t{1} << 20, 'v');
  for (int i = 0; outbox->bytes() <= Outbox::kRoom; ++i) {
    ASSERT_TRUE(store->Put(absl::StrCat(i), value).ok());
    Add(outbox, absl::StrCat(i));
  }
}

TEST(OutboxTest, WritersGoOnOnceThereIsRoom) {
  const auto store = NewMemoryStore();
  Outbox outbox(store.get());
  int went_on = 0;
  outbox.WhenRoom([&] { ++went_on; });
  EXPECT_EQ(went_on, 1) << "there is room at first";
  outbox.WaitForRoom();
  Fill(store.get(), &outbox);
  outbox.WhenRoom([&] { ++went_on; });
  outbox.WhenRoom([&] { ++went_on; });
  std::atomic<bool> waits{true};
  std::thread writer([&] {
    outbox.WaitForRoom();
    EXPECT_FALSE(waits);
  });
  EXPECT_EQ(went_on, 1);
  waits = false;
  std::vector<Effect> effects;
  ASSERT_EQ(outbox.Take(1, &effects), 1U);
  EXPECT_LE(outbox.bytes(), Outbox::kRoom);
  EXPECT_EQ(went_on, 3);
  writer.join();
}

TEST(OutboxTest, CloseLetsAllGoOnAndQueuesNothingMore) {
  const auto store = NewMemoryStore();
  Outbox outbox(store.get());
  Fill(store.get(), &outbox);
  int went_on = 0;
  outbox.WhenRoom([&] { ++went_on; });
  std::thread writer([&] { outbox.WaitForRoom(); });
  outbox.Close();
  writer.join();
  EXPECT_EQ(went_on, 1);
  EXPECT_EQ(outbox.bytes(), 0U);
  Add(&outbox, "0");
  EXPECT_TRUE(outbox.empty());
  outbox.WhenRoom([&] { ++went_on; });
  outbox.WaitForRoom();
  EXPECT_EQ(went_on, 2);
}

TEST(OutboxTest, AnOutboxThatEndsLetsAllGoOn) {
  const auto store = NewMemoryStore();
  int went_on = 0;
  {
    Outbox outbox(store.get());
    Fill(store.get(), &outbox);
    outbox.WhenRoom([&] { ++went_on; });
  }
  EXPECT_EQ(went_on, 1);
}

TEST(OutboxTest, ClosedItKeepsNoBytesOfTheStore) {
  // Values of this size are lent by the store, which tells when the last one lets go.
  const auto store = NewMemoryStore();
  ASSERT_TRUE(store->Put("k", std::string(size_t{8} << 20, 'v')).ok());
  const uint64_t with = store->Stats()->memory_bytes;
  Outbox outbox(store.get());
  Add(&outbox, "k");
  outbox.Close();
  ASSERT_TRUE(store->Delete("k").ok());
  EXPECT_LT(store->Stats()->memory_bytes + (size_t{7} << 20), with);
}

constexpr const char* kKeys[] = {"k0", "k1", "k2", "k3"};

std::vector<uint16_t> SlotsOfKeys() {
  std::vector<uint16_t> slots;
  for (const char* key : kKeys) slots.push_back(KeySlot(key));
  return slots;
}

// One write of a random kind, of one of the few keys that all threads write.
void WriteRandomly(NodeStore* node, std::mt19937* random, int64_t later) {
  const std::string key = absl::StrCat("k", (*random)() % 4);
  const std::string value = absl::StrCat((*random)());
  // What the batch borrows lives until its end.
  const std::string other = absl::StrCat("k", (*random)() % 4);
  const std::string type =
      (*random)() % 2 == 0 ? std::string() : absl::StrCat("t/", (*random)() % 3);
  const Metadata metadata = Metadata::Of(
      (*random)() % 2 == 0 ? 0 : later + static_cast<int64_t>((*random)() % 100000), type);
  WriteBatch batch;
  switch ((*random)() % 8) {
    case 0:
      EXPECT_TRUE(node->Delete(key).ok());
      return;
    case 1:
      batch.Touch(key, metadata);
      break;
    case 2:
    case 3:
      EXPECT_TRUE(node->Modify(key, {},
                               [&](const ReadResult& now) -> absl::StatusOr<Modification> {
                                 if (now.found && now.value.size() > 40)
                                   return Modification::Delete();
                                 return Modification::Put(absl::StrCat(now.value, value));
                               })
                      .ok());
      return;
    case 4:
      batch.Put(key, value);
      batch.Put(other, value, metadata);
      batch.Delete(key);
      batch.Put(key, "last");
      break;
    default:
      batch.Put(key, value, metadata);
  }
  if ((*random)() % 2 == 0) {
    EXPECT_TRUE(node->Write(batch, {}, nullptr).ok());
    return;
  }
  std::atomic<bool> ended{false};
  node->Submit(batch, {}, nullptr, [&](const absl::Status& status) {
    EXPECT_TRUE(status.ok());
    ended = true;
  });
  while (!ended) std::this_thread::yield();  // there is not so much that it must wait for room
}

// Each round moves all slots once: a pass beside writers, a hold, and the copy must be equal. Few
// keys, and a pass over them again and again, make every order of reads and writes happen.
TEST(OutboxTest, BesideRandomWritesAndAPassTheCopyBecomesTheSame) {
  constexpr int kRounds = 300;
  constexpr int kWriters = 2;
  const std::vector<uint16_t> slots = SlotsOfKeys();
  const int64_t later = absl::ToUnixMillis(absl::Now()) + 100000000;
  for (int round = 0; round < kRounds; ++round) {
    const auto source = NewMemoryStore();
    const auto target = NewMemoryStore();
    NodeStore node(source.get(), [](Task) { FAIL() << "the store does not block"; });
    node.SetStates(slots, SlotState::kServing);
    const auto outbox = std::make_shared<Outbox>(source.get());
    node.SetOutbox(outbox);
    TestTaker taker(outbox,
                    [&](const std::vector<Effect>& effects) { ApplyTo(target.get(), effects); });
    std::atomic<int> writing{kWriters};
    std::vector<std::thread> writers;
    for (int t = 0; t < kWriters; ++t) {
      writers.emplace_back([&, t] {
        std::mt19937 random(static_cast<unsigned>(round * kWriters + t));
        for (int i = 0; i < 40; ++i) WriteRandomly(&node, &random, later);
        --writing;
      });
    }
    node.SetStates(slots, SlotState::kCopying);
    node.slots()->calls()->Flip();
    while (!node.slots()->calls()->Drained()) std::this_thread::yield();
    do {
      for (const char* key : kKeys) Add(outbox.get(), key);
      std::this_thread::yield();  // the outbox's lock is not fair to writers
    } while (writing > 0);
    for (std::thread& writer : writers) writer.join();
    taker.Finish();
    ASSERT_TRUE(outbox->status().ok());
    ASSERT_EQ(EntriesOf(*source), EntriesOf(*target)) << "in round " << round;
  }
}

// As a move ends: slots are held under writers, and what is acknowledged until then is in the copy
// once the calls are drained. Then the hold ends without a move, and all goes on.
TEST(OutboxTest, OnceAHoldIsDrainedTheCopyHasAllThatWasWritten) {
  constexpr int kHolds = 2000;
  const int64_t later = absl::ToUnixMillis(absl::Now()) + 100000000;
  const auto source = NewMemoryStore();
  const auto target = NewMemoryStore();
  NodeStore node(source.get(), [](Task) { FAIL() << "the store does not block"; });
  const auto outbox = std::make_shared<Outbox>(source.get());
  node.SetOutbox(outbox);
  const std::vector<uint16_t> slots = SlotsOfKeys();
  node.SetStates(slots, SlotState::kCopying);
  std::atomic<bool> stop{false};
  std::vector<std::thread> writers;
  for (unsigned t = 0; t < 3; ++t) {
    writers.emplace_back([&, t] {
      std::mt19937 random(t);
      while (!stop) WriteRandomly(&node, &random, later);
    });
  }
  std::vector<Effect> effects;
  int differ = 0;
  for (int i = 0; i < kHolds; ++i) {
    node.SetStates(slots, SlotState::kHeld);
    node.slots()->calls()->Flip();
    while (!node.slots()->calls()->Drained()) std::this_thread::yield();
    effects.clear();
    outbox->Take(~size_t{0}, &effects);
    ApplyTo(target.get(), effects);
    if (EntriesOf(*source) != EntriesOf(*target)) ++differ;
    node.SetStates(slots, SlotState::kCopying);
    std::this_thread::yield();
  }
  stop = true;
  // A submitted write of a writer may wait for room that only a taker makes.
  outbox->Close();
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(differ, 0) << "of " << kHolds;
}

}  // namespace
}  // namespace cluster
}  // namespace kvarts
