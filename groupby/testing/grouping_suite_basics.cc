#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "groupby/testing/grouping_suite.h"

namespace kvarts {
namespace {

TEST_P(GroupingSuite, NoRowsGiveNoGroups) {
  EXPECT_TRUE(GroupAndCheck(Options(), {}).ok());
  ExpectNothingLeft();
}

TEST_P(GroupingSuite, ValuesOfAKeyComeTogetherInTheirOrder) {
  const SuiteRows rows = {{"b", "1"}, {"a", "2"}, {"b", "3"}, {"", "4"}, {"a", "2"}, {"b", ""}};
  GroupingStats stats;
  EXPECT_TRUE(GroupAndCheck(Options(), rows, &stats).ok());
  EXPECT_EQ(stats.rows, 6u);
  EXPECT_EQ(stats.bytes, 10u);
  EXPECT_EQ(stats.groups, 3u);
}

TEST_P(GroupingSuite, EmptyKeyAndEmptyValuesAreRowsLikeOthers) {
  SuiteRows rows;
  for (int i = 0; i < 1000; ++i) rows.emplace_back("", "");
  EXPECT_TRUE(GroupAndCheck(Options(), rows).ok());
}

TEST_P(GroupingSuite, WhatFitsInMemoryTouchesNoDisk) {
  GroupingOptions options = Options(64 << 20);
  // With this cap it does not fit.
  options.max_hash_entries = 0;
  GroupingStats stats;
  EXPECT_TRUE(GroupAndCheck(options, MakeSuiteRows(RowShape::kZipf, 1 << 20, 1), &stats).ok());
  EXPECT_EQ(stats.spilled_bytes, 0u);
  EXPECT_EQ(fs_.operations(), 0u);
}

TEST_P(GroupingSuite, MemoryStaysInItsBudget) {
  for (const RowShape shape : {RowShape::kAllEqual, RowShape::kAllDistinct, RowShape::kZipf}) {
    for (const size_t memory : {kSmall, 3 * kSmall}) {
      GroupingStats stats;
      EXPECT_TRUE(GroupAndCheck(Options(memory), MakeSuiteRows(shape, 4 << 20, 1), &stats).ok());
      EXPECT_GT(stats.spilled_bytes, 0u) << shape;
      EXPECT_LE(stats.peak_memory, memory) << shape;
      if (GetParam().options.max_hash_entries == 0) {
        EXPECT_GT(stats.peak_memory, memory / 2) << shape;
      }
    }
  }
  ExpectNothingLeft();
}

TEST_P(GroupingSuite, TooLittleMemoryIsAnError) {
  EXPECT_TRUE(absl::IsInvalidArgument(Make(Options(kSmall - 1)).status()));
  GroupingOptions options = Options();
  options.threads = 0;
  EXPECT_TRUE(absl::IsInvalidArgument(Make(options).status()));
  options = Options();
  options.max_open_runs = 1;
  EXPECT_TRUE(absl::IsInvalidArgument(Make(options).status()));
}

TEST_P(GroupingSuite, KeyThatIsTooLongIsRefusedAndNothingIsTaken) {
  const auto grouping = New(Options());
  const std::string longest(Grouping::kMaxKeyBytes, 'k');
  const std::string longer(Grouping::kMaxKeyBytes + 1, 'k');
  const std::vector<KeyValue> bad = {{"key", "1"}, {longer, "2"}};
  const absl::Status status = grouping->Add(bad);
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "65537")) << status;
  const std::vector<KeyValue> good = {{longest, "3"}};
  EXPECT_TRUE(grouping->Add(good).ok());
  const auto groups = grouping->Finish().value();
  ExpectGroups(Read(groups.get()).value(), {{longest, "3"}});
}

TEST_P(GroupingSuite, RowThatIsTooLongIsRefused) {
  const auto grouping = New(Options());
  const std::string value(Grouping::kMaxRowBytes, 'v');
  const std::vector<KeyValue> bad = {{"k", value}};
  EXPECT_TRUE(absl::IsInvalidArgument(grouping->Add(bad)));
  EXPECT_TRUE(Read(grouping->Finish()->get())->empty());
}

TEST_P(GroupingSuite, RowThatIsTooLargeForTheMemoryEndsItWithAClearError) {
  const SuiteRows rows = {{"key", std::string(2 * kSmall, 'v')}};
  const absl::Status status = GroupAndCheck(Options(), rows);
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), absl::StrCat(2 * kSmall))) << status;
  ExpectNothingLeft();
  // And where others were written before.
  SuiteRows more = MakeSuiteRows(RowShape::kZipf, 3 << 20, 1);
  more.push_back(rows[0]);
  EXPECT_TRUE(absl::IsResourceExhausted(GroupAndCheck(Options(), more)));
  ExpectNothingLeft();
}

TEST_P(GroupingSuite, GroupLargerThanMemoryComesInPieces) {
  const SuiteRows rows = MakeSuiteRows(RowShape::kAllEqual, 8 << 20, 1);
  const auto grouping = New(Options());
  ASSERT_TRUE(Feed(grouping.get(), rows).ok());
  const auto groups = grouping->Finish().value();
  absl::string_view key;
  ASSERT_TRUE(groups->Next(&key).value());
  EXPECT_EQ(key, "the key");
  size_t next = 0;
  int pieces = 0;
  for (;; ++pieces) {
    const auto values = groups->Values().value();
    if (values.empty()) break;
    size_t bytes = 0;
    for (const absl::string_view value : values) {
      ASSERT_EQ(value, rows[next++].second);
      bytes += value.size();
    }
    EXPECT_LE(bytes, kSmall);
  }
  EXPECT_EQ(next, rows.size());
  EXPECT_GT(pieces, 8);
  EXPECT_TRUE(groups->Values()->empty());
  EXPECT_FALSE(groups->Next(&key).value());
  EXPECT_LE(grouping->stats().peak_memory, kSmall);
  ExpectNothingLeft();
}

TEST_P(GroupingSuite, ValuesMayBePassedOver) {
  for (const size_t bytes : {100'000, 3'000'000}) {
    const SuiteRows rows = MakeSuiteRows(RowShape::kLargeValues, bytes, 7);
    const SuiteGroups expected = GroupsOf(rows);
    for (const size_t calls : {0, 1, 2}) {
      const auto grouping = New(Options());
      ASSERT_TRUE(Feed(grouping.get(), rows).ok());
      const auto groups = grouping->Finish().value();
      EXPECT_TRUE(groups->Values()->empty());
      size_t seen = 0;
      for (absl::string_view key; groups->Next(&key).value(); ++seen) {
        const auto group = std::find_if(expected.begin(), expected.end(),
                                        [&](const auto& g) { return g.first == key; });
        ASSERT_TRUE(group != expected.end());
        size_t next = 0;
        for (size_t i = 0; i < calls; ++i) {
          const auto values = groups->Values();
          ASSERT_TRUE(values.ok());
          for (const absl::string_view value : *values) {
            ASSERT_TRUE(value == group->second[next++]);
          }
        }
      }
      EXPECT_EQ(seen, expected.size());
    }
  }
  ExpectNothingLeft();
}

TEST_P(GroupingSuite, OrderOfTheGroupsIsTheSameInEachRunAndForEachNumberOfThreads) {
  for (const RowShape shape : {RowShape::kZipf, RowShape::kFewGroups}) {
    const SuiteRows rows = MakeSuiteRows(shape, 3 << 20, 1);
    SuiteGroups first;
    for (const int threads : {0, 0, 1, 2, 5}) {
      GroupingOptions options = Options();
      if (threads != 0) options.threads = threads;
      const auto grouping = New(options);
      ASSERT_TRUE(Feed(grouping.get(), rows).ok());
      const auto groups = grouping->Finish().value();
      const SuiteGroups result = Read(groups.get()).value();
      if (first.empty()) first = result;
      ASSERT_TRUE(result == first) << threads;
    }
  }
}

TEST_P(GroupingSuite, FinishIsOnceAndEndsTheFeeding) {
  const auto grouping = New(Options());
  const std::vector<KeyValue> rows = {{"key", "value"}};
  ASSERT_TRUE(grouping->Add(rows).ok());
  const auto groups = grouping->Finish();
  ASSERT_TRUE(groups.ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(grouping->Add(rows)));
  EXPECT_TRUE(absl::IsFailedPrecondition(grouping->AddInOrder(0, rows)));
  EXPECT_TRUE(absl::IsFailedPrecondition(grouping->Add({})));
  EXPECT_TRUE(absl::IsFailedPrecondition(grouping->Finish().status()));
  ExpectGroups(Read(groups->get()).value(), {{"key", "value"}});
}

TEST_P(GroupingSuite, DroppingItAtAnyTimeDeletesAllFiles) {
  const SuiteRows rows = MakeSuiteRows(RowShape::kZipf, 3 << 20, 1);
  const auto fed = [&] {
    auto grouping = New(Options());
    EXPECT_TRUE(Feed(grouping.get(), rows).ok());
    EXPECT_EQ(fs_.List("/")->size(), 1u);
    return grouping;
  };
  fed().reset();
  ExpectNothingLeft();

  auto grouping = fed();
  auto groups = grouping->Finish().value();
  groups.reset();
  EXPECT_EQ(fs_.used_bytes(), 0u);
  grouping.reset();
  ExpectNothingLeft();

  for (const int read : {0, 1, 10}) {
    grouping = fed();
    groups = grouping->Finish().value();
    grouping.reset();
    absl::string_view key;
    for (int i = 0; i < read; ++i) {
      EXPECT_TRUE(groups->Next(&key).value());
      EXPECT_FALSE(groups->Values()->empty());
    }
    groups.reset();
    ExpectNothingLeft();
  }
}

TEST_P(GroupingSuite, EndOfTheGroupsDeletesAllFilesAndGivesBackTheMemory) {
  MemoryBudget budget(2 * kSmall);
  GroupingOptions options = Options();
  options.budget = &budget;
  const auto grouping = New(options);
  ASSERT_TRUE(Feed(grouping.get(), MakeSuiteRows(RowShape::kZipf, 4 << 20, 1)).ok());
  EXPECT_GT(budget.used(), 0u);
  const auto groups = grouping->Finish().value();
  ASSERT_TRUE(Read(groups.get()).ok());
  ExpectNothingLeft();
  EXPECT_EQ(budget.used(), 0u);
  EXPECT_LE(budget.peak(), budget.total());
}

TEST_P(GroupingSuite, TemporaryFolderThatCannotBeIsAnErrorAtTheFirstSpill) {
  GroupingOptions options = Options();
  options.temp_dir = "/absent";
  EXPECT_TRUE(GroupAndCheck(options, {{"key", "value"}}).ok() || options.max_hash_entries != 0);
  const absl::Status status =
      GroupAndCheck(options, MakeSuiteRows(RowShape::kAllDistinct, 3 << 20, 1));
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "/absent")) << status;
}

TEST_P(GroupingSuite, ProgressNeverGoesBeyondItsTotal) {
  GroupingOptions options = Options();
  std::atomic<int> calls{0};
  options.progress = [&](absl::string_view phase, uint64_t done, uint64_t total) {
    EXPECT_FALSE(phase.empty());
    EXPECT_LE(done, total);
    ++calls;
  };
  EXPECT_TRUE(GroupAndCheck(options, MakeSuiteRows(RowShape::kAllDistinct, 6 << 20, 1)).ok());
  EXPECT_GT(calls, 0);
}

}  // namespace
}  // namespace kvarts
