#ifndef KVARTS_NET_RESP_TEST_CLIENT_H_
#define KVARTS_NET_RESP_TEST_CLIENT_H_

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "net/event_loop.h"
#include "net/transport.h"
#include "testing/conformance/transport_harness.h"

namespace kvarts {
namespace resp {

// Not thread-safe. A client that waits, for a thread of its own.
class TestClient {
 public:
  TestClient(Transport* transport, EventLoop* loop, absl::string_view address) : loop_(loop) {
    Awaited<bool> connected(false);
    transport->Connect(loop, address, kTestPatience,
                       [&](absl::StatusOr<std::unique_ptr<Stream>> stream) {
                         if (stream.ok()) stream_ = *std::move(stream);
                         connected.Set(true);
                       });
    connected.AwaitValue(true);
    if (stream_ != nullptr) RunOn(loop_, [this] { ReadMore(); });
  }
  ~TestClient() {
    RunOn(loop_, [this] { stream_.reset(); });
  }

  bool connected() const { return stream_ != nullptr; }
  void Send(const std::string& bytes) {
    Awaited<bool> written(false);
    RunOn(loop_, [&] {
      stream_->Write({bytes}, kTestPatience, [&](absl::Status) { written.Set(true); });
    });
    written.AwaitValue(true);
  }
  // The next `n` bytes, or fewer where the connection ends.
  std::string Receive(size_t n) {
    received_.Await([n](const Received& r) { return r.ended || r.text.size() >= n; });
    std::string taken;
    received_.Update([&](Received* r) {
      taken = r->text.substr(0, n);
      r->text.erase(0, n);
    });
    return taken;
  }
  // The next line, without its end.
  std::string ReceiveLine() {
    received_.Await(
        [](const Received& r) { return r.ended || r.text.find("\r\n") != std::string::npos; });
    std::string line;
    received_.Update([&](Received* r) {
      const size_t end = std::min(r->text.find("\r\n"), r->text.size());
      line = r->text.substr(0, end);
      r->text.erase(0, end + 2);
    });
    return line.empty() ? "?" : line;
  }
  // True where `bytes` is answered by `reply`.
  bool Asks(const std::string& bytes, const std::string& reply) {
    Send(bytes);
    return Receive(reply.size()) == reply;
  }

 private:
  struct Received {
    std::string text;
    bool ended = false;
  };

  void ReadMore() {
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

  EventLoop* const loop_;
  std::unique_ptr<Stream> stream_;
  std::vector<char> buffer_ = std::vector<char>(64 << 10);
  Awaited<Received> received_;
};

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_TEST_CLIENT_H_
