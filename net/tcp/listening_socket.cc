#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "net/tcp/listening_socket_internal.h"

namespace kvarts {
namespace net_internal {
namespace {

constexpr int kLockTries = 2000;  // a millisecond each

std::string TextOf(const Address& address) {
  if (address.is_unix) return absl::StrCat("unix:", address.path);
  return absl::StrCat("tcp://", address.host, ":", address.port);
}

absl::StatusOr<Endpoint> Resolve(const Address& address) {
  if (const auto endpoint = ToEndpoint(address); endpoint.has_value()) return *endpoint;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (error != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot listen on ", TextOf(address), ": ", gai_strerror(error)));
  }
  const addrinfo* chosen = found;
  for (const addrinfo* a = found; a != nullptr && chosen->ai_family != AF_INET; a = a->ai_next) {
    if (a->ai_family == AF_INET) chosen = a;
  }
  Endpoint endpoint;
  std::memcpy(&endpoint.storage, chosen->ai_addr, chosen->ai_addrlen);
  endpoint.size = chosen->ai_addrlen;
  freeaddrinfo(found);
  return endpoint;
}

// Whether a process listens on the Unix socket. Its queue being full says so too.
bool Answered(const Endpoint& endpoint) {
  const Fd fd = NewSocket(AF_UNIX);
  if (!fd.valid()) return true;  // unknown: leave it
  return ::connect(fd.get(), endpoint.get(), endpoint.size) == 0 || errno != ECONNREFUSED;
}

// Removes a socket's file that nobody listens on.
absl::Status RemoveStale(const Address& address, const Endpoint& endpoint) {
  struct stat file;
  if (::lstat(address.path.c_str(), &file) != 0) return absl::OkStatus();
  if (!S_ISSOCK(file.st_mode)) {
    return absl::AlreadyExistsError(
        absl::StrCat("cannot listen on ", TextOf(address), ": the file exists and is no socket"));
  }
  if (Answered(endpoint)) return ListenError(TextOf(address), EADDRINUSE);
  if (::unlink(address.path.c_str()) != 0) return ListenError(TextOf(address), errno);
  return absl::OkStatus();
}

// Locks the directory a path is in against other processes that listen there,
// which hold it for microseconds. Invalid where it cannot be locked: bind() tells
// why, or the file system has no locks.
absl::StatusOr<Fd> LockDirectory(const Address& address) {
  const size_t slash = address.path.rfind('/');
  const std::string directory =
      slash == std::string::npos ? "." : address.path.substr(0, slash + 1);
  Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return fd;
  for (int i = 0; i < kLockTries; ++i) {
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
    if (errno != EWOULDBLOCK && errno != EINTR) return Fd();
    ::usleep(1000);
  }
  return absl::UnavailableError(absl::StrCat("cannot listen on ", TextOf(address),
                                             ": another process keeps the directory locked"));
}

}  // namespace

ListeningSocket::ListeningSocket(Fd fd, Endpoint endpoint)
    : fd_(std::move(fd)), endpoint_(endpoint) {}

ListeningSocket::~ListeningSocket() {
  struct stat file;
  if (!path_.empty() && ::lstat(path_.c_str(), &file) == 0 && file.st_dev == device_ &&
      file.st_ino == inode_) {
    ::unlink(path_.c_str());
  }
}

absl::StatusOr<std::unique_ptr<ListeningSocket>> ListeningSocket::Open(
    const Address& address, const ListenOptions& options) {
  if (address.is_unix) return OpenUnix(address, options);
  KVARTS_ASSIGN_OR_RETURN(const Endpoint endpoint, Resolve(address));
  Fd fd = NewSocket(endpoint.family());
  if (!fd.valid()) return ListenError(TextOf(address), errno);
  const int on = 1;
  // Connections of an earlier process that linger do not hold the port.
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (options.reuse_port) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
  if (::bind(fd.get(), endpoint.get(), endpoint.size) != 0 ||
      ::listen(fd.get(), options.backlog) != 0) {
    return ListenError(TextOf(address), errno);
  }
  const Endpoint local = LocalEndpoint(fd.get());
  return std::unique_ptr<ListeningSocket>(new ListeningSocket(std::move(fd), local));
}

absl::StatusOr<std::unique_ptr<ListeningSocket>> ListeningSocket::OpenUnix(
    const Address& address, const ListenOptions& options) {
  const Endpoint endpoint = *ToEndpoint(address);
  // Held until the socket listens: between bind() and listen() it looks stale.
  KVARTS_ASSIGN_OR_RETURN(const Fd lock, LockDirectory(address));
  KVARTS_RETURN_IF_ERROR(RemoveStale(address, endpoint));
  Fd fd = NewSocket(AF_UNIX);
  struct stat file;
  if (!fd.valid() || ::bind(fd.get(), endpoint.get(), endpoint.size) != 0 ||
      ::listen(fd.get(), options.backlog) != 0 || ::lstat(address.path.c_str(), &file) != 0) {
    return ListenError(TextOf(address), errno);
  }
  std::unique_ptr<ListeningSocket> socket(new ListeningSocket(std::move(fd), endpoint));
  socket->path_ = address.path;
  socket->device_ = file.st_dev;
  socket->inode_ = file.st_ino;
  return socket;
}

}  // namespace net_internal
}  // namespace kvarts
