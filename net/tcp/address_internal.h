#ifndef KVARTS_NET_TCP_ADDRESS_INTERNAL_H_
#define KVARTS_NET_TCP_ADDRESS_INTERNAL_H_

#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"

namespace kvarts {
namespace net_internal {

// "tcp://HOST:PORT" or "unix:PATH", taken apart.
struct Address {
  bool is_unix = false;
  std::string path;  // of "unix:"
  std::string host;  // of "tcp://", without brackets
  uint16_t port = 0;
};

// kInvalidArgument, with what was expected.
absl::StatusOr<Address> ParseAddress(absl::string_view text);

// What the system's calls take.
struct Endpoint {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
  // "tcp://127.0.0.1:7700", "unix:/run/kv.sock".
  std::string ToString() const;
};

bool operator==(const Endpoint& a, const Endpoint& b);

// Of a path, or of a host that is an IP address; nothing for a name.
absl::optional<Endpoint> ToEndpoint(const Address& address);

}  // namespace net_internal
}  // namespace kvarts

#endif  // KVARTS_NET_TCP_ADDRESS_INTERNAL_H_
