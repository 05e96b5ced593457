#include "gtest/gtest.h"
#include "storage/bisect/conformance/bisect_fixture.h"
#include "testing/conformance/store_suite.h"
#include "testing/model/model_test.h"

namespace kvarts {
namespace {

TEST(BisectModelTest, RandomDatasetsReadAsTheModelDoes) {
  ModelTestOptions options;
  options.seeds = 12;  // each builds a dataset
  const ModelTestReport report = CheckAgainstModel(NewBisectFixture, options);
  EXPECT_TRUE(report.ok) << report.text;
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  kvarts::RegisterStoreSuite("Bisect", kvarts::NewBisectFixture);
  return RUN_ALL_TESTS();
}
