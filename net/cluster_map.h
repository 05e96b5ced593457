#ifndef KVARTS_NET_CLUSTER_MAP_H_
#define KVARTS_NET_CLUSTER_MAP_H_

#include "base/language.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/slot.h"

namespace kvarts {

// Where one node of a cluster is reached by clients.
struct ClusterNode {
  std::string id;    // 40 hexadecimal digits: its incarnation
  std::string host;  // as advertised: an address, or a name; of RESP, where it differs
  // Of the other protocols where they are reached at another host; empty: `host`.
  std::string native_host;
  std::string http_host;
  // Ports of the protocols; 0: not served.
  int native_port = 0;
  int resp_port = 0;
  int http_port = 0;
  int internal_port = 0;  // between nodes
  bool native_tls = false;
  bool resp_tls = false;
  bool http_tls = false;
  bool is_alive = true;   // as the node that made this map sees it
  bool is_member = true;  // false: registered, and takes no slots
  bool is_leaving = false;
  uint64_t epoch = 0;  // of its newest slot
};

// Constant once made, and shared. Which node holds which slot, at one revision of the cluster's
// table: what a client is told, over every protocol.
struct ClusterMap {
  static constexpr int16_t kNobody = -1;

  ClusterMap() { owner.fill(kNobody); }

  std::string cluster_id;  // 40 hexadecimal digits
  uint64_t revision = 0;   // grows with every change of the table
  std::vector<ClusterNode> nodes;
  int myself = -1;  // the node that made it, in `nodes`; -1: none of them did
  // Of each slot: the place of its node in `nodes`, or kNobody.
  std::array<int16_t, kSlots> owner;
  // Slots that were lost with a node and given out again empty, since the cluster was made.
  uint64_t lost_slots = 0;

  const ClusterNode* OwnerOf(uint16_t slot) const {
    return owner[slot] < 0 ? nullptr : &nodes[static_cast<size_t>(owner[slot])];
  }
  // The runs of neighbouring slots that node `place` holds, in order.
  std::vector<SlotRange> RunsOf(int place) const;
};

// Thread-safe. The newest map that a process knows.
class ClusterView {
 public:
  virtual ~ClusterView() = default;
  // Never null.
  virtual std::shared_ptr<const ClusterMap> map() const = 0;
};

// "HOST:PORT", with brackets around an IPv6 address.
std::string HostPort(absl::string_view host, int port);

// Where clients reach a node, or its record, which has the same fields: "HOST:PORT", and the
// beginning of a URL, "https://HOST:PORT". Empty where it does not serve the protocol.
template <typename Node>
std::string NativeHostPort(const Node& node) {
  if (node.native_port == 0) return {};
  return HostPort(node.native_host.empty() ? node.host : node.native_host, node.native_port);
}
template <typename Node>
std::string RespHostPort(const Node& node) {
  return node.resp_port == 0 ? std::string() : HostPort(node.host, node.resp_port);
}
template <typename Node>
std::string HttpHostPort(const Node& node) {
  if (node.http_port == 0) return {};
  return HostPort(node.http_host.empty() ? node.host : node.http_host, node.http_port);
}
template <typename Node>
std::string HttpOrigin(const Node& node) {
  if (node.http_port == 0) return {};
  return (node.http_tls ? "https://" : "http://") + HttpHostPort(node);
}

}  // namespace kvarts

#endif  // KVARTS_NET_CLUSTER_MAP_H_
