#include "net/tcp/tcp.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "net/event_loop_internal.h"
#include "net/tcp/address_internal.h"
#include "net/tcp/connector_internal.h"
#include "net/tcp/listener_internal.h"
#include "net/tcp/listening_socket_internal.h"

namespace kvarts {
namespace {

using net_internal::AsioLoop;

absl::Status ForeignLoop() {
  return absl::InvalidArgumentError("the loops of sockets must come from EventLoops::New()");
}

class TcpTransport final : public Transport {
 public:
  absl::StatusOr<std::unique_ptr<Listener>> Listen(absl::Span<EventLoop* const> loops,
                                                   absl::string_view address,
                                                   const ListenOptions& options,
                                                   AcceptCallback accept) override {
    KVARTS_ASSIGN_OR_RETURN(const net_internal::Address parsed,
                            net_internal::ParseAddress(address));
    if (loops.empty()) return absl::InvalidArgumentError("no loops to listen on");
    std::vector<AsioLoop*> asio_loops;
    for (EventLoop* const loop : loops) {
      asio_loops.push_back(AsioLoop::From(loop));
      if (asio_loops.back() == nullptr) return ForeignLoop();
    }
    KVARTS_ASSIGN_OR_RETURN(auto socket, net_internal::ListeningSocket::Open(parsed, options));
    return net_internal::NewSocketListener(std::move(asio_loops), std::move(socket),
                                           std::move(accept));
  }

  void Connect(EventLoop* loop, absl::string_view address, absl::Duration timeout,
               ConnectCallback callback) override {
    AsioLoop* const asio_loop = AsioLoop::From(loop);
    loop->Post([asio_loop, address = std::string(address), timeout,
                callback = std::move(callback)]() mutable {
      if (asio_loop == nullptr) return callback(ForeignLoop());
      net_internal::ConnectSocket(asio_loop, std::move(address), timeout, std::move(callback));
    });
  }
};

}  // namespace

std::unique_ptr<Transport> NewTcpTransport() { return std::make_unique<TcpTransport>(); }

}  // namespace kvarts
