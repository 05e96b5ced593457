#ifndef KVARTS_CLUSTER_HEAVY_SLOTS_H_
#define KVARTS_CLUSTER_HEAVY_SLOTS_H_

#include "base/language.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/slot.h"
#include "storage/store.h"

namespace kvarts {
namespace cluster {

// A node's store, and which of its slots are looked at.
struct SlotsOfNode {
  Store* store = nullptr;
  std::vector<SlotRange> slots;
};

struct SlotWeight {
  uint64_t keys = 0;
  uint64_t bytes = 0;  // of keys and values
};

struct HeavySlot {
  uint16_t slot = 0;
  SlotWeight all;
  // The hash tag with the most bytes in it; empty where no key has one.
  std::string tag;
  SlotWeight of_tag;
};

// The slots with the most bytes, `count` of them or fewer: those without keys are left out. Reads
// all entries of the slots, and once more those of the heaviest. Entries that come and go meanwhile
// may be counted or not; an error of a store ends it.
absl::StatusOr<std::vector<HeavySlot>> HeaviestSlots(absl::Span<const SlotsOfNode> nodes,
                                                     size_t count);

}  // namespace cluster
}  // namespace kvarts

#endif  // KVARTS_CLUSTER_HEAVY_SLOTS_H_
