#ifndef KVARTS_NET_RESP_CLUSTER_REPLIES_H_
#define KVARTS_NET_RESP_CLUSTER_REPLIES_H_

#include <array>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "net/cluster_map.h"

namespace kvarts {
namespace resp {

// Constant. What is said of one map, as the bytes of a reply: [0] in RESP2, [1] in RESP3.
struct ClusterTexts {
  using ByProtocol = std::array<std::string, 2>;

  std::shared_ptr<const ClusterMap> map;
  ByProtocol slots, shards, nodes;
};

// Thread-safe. The replies to CLUSTER SLOTS, SHARDS and NODES, which clients with many connections
// ask for all at once after a change: made once a map, then copied.
//
// Formats are those of redis-server 7.0.15, with these choices:
//   - a host that is a name is the preferred endpoint, and stands where Redis has the IP too: the
//     map knows no other, and nothing may be "" or "?";
//   - a node that does not speak RESP is left out, with its slots: no client could ask it;
//   - where there is no internal port, the bus port is the one clients expect, RESP's + 10000.
class ClusterReplies {
 public:
  // For the newest of `cluster`.
  std::shared_ptr<const ClusterTexts> Newest(const ClusterView& cluster);

 private:
  Mutex mu_;
  std::shared_ptr<const ClusterTexts> texts_ ABSL_GUARDED_BY(mu_);  // null: none were asked for
};

// CLUSTER INFO's text. The state is "ok" also while slots are down, as clients use no node of a
// cluster that is not; `cluster_slots_fail` counts those of dead nodes, and of nobody.
std::string ClusterInfoText(const ClusterMap& map);

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_CLUSTER_REPLIES_H_
