#ifndef KVARTS_CLUSTER_CLIENT_CLUSTER_SEEDS_H_
#define KVARTS_CLUSTER_CLIENT_CLUSTER_SEEDS_H_

#include "base/language.h"

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "net/transport.h"

namespace kvarts {

// "HOST:PORT" of the native protocol of all nodes that the coordinator's table has, for
// OpenClusterStore(). Waits for the coordinator, for five seconds. kInvalidArgument for a bad spec,
// kFailedPrecondition where there is no cluster, or no node that speaks the native protocol.
absl::StatusOr<std::vector<std::string>> ClusterSeeds(absl::string_view coordinator,
                                                      Transport* transport);

}  // namespace kvarts

#endif  // KVARTS_CLUSTER_CLIENT_CLUSTER_SEEDS_H_
