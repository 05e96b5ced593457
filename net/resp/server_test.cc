// Sessions on loops of their own, as a server has them.

#include "net/server.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/event_loop.h"
#include "net/loopback/loopback.h"
#include "net/resp/session.h"
#include "net/resp/session_harness.h"
#include "net/resp/test_client.h"
#include "net/store_runner.h"
#include "net/tcp/tcp.h"
#include "net/transport.h"
#include "testing/conformance/transport_harness.h"
#include "testing/model/model_store.h"
#include "testing/model/slow_store.h"

namespace kvarts {
namespace resp {
namespace {

enum class Blocks : unsigned char { kNever, kAlways, kNotIfTold };

struct Params {
  const char* name;
  bool tcp;
  Blocks blocks;
};

class RespServerTest : public testing::TestWithParam<Params> {
 protected:
  RespServerTest() {
    ModelStoreOptions options;
    options.capabilities.may_block = GetParam().blocks == Blocks::kAlways;
    store_ = NewModelStore(options);
    if (GetParam().blocks == Blocks::kNotIfTold) {
      store_ = std::make_unique<SlowStore>(std::move(store_));
    }
    loops_ = EventLoops::New(3).value();
    transport_ = GetParam().tcp ? NewTcpTransport() : NewLoopbackTransport();
    runner_ = StoreRunner::New(store_.get(), 4).value();
    auto server = Server::Start(
        transport_.get(), {loops_->loop(0), loops_->loop(1)},
        GetParam().tcp ? "tcp://127.0.0.1:0" : "loopback:resp", ServerOptions(),
        [this](std::unique_ptr<Stream> stream) { return service_.NewSession(std::move(stream)); });
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  ~RespServerTest() override {
    server_.reset();
    runner_.reset();
    loops_->Stop();
  }

  std::unique_ptr<TestClient> Connect() {
    return std::make_unique<TestClient>(transport_.get(), loops_->loop(2), server_->address());
  }

  RespService service_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<EventLoops> loops_;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<StoreRunner> runner_;
  std::unique_ptr<Server> server_;
};

INSTANTIATE_TEST_SUITE_P(All, RespServerTest,
                         testing::Values(Params{"Loopback", false, Blocks::kNever},
                                         Params{"LoopbackPool", false, Blocks::kAlways},
                                         Params{"LoopbackSubmits", false, Blocks::kNotIfTold},
                                         Params{"Tcp", true, Blocks::kNever},
                                         Params{"TcpPool", true, Blocks::kAlways},
                                         Params{"TcpSubmits", true, Blocks::kNotIfTold}),
                         [](const auto& info) { return info.param.name; });

TEST_P(RespServerTest, ItLoadsAndThenServes) {
  const auto client = Connect();
  EXPECT_TRUE(client->Asks("PING\r\n", "-LOADING kvarts is loading the dataset in memory\r\n"));
  service_.SetReady(runner_.get());
  EXPECT_TRUE(client->Asks("PING\r\n", "+PONG\r\n"));
  EXPECT_TRUE(client->Asks(Request({"SET", "k", std::string(100000, 'x')}), "+OK\r\n"));
  EXPECT_TRUE(client->Asks(Request({"GET", "k"}),
                           absl::StrCat("$100000\r\n", std::string(100000, 'x'), "\r\n")));
}

// Clients that come, ask, scan, list each other and leave in the middle, from
// several threads at once.
TEST_P(RespServerTest, ManyClientsAtOnce) {
  service_.SetReady(runner_.get());
  constexpr int kThreads = 4;
  constexpr int kRounds = 30;
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < kRounds; ++round) {
        const auto client = Connect();
        const std::string key = absl::StrCat("key:", t);
        const std::string value = absl::StrCat(round);
        std::string requests = Request({"SET", key, value});
        std::string replies = "+OK\r\n";
        for (int i = 0; i < 20; ++i) {
          requests += Request({"GET", key});
          absl::StrAppend(&replies, "$", value.size(), "\r\n", value, "\r\n");
        }
        requests += Request({"CLIENT", "SETNAME", key}) + Request({"DEL", key}) +
                    Request({"MGET", key, key});
        replies += "+OK\r\n:1\r\n*2\r\n$-1\r\n$-1\r\n";
        if (!client->Asks(requests, replies)) ++wrong;
        if (!client->Asks("INCR counter\r\nCLIENT LIST\r\nSCAN 0 COUNT 2\r\n", ":")) ++wrong;
        // Of a key that nobody looks at: it may be written behind what the next client writes.
        const std::string left = absl::StrCat("left:", t);
        if (round % 3 == 0) client->Send(Request({"SET", left, "x"}) + Request({"GET", left}));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_TRUE(
      Connect()->Asks("GET counter\r\n", absl::StrCat("$3\r\n", kThreads * kRounds, "\r\n")));
  EXPECT_GE(service_.stats().connections, static_cast<uint64_t>(kThreads * kRounds));
}

// Every way to add one, from several loops and threads at once: none is lost.
TEST_P(RespServerTest, NoIncrementIsLost) {
  service_.SetReady(runner_.get());
  constexpr int kThreads = 4;
  constexpr int kRounds = 25;
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      const auto client = Connect();
      for (int round = 0; round < kRounds; ++round) {
        client->Send("INCR a\r\nINCR a\r\nAPPEND b x\r\n");
        for (int line = 0; line < 3; ++line) {
          if (client->ReceiveLine()[0] != ':') ++wrong;
        }
        // Reads and writes of several keys, run again where others were in between.
        client->Send("MULTI\r\nINCR c\r\nAPPEND d x\r\nSTRLEN d\r\nINCR c\r\nEXEC\r\n");
        for (const char* reply : {"+OK", "+QUEUED", "+QUEUED", "+QUEUED", "+QUEUED", "*4"}) {
          if (client->ReceiveLine() != reply) ++wrong;
        }
        const std::string first = client->ReceiveLine();
        const std::string length = client->ReceiveLine();
        if (client->ReceiveLine() != length) ++wrong;
        const std::string second = client->ReceiveLine();
        int n = 0;
        if (!absl::SimpleAtoi(first.substr(1), &n) || second != absl::StrCat(":", n + 1)) ++wrong;
        if (length != absl::StrCat(":", (n + 1) / 2)) ++wrong;
        // A reader sees whole transactions only.
        client->Send("MULTI\r\nSTRLEN d\r\nSTRLEN c\r\nGET c\r\nEXEC\r\n");
        for (int line = 0; line < 5; ++line) client->ReceiveLine();
        const std::string appended = client->ReceiveLine();
        client->ReceiveLine();
        client->ReceiveLine();
        if (!absl::SimpleAtoi(client->ReceiveLine(), &n)) ++wrong;
        if (appended != absl::StrCat(":", n / 2)) ++wrong;
        // As clients do it by hand.
        std::string done;
        while (done != "*1") {
          client->Send("WATCH e\r\nSTRLEN e\r\n");
          client->ReceiveLine();
          const std::string size = client->ReceiveLine().substr(1);
          client->Send(absl::StrCat("MULTI\r\nSETRANGE e ", size, " x\r\nEXEC\r\n"));
          client->ReceiveLine();
          client->ReceiveLine();
          done = client->ReceiveLine();
          if (done == "*1") {
            client->ReceiveLine();
          } else if (done != "*-1") {
            ++wrong;
            break;
          }
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0);
  constexpr int kAll = kThreads * kRounds;
  const auto client = Connect();
  EXPECT_TRUE(client->Asks("INCR a\r\n", absl::StrCat(":", 2 * kAll + 1, "\r\n")));
  EXPECT_TRUE(client->Asks("STRLEN b\r\n", absl::StrCat(":", kAll, "\r\n")));
  EXPECT_TRUE(client->Asks("INCR c\r\n", absl::StrCat(":", 2 * kAll + 1, "\r\n")));
  EXPECT_TRUE(client->Asks("STRLEN d\r\n", absl::StrCat(":", kAll, "\r\n")));
  EXPECT_TRUE(client->Asks("STRLEN e\r\n", absl::StrCat(":", kAll, "\r\n")));
}

TEST_P(RespServerTest, TheServerMayEndWithCallsUnderWay) {
  service_.SetReady(runner_.get());
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 10; ++i) {
    clients.push_back(Connect());
    std::string requests;
    for (int k = 0; k < 1000; ++k) requests += Request({"SET", absl::StrCat(k), "v"});
    clients.back()->Send(requests);
  }
  server_.reset();
  for (const auto& client : clients) client->Receive(SIZE_MAX);
}

TEST_P(RespServerTest, DrainingEndsIdleClients) {
  service_.SetReady(runner_.get());
  const auto client = Connect();
  EXPECT_TRUE(client->Asks("PING\r\n", "+PONG\r\n"));
  std::thread drains([this] { server_->Drain(kTestPatience); });
  EXPECT_EQ(client->Receive(1), "");
  drains.join();
  EXPECT_FALSE(Connect()->connected());
}

}  // namespace
}  // namespace resp
}  // namespace kvarts
