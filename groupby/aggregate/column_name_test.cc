#include "groupby/aggregate/column_name.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

// "NAME@PLACE", with what there is.
std::string Shown(absl::string_view text) {
  const absl::StatusOr<ColumnName> column = ParseColumnName(text);
  if (!column.ok()) return std::string(column.status().message());
  return absl::StrCat(column->name.value_or("-"), "@",
                      column->place.has_value() ? absl::StrCat(*column->place) : "-");
}

TEST(ColumnNameTest, ANumberIsANameOrAPlaceAndASignOrQuotesSayWhich) {
  EXPECT_EQ(Shown("price"), "price@-");
  EXPECT_EQ(Shown("03"), "03@3");
  EXPECT_EQ(Shown("#3"), "-@3");
  EXPECT_EQ(Shown("#03"), "-@3");
  EXPECT_EQ(Shown("\"03\""), "03@-");
  EXPECT_EQ(Shown("\"#3\""), "#3@-");
  EXPECT_EQ(Shown("\"a:b,c\""), "a:b,c@-");
  EXPECT_EQ(Shown("\"say \"\"a\"\"\""), "say \"a\"@-");
  EXPECT_EQ(Shown("\"\""), "@-");
  for (const char* const name : {"#", "#x", "#3x", "+3", "-3", " 3", "3.0", "a\"b"}) {
    EXPECT_EQ(Shown(name), absl::StrCat(name, "@-"));
  }
  EXPECT_EQ(Shown("#99999999999999999999"), "-@18446744073709551615");
}

TEST(ColumnNameTest, WrongQuotesAreShown) {
  for (const char* const text : {"\"", "\"a", "\"a\"b", "\"a\"\"", "\"\"\""}) {
    EXPECT_EQ(Shown(text).substr(0, 53), "expected a name between quotes, with a quote in it tw")
        << text;
  }
}

TEST(ColumnNameTest, NamesInQuotesAreNotSplit) {
  using Parts = std::vector<absl::string_view>;
  EXPECT_EQ(SplitAtNames("", ','), Parts{""});
  EXPECT_EQ(SplitAtNames("a,b,,c", ','), (Parts{"a", "b", "", "c"}));
  EXPECT_EQ(SplitAtNames("sum:\"a,b\",count", ','), (Parts{"sum:\"a,b\"", "count"}));
  EXPECT_EQ(SplitAtNames("top:\"a:\"\"b\":3", ':'), (Parts{"top", "\"a:\"\"b\"", "3"}));
  EXPECT_EQ(SplitAtNames("\"a,b\"", ','), Parts{"\"a,b\""});
  EXPECT_EQ(SplitAtNames("sum:a\"b,c\"", ','), (Parts{"sum:a\"b", "c\""})) << "no name begins so";
  EXPECT_EQ(SplitAtNames("sum:\"a,b", ','), (Parts{"sum:\"a", "b"})) << "nor ends";
}

}  // namespace
}  // namespace kvarts
