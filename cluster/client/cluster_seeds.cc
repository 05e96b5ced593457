#include "cluster/client/cluster_seeds.h"

#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cluster/coordinator/open_coordinator.h"
#include "cluster/coordinator/waiting_coordinator.h"
#include "cluster/table.h"
#include "net/cluster_map.h"

namespace kvarts {

absl::StatusOr<std::vector<std::string>> ClusterSeeds(absl::string_view coordinator,
                                                      Transport* transport) {
  KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<WaitingCoordinator> waiting,
                          WaitingCoordinator::Open(coordinator, transport));
  KVARTS_ASSIGN_OR_RETURN(const Coordinator::Contents contents, waiting->Read());
  KVARTS_ASSIGN_OR_RETURN(const cluster::ClusterTable table,
                          cluster::ClusterTable::Parse(contents));
  const std::string shown = ShownCoordinator(coordinator);
  if (table.cluster_revision == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(shown, ": there is no cluster; make one with kv_cluster create"));
  }
  std::vector<std::string> seeds;
  for (const auto& [node, info] : table.nodes) {
    if (info.native_port != 0) seeds.push_back(NativeHostPort(info));
  }
  if (seeds.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(shown, ": the cluster has no node that serves the native protocol"));
  }
  return seeds;
}

}  // namespace kvarts
