#ifndef SIBLING_SORTED_STORE_H_
#define SIBLING_SORTED_STORE_H_

#include <memory>

#include "storage/store.h"

namespace sibling {

// A store for a few thousand keys that are read often and written rarely, such
// as settings. All entries stand in one sorted, immutable vector; a write makes
// another one and swaps a pointer. So readers never wait, snapshots cost
// nothing, and values are lent, not copied; a write costs time by the number of
// entries.
std::unique_ptr<kvarts::Store> NewSortedStore();

}  // namespace sibling

#endif  // SIBLING_SORTED_STORE_H_
