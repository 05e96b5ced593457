#ifndef KVARTS_CLUSTER_CLIENT_CLUSTER_STORE_H_
#define KVARTS_CLUSTER_CLIENT_CLUSTER_STORE_H_

#include "base/language.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cluster/client/cluster_store_options.h"
#include "net/transport.h"
#include "storage/store.h"

namespace kvarts {

// Opens a store over all nodes of a cluster. `seeds` are native addresses of some of them,
// "HOST:PORT": the first that answers tells the others. kUnavailable where none answers,
// kInvalidArgument without a seed, kUnauthenticated for a password, kFailedPrecondition for a
// server that is in no cluster. `transport` must outlive the store and its cursors.
//
// Calls wait, on any thread but the store's own loop, which has one connection a node. A batch is
// one request a node, all at once. A key that moved is asked for at its new owner, and one that
// nobody serves is waited for, until the call's timeout:
//   kUnavailable       not done: nobody served the key, or its node could not be reached
//                      (IsSlotDown(), storage/slot_status.h)
//   kDeadlineExceeded  a write may have been applied; it is not repeated at another node
//   kInvalidArgument   also an atomic batch of several slots, or one that deletes a range
// The keys of a dead node fail alone. Mutations of one key keep their order, whatever moves.
//
// A cursor goes from node to node: a key that is there from first page to last is seen at least
// once, once where nothing moves. Its position is good in any process.
absl::StatusOr<std::unique_ptr<Store>> OpenClusterStore(Transport* transport,
                                                        const std::vector<std::string>& seeds,
                                                        const ClusterStoreOptions& options = {});

}  // namespace kvarts

#endif  // KVARTS_CLUSTER_CLIENT_CLUSTER_STORE_H_
