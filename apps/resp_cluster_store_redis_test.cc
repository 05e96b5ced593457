// A store over clusters of real redis-servers: the conformance suite, slots that are moved and a
// primary that is killed while it is used. Needs redis-server and redis-cli 7.0 (Debian's
// packages), hence "manual":
//   ./bazelw run //apps:resp_cluster_store_redis_test

#include <atomic>
#include <csignal>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "apps/testing/redis_node.h"
#include "base/slot.h"
#include "cluster/resp_client/resp_cluster_store.h"
#include "gflags/gflags.h"
#include "gtest/gtest.h"
#include "net/tcp/tcp.h"
#include "testing/conformance/store_suite.h"

DEFINE_string(redis_server, "/usr/bin/redis-server", "what is tested against");
DEFINE_string(redis_cli, "/usr/bin/redis-cli", "what makes and changes the cluster");

namespace kvarts {
namespace {

// A cluster of three primaries, each with so many replicas. Not thread-safe.
class RedisCluster {
 public:
  explicit RedisCluster(int replicas, std::vector<std::string> flags = {}) {
    flags.insert(flags.end(), {"--cluster-node-timeout", "1000"});
    std::vector<std::string> create = {"--cluster", "create"};
    for (int i = 0; i < 3 * (replicas + 1); ++i) {
      nodes_.push_back(StartRedisNode(FLAGS_redis_server, flags, TestDirectory()));
      EXPECT_NE(nodes_.back().process, nullptr) << "redis-server does not start";
      create.push_back(seed(i));
    }
    create.insert(create.end(), {"--cluster-replicas", absl::StrCat(replicas), "--cluster-yes"});
    const std::string out = Cli(create);
    EXPECT_TRUE(absl::StrContains(out, "All 16384 slots covered")) << out;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      WaitFor(static_cast<int>(i), {"CLUSTER", "INFO"}, "cluster_state:ok");
    }
  }

  std::string seed(int node) const {
    return absl::StrCat("127.0.0.1:", nodes_[static_cast<size_t>(node)].port);
  }
  std::string Cli(std::vector<std::string> command) const {
    command.insert(command.begin(), FLAGS_redis_cli);
    const ProcessResult result = RunProcess(command);
    return result.out + result.err;
  }
  std::string Ask(int node, const std::vector<std::string>& command) const {
    std::vector<std::string> all = {"-p", absl::StrCat(nodes_[static_cast<size_t>(node)].port)};
    all.insert(all.end(), command.begin(), command.end());
    return Cli(all);
  }
  void WaitFor(int node, const std::vector<std::string>& command, const std::string& text) const {
    const absl::Time until = absl::Now() + absl::Seconds(30);
    std::string out;
    do {
      out = Ask(node, command);
    } while (!absl::StrContains(out, text) && absl::Now() < until);
    EXPECT_TRUE(absl::StrContains(out, text)) << out;
  }
  void Clear() const {
    for (size_t i = 0; i < nodes_.size(); ++i) Ask(static_cast<int>(i), {"FLUSHALL"});
  }
  std::string Id(int node) const { return Ask(node, {"CLUSTER", "MYID"}).substr(0, 40); }
  void Kill(int node) {
    nodes_[static_cast<size_t>(node)].process->Signal(SIGKILL);
    nodes_[static_cast<size_t>(node)].process->Wait();
  }

  absl::StatusOr<std::unique_ptr<Store>> Open(const RespStoreOptions& options = {}) const {
    return OpenRespClusterStore(transport_.get(), {seed(0), seed(1)}, options);
  }

 private:
  std::vector<RedisNode> nodes_;
  const std::unique_ptr<Transport> transport_ = NewTcpTransport();
};

// To make a cluster takes seconds, to empty one does not.
std::vector<std::unique_ptr<RedisCluster>>& Unused() {
  static auto* const unused = new std::vector<std::unique_ptr<RedisCluster>>;
  return *unused;
}

class RedisClusterFixture final : public StoreFixture {
 public:
  explicit RedisClusterFixture(bool expiry) { options_.expiry = expiry; }
  ~RedisClusterFixture() override {
    for (auto& cluster : clusters_) Unused().push_back(std::move(cluster));
  }

  absl::StatusOr<std::unique_ptr<Store>> Open(const Records& records) override {
    if (Unused().empty()) Unused().push_back(std::make_unique<RedisCluster>(0));
    clusters_.push_back(std::move(Unused().back()));
    Unused().pop_back();
    clusters_.back()->Clear();
    absl::StatusOr<std::unique_ptr<Store>> store = Reopen();
    if (!store.ok()) return store;
    WriteBatch batch;
    for (const auto& [key, value] : records) batch.Put(key, value);
    const absl::Status status = (*store)->Write(batch, {}, nullptr);
    if (!status.ok()) return status;
    return store;
  }
  // The servers go on.
  bool can_reopen() const override { return true; }
  absl::StatusOr<std::unique_ptr<Store>> Reopen() override {
    return clusters_.back()->Open(options_);
  }

 private:
  RespStoreOptions options_;
  std::vector<std::unique_ptr<RedisCluster>> clusters_;
};

constexpr int kKeys = 500;  // of a thread

// Slots that are on their way for long: half of the keys are of the thread's own one, among those
// that move first.
std::string TagOf(int thread) {
  for (int i = 0;; ++i) {
    std::string tag = absl::StrCat("tag", i);
    if (KeySlot(tag) < 200 && thread-- == 0) return tag;
  }
}
constexpr int64_t kFarAway = 4000000000000;  // a time in Unix milliseconds

std::string KeyOf(int thread, int i) {
  static const std::vector<std::string>* const tags =
      new std::vector<std::string>{TagOf(0), TagOf(1), TagOf(2), TagOf(3)};
  const std::string& tag = (*tags)[static_cast<size_t>(thread)];
  return absl::StrCat(i % 2 == 0 ? "{" : "", tag, i % 2 == 0 ? "}" : ":", i % kKeys);
}

// What a scan gives for the keys of the threads, each with its values.
std::set<std::string> ScanKeys(Store* store) {
  std::set<std::string> keys;
  const auto cursor = store->NewCursor({});
  EXPECT_TRUE(cursor.ok()) << cursor.status();
  ScanPage page;
  do {
    const absl::Status status = (*cursor)->Next({}, &page);
    EXPECT_TRUE(status.ok()) << status;
    for (const ScanEntry& entry : page) keys.emplace(entry.key);
  } while (!page.empty());
  return keys;
}

TEST(RespClusterStoreRedisTest, PutsAndGetsAndScansAreExactWhileSlotsMove) {
  const RedisCluster cluster(0);
  RespStoreOptions options;
  options.timeout = absl::Seconds(60);
  const auto store = *cluster.Open(options);
  constexpr int kThreads = 4;
  std::set<std::string> all;
  for (int t = 0; t < kThreads; ++t) {
    for (int i = 0; i < kKeys; ++i) {
      all.insert(KeyOf(t, i));
      ASSERT_TRUE(store->Put(KeyOf(t, i), "0").ok());
    }
  }
  std::atomic<bool> moved{false};
  std::atomic<int> pairs{0};
  std::atomic<int> scans{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      // 20,000 pairs at least, and as long as slots move.
      for (int i = 0; i < 5000 || !moved; ++i) {
        const std::string key = KeyOf(t, i);
        const absl::Status status = store->Put(key, absl::StrCat(i));
        ASSERT_TRUE(status.ok()) << status;
        const auto value = store->Get(key);
        ASSERT_TRUE(value.ok()) << value.status();
        ASSERT_EQ(*value, absl::StrCat(i)) << key;
        ++pairs;
      }
    });
  }
  // Value and expiry in a transaction, behind ASKING too.
  options.expiry = true;
  const auto with_expiry = *cluster.Open(options);
  threads.emplace_back([&] {
    std::vector<std::string> keys;
    for (int i = 0; i < 20; ++i) keys.push_back(absl::StrCat("{", TagOf(0), "}e", i));
    WriteBatch batch;
    for (const std::string& key : keys) batch.Put(key, "v", Metadata::Of(kFarAway, ""));
    ASSERT_TRUE(with_expiry->Write(batch, {}, nullptr).ok());
    do {
      for (const std::string& key : keys) {
        ReadResults results;
        with_expiry->Read(key, {}, &results);
        ASSERT_TRUE(results[0].status.ok()) << results[0].status;
        ASSERT_EQ(results[0].value, "v") << key;
        // MIGRATE takes along the time that is left, without its own.
        ASSERT_NEAR(static_cast<double>(results[0].expires_at_ms), kFarAway, 10000);
      }
    } while (!moved);
  });
  // Batches of many slots: an order of mutations of a key, over moves.
  threads.emplace_back([&] {
    for (int i = 0; i < 20 || !moved; ++i) {
      WriteBatch batch;
      std::vector<std::string> keys;
      std::vector<std::string> values;
      for (int k = 0; k < 200; ++k) {
        keys.push_back(absl::StrCat("batch", k));
        values.push_back(absl::StrCat(i, ":", k));
      }
      for (int k = 0; k < 200; ++k) batch.Put(keys[k], "first");
      for (int k = 0; k < 200; ++k) batch.Put(keys[k], values[k]);
      const absl::Status status = store->Write(batch, {}, nullptr);
      ASSERT_TRUE(status.ok()) << status;
      const std::vector<absl::string_view> asked(keys.begin(), keys.end());
      ReadResults results;
      store->MultiGet(asked, {}, &results);
      for (size_t k = 0; k < 200; ++k) {
        ASSERT_TRUE(results[k].status.ok()) << results[k].status;
        ASSERT_EQ(results[k].value, values[k]) << keys[k];
      }
    }
  });
  threads.emplace_back([&] {
    do {
      const std::set<std::string> seen = ScanKeys(store.get());
      for (const std::string& key : all) ASSERT_EQ(seen.count(key), 1u) << key;
      ++scans;
    } while (!moved);
  });
  // There and back, and some left.
  const std::string ids[] = {cluster.Id(0), cluster.Id(1), cluster.Id(2)};
  for (const std::pair<int, int> move : {std::pair{0, 1}, {1, 2}, {2, 0}}) {
    const std::string out = cluster.Cli(
        {"--cluster", "reshard", cluster.seed(0), "--cluster-from", ids[move.first], "--cluster-to",
         ids[move.second], "--cluster-slots", "1200", "--cluster-yes", "--cluster-pipeline", "3"});
    EXPECT_TRUE(absl::StrContains(out, "Moving slot")) << out;
  }
  moved = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(pairs, 20000);
  std::printf("%d pairs and %d scans while 3,600 slots moved\n", pairs.load(), scans.load());
  for (int node = 0; node < 3; ++node) {
    for (const absl::string_view line :
         absl::StrSplit(cluster.Ask(node, {"INFO", "commandstats"}), '\n')) {
      if (absl::StrContains(line, "asking")) std::printf("%s\n", std::string(line).c_str());
    }
  }
  const std::string check = cluster.Cli({"--cluster", "check", cluster.seed(0)});
  EXPECT_TRUE(absl::StrContains(check, "All 16384 slots covered")) << check;
}

TEST(RespClusterStoreRedisTest, AfterAPrimaryIsKilledItsReplicaServesWhatItHad) {
  RedisCluster cluster(1);
  RespStoreOptions options;
  options.timeout = absl::Seconds(30);
  const auto store = *cluster.Open(options);
  for (int i = 0; i < kKeys; ++i) ASSERT_TRUE(store->Put(KeyOf(0, i), absl::StrCat(i)).ok());
  for (int node = 0; node < 3; ++node) {
    cluster.WaitFor(node, {"INFO", "replication"}, "connected_slaves:1");
    EXPECT_EQ(cluster.Ask(node, {"WAIT", "1", "20000"}), "1\n");
  }
  std::atomic<bool> killed{false};
  std::atomic<int> in_doubt{0};
  std::atomic<int> written{0};
  std::thread writer([&] {
    // Other keys are written: what is acknowledged just before a primary dies, its replica may not
    // have.
    for (int i = 0; i < 2000 || !killed; ++i) {
      const absl::Status status = store->Put(KeyOf(1, i), absl::StrCat(i));
      if (absl::IsDeadlineExceeded(status)) {
        ++in_doubt;
        continue;
      }
      ASSERT_TRUE(status.ok()) << status;
      ++written;
    }
  });
  while (written < 500) std::this_thread::yield();
  cluster.Kill(0);
  const absl::Time begin = absl::Now();
  for (int i = 0; i < kKeys; ++i) {
    const auto value = store->Get(KeyOf(0, i));
    ASSERT_TRUE(value.ok()) << value.status();
    ASSERT_EQ(*value, absl::StrCat(i));
  }
  std::printf("all keys were read again %.1f s after the kill\n",
              absl::ToDoubleSeconds(absl::Now() - begin));
  killed = true;
  writer.join();
  std::printf("%d writes in doubt\n", in_doubt.load());
  EXPECT_LE(in_doubt, 1);  // what was under way
  const std::set<std::string> seen = ScanKeys(store.get());
  for (int i = 0; i < kKeys; ++i) EXPECT_EQ(seen.count(KeyOf(0, i)), 1u);
}

TEST(RespClusterStoreRedisTest, TheNodesPasswordIsAskedForAndGiven) {
  // redis-cli needs it too, to make the cluster: it is set when that is done.
  const RedisCluster cluster(0);
  for (int node = 0; node < 3; ++node) {
    EXPECT_EQ(cluster.Ask(node, {"CONFIG", "SET", "requirepass", "secret"}), "OK\n");
  }
  EXPECT_EQ(cluster.Open().status().code(), absl::StatusCode::kUnauthenticated);
  RespStoreOptions options;
  options.password = "secret";
  const auto store = cluster.Open(options);
  ASSERT_TRUE(store.ok()) << store.status();
  for (int i = 0; i < 50; ++i) EXPECT_TRUE((*store)->Put(KeyOf(0, i), "v").ok());
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  for (const bool expiry : {false, true}) {
    kvarts::RegisterStoreSuite(expiry ? "RedisClusterWithExpiry" : "RedisCluster", [expiry] {
      return std::make_unique<kvarts::RedisClusterFixture>(expiry);
    });
  }
  const int outcome = RUN_ALL_TESTS();
  kvarts::Unused().clear();
  return outcome;
}
