#include "storage/layers/metrics.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/layers/layer_fixture.h"
#include "testing/conformance/store_suite.h"
#include "testing/model/model_fixture.h"
#include "testing/model/model_test.h"

namespace kvarts {
namespace {

using testing::HasSubstr;

std::unique_ptr<StoreFixture> NewFixture() {
  return std::make_unique<LayerFixture>(
      std::make_unique<ModelFixture>(ModelCapabilities(), 1 << 20),
      [](std::unique_ptr<Store> under) {
        return NewMetricsStore(std::move(under), std::make_shared<StoreMetrics>());
      });
}

TEST(MetricsTest, RandomOperationsGiveWhatTheModelGives) {
  const ModelTestReport report = CheckAgainstModel(NewFixture);
  EXPECT_TRUE(report.ok) << report.text;
}

TEST(MetricsTest, EveryOperationIsCounted) {
  const auto metrics = std::make_shared<StoreMetrics>();
  const auto store = NewMetricsStore(NewModelStore(), metrics);
  ASSERT_TRUE(store->Put("a", "12345").ok());
  ASSERT_TRUE(store->Put("b", "123").ok());
  ASSERT_FALSE(store->Put(std::string(kMaxKeyBytes + 1, 'k'), "").ok());
  ReadResults results;
  store->Read("a", ReadOptions(), &results);
  store->Read("absent", ReadOptions(), &results);
  store->MultiGet({"a", "b", "absent"}, ReadOptions(), &results);
  ASSERT_TRUE(
      store->Modify("a", {}, [](const ReadResult&) { return Modification::Nothing(); }).ok());
  ASSERT_TRUE(store->GetSnapshot().ok());
  ASSERT_TRUE(store->Sync().ok());
  auto cursor = store->NewCursor(ScanOptions());
  ASSERT_TRUE(cursor.ok());
  ScanPage page;
  ASSERT_TRUE((*cursor)->Next(PageLimits(), &page).ok());
  ASSERT_TRUE((*cursor)->Next(PageLimits(), &page).ok());

  const auto expect = [&](StoreOperation operation, uint64_t calls, uint64_t errors, uint64_t items,
                          uint64_t found, uint64_t bytes) {
    const OperationCounts counts = metrics->Collect(operation);
    EXPECT_EQ(counts.calls, calls) << ToText(operation);
    EXPECT_EQ(counts.errors, errors) << ToText(operation);
    EXPECT_EQ(counts.items, items) << ToText(operation);
    EXPECT_EQ(counts.found, found) << ToText(operation);
    EXPECT_EQ(counts.bytes, bytes) << ToText(operation);
    EXPECT_EQ(counts.latency_ns.count(), calls) << ToText(operation);
  };
  expect(StoreOperation::kRead, 2, 0, 2, 1, 5);
  expect(StoreOperation::kMultiGet, 1, 0, 3, 2, 8);
  expect(StoreOperation::kWrite, 3, 1, 3, 0, 8);
  expect(StoreOperation::kModify, 1, 0, 1, 0, 0);
  expect(StoreOperation::kSnapshot, 1, 0, 0, 0, 0);
  expect(StoreOperation::kSync, 1, 0, 0, 0, 0);
  expect(StoreOperation::kScanPage, 2, 0, 2, 0, 10);
}

TEST(MetricsTest, SomeCallsAreTimedAndAllAreCounted) {
  const auto metrics = std::make_shared<StoreMetrics>(8);
  const auto store = NewMetricsStore(NewModelStore(), metrics);
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      ReadResults results;
      for (int i = 0; i < 800; ++i) store->Read("a", ReadOptions(), &results);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const OperationCounts counts = metrics->Collect(StoreOperation::kRead);
  EXPECT_EQ(counts.calls, 2400u);
  EXPECT_EQ(counts.latency_ns.count(), 300u);
}

TEST(MetricsTest, PrometheusTextNamesEveryOperation) {
  const auto metrics = std::make_shared<StoreMetrics>();
  const auto store = NewMetricsStore(NewModelStore(), metrics);
  ReadResults results;
  store->Read("a", ReadOptions(), &results);
  std::string text;
  metrics->AppendPrometheus(&text);
  EXPECT_THAT(text, HasSubstr("# TYPE kvarts_store_calls_total counter\n"));
  EXPECT_THAT(text, HasSubstr("kvarts_store_calls_total{op=\"read\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("kvarts_store_calls_total{op=\"scan_page\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE kvarts_store_seconds histogram\n"));
  EXPECT_THAT(text, HasSubstr("kvarts_store_seconds_bucket{op=\"read\",le=\"+Inf\"} 1\n"));
}

TEST(MetricsTest, CursorsCountWhenTheStoreIsGone) {
  const auto metrics = std::make_shared<StoreMetrics>();
  auto store = NewMetricsStore(NewModelStore(), metrics);
  auto cursor = store->NewCursor(ScanOptions());
  store.reset();
  ScanPage page;
  ASSERT_TRUE((*cursor)->Next(PageLimits(), &page).ok());
  EXPECT_EQ(metrics->Collect(StoreOperation::kScanPage).calls, 1u);
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  kvarts::RegisterStoreSuite("MetricsOverModel", kvarts::NewFixture);
  kvarts::RegisterStoreSuite("MetricsOverSlowModel", [] {
    return kvarts::NewSlowLayerFixture([](std::unique_ptr<kvarts::Store> under) {
      return kvarts::NewMetricsStore(std::move(under), std::make_shared<kvarts::StoreMetrics>());
    });
  });
  return RUN_ALL_TESTS();
}
