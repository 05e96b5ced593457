#include <memory>
#include <string>
#include <utility>

#include "cluster/node/node_fixture.h"
#include "gtest/gtest.h"
#include "storage/memory/conformance/memory_fixture.h"
#include "storage/sstable/conformance/sstable_fixture.h"
#include "testing/conformance/store_suite.h"
#include "testing/model/model_fixture.h"
#include "testing/model/model_test.h"
#include "testing/model/slow_fixture.h"

// What a node serves passes the suite, whatever store is under it, also while all of it is copied.
namespace kvarts {
namespace cluster {
namespace {

std::unique_ptr<StoreFixture> OverMemory(SlotState state) {
  return std::make_unique<NodeFixture>(NewMemoryFixture(), state);
}

std::unique_ptr<StoreFixture> OverSstable(SlotState state) {
  SstableOptions options;
  options.memory = size_t{80} << 20;
  return std::make_unique<NodeFixture>(NewSstableFixture(options), state);
}

// Its submitted writes end late, and on another thread.
std::unique_ptr<StoreFixture> OverSlow(SlotState state) {
  SlowStoreOptions options;
  options.forbids_waiting = false;  // the suite submits and waits on one thread
  auto model = std::make_unique<ModelFixture>(ModelCapabilities(), size_t{1} << 20);
  return std::make_unique<NodeFixture>(std::make_unique<SlowFixture>(std::move(model), options),
                                       state);
}

using NewFixture = std::unique_ptr<StoreFixture> (*)(SlotState);

TEST(NodeStoreModelTest, RandomOperationsGiveTheModelsOutcomesServingAndCopying) {
  for (const NewFixture fixture : {OverMemory, OverSstable}) {
    for (const SlotState state : {SlotState::kServing, SlotState::kCopying}) {
      const ModelTestReport report =
          CheckAgainstModel([&] { return fixture(state); }, ModelTestOptions());
      EXPECT_TRUE(report.ok) << report.text;
    }
  }
}

void Register(const std::string& name, NewFixture fixture) {
  RegisterStoreSuite("Serving" + name, [=] { return fixture(SlotState::kServing); });
  RegisterStoreSuite("Copying" + name, [=] { return fixture(SlotState::kCopying); });
}

void RegisterAll() {
  Register("Memory", OverMemory);
  Register("Sstable", OverSstable);
  Register("Slow", OverSlow);
}

}  // namespace
}  // namespace cluster
}  // namespace kvarts

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  kvarts::cluster::RegisterAll();
  return RUN_ALL_TESTS();
}
