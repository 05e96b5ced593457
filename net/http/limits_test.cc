// Passwords, and clients that mean no good.

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "net/http/http_fixture.h"

namespace kvarts {
namespace {

using LimitsTest = HttpTest;

std::string Basic(absl::string_view user, absl::string_view password) {
  return absl::StrCat("Authorization: Basic ",
                      absl::Base64Escape(absl::StrCat(user, ":", password)), "\r\n");
}

TEST_F(LimitsTest, ThePasswordIsAskedForEverywhereButByProbes) {
  HttpOptions options;
  options.password = "s3cret:with colon";
  StartServer(options);
  SetModelStore();
  auto client = Connect();
  EXPECT_EQ(client->Get("/livez").status, 200);
  EXPECT_EQ(client->Get("/readyz").status, 200);
  for (const char* target : {"/", "/v1/kv/a", "/metrics", "/v1/status", "/docs", "/openapi.json",
                             "/pages/status.js", "/nothing", "/v1/kv/%zz"}) {
    const TestResponse response = client->Get(target);
    EXPECT_EQ(response.status, 401) << target;
    EXPECT_EQ(response.Field("WWW-Authenticate"), "Basic realm=\"kvarts\", charset=\"UTF-8\"");
    EXPECT_EQ(client->Get(target, Basic("u", "wrong")).status, 401) << target;
  }
  EXPECT_EQ(client->Get("/v1/kv/a", Basic("", options.password)).body, "1");
  EXPECT_EQ(client->Get("/v1/kv/a", Basic("anyone", options.password)).body, "1");
  EXPECT_EQ(client->Get("/v1/kv/a", "Authorization: Bearer s3cret:with colon\r\n").body, "1");
  EXPECT_EQ(client->Get("/v1/kv/a", "AUTHORIZATION: bEARER   s3cret:with colon\r\n").body, "1");
  for (const char* field :
       {"", "Basic", "Basic ", "Basic *", "Basic dXNlcg==", "Bearer", "Bearer ", "Bearer s3cret",
        "Digest s3cret:with colon", "s3cret:with colon", "Bearers3cret:with colon"}) {
    EXPECT_EQ(client->Get("/v1/kv/a", absl::StrCat("Authorization: ", field, "\r\n")).status, 401)
        << field;
  }
}

// Python's http.client and Node's fetch send all of it before they read.
TEST_F(LimitsTest, WhoSendsABodyThatIsRefusedSeesTheAnswer) {
  HttpOptions options;
  options.password = "s3cret";
  StartServer(options);
  SetModelStore();
  auto client = Connect();
  const std::string part(1 << 20, 'x');
  client->Send("PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 33554432\r\n\r\n");
  for (int i = 0; i < 32; ++i) {
    const absl::Status sent = client->TrySend(part);
    ASSERT_TRUE(sent.ok()) << i << " " << sent;
  }
  EXPECT_EQ(client->Receive().status, 401);
}

TEST_F(LimitsTest, WithoutThePasswordNoBodyIsRead) {
  HttpOptions options;
  options.password = "s3cret";
  StartServer(options);
  SetModelStore();
  auto client = Connect();
  EXPECT_EQ(client
                ->Request("PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 60000000\r\n"
                          "Expect: 100-continue\r\n\r\n")
                .status,
            401);
  EXPECT_EQ(client->ReadToEnd(), "");
}

// A byte now and then does not keep a connection: the time counts from the first.
TEST_F(LimitsTest, AHeaderThatTricklesIs408) {
  HttpOptions options;
  options.header_timeout = absl::Milliseconds(50);
  StartServer(options);
  auto slow = Connect();
  auto good = Connect();
  slow->Send("GET /livez HTTP/1.1\r\nHost: x\r\nA: ");
  while (slow->ReceivedBytes() == 0) {
    slow->Send("b");
    ASSERT_EQ(good->Get("/livez").status, 200);
  }
  EXPECT_EQ(slow->Receive().status, 408);
}

TEST_F(LimitsTest, ManySlowConnectionsHoldLittleAndOthersAreServed) {
  StartServer();
  SetModelStore();
  std::vector<std::unique_ptr<TestConnection>> slow;
  for (int i = 0; i < 300; ++i) {
    slow.push_back(Connect());
    slow.back()->Send("PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 67108864\r\n\r\nbegin");
  }
  auto good = Connect();
  for (int i = 0; i < 100; ++i) ASSERT_EQ(good->Get("/v1/kv/a").status, 200);
  // Nothing was taken for what they have declared.
  EXPECT_LT(service_->buffered().load(), 1 << 20);
}

TEST_F(LimitsTest, WhatAllConnectionsHoldHasACap) {
  HttpOptions options;
  options.max_buffered = 3 << 20;
  StartServer(options);
  SetModelStore();
  const std::string head = "PUT /v1/kv/x HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n";
  auto first = Connect();
  first->Send(head + std::string(1'900'000, 'v'));
  RunOn(loops_->loop(0), [] {});
  auto second = Connect();
  second->Send(head);
  for (int i = 0; i < 19 && second->ReceivedBytes() == 0; ++i) {
    second->Send(std::string(100'000, 'v'));
    RunOn(loops_->loop(0), [] {});
  }
  EXPECT_EQ(second->Receive().status, 503);
  // Small requests go on, and the first, which was there before, comes to its end.
  EXPECT_EQ(Connect()->Get("/v1/kv/a").status, 200);
  second.reset();
  first->Send(std::string(100'000, 'v'));
  EXPECT_EQ(first->Receive().status, 201);
  first.reset();
  Stop();
  EXPECT_EQ(service_->buffered().load(), 0);
}

// Each may have max_output of answers waiting, all of them together no more than
// the cap and one answer each.
TEST_F(LimitsTest, ClientsThatDoNotReadAreHeldToTheCap) {
  HttpOptions options;
  options.max_output = 1 << 20;
  options.max_buffered = 2 << 20;
  StartServer(options);
  GatedStore* const store = SetGatedStore(false);
  store->value->assign(15'000, 'v');  // copied, not lent
  std::string requests;
  for (int i = 0; i < 200; ++i) requests += "GET /v1/kv/x HTTP/1.1\r\nHost: x\r\n\r\n";
  std::vector<std::unique_ptr<TestConnection>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(Connect(/*reads=*/false));
    clients.back()->Send(requests);
  }
  RunOn(loops_->loop(0), [] {});
  EXPECT_LT(service_->buffered().load(), (2 << 20) + 20 * 100'000);
  // Nobody is forgotten.
  for (auto& client : clients) {
    client->StartReading();
    for (int i = 0; i < 200; ++i) ASSERT_EQ(client->Receive().body.size(), 15'000u);
  }
}

TEST_F(LimitsTest, ABodyInChunksIsHeldToItsLimitToo) {
  StartServer();
  SetModelStore();
  auto client = Connect();
  client->Send("POST /v1/batch/get HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = absl::StrCat("100000\r\n", std::string(1 << 20, ' '), "\r\n");
  for (int i = 0; i < 10 && client->ReceivedBytes() == 0; ++i) {
    client->Send(chunk);
    RunOn(loops_->loop(0), [] {});
  }
  EXPECT_EQ(client->Receive().status, 413);
  auto huge = Connect();
  huge->Send(
      "POST /v1/batch/get HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "fffffffffffffff0\r\n");
  EXPECT_EQ(huge->Receive().status, 413) << "before any of it";
}

TEST_F(LimitsTest, FloodsOfPipelinedRequestsAreAnsweredAll) {
  StartServer();
  SetModelStore();
  auto client = Connect();
  std::string requests;
  for (int i = 0; i < 5000; ++i) requests += "GET /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n";
  client->Send(requests);
  for (int i = 0; i < 5000; ++i) ASSERT_EQ(client->Receive().body, "1");
}

TEST_F(LimitsTest, PipelinedRequestsInAnyCutsGiveTheSameAnswers) {
  StartServer();
  SetModelStore();
  const std::string requests =
      "GET /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n"
      "GET /v1/kv/none HTTP/1.1\r\nHost: x\r\n\r\n"
      "POST /v1/batch/get HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\n\r\n{\"keys\":[\"a\"]}"
      "GET /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n"
      "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
      "GET /v1/kv/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  for (size_t cut = 1; cut < requests.size(); cut += 3) {
    auto client = Connect();
    client->Send(requests.substr(0, cut));
    client->Send(requests.substr(cut));
    for (const int status : {200, 404, 200, 200, 404, 200}) {
      ASSERT_EQ(client->Receive().status, status) << cut;
    }
    EXPECT_EQ(client->ReadToEnd(), "");
  }
}

TEST_F(LimitsTest, AnErrorBehindPipelinedRequestsDoesNotOvertakeThem) {
  StartServer();
  SetModelStore();
  auto client = Connect();
  client->Send(
      "GET /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n"
      "nonsense\r\n\r\n");
  EXPECT_EQ(client->Receive().body, "1");
  EXPECT_EQ(client->Receive().body, "1");
  EXPECT_EQ(client->Receive().status, 400);
  EXPECT_EQ(client->ReadToEnd(), "");
}

}  // namespace
}  // namespace kvarts
