#include "cluster/resp_client/resp_cluster_store.h"

#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/slot.h"
#include "cluster/resp_client/fake_redis.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

using absl::StatusCode;
using Command = std::vector<std::string>;

// A call has to end by itself within this, on a loaded machine under a sanitizer too.
constexpr absl::Duration kPatience = absl::Seconds(60);

std::unique_ptr<Store> Open(FakeRedis& redis, absl::Duration timeout = kPatience) {
  RespStoreOptions options;
  options.timeout = timeout;
  auto store = OpenRespClusterStore(redis.transport(), {redis.HostPort(0)}, options);
  EXPECT_TRUE(store.ok()) << store.status();
  return *std::move(store);
}

uint16_t SlotOf(const std::string& key) { return KeySlot(key); }

// Keys of one slot.
std::string Tagged(const std::string& tag, int i) { return absl::StrCat("{", tag, "}", i); }

std::multiset<std::string> ScanAll(Cursor* cursor, size_t page_entries = 5) {
  std::multiset<std::string> keys;
  ScanPage page;
  PageLimits limits;
  limits.entries = page_entries;
  do {
    const absl::Status status = cursor->Next(limits, &page);
    EXPECT_TRUE(status.ok()) << status;
    for (const ScanEntry& entry : page) {
      EXPECT_EQ(entry.value, absl::StrCat("v", entry.key));
      keys.emplace(entry.key);
    }
  } while (!page.empty());
  return keys;
}

// That each of `keys` was seen, once at least.
void ExpectAll(const std::vector<std::string>& keys, const std::multiset<std::string>& seen) {
  for (const std::string& key : keys) EXPECT_GE(seen.count(key), 1u) << key;
}

// So many keys, with values, over all slots.
std::vector<std::string> Fill(FakeRedis& redis, int n) {
  std::vector<std::string> keys;
  for (int i = 0; i < n; ++i) {
    keys.push_back(absl::StrCat("k", i));
    redis.Put(keys.back(), absl::StrCat("v", keys.back()));
  }
  return keys;
}

TEST(RespClusterStoreTest, ABatchIsOnePipelineANodeAndItsResultsAreInOrder) {
  FakeRedis redis(3, 3);
  const auto store = Open(redis);
  WriteBatch batch;
  std::vector<std::string> keys;
  for (int i = 0; i < 3000; ++i) keys.push_back(absl::StrCat("k", i));
  for (const std::string& key : keys) batch.Put(key, key);
  ASSERT_TRUE(store->Write(batch, {}, nullptr).ok());
  std::vector<absl::string_view> asked(keys.begin(), keys.end());
  asked.push_back("absent");
  ReadResults results;
  store->MultiGet(asked, {}, &results);
  for (size_t i = 0; i < keys.size(); ++i) {
    ASSERT_TRUE(results[i].status.ok()) << results[i].status;
    EXPECT_EQ(results[i].value, keys[i]);
  }
  EXPECT_FALSE(results[keys.size()].found);
  int sets = 0;
  for (int node = 0; node < 3; ++node) {
    EXPECT_GT(redis.Count(node, "SET"), 500);
    sets += redis.Count(node, "SET");
    EXPECT_EQ(redis.Count(node, "PING"), node == 0 ? 2 : 1);  // connections: and the seed's
  }
  EXPECT_EQ(sets, 3000);
  EXPECT_EQ(store->Stats()->entries, 3000u);
}

TEST(RespClusterStoreTest, SeedsAreTriedInTurn) {
  FakeRedis redis(3, 3);
  redis.Stop(0);
  const std::vector<std::string> seeds = {redis.HostPort(0), redis.HostPort(1)};
  EXPECT_TRUE(OpenRespClusterStore(redis.transport(), seeds).ok());
  const absl::Status status = OpenRespClusterStore(redis.transport(), {redis.HostPort(0)}).status();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_TRUE(absl::StrContains(status.message(), redis.HostPort(0))) << status;
  EXPECT_EQ(OpenRespClusterStore(redis.transport(), {}).status().code(),
            StatusCode::kInvalidArgument);
}

TEST(RespClusterStoreTest, WhatIsNoClusterIsSaidAtOpen) {
  FakeRedis redis(1, 1);
  std::string reply = "-ERR This instance has cluster support disabled\r\n";
  redis.SetIntercept([&reply](int, const Command& command) -> std::optional<std::string> {
    if (command[0] == "CLUSTER") return reply;
    if (command[0] == "PEXPIRETIME") return "-ERR unknown command 'PEXPIRETIME'\r\n";
    if (command[0] == "MULTI") return "+OK\r\n";
    if (command[0] == "EXEC") return "-EXECABORT\r\n";
    if (command[0] == "TYPE") return "+QUEUED\r\n";
    return std::nullopt;
  });
  const std::vector<std::string> seeds = {redis.HostPort(0)};
  absl::Status status = OpenRespClusterStore(redis.transport(), seeds).status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "cluster support disabled")) << status;
  reply = "*0\r\n";
  EXPECT_EQ(OpenRespClusterStore(redis.transport(), seeds).status().code(),
            StatusCode::kFailedPrecondition);
  reply = "+nonsense\r\n";
  EXPECT_EQ(OpenRespClusterStore(redis.transport(), seeds).status().code(), StatusCode::kInternal);
  reply = absl::StrCat("*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$-1\r\n:",
                       seeds[0].substr(seeds[0].rfind(':') + 1), "\r\n$1\r\na\r\n");
  EXPECT_TRUE(OpenRespClusterStore(redis.transport(), seeds).ok());
  RespStoreOptions options;
  options.expiry = true;
  status = OpenRespClusterStore(redis.transport(), seeds, options).status();
  EXPECT_EQ(status.code(), StatusCode::kUnimplemented) << status;
}

TEST(RespClusterStoreTest, EachNodeHasThePassword) {
  FakeRedis redis(2, 2);
  std::atomic<int> asked{0};
  redis.SetIntercept([&asked](int, const Command& command) -> std::optional<std::string> {
    if (command[0] != "AUTH") return std::nullopt;
    ++asked;
    return command[1] == "secret" ? "+OK\r\n" : "-WRONGPASS no\r\n";
  });
  RespStoreOptions options;
  options.password = "wrong";
  EXPECT_EQ(OpenRespClusterStore(redis.transport(), {redis.HostPort(0)}, options).status().code(),
            StatusCode::kUnauthenticated);
  options.password = "secret";
  const auto store = OpenRespClusterStore(redis.transport(), {redis.HostPort(0)}, options);
  ASSERT_TRUE(store.ok()) << store.status();
  for (int node = 0; node < 2; ++node) EXPECT_TRUE((*store)->Get(redis.KeyAt(node)).ok());
  EXPECT_EQ(asked, 1 + 1 + 2);
}

TEST(RespClusterStoreTest, OnMovedTheNamedNodeIsAskedForTheMapAndTheKey) {
  FakeRedis redis(3, 3);
  const auto store = Open(redis);
  const std::string key = redis.KeyAt(0);
  ASSERT_TRUE(store->Put(key, "v").ok());
  // Node 1 has not heard of it.
  redis.Move({SlotOf(key), SlotOf(key)}, 2, {0, 2});
  EXPECT_EQ(**store->Get(key), "v");
  EXPECT_EQ(redis.Count(1, "CLUSTER"), 0);
  EXPECT_EQ(redis.Count(2, "CLUSTER"), 1);
  const int asked = redis.Count(0, "MGET");
  ASSERT_TRUE(store->Put(key, "w").ok());
  EXPECT_EQ(**store->Get(key), "w");
  EXPECT_EQ(redis.Count(0, "MGET"), asked);
  EXPECT_EQ(redis.Count(2, "CLUSTER"), 1);
}

TEST(RespClusterStoreTest, OnAskTheNamedNodeIsAskedOnceAndTheMapStays) {
  FakeRedis redis(4, 3);
  const auto store = Open(redis);
  const std::string tag = redis.KeyAt(0);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(store->Put(Tagged(tag, i), "v").ok());
  redis.BeginMove(SlotOf(tag), 3);  // which holds no slot yet
  redis.MoveKey(Tagged(tag, 0));
  const auto maps = [&redis] {
    int n = 0;
    for (int node = 0; node < 4; ++node) n += redis.Count(node, "CLUSTER");
    return n;
  };
  const int before = maps();
  EXPECT_EQ(**store->Get(Tagged(tag, 0)), "v");
  EXPECT_EQ(redis.Count(3, "ASKING"), 1);
  EXPECT_EQ(**store->Get(Tagged(tag, 1)), "v");
  EXPECT_EQ(redis.Count(3, "ASKING"), 1);
  // A key that is not there is written where the slot goes.
  ASSERT_TRUE(store->Put(Tagged(tag, 9), "new").ok());
  EXPECT_EQ(redis.Count(3, "SET"), 1);
  EXPECT_TRUE(*store->Delete(Tagged(tag, 9)));
  EXPECT_EQ(maps(), before);
  EXPECT_EQ(redis.Count(3, "PING"), 1);
  redis.EndMove(SlotOf(tag));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(**store->Get(Tagged(tag, i)), "v");
  EXPECT_EQ(redis.Count(3, "PING"), 1);  // the connection is gone on with
}

TEST(RespClusterStoreTest, WhatIsToBeTriedAgainIs) {
  for (const char* refusal :
       {"-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
        "-CLUSTERDOWN The cluster is down\r\n", "-LOADING Redis is loading\r\n"}) {
    FakeRedis redis(3, 3);
    const auto store = Open(redis);
    std::atomic<int> left{3};
    redis.SetIntercept([&](int, const Command& command) -> std::optional<std::string> {
      if (command[0] != "MGET" && command[0] != "SET") return std::nullopt;
      if (left-- > 0) return refusal;
      return std::nullopt;
    });
    EXPECT_TRUE(store->Put("k", "v").ok()) << refusal;
    left = 3;
    EXPECT_EQ(**store->Get("k"), "v") << refusal;
  }
}

TEST(RespClusterStoreTest, ASlotThatNobodyServesIsUnavailableAtTheDeadlineAndTheOthersAreServed) {
  FakeRedis redis(3, 3);
  const auto store = Open(redis);
  const std::string down = redis.KeyAt(0);
  const std::string up = redis.KeyAt(0, 1);
  redis.TakeDown(SlotOf(down));
  redis.Put(up, "v");
  ReadOptions options;
  options.timeout = absl::Milliseconds(300);
  ReadResults results;
  const std::vector<absl::string_view> keys = {down, up};
  store->MultiGet(keys, options, &results);
  EXPECT_EQ(results[0].status.code(), StatusCode::kUnavailable) << results[0].status;
  EXPECT_EQ(results[1].value, "v");
  WriteBatch batch;
  batch.Put(down, "w");
  batch.Put(up, "w");
  WriteOptions write;
  write.timeout = absl::Milliseconds(300);
  WriteResults written;
  EXPECT_EQ(store->Write(batch, write, &written).code(), StatusCode::kUnavailable);
  EXPECT_TRUE(written.results[1].status.ok());
}

TEST(RespClusterStoreTest, TheKeysOfADeadNodeFailAloneUntilItsReplicaIsPromoted) {
  FakeRedis redis(4, 3);
  const auto store = Open(redis);
  const std::string dead = redis.KeyAt(0);
  const std::string alive = redis.KeyAt(1);
  ASSERT_TRUE(store->Put(dead, "v").ok());
  ASSERT_TRUE(store->Put(alive, "v").ok());
  redis.Stop(0);
  ReadOptions options;
  options.timeout = absl::Milliseconds(300);
  ReadResults results;
  const std::vector<absl::string_view> keys = {dead, alive};
  store->MultiGet(keys, options, &results);
  EXPECT_EQ(results[0].status.code(), StatusCode::kUnavailable) << results[0].status;
  EXPECT_EQ(results[1].value, "v");
  // The fifth time that somebody asks for the map, it is another.
  std::atomic<int> asked{0};
  redis.SetIntercept([&](int, const Command& command) -> std::optional<std::string> {
    if (command[0] == "CLUSTER" && ++asked == 5) redis.Promote(0, 3);
    return std::nullopt;
  });
  EXPECT_EQ(**store->Get(dead), "v");
  EXPECT_GE(asked, 5);
  EXPECT_TRUE(store->Put(dead, "w").ok());
}

TEST(RespClusterStoreTest, WhereAllThatHeldSlotsAreGoneTheSeedsAreAsked) {
  FakeRedis redis(2, 1);
  const auto store =
      OpenRespClusterStore(redis.transport(), {redis.HostPort(0), redis.HostPort(1)});
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_TRUE((*store)->Put("k", "v").ok());
  redis.Stop(0);
  redis.Promote(0, 1);
  EXPECT_EQ(**(*store)->Get("k"), "v");
}

TEST(RespClusterStoreTest, ANodeThatIsSomewhereElseNowIsFoundThere) {
  FakeRedis redis(4, 3);
  const auto store = Open(redis);
  const std::string key = redis.KeyAt(0);
  ASSERT_TRUE(store->Put(key, "v").ok());
  redis.Stop(0);
  redis.Readdress(0, 3);
  EXPECT_EQ(**store->Get(key), "v");
}

TEST(RespClusterStoreTest, TwoNodesThatAgreeAreBelievedAndEachTimeOthersAreAsked) {
  FakeRedis redis(5, 5);
  const auto store = Open(redis);
  std::atomic<int> left{2};
  redis.SetIntercept([&](int, const Command& command) -> std::optional<std::string> {
    if (command[0] == "MGET" && left-- > 0) return "-TRYAGAIN later\r\n";
    return std::nullopt;
  });
  EXPECT_TRUE(store->Get("k").ok());
  EXPECT_EQ(redis.Count(0, "CLUSTER"), 1 + 1);  // and when it was opened
  EXPECT_EQ(redis.Count(1, "CLUSTER"), 2);
  EXPECT_EQ(redis.Count(2, "CLUSTER"), 1);
  EXPECT_EQ(redis.Count(3, "CLUSTER"), 0);
}

TEST(RespClusterStoreTest, AWriteThatMayHaveBeenAppliedIsNotRepeated) {
  FakeRedis redis(3, 3);
  const auto store = Open(redis);
  const std::string key = redis.KeyAt(1);
  ASSERT_TRUE(store->Put(key, "v").ok());
  redis.SetIntercept([](int, const Command& command) -> std::optional<std::string> {
    if (command[0] == "SET") return "";
    return std::nullopt;
  });
  const absl::Status status = store->Put(key, "w");
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "may have been applied")) << status;
  EXPECT_EQ(redis.Count(1, "SET"), 2);
  EXPECT_EQ(**store->Get(key), "v");
}

TEST(RespClusterStoreTest, MutationsOfAKeyKeepTheirOrderWhateverMoves) {
  for (int moved_at = 1; moved_at < 3000; moved_at += 611) {
    FakeRedis redis(3, 3);
    const auto store = Open(redis);
    const std::string key = redis.KeyAt(0);
    redis.BeginMove(SlotOf(key), 1);
    redis.Put(key, "v");
    std::atomic<int> sets{0};
    redis.SetIntercept([&](int, const Command& command) -> std::optional<std::string> {
      if (command[0] != "SET") return std::nullopt;
      ++sets;
      if (sets == moved_at) redis.MoveKey(key);
      if (sets == moved_at + 300) redis.EndMove(SlotOf(key));
      return std::nullopt;
    });
    WriteBatch batch;
    std::vector<std::string> values;
    for (int i = 0; i < 3000; ++i) values.push_back(absl::StrCat(i));
    for (const std::string& value : values) batch.Put(key, value);
    const absl::Status status = store->Write(batch, {}, nullptr);
    ASSERT_TRUE(status.ok()) << moved_at << ": " << status;
    EXPECT_EQ(redis.Find(key), "2999") << moved_at;
    EXPECT_GT(sets, 3000) << "nothing was refused";
  }
}

TEST(RespClusterStoreTest, AMutationThatWouldOvertakeIsNotDone) {
  FakeRedis redis(3, 3);
  const auto store = Open(redis);
  const std::string key = redis.KeyAt(0);
  std::atomic<int> sets{0};
  redis.SetIntercept([&](int, const Command& command) -> std::optional<std::string> {
    if (command[0] == "SET" && ++sets == 1) return "-CLUSTERDOWN The cluster is down\r\n";
    return std::nullopt;
  });
  WriteBatch batch;
  batch.Put(key, "first");
  batch.Put(key, "second");
  WriteResults results;
  EXPECT_EQ(store->Write(batch, {}, &results).code(), StatusCode::kUnavailable);
  EXPECT_EQ(results.results[0].status.code(), StatusCode::kUnavailable);
  EXPECT_TRUE(results.results[1].status.ok());
  EXPECT_EQ(redis.Find(key), "second");
}

TEST(RespClusterStoreTest, BehindAMutationThatWaitsNoneOfItsKeyFollowsAsk) {
  FakeRedis redis(3, 3);
  const auto store = Open(redis);
  const std::string key = redis.KeyAt(0);
  redis.BeginMove(SlotOf(key), 1);  // all of a key that is not there is ASK
  std::atomic<int> sets{0};
  redis.SetIntercept([&](int, const Command& command) -> std::optional<std::string> {
    if (command[0] == "SET" && ++sets == 1) return "-CLUSTERDOWN The cluster is down\r\n";
    return std::nullopt;
  });
  WriteBatch batch;
  batch.Put(key, "first");
  batch.Put(key, "second");
  ASSERT_TRUE(store->Write(batch, {}, nullptr).ok());
  EXPECT_EQ(redis.Find(key), "second");
}

TEST(RespClusterStoreTest, PutsAndGetsAndScansAreExactWhileSlotsMoveKeyByKey) {
  FakeRedis redis(4, 3);
  const auto store = Open(redis);
  constexpr int kThreads = 3;
  constexpr int kTags = 5;
  constexpr int kKeysOfTag = 6;
  const auto key_of = [](int thread, int i) {
    return Tagged(absl::StrCat("tag", i % kTags), 100 * thread + i / kTags % kKeysOfTag);
  };
  std::vector<std::string> keys;
  for (int t = 0; t < kThreads; ++t) {
    for (int i = 0; i < kTags * kKeysOfTag; ++i) {
      keys.push_back(key_of(t, i));
      redis.Put(keys.back(), "-1");
    }
  }
  std::atomic<bool> moved{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 300 || !moved; ++i) {
        const std::string key = key_of(t, i);
        WriteBatch batch;
        const std::string value = absl::StrCat(i);
        batch.Delete(key);
        batch.Put(key, "first");
        batch.Put(key, value);
        const absl::Status status = store->Write(batch, {}, nullptr);
        ASSERT_TRUE(status.ok()) << status;
        const auto got = store->Get(key);
        ASSERT_TRUE(got.ok()) << got.status();
        ASSERT_EQ(*got, value) << key;
      }
    });
  }
  threads.emplace_back([&] {
    // These keys are only put: a delete in between would hide one.
    for (int i = 0; i < 40; ++i) redis.Put(absl::StrCat("still", i), "v");
    do {
      std::set<std::string> seen;
      const auto cursor = store->NewCursor({});
      ScanPage page;
      do {
        const absl::Status status = (*cursor)->Next({}, &page);
        ASSERT_TRUE(status.ok()) << status;
        for (const ScanEntry& entry : page) seen.emplace(entry.key);
      } while (!page.empty());
      for (int i = 0; i < 40; ++i) ASSERT_EQ(seen.count(absl::StrCat("still", i)), 1u) << i;
    } while (!moved);
  });
  for (int round = 0; round < 60; ++round) {
    const std::string tag = absl::StrCat("tag", round % kTags);
    const uint16_t slot = KeySlot(tag);
    redis.BeginMove(slot, (redis.OwnerOf(tag) + 1) % 4);
    for (const std::string& key : keys) {
      if (KeySlot(key) == slot) redis.MoveKey(key);
    }
    redis.EndMove(slot);
  }
  moved = true;
  for (std::thread& thread : threads) thread.join();
}

TEST(RespClusterScanTest, AServerThatRefusesEachScanIsAnError) {
  FakeRedis redis(1, 1);
  const auto store = Open(redis);
  redis.SetIntercept([](int, const Command& command) -> std::optional<std::string> {
    if (command[0] == "SCAN") return "-ERR invalid cursor\r\n";
    return std::nullopt;
  });
  const auto cursor = store->NewCursor({});
  ScanPage page;
  EXPECT_EQ((*cursor)->Next({}, &page).code(), StatusCode::kInvalidArgument);
}

TEST(RespClusterScanTest, AnImporterThatNobodyKnowsIsWaitedFor) {
  FakeRedis redis(4, 3);
  const std::vector<std::string> keys = Fill(redis, 30);
  const auto store = Open(redis);
  redis.BeginMove(SlotOf(keys[0]), 3);
  redis.MoveKey(keys[0]);
  std::atomic<bool> hides{true};
  redis.SetIntercept([&](int node, const Command& command) -> std::optional<std::string> {
    if (command[0] != "CLUSTER" || command[1] != "NODES" || !hides) return std::nullopt;
    // The slots as they are, without a word of the others.
    const std::string text =
        absl::StrCat(redis.Id(node), " h:1@2 myself,master - 0 0 1 connected 0-16383 [",
                     SlotOf(keys[0]), "->-", redis.Id(3), "]");
    return absl::StrCat("$", text.size(), "\r\n", text, "\r\n");
  });
  ScanOptions options;
  options.slots = {{SlotOf(keys[0]), SlotOf(keys[0])}};
  options.timeout = absl::Milliseconds(200);
  const auto cursor = store->NewCursor(options);
  ScanPage page;
  const absl::Status status = (*cursor)->Next({}, &page);
  EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status;
  hides = false;
  EXPECT_EQ(ScanAll(cursor->get()), std::multiset<std::string>({keys[0]}));
}

TEST(RespClusterScanTest, GoesOverAllNodesAndItsPositionIsGoodInAnotherStore) {
  FakeRedis redis(3, 3);
  const std::vector<std::string> keys = Fill(redis, 100);
  auto store = Open(redis);
  std::multiset<std::string> seen;
  ScanOptions options;
  PageLimits limits;
  limits.entries = 7;
  while (true) {
    const auto cursor = store->NewCursor(options);
    ASSERT_TRUE(cursor.ok()) << cursor.status();
    ScanPage page;
    ASSERT_TRUE((*cursor)->Next(limits, &page).ok());
    if (page.empty()) break;
    for (const ScanEntry& entry : page) seen.emplace(entry.key);
    options.resume_after = (*cursor)->position();
    store = Open(redis);
  }
  EXPECT_EQ(seen, std::multiset<std::string>(keys.begin(), keys.end()));
}

TEST(RespClusterScanTest, SlotsThatMoveToNodesThatWereScannedAreScannedThere) {
  FakeRedis redis(3, 3);
  const std::vector<std::string> keys = Fill(redis, 100);
  const auto store = Open(redis);
  std::atomic<int> scans{0};
  redis.SetIntercept([&](int node, const Command& command) -> std::optional<std::string> {
    // Node 2's are to come: they go to node 0, which is done.
    if (command[0] == "SCAN" && node == 2 && ++scans == 2) {
      redis.Move({11000, 16383}, 0, {0, 1, 2});
    }
    return std::nullopt;
  });
  const auto cursor = store->NewCursor({});
  ExpectAll(keys, ScanAll(cursor->get()));
  EXPECT_GE(scans, 2);
}

TEST(RespClusterScanTest, KeysOfASlotOnItsWayAreFoundAtItsImporter) {
  // To one that was scanned, to one that comes, to one that holds no slots.
  for (const int importer : {0, 2, 3}) {
    FakeRedis redis(4, 3);
    std::vector<std::string> keys = Fill(redis, 50);
    const std::string tag = redis.KeyAt(1);
    for (int i = 0; i < 20; ++i) {
      keys.push_back(Tagged(tag, i));
      redis.Put(keys.back(), absl::StrCat("v", keys.back()));
    }
    const auto store = Open(redis);
    redis.BeginMove(SlotOf(tag), importer);
    for (int i = 0; i < 5; ++i) redis.MoveKey(Tagged(tag, i));
    std::atomic<int> scans{0};
    redis.SetIntercept([&](int node, const Command& command) -> std::optional<std::string> {
      if (command[0] == "SCAN" && node == 1 && ++scans == 3) {
        for (int i = 5; i < 20; i += 2) redis.MoveKey(Tagged(tag, i));
      }
      return std::nullopt;
    });
    const auto cursor = store->NewCursor({});
    // The slot stays on its way.
    ExpectAll(keys, ScanAll(cursor->get()));
    EXPECT_GE(scans, 3);
  }
}

TEST(RespClusterScanTest, AMoveThatEndsWhileTheImporterIsScannedHidesNothing) {
  FakeRedis redis(4, 3);
  std::vector<std::string> keys;
  const std::string tag = redis.KeyAt(1);
  for (int i = 0; i < 30; ++i) {
    keys.push_back(Tagged(tag, i));
    redis.Put(keys.back(), absl::StrCat("v", keys.back()));
  }
  const auto store = Open(redis);
  redis.BeginMove(SlotOf(tag), 3);
  for (int i = 0; i < 30; i += 2) redis.MoveKey(Tagged(tag, i));
  std::atomic<int> scans{0};
  redis.SetIntercept([&](int node, const Command& command) -> std::optional<std::string> {
    // ... and goes on to node 0.
    if (command[0] == "SCAN" && node == 3 && ++scans == 2) {
      redis.EndMove(SlotOf(tag));
      redis.Move({SlotOf(tag), SlotOf(tag)}, 0, {0, 1, 2, 3});
    }
    return std::nullopt;
  });
  const auto cursor = store->NewCursor({});
  ExpectAll(keys, ScanAll(cursor->get()));
  EXPECT_GE(scans, 2);
}

TEST(RespClusterScanTest, ANodeThatBeganAnewOrIsGoneHasItsSlotsScannedAnew) {
  for (const bool gone : {false, true}) {
    FakeRedis redis(4, 3);
    const std::vector<std::string> keys = Fill(redis, 100);
    const auto store = Open(redis);
    const auto cursor = store->NewCursor({});
    ScanPage page;
    PageLimits limits;
    limits.entries = 10;
    std::multiset<std::string> seen;
    while (redis.Count(1, "SCAN") < 3) {  // in the middle of it
      ASSERT_TRUE((*cursor)->Next(limits, &page).ok());
      for (const ScanEntry& entry : page) seen.emplace(entry.key);
    }
    ASSERT_EQ(redis.Count(2, "SCAN"), 0);
    if (gone) {
      redis.Stop(1);
      redis.Promote(1, 3);
    } else {
      redis.BeginAnew(1);
    }
    // In another process.
    ScanOptions options;
    options.resume_after = (*cursor)->position();
    const auto other = Open(redis);
    const auto resumed = other->NewCursor(options);
    ASSERT_TRUE(resumed.ok()) << resumed.status();
    seen.merge(ScanAll(resumed->get()));
    ExpectAll(keys, seen);
  }
}

}  // namespace
}  // namespace kvarts
