#include "storage/blocks/block_cache.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "storage/fs/crash_policy.h"

namespace kvarts {
namespace {

Pin Piece(uint64_t file, uint64_t offset) {
  return std::make_shared<const std::string>(std::to_string(file) + "/" + std::to_string(offset));
}
const std::string& TextOf(const Pin& pin) { return *static_cast<const std::string*>(pin.get()); }

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
  std::vector<Pin> pins;
  for (uint64_t i = 0; i < 1000; ++i) {
    cache.Insert({i, i * 4096}, Piece(i, i * 4096), 1000);
    ASSERT_LE(cache.used(), cache.capacity());
    if (Pin pin = cache.Find({i, i * 4096}); pin != nullptr) pins.push_back(std::move(pin));
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
  for (uint64_t i = 0; i < 100000; ++i) {
    ASSERT_NE(cache.Find({7, 7}), nullptr) << i;
    cache.Insert({8, i * 4096}, Piece(8, i), 1000);
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
          const Pin pin = cache.Find({file, offset});
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
