#include <memory>

#include "cluster/client/test_cluster.h"
#include "gtest/gtest.h"
#include "testing/model/model_test.h"

namespace kvarts {
namespace {

TEST(ClusterModelTest, RandomOperationsGiveTheModelsOutcomesOverOneNodeAndOverThree) {
  for (const int nodes : {1, 3}) {
    ModelTestOptions options;
    options.seeds = 8;
    const ModelTestReport report =
        CheckAgainstModel([nodes] { return std::make_unique<ClusterFixture>(nodes); }, options);
    EXPECT_TRUE(report.ok) << nodes << " nodes: " << report.text;
  }
}

}  // namespace
}  // namespace kvarts
