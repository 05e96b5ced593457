#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <system_error>

#include "absl/strings/str_cat.h"
#include "net/tcp/socket_internal.h"

namespace kvarts {
namespace net_internal {
namespace {

std::string ErrorText(int error) { return std::generic_category().message(error); }

bool OutOfResources(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

void Fd::Reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

absl::Status StreamError(absl::string_view what, int error) {
  return absl::UnavailableError(absl::StrCat(what, ": ", ErrorText(error)));
}

absl::Status ConnectError(absl::string_view address, int error) {
  const std::string text = absl::StrCat("cannot connect to ", address, ": ", ErrorText(error));
  if (OutOfResources(error)) return absl::ResourceExhaustedError(text);
  if (error == EACCES || error == EPERM) return absl::PermissionDeniedError(text);
  return absl::UnavailableError(text);
}

absl::Status ListenError(absl::string_view address, int error) {
  const std::string text = absl::StrCat("cannot listen on ", address, ": ", ErrorText(error));
  if (OutOfResources(error)) return absl::ResourceExhaustedError(text);
  if (error == EACCES || error == EPERM || error == EROFS) return absl::PermissionDeniedError(text);
  if (error == EADDRINUSE) return absl::AlreadyExistsError(text);
  // No such directory, or an address that is not this machine's.
  return absl::InvalidArgumentError(text);
}

Fd NewSocket(int family) {
  return Fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

void SetConnectedOptions(int fd, int family) {
  const int on = 1;
  if (family != AF_UNIX) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

Endpoint LocalEndpoint(int fd) {
  Endpoint endpoint;
  endpoint.size = sizeof(endpoint.storage);
  if (::getsockname(fd, endpoint.get(), &endpoint.size) != 0) endpoint.size = 0;
  return endpoint;
}

Endpoint PeerEndpoint(int fd) {
  Endpoint endpoint;
  endpoint.size = sizeof(endpoint.storage);
  if (::getpeername(fd, endpoint.get(), &endpoint.size) != 0) endpoint.size = 0;
  return endpoint;
}

}  // namespace net_internal
}  // namespace kvarts
