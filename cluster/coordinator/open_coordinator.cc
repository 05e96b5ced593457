#include "cluster/coordinator/open_coordinator.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/percent.h"
#include "base/status_macros.h"
#include "cluster/coordinator/etcd_coordinator.h"
#include "cluster/coordinator/file_coordinator.h"
#include "net/password_file.h"
#include "net/tls/tls.h"
#include "storage/fs/file_system.h"
#include "storage/spec.h"

namespace kvarts {
namespace {

constexpr absl::string_view kEtcd = "etcd://";
constexpr absl::string_view kKnown =
    "; expected file:PATH or "
    "etcd://[USER:PASSWORD@]HOST:PORT,.../NAME[?password_file=PATH&tls=BOOL&"
    "ca=PATH&cert=PATH&key=PATH]";

// `shown` has no password in it.
absl::Status Bad(absl::string_view shown, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("coordinator \"", shown, "\": ", why, kKnown));
}

absl::StatusOr<std::string> Decode(absl::string_view shown, absl::string_view part) {
  absl::StatusOr<std::string> decoded = PercentDecode(part);
  if (!decoded.ok()) return Bad(shown, decoded.status().message());
  return decoded;
}

absl::StatusOr<std::unique_ptr<Coordinator>> OpenFile(absl::string_view spec,
                                                      absl::string_view path, EventLoop* loop) {
  if (absl::StrContains(path, '?')) return Bad(spec, "has options, and there are none");
  // "//" marks an authority; a path of two slashes is not one.
  absl::ConsumePrefix(&path, "//");
  KVARTS_ASSIGN_OR_RETURN(const std::string decoded, Decode(spec, path));
  if (decoded.empty()) return Bad(spec, "has no path");
  return NewFileCoordinator(FileSystem::Posix(), loop, decoded);
}

// The place of the "@" that ends the user in what follows "etcd://"; npos: there is no user.
size_t EndOfUser(absl::string_view rest) { return rest.substr(0, rest.find('?')).rfind('@'); }

absl::StatusOr<std::unique_ptr<Coordinator>> OpenEtcd(absl::string_view spec, EventLoop* loop,
                                                      Transport* transport) {
  EtcdCoordinatorOptions options;
  const std::string shown = ShownCoordinator(spec);
  absl::string_view rest = absl::StripPrefix(spec, kEtcd);
  const size_t at = EndOfUser(rest);
  const absl::string_view user =
      at == absl::string_view::npos ? absl::string_view() : rest.substr(0, at);
  if (at != absl::string_view::npos) rest.remove_prefix(at + 1);
  const size_t question = rest.find('?');
  // A query is written as those of stores are.
  absl::StatusOr<StoreSpec> query = StoreSpec::Parse(
      absl::StrCat("etcd:", question == absl::string_view::npos ? "" : rest.substr(question)));
  if (!query.ok()) return Bad(shown, "its options are not NAME=VALUE, percent-encoded, each once");
  rest = rest.substr(0, question);
  const std::string password_file = query->Take("password_file");
  TlsOptions tls;
  tls.ca_file = query->Take("ca");
  tls.client_certificate_file = query->Take("cert");
  tls.client_key_file = query->Take("key");
  const bool has_tls_files =
      !tls.ca_file.empty() || !tls.client_certificate_file.empty() || !tls.client_key_file.empty();
  const absl::StatusOr<bool> with_tls = query->TakeBool("tls", has_tls_files);
  if (!with_tls.ok()) return Bad(shown, "\"tls\" is neither true nor false");
  if (!query->Finish().ok()) return Bad(shown, "has an option that is not known");
  if (!*with_tls && has_tls_files) {
    return Bad(shown, "\"ca\", \"cert\" and \"key\" are for TLS, and \"tls\" is false");
  }
  if (tls.client_certificate_file.empty() != tls.client_key_file.empty()) {
    return Bad(shown, "\"cert\" and \"key\" are given together");
  }

  const size_t slash = rest.find('/');
  if (slash == absl::string_view::npos) return Bad(shown, "has no name");
  KVARTS_ASSIGN_OR_RETURN(options.name, Decode(shown, rest.substr(slash + 1)));
  if (options.name.empty()) return Bad(shown, "has no name");
  for (const absl::string_view endpoint : absl::StrSplit(rest.substr(0, slash), ',')) {
    const size_t colon = endpoint.rfind(':');
    if (colon == absl::string_view::npos || colon == 0 || colon + 1 == endpoint.size()) {
      return Bad(shown, absl::StrCat("\"", endpoint, "\" is no HOST:PORT"));
    }
    options.endpoints.emplace_back(endpoint);
  }
  if (at != absl::string_view::npos) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(user, absl::MaxSplits(':', 1));
    // Their text may be a password: not in a message.
    const auto name = PercentDecode(parts.first);
    const auto password = PercentDecode(parts.second);
    if (!name.ok() || !password.ok() || name->empty()) {
      return Bad(shown, "the user and password are not percent-encoded");
    }
    options.user = *name;
    options.password = *password;
  }
  if (!password_file.empty()) {
    if (options.user.empty() || !options.password.empty()) {
      return Bad(shown, "\"password_file\" takes a USER, and no PASSWORD, in front of the \"@\"");
    }
    KVARTS_ASSIGN_OR_RETURN(options.password, ReadPasswordFile(password_file));
  }
  if (*with_tls) {
    KVARTS_ASSIGN_OR_RETURN(options.own_transport, NewTlsTransport(transport, tls));
    transport = options.own_transport.get();
  }
  return NewEtcdCoordinator(loop, transport, std::move(options));
}

}  // namespace

std::string ShownCoordinator(absl::string_view spec) {
  if (!absl::StartsWith(spec, kEtcd)) return std::string(spec);
  // Also where a "?" or "@" in a password is not encoded.
  const size_t at = spec.rfind('@');
  if (at == absl::string_view::npos) return std::string(spec);
  return absl::StrCat(kEtcd, "USER:PASSWORD", spec.substr(at));
}

absl::StatusOr<std::unique_ptr<Coordinator>> OpenCoordinator(absl::string_view spec,
                                                             EventLoop* loop,
                                                             Transport* transport) {
  absl::string_view rest = spec;
  if (absl::ConsumePrefix(&rest, "file:")) return OpenFile(spec, rest, loop);
  if (absl::StartsWith(rest, kEtcd)) return OpenEtcd(rest, loop, transport);
  // What it is is not known, so neither is where a password would stand in it.
  return Bad(spec.substr(0, spec.find(':')), "is of no known scheme");
}

}  // namespace kvarts
