#include "storage/layers/read_only.h"

#include <memory>

#include "gtest/gtest.h"
#include "storage/layers/layer_fixture.h"
#include "testing/conformance/store_suite.h"
#include "testing/model/model_fixture.h"
#include "testing/model/model_test.h"

namespace kvarts {
namespace {

std::unique_ptr<StoreFixture> NewFixture() {
  return std::make_unique<LayerFixture>(
      std::make_unique<ModelFixture>(ModelCapabilities(), 1 << 20), NewReadOnlyStore);
}

TEST(ReadOnlyTest, RandomOperationsGiveWhatTheModelGives) {
  const ModelTestReport report = CheckAgainstModel(NewFixture);
  EXPECT_TRUE(report.ok) << report.text;
}

TEST(ReadOnlyTest, NothingReachesTheStoreUnderIt) {
  const auto data = NewModelData();
  ModelStoreOptions options;
  options.data = data;
  options.records = {{"k", "v"}};
  const auto store = NewReadOnlyStore(NewModelStore(options));
  EXPECT_FALSE(store->Put("k", "w").ok());
  EXPECT_FALSE(store->Delete("k").ok());
  EXPECT_EQ(**store->Get("k"), "v");
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  kvarts::RegisterStoreSuite("ReadOnlyOverModel", kvarts::NewFixture);
  kvarts::RegisterStoreSuite("ReadOnlyOverSlowModel",
                             [] { return kvarts::NewSlowLayerFixture(kvarts::NewReadOnlyStore); });
  return RUN_ALL_TESTS();
}
