#ifndef KVARTS_CLUSTER_NODE_PEER_WATCH_H_
#define KVARTS_CLUSTER_NODE_PEER_WATCH_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "cluster/node/node_parts.h"
#include "cluster/node/peer_connection.h"

namespace kvarts {
namespace cluster {

// On its loop only. Which of the registered nodes answer: a view that clients are told by
// (CLUSTERDOWN instead of MOVED) and plans are made by, and that decides nothing.
class PeerWatch {
 public:
  // `changed`: some node is seen otherwise than before.
  PeerWatch(NodeParts* parts, std::function<void()> changed);
  ~PeerWatch() { Stop(); }
  void Stop();

  // Watches those that the table has.
  void TableChanged();
  // A node that has just come counts as alive until it has been silent for a second; one that is
  // not registered is not alive. What this node was not run for, as on a machine without processor
  // time, is not their silence.
  bool IsAlive(const Incarnation& node) const;

 private:
  struct Peer {
    std::string address;
    std::shared_ptr<PeerConnection> connection;
    absl::Duration heard;
    absl::Duration try_after;
    bool was_alive = true;
    std::string why;  // the last connection ended
  };

  void Tick();
  void Connect(const Incarnation& node, Peer* peer);
  bool IsAlive(const Peer& peer) const;

  const NodeParts& parts_;
  const std::function<void()> changed_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::map<Incarnation, Peer> peers_;
  std::unique_ptr<Timer> timer_;
  absl::Duration ticked_;  // last
};

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_NODE_PEER_WATCH_H_
