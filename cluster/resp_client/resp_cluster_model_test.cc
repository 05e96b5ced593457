#include <memory>

#include "cluster/resp_client/served_cluster.h"
#include "gtest/gtest.h"
#include "testing/model/model_test.h"

namespace kvarts {
namespace {

TEST(RespClusterModelTest, RandomOperationsGiveTheModelsOutcomes) {
  for (const bool expiry : {false, true}) {
    ModelTestOptions options;
    options.seeds = 8;
    const ModelTestReport report = CheckAgainstModel(
        [expiry] { return std::make_unique<RespClusterFixture>(3, expiry); }, options);
    EXPECT_TRUE(report.ok) << "expiry " << expiry << ": " << report.text;
  }
}

}  // namespace
}  // namespace kvarts
