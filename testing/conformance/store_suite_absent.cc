#include <string>

#include "testing/conformance/store_suite_internal.h"

// What a store does not have is refused with the promised error, and does nothing.
namespace kvarts::store_suite {
namespace {

using absl::StatusCode;

#define KVARTS_SUITE_NEEDS_ABSENCE(capability)                                             \
  do {                                                                                     \
    if (t.Has(&Capabilities::capability)) GTEST_SKIP() << "the store has " << #capability; \
    t.Proves(#capability);                                                                 \
  } while (false)

void CapabilitiesRestOnEachOther(Tester& t) {
  const Capabilities& has = t.has();
  if (t.Has(&Capabilities::ordered_scan) || t.Has(&Capabilities::slot_scan)) {
    EXPECT_TRUE(t.Has(&Capabilities::scan));
  }
  if (t.Has(&Capabilities::conditions)) {
    EXPECT_TRUE(t.Has(&Capabilities::write));
    EXPECT_NE(has.batch_scope, BatchScope::kNone) << "a precondition needs an atomic batch";
  }
  if (t.Has(&Capabilities::delete_range) || has.batch_scope != BatchScope::kNone) {
    EXPECT_TRUE(t.Has(&Capabilities::write));
  }
}

void ReadOnlyStoreRefusesWrites(Tester& t) {
  KVARTS_SUITE_NEEDS_ABSENCE(write);
  const auto store = t.Open({{"k", "v"}});
  EXPECT_EQ(store->Put("k", "w").code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(store->Put("new", "w").code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(store->Delete("k").status().code(), StatusCode::kFailedPrecondition);
  WriteBatch batch;
  batch.Put("k", "w");
  batch.Delete("k");
  WriteResults results;
  results.failed_precondition = 7;
  EXPECT_EQ(store->Write(batch, {}, &results).code(), StatusCode::kFailedPrecondition);
  ASSERT_EQ(results.results.size(), 2u);
  EXPECT_EQ(results.results[0].status.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(results.results[1].status.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(results.failed_precondition, -1);
  EXPECT_EQ(WriteAtomic(*store, batch).code(), StatusCode::kFailedPrecondition);
  const auto modifier = [](const ReadResult&) { return Modification::Put("w"); };
  EXPECT_EQ(store->Modify("k", {}, modifier).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(ValueOf(*store, "k"), "v");
  EXPECT_EQ(ValueOf(*store, "new"), kAbsent);
}

void WithoutConditionsStampsAndPreconditionsAreUnimplemented(Tester& t) {
  KVARTS_SUITE_NEEDS_ABSENCE(conditions);
  const auto store = t.Open({{"k", "v"}});
  ReadOptions read;
  read.stamp = true;
  EXPECT_EQ(ReadOne(*store, "k", read).status.code(), StatusCode::kUnimplemented);
  EXPECT_EQ(ReadOne(*store, "absent", read).status.code(), StatusCode::kUnimplemented);
  // What cannot be written at all is refused for that reason.
  const StatusCode want =
      t.Has(&Capabilities::write) ? StatusCode::kUnimplemented : StatusCode::kFailedPrecondition;
  WriteBatch batch;
  batch.Put("k", "w");
  batch.RequirePresent("k");
  EXPECT_EQ(WriteAtomic(*store, batch).code(), want);
  EXPECT_EQ(store->Modify("k", {}, [](const ReadResult&) { return Modification::Put("w"); }).code(),
            want);
  EXPECT_EQ(ValueOf(*store, "k"), "v");
}

void AtomicBatchBeyondTheScopeIsInvalid(Tester& t) {
  if (!t.Has(&Capabilities::write)) GTEST_SKIP() << "the store has no write";
  if (t.has().batch_scope >= BatchScope::kShard) GTEST_SKIP() << "the scope is wide";
  t.Proves("batch_scope");
  const auto store = t.Open({{"k", "v"}});
  WriteBatch batch;
  batch.Put("k", "w");
  batch.Put("l", "w");
  WriteResults results;
  EXPECT_EQ(WriteAtomic(*store, batch, &results).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(results.results.size(), 2u);
  if (t.has().batch_scope == BatchScope::kNone) {
    WriteBatch single;
    single.Put("k", "w");
    EXPECT_EQ(WriteAtomic(*store, single).code(), StatusCode::kInvalidArgument);
  } else if (t.Has(&Capabilities::delete_range)) {
    WriteBatch range;
    range.DeleteRange("k", "m");
    EXPECT_EQ(WriteAtomic(*store, range).code(), StatusCode::kInvalidArgument);
  }
  if (t.Has(&Capabilities::conditions)) {
    WriteBatch other_key;
    other_key.Put("k", "w");
    other_key.RequireAbsent("l");
    EXPECT_EQ(WriteAtomic(*store, other_key).code(), StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(ValueOf(*store, "k"), "v");
  EXPECT_EQ(ValueOf(*store, "l"), kAbsent);
}

// A mutation that is refused fails alone, with kUnimplemented.
void ExpectRefused(Store& store, const Mutation& mutation) {
  WriteBatch batch;
  batch.Put("before", "1");
  batch.Add(mutation);
  batch.Put("behind", "2");
  WriteResults results;
  EXPECT_EQ(store.Write(batch, {}, &results).code(), StatusCode::kUnimplemented);
  ASSERT_EQ(results.results.size(), 3u);
  EXPECT_TRUE(results.results[0].status.ok()) << results.results[0].status;
  EXPECT_EQ(results.results[1].status.code(), StatusCode::kUnimplemented);
  EXPECT_TRUE(results.results[2].status.ok()) << results.results[2].status;
  EXPECT_EQ(ValueOf(store, "before"), "1");
  EXPECT_EQ(ValueOf(store, "behind"), "2");
}

void WithoutExpirySettingOneIsUnimplemented(Tester& t) {
  KVARTS_SUITE_NEEDS_ABSENCE(expiry);
  if (!t.Has(&Capabilities::write)) return;
  const auto store = t.Open({{"k", "v"}});
  ExpectRefused(*store, {Mutation::Kind::kPut, "k", "w", ExpiresAt(kFarFutureMs)});
  ExpectRefused(*store, {Mutation::Kind::kTouch, "k", "", ExpiresAt(kFarFutureMs)});
  EXPECT_EQ(ValueOf(*store, "k"), "v");
  EXPECT_TRUE(store->Put("k", "w", Metadata::Keep()).ok()) << "there is nothing to keep";
  EXPECT_EQ(ReadOne(*store, "k").expires_at_ms, 0);
}

void WithoutContentTypesSettingOneIsUnimplemented(Tester& t) {
  KVARTS_SUITE_NEEDS_ABSENCE(content_type);
  if (!t.Has(&Capabilities::write)) return;
  const auto store = t.Open({{"k", "v"}});
  ExpectRefused(*store, {Mutation::Kind::kPut, "k", "w", ContentType("text/plain")});
  ExpectRefused(*store, {Mutation::Kind::kTouch, "k", "", ContentType("text/plain")});
  EXPECT_EQ(ValueOf(*store, "k"), "v");
  EXPECT_TRUE(store->Put("k", "w", Metadata::Keep()).ok()) << "there is nothing to keep";
  EXPECT_EQ(ReadOne(*store, "k").content_type, "");
}

void WithoutDeleteRangeItIsUnimplemented(Tester& t) {
  KVARTS_SUITE_NEEDS_ABSENCE(delete_range);
  if (!t.Has(&Capabilities::write)) return;
  const auto store = t.Open({{"k", "v"}});
  ExpectRefused(*store, {Mutation::Kind::kDeleteRange, "a", "z", {}});
  EXPECT_EQ(ValueOf(*store, "k"), "v");
}

void WithoutScanCursorsAreUnimplemented(Tester& t) {
  KVARTS_SUITE_NEEDS_ABSENCE(scan);
  EXPECT_EQ(Scan(*t.Open({{"k", "v"}})).status.code(), StatusCode::kUnimplemented);
}

void WithoutBackwardScanItIsUnimplemented(Tester& t) {
  KVARTS_SUITE_NEEDS_ABSENCE(backward_scan);
  ScanOptions options;
  options.backward = true;
  EXPECT_EQ(Scan(*t.Open({{"k", "v"}}), options).status.code(), StatusCode::kUnimplemented);
}

void WithoutSlotScanItIsUnimplemented(Tester& t) {
  KVARTS_SUITE_NEEDS_ABSENCE(slot_scan);
  ScanOptions options;
  options.slots = {SlotRange()};
  EXPECT_EQ(Scan(*t.Open({{"k", "v"}}), options).status.code(), StatusCode::kUnimplemented);
}

void WithoutSnapshotsTheyAreUnimplemented(Tester& t) {
  KVARTS_SUITE_NEEDS_ABSENCE(snapshot);
  EXPECT_EQ(t.Open()->GetSnapshot().status().code(), StatusCode::kUnimplemented);
}

}  // namespace

absl::Span<const SuiteTest> AbsentTests() {
  static constexpr SuiteTest kTests[] = {
      {"CapabilitiesRestOnEachOther", CapabilitiesRestOnEachOther, /*needs_entries=*/false},
      {"ReadOnlyStoreRefusesWrites", ReadOnlyStoreRefusesWrites},
      {"WithoutConditionsStampsAndPreconditionsAreUnimplemented",
       WithoutConditionsStampsAndPreconditionsAreUnimplemented},
      {"AtomicBatchBeyondTheScopeIsInvalid", AtomicBatchBeyondTheScopeIsInvalid},
      {"WithoutExpirySettingOneIsUnimplemented", WithoutExpirySettingOneIsUnimplemented},
      {"WithoutContentTypesSettingOneIsUnimplemented",
       WithoutContentTypesSettingOneIsUnimplemented},
      {"WithoutDeleteRangeItIsUnimplemented", WithoutDeleteRangeItIsUnimplemented},
      {"WithoutScanCursorsAreUnimplemented", WithoutScanCursorsAreUnimplemented,
       /*needs_entries=*/false},
      {"WithoutBackwardScanItIsUnimplemented", WithoutBackwardScanItIsUnimplemented,
       /*needs_entries=*/false},
      {"WithoutSlotScanItIsUnimplemented", WithoutSlotScanItIsUnimplemented,
       /*needs_entries=*/false},
      {"WithoutSnapshotsTheyAreUnimplemented", WithoutSnapshotsTheyAreUnimplemented,
       /*needs_entries=*/false},
  };
  return kTests;
}

}  // namespace kvarts::store_suite
