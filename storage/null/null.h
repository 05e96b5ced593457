#ifndef KVARTS_STORAGE_NULL_NULL_H_
#define KVARTS_STORAGE_NULL_NULL_H_

#include "base/language.h"

#include <memory>

#include "storage/store.h"

namespace kvarts {

// A store that answers without storing, to measure everything around one: every
// key is absent, and writes are checked, acknowledged and dropped. It declares
// all capabilities but durability, and `discards`.
std::unique_ptr<Store> NewNullStore();

}  // namespace kvarts

#endif  // KVARTS_STORAGE_NULL_NULL_H_
