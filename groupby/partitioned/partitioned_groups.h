#ifndef KVARTS_GROUPBY_PARTITIONED_PARTITIONED_GROUPS_H_
#define KVARTS_GROUPBY_PARTITIONED_PARTITIONED_GROUPS_H_

#include <memory>

#include "groupby/grouping.h"
#include "groupby/partitioned/engine.h"
#include "groupby/partitioned/partition_set.h"

namespace kvarts::groupby_internal {

// The groups of the partitions of `set`, one partition after the other.
std::unique_ptr<Groups> NewPartitionedGroups(std::shared_ptr<Engine> engine,
                                             std::unique_ptr<PartitionSet> set);

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_PARTITIONED_PARTITIONED_GROUPS_H_
