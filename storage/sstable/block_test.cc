#include "storage/sstable/block.h"

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/coding.h"
#include "gtest/gtest.h"
#include "storage/fs/crash_policy.h"

namespace kvarts::sstable {
namespace {

// table_test has what iterators give, beside sorted lists.

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
      EXPECT_LE(block->memory_bytes(), bytes.size() + 120);
      const auto laid_out = block->LayOut();
      EXPECT_EQ(Entries(laid_out), static_cast<size_t>(entries));
      EXPECT_LE(laid_out->memory_bytes(), bytes.size() + 120 + 9 * static_cast<size_t>(entries));
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
  ASSERT_NE(Block::Make(bytes), nullptr);
  const auto block = Block::Make(bytes)->LayOut();
  EXPECT_LE(block->memory_bytes(), whole + 100 * 20 + 200);
  EXPECT_LE(block->memory_bytes(), bytes.size() * 16);
}

// Keys of few letters share much or nothing with each other, are beginnings of each other, and have
// several versions over the borders of what is whole.
TEST(BlockTest, AReadFindsTheSameHoweverTheBlockLies) {
  CrashRandom random(1);
  for (int round = 0; round < 300; ++round) {
    std::set<std::pair<std::string, Trailer>> all;
    const auto a_key = [&] {
      std::string key = random.UpTo(1) == 0 ? "" : "prefix/";
      for (uint64_t n = random.UpTo(4); n > 0; --n) {
        key += "ab\xff"[random.UpTo(round % 2 == 0 ? 2 : 1)];
      }
      return key;
    };
    for (uint64_t n = 1 + random.UpTo(59); n > 0; --n) {
      // The set's order of trailers, turned round, is that of entries.
      all.insert({a_key(), ~MakeTrailer(1 + random.UpTo(29), kPut)});
    }
    BlockBuilder builder;
    std::vector<Entry> entries;
    std::vector<std::string> blobs;
    for (const auto& [key, trailer] : all) blobs.push_back(absl::StrCat(key, "@", ~trailer));
    for (const auto& [key, trailer] : all) {
      entries.push_back({key, ~trailer, blobs[entries.size()]});
      builder.Add(entries.back());
    }
    const auto as_read = Block::Make(builder.Finish());
    ASSERT_NE(as_read, nullptr);
    for (const auto& block : {as_read, as_read->LayOut()}) {
      const auto it = Block::NewIterator(block);
      const auto expect_at = [&](size_t place) {
        ASSERT_EQ(it->valid(), place < entries.size()) << round;
        if (!it->valid()) return;
        ASSERT_EQ(it->entry().key, entries[place].key);
        ASSERT_EQ(it->entry().trailer, entries[place].trailer);
        ASSERT_EQ(it->entry().blob, entries[place].blob);
      };
      for (int look = 0; look < 20; ++look) {
        const std::string key = a_key();
        const Trailer trailer = SeekTrailer(random.UpTo(31));
        const auto place = static_cast<size_t>(
            std::find_if(entries.begin(), entries.end(),
                         [&](const Entry& entry) {
                           return !EntryLess(entry.key, entry.trailer, key, trailer);
                         }) -
            entries.begin());
        it->Seek(key, trailer);
        for (size_t i = place; i <= entries.size(); ++i) {
          expect_at(i);
          if (it->valid()) it->Next();
        }
        it->SeekBefore(key, trailer);
        for (size_t i = place; i > 0; --i) {
          expect_at(i - 1);
          it->Prev();
        }
        ASSERT_FALSE(it->valid());
      }
      for (int look = 0; look < 100; ++look) {
        const std::string key = a_key();
        const Trailer trailer = SeekTrailer(random.UpTo(31));
        const auto expected = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) {
          return entry.key == key && entry.trailer <= trailer;
        });
        Entry entry;
        const bool found = block->Get(key, KeyHash(key), trailer, &entry);
        ASSERT_EQ(found, expected != entries.end()) << round << " " << key;
        if (!found) continue;
        ASSERT_EQ(entry.key, key);
        ASSERT_EQ(entry.trailer, expected->trailer);
        ASSERT_EQ(entry.blob, expected->blob);
      }
    }
  }
}

TEST(BlockTest, AfterSomeReadsItSaysOnceThatLayingItOutPays) {
  const auto block = Block::Make(BlockOf(20, "key", 5));
  int said = 0;
  for (int i = 0; i < 1000; ++i) said += block->PaysToLayOut() ? 1 : 0;
  EXPECT_EQ(said, 1);
  EXPECT_FALSE(block->is_laid_out());
  EXPECT_TRUE(block->LayOut()->is_laid_out());
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
