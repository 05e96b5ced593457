#ifndef KVARTS_NET_NATIVE_CLIENT_H_
#define KVARTS_NET_NATIVE_CLIENT_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "net/client/channel.h"
#include "net/native/frame.h"
#include "net/native/native.pb.h"
#include "net/native/sequence_window.h"
#include "net/transport.h"

namespace kvarts {
namespace native {

// One request and what becomes of it.
class ClientCall : public client::Call {
 public:
  // Before Client::Start(). A WRITE with a sequence is sent again where the server still knows what
  // it did of it (ServerHello.write_session). MAINTAIN is not sent again, nor does it wait for a
  // server that cannot be reached.
  void SetRequest(const Request& request, absl::Span<const absl::string_view> payload);

 protected:
  friend class Client;

  // A frame of the answer, also one that carries an error. `reader` can pin the
  // payload. An error: the server talks nonsense; the connection is given up.
  virtual absl::Status OnAnswer(const Response& response, absl::string_view payload,
                                FrameReader* reader) = 0;

 private:
  uint64_t id_ = 0;  // constant once started
};

struct ClientOptions : client::ChannelOptions {
  std::string client_id;
  std::string password;
  // Of the server: without one of these it is not the right one, kFailedPrecondition.
  std::vector<std::string> features;
  // Not empty: another cluster's server, or one of none, is as good as nobody there: kUnavailable,
  // and tried again. Of a server that has once named its cluster that holds without this too.
  std::string cluster_id;
  // False: a call that was never sent ends when an attempt to connect fails, and does not wait for
  // the next one. Open() is then such a call: after its failure others may be started all the same.
  bool waits = true;
};

// Thread-safe. The client's end of the native protocol, over a Channel.
class Client final : public client::Channel {
 public:
  static std::shared_ptr<Client> New(Transport* transport, EventLoop* loop,
                                     absl::string_view address, const ClientOptions& options);
  ~Client() override { CloseStream(); }

  // Connects, once; `done` runs on the loop, with the server's hello.
  using OpenCallback = absl::AnyInvocable<void(absl::StatusOr<ServerHello>)>;
  void Open(OpenCallback done);

  void Start(std::shared_ptr<ClientCall> call, absl::Duration timeout);

  uint64_t NewId() { return next_id_.fetch_add(1, std::memory_order_relaxed); }
  SequenceWindow& writes() { return writes_; }

 private:
  Client(Transport* transport, EventLoop* loop, absl::string_view address,
         const ClientOptions& options);

  std::string Hello() override;
  absl::Span<char> Space() override { return reader_.Space(); }
  absl::Status Take(size_t n) override;
  bool Admit(const CallPtr& call) override;
  void DidEnd(const client::Call& call) override;
  absl::Status TakeAnswer(const Frame& frame);
  absl::Status TakeHello();

  const ClientOptions options_;
  std::atomic<uint64_t> next_id_{1};
  SequenceWindow writes_;

  // On the loop.
  std::optional<ServerHello> hello_;  // the last one
  Response response_;

  // Of the connection there is.
  bool got_preamble_ = false;
  bool got_hello_ = false;
  FrameReader reader_{kMaxAnswerHeaderBytes, kMaxAnswerBytes};
  std::unordered_map<uint64_t, std::shared_ptr<ClientCall>> in_flight_;
};

}  // namespace native
}  // namespace kvarts

#endif  // KVARTS_NET_NATIVE_CLIENT_H_
