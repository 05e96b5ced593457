#ifndef KVARTS_GROUPBY_SORTED_DRAIN_H_
#define KVARTS_GROUPBY_SORTED_DRAIN_H_

#include <cstddef>

#include "absl/status/status.h"
#include "groupby/grouping.h"

namespace kvarts::groupby_internal {

// Groups::Drain() on the calling thread alone, by Next() and Values(), for groups whose
// keys stay good until the next Next(). Writes pieces of about `piece_bytes`, the memory
// it takes; a longer text is written as it is.
absl::Status DrainByNext(Groups* groups, const Groups::Render& render, const Groups::Write& write,
                         size_t piece_bytes);

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SORTED_DRAIN_H_
