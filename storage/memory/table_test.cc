#include "storage/memory/table.h"

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/bench_data.h"
#include "gtest/gtest.h"

namespace kvarts::memory_internal {
namespace {

Capabilities AllCapabilities() {
  Capabilities c;
  c.write = c.conditions = c.expiry = c.content_type = Support::kNative;
  c.delete_range = Support::kEmulatedLinear;
  c.batch_scope = BatchScope::kStore;
  return c;
}

Table::Options OptionsOf(const HashSeed& seed, size_t max_bytes) {
  Table::Options options;
  options.seed = seed;
  options.max_bytes = max_bytes;
  options.capabilities = AllCapabilities();
  return options;
}

class TableTest : public testing::Test {
 protected:
  explicit TableTest(size_t max_bytes = 0) : table_(OptionsOf(HashSeed{1, 2}, max_bytes)) {}

  absl::Status Put(absl::string_view key, absl::string_view value, const Metadata& metadata = {}) {
    TableKey table_key;
    table_.SetKey(key, &table_key);
    bool existed;
    return table_.Apply(table_key, {Mutation::Kind::kPut, key, value, metadata}, 0, &existed);
  }
  bool Delete(absl::string_view key) {
    TableKey table_key;
    table_.SetKey(key, &table_key);
    bool existed = false;
    EXPECT_TRUE(table_.Apply(table_key, {Mutation::Kind::kDelete, key, {}, {}}, 0, &existed).ok());
    return existed;
  }
  // "(absent)" where it is.
  std::string Get(absl::string_view key, int64_t now_ms = 0) {
    TableKey table_key;
    table_.SetKey(key, &table_key);
    ReadResults results;
    results.Reset(1);
    table_.Get(table_key, {true, false, now_ms}, &results.mutable_result(0), &results.bytes());
    return results[0].found ? std::string(results[0].value) : "(absent)";
  }
  std::vector<std::string> ScanAll(size_t page_entries) {
    std::vector<std::string> keys;
    uint64_t position = 0;
    uint64_t last = 0;
    ScanPage page;
    for (bool more = true; more;) {
      page.Reset();
      PageLimits limits;
      limits.entries = page_entries;
      more = table_.Scan(
          &position, limits, true, 0, [](absl::string_view) { return true; }, &page, &last);
      EXPECT_LE(page.size(), page_entries);
      for (const ScanEntry& entry : page) keys.emplace_back(entry.key);
    }
    return keys;
  }

  Table table_;
};

TEST(UuidKeyTest, CanonicalTextIsPackedAndGivenBack) {
  for (const std::string text :
       {"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "01234567-89ab-cdef-fedc-ba9876543210", "9c5b94b1-35ad-49bb-b118-8e8fc24abf80"}) {
    char packed[kUuidBytes];
    ASSERT_TRUE(PackUuid(text, packed)) << text;
    char back[kUuidTextBytes];
    UnpackUuid(packed, back);
    EXPECT_EQ(absl::string_view(back, kUuidTextBytes), text);
  }
}

TEST(UuidKeyTest, AnyOtherByteAnywhereIsNoUuid) {
  const std::string good = "01234567-89ab-cdef-fedc-ba9876543210";
  char packed[kUuidBytes];
  for (size_t i = 0; i < good.size(); ++i) {
    for (int c = 0; c < 256; ++c) {
      std::string text = good;
      text[i] = static_cast<char>(c);
      const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
      const bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
      EXPECT_EQ(PackUuid(text, packed), dash ? c == '-' : digit) << text;
    }
  }
  EXPECT_FALSE(PackUuid("01234567-89ab-cdef-fedc-ba987654321", packed));
  EXPECT_FALSE(PackUuid("", packed));
}

TEST(IndexGroupTest, WithAndWithoutVectorsItIsTheSame) {
  alignas(64) char line[64] = {};
  IndexGroup group(line);
  uint32_t random = 1;
  for (int round = 0; round < 2000; ++round) {
    random = random * 1664525 + 1013904223;
    const uint32_t slot = (random >> 8) % IndexGroup::kSlots;
    if ((random & 3) == 0) {
      group.Erase(slot);
    } else {
      group.Set(slot, IndexGroup::Tag(random >> 24 & 7), random & 0xffff);
      EXPECT_EQ(group.position(slot), random & 0xffff);
    }
    const IndexGroup::Tags tags = group.tags();
    for (int tag = 0; tag < 256; ++tag) {
      EXPECT_EQ(tags.Matches(static_cast<uint8_t>(tag)),
                tags.MatchesPortably(static_cast<uint8_t>(tag)));
    }
    uint32_t empty = 0;
    for (uint32_t i = 0; i < IndexGroup::kSlots; ++i) empty |= line[i] == 0 ? 1u << i : 0;
    EXPECT_EQ(tags.Empty(), empty);
  }
}

TEST_F(TableTest, KeysThatLookAlikeAreDifferent) {
  const std::string uuid = "01234567-89ab-cdef-fedc-ba9876543210";
  char packed[kUuidBytes];
  ASSERT_TRUE(PackUuid(uuid, packed));
  ASSERT_TRUE(Put(uuid, "text").ok());
  EXPECT_EQ(Get(absl::string_view(packed, kUuidBytes)), "(absent)");
  ASSERT_TRUE(Put(absl::string_view(packed, kUuidBytes), "bytes").ok());
  EXPECT_EQ(Get(uuid), "text");
  EXPECT_EQ(Get(absl::string_view(packed, kUuidBytes)), "bytes");
  EXPECT_EQ(Get("01234567-89AB-CDEF-FEDC-BA9876543210"), "(absent)");
  ASSERT_TRUE(Put(absl::string_view("k\0", 2), "zero").ok());
  EXPECT_EQ(Get("k"), "(absent)");
  EXPECT_EQ(Get(absl::string_view("k\0\0", 3)), "(absent)");
}

TEST_F(TableTest, EveryKeyIsFoundWhileItGrowsAndShrinks) {
  constexpr uint64_t kKeys = 50'000;
  for (uint64_t i = 0; i < kKeys; ++i) {
    ASSERT_TRUE(Put(BenchUuid(i), absl::StrCat("value ", i)).ok());
    if (i % 997 == 0) {
      for (uint64_t j = 0; j <= i; j += 1 + i / 50)
        ASSERT_EQ(Get(BenchUuid(j)), absl::StrCat("value ", j));
    }
  }
  Table::Sums sums = table_.sums();
  EXPECT_EQ(sums.entries, kKeys);
  EXPECT_GE(sums.segments, 8u);
  const size_t full = table_.memory_bytes();
  EXPECT_GE(table_.peak_memory_bytes(), full);
  for (uint64_t i = 0; i < kKeys; i += 2) ASSERT_TRUE(Delete(BenchUuid(i)));
  for (uint64_t i = 0; i < kKeys; ++i) {
    ASSERT_EQ(Get(BenchUuid(i)), i % 2 == 0 ? "(absent)" : absl::StrCat("value ", i));
  }
  sums = table_.sums();
  EXPECT_EQ(sums.entries, kKeys / 2);
  EXPECT_LT(static_cast<double>(table_.memory_bytes()), 1.2 * static_cast<double>(full) / 2);
  EXPECT_GE(table_.peak_memory_bytes(), full);
  for (uint64_t i = 1; i < kKeys; i += 2) ASSERT_TRUE(Delete(BenchUuid(i)));
  EXPECT_EQ(table_.sums().entries, 0u);
}

TEST_F(TableTest, ValuesOfAllSizesReplaceEachOther) {
  const size_t sizes[] = {0, 1, 3, 4, 5, 63, 64, 1000, 4095, 4096, 5000, 100'000};
  for (int round = 0; round < 3; ++round) {
    for (const size_t size : sizes) {
      for (const absl::string_view key : {"a", "bb", "a key that is a little longer than that"}) {
        const std::string value(size, static_cast<char>('a' + round));
        ASSERT_TRUE(Put(key, value).ok());
        ASSERT_EQ(Get(key), value);
      }
    }
  }
  EXPECT_EQ(table_.sums().entries, 3u);
}

TEST_F(TableTest, KeysOfAllSizesAreFound) {
  for (const size_t size : {0, 1, 2, 3, 4, 5, 7, 8, 35, 36, 37, 255, 2046, 2047, 2048, 65536}) {
    ASSERT_TRUE(Put(std::string(size, 'k'), absl::StrCat(size)).ok()) << size;
  }
  for (const size_t size : {0, 1, 2, 3, 4, 5, 7, 8, 35, 36, 37, 255, 2046, 2047, 2048, 65536}) {
    EXPECT_EQ(Get(std::string(size, 'k')), absl::StrCat(size));
  }
}

TEST_F(TableTest, ValuesAreWrittenOverByOnesOfTheirSizeAndOfOthers) {
  const std::vector<std::string> keys = {BenchUuid(1), "k", std::string(35, 'k'),
                                         std::string(2047, 'k')};
  for (const std::string& key : keys) {
    for (const size_t size : {0, 0, 1, 1, 15, 15, 16, 17, 17, 64, 64, 4095, 4095, 4096, 4096, 64}) {
      for (const char c : {'a', 'b'}) {
        ASSERT_TRUE(Put(key, std::string(size, c)).ok());
        ASSERT_EQ(Get(key), std::string(size, c)) << size;
      }
    }
  }
  EXPECT_EQ(table_.sums().entries, keys.size());
}

TEST_F(TableTest, APutWithoutAnExpiryTakesItAway) {
  Metadata expires;
  expires.expiry = Metadata::Change::kSet;
  expires.expires_at_ms = 1000;
  ASSERT_TRUE(Put("k", "v1", expires).ok());
  EXPECT_EQ(Get("k", 1000), "(absent)");
  ASSERT_TRUE(Put("k", "v2").ok());
  EXPECT_EQ(Get("k", 1000), "v2");
  ASSERT_TRUE(Put("k", "v3", expires).ok());
  EXPECT_EQ(Get("k", 1000), "(absent)");
}

TEST_F(TableTest, MemoryComesBackAfterOverwritingWithOtherSizes) {
  constexpr uint64_t kKeys = 20'000;
  for (uint64_t i = 0; i < kKeys; ++i) ASSERT_TRUE(Put(BenchUuid(i), std::string(64, 'v')).ok());
  const size_t steady = table_.memory_bytes();
  for (size_t round = 0; round < 10; ++round) {
    for (uint64_t i = 0; i < kKeys; ++i) {
      const size_t size = round == 9 ? 64 : 32 + (i * 31 + round * 17) % 64;
      ASSERT_TRUE(Put(BenchUuid(i), std::string(size, 'w')).ok());
    }
    EXPECT_LT(static_cast<double>(table_.memory_bytes()), 1.25 * static_cast<double>(steady));
  }
  EXPECT_LT(static_cast<double>(table_.memory_bytes()), 1.2 * static_cast<double>(steady));
}

TEST_F(TableTest, SegmentsAreMergedWhenFewKeysAreLeft) {
  constexpr uint64_t kKeys = 40'000;
  const auto value = [](uint64_t i) { return absl::StrCat(i, std::string(50 + i % 30, 'v')); };
  const auto is_kept = [](uint64_t i) { return i % 100 == 7; };
  for (uint64_t i = 0; i < kKeys; ++i) ASSERT_TRUE(Put(BenchUuid(i), value(i)).ok());
  const Table::Sums full = table_.sums();
  const size_t full_bytes = table_.memory_bytes();
  ASSERT_GE(full.segments, 16u);
  for (int round = 0; round < 2; ++round) {
    for (uint64_t i = 0; i < kKeys; ++i) {
      if (is_kept(i)) continue;
      ASSERT_TRUE(Delete(BenchUuid(i)));
    }
    const Table::Sums few = table_.sums();
    EXPECT_EQ(few.entries, kKeys / 100);
    EXPECT_LE(few.segments, 4u);
    // What is kept for the next time: segments without extents, and the directory.
    EXPECT_LT(table_.memory_bytes(), full_bytes / 40);
    const std::vector<std::string> scanned = ScanAll(10);
    EXPECT_EQ(scanned.size(), kKeys / 100);
    EXPECT_EQ(std::set<std::string>(scanned.begin(), scanned.end()).size(), kKeys / 100);
    for (uint64_t i = 0; i < kKeys; ++i) {
      ASSERT_EQ(Get(BenchUuid(i)), is_kept(i) ? value(i) : "(absent)");
      if (is_kept(i)) continue;
      ASSERT_TRUE(Put(BenchUuid(i), value(i)).ok());
    }
    for (uint64_t i = 0; i < kKeys; ++i) ASSERT_EQ(Get(BenchUuid(i)), value(i));
    EXPECT_EQ(table_.sums().entries, kKeys);
    EXPECT_LE(table_.sums().segments, full.segments + full.segments / 4);
  }
  table_.DeleteRange("", "");
  EXPECT_EQ(table_.sums().entries, 0u);
  EXPECT_EQ(table_.sums().segments, 1u);
  ASSERT_TRUE(Put("k", "v").ok());
  EXPECT_EQ(Get("k"), "v");
}

TEST_F(TableTest, WhatExpiresIsSweptFromMergedSegmentsToo) {
  constexpr uint64_t kKeys = 20'000;
  Metadata expires;
  expires.expiry = Metadata::Change::kSet;
  expires.expires_at_ms = 1000;
  // One of them: in the half that goes, sooner or later.
  for (uint64_t soon = 0; soon < 800; soon += 100) {
    for (uint64_t i = 0; i < kKeys; ++i) {
      ASSERT_TRUE(Put(BenchUuid(i), std::string(64, 'v')).ok());
    }
    // Last: what is split gives its first expiry to both halves.
    ASSERT_TRUE(Put(BenchUuid(soon), std::string(64, 'v'), expires).ok());
    const uint64_t segments = table_.sums().segments;
    for (uint64_t i = 0; i < kKeys; ++i) {
      if (i % 100 == 0) continue;
      ASSERT_TRUE(Delete(BenchUuid(i)));
    }
    ASSERT_LT(table_.sums().segments, segments / 2);
    EXPECT_EQ(table_.sums().entries, kKeys / 100);
    uint64_t position = 0;
    EXPECT_TRUE(table_.Sweep(1000, 1000, &position));
    EXPECT_EQ(table_.sums().entries, kKeys / 100 - 1) << soon;
    table_.DeleteRange("", "");
  }
}

// Through growth, splits, merges, copies and flushes.
TEST_F(TableTest, EntriesWithAnExpiryAreCounted) {
  Metadata expires;
  expires.expiry = Metadata::Change::kSet;
  expires.expires_at_ms = 1000;
  const std::string value(64, 'v');
  constexpr uint64_t kKeys = 20'000;
  for (uint64_t i = 0; i < kKeys; ++i) {
    ASSERT_TRUE(Put(BenchUuid(i), value, i % 4 == 0 ? expires : Metadata()).ok());
  }
  EXPECT_EQ(table_.sums().expiring, kKeys / 4);
  // Of other sizes, so that segments are copied.
  for (uint64_t i = 0; i < kKeys; ++i) {
    ASSERT_TRUE(Put(BenchUuid(i), value + value, i % 4 == 1 ? expires : Metadata()).ok());
  }
  EXPECT_EQ(table_.sums().expiring, kKeys / 4);
  for (uint64_t i = 0; i < kKeys; ++i) {
    if (i % 8 == 1) continue;
    ASSERT_TRUE(Delete(BenchUuid(i)));
  }
  EXPECT_EQ(table_.sums().expiring, kKeys / 8);
  EXPECT_EQ(table_.sums().expired, 0u);
  // Over one that has expired, and of one.
  TableKey key;
  bool existed = true;
  table_.SetKey(BenchUuid(1), &key);
  ASSERT_TRUE(
      table_.Apply(key, {Mutation::Kind::kPut, key.text(), value, {}}, 2000, &existed).ok());
  EXPECT_FALSE(existed);
  table_.SetKey(BenchUuid(9), &key);
  ASSERT_TRUE(
      table_.Apply(key, {Mutation::Kind::kDelete, key.text(), {}, {}}, 2000, &existed).ok());
  EXPECT_EQ(table_.sums().expired, 2u);
  EXPECT_EQ(table_.sums().expiring, kKeys / 8 - 2);
  uint64_t position = 0;
  EXPECT_TRUE(table_.Sweep(1000, 1000, &position));
  EXPECT_EQ(table_.sums().expired, kKeys / 8);
  EXPECT_EQ(table_.sums().expiring, 0u);
  ASSERT_TRUE(Put("k", value, expires).ok());
  table_.DeleteRange("", "");
  EXPECT_EQ(table_.sums().expiring, 0u);
}

// What has expired for who took the stamp may not have for a writer whose clock was read
// before: the key is there for a while all the same.
TEST_F(TableTest, TheStampOfAnExpiredKeyDoesNotOutliveAWriterThatIsBehind) {
  Metadata expires;
  expires.expiry = Metadata::Change::kSet;
  expires.expires_at_ms = 1000;
  for (const std::string& value : {std::string("v"), std::string("of another size")}) {
    ASSERT_TRUE(Put("k", "v", expires).ok());
    TableKey key;
    table_.SetKey("k", &key);
    ReadResults results;
    results.Reset(1);
    table_.Get(key, {true, /*stamp=*/true, /*now_ms=*/2000}, &results.mutable_result(0),
               &results.bytes());
    ASSERT_FALSE(results[0].found);
    const Stamp absent = results[0].stamp;
    bool existed;
    Metadata keep = Metadata::Keep();
    ASSERT_TRUE(table_.Apply(key, {Mutation::Kind::kPut, "k", value, keep}, 500, &existed).ok());
    ASSERT_TRUE(existed);
    ASSERT_TRUE(Delete("k"));
    results.Reset(1);
    table_.Get(key, {true, /*stamp=*/true, /*now_ms=*/2000}, &results.mutable_result(0),
               &results.bytes());
    EXPECT_NE(results[0].stamp, absent);
  }
}

// A segment that was emptied takes in its other half, which is still to be emptied.
TEST_F(TableTest, ARangeIsDeletedFromSegmentsThatAreMergedMeanwhile) {
  constexpr uint64_t kKeys = 40'000;
  for (const uint64_t left : {10, 25, 40}) {
    for (uint64_t i = 0; i < kKeys; ++i) {
      ASSERT_TRUE(Put(BenchUuid(i), std::string(64, 'v')).ok());
    }
    for (uint64_t i = 0; i < kKeys; ++i) {
      if (i % left == 0) continue;
      ASSERT_TRUE(Delete(BenchUuid(i)));
    }
    EXPECT_GT(table_.sums().segments, 1u);
    table_.DeleteRange("", "g");
    EXPECT_EQ(table_.sums().entries, 0u) << left;
  }
}

TEST_F(TableTest, ScansGiveEachKeyOnceAndInTheSameOrder) {
  std::set<std::string> keys;
  for (uint64_t i = 0; i < 10'000; ++i) {
    keys.insert(BenchUuid(i));
    ASSERT_TRUE(Put(BenchUuid(i), "v").ok());
  }
  const std::vector<std::string> order = ScanAll(1000);
  EXPECT_EQ(std::set<std::string>(order.begin(), order.end()), keys);
  EXPECT_EQ(order.size(), keys.size());
  for (const size_t page : {1, 2, 7, 100'000}) EXPECT_EQ(ScanAll(page), order);
}

// A key that is there all the while is seen exactly once, whatever comes and goes.
TEST_F(TableTest, ScansMissNothingWhileTheTableGrowsAndShrinks) {
  for (uint64_t i = 0; i < 3000; ++i) ASSERT_TRUE(Put(absl::StrCat("stays", i), "v").ok());
  std::vector<std::string> seen;
  uint64_t position = 0;
  uint64_t last = 0;
  uint64_t others = 0;
  for (bool more = true; more;) {
    ScanPage page;
    PageLimits limits;
    limits.entries = 10;
    more = table_.Scan(
        &position, limits, false, 0, [](absl::string_view) { return true; }, &page, &last);
    for (const ScanEntry& entry : page) {
      if (entry.key[0] == 's') seen.emplace_back(entry.key);
    }
    // First it grows, then it shrinks.
    for (int i = 0; i < 300; ++i) {
      if (others < 40'000) {
        ASSERT_TRUE(Put(BenchUuid(others++), std::string(64, 'x')).ok());
      } else {
        Delete(BenchUuid(others++ - 40'000));
      }
    }
  }
  EXPECT_EQ(seen.size(), 3000u);
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), 3000u);
}

// UUIDs are hashed in another way on other processors.
TEST(PortableTableTest, KeysAreFoundByTheHashOfAnyProcessor) {
  Table::Options options = OptionsOf(HashSeed{1, 2}, 0);
  options.hash = KeyHash::Way::kPortable;
  Table table(options);
  constexpr uint64_t kKeys = 20'000;
  for (uint64_t i = 0; i < kKeys; ++i) {
    const std::string name = BenchUuid(i);
    TableKey key;
    table.SetKey(name, &key);
    bool existed;
    ASSERT_TRUE(table.Apply(key, {Mutation::Kind::kPut, name, name, {}}, 0, &existed).ok());
  }
  EXPECT_GE(table.sums().segments, 4u);
  for (uint64_t i = 0; i < kKeys; ++i) {
    const std::string name = BenchUuid(i);
    TableKey key;
    table.SetKey(name, &key);
    ReadResults results;
    results.Reset(1);
    table.Get(key, {}, &results.mutable_result(0), &results.bytes());
    ASSERT_EQ(results[0].value, name);
  }
}

class SmallTableTest : public TableTest {
 protected:
  SmallTableTest() : TableTest(1 << 20) {}
};

TEST_F(SmallTableTest, WritesBeyondTheLimitAreRefused) {
  uint64_t n = 0;
  absl::Status status;
  while ((status = Put(BenchUuid(n), std::string(64, 'v'))).ok()) ++n;
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_GT(n, 10'000u);
  // Pages and what a split takes beside are counted when they are there.
  EXPECT_LE(table_.memory_bytes(), (size_t{1} << 20) + (16 << 10));
  EXPECT_EQ(Get(BenchUuid(0)), std::string(64, 'v'));
  EXPECT_EQ(Put("large", std::string(2 << 20, 'v')).code(), absl::StatusCode::kResourceExhausted);
  // What takes no more may be written; what was deleted makes room.
  EXPECT_TRUE(Put(BenchUuid(0), std::string(64, 'w')).ok());
  for (uint64_t i = 0; i < n / 2; ++i) Delete(BenchUuid(i));
  EXPECT_TRUE(Put("new", std::string(64, 'v')).ok());
}

// Keys whose hashes begin alike: who knows the seed makes them, and only then the table
// has no use for its splits.
TEST(HashFloodingTest, KeysThatCollideUnderOneSeedDoNotUnderAnother) {
  const HashSeed known{11, 12};
  std::vector<std::string> keys;
  for (uint64_t i = 0; keys.size() < 4'000; ++i) {
    std::string key = absl::StrCat("k", i);
    if (SipHash<1, 3>(key, known) >> 53 == 0) keys.push_back(std::move(key));
  }
  const auto work = [&keys](const HashSeed& seed) {
    Table table(OptionsOf(seed, 0));
    for (const std::string& name : keys) {
      TableKey key;
      table.SetKey(name, &key);
      bool existed;
      EXPECT_TRUE(
          table.Apply(key, {Mutation::Kind::kPut, name, std::string(600, 'v'), {}}, 0, &existed)
              .ok());
    }
    for (const std::string& name : keys) {
      TableKey key;
      table.SetKey(name, &key);
      ReadResults results;
      results.Reset(1);
      table.Get(key, {}, &results.mutable_result(0), &results.bytes());
      EXPECT_TRUE(results[0].found);
    }
    return table.sums();
  };
  const Table::Sums attacked = work(known);
  const Table::Sums safe = work(HashSeed::Random());
  // A lookup goes over all chunks of its segment.
  EXPECT_GE(attacked.longest_chain, 8u);
  EXPECT_EQ(safe.longest_chain, 1u);
}

TEST_F(TableTest, ExpiredEntriesAreSweptAFewSegmentsAtATime) {
  Metadata expires;
  expires.expiry = Metadata::Change::kSet;
  for (uint64_t i = 0; i < 20'000; ++i) {
    expires.expires_at_ms = i % 2 == 0 ? 1000 : 5000;
    ASSERT_TRUE(Put(BenchUuid(i), std::string(64, 'v'), expires).ok());
  }
  EXPECT_EQ(Get(BenchUuid(0), 999), std::string(64, 'v'));
  EXPECT_EQ(Get(BenchUuid(0), 1000), "(absent)");
  uint64_t position = 0;
  EXPECT_FALSE(table_.Sweep(1000, 1, &position));
  EXPECT_LT(table_.sums().entries, 20'000u);
  EXPECT_GT(table_.sums().entries, 10'000u);
  while (!table_.Sweep(1000, 1, &position)) continue;
  EXPECT_EQ(table_.sums().entries, 10'000u);
  position = 0;
  EXPECT_TRUE(table_.Sweep(4999, 1, &position)) << "there is nothing to look at";
  EXPECT_TRUE(table_.Sweep(5000, 1000, &position));
  EXPECT_EQ(table_.sums().entries, 0u);
}

// All at once, on a few keys and on many: for ThreadSanitizer, and for values that are
// torn between two writers.
TEST_F(TableTest, ReadersNeverSeeHalfAValue) {
  constexpr int kHot = 20;
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> reads{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      while (!stop) {
        for (int i = 0; i < kHot; ++i) {
          const std::string value = Get(absl::StrCat("hot", i));
          if (value == "(absent)") continue;
          ASSERT_EQ(value, std::string(value.size(), value[0]));
          ++reads;
        }
        ScanAll(500);
      }
    });
  }
  threads.emplace_back([&] {
    // Grows and shrinks the table under them.
    for (int round = 0; !stop; ++round) {
      for (uint64_t i = 0; i < 3000; ++i) {
        if (round % 2 == 0) {
          ASSERT_TRUE(Put(BenchUuid(i), std::string(300, 'x')).ok());
        } else {
          Delete(BenchUuid(i));
        }
      }
    }
  });
  for (int round = 0; round < 600 || reads < 1000; ++round) {
    const std::string value(static_cast<size_t>(round * 37 % 6000),
                            static_cast<char>('a' + round % 26));
    for (int i = 0; i < kHot; ++i) {
      if ((round + i) % 7 == 0) {
        Delete(absl::StrCat("hot", i));
      } else {
        ASSERT_TRUE(Put(absl::StrCat("hot", i), value).ok());
      }
    }
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

// Of one size, so that each is written over the one before it.
TEST_F(TableTest, AValueThatIsWrittenOverIsNeverSeenByHalf) {
  ASSERT_TRUE(Put("hot", std::string(4000, 'a')).ok());
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> reads{0};
  std::thread reader([&] {
    while (!stop) {
      const std::string value = Get("hot");
      ASSERT_EQ(value, std::string(4000, value[0]));
      ++reads;
    }
  });
  for (int round = 0; (round < 300'000 || reads < 20'000) && !HasFailure(); ++round) {
    ASSERT_TRUE(Put("hot", std::string(4000, static_cast<char>('a' + round % 26))).ok());
  }
  stop = true;
  reader.join();
}

}  // namespace
}  // namespace kvarts::memory_internal
