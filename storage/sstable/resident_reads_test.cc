#include "storage/sstable/resident_reads.h"

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "storage/fs/crash_policy.h"
#include "storage/fs/memory.h"

namespace kvarts::sstable {
namespace {

std::string KeyAt(uint64_t i) { return absl::StrCat("key/", i); }

// Sources of some depth: three memtables, two runs on level 0, two levels of two tables; newer
// sequences above older ones. Some keys are deleted, some under range deletions, some have several
// versions, one value is large.
class ResidentReadsTest : public testing::Test {
 protected:
  static constexpr uint64_t kKeys = 120;

  // Its lines are 64 bytes, which gcc 12's stack under ASan is not aligned to.
  std::unique_ptr<TableCache> NewTables(size_t bytes) {
    return std::make_unique<TableCache>(&fs_, "/", bytes);
  }

  ResidentReadsTest() {
    VersionEdit edit;
    for (const int level : {2, 1, 0, 0}) {
      for (const auto& [from, to] : {std::pair<int, int>{0, 4}, {5, 9}}) {
        AddTable(level, static_cast<char>('0' + from), static_cast<char>('0' + to), &edit);
      }
      ++run_;
    }
    sources_.version = Version::Apply(Version(), edit).value();
    for (int i = 0; i < 3; ++i) {
      auto memtable = std::make_shared<Memtable>(1, 4096);
      for (int j = 0; j < 10; ++j) {
        const std::string key = KeyAt(random_.UpTo(kKeys));
        const std::string end = key + "5";
        const bool is_range = random_.UpTo(5) == 0;
        const unsigned char kind = is_range ? kDeleteRange : random_.UpTo(3) == 0 ? kDelete : kPut;
        const std::string value = kind == kPut ? absl::StrCat("memory ", sequence_) : "";
        const Entry entry{key, MakeTrailer(++sequence_, kind), is_range ? end : value};
        memtable->Add({&entry, 1});
      }
      if (i < 2) {
        sources_.frozen.insert(sources_.frozen.begin(), std::move(memtable));
      } else {
        sources_.memtable = std::move(memtable);
      }
    }
    for (uint64_t i = 0; i <= kKeys; ++i) texts_.push_back(KeyAt(i));
    texts_.push_back("absent");
    texts_.push_back("");
  }

  // Some of the keys whose first digit is in [first, last].
  void AddTable(int level, char first, char last, VersionEdit* edit) {
    const uint64_t number = edit->added.size() + 1;
    auto builder = TableBuilder::Create(&fs_, "/", number, {200, Compression::kLz4}).value();
    std::vector<std::string> keys;
    for (uint64_t i = 0; i <= kKeys; ++i) {
      const std::string key = KeyAt(i);
      if (key[4] >= first && key[4] <= last && random_.UpTo(2) == 0) keys.push_back(key);
    }
    std::sort(keys.begin(), keys.end());
    for (const std::string& key : keys) {
      const uint64_t versions = 1 + random_.UpTo(2);
      sequence_ += versions;
      for (uint64_t i = 0; i < versions; ++i) {
        const unsigned char kind = random_.UpTo(5) == 0 ? kDelete : kPut;
        const std::string value =
            kind == kPut ? absl::StrCat(level, " ", sequence_ - i,
                                        std::string(random_.UpTo(20) == 0 ? 9000 : 0, 'v'))
                         : "";
        ASSERT_TRUE(builder->Add({key, MakeTrailer(sequence_ - i, kind), value}).ok());
      }
    }
    builder->AddRange({keys[keys.size() / 3], keys[keys.size() / 2], ++sequence_});
    TableInfo info = builder->Finish().value();
    info.number = number;
    edit->added.push_back({level, std::make_shared<TableFile>(info, run_, nullptr)});
  }

  std::vector<absl::string_view> SomeKeys() {
    std::vector<absl::string_view> keys(1 + random_.UpTo(ResidentReads::kMost - 1));
    for (absl::string_view& key : keys) key = texts_[random_.UpTo(texts_.size() - 1)];
    return keys;
  }

  // Those that settle are as Lookup() has them; gives how many do.
  size_t Check(TableCache* tables, const std::vector<absl::string_view>& keys, Sequence at,
               bool for_stamp) {
    const ResidentReads reads(sources_, tables, keys, at, for_stamp);
    size_t settled = 0;
    for (size_t i = 0; i < keys.size(); ++i) {
      EXPECT_EQ(reads.hash(i), KeyHash(keys[i]));
      if (!reads.settled(i)) continue;
      ++settled;
      Found expected;
      Pin pin;
      const auto other = NewTables(1 << 20);
      EXPECT_TRUE(Lookup(sources_, other.get(), keys[i], reads.hash(i), at, false, for_stamp,
                         &expected, &pin)
                      .ok());
      const Found& found = reads.found(i);
      EXPECT_EQ(found.sequence, expected.sequence) << keys[i] << " at " << at;
      EXPECT_EQ(found.covered, expected.covered) << keys[i] << " at " << at;
      EXPECT_EQ(found.entry.trailer, expected.entry.trailer) << keys[i] << " at " << at;
      EXPECT_EQ(found.entry.blob, expected.entry.blob) << keys[i] << " at " << at;
      EXPECT_EQ(reads.PinOf(i) != nullptr || found.sequence == 0, true);
    }
    return settled;
  }

  CrashRandom random_{7};
  MemoryFileSystem fs_;
  Sources sources_;
  Sequence sequence_ = 0;
  uint64_t run_ = 1;
  std::vector<std::string> texts_;
};

TEST_F(ResidentReadsTest, WhatIsInMemoryIsFoundAsALookupFindsItAndNothingIsRead) {
  const auto owned = NewTables(4 << 20);
  TableCache& tables = *owned;
  // Puts every block into the cache.
  for (const std::string& key : texts_) {
    for (Sequence at = 0; at <= sequence_; at += 10) {
      Found found;
      Pin pin;
      ASSERT_TRUE(Lookup(sources_, &tables, key, KeyHash(key), at, false, true, &found, &pin).ok());
    }
  }
  const uint64_t reads = tables.counters()->block_reads.load();
  const uint64_t misses = tables.cache()->misses();
  const uint64_t hits = tables.cache()->hits();
  for (int round = 0; round < 300; ++round) {
    const auto keys = SomeKeys();
    ASSERT_EQ(Check(&tables, keys, random_.UpTo(sequence_), round % 2 == 0), keys.size());
    if (HasFailure()) return;
  }
  EXPECT_EQ(tables.counters()->block_reads.load(), reads);
  EXPECT_EQ(tables.cache()->misses(), misses);
  EXPECT_GT(tables.cache()->hits(), hits);
}

TEST_F(ResidentReadsTest, WhatIsNotInMemoryIsLeftToALookup) {
  {
    // No index: only the memtables know something.
    const auto tables = NewTables(4 << 20);
    const absl::string_view key = texts_[0];
    const ResidentReads reads(sources_, tables.get(), {&key, 1}, 1, false);
    EXPECT_FALSE(reads.settled(0));
  }
  // A cache that holds a part of the blocks.
  const auto owned = NewTables(12 << 10);
  TableCache& tables = *owned;
  size_t asked = 0;
  size_t settled = 0;
  for (int round = 0; round < 300; ++round) {
    const auto keys = SomeKeys();
    const Sequence at = random_.UpTo(sequence_);
    for (size_t i = 0; i < keys.size(); i += 3) {
      Found found;
      Pin pin;
      ASSERT_TRUE(
          Lookup(sources_, &tables, keys[i], KeyHash(keys[i]), at, false, false, &found, &pin)
              .ok());
    }
    asked += keys.size();
    settled += Check(&tables, keys, at, false);
    if (HasFailure()) return;
  }
  EXPECT_GT(settled, asked / 20);
  EXPECT_LT(settled, asked - asked / 20);
}

// When they are read again where there is room, and in a full cache when they have been read often.
TEST_F(ResidentReadsTest, BlocksThatStayAreLaidOut) {
  sources_.memtable = std::make_shared<Memtable>(1, 4096);
  sources_.frozen.clear();
  for (const bool full : {false, true}) {
    const auto owned = NewTables(full ? 12 << 10 : 4 << 20);
    TableCache& tables = *owned;
    // Of what is found in memory; null: nothing is.
    const auto block_of = [&](absl::string_view key) {
      const ResidentReads reads(sources_, &tables, {&key, 1}, sequence_, true);
      const bool found = reads.settled(0) && reads.found(0).sequence != 0;
      return found ? std::static_pointer_cast<const Block>(reads.PinOf(0)) : nullptr;
    };
    int most = 0;
    for (const std::string& key : texts_) {
      Found found;
      Pin pin;
      ASSERT_TRUE(
          Lookup(sources_, &tables, key, KeyHash(key), sequence_, false, true, &found, &pin).ok());
      auto block = block_of(key);
      int reads = 0;
      for (; block != nullptr && !block->is_laid_out() && reads < 100; ++reads) {
        block = block_of(key);
      }
      most = std::max(most, reads);
    }
    EXPECT_EQ(most > 1, full);
    EXPECT_GT(most, 0);
    EXPECT_LT(most, 100);
  }
}

// A scan comes by once: what it leaves is as good as what was read often.
TEST_F(ResidentReadsTest, WhatAScanReadsIsLaidOutAtOnce) {
  sources_.memtable = std::make_shared<Memtable>(1, 4096);
  sources_.frozen.clear();
  const auto tables = NewTables(4 << 20);
  for (int level = 0; level < kLevels; ++level) {
    for (const TableFilePtr& file : sources_.version->level(level)) {
      const auto table = tables->Open(file->info(), false);
      ASSERT_TRUE(table.ok());
      const auto all = Table::NewIterator(*table, tables->cache(), tables->counters());
      for (all->Seek("", ~Trailer{0}); all->valid(); all->Next()) {
      }
    }
  }
  int laid_out = 0;
  for (const std::string& text : texts_) {
    const absl::string_view key = text;
    const ResidentReads reads(sources_, tables.get(), {&key, 1}, sequence_, true);
    if (!reads.settled(0) || reads.found(0).sequence == 0) continue;
    const auto block = std::static_pointer_cast<const Block>(reads.PinOf(0));
    if (block == nullptr) continue;
    EXPECT_TRUE(block->is_laid_out()) << text;
    ++laid_out;
  }
  EXPECT_GT(laid_out, 0);
}

TEST_F(ResidentReadsTest, WhatWasPinnedOutlivesTheReadAndTheCache) {
  auto tables = NewTables(4 << 20);
  std::vector<std::pair<Pin, absl::string_view>> kept;
  std::vector<std::string> expected;
  for (const std::string& text : texts_) {
    Found found;
    Pin pin;
    ASSERT_TRUE(
        Lookup(sources_, tables.get(), text, KeyHash(text), sequence_, false, false, &found, &pin)
            .ok());
    const absl::string_view key = text;
    const ResidentReads reads(sources_, tables.get(), {&key, 1}, sequence_, false);
    if (!reads.settled(0) || !reads.found(0).is_put()) continue;
    kept.emplace_back(reads.PinOf(0), reads.found(0).entry.blob);
    expected.emplace_back(reads.found(0).entry.blob);
  }
  tables = nullptr;
  sources_ = Sources();
  ASSERT_GT(kept.size(), 20u);
  for (size_t i = 0; i < kept.size(); ++i) EXPECT_EQ(kept[i].second, expected[i]);
}

}  // namespace
}  // namespace kvarts::sstable
