#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "gtest/gtest.h"
#include "net/loopback/loopback.h"
#include "net/remote/cutting_transport.h"
#include "net/remote/remote_store.h"
#include "net/remote/served_store.h"
#include "testing/conformance/transport_harness.h"
#include "testing/model/model_store.h"

namespace kvarts {
namespace {

// A model store that counts how often each value was put. Thread-safe.
class CountingStore final : public Store {
 public:
  CountingStore(bool may_block, bool durable)
      : under_(NewModelStore()), may_block_(may_block), durable_(durable) {}

  std::map<std::string, int> counts() {
    MutexLock lock(&mu_);
    return counts_;
  }

  Capabilities capabilities() const override {
    Capabilities has = under_->capabilities();
    has.may_block = may_block_;
    has.durable = durable_;
    return has;
  }
  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    under_->MultiGet(keys, options, results);
  }
  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override {
    const absl::Status status = under_->Write(batch, options, results);
    MutexLock lock(&mu_);
    if (status.ok()) {
      for (const Mutation& m : batch.mutations()) ++counts_[std::string(m.value)];
    }
    return status;
  }
  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options) override {
    return under_->NewCursor(options);
  }
  absl::StatusOr<std::shared_ptr<const Snapshot>> GetSnapshot() override {
    return under_->GetSnapshot();
  }
  absl::StatusOr<StoreStats> Stats() override { return under_->Stats(); }
  absl::Status Close() override { return under_->Close(); }

 private:
  const std::unique_ptr<Store> under_;
  const bool may_block_;
  const bool durable_;
  Mutex mu_;
  std::map<std::string, int> counts_ ABSL_GUARDED_BY(mu_);
};

struct World {
  explicit World(bool may_block = false, const NativeServerOptions& options = {})
      : transport(NewLoopbackTransport()), cutting(transport.get(), &scissors) {
    Serve(may_block, options);
  }
  void Serve(bool may_block = false, const NativeServerOptions& options = {},
             bool durable = false) {
    auto store = std::make_unique<CountingStore>(may_block, durable);
    counting = store.get();
    served = *ServedStore::Start(std::move(store), transport.get(), "loopback:s", options);
  }
  std::unique_ptr<Store> Open(absl::Duration timeout = kTestPatience) {
    RemoteOptions options;
    options.timeout = timeout;
    auto store = OpenRemoteStore(&cutting, "loopback:s", options);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  Scissors scissors;
  std::unique_ptr<Transport> transport;
  CuttingTransport cutting;
  CountingStore* counting = nullptr;
  std::unique_ptr<ServedStore> served;
};

// Some of everything; every outcome must be as if nothing had happened.
void Exchange(Store& store) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(store.Put("k", absl::StrCat("v", i)).ok());
  }
  WriteBatch batch;
  batch.Put("a", "batch");
  batch.RequireAbsent("a");
  WriteOptions atomic;
  atomic.atomic = true;
  // A second time it would fail: its precondition is its own doing.
  ASSERT_TRUE(store.Write(batch, atomic, nullptr).ok());
  for (int i = 0; i < 2; ++i) {
    const absl::Status status =
        store.Modify("n", {}, [](const ReadResult& now) -> absl::StatusOr<Modification> {
          return Modification::Put(absl::StrCat(now.value, "+"));
        });
    ASSERT_TRUE(status.ok()) << status;
  }
  EXPECT_EQ(**store.Get("k"), "v2");
  EXPECT_TRUE(*store.Delete("k"));
  EXPECT_FALSE(store.Get("k")->has_value());
  auto cursor = store.NewCursor({});
  ScanPage page;
  ASSERT_TRUE((*cursor)->Next({1, 1 << 20}, &page).ok());
  ASSERT_EQ(page.size(), 1u);
  EXPECT_EQ(page[0].value, "batch");
  ASSERT_TRUE((*cursor)->Next({1, 1 << 20}, &page).ok());
  ASSERT_EQ(page.size(), 1u);
  EXPECT_EQ(page[0].value, "++");
}

TEST(RemoteFaultTest, AConnectionCutAtAnyByteAppliesEachWriteOnce) {
  for (const bool may_block : {false, true}) {
    int64_t total = 0;
    {
      World world(may_block);
      const auto store = world.Open();
      Exchange(*store);
      total = world.scissors.bytes_seen;
    }
    ASSERT_GT(total, 500);
    // The handshake's first bytes belong to Open(), which makes one attempt.
    World probe(may_block);
    probe.Open();
    const int64_t hello = probe.scissors.bytes_seen;
    for (int64_t cut = hello; cut < total; ++cut) {
      World world(may_block);
      world.scissors.bytes_left = cut;
      const auto store = world.Open();
      Exchange(*store);
      if (testing::Test::HasFatalFailure()) FAIL() << "cut at " << cut;
      for (const auto& [value, count] : world.counting->counts()) {
        // The one delete has an empty value.
        ASSERT_EQ(count, 1) << "of '" << value << "', cut at " << cut;
      }
      ASSERT_EQ(world.scissors.connections, 2) << cut;
    }
  }
}

TEST(RemoteFaultTest, ManyThreadsLoseNoWriteAndDoubleNoneWhileConnectionsBreak) {
  World world(/*may_block=*/true);
  const auto store = world.Open();
  constexpr int kThreads = 4;
  constexpr int kWrites = 300;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kWrites; ++i) {
        if (i % 25 == 0) world.scissors.bytes_left = 40 + 13 * i % 100;
        EXPECT_TRUE(store->Put(absl::StrCat(i), absl::StrCat(t, "-", i)).ok());
        EXPECT_TRUE(store->Get(absl::StrCat(i)).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto counts = world.counting->counts();
  EXPECT_EQ(counts.size(), static_cast<size_t>(kThreads * kWrites));
  for (const auto& [value, count] : counts) EXPECT_EQ(count, 1) << value;
  EXPECT_GT(world.scissors.connections, 3);
}

TEST(RemoteFaultTest, UnreachableServersAreUnavailableByName) {
  const auto transport = NewLoopbackTransport();
  const absl::Status status = OpenRemoteStore(transport.get(), "loopback:nobody").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(absl::StrContains(status.message(), "loopback:nobody")) << status;
}

TEST(RemoteFaultTest, WrongPasswordsAreSaidAtOpen) {
  NativeServerOptions server;
  server.password = "secret";
  World world(false, server);
  RemoteOptions options;
  EXPECT_EQ(OpenRemoteStore(world.transport.get(), "loopback:s", options).status().code(),
            absl::StatusCode::kUnauthenticated);
  options.password = "secret";
  EXPECT_TRUE(OpenRemoteStore(world.transport.get(), "loopback:s", options).ok());
}

TEST(RemoteFaultTest, AServerThatStopsAnsweringCostsTheDeadlineAndTheConnection) {
  World world;
  const auto store = world.Open(absl::Milliseconds(50));
  ASSERT_TRUE(store->Put("k", "v").ok());
  world.scissors.mute_before = 1;
  EXPECT_EQ(store->Get("k").status().code(), absl::StatusCode::kDeadlineExceeded);
  // The connection was given up: the next one answers.
  ReadOptions patient;
  patient.timeout = kTestPatience;
  ReadResults results;
  store->Read("k", patient, &results);
  ASSERT_TRUE(results[0].status.ok()) << results[0].status;
  EXPECT_EQ(results[0].value, "v");
  world.scissors.mute_before = 2;
  const absl::Status status = store->Put("k", "w");
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(absl::StrContains(status.message(), "may have been applied")) << status;
  EXPECT_EQ(world.counting->counts()["w"], 1);
}

TEST(RemoteFaultTest, WithoutAServerCallsAreUnavailableAndComeBackWithIt) {
  World world;
  const auto store = world.Open(absl::Milliseconds(50));
  world.served.reset();
  EXPECT_EQ(store->Get("k").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(store->Put("k", "v").code(), absl::StatusCode::kUnavailable);
  world.Serve();
  WriteBatch batch;
  batch.Put("k", "v");
  WriteOptions patient;
  patient.timeout = kTestPatience;
  EXPECT_TRUE(store->Write(batch, patient, nullptr).ok());
}

TEST(RemoteFaultTest, AWriteIsNotRepeatedToAServerThatBeganAnew) {
  World world;
  const auto store = world.Open();
  world.scissors.mute_before = 1;  // it is applied, and the answer is lost
  absl::Status status;
  std::thread writer([&] { status = store->Put("k", "once"); });
  while (world.counting->counts()["once"] == 0) std::this_thread::yield();
  world.served.reset();
  world.Serve();
  writer.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "may have been applied")) << status;
  EXPECT_TRUE(world.counting->counts().empty());
}

TEST(RemoteFaultTest, ADrainedServersUnreadWritesAreDoneByTheNextOne) {
  World world(/*may_block=*/true);
  const auto store = world.Open();
  std::atomic<bool> stop{false};
  std::atomic<int> written{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; !stop; ++i) {
        const absl::Status status = store->Put("k", absl::StrCat(t, "-", i));
        EXPECT_TRUE(status.ok()) << status;
        ++written;
      }
    });
  }
  std::map<std::string, int> counts;
  for (int i = 0; i < 5; ++i) {
    const int before = written;
    while (written < before + 50) std::this_thread::yield();
    world.served->server().Drain(kTestPatience);
    for (const auto& [value, count] : world.counting->counts()) counts[value] += count;
    world.served.reset();
    world.Serve(true);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  for (const auto& [value, count] : world.counting->counts()) counts[value] += count;
  EXPECT_EQ(counts.size(), static_cast<size_t>(written));
  for (const auto& [value, count] : counts) EXPECT_EQ(count, 1) << value;
}

TEST(RemoteFaultTest, SnapshotsOutliveAConnectionAndAreRenewed) {
  NativeServerOptions options;
  options.snapshot_lease = absl::Milliseconds(300);
  World world(false, options);
  const auto store = world.Open();
  ASSERT_TRUE(store->Put("k", "old").ok());
  auto snapshot = store->GetSnapshot();
  ASSERT_TRUE(snapshot.ok());
  ASSERT_TRUE(store->Put("k", "new").ok());
  world.scissors.bytes_left = 10;  // the next call loses the connection
  ReadOptions read;
  read.snapshot = *snapshot;
  ReadResults results;
  const absl::Time end = absl::Now() + absl::Milliseconds(900);
  do {
    store->Read("k", read, &results);
    ASSERT_TRUE(results[0].status.ok()) << results[0].status;
    EXPECT_EQ(results[0].value, "old");
  } while (absl::Now() < end);
  EXPECT_GT(world.scissors.connections, 1);
  // A server that began anew has none of it.
  world.served.reset();
  world.Serve();
  store->Read("k", read, &results);
  EXPECT_EQ(results[0].status.code(), absl::StatusCode::kFailedPrecondition);
  // Nor has another store.
  const auto other = world.Open();
  other->Read("k", read, &results);
  EXPECT_EQ(results[0].status.code(), absl::StatusCode::kInvalidArgument);
}

TEST(RemoteFaultTest, AServerOfAnotherStoreIsNotTakenForTheFirst) {
  World world;
  const auto store = world.Open();
  world.served.reset();
  world.Serve(false, {}, /*durable=*/true);
  const absl::Status status = store->Get("k").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
}

TEST(RemoteFaultTest, ABatchBeyondARequestIsSplitOrRefused) {
  World world;
  const auto store = world.Open();
  const std::string value(6 << 20, 'v');
  WriteBatch batch;
  std::vector<std::string> keys;
  for (int i = 0; i < 20; ++i) keys.push_back(absl::StrCat("key", i));
  for (const std::string& key : keys) batch.Put(key, value);
  WriteResults results;
  EXPECT_TRUE(store->Write(batch, {}, &results).ok());
  EXPECT_EQ(results.results.size(), keys.size());
  WriteOptions atomic;
  atomic.atomic = true;
  EXPECT_EQ(store->Write(batch, atomic, &results).code(), absl::StatusCode::kInvalidArgument);
  // The answer to one MultiGet takes several frames.
  const std::vector<absl::string_view> views(keys.begin(), keys.end());
  ReadResults read;
  store->MultiGet(views, {}, &read);
  for (const ReadResult& result : read) {
    ASSERT_TRUE(result.status.ok()) << result.status;
    EXPECT_TRUE(result.value == value);
  }
}

TEST(RemoteFaultTest, ACallOnTheLoopItselfFailsInsteadOfWaitingForEver) {
  World world;
  const auto loops = EventLoops::New(1).value();
  RemoteOptions options;
  options.loop = loops->loop(0);
  auto store = *OpenRemoteStore(world.transport.get(), "loopback:s", options);
  absl::Status status;
  ASSERT_TRUE(RunOn(loops->loop(0), [&] { status = store->Get("k").status(); }));
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(store->Get("k").ok());
}

}  // namespace
}  // namespace kvarts
