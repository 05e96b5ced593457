#include <string>
#include <vector>

#include "testing/conformance/store_suite_internal.h"

namespace kvarts::store_suite {
namespace {

using absl::StatusCode;

void CloseTwiceIsOk(Tester& t) {
  const auto store = t.Open({{"k", "v"}});
  EXPECT_TRUE(store->Close().ok());
  EXPECT_TRUE(store->Close().ok());
}

void CapabilitiesStayThroughClose(Tester& t) {
  const auto store = t.Open();
  const Capabilities before = store->capabilities();
  EXPECT_TRUE(store->Close().ok());
  EXPECT_EQ(store->capabilities(), before);
}

void EveryCallAfterCloseFails(Tester& t) {
  const auto store = t.Open({{"k", "v"}});
  EXPECT_TRUE(store->Close().ok());
  const auto closed = StatusCode::kFailedPrecondition;

  ReadResults results;
  const std::vector<absl::string_view> keys = {"k", "absent"};
  store->MultiGet(keys, {}, &results);
  ASSERT_EQ(results.size(), 2u);
  for (const ReadResult& result : results) {
    EXPECT_EQ(result.status.code(), closed);
    EXPECT_FALSE(result.found);
  }
  EXPECT_EQ(ReadOne(*store, "k").status.code(), closed);
  EXPECT_EQ(store->Get("k").status().code(), closed);
  EXPECT_EQ(store->Put("k", "w").code(), closed);
  EXPECT_EQ(store->Delete("k").status().code(), closed);
  WriteBatch batch;
  batch.Put("k", "w");
  batch.Delete("k");
  WriteResults writes;
  EXPECT_EQ(store->Write(batch, {}, &writes).code(), closed);
  ASSERT_EQ(writes.results.size(), 2u);
  EXPECT_EQ(writes.results[0].status.code(), closed);
  EXPECT_EQ(writes.results[1].status.code(), closed);
  EXPECT_EQ(store->Stats().status().code(), closed);
  if (t.Has(&Capabilities::conditions)) {
    EXPECT_EQ(
        store->Modify("k", {}, [](const ReadResult&) { return Modification::Put("w"); }).code(),
        closed);
  }
  if (t.Has(&Capabilities::scan)) {
    EXPECT_EQ(store->NewCursor({}).status().code(), closed);
  }
  if (t.Has(&Capabilities::snapshot)) {
    EXPECT_EQ(store->GetSnapshot().status().code(), closed);
  }
  if (t.Has(&Capabilities::write)) {  // else there is nothing to do for it
    EXPECT_EQ(store->Sync().code(), closed);
  }
}

void CursorOutlivesCloseAndTheStore(Tester& t) {
  KVARTS_SUITE_NEEDS(scan);
  const Records records = t.Many(100);
  for (const bool destroy : {false, true}) {
    auto store = t.Open(records);
    auto cursor = store->NewCursor({});
    ASSERT_TRUE(cursor.ok());
    ScanPage page;
    ASSERT_TRUE((*cursor)->Next(EntriesAPage(10), &page).ok());
    Records got;
    for (const ScanEntry& e : page) got.emplace_back(std::string(e.key), std::string(e.value));
    const std::string position = (*cursor)->position();
    EXPECT_TRUE(store->Close().ok());
    if (destroy) store.reset();
    EXPECT_EQ((*cursor)->position(), position);
    const Scanned rest = ScanWith(**cursor, EntriesAPage(10));
    if (t.fixture().cursors_end_with_store()) {
      EXPECT_EQ(rest.status.code(), StatusCode::kFailedPrecondition);
      EXPECT_TRUE(rest.entries.empty());
      continue;
    }
    ASSERT_TRUE(rest.status.ok()) << rest.status;
    got.insert(got.end(), rest.entries.begin(), rest.entries.end());
    EXPECT_EQ(Comparable(t.has(), {}, got), Expected({}, records));
  }
}

void DestroyingWithoutCloseIsFine(Tester& t) {
  auto store = t.Open({{"k", "v"}});
  ReadResults results;
  store->Read("k", {}, &results);
  store.reset();
  EXPECT_EQ(results[0].value, "v");
}

void StatsCountTheEntries(Tester& t) {
  const Records records = t.Many(1000);
  const auto store = t.Open(records);
  const auto stats = store->Stats();
  ASSERT_TRUE(stats.ok()) << stats.status();
  if (stats->entries_exact) {
    EXPECT_EQ(stats->entries, records.size());
  } else {
    EXPECT_GT(stats->entries, 0u) << "not even an estimate";
  }
  if (!t.Has(&Capabilities::write)) return;
  EXPECT_TRUE(store->Put(records[0].first, "replaced").ok());
  EXPECT_TRUE(*store->Delete(records[1].first));
  EXPECT_FALSE(*store->Delete(records[1].first));
  EXPECT_TRUE(store->Put("new", "v").ok());
  EXPECT_TRUE(*store->Delete(records[2].first));
  const auto after = store->Stats();
  ASSERT_TRUE(after.ok()) << after.status();
  if (after->entries_exact) {
    EXPECT_EQ(after->entries, records.size() - 1);
  }
}

void StatsOfAnEmptyStoreAreZero(Tester& t) {
  const auto stats = t.Open()->Stats();
  ASSERT_TRUE(stats.ok()) << stats.status();
  if (stats->entries_exact) {
    EXPECT_EQ(stats->entries, 0u);
  }
}

void SyncIsOk(Tester& t) {
  const auto store = t.Open({{"k", "v"}});
  EXPECT_TRUE(store->Sync().ok());
  if (!t.Has(&Capabilities::write)) return;
  EXPECT_TRUE(store->Put("k", "w").ok());
  EXPECT_TRUE(store->Sync().ok());
  EXPECT_EQ(ValueOf(*store, "k"), "w");
}

void DurableStoreOutlivesAReopen(Tester& t) {
  KVARTS_SUITE_NEEDS(durable);
  if (!t.fixture().can_reopen()) GTEST_SKIP() << "the fixture cannot reopen";
  const Records records = t.Sample();
  auto store = t.Open(records);
  if (t.Has(&Capabilities::write)) {
    EXPECT_TRUE(store->Put("new", "v").ok());
    EXPECT_TRUE(*store->Delete(records[3].first));
    if (t.Has(&Capabilities::content_type)) {
      EXPECT_TRUE(store->Put("typed", "v", ContentType("a/b")).ok());
    }
  }
  for (const bool close : {true, false}) {
    if (close) {
      EXPECT_TRUE(store->Close().ok());
    }
    store.reset();
    store = t.Reopen();
    for (size_t i = 0; i < records.size(); ++i) {
      const bool deleted = i == 3 && t.Has(&Capabilities::write);
      EXPECT_EQ(ValueOf(*store, records[i].first), deleted ? kAbsent : records[i].second);
    }
    if (!t.Has(&Capabilities::write)) continue;
    EXPECT_EQ(ValueOf(*store, "new"), "v");
    if (t.Has(&Capabilities::content_type)) {
      EXPECT_EQ(ReadOne(*store, "typed").content_type, "a/b");
    }
  }
}

void SharedDataIsOpenedTwiceAtOnce(Tester& t) {
  KVARTS_SUITE_NEEDS(shared_by_processes);
  if (!t.fixture().can_reopen()) GTEST_SKIP() << "the fixture cannot reopen";
  const Records records = t.Sample();
  const auto one = t.Open(records);
  const auto two = t.Reopen();
  for (const auto& [key, value] : records) {
    EXPECT_EQ(ValueOf(*one, key), value);
    EXPECT_EQ(ValueOf(*two, key), value);
  }
  EXPECT_TRUE(one->Close().ok());
  EXPECT_EQ(ValueOf(*two, records[0].first), records[0].second);
}

}  // namespace

absl::Span<const SuiteTest> LifeTests() {
  static constexpr SuiteTest kTests[] = {
      {"CloseTwiceIsOk", CloseTwiceIsOk, /*needs_entries=*/false},
      {"CapabilitiesStayThroughClose", CapabilitiesStayThroughClose, /*needs_entries=*/false},
      {"EveryCallAfterCloseFails", EveryCallAfterCloseFails, /*needs_entries=*/false},
      {"CursorOutlivesCloseAndTheStore", CursorOutlivesCloseAndTheStore},
      {"DestroyingWithoutCloseIsFine", DestroyingWithoutCloseIsFine},
      {"StatsCountTheEntries", StatsCountTheEntries},
      {"StatsOfAnEmptyStoreAreZero", StatsOfAnEmptyStoreAreZero, /*needs_entries=*/false},
      {"SyncIsOk", SyncIsOk},
      {"DurableStoreOutlivesAReopen", DurableStoreOutlivesAReopen},
      {"SharedDataIsOpenedTwiceAtOnce", SharedDataIsOpenedTwiceAtOnce},
  };
  return kTests;
}

}  // namespace kvarts::store_suite
