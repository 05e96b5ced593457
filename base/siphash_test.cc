#include "base/siphash.h"

#include <string>

#include "gtest/gtest.h"

namespace kvarts {
namespace {

// From the reference implementation's vectors: the key is 00 01 .. 0f, the message of n
// bytes is 00 01 .. n-1.
TEST(SipHashTest, TwoFourIsThatOfThePaper) {
  const HashSeed seed{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  std::string message;
  const uint64_t expected[] = {0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a,
                               0x85676696d7fb7e2d, 0xcf2794e0277187b7, 0x18765564cd99a68d,
                               0xcbc9466e58fee3ce, 0xab0200f58b01d137, 0x93f5f5799a932462};
  for (const uint64_t hash : expected) {
    EXPECT_EQ((SipHash<2, 4>(message, seed)), hash) << message.size();
    message.push_back(static_cast<char>(message.size()));
  }
  // The example in the paper's appendix: 15 bytes.
  while (message.size() < 15) message.push_back(static_cast<char>(message.size()));
  message.resize(15);
  EXPECT_EQ((SipHash<2, 4>(message, seed)), 0xa129ca6149be45e5);
}

TEST(SipHashTest, SeedsDiffer) {
  const HashSeed a = HashSeed::Random();
  const HashSeed b = HashSeed::Random();
  EXPECT_NE((SipHash<1, 3>("key", a)), (SipHash<1, 3>("key", b)));
  EXPECT_EQ((SipHash<1, 3>("key", a)), (SipHash<1, 3>("key", a)));
}

}  // namespace
}  // namespace kvarts
