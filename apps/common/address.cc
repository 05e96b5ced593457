#include "apps/common/address.h"

#include <arpa/inet.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace kvarts {

std::string ToAddress(absl::string_view flag) {
  if (absl::StartsWith(flag, "unix:") || absl::StartsWith(flag, "tcp://")) return std::string(flag);
  return absl::StrCat("tcp://", flag);
}

absl::Status CheckHost(absl::string_view flag) {
  absl::string_view port = absl::StripPrefix(flag, "tcp://");
  absl::ConsumePrefix(&port, ":");
  const auto is_digit = [](char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); };
  if (port.empty() || !std::all_of(port.begin(), port.end(), is_digit)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("HOST: is missing in front of the port: 127.0.0.1:", port,
                   " is for this machine's clients, 0.0.0.0:", port, " for all"));
}

std::string WithoutTcp(absl::string_view address) {
  return std::string(absl::StripPrefix(address, "tcp://"));
}

bool IsLocal(absl::string_view address) {
  if (absl::StartsWith(address, "unix:")) return true;
  const absl::string_view rest = absl::StripPrefix(address, "tcp://");
  const std::string host(rest.substr(0, rest.rfind(':')));
  in_addr ipv4;
  if (::inet_pton(AF_INET, host.c_str(), &ipv4) == 1) return ntohl(ipv4.s_addr) >> 24 == 127;
  return host == "[::1]" || absl::EqualsIgnoreCase(host, "localhost");
}

}  // namespace kvarts
