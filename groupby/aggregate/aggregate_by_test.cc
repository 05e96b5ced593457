// Compiled as C++17: what it includes has to be that.
#include "groupby/aggregate/aggregate_by.h"

#include <algorithm>
#include <map>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace kvarts {
namespace {

namespace agg = aggregator;

AggregationOptions ByKey() {
  AggregationOptions options;
  options.order = GroupingOptions::Order::kKey;
  options.temp_dir = testing::TempDir();
  return options;
}

// Small: it has to spill.
AggregationOptions Small() {
  AggregationOptions options = ByKey();
  options.memory_bytes = 2 * GroupingOptions::kMinMemory;
  return options;
}

const std::vector<std::pair<int, int>> kRows = {{1, 3}, {4, 1}, {1, 2}, {4, 4}, {100, 1}};

TEST(AggregateByTest, GivesAResultOfEachTypeForEachKey) {
  auto groups = AggregateBy(kRows, ByKey(), agg::Count(), agg::Sum<int>(), agg::Mean<int>(),
                            agg::Min<int>(), agg::Max<int>(), agg::First<int>(), agg::Last<int>(),
                            agg::Top<int>(2), agg::Distinct<int>());
  ASSERT_TRUE(groups.ok()) << groups.status();
  using Results =
      std::tuple<uint64_t, absl::int128, double, int, int, int, int, std::vector<int>, uint64_t>;
  std::vector<std::pair<int, Results>> got;
  for (auto& [key, results] : *groups) {
    static_assert(std::is_same<std::decay_t<decltype(results)>, Results>::value, "");
    got.emplace_back(key, results);
  }
  EXPECT_TRUE(groups->status().ok());
  const std::vector<std::pair<int, Results>> expected = {
      {1, Results(2, 5, 2.5, 2, 3, 3, 2, {3, 2}, 2)},
      {4, Results(2, 5, 2.5, 1, 4, 1, 4, {4, 1}, 2)},
      {100, Results(1, 1, 1.0, 1, 1, 1, 1, {1}, 1)}};
  EXPECT_TRUE(got == expected);
  EXPECT_EQ(groups->stats().groups, 3u);
}

struct Sale {
  std::string item;
  double price = 0;
  bool paid = false;
};

TEST(AggregateByTest, AggregatesAreOverWhatIsMadeOfAValue) {
  const std::vector<std::pair<absl::string_view, Sale>> rows = {{"oslo", {"pen", 1.5, true}},
                                                                {"rome", {"ink", 4, false}},
                                                                {"oslo", {"cup", 7.25, true}},
                                                                {"oslo", {"pen", 1.25, false}}};
  const auto price = [](const Sale& s) { return s.price; };
  const auto item = [](const Sale& s) -> const std::string& { return s.item; };
  auto groups = AggregateBy(rows, ByKey(), agg::Of(price, agg::Sum<double>()),
                            agg::Of(item, agg::Max<std::string>()),
                            agg::Of(item, agg::Distinct<std::string>()), agg::Count());
  ASSERT_TRUE(groups.ok()) << groups.status();
  auto group = groups->Next();
  ASSERT_TRUE(group.ok());
  EXPECT_EQ((*group)->key, "oslo");
  EXPECT_TRUE((*group)->results ==
              std::make_tuple(10.0, std::string("pen"), uint64_t{2}, uint64_t{3}));
  group = groups->Next();
  EXPECT_TRUE((*group)->results ==
              std::make_tuple(4.0, std::string("ink"), uint64_t{1}, uint64_t{1}));
  EXPECT_EQ(*groups->Next(), nullptr);
}

// One of one's own.
struct LongestRun {
  int before = 0;
  uint64_t first = 0;  // of `start`, at the beginning
  uint64_t now = 0;    // of `before`, at the end
  uint64_t longest = 0;
  uint64_t rows = 0;
  int start = 0;

  void Add(int v) {
    if (rows == 0) start = v;
    now = rows > 0 && v == before ? now + 1 : 1;
    if (now == rows + 1) first = now;
    before = v;
    ++rows;
    longest = std::max(longest, now);
  }
  void Merge(const LongestRun& newer) {
    longest = std::max(longest, newer.longest);
    if (before == newer.start) {
      longest = std::max(longest, now + newer.first);
      if (first == rows) first += newer.first;
      now = newer.now == newer.rows ? now + newer.now : newer.now;
    } else {
      now = newer.now;
    }
    before = newer.before;
    rows += newer.rows;
  }
  uint64_t Finish() const { return longest; }
};

TEST(AggregateByTest, OnesOwnAggregatorIsMergedInOrder) {
  std::vector<std::pair<int, int>> rows;
  std::map<int, std::vector<int>> values;
  uint64_t random = 1;
  for (int i = 0; i < 200000; ++i) {
    random = random * 6364136223846793005 + 1442695040888963407;
    rows.emplace_back((random >> 33) % 30000, (random >> 60) % 2);
    values[rows.back().first].push_back(rows.back().second);
  }
  auto groups = AggregateBy(rows, Small(), LongestRun(), agg::Last<int>());
  ASSERT_TRUE(groups.ok()) << groups.status();
  size_t n = 0;
  auto expected = values.begin();
  for (auto& [key, results] : *groups) {
    ASSERT_EQ(key, expected->first);
    uint64_t longest = 0;
    uint64_t now = 0;
    for (size_t i = 0; i < expected->second.size(); ++i) {
      now = i > 0 && expected->second[i] == expected->second[i - 1] ? now + 1 : 1;
      longest = std::max(longest, now);
    }
    ASSERT_EQ(std::get<0>(results), longest) << key;
    ASSERT_EQ(std::get<1>(results), expected->second.back());
    ++expected;
    ++n;
  }
  EXPECT_TRUE(groups->status().ok()) << groups->status();
  EXPECT_EQ(n, values.size());
  EXPECT_GT(groups->stats().spilled_bytes, 0u);
}

TEST(AggregateByTest, StatesThatAreNotTriviallyCopyableAreSpilledToo) {
  std::vector<std::pair<std::string, std::string>> rows;
  std::map<std::string, std::vector<std::string>> values;
  for (int64_t i = 0; i < 60000; ++i) {
    rows.emplace_back("key" + std::to_string(i * 7919 % 20011),
                      "value" + std::to_string(i * 104729 % 65537));
    values[rows.back().first].push_back(rows.back().second);
  }
  auto groups = AggregateBy(rows, Small(), agg::Min<std::string>(), agg::Last<std::string>(),
                            agg::Top<std::string>(2));
  ASSERT_TRUE(groups.ok()) << groups.status();
  auto expected = values.begin();
  for (auto& [key, results] : *groups) {
    ASSERT_EQ(key, expected->first);
    std::vector<std::string> all = expected->second;
    EXPECT_EQ(std::get<1>(results), all.back());
    std::sort(all.rbegin(), all.rend());
    EXPECT_EQ(std::get<0>(results), all.back());
    all.resize(std::min<size_t>(all.size(), 2));
    EXPECT_EQ(std::get<2>(results), all);
    ++expected;
  }
  EXPECT_TRUE(groups->status().ok()) << groups->status();
  EXPECT_TRUE(expected == values.end());
  EXPECT_GT(groups->stats().spilled_bytes, 0u);
}

TEST(AggregateByTest, SeveralThreadsFeed) {
  auto input = AggregateInput<int, bool, agg::Count, agg::Max<bool>>::New(ByKey(), agg::Count(),
                                                                          agg::Max<bool>());
  ASSERT_TRUE(input.ok()) << input.status();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&input] {
      auto feeder = input->NewFeeder();
      for (int i = 0; i < 10000; ++i) ASSERT_TRUE(feeder.Add(i % 10, i == 7).ok());
      ASSERT_TRUE(feeder.Flush().ok());
    });
  }
  for (std::thread& t : threads) t.join();
  auto groups = input->Finish();
  ASSERT_TRUE(groups.ok());
  int n = 0;
  for (auto& [key, results] : *groups) {
    EXPECT_EQ(key, n++);
    EXPECT_TRUE(results == std::make_tuple(uint64_t{4000}, key == 7));
  }
  EXPECT_EQ(n, 10);
}

TEST(AggregateByTest, SumsAreExact) {
  std::vector<std::pair<int, int64_t>> rows(4, {1, INT64_MAX});
  rows.emplace_back(1, -1);
  auto groups = AggregateBy(rows, ByKey(), agg::Sum<int64_t>());
  ASSERT_TRUE(groups.ok());
  EXPECT_TRUE(std::get<0>((*groups->Next())->results) == absl::int128(INT64_MAX) * 4 - 1);
  const std::vector<std::pair<int, double>> reals = {{1, 1e100}, {1, 1}, {1, -1e100}};
  auto real_groups = AggregateBy(reals, ByKey(), agg::Sum<double>());
  ASSERT_TRUE(real_groups.ok());
  EXPECT_EQ(std::get<0>((*real_groups->Next())->results), 1.0);
}

TEST(AggregateByTest, ErrorsOfTheOptionsAreReturned) {
  AggregationOptions options;
  options.memory_bytes = 1;
  EXPECT_EQ(AggregateBy(kRows, options, agg::Count()).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace kvarts
