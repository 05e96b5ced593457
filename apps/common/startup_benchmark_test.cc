#include "apps/common/startup_benchmark.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "testing/model/model_store.h"

namespace kvarts {
namespace {

constexpr absl::Duration kShort = absl::Milliseconds(1);

std::unique_ptr<Store> StoreOf(int entries, Capabilities capabilities = ModelCapabilities()) {
  ModelStoreOptions options;
  options.capabilities = capabilities;
  for (int i = 0; i < entries; ++i) options.records.emplace_back(absl::StrCat("key ", i), "value");
  return NewModelStore(std::move(options));
}

TEST(StartupBenchmarkTest, SaysEntriesTimesAndRates) {
  const auto lines = RunStartupBenchmark(StoreOf(1000).get(), kShort);
  ASSERT_TRUE(lines.ok()) << lines.status();
  EXPECT_THAT(*lines, testing::MatchesRegex(
                          "entries: 1000\n"
                          "single lookups: [0-9.]+ us each, [0-9.e+]+ ?[kMG]? lookups/s\n"
                          "batches of 64: [0-9.]+ us each, [0-9.e+]+ ?[kMG]? lookups/s\n"));
}

TEST(StartupBenchmarkTest, FewKeysAndOtherOrdersAreMeasuredToo) {
  EXPECT_TRUE(RunStartupBenchmark(StoreOf(1).get(), kShort).ok());
  Capabilities unordered = ModelCapabilities();
  unordered.ordered_scan = Support::kAbsent;
  unordered.backward_scan = Support::kAbsent;
  EXPECT_TRUE(RunStartupBenchmark(StoreOf(1000, unordered).get(), kShort).ok());
}

TEST(StartupBenchmarkTest, AnEmptyStoreHasNothingToLookUp) {
  EXPECT_EQ(*RunStartupBenchmark(StoreOf(0).get(), kShort),
            "entries: 0\nlookups: there are no keys to look up\n");
}

TEST(StartupBenchmarkTest, AStoreWithoutScanIsRefused) {
  Capabilities none = ModelCapabilities();
  none.scan = none.ordered_scan = none.backward_scan = none.slot_scan = Support::kAbsent;
  EXPECT_EQ(RunStartupBenchmark(StoreOf(10, none).get(), kShort).status().code(),
            absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace kvarts
