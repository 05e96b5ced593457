// What sorted runs cost, and what only they do.

#include "groupby/sorted/sorted_runs.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"

namespace kvarts::groupby_internal {
namespace {

// A row of 100 bytes, each key once, in no order.
std::string KeyOf(uint64_t i) {
  return absl::StrCat(absl::Hex(i * 0x9e3779b97f4a7c15, absl::kZeroPad16));
}

class SortedRunsTest : public testing::Test {
 protected:
  // Groups `rows` rows of `keys` keys, reads all, checks their number.
  GroupingStats Group(uint64_t rows, uint64_t keys, const GroupingOptions& changes) {
    GroupingOptions options = changes;
    options.fs = &fs_;
    options.temp_dir = "/";
    const auto grouping = NewSortedRuns(options).value();
    const std::string value(84, 'v');
    for (uint64_t i = 0; i < rows; ++i) {
      const std::string key = KeyOf(i % keys);
      const KeyValue row{key, value};
      EXPECT_TRUE(grouping->Add(absl::MakeSpan(&row, 1)).ok());
    }
    const auto groups = grouping->Finish();
    EXPECT_TRUE(groups.ok()) << groups.status();
    uint64_t values_seen = 0;
    std::string last;
    absl::string_view key;
    while ((*groups)->Next(&key).value()) {
      EXPECT_LT(last, key);
      last = std::string(key);
      for (;;) {
        const auto values = (*groups)->Values();
        EXPECT_TRUE(values.ok());
        if (!values.ok() || values->empty()) break;
        values_seen += values->size();
      }
    }
    EXPECT_EQ(values_seen, rows);
    EXPECT_TRUE(fs_.List("/")->empty());
    const GroupingStats stats = grouping->stats();
    EXPECT_EQ(stats.groups, std::min(rows, keys));
    EXPECT_EQ(stats.bytes, rows * 100);
    return stats;
  }

  MemoryFileSystem fs_;
};

uint64_t CeilDiv(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

// How often `runs` runs are rewritten before they are `open` or fewer.
uint64_t Passes(uint64_t runs, uint64_t open) {
  uint64_t passes = 0;
  for (; runs > open; runs = CeilDiv(runs, open)) ++passes;
  return passes;
}

TEST_F(SortedRunsTest, RunsAndPassesAreThoseOfTheTwoCaps) {
  GroupingOptions options;
  options.memory_bytes = 16 << 20;
  for (const uint64_t rows : {1000, 3000, 10'000, 40'000}) {
    for (const uint64_t entries : {100, 1000, 50'000}) {
      for (const int open : {2, 4, 10}) {
        SCOPED_TRACE(absl::StrCat(rows, " rows, ", entries, " entries, ", open, " open runs"));
        options.max_hash_entries = entries;
        options.max_open_runs = open;
        const GroupingStats stats = Group(rows, rows, options);
        const uint64_t runs = rows <= entries ? 0 : CeilDiv(rows, entries);
        const uint64_t passes = Passes(runs, static_cast<uint64_t>(open));
        EXPECT_EQ(stats.runs, runs);
        EXPECT_LE(stats.merge_passes, passes + 1);
        EXPECT_GE(stats.merge_passes, std::min<uint64_t>(passes, 1));
        // Rows that are written once, and once more a pass; not more than a tenth beside.
        EXPECT_LE(stats.spilled_bytes, stats.bytes * (runs == 0 ? 0 : passes + 1) * 11 / 10);
        EXPECT_GE(stats.spilled_bytes, runs == 0 ? 0 : stats.bytes);
      }
    }
  }
}

TEST_F(SortedRunsTest, RunsAndPassesAreThoseOfTheMemory) {
  for (const size_t memory : {1 << 20, 4 << 20}) {
    GroupingOptions options;
    options.memory_bytes = memory;
    for (const uint64_t ratio : {2, 8, 24}) {
      SCOPED_TRACE(absl::StrCat(ratio, " times a memory of ", memory));
      const uint64_t rows = ratio * memory / 100;
      const GroupingStats stats = Group(rows, rows, options);
      // Rows have at least 3/8 of the memory.
      EXPECT_GE(stats.runs, ratio);
      EXPECT_LE(stats.runs, CeilDiv(ratio * 8, 3));
      EXPECT_LE(stats.merge_passes, Passes(stats.runs, 30));
      EXPECT_LE(stats.spilled_bytes, stats.bytes * (stats.merge_passes + 1) * 11 / 10);
      EXPECT_LE(stats.peak_memory, memory);
    }
  }
}

// n log n, as a figure: at each size about the same multiple of it.
TEST_F(SortedRunsTest, ComparisonsGrowAsRowsTimesTheirLogarithm) {
  GroupingOptions options;
  options.memory_bytes = 1 << 20;
  options.max_open_runs = 4;
  double least = 1e9;
  double most = 0;
  for (uint64_t rows = 4096; rows <= 256 * 1024; rows *= 4) {
    const GroupingStats stats = Group(rows, rows, options);
    const double n = static_cast<double>(rows);
    const double factor = static_cast<double>(stats.comparisons) / (n * std::log2(n));
    least = std::min(least, factor);
    most = std::max(most, factor);
    EXPECT_LE(factor, 2.0) << rows;
  }
  EXPECT_LE(most, 4 * least);
}

TEST_F(SortedRunsTest, FewKeysAreComparedAndWrittenOnceARun) {
  GroupingOptions options;
  options.memory_bytes = 1 << 20;
  const GroupingStats stats = Group(100'000, 10, options);
  EXPECT_GT(stats.runs, 5u);
  EXPECT_LT(stats.runs, 30u);
  // Not by row.
  EXPECT_LT(stats.comparisons, 10 * stats.runs * 50);
  EXPECT_LE(stats.probes, 100'000u * 2);
}

TEST_F(SortedRunsTest, ManyRunsAreMergedBeforeTheirInfosFillTheMemory) {
  GroupingOptions options;
  options.memory_bytes = 1 << 20;
  options.max_hash_entries = 1;
  const GroupingStats stats = Group(2000, 2000, options);
  EXPECT_EQ(stats.runs, 2000u);
  EXPECT_LE(stats.merge_passes, 6u);
  EXPECT_LE(stats.peak_memory, options.memory_bytes);
}

TEST_F(SortedRunsTest, AllInMemoryTakesWhatIsUsedAndNoMore) {
  MemoryBudget budget(256 << 20);
  GroupingOptions options;
  options.budget = &budget;
  const GroupingStats stats = Group(10'000, 10'000, options);
  EXPECT_EQ(stats.runs, 0u);
  EXPECT_EQ(fs_.operations(), 0u);
  EXPECT_LE(stats.peak_memory, 4u << 20);
}

TEST_F(SortedRunsTest, RowLargerThanItsShareIsAnErrorWhereOthersHaveTheirs) {
  MemoryBudget budget(8 << 20);
  const auto other = budget.Open(nullptr);
  ASSERT_TRUE(other->TryReserve(4 << 20));
  GroupingOptions options;
  options.fs = &fs_;
  options.temp_dir = "/";
  options.budget = &budget;
  const auto grouping = NewSortedRuns(options).value();
  const std::string value(100, 'v');
  for (uint64_t i = 0; i < 70'000; ++i) {
    const std::string key = KeyOf(i);
    const KeyValue row{key, value};
    ASSERT_TRUE(grouping->Add(absl::MakeSpan(&row, 1)).ok());
  }
  const std::string large(4 << 20, 'v');
  const KeyValue row{"key", large};
  const absl::Status status = grouping->Add(absl::MakeSpan(&row, 1));
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  other->Release(4 << 20);
}

}  // namespace
}  // namespace kvarts::groupby_internal
