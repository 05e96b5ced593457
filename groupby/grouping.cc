#include "groupby/grouping.h"

#include "absl/strings/str_cat.h"
#include "groupby/partitioned/partitioned.h"
#include "groupby/sorted/sorted_runs.h"

namespace kvarts {

absl::StatusOr<std::unique_ptr<Grouping>> Grouping::New(const GroupingOptions& options) {
  const bool sorted_runs = options.order == GroupingOptions::Order::kKey ||
                           options.algorithm == GroupingOptions::Algorithm::kSortedRuns;
  if (!sorted_runs && (options.max_hash_entries != 0 || options.max_open_runs != 0)) {
    return absl::InvalidArgumentError(
        "max_hash_entries and max_open_runs are of sorted runs: algorithm kSortedRuns, or order "
        "kKey");
  }
  return sorted_runs ? groupby_internal::NewSortedRuns(options)
                     : groupby_internal::NewPartitioned(options);
}

std::string GroupingStats::DebugString() const {
  return absl::StrCat("rows=", rows, " bytes=", bytes, " groups=", groups,
                      " spilled=", spilled_bytes, " partitions=", partitions, " levels=", levels,
                      " heavy_keys=", heavy_keys, " runs=", runs, " merge_passes=", merge_passes,
                      " comparisons=", comparisons, " probes=", probes,
                      " peak_memory=", peak_memory);
}

}  // namespace kvarts
