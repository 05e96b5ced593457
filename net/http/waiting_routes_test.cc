// Requests to a store that may block and says how not to.

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/http/http_fixture.h"
#include "testing/model/slow_store.h"

namespace kvarts {
namespace {

class HttpWaitingTest : public HttpTest {
 protected:
  HttpWaitingTest() {
    StartServer();
    SlowStoreOptions options;
    options.by_itself = false;
    auto store = std::make_unique<SlowStore>(NewModelStore(), options);
    slow_ = store.get();
    SetStore(std::move(store));
  }
  ~HttpWaitingTest() override { slow_->Commit(); }

  std::string Put(absl::string_view key, absl::string_view value) {
    return absl::StrCat("PUT /v1/kv/", key,
                        " HTTP/1.1\r\nHost: x\r\nContent-Length: ", value.size(), "\r\n\r\n",
                        value);
  }

  SlowStore* slow_ = nullptr;
};

TEST_F(HttpWaitingTest, TheWritesOfFiftyClientsAreWithTheStoreTogether) {
  std::vector<std::unique_ptr<TestConnection>> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(Connect());
    clients.back()->Send(Put(absl::StrCat("key", i), absl::StrCat("value", i)));
  }
  slow_->AwaitSubmitted(50);
  EXPECT_EQ(slow_->Commit(), 50U);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(clients[i]->Receive().status, 201);
    EXPECT_EQ(clients[i]->Get(absl::StrCat("/v1/kv/key", i)).body, absl::StrCat("value", i));
  }
  EXPECT_EQ(slow_->waiting_calls.load(), 0);
  EXPECT_EQ(slow_->waiting_reads.load(), 0);
}

TEST_F(HttpWaitingTest, EachKindOfWriteIsSubmittedAndReadsDoNotWaitForIt) {
  const auto writer = Connect();
  const auto reader = Connect();
  writer->Send(Put("k?ttl_ms=100000000", "v"));
  slow_->AwaitSubmitted(1);
  EXPECT_EQ(reader->Get("/v1/kv/k").status, 404);
  slow_->Commit();
  EXPECT_EQ(writer->Receive().status, 201);
  EXPECT_NE(reader->Get("/v1/kv/k").Field("X-Expires-At-Ms"), "");
  writer->Send("DELETE /v1/kv/k HTTP/1.1\r\nHost: x\r\n\r\n");
  slow_->AwaitSubmitted(1);
  slow_->Commit();
  EXPECT_EQ(writer->Receive().status, 204);
  const std::string body =
      R"({"mutations": [{"put": "a", "value": "1"}, {"delete": "none"}], "atomic": true})";
  writer->Send(
      absl::StrCat("POST /v1/batch/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n",
                   "Content-Length: ", body.size(), "\r\n\r\n", body));
  slow_->AwaitSubmitted(1);
  slow_->Commit();
  const TestResponse response = writer->Receive();
  EXPECT_EQ(response.status, 200);
  EXPECT_NE(response.body.find("{\"status\":404,\"existed\":false}"), std::string::npos)
      << response.body;
  EXPECT_EQ(reader->Get("/v1/kv/a").body, "1");
  EXPECT_EQ(slow_->waiting_calls.load(), 0);
}

TEST_F(HttpWaitingTest, WritesUnderConditionsAndReadsOfTheDiskRunOnThePool) {
  const auto client = Connect();
  EXPECT_EQ(client->WithBody("PUT", "/v1/kv/k", "v", "If-None-Match: *\r\n").status, 201);
  EXPECT_EQ(client->WithBody("PUT", "/v1/kv/k", "w", "If-None-Match: *\r\n").status, 412);
  EXPECT_EQ(
      client
          ->WithBody("POST", "/v1/batch/write",
                     R"({"mutations": [{"put": "k", "value": "1"}], "if": [{"absent": "k"}]})",
                     "Content-Type: application/json\r\n")
          .status,
      412);
  slow_->MakeCold("k");
  const int before = slow_->waiting_reads.load();
  EXPECT_EQ(client->Get("/v1/kv/k").body, "v");
  EXPECT_EQ(slow_->waiting_reads.load(), before + 1);
  // Several that came together are asked together.
  client->Send(
      "GET /v1/kv/k HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/kv/none HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client->Receive().body, "v");
  EXPECT_EQ(client->Receive().status, 404);
}

TEST_F(HttpWaitingTest, AnswersKeepTheOrderOfRequests) {
  const auto client = Connect();
  const std::string get = "GET /v1/kv/k HTTP/1.1\r\nHost: x\r\n\r\n";
  client->Send(Put("k", "1") + get + Put("k", "2") + get);
  for (const char* value : {"1", "2"}) {
    slow_->AwaitSubmitted(1);
    EXPECT_EQ(slow_->Commit(), 1U);
    EXPECT_EQ(client->Receive().status, value == std::string("1") ? 201 : 204);
    EXPECT_EQ(client->Receive().body, value);
  }
}

TEST_F(HttpWaitingTest, AFailedWriteIsTheErrorOfItsClientOnly) {
  slow_->FailWritesOf("bad", absl::DeadlineExceededError("the sync failed"));
  const auto good = Connect();
  const auto bad = Connect();
  good->Send(Put("good", "v"));
  bad->Send(Put("bad", "v"));
  slow_->AwaitSubmitted(2);
  slow_->Commit();
  EXPECT_EQ(good->Receive().status, 201);
  const TestResponse failed = bad->Receive();
  EXPECT_EQ(failed.status, 504);
  EXPECT_EQ(failed.body, "{\"error\":\"the sync failed\",\"code\":\"deadline_exceeded\"}\n");
}

TEST_F(HttpWaitingTest, AClientMayLeaveWhileItsWriteIsWithTheStore) {
  auto client = Connect();
  client->Send(Put("k", std::string(100000, 'x')));
  slow_->AwaitSubmitted(1);
  client.reset();
  EXPECT_EQ(slow_->Commit(), 1U);
  EXPECT_EQ(Connect()->Get("/v1/kv/k").body, std::string(100000, 'x')) << "its bytes stayed";
}

TEST_F(HttpWaitingTest, AServerThatEndsWaitsForTheWritesThatAreWithTheStore) {
  const auto client = Connect();
  client->Send(Put("k", std::string(1000, 'v')));
  slow_->AwaitSubmitted(1);
  server_.reset();  // ends the session at once
  std::thread ends_it([this] { slow_->Commit(); });
  runner_.reset();
  EXPECT_EQ(slow_->submitted(), 0U);
  ends_it.join();
  ReadResults results;
  slow_->Read("k", ReadOptions(), &results);
  EXPECT_EQ(results[0].value, std::string(1000, 'v'));
}

}  // namespace
}  // namespace kvarts
