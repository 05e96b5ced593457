#ifndef KVARTS_NET_TCP_SOCKET_INTERNAL_H_
#define KVARTS_NET_TCP_SOCKET_INTERNAL_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "net/tcp/address_internal.h"

namespace kvarts {
namespace net_internal {

// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.Release()) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) Reset(other.Release());
    return *this;
  }
  ~Fd() { Reset(-1); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  void Reset(int fd);
  int fd_ = -1;
};

// Of an operation on a connection that stands: kUnavailable, whatever the cause.
absl::Status StreamError(absl::string_view what, int error);
// Of Connect().
absl::Status ConnectError(absl::string_view address, int error);
// Of Listen().
absl::Status ListenError(absl::string_view address, int error);

// All sockets are non-blocking and close-on-exec. An invalid Fd: see errno.
Fd NewSocket(int family);
// TCP_NODELAY, on a connected TCP socket.
void SetConnectedOptions(int fd, int family);

// The socket's own address, or its peer's where connected; of size 0 on error.
Endpoint LocalEndpoint(int fd);
Endpoint PeerEndpoint(int fd);

}  // namespace net_internal
}  // namespace kvarts

#endif  // KVARTS_NET_TCP_SOCKET_INTERNAL_H_
