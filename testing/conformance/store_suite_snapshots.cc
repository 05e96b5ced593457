#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "testing/conformance/store_suite_internal.h"

namespace kvarts::store_suite {
namespace {

using absl::StatusCode;

std::shared_ptr<const Snapshot> TakeSnapshot(Store& store) {
  auto snapshot = store.GetSnapshot();
  EXPECT_TRUE(snapshot.ok()) << snapshot.status();
  if (!snapshot.ok()) return nullptr;
  EXPECT_NE(*snapshot, nullptr);
  return *std::move(snapshot);
}

ReadOptions At(std::shared_ptr<const Snapshot> snapshot) {
  ReadOptions options;
  options.snapshot = std::move(snapshot);
  return options;
}

void SnapshotReadsStandStill(Tester& t) {
  KVARTS_SUITE_NEEDS(snapshot);
  const auto store = t.Open({{"a", "1"}, {"b", "2"}});
  const auto first = TakeSnapshot(*store);
  if (!t.Has(&Capabilities::write)) {
    EXPECT_EQ(ValueOf(*store, "a", At(first)), "1");
    return;
  }
  EXPECT_TRUE(store->Put("a", "3").ok());
  EXPECT_TRUE(*store->Delete("b"));
  EXPECT_TRUE(store->Put("c", "4").ok());
  const auto second = TakeSnapshot(*store);
  EXPECT_TRUE(store->Put("a", "5").ok());
  EXPECT_EQ(ValueOf(*store, "a", At(first)), "1");
  EXPECT_EQ(ValueOf(*store, "b", At(first)), "2");
  EXPECT_EQ(ValueOf(*store, "c", At(first)), kAbsent);
  EXPECT_EQ(ValueOf(*store, "a", At(second)), "3");
  EXPECT_EQ(ValueOf(*store, "b", At(second)), kAbsent);
  EXPECT_EQ(ValueOf(*store, "c", At(second)), "4");
  EXPECT_EQ(ValueOf(*store, "a"), "5");
}

void SnapshotScansStandStill(Tester& t) {
  KVARTS_SUITE_NEEDS(snapshot);
  KVARTS_SUITE_NEEDS(scan);
  const Records records = t.Sample();
  const auto store = t.Open(records);
  ScanOptions options;
  options.snapshot = TakeSnapshot(*store);
  auto cursor = store->NewCursor(options);
  ASSERT_TRUE(cursor.ok());
  ScanPage page;
  ASSERT_TRUE((*cursor)->Next(EntriesAPage(2), &page).ok());
  Records got;
  for (const ScanEntry& e : page) got.emplace_back(std::string(e.key), std::string(e.value));
  if (t.Has(&Capabilities::write)) {
    for (const auto& [key, value] : records) EXPECT_TRUE(*store->Delete(key));
    EXPECT_TRUE(store->Put("new", "v").ok());
  }
  const Scanned rest = ScanWith(**cursor, EntriesAPage(3));
  ASSERT_TRUE(rest.status.ok()) << rest.status;
  got.insert(got.end(), rest.entries.begin(), rest.entries.end());
  EXPECT_EQ(Comparable(t.has(), options, got), Expected(options, records));
  Scanned again = Scan(*store, options);
  EXPECT_EQ(Comparable(t.has(), options, std::move(again.entries)), Expected(options, records));
}

void SnapshotKeepsMetadata(Tester& t) {
  KVARTS_SUITE_NEEDS(snapshot);
  KVARTS_SUITE_NEEDS(content_type);
  const auto store = t.Open();
  EXPECT_TRUE(store->Put("k", "v", ContentType("a/b")).ok());
  const auto snapshot = TakeSnapshot(*store);
  EXPECT_TRUE(store->Put("k", "v").ok());
  EXPECT_EQ(ReadOne(*store, "k", At(snapshot)).content_type, "a/b");
  EXPECT_EQ(ReadOne(*store, "k").content_type, "");
}

void StampsOfASnapshotTellWhatWasWrittenSince(Tester& t) {
  KVARTS_SUITE_NEEDS(snapshot);
  KVARTS_SUITE_NEEDS(conditions);
  const auto store = t.Open({{"k", "v"}});
  ReadOptions options = At(TakeSnapshot(*store));
  options.stamp = true;
  const Got before = ReadOne(*store, "k", options);
  ASSERT_TRUE(before.status.ok()) << before.status;
  EXPECT_TRUE(store->Put("k", "w").ok());
  const Got after = ReadOne(*store, "k", options);
  EXPECT_EQ(after.value, "v");
  for (const Stamp& stamp : {before.stamp, after.stamp}) {
    WriteBatch batch;
    batch.RequireUnchanged("k", stamp);
    EXPECT_EQ(WriteAtomic(*store, batch).code(), StatusCode::kFailedPrecondition);
  }
}

void SnapshotsOutliveTheStoreButNotItsCalls(Tester& t) {
  KVARTS_SUITE_NEEDS(snapshot);
  auto store = t.Open({{"k", "v"}});
  const auto snapshot = TakeSnapshot(*store);
  EXPECT_TRUE(store->Close().ok());
  EXPECT_EQ(ReadOne(*store, "k", At(snapshot)).status.code(), StatusCode::kFailedPrecondition);
  store.reset();
  const auto other = t.Open({{"k", "w"}});
  EXPECT_EQ(ReadOne(*other, "k", At(snapshot)).status.code(), StatusCode::kInvalidArgument);
}

void SnapshotOfALiveNeighbourIsRefused(Tester& t) {
  KVARTS_SUITE_NEEDS(snapshot);
  const auto one = t.Open({{"k", "v"}});
  const auto two = t.Open({{"k", "w"}});
  EXPECT_EQ(ReadOne(*two, "k", At(TakeSnapshot(*one))).status.code(), StatusCode::kInvalidArgument);
}

}  // namespace

absl::Span<const SuiteTest> SnapshotTests() {
  static constexpr SuiteTest kTests[] = {
      {"SnapshotReadsStandStill", SnapshotReadsStandStill},
      {"SnapshotScansStandStill", SnapshotScansStandStill},
      {"SnapshotKeepsMetadata", SnapshotKeepsMetadata},
      {"StampsOfASnapshotTellWhatWasWrittenSince", StampsOfASnapshotTellWhatWasWrittenSince},
      {"SnapshotsOutliveTheStoreButNotItsCalls", SnapshotsOutliveTheStoreButNotItsCalls},
      {"SnapshotOfALiveNeighbourIsRefused", SnapshotOfALiveNeighbourIsRefused},
  };
  return kTests;
}

}  // namespace kvarts::store_suite
