#include "net/http/client/http_client.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "net/event_loop.h"
#include "net/loopback/loopback.h"
#include "net/transport.h"
#include "testing/conformance/transport_harness.h"
#include "testing/conformance/transport_peer.h"

namespace kvarts {
namespace {

constexpr char kAddress[] = "loopback:server";

// What became of a request.
struct Got {
  int answers = 0;
  CrossThreadStatus status;
  int code = 0;
  std::string body;
  std::string parts;
};

// A client, and a server that says what the test says.
class HttpClientTest : public testing::Test {
 protected:
  HttpClientTest() {
    Listen();
    RunOn(loop(), [this] {
      client_ = std::make_unique<HttpClient>(loop(), transport_.get(), kAddress, "server");
    });
  }
  ~HttpClientTest() override {
    RunOn(loop(), [this] {
      client_.reset();
      listener_.reset();
    });
    std::deque<std::shared_ptr<TestStream>> left;
    accepted_.Update([&](auto* streams) { streams->swap(left); });
  }

  EventLoop* loop() { return loops_->loop(0); }

  void Listen() {
    EventLoop* const loops[] = {loop()};
    listener_ = transport_
                    ->Listen(loops, kAddress, ListenOptions(),
                             [this](std::unique_ptr<Stream> stream) {
                               auto accepted = std::make_shared<TestStream>(std::move(stream));
                               accepted_.Update([&](auto* all) { all->push_back(accepted); });
                             })
                    .value();
  }

  std::shared_ptr<TestStream> Accepted() {
    EXPECT_TRUE(accepted_.Await([](const auto& all) { return !all.empty(); }));
    std::shared_ptr<TestStream> first;
    accepted_.Update([&](auto* all) {
      first = std::move(all->front());
      all->pop_front();
    });
    return first;
  }

  using SharedGot = std::shared_ptr<Awaited<Got>>;

  SharedGot Send(const std::string& body, absl::Duration timeout = absl::InfiniteDuration(),
                 uint64_t connection = 0, bool stream = false) {
    auto got = std::make_shared<Awaited<Got>>();
    EXPECT_TRUE(RunOn(loop(), [&] {
      HttpClientRequest request;
      request.target = "/t";
      request.body = body;
      request.fields.emplace_back("X-Field", "v");
      request.connection = connection;
      const auto done = [got](const absl::StatusOr<HttpClientResponse>& response) {
        got->Update([&](Got* g) {
          ++g->answers;
          g->status = response.status();
          if (!response.ok()) return;
          g->code = response->status;
          g->body = response->body;
        });
      };
      if (stream) {
        client_->Stream(
            std::move(request), timeout,
            [got](absl::string_view part) {
              got->Update([&](Got* g) { absl::StrAppend(&g->parts, part); });
            },
            done);
      } else {
        client_->Send(std::move(request), timeout, done);
      }
      EXPECT_EQ(got->Get().answers, 0) << "inside the call";
    }));
    return got;
  }

  static Got Await(const SharedGot& got) {
    EXPECT_TRUE(got->Await([](const Got& g) { return g.answers > 0; }));
    return got->Get();
  }

  static std::string Request(absl::string_view body) {
    return absl::StrCat("POST /t HTTP/1.1\r\nHost: server\r\nContent-Length: ", body.size(),
                        "\r\nX-Field: v\r\n\r\n", body);
  }
  static void ExpectRequest(TestStream* server, absl::string_view body) {
    const std::string wanted = Request(body);
    const auto got = server->ReadExactly(wanted.size());
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(*got, wanted);
  }

  uint64_t connection() {
    uint64_t number = 0;
    RunOn(loop(), [&] { number = client_->connection(); });
    return number;
  }

  const std::unique_ptr<EventLoops> loops_ = EventLoops::New(1).value();
  const std::unique_ptr<Transport> transport_ = NewLoopbackTransport();
  std::unique_ptr<Listener> listener_;
  Awaited<std::deque<std::shared_ptr<TestStream>>> accepted_;
  std::unique_ptr<HttpClient> client_;
};

TEST_F(HttpClientTest, RequestsGoOneAfterTheOtherOverOneConnection) {
  const auto first = Send("one");
  const auto second = Send("two");
  const auto server = Accepted();
  ExpectRequest(server.get(), "one");
  ASSERT_TRUE(server->Write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").ok());
  EXPECT_EQ(Await(first).body, "hello");
  ExpectRequest(server.get(), "two");
  ASSERT_TRUE(server->Write("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").ok());
  EXPECT_EQ(Await(second).code, 503);
  EXPECT_TRUE(second->Get().status.Get().ok());
  EXPECT_EQ(connection(), 1u);
}

TEST_F(HttpClientTest, AResponseMayComeByteByByteAndInChunks) {
  const std::string body(300, 'b');
  std::shared_ptr<TestStream> server;
  for (const std::string& response :
       {absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n", body),
        absl::StrCat("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n",
                     body.substr(0, 100), "\r\nc8;x=y\r\n", body.substr(0, 200),
                     "\r\n0\r\nTrailer: t\r\n\r\n")}) {
    const auto got = Send("q");
    if (server == nullptr) server = Accepted();
    ExpectRequest(server.get(), "q");
    for (const char c : response) ASSERT_TRUE(server->Write(std::string(1, c)).ok());
    EXPECT_EQ(Await(got).body, body);
    EXPECT_EQ(got->Get().code, 200);
  }
}

TEST_F(HttpClientTest, ALargeBodyComesWhole) {
  const auto got = Send(std::string(3 << 20, 'q'));
  const auto server = Accepted();
  ExpectRequest(server.get(), std::string(3 << 20, 'q'));
  const std::string body(5 << 20, 'a');
  ASSERT_TRUE(server
                  ->Write(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", body.size(),
                                       "\r\n\r\n", body))
                  .ok());
  EXPECT_TRUE(Await(got).body == body);
}

TEST_F(HttpClientTest, ABodyWithoutALengthEndsWithTheConnection) {
  const auto got = Send("q");
  auto server = Accepted();
  ExpectRequest(server.get(), "q");
  ASSERT_TRUE(server->Write("HTTP/1.1 200 OK\r\n\r\nto the end").ok());
  server->Destroy();
  EXPECT_EQ(Await(got).body, "to the end");
  const auto next = Send("r");
  server = Accepted();
  ExpectRequest(server.get(), "r");
}

TEST_F(HttpClientTest, AStreamsPartsComeAsTheyAreSent) {
  const auto got = Send("q", absl::InfiniteDuration(), 0, /*stream=*/true);
  const auto server = Accepted();
  ExpectRequest(server.get(), "q");
  ASSERT_TRUE(server->Write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").ok());
  std::string all;
  for (const std::string part : {"one\n", "two\n", "3"}) {
    ASSERT_TRUE(server->Write(absl::StrCat(part.size(), "\r\n", part, "\r\n")).ok());
    all += part;
    EXPECT_TRUE(got->Await([&](const Got& g) { return g.parts == all; }));
  }
  EXPECT_EQ(got->Get().answers, 0);
  ASSERT_TRUE(server->Write("0\r\n\r\n").ok());
  EXPECT_TRUE(Await(got).status.Get().ok());
  EXPECT_EQ(got->Get().body, "");
}

TEST_F(HttpClientTest, WhereNobodyListensNothingWasSent) {
  RunOn(loop(), [this] { listener_.reset(); });
  EXPECT_EQ(Await(Send("q")).status.Get().code(), absl::StatusCode::kUnavailable);
  // And the next one tries again.
  RunOn(loop(), [this] { Listen(); });
  const auto got = Send("q");
  ExpectRequest(Accepted().get(), "q");
}

TEST_F(HttpClientTest, AConnectionThatEndsBeforeTheResponseIsAborted) {
  for (const char* said :
       {"", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"}) {
    const auto got = Send("q");
    const auto server = Accepted();
    ExpectRequest(server.get(), "q");
    ASSERT_TRUE(server->Write(said).ok());
    server->Destroy();
    EXPECT_EQ(Await(got).status.Get().code(), absl::StatusCode::kAborted) << said;
  }
}

TEST_F(HttpClientTest, WhatIsNoHttpIsAborted) {
  for (const char* said : {"SSH-2.0-x\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n",
                           "HTTP/1.1 100 Continue\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n..."}) {
    const auto got = Send("q");
    const auto server = Accepted();
    ExpectRequest(server.get(), "q");
    ASSERT_TRUE(server->Write(said).ok());
    EXPECT_EQ(Await(got).status.Get().code(), absl::StatusCode::kAborted) << said;
    EXPECT_EQ(connection(), 0u);
  }
}

TEST_F(HttpClientTest, AnAnswerThatIsLateClosesTheConnection) {
  const auto got = Send("q", absl::Milliseconds(20));
  const auto behind = Send("r", absl::Milliseconds(20));
  const auto server = Accepted();
  EXPECT_EQ(Await(got).status.Get().code(), absl::StatusCode::kDeadlineExceeded);
  // It was never begun.
  EXPECT_EQ(Await(behind).status.Get().code(), absl::StatusCode::kUnavailable);
  const auto next = Send("s");
  const auto other = Accepted();
  ExpectRequest(other.get(), "s");
  ASSERT_TRUE(other->Write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok());
  EXPECT_EQ(Await(next).code, 200);
}

TEST_F(HttpClientTest, AnIdleConnectionThatEndsIsReplaced) {
  auto got = Send("q");
  auto server = Accepted();
  ExpectRequest(server.get(), "q");
  ASSERT_TRUE(server->Write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok());
  EXPECT_EQ(Await(got).code, 200);
  EXPECT_EQ(connection(), 1u);
  server->Destroy();
  while (connection() != 0) {
  }
  // What wants that one does not go over another.
  EXPECT_EQ(Await(Send("x", absl::InfiniteDuration(), 1)).status.Get().code(),
            absl::StatusCode::kUnavailable);
  got = Send("r");
  server = Accepted();
  ExpectRequest(server.get(), "r");
  ASSERT_TRUE(
      server->Write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").ok());
  EXPECT_EQ(Await(got).code, 200);
  EXPECT_EQ(connection(), 0u);
}

TEST_F(HttpClientTest, TheEndDropsWhatIsUnderWay) {
  const auto sent = Send("q");
  const auto behind = Send("r");
  const auto server = Accepted();
  ExpectRequest(server.get(), "q");
  RunOn(loop(), [this] { client_.reset(); });
  EXPECT_EQ(sent.use_count(), 1);
  EXPECT_EQ(behind.use_count(), 1);
  EXPECT_EQ(sent->Get().answers + behind->Get().answers, 0);
}

TEST_F(HttpClientTest, ACallbackMayEndTheClient) {
  for (const bool stream : {false, true}) {
    Awaited<bool> ended(false);
    ASSERT_TRUE(RunOn(loop(), [&] {
      client_ = std::make_unique<HttpClient>(loop(), transport_.get(), kAddress, "server");
      const auto end = [&] {
        client_.reset();
        ended.Set(true);
      };
      if (stream) {
        client_->Stream(
            {}, absl::InfiniteDuration(), [end](absl::string_view) { end(); }, [](const auto&) {});
      } else {
        client_->Send({}, absl::InfiniteDuration(), [end](const auto&) { end(); });
      }
    }));
    const auto server = Accepted();
    ASSERT_TRUE(server->Read(1 << 10).ok());
    ASSERT_TRUE(server->Write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab").ok());
    EXPECT_TRUE(ended.AwaitValue(true));
  }
}

}  // namespace
}  // namespace kvarts
