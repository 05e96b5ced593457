#include "testing/model/model_store.h"

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "testing/model/manual_clock.h"

// The conformance suite tests the contract. What stands here is the model's own:
// its options, and that its data may outlive it.
namespace kvarts {
namespace {

std::vector<std::string> Keys(Store& store, ScanOptions scan = {}, size_t page_entries = 2) {
  std::vector<std::string> keys;
  auto cursor = store.NewCursor(scan);
  EXPECT_TRUE(cursor.ok()) << cursor.status();
  if (!cursor.ok()) return keys;
  PageLimits limits;
  limits.entries = page_entries;
  ScanPage page;
  do {
    EXPECT_TRUE((*cursor)->Next(limits, &page).ok());
    for (const ScanEntry& entry : page) keys.emplace_back(entry.key);
  } while (!page.empty());
  return keys;
}

TEST(ModelStoreTest, ReadOnlyStoreHoldsTheGivenRecords) {
  ModelStoreOptions options;
  options.capabilities.write = Support::kAbsent;
  options.records = {{"b", "2"}, {"a", "1"}, {"b", "3"}};
  const auto store = NewModelStore(std::move(options));
  EXPECT_EQ(**store->Get("b"), "3");
  EXPECT_EQ(Keys(*store), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(store->Put("c", "").code(), absl::StatusCode::kFailedPrecondition);
}

TEST(ModelStoreTest, WhatRestsOnAnAbsentCapabilityIsAbsent) {
  ModelStoreOptions options;
  options.capabilities.write = Support::kAbsent;
  options.capabilities.ordered_scan = Support::kAbsent;
  const Capabilities has = NewModelStore(options)->capabilities();
  EXPECT_EQ(has.conditions, Support::kAbsent);
  EXPECT_EQ(has.batch_scope, BatchScope::kNone);
  EXPECT_EQ(has.backward_scan, Support::kAbsent);
  EXPECT_EQ(has.scan, Support::kNative);
}

TEST(ModelStoreTest, UnorderedScanStillFindsTheRange) {
  ModelStoreOptions options;
  options.capabilities.ordered_scan = Support::kAbsent;
  const auto store = NewModelStore(options);
  for (char c = 'a'; c <= 'z'; ++c) ASSERT_TRUE(store->Put(std::string(1, c), "").ok());
  ScanOptions scan;
  scan.range = KeyRange::FromTo("d", "m");
  std::vector<std::string> keys = Keys(*store, scan);
  EXPECT_FALSE(std::is_sorted(keys.begin(), keys.end()));
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(keys, (std::vector<std::string>{"d", "e", "f", "g", "h", "i", "j", "k", "l"}));
}

TEST(ModelStoreTest, DataOutlivesTheStoreAndItsOrder) {
  ModelStoreOptions options;
  options.data = NewModelData();
  ASSERT_TRUE(NewModelStore(options)->Put("a", "1").ok());
  ASSERT_TRUE(NewModelStore(options)->Put("b", "2").ok());
  options.capabilities.ordered_scan = Support::kAbsent;
  const auto unordered = NewModelStore(options);
  EXPECT_EQ(**unordered->Get("a"), "1");
  EXPECT_EQ(Keys(*unordered).size(), 2u);
}

TEST(ModelStoreTest, ShardScopeIsOneSlot) {
  ModelStoreOptions options;
  options.capabilities.batch_scope = BatchScope::kShard;
  const auto store = NewModelStore(options);
  WriteOptions atomic;
  atomic.atomic = true;
  WriteBatch batch;
  batch.Put("{x}1", "");
  batch.Put("{x}2", "");
  EXPECT_TRUE(store->Write(batch, atomic, nullptr).ok());
  batch.Put("{y}", "");
  EXPECT_EQ(store->Write(batch, atomic, nullptr).code(), absl::StatusCode::kInvalidArgument);
}

TEST(ModelStoreTest, ExpiryFollowsTheClock) {
  ManualClock clock;
  ModelStoreOptions options;
  options.clock = &clock;
  const auto store = NewModelStore(options);
  Metadata metadata;
  metadata.expiry = Metadata::Change::kSet;
  metadata.expires_at_ms = clock.now_ms() + 10;
  ASSERT_TRUE(store->Put("k", "v", metadata).ok());
  clock.Advance(absl::Milliseconds(9));
  EXPECT_TRUE(store->Get("k")->has_value());
  clock.Advance(absl::Milliseconds(1));
  EXPECT_FALSE(store->Get("k")->has_value());
  EXPECT_EQ(store->Stats()->entries, 0u);
}

TEST(ModelStoreTest, StampsTellExpiryDeletionAndReturnApart) {
  ManualClock clock;
  ModelStoreOptions options;
  options.clock = &clock;
  const auto store = NewModelStore(options);
  ReadOptions read;
  read.stamp = true;
  std::vector<Stamp> stamps;
  const auto note = [&] {
    ReadResults results;
    store->Read("k", read, &results);
    for (const Stamp& stamp : stamps) EXPECT_NE(stamp, results[0].stamp);
    stamps.push_back(results[0].stamp);
  };
  note();
  Metadata metadata;
  metadata.expiry = Metadata::Change::kSet;
  metadata.expires_at_ms = clock.now_ms() + 10;
  ASSERT_TRUE(store->Put("k", "v", metadata).ok());
  note();
  clock.Advance(absl::Milliseconds(10));
  note();
  ASSERT_TRUE(store->Put("k", "v").ok());
  note();
  ASSERT_TRUE(*store->Delete("k"));
  note();
  ASSERT_TRUE(store->Put("k", "v").ok());
  note();
}

TEST(ModelStoreTest, PositionsOfOtherScansAreRefused) {
  const auto store = NewModelStore();
  for (const char* key : {"a", "b", "c"}) ASSERT_TRUE(store->Put(key, "").ok());
  auto cursor = *store->NewCursor({});
  ScanPage page;
  PageLimits one;
  one.entries = 1;
  ASSERT_TRUE(cursor->Next(one, &page).ok());
  ScanOptions scan;
  scan.resume_after = cursor->position();
  EXPECT_EQ(Keys(*store, scan), (std::vector<std::string>{"b", "c"}));
  scan.backward = true;
  EXPECT_EQ(store->NewCursor(scan).status().code(), absl::StatusCode::kInvalidArgument);
  scan.backward = false;
  scan.resume_after.back() ^= 1;
  EXPECT_EQ(store->NewCursor(scan).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace kvarts
