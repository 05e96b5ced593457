#ifndef KVARTS_NET_CLIENT_SCRIPTED_SERVER_H_
#define KVARTS_NET_CLIENT_SCRIPTED_SERVER_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "net/scripted.h"
#include "net/transport.h"

namespace kvarts {
namespace client {

// For tests. A transport on a scripted loop, at whose other end is the test: it
// sees what was sent on the newest connection, and says what comes back. Not
// thread-safe.
class ScriptedServer final : public Transport {
 public:
  absl::StatusOr<std::unique_ptr<Listener>> Listen(absl::Span<EventLoop* const>, absl::string_view,
                                                   const ListenOptions&, AcceptCallback) override {
    return absl::UnimplementedError("scripted");
  }
  void Connect(EventLoop*, absl::string_view, absl::Duration, ConnectCallback callback) override {
    loop_.Post([this, callback = std::move(callback)]() mutable {
      ++attempts_;
      if (!listens_) return callback(refusal_);
      wire_ = std::make_shared<Wire>();
      auto stream = std::make_unique<ScriptedStream>(&loop_, wire_);
      stream_ = stream.get();
      callback(std::unique_ptr<Stream>(std::move(stream)));
    });
  }

  ScriptedLoop& loop() { return loop_; }
  int attempts() const { return attempts_; }
  void set_listens(bool listens) { listens_ = listens; }
  // What comes of an attempt to connect while it does not listen.
  void set_refusal(const absl::Status& refusal) { refusal_ = refusal; }
  // In pieces of so many bytes.
  void set_step(size_t step) { step_ = step; }
  bool connected() const { return wire_ != nullptr && !wire_->closed; }
  Wire& wire() { return *wire_; }

  // What was sent since the last call, or since the connection was made.
  std::string Taken() {
    loop_.Run();
    std::string taken;
    if (wire_ != nullptr) taken.swap(wire_->written);
    return taken;
  }
  void Reply(absl::string_view bytes) {
    wire_->read_at_most = step_;
    wire_->to_read.append(bytes.data(), bytes.size());
    Move();
  }
  // The connection ends, after what was replied.
  void Hangup() {
    wire_->ended = true;
    Move();
  }

 private:
  void Move() {
    if (!wire_->closed) stream_->Moved();
    loop_.Run();
  }

  ScriptedLoop loop_;
  std::shared_ptr<Wire> wire_;
  ScriptedStream* stream_ = nullptr;  // its client's
  bool listens_ = true;
  absl::Status refusal_ = absl::UnavailableError("nobody listens");
  int attempts_ = 0;
  size_t step_ = SIZE_MAX;
};

}  // namespace client
}  // namespace kvarts

#endif  // KVARTS_NET_CLIENT_SCRIPTED_SERVER_H_
