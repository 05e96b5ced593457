#include <memory>
#include <utility>

#include "gtest/gtest.h"
#include "net/remote/served_store.h"
#include "testing/model/model_fixture.h"
#include "testing/model/model_test.h"
#include "testing/model/slow_fixture.h"

namespace kvarts {
namespace {

enum class Blocks : unsigned char { kNever, kAlways, kNotIfTold };

TEST(RemoteModelTest, RandomOperationsGiveTheModelsOutcomesOverEachTransport) {
  for (const TestTransport& transport : TestTransports()) {
    for (const Blocks blocks : {Blocks::kNever, Blocks::kAlways, Blocks::kNotIfTold}) {
      ModelTestOptions options;
      options.seeds = 8;
      const ModelTestReport report = CheckAgainstModel(
          [&] {
            Capabilities has = ModelCapabilities();
            has.may_block = blocks == Blocks::kAlways;
            std::unique_ptr<StoreFixture> backing = std::make_unique<ModelFixture>(has);
            if (blocks == Blocks::kNotIfTold) {
              backing = std::make_unique<SlowFixture>(std::move(backing));
            }
            return std::make_unique<RemoteFixture>(std::move(backing), transport.make(),
                                                   transport.new_address);
          },
          options);
      EXPECT_TRUE(report.ok) << transport.name << ": " << report.text;
    }
  }
}

}  // namespace
}  // namespace kvarts
