#ifndef KVARTS_GROUPBY_SORTED_SORTED_GROUPS_H_
#define KVARTS_GROUPBY_SORTED_SORTED_GROUPS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "groupby/grouping.h"
#include "groupby/sorted/sort_work.h"

namespace kvarts::groupby_internal {

// Not thread-safe. The groups of one shard.
class ShardGroups : public Groups {
 public:
  // Where a value that lies across blocks is put together, where the work has no room of its
  // own. Lent; large enough for each. Before the first Values().
  virtual void SetValueRoom(absl::Span<char> room) = 0;
};

// The groups of a finished work, from its table or the merge of its runs, counted in
// `counter`, which may be null. `owner`, which has the counters, is kept as long.
absl::StatusOr<std::unique_ptr<ShardGroups>> NewSortedGroups(std::unique_ptr<SortWork> work,
                                                             std::shared_ptr<const void> owner,
                                                             SortCounter* counter);

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SORTED_SORTED_GROUPS_H_
