#include "base/percent.h"

#include <string>

#include "gtest/gtest.h"

namespace kvarts {
namespace {

TEST(PercentTest, EveryByteComesBack) {
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  EXPECT_EQ(*PercentDecode(PercentEncode(all)), all);
  EXPECT_EQ(*PercentDecode(PercentEncode(all, "/:")), all);
}

TEST(PercentTest, OnlyWhatNeedsItIsEncoded) {
  EXPECT_EQ(PercentEncode("aZ09-._~"), "aZ09-._~");
  EXPECT_EQ(PercentEncode("a b/\xff"), "a%20b%2F%FF");
  EXPECT_EQ(PercentEncode("/a b", "/"), "/a%20b");
}

TEST(PercentTest, DecodesBothCasesAndLeavesPlusAlone) {
  EXPECT_EQ(*PercentDecode("%2f%2F+%00"), std::string("//+\0", 4));
  EXPECT_EQ(*PercentDecode(""), "");
}

TEST(PercentTest, BadEncodingIsAnErrorThatTellsWhere) {
  for (const char* text : {"ab%", "ab%4", "ab%g0", "ab%0g", "ab%%41"}) {
    const auto decoded = PercentDecode(text);
    ASSERT_FALSE(decoded.ok()) << text;
    EXPECT_EQ(decoded.status().message(),
              "bad percent-encoding at byte 2: expected '%' and two hexadecimal digits");
  }
}

}  // namespace
}  // namespace kvarts
