#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "groupby/testing/grouping_suite.h"

namespace kvarts {
namespace {

// Something that happens once, and is waited for.
class Event {
 public:
  void Set() {
    MutexLock lock(&mu_);
    is_set_ = true;
    changed_.SignalAll();
  }
  void Wait() {
    MutexLock lock(&mu_);
    while (!is_set_) changed_.Wait(&mu_);
  }

 private:
  Mutex mu_;
  CondVar changed_;
  bool is_set_ ABSL_GUARDED_BY(mu_) = false;
};

// Feeds the same rows until that ends with an error, which it returns.
absl::Status FeedForEver(Grouping* grouping, Event* under_way) {
  const SuiteRows rows = MakeSuiteRows(RowShape::kZipf, 1 << 20, 1);
  for (int round = 0;; ++round) {
    if (round == 3) under_way->Set();
    for (const auto& [key, value] : rows) {
      const KeyValue row{key, value};
      const absl::Status status = grouping->Add(absl::MakeSpan(&row, 1));
      if (!status.ok()) {
        under_way->Set();
        return status;
      }
    }
  }
}

TEST_P(GroupingSuite, SeveralFeedersEachKeepTheirOrder) {
  constexpr int kFeeders = 4;
  const SuiteRows rows = MakeSuiteRows(RowShape::kZipf, 1 << 20, 1);
  const auto grouping = New(Options());
  std::vector<std::thread> feeders;
  for (int feeder = 0; feeder < kFeeders; ++feeder) {
    feeders.emplace_back([&, feeder] {
      SuiteRows own = rows;
      for (size_t i = 0; i < own.size(); ++i) own[i].second = absl::StrCat(feeder, " ", i);
      EXPECT_TRUE(Feed(grouping.get(), own, 1 + 50 * static_cast<size_t>(feeder)).ok());
    });
  }
  for (std::thread& feeder : feeders) feeder.join();
  const SuiteGroups groups = Read(grouping->Finish()->get()).value();
  const SuiteGroups expected = GroupsOf(rows);
  ASSERT_EQ(groups.size(), expected.size());
  size_t values_seen = 0;
  for (const auto& [key, values] : groups) {
    std::vector<size_t> next(kFeeders, 0);
    for (const std::string& value : values) {
      const std::pair<std::string, std::string> parts = absl::StrSplit(value, ' ');
      size_t feeder = 0;
      size_t i = 0;
      ASSERT_TRUE(absl::SimpleAtoi(parts.first, &feeder) && absl::SimpleAtoi(parts.second, &i));
      ASSERT_LT(feeder, next.size());
      ASSERT_GE(i, next[feeder]);
      ASSERT_EQ(rows[i].first, key);
      next[feeder] = i + 1;
      ++values_seen;
    }
  }
  EXPECT_EQ(values_seen, kFeeders * rows.size());
  ExpectNothingLeft();
}

TEST_P(GroupingSuite, RowsInOrderComeAsFromOneThread) {
  const SuiteRows rows = MakeSuiteRows(RowShape::kZipf, 3 << 20, 1);
  constexpr size_t kAtATime = 70;
  const auto grouping = New(Options());
  std::atomic<uint64_t> next{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (;;) {
        const uint64_t sequence = next++;
        std::vector<KeyValue> some;
        for (size_t i = sequence * kAtATime; i < rows.size() && some.size() < kAtATime; ++i) {
          some.push_back({rows[i].first, rows[i].second});
        }
        if (some.empty()) return;
        EXPECT_TRUE(grouping->AddInOrder(sequence, some).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto groups = grouping->Finish().value();
  ExpectGroups(Read(groups.get()).value(), rows);
}

TEST_P(GroupingSuite, RefusedRowsPassTheTurnOn) {
  const auto grouping = New(Options());
  const std::string longer(Grouping::kMaxKeyBytes + 1, 'k');
  const std::vector<KeyValue> good = {{"key", "value"}};
  const std::vector<KeyValue> bad = {{longer, "value"}};
  EXPECT_TRUE(grouping->AddInOrder(0, good).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(grouping->AddInOrder(1, bad)));
  EXPECT_TRUE(grouping->AddInOrder(2, {}).ok());
  EXPECT_TRUE(grouping->AddInOrder(3, good).ok());
  const auto groups = grouping->Finish().value();
  ExpectGroups(Read(groups.get()).value(), {{"key", "value"}, {"key", "value"}});
}

TEST_P(GroupingSuite, CancelWakesThoseThatWaitForTheirTurn) {
  const auto grouping = New(Options());
  std::vector<std::thread> threads;
  for (const uint64_t sequence : {1, 2, 7}) {
    threads.emplace_back([&, sequence] {
      const std::vector<KeyValue> rows = {{"key", "value"}};
      EXPECT_TRUE(absl::IsCancelled(grouping->AddInOrder(sequence, rows)));
    });
  }
  grouping->Cancel();
  for (std::thread& thread : threads) thread.join();
}

TEST_P(GroupingSuite, ErrorWakesThoseThatWaitForTheirTurn) {
  const auto grouping = New(Options());
  std::vector<std::thread> threads;
  for (const uint64_t sequence : {1, 2, 7}) {
    threads.emplace_back([&, sequence] {
      const std::vector<KeyValue> rows = {{"key", "value"}};
      EXPECT_TRUE(absl::IsResourceExhausted(grouping->AddInOrder(sequence, rows)));
    });
  }
  const std::string large(2 * kSmall, 'v');
  const std::vector<KeyValue> rows = {{"key", large}};
  EXPECT_TRUE(absl::IsResourceExhausted(grouping->AddInOrder(0, rows)));
  for (std::thread& thread : threads) thread.join();
}

TEST_P(GroupingSuite, CancelEndsTheFeedingAndDeletesAllFiles) {
  for (const int feeders : {1, 3}) {
    auto grouping = New(Options());
    Event under_way;
    std::vector<std::thread> threads;
    for (int i = 0; i < feeders; ++i) {
      threads.emplace_back([&] {
        const absl::Status status = FeedForEver(grouping.get(), &under_way);
        EXPECT_TRUE(absl::IsCancelled(status)) << status;
      });
    }
    under_way.Wait();
    grouping->Cancel();
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(absl::IsCancelled(grouping->Finish().status()));
    ExpectNothingLeft();
  }
}

TEST_P(GroupingSuite, CancelEndsTheReading) {
  const SuiteRows rows = MakeSuiteRows(RowShape::kZipf, 3 << 20, 1);
  for (const int read : {0, 3, 100}) {
    const auto grouping = New(Options());
    ASSERT_TRUE(Feed(grouping.get(), rows).ok());
    const auto groups = grouping->Finish().value();
    absl::string_view key;
    for (int i = 0; i < read; ++i) ASSERT_TRUE(groups->Next(&key).value());
    grouping->Cancel();
    if (read == 3) {
      EXPECT_TRUE(absl::IsCancelled(groups->Values().status()));
    }
    EXPECT_TRUE(absl::IsCancelled(groups->Next(&key).status()));
    EXPECT_TRUE(absl::IsCancelled(groups->Values().status()));
    ExpectNothingLeft();
  }
}

TEST_P(GroupingSuite, CancelAtAnyTimeEndsFinishAndDrain) {
  const SuiteRows rows = MakeSuiteRows(RowShape::kAllDistinct, 4 << 20, 1);
  for (const bool in_drain : {false, true}) {
    const auto grouping = New(Options());
    ASSERT_TRUE(Feed(grouping.get(), rows).ok());
    Event under_way;
    std::thread thread([&] {
      under_way.Wait();
      grouping->Cancel();
    });
    if (!in_drain) under_way.Set();
    auto groups = grouping->Finish();
    absl::Status status = groups.status();
    if (groups.ok()) {
      std::atomic<int> rendered{0};
      status = (*groups)->Drain(
          [&](Groups::Cursor* group, Groups::Output* output) {
            if (++rendered == 100) under_way.Set();
            return output->Append(group->key());
          },
          [](absl::string_view) { return absl::OkStatus(); });
    }
    thread.join();
    EXPECT_TRUE(status.ok() || absl::IsCancelled(status)) << status;
    if (groups.ok()) groups->reset();
    ExpectNothingLeft();
  }
}

TEST_P(GroupingSuite, SeveralShareABudget) {
  MemoryBudget budget(4 * kSmall);
  GroupingOptions options = Options();
  options.budget = &budget;
  for (size_t round = 0; round < static_cast<size_t>(SuiteRounds(3)); ++round) {
    // All at first: one that is read need not give back what it has, for one more.
    std::vector<std::unique_ptr<Grouping>> groupings;
    for (int i = 0; i < 4; ++i) groupings.push_back(New(options));
    std::vector<std::thread> threads;
    for (size_t t = 0; t < groupings.size(); ++t) {
      // None of large rows: for these there need not be room at all times.
      constexpr RowShape kShapes[] = {RowShape::kAllEqual,  RowShape::kZipf,
                                      RowShape::kSorted,    RowShape::kBytes,
                                      RowShape::kHalfEqual, RowShape::kAllDistinct};
      const RowShape shape = kShapes[(2 * t + round) % 6];
      threads.emplace_back([shape, grouping = groupings[t].get()] {
        const SuiteRows rows = MakeSuiteRows(shape, 3 << 20, 1);
        const absl::Status fed = Feed(grouping, rows);
        ASSERT_TRUE(fed.ok()) << fed;
        const auto groups = grouping->Finish();
        ASSERT_TRUE(groups.ok()) << groups.status();
        const auto result = Read(groups->get());
        ASSERT_TRUE(result.ok()) << result.status();
        ExpectGroups(*result, rows);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(budget.used(), 0u);
  EXPECT_LE(budget.peak(), budget.total());
  EXPECT_GT(budget.peak(), budget.total() / 2);
  ExpectNothingLeft();
}

TEST_P(GroupingSuite, LaterUserOfABudgetGetsItsShareOfAnEarlierOne) {
  MemoryBudget budget(8 * kSmall);
  GroupingOptions options = Options();
  options.budget = &budget;
  const SuiteRows rows = MakeSuiteRows(RowShape::kAllDistinct, 6 << 20, 1);
  const auto earlier = New(options);
  ASSERT_TRUE(Feed(earlier.get(), rows).ok());
  GroupingStats stats;
  EXPECT_TRUE(GroupAndCheck(options, rows, &stats).ok());
  EXPECT_GT(earlier->stats().spilled_bytes, 0u);
  if (options.max_hash_entries == 0) {
    EXPECT_GT(stats.peak_memory, budget.total() / 4);
  }
  EXPECT_LE(budget.peak(), budget.total());
  const auto groups = earlier->Finish().value();
  ExpectGroups(Read(groups.get()).value(), rows);
  ExpectNothingLeft();
  EXPECT_EQ(budget.used(), 0u);
}

TEST_P(GroupingSuite, BudgetThatIsFullHasNoRoomForOneMore) {
  MemoryBudget budget(2 * kSmall);
  GroupingOptions options = Options();
  options.budget = &budget;
  std::vector<std::unique_ptr<Grouping>> groupings;
  for (;;) {
    auto grouping = Make(options);
    if (!grouping.ok()) {
      EXPECT_TRUE(absl::IsResourceExhausted(grouping.status())) << grouping.status();
      break;
    }
    groupings.push_back(*std::move(grouping));
    ASSERT_LT(groupings.size(), 1000u);
  }
  ASSERT_GE(groupings.size(), 1u);
  // Those that are there work all the same.
  const SuiteRows rows = MakeSuiteRows(RowShape::kZipf, 1 << 20, 1);
  for (const auto& grouping : groupings) EXPECT_TRUE(Feed(grouping.get(), rows).ok());
  for (const auto& grouping : groupings) {
    const auto groups = grouping->Finish();
    ASSERT_TRUE(groups.ok()) << groups.status();
    ExpectGroups(Read(groups->get()).value(), rows);
  }
  groupings.clear();
  EXPECT_EQ(budget.used(), 0u);
  EXPECT_LE(budget.peak(), budget.total());
  EXPECT_TRUE(Make(options).ok());
}

}  // namespace
}  // namespace kvarts
