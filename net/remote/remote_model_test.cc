#include <memory>

#include "gtest/gtest.h"
#include "net/remote/served_store.h"
#include "testing/model/model_fixture.h"
#include "testing/model/model_test.h"

namespace kvarts {
namespace {

TEST(RemoteModelTest, RandomOperationsGiveTheModelsOutcomesOverEachTransport) {
  for (const TestTransport& transport : TestTransports()) {
    for (const bool may_block : {false, true}) {
      ModelTestOptions options;
      options.seeds = 8;
      const ModelTestReport report = CheckAgainstModel(
          [&] {
            Capabilities has = ModelCapabilities();
            has.may_block = may_block;
            return std::make_unique<RemoteFixture>(std::make_unique<ModelFixture>(has),
                                                   transport.make(), transport.new_address);
          },
          options);
      EXPECT_TRUE(report.ok) << transport.name << ": " << report.text;
    }
  }
}

}  // namespace
}  // namespace kvarts
