#ifndef KVARTS_NET_HTTP_HTTP_TEST_UTIL_H_
#define KVARTS_NET_HTTP_HTTP_TEST_UTIL_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "net/transport.h"
#include "testing/conformance/transport_harness.h"

namespace kvarts {

// One response as a client sees it.
struct TestResponse {
  int status = 0;
  std::string head;  // with the status line
  std::string body;

  bool Has(absl::string_view line) const {
    return absl::StrContains(head, absl::StrCat("\r\n", line, "\r\n"));
  }
};

// Not thread-safe. A connection that waits: for a test's own thread.
class TestConnection {
 public:
  // `reads` false: nothing is read before StartReading().
  TestConnection(Transport* transport, EventLoop* loop, absl::string_view address,
                 bool reads = true)
      : loop_(loop) {
    Awaited<bool> connected(false);
    transport->Connect(loop, address, kTestPatience,
                       [&](absl::StatusOr<std::unique_ptr<Stream>> stream) {
                         if (stream.ok()) stream_ = *std::move(stream);
                         connected.Set(true);
                       });
    connected.AwaitValue(true);
    EXPECT_NE(stream_, nullptr);
    if (reads) StartReading();
  }
  ~TestConnection() {
    RunOn(loop_, [this] { stream_.reset(); });
  }

  void StartReading() {
    RunOn(loop_, [this] { ReadMore(); });
  }

  void Send(absl::string_view text) {
    Awaited<bool> written(false);
    RunOn(loop_,
          [&] { stream_->Write({text}, kTestPatience, [&](absl::Status) { written.Set(true); }); });
    written.AwaitValue(true);
  }
  void CloseWrite() {
    RunOn(loop_, [this] { stream_->CloseWrite(); });
  }

  // The next response; with status 0 where the connection ended before it.
  TestResponse Receive(bool head_only = false) {
    TestResponse response;
    received_.Await(
        [&](const Received& r) { return r.ended || r.text.find("\r\n\r\n") != std::string::npos; });
    const size_t end = received_.Get().text.find("\r\n\r\n");
    if (end == std::string::npos) return response;
    response.head = Take(end + 4);
    const std::vector<std::string> words =
        absl::StrSplit(response.head, absl::MaxSplits(absl::ByAnyChar(" \r"), 2));
    EXPECT_EQ(words[0], "HTTP/1.1") << response.head;
    EXPECT_TRUE(absl::SimpleAtoi(words[1], &response.status));
    size_t length = 0;
    for (const absl::string_view line : absl::StrSplit(response.head, "\r\n")) {
      if (absl::StartsWith(line, "Content-Length: ")) {
        EXPECT_TRUE(absl::SimpleAtoi(line.substr(16), &length));
      }
    }
    if (head_only || response.status == 100) return response;
    received_.Await([&](const Received& r) { return r.ended || r.text.size() >= length; });
    response.body = Take(length);
    EXPECT_EQ(response.body.size(), length);
    return response;
  }
  TestResponse Request(absl::string_view text) {
    Send(text);
    return Receive(absl::StartsWith(text, "HEAD"));
  }
  TestResponse Get(absl::string_view target) {
    return Request(absl::StrCat("GET ", target, " HTTP/1.1\r\nHost: x\r\n\r\n"));
  }

  // What comes until the server ends the connection.
  std::string ReadToEnd() {
    received_.Await([](const Received& r) { return r.ended; });
    return Take(std::string::npos);
  }
  size_t ReceivedBytes() const { return received_.Get().text.size(); }

 private:
  struct Received {
    std::string text;
    bool ended = false;
  };

  void ReadMore() {
    buffer_.resize(256 << 10);
    stream_->Read(absl::MakeSpan(buffer_), absl::InfiniteDuration(),
                  [this](absl::StatusOr<size_t> n) {
                    const bool ended = !n.ok() || *n == 0;
                    received_.Update([&](Received* r) {
                      if (!ended) r->text.append(buffer_.data(), *n);
                      r->ended = ended;
                    });
                    if (!ended) ReadMore();
                  });
  }

  std::string Take(size_t n) {
    std::string taken;
    received_.Update([&](Received* r) {
      taken = r->text.substr(0, n);
      r->text.erase(0, n);
    });
    return taken;
  }

  EventLoop* const loop_;
  std::unique_ptr<Stream> stream_;
  std::vector<char> buffer_;
  Awaited<Received> received_;
};

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_HTTP_TEST_UTIL_H_
