#ifndef KVARTS_CLUSTER_RESP_CLIENT_NODE_WRITE_H_
#define KVARTS_CLUSTER_RESP_CLIENT_NODE_WRITE_H_

#include "absl/status/status.h"
#include "cluster/resp_client/nodes.h"
#include "storage/store.h"

namespace kvarts {
namespace resp_cluster {

// A Write() of independent mutations over the nodes of a cluster. The batch was checked against
// `capabilities`; `results` gets an outcome for each mutation.
absl::Status WriteToNodes(Nodes* nodes, const Capabilities& capabilities, const WriteBatch& batch,
                          const WriteOptions& options, WriteResults* results);

}  // namespace resp_cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_RESP_CLIENT_NODE_WRITE_H_
