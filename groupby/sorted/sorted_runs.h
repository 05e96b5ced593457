#ifndef KVARTS_GROUPBY_SORTED_SORTED_RUNS_H_
#define KVARTS_GROUPBY_SORTED_SORTED_RUNS_H_

#include <cstddef>
#include <memory>

#include "absl/status/statusor.h"
#include "groupby/grouping.h"

namespace kvarts::groupby_internal {

// The grouping in three stages: rows are collected by key; when memory or
// max_hash_entries is reached, groups are written as a run in the order of their keys;
// runs are merged max_open_runs at a time until no more are left; Groups merges these.
// Groups come in the order of their keys.
//
// With several threads keys are shared out by their hash among as many shards, each of which
// goes through the stages by itself; but with `min_shard_bytes` of memory for each, and one
// with max_hash_entries or max_open_runs, which are caps of one map and one merge.
absl::StatusOr<std::unique_ptr<Grouping>> NewSortedRuns(const GroupingOptions& options,
                                                        size_t min_shard_bytes);
// With 16 MiB.
absl::StatusOr<std::unique_ptr<Grouping>> NewSortedRuns(const GroupingOptions& options);

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SORTED_SORTED_RUNS_H_
