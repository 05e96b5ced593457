#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/memory/image.h"
#include "storage/memory/table.h"
#include "storage/memory/uuid_key.h"

namespace kvarts::memory_internal {
namespace {

using Entries = std::map<std::string, std::string>;

constexpr int64_t kNow = 1000;

Capabilities All() {
  Capabilities c;
  c.write = c.conditions = c.expiry = c.content_type = c.scan = Support::kNative;
  c.delete_range = Support::kEmulatedLinear;
  c.batch_scope = BatchScope::kStore;
  return c;
}

Table::Options TableOptions(size_t max_undo_bytes, size_t max_image_bytes) {
  Table::Options options;
  options.seed = {1, 2};
  options.capabilities = All();
  options.max_undo_bytes = max_undo_bytes;
  options.max_image_bytes = max_image_bytes;
  return options;
}

// Key and value of about a KiB: some ten segments take thousands of them.
std::string Padded(int64_t number) { return absl::StrCat(number, ":", std::string(1000, 'x')); }
int64_t Number(absl::string_view value) {
  int64_t number = -1;
  EXPECT_TRUE(absl::SimpleAtoi(value.substr(0, value.find(':')), &number)) << value.substr(0, 20);
  return number;
}

void Put(Table* table, const std::string& key, const std::string& value, int64_t expires_at = 0) {
  TableKey table_key;
  table->SetKey(key, &table_key);
  Mutation mutation;
  mutation.kind = Mutation::Kind::kPut;
  mutation.key = key;
  mutation.value = value;
  if (expires_at != 0) {
    mutation.metadata.expiry = Metadata::Change::kSet;
    mutation.metadata.expires_at_ms = expires_at;
  }
  bool existed;
  ASSERT_TRUE(table->Apply(table_key, mutation, kNow, &existed).ok());
}

void Delete(Table* table, const std::string& key) {
  TableKey table_key;
  table->SetKey(key, &table_key);
  Mutation mutation;
  mutation.kind = Mutation::Kind::kDelete;
  mutation.key = key;
  bool existed;
  ASSERT_TRUE(table->Apply(table_key, mutation, kNow, &existed).ok());
}

void ApplyAtomically(Table* table, const WriteBatch& batch) {
  std::vector<TableKey> keys(batch.mutations().size());
  for (size_t i = 0; i < keys.size(); ++i) table->SetKey(batch.mutations()[i].key, &keys[i]);
  int failed = -1;
  std::vector<bool> existed(keys.size());
  const absl::Status status = table->ApplyAtomically(batch, keys, kNow, &existed, &failed);
  ASSERT_TRUE(status.ok()) << status;
}

void AddTo(Entries* entries, const Image& image) {
  for (const char* record = nullptr; (record = image.Next(record)) != nullptr;) {
    const RecordLayout layout = RecordLayout::At(record);
    EXPECT_FALSE(layout.header.has(RecordHeader::kDead));
    std::string key(record + layout.key, layout.key_size);
    if (layout.header.has(RecordHeader::kUuid)) {
      char text[kUuidTextBytes];
      UnpackUuid(key.data(), text);
      key.assign(text, kUuidTextBytes);
    }
    std::string value(record + layout.value, layout.value_size);
    if (layout.header.has(RecordHeader::kBlob)) {
      Blob* const blob = layout.BlobOf(record);
      value.assign(blob->data(), blob->size);
    }
    if (layout.ExpiresAt(record) != 0) absl::StrAppend(&value, layout.ExpiresAt(record));
    EXPECT_TRUE(entries->emplace(key, value).second) << key << " is there twice";
  }
}

// A snapshot. `at_first`, if there is one, runs once the moment is past.
Entries TakeSnapshot(Table* table, const std::function<void()>& at_first = {}) {
  Entries entries;
  bool is_first = true;
  const absl::Status status = table->TakeImages([&](const Image& image) {
    if (std::exchange(is_first, false) && at_first) at_first();
    AddTo(&entries, image);
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  return entries;
}

// Threads that work until they are told to end.
class Workers {
 public:
  void Start(const std::function<void()>& once) {
    threads_.emplace_back([this, once] {
      while (!stop_.load()) once();
    });
  }
  ~Workers() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

// Notes of what is overwritten, and images: both, or one of them as good as alone.
constexpr std::pair<size_t, size_t> kRooms[] = {
    {32 << 20, 32 << 20}, {0, 32 << 20}, {1 << 20, 32 << 20}};

class TableSnapshotRoomsTest : public testing::TestWithParam<std::pair<size_t, size_t>> {};

INSTANTIATE_TEST_SUITE_P(Rooms, TableSnapshotRoomsTest, testing::ValuesIn(kRooms));

TEST_P(TableSnapshotRoomsTest, WhatIsWrittenBehindTheMomentIsNotInIt) {
  Table table(TableOptions(GetParam().first, GetParam().second));
  Entries before;
  for (int i = 0; i < 3000; ++i) {
    before[absl::StrCat("k", i)] = Padded(i);
    Put(&table, absl::StrCat("k", i), Padded(i));
  }
  before["large"] = std::string(100'000, 'l');
  Put(&table, "large", before["large"]);
  ASSERT_GT(table.sums().segments, 10u);
  // The first image is held back while everything is overwritten, deleted and added to.
  const Entries taken = TakeSnapshot(&table, [&] {
    for (int i = 0; i < 1000; ++i) Put(&table, absl::StrCat("k", i), Padded(-i));
    for (int i = 1000; i < 2000; ++i) Delete(&table, absl::StrCat("k", i));
    for (int i = 0; i < 2000; ++i) Put(&table, absl::StrCat("new", i), Padded(i));
    Put(&table, "large", std::string(90'000, 'm'));
    WriteBatch batch;
    batch.Put("k2000", "in a batch");
    batch.Delete("k2001");
    ApplyAtomically(&table, batch);
    TableKey key;
    table.SetKey("k2002", &key);
    ASSERT_TRUE(
        table.Modify(key, kNow, [](const ReadResult&) { return Modification::Put("modified"); })
            .ok());
  });
  EXPECT_EQ(taken, before);
  const Entries next = TakeSnapshot(&table, [&] { table.DeleteRange("", ""); });
  EXPECT_EQ(next.size(), 3000u - 1000 + 2000 - 1 + 1);
  EXPECT_EQ(next.at("k2000"), "in a batch");
  EXPECT_EQ(next.at("k2002"), "modified");
  EXPECT_EQ(next.at("large"), std::string(90'000, 'm'));
  EXPECT_TRUE(TakeSnapshot(&table).empty());
}

// Segments whose images were taken merge with one another, and not with others.
TEST_P(TableSnapshotRoomsTest, SegmentsThatAreMergedMeanwhileAreInItAsTheyWere) {
  Table table(TableOptions(GetParam().first, GetParam().second));
  Entries before;
  for (int i = 0; i < 3000; ++i) {
    before[absl::StrCat("k", i)] = Padded(i);
    Put(&table, absl::StrCat("k", i), Padded(i));
  }
  const uint64_t segments = table.sums().segments;
  ASSERT_GT(segments, 10u);
  int images = 0;
  Entries taken;
  const absl::Status status = table.TakeImages([&](const Image& image) {
    AddTo(&taken, image);
    // At the beginning, and once half of the images are taken.
    for (int i = images % 2; i < 2980 && images < static_cast<int>(segments); i += 2) {
      if (images == 0 || images == static_cast<int>(segments) / 2) {
        Delete(&table, absl::StrCat("k", i));
      }
    }
    ++images;
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(taken, before);
  // The others go, now that all are of one snapshot.
  for (int i = 0; i < 2980; ++i) Delete(&table, absl::StrCat("k", i));
  EXPECT_LT(table.sums().segments, segments);
  const Entries rest = TakeSnapshot(&table);
  EXPECT_EQ(rest.size(), 20u);
}

TEST(TableSnapshotTest, AnAtomicBatchOverAllKeysIsBehindTheMoment) {
  Table table(TableOptions(32 << 20, 32 << 20));
  for (int i = 0; i < 2000; ++i) Put(&table, absl::StrCat("k", i), Padded(i));
  const Entries taken = TakeSnapshot(&table, [&] {
    WriteBatch batch;
    batch.DeleteRange("", "");
    batch.Put("only", "one");
    ApplyAtomically(&table, batch);
  });
  EXPECT_EQ(taken.size(), 2000u);
  EXPECT_EQ(TakeSnapshot(&table), (Entries{{"only", "one"}}));
}

// Each thread moves amounts between accounts of its own, in batches of several segments.
TEST(TableSnapshotTest, TransfersInBatchesKeepTheirSum) {
  constexpr int kThreads = 3;
  constexpr int kAccounts = 900;
  constexpr int64_t kEach = 1000;
  for (const auto& [undo, images] :
       {std::pair<size_t, size_t>{0, 1}, {64 << 10, 2 << 20}, {8 << 20, 1}}) {
    Table table(TableOptions(undo, images));
    std::vector<std::vector<int64_t>> balances(kThreads, std::vector<int64_t>(kAccounts, kEach));
    const auto name = [](int thread, size_t i) { return absl::StrCat("a", thread, ".", i); };
    for (int t = 0; t < kThreads; ++t) {
      for (int i = 0; i < kAccounts; ++i) Put(&table, name(t, i), Padded(kEach));
    }
    ASSERT_GT(table.sums().segments, 8u);
    Workers workers;
    for (int t = 0; t < kThreads; ++t) {
      workers.Start([&, t, random = std::make_shared<std::mt19937>(t)] {
        WriteBatch batch;
        std::vector<int64_t>& mine = balances[t];
        std::vector<std::pair<std::string, std::string>> puts;
        for (int n = 0; n < 3; ++n) {
          const size_t from = (*random)() % kAccounts;
          const size_t to = (*random)() % kAccounts;
          const int64_t amount = (*random)() % 100;
          mine[from] -= amount;
          mine[to] += amount;
          puts.emplace_back(name(t, from), Padded(mine[from]));
          puts.emplace_back(name(t, to), Padded(mine[to]));
        }
        for (const auto& [key, value] : puts) batch.Put(key, value);
        ApplyAtomically(&table, batch);
      });
    }
    for (int n = 0; n < 12; ++n) {
      const Entries taken = TakeSnapshot(&table);
      ASSERT_EQ(taken.size(), size_t{kThreads} * kAccounts);
      int64_t sums[kThreads] = {};
      for (const auto& [key, value] : taken) sums[key[1] - '0'] += Number(value);
      for (const int64_t sum : sums) ASSERT_EQ(sum, kAccounts * kEach);
    }
  }
}

// Keys come one after the other, written by two threads in turn, while segments are split;
// and go in the same order. A snapshot has them from one to another, without a gap.
TEST(TableSnapshotTest, WhatIsThereHasAllThatCameBefore) {
  Table table(TableOptions(256 << 10, 1 << 20));
  constexpr int kWindow = 1500;
  std::atomic<int> written{0};
  std::atomic<int> deleted{0};
  Workers workers;
  for (int t = 0; t < 2; ++t) {
    workers.Start([&, t] {
      const int i = written.load();
      if (i / 100 % 2 != t) return std::this_thread::yield();
      Put(&table, absl::StrCat("k", i), Padded(i));
      written.store(i + 1);
    });
  }
  workers.Start([&] {
    const int i = deleted.load();
    if (i + kWindow > written.load()) return std::this_thread::yield();
    Delete(&table, absl::StrCat("k", i));
    deleted.store(i + 1);
  });
  int total = 0;
  while (total < 5 * kWindow) {
    const int deleted_before = deleted.load();
    const int written_before = written.load();
    const Entries taken = TakeSnapshot(&table);
    const int written_after = written.load();
    const int deleted_after = deleted.load();
    if (taken.empty()) continue;
    std::set<int64_t> numbers;
    for (const auto& [key, value] : taken) numbers.insert(Number(value));
    const int64_t first = *numbers.begin();
    const int64_t last = *numbers.rbegin();
    ASSERT_EQ(last - first + 1, static_cast<int64_t>(numbers.size())) << "a gap";
    // All that was done before the call is in it, and nothing from behind it. One more of
    // each may be done and not counted yet.
    ASSERT_GE(first, deleted_before);
    ASSERT_LE(first, deleted_after + 1);
    ASSERT_GE(last + 1, written_before);
    ASSERT_LE(last, written_after);
    // Not more than there ever were at once.
    ASSERT_LE(numbers.size(), written_after - deleted_before + 1u);
    total = written_after;
  }
  ASSERT_GT(table.sums().segments, 4u);
}

TEST(TableSnapshotTest, AnErrorEndsItAndTheNextOneIsWhole) {
  Table table(TableOptions(100 << 10, 1));
  for (int i = 0; i < 2000; ++i) Put(&table, absl::StrCat("k", i), Padded(0));
  Workers workers;
  workers.Start([&, n = std::make_shared<int>(0)] {
    ++*n;
    for (int i = 0; i < 2000; i += 7) Put(&table, absl::StrCat("k", i), Padded(*n));
  });
  for (int fail_at = 0; fail_at < 8; ++fail_at) {
    int images = 0;
    const absl::Status status = table.TakeImages([&](const Image&) {
      return images++ == fail_at ? absl::DataLossError("disk") : absl::OkStatus();
    });
    EXPECT_EQ(status.code(),
              images > fail_at ? absl::StatusCode::kDataLoss : absl::StatusCode::kOk);
    const Entries taken = TakeSnapshot(&table);
    EXPECT_EQ(taken.size(), 2000u);
    // The writer goes round: what it wrote of a round is a beginning.
    int64_t last = INT64_MAX;
    for (int i = 0; i < 2000; i += 7) {
      const int64_t number = Number(taken.at(absl::StrCat("k", i)));
      EXPECT_LE(number, last);
      EXPECT_GE(number, last == INT64_MAX ? number : last - 1);
      last = number;
    }
  }
}

// UUIDs and a key of the same 16 bytes, expiries, types and large values, written several
// times and split: as they were at the moment.
TEST(TableSnapshotTest, WhateverAKeyHeldIsGivenBack) {
  const std::string uuid = "01234567-89ab-4def-8123-456789abcdef";
  char packed[kUuidBytes];
  ASSERT_TRUE(PackUuid(uuid, packed));
  const std::string bytes(packed, kUuidBytes);
  const std::string long_key(3000, 'k');
  Table table(TableOptions(32 << 20, 32 << 20));
  Put(&table, uuid, "of the UUID");
  Put(&table, bytes, "of the bytes");
  Put(&table, long_key, std::string(5000, 'a'), /*expires_at=*/77777);
  Put(&table, "expired", "v", /*expires_at=*/kNow - 1);
  for (int i = 0; i < 1000; ++i) Put(&table, absl::StrCat("k", i), Padded(i));
  const Entries before = TakeSnapshot(&table);
  ASSERT_EQ(before.size(), 1004u);
  const uint64_t segments = table.sums().segments;
  const Entries taken = TakeSnapshot(&table, [&] {
    for (const char* value : {"1", "22", "333"}) {
      for (const std::string& key : {uuid, bytes, long_key, std::string("expired")}) {
        Put(&table, key, value);
        Delete(&table, key);
        Put(&table, key, std::string(6000, 'b'));
      }
    }
    for (int i = 0; i < 6000; ++i) Put(&table, absl::StrCat("new", i), Padded(i));
    for (int i = 0; i < 500; ++i) Put(&table, absl::StrCat("k", i), Padded(-i));
    for (int i = 0; i < 6000; ++i) Delete(&table, absl::StrCat("new", i));
    Delete(&table, uuid);
  });
  EXPECT_EQ(taken, before);
  EXPECT_GT(table.sums().segments, 2 * segments);
  EXPECT_EQ(TakeSnapshot(&table).count(uuid), 0u);
}

// What is evicted behind the moment was there at it.
TEST(TableSnapshotTest, WhatIsEvictedBehindTheMomentIsInIt) {
  for (const size_t undo : {size_t{0}, size_t{32} << 20}) {
    Table::Options options = TableOptions(undo, 64 << 20);
    options.max_bytes = 8 << 20;
    options.evict = true;
    Table table(options);
    for (int i = 0; i < 12'000; ++i) Put(&table, absl::StrCat("k", i), Padded(i));
    const Entries before = TakeSnapshot(&table);
    ASSERT_GT(before.size(), 5000u);
    ASSERT_LT(before.size(), 12'000u);
    const Entries taken = TakeSnapshot(&table, [&] {
      for (int i = 0; i < 12'000; ++i) Put(&table, absl::StrCat("new", i), Padded(i));
    });
    EXPECT_TRUE(taken == before) << taken.size() << " of " << before.size();
    size_t kept = 0;
    for (const auto& [key, value] : TakeSnapshot(&table)) kept += before.count(key);
    EXPECT_LT(kept, before.size() / 2);
  }
}

TEST(ImageQueueTest, IsFullBeyondItsBytesAndNotWhereThereIsNoImage) {
  ImageQueue queue(1);
  EXPECT_EQ(queue.state(), ImageQueue::State::kClosed);
  queue.Open();
  EXPECT_EQ(queue.state(), ImageQueue::State::kRoom);
  const Chunk none;
  queue.Push(std::make_unique<Image>(none, 0, nullptr));
  EXPECT_EQ(queue.state(), ImageQueue::State::kFull);
  std::thread waiting([&] { queue.WaitForRoom(); });
  EXPECT_NE(queue.Pop(), nullptr);
  waiting.join();
  EXPECT_EQ(queue.Pop(), nullptr);
  queue.Push(std::make_unique<Image>(none, 0, nullptr));
  std::thread again([&] { queue.WaitForRoom(); });
  queue.Close();
  again.join();
  EXPECT_EQ(queue.state(), ImageQueue::State::kClosed);
  EXPECT_EQ(queue.Pop(), nullptr);
}

}  // namespace
}  // namespace kvarts::memory_internal
