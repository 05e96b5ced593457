#ifndef KVARTS_CLUSTER_CLIENT_CLUSTER_WRITE_H_
#define KVARTS_CLUSTER_CLIENT_CLUSTER_WRITE_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "cluster/client/nodes.h"
#include "storage/store.h"

namespace kvarts {
namespace cluster_client {

// Not thread-safe: one a call. A Write() over the nodes of a cluster.
class ClusterWrite {
 public:
  // `results` gets an outcome for each mutation. All must stay until Run() returns.
  ClusterWrite(Nodes* nodes, const WriteBatch& batch, const WriteOptions& options,
               WriteResults* results)
      : nodes_(nodes),
        batch_(batch),
        options_(options),
        results_(results),
        tries_(nodes, options.timeout) {}

  // The batch was checked against the capabilities.
  absl::Status Run();

 private:
  absl::Status RunAtomic();
  // Independent mutations of single keys, those at `places`, in order.
  void RunSingly(std::vector<uint32_t> places);
  // One request to each node that has some. What is left is in the order of the batch;
  // `asks_again`: of it, some were refused (by *at, where a node said so).
  std::vector<uint32_t> TryOnce(const Route& route, const std::vector<uint32_t>& places,
                                bool* asks_again, const Node** at);
  // A deletion of a range, at all nodes.
  absl::Status RunRange(uint32_t place);

  Nodes* const nodes_;
  const WriteBatch& batch_;
  const WriteOptions& options_;
  WriteResults* const results_;
  Tries tries_;
};

}  // namespace cluster_client
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_CLIENT_CLUSTER_WRITE_H_
