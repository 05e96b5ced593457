#include "groupby/aggregate/number.h"

#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace kvarts {
namespace {

std::string RoundTrip(absl::string_view text) {
  const absl::StatusOr<Number> n = Number::Parse(text);
  if (!n.ok()) return std::string(n.status().message());
  std::string out;
  n->AppendTo(&out);
  return out;
}

TEST(NumberTest, IntegersAreExactUpTo128Bits) {
  for (const char* const text :
       {"0", "7", "-7", "999999999999999999", "1000000000000000000", "9223372036854775807",
        "-9223372036854775808", "9223372036854775808", "18446744073709551616",
        "170141183460469231731687303715884105727", "-170141183460469231731687303715884105728"}) {
    EXPECT_EQ(RoundTrip(text), text);
  }
  EXPECT_EQ(RoundTrip("+5"), "5");
  EXPECT_EQ(RoundTrip("-0"), "0");
  EXPECT_EQ(RoundTrip("0000000000000000000000000000000000000000000000000000000000042"), "42");
}

TEST(NumberTest, RealsComeBackInFewDigits) {
  EXPECT_EQ(RoundTrip("1.50"), "1.5");
  EXPECT_EQ(RoundTrip("-.25"), "-0.25");
  EXPECT_EQ(RoundTrip("5."), "5");
  EXPECT_EQ(RoundTrip("0.1"), "0.1");
  EXPECT_EQ(RoundTrip("+1e3"), "1000");
  EXPECT_EQ(RoundTrip("1E-400"), "0");
  EXPECT_EQ(RoundTrip("4.9e-324"), "5e-324");
}

TEST(NumberTest, AnythingElseIsAnErrorThatQuotesIt) {
  for (const char* const text :
       {"",    "-",    "+",  ".",   "x",   "1x",  "1 ",    " 1",  "0x10", "nan",
        "inf", "-inf", "1e", "1e+", "--1", "+-1", "1.2.3", "1,5", "e5",   "-e5"}) {
    EXPECT_FALSE(Number::Parse(text).ok()) << text;
  }
  EXPECT_EQ(RoundTrip("a\tb"), "\"a\\tb\" is no number");
  EXPECT_EQ(RoundTrip("1e999"), "\"1e999\" is beyond what a double holds");
  EXPECT_EQ(RoundTrip("170141183460469231731687303715884105728"),
            "\"170141183460469231731687303715884105728\" has more than 128 bits");
  EXPECT_FALSE(Number::Parse("-170141183460469231731687303715884105729").ok());
  EXPECT_FALSE(Number::Parse(std::string(60, '9')).ok());
  EXPECT_EQ(RoundTrip(std::string(50, 'x')), "\"" + std::string(40, 'x') + "...\" is no number");
}

TEST(NumberTest, ComparesExactlyWhateverTheKinds) {
  const std::vector<Number> sorted = {
      Number::Real(-1e300),
      Number::Integer(std::numeric_limits<absl::int128>::min()),
      Number::Real(-1.5),
      Number::Integer(-1),
      Number::Real(-0.5),
      Number::Integer(0),
      Number::Real(0.5),
      Number::Integer(9007199254740992),
      Number::Integer(9007199254740993),  // no double
      Number::Real(9007199254740994.0),
      Number::Integer(std::numeric_limits<absl::int128>::max()),
      Number::Real(170141183460469231731687303715884105728.0),
      Number::Real(1e300),
  };
  for (size_t i = 0; i < sorted.size(); ++i) {
    for (size_t j = 0; j < sorted.size(); ++j) {
      const int order = Number::Compare(sorted[i], sorted[j]);
      EXPECT_EQ(order < 0, i < j) << i << " " << j;
      EXPECT_EQ(order > 0, i > j) << i << " " << j;
    }
  }
  EXPECT_EQ(Number::Compare(Number::Integer(3), Number::Real(3)), 0);
}

}  // namespace
}  // namespace kvarts
