#include "groupby/aggregate/aggregate_spec.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace kvarts {
namespace {

std::string ErrorOf(absl::string_view text) {
  const auto parsed = ParseAggregates(text, ResolveAmong(2, {"price", "name"}));
  return parsed.ok() ? "" : std::string(parsed.status().message());
}

TEST(AggregateSpecTest, NamesColumnsAndArgumentsAreRead) {
  const auto parsed = ParseAggregates("count,sum:2,list,top:3,top:name:4,distinct,min:price",
                                      ResolveAmong(2, {"price", "name"}));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->list, 2);
  std::vector<std::string> labels;
  std::vector<size_t> columns;
  for (const AggregateSpec& spec : parsed->aggregates) {
    labels.push_back(spec.label);
    columns.push_back(spec.column);
    EXPECT_NE(spec.function, nullptr);
  }
  EXPECT_EQ(labels, (std::vector<std::string>{"count", "sum:2", "top:3", "top:name:4", "distinct",
                                              "min:price"}));
  EXPECT_EQ(columns, (std::vector<size_t>{0, 1, 0, 1, 0, 0}));
}

TEST(AggregateSpecTest, EveryFunctionOfTheDocumentationIsThere) {
  for (const char* const name : {"list", "count", "sum", "mean", "min", "max", "mintext", "maxtext",
                                 "first", "last", "distinct", "top:1", "top:10000"}) {
    EXPECT_EQ(ErrorOf(name), "") << name;
  }
}

TEST(AggregateSpecTest, ErrorsNameTheAggregateAndWhatIsThere) {
  EXPECT_EQ(ErrorOf("avg"),
            "aggregate \"avg\": unknown; there are list, count, sum, mean, min, max, mintext, "
            "maxtext, first, last, distinct, top:K");
  EXPECT_EQ(ErrorOf("count,,sum").substr(0, 22), "aggregate \"\": unknown;");
  EXPECT_EQ(ErrorOf("sum:3"), "aggregate \"sum:3\": there is no value column 3 of 2");
  EXPECT_EQ(ErrorOf("sum:0"), "aggregate \"sum:0\": there is no value column 0 of 2");
  EXPECT_EQ(ErrorOf("sum:size"), "aggregate \"sum:size\": there is no value column \"size\"");
  EXPECT_EQ(ErrorOf("sum:"), "aggregate \"sum:\": the column is missing");
  EXPECT_EQ(ErrorOf("sum:1:2"), "aggregate \"sum:1:2\": expected sum or sum:COLUMN");
  EXPECT_EQ(ErrorOf("count:1"), "aggregate \"count:1\": count is of rows, and takes no column");
  EXPECT_EQ(ErrorOf("list,list"), "aggregate \"list,list\": list stands there twice");
  for (const char* const top : {"top", "top:0", "top:x", "top:1:2:3", "top:10001", "top:-1"}) {
    EXPECT_EQ(ErrorOf(top), "aggregate \"" + std::string(top) +
                                "\": expected top:K or top:COLUMN:K, K from 1 to 10000");
  }
}

TEST(AggregateSpecTest, PlacesAndQuotedNamesAreToldApart) {
  const auto parsed = ParseAggregates("sum:#1,min:\"1\",top:\"a:b,c\":3,last:#3,count",
                                      ResolveAmong(3, {"x", "1", "a:b,c"}));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  std::vector<size_t> columns;
  for (const AggregateSpec& spec : parsed->aggregates) columns.push_back(spec.column);
  EXPECT_EQ(columns, (std::vector<size_t>{0, 1, 2, 2, 0}));
  EXPECT_EQ(parsed->aggregates[2].label, "top:\"a:b,c\":3");
  EXPECT_EQ(ErrorOf("sum:#3"), "aggregate \"sum:#3\": there is no value column 3 of 2");
  EXPECT_EQ(ErrorOf("sum:\"1\""),
            "aggregate \"sum:\\\"1\\\"\": there is no value column \"\\\"1\\\"\"");
  EXPECT_EQ(ErrorOf("sum:\"a"),
            "aggregate \"sum:\\\"a\": expected a name between quotes, with a quote in it twice; "
            "found \\\"a");
}

TEST(AggregateSpecTest, AHeaderNameThatLooksLikeANumberIsAName) {
  const auto parsed = ParseAggregates("sum:1", ResolveAmong(2, {"2", "1"}));
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->aggregates[0].column, 1u);
}

}  // namespace
}  // namespace kvarts
