#include "gtest/gtest.h"
#include "storage/memory/conformance/memory_fixture.h"
#include "testing/conformance/store_suite.h"
#include "testing/model/model_test.h"

namespace kvarts {
namespace {

TEST(MemoryModelTest, RandomHistoriesAreThoseOfTheModel) {
  for (const auto fixture : {NewMemoryFixture, NewEvictingMemoryFixture}) {
    const ModelTestReport report = CheckAgainstModel(fixture, ModelTestOptions());
    EXPECT_TRUE(report.ok) << report.text;
  }
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  kvarts::RegisterStoreSuite("Memory", kvarts::NewMemoryFixture);
  kvarts::RegisterStoreSuite("EvictingMemory", kvarts::NewEvictingMemoryFixture);
  return RUN_ALL_TESTS();
}
