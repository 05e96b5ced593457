#ifndef KVARTS_CLUSTER_COORDINATOR_APPLY_TRANSACTION_H_
#define KVARTS_CLUSTER_COORDINATOR_APPLY_TRANSACTION_H_

#include <cstddef>

#include "absl/status/status.h"
#include "cluster/coordinator.h"

namespace kvarts {

// Changes of a transaction at the most, and comparisons: one of etcd's has 128 operations at the
// most, and ours are not alone in it.
inline constexpr size_t kMaxTransactionItems = 120;

// kInvalidArgument for too many changes or comparisons, and for a name that is changed twice.
absl::Status CheckTransaction(const Coordinator::Transaction& transaction);

// Whether all comparisons hold.
bool Holds(const Coordinator::Transaction& transaction, const Coordinator::Contents& contents);

// Takes the transaction's changes over into `contents`, at the next revision, whatever its
// comparisons say.
void Apply(const Coordinator::Transaction& transaction, Coordinator::Contents* contents);

}  // namespace kvarts

#endif  // KVARTS_CLUSTER_COORDINATOR_APPLY_TRANSACTION_H_
