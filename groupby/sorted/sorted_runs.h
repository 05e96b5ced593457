#ifndef KVARTS_GROUPBY_SORTED_SORTED_RUNS_H_
#define KVARTS_GROUPBY_SORTED_SORTED_RUNS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "groupby/grouping.h"

namespace kvarts::groupby_internal {

// The grouping in three stages: rows are collected by key; when memory or
// max_hash_entries is reached, groups are written as a run in the order of their keys;
// runs are merged max_open_runs at a time until no more are left; Groups merges these.
// Groups come in the order of their keys.
absl::StatusOr<std::unique_ptr<Grouping>> NewSortedRuns(const GroupingOptions& options);

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SORTED_SORTED_RUNS_H_
