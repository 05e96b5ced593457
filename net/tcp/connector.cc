#include <errno.h>

#include <algorithm>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "net/tcp/connector_internal.h"
#include "net/tcp/stream_internal.h"

namespace kvarts {
namespace net_internal {
namespace {

using Protocol = boost::asio::generic::stream_protocol;
using Tcp = boost::asio::ip::tcp;
using boost::system::error_code;

constexpr absl::Duration kLongestTimeout = absl::Hours(24 * 365);

// A Unix socket whose queue is full refuses at once: it is asked again.
constexpr std::chrono::milliseconds kFirstPause(1);
constexpr std::chrono::milliseconds kLongestPause(50);

// On its loop only. One Connect(): looks the name up, tries each address. Lives
// as long as the context holds a handler of it; the first Finish() counts.
class Connector {
 public:
  Connector(AsioLoop* loop, std::string address, Transport::ConnectCallback callback)
      : loop_(loop),
        address_(std::move(address)),
        callback_(std::move(callback)),
        resolver_(loop->context()),
        socket_(loop->context()),
        deadline_(loop->context()),
        pause_timer_(loop->context()) {}

  void Start(absl::Duration timeout) {
    const absl::StatusOr<Address> address = ParseAddress(address_);
    if (!address.ok()) return Finish(address.status());
    if (timeout <= absl::ZeroDuration()) return Finish(TimedOut());
    if (timeout < kLongestTimeout) {
      deadline_.expires_after(absl::ToChronoNanoseconds(timeout));
      deadline_.async_wait([self = Self()](const error_code& error) {
        AsioLoop::Turn turn(self->loop_);
        if (!error) self->Finish(self->TimedOut());
      });
    }
    if (const auto endpoint = ToEndpoint(*address); endpoint.has_value()) {
      endpoints_ = {*endpoint};
      return TryNext(ECONNREFUSED);
    }
    try {
      resolver_.async_resolve(
          address->host, std::to_string(address->port), Tcp::resolver::numeric_service,
          [self = Self()](const error_code& error, const Tcp::resolver::results_type& results) {
            AsioLoop::Turn turn(self->loop_);
            self->OnResolved(error, results);
          });
    } catch (const boost::system::system_error& error) {
      // The context's first name is looked up on a thread, which the system may not give.
      Finish(absl::ResourceExhaustedError(
          absl::StrCat("cannot look up ", address_, ": ", error.code().message())));
    }
  }

 private:
  friend class LocalRef<Connector>;

  LocalRef<Connector> Self() { return LocalRef<Connector>(this); }
  bool finished() const { return callback_ == nullptr; }

  absl::Status TimedOut() const {
    return absl::DeadlineExceededError(absl::StrCat("cannot connect to ", address_, ": timed out"));
  }

  void Finish(absl::StatusOr<std::unique_ptr<Stream>> result) {
    if (finished()) return;
    resolver_.cancel();
    deadline_.cancel();
    pause_timer_.cancel();
    error_code ignored;
    socket_.close(ignored);
    std::exchange(callback_, nullptr)(std::move(result));
  }

  void OnResolved(const error_code& error, const Tcp::resolver::results_type& results) {
    if (finished()) return;
    if (error) {
      return Finish(absl::UnavailableError(
          absl::StrCat("cannot connect to ", address_, ": ", error.message())));
    }
    for (const auto& result : results) {
      const Tcp::endpoint found = result.endpoint();
      Endpoint endpoint;
      std::memcpy(&endpoint.storage, found.data(), found.size());
      endpoint.size = static_cast<socklen_t>(found.size());
      endpoints_.push_back(endpoint);
    }
    TryNext(ECONNREFUSED);
  }

  // Goes on behind an endpoint that failed with `error`.
  void TryNext(int error) {
    while (next_ < endpoints_.size()) {
      const Endpoint& endpoint = endpoints_[next_];
      Fd fd = NewSocket(endpoint.family());
      if (!fd.valid()) {
        error = errno;
      } else if (::connect(fd.get(), endpoint.get(), endpoint.size) == 0) {
        return Connected(std::move(fd));
      } else if (errno == EINPROGRESS || errno == EINTR) {
        return AwaitConnected(std::move(fd));
      } else if (errno == EAGAIN && endpoint.family() == AF_UNIX) {
        return TryAgainLater();
      } else {
        error = errno;
      }
      ++next_;
    }
    Finish(ConnectError(address_, error));
  }

  void TryAgainLater() {
    pause_timer_.expires_after(pause_);
    pause_ = std::min(pause_ * 2, kLongestPause);
    pause_timer_.async_wait([self = Self()](const error_code& error) {
      AsioLoop::Turn turn(self->loop_);
      if (!error && !self->finished()) self->TryNext(ECONNREFUSED);
    });
  }

  void AwaitConnected(Fd fd) {
    error_code error;
    socket_.assign(Protocol(endpoints_[next_].family(), 0), fd.get(), error);
    if (error) return Finish(ConnectError(address_, error.value()));
    fd.Release();
    socket_.async_wait(Protocol::socket::wait_write, [self = Self()](const error_code& error) {
      AsioLoop::Turn turn(self->loop_);
      if (!self->finished()) self->OnWritable(error);
    });
  }

  void OnWritable(error_code error) {
    int connected = error.value();
    socklen_t size = sizeof(connected);
    if (!error) ::getsockopt(socket_.native_handle(), SOL_SOCKET, SO_ERROR, &connected, &size);
    error_code ignored;
    Fd fd(socket_.release(ignored));
    if (connected == 0) return Connected(std::move(fd));
    ++next_;
    TryNext(connected);
  }

  void Connected(Fd fd) {
    const Endpoint& peer = endpoints_[next_];
    // A port from the range of those given to clients, with nobody behind it, may
    // be given to this very socket, which then connects to itself.
    if (peer.family() != AF_UNIX && LocalEndpoint(fd.get()) == PeerEndpoint(fd.get())) {
      return Finish(ConnectError(address_, ECONNREFUSED));
    }
    Finish(NewSocketStream(loop_, std::move(fd), peer));
  }

  AsioLoop* const loop_;
  const std::string address_;
  Transport::ConnectCallback callback_;
  Tcp::resolver resolver_;
  Protocol::socket socket_;
  boost::asio::steady_timer deadline_;
  boost::asio::steady_timer pause_timer_;
  std::chrono::milliseconds pause_ = kFirstPause;
  std::vector<Endpoint> endpoints_;
  size_t next_ = 0;
  int refs_ = 0;
};

}  // namespace

void ConnectSocket(AsioLoop* loop, std::string address, absl::Duration timeout,
                   Transport::ConnectCallback callback) {
  const LocalRef<Connector> connector(new Connector(loop, std::move(address), std::move(callback)));
  connector->Start(timeout);
}

}  // namespace net_internal
}  // namespace kvarts
