// The pieces that a table is made of.

#include "storage/dict/table.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "bench/bench_data.h"
#include "gtest/gtest.h"
#include "storage/dict/entry_log.h"

namespace kvarts {
namespace {

TEST(SlotLayoutTest, EveryFileSizeHasRoomForOffsetsAndTags) {
  for (int bits = 0; bits <= SlotLayout::kMaxOffsetBits - 1; ++bits) {
    const uint64_t size = uint64_t{1} << bits;
    const SlotLayout layout = SlotLayout::For(size);
    EXPECT_GE(layout.tag_bits, SlotLayout::kMinTagBits) << bits;
    EXPECT_LE(layout.tag_bits, SlotLayout::kMaxTagBits) << bits;
    EXPECT_LE(layout.tag_bits + layout.payload_bits(), 63) << bits;
    EXPECT_GT(layout.payload_bits(), 16) << bits;
    const uint64_t slot = layout.Payload(size - 1, 5);
    EXPECT_EQ(layout.Offset(slot), size - 1);
    if (layout.size_bits > 3) {
      EXPECT_EQ(layout.ValueSize(slot), 5u);
    }
    EXPECT_EQ(layout.ValueSize(layout.Payload(size - 1, ~uint64_t{0})), DataFileMap::kUnknownSize);
    EXPECT_NE(layout.Offset(DictTable::kEmpty), size - 1) << "an empty slot looks like a record";
  }
  const SlotLayout terabyte = SlotLayout::For(uint64_t{1} << 40);
  EXPECT_EQ(terabyte.ValueSize(terabyte.Payload(0, 1000)), 1000u);
}

TEST(LogEntryTest, KeepsPayloadAndHash) {
  for (int bits = 17; bits < 64; ++bits) {
    for (uint64_t i = 0; i < 100; ++i) {
      const uint64_t payload = Mix(i) & ((uint64_t{1} << bits) - 1);
      const uint64_t hash = Mix(~i);
      const LogEntry entry = LogEntry::Make(payload, hash, bits);
      ASSERT_EQ(entry.Payload(bits), payload) << bits;
      ASSERT_EQ(entry.Hash(bits), hash >> (bits - 16) << (bits - 16)) << bits;
    }
  }
}

EntryLog LogOf(uint64_t first, size_t n, ChunkSource* source) {
  EntryLog log;
  for (uint64_t i = first; i < first + n; ++i) {
    EXPECT_TRUE(log.Append(LogEntry::Make(i, 0, 40), source).ok());
  }
  return log;
}

TEST(EntryLogTest, TakenEntriesAreAllThere) {
  for (const size_t a :
       {size_t{0}, size_t{1}, ChunkSource::kEntries, 2 * ChunkSource::kEntries + 5}) {
    for (const size_t b :
         {size_t{0}, size_t{3}, ChunkSource::kEntries - 1, 3 * ChunkSource::kEntries}) {
      ChunkSource source;
      EntryLog log = LogOf(0, a, &source);
      log.Take(LogOf(a, b, &source));
      ASSERT_EQ(log.size(), a + b);
      std::vector<uint64_t> got;
      for (size_t i = 0; i < log.size(); ++i) got.push_back(log.Get(i).Payload(40));
      std::sort(got.begin(), got.end());
      for (size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], i);
      log.Truncate(a / 2);
      ASSERT_EQ(log.size(), a / 2);
      for (size_t i = 0; i < log.size(); ++i) ASSERT_EQ(log.Get(i).Payload(40), i);
    }
  }
}

// Whether a slot with `payload` is found from its hash on.
bool Finds(const DictTable& table, uint64_t hash, uint64_t payload) {
  const DictTable::Home home = table.HomeOf(hash);
  for (const uint64_t* line = home.line;; line += DictTable::kSlotsPerLine) {
    for (uint32_t m = table.Matches(line, home.tag); m != 0; m &= m - 1) {
      if (table.layout().Offset(line[__builtin_ctz(m)]) == payload) return true;
    }
    if (!DictTable::Spilled(line)) return false;
  }
}

TEST(DictTableTest, EverySlotIsFoundFromItsHomeOn) {
  const SlotLayout layout = SlotLayout::For(1 << 20);
  for (const uint64_t n : {uint64_t{0}, uint64_t{1}, uint64_t{8}, uint64_t{100}, uint64_t{50000}}) {
    std::vector<uint64_t> hashes;
    for (uint64_t i = 0; i < n; ++i) hashes.push_back(Mix(i));
    hashes.resize(n);
    std::sort(hashes.begin(), hashes.end());
    auto writer = DictTableWriter::New(layout, 1, 64, n);
    ASSERT_TRUE(writer.ok());
    for (uint64_t i = 0; i < n; ++i) {
      ASSERT_TRUE(writer->Add(hashes[i], layout.Payload(i, 0)).ok());
    }
    const auto table = writer->Finish();
    ASSERT_TRUE(table.ok());
    EXPECT_EQ(table->entries(), n);
    uint64_t false_finds = 0;
    for (uint64_t i = 0; i < n; ++i) {
      ASSERT_TRUE(Finds(*table, hashes[i], i)) << i;
      false_finds += Finds(*table, Mix(n + i), i) ? 1 : 0;
    }
    EXPECT_LE(false_finds, 1u);
  }
}

TEST(DictTableTest, HashesOfOneLineSpillAndAreFound) {
  const SlotLayout layout = SlotLayout::For(1 << 20);
  for (const uint64_t hash : {uint64_t{0}, uint64_t{1} << 63, ~uint64_t{0} << 8}) {
    auto writer = DictTableWriter::New(layout, 1, 64, 1000);
    ASSERT_TRUE(writer.ok());
    for (uint64_t i = 0; i < 1000; ++i) {
      ASSERT_TRUE(writer->Add(hash, layout.Payload(i, 0)).ok());
    }
    const auto table = writer->Finish();
    ASSERT_TRUE(table.ok());
    for (uint64_t i = 0; i < 1000; ++i) ASSERT_TRUE(Finds(*table, hash, i));
  }
}

TEST(DictTableTest, EmptySlotsMatchNoTag) {
  const SlotLayout layout = SlotLayout::For(1 << 20);
  auto writer = DictTableWriter::New(layout, 1, 64, 0);
  ASSERT_TRUE(writer.ok());
  const auto table = writer->Finish();
  ASSERT_TRUE(table.ok());
  for (uint64_t i = 0; i < 100000; ++i) {
    const DictTable::Home home = table->HomeOf(i < 64 ? ~uint64_t{0} << i : Mix(i));
    ASSERT_EQ(table->Matches(home.line, home.tag), 0u);
  }
}

}  // namespace
}  // namespace kvarts
