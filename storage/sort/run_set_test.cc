#include "storage/sort/run_set.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "storage/fs/memory.h"
#include "storage/sort/merger.h"

namespace kvarts::sort_internal {
namespace {

RunInfo RunOf(uint64_t size, uint32_t max_block = 1000) {
  RunInfo run;
  run.size = size;
  run.records = size / 10;
  run.max_block = max_block;
  return run;
}

// Limits under which `n` runs of 1000-byte blocks fit.
MergeLimits LimitsFor(size_t n) { return {n * (1000 + Merger::kSourceBytes), 256}; }

TEST(ChooseMergeTest, OneTooManyMergesTheCheapestPairOfNeighbours) {
  const std::vector<RunInfo> runs = {RunOf(90), RunOf(10), RunOf(80),
                                     RunOf(30), RunOf(40), RunOf(90)};
  EXPECT_TRUE(Fits(runs, LimitsFor(6)));
  EXPECT_FALSE(Fits(runs, LimitsFor(5)));
  const MergeChoice choice = ChooseMerge(runs, LimitsFor(5));
  EXPECT_EQ(choice.begin, 3u);
  EXPECT_EQ(choice.count, 2u);
}

TEST(ChooseMergeTest, MergesNoMoreRunsThanNeeded) {
  const std::vector<RunInfo> runs(12, RunOf(100));
  EXPECT_EQ(ChooseMerge(runs, LimitsFor(8)).count, 5u);
}

TEST(ChooseMergeTest, MergesAllItCanWhereOneMergeIsNotEnough) {
  const std::vector<RunInfo> runs(100, RunOf(100));
  EXPECT_EQ(ChooseMerge(runs, LimitsFor(8)).count, 8u);
}

TEST(ChooseMergeTest, OpenFilesLimitTheMerge) {
  const std::vector<RunInfo> runs(300, RunOf(100));
  MergeLimits limits = LimitsFor(1000);
  EXPECT_FALSE(Fits(runs, limits));
  limits.max_runs = 20;
  EXPECT_EQ(ChooseMerge(runs, limits).count, 20u);
}

TEST(ChooseMergeTest, RunsOfLargeRecordsTakeTheirShare) {
  // Two of the large ones fill the memory; the small ones are cheaper.
  const std::vector<RunInfo> runs = {RunOf(100, 4000), RunOf(100, 4000), RunOf(10), RunOf(10),
                                     RunOf(10)};
  const MergeLimits limits = {2 * (4000 + Merger::kSourceBytes), 256};
  const MergeChoice choice = ChooseMerge(runs, limits);
  EXPECT_EQ(choice.begin, 2u);
  EXPECT_EQ(choice.count, 3u);
}

TEST(ChooseMergeTest, AnyRunsEndInRunsThatFit) {
  std::vector<RunInfo> runs;
  for (uint32_t i = 0; i < 200; ++i) runs.push_back(RunOf(i * 7919 % 1000, i * 104729 % 5000));
  const MergeLimits limits = {2 * (5000 + Merger::kSourceBytes), 256};
  int merges = 0;
  while (!Fits(runs, limits)) {
    const MergeChoice choice = ChooseMerge(runs, limits);
    ASSERT_GE(choice.count, 2u);
    const auto begin = runs.begin() + static_cast<ptrdiff_t>(choice.begin);
    *begin = Merged(absl::MakeSpan(&*begin, choice.count));
    runs.erase(begin + 1, begin + static_cast<ptrdiff_t>(choice.count));
    ASSERT_LT(++merges, 200);
  }
}

TEST(RunSetTest, MergedRunTakesThePlaceOfItsInputs) {
  MemoryFileSystem fs;
  {
    RunSet set(&fs, "/", "p");
    for (int i = 0; i < 5; ++i) {
      RunInfo run;
      ASSERT_TRUE(set.Create(&run.number).ok());
      set.Append(run);
    }
    RunInfo merged;
    ASSERT_TRUE(set.Create(&merged.number).ok());
    ASSERT_TRUE(set.Replace(1, 3, merged).ok());
    std::vector<uint64_t> numbers;
    for (const RunInfo& run : set.runs()) numbers.push_back(run.number);
    EXPECT_EQ(numbers, (std::vector<uint64_t>{0, 5, 4}));
    EXPECT_EQ(fs.List("/").value(), (std::vector<std::string>{"p.run.0", "p.run.4", "p.run.5"}));
    uint64_t half_written;
    ASSERT_TRUE(set.Create(&half_written).ok());
  }
  EXPECT_TRUE(fs.List("/")->empty());
}

}  // namespace
}  // namespace kvarts::sort_internal
