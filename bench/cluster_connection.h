#ifndef KVARTS_BENCH_CLUSTER_CONNECTION_H_
#define KVARTS_BENCH_CLUSTER_CONNECTION_H_

#include "base/language.h"

#include <string>
#include <vector>

#include "bench/connection_run.h"
#include "cluster/client/cluster_store_options.h"
#include "net/transport.h"

namespace kvarts {

// "Connections" to a cluster: each has one of its own to every node. `transport` must outlive them.
BenchConnectionFactory ClusterConnections(Transport* transport,
                                          const std::vector<std::string>& seeds,
                                          const ClusterStoreOptions& options);

}  // namespace kvarts

#endif  // KVARTS_BENCH_CLUSTER_CONNECTION_H_
