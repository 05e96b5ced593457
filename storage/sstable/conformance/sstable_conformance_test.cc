#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "storage/sstable/conformance/sstable_fixture.h"
#include "testing/conformance/store_suite.h"
#include "testing/model/model_test.h"

namespace kvarts {
namespace {

SstableOptions Plain() {
  SstableOptions options;
  options.memory = size_t{80} << 20;
  return options;
}

// Threads of its own, and so small that they are always at work.
SstableOptions Busy() {
  SstableOptions options = TinySstable();
  options.threads = true;
  return options;
}

SstableOptions WithoutLog() {
  SstableOptions options = Plain();
  options.log = false;
  return options;
}

TEST(SstableModelTest, RandomHistoriesAreThoseOfTheModel) {
  SstableOptions blocks_of_a_byte = TinySstable();
  blocks_of_a_byte.block_bytes = 1;
  blocks_of_a_byte.cache = 1;
  blocks_of_a_byte.compress = SstableOptions::Compress::kZstd;
  for (const SstableOptions& options : {Plain(), TinySstable(), blocks_of_a_byte, Busy()}) {
    const ModelTestReport report =
        CheckAgainstModel([&] { return NewSstableFixture(options); }, ModelTestOptions());
    EXPECT_TRUE(report.ok) << report.text;
  }
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const auto add = [](const std::string& name, const kvarts::SstableOptions& options) {
    kvarts::RegisterStoreSuite(name, [options] { return kvarts::NewSstableFixture(options); });
  };
  add("Sstable", kvarts::Plain());
  add("TinySstable", kvarts::TinySstable());
  add("BusySstable", kvarts::Busy());
  add("SstableWithoutLog", kvarts::WithoutLog());
  return RUN_ALL_TESTS();
}
