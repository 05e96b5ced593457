#ifndef KVARTS_CLUSTER_RESP_CLIENT_RESP_CLUSTER_STORE_H_
#define KVARTS_CLUSTER_RESP_CLIENT_RESP_CLUSTER_STORE_H_

#include "base/language.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "net/resp/client/resp_store_options.h"
#include "net/transport.h"
#include "storage/store.h"

namespace kvarts {

// Opens the strings of a Redis or Valkey cluster, of Redis 6.2 or later, as a store. `seeds` are
// some of its nodes, "HOST:PORT": the first that answers tells the others. What it can do, and how
// it is asked, is what OpenRespStore() says of one server; the options are the same, and each node
// has the password. kInvalidArgument without a seed, kUnavailable where none answers,
// kUnauthenticated for a password, kFailedPrecondition for a server that is in no cluster or of
// which nobody serves a slot. `transport` must outlive the store and its cursors.
//
// Calls wait, on any thread but the loop's, which has one connection a primary. A batch is one
// pipeline a node, all at once. What a node does not serve is asked for where it says, or waited
// for, until the call's timeout:
//   kUnavailable       not done: nobody served the key, or its node could not be reached
//   kDeadlineExceeded  a write may have been applied; it is not repeated
// The keys of a dead node fail alone, until its replica is promoted. Mutations of one key keep
// their order, whatever moves.
//
// A cursor goes from node to node: a key that is there from first page to last is seen at least
// once, also where its slot moves, but see the README. Its position is good in any process.
absl::StatusOr<std::unique_ptr<Store>> OpenRespClusterStore(Transport* transport,
                                                            const std::vector<std::string>& seeds,
                                                            const RespStoreOptions& options = {});

}  // namespace kvarts

#endif  // KVARTS_CLUSTER_RESP_CLIENT_RESP_CLUSTER_STORE_H_
