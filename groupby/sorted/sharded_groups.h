#ifndef KVARTS_GROUPBY_SORTED_SHARDED_GROUPS_H_
#define KVARTS_GROUPBY_SORTED_SHARDED_GROUPS_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "groupby/grouping.h"
#include "groupby/sorted/sort_counters.h"
#include "groupby/sorted/sort_shared.h"
#include "groupby/sorted/sorted_groups.h"

namespace kvarts::groupby_internal {

// The groups of several shards, at least one, in the order of their keys. `max_key` is the
// longest. Counts groups and comparisons in `counters`; `stop` has calls of the shards'
// groups end soon, from any thread; `shards` and `stop` keep what they need.
absl::StatusOr<std::unique_ptr<Groups>> NewShardedGroups(
    std::vector<std::unique_ptr<ShardGroups>> shards, std::shared_ptr<SortShared> shared,
    size_t max_key, SortCounters* counters, std::function<void()> stop);

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SORTED_SHARDED_GROUPS_H_
