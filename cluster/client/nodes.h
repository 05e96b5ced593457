#ifndef KVARTS_CLUSTER_CLIENT_NODES_H_
#define KVARTS_CLUSTER_CLIENT_NODES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/slot.h"
#include "cluster/client/cluster_store_options.h"
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
  // By slot, the place of its owner; -1: nobody who can be reached.
  std::array<int16_t, kSlots> place;
};
using RoutePtr = std::shared_ptr<const Route>;

// Thread-safe. The newest map that is known, and one connection a node, all on one loop. Store and
// cursors share it; it is made and destroyed on another thread than the loop's.
class Nodes {
 public:
  // Connects to the first of the seeds that answers, and asks it for the map. `loop` outlives it;
  // null: one of its own.
  static absl::StatusOr<std::shared_ptr<Nodes>> Open(Transport* transport,
                                                     const std::vector<std::string>& seeds,
                                                     const ClusterStoreOptions& options,
                                                     EventLoop* loop = nullptr);
  ~Nodes();
  // On the loop, or when it has stopped: ends the connections. REQUIRES: no call is under way, and
  // none comes.
  void Shutdown();

  // The hello of the first node that answered. All nodes of a cluster have the same capabilities.
  const native::ServerHello& server() const { return server_; }
  const Capabilities& capabilities() const { return capabilities_; }

  absl::Duration Timeout(absl::Duration asked) const {
    return asked == absl::InfiniteDuration() ? options_.timeout : asked;
  }
  EventLoop* loop() const { return loop_; }
  bool InLoop() const { return loop_->InLoop(); }

  RoutePtr route() const {
    MutexLock lock(&mu_);
    return route_;
  }
  // Calls back on the loop, with what is newer than `seen`, or with `seen`. Where nobody has since,
  // the map is read, from `first` (may be null) before others; callers at once share one reading.
  // Where that finds nothing newer it waits for others to find it, for `pause` at most. All of it
  // ends at the deadline.
  using Next = absl::AnyInvocable<void(const RoutePtr&)>;
  void Refresh(const RoutePtr& seen, const Node* first, absl::Time deadline, absl::Duration pause,
               Next next);

 private:
  struct Waiter {
    RoutePtr seen;
    absl::Time until;
    absl::Duration pause;
    bool was_read;  // and nothing newer was found
    Next next;
  };
  // Of a map, from one node after the other.
  struct Reading {
    RoutePtr seen;
    absl::Time deadline;
    std::vector<std::shared_ptr<Node>> asked;  // before the seeds
    size_t at = 0;
    int agreeing = 0;
  };
  using OnMap = absl::AnyInvocable<void(absl::StatusOr<ClusterMap>)>;

  Nodes(Transport* transport, const std::vector<std::string>& seeds,
        const ClusterStoreOptions& options, std::unique_ptr<EventLoops> own_loops, EventLoop* loop);

  absl::Status Begin();
  // `cluster_id`: whose nodes alone are talked to; empty: those of the first that answers.
  std::shared_ptr<native::Client> NewClient(const std::string& address,
                                            const std::string& cluster_id);
  std::shared_ptr<Node> NewNode(const std::string& address, const std::string& cluster_id);
  static void Ask(const Node& node, absl::Duration timeout, OnMap done);
  RoutePtr NewRoute(ClusterMap map, const Route* before, const std::shared_ptr<Node>& other);
  void SetRoute(RoutePtr route);

  // On the loop.
  void BeginReading(const RoutePtr& seen, const Node* first, absl::Time deadline);
  void AskNext();
  void TakeMap(const std::shared_ptr<Node>& node, absl::StatusOr<ClusterMap> map);
  void EndReading(RoutePtr newer);
  // Has those go on that wait for nothing more.
  void Wake(bool was_read);
  void ArmTimer();

  const std::shared_ptr<Transport> own_transport_;  // null, mostly; the last to go
  Transport* const transport_;
  const std::vector<std::string> seeds_;  // addresses
  const ClusterStoreOptions options_;
  const std::unique_ptr<EventLoops> own_loops_;  // null where a loop was given
  EventLoop* const loop_;

  // Constant after Open().
  native::ServerHello server_;
  Capabilities capabilities_;

  mutable Mutex mu_;
  RoutePtr route_ ABSL_GUARDED_BY(mu_);

  // On the loop.
  std::list<Waiter> waiters_;
  std::unique_ptr<Timer> timer_;      // for the first of them that is to go on
  std::shared_ptr<Reading> reading_;  // null: there is none
  uint64_t readings_ = 0;
};

// Whether a node's answer says that it does not serve the key's slot: nothing was done.
bool IsElsewhere(const absl::Status& status);

}  // namespace cluster_client
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_CLIENT_NODES_H_
