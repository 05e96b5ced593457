#ifndef KVARTS_CLUSTER_TABLE_H_
#define KVARTS_CLUSTER_TABLE_H_

#include "base/language.h"

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/slot.h"
#include "cluster/coordinator.h"

namespace kvarts {
namespace cluster {

// A node's name for one life of its data: 20 random bytes. A store in memory has a new one at each
// start, a durable store keeps its own.
using Incarnation = std::string;
std::string ToHex(absl::string_view bytes);

inline constexpr int kSlotGroups = 64;
inline constexpr int kSlotsPerGroup = kSlots / kSlotGroups;

enum class NodeState : unsigned char {
  kRegistered = 0,  // is there, and takes no slots before it is added
  kMember,
  kLeaving,  // gives its slots away
};

struct NodeInfo {
  NodeState state = NodeState::kRegistered;
  // As ClusterNode has them (net/cluster_map.h).
  std::string host;
  std::string native_host;
  std::string http_host;
  int native_port = 0;
  int resp_port = 0;
  int http_port = 0;
  // Where other nodes reach it, which need not be where clients do.
  std::string internal_host;
  int internal_port = 0;
  bool internal_secret = false;  // over which both prove that they know the cluster's password
  bool native_tls = false;
  bool resp_tls = false;
  bool http_tls = false;
  bool durable = false;
  uint64_t openings = 0;
  uint64_t memory_limit = 0;  // bytes of its store; 0: none
  double weight = 1;
  int64_t registered_ms = 0;
  std::string store;
  int64_t revision = 0;  // of its record

  friend bool operator==(const NodeInfo& a, const NodeInfo& b);
};

// Nodes are places in ClusterTable::names plus one; 0: none.
struct SlotEntry {
  uint16_t primary = 0;
  uint16_t joining = 0;
  uint16_t previous = 0;
  bool adopted = false;
  // The revision at which this entry last changed. 0 in an entry that is to be written.
  uint64_t epoch = 0;

  friend bool operator==(const SlotEntry& a, const SlotEntry& b);
};

// A copy of what the coordinator has, at one revision.
struct ClusterTable {
  int64_t revision = 0;
  int64_t cluster_revision = 0;  // of the cluster's record; 0: there is no cluster
  std::string cluster_id;
  bool empty_on_loss = false;
  uint64_t lost_slots = 0;
  std::string capabilities;

  std::map<Incarnation, NodeInfo> nodes;  // those that are registered
  // Those that slots name, registered or not. Entry i is node i + 1 of a SlotEntry.
  std::vector<Incarnation> names;
  std::array<SlotEntry, kSlots> slots;
  std::array<int64_t, kSlotGroups> group_revisions{};

  // kDataLoss where a record is damaged or of a later version, with its name.
  static absl::StatusOr<ClusterTable> Parse(const Coordinator::Contents& contents);

  // The number of `node` in SlotEntry; adds it to `names` where it is not there.
  uint16_t NumberOf(const Incarnation& node);
  // The same; 0 where it is not there.
  uint16_t FindNumber(const Incarnation& node) const;
  const Incarnation& NameOf(uint16_t number) const { return names[number - 1]; }
  bool IsMember(const Incarnation& node) const;
  int CountOf(uint16_t primary) const;  // slots

  // Changes for a transaction. Each compares what it replaces, as this copy has it.
  void AddCluster(Coordinator::Transaction* transaction) const;
  void AddNode(const Incarnation& node, Coordinator::Transaction* transaction) const;
  // Compares all slots as well: none may have come to the node since this copy was read.
  void RemoveNode(const Incarnation& node, Coordinator::Transaction* transaction) const;
  void AddGroup(int group, Coordinator::Transaction* transaction) const;
  // That nobody changes these meanwhile.
  void CompareNode(const Incarnation& node, Coordinator::Transaction* transaction) const;
  // Those groups in which a slot differs from `before`. Returns how many.
  int AddChangedGroups(const ClusterTable& before, Coordinator::Transaction* transaction) const;
};

// "tcp://HOST:PORT" of what a node has for other nodes.
std::string InternalAddress(const NodeInfo& node);

inline int GroupOf(int slot) { return slot / kSlotsPerGroup; }

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_TABLE_H_
