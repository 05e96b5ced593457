#ifndef KVARTS_NET_HTTP_HTTP_TEST_UTIL_H_
#define KVARTS_NET_HTTP_HTTP_TEST_UTIL_H_

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
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
  int chunks = 0;       // of a body in chunks
  bool broken = false;  // it has no end

  bool Has(absl::string_view line) const {
    return absl::StrContains(head, absl::StrCat("\r\n", line, "\r\n"));
  }
  // The value of a field; empty where it has none.
  std::string Field(absl::string_view name) const {
    const size_t begin = head.find(absl::StrCat("\r\n", name, ": "));
    if (begin == std::string::npos) return "";
    const size_t value = begin + 4 + name.size();
    return head.substr(value, head.find("\r\n", value) - value);
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

  void Send(absl::string_view text) { TrySend(text).IgnoreError(); }
  absl::Status TrySend(absl::string_view text) {
    absl::Status outcome;
    Awaited<bool> written(false);
    RunOn(loop_, [&] {
      stream_->Write({text}, kTestPatience, [&](absl::Status status) {
        outcome = std::move(status);
        written.Set(true);
      });
    });
    written.AwaitValue(true);
    return outcome;
  }
  void CloseWrite() {
    RunOn(loop_, [this] { stream_->CloseWrite(); });
  }

  // The next response; with status 0 where the connection ended before it.
  TestResponse Receive(bool head_only = false) {
    TestResponse response;
    response.head = TakeThrough("\r\n\r\n");
    if (response.head.empty()) return response;
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
    if (response.status == 204 || response.status == 304) return response;
    if (response.Has("Transfer-Encoding: chunked")) {
      ReceiveChunks(&response);
      return response;
    }
    received_.Await([&](const Received& r) { return r.ended || r.size() >= length; });
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
  // `fields` with their ends of lines.
  TestResponse Get(absl::string_view target, absl::string_view fields) {
    return Request(absl::StrCat("GET ", target, " HTTP/1.1\r\nHost: x\r\n", fields, "\r\n"));
  }
  TestResponse WithBody(absl::string_view method, absl::string_view target, absl::string_view body,
                        absl::string_view fields = "") {
    return Request(absl::StrCat(method, " ", target, " HTTP/1.1\r\nHost: x\r\n", fields,
                                "Content-Length: ", body.size(), "\r\n\r\n", body));
  }

  // What comes until the server ends the connection.
  std::string ReadToEnd() {
    received_.Await([](const Received& r) { return r.ended; });
    return Take(std::string::npos);
  }
  size_t ReceivedBytes() {
    size_t size = 0;
    received_.Update([&](Received* r) { size = r->size(); });
    return size;
  }

 private:
  struct Received {
    size_t size() const { return text.size() - taken; }

    std::string text;
    size_t taken = 0;  // of it, from the front
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

  // `chunks` counts them, without the last, empty one.
  void ReceiveChunks(TestResponse* response) {
    while (true) {
      const std::string line = TakeThrough("\r\n");
      char* end = nullptr;
      const size_t size = std::strtoul(line.c_str(), &end, 16);
      if (end == line.c_str()) {  // the connection ended inside the body
        response->broken = true;
        return;
      }
      received_.Await([&](const Received& r) { return r.ended || r.size() >= size + 2; });
      const std::string chunk = Take(size + 2);
      if (chunk.size() < size + 2) {
        response->broken = true;
        return;
      }
      EXPECT_EQ(chunk.substr(size), "\r\n");
      if (size == 0) return;
      response->body.append(chunk, 0, size);
      ++response->chunks;
    }
  }

  std::string Take(size_t n) {
    std::string out;
    received_.Update([&](Received* r) {
      out = r->text.substr(r->taken, n);
      r->taken += out.size();
      if (r->taken < r->text.size() / 2) return;
      r->text.erase(0, r->taken);
      r->taken = 0;
    });
    return out;
  }
  // Up to the end of the next `mark`; empty where the connection ends before.
  std::string TakeThrough(absl::string_view mark) {
    size_t size = 0;
    received_.Await([&](const Received& r) {
      const size_t at = r.text.find(mark.data(), r.taken, mark.size());
      if (at != std::string::npos) size = at + mark.size() - r.taken;
      return r.ended || size > 0;
    });
    return size == 0 ? "" : Take(size);
  }

  EventLoop* const loop_;
  std::unique_ptr<Stream> stream_;
  std::vector<char> buffer_;
  Awaited<Received> received_;
};

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_HTTP_TEST_UTIL_H_
