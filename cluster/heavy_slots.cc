#include "cluster/heavy_slots.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace kvarts {
namespace cluster {
namespace {

// Calls `visit` with each entry's key and bytes.
template <typename Visit>
absl::Status Scan(Store* store, const std::vector<SlotRange>& slots, Visit visit) {
  if (slots.empty()) return absl::OkStatus();  // a scan without slots is of all
  ScanOptions scan;
  scan.slots = slots;
  KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<Cursor> cursor, store->NewCursor(scan));
  ScanPage page;
  do {
    KVARTS_RETURN_IF_ERROR(cursor->Next(PageLimits(), &page));
    for (const ScanEntry& entry : page) visit(entry.key, entry.key.size() + entry.value.size());
  } while (!page.empty());
  return absl::OkStatus();
}

void Add(size_t bytes, SlotWeight* weight) {
  ++weight->keys;
  weight->bytes += bytes;
}

}  // namespace

absl::StatusOr<std::vector<HeavySlot>> HeaviestSlots(absl::Span<const SlotsOfNode> nodes,
                                                     size_t count) {
  std::vector<HeavySlot> heavy(kSlots);
  for (int slot = 0; slot < kSlots; ++slot) {
    heavy[static_cast<size_t>(slot)].slot = static_cast<uint16_t>(slot);
  }
  for (const SlotsOfNode& node : nodes) {
    KVARTS_RETURN_IF_ERROR(Scan(node.store, node.slots, [&](absl::string_view key, size_t bytes) {
      Add(bytes, &heavy[KeySlot(key)].all);
    }));
  }
  std::sort(heavy.begin(), heavy.end(), [](const HeavySlot& a, const HeavySlot& b) {
    return a.all.bytes != b.all.bytes ? a.all.bytes > b.all.bytes : a.slot < b.slot;
  });
  heavy.resize(std::min(count, heavy.size()));
  while (!heavy.empty() && heavy.back().all.keys == 0) heavy.pop_back();

  // Tags are looked up for these alone, since a slot may have as many tags as keys. A node answers
  // for its own.
  std::map<uint16_t, std::map<std::string, SlotWeight, std::less<>>> tags;
  for (const HeavySlot& slot : heavy) tags[slot.slot];
  for (const SlotsOfNode& node : nodes) {
    std::vector<SlotRange> here;
    for (const auto& [slot, none] : tags) {
      const bool is_here =
          std::any_of(node.slots.begin(), node.slots.end(), [slot = slot](const SlotRange& range) {
            return range.first <= slot && slot <= range.last;
          });
      if (is_here) here.push_back({slot, slot});
    }
    KVARTS_RETURN_IF_ERROR(Scan(node.store, here, [&](absl::string_view key, size_t bytes) {
      const absl::string_view tag = HashTag(key);
      if (!tag.empty()) Add(bytes, &tags[KeySlot(key)][std::string(tag)]);
    }));
  }
  for (HeavySlot& slot : heavy) {
    for (const auto& [tag, weight] : tags[slot.slot]) {
      if (weight.bytes <= slot.of_tag.bytes) continue;
      slot.tag = tag;
      slot.of_tag = weight;
    }
  }
  return heavy;
}

}  // namespace cluster
}  // namespace kvarts
