#ifndef KVARTS_STORAGE_LAYERS_UNSYNCED_H_
#define KVARTS_STORAGE_LAYERS_UNSYNCED_H_

#include "base/language.h"

#include <memory>

#include "storage/store.h"

namespace kvarts {

// `under`, whose writes never wait for the disk, whatever WriteOptions::sync says: they survive the
// end of the process, and those since the last Sync() not a power cut.
std::unique_ptr<Store> NewUnsyncedStore(std::unique_ptr<Store> under);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_LAYERS_UNSYNCED_H_
