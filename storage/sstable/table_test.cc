#include "storage/sstable/table.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "gtest/gtest.h"
#include "storage/fs/crash_policy.h"
#include "storage/fs/memory.h"
#include "storage/sstable/table_format.h"

namespace kvarts::sstable {
namespace {

struct Version {
  std::string key;
  Trailer trailer;
  std::string blob;

  Entry entry() const { return {key, trailer, blob}; }
};

bool Less(const Version& a, const Version& b) {
  return EntryLess(a.key, a.trailer, b.key, b.trailer);
}

std::string TextOf(const Entry& entry) {
  return absl::StrCat(entry.key, "@", entry.trailer, "=", entry.blob);
}

// On the heap, since a cache has stricter wishes for its place than a stack has.
struct World {
  MemoryFileSystem fs;
  ReadCounters counters;
  BlockCache cache{1 << 20};

  TableInfo Build(const std::vector<Version>& versions, const std::vector<RangeTombstone>& ranges,
                  const TableOptions& options) {
    auto builder = TableBuilder::Create(&fs, "/", 5, options).value();
    EXPECT_TRUE(builder->empty());
    for (const RangeTombstone& range : ranges) builder->AddRange(range);
    for (const Version& version : versions) EXPECT_TRUE(builder->Add(version.entry()).ok());
    return builder->Finish().value();
  }
  std::shared_ptr<const Table> Open(const TableInfo& info) {
    return Table::Open(&fs, "/", info, &counters).value();
  }
};

std::vector<TableOptions> AllOptions() {
  std::vector<TableOptions> all;
  for (const size_t block : {size_t{1}, size_t{300}, size_t{4096}, size_t{16} << 20}) {
    for (const Compression how : {Compression::kNone, Compression::kLz4, Compression::kZstd}) {
      all.push_back({block, how});
    }
  }
  return all;
}

// All that an iterator can do, beside a sorted list.
void CheckIterator(Iterator* it, const std::vector<Version>& versions, uint64_t seed) {
  size_t i = 0;
  for (it->SeekToFirst(); it->valid(); it->Next()) {
    ASSERT_LT(i, versions.size());
    ASSERT_EQ(TextOf(it->entry()), TextOf(versions[i++].entry()));
  }
  ASSERT_EQ(i, versions.size());
  for (it->SeekToLast(); it->valid(); it->Prev()) {
    ASSERT_GT(i, 0u);
    ASSERT_EQ(TextOf(it->entry()), TextOf(versions[--i].entry()));
  }
  ASSERT_EQ(i, 0u);
  CrashRandom random(seed);
  for (int probe = 0; probe < 60 && !versions.empty(); ++probe) {
    Version at = versions[random.UpTo(versions.size() - 1)];
    switch (random.UpTo(4)) {
      case 0:
        at.key += '\0';
        break;
      case 1:
        at.trailer += random.UpTo(2) - 1;
        break;
      case 2:
        if (!at.key.empty()) at.key.pop_back();
        break;
      case 3:
        at.trailer = random.UpTo(1) == 0 ? 0 : ~Trailer{0};
        break;
      default:
        break;
    }
    const auto place = static_cast<size_t>(
        std::lower_bound(versions.begin(), versions.end(), at, Less) - versions.begin());
    it->Seek(at.key, at.trailer);
    for (size_t j = place; j < std::min(place + 20, versions.size()); ++j, it->Next()) {
      ASSERT_TRUE(it->valid());
      ASSERT_EQ(TextOf(it->entry()), TextOf(versions[j].entry()));
    }
    if (place + 20 >= versions.size()) {
      ASSERT_FALSE(it->valid());
    }
    it->SeekBefore(at.key, at.trailer);
    for (size_t j = place; j > place - std::min<size_t>(place, 20); --j, it->Prev()) {
      ASSERT_TRUE(it->valid());
      ASSERT_EQ(TextOf(it->entry()), TextOf(versions[j - 1].entry()));
    }
    if (place <= 20) {
      ASSERT_FALSE(it->valid());
    }
  }
  ASSERT_TRUE(it->status().ok()) << it->status();
}

void CheckGets(World* world, const Table& table, const std::vector<Version>& versions,
               const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    for (const Sequence at : {Sequence{0}, Sequence{1}, Sequence{5}, Sequence{50}, kMaxSequence}) {
      const auto it = std::find_if(versions.begin(), versions.end(), [&](const Version& v) {
        return v.key == key && SequenceOf(v.trailer) <= at;
      });
      bool found = false;
      Entry entry;
      std::shared_ptr<const Block> block;
      ASSERT_TRUE(table
                      .Get(key, KeyHash(key), at, false, &world->cache, &world->counters, &found,
                           &entry, &block)
                      .ok());
      ASSERT_EQ(found, it != versions.end()) << key.substr(0, 20) << "@" << at;
      if (found) {
        ASSERT_EQ(TextOf(entry), TextOf(it->entry()));
      }
    }
  }
}

void CheckTable(const std::vector<Version>& versions, const std::vector<RangeTombstone>& ranges,
                const std::vector<std::string>& others) {
  for (const TableOptions& options : AllOptions()) {
    const auto owned = std::make_unique<World>();
    World& world = *owned;
    const TableInfo info = world.Build(versions, ranges, options);
    const auto table = world.Open(info);
    ASSERT_EQ(info.entries, versions.size());
    ASSERT_EQ(info.ranges, ranges.size());
    const absl::Status verified = Table::Verify(table, &world.counters);
    ASSERT_TRUE(verified.ok()) << verified;
    CheckIterator(Table::NewIterator(table, &world.cache, &world.counters).get(), versions, 1);
    CheckIterator(Table::NewIterator(table, nullptr, &world.counters).get(), versions, 2);
    std::vector<std::string> keys = others;
    for (const Version& version : versions) keys.push_back(version.key);
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    CheckGets(&world, *table, versions, keys);
    for (const Version& version : versions) {
      ASSERT_TRUE(info.Contains(version.key));
      ASSERT_LE(info.smallest_sequence, SequenceOf(version.trailer));
      ASSERT_GE(info.largest_sequence, SequenceOf(version.trailer));
    }
    const RangeTombstones expected(ranges);
    for (const std::string& key : keys) {
      ASSERT_EQ(table->ranges()->Covering(key, kMaxSequence), expected.Covering(key, kMaxSequence));
      if (expected.Covering(key, kMaxSequence) != 0) {
        ASSERT_TRUE(info.Contains(key));
      }
    }
    const auto read = Table::ReadInfo(&world.fs, TablePath("/", 5));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->id, info.id);
    EXPECT_EQ(read->entry_hash, info.entry_hash);
    EXPECT_EQ(read->smallest, info.smallest);
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(TableTest, ATableOfNothingAndOneOfAnEmptyKey) {
  CheckTable({}, {{"b", "d", 3}}, {"", "a", "b", "c", "d"});
  CheckTable({}, {{"", "", 3}}, {"", "a", "\xff"});
  CheckTable({{"", MakeTrailer(1, kPut), ""}}, {}, {std::string(1, '\0'), "a"});
  CheckTable({{"", MakeTrailer(1, kDelete), ""}}, {{"", std::string(1, '\0'), 3}}, {"a"});
}

TEST(TableTest, ManyVersionsOfAKeyAreFoundFromEverySequence) {
  std::vector<Version> versions;
  for (const char* key : {"a", "key", "key1", "z"}) {
    for (Sequence s = 1; s <= 200; ++s) {
      versions.push_back({key, MakeTrailer(4 * s + key[0] % 4, s % 3 == 0 ? kDelete : kPut),
                          s % 3 == 0 ? "" : absl::StrCat(key, s)});
    }
  }
  std::sort(versions.begin(), versions.end(), Less);
  CheckTable(versions, {}, {"", "ke", "key0", "zz"});
}

TEST(TableTest, KeysOfAnySizeAndBytes) {
  std::vector<Version> versions;
  CrashRandom random(3);
  Sequence sequence = 1;
  for (const size_t size : {0, 1, 2, 7, 8, 9, 15, 16, 17, 255, 256, 4000, 65535, 65536}) {
    // Those that have all but the last byte in common, also as prefixes of each other.
    for (const char last : {'\0', 'a', '\xff'}) {
      std::string key(size, 'k');
      if (size > 0) key.back() = last;
      versions.push_back({key, MakeTrailer(sequence++, kPut),
                          std::string(random.UpTo(size < 4000 ? 300 : 3), 'v')});
    }
  }
  std::sort(versions.begin(), versions.end(), Less);
  versions.erase(std::unique(versions.begin(), versions.end(),
                             [](const Version& a, const Version& b) { return a.key == b.key; }),
                 versions.end());
  CheckTable(versions, {{"kk", "kkkkkk", 60}}, {"j", "l", std::string(65536, '\xff')});
}

TEST(TableTest, RandomTables) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    CrashRandom random(seed);
    std::vector<Version> versions;
    Sequence sequence = 1;
    for (uint64_t i = random.UpTo(300); i > 0; --i) {
      std::string key = seed % 3 == 0 ? "common/prefix/of/all/" : "";
      for (uint64_t n = random.UpTo(6); n > 0; --n) key += "ab\xff"[random.UpTo(2)];
      versions.push_back({key, MakeTrailer(sequence++, random.UpTo(3) == 0 ? kDelete : kPut),
                          std::string(random.UpTo(60), static_cast<char>(random.Next()))});
      if (KindOf(versions.back().trailer) == kDelete) versions.back().blob.clear();
    }
    std::sort(versions.begin(), versions.end(), Less);
    std::vector<RangeTombstone> ranges;
    for (uint64_t i = random.UpTo(3); i > 0; --i) {
      ranges.push_back({"a", random.UpTo(2) == 0 ? "" : "b", sequence++});
    }
    CheckTable(versions, ranges,
               {"", "a", "aaaaaaaaaa", "b\xff", "c", "\xff\xff\xff\xff\xff\xff\xff"});
  }
}

TEST(TableTest, WhenAQuarterHasExpiredIsKnown) {
  const auto owned = std::make_unique<World>();
  World& world = *owned;
  std::vector<Version> versions;
  for (int i = 0; i < 100; ++i) {
    const bool expires = i % 3 == 0;  // 34 of them, at 1000, 1001, ...
    Version version{absl::StrCat("key", 100 + i), MakeTrailer(1 + i, kPut), "value"};
    if (expires) {
      version.trailer |= kHasExpiry;
      std::string blob;
      AppendLE64(&blob, 1000 + i / 3);
      version.blob = blob + "value";
    }
    versions.push_back(version);
  }
  EXPECT_EQ(world.Build(versions, {}, {}).rewrite_at_ms, 1024);
  versions.resize(1);
  EXPECT_EQ(world.Build(versions, {}, {}).rewrite_at_ms, 1000);
  for (int i = 0; i < 4; ++i) {
    versions.push_back({absl::StrCat("z", i), MakeTrailer(200 + i, kPut), ""});
  }
  EXPECT_EQ(world.Build(versions, {}, {}).rewrite_at_ms, 0);
}

TEST(TableTest, AnotherTableOfTheSameNumberIsRefused) {
  const auto owned = std::make_unique<World>();
  World& world = *owned;
  const TableInfo first = world.Build({{"a", MakeTrailer(1, kPut), "1"}}, {}, {});
  const TableInfo second = world.Build({{"a", MakeTrailer(1, kPut), "2"}}, {}, {});
  EXPECT_EQ(first.size, second.size);
  const auto opened = Table::Open(&world.fs, "/", first, &world.counters);
  EXPECT_TRUE(absl::IsFailedPrecondition(opened.status())) << opened.status();
  EXPECT_TRUE(absl::StrContains(opened.status().message(), "000005.tbl"));
}

TEST(TableTest, ABuilderThatDoesNotFinishLeavesNoFile) {
  MemoryFileSystem fs;
  {
    auto builder = TableBuilder::Create(&fs, "/", 5, {}).value();
    ASSERT_TRUE(builder->Add({"a", MakeTrailer(1, kPut), "1"}).ok());
  }
  EXPECT_TRUE(absl::IsNotFound(fs.Stat(TablePath("/", 5)).status()));
}

// A scan of many blocks asks for more of them at once the longer it goes on, both ways; reads that
// jump about ask for what they need.
TEST(TableTest, AScanReadsAhead) {
  const auto owned = std::make_unique<World>();
  World& world = *owned;
  std::vector<Version> versions;
  for (int i = 0; i < 20000; ++i) {
    versions.push_back({absl::StrCat("key", 100000 + i), MakeTrailer(1 + i, kPut),
                        absl::StrCat("value", i * 7919 % 20011)});
  }
  const TableInfo info = world.Build(versions, {}, {4096, Compression::kNone});
  const auto table = world.Open(info);
  ASSERT_GT(table->blocks(), 100u);
  BlockCache none(0);
  const auto it = Table::NewIterator(table, &none, &world.counters);
  const auto reads = [&] { return world.counters.block_reads.exchange(0); };
  const auto bytes = [&] { return world.counters.read_bytes.exchange(0); };
  reads();
  bytes();
  for (it->SeekToFirst(); it->valid(); it->Next()) {
  }
  EXPECT_LT(reads(), 10u);
  EXPECT_EQ(bytes(), table->ApproximateBytes("", ""));  // none twice
  for (it->SeekToLast(); it->valid(); it->Prev()) {
  }
  EXPECT_LT(reads(), 10u);
  EXPECT_LE(bytes(), table->ApproximateBytes("", ""));  // the last one is open already
  for (int i = 0; i < 50; ++i) it->Seek(versions[i * 7919 % 20000].key, ~Trailer{0});
  EXPECT_LE(reads(), 50u);
  EXPECT_LT(bytes(), 50u * 5000);
}

TEST(TableTest, WhatIsNotInMemoryIsNotWaitedFor) {
  const auto owned = std::make_unique<World>();
  World& world = *owned;
  const TableInfo info = world.Build({{"a", MakeTrailer(1, kPut), "1"}}, {}, {});
  const auto table = world.Open(info);
  bool found = false;
  Entry entry;
  std::shared_ptr<const Block> block;
  const auto get = [&](bool no_wait) {
    return table->Get("a", KeyHash("a"), kMaxSequence, no_wait, &world.cache, &world.counters,
                      &found, &entry, &block);
  };
  EXPECT_TRUE(absl::IsUnavailable(get(true)));
  EXPECT_TRUE(get(false).ok());
  EXPECT_TRUE(get(true).ok() && found);
  EXPECT_EQ(entry.blob, "1");
}

// Memory may go bad before a block's checksum is made: what readers would then not find as it was
// written is found before the table is used.
TEST(TableTest, ABlockOfOtherEntriesIsFoundWhereItsChecksumIsRight) {
  const auto owned = std::make_unique<World>();
  World& world = *owned;
  std::vector<Version> versions;
  for (int i = 0; i < 20; ++i) {
    const std::string key = absl::StrCat("key", 100 + i / 2 * 7);
    versions.push_back({key, MakeTrailer(static_cast<Sequence>(50 - i), kPut), absl::StrCat(i)});
  }
  const TableInfo info = world.Build(versions, {}, {4096, Compression::kNone});
  const std::string path = TablePath("/", 5);
  const std::string good = ReadFile(&world.fs, path).value();
  const size_t block = LoadLE64(good.data() + good.size() - kFooterBytes + 24);  // there is one
  uint64_t unreadable = 0;
  uint64_t others = 0;
  for (size_t i = 0; i < block - kBlockTrailer; ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
      StoreLE64(&bad[block - 8],
                BlockChecksum(info.id, 0, absl::string_view(bad).substr(0, block - 8)));
      ASSERT_TRUE(WriteFileAtomically(&world.fs, path, bad).ok());
      const auto table = world.Open(info);
      const auto it = Table::NewIterator(table, nullptr, &world.counters);
      size_t same = 0;
      size_t read = 0;
      for (it->SeekToFirst(); it->valid(); it->Next(), ++read) {
        if (read < versions.size() && TextOf(it->entry()) == TextOf(versions[read].entry())) ++same;
      }
      unreadable += it->status().ok() ? 0 : 1;
      if (it->status().ok() && same == versions.size() && read == same) continue;
      ++others;
      EXPECT_TRUE(absl::IsDataLoss(Table::Verify(table, &world.counters)))
          << "byte " << i << ", bit " << bit;
    }
  }
  EXPECT_GT(unreadable, 100u);
  EXPECT_GT(others, unreadable + 100);
}

}  // namespace
}  // namespace kvarts::sstable
