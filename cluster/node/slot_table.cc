#include "cluster/node/slot_table.h"

#include "storage/slot_status.h"

namespace kvarts {
namespace cluster {
namespace {

// The finaliser of SplitMix64 (Steele et al., OOPSLA 2014): a bijection whose results look random.
uint64_t Scramble(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

SlotTable::SlotTable() : map_(std::make_shared<const ClusterMap>()) {
  for (auto& state : states_) state.store(0, std::memory_order_relaxed);
  for (auto& epoch : epochs_) epoch.store(0, std::memory_order_relaxed);
  for (auto& since : owned_since_) since.store(kNotOwned, std::memory_order_relaxed);
  counts_[static_cast<size_t>(SlotState::kElsewhere)] = kSlots;
}

// The order of the steps matters to calls beside them: a slot is counted before it is what it is
// counted as, and its entries are all there before they are said to be.
void SlotTable::SetBytes(absl::Span<const uint16_t> slots, uint8_t byte) {
  if (slots.empty()) return;
  const SlotState after = StateOf(byte);
  const uint64_t change = changes_.fetch_add(1, std::memory_order_seq_cst) + 1;
  counts_[static_cast<size_t>(after)].fetch_add(static_cast<int>(slots.size()),
                                                std::memory_order_seq_cst);
  std::array<int, 5> before{};  // by SlotState
  for (const uint16_t slot : slots) {
    std::atomic<uint64_t>& since = owned_since_[slot];
    // It is told by the state, which is stored behind it.
    if (after < SlotState::kHeld) {
      since.store(kNotOwned, std::memory_order_relaxed);
    } else if (after >= SlotState::kServing && since.load(std::memory_order_relaxed) == kNotOwned) {
      since.store(change, std::memory_order_relaxed);
    }
    ++before[static_cast<size_t>(StateOf(states_[slot].exchange(byte, std::memory_order_seq_cst)))];
    group_changes_[slot / (kSlots / kGroups)].store(change, std::memory_order_relaxed);
  }
  for (size_t state = 0; state < before.size(); ++state) {
    if (before[state] > 0) counts_[state].fetch_sub(before[state], std::memory_order_seq_cst);
  }
}

bool SlotTable::AwaitNotHeld(uint16_t slot, bool for_write) {
  MutexLock lock(&mu_);
  while (!closed_ && (state(slot) == SlotState::kHeld || (for_write && has_held_writes(slot)))) {
    woken_.Wait(&mu_);
  }
  return !closed_;
}

bool SlotTable::AwaitNoneHeld() {
  MutexLock lock(&mu_);
  while (!closed_ && count(SlotState::kHeld) > 0) woken_.Wait(&mu_);
  return !closed_;
}

void SlotTable::Wake() {
  // Who has looked and does not wait yet has the lock.
  MutexLock lock(&mu_);
  woken_.SignalAll();
}

void SlotTable::Close() {
  MutexLock lock(&mu_);
  closed_ = true;
  woken_.SignalAll();
}

uint64_t SlotTable::StampMask(uint16_t slot) const {
  return Scramble(epochs_[slot].load(std::memory_order_relaxed) * kSlots + slot + 1);
}

absl::Status SlotTable::WhyNot(uint16_t slot, SlotState state) const {
  if (state != SlotState::kElsewhere) return SlotDownError();
  const std::shared_ptr<const ClusterMap> map = this->map();
  const ClusterNode* const owner = map->OwnerOf(slot);
  if (owner == nullptr || !owner->is_alive) return SlotDownError();
  // The slot has come here since its state was looked at, and the client is to ask here again;
  // else it is being cleaned first, and nobody's yet.
  if (map->owner[slot] == map->myself && state_behind_hold(slot) == SlotState::kElsewhere) {
    return SlotDownError();
  }
  MovedSlot moved;
  moved.slot = slot;
  moved.resp = RespHostPort(*owner);
  moved.http = HttpOrigin(*owner);
  return MovedError(moved);
}

}  // namespace cluster
}  // namespace kvarts
