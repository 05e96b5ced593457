#include "cluster/placement.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace kvarts {
namespace cluster {
namespace {

// Where a slot is, or is going.
uint16_t Target(const SlotEntry& slot) { return slot.joining != 0 ? slot.joining : slot.primary; }

}  // namespace

std::vector<int> Shares(int slots, const std::vector<double>& weights,
                        const std::vector<int>& current) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<int> shares(weights.size(), 0);
  if (!(sum > 0)) return shares;
  int given = 0;
  std::vector<size_t> order(weights.size());
  std::vector<double> rests(weights.size());
  for (size_t i = 0; i < weights.size(); ++i) {
    const double part = slots * weights[i] / sum;
    shares[i] = static_cast<int>(std::floor(part));
    rests[i] = part - shares[i];
    given += shares[i];
    order[i] = i;
  }
  // The odd slots go to the largest rests; of equal ones to those that have more than their floor
  // already, so that an even table is left as it is.
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if (std::abs(rests[a] - rests[b]) > 1e-9) return rests[a] > rests[b];
    return current[a] - shares[a] > current[b] - shares[b];
  });
  for (size_t i = 0; given < slots; ++i, ++given) ++shares[order[i % order.size()]];
  return shares;
}

std::vector<int> Planned(const ClusterTable& table) {
  std::vector<int> counts(table.names.size() + 1, 0);
  for (int group = 0; group < kSlotGroups; ++group) {
    const SlotGroup& its = *table.slots.group(group);
    if (!its.may_differ && !its.may_have_joining) {
      counts[its.entries.front().primary] += kSlotsPerGroup;
      continue;
    }
    for (const SlotEntry& slot : its.entries) ++counts[Target(slot)];
  }
  return counts;
}

void Rebalance(const std::vector<Incarnation>& dead, ClusterTable* table) {
  const auto is_dead = [&dead](const Incarnation& node) {
    return std::find(dead.begin(), dead.end(), node) != dead.end();
  };
  std::vector<uint16_t> members;
  std::vector<double> weights;
  for (const auto& [node, info] : table->nodes) {
    if (info.state != NodeState::kMember || is_dead(node)) continue;
    members.push_back(table->NumberOf(node));
    weights.push_back(info.weight);
  }
  if (members.empty()) return;
  // Who leaves is given nothing any more.
  for (int i = 0; i < kSlots; ++i) {
    if (!table->slots.group(GroupOf(i))->may_have_joining) {
      i += kSlotsPerGroup - 1;
      continue;
    }
    const uint16_t joining = table->slots[i].joining;
    if (joining == 0) continue;
    const auto to = table->nodes.find(table->NameOf(joining));
    if (to == table->nodes.end() || to->second.state != NodeState::kLeaving) continue;
    SlotEntry& slot = table->slots.Mutable(i);
    slot.joining = 0;
    slot.epoch = 0;
  }
  const std::vector<int> counts = Planned(*table);
  std::vector<int> current;
  for (const uint16_t member : members) current.push_back(counts[member]);
  int to_share = kSlots;
  for (size_t n = 1; n < counts.size(); ++n) {
    if (is_dead(table->NameOf(static_cast<uint16_t>(n)))) to_share -= counts[n];
  }
  const std::vector<int> shares = Shares(to_share, weights, current);

  // What each node may still be given (above 0) or should give (below).
  std::vector<int> wanted(table->names.size() + 1, 0);
  for (size_t n = 1; n < wanted.size(); ++n) wanted[n] = -counts[n];
  for (size_t i = 0; i < members.size(); ++i) wanted[members[i]] = shares[i] - current[i];

  // Fills one taker after the other, so that a giver's neighbouring slots go to one of them.
  size_t taker = 0;
  const auto next_taker = [&]() -> uint16_t {
    while (taker < members.size() && wanted[members[taker]] <= 0) ++taker;
    return taker < members.size() ? members[taker] : uint16_t{0};
  };
  for (int i = 0; i < kSlots; ++i) {
    if (!table->slots.group(GroupOf(i))->may_lack_primary) {
      i += kSlotsPerGroup - 1;
      continue;
    }
    if (table->slots[i].primary != 0) continue;
    const uint16_t to = next_taker();
    if (to == 0) return;  // cannot be: shares add up to all slots
    SlotEntry& slot = table->slots.Mutable(i);
    const bool is_fresh = slot.fresh;
    slot = {};
    slot.primary = to;
    slot.fresh = is_fresh;
    --wanted[to];
  }
  for (size_t giver = 1; giver < wanted.size(); ++giver) {
    const auto number = static_cast<uint16_t>(giver);
    if (wanted[giver] >= 0 || is_dead(table->NameOf(number))) continue;
    // From its last slots on, which keeps what it has left in one piece.
    for (int i = kSlots - 1; i >= 0 && wanted[giver] < 0; --i) {
      if (!table->slots.group(GroupOf(i))->MayHavePrimary(number)) {
        i -= i % kSlotsPerGroup;
        continue;
      }
      const SlotEntry& now = table->slots[i];
      // One that has just come, and whose last owner still holds a copy, is not ready to go on; nor
      // is one that is to be emptied.
      if (now.primary != number || now.joining != 0 || now.previous != 0 || now.fresh) continue;
      const uint16_t to = next_taker();
      if (to == 0) return;
      SlotEntry& slot = table->slots.Mutable(i);
      slot.joining = to;
      slot.epoch = 0;
      ++wanted[giver];
      --wanted[to];
    }
  }
}

void GiveUp(const std::vector<Incarnation>& lost, const std::vector<Incarnation>& dead,
            ClusterTable* table) {
  for (const Incarnation& node : lost) {
    const uint16_t number = table->FindNumber(node);
    if (number == 0) continue;
    for (int i = 0; i < kSlots; ++i) {
      const SlotEntry now = table->slots[i];
      if (now.primary != number && now.joining != number && now.previous != number) continue;
      SlotEntry& slot = table->slots.Mutable(i);
      if (slot.primary == number) {
        slot = {};
        // Whoever is given it may have had it before, and an old copy.
        slot.fresh = true;
        ++table->lost_slots;
      } else if (slot.joining == number) {
        slot.joining = 0;
        slot.epoch = 0;
      } else {
        // Its copy is gone with it, and the primary, which has all of it, need not wait for its
        // word.
        slot.previous = 0;
        slot.adopted = true;
        slot.epoch = 0;
      }
    }
  }
  Rebalance(dead, table);
}

}  // namespace cluster
}  // namespace kvarts
