#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "storage/memory/memory.h"
#include "storage/store.h"
#include "testing/model/manual_clock.h"

namespace kvarts {
namespace {

using Evict = MemoryOptions::Evict;

// What README.md allows beyond the limit, for each writer: the directory as it doubles,
// and what a split takes.
constexpr size_t kBeyond = 24 << 10;

std::string Key(uint64_t i) { return absl::StrCat("key:", i); }

class MemoryLimitTest : public testing::Test {
 protected:
  void Open(size_t max_memory, Evict evict) {
    max_memory_ = max_memory;
    MemoryOptions options;
    options.max_memory = max_memory;
    options.evict = evict;
    options.clock = &clock_;
    options.seed = HashSeed{1, 2};
    store_ = NewMemoryStore(options);
  }
  size_t MemoryBytes() const { return store_->Stats()->memory_bytes; }
  uint64_t Entries() const { return store_->Stats()->entries; }
  uint64_t Evicted() const {
    uint64_t evicted = 0;
    const StoreStats stats = *store_->Stats();
    for (const auto& [name, value] : stats.details) {
      if (name != "evicted") continue;
      EXPECT_TRUE(absl::SimpleAtoi(value, &evicted));
    }
    return evicted;
  }
  bool Has(absl::string_view key) const { return store_->Get(key)->has_value(); }
  // Writes keys from `*next` on until one is refused.
  absl::Status Fill(uint64_t* next, size_t value) const {
    for (;; ++*next) {
      absl::Status status = store_->Put(Key(*next), std::string(value, 'v'));
      if (!status.ok()) return status;
    }
  }

  size_t max_memory_ = 0;
  ManualClock clock_;
  std::unique_ptr<Store> store_;
};

TEST_F(MemoryLimitTest, AWriteBeyondItIsRefusedAndChangesNothing) {
  for (const size_t value : {10, 300, 4000, 10'000}) {
    Open(1 << 20, Evict::kNone);
    uint64_t next = 0;
    EXPECT_EQ(Fill(&next, value), MemoryLimitError());
    EXPECT_LE(MemoryBytes(), max_memory_);
    EXPECT_GE(MemoryBytes(), max_memory_ - max_memory_ / 10);
    EXPECT_EQ(Entries(), next);
    EXPECT_FALSE(Has(Key(next)));
    // An old value stays where its new one has no room.
    EXPECT_EQ(store_->Put(Key(0), std::string(5 << 20, 'w')), MemoryLimitError());
    EXPECT_EQ(*store_->Get(Key(0)), std::string(value, 'v'));
    // Of the same size: takes no more.
    EXPECT_TRUE(store_->Put(Key(0), std::string(value, 'w')).ok());
    EXPECT_EQ(*store_->Get(Key(0)), std::string(value, 'w'));
    EXPECT_EQ(Evicted(), 0u);
  }
}

TEST_F(MemoryLimitTest, DeletionMakesRoom) {
  for (const size_t value : {10, 300, 4000, 10'000}) {
    Open(1 << 20, Evict::kNone);
    uint64_t next = 0;
    ASSERT_EQ(Fill(&next, value), MemoryLimitError());
    for (uint64_t i = 0; i < next; i += 5) ASSERT_TRUE(store_->Delete(Key(i)).ok());
    const uint64_t full = next;
    ASSERT_EQ(Fill(&next, value), MemoryLimitError());
    EXPECT_GE(next - full, full / 10) << value;
  }
}

TEST_F(MemoryLimitTest, OverwritingWithOtherSizesMakesItsOwnRoom) {
  Open(1 << 20, Evict::kNone);
  uint64_t next = 0;
  ASSERT_EQ(Fill(&next, 300), MemoryLimitError());
  for (uint64_t i = 0; i < next; ++i) {
    if (i % 10 != 0) continue;
    ASSERT_TRUE(store_->Delete(Key(i)).ok());
  }
  for (int round = 0; round < 5; ++round) {
    for (uint64_t i = 0; i < next; ++i) {
      if (i % 10 == 0) continue;
      ASSERT_TRUE(store_->Put(Key(i), std::string(280 + i % 20, 'w')).ok()) << round << " " << i;
    }
  }
  EXPECT_LE(MemoryBytes(), max_memory_);
}

TEST_F(MemoryLimitTest, OthersAreEvictedForAWrite) {
  for (const size_t max_memory : {128 << 10, 768 << 10}) {
    for (const size_t value : {10, 300, 4000, 10'000}) {
      Open(max_memory, Evict::kS3Fifo);
      const uint64_t keys = 2 * max_memory / (value + 20);
      for (uint64_t i = 0; i < keys; ++i) {
        ASSERT_TRUE(store_->Put(Key(i), std::string(value, 'v')).ok()) << i;
        ASSERT_TRUE(Has(Key(i)));
        if (i % 256 == 0) {
          ASSERT_LE(MemoryBytes(), max_memory + kBeyond);
        }
      }
      EXPECT_EQ(Entries() + Evicted(), keys);
      EXPECT_GE(MemoryBytes(), max_memory * 7 / 10) << max_memory << " " << value;
      // What is there is right.
      for (uint64_t i = 0; i < keys; ++i) {
        const auto found = *store_->Get(Key(i));
        ASSERT_EQ(found.value_or(std::string(value, 'v')), std::string(value, 'v'));
      }
    }
  }
}

TEST_F(MemoryLimitTest, ValuesOfAllSizesGoTogether) {
  for (const size_t max_memory : {512 << 10, 3 << 20}) {
    Open(max_memory, Evict::kS3Fifo);
    std::mt19937 random(5);
    for (int i = 0; i < 5'000; ++i) {
      const uint64_t key = random() % 4'000;
      const size_t size = random() % (size_t{1} << (random() % 18));
      ASSERT_TRUE(store_->Put(Key(key), std::string(size, 'v')).ok()) << i << " " << size;
      if (i % 8 == 0) {
        ASSERT_LE(MemoryBytes(), max_memory + kBeyond) << i;
      }
    }
    EXPECT_GT(Evicted(), 0u);
  }
}

TEST_F(MemoryLimitTest, AFewLargeValuesTakeTheRoomOfManySmallOnes) {
  Open(4 << 20, Evict::kS3Fifo);
  const std::string small(40, 's');
  for (uint64_t i = 0; i < 80'000; ++i) ASSERT_TRUE(store_->Put(Key(i), small).ok());
  for (uint64_t i = 0; i < 20; ++i) {
    ASSERT_TRUE(store_->Put(absl::StrCat("large:", i), std::string(512 << 10, 'v')).ok()) << i;
    EXPECT_TRUE(Has(absl::StrCat("large:", i)));
    EXPECT_LE(MemoryBytes(), max_memory_ + kBeyond);
  }
  // And back again.
  for (uint64_t i = 0; i < 80'000; ++i) ASSERT_TRUE(store_->Put(Key(i), small).ok()) << i;
  EXPECT_GT(Entries(), 15'000u);
}

TEST_F(MemoryLimitTest, WhatCanNeverFitEvictsNothing) {
  Open(1 << 20, Evict::kS3Fifo);
  for (uint64_t i = 0; i < 1000; ++i) ASSERT_TRUE(store_->Put(Key(i), "v").ok());
  EXPECT_EQ(store_->Put("large", std::string(2 << 20, 'v')), MemoryLimitError());
  EXPECT_EQ(Entries(), 1000u);
  // All but this value may go, and the largest that fits leaves little.
  EXPECT_TRUE(store_->Put("large", std::string(900 << 10, 'v')).ok());
  EXPECT_TRUE(Has("large"));
  EXPECT_LE(MemoryBytes(), max_memory_ + kBeyond);
}

TEST_F(MemoryLimitTest, AnAtomicBatchIsWrittenWholeOrNotAtAll) {
  for (const Evict evict : {Evict::kNone, Evict::kS3Fifo}) {
    Open(1 << 20, evict);
    uint64_t next = 0;
    if (evict == Evict::kNone) {
      ASSERT_EQ(Fill(&next, 100), MemoryLimitError());
    } else {
      for (; next < 20'000; ++next) ASSERT_TRUE(store_->Put(Key(next), "v").ok());
    }
    for (const size_t size : {1000, 5000}) {
      std::vector<std::string> keys;
      for (int i = 0; i < 100; ++i) keys.push_back(absl::StrCat("batch:", size, ":", i));
      const std::string value(size, 'b');
      WriteBatch batch;
      for (const std::string& key : keys) batch.Put(key, value);
      WriteOptions atomic;
      atomic.atomic = true;
      const absl::Status status = store_->Write(batch, atomic, nullptr);
      EXPECT_EQ(status, evict == Evict::kNone ? MemoryLimitError() : absl::OkStatus());
      for (const std::string& key : keys) EXPECT_EQ(Has(key), status.ok());
      EXPECT_LE(MemoryBytes(), max_memory_ + 100 * 4096);
    }
    // One that only deletes is never refused.
    WriteBatch deletions;
    const std::string a = Key(next - 1);
    const std::string b = Key(next - 2);
    deletions.Delete(a);
    deletions.Delete(b);
    WriteOptions atomic;
    atomic.atomic = true;
    EXPECT_TRUE(store_->Write(deletions, atomic, nullptr).ok());
    EXPECT_FALSE(Has(a));
  }
}

TEST_F(MemoryLimitTest, WhatHasExpiredGoesBeforeWhatHasNot) {
  Open(2 << 20, Evict::kS3Fifo);
  Metadata expiring;
  expiring.expiry = Metadata::Change::kSet;
  expiring.expires_at_ms = absl::ToUnixMillis(clock_.Now()) + 1000;
  const std::string value(500, 'v');
  uint64_t kept = 0;
  for (uint64_t i = 0; MemoryBytes() < max_memory_ * 9 / 10; ++i) {
    ASSERT_TRUE(store_->Put(Key(i), value, i % 2 == 0 ? expiring : Metadata()).ok());
    kept = i;
  }
  ASSERT_EQ(Evicted(), 0u);
  // Stats() would sweep: the writes are to find them.
  clock_.Advance(absl::Seconds(2));
  for (uint64_t i = 0; i < kept / 4; ++i) {
    ASSERT_TRUE(store_->Put(absl::StrCat("new:", i), value).ok());
  }
  for (uint64_t i = 1; i <= kept; i += 2) EXPECT_TRUE(Has(Key(i))) << i;
  EXPECT_EQ(Evicted(), 0u);
}

TEST_F(MemoryLimitTest, WhatIsReadOutlivesAScan) {
  for (const size_t value : {60, 6000}) {
    Open(2 << 20, Evict::kS3Fifo);
    const uint64_t fits = max_memory_ / (value + 40);
    const uint64_t hot = fits / 2;
    for (uint64_t i = 0; i < hot; ++i) {
      ASSERT_TRUE(store_->Put(absl::StrCat("hot:", i), std::string(value, 'v')).ok());
      ASSERT_TRUE(Has(absl::StrCat("hot:", i)));
    }
    for (uint64_t i = 0; i < 5 * fits; ++i) {
      ASSERT_TRUE(store_->Put(Key(i), std::string(value, 'v')).ok());
      // Some of them are asked for now and then.
      if (i % 4 == 0) store_->Get(absl::StrCat("hot:", i / 4 % hot)).IgnoreError();
    }
    uint64_t there = 0;
    for (uint64_t i = 0; i < hot; ++i) there += Has(absl::StrCat("hot:", i)) ? 1 : 0;
    EXPECT_GE(there, hot * 9 / 10) << value;
  }
}

TEST_F(MemoryLimitTest, AReadWithAStampMakesRoomForTheStamp) {
  Open(1 << 20, Evict::kS3Fifo);
  for (uint64_t i = 0; i < 20'000; ++i) {
    ASSERT_TRUE(store_->Put(Key(i), "value").ok());
    ReadOptions options;
    options.stamp = true;
    ReadResults results;
    store_->Read(Key(i), options, &results);
    ASSERT_TRUE(results[0].status.ok()) << results[0].status;
    ASSERT_TRUE(results[0].found);
  }
  EXPECT_LE(MemoryBytes(), max_memory_ + kBeyond);
}

TEST_F(MemoryLimitTest, ModifyEvictsToo) {
  Open(1 << 20, Evict::kS3Fifo);
  for (uint64_t i = 0; i < 3000; ++i) {
    ASSERT_TRUE(store_
                    ->Modify(Key(i % 500), WriteOptions(),
                             [](const ReadResult& current) -> absl::StatusOr<Modification> {
                               return Modification::Put(
                                   absl::StrCat(current.value, std::string(1000, 'x')));
                             })
                    .ok())
        << i;
    const auto found = *store_->Get(Key(i % 500));
    ASSERT_TRUE(found.has_value()) << i;
    ASSERT_EQ(found->size() % 1000, 0u) << i << " " << found->size();
  }
  EXPECT_GT(Evicted(), 0u);
  EXPECT_LE(MemoryBytes(), max_memory_ + kBeyond);
}

TEST_F(MemoryLimitTest, HoldsUnderManyThreads) {
  Open(384 << 10, Evict::kS3Fifo);
  constexpr uint64_t kKeys = 30'000;
  constexpr int kThreads = 4;
  std::atomic<bool> stop{false};
  const auto value_of = [](uint64_t key, uint32_t n) {
    return absl::StrCat(Key(key), " ", std::string(n % (n % 50 == 0 ? 9000 : 200), 'v'));
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(static_cast<uint32_t>(t));
      for (int i = 0; i < 3'000; ++i) {
        // Low numbers more often.
        const uint64_t key = random() % (1 + random() % kKeys);
        const uint64_t other = (key + 1) % kKeys;
        switch (random() % 12) {
          case 0:
            ASSERT_TRUE(store_->Delete(Key(key)).ok());
            break;
          case 1: {
            const std::string keys[] = {Key(key), Key(other)};
            const std::string values[] = {value_of(key, random()), value_of(other, random())};
            WriteBatch batch;
            batch.Put(keys[0], values[0]);
            batch.Put(keys[1], values[1]);
            WriteOptions atomic;
            atomic.atomic = true;
            ASSERT_TRUE(store_->Write(batch, atomic, nullptr).ok());
            break;
          }
          case 2: {
            const std::string value = value_of(key, random());
            ASSERT_TRUE(store_
                            ->Modify(Key(key), WriteOptions(),
                                     [&](const ReadResult&) -> absl::StatusOr<Modification> {
                                       return Modification::Put(value);
                                     })
                            .ok());
            break;
          }
          case 3: {
            ScanPage page;
            const auto cursor = store_->NewCursor(ScanOptions());
            ASSERT_TRUE(cursor.ok());
            ASSERT_TRUE((*cursor)->Next(PageLimits(), &page).ok());
            break;
          }
          case 4:
          case 5:
            ASSERT_TRUE(store_->Put(Key(key), value_of(key, random())).ok());
            break;
          default: {
            const auto found = store_->Get(Key(key));
            ASSERT_TRUE(found.ok());
            if (!*found) break;
            ASSERT_EQ((*found)->rfind(absl::StrCat(Key(key), " "), 0), 0u) << **found;
          }
        }
      }
    });
  }
  size_t most = 0;
  std::thread watcher([&] {
    while (!stop) most = std::max(most, MemoryBytes());
  });
  for (std::thread& thread : threads) thread.join();
  stop = true;
  watcher.join();
  EXPECT_LE(most, max_memory_ + kThreads * kBeyond);
  EXPECT_GT(Evicted(), 0u);
}

}  // namespace
}  // namespace kvarts
