#include "storage/blocks/compression.h"

#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "gtest/gtest.h"
#include "storage/fs/crash_policy.h"

namespace kvarts {
namespace {

constexpr size_t kMax = 1 << 20;

std::string Noise(size_t size) {
  CrashRandom random(size);
  std::string out;
  while (out.size() < size) out.push_back(static_cast<char>(random.Next()));
  return out;
}

TEST(CompressionTest, BlocksComeBackAsTheyWere) {
  for (const Compression wanted : {Compression::kNone, Compression::kLz4, Compression::kZstd}) {
    for (const size_t size : {0, 1, 63, 64, 65, 127, 4096, 100000}) {
      for (const std::string& block : {std::string(size, 'a'), Noise(size)}) {
        std::string out = "before";
        const Compression how = Compress(wanted, block, &out);
        ASSERT_EQ(out.substr(0, 6), "before");
        const auto back = Decompress(how, absl::string_view(out).substr(6), kMax);
        ASSERT_TRUE(back.ok()) << back.status();
        EXPECT_EQ(*back, block) << static_cast<int>(wanted) << ", " << size;
        EXPECT_LE(out.size() - 6, block.size());
      }
    }
  }
}

TEST(CompressionTest, WhatSavesLessThanAnEighthIsKeptAsItIs) {
  for (const Compression wanted : {Compression::kLz4, Compression::kZstd}) {
    std::string out;
    EXPECT_EQ(Compress(wanted, Noise(5000), &out), Compression::kNone);
    EXPECT_EQ(out, Noise(5000));
    out.clear();
    EXPECT_EQ(Compress(wanted, std::string(5000, 'a'), &out), wanted);
    EXPECT_LT(out.size(), 200u);
  }
}

TEST(CompressionTest, BytesThatAreNoBlockAreRefused) {
  for (const Compression how : {Compression::kLz4, Compression::kZstd}) {
    std::string good;
    ASSERT_EQ(Compress(how, std::string(300, 'a') + Noise(50) + std::string(300, 'b'), &good), how);
    const std::string block = *Decompress(how, good, kMax);
    for (size_t i = 0; i < good.size(); ++i) {
      EXPECT_FALSE(Decompress(how, absl::string_view(good).substr(0, i), kMax).ok()) << i;
      // Without a checksum a flip may give another block: never one of another size.
      for (const int flip : {1, 0x80, 0xff}) {
        std::string bytes = good;
        bytes[i] = static_cast<char>(bytes[i] ^ flip);
        if (const auto back = Decompress(how, bytes, kMax); back.ok() && i >= 2) {
          EXPECT_EQ(back->size(), block.size());
        }
      }
    }
    EXPECT_FALSE(Decompress(how, good + "x", kMax).ok());
    EXPECT_FALSE(Decompress(how, good, block.size() - 1).ok());
    EXPECT_TRUE(Decompress(how, good, block.size()).ok());
  }
  EXPECT_FALSE(Decompress(static_cast<Compression>(3), "\1x", kMax).ok());
  EXPECT_FALSE(Decompress(static_cast<Compression>(255), "\1x", kMax).ok());
}

// What it says it holds is no reason to take memory: a size above the limit, or one that so few
// bytes cannot come to.
TEST(CompressionTest, ABombIsRefusedBeforeMemoryIsTaken) {
  for (const Compression how : {Compression::kLz4, Compression::kZstd}) {
    for (const uint64_t size : {~uint64_t{0}, uint64_t{1} << 62, uint64_t{1} << 45}) {
      std::string bytes;
      AppendVarint(&bytes, size);
      bytes += "0123456789";
      // Taking so much would end the process.
      EXPECT_TRUE(absl::IsDataLoss(Decompress(how, bytes, kMax).status()));
      EXPECT_TRUE(absl::IsDataLoss(Decompress(how, bytes, size).status()));
    }
  }
}

// Under a sanitizer that looks for leaks: a thread leaves nothing behind.
TEST(CompressionTest, ThreadsThatComeAndGoLeaveNothing) {
  for (int i = 0; i < 4; ++i) {
    std::thread([] {
      std::string out;
      ASSERT_EQ(Compress(Compression::kZstd, std::string(5000, 'a'), &out), Compression::kZstd);
      EXPECT_TRUE(Decompress(Compression::kZstd, out, kMax).ok());
    }).join();
  }
}

}  // namespace
}  // namespace kvarts
