#include "storage/bisect/key_coding.h"

#include <random>
#include <string>
#include <vector>

#include "bench/bench_data.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

// Texts that are like `key` but for their end, a byte, or their length.
std::string Neighbour(const std::string& key, std::mt19937_64& random) {
  std::string out = key.substr(0, random() % (key.size() + 1));
  for (uint64_t i = random() % 3; i > 0; --i) out.push_back(static_cast<char>(random()));
  if (random() % 2 == 0 && !out.empty()) {
    out[random() % out.size()] = static_cast<char>(random());
  }
  return out;
}

void ExpectOrderKept(const KeyCoding& coding, const std::vector<std::string>& keys) {
  std::mt19937_64 random(keys.size());
  for (size_t i = 0; i + 1 < keys.size(); ++i) {
    const std::string& a = keys[random() % keys.size()];
    const std::string& b = keys[random() % keys.size()];
    uint64_t code_a = 0;
    uint64_t code_b = 0;
    ASSERT_TRUE(coding.Code(a, &code_a));
    ASSERT_TRUE(coding.Code(b, &code_b));
    if (a < b) {
      ASSERT_LE(code_a, code_b) << a << " " << b;
    }
    if (a > b) {
      ASSERT_GE(code_a, code_b) << a << " " << b;
    }
    for (const std::string& bound : {Neighbour(a, random), Neighbour(b, random), a, b}) {
      const uint64_t code = coding.BoundCode(bound);
      if (bound <= a) {
        ASSERT_LE(code, code_a) << testing::PrintToString(bound) << " " << a;
      }
      if (bound >= a) {
        ASSERT_GE(code, code_a) << testing::PrintToString(bound) << " " << a;
      }
    }
  }
}

TEST(KeyCodingTest, UuidCodesKeepTheOrderOfTexts) {
  std::vector<std::string> keys;
  for (int i = 0; i < 20000; ++i) keys.push_back(BenchUuid(i));
  ExpectOrderKept(KeyCoding::Uuid4(), keys);
}

TEST(KeyCodingTest, TextCodesKeepTheOrderOfTexts) {
  for (const std::string& letters :
       {std::string("01"), std::string("0123456789"), std::string("q"), std::string("az\xff", 3),
        std::string("\0\x01\x80\xfe\xff", 5), std::string("0123456789abcdef-")}) {
    std::mt19937_64 random(letters.size());
    std::vector<std::string> keys;
    AlphabetBuilder builder;
    for (int i = 0; i < 5000; ++i) {
      std::string key = "some/prefix:";
      for (uint64_t n = random() % 30; n > 0; --n)
        key.push_back(letters[random() % letters.size()]);
      builder.Add(key);
      keys.push_back(key);
    }
    const KeyCoding coding = builder.Build();
    EXPECT_EQ(coding.prefix().substr(0, 12), "some/prefix:");
    ExpectOrderKept(coding, keys);
  }
}

TEST(KeyCodingTest, DecimalDigitsUseTheWholeRange) {
  AlphabetBuilder builder;
  for (int i = 0; i < 1000; ++i) {
    char key[16];
    std::snprintf(key, sizeof key, "user:%03d", i);
    builder.Add(key);
  }
  const KeyCoding coding = builder.Build();
  EXPECT_EQ(coding.prefix(), "user:");
  EXPECT_EQ(coding.digits(), 17);
  uint64_t first = 1;
  uint64_t middle = 0;
  ASSERT_TRUE(coding.Code("user:000", &first));
  ASSERT_TRUE(coding.Code("user:500", &middle));
  EXPECT_EQ(first, 0u);
  EXPECT_NEAR(static_cast<double>(middle), 0.5 * 18446744073709551616.0, 1e17);
}

TEST(KeyCodingTest, KeysThatCannotBeInTheFileHaveNoCode) {
  AlphabetBuilder builder;
  builder.Add("k:abc");
  builder.Add("k:bca");
  const KeyCoding coding = builder.Build();
  uint64_t code = 0;
  EXPECT_TRUE(coding.Code("k:cab", &code));
  EXPECT_FALSE(coding.Code("k:abd", &code));
  EXPECT_FALSE(coding.Code("l:abc", &code));
  EXPECT_FALSE(coding.Code("k", &code));
  EXPECT_FALSE(KeyCoding::Uuid4().Code("short", &code));
}

TEST(KeyCodingTest, PackingIsExactAndKeepsTheOrder) {
  std::string last_text;
  std::string last_packed;
  for (int i = 0; i < 20000; ++i) {
    const std::string text = BenchUuid(i);
    ASSERT_TRUE(KeyCoding::IsUuid4(text));
    char packed[16];
    char back[36];
    KeyCoding::PackUuid(text.data(), packed);
    KeyCoding::UnpackUuid(packed, back);
    ASSERT_EQ(text, std::string(back, 36));
    uint64_t code = 0;
    ASSERT_TRUE(KeyCoding::Uuid4().Code(text, &code));
    ASSERT_EQ(code, KeyCoding::PackedCode(packed));
    const std::string now(packed, 16);
    if (i > 0) {
      ASSERT_EQ(text < last_text, now < last_packed);
    }
    last_text = text;
    last_packed = now;
  }
}

TEST(KeyCodingTest, OnlyCanonicalVersionFourTextsAreUuids) {
  const std::string good = "01234567-89ab-4def-8123-456789abcdef";
  EXPECT_TRUE(KeyCoding::IsUuid4(good));
  for (size_t i = 0; i < good.size(); ++i) {
    for (int c = 0; c < 256; ++c) {
      std::string other = good;
      other[i] = static_cast<char>(c);
      const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
      bool want = hex;
      if (i == 8 || i == 13 || i == 18 || i == 23) want = c == '-';
      if (i == 14) want = c == '4';
      if (i == 19) want = c == '8' || c == '9' || c == 'a' || c == 'b';
      ASSERT_EQ(KeyCoding::IsUuid4(other), want) << other;
    }
  }
  EXPECT_FALSE(KeyCoding::IsUuid4(good + "0"));
  EXPECT_FALSE(KeyCoding::IsUuid4("01234567-89AB-4def-8123-456789abcdef"));
}

TEST(KeyCodingTest, AWorkedExampleOfTheFormat) {
  uint64_t code = 0;
  ASSERT_TRUE(KeyCoding::Uuid4().Code("01234567-89ab-4def-8123-456789abcdef", &code));
  EXPECT_EQ(code, 0x0123456789abdef0u);
}

}  // namespace
}  // namespace kvarts
