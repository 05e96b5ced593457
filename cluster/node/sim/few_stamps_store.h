#ifndef KVARTS_CLUSTER_NODE_SIM_FEW_STAMPS_STORE_H_
#define KVARTS_CLUSTER_NODE_SIM_FEW_STAMPS_STORE_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "storage/store.h"

namespace kvarts {

// The stamps of each key that were given, in order: kept with a store's entries.
using GivenStamps = std::map<std::string, std::vector<Stamp>>;

// Not thread-safe. `under` with stamps that count the states of a key that were seen: 1, 2, 3.
// They keep the contract, and two such stores give equal stamps to different states all the time:
// a stamp of one that is taken for the other's shows at once.
std::unique_ptr<Store> NewFewStampsStore(std::unique_ptr<Store> under,
                                         std::shared_ptr<GivenStamps> given);

}  // namespace kvarts

#endif  // KVARTS_CLUSTER_NODE_SIM_FEW_STAMPS_STORE_H_
