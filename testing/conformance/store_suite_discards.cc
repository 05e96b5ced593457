#include <string>
#include <vector>

#include "testing/conformance/store_suite_internal.h"

// A store that takes writes and drops them: each answer is that of an empty
// store, and what is wrong with a call is still said.
namespace kvarts::store_suite {
namespace {

using absl::StatusCode;

#define KVARTS_SUITE_NEEDS_DISCARDS()                         \
  do {                                                        \
    if (!t.has().discards) GTEST_SKIP() << "the store keeps"; \
    t.Proves("discards");                                     \
  } while (false)

void WritesAreTakenAndDropped(Tester& t) {
  KVARTS_SUITE_NEEDS_DISCARDS();
  KVARTS_SUITE_NEEDS(write);
  const auto store = t.Open();
  for (const bool atomic : {false, true}) {
    if (atomic && t.has().batch_scope == BatchScope::kNone) continue;
    WriteBatch batch;
    batch.Put("k", "v");
    batch.Put("k", "w");
    batch.Delete("k");
    batch.Touch("k", Metadata());
    batch.Put("k", "x");
    WriteOptions options;
    options.atomic = atomic;
    options.report_existed = true;
    WriteResults results;
    EXPECT_TRUE(store->Write(batch, options, &results).ok());
    ASSERT_EQ(results.results.size(), 5u);
    for (const WriteResult& result : results.results) {
      EXPECT_TRUE(result.status.ok()) << result.status;
      EXPECT_FALSE(result.existed);
    }
    EXPECT_TRUE(store->Write(batch, options, nullptr).ok());
    EXPECT_EQ(ValueOf(*store, "k"), kAbsent);
  }
  EXPECT_TRUE(store->Sync().ok());
  const auto stats = store->Stats();
  ASSERT_TRUE(stats.ok());
  EXPECT_EQ(stats->entries, 0u);
  if (t.Has(&Capabilities::scan)) {
    t.Proves("scan");
    const Scanned got = Scan(*store);
    EXPECT_TRUE(got.status.ok()) << got.status;
    EXPECT_TRUE(got.entries.empty());
  }
}

void EveryKeyIsAbsent(Tester& t) {
  KVARTS_SUITE_NEEDS_DISCARDS();
  const auto store = t.Open();
  const std::string too_long(kMaxKeyBytes + 1, 'k');
  const std::vector<absl::string_view> keys = {"", "a", too_long, "a"};
  ReadResults results;
  store->MultiGet(keys, {}, &results);
  ASSERT_EQ(results.size(), 4u);
  for (size_t i = 0; i < keys.size(); ++i) {
    EXPECT_FALSE(results[i].found);
    EXPECT_EQ(results[i].status.code(), i == 2 ? StatusCode::kInvalidArgument : StatusCode::kOk);
  }
}

void WhatIsInvalidIsRefusedHereToo(Tester& t) {
  KVARTS_SUITE_NEEDS_DISCARDS();
  KVARTS_SUITE_NEEDS(write);
  const auto store = t.Open();
  const std::string long_key(kMaxKeyBytes + 1, 'k');
  WriteBatch batch;
  batch.Put("a", "1");
  batch.Put(long_key, "");
  WriteResults results;
  EXPECT_EQ(store->Write(batch, {}, &results).code(), StatusCode::kInvalidArgument);
  ASSERT_EQ(results.results.size(), 2u);
  EXPECT_TRUE(results.results[0].status.ok());
  EXPECT_EQ(results.results[1].status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store->Put("a", std::string(kMaxValueBytes + 1, 'v')).code(),
            StatusCode::kInvalidArgument);
}

void ConditionsAreThoseOfAbsentKeys(Tester& t) {
  KVARTS_SUITE_NEEDS_DISCARDS();
  KVARTS_SUITE_NEEDS(conditions);
  const auto store = t.Open();
  EXPECT_TRUE(store->Put("k", "v").ok());
  const Stamp stamp = StampOf(*store, "k");
  WriteBatch batch;
  batch.Put("k", "v");
  batch.RequireAbsent("k");
  batch.RequireUnchanged("k", stamp);
  WriteResults results;
  EXPECT_TRUE(WriteAtomic(*store, batch, &results).ok());
  batch.RequirePresent("k");
  EXPECT_EQ(WriteAtomic(*store, batch, &results).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(results.failed_precondition, 2);
  batch.Clear();
  batch.RequireUnchanged("k", {stamp.high + 1, stamp.low});
  EXPECT_EQ(WriteAtomic(*store, batch, &results).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(results.failed_precondition, 0);
  int calls = 0;
  EXPECT_TRUE(store
                  ->Modify("k", {},
                           [&calls](const ReadResult& now) {
                             ++calls;
                             EXPECT_FALSE(now.found);
                             return Modification::Put("w");
                           })
                  .ok());
  EXPECT_EQ(calls, 1);
}

}  // namespace

absl::Span<const SuiteTest> DiscardTests() {
  static constexpr SuiteTest kTests[] = {
      {"WritesAreTakenAndDropped", WritesAreTakenAndDropped, /*needs_entries=*/false},
      {"EveryKeyIsAbsent", EveryKeyIsAbsent, /*needs_entries=*/false},
      {"WhatIsInvalidIsRefusedHereToo", WhatIsInvalidIsRefusedHereToo, /*needs_entries=*/false},
      {"ConditionsAreThoseOfAbsentKeys", ConditionsAreThoseOfAbsentKeys, /*needs_entries=*/false},
  };
  return kTests;
}

}  // namespace kvarts::store_suite
