#include "net/resp/bits.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <random>
#include <string>

#include "gtest/gtest.h"

namespace kvarts {
namespace resp {
namespace {

std::string RandomValue(std::mt19937_64* random) {
  std::string value((*random)() % 40, '\0');
  // Long runs of one kind are what whole words are skipped for.
  const char fill = (*random)() % 2 == 0 ? '\0' : '\xff';
  for (char& byte : value) byte = (*random)() % 8 == 0 ? static_cast<char>((*random)()) : fill;
  return value;
}

TEST(BitsTest, CountAndFindAreThoseOfSingleBits) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20000; ++i) {
    const std::string value = RandomValue(&random);
    if (value.empty()) continue;
    const uint64_t first = random() % (value.size() * 8);
    const uint64_t last = first + random() % (value.size() * 8 - first);
    uint64_t count = 0;
    int64_t found[2] = {-1, -1};
    for (uint64_t bit = first; bit <= last; ++bit) {
      const bool on = BitAt(value, bit);
      count += on ? 1 : 0;
      if (found[on ? 1 : 0] < 0) found[on ? 1 : 0] = static_cast<int64_t>(bit);
    }
    ASSERT_EQ(CountBits(value, first, last), count) << first << " to " << last;
    ASSERT_EQ(FindBit(value, true, first, last), found[1]) << first << " to " << last;
    ASSERT_EQ(FindBit(value, false, first, last), found[0]) << first << " to " << last;
  }
}

TEST(BitsTest, ValuesAreCombinedBitByBit) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 2000; ++i) {
    const std::string a = RandomValue(&random);
    const std::string b = RandomValue(&random);
    for (const auto operation : {BitOperation::kAnd, BitOperation::kOr, BitOperation::kXor}) {
      std::string both = a;
      CombineBits(operation, b, &both);
      ASSERT_EQ(both.size(), std::max(a.size(), b.size()));
      for (uint64_t bit = 0; bit < both.size() * 8; ++bit) {
        const bool x = BitAt(a, bit);
        const bool y = BitAt(b, bit);
        const bool expected = operation == BitOperation::kAnd  ? x && y
                              : operation == BitOperation::kOr ? x || y
                                                               : x != y;
        ASSERT_EQ(BitAt(both, bit), expected);
      }
    }
  }
}

TEST(BitsTest, ANumberIsReadAsItWasWritten) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 2000; ++i) {
    std::string value(20, '\x5a');
    const int bits = static_cast<int>(1 + random() % 64);
    const uint64_t offset = random() % (value.size() * 8 - static_cast<uint64_t>(bits) + 1);
    const uint64_t number = random() >> (64 - bits);
    const uint64_t before = CountBits(value, 0, value.size() * 8 - 1);
    const int was = std::popcount(BitsAt(value, offset, bits));
    SetBitsAt(&value, offset, bits, number);
    ASSERT_EQ(BitsAt(value, offset, bits), number);
    ASSERT_EQ(CountBits(value, 0, value.size() * 8 - 1),
              before - static_cast<uint64_t>(was) + static_cast<uint64_t>(std::popcount(number)));
  }
}

}  // namespace
}  // namespace resp
}  // namespace kvarts
