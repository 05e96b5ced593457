#ifndef KVARTS_CLUSTER_NODE_SIM_FEW_STAMPS_STORE_H_
#define KVARTS_CLUSTER_NODE_SIM_FEW_STAMPS_STORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "storage/store.h"

namespace kvarts {

// Kept with a store's entries.
struct GivenStamps {
  std::map<std::string, std::vector<Stamp>> of_keys;  // that were given, in order
  uint64_t writes = 0;                                // so far
};

// Not thread-safe. `under` with stamps that count the states of a key that were seen: 1, 2, 3.
// They keep the contract, and two such stores give equal stamps to different states all the time:
// a stamp of one that is taken for the other's shows at once.
std::unique_ptr<Store> NewFewStampsStore(std::unique_ptr<Store> under,
                                         std::shared_ptr<GivenStamps> given);

}  // namespace kvarts

#endif  // KVARTS_CLUSTER_NODE_SIM_FEW_STAMPS_STORE_H_
