#ifndef KVARTS_CLUSTER_CLIENT_NODES_H_
#define KVARTS_CLUSTER_CLIENT_NODES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cluster/client/cluster_store.h"
#include "cluster/client/routes.h"
#include "net/cluster_map.h"
#include "net/event_loop.h"
#include "net/native/client.h"
#include "net/native/native.pb.h"
#include "net/transport.h"
#include "storage/capabilities.h"

namespace kvarts {
namespace cluster_client {

// Thread-safe. The connection to one node. Whoever is the last to hold it ends it, on any thread.
class Node {
 public:
  explicit Node(std::shared_ptr<native::Client> client) : client_(std::move(client)) {}
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  native::Client& client() const { return *client_; }
  const std::string& address() const { return client_->address(); }

 private:
  const std::shared_ptr<native::Client> client_;
};

// Constant once made, and shared: a map of the cluster, and the ways to its nodes.
struct Route {
  ClusterMap map;
  // Of each place in map.nodes; null: it holds no slots, or does not serve the native protocol.
  std::vector<std::shared_ptr<Node>> nodes;

  // -1: nobody who can be reached.
  int PlaceOf(uint16_t slot) const {
    const int place = map.owner[slot];
    return place < 0 || nodes[static_cast<size_t>(place)] == nullptr ? -1 : place;
  }
};
using RoutePtr = std::shared_ptr<const Route>;

// Thread-safe. The newest map that is known, and one connection a node, all on one loop. Store and
// cursors share it; it is made and destroyed on another thread than the loop's.
class Nodes {
 public:
  // Connects to the first of the seeds that answers, and asks it for the map.
  static absl::StatusOr<std::shared_ptr<Nodes>> Open(Transport* transport,
                                                     const std::vector<std::string>& seeds,
                                                     const ClusterStoreOptions& options);
  ~Nodes();

  // The hello of the first node that answered. All nodes of a cluster have the same capabilities.
  const native::ServerHello& server() const { return server_; }
  const Capabilities& capabilities() const { return capabilities_; }

  absl::Duration Timeout(absl::Duration asked) const {
    return asked == absl::InfiniteDuration() ? options_.timeout : asked;
  }
  bool InLoop() const { return loop_->InLoop(); }

  RoutePtr route() const { return newest_.Get(); }
  // See NewestRoute. Reads the map from `first` (may be null) before others.
  RoutePtr Refresh(const RoutePtr& seen, const Node* first, absl::Time deadline) {
    return newest_.Refresh(seen, deadline, [&] { return Read(seen, first, deadline); });
  }
  RoutePtr Await(const RoutePtr& seen, absl::Duration pause) { return newest_.Await(seen, pause); }

 private:
  Nodes(Transport* transport, const std::vector<std::string>& seeds,
        const ClusterStoreOptions& options, std::unique_ptr<EventLoops> loops);

  absl::Status Begin();
  // `cluster_id`: whose nodes alone are talked to; empty: those of the first that answers.
  std::shared_ptr<native::Client> NewClient(const std::string& address,
                                            const std::string& cluster_id);
  std::shared_ptr<Node> NewNode(const std::string& address, const std::string& cluster_id);
  absl::StatusOr<ClusterMap> Ask(const Node& node, absl::Duration timeout);
  // Null: nobody has a newer one.
  RoutePtr Read(const RoutePtr& seen, const Node* first, absl::Time deadline);
  RoutePtr NewRoute(ClusterMap map, const Route* before, const std::shared_ptr<Node>& other);

  const std::shared_ptr<Transport> own_transport_;  // null, mostly; the last to go
  Transport* const transport_;
  const std::vector<std::string> seeds_;  // addresses
  const ClusterStoreOptions options_;
  const std::unique_ptr<EventLoops> loops_;
  EventLoop* const loop_;

  // Constant after Open().
  native::ServerHello server_;
  Capabilities capabilities_;

  NewestRoute<Route> newest_;
};

using Tries = TriesOver<Nodes, const Node>;

// Whether a node's answer says that it does not serve the key's slot: nothing was done.
bool IsElsewhere(const absl::Status& status);

}  // namespace cluster_client
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_CLIENT_NODES_H_
