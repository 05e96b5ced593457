#include "net/http/http.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "net/http/http_fixture.h"
#include "testing/model/manual_clock.h"

namespace kvarts {
namespace {

// What is looked up in a browser is shown there, and not saved as a file.
TEST_F(HttpTest, AValueWithoutATypeIsTextWhereItIsText) {
  StartServer();
  SetModelStore();
  auto client = Connect();
  const struct {
    std::string value;
    std::string type;
  } cases[] = {
      {"Bj\u00f6rn, tab\tand\r\nlines", "text/plain; charset=utf-8"},
      {"", "text/plain; charset=utf-8"},
      {std::string(64 << 10, 'x'), "text/plain; charset=utf-8"},
      {std::string((64 << 10) + 1, 'x'), "application/octet-stream"},
      {"not \xff UTF-8", "application/octet-stream"},
      {std::string("a\0b", 3), "application/octet-stream"},
      {"an escape \x1b[2J", "application/octet-stream"},
      {"delete \x7f", "application/octet-stream"},
  };
  for (const auto& [value, type] : cases) {
    ASSERT_TRUE(store_->Put("k", value).ok());
    const TestResponse response = client->Get("/v1/kv/k");
    EXPECT_EQ(response.Field("Content-Type"), type) << value.substr(0, 100);
    EXPECT_EQ(response.Field("X-Content-Type-Options"), "nosniff");
    EXPECT_TRUE(response.body == value);
  }
}

TEST_F(HttpTest, KeysHaveTheirValuesRaw) {
  StartServer();
  SetModelStore();
  auto client = Connect();
  TestResponse response = client->Get("/v1/kv/a");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "1");
  EXPECT_EQ(response.Field("Content-Type"), "text/plain; charset=utf-8");
  EXPECT_TRUE(response.Has("X-Content-Type-Options: nosniff"));
  EXPECT_EQ(client->Get("/v1/kv/a%20b/c").body, "2");
  EXPECT_EQ(client->Get("/v1/kv/a%20b%2fc").body, "2");
  EXPECT_EQ(client->Get("/v1/kv/?key_encoding=base64").body, "empty key");
  response = client->Get("/v1/kv/empty");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "");
  // The longest key, in its longest form.
  std::string longest;
  for (size_t i = 0; i < kMaxKeyBytes; ++i) longest += "%FF";
  EXPECT_EQ(client->Get(absl::StrCat("/v1/kv/", longest)).body, "long");
}

TEST_F(HttpTest, AKeptContentTypeIsSent) {
  StartServer();
  SetModelStore();
  Metadata metadata;
  metadata.content_type = Metadata::Change::kSet;
  metadata.type = "image/svg+xml";
  ASSERT_TRUE(store_->Put("picture", "<svg/>", metadata).ok());
  EXPECT_TRUE(Connect()->Get("/v1/kv/picture").Has("Content-Type: image/svg+xml"));
}

TEST_F(HttpTest, AnAbsentKeyIs404InJson) {
  StartServer();
  SetModelStore();
  auto client = Connect();
  const TestResponse response = client->Get("/v1/kv/none");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.body, "{\"error\":\"there is no such key\",\"code\":\"no_such_key\"}\n");
  EXPECT_TRUE(response.Has("Content-Type: application/json"));
  EXPECT_EQ(client->Get("/v1/kv/a").status, 200);
}

TEST_F(HttpTest, HeadHasTheLengthAndNoBody) {
  StartServer();
  SetModelStore();
  auto client = Connect();
  const TestResponse head = client->Request("HEAD /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(head.status, 200);
  EXPECT_TRUE(head.Has("Content-Length: 1"));
  EXPECT_EQ(client->Request("HEAD /v1/kv/none HTTP/1.1\r\nHost: x\r\n\r\n").status, 404);
  EXPECT_EQ(client->Get("/v1/kv/a").body, "1");
}

TEST_F(HttpTest, ClientErrorsKeepTheConnection) {
  StartServer();
  SetModelStore();
  auto client = Connect();
  EXPECT_EQ(client->Get("/v1/kv/%zz").status, 400);
  EXPECT_EQ(client->Get("/nothing").status, 404);
  const TestResponse patch = client->Request("PATCH /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(patch.status, 405);
  EXPECT_TRUE(patch.Has("Allow: GET, HEAD, PUT, DELETE"));
  EXPECT_EQ(client->Get("/v1/kv/a").body, "1");
}

TEST_F(HttpTest, BeforeItIsReadyItIsAliveOnly) {
  StartServer();
  auto client = Connect();
  EXPECT_EQ(client->Get("/livez").status, 200);
  EXPECT_EQ(client->Get("/readyz").status, 503);
  EXPECT_EQ(client->Get("/v1/kv/a").status, 503);
  SetModelStore();
  EXPECT_EQ(client->Get("/livez").status, 200);
  EXPECT_EQ(client->Get("/readyz").status, 200);
  EXPECT_EQ(client->Get("/v1/kv/a").status, 200);
}

TEST_F(HttpTest, AFailingStoreIs503) {
  StartServer();
  SetGatedStore(false);
  const TestResponse response = Connect()->Get("/v1/kv/fails");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.body, "{\"error\":\"the disk is on holiday\",\"code\":\"unavailable\"}\n");
}

TEST_F(HttpTest, PipelinedRequestsAreAnsweredInOrder) {
  for (const bool may_block : {false, true}) {
    StartServer();
    SetGatedStore(may_block);
    auto client = Connect();
    std::string requests;
    for (int i = 0; i < 300; ++i) {
      absl::StrAppend(&requests, "GET /v1/kv/", i % 3 == 0 ? "fails" : "x",
                      " HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    client->Send(requests);
    for (int i = 0; i < 300; ++i) ASSERT_EQ(client->Receive().status, i % 3 == 0 ? 503 : 200);
    client.reset();
    server_.reset();
    runner_.reset();
  }
}

TEST_F(HttpTest, HeadersInOneBytePiecesAreARequest) {
  StartServer();
  SetModelStore();
  auto client = Connect();
  for (const char c : std::string("GET /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n")) {
    client->Send(std::string(1, c));
  }
  EXPECT_EQ(client->Receive().body, "1");
}

TEST_F(HttpTest, Http10ClosesUnlessAskedToStay) {
  StartServer();
  SetModelStore();
  auto client = Connect();
  const TestResponse stays =
      client->Request("GET /v1/kv/a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(stays.body, "1");
  EXPECT_TRUE(stays.Has("Connection: keep-alive"));
  const TestResponse ends = client->Request("GET /v1/kv/a HTTP/1.0\r\n\r\n");
  EXPECT_EQ(ends.body, "1");
  EXPECT_TRUE(ends.Has("Connection: close"));
  EXPECT_EQ(client->ReadToEnd(), "");
}

TEST_F(HttpTest, ConnectionCloseIsDone) {
  StartServer();
  SetModelStore();
  auto client = Connect();
  const TestResponse response =
      client->Request("GET /v1/kv/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(response.Has("Connection: close"));
  EXPECT_EQ(client->ReadToEnd(), "");
}

TEST_F(HttpTest, GarbageIs400AndTheEnd) {
  StartServer();
  auto client = Connect();
  const TestResponse response = client->Request("\x16\x03\x01 hello\r\n\r\n");
  EXPECT_EQ(response.status, 400);
  EXPECT_TRUE(response.Has("Connection: close"));
  EXPECT_EQ(client->ReadToEnd(), "");
}

TEST_F(HttpTest, LimitsAnswerBeforeTheyEnd) {
  StartServer();
  SetModelStore();
  EXPECT_EQ(Connect()->Get(absl::StrCat("/v1/kv/", std::string(kMaxKeyBytes + 1, 'k'))).status,
            414);
  auto target = Connect();
  EXPECT_EQ(target->Get(absl::StrCat("/", std::string(300'000, 'k'))).status, 414);
  EXPECT_EQ(target->ReadToEnd(), "");
  auto fields = Connect();
  EXPECT_EQ(fields
                ->Request(absl::StrCat(
                    "GET / HTTP/1.1\r\nHost: x\r\nA: ", std::string(300'000, 'v'), "\r\n\r\n"))
                .status,
            431);
  EXPECT_EQ(fields->ReadToEnd(), "");
  auto body = Connect();
  EXPECT_EQ(
      body->Request("GET /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n").status,
      413);
  EXPECT_EQ(body->ReadToEnd(), "");
}

TEST_F(HttpTest, ABodyThatMeansNothingIsReadOver) {
  StartServer();
  SetModelStore();
  auto client = Connect();
  EXPECT_EQ(
      client->Request("GET /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nGET /").body,
      "1");
  EXPECT_EQ(client->Get("/v1/kv/a").body, "1");
}

TEST_F(HttpTest, Expect100ContinueIsAnsweredWhenTheBodyIsWanted) {
  StartServer();
  SetModelStore();
  auto client = Connect();
  const std::string head =
      "GET /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
  EXPECT_EQ(client->Request(head).status, 100);
  EXPECT_EQ(client->Request("12345").body, "1");
  // With the body already there nobody waits for it.
  EXPECT_EQ(client->Request(head + "12345").body, "1");
  EXPECT_EQ(client
                ->Request("POST /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                          "Expect: 100-continue\r\n\r\n")
                .status,
            405);
  EXPECT_EQ(client->ReadToEnd(), "");
  EXPECT_EQ(Connect()->Request("GET /no HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n").status,
            404);
  EXPECT_EQ(Connect()
                ->Request("GET /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                          "Expect: the-unexpected\r\n\r\n")
                .status,
            417);
}

TEST_F(HttpTest, ARequestThatDoesNotArriveIs408) {
  HttpOptions options;
  options.header_timeout = absl::Milliseconds(20);
  StartServer(options);
  auto client = Connect();
  EXPECT_EQ(client->Request("GET /v1/kv/a HTT").status, 408);
  EXPECT_EQ(client->ReadToEnd(), "");
}

TEST_F(HttpTest, ABodyThatDoesNotArriveIs408) {
  HttpOptions options;
  options.transfer_timeout = absl::Milliseconds(20);
  StartServer(options);
  SetModelStore();
  auto client = Connect();
  EXPECT_EQ(
      client->Request("GET /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12").status,
      408);
  EXPECT_EQ(client->ReadToEnd(), "");
}

TEST_F(HttpTest, IdleConnectionsAreClosedWithoutAWord) {
  HttpOptions options;
  options.idle_timeout = absl::Milliseconds(20);
  StartServer(options);
  EXPECT_EQ(Connect()->ReadToEnd(), "");
}

TEST_F(HttpTest, AClientThatDoesNotReadIsLetGo) {
  HttpOptions options;
  options.transfer_timeout = absl::Milliseconds(20);
  StartServer(options);
  GatedStore* const store = SetGatedStore(false);
  store->value->assign(8 << 20, 'v');
  auto client = Connect(/*reads=*/false);
  client->Send("GET /v1/kv/x HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(store->waiting.AwaitValue(1));
  server_->Drain(kTestPatience);
  EXPECT_EQ(server_->clients(), 0);
  EXPECT_EQ(store->value.use_count(), 1);
}

TEST_F(HttpTest, ALargeValueStaysPinnedUntilItIsSentAndIsNotCopied) {
  StartServer();
  GatedStore* const store = SetGatedStore(false);
  store->value->assign(kMaxValueBytes, 'v');
  auto client = Connect(/*reads=*/false);
  client->Send("GET /v1/kv/x HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(store->waiting.AwaitValue(1));
  RunOn(loops_->loop(0), [] {});  // the answer has been queued
  EXPECT_EQ(store->value.use_count(), 2);
  client->StartReading();
  const TestResponse response = client->Receive();
  EXPECT_EQ(response.body.size(), kMaxValueBytes);
  EXPECT_TRUE(response.body == *store->value);
  RunOn(loops_->loop(0), [] {});
  EXPECT_EQ(store->value.use_count(), 1);
}

TEST_F(HttpTest, AValueThatWasLostIsNotSent) {
  StartServer();
  GatedStore* const store = SetGatedStore(false);
  store->losses = 1;
  EXPECT_EQ(Connect()->Get("/v1/kv/x").status, 503);
  // A large one may have been sent in part: the connection ends.
  store->value->assign(8 << 20, 'v');
  auto client = Connect();
  client->Send("GET /v1/kv/x HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client->ReadToEnd(), "");
}

TEST_F(HttpTest, WhoDoesNotReadItsAnswersIsNotReadFrom) {
  StartServer();
  GatedStore* const store = SetGatedStore(false);
  store->value->assign(400'000, 'v');
  auto client = Connect(/*reads=*/false);
  std::string requests;
  for (int i = 0; i < 100; ++i) requests += "GET /v1/kv/x HTTP/1.1\r\nHost: x\r\n\r\n";
  client->Send(requests);
  RunOn(loops_->loop(0), [] {});
  // They were looked at together; what is large waits for its turn.
  EXPECT_LE(store->waiting.Get(), 1 + 4);
  EXPECT_LE(store->value.use_count(), 1 + 4);
  client->StartReading();
  for (int i = 0; i < 100; ++i) ASSERT_EQ(client->Receive().body.size(), 400'000u);
  EXPECT_EQ(store->waiting.Get(), 2 + 100);
}

TEST_F(HttpTest, HalfClosedClientsGetTheirAnswers) {
  StartServer();
  GatedStore* const store = SetGatedStore(true);
  store->open.Set(false);
  auto client = Connect();
  client->Send("GET /v1/kv/x HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/kv/y HTTP/1.1\r\nHost: x\r\n\r\n");
  client->CloseWrite();
  store->open.Set(true);
  EXPECT_EQ(client->Receive().body, "value");
  EXPECT_EQ(client->Receive().body, "value");
  EXPECT_EQ(client->ReadToEnd(), "");
}

TEST_F(HttpTest, AnUnfinishedRequestAtTheEndIs400) {
  StartServer();
  auto client = Connect();
  client->Send("GET /livez HTTP/1.1\r\n");
  client->CloseWrite();
  EXPECT_EQ(client->Receive().status, 400);
  EXPECT_EQ(client->ReadToEnd(), "");
}

TEST_F(HttpTest, AClientMayLeaveWhileTheStoreWorks) {
  StartServer();
  GatedStore* const store = SetGatedStore(true);
  store->open.Set(false);
  auto client = Connect();
  client->Send("GET /v1/kv/x HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(store->waiting.AwaitValue(1));
  server_.reset();  // its sessions end with it
  EXPECT_EQ(client->ReadToEnd(), "");
  store->open.Set(true);
  runner_.reset();
  RunOn(loops_->loop(0), [] {});
  EXPECT_EQ(store->value.use_count(), 1);
}

TEST_F(HttpTest, DrainingAnswersWhatIsUnderWayAndClosesTheIdle) {
  StartServer();
  GatedStore* const store = SetGatedStore(true);
  auto idle = Connect();
  EXPECT_EQ(idle->Get("/livez").status, 200);
  store->open.Set(false);
  auto busy = Connect();
  busy->Send("GET /v1/kv/x HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/kv/y HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(store->waiting.AwaitValue(1));
  auto begun = Connect();
  begun->Send("GET /livez HT");
  RunOn(loops_->loop(0), [] {});
  server_->Drain(absl::ZeroDuration());
  EXPECT_EQ(idle->ReadToEnd(), "");
  begun->Send("TP/1.1\r\nHost: x\r\n\r\n");
  TestResponse response = begun->Receive();
  EXPECT_EQ(response.status, 200);
  EXPECT_TRUE(response.Has("Connection: close"));
  EXPECT_EQ(begun->ReadToEnd(), "");
  store->open.Set(true);
  response = busy->Receive();
  EXPECT_EQ(response.body, "value");
  EXPECT_FALSE(response.Has("Connection: close"));
  response = busy->Receive();
  EXPECT_EQ(response.body, "value");
  EXPECT_TRUE(response.Has("Connection: close"));
  EXPECT_EQ(busy->ReadToEnd(), "");
}

TEST_F(HttpTest, TheDateIsTheClocks) {
  ManualClock clock;
  HttpOptions options;
  options.clock = &clock;
  StartServer(options);
  auto client = Connect();
  EXPECT_TRUE(client->Get("/livez").Has("Date: Tue, 14 Nov 2023 22:13:20 GMT"));
  clock.Advance(absl::Seconds(61));
  EXPECT_TRUE(client->Get("/livez").Has("Date: Tue, 14 Nov 2023 22:14:21 GMT"));
}

}  // namespace
}  // namespace kvarts
