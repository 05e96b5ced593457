// What a store over a cluster does when nodes are gone, maps are old and slots move.

#include "cluster/client/cluster_store.h"

#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cluster/client/test_cluster.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

using StatusCode = absl::StatusCode;

constexpr SlotRange kAll;

// Of all nodes, by their number. The servers count a request when it was answered: they are
// stopped.
std::vector<uint64_t> RequestsInTheEnd(TestCluster& cluster) {
  std::vector<uint64_t> requests;
  for (int i = 0; i < cluster.size(); ++i) {
    cluster.Stop(i);
    requests.push_back(cluster.requests(i));
  }
  return requests;
}

TEST(ClusterStoreTest, ABatchGetOfAThousandKeysIsOneRequestANode) {
  TestCluster cluster(3);
  std::vector<std::string> keys;
  for (int i = 0; i < 1000; ++i) {
    keys.push_back(absl::StrCat("key", i));
    cluster.Put(keys.back(), absl::StrCat(i));
  }
  const auto store = cluster.MustOpen();  // asks the first node for the map
  ReadResults results;
  store->MultiGet(std::vector<absl::string_view>(keys.begin(), keys.end()), {}, &results);
  for (size_t i = 0; i < keys.size(); ++i) EXPECT_EQ(results[i].value, absl::StrCat(i));
  EXPECT_EQ(RequestsInTheEnd(cluster), (std::vector<uint64_t>{2, 1, 1}));
}

TEST(ClusterStoreTest, ABatchOfAThousandPutsIsOneRequestANode) {
  TestCluster cluster(3);
  std::vector<std::string> keys;
  for (int i = 0; i < 1000; ++i) keys.push_back(absl::StrCat("key", i));
  const auto store = cluster.MustOpen();  // asks the first node for the map
  WriteBatch batch;
  for (const std::string& key : keys) batch.Put(key, key);
  ASSERT_TRUE(store->Write(batch, {}, nullptr).ok());
  EXPECT_EQ(RequestsInTheEnd(cluster), (std::vector<uint64_t>{2, 1, 1}));
}

TEST(ClusterStoreTest, OneSeedThatAnswersIsEnough) {
  TestCluster cluster(3);
  const std::string key = cluster.KeyAt(2);
  cluster.Put(key, "there");
  cluster.Stop(0);
  ClusterStoreOptions options;
  const auto store = OpenClusterStore(
      cluster.transport(), {"127.0.0.1:1", TestCluster::Seed(0), TestCluster::Seed(1)}, options);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(**(*store)->Get(key), "there");
}

TEST(ClusterStoreTest, WithoutASeedThatAnswersItDoesNotOpen) {
  TestCluster cluster(1);
  EXPECT_EQ(OpenClusterStore(cluster.transport(), {}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(OpenClusterStore(cluster.transport(), {"127.0.0.1:1"}).status().code(),
            StatusCode::kUnavailable);
}

TEST(ClusterStoreTest, AServerThatIsInNoClusterIsRefused) {
  TestCluster cluster(1);
  const auto lone =
      ServedStore::Start(NewModelStore(), cluster.transport(), "tcp://127.0.0.1:5000", {});
  ASSERT_TRUE(lone.ok()) << lone.status();
  EXPECT_EQ(OpenClusterStore(cluster.transport(), {"127.0.0.1:5000"}).status().code(),
            StatusCode::kFailedPrecondition);
}

TEST(ClusterStoreTest, WithOneOfThreeNodesDownTwoThirdsReadAndWrite) {
  TestCluster cluster(3);
  const auto store = cluster.MustOpen(absl::Milliseconds(200));
  std::vector<std::string> keys;
  for (int node = 0; node < 3; ++node) keys.push_back(cluster.KeyAt(node));
  cluster.Stop(1);
  WriteBatch batch;
  for (const std::string& key : keys) batch.Put(key, "value");
  WriteResults written;
  EXPECT_FALSE(store->Write(batch, {}, &written).ok());
  ReadResults results;
  store->MultiGet(std::vector<absl::string_view>(keys.begin(), keys.end()), {}, &results);
  for (const size_t alive : {0, 2}) {
    EXPECT_TRUE(written.results[alive].status.ok()) << written.results[alive].status;
    EXPECT_EQ(results[alive].value, "value");
  }
  EXPECT_EQ(results[1].status.code(), StatusCode::kUnavailable);
  EXPECT_TRUE(absl::IsUnavailable(written.results[1].status) ||
              absl::IsDeadlineExceeded(written.results[1].status))
      << written.results[1].status;
}

TEST(ClusterStoreTest, ANodeThatComesBackIsFoundAgain) {
  TestCluster cluster(3);
  const auto store = cluster.MustOpen();
  const std::string key = cluster.KeyAt(1);
  ASSERT_TRUE(store->Put(key, "before").ok());
  cluster.Stop(1);
  cluster.Start(1);
  EXPECT_EQ(**store->Get(key), "before");
  EXPECT_TRUE(store->Put(key, "after").ok());
  EXPECT_EQ(**store->Get(key), "after");
}

TEST(ClusterStoreTest, WhatMovedIsFoundAtItsNewOwner) {
  TestCluster cluster(3);
  const auto store = cluster.MustOpen();
  const std::string key = cluster.KeyAt(0);
  ASSERT_TRUE(store->Put(key, "1").ok());
  cluster.Move(kAll, 2);
  EXPECT_EQ(**store->Get(key), "1");
  cluster.Move(kAll, 1);
  EXPECT_TRUE(store->Put(key, "2").ok());
  cluster.Move(kAll, 0);
  WriteBatch batch;
  batch.Put(key, "3");
  batch.RequirePresent(key);
  WriteOptions atomic;
  atomic.atomic = true;
  EXPECT_TRUE(store->Write(batch, atomic, nullptr).ok());
  EXPECT_EQ(**store->Get(key), "3");
}

TEST(ClusterStoreTest, AStampFromBeforeAMoveDoesNotMatch) {
  TestCluster cluster(2);
  const auto store = cluster.MustOpen();
  const std::string key = cluster.KeyAt(0);
  ReadOptions stamped;
  stamped.stamp = true;
  ReadResults results;
  store->Read(key, stamped, &results);
  cluster.Move(kAll, 1);
  WriteBatch batch;
  batch.Put(key, "1");
  batch.RequireUnchanged(key, results[0].stamp);
  WriteOptions atomic;
  atomic.atomic = true;
  WriteResults written;
  EXPECT_EQ(store->Write(batch, atomic, &written).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(written.failed_precondition, 0);
}

TEST(ClusterStoreTest, ANodeWithAnOldMapDoesNotLeadAstray) {
  TestCluster cluster(3);
  const auto store = cluster.MustOpen();
  const std::string key = cluster.KeyAt(0);
  ASSERT_TRUE(store->Put(key, "value").ok());
  // The old owner does not know who has it now; the new one does.
  cluster.SetTold(0, false);
  cluster.Move(kAll, 2);
  EXPECT_EQ(**store->Get(key), "value");
}

TEST(ClusterStoreTest, AMapThatIsLateIsWaitedForUntilTheDeadline) {
  TestCluster cluster(2);
  const auto store = cluster.MustOpen(absl::Milliseconds(100));
  const std::string key = cluster.KeyAt(0);
  for (int i = 0; i < 2; ++i) cluster.SetTold(i, false);
  cluster.Move(kAll, 1);
  EXPECT_EQ(store->Get(key).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(store->Put(key, "v").code(), StatusCode::kUnavailable);
  cluster.SetTold(1, true);
  cluster.Move(kAll, 1);
  EXPECT_TRUE(store->Put(key, "v").ok());
}

TEST(ClusterStoreTest, ASlotThatNobodyServesIsWaitedFor) {
  TestCluster cluster(2);
  const std::string key = cluster.KeyAt(0);
  cluster.Put(key, "value");
  const auto hasty = cluster.MustOpen(absl::Milliseconds(50));
  const auto patient = cluster.MustOpen();
  cluster.TakeDown(kAll);
  EXPECT_EQ(hasty->Get(key).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(hasty->Put(key, "other").code(), StatusCode::kUnavailable);
  std::thread up([&] { cluster.TakeUp(kAll, 0); });
  EXPECT_EQ(**patient->Get(key), "value");
  up.join();
}

TEST(ClusterStoreTest, AnAtomicBatchOfSeveralSlotsOrOfARangeIsRefused) {
  TestCluster cluster(1);
  const auto store = cluster.MustOpen();
  WriteOptions atomic;
  atomic.atomic = true;
  WriteBatch batch;
  batch.Put("a", "1");
  batch.RequireAbsent("b");
  EXPECT_EQ(store->Write(batch, atomic, nullptr).code(), StatusCode::kInvalidArgument);
  WriteBatch range;
  range.DeleteRange("a", "b");
  EXPECT_EQ(store->Write(range, atomic, nullptr).code(), StatusCode::kInvalidArgument);
  WriteBatch tagged;
  tagged.Put("{t}a", "1");
  tagged.RequireAbsent("{t}b");
  EXPECT_TRUE(store->Write(tagged, atomic, nullptr).ok());
}

TEST(ClusterStoreTest, ARangeIsDeletedAtAllNodesInItsPlaceAmongTheMutations) {
  TestCluster cluster(3);
  const auto store = cluster.MustOpen();
  std::vector<std::string> keys;
  for (int i = 0; i < 100; ++i) keys.push_back(absl::StrCat("r", i));
  WriteBatch batch;
  for (const std::string& key : keys) batch.Put(key, "1");
  batch.DeleteRange("r", "s");
  batch.Put("r7", "2");
  ASSERT_TRUE(store->Write(batch, {}, nullptr).ok());
  EXPECT_EQ(store->Stats()->entries, 1u);
  EXPECT_EQ(**store->Get("r7"), "2");
}

TEST(ClusterStoreTest, AScanGoesOnInAnotherStoreAfterSlotsMoved) {
  TestCluster cluster(3);
  for (int i = 0; i < 300; ++i) cluster.Put(absl::StrCat("k", i), "v");
  std::set<std::string> seen;
  ScanOptions options;
  int moves = 0;
  while (true) {
    const auto store = cluster.MustOpen();
    auto cursor = store->NewCursor(options);
    ASSERT_TRUE(cursor.ok()) << cursor.status();
    ScanPage page;
    const absl::Status status = (*cursor)->Next({20, 1 << 20}, &page);
    ASSERT_TRUE(status.ok()) << status;
    if (page.empty()) break;
    for (const ScanEntry& entry : page) seen.insert(std::string(entry.key));
    options.resume_after = (*cursor)->position();
    ASSERT_LT(++moves, 200);
    if (moves < 20) {
      const auto first = static_cast<uint16_t>(moves * 700);
      cluster.Move({first, static_cast<uint16_t>(first + 2000)}, moves % 3);
    }
  }
  EXPECT_EQ(seen.size(), 300u);
}

TEST(ClusterStoreTest, RepeatsOfAScanAreEntriesOfSlotsThatMoved) {
  TestCluster cluster(2);
  const SlotRange moving{0, 99};
  size_t in_moving = 0;
  for (int i = 0; i < 2000; ++i) {
    const std::string key = absl::StrCat("k", i);
    in_moving += KeySlot(key) <= moving.last ? 1 : 0;
    cluster.Put(key, "v");
  }
  const auto store = cluster.MustOpen();
  auto cursor = store->NewCursor({});
  ASSERT_TRUE(cursor.ok()) << cursor.status();
  std::multiset<std::string> seen;
  ScanPage page;
  bool moved = false;
  while (true) {
    const absl::Status status = (*cursor)->Next({500, 1 << 20}, &page);
    ASSERT_TRUE(status.ok()) << status;
    if (page.empty()) break;
    for (const ScanEntry& entry : page) seen.insert(std::string(entry.key));
    if (!std::exchange(moved, true)) cluster.Move(moving, 1);
  }
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), 2000u);
  EXPECT_LE(seen.size(), 2000 + in_moving);
}

TEST(ClusterStoreTest, AScanOfSlotsThatNobodyServesWaitsAndGoesOn) {
  TestCluster cluster(2);
  for (int i = 0; i < 100; ++i) cluster.Put(absl::StrCat("k", i), "v");
  const auto store = cluster.MustOpen();
  ScanOptions options;
  options.timeout = absl::Milliseconds(50);
  auto cursor = store->NewCursor(options);
  ScanPage page;
  ASSERT_TRUE((*cursor)->Next({10, 1 << 20}, &page).ok());
  size_t seen = page.size();
  cluster.TakeDown(kAll);
  EXPECT_EQ((*cursor)->Next({10, 1 << 20}, &page).code(), StatusCode::kUnavailable);
  EXPECT_TRUE(page.empty());
  cluster.TakeUp({0, kSlots / 2 - 1}, 0);
  cluster.TakeUp({kSlots / 2, kSlots - 1}, 1);
  do {
    ASSERT_TRUE((*cursor)->Next({}, &page).ok());
    seen += page.size();
  } while (!page.empty());
  EXPECT_GE(seen, 100u);
}

}  // namespace
}  // namespace kvarts
