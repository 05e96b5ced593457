#ifndef KVARTS_CLUSTER_RESP_CLIENT_NODE_CURSOR_H_
#define KVARTS_CLUSTER_RESP_CLIENT_NODE_CURSOR_H_

#include <memory>

#include "absl/status/statusor.h"
#include "cluster/resp_client/nodes.h"
#include "storage/cursor.h"

namespace kvarts {
namespace resp_cluster {

// A scan over all nodes. kInvalidArgument: resume_after is not a position of this scan. The options
// were checked against the capabilities.
absl::StatusOr<std::unique_ptr<Cursor>> NewNodeCursor(std::shared_ptr<Nodes> nodes,
                                                      const ScanOptions& options);

}  // namespace resp_cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_RESP_CLIENT_NODE_CURSOR_H_
