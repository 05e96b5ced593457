#ifndef KVARTS_GROUPBY_SORTED_SORT_COUNTERS_H_
#define KVARTS_GROUPBY_SORTED_SORT_COUNTERS_H_

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "groupby/grouping.h"

namespace kvarts::groupby_internal {

// Thread-safe. What one thread at a time counts, and others look at meanwhile.
class SortCounter : public std::atomic<uint64_t> {
 public:
  SortCounter() : std::atomic<uint64_t>(0) {}

  uint64_t get() const { return load(std::memory_order_relaxed); }
  // No locked instruction: there is one writer at a time.
  void Add(uint64_t n) { store(get() + n, std::memory_order_relaxed); }
  void Raise(uint64_t to) {
    if (to > get()) store(to, std::memory_order_relaxed);
  }
};

// Thread-safe. Of one shard; shared by a grouping by sorted runs and its groups.
struct SortCounters {
  std::atomic<bool> cancelled{false};

  SortCounter rows;
  SortCounter bytes;
  SortCounter groups;
  SortCounter spilled_bytes;
  SortCounter runs;
  SortCounter merge_passes;
  SortCounter comparisons;
  SortCounter probes;
  SortCounter peak_memory;
  SortCounter held;  // bytes, now

  bool is_cancelled() const { return cancelled.load(std::memory_order_relaxed); }
  void AddTo(GroupingStats* stats) const {
    stats->rows += rows.get();
    stats->bytes += bytes.get();
    stats->groups += groups.get();
    stats->spilled_bytes += spilled_bytes.get();
    stats->runs += runs.get();
    stats->merge_passes = std::max(stats->merge_passes, merge_passes.get());
    stats->comparisons += comparisons.get();
    stats->probes += probes.get();
    // Each shard saw that of all.
    stats->peak_memory = std::max(stats->peak_memory, peak_memory.get());
  }
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SORTED_SORT_COUNTERS_H_
