#ifndef KVARTS_CLUSTER_CLIENT_CLUSTER_CURSOR_H_
#define KVARTS_CLUSTER_CLIENT_CLUSTER_CURSOR_H_

#include <memory>

#include "absl/status/statusor.h"
#include "cluster/client/nodes.h"
#include "storage/cursor.h"

namespace kvarts {
namespace cluster_client {

// A scan over all nodes. kInvalidArgument: resume_after is not a position of this scan. The options
// were checked against the capabilities.
absl::StatusOr<std::unique_ptr<Cursor>> NewClusterCursor(std::shared_ptr<Nodes> nodes,
                                                         const ScanOptions& options);

}  // namespace cluster_client
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_CLIENT_CLUSTER_CURSOR_H_
