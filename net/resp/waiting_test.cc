// Connections over a store that may block and says how not to: their writes are with the store
// together, and nobody waits but for his own.

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/event_loop.h"
#include "net/loopback/loopback.h"
#include "net/resp/session.h"
#include "net/resp/session_harness.h"
#include "net/resp/test_client.h"
#include "net/server.h"
#include "net/store_runner.h"
#include "testing/conformance/transport_harness.h"
#include "testing/model/model_store.h"
#include "testing/model/slow_store.h"

namespace kvarts {
namespace resp {
namespace {

// A server with two pool threads and two loops, over a store that ends writes when it is told.
class RespWaitingTest : public testing::Test {
 protected:
  RespWaitingTest() {
    SlowStoreOptions options;
    options.by_itself = false;
    store_ = std::make_unique<SlowStore>(NewModelStore(), options);
    runner_ = StoreRunner::New(store_.get(), 2).value();
    service_.SetReady(runner_.get());
    server_ = Server::Start(transport_.get(), {loops_->loop(0), loops_->loop(1)}, "loopback:resp",
                            ServerOptions(),
                            [this](std::unique_ptr<Stream> stream) {
                              return service_.NewSession(std::move(stream));
                            })
                  .value();
  }
  ~RespWaitingTest() override {
    std::thread stops([this] { Stop(); });
    store_->Commit();
    stops.join();
    loops_->Stop();
  }
  void Stop() {
    server_.reset();
    runner_.reset();
  }

  std::unique_ptr<TestClient> Connect() {
    return std::make_unique<TestClient>(transport_.get(), loops_->loop(2), "loopback:resp");
  }
  std::string StoredValue(absl::string_view key) {
    ReadOptions options;
    ReadResults results;
    store_->MultiGet({key}, options, &results);
    return results[0].found ? std::string(results[0].value) : "absent";
  }

  RespService service_;
  std::unique_ptr<SlowStore> store_;
  const std::unique_ptr<EventLoops> loops_ = EventLoops::New(3).value();
  const std::unique_ptr<Transport> transport_ = NewLoopbackTransport();
  std::unique_ptr<StoreRunner> runner_;
  std::unique_ptr<Server> server_;
};

TEST_F(RespWaitingTest, TheWritesOfFiftyClientsAreWithTheStoreTogether) {
  constexpr size_t kClients = 50;
  std::vector<std::unique_ptr<TestClient>> clients;
  for (size_t i = 0; i < kClients; ++i) {
    clients.push_back(Connect());
    clients.back()->Send(Request({"SET", absl::StrCat("key", i), absl::StrCat("value", i)}));
  }
  store_->AwaitSubmitted(kClients);
  EXPECT_EQ(store_->Commit(), kClients) << "one group";
  for (size_t i = 0; i < kClients; ++i) {
    EXPECT_EQ(clients[i]->Receive(5), "+OK\r\n");
    EXPECT_EQ(StoredValue(absl::StrCat("key", i)), absl::StrCat("value", i));
  }
  EXPECT_EQ(store_->waiting_calls.load(), 0);
}

TEST_F(RespWaitingTest, ReadsAreAnsweredWhileWritesWait) {
  const auto writer = Connect();
  writer->Send(Request({"SET", "k", "new"}));
  store_->AwaitSubmitted(1);
  const auto reader = Connect();
  EXPECT_TRUE(reader->Asks(Request({"GET", "k"}), "$-1\r\n"));
  EXPECT_TRUE(reader->Asks(Request({"MGET", "k", "l"}), "*2\r\n$-1\r\n$-1\r\n"));
  EXPECT_EQ(store_->submitted(), 1U);
  EXPECT_EQ(store_->waiting_reads.load(), 0);
  store_->Commit();
  EXPECT_EQ(writer->Receive(5), "+OK\r\n");
  EXPECT_TRUE(reader->Asks(Request({"GET", "k"}), "$3\r\nnew\r\n"));
}

TEST_F(RespWaitingTest, AReadThatWouldWaitGoesToThePoolAndIsAnswered) {
  const auto client = Connect();
  client->Send(Request({"MSET", "hot", "1", "cold", "2"}));
  store_->AwaitSubmitted(1);
  EXPECT_EQ(store_->Commit(), 1U);
  EXPECT_EQ(client->Receive(5), "+OK\r\n");
  store_->MakeCold("cold");
  EXPECT_TRUE(client->Asks(Request({"GET", "hot"}), "$1\r\n1\r\n"));
  EXPECT_EQ(store_->waiting_reads.load(), 0);
  EXPECT_TRUE(client->Asks(Request({"GET", "cold"}), "$1\r\n2\r\n"));
  EXPECT_EQ(store_->waiting_reads.load(), 1);
  EXPECT_TRUE(client->Asks(Request({"GET", "hot"}) + Request({"MGET", "cold", "none", "hot"}) +
                               Request({"EXISTS", "cold"}) + "PING\r\n",
                           "$1\r\n1\r\n*3\r\n$1\r\n2\r\n$-1\r\n$1\r\n1\r\n:1\r\n+PONG\r\n"));
}

TEST_F(RespWaitingTest, RepliesKeepTheOrderOfRequests) {
  store_->MakeCold("b");
  const auto client = Connect();
  client->Send(Request({"SET", "a", "1"}) + Request({"GET", "a"}) + Request({"SET", "b", "2"}) +
               Request({"SET", "a", "3"}) + Request({"GET", "b"}) + Request({"INCR", "a"}) +
               Request({"DEL", "a", "b"}) + Request({"NONSENSE"}) + Request({"GET", "a"}));
  store_->AwaitSubmitted(1);
  EXPECT_EQ(store_->Commit(), 1U);
  EXPECT_EQ(client->Receive(12), "+OK\r\n$1\r\n1\r\n");
  store_->AwaitSubmitted(1);
  EXPECT_EQ(store_->Commit(), 1U) << "two that follow each other are one batch";
  EXPECT_EQ(client->Receive(21), "+OK\r\n+OK\r\n$1\r\n2\r\n:4\r\n");
  store_->AwaitSubmitted(1);
  EXPECT_EQ(store_->Commit(), 1U);
  EXPECT_EQ(client->Receive(4), ":2\r\n");
  EXPECT_EQ(client->ReceiveLine().substr(0, 20), "-ERR unknown command");
  EXPECT_EQ(client->Receive(5), "$-1\r\n");
}

TEST_F(RespWaitingTest, AnMSetIsABatchOfItsOwn) {
  const auto client = Connect();
  client->Send(Request({"SET", "a", "1"}) + Request({"MSET", "a", "2", "b", "2"}) +
               Request({"SET", "b", "3"}) + Request({"MSET", "a", "4", "b"}) +
               Request({"MGET", "a", "b"}));
  for (int i = 0; i < 3; ++i) {
    store_->AwaitSubmitted(1);
    EXPECT_EQ(store_->Commit(), 1U);
    EXPECT_EQ(client->Receive(5), "+OK\r\n");
  }
  EXPECT_EQ(client->ReceiveLine(), "-ERR wrong number of arguments for 'mset' command");
  EXPECT_EQ(client->Receive(18), "*2\r\n$1\r\n2\r\n$1\r\n3\r\n");
}

TEST_F(RespWaitingTest, AFailedWriteIsTheErrorOfItsClientOnly) {
  store_->FailWritesOf("bad", absl::DeadlineExceededError("the sync failed"));
  std::vector<std::unique_ptr<TestClient>> clients;
  for (const char* key : {"one", "bad", "two"}) {
    clients.push_back(Connect());
    clients.back()->Send(Request({"SET", key, "v"}));
  }
  store_->AwaitSubmitted(3);
  store_->Commit();
  EXPECT_EQ(clients[0]->Receive(5), "+OK\r\n");
  EXPECT_EQ(clients[1]->ReceiveLine(), "-ERR the sync failed");
  EXPECT_EQ(clients[2]->Receive(5), "+OK\r\n");
  EXPECT_TRUE(clients[1]->Asks(Request({"GET", "bad"}), "$-1\r\n"));
}

TEST_F(RespWaitingTest, AClientMayLeaveWhileItsWriteIsWithTheStore) {
  auto client = Connect();
  client->Send(Request({"SET", "k", std::string(100000, 'x')}));
  store_->AwaitSubmitted(1);
  client.reset();
  EXPECT_EQ(store_->Commit(), 1U);
  EXPECT_EQ(StoredValue("k"), std::string(100000, 'x')) << "its bytes stayed";
  EXPECT_TRUE(Connect()->Asks("PING\r\n", "+PONG\r\n"));
}

TEST_F(RespWaitingTest, AServerThatEndsWaitsForTheWritesThatAreWithTheStore) {
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 10; ++i) {
    clients.push_back(Connect());
    clients.back()->Send(Request({"SET", absl::StrCat(i), std::string(1000, 'v')}));
  }
  store_->AwaitSubmitted(10);
  server_.reset();  // ends the sessions at once
  EXPECT_EQ(store_->submitted(), 10U);
  std::thread ends_them([this] { store_->Commit(); });
  runner_.reset();
  EXPECT_EQ(store_->submitted(), 0U);
  ends_them.join();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(StoredValue(absl::StrCat(i)), std::string(1000, 'v'));
}

TEST_F(RespWaitingTest, DrainingAnswersTheWritesThatAreWithTheStore) {
  const auto client = Connect();
  client->Send(Request({"SET", "k", "v"}) + Request({"SET", "l", "v"}));
  store_->AwaitSubmitted(1);
  server_->BeginDrain();
  std::thread drains([this] { server_->Drain(kTestPatience); });
  store_->Commit();
  EXPECT_EQ(client->Receive(100), "+OK\r\n+OK\r\n");
  drains.join();
}

// What ends a connection, or has no reply, behind a write that has to be waited for.
struct WaitingHarness {
  WaitingHarness() : harness(NewStore(this)) {
    store = static_cast<SlowStore*>(&harness.store());
    loop = &harness.loop();
  }
  static std::unique_ptr<Store> NewStore(WaitingHarness* self) {
    SlowStoreOptions options;
    options.by_itself = false;
    options.on_loop = [self] { return self->loop != nullptr && self->loop->InLoop(); };
    return std::make_unique<SlowStore>(NewModelStore(), options);
  }
  SlowStore* store = nullptr;
  ScriptedLoop* loop = nullptr;
  SessionHarness harness;
};

TEST(RespWaitingSessionTest, AnErrorOfTheProtocolComesBehindTheWritesBeforeIt) {
  for (const char* error : {"*x\r\n", "GET \"a\r\nPING\r\n"}) {
    WaitingHarness slow;
    const auto connection = slow.harness.Connect();
    connection->wire->to_read = Request({"SET", "k", "v"}) + error;
    slow.harness.Move(*connection);
    EXPECT_EQ(connection->wire->written, "");
    const std::string reply = slow.harness.Send(*connection, "");
    EXPECT_EQ(reply.substr(0, 26), "+OK\r\n-ERR Protocol error: ") << reply;
    EXPECT_EQ(reply.find("PONG"), std::string::npos);
    EXPECT_TRUE(connection->wire->write_ended);
  }
}

TEST(RespWaitingSessionTest, WhatWebPagesSendIsDroppedBehindTheWritesBeforeIt) {
  WaitingHarness slow;
  const auto connection = slow.harness.Connect();
  EXPECT_EQ(slow.harness.Send(*connection, Request({"SET", "k", "v"}) + "POST / HTTP/1.1\r\n"),
            "+OK\r\n");
  EXPECT_TRUE(connection->over());
}

TEST(RespWaitingSessionTest, CommandsWithoutAReplyAreCarriedOut) {
  WaitingHarness slow;
  const auto connection = slow.harness.Connect();
  EXPECT_EQ(slow.harness.Send(*connection,
                              Request({"SET", "a", "1"}) + Request({"CLIENT", "REPLY", "SKIP"}) +
                                  Request({"SET", "a", "2"}) + Request({"GET", "a"}) +
                                  Request({"CLIENT", "REPLY", "OFF"}) + Request({"GET", "a"}) +
                                  Request({"SET", "a", "3"}) + Request({"NONSENSE"}) +
                                  Request({"CLIENT", "REPLY", "ON"}) + Request({"GET", "a"})),
            "+OK\r\n$1\r\n2\r\n+OK\r\n$1\r\n3\r\n");
}

TEST(RespWaitingSessionTest, OnlyOneCallOfAConnectionIsUnderWay) {
  WaitingHarness slow;
  const auto connection = slow.harness.Connect();
  connection->wire->to_read = Request({"SET", "k", "1"});
  slow.harness.Move(*connection);
  connection->wire->to_read = Request({"INCR", "k"}) + Request({"SET", "k", "9"});
  slow.harness.Move(*connection);
  EXPECT_EQ(slow.store->submitted(), 1U);
  EXPECT_TRUE(slow.harness.held().held.empty()) << "what came later is not read";
  EXPECT_EQ(slow.harness.Send(*connection, ""), "+OK\r\n:2\r\n+OK\r\n");
  EXPECT_EQ(slow.harness.Ask(*connection, {"GET", "k"}), "$1\r\n9\r\n");
}

TEST(RespWaitingSessionTest, TransactionsAreCarriedOutOnThePool) {
  WaitingHarness slow;
  const auto connection = slow.harness.Connect();
  EXPECT_EQ(
      slow.harness.Send(*connection, Request({"SET", "a", "1"}) + Request({"WATCH", "a"}) +
                                         Request({"GET", "a"}) + Request({"MULTI"}) +
                                         Request({"SET", "a", "2"}) + Request({"GET", "a"}) +
                                         Request({"EXEC"}) + Request({"SET", "b", "3"})),
      "+OK\r\n+OK\r\n$1\r\n1\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n$1\r\n2\r\n+OK\r\n");
}

}  // namespace
}  // namespace resp
}  // namespace kvarts
