#ifndef KVARTS_GROUPBY_SORTED_PARALLEL_DRAIN_H_
#define KVARTS_GROUPBY_SORTED_PARALLEL_DRAIN_H_

#include <cstddef>
#include <functional>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "groupby/grouping.h"
#include "groupby/sorted/sort_counters.h"

namespace kvarts::groupby_internal {

// The longest key that DrainInParallel() can do with.
size_t MaxKeyToDrain(size_t piece_bytes);

// Groups::Drain() over shards whose groups are each in the order of their keys, all keys
// different: each shard is rendered on a thread of its own, and the calling thread merges the
// texts and writes them. Takes `piece_bytes` of memory a shard: two batches, and a part of the
// output. Counts groups and comparisons. At the first error `stop` has calls of the shards'
// groups end soon.
absl::Status DrainInParallel(absl::Span<Groups* const> shards, const Groups::Render& render,
                             const Groups::Write& write, size_t piece_bytes, SortCounters* counters,
                             const std::function<void()>& stop);

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SORTED_PARALLEL_DRAIN_H_
