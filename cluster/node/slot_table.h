#ifndef KVARTS_CLUSTER_NODE_SLOT_TABLE_H_
#define KVARTS_CLUSTER_NODE_SLOT_TABLE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/slot.h"
#include "base/swappable.h"
#include "cluster/node/in_flight.h"
#include "net/cluster_map.h"
#include "storage/read_results.h"

namespace kvarts {
namespace cluster {

// What a node does with requests for a slot.
enum class SlotState : unsigned char {
  kElsewhere = 0,  // MOVED to the map's owner, or CLUSTERDOWN where there is none that is alive
  kDown,           // CLUSTERDOWN: whose it is will only be known later
  kHeld,           // waits, until it is one of the others
  kServing,
  kCopying,  // serving, and what is written goes to the outbox too
};

// Thread-safe; what begins with Set is for the node's own thread. Which slots are a node's, as its
// requests see it. A call that acts on a state does so under a guard of calls(), so that who
// changes the state can wait for those that saw the old one.
class SlotTable {
 public:
  SlotTable();

  SlotState state(uint16_t slot) const {
    const uint8_t value = states_[slot].load(std::memory_order_seq_cst);
    return (value & kReleasing) != 0 ? SlotState::kHeld : static_cast<SlotState>(value);
  }
  bool Serves(uint16_t slot) const { return state(slot) >= SlotState::kServing; }
  void SetState(uint16_t slot, SlotState state) {
    states_[slot].store(static_cast<uint8_t>(state), std::memory_order_seq_cst);
  }
  // The slot stays held, but for those that were held: for them it is `state` now. So nobody who
  // comes later overtakes them. SetState() ends it.
  void Release(uint16_t slot, SlotState state) {
    states_[slot].store(static_cast<uint8_t>(state) | kReleasing, std::memory_order_seq_cst);
  }
  // What it is for those that were held.
  SlotState state_behind_hold(uint16_t slot) const {
    const uint8_t value = states_[slot].load(std::memory_order_seq_cst);
    return static_cast<SlotState>(value & ~kReleasing);
  }

  // The revision at which the slot came to this node: see CombineStamp().
  void SetEpoch(uint16_t slot, uint64_t epoch) {
    epochs_[slot].store(epoch, std::memory_order_relaxed);
  }
  // A store's stamp as clients see it, and the other way around: both are the same. Under another
  // epoch it becomes a stamp that was never given.
  Stamp CombineStamp(uint16_t slot, const Stamp& stamp) const;

  // Of how many slots there may be entries in the store that are not the node's.
  int foreign() const { return foreign_.load(std::memory_order_seq_cst); }
  // Before the first such entry is there, and after the last one is gone.
  void SetForeign(int slots) { foreign_.store(slots, std::memory_order_seq_cst); }

  std::shared_ptr<const ClusterMap> map() const { return map_.Share(); }
  void SetMap(std::shared_ptr<const ClusterMap> map) { map_.Exchange(std::move(map)); }

  // The error of a slot that is not served here, being in `state`.
  absl::Status WhyNot(uint16_t slot, SlotState state) const;

  InFlight* calls() { return &calls_; }

 private:
  static constexpr uint8_t kReleasing = 0x80;

  std::array<std::atomic<uint8_t>, kSlots> states_;
  std::array<std::atomic<uint64_t>, kSlots> epochs_;
  std::atomic<int> foreign_{0};
  InFlight calls_;
  Swappable<const ClusterMap> map_;
};

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_NODE_SLOT_TABLE_H_
