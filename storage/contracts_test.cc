#include <memory>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "storage/capabilities.h"
#include "storage/key_range.h"
#include "storage/read_results.h"
#include "storage/store.h"

namespace kvarts {
namespace {

TEST(KeyRangeTest, EquationsOfTheHeaderHold) {
  EXPECT_EQ(KeyRange::Prefix("a/"), (KeyRange{"a/", "a0"}));
  EXPECT_EQ(KeyRange::Prefix("\xff"), (KeyRange{"\xff", ""}));
  EXPECT_EQ(KeyRange::Prefix("a\xff"), (KeyRange{"a\xff", "b"}));
  EXPECT_EQ(KeyRange::Point("a"), (KeyRange{"a", std::string("a\0", 2)}));
  EXPECT_TRUE(KeyRange::FromTo("d", "b").empty());
  EXPECT_TRUE(KeyRange::FromTo("", "").empty());
  EXPECT_FALSE(KeyRange::All().empty());
  EXPECT_EQ(Intersect({"a", "c"}, {"b", ""}), (KeyRange{"b", "c"}));
  EXPECT_EQ(Intersect({"a", ""}, {"b", ""}), (KeyRange{"b", ""}));
}

TEST(KeyRangeTest, ContainsExcludesTheEnd) {
  const KeyRange range = KeyRange::FromTo("b", "d");
  EXPECT_FALSE(range.Contains("a"));
  EXPECT_TRUE(range.Contains("b"));
  EXPECT_TRUE(range.Contains("czz"));
  EXPECT_FALSE(range.Contains("d"));
  EXPECT_TRUE(KeyRange::All().Contains(""));
  EXPECT_TRUE(KeyRange::Point("").Contains(""));
  EXPECT_FALSE(KeyRange::Point("").Contains(std::string(1, '\0')));
}

TEST(BytesTest, CopiesStayWhereTheyAreUntilClear) {
  Bytes bytes;
  std::vector<absl::string_view> views;
  std::vector<std::string> want;
  for (int i = 0; i < 1000; ++i) {
    want.push_back(std::string(i * 7 % 5000, static_cast<char>('a' + i % 26)));
    views.push_back(bytes.Copy(want.back()));
  }
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(views[i], want[i]);
}

TEST(BytesTest, AdoptKeepsBothSidesViews) {
  Bytes a;
  const absl::string_view in_a = a.Copy("from a");
  Bytes b;
  const absl::string_view in_b = b.Copy("from b");
  const auto pinned = std::make_shared<std::string>("pinned");
  b.AddPin(pinned);
  a.Adopt(std::move(b));
  const absl::string_view later = a.Copy("later");
  EXPECT_EQ(in_a, "from a");
  EXPECT_EQ(in_b, "from b");
  EXPECT_EQ(later, "later");
  EXPECT_EQ(pinned.use_count(), 2);
}

TEST(BytesTest, WhatWasMovedFromMayBeUsedAgain) {
  Bytes a;
  const absl::string_view first = a.Copy("first");
  const Bytes b = std::move(a);
  const absl::string_view second = a.Copy("second");  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(first, "first");
  EXPECT_EQ(second, "second");
}

TEST(BytesTest, AdoptIntoEmptyGoesOnInTheAdoptedBlock) {
  Bytes a;
  Bytes b;
  const absl::string_view in_b = b.Copy("from b");
  a.Adopt(std::move(b));
  const absl::string_view later = a.Copy("later");
  EXPECT_EQ(in_b, "from b");
  EXPECT_EQ(later, "later");
}

TEST(BytesTest, PinsAreHeldUntilReplacedOrReleased) {
  const auto one = std::make_shared<int>(1);
  const auto two = std::make_shared<int>(2);
  Bytes bytes;
  bytes.AddPin(one);
  bytes.AddPin(one);
  EXPECT_EQ(one.use_count(), 2);
  bytes.Clear();
  bytes.AddPin(one);
  EXPECT_EQ(one.use_count(), 2);
  bytes.Clear();
  bytes.AddPin(two);
  EXPECT_EQ(one.use_count(), 1);
  EXPECT_EQ(two.use_count(), 2);
  bytes.Release();
  EXPECT_EQ(two.use_count(), 1);
}

TEST(CapabilitiesTest, IntersectIsTheWeakerOfEach) {
  Capabilities a;
  a.write = Support::kNative;
  a.scan = Support::kNative;
  a.durable = true;
  a.batch_scope = BatchScope::kStore;
  Capabilities b = a;
  b.scan = Support::kEmulatedLinear;
  b.durable = false;
  b.may_block = true;
  b.discards = true;
  b.batch_scope = BatchScope::kKey;
  const Capabilities both = Intersect(a, b);
  EXPECT_EQ(both.write, Support::kNative);
  EXPECT_EQ(both.scan, Support::kEmulatedLinear);
  EXPECT_FALSE(both.durable);
  EXPECT_TRUE(both.may_block);
  EXPECT_TRUE(both.discards);
  EXPECT_EQ(both.batch_scope, BatchScope::kKey);
  EXPECT_EQ(both, Intersect(b, a));
  EXPECT_NE(both, a);
}

TEST(CapabilitiesTest, IntersectWaitsForNothingOnlyWhereNeitherDoes) {
  Capabilities memory;
  Capabilities log;
  log.may_block = log.no_wait = true;
  Capabilities disk;
  disk.may_block = true;
  EXPECT_TRUE(Intersect(memory, log).no_wait);
  EXPECT_FALSE(Intersect(disk, log).no_wait);
  EXPECT_FALSE(Intersect(disk, memory).no_wait);
}

TEST(CheckTest, TheLargestAtomicBatchIsTheSmallerOfTwo) {
  Capabilities has;
  has.write = has.conditions = Support::kNative;
  has.batch_scope = BatchScope::kStore;
  Capabilities other = has;
  has.max_batch_mutations = 2;
  other.max_batch_bytes = 5;
  const Capabilities both = Intersect(has, other);
  WriteOptions atomic;
  atomic.atomic = true;
  WriteBatch batch;
  batch.Put("ab", "cd");
  batch.RequireAbsent("e");
  EXPECT_TRUE(CheckBatch(batch, atomic, both).ok());
  WriteBatch longer = batch;
  longer.RequireAbsent("");
  EXPECT_EQ(CheckBatch(longer, atomic, both).code(), absl::StatusCode::kInvalidArgument);
  WriteBatch larger;
  larger.Put("ab", "cdef");
  EXPECT_EQ(CheckBatch(larger, atomic, both).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(CheckBatch(larger, WriteOptions(), both).ok());
}

TEST(CheckTest, BatchRulesHaveOneWording) {
  Capabilities has;
  WriteBatch batch;
  batch.Put("k", "v");
  EXPECT_EQ(CheckBatch(batch, {}, has).code(), absl::StatusCode::kFailedPrecondition);
  has.write = Support::kNative;
  EXPECT_TRUE(CheckBatch(batch, {}, has).ok());
  WriteOptions atomic;
  atomic.atomic = true;
  EXPECT_EQ(CheckBatch(batch, atomic, has).code(), absl::StatusCode::kInvalidArgument);
  has.batch_scope = BatchScope::kKey;
  EXPECT_TRUE(CheckBatch(batch, atomic, has).ok());
  batch.RequireAbsent("k");
  EXPECT_EQ(CheckBatch(batch, atomic, has).code(), absl::StatusCode::kUnimplemented);
  has.conditions = Support::kNative;
  EXPECT_TRUE(CheckBatch(batch, atomic, has).ok());
  EXPECT_EQ(CheckBatch(batch, {}, has).code(), absl::StatusCode::kInvalidArgument);
  batch.Put("l", "w");
  EXPECT_EQ(CheckBatch(batch, atomic, has).code(), absl::StatusCode::kInvalidArgument);
  has.batch_scope = BatchScope::kStore;
  EXPECT_TRUE(CheckBatch(batch, atomic, has).ok());
  const std::string long_key(kMaxKeyBytes + 1, 'k');
  batch.Put(long_key, "");
  EXPECT_EQ(CheckBatch(batch, atomic, has).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace kvarts
