#ifndef KVARTS_STORAGE_LAYERS_READ_ONLY_H_
#define KVARTS_STORAGE_LAYERS_READ_ONLY_H_

#include "base/language.h"

#include <memory>

#include "storage/store.h"

namespace kvarts {

// `under` without its writes: they are kFailedPrecondition, as those of any
// read-only store, and stamps, which are of use to writes only, kUnimplemented.
// Reads, scans and snapshots are its own; what it holds still expires.
std::unique_ptr<Store> NewReadOnlyStore(std::unique_ptr<Store> under);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_LAYERS_READ_ONLY_H_
