#include "storage/blocks/block_cache.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/fs/crash_policy.h"

namespace kvarts {
namespace {

struct TextPiece : BlockCache::Piece {
  explicit TextPiece(std::string t) : text(std::move(t)) {}
  ~TextPiece() { text = "gone"; }
  std::string text;
};

BlockCache::Pin Piece(uint64_t file, uint64_t offset) {
  return std::make_shared<const TextPiece>(std::to_string(file) + "/" + std::to_string(offset));
}
const std::string& TextOf(const BlockCache::Piece* piece) {
  return static_cast<const TextPiece*>(piece)->text;
}
const std::string& TextOf(const BlockCache::Pin& pin) { return TextOf(pin.get()); }

const std::string* Look(BlockCache::Reader* reader, const BlockCache::Key& key) {
  const BlockCache::Reader::Search search = reader->Begin(key);
  reader->PrefetchPiece(search);
  const BlockCache::Piece* const piece = reader->Find(search);
  return piece == nullptr ? nullptr : &TextOf(piece);
}

TEST(BlockCacheTest, WhatWasPutInIsFoundUntilItIsErased) {
  const auto owned = std::make_unique<BlockCache>(1 << 20);
  BlockCache& cache = *owned;
  EXPECT_EQ(cache.Find({1, 0}), nullptr);
  cache.Insert({1, 0}, Piece(1, 0), 100);
  cache.Insert({1, 1}, Piece(1, 1), 100);
  cache.Insert({2, 0}, Piece(2, 0), 100);
  EXPECT_EQ(TextOf(cache.Find({1, 0})), "1/0");
  EXPECT_EQ(TextOf(cache.Find({2, 0})), "2/0");
  // Who was first stays.
  cache.Insert({1, 0}, Piece(9, 9), 100);
  EXPECT_EQ(TextOf(cache.Find({1, 0})), "1/0");
  cache.Erase({1, 0});
  cache.Erase({1, 0});
  EXPECT_EQ(cache.Find({1, 0}), nullptr);
  EXPECT_EQ(TextOf(cache.Find({1, 1})), "1/1");
  EXPECT_EQ(cache.hits(), 4u);
  EXPECT_EQ(cache.misses(), 2u);
  cache.Erase({1, 1});
  cache.Erase({2, 0});
  EXPECT_EQ(cache.used(), 0u);
}

TEST(BlockCacheTest, TheBoundIsKeptAndPinsSurviveEviction) {
  const auto owned = std::make_unique<BlockCache>(64 << 10);
  BlockCache& cache = *owned;
  std::vector<BlockCache::Pin> pins;
  for (uint64_t i = 0; i < 1000; ++i) {
    cache.Insert({i, i * 4096}, Piece(i, i * 4096), 1000);
    ASSERT_LE(cache.used(), cache.capacity());
    if (auto pin = cache.Find({i, i * 4096}); pin != nullptr) pins.push_back(std::move(pin));
  }
  EXPECT_EQ(pins.size(), 1000u);
  for (uint64_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(TextOf(pins[i]), TextOf(Piece(i, i * 4096)));
  }
  int there = 0;
  for (uint64_t i = 0; i < 1000; ++i) there += cache.Find({i, i * 4096}) != nullptr ? 1 : 0;
  EXPECT_GT(there, 16);
  EXPECT_LT(there, 65);
  // What alone is too large for the cache is not taken, and pushes nothing out.
  cache.Insert({5000, 0}, Piece(5000, 0), 64 << 10);
  EXPECT_EQ(cache.Find({5000, 0}), nullptr);
  int still = 0;
  for (uint64_t i = 0; i < 1000; ++i) still += cache.Find({i, i * 4096}) != nullptr ? 1 : 0;
  EXPECT_EQ(still, there);
}

// The index of a table is one piece.
TEST(BlockCacheTest, APieceOfUpToFourMebibytesIsKeptByEveryCacheThatHasRoomForIt) {
  for (const size_t mebibytes : {1, 3, 4, 5, 8, 17, 63, 64, 1000}) {
    const auto owned = std::make_unique<BlockCache>(mebibytes << 20);
    BlockCache& cache = *owned;
    EXPECT_GT(cache.capacity() + 16, mebibytes << 20);
    const size_t bytes = (std::min<size_t>(mebibytes, 4) << 20) - 1000;
    for (uint64_t i = 0; i < 40; ++i) {
      cache.Insert({i, ~uint64_t{0}}, Piece(i, 0), bytes);
      EXPECT_NE(cache.Find({i, ~uint64_t{0}}), nullptr) << mebibytes << " MiB, piece " << i;
      EXPECT_LE(cache.used(), cache.capacity());
    }
  }
}

TEST(BlockCacheTest, WhatIsUsedStaysLongerThanWhatIsNot) {
  const auto owned = std::make_unique<BlockCache>(1 << 20);
  BlockCache& cache = *owned;
  cache.Insert({7, 7}, Piece(7, 7), 1000);
  cache.Insert({7, 8}, Piece(7, 8), 1000);
  for (uint64_t i = 0; i < 100000; ++i) {
    ASSERT_NE(cache.Find({7, 7}), nullptr) << i;
    ASSERT_NE(BlockCache::Reader(&cache).Find(BlockCache::Key{7, 8}), nullptr) << i;
    cache.Insert({8, i * 4096}, Piece(8, i), 1000);
  }
}

TEST(BlockCacheTest, APieceTakesThePlaceOfTheOneThatIsThere) {
  const auto owned = std::make_unique<BlockCache>(64 << 10);
  BlockCache& cache = *owned;
  cache.Insert({1, 0}, Piece(1, 0), 100);
  BlockCache::Reader reader(&cache);
  const std::string* const before = Look(&reader, {1, 0});
  cache.Replace({1, 0}, Piece(2, 2), 1000);
  EXPECT_EQ(TextOf(cache.Find({1, 0})), "2/2");
  EXPECT_EQ(*before, "1/0");  // good as long as the reader
  const size_t used = cache.used();
  EXPECT_GT(used, 1000u);
  EXPECT_LT(used, 1200u);
  // What is gone stays gone, and what would not fit leaves what is there.
  cache.Replace({9, 9}, Piece(9, 9), 100);
  EXPECT_EQ(cache.Find({9, 9}), nullptr);
  cache.Replace({1, 0}, Piece(3, 3), 64 << 10);
  EXPECT_EQ(TextOf(cache.Find({1, 0})), "2/2");
  // It pushes others out, as one that is put in.
  EXPECT_TRUE(cache.HasRoom({5, 0}, 1000));
  EXPECT_FALSE(cache.HasRoom({5, 0}, 64 << 10));
  for (uint64_t i = 0; i < 50; ++i) cache.Insert({5, i}, Piece(5, i), 1000);
  EXPECT_FALSE(cache.HasRoom({6, 0}, 16 << 10));
  for (uint64_t i = 0; i < 50; ++i) {
    cache.Replace({5, i}, Piece(6, i), 3000);
    ASSERT_LE(cache.used(), cache.capacity());
  }
}

TEST(BlockCacheTest, ACacheOfNothingHoldsNothing) {
  for (const size_t bytes : {0, 1, 15, 96}) {
    const auto owned = std::make_unique<BlockCache>(bytes);
    BlockCache& cache = *owned;
    cache.Insert({1, 1}, Piece(1, 1), 1);
    EXPECT_EQ(cache.Find({1, 1}), nullptr);
    EXPECT_EQ(cache.used(), 0u);
  }
}

TEST(BlockCacheTest, AReaderFindsWhatIsThere) {
  const auto owned = std::make_unique<BlockCache>(1 << 20);
  BlockCache& cache = *owned;
  for (uint64_t i = 0; i < 200; ++i) cache.Insert({i % 3, i}, Piece(i % 3, i), 100);
  for (uint64_t i = 0; i < 200; i += 7) cache.Erase({i % 3, i});
  {
    BlockCache::Reader reader(&cache);
    for (uint64_t i = 0; i < 200; ++i) {
      const std::string* const text = Look(&reader, {i % 3, i});
      ASSERT_EQ(text != nullptr, i % 7 != 0) << i;
      if (text != nullptr) {
        EXPECT_EQ(*text, TextOf(Piece(i % 3, i)));
      }
      EXPECT_EQ(Look(&reader, {3, i}), nullptr);
    }
  }
  EXPECT_EQ(cache.hits(), 171u);
}

TEST(BlockCacheTest, WhatAReaderFoundStaysUntilAllGoThatBeganBeforeItWasDropped) {
  const auto owned = std::make_unique<BlockCache>(1 << 20);
  BlockCache& cache = *owned;
  std::vector<std::weak_ptr<const BlockCache::Piece>> pieces;
  for (uint64_t i = 0; i < 3; ++i) {
    auto piece = Piece(i, 0);
    pieces.push_back(piece);
    cache.Insert({i, 0}, std::move(piece), 200 << 10);
  }
  auto first = std::make_unique<BlockCache::Reader>(&cache);
  const std::string* const text = Look(first.get(), {0, 0});
  ASSERT_NE(text, nullptr);
  cache.Erase({0, 0});
  auto second = std::make_unique<BlockCache::Reader>(&cache);
  EXPECT_EQ(Look(second.get(), {0, 0}), nullptr);
  cache.Erase({1, 0});  // here those that were dropped become a generation
  auto third = std::make_unique<BlockCache::Reader>(&cache);
  cache.Erase({2, 0});
  EXPECT_EQ(*text, "0/0");
  second = nullptr;
  EXPECT_FALSE(pieces[0].expired());
  EXPECT_EQ(*text, "0/0");
  first = nullptr;
  EXPECT_TRUE(pieces[0].expired());
  EXPECT_FALSE(pieces[2].expired());
  third = nullptr;
  // With the next one that goes.
  cache.Insert({4, 0}, Piece(4, 0), 100);
  cache.Erase({4, 0});
  EXPECT_TRUE(pieces[2].expired());
}

TEST(BlockCacheTest, AReaderKeepsWhatIsDroppedManyGenerationsAfterItsBeginning) {
  const auto owned = std::make_unique<BlockCache>(1 << 20);
  BlockCache& cache = *owned;
  auto piece = Piece(0, 0);
  const std::weak_ptr<const BlockCache::Piece> weak = piece;
  cache.Insert({0, 0}, std::move(piece), 100);
  auto reader = std::make_unique<BlockCache::Reader>(&cache);
  const std::string* const text = Look(reader.get(), {0, 0});
  ASSERT_NE(text, nullptr);
  for (uint64_t i = 1; i < 20; ++i) {
    cache.Insert({i, 0}, Piece(i, 0), 300 << 10);
    cache.Erase({i, 0});
  }
  cache.Erase({0, 0});
  EXPECT_FALSE(weak.expired());
  EXPECT_EQ(*text, "0/0");
  reader = nullptr;
  cache.Insert({1, 0}, Piece(1, 0), 100);
  cache.Erase({1, 0});
  EXPECT_TRUE(weak.expired());
}

TEST(BlockCacheTest, WithoutReadersWhatIsDroppedGoesAtOnce) {
  const auto owned = std::make_unique<BlockCache>(1 << 20);
  auto piece = Piece(1, 0);
  const std::weak_ptr<const BlockCache::Piece> weak = piece;
  owned->Insert({1, 0}, std::move(piece), 100);
  { const BlockCache::Reader reader(owned.get()); }
  owned->Erase({1, 0});
  EXPECT_TRUE(weak.expired());
}

TEST(BlockCacheTest, ReadersLookAtNothingThatIsGoneWhileOthersChangeTheCache) {
  for (const uint64_t unit : {1, 1024}) {  // one shard, and eight
    const auto owned = std::make_unique<BlockCache>(unit * (32 << 10));
    BlockCache& cache = *owned;
    std::vector<std::thread> threads;
    std::atomic<int> writers{2};
    std::atomic<uint64_t> found{0};
    for (uint64_t t = 0; t < 2; ++t) {
      threads.emplace_back([&, t] {
        CrashRandom random(t);
        for (int i = 0; i < 20000; ++i) {
          const BlockCache::Key key{random.UpTo(3), random.UpTo(40)};
          cache.Insert(key, Piece(key.file, key.offset), unit * (300 + random.UpTo(700)));
          if (i % 3 == 0) cache.Erase({random.UpTo(3), random.UpTo(40)});
          if (i % 5 == 0) {
            cache.Replace(key, Piece(key.file, key.offset), unit * (300 + random.UpTo(700)));
          }
        }
        --writers;
      });
      threads.emplace_back([&, t] {
        CrashRandom random(100 + t);
        uint64_t mine = 0;
        do {
          BlockCache::Reader reader(&cache);
          const std::string* texts[16];
          BlockCache::Key keys[16];
          for (size_t i = 0; i < 16; ++i) {
            keys[i] = {random.UpTo(3), random.UpTo(40)};
            texts[i] = Look(&reader, keys[i]);
          }
          for (size_t i = 0; i < 16; ++i) {
            if (texts[i] == nullptr) continue;
            ++mine;
            ASSERT_EQ(*texts[i], absl::StrCat(keys[i].file, "/", keys[i].offset));
          }
        } while (writers > 0);
        found += mine;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_GT(found, 0u);
  }
}

TEST(BlockCacheTest, ThreadsFindWhatBelongsToTheirKey) {
  for (const uint64_t unit : {1, 1024}) {  // one shard, and eight
    const auto owned = std::make_unique<BlockCache>(unit * (32 << 10));
    BlockCache& cache = *owned;
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < 4; ++t) {
      threads.emplace_back([&cache, t, unit] {
        CrashRandom random(t);
        for (int i = 0; i < 20000; ++i) {
          const uint64_t file = random.UpTo(3);
          const uint64_t offset = random.UpTo(40);
          const auto pin = cache.Find({file, offset});
          if (pin != nullptr) {
            ASSERT_EQ(TextOf(pin), TextOf(Piece(file, offset)));
          } else {
            cache.Insert({file, offset}, Piece(file, offset), unit * (300 + random.UpTo(700)));
          }
          if (i % 50 == 0) cache.Erase({file, offset});
          if (i % 100 == 0) {
            ASSERT_LE(cache.used(), cache.capacity());
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
}

}  // namespace
}  // namespace kvarts
