#include "storage/memory/eviction.h"

namespace kvarts::memory_internal {
namespace {

// Of the bytes: the small queue's.
constexpr uint64_t kSmallPart = 10;
// Uses in the small queue that lead to the main one.
constexpr uint8_t kUsesForMain = 1;

}  // namespace

EvictionPlan PlanEviction(absl::Span<const EvictionItem> items, uint64_t goal) {
  EvictionPlan plan;
  std::vector<uint32_t> small;
  std::vector<EvictionPlan::Kept> main;
  uint64_t total = 0;
  uint64_t small_bytes = 0;
  uint64_t freed = 0;
  for (uint32_t i = 0; i < items.size(); ++i) {
    const EvictionItem& item = items[i];
    total += item.bytes;
    if (item.expired) {
      plan.victims.push_back({i, false});
      freed += item.bytes;
    } else if (item.main) {
      main.push_back({i, true, item.uses});
    } else {
      small.push_back(i);
      small_bytes += item.bytes;
    }
  }
  // Entries that stay in the main queue go to its end, so that this one grows.
  size_t next_small = 0;
  size_t next_main = 0;
  while (freed < goal && (next_small < small.size() || next_main < main.size())) {
    if (next_small < small.size() &&
        (small_bytes * kSmallPart >= total || next_main == main.size())) {
      const uint32_t i = small[next_small++];
      small_bytes -= items[i].bytes;
      if (items[i].uses >= kUsesForMain) {
        main.push_back({i, true, 0});
      } else {
        plan.victims.push_back({i, true});
        freed += items[i].bytes;
      }
      continue;
    }
    const EvictionPlan::Kept head = main[next_main++];
    if (head.uses > 0) {
      main.push_back({head.item, true, static_cast<uint8_t>(head.uses - 1)});
    } else {
      plan.victims.push_back({head.item, false});
      freed += items[head.item].bytes;
    }
  }
  plan.kept.assign(main.begin() + static_cast<ptrdiff_t>(next_main), main.end());
  for (; next_small < small.size(); ++next_small) {
    plan.kept.push_back({small[next_small], false, items[small[next_small]].uses});
  }
  return plan;
}

}  // namespace kvarts::memory_internal
