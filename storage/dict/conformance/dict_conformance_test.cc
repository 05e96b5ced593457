#include "gtest/gtest.h"
#include "storage/dict/conformance/dict_fixture.h"
#include "testing/conformance/store_suite.h"
#include "testing/model/model_test.h"

namespace kvarts {
namespace {

TEST(DictModelTest, RandomDatasetsReadAsTheModelDoes) {
  ModelTestOptions options;
  options.seeds = 25;  // each writes a data file
  const ModelTestReport report = CheckAgainstModel(NewDictFixture, options);
  EXPECT_TRUE(report.ok) << report.text;
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  kvarts::RegisterStoreSuite("Dict", kvarts::NewDictFixture);
  return RUN_ALL_TESTS();
}
