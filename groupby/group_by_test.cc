// Compiled as C++17: what it includes has to be that.
#include "groupby/group_by.h"

#include <algorithm>
#include <forward_list>
#include <map>
#include <memory>
#include <numeric>
#include <sstream>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace kvarts {
namespace {

GroupingOptions ByKey() {
  GroupingOptions options;
  options.order = GroupingOptions::Order::kKey;
  return options;
}

template <typename K, typename V>
using AllGroups = std::vector<std::pair<K, std::vector<V>>>;

const std::vector<std::pair<int, int>> kRows = {{1, 3}, {4, 1}, {1, 2}, {4, 4}, {100, 1}};
const AllGroups<int, int> kGroups = {{1, {3, 2}}, {4, {1, 4}}, {100, {1}}};

TEST(GroupByTest, GroupsPairsByTheirKeysInInputOrder) {
  auto groups = GroupBy(kRows, ByKey());
  ASSERT_TRUE(groups.ok()) << groups.status();
  AllGroups<int, int> got;
  for (auto& [key, values] : *groups) {
    got.emplace_back(key, std::vector<int>());
    for (const int v : values) got.back().second.push_back(v);
  }
  EXPECT_TRUE(groups->status().ok()) << groups->status();
  EXPECT_EQ(got, kGroups);
  EXPECT_EQ(groups->stats().rows, 5u);
}

TEST(GroupByTest, AnyOrderHasTheSameGroups) {
  auto groups = GroupBy(kRows);
  ASSERT_TRUE(groups.ok()) << groups.status();
  auto all = groups->Collect();
  ASSERT_TRUE(all.ok()) << all.status();
  std::sort(all->begin(), all->end());
  EXPECT_EQ(*all, kGroups);
}

TEST(GroupByTest, NextGivesGroupsAndValuesOneByOne) {
  auto groups = GroupBy(kRows.begin(), kRows.end(), ByKey());
  ASSERT_TRUE(groups.ok()) << groups.status();
  AllGroups<int, int> got;
  while (true) {
    const auto group = groups->Next();
    ASSERT_TRUE(group.ok());
    if (*group == nullptr) break;
    got.emplace_back((*group)->key, std::vector<int>());
    int value = 0;
    while (true) {
      const absl::StatusOr<bool> more = (*group)->values.Next(&value);
      ASSERT_TRUE(more.ok());
      if (!*more) break;
      got.back().second.push_back(value);
    }
    EXPECT_FALSE(*(*group)->values.Next(&value));
  }
  EXPECT_EQ(got, kGroups);
  EXPECT_EQ(*groups->Next(), nullptr);
}

TEST(GroupByTest, ValuesThatAreNotReadArePassedOver) {
  std::vector<std::pair<int, std::string>> rows;
  for (int i = 0; i < 100; ++i) rows.emplace_back(i % 7, std::to_string(i));
  auto groups = GroupBy(rows, ByKey());
  ASSERT_TRUE(groups.ok());
  int n = 0;
  for (auto& [key, values] : *groups) {
    EXPECT_EQ(key, n++);
    if (key % 2 == 0) continue;
    auto it = values.begin();
    EXPECT_EQ(*it, std::to_string(key));
    ++it;
    EXPECT_EQ(*it, std::to_string(key + 7));
  }
  EXPECT_EQ(n, 7);
}

TEST(GroupByTest, NegativeAndFloatingKeysSortByValue) {
  const std::vector<std::pair<int64_t, int>> whole = {{5, 1}, {-1, 2}, {-300, 3}, {0, 4}};
  auto groups = GroupBy(whole, ByKey());
  ASSERT_TRUE(groups.ok());
  std::vector<int64_t> keys;
  for (auto& group : *groups) keys.push_back(group.key);
  EXPECT_EQ(keys, (std::vector<int64_t>{-300, -1, 0, 5}));

  const std::vector<std::pair<double, int>> real = {{0.0, 1}, {-2.5, 2}, {-0.0, 3}, {1e9, 4}};
  auto real_groups = GroupBy(real, ByKey());
  ASSERT_TRUE(real_groups.ok());
  EXPECT_EQ(*real_groups->Collect(),
            (AllGroups<double, int>{{-2.5, {2}}, {0.0, {1, 3}}, {1e9, {4}}}));
}

TEST(GroupByTest, TakesBorrowedTextAndGivesStrings) {
  const std::vector<std::tuple<absl::string_view, const char*>> rows = {
      {"b", "x"}, {"a", "y"}, {"b", ""}};
  auto groups = GroupBy(rows, ByKey());
  ASSERT_TRUE(groups.ok());
  EXPECT_EQ(*groups->Collect(),
            (AllGroups<std::string, std::string>{{"a", {"y"}}, {"b", {"x", ""}}}));
}

TEST(GroupByTest, TakesMapsArraysListsAndTuples) {
  const std::multimap<std::string, int> map = {{"a", 1}, {"a", 2}, {"b", 3}};
  const AllGroups<std::string, int> expected = {{"a", {1, 2}}, {"b", {3}}};
  EXPECT_EQ(*GroupBy(map, ByKey())->Collect(), expected);
  const std::pair<std::string, int> array[] = {{"a", 1}, {"a", 2}, {"b", 3}};
  EXPECT_EQ(*GroupBy(array, ByKey())->Collect(), expected);
  using Composed = std::tuple<std::pair<int, std::string>, std::vector<double>>;
  const std::forward_list<Composed> list = {{{1, "b"}, {}}, {{1, "a"}, {1.5}}, {{-1, "c"}, {2}}};
  EXPECT_EQ(*GroupBy(list, ByKey())->Collect(),
            (AllGroups<std::pair<int, std::string>, std::vector<double>>{
                {{-1, "c"}, {{2}}}, {{1, "a"}, {{1.5}}}, {{1, "b"}, {{}}}}));
}

// One pass, not copyable, and an end of another type.
class WordPairs {
 public:
  struct End {};
  explicit WordPairs(std::istream* in) : in_(in) { ++*this; }
  WordPairs(WordPairs&&) = default;
  WordPairs& operator=(WordPairs&&) = default;
  std::pair<std::string, int> operator*() const { return {word_, number_}; }
  WordPairs& operator++() {
    if (!(*in_ >> word_ >> number_)) in_ = nullptr;
    return *this;
  }
  friend bool operator!=(const WordPairs& it, End) { return it.in_ != nullptr; }

 private:
  std::istream* in_;
  std::string word_;
  int number_ = 0;
};

TEST(GroupByTest, TakesInputIteratorsThatCannotBeCopied) {
  std::istringstream in("b 1 a 2 b 3");
  auto groups = GroupBy(WordPairs(&in), WordPairs::End(), ByKey());
  ASSERT_TRUE(groups.ok());
  EXPECT_EQ(*groups->Collect(), (AllGroups<std::string, int>{{"a", {2}}, {"b", {1, 3}}}));
}

TEST(GroupByTest, PullsRowsFromACallback) {
  size_t i = 0;
  auto groups = GroupBy<int, int>(
      [&i](int* k, int* v) {
        if (i == kRows.size()) return false;
        std::tie(*k, *v) = kRows[i++];
        return true;
      },
      ByKey());
  ASSERT_TRUE(groups.ok());
  EXPECT_EQ(*groups->Collect(), kGroups);
}

TEST(GroupByTest, TheErrorOfACallbackIsReturned) {
  int calls = 0;
  const auto groups = GroupBy<int, int>([&calls](int* k, int* v) -> absl::StatusOr<bool> {
    if (++calls == 3) return absl::DataLossError("line 3");
    return true;
  });
  EXPECT_EQ(groups.status(), absl::DataLossError("line 3"));
}

TEST(GroupByTest, AnErrorEndsTheLoopsAndIsKept) {
  auto groups = GroupBy(kRows, ByKey());
  ASSERT_TRUE(groups.ok());
  auto it = groups->begin();
  ASSERT_NE(it, groups->end());
  groups->Cancel();
  int values = 0;
  for (const int v : it->values) values += v != 0;
  ++it;
  EXPECT_EQ(it, groups->end());
  EXPECT_EQ(groups->status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(groups->Next().status(), groups->status());
  EXPECT_EQ(groups->Collect().status(), groups->status());
  EXPECT_EQ(values, 0);
}

TEST(GroupByTest, ErrorsOfTheOptionsAreReturned) {
  GroupingOptions options;
  options.memory_bytes = 1;
  EXPECT_EQ(GroupBy(kRows, options).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(GroupByTest, AGroupLargerThanMemoryStreamsInLittleMemory) {
  GroupingOptions options;
  options.memory_bytes = GroupingOptions::kMinMemory;
  options.temp_dir = testing::TempDir();
  constexpr uint32_t kCount = 2000000;
  uint32_t next = 0;
  auto groups = GroupBy<int, uint32_t>(
      [&next](int* k, uint32_t* v) {
        *k = next % 100 == 0 ? 2 : 1;
        *v = next++;
        return next <= kCount;
      },
      options);
  ASSERT_TRUE(groups.ok()) << groups.status();
  uint64_t count = 0;
  for (auto& [key, values] : *groups) {
    int64_t before = -1;
    for (const uint32_t v : values) {
      EXPECT_EQ(v % 100 == 0, key == 2);
      ASSERT_GT(static_cast<int64_t>(v), before);
      before = v;
      ++count;
    }
  }
  EXPECT_TRUE(groups->status().ok()) << groups->status();
  EXPECT_EQ(count, kCount);
  const GroupingStats stats = groups->stats();
  EXPECT_GT(stats.spilled_bytes, 0u);
  EXPECT_LE(stats.peak_memory, options.memory_bytes);
  // Small numbers are small: 4 bytes of key and not 4 of value.
  EXPECT_LT(stats.bytes, 7 * uint64_t{kCount});
}

// What its codec writes it does not read.
struct Broken {
  int v = 0;
};

TEST(GroupByTest, SeveralThreadsFeedEachInItsOrder) {
  auto input = GroupInput<int, std::pair<int, int>>::New(ByKey());
  ASSERT_TRUE(input.ok());
  constexpr int kThreads = 4;
  constexpr int kCount = 5000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&input, t] {
      auto feeder = input->NewFeeder();
      for (int i = 0; i < kCount; ++i) {
        ASSERT_TRUE(feeder.Add(i % 10, std::make_pair(t, i)).ok());
      }
    });
  }
  for (std::thread& t : threads) t.join();
  auto groups = input->Finish();
  ASSERT_TRUE(groups.ok()) << groups.status();
  int keys = 0;
  for (auto& [key, values] : *groups) {
    EXPECT_EQ(key, keys++);
    std::vector<int> next(kThreads, key);
    for (const auto& [t, i] : values) {
      EXPECT_EQ(i, next[static_cast<size_t>(t)]);
      next[static_cast<size_t>(t)] += 10;
    }
    EXPECT_EQ(next, std::vector<int>(kThreads, kCount + key));
  }
  EXPECT_EQ(keys, 10);
}

TEST(GroupByTest, ARowThatIsTooLargeIsRefusedAlone) {
  auto input = GroupInput<std::string, std::string>::New(ByKey());
  ASSERT_TRUE(input.ok());
  {
    auto feeder = input->NewFeeder();
    ASSERT_TRUE(feeder.Add("a", "1").ok());
    const std::string key(Grouping::kMaxKeyBytes + 1, 'k');
    EXPECT_EQ(feeder.Add(key, "2").code(), absl::StatusCode::kInvalidArgument);
    const std::string value(Grouping::kMaxRowBytes, 'v');
    EXPECT_EQ(feeder.Add("a", value).code(), absl::StatusCode::kInvalidArgument);
    ASSERT_TRUE(feeder.Add("a", "3").ok());
    auto moved = std::move(feeder);
    ASSERT_TRUE(moved.Add("b", "4").ok());
  }
  EXPECT_EQ(*input->Finish()->Collect(),
            (AllGroups<std::string, std::string>{{"a", {"1", "3"}}, {"b", {"4"}}}));
}

TEST(GroupByTest, RowsThatADestructorCouldNotHandOverAreAnErrorOfFinish) {
  auto input = GroupInput<int, int>::New();
  ASSERT_TRUE(input.ok());
  {
    auto feeder = input->NewFeeder();
    ASSERT_TRUE(feeder.Add(1, 1).ok());
    input->Cancel();
  }
  EXPECT_EQ(input->Finish().status().code(), absl::StatusCode::kCancelled);
}

TEST(GroupByTest, AlgorithmsRunOverAGroupsValues) {
  auto groups = GroupBy(kRows, ByKey());
  ASSERT_TRUE(groups.ok());
  std::vector<int> sums;
  for (auto& [key, values] : *groups) {
    sums.push_back(std::accumulate(values.begin(), values.end(), 0));
  }
  EXPECT_EQ(sums, (std::vector<int>{5, 5, 1}));
}

}  // namespace

template <>
struct Codec<Broken> {
  static void Append(const Broken&, CodecUse, std::string* out) { out->push_back('x'); }
  static bool Parse(absl::string_view*, CodecUse, Broken*) { return false; }
};

namespace {

TEST(GroupByTest, ACodecThatRefusesItsOwnBytesIsAnError) {
  const std::vector<std::pair<int, Broken>> rows = {{1, {}}, {2, {}}};
  auto groups = GroupBy(rows, ByKey());
  ASSERT_TRUE(groups.ok());
  for (auto& [key, values] : *groups) {
    for (const Broken& v : values) ADD_FAILURE() << v.v;
  }
  EXPECT_EQ(groups->status().code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace kvarts
