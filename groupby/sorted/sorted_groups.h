#ifndef KVARTS_GROUPBY_SORTED_SORTED_GROUPS_H_
#define KVARTS_GROUPBY_SORTED_SORTED_GROUPS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "groupby/grouping.h"
#include "groupby/sorted/sort_work.h"

namespace kvarts::groupby_internal {

// The groups of a finished work, from its table or the merge of its runs. `shared`, what
// the counters of the work live in, is kept as long.
absl::StatusOr<std::unique_ptr<Groups>> NewSortedGroups(std::unique_ptr<SortWork> work,
                                                        std::shared_ptr<const void> shared);

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SORTED_SORTED_GROUPS_H_
