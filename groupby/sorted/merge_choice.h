#ifndef KVARTS_GROUPBY_SORTED_MERGE_CHOICE_H_
#define KVARTS_GROUPBY_SORTED_MERGE_CHOICE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace kvarts::groupby_internal {

// How many of `runs` to merge next so that in the end `fan_in` are left: the first merge
// takes the odd ones, so that all later ones are full. 0 where that many are left.
// REQUIRES: fan_in >= 2.
size_t NextMergeCount(size_t runs, size_t fan_in);

// Where the `count` neighbours begin that are the fewest bytes, or the first that are not
// an eighth more: only neighbours can be merged, as the values of a group are in the
// order of the runs, so that a merge in the midst of equal runs would part them.
// REQUIRES: 0 < count <= sizes.size().
size_t CheapestMerge(absl::Span<const uint64_t> sizes, size_t count);

// The bytes that all merges down to `fan_in` runs write.
uint64_t BytesToMerge(std::vector<uint64_t> sizes, size_t fan_in);

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SORTED_MERGE_CHOICE_H_
