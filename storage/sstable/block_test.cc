#include "storage/sstable/block.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/coding.h"
#include "gtest/gtest.h"

namespace kvarts::sstable {
namespace {

// table_test has what blocks give, beside sorted lists.

std::string BlockOf(int entries, absl::string_view prefix, size_t value_bytes) {
  BlockBuilder builder;
  const std::string value(value_bytes, 'v');
  for (int i = 0; i < entries; ++i) {
    const std::string key = absl::StrCat(prefix, 100000 + i * 7);
    builder.Add({key, MakeTrailer(static_cast<Sequence>(i) + 1, kPut), value});
  }
  return std::string(builder.Finish());
}

size_t Entries(const std::shared_ptr<const Block>& block) {
  size_t entries = 0;
  const auto it = Block::NewIterator(block);
  for (it->SeekToFirst(); it->valid(); it->Next()) ++entries;
  return entries;
}

TEST(BlockTest, InMemoryAnEntryTakesAFewBytesMoreThanInTheFile) {
  for (const absl::string_view prefix : {"", "user/profile/"}) {
    for (const int entries : {30, 40, 300}) {
      const std::string bytes = BlockOf(entries, prefix, 100);
      const auto block = Block::Make(bytes);
      ASSERT_NE(block, nullptr);
      EXPECT_EQ(Entries(block), static_cast<size_t>(entries));
      EXPECT_LE(block->memory_bytes(), bytes.size() + 120 + 9 * static_cast<size_t>(entries));
    }
  }
}

// Keys are whole in memory but for what all have in common: of long ones with much in common, it is
// not more than they would be in a file without any coding.
TEST(BlockTest, LongKeysTakeNoMoreThanTheyAreLong) {
  BlockBuilder builder;
  builder.Add({"a", MakeTrailer(1, kPut), ""});
  size_t whole = 0;
  for (int i = 0; i < 100; ++i) {
    const std::string key = absl::StrCat(std::string(3000, 'k'), 100 + i);
    builder.Add({key, MakeTrailer(1, kPut), ""});
    whole += key.size();
  }
  const std::string bytes(builder.Finish());
  const auto block = Block::Make(bytes);
  ASSERT_NE(block, nullptr);
  EXPECT_LE(block->memory_bytes(), whole + 100 * 20 + 200);
  EXPECT_LE(block->memory_bytes(), bytes.size() * 16);
}

TEST(BlockTest, BytesThatAreCutOrHaveOtherRestartsAreNoBlock) {
  const std::string good = BlockOf(20, "key", 5);
  ASSERT_NE(Block::Make(good), nullptr);
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(Block::Make(absl::string_view(good).substr(0, size)), nullptr) << size;
  }
  EXPECT_EQ(Block::Make(absl::string_view(good).substr(1)), nullptr);
  // Three are whole, at the end of the block.
  ASSERT_EQ(LoadLE32(good.data() + good.size() - 4), 3u);
  for (size_t i = 1; i <= 4; ++i) {
    for (const uint32_t other : {0U, 1U, 2U, 4U, 1000U, 0x40000000U, ~0U}) {
      std::string bad = good;
      if (LoadLE32(bad.data() + bad.size() - 4 * i) == other) continue;
      StoreLE32(bad.data() + bad.size() - 4 * i, other);
      EXPECT_EQ(Block::Make(bad), nullptr) << i << " " << other;
    }
  }
}

// Else a small block could stand for one that fills memory.
TEST(BlockTest, MoreThanSixteenEntriesWithoutAWholeOneAreNoBlock) {
  for (const int entries : {16, 17}) {
    std::string bytes;
    for (int i = 0; i < entries; ++i) {
      AppendVarint(&bytes, i == 0 ? 0 : 1);
      AppendVarint(&bytes, i == 0 ? 1 : 0);
      AppendVarint(&bytes, 0);
      AppendLE64(&bytes, MakeTrailer(static_cast<Sequence>(100 - i), kPut));
      if (i == 0) bytes += "k";
    }
    AppendLE32(&bytes, 0);
    AppendLE32(&bytes, 1);
    EXPECT_EQ(Block::Make(bytes) != nullptr, entries == 16);
  }
}

}  // namespace
}  // namespace kvarts::sstable
