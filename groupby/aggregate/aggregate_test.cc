#include "groupby/aggregate/aggregate.h"

#include <algorithm>
#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "groupby/aggregate/aggregate_model.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"

namespace kvarts {
namespace {

constexpr char kAll[] =
    "count,sum,mean,min,max,mintext:2,maxtext:2,first:2,last:2,distinct:2,top:4,distinct:1";
// Of a limited number of texts, a limited number of bytes.
constexpr char kSmall[] =
    "count,sum,mean,min,max,mintext:2,maxtext:2,first:2,last:2,distinct:2,top:4";

class AggregateTest : public testing::Test {
 protected:
  AggregateTest() {
    EXPECT_TRUE(fs_.CreateDir("/temp").ok());
    options_.fs = &fs_;
    options_.temp_dir = "/temp";
    options_.memory_bytes = 1 << 20;
  }
  ~AggregateTest() override { EXPECT_TRUE(fs_.List("/temp").value().empty()); }

  using All = std::vector<std::pair<std::string, std::vector<std::string>>>;

  // Of rows that one thread adds, some at a time.
  absl::StatusOr<All> Run(absl::string_view aggregates, absl::Span<const ModelRow> rows) {
    auto aggregation = Aggregation::New(options_, SpecsOf(aggregates, 2));
    if (!aggregation.ok()) return aggregation.status();
    for (size_t i = 0; i < rows.size(); i += 1000) {
      absl::Status added = AddModelRows(aggregation->get(), rows.subspan(i, 1000));
      if (!added.ok()) return added;
    }
    return Read(aggregation->get());
  }
  absl::StatusOr<All> Read(Aggregation* aggregation, bool drain = false) {
    auto groups = aggregation->Finish();
    if (!groups.ok()) return groups.status();
    absl::StatusOr<All> all = drain ? DrainAllGroups(groups->get()) : ReadAllGroups(groups->get());
    stats_ = aggregation->stats();
    EXPECT_LE(stats_.peak_memory, options_.memory_bytes);
    return all;
  }

  void ExpectModel(absl::string_view aggregates, absl::Span<const ModelRow> rows,
                   const absl::StatusOr<All>& all) {
    ASSERT_TRUE(all.ok()) << all.status();
    const ModelResults model = ModelAggregate(aggregates, rows);
    All sorted = *all;
    std::sort(sorted.begin(), sorted.end());
    ASSERT_EQ(sorted.size(), model.size());
    size_t i = 0;
    for (const auto& [key, results] : model) {
      ASSERT_EQ(sorted[i].first, key);
      ASSERT_EQ(sorted[i].second, results) << key;
      ++i;
    }
    EXPECT_EQ(stats_.rows, rows.size());
    EXPECT_EQ(stats_.groups, model.size());
  }

  std::vector<ModelRow> Rows(size_t count, size_t keys, size_t texts, size_t text_bytes = 8) {
    std::vector<ModelRow> rows;
    for (size_t i = 0; i < count; ++i) {
      std::string text = absl::StrCat("t", random_() % texts);
      if (text.size() < text_bytes) text.resize(text_bytes, '.');
      rows.push_back({absl::StrCat("key", random_() % keys),
                      {absl::StrCat(static_cast<int64_t>(random_() % 2000000) - 1000000), text}});
    }
    return rows;
  }

  MemoryFileSystem fs_;
  AggregationOptions options_;
  AggregationStats stats_;
  std::mt19937_64 random_{1};
};

TEST_F(AggregateTest, FewGroupsStayInMemory) {
  const std::vector<ModelRow> rows = Rows(20000, 100, 50);
  ExpectModel(kSmall, rows, Run(kSmall, rows));
  EXPECT_EQ(stats_.spilled_bytes, 0u);
  EXPECT_EQ(stats_.partitions, 0u);
  EXPECT_EQ(fs_.List("/temp").value().size(), 0u);
}

TEST_F(AggregateTest, MemoryDoesNotGrowWithTheRows) {
  const std::vector<ModelRow> few = Rows(10000, 100, 50);
  ASSERT_TRUE(Run(kSmall, few).ok());
  const uint64_t peak = stats_.peak_memory;
  const std::vector<ModelRow> rows = Rows(200000, 100, 50);
  ExpectModel(kSmall, rows, Run(kSmall, rows));
  EXPECT_LE(stats_.peak_memory, peak + peak / 8);
  EXPECT_EQ(stats_.spilled_bytes, 0u);
}

TEST_F(AggregateTest, ManyGroupsAreSpilledAndMerged) {
  const std::vector<ModelRow> rows = Rows(60000, 20000, 1000000);
  ExpectModel(kAll, rows, Run(kAll, rows));
  EXPECT_GT(stats_.spilled_bytes, 1u << 20);
  EXPECT_GE(stats_.levels, 1u);
}

TEST_F(AggregateTest, PartsThatDoNotFitAreDividedAgain) {
  const std::vector<ModelRow> rows = Rows(300000, 250000, 10, 60);
  constexpr char kSome[] = "count,last:2,sum";
  ExpectModel(kSome, rows, Run(kSome, rows));
  EXPECT_GE(stats_.levels, 2u);
}

TEST_F(AggregateTest, DifferentFieldsOfOneGroupMayExceedMemory) {
  const std::vector<ModelRow> rows = Rows(200000, 1, 120000);
  constexpr char kSome[] = "distinct:2,count,distinct:1";
  ExpectModel(kSome, rows, Run(kSome, rows));
  EXPECT_GE(stats_.levels, 2u);
}

TEST_F(AggregateTest, SlicesAreCutAgainWhereTheyDoNotFit) {
  std::vector<ModelRow> rows;
  for (size_t i = 0; i < 1000000; ++i) {
    rows.push_back({i % 100 == 0 ? "a" : "b", {absl::StrCat(i / 2), ""}});
  }
  ExpectModel("distinct", rows, Run("distinct", rows));
  EXPECT_GE(stats_.levels, 3u);
}

TEST_F(AggregateTest, GroupsComeInTheSameOrderWhateverTheMemory) {
  const std::vector<ModelRow> rows = Rows(60000, 30000, 100);
  const auto little = Run("count,first:2", rows);
  ASSERT_TRUE(little.ok()) << little.status();
  EXPECT_GT(stats_.spilled_bytes, 0u);
  options_.memory_bytes = 64 << 20;
  const auto much = Run("count,first:2", rows);
  ASSERT_TRUE(much.ok());
  EXPECT_EQ(stats_.spilled_bytes, 0u);
  EXPECT_TRUE(*little == *much);
}

TEST_F(AggregateTest, KeysInTheOrderOfTheirHashesCollideNoMore) {
  std::vector<ModelRow> rows;
  for (size_t i = 0; i < 100000; ++i) rows.push_back({absl::StrCat("key", i), {"1", "x"}});
  for (const size_t memory : {64 << 20, 1 << 20}) {
    options_.memory_bytes = memory;
    for (int round = 0; round < 2; ++round) {
      const auto all = Run("count", rows);
      ASSERT_TRUE(all.ok());
      // Rows, and records of files.
      EXPECT_LT(stats_.probes, 8 * rows.size()) << memory << " " << round;
      EXPECT_EQ(stats_.spilled_bytes > 0, memory == 1 << 20);
      rows.clear();
      for (const auto& [key, results] : *all) rows.push_back({key, {"1", "x"}});
    }
  }
}

TEST_F(AggregateTest, ByKeyOnRequestInMemoryAndNot) {
  options_.order = GroupingOptions::Order::kKey;
  const std::vector<ModelRow> rows = Rows(80000, 40000, 100, 30);
  for (const size_t memory : {2 << 20, 64 << 20}) {
    options_.memory_bytes = memory;
    const auto all = Run("count,first:2,mean", rows);
    ExpectModel("count,first:2,mean", rows, all);
    EXPECT_TRUE(std::is_sorted(all->begin(), all->end()));
    EXPECT_EQ(stats_.spilled_bytes == 0, memory > (2 << 20));
  }
}

TEST_F(AggregateTest, DrainedByAnyNumberOfThreadsTheyComeAsOneByOne) {
  for (const char* const aggregates : {"count,sum,last:2", kAll}) {
    const std::vector<ModelRow> rows = Rows(12000, 9000, 5000, 200);
    for (const size_t memory : {size_t{1} << 20, size_t{8} << 20, size_t{64} << 20}) {
      for (const auto order : {GroupingOptions::Order::kAny, GroupingOptions::Order::kKey}) {
        SCOPED_TRACE(absl::StrCat(aggregates, " ", memory, " ", order));
        options_.memory_bytes = std::max(
            memory, GroupingOptions::kMinMemory * (order == GroupingOptions::Order::kKey ? 2 : 1));
        options_.order = order;
        const absl::StatusOr<All> one_by_one = Run(aggregates, rows);
        ASSERT_TRUE(one_by_one.ok()) << one_by_one.status();
        EXPECT_EQ(stats_.spilled_bytes > 0,
                  memory < 8 << 20 || (memory == 8 << 20 && aggregates == kAll));
        for (const int threads : {1, 2, 8}) {
          for (const int first : {0, 5000}) {
            if (first > 0 && threads != 2) continue;
            options_.threads = threads;
            auto aggregation = Aggregation::New(options_, SpecsOf(aggregates, 2));
            ASSERT_TRUE(aggregation.ok());
            ASSERT_TRUE(AddModelRows(aggregation->get(), rows).ok());
            auto groups = (*aggregation)->Finish();
            ASSERT_TRUE(groups.ok());
            absl::string_view key;
            absl::Span<const absl::string_view> results;
            for (int i = 0; i < first; ++i) ASSERT_TRUE(*(*groups)->Next(&key, &results));
            const absl::StatusOr<All> drained = DrainAllGroups(groups->get());
            ASSERT_TRUE(drained.ok()) << drained.status();
            ASSERT_TRUE(*drained == All(one_by_one->begin() + first, one_by_one->end()))
                << threads << " threads, behind " << first;
            EXPECT_EQ((*aggregation)->stats().groups, one_by_one->size());
            EXPECT_LE((*aggregation)->stats().peak_memory, options_.memory_bytes);
            EXPECT_FALSE(*(*groups)->Next(&key, &results));
            EXPECT_TRUE(fs_.List("/temp").value().empty());
          }
        }
        options_.threads = 1;
      }
    }
  }
}

TEST_F(AggregateTest, EmptyAndLongAndOddKeysAreKeys) {
  std::vector<ModelRow> rows;
  for (const std::string& key :
       {std::string(), std::string("\0", 1), std::string("\0\0", 2), std::string(65536, 'k'),
        std::string(65536, 'k'), std::string("\xff")}) {
    rows.push_back({key, {"1", ""}});
  }
  ExpectModel(kAll, rows, Run(kAll, rows));
}

TEST_F(AggregateTest, NothingGivesNothing) {
  ExpectModel(kAll, {}, Run(kAll, {}));
  options_.order = GroupingOptions::Order::kKey;
  options_.memory_bytes = 2 << 20;
  ExpectModel(kAll, {}, Run(kAll, {}));
}

TEST_F(AggregateTest, ThreadsThatAddInOrderGiveTheSameAsOne) {
  const std::vector<ModelRow> rows = Rows(60000, 15000, 1000000);
  auto aggregation = Aggregation::New(options_, SpecsOf(kAll, 2));
  ASSERT_TRUE(aggregation.ok());
  std::atomic<uint64_t> next{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      while (true) {
        const uint64_t sequence = next++;
        if (sequence * 300 >= rows.size()) return;
        ASSERT_TRUE(AddModelRows(aggregation->get(),
                                 absl::MakeConstSpan(rows).subspan(sequence * 300, 300), &sequence)
                        .ok());
      }
    });
  }
  for (std::thread& t : threads) t.join();
  ExpectModel(kAll, rows, Read(aggregation->get()));
  EXPECT_GT(stats_.spilled_bytes, 0u);
}

TEST_F(AggregateTest, ThreadsThatAddAsTheyComeLoseNothing) {
  const std::vector<ModelRow> rows = Rows(60000, 15000, 1000000);
  constexpr char kUnordered[] = "count,sum,mean,min,max,mintext:2,distinct:2,top:4";
  auto aggregation = Aggregation::New(options_, SpecsOf(kUnordered, 2));
  ASSERT_TRUE(aggregation.ok());
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = t * 250; i < rows.size(); i += 1000) {
        ASSERT_TRUE(
            AddModelRows(aggregation->get(), absl::MakeConstSpan(rows).subspan(i, 250)).ok());
      }
    });
  }
  for (std::thread& t : threads) t.join();
  ExpectModel(kUnordered, rows, Read(aggregation->get()));
}

TEST_F(AggregateTest, SeveralShareABudget) {
  MemoryBudget budget(3 << 20);
  options_.budget = &budget;
  options_.memory_bytes = budget.total();
  options_.threads = 2;
  const std::vector<ModelRow> rows = Rows(40000, 15000, 1000);
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      auto aggregation = Aggregation::New(options_, SpecsOf("count,last:2", 2));
      ASSERT_TRUE(aggregation.ok()) << aggregation.status();
      for (size_t i = 0; i < rows.size(); i += 500) {
        const absl::Status added =
            AddModelRows(aggregation->get(), absl::MakeConstSpan(rows).subspan(i, 500));
        ASSERT_TRUE(added.ok()) << added;
      }
      auto groups = (*aggregation)->Finish();
      ASSERT_TRUE(groups.ok());
      auto all = t == 0 ? ReadAllGroups(groups->get()) : DrainAllGroups(groups->get());
      ASSERT_TRUE(all.ok()) << all.status();
      std::sort(all->begin(), all->end());
      const ModelResults model = ModelAggregate("count,last:2", rows);
      EXPECT_TRUE(*all == All(model.begin(), model.end()));
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(budget.used(), 0u);
  EXPECT_LE(budget.peak(), budget.total());
}

TEST_F(AggregateTest, AStateThatIsLargerThanMemoryIsNamed) {
  const std::vector<ModelRow> rows = {{"small", {"1", "x"}},
                                      {"big", {"1", std::string(2 << 20, 'x')}}};
  const auto all = Run("last:2", rows);
  EXPECT_EQ(all.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(absl::StrContains(all.status().message(), "\"big\"")) << all.status();
}

TEST_F(AggregateTest, ALargePartHasTheMemoryOfThoseThatAreReadAheadOfIt) {
  // Written, each part takes more than an eighth of the memory; one has a state of nearly a third.
  std::vector<ModelRow> rows = Rows(60000, 30000, 100);
  for (size_t i = 0; i < 4; ++i) {
    rows.insert(rows.begin() + static_cast<ptrdiff_t>(15000 * i),
                {"large", {"1", std::string((2 << 20) / 3 - (100 << 10) + i, 'x')}});
  }
  const ModelResults model = ModelAggregate("count,last:2", rows);
  options_.memory_bytes = 2 << 20;
  for (const int threads : {1, 2, 8}) {
    options_.threads = threads;
    auto aggregation = Aggregation::New(options_, SpecsOf("count,last:2", 2));
    ASSERT_TRUE(aggregation.ok());
    for (size_t i = 0; i < rows.size(); i += 100) {
      ASSERT_TRUE(AddModelRows(aggregation->get(), absl::MakeConstSpan(rows).subspan(i, 100)).ok());
    }
    auto groups = (*aggregation)->Finish();
    ASSERT_TRUE(groups.ok());
    auto all = DrainAllGroups(groups->get());
    ASSERT_TRUE(all.ok()) << all.status();
    std::sort(all->begin(), all->end());
    EXPECT_TRUE(*all == All(model.begin(), model.end())) << threads;
    EXPECT_LE((*aggregation)->stats().peak_memory, options_.memory_bytes);
  }
}

TEST_F(AggregateTest, LargeStatesAreReplacedAgainAndAgain) {
  std::vector<ModelRow> rows;
  for (size_t i = 0; i < 300; ++i) {
    rows.push_back({absl::StrCat(i % 5), {"1", std::string(random_() % 60000, 'a')}});
  }
  ExpectModel("first:2,last:2,maxtext:2,mintext:2", rows,
              Run("first:2,last:2,maxtext:2,mintext:2", rows));
}

TEST_F(AggregateTest, AFieldThatIsNoNumberIsAnErrorWithItsRow) {
  auto aggregation = Aggregation::New(options_, SpecsOf("count,sum:1,max:1", 1));
  ASSERT_TRUE(aggregation.ok());
  const absl::string_view fields[] = {"1", "2", "x", "3"};
  std::vector<AggregateRow> rows;
  for (const absl::string_view& field : fields) {
    rows.push_back({"k", absl::MakeConstSpan(&field, 1)});
  }
  size_t bad_row = 99;
  const absl::Status status = (*aggregation)->Add(rows, &bad_row);
  EXPECT_EQ(status,
            absl::InvalidArgumentError("aggregate \"sum:1\", key \"k\": \"x\" is no number"));
  EXPECT_EQ(bad_row, 2u);
  // Those before it count, and it goes on behind it.
  ASSERT_TRUE((*aggregation)->Add(absl::MakeConstSpan(rows).subspan(3)).ok());
  EXPECT_EQ(*Read(aggregation->get()), (All{{"k", {"3", "6", "3"}}}));
}

TEST_F(AggregateTest, RowsOfTooFewFieldsAndKeysThatAreTooLongAreRefused) {
  auto aggregation = Aggregation::New(options_, SpecsOf("first:2", 2));
  ASSERT_TRUE(aggregation.ok());
  const std::string key(Grouping::kMaxKeyBytes + 1, 'k');
  const absl::string_view fields[] = {"1", "2"};
  size_t bad_row = 99;
  const AggregateRow rows[] = {{"k", fields}, {"k", absl::MakeConstSpan(fields, 1)}, {key, fields}};
  EXPECT_EQ((*aggregation)->Add(rows, &bad_row),
            absl::InvalidArgumentError("a row of 1 fields, where 2 are needed"));
  EXPECT_EQ(bad_row, 1u);
  EXPECT_EQ((*aggregation)->Add(absl::MakeConstSpan(rows).subspan(2), &bad_row),
            absl::InvalidArgumentError("a key of 65537 bytes: at most 65536 are possible"));
  EXPECT_EQ(bad_row, 0u);
  EXPECT_EQ(*Read(aggregation->get()), (All{{"k", {"2"}}}));
}

TEST_F(AggregateTest, MalformedFieldsAreLeftOutOnRequest) {
  options_.skip_malformed = true;
  std::vector<ModelRow> rows = Rows(5000, 50, 10);
  for (size_t i = 0; i < rows.size(); i += 3) rows[i].fields[0] = i % 2 == 0 ? "" : "n/a";
  rows.push_back({"nothing", {"-", ""}});
  ExpectModel(kAll, rows, Run(kAll, rows));
  EXPECT_EQ(stats_.malformed, 1668u);
}

TEST_F(AggregateTest, OverflowIsAnErrorOfItsGroup) {
  std::vector<ModelRow> rows(2, {"k", {"170141183460469231731687303715884105727", ""}});
  const auto all = Run("sum", rows);
  EXPECT_EQ(all.status(),
            absl::OutOfRangeError("key \"k\", aggregate \"sum\": the sum is beyond what 128 bits, "
                                  "or a double, hold"));
}

TEST_F(AggregateTest, CancelEndsTheFeedingAndTheReading) {
  const std::vector<ModelRow> rows = Rows(60000, 30000, 100);
  for (const bool reading : {false, true}) {
    auto aggregation = Aggregation::New(options_, SpecsOf(kAll, 2));
    ASSERT_TRUE(aggregation.ok());
    ASSERT_TRUE(AddModelRows(aggregation->get(), rows).ok());
    EXPECT_FALSE(fs_.List("/temp").value().empty());
    if (!reading) {
      (*aggregation)->Cancel();
      EXPECT_TRUE(fs_.List("/temp").value().empty());
      EXPECT_TRUE(absl::IsCancelled(AddModelRows(aggregation->get(), rows)));
      EXPECT_TRUE(absl::IsCancelled((*aggregation)->Finish().status()));
      continue;
    }
    auto groups = (*aggregation)->Finish();
    ASSERT_TRUE(groups.ok());
    absl::string_view key;
    absl::Span<const absl::string_view> results;
    ASSERT_TRUE(*(*groups)->Next(&key, &results));
    (*aggregation)->Cancel();
    EXPECT_TRUE(absl::IsCancelled((*groups)->Next(&key, &results).status()));
  }
}

// How a Drain() is ended in its midst.
enum class Ended { kByCancel, kByWrite, kByRender };

TEST_F(AggregateTest, ADrainIsEndedInItsMidst) {
  const std::vector<ModelRow> rows = Rows(60000, 30000, 100);
  const std::string text(200, 't');
  for (const size_t memory : {size_t{2} << 20, size_t{16} << 20}) {
    for (const auto order : {GroupingOptions::Order::kAny, GroupingOptions::Order::kKey}) {
      for (const int threads : {1, 2, 8}) {
        for (const Ended ended : {Ended::kByCancel, Ended::kByWrite, Ended::kByRender}) {
          if (threads != 2 && ended != Ended::kByCancel) continue;
          SCOPED_TRACE(absl::StrCat(memory, " ", order, " ", threads, " ", ended));
          options_.memory_bytes = memory;
          options_.order = order;
          options_.threads = threads;
          auto aggregation = Aggregation::New(options_, SpecsOf("count,sum,last:2", 2));
          ASSERT_TRUE(aggregation.ok());
          ASSERT_TRUE(AddModelRows(aggregation->get(), rows).ok());
          auto groups = (*aggregation)->Finish();
          ASSERT_TRUE(groups.ok());
          std::atomic<int> rendered{0};
          int written = 0;
          const absl::Status status = (*groups)->Drain(
              [&](absl::string_view, absl::Span<const absl::string_view>, Groups::Output* output) {
                if (++rendered == 10000 && ended == Ended::kByRender) {
                  return absl::InternalError("rendered");
                }
                return output->Append(text);
              },
              [&](absl::string_view) {
                if (++written == 3 && ended == Ended::kByWrite) {
                  return absl::InternalError("written");
                }
                if (written == 3 && ended == Ended::kByCancel) (*aggregation)->Cancel();
                return absl::OkStatus();
              });
          EXPECT_EQ(status.code(), ended == Ended::kByCancel ? absl::StatusCode::kCancelled
                                                             : absl::StatusCode::kInternal);
          EXPECT_LT(rendered, 20000);  // of about 26,000
          absl::string_view key;
          absl::Span<const absl::string_view> results;
          EXPECT_EQ((*groups)->Next(&key, &results).status(), status);
          EXPECT_TRUE(fs_.List("/temp").value().empty());
        }
      }
    }
  }
}

TEST_F(AggregateTest, CancelWakesWhoWaitsForATurn) {
  auto aggregation = Aggregation::New(options_, SpecsOf("count", 1));
  ASSERT_TRUE(aggregation.ok());
  std::thread waits([&] {
    const uint64_t sequence = 1;  // 0 never comes
    EXPECT_TRUE(absl::IsCancelled(
        AddModelRows(aggregation->get(), std::vector<ModelRow>{{"k", {"1"}}}, &sequence)));
  });
  (*aggregation)->Cancel();
  waits.join();
}

TEST_F(AggregateTest, DroppedHalfWayItLeavesNothing) {
  const std::vector<ModelRow> rows = Rows(60000, 30000, 100);
  for (int read = -1; read < 3; ++read) {
    {
      auto aggregation = Aggregation::New(options_, SpecsOf(kAll, 2));
      ASSERT_TRUE(aggregation.ok());
      ASSERT_TRUE(AddModelRows(aggregation->get(), rows).ok());
      if (read >= 0) {
        auto groups = (*aggregation)->Finish();
        aggregation->reset();
        absl::string_view key;
        absl::Span<const absl::string_view> results;
        for (int i = 0; i < read; ++i) ASSERT_TRUE(*(*groups)->Next(&key, &results));
      }
    }
    EXPECT_TRUE(fs_.List("/temp").value().empty());
  }
}

TEST_F(AggregateTest, OptionsThatCannotWorkAreRefused) {
  options_.memory_bytes = (1 << 20) - 1;
  EXPECT_TRUE(absl::IsInvalidArgument(Aggregation::New(options_, SpecsOf("count", 1)).status()));
  options_.memory_bytes = 1 << 20;
  EXPECT_TRUE(absl::IsInvalidArgument(Aggregation::New(options_, {}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      Aggregation::New(options_, std::vector<AggregateSpec>(65, SpecsOf("count", 1)[0])).status()));
  options_.order = GroupingOptions::Order::kKey;
  EXPECT_TRUE(absl::IsInvalidArgument(Aggregation::New(options_, SpecsOf("count", 1)).status()));
}

// Random shapes, budgets and threads.
class AggregateRandomTest : public AggregateTest, public testing::WithParamInterface<uint64_t> {};

TEST_P(AggregateRandomTest, ShapesAgreeWithTheModel) {
  const std::vector<std::string> all = {"count",   "sum",        "mean",      "min",    "max",
                                        "first:2", "mintext:2",  "maxtext:2", "last:2", "top:3",
                                        "top:50",  "distinct:2", "distinct"};
  options_.skip_malformed = true;
  for (uint64_t seed = 5 * GetParam(); seed < 5 * GetParam() + 5; ++seed) {
    SCOPED_TRACE(seed);
    random_.seed(seed);
    std::string aggregates = all[random_() % all.size()];
    while (random_() % 3 != 0) absl::StrAppend(&aggregates, ",", all[random_() % all.size()]);
    SCOPED_TRACE(aggregates);
    const size_t count = size_t{1} << (random_() % 17);
    std::vector<ModelRow> rows =
        Rows(count, 1 + random_() % (2 * count), 1 + random_() % count, random_() % 40);
    for (ModelRow& row : rows) {
      if (random_() % 10 == 0) row.key = "heavy";
      if (random_() % 50 == 0) row.fields[0] = "?";
      if (random_() % 500 == 0) row.fields[1].append(random_() % 5000, 'x');
    }
    options_.order =
        random_() % 3 == 0 ? GroupingOptions::Order::kKey : GroupingOptions::Order::kAny;
    options_.memory_bytes = (size_t{2} << 20) << (random_() % 3);
    if (options_.order == GroupingOptions::Order::kAny && random_() % 2 == 0) {
      options_.memory_bytes = 1 << 20;
    }
    options_.threads = static_cast<int>(random_() % 5);  // 0: one by one
    const bool drain = options_.threads > 0;
    if (!drain) options_.threads = 1;
    auto aggregation = Aggregation::New(options_, SpecsOf(aggregates, 2));
    ASSERT_TRUE(aggregation.ok());
    std::atomic<uint64_t> next{0};
    const size_t batch = 1 + random_() % 5000;
    std::vector<std::thread> threads;
    for (uint64_t t = random_() % 3; t < 3; ++t) {
      threads.emplace_back([&] {
        while (true) {
          const uint64_t sequence = next++;
          if (sequence * batch >= rows.size()) return;
          const absl::Status added =
              AddModelRows(aggregation->get(),
                           absl::MakeConstSpan(rows).subspan(sequence * batch, batch), &sequence);
          ASSERT_TRUE(added.ok()) << added;
        }
      });
    }
    for (std::thread& t : threads) t.join();
    const auto groups = Read(aggregation->get(), drain);
    ExpectModel(aggregates, rows, groups);
    if (HasFatalFailure()) return;
    if (options_.order == GroupingOptions::Order::kKey) {
      EXPECT_TRUE(std::is_sorted(groups->begin(), groups->end()));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, AggregateRandomTest, testing::Range<uint64_t>(0, 8));

}  // namespace
}  // namespace kvarts
