#ifndef KVARTS_TESTING_MODEL_MODEL_STORE_H_
#define KVARTS_TESTING_MODEL_MODEL_STORE_H_

#include "base/language.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "storage/store.h"

namespace kvarts {

// What a model store keeps its entries in: its "disk". Thread-safe. It may be
// shared by several model stores: by those of one order at once, by others one
// after the other.
class ModelData;
std::shared_ptr<ModelData> NewModelData();

// Every capability of the contract, each in the simplest way: snapshots copy
// all entries, deleting a range looks at each of them. Not durable.
Capabilities ModelCapabilities();

struct ModelStoreOptions {
  // What the store offers. Absent ones are refused as the contract says, and so
  // is what rests on them: nothing to write, no conditions; no order, no way back.
  // A batch scope of kShard means one slot. Without `ordered_scan` the scan's
  // order is that of a hash of the keys.
  Capabilities capabilities = ModelCapabilities();
  // Decides what has expired. Must outlive the store and its cursors.
  const Clock* clock = Clock::Real();
  // Put first, past all checks: the only way in where there is no write.
  std::vector<std::pair<std::string, std::string>> records;
  // Entries to go on with, as after a restart. Null: a place of the store's own.
  std::shared_ptr<ModelData> data;
};

// The contract of storage/store.h over a std::map under one lock: the reference
// in the tests of other stores, and the first store to read before writing one.
// It copies what it gives out; a store for production lends it (Bytes::AddPin()).
std::unique_ptr<Store> NewModelStore(ModelStoreOptions options = {});

}  // namespace kvarts

#endif  // KVARTS_TESTING_MODEL_MODEL_STORE_H_
