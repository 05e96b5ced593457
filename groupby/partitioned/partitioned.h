#ifndef KVARTS_GROUPBY_PARTITIONED_PARTITIONED_H_
#define KVARTS_GROUPBY_PARTITIONED_PARTITIONED_H_

#include <memory>

#include "absl/status/statusor.h"
#include "groupby/grouping.h"

namespace kvarts::groupby_internal {

// The grouping by hash partitions: rows are appended to the pages of their partition,
// of which whole partitions go to files when memory is short; each partition is then
// grouped on its own. Groups come in the order of the hash.
absl::StatusOr<std::unique_ptr<Grouping>> NewPartitioned(const GroupingOptions& options);

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_PARTITIONED_PARTITIONED_H_
