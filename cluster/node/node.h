#ifndef KVARTS_CLUSTER_NODE_NODE_H_
#define KVARTS_CLUSTER_NODE_NODE_H_

#include "base/language.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "cluster/coordinator.h"
#include "cluster/node/node_store.h"
#include "cluster/node/outbox.h"
#include "cluster/table.h"
#include "net/event_loop.h"
#include "net/store_runner.h"
#include "net/transport.h"

namespace kvarts {
namespace cluster {

struct NodeOptions {
  Incarnation incarnation;
  // What a durable node's file had: which slots may hold what is not the node's.
  std::vector<uint16_t> marked_slots;
  // Writes such a list down, durably; null: nothing outlives the process.
  std::function<void(const std::vector<uint16_t>& slots,
                     absl::AnyInvocable<void(absl::Status)> done)>
      save_marked;
  // How clients and other nodes reach it. `openings`: with this opening; `state` and `revision`
  // are not looked at.
  NodeInfo info;
  std::string capabilities;  // of its store, as text
  // Where it listens for other nodes: "tcp://127.0.0.1:0". The port that was picked goes into its
  // record, unless `info` has one, and from that `address_of` makes where a node is reached.
  std::string internal_address;
  std::function<std::string(const NodeInfo& node)> address_of;  // null: tcp://HOST:PORT
  // Takes no slots before it is added by hand.
  bool manual = false;
  // A node that crashes again and again must not move the whole cluster's data each time.
  absl::Duration join_delay = absl::Seconds(5);
  CopyLimits copy_limits;
  const Clock* clock = Clock::Real();
  std::function<void(absl::string_view sentence)> say = [](absl::string_view) {};
};

struct NodeStatus {
  bool is_registered = false;
  int slots = 0;
  bool is_idle = true;  // nothing moves in or out, nothing is being removed
};

// A node of a cluster, as a state machine on one loop that is handed its clock, network, store and
// coordinator: follows the table, registers itself, takes and gives away slots. What it serves is
// a NodeStore, which protocols call from their own threads.
//
// On the loop only, but for the constructor and the destructor. REQUIRES: Stop() before the end.
class Node {
 public:
  // All must outlive the node. `runner` is over the store under `store`.
  Node(Transport* transport, EventLoop* loop, StoreRunner* runner, NodeStore* store,
       Coordinator* coordinator, NodeOptions options);
  ~Node();

  // Listens for other nodes and registers. `done` is called once: OK when the node is in the
  // table. kFailedPrecondition: there is no such cluster, or this one has no place in it.
  void Start(absl::AnyInvocable<void(absl::Status)> done);
  // Gives away all its slots and leaves the cluster; then calls `done`.
  void Leave(absl::AnyInvocable<void()> done);
  // Ends all it does. Requests that wait are told that their slots are down.
  void Stop();

  NodeStatus status() const;

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_NODE_NODE_H_
