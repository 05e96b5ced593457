#include "cluster/node/node_parts.h"

namespace kvarts {
namespace cluster {

std::vector<SlotRange> ToRanges(const std::vector<uint16_t>& slots) {
  std::vector<SlotRange> ranges;
  for (const uint16_t slot : slots) {
    if (!ranges.empty() && ranges.back().last + 1 == slot) {
      ranges.back().last = slot;
    } else {
      ranges.push_back({slot, slot});
    }
  }
  return ranges;
}

}  // namespace cluster
}  // namespace kvarts
