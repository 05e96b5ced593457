#include "storage/memory/key_hash.h"

#include <cstdint>
#include <set>
#include <string>

#include "absl/strings/string_view.h"
#include "base/coding.h"
#include "base/siphash.h"
#include "bench/bench_data.h"
#include "gtest/gtest.h"

namespace kvarts::memory_internal {
namespace {

class KeyHashTest : public testing::TestWithParam<KeyHash::Way> {
 protected:
  const KeyHash hash_{HashSeed{3, 4}, GetParam()};
};

TEST_P(KeyHashTest, PacksTheTextsThatPackUuidPacks) {
  const std::string good = "01234567-89ab-cdef-fedc-ba9876543210";
  // Each byte in each place.
  for (size_t at = 0; at < kUuidTextBytes; ++at) {
    for (int c = 0; c < 256; ++c) {
      std::string text = good;
      text[at] = static_cast<char>(c);
      char want[kUuidBytes];
      char packed[kUuidBytes];
      uint64_t hash;
      const bool is_uuid = PackUuid(text, want);
      ASSERT_EQ(hash_.Pack(text.data(), packed, &hash), is_uuid) << at << " " << c;
      if (is_uuid) {
        ASSERT_EQ(std::string(packed, kUuidBytes), std::string(want, kUuidBytes)) << text;
      }
    }
  }
}

TEST_P(KeyHashTest, AKeyHasOneHashAsTextAndAsItIsStored) {
  std::set<uint64_t> hashes;
  for (uint64_t i = 0; i < 10'000; ++i) {
    char packed[kUuidBytes];
    uint64_t hash;
    ASSERT_TRUE(hash_.Pack(BenchUuid(i).data(), packed, &hash));
    EXPECT_EQ(hash, hash_.OfUuid(packed));
    hashes.insert(hash);
  }
  EXPECT_EQ(hashes.size(), 10'000u);
}

// Each bit of the hash is set for about half of the keys, however alike they are.
TEST_P(KeyHashTest, HashesOfNeighboursAreSpread) {
  constexpr int kKeys = 4096;
  int set[64] = {};
  for (int i = 0; i < kKeys; ++i) {
    char packed[kUuidBytes] = {};
    StoreLE64(packed, static_cast<uint64_t>(i));
    const uint64_t hash = hash_.OfUuid(packed);
    for (int bit = 0; bit < 64; ++bit) set[bit] += static_cast<int>(hash >> bit & 1);
  }
  // Six standard deviations, of 32 each.
  for (const int n : set) {
    EXPECT_GT(n, kKeys / 2 - 192);
    EXPECT_LT(n, kKeys / 2 + 192);
  }
}

TEST_P(KeyHashTest, AnotherSeedGivesOtherHashes) {
  const KeyHash other(HashSeed{3, 5}, GetParam());
  const char packed[kUuidBytes] = {};
  EXPECT_NE(hash_.OfUuid(packed), other.OfUuid(packed));
}

INSTANTIATE_TEST_SUITE_P(Ways, KeyHashTest,
                         testing::Values(KeyHash::Way::kFastest, KeyHash::Way::kPortable),
                         [](const auto& info) {
                           return info.param == KeyHash::Way::kFastest ? "Fastest" : "Portable";
                         });

// FIPS 197, appendix C.1: the key 00 01 ... 0f makes 69 c4 e0 d8 6a 7b 04 30 ... of
// 00 11 ... ff.
TEST(KeyHashOfUuidTest, IsThatOfTheStandardWhereTheProcessorHasAes) {
  const HashSeed seed{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  char block[kUuidBytes];
  for (int i = 0; i < 16; ++i) block[i] = static_cast<char>(i * 0x11);
  const uint64_t by_aes = 0x30047b6ad8e0c469;
  const uint64_t by_siphash = SipHash<1, 3>(absl::string_view(block, kUuidBytes), seed);
  const uint64_t hash = KeyHash(seed).OfUuid(block);
#if defined(__x86_64__)
  EXPECT_EQ(hash, __builtin_cpu_supports("aes") != 0 ? by_aes : by_siphash);
#else
  EXPECT_EQ(hash, by_siphash);
#endif
  EXPECT_EQ(KeyHash(seed, KeyHash::Way::kPortable).OfUuid(block), by_siphash);
}

}  // namespace
}  // namespace kvarts::memory_internal
