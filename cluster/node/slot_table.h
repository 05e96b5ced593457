#ifndef KVARTS_CLUSTER_NODE_SLOT_TABLE_H_
#define KVARTS_CLUSTER_NODE_SLOT_TABLE_H_

#include "base/language.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/cond_var.h"
#include "base/mutex.h"
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
    return StateOf(states_[slot].load(std::memory_order_seq_cst));
  }
  bool Serves(uint16_t slot) const { return state(slot) >= SlotState::kServing; }
  void SetState(uint16_t slot, SlotState state) { SetStates({&slot, 1}, state); }
  // All of them, as one change.
  void SetStates(absl::Span<const uint16_t> slots, SlotState state) {
    SetBytes(slots, static_cast<uint8_t>(state));
  }
  // The slot stays held, but for those that were held: for them it is `state` now. So nobody who
  // comes later overtakes them. SetState() ends it.
  void Release(uint16_t slot, SlotState state) {
    SetBytes({&slot, 1}, static_cast<uint8_t>(state) | kReleasing);
  }
  // What it is for those that were held.
  SlotState state_behind_hold(uint16_t slot) const {
    const uint8_t value = states_[slot].load(std::memory_order_seq_cst);
    return static_cast<SlotState>(value & ~kReleasing);
  }

  // How many slots are in that state. While one of them comes to be in it, or leaves it, it may be
  // counted though state() tells the other one.
  int count(SlotState state) const {
    return counts_[static_cast<size_t>(state)].load(std::memory_order_seq_cst);
  }

  // A write of the slot was held, maybe for another slot of its batch: later ones wait until it has
  // gone on, so that they do not overtake it.
  void AddHeldWrite(uint16_t slot) {
    held_writes_[slot].fetch_add(1, std::memory_order_seq_cst);
    all_held_writes_.fetch_add(1, std::memory_order_seq_cst);
  }
  void RemoveHeldWrite(uint16_t slot) {
    all_held_writes_.fetch_sub(1, std::memory_order_seq_cst);
    held_writes_[slot].fetch_sub(1, std::memory_order_seq_cst);
  }
  bool has_held_writes() const { return all_held_writes_.load(std::memory_order_seq_cst) > 0; }
  bool has_held_writes(uint16_t slot) const {
    return held_writes_[slot].load(std::memory_order_seq_cst) > 0;
  }

  // Wait until the slot is not held, for a write also not by writes before it; until no slot is.
  // False: the table was closed. Not under a guard of calls(), for which who ends a hold may wait.
  bool AwaitNotHeld(uint16_t slot, bool for_write);
  bool AwaitNoneHeld();
  // Wakes those that wait: after a change of what they wait for.
  void Wake();
  // Nobody waits any more.
  void Close();

  // The revision at which the slot came to this node: see CombineStamp().
  void SetEpoch(uint16_t slot, uint64_t epoch) {
    epochs_[slot].store(epoch, std::memory_order_relaxed);
  }
  // A store's stamp as clients see it, and the other way around: both are the same. Under another
  // epoch it becomes a stamp that was never given.
  Stamp CombineStamp(uint16_t slot, const Stamp& stamp) const {
    return {stamp.high, stamp.low ^ StampMask(slot)};
  }
  // What CombineStamp() adds now. A reader takes it before it reads the store: under a newer epoch
  // than the store's answer is from, a stamp would match what it does not name.
  uint64_t StampMask(uint16_t slot) const;

  // Of how many slots there may be entries in the store that are not the node's: of all, before it
  // is known which are.
  int foreign() const { return foreign_.load(std::memory_order_seq_cst); }
  // Before the first such entry is there, and after the last one is gone.
  void SetForeign(int slots) {
    changes_.fetch_add(1, std::memory_order_seq_cst);
    foreign_.store(slots, std::memory_order_seq_cst);
  }

  // A count of changes: of states, and of what is foreign.
  uint64_t changes() const { return changes_.load(std::memory_order_seq_cst); }
  // The last of the changes of states among a group of the table (cluster/table.h). For the node's
  // own thread.
  uint64_t changes_of_group(int group) const {
    return group_changes_[static_cast<size_t>(group)].load(std::memory_order_relaxed);
  }
  // Whether the slot's entries are the node's and were so already when changes() was `then`: of one
  // that has come since, what was read may be a part, or old. One that the node served before it
  // was held is its own still.
  bool HasOwnedSince(uint16_t slot, uint64_t then) const {
    return state(slot) >= SlotState::kHeld &&
           owned_since_[slot].load(std::memory_order_seq_cst) <= then;
  }

  std::shared_ptr<const ClusterMap> map() const { return map_.Share(); }
  void SetMap(std::shared_ptr<const ClusterMap> map) { map_.Exchange(std::move(map)); }

  // The error of a slot that is not served here, being in `state`.
  absl::Status WhyNot(uint16_t slot, SlotState state) const;

  InFlight* calls() { return &calls_; }

 private:
  static constexpr int kGroups = 64;
  static constexpr uint8_t kReleasing = 0x80;
  static constexpr uint64_t kNotOwned = ~uint64_t{0};

  static SlotState StateOf(uint8_t byte) {
    return (byte & kReleasing) != 0 ? SlotState::kHeld : static_cast<SlotState>(byte);
  }
  void SetBytes(absl::Span<const uint16_t> slots, uint8_t byte);

  std::array<std::atomic<uint8_t>, kSlots> states_;
  std::array<std::atomic<int>, 5> counts_{};  // by SlotState
  std::array<std::atomic<uint64_t>, kSlots> owned_since_;
  std::atomic<uint64_t> changes_{0};
  std::array<std::atomic<uint64_t>, kGroups> group_changes_{};
  std::array<std::atomic<uint32_t>, kSlots> held_writes_{};
  std::atomic<int64_t> all_held_writes_{0};
  std::array<std::atomic<uint64_t>, kSlots> epochs_;
  std::atomic<int> foreign_{kSlots};
  InFlight calls_;
  Swappable<const ClusterMap> map_;

  Mutex mu_;
  CondVar woken_;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_NODE_SLOT_TABLE_H_
