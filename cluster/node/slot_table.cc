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
}

Stamp SlotTable::CombineStamp(uint16_t slot, const Stamp& stamp) const {
  const uint64_t epoch = epochs_[slot].load(std::memory_order_relaxed);
  return {stamp.high, stamp.low ^ Scramble(epoch * kSlots + slot + 1)};
}

absl::Status SlotTable::WhyNot(uint16_t slot, SlotState state) const {
  if (state != SlotState::kElsewhere) return SlotDownError();
  const std::shared_ptr<const ClusterMap> map = this->map();
  const ClusterNode* const owner = map->OwnerOf(slot);
  if (owner == nullptr || map->owner[slot] == map->myself || !owner->is_alive) {
    return SlotDownError();
  }
  MovedSlot moved;
  moved.slot = slot;
  if (owner->resp_port != 0) moved.resp = HostPort(owner->host, owner->resp_port);
  if (owner->http_port != 0) moved.http = HostPort(owner->host, owner->http_port);
  return MovedError(moved);
}

}  // namespace cluster
}  // namespace kvarts
