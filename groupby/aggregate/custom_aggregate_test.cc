// Compiled as C++17: what it includes has to be that.
#include "groupby/aggregate/custom_aggregate.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "groupby/aggregate/aggregate.h"
#include "groupby/aggregate/aggregate_fold.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

// The one of the header's comment.
struct Longest {
  uint64_t bytes = 0;
  void Add(absl::string_view field) { bytes = std::max<uint64_t>(bytes, field.size()); }
  void Merge(const Longest& newer) { bytes = std::max(bytes, newer.bytes); }
  void Finish(std::string* result) const { absl::StrAppend(result, bytes); }
};

// In the order of rows, with a parameter.
struct Joined {
  std::string between;
  std::string text;
  uint64_t rows = 0;

  void Add(absl::string_view field) { absl::StrAppend(&text, rows++ == 0 ? "" : between, field); }
  void Merge(const Joined& newer) {
    absl::StrAppend(&text, between, newer.text);
    rows += newer.rows;
  }
  absl::Status Finish(std::string* result) const {
    if (text.size() > 1000) return absl::OutOfRangeError("longer than 1000 bytes");
    *result += text;
    return absl::OkStatus();
  }
  void Save(std::string* bytes) const { absl::StrAppend(bytes, rows, ";", text); }
  bool Load(absl::string_view bytes) {
    const size_t at = bytes.find(';');
    if (at == absl::string_view::npos || text == "never") return false;
    rows = 1;  // that there are some is all that matters
    text = std::string(bytes.substr(at + 1));
    return true;
  }
};

struct Forgets {
  std::string text;
  void Add(absl::string_view) {}
  void Merge(const Forgets&) {}
  void Finish(std::string*) const {}
  void Save(std::string* bytes) const { *bytes += "x"; }
  bool Load(absl::string_view) { return false; }
};

AggregationOptions Options() {
  AggregationOptions options;
  options.temp_dir = testing::TempDir();
  options.memory_bytes = GroupingOptions::kMinMemory;
  return options;
}

TEST(CustomAggregateTest, OnesOwnAreComputedAlsoWhenTheyAreSpilled) {
  for (const int keys : {10, 30000}) {
    auto aggregation = Aggregation::New(Options(), {CustomAggregate<Longest>("longest", 0),
                                                    CustomAggregate("joined", 1, Joined{"+", ""})});
    ASSERT_TRUE(aggregation.ok());
    std::map<std::string, std::pair<size_t, std::string>> model;
    for (int i = 0; i < keys * 4; ++i) {
      const std::string key = absl::StrCat("k", i * 7919 % keys);
      const std::string number = absl::StrCat(i);
      const absl::string_view fields[] = {number, key};
      const AggregateRow row{key, fields};
      ASSERT_TRUE((*aggregation)->Add(absl::MakeConstSpan(&row, 1)).ok());
      auto& [longest, joined] = model[key];
      longest = std::max(longest, number.size());
      absl::StrAppend(&joined, joined.empty() ? "" : "+", key);
    }
    auto groups = (*aggregation)->Finish();
    ASSERT_TRUE(groups.ok());
    absl::string_view key;
    absl::Span<const absl::string_view> results;
    size_t n = 0;
    while (*(*groups)->Next(&key, &results)) {
      const auto& [longest, joined] = model[std::string(key)];
      ASSERT_EQ(results[0], absl::StrCat(longest));
      ASSERT_EQ(results[1], joined);
      ++n;
    }
    EXPECT_EQ(n, model.size());
    EXPECT_EQ((*aggregation)->stats().spilled_bytes > 0, keys > 10);
  }
}

TEST(CustomAggregateTest, ErrorsOfFinishAndLoadAreReported) {
  const std::string text(2000, 'x');
  const absl::string_view field = text;
  const std::vector<AggregateRow> rows(2, AggregateRow{"k", absl::MakeConstSpan(&field, 1)});
  const auto error = [&rows](AggregateSpec spec) {
    auto aggregation = Aggregation::New(Options(), {std::move(spec)});
    EXPECT_TRUE((*aggregation)->Add(rows).ok());
    auto groups = (*aggregation)->Finish();
    absl::string_view key;
    absl::Span<const absl::string_view> results;
    return (*groups)->Next(&key, &results).status();
  };
  EXPECT_EQ(error(CustomAggregate("joined", 0, Joined{"", ""})),
            absl::OutOfRangeError("key \"k\", aggregate \"joined\": longer than 1000 bytes"));
  EXPECT_EQ(
      error(CustomAggregate<Forgets>("forgets", 0)),
      absl::InternalError("key \"k\", aggregate \"forgets\": Load() refused what Save() wrote"));
}

TEST(AggregateFoldTest, FoldsGroupAfterGroup) {
  auto parsed = ParseAggregates("count,list,sum,first,distinct,top:2", ResolveAmong(1));
  ASSERT_TRUE(parsed.ok());
  parsed->aggregates.push_back(CustomAggregate<Longest>("longest", 0));
  auto fold = AggregateFold::New(Options(), parsed->aggregates);
  ASSERT_TRUE(fold.ok()) << fold.status();
  for (int group = 0; group < 1000; ++group) {
    const int rows = group % 7;
    int64_t sum = 0;
    for (int i = 0; i < rows; ++i) {
      const std::string number = absl::StrCat(group + i / 2);
      const absl::string_view field = number;
      ASSERT_TRUE((*fold)->Add(absl::MakeConstSpan(&field, 1)).ok());
      sum += group + i / 2;
    }
    const auto results = (*fold)->Finish();
    ASSERT_TRUE(results.ok());
    ASSERT_EQ(results->size(), 6u);
    EXPECT_EQ((*results)[0], absl::StrCat(rows));
    EXPECT_EQ((*results)[1], absl::StrCat(sum));
    EXPECT_EQ((*results)[2], rows == 0 ? "" : absl::StrCat(group));
    EXPECT_EQ((*results)[3], absl::StrCat((rows + 1) / 2));
  }
}

TEST(AggregateFoldTest, ErrorsLeaveItUsable) {
  AggregationOptions options;
  options.memory_bytes = AggregateFold::kMinMemory;
  auto fold =
      AggregateFold::New(options, ParseAggregates("sum,distinct:2", ResolveAmong(2))->aggregates);
  ASSERT_TRUE(fold.ok());
  const absl::string_view bad[] = {"x", "y"};
  EXPECT_EQ((*fold)->Add(bad).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ((*fold)->Add(absl::MakeConstSpan(bad, 1)).code(), absl::StatusCode::kInvalidArgument);
  absl::Status status;
  for (int i = 0; status.ok(); ++i) {
    ASSERT_LT(i, 100000);
    const std::string text = absl::StrCat(i);
    const absl::string_view fields[] = {"1", text};
    status = (*fold)->Add(fields);
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  ASSERT_TRUE((*fold)->Finish().ok());
  const absl::string_view good[] = {"5", "y"};
  ASSERT_TRUE((*fold)->Add(good).ok());
  EXPECT_EQ((*fold)->Finish()->at(0), "5");
  options.memory_bytes = 1000;
  EXPECT_EQ(AggregateFold::New(options, {CustomAggregate<Longest>("l", 0)}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace kvarts
