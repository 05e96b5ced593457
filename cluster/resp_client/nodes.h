#ifndef KVARTS_CLUSTER_RESP_CLIENT_NODES_H_
#define KVARTS_CLUSTER_RESP_CLIENT_NODES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "cluster/client/routes.h"
#include "net/cluster_map.h"
#include "net/event_loop.h"
#include "net/resp/client/resp_store_options.h"
#include "net/resp/client/store_link.h"
#include "net/transport.h"

namespace kvarts {
namespace resp_cluster {

// The connection to one node.
using Node = resp_client::StoreLink;
using NodePtr = std::shared_ptr<Node>;

// Constant once made, and shared: a map of the primaries, and the ways to them.
struct Route {
  ClusterMap map;
  std::vector<NodePtr> nodes;  // of each place in map.nodes
};
using RoutePtr = std::shared_ptr<const Route>;

// Something to be asked of the node that serves a key.
struct Errand {
  uint32_t place;   // of the key, in what the caller wants
  std::string ask;  // address of the node that the slot's owner sent it to, for once; mostly empty
};

// What of it goes to one node.
struct Trip {
  NodePtr node;
  std::string ask;  // not empty: behind ASKING
  std::vector<uint32_t> places;
};

// Thread-safe. The newest map that is known, and one connection a primary, all on one loop. Store
// and cursors share it; it is made and destroyed on another thread than the loop's.
class Nodes final : public resp_client::ValueSource {
 public:
  // Asks the first of the seeds that answers for the map.
  static absl::StatusOr<std::shared_ptr<Nodes>> Open(Transport* transport,
                                                     const std::vector<std::string>& seeds,
                                                     const RespStoreOptions& options);
  ~Nodes() override;

  bool expiry() const override { return options_.expiry; }
  absl::Duration Timeout(absl::Duration asked) const override {
    return asked == absl::InfiniteDuration() ? options_.timeout : asked;
  }
  void Read(absl::Span<const absl::string_view> keys, bool value, absl::Duration timeout,
            ReadResults* results) override;
  bool InLoop() const { return loop_->InLoop(); }

  RoutePtr route() const { return newest_.Get(); }
  // See NewestRoute. Reads the map from `first` (may be null) before others. A map of these
  // clusters has no number that grows: the first that differs from `seen` is taken for newer. An
  // older one is mended by the next MOVED.
  RoutePtr Refresh(const RoutePtr& seen, Node* first, absl::Time deadline) {
    return newest_.Refresh(seen, deadline, [&] { return ReadMap(seen, first, deadline); });
  }
  RoutePtr Await(const RoutePtr& seen, absl::Duration pause) { return newest_.Await(seen, pause); }

  // The node at this address. One that is in no map yet is remembered until the next one.
  NodePtr At(const Route& route, const std::string& address);
  // What `errands` are of which nodes, each in its order. Those of slots that nobody serves go to
  // `nobodys`. `slot_of` has the slot of a place.
  std::vector<Trip> Plan(const Route& route, const std::vector<Errand>& errands,
                         absl::FunctionRef<uint16_t(uint32_t place)> slot_of,
                         std::vector<Errand>* nobodys);

 private:
  Nodes(Transport* transport, const std::vector<std::string>& seeds,
        const RespStoreOptions& options, std::unique_ptr<EventLoops> own_loops);

  absl::Status Begin();
  absl::StatusOr<ClusterMap> Ask(Node* node, absl::Duration timeout);
  // Null: nobody has another one.
  RoutePtr ReadMap(const RoutePtr& seen, Node* first, absl::Time deadline);
  RoutePtr NewRoute(ClusterMap map, const Route* before);

  Transport* const transport_;
  const std::vector<std::string> seeds_;         // addresses
  const std::unique_ptr<EventLoops> own_loops_;  // null where one was given
  EventLoop* const loop_;
  RespStoreOptions options_;  // constant; with the loop

  cluster_client::NewestRoute<Route> newest_;
  Mutex mu_;
  std::map<std::string, NodePtr> others_ ABSL_GUARDED_BY(mu_);  // in no map yet, by address
};

using Tries = cluster_client::TriesOver<Nodes, Node>;

// Not thread-safe. What a try has left to do.
class Leftovers {
 public:
  explicit Leftovers(Nodes* nodes, const Route& route) : nodes_(nodes), route_(route) {}

  std::vector<Errand> errands;

  // Whether `status`, the outcome at `place` of what `node` was asked, is to be tried again: it
  // refused, or was not reached. It is an errand then.
  bool Take(uint32_t place, const absl::Status& status, bool reached, const Node& node);
  void AddNobodys(std::vector<Errand> nobodys);

  // Whether a newer map, or time, is what is wanted; else to follow ASK is enough.
  bool wants_map() const { return wants_map_; }
  // Who was said to know it; may be null.
  Node* at() const { return at_.get(); }

 private:
  Nodes* const nodes_;
  const Route& route_;
  bool wants_map_ = false;
  NodePtr at_;
};

}  // namespace resp_cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_RESP_CLIENT_NODES_H_
