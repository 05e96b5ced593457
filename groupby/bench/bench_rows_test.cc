#include "groupby/bench/bench_rows.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "groupby/bench/digest.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

std::string Text(const BenchRowsOptions& options) {
  const auto rows = BenchRows::New(options);
  EXPECT_TRUE(rows.ok()) << rows.status();
  std::string text;
  for (uint64_t block = 0; block < rows->blocks(); ++block) rows->AppendBlock(block, &text);
  return text;
}

// Values by key, in the order of the rows.
std::map<std::string, std::vector<std::string>> Groups(const std::string& text) {
  std::map<std::string, std::vector<std::string>> groups;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> row = absl::StrSplit(line, absl::MaxSplits('\t', 1));
    groups[row.first].push_back(row.second);
  }
  return groups;
}

size_t Largest(const std::map<std::string, std::vector<std::string>>& groups) {
  size_t largest = 0;
  for (const auto& [key, values] : groups) largest = std::max(largest, values.size());
  return largest;
}

BenchRowsOptions Of(BenchShape shape, uint64_t rows) {
  BenchRowsOptions options;
  options.shape = shape;
  options.rows = rows;
  return options;
}

TEST(BenchRowsTest, LinesHaveTheSizesAskedFor) {
  for (const size_t row_bytes : {size_t{24}, size_t{25}, size_t{31}, size_t{32}, size_t{100}}) {
    BenchRowsOptions options = Of(BenchShape::kUniform, 9000);
    options.row_bytes = row_bytes;
    const std::string text = Text(options);
    ASSERT_EQ(text.size(), 9000 * row_bytes);
    for (size_t at = 0; at < text.size(); at += row_bytes) {
      ASSERT_EQ(text[at + 12], '\t');
      ASSERT_EQ(text[at + row_bytes - 1], '\n');
    }
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 9000);
    EXPECT_EQ(std::count(text.begin(), text.end(), '\t'), 9000);
  }
}

TEST(BenchRowsTest, SeedsAndNothingElseMakeTheText) {
  BenchRowsOptions options = Of(BenchShape::kUniform, 10000);
  const std::string text = Text(options);
  EXPECT_EQ(text, Text(options));
  options.seed = 2;
  EXPECT_NE(text, Text(options));
}

TEST(BenchRowsTest, ShapesHaveTheirKeys) {
  constexpr uint64_t kRows = 40000;
  const auto uniform = Groups(Text(Of(BenchShape::kUniform, kRows)));
  EXPECT_NEAR(uniform.size(), 10000 * (1 - 0.0183), 60);  // 1 - exp(-4) of 10,000
  EXPECT_LT(Largest(uniform), 25u);

  const auto zipf = Groups(Text(Of(BenchShape::kZipf, kRows)));
  EXPECT_NEAR(Largest(zipf), kRows / 10.2, 250);  // the sum of i^-0.99 to 10,000 is 10.2
  EXPECT_LT(zipf.size(), uniform.size());

  const auto few = Groups(Text(Of(BenchShape::kFew, kRows)));
  EXPECT_EQ(few.size(), 1000u);

  const auto distinct = Groups(Text(Of(BenchShape::kDistinct, kRows)));
  EXPECT_EQ(distinct.size(), kRows);

  const auto equal = Groups(Text(Of(BenchShape::kEqual, kRows)));
  EXPECT_EQ(equal.size(), 1u);

  const auto half = Groups(Text(Of(BenchShape::kHalf, kRows)));
  EXPECT_NEAR(Largest(half), kRows * 0.5, 500);
  EXPECT_NEAR(half.size(), 10000 * (1 - 0.135), 200);  // 1 - exp(-2)
}

TEST(BenchRowsTest, NumbersOfKeysAreGiven) {
  for (const BenchShape shape : {BenchShape::kUniform, BenchShape::kZipf, BenchShape::kFew}) {
    BenchRowsOptions options = Of(shape, 20000);
    options.keys = 7;
    EXPECT_EQ(Groups(Text(options)).size(), 7u) << ToText(shape);
  }
}

TEST(BenchRowsTest, AllKeysOfAShortSizeDiffer) {
  for (const size_t key_bytes : {size_t{1}, size_t{2}, size_t{3}, size_t{16}}) {
    BenchRowsOptions options = Of(BenchShape::kDistinct, key_bytes == 1 ? 16 : 256);
    options.key_bytes = key_bytes;
    EXPECT_EQ(Groups(Text(options)).size(), options.rows) << key_bytes;
  }
}

TEST(BenchRowsTest, ValuesRiseWithTheRowAndHoldNoSeparator) {
  for (const bool integers : {false, true}) {
    BenchRowsOptions options = Of(BenchShape::kUniform, 30000);
    options.integers = integers;
    const std::string text = Text(options);
    EXPECT_EQ(text.find_first_of(",\"\\ "), std::string::npos);
    std::string groups;
    for (const auto& [key, values] : Groups(text)) {
      absl::StrAppend(&groups, key, "\t", absl::StrJoin(values, ","), "\n");
    }
    bool ordered = false;
    const auto digest = DigestGroups(groups, &ordered);
    ASSERT_TRUE(digest.ok()) << digest.status();
    EXPECT_TRUE(ordered);
    const auto of_rows = DigestRows(text);
    ASSERT_TRUE(of_rows.ok()) << of_rows.status();
    EXPECT_EQ(*digest, *of_rows);
    EXPECT_EQ(digest->rows, options.rows);
  }
}

TEST(BenchRowsTest, NumbersThatCannotBeAreRefused) {
  BenchRowsOptions options;
  options.rows = 0;
  EXPECT_FALSE(BenchRows::New(options).ok());
  options = BenchRowsOptions();
  options.row_bytes = 23;
  EXPECT_FALSE(BenchRows::New(options).ok());
  options = BenchRowsOptions();
  options.key_bytes = 17;
  EXPECT_FALSE(BenchRows::New(options).ok());
  options = Of(BenchShape::kDistinct, 17);
  options.key_bytes = 1;
  EXPECT_FALSE(BenchRows::New(options).ok());
  EXPECT_TRUE(absl::StrContains(ParseBenchShape("square").status().message(), "expected uniform"));
}

TEST(GroupDigestTest, SeesEachKindOfDifference) {
  bool ordered = false;
  const auto rows = DigestRows("a\t1\nb\t2\na\t3\n");
  ASSERT_TRUE(rows.ok());
  EXPECT_EQ(rows->rows, 3u);
  EXPECT_EQ(rows->keys, 2u);
  EXPECT_EQ(*DigestGroups("b\t2\na\t1,3\n", &ordered), *rows);
  EXPECT_TRUE(ordered);
  EXPECT_EQ(*DigestGroups("b\t2\na\t3,1\n", &ordered), *rows);
  EXPECT_FALSE(ordered);
  for (const char* other : {"b\t2\na\t1\n", "b\t2\na\t1,3,3\n", "b\t1\na\t2,3\n", "b\t2\na\t1,4\n",
                            "b\t2\nc\t1,3\n", "b\t2\na\t1,3,\n"}) {
    const auto digest = DigestGroups(other, nullptr);
    ASSERT_TRUE(digest.ok()) << other;
    EXPECT_FALSE(*digest == *rows) << other;
  }
}

TEST(GroupDigestTest, LinesThatAreNoneAreRefused) {
  EXPECT_TRUE(absl::StrContains(DigestRows("a\t1\nb\n").status().message(), "line 2"));
  EXPECT_FALSE(DigestGroups("a\t1\nb\t2\na\t3\n", nullptr).ok());  // a key twice
}

}  // namespace
}  // namespace kvarts
