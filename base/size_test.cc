#include "base/size.h"

#include <cstdint>
#include <limits>
#include <string>

#include "gtest/gtest.h"

namespace kvarts {
namespace {

TEST(ParseSizeTest, UnitsArePowersOf1000And1024) {
  EXPECT_EQ(*ParseSize("0"), 0u);
  EXPECT_EQ(*ParseSize("512"), 512u);
  EXPECT_EQ(*ParseSize("512B"), 512u);
  EXPECT_EQ(*ParseSize("3KB"), 3000u);
  EXPECT_EQ(*ParseSize("3KiB"), 3072u);
  EXPECT_EQ(*ParseSize("64MB"), 64'000'000u);
  EXPECT_EQ(*ParseSize("64MiB"), 67'108'864u);
  EXPECT_EQ(*ParseSize("1GB"), 1'000'000'000u);
  EXPECT_EQ(*ParseSize("1GiB"), 1'073'741'824u);
  EXPECT_EQ(*ParseSize("2TB"), 2'000'000'000'000u);
  EXPECT_EQ(*ParseSize("2TiB"), 2'199'023'255'552u);
}

TEST(ParseSizeTest, CaseAndOneSpaceDoNotMatter) {
  EXPECT_EQ(*ParseSize("64mib"), 67'108'864u);
  EXPECT_EQ(*ParseSize("64 MiB"), 67'108'864u);
  EXPECT_EQ(*ParseSize("1kb"), 1000u);
}

TEST(ParseSizeTest, TheLargestNumberIsTheLast) {
  EXPECT_EQ(*ParseSize("18446744073709551615"), std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(*ParseSize("16777215TiB"), 16777215ull << 40);
  for (const char* text : {"18446744073709551616", "16777216TiB", "99999999999999999999999B"}) {
    const auto size = ParseSize(text);
    ASSERT_FALSE(size.ok()) << text;
    EXPECT_EQ(size.status().message(),
              std::string("\"") + text + "\" is not a size: it is larger than 64 bits hold");
  }
}

TEST(ParseSizeTest, AnythingElseIsAnErrorThatQuotesIt) {
  for (const char* text : {"", " ", "MiB", "-1", "+1", " 1", "1.5GiB", "64M", "64MiBs", "1 2",
                           "0x10", "1e6", "sixty"}) {
    const auto size = ParseSize(text);
    ASSERT_FALSE(size.ok()) << text;
    EXPECT_EQ(size.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(size.status().message().find(std::string("\"") + text + "\" is not a size: expected"),
              0u)
        << size.status();
  }
}

TEST(FormatSizeTest, HasOneDecimalAndTheUnitThatFits) {
  EXPECT_EQ(FormatSize(0), "0 B");
  EXPECT_EQ(FormatSize(1023), "1023 B");
  EXPECT_EQ(FormatSize(1024), "1.0 KiB");
  EXPECT_EQ(FormatSize(67'108'864), "64.0 MiB");
  EXPECT_EQ(FormatSize((1 << 20) - 1), "1.0 MiB");
  EXPECT_EQ(FormatSize(std::numeric_limits<uint64_t>::max()), "16.0 EiB");
}

TEST(FormatCountTest, HasThreeDigits) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(999.7), "1 k");
  EXPECT_EQ(FormatCount(1234), "1.23 k");
  EXPECT_EQ(FormatCount(1'234'567), "1.23 M");
  EXPECT_EQ(FormatCount(100'000'000), "100 M");
  EXPECT_EQ(FormatCount(999'600), "1 M");
}

}  // namespace
}  // namespace kvarts
