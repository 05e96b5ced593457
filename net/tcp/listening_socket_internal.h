#ifndef KVARTS_NET_TCP_LISTENING_SOCKET_INTERNAL_H_
#define KVARTS_NET_TCP_LISTENING_SOCKET_INTERNAL_H_

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "net/tcp/address_internal.h"
#include "net/tcp/socket_internal.h"
#include "net/transport.h"

namespace kvarts {
namespace net_internal {

// Not thread-safe. A socket that listens; removes a Unix socket's file at its end.
class ListeningSocket {
 public:
  // Looks a host name up, which may take a while.
  static absl::StatusOr<std::unique_ptr<ListeningSocket>> Open(const Address& address,
                                                               const ListenOptions& options);
  ~ListeningSocket();

  int fd() const { return fd_.get(); }
  int family() const { return endpoint_.family(); }
  std::string address() const { return endpoint_.ToString(); }

 private:
  ListeningSocket(Fd fd, Endpoint endpoint);
  static absl::StatusOr<std::unique_ptr<ListeningSocket>> OpenUnix(const Address& address,
                                                                   const ListenOptions& options);

  Fd fd_;
  Endpoint endpoint_;
  // A Unix socket's file: which it was, so that no other's is removed.
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace net_internal
}  // namespace kvarts

#endif  // KVARTS_NET_TCP_LISTENING_SOCKET_INTERNAL_H_
