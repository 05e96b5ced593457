#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "net/tcp/address_internal.h"

namespace kvarts {
namespace net_internal {
namespace {

constexpr size_t kMaxPath = sizeof(sockaddr_un::sun_path) - 1;

absl::Status Bad(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("bad address '", absl::CHexEscape(text), "': ", why));
}

bool AllDigitsAndDots(absl::string_view host) {
  return host.find_first_not_of("0123456789.") == absl::string_view::npos;
}

bool IsHostName(absl::string_view host) {
  if (host.empty() || host.size() > 253 || host.front() == '-') return false;
  for (const char c : host) {
    if (!absl::ascii_isalnum(c) && c != '.' && c != '-' && c != '_') return false;
  }
  return true;
}

absl::StatusOr<Address> ParseUnix(absl::string_view text, absl::string_view path) {
  if (path.empty()) return Bad(text, "expected unix:PATH");
  if (path.find('\0') != absl::string_view::npos) return Bad(text, "a path has no zero byte");
  if (path.size() > kMaxPath) {
    return Bad(text, absl::StrCat("the path of a Unix socket has at most ", kMaxPath,
                                  " bytes, not ", path.size()));
  }
  Address address;
  address.is_unix = true;
  address.path = std::string(path);
  return address;
}

absl::StatusOr<Address> ParseTcp(absl::string_view text, absl::string_view rest) {
  absl::string_view host;
  const bool bracketed = absl::ConsumePrefix(&rest, "[");
  if (bracketed) {
    const size_t end = rest.find(']');
    if (end == absl::string_view::npos) return Bad(text, "expected ']' behind the IPv6 address");
    host = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (rest.empty() || rest.front() != ':') return Bad(text, "expected tcp://[ADDRESS]:PORT");
  } else {
    const size_t end = rest.find(':');
    if (end == absl::string_view::npos) return Bad(text, "expected a port: tcp://HOST:PORT");
    host = rest.substr(0, end);
    rest.remove_prefix(end);
  }
  rest.remove_prefix(1);
  if (!bracketed && rest.find(':') != absl::string_view::npos) {
    return Bad(text, "an IPv6 address goes in brackets: tcp://[::1]:PORT");
  }
  uint32_t port = 0;
  if (rest.empty() || rest.size() > 5 ||
      rest.find_first_not_of("0123456789") != absl::string_view::npos ||
      !absl::SimpleAtoi(rest, &port) || port > 65535) {
    return Bad(text, "expected a port from 0 to 65535");
  }
  Address address;
  address.host = std::string(host);
  address.port = static_cast<uint16_t>(port);
  const absl::optional<Endpoint> endpoint =
      host.find('\0') == absl::string_view::npos ? ToEndpoint(address) : absl::nullopt;
  const int family = endpoint.has_value() ? endpoint->family() : AF_UNSPEC;
  if (bracketed && family != AF_INET6) return Bad(text, "expected an IPv6 address in the brackets");
  if (!bracketed && family != AF_INET && (!IsHostName(host) || AllDigitsAndDots(host))) {
    return Bad(text, "expected an IP address or a host name");
  }
  return address;
}

}  // namespace

absl::StatusOr<Address> ParseAddress(absl::string_view text) {
  absl::string_view rest = text;
  if (absl::ConsumePrefix(&rest, "unix:")) return ParseUnix(text, rest);
  if (absl::ConsumePrefix(&rest, "tcp://")) return ParseTcp(text, rest);
  return Bad(text, "expected tcp://HOST:PORT or unix:PATH");
}

absl::optional<Endpoint> ToEndpoint(const Address& address) {
  Endpoint endpoint;
  if (address.is_unix) {
    auto* const un = reinterpret_cast<sockaddr_un*>(&endpoint.storage);
    un->sun_family = AF_UNIX;
    std::memcpy(un->sun_path, address.path.data(), address.path.size());
    endpoint.size =
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.path.size() + 1);
    return endpoint;
  }
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found) !=
      0) {
    return absl::nullopt;
  }
  std::memcpy(&endpoint.storage, found->ai_addr, found->ai_addrlen);
  endpoint.size = found->ai_addrlen;
  freeaddrinfo(found);
  return endpoint;
}

std::string Endpoint::ToString() const {
  if (family() == AF_UNIX) {
    const auto* const un = reinterpret_cast<const sockaddr_un*>(&storage);
    return absl::StrCat("unix:", un->sun_path);
  }
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (getnameinfo(get(), size, host, sizeof(host), port, sizeof(port),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "tcp://?";
  }
  return family() == AF_INET6 ? absl::StrCat("tcp://[", host, "]:", port)
                              : absl::StrCat("tcp://", host, ":", port);
}

bool operator==(const Endpoint& a, const Endpoint& b) {
  return a.size == b.size && std::memcmp(&a.storage, &b.storage, a.size) == 0;
}

}  // namespace net_internal
}  // namespace kvarts
