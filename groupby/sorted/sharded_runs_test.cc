// Sorted runs of several shards, fed by several threads and drained: what the suite of
// groupings, which knows of no shards, does not ask.

#include <algorithm>
#include <atomic>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "groupby/sorted/sorted_runs.h"
#include "groupby/testing/grouping_suite_rows.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"
#include "testing/fault/fault_file_system.h"

namespace kvarts::groupby_internal {
namespace {

constexpr size_t kMiB = 1 << 20;
constexpr size_t kShard = kMiB / 2;

absl::Status RenderAll(Groups::Cursor* group, Groups::Output* output) {
  KVARTS_RETURN_IF_ERROR(output->Append(absl::StrCat(group->key().size(), "=", group->key())));
  for (;;) {
    KVARTS_ASSIGN_OR_RETURN(const auto values, group->Values());
    if (values.empty()) return output->Append("\n");
    for (const absl::string_view value : values) {
      KVARTS_RETURN_IF_ERROR(output->Append(absl::StrCat(value.size(), ":")));
      KVARTS_RETURN_IF_ERROR(output->Append(value));
    }
  }
}

std::string TextOf(const SuiteGroups& groups) {
  std::string text;
  for (const auto& [key, values] : groups) {
    absl::StrAppend(&text, key.size(), "=", key);
    for (const std::string& value : values) absl::StrAppend(&text, value.size(), ":", value);
    text += "\n";
  }
  return text;
}

class ShardedRunsTest : public testing::Test {
 protected:
  GroupingOptions Options(size_t memory, int threads) {
    GroupingOptions options;
    options.order = GroupingOptions::Order::kKey;
    options.memory_bytes = memory;
    options.threads = threads;
    options.fs = &fs_;
    options.temp_dir = "/";
    return options;
  }
  static std::unique_ptr<Grouping> New(const GroupingOptions& options) {
    return NewSortedRuns(options, kShard).value();
  }

  // Adds all rows from several threads, in their order. The first error.
  static absl::Status Feed(Grouping* grouping, const SuiteRows& rows, int feeders = 3,
                           size_t at_a_time = 150) {
    std::atomic<uint64_t> next{0};
    std::vector<absl::Status> errors(static_cast<size_t>(feeders));
    std::vector<std::thread> threads;
    for (absl::Status& error : errors) {
      threads.emplace_back([&] {
        std::vector<KeyValue> some;
        do {
          const uint64_t sequence = next++;
          some.clear();
          for (size_t i = sequence * at_a_time; i < rows.size() && some.size() < at_a_time; ++i) {
            some.push_back({rows[i].first, rows[i].second});
          }
          error = grouping->AddInOrder(sequence, some);
        } while (error.ok() && !some.empty());
      });
    }
    for (std::thread& thread : threads) thread.join();
    // One that ended it ended it for all.
    for (const absl::Status& error : errors) EXPECT_EQ(error, errors[0]);
    return errors[0];
  }
  static absl::Status Drain(Groups* groups, std::string* text) {
    return groups->Drain(RenderAll, [text](absl::string_view piece) {
      text->append(piece.data(), piece.size());
      return absl::OkStatus();
    });
  }
  // Feeds, finishes and drains.
  static absl::Status Run(const GroupingOptions& options, const SuiteRows& rows, std::string* text,
                          GroupingStats* stats) {
    const auto grouping = New(options);
    const absl::Status fed = Feed(grouping.get(), rows);
    if (!fed.ok()) {
      const KeyValue row{"key", "value"};
      EXPECT_EQ(grouping->Add(absl::MakeSpan(&row, 1)), fed);
      EXPECT_EQ(grouping->Finish().status(), fed);
      return fed;
    }
    const auto groups = grouping->Finish();
    if (!groups.ok()) {
      EXPECT_EQ(grouping->Finish().status(), groups.status());
      return groups.status();
    }
    const absl::Status drained = Drain(groups->get(), text);
    if (!drained.ok()) {
      absl::string_view key;
      EXPECT_EQ((*groups)->Next(&key).status(), drained);
    }
    *stats = grouping->stats();
    return drained;
  }
  void ExpectNothingLeft() {
    EXPECT_TRUE(fs_.List("/")->empty());
    EXPECT_EQ(fs_.used_bytes(), 0u);
    fs_.SyncAll();
  }

  MemoryFileSystem fs_;
};

TEST_F(ShardedRunsTest, TextIsTheSameForEachNumberOfThreads) {
  for (const RowShape shape : {RowShape::kZipf, RowShape::kAllDistinct, RowShape::kHalfEqual,
                               RowShape::kLargeValues, RowShape::kLongKeys, RowShape::kBytes}) {
    const SuiteRows rows = MakeSuiteRows(shape, 3 * kMiB, 1);
    const std::string expected = TextOf(GroupsOf(rows));
    for (const size_t memory : {2 * kMiB, 62 * kMiB}) {
      for (const int threads : {1, 2, 8}) {
        if (kFewerRounds > 1 && threads == 1) continue;
        SCOPED_TRACE(absl::StrCat(threads, " threads, memory ", memory));
        std::string text;
        GroupingStats stats;
        const absl::Status status = Run(Options(memory, threads), rows, &text, &stats);
        ASSERT_TRUE(status.ok()) << status << " " << shape;
        ASSERT_TRUE(text == expected) << shape;
        EXPECT_EQ(stats.rows, rows.size());
        EXPECT_LE(stats.peak_memory, memory);
        EXPECT_EQ(stats.spilled_bytes > 0, memory == 2 * kMiB) << shape;
      }
    }
  }
  ExpectNothingLeft();
}

TEST_F(ShardedRunsTest, GroupsAreThoseOfAMapAtRandomFromSeveralFeeders) {
  const uint64_t seed = std::random_device()();
  std::cerr << "seed " << seed << "\n";
  std::mt19937_64 random(seed);
  for (int round = 0; round < SuiteRounds(20); ++round) {
    SCOPED_TRACE(absl::StrCat("seed ", seed, " round ", round));
    SuiteRows rows;
    for (uint64_t parts = 1 + random() % 3; parts > 0; --parts) {
      const auto shape = static_cast<RowShape>(random() % static_cast<size_t>(RowShape::kEnd));
      const SuiteRows some = MakeSuiteRows(shape, random() % (2 * kMiB), random());
      rows.insert(rows.end(), some.begin(), some.end());
    }
    const int threads = 2 + static_cast<int>(random() % 6);
    const auto grouping = New(Options(kMiB + random() % (4 * kMiB), threads));
    const absl::Status fed =
        Feed(grouping.get(), rows, 1 + static_cast<int>(random() % 4), 1 + random() % 2000);
    ASSERT_TRUE(fed.ok()) << fed;
    const auto groups = grouping->Finish().value();
    std::string text;
    // Some by Next().
    absl::string_view key;
    const SuiteGroups expected = GroupsOf(rows);
    const size_t first = random() % 2 == 0 ? 0 : random() % (expected.size() + 1);
    for (size_t i = 0; i < first; ++i) {
      ASSERT_TRUE(groups->Next(&key).value());
      ASSERT_EQ(key, expected[i].first);
    }
    EXPECT_EQ(grouping->stats().groups, first);
    const absl::Status drained = Drain(groups.get(), &text);
    ASSERT_TRUE(drained.ok()) << drained;
    const auto begin = expected.begin() + static_cast<ptrdiff_t>(first);
    ASSERT_TRUE(text == TextOf(SuiteGroups(begin, expected.end())));
    EXPECT_EQ(grouping->stats().groups, expected.size());
    ExpectNothingLeft();
    if (HasFailure()) return;
  }
}

TEST_F(ShardedRunsTest, ValueLargerThanAShardFitsWhateverTheNumberOfShards) {
  SuiteRows rows;
  for (int i = 0; i < 40; ++i) {
    rows.emplace_back(absl::StrCat("key ", i % 16), std::string(kMiB + i, static_cast<char>(i)));
  }
  const std::string expected = TextOf(GroupsOf(rows));
  for (const int threads : {1, 2, 8}) {
    std::string text;
    GroupingStats stats;
    const absl::Status status = Run(Options(4 * kMiB, threads), rows, &text, &stats);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_TRUE(text == expected);
    EXPECT_LE(stats.peak_memory, 4 * kMiB);
  }
}

TEST_F(ShardedRunsTest, CancelAndErrorsAnywhereInDrainEndItAndLeaveNothing) {
  for (const size_t memory : {2 * kMiB, 62 * kMiB}) {
    const SuiteRows rows = MakeSuiteRows(RowShape::kZipf, 3 * kMiB, 1);
    for (const int after : {0, 1, 1000, 5000}) {
      if (kFewerRounds > 1 && after == 1) continue;
      for (const bool in_write : {false, true}) {
        for (const bool cancel : {false, true}) {
          MemoryBudget budget(memory);
          GroupingOptions options = Options(memory, 4);
          options.budget = &budget;
          const auto grouping = New(options);
          ASSERT_TRUE(Feed(grouping.get(), rows).ok());
          const auto groups = grouping->Finish().value();
          std::atomic<int> calls{0};
          const absl::Status error = absl::OutOfRangeError("the pipe is broken");
          const auto called = [&] {
            if (calls++ != after / (in_write ? 1000 : 1)) return absl::OkStatus();
            if (!cancel) return error;
            grouping->Cancel();
            return absl::OkStatus();
          };
          const absl::Status status = groups->Drain(
              [&](Groups::Cursor* group, Groups::Output* output) {
                if (!in_write) KVARTS_RETURN_IF_ERROR(called());
                return RenderAll(group, output);
              },
              [&](absl::string_view) { return in_write ? called() : absl::OkStatus(); });
          if (cancel) {
            // The last pieces may be written by then.
            EXPECT_TRUE(absl::IsCancelled(status) || (in_write && status.ok())) << status;
          } else {
            EXPECT_EQ(status, error);
          }
          absl::string_view key;
          if (!status.ok()) {
            EXPECT_EQ(groups->Next(&key).status(), status);
          }
          EXPECT_EQ(budget.used(), 0u);
          ExpectNothingLeft();
        }
      }
    }
  }
}

// Several shards' threads at work, and operations come in another order each time: the k'th
// is any.
TEST_F(ShardedRunsTest, AnErrorAtEveryOperationIsAnErrorOfAllShardsAndLeavesNothing) {
  const SuiteRows rows = MakeSuiteRows(RowShape::kAllDistinct, 3 * kMiB / 2, 4);
  const std::string expected = TextOf(GroupsOf(rows));
  for (const Fault fault : {Fault::kIoError, Fault::kNoSpace, Fault::kDoneButError}) {
    if (kFewerRounds > 1 && fault != Fault::kIoError) continue;
    int errors = 0;
    for (uint64_t k = 0;; k += kFewerRounds) {
      SCOPED_TRACE(absl::StrCat("fault ", static_cast<int>(fault), " operation ", k));
      FaultFileSystem faults(&fs_);
      faults.SetRule({fault, k});
      MemoryBudget budget(kMiB);
      GroupingOptions options = Options(kMiB, 2);
      options.fs = &faults;
      options.budget = &budget;
      std::string text;
      GroupingStats stats;
      const absl::Status status = Run(options, rows, &text, &stats);
      ExpectNothingLeft();
      EXPECT_EQ(budget.used(), 0u);
      if (status.ok()) {
        EXPECT_TRUE(text == expected);
        if (faults.injected() == 0) break;
        continue;  // a delete that failed and was tried again
      }
      ++errors;
      EXPECT_TRUE(absl::IsDataLoss(status) || absl::IsResourceExhausted(status)) << status;
      if (HasFailure()) return;
    }
    EXPECT_GT(errors * kFewerRounds, 5);
  }
}

TEST_F(ShardedRunsTest, ErrorWhileAnotherUserOfTheBudgetIsServedEndsAllShards) {
  FaultFileSystem faults(&fs_);
  MemoryBudget budget(4 * kMiB);
  GroupingOptions options = Options(0, 4);
  options.fs = &faults;
  options.budget = &budget;
  const auto grouping = New(options);
  ASSERT_TRUE(Feed(grouping.get(), MakeSuiteRows(RowShape::kAllDistinct, 1'200'000, 1)).ok());
  FaultRule rule;
  rule.forever = true;
  faults.SetRule(rule);
  const auto other = budget.Open(nullptr);
  EXPECT_TRUE(other->Reserve(2 * kMiB).ok());
  EXPECT_EQ(budget.used(), 2 * kMiB);
  const KeyValue row{"key", "value"};
  const absl::Status status = grouping->Add(absl::MakeSpan(&row, 1));
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_EQ(grouping->Finish().status(), status);
  other->Release(2 * kMiB);
}

TEST_F(ShardedRunsTest, ShardsAreOneUserOfTheBudget) {
  MemoryBudget budget(4 * kMiB);
  GroupingOptions options = Options(0, 8);
  options.budget = &budget;
  const auto grouping = New(options);
  const auto other = budget.Open(nullptr);
  EXPECT_EQ(budget.fair_share(), 2 * kMiB);
  const SuiteRows rows = MakeSuiteRows(RowShape::kAllDistinct, 6 * kMiB, 1);
  ASSERT_TRUE(Feed(grouping.get(), rows).ok());
  EXPECT_TRUE(other->Reserve(2 * kMiB).ok());
  EXPECT_LE(budget.used(), budget.total());
  std::string text;
  EXPECT_TRUE(Drain(grouping->Finish()->get(), &text).ok());
  EXPECT_TRUE(text == TextOf(GroupsOf(rows)));
  EXPECT_EQ(budget.used(), 2 * kMiB);
  other->Release(2 * kMiB);
}

TEST_F(ShardedRunsTest, PeakIsWhatWasCountedAtATime) {
  MemoryBudget budget(4 * kMiB);
  GroupingOptions options = Options(0, 4);
  options.budget = &budget;
  std::string text;
  GroupingStats stats;
  const SuiteRows rows = MakeSuiteRows(RowShape::kAllDistinct, 6 * kMiB, 1);
  ASSERT_TRUE(Run(options, rows, &text, &stats).ok());
  EXPECT_EQ(stats.peak_memory, budget.peak());
  EXPECT_GT(stats.peak_memory, 3 * kMiB);
}

TEST_F(ShardedRunsTest, ProgressOfAllShardsGoesForwardWithinItsPhases) {
  std::map<std::string, std::pair<uint64_t, uint64_t>> seen;  // done, total
  GroupingOptions options = Options(kMiB, 2);
  options.progress = [&](absl::string_view phase, uint64_t done, uint64_t total) {
    auto& last = seen[std::string(phase)];
    EXPECT_GE(done, last.first) << phase;
    if (last.second != 0) {
      EXPECT_EQ(total, last.second) << phase;
    }
    EXPECT_LE(done, total);
    last = {done, total};
  };
  std::string text;
  GroupingStats stats;
  // So many runs that some have to be merged.
  const SuiteRows rows = MakeSuiteRows(RowShape::kAllDistinct, 24 * kMiB, 1);
  ASSERT_TRUE(Run(options, rows, &text, &stats).ok());
  EXPECT_GT(stats.merge_passes, 0u);
  for (const char* const phase : {"merge", "group"}) {
    EXPECT_GT(seen[phase].second, 0u) << phase;
    EXPECT_GT(seen[phase].first, seen[phase].second / 2) << phase;
  }
}

}  // namespace
}  // namespace kvarts::groupby_internal
