// Scripts of several connections at once, and those that take long.

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/event_loop.h"
#include "net/loopback/loopback.h"
#include "net/resp/session.h"
#include "net/resp/session_harness.h"
#include "net/resp/test_client.h"
#include "net/server.h"
#include "net/store_runner.h"
#include "net/transport.h"
#include "storage/layers/forwarding_store.h"
#include "storage/memory/memory.h"
#include "testing/conformance/transport_harness.h"
#include "testing/model/model_store.h"
#include "testing/model/slow_store.h"

namespace kvarts {
namespace resp {
namespace {

using testing::HasSubstr;

enum class Kind : unsigned char { kMemory, kOnAPool, kNoWait };

std::unique_ptr<Store> NewStore(Kind kind) {
  if (kind == Kind::kMemory) return NewMemoryStore();
  ModelStoreOptions options;
  options.capabilities.may_block = kind == Kind::kOnAPool;
  std::unique_ptr<Store> store = NewModelStore(options);
  if (kind == Kind::kOnAPool) return store;
  return std::make_unique<SlowStore>(std::move(store));
}

class ScriptsTest : public testing::TestWithParam<Kind> {
 protected:
  // `timeout`: of a script.
  explicit ScriptsTest(absl::Duration timeout = absl::Minutes(10)) : store_(NewStore(GetParam())) {
    RespOptions options;
    options.script_timeout = timeout;
    service_ = std::make_unique<RespService>(options);
    loops_ = EventLoops::New(2).value();
    transport_ = NewLoopbackTransport();
    runner_ = StoreRunner::New(store_.get(), 4).value();
    // One loop: whatever holds it up holds up everybody.
    auto server = Server::Start(
        transport_.get(), {loops_->loop(0)}, "loopback:resp", ServerOptions(),
        [this](std::unique_ptr<Stream> stream) { return service_->NewSession(std::move(stream)); });
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    service_->SetReady(runner_.get());
  }
  ~ScriptsTest() override {
    server_.reset();
    runner_.reset();
    loops_->Stop();
  }

  std::unique_ptr<TestClient> Connect() {
    return std::make_unique<TestClient>(transport_.get(), loops_->loop(1), server_->address());
  }

  const std::unique_ptr<Store> store_;
  std::unique_ptr<RespService> service_;
  std::unique_ptr<EventLoops> loops_;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<StoreRunner> runner_;
  std::unique_ptr<Server> server_;
};

class ImpatientScriptsTest : public ScriptsTest {
 protected:
  ImpatientScriptsTest() : ScriptsTest(absl::Milliseconds(1)) {}
};

const auto kKinds = testing::Values(Kind::kMemory, Kind::kOnAPool, Kind::kNoWait);
std::string NameOf(const testing::TestParamInfo<Kind>& info) {
  constexpr const char* kNames[] = {"Memory", "OnAPool", "NoWait"};
  return kNames[static_cast<size_t>(info.param)];
}
INSTANTIATE_TEST_SUITE_P(All, ScriptsTest, kKinds, NameOf);
INSTANTIATE_TEST_SUITE_P(All, ImpatientScriptsTest, kKinds, NameOf);

// A rate limiter: what is left, and how many were let in, are two keys that must agree.
constexpr char kTakeToken[] = R"(
  local left = tonumber(redis.call('GET', KEYS[1]) or ARGV[1])
  if left <= 0 then return 0 end
  redis.call('SET', KEYS[1], left - 1)
  redis.call('INCR', KEYS[2])
  return 1)";

TEST_P(ScriptsTest, ATokenBucketLetsInAsManyAsItHasTokens) {
  constexpr int kTokens = 300;
  constexpr int kClients = 8;
  std::atomic<int> taken{0};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kClients; ++t) {
    threads.emplace_back([&] {
      const auto client = Connect();
      for (int i = 0; i < 2 * kTokens / kClients; ++i) {
        client->Send(
            Request({"EVAL", kTakeToken, "2", "{b}left", "{b}taken", absl::StrCat(kTokens)}));
        const std::string reply = client->ReceiveLine();
        if (reply == ":1") ++taken;
        if (reply != ":1" && reply != ":0") ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_EQ(taken.load(), kTokens);
  EXPECT_TRUE(Connect()->Asks("MGET {b}left {b}taken\r\n",
                              absl::StrCat("*2\r\n$1\r\n0\r\n$3\r\n", kTokens, "\r\n")));
}

// Two values that are always written together, and anew behind the first read.
class RewritingStore final : public ForwardingStore {
 public:
  RewritingStore() : ForwardingStore(NewModelStore()) { PutBoth("abc"); }

  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    ForwardingStore::MultiGet(keys, options, results);
    if (!std::exchange(rewritten_, true)) PutBoth("xyz");
  }
  void Read(absl::string_view key, const ReadOptions& options, ReadResults* results) override {
    MultiGet(absl::MakeConstSpan(&key, 1), options, results);
  }

 private:
  void PutBoth(absl::string_view value) {
    WriteBatch batch;
    batch.Put("x", value);
    batch.Put("y", value);
    WriteOptions options;
    options.atomic = true;
    EXPECT_TRUE(Write(batch, options, nullptr).ok());
  }

  bool rewritten_ = false;
};

TEST(BitOpTest, ItIsOfOneState) {
  SessionHarness harness(std::make_unique<RewritingStore>());
  const auto connection = harness.Connect();
  EXPECT_EQ(harness.Ask(*connection, {"BITOP", "XOR", "d", "x", "y"}), ":3\r\n");
  EXPECT_EQ(harness.Ask(*connection, {"BITCOUNT", "d"}), ":0\r\n");
}

TEST_P(ScriptsTest, OneLockHasOneHolder) {
  constexpr char kRelease[] =
      "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) "
      "else return 0 end";
  constexpr int kRounds = 30;
  std::atomic<int> holders{0};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const auto client = Connect();
      const std::string token = absl::StrCat("token", t);
      for (int i = 0; i < kRounds; ++i) {
        // Of another's lock nothing is deleted.
        client->Send(Request({"EVAL", kRelease, "1", "lock", token}));
        if (client->ReceiveLine() != ":0") ++wrong;
        std::string reply;
        while (reply != "+OK") {
          client->Send(Request({"SET", "lock", token, "NX", "PX", "600000"}));
          reply = client->ReceiveLine();
        }
        if (++holders != 1) ++wrong;
        --holders;
        client->Send(Request({"EVAL", kRelease, "1", "lock", token}));
        if (client->ReceiveLine() != ":1") ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0);
}

TEST_P(ScriptsTest, OthersAreAnsweredWhileAScriptTakesLong) {
  const auto slow = Connect();
  const auto other = Connect();
  slow->Send(Request({"EVAL", "redis.call('SET', 'k', 1) while true do end", "0"}));
  EXPECT_TRUE(other->Asks("SET other 1\r\n", "+OK\r\n"));
  // Once it is known to take long it can be ended; nothing of it was done.
  std::string reply;
  while (reply != "+OK") {
    other->Send("SCRIPT KILL\r\n");
    reply = other->ReceiveLine();
    if (reply != "+OK") {
      EXPECT_EQ(reply, "-NOTBUSY No scripts in execution right now.");
    }
  }
  EXPECT_THAT(slow->ReceiveLine(), HasSubstr("-ERR Script killed by user with SCRIPT KILL"));
  EXPECT_TRUE(other->Asks("EXISTS k\r\n", ":0\r\n"));
}

TEST_P(ScriptsTest, OthersAreAnsweredWhileATransactionWithAScriptTakesLong) {
  const auto slow = Connect();
  const auto other = Connect();
  slow->Send("MULTI\r\nSET k 1\r\n" + Request({"EVAL", "while true do end", "0"}) + "EXEC\r\n");
  std::string reply;
  while (reply != "+OK") {
    other->Send("SCRIPT KILL\r\n");
    reply = other->ReceiveLine();
  }
  for (const char* line : {"+OK", "+QUEUED", "+QUEUED", "*2", "+OK"}) {
    EXPECT_EQ(slow->ReceiveLine(), line);
  }
  EXPECT_THAT(slow->ReceiveLine(), HasSubstr("-ERR Script killed by user with SCRIPT KILL"));
}

// More than is done at once on a loop: from the beginning, on a thread of its own.
TEST_P(ScriptsTest, AScriptThatTakesLongIsDoneOnce) {
  const auto client = Connect();
  constexpr char kMany[] =
      "for i = 1, 3000 do redis.call('INCR', KEYS[1]) end return redis.call('GET', KEYS[1])";
  EXPECT_TRUE(client->Asks(Request({"EVAL", kMany, "1", "n"}), "$4\r\n3000\r\n"));
  EXPECT_TRUE(client->Asks(Request({"EVAL", kMany, "1", "n"}) + "GET n\r\n",
                           "$4\r\n6000\r\n$4\r\n6000\r\n"));
  // Nobody hears of this one, but it is done.
  EXPECT_TRUE(
      client->Asks("CLIENT REPLY SKIP\r\n" + Request({"EVAL", kMany, "1", "n"}) + "GET n\r\n",
                   "$4\r\n9000\r\n"));
}

TEST_P(ImpatientScriptsTest, AScriptEndsAfterItsTime) {
  const auto client = Connect();
  client->Send(Request({"EVAL", "redis.call('SET', 'k', 1) while true do end", "0"}));
  EXPECT_EQ(client->ReceiveLine(),
            "-ERR the script took longer than 1ms. Nothing that it wrote was kept.");
  EXPECT_TRUE(client->Asks("EXISTS k\r\n", ":0\r\n"));
}

}  // namespace
}  // namespace resp
}  // namespace kvarts
