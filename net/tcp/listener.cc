#include <errno.h>
#include <sys/socket.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/accept_gate_internal.h"
#include "net/tcp/listener_internal.h"
#include "net/tcp/stream_internal.h"

namespace kvarts {
namespace net_internal {
namespace {

using boost::system::error_code;

// Connections taken before other handlers of the loop have their turn.
constexpr int kAcceptsPerTurn = 64;

// Pause where the system has no descriptors or memory left: connections wait in
// the socket's queue meanwhile.
constexpr std::chrono::milliseconds kPause(20);

// On loops[0] only, but for the construction.
class Acceptor : public std::enable_shared_from_this<Acceptor> {
 public:
  Acceptor(std::vector<AsioLoop*> loops, std::unique_ptr<ListeningSocket> socket,
           Transport::AcceptCallback accept)
      : loops_(std::move(loops)),
        address_(socket->address()),
        family_(socket->family()),
        socket_(std::move(socket)),
        watched_(loops_[0]->context()),
        pause_(loops_[0]->context()),
        gate_(std::make_shared<AcceptGate>(std::move(accept))) {}

  std::string address() const { return address_; }  // thread-safe

  void Start() {
    if (socket_ == nullptr) return;
    error_code error;
    watched_.assign(socket_->fd(), error);
    Wait();
  }

  void Close() {
    if (watched_.is_open()) watched_.release();
    pause_.cancel();
    socket_.reset();
    gate_->Close();
  }

 private:
  void Wait() {
    if (!watched_.is_open()) return Pause();  // the system refused: look now and then
    watched_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                        [self = shared_from_this()](const error_code& error) {
                          AsioLoop::Turn turn(self->loops_[0]);
                          if (self->socket_ != nullptr) self->AcceptSome();
                        });
  }

  void Pause() {
    pause_.expires_after(kPause);
    pause_.async_wait([self = shared_from_this()](const error_code& error) {
      AsioLoop::Turn turn(self->loops_[0]);
      if (self->socket_ != nullptr) self->AcceptSome();
    });
  }

  void AcceptSome() {
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
      Endpoint peer;
      peer.size = sizeof(peer.storage);
      Fd fd(::accept4(socket_->fd(), peer.get(), &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!fd.valid()) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) break;
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
          return Pause();
        }
        continue;  // a connection that failed before it was accepted
      }
      peer.storage.ss_family = static_cast<sa_family_t>(family_);
      Hand(std::move(fd), peer);
      if (socket_ == nullptr) return;  // ended by the callback
    }
    Wait();
  }

  void Hand(Fd fd, const Endpoint& peer) {
    AsioLoop* const loop = loops_[next_];
    next_ = (next_ + 1) % loops_.size();
    if (loop == loops_[0]) return Accept(gate_.get(), loop, std::move(fd), peer);
    loop->Post([gate = gate_, loop, fd = std::move(fd), peer]() mutable {
      Accept(gate.get(), loop, std::move(fd), peer);
    });
  }

  static void Accept(AcceptGate* gate, AsioLoop* loop, Fd fd, const Endpoint& peer) {
    absl::StatusOr<std::unique_ptr<Stream>> stream = NewSocketStream(loop, std::move(fd), peer);
    if (stream.ok()) gate->Accept(*std::move(stream));
  }

  const std::vector<AsioLoop*> loops_;
  const std::string address_;
  const int family_;
  std::unique_ptr<ListeningSocket> socket_;  // null once closed
  boost::asio::posix::stream_descriptor watched_;
  boost::asio::steady_timer pause_;
  const std::shared_ptr<AcceptGate> gate_;
  size_t next_ = 0;
};

class SocketListener final : public Listener {
 public:
  explicit SocketListener(std::shared_ptr<Acceptor> acceptor) : acceptor_(std::move(acceptor)) {}
  ~SocketListener() override { acceptor_->Close(); }
  std::string address() const override { return acceptor_->address(); }

 private:
  const std::shared_ptr<Acceptor> acceptor_;
};

}  // namespace

std::unique_ptr<Listener> NewSocketListener(std::vector<AsioLoop*> loops,
                                            std::unique_ptr<ListeningSocket> socket,
                                            Transport::AcceptCallback accept) {
  AsioLoop* const first = loops[0];
  auto acceptor =
      std::make_shared<Acceptor>(std::move(loops), std::move(socket), std::move(accept));
  first->Post([acceptor] { acceptor->Start(); });
  return std::make_unique<SocketListener>(std::move(acceptor));
}

}  // namespace net_internal
}  // namespace kvarts
