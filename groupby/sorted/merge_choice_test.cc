#include "groupby/sorted/merge_choice.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "gtest/gtest.h"

namespace kvarts::groupby_internal {
namespace {

TEST(MergeChoiceTest, NothingIsMergedWhereFewEnoughAreLeft) {
  for (size_t runs = 1; runs <= 8; ++runs) EXPECT_EQ(NextMergeCount(runs, 8), 0u);
}

TEST(MergeChoiceTest, FirstMergeTakesTheOddRunsAndAllLaterOnesAreFull) {
  EXPECT_EQ(NextMergeCount(9, 8), 2u);
  EXPECT_EQ(NextMergeCount(12, 8), 5u);
  EXPECT_EQ(NextMergeCount(15, 8), 8u);
  for (size_t fan_in = 2; fan_in < 12; ++fan_in) {
    for (size_t runs = fan_in + 1; runs < 300; ++runs) {
      size_t left = runs;
      for (bool is_first = true; const size_t count = NextMergeCount(left, fan_in);
           is_first = false) {
        ASSERT_GE(count, 2u);
        ASSERT_LE(count, fan_in);
        ASSERT_TRUE(is_first || count == fan_in);
        left -= count - 1;
      }
      ASSERT_EQ(left, fan_in);
    }
  }
}

TEST(MergeChoiceTest, CheapestNeighboursAreTaken) {
  const std::vector<uint64_t> sizes = {90, 10, 80, 30, 40, 90};
  EXPECT_EQ(CheapestMerge(sizes, 1), 1u);
  EXPECT_EQ(CheapestMerge(sizes, 2), 3u);
  EXPECT_EQ(CheapestMerge(sizes, 3), 1u);
  EXPECT_EQ(CheapestMerge(sizes, 6), 0u);
}

TEST(MergeChoiceTest, BytesAreThoseThatTheMergesWrite) {
  EXPECT_EQ(BytesToMerge({5, 6}, 2), 0u);
  EXPECT_EQ(BytesToMerge({5, 6, 7}, 2), 11u);
  // (1 + 1), then (2 + 1), at a fan-in of 2.
  EXPECT_EQ(BytesToMerge({1, 1, 1, 9}, 2), 5u);
}

TEST(MergeChoiceTest, FirstOfAboutEqualNeighboursAreTaken) {
  EXPECT_EQ(CheapestMerge(std::vector<uint64_t>{100, 99, 98, 97}, 2), 0u);
  EXPECT_EQ(CheapestMerge(std::vector<uint64_t>{100, 99, 50, 97}, 2), 1u);
}

// About equal runs are rewritten no more often than the logarithm says, but an eighth.
TEST(MergeChoiceTest, AboutEqualRunsAreMergedInAsFewPassesAsCanBe) {
  for (size_t fan_in = 2; fan_in < 12; ++fan_in) {
    uint64_t reach = fan_in;  // runs that so many passes, and the last merge, can do
    uint64_t passes = 0;
    for (size_t runs = 1; runs < 400; ++runs) {
      if (runs > reach) {
        reach *= fan_in;
        ++passes;
      }
      std::vector<uint64_t> sizes(runs, 1000);
      ASSERT_LE(BytesToMerge(sizes, fan_in), passes * runs * 1125)
          << runs << " runs, " << fan_in << " at a time";
      for (size_t i = 0; i < runs; ++i) sizes[i] -= i * 7919 % 100;
      ASSERT_LE(BytesToMerge(sizes, fan_in), passes * runs * 1125)
          << runs << " runs, " << fan_in << " at a time";
    }
  }
}

}  // namespace
}  // namespace kvarts::groupby_internal
