#include "cluster/bench/placements.h"

#include <map>
#include <string>

#include "gtest/gtest.h"

namespace kvarts {
namespace cluster {
namespace {

TEST(PlacementsTest, SlotsAreEvenAndMoveTheLeast) {
  constexpr uint64_t kKeys = 200000;
  std::map<std::string, PlacementResult> of_eight;
  for (const PlacementResult& result : ComparePlacements(kKeys, 1, {3, 8})) {
    if (result.nodes == 8) of_eight[result.scheme] = result;
    EXPECT_GE(result.mean_skew, 1) << result.scheme;
    EXPECT_LT(result.mean_skew, 1.5) << result.scheme;
    EXPECT_EQ(result.mean_skew, result.worst_skew) << result.scheme;
  }
  ASSERT_EQ(of_eight.size(), 7u);
  // 25,000 keys a node have a deviation of some 150.
  EXPECT_LT(of_eight["slots"].mean_skew, 1.03);
  EXPECT_EQ(of_eight["slots"].moved_between_old, 0);
  EXPECT_NEAR(of_eight["slots"].moved, 1, 0.03);
  EXPECT_EQ(of_eight["jump"].moved_between_old, 0);
  EXPECT_EQ(of_eight["rendezvous"].moved_between_old, 0);
  EXPECT_EQ(of_eight["ring"].moved_between_old, 0);
  EXPECT_EQ(of_eight["multi-probe"].moved_between_old, 0);
  EXPECT_GT(of_eight["maglev"].moved_between_old, 0);
  EXPECT_GT(of_eight["bounded"].moved_between_old, 0);
  EXPECT_LE(of_eight["bounded"].mean_skew, 1.0501);
  EXPECT_GT(of_eight["ring"].mean_skew, of_eight["slots"].mean_skew);
}

}  // namespace
}  // namespace cluster
}  // namespace kvarts
