#include "storage/blocks/fuse_filter.h"

#include <cstdint>
#include <string>
#include <vector>

#include "base/coding.h"
#include "gtest/gtest.h"
#include "storage/fs/crash_policy.h"

namespace kvarts {
namespace {

std::vector<uint64_t> Hashes(uint64_t seed, size_t n) {
  CrashRandom random(seed);
  std::vector<uint64_t> hashes(n);
  for (uint64_t& hash : hashes) hash = random.Next();
  return hashes;
}

TEST(FuseFilterTest, EveryKeyIsFoundAndOneInTwoHundredOthersAtTheMost) {
  for (const size_t n : {0, 1, 2, 3, 10, 100, 1000, 18000, 20000, 70000}) {
    const std::vector<uint64_t> hashes = Hashes(n + 1, n);
    const std::string bytes = BuildFuseFilter(hashes);
    const FuseFilter filter(bytes);
    for (const uint64_t hash : hashes) ASSERT_TRUE(filter.MayContain(hash)) << n;
    int wrong = 0;
    constexpr int kProbes = 100000;
    for (const uint64_t hash : Hashes(~n, kProbes)) wrong += filter.MayContain(hash) ? 1 : 0;
    EXPECT_LE(wrong, kProbes / 200) << n;
    const double bits =
        n == 0 ? 0 : 8.0 * static_cast<double>(bytes.size()) / static_cast<double>(n);
    if (n >= 18000) {
      EXPECT_LE(bits, 10.5) << n;
    }
    RecordProperty("bits_a_key_" + std::to_string(n), std::to_string(bits));
  }
}

TEST(FuseFilterTest, RepeatedAndNeighbouringHashesAreNoTrouble) {
  std::vector<uint64_t> hashes(5000, 17);
  for (uint64_t i = 0; i < 5000; ++i) hashes.push_back(i);
  hashes.push_back(~uint64_t{0});
  const std::string bytes = BuildFuseFilter(hashes);
  ASSERT_FALSE(bytes.empty());
  const FuseFilter filter(bytes);
  for (const uint64_t hash : hashes) EXPECT_TRUE(filter.MayContain(hash));
}

// Bytes that are none may hold everything: a lookup is slower, and right. What is read of them is
// theirs (the sanitizers see to that).
TEST(FuseFilterTest, DamagedBytesGiveAnAnswerAndNothingElse) {
  const std::string good = BuildFuseFilter(Hashes(1, 50));
  const std::vector<uint64_t> probes = Hashes(2, 50);
  const auto ask = [&](std::string bytes) {
    bytes.shrink_to_fit();
    const FuseFilter filter(bytes);
    for (const uint64_t hash : probes) filter.MayContain(hash);
  };
  for (size_t i = 0; i < good.size(); ++i) {
    ask(good.substr(0, i));
    for (const int flip : {1, 0x80, 0xff}) {
      std::string bytes = good;
      bytes[i] = static_cast<char>(bytes[i] ^ flip);
      ask(bytes);
    }
  }
  EXPECT_TRUE(FuseFilter("").MayContain(1));
  EXPECT_TRUE(FuseFilter("short").MayContain(1));
  EXPECT_TRUE(FuseFilter(good + "more").MayContain(1));
  // Lengths whose sum overflows 32 bits to what is there.
  std::string wrapped(16 + 8, '\0');
  StoreLE32(&wrapped[8], 1 << 18);
  StoreLE32(&wrapped[12], static_cast<uint32_t>(8 - (2 << 18)));
  ask(wrapped);
  EXPECT_TRUE(FuseFilter(wrapped).MayContain(1));
}

}  // namespace
}  // namespace kvarts
