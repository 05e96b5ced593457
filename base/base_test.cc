#include <cstdint>
#include <random>
#include <string>

#include "base/checksum.h"
#include "base/coding.h"
#include "base/secret.h"
#include "base/slot.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

TEST(SlotTest, AgreesWithRedisCluster) {
  EXPECT_EQ(KeySlot("123456789"), 0x31C3 % kSlots);
  EXPECT_EQ(KeySlot("foo"), 12182);
  EXPECT_EQ(KeySlot("foo{bar}x"), 5061);
  EXPECT_EQ(KeySlot("{}x"), 10595);
  EXPECT_EQ(KeySlot(""), 0);
  EXPECT_EQ(KeySlot("a{b}c{d}"), KeySlot("b"));
}

TEST(SlotTest, ATagIsWhatTheFirstBracesHave) {
  EXPECT_EQ(HashTag("a{b}c{d}"), "b");
  for (const char* key : {"", "foo", "{}x", "{}{b}", "{x", "x}y{", "}{"}) {
    EXPECT_EQ(HashTag(key), "") << key;
  }
  EXPECT_EQ(HashTag("{{a}}"), "{a");
}

// CRC16/XMODEM as it is defined: bit by bit.
uint16_t SlotByDefinition(absl::string_view text) {
  uint16_t crc = 0;
  for (const char c : text) {
    crc = static_cast<uint16_t>(crc ^ (static_cast<uint8_t>(c) << 8));
    for (int bit = 0; bit < 8; ++bit) {
      crc = static_cast<uint16_t>((crc << 1) ^ ((crc & 0x8000) != 0 ? 0x1021 : 0));
    }
  }
  return crc % kSlots;
}

TEST(SlotTest, KeysOfAllLengthsHaveTheSlotOfTheDefinition) {
  std::mt19937 random(1);
  for (int length = 0; length <= 300; ++length) {
    for (int round = 0; round < 20; ++round) {
      std::string key;
      while (static_cast<int>(key.size()) < length) {
        const char c = static_cast<char>(random());
        if (c != '{' && c != '}') key += c;
      }
      ASSERT_EQ(KeySlot(key), SlotByDefinition(key)) << "length " << length;
      // Zero bytes count, before and after the others.
      const std::string zeros = std::string(round, '\0') + key + std::string(round, '\0');
      ASSERT_EQ(KeySlot(zeros), SlotByDefinition(zeros)) << "length " << zeros.size();
      if (key.empty()) continue;
      const std::string before(random() % 40, 'x');
      const std::string after(random() % 40, '}');
      ASSERT_EQ(KeySlot(before + "{" + key + "}" + after), SlotByDefinition(key));
      // No tag: nothing inside, or no end.
      ASSERT_EQ(KeySlot("{}" + key), SlotByDefinition("{}" + key));
      ASSERT_EQ(KeySlot("{" + key), SlotByDefinition("{" + key));
    }
  }
}

TEST(ChecksumTest, PiecesGiveTheChecksumOfTheWhole) {
  const std::string text(10000, 'x');
  ChecksumStream stream(7);
  stream.Update(absl::string_view(text).substr(0, 3333));
  stream.Update(absl::string_view(text).substr(3333));
  EXPECT_EQ(stream.Digest(), Checksum(text, 7));
  EXPECT_NE(Checksum(text, 8), Checksum(text, 7));
  // The published value of XXH3_64bits for empty input and seed 0.
  EXPECT_EQ(Checksum(""), 0x2D06800538D394C2u);
}

TEST(SecretTest, OnlyTheSameIsTheSame) {
  EXPECT_TRUE(SameSecret("", ""));
  EXPECT_TRUE(SameSecret("secret", "secret"));
  for (const char* other : {"", "s", "secre", "secretsecret", "Secret", "secreT"}) {
    EXPECT_FALSE(SameSecret(other, "secret")) << other;
    EXPECT_FALSE(SameSecret("secret", other)) << other;
  }
}

TEST(CodingTest, IsLittleEndian) {
  std::string out;
  AppendLE32(&out, 0x01020304);
  AppendLE64(&out, 0x0102030405060708);
  EXPECT_EQ(out, std::string("\4\3\2\1\10\7\6\5\4\3\2\1"));
  EXPECT_EQ(LoadLE32(out.data()), 0x01020304u);
  EXPECT_EQ(LoadLE64(out.data() + 4), 0x0102030405060708u);
  EXPECT_EQ(LoadBE64(out.data() + 4), 0x0807060504030201u);
}

}  // namespace
}  // namespace kvarts
