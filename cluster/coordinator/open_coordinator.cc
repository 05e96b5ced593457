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
#include "storage/fs/file_system.h"

namespace kvarts {
namespace {

constexpr absl::string_view kKnown =
    "; expected file:PATH or etcd://[USER:PASSWORD@]HOST:PORT,.../NAME";

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

absl::StatusOr<std::unique_ptr<Coordinator>> OpenEtcd(absl::string_view rest, EventLoop* loop,
                                                      Transport* transport) {
  EtcdCoordinatorOptions options;
  const size_t at = rest.rfind('@');
  const absl::string_view user =
      at == absl::string_view::npos ? absl::string_view() : rest.substr(0, at);
  if (at != absl::string_view::npos) rest.remove_prefix(at + 1);
  const std::string shown =
      absl::StrCat("etcd://", at == absl::string_view::npos ? "" : "USER:PASSWORD@", rest);

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
  return NewEtcdCoordinator(loop, transport, std::move(options));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Coordinator>> OpenCoordinator(absl::string_view spec,
                                                             EventLoop* loop,
                                                             Transport* transport) {
  absl::string_view rest = spec;
  if (absl::ConsumePrefix(&rest, "file:")) return OpenFile(spec, rest, loop);
  if (absl::ConsumePrefix(&rest, "etcd://")) return OpenEtcd(rest, loop, transport);
  // What it is is not known, so neither is where a password would stand in it.
  return Bad(spec.substr(0, spec.find(':')), "is of no known scheme");
}

}  // namespace kvarts
