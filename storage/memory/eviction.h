#ifndef KVARTS_STORAGE_MEMORY_EVICTION_H_
#define KVARTS_STORAGE_MEMORY_EVICTION_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

// What to evict of a segment, by S3-FIFO (J. Yang and others, "FIFO queues are all you
// need for cache eviction", SOSP 2023), for many entries at a time:
//
//   new ----> small queue --used----> main queue --not used----> gone
//      \          |                  ^    |    ^
//       \     not used              /     +used+  (one use less)
//        \        v                /
//         `--> ghosts: keys only -'  a key that comes back while it is among them
//
// The small queue has a tenth of the bytes, so that what is asked for once, as in a
// scan, goes soon and takes nothing from what is asked for again.
namespace kvarts::memory_internal {

// An entry. Those of one queue come in the order of the queue.
struct EvictionItem {
  uint32_t bytes = 0;
  uint8_t uses = 0;
  bool main = false;
  bool expired = false;
};

struct EvictionPlan {
  struct Kept {
    uint32_t item;
    bool main;
    uint8_t uses;
  };
  struct Victim {
    uint32_t item;
    bool remember;  // among the ghosts
  };
  std::vector<Kept> kept;  // each queue in its new order
  std::vector<Victim> victims;
};

// Victims of at least `goal` bytes, or all there are; beside them whatever has expired.
EvictionPlan PlanEviction(absl::Span<const EvictionItem> items, uint64_t goal);

}  // namespace kvarts::memory_internal

#endif  // KVARTS_STORAGE_MEMORY_EVICTION_H_
