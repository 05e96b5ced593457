#ifndef KVARTS_CLUSTER_TABLE_H_
#define KVARTS_CLUSTER_TABLE_H_

#include "base/language.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>
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
  double weight = 1;          // slots are shared out by it; as the node was started
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
  // Who gave the slot out has given up what was in it. What its primary, or nobody's next one, has
  // of it is removed before it is served.
  bool fresh = false;

  friend bool operator==(const SlotEntry& a, const SlotEntry& b);
};

// The entries of a record's slots.
struct SlotGroup {
  // The record that the entries were read from, and the numbers that the table gives its nodes.
  struct Source {
    std::string bytes;
    int64_t revision = 0;
    std::vector<Incarnation> nodes;
    std::vector<uint16_t> numbers;
  };

  std::array<SlotEntry, kSlotsPerGroup> entries;
  // What loops over all slots need not look for here. True of entries that may have been changed
  // since they were read.
  bool may_lack_primary = true;
  bool may_have_joining = true;
  bool may_differ = true;  // in their primary
  // Bit n % 64 is not set where node n is no entry's primary, or previous node.
  uint64_t primaries = ~uint64_t{0};
  uint64_t previous = ~uint64_t{0};
  uint64_t newest_epoch = 0;             // of entries as they were read
  std::shared_ptr<const Source> source;  // null once they may have been changed

  bool MayHavePrimary(uint16_t number) const { return ((primaries >> (number % 64)) & 1) != 0; }
  bool MayHavePrevious(uint16_t number) const { return ((previous >> (number % 64)) & 1) != 0; }
};

// Not thread-safe. The entry of each slot. Copies share groups until one of them changes an entry:
// to copy a table takes a microsecond, and a group that is at the same place in memory is the same.
class SlotEntries {
 public:
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = SlotEntry;
    using difference_type = std::ptrdiff_t;
    using pointer = const SlotEntry*;
    using reference = const SlotEntry&;

    Iterator(const SlotEntries* entries, int slot) : entries_(entries), slot_(slot) {}
    reference operator*() const { return (*entries_)[slot_]; }
    pointer operator->() const { return &(*entries_)[slot_]; }
    Iterator& operator++() {
      ++slot_;
      return *this;
    }
    Iterator operator++(int) { return {entries_, slot_++}; }
    friend bool operator==(const Iterator& a, const Iterator& b) { return a.slot_ == b.slot_; }
    friend bool operator!=(const Iterator& a, const Iterator& b) { return a.slot_ != b.slot_; }

   private:
    const SlotEntries* entries_;
    int slot_;
  };

  SlotEntries();

  const SlotEntry& operator[](int slot) const {
    return groups_[static_cast<size_t>(slot / kSlotsPerGroup)]
        ->entries[static_cast<size_t>(slot % kSlotsPerGroup)];
  }
  // For a change; the reference is good until the next copy of this.
  SlotEntry& Mutable(int slot);

  const std::shared_ptr<const SlotGroup>& group(int group) const {
    return groups_[static_cast<size_t>(group)];
  }
  void SetGroup(int group, std::shared_ptr<const SlotGroup> entries) {
    groups_[static_cast<size_t>(group)] = std::move(entries);
  }

  friend bool operator==(const SlotEntries& a, const SlotEntries& b) {
    return std::equal(a.begin(), a.end(), b.begin());
  }

  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, kSlots}; }

 private:
  std::array<std::shared_ptr<const SlotGroup>, kSlotGroups> groups_;
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
  SlotEntries slots;
  std::array<int64_t, kSlotGroups> group_revisions{};

  // kDataLoss where a record is damaged or of a later version, with its name. Groups whose records
  // are as they were in `before`, which may be null, are shared with it and not parsed again.
  static absl::StatusOr<ClusterTable> Parse(const Coordinator::Contents& contents,
                                            const ClusterTable* before = nullptr);

  // The number of `node` in SlotEntry; adds it to `names` where it is not there.
  uint16_t NumberOf(const Incarnation& node);
  // The same; 0 where it is not there.
  uint16_t FindNumber(const Incarnation& node) const;
  const Incarnation& NameOf(uint16_t number) const { return names[number - 1]; }
  bool IsMember(const Incarnation& node) const;
  int CountOf(uint16_t primary) const;  // slots
  // The revision of the newest record there is. Unlike `revision` it grows with nothing else, reads
  // say; nor with the removal of a record.
  int64_t LastChange() const;

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
