#ifndef KVARTS_STORAGE_LAYERS_SWAP_H_
#define KVARTS_STORAGE_LAYERS_SWAP_H_

#include "base/language.h"

#include <memory>

#include "absl/status/statusor.h"
#include "storage/store.h"

namespace kvarts {

// Thread-safe. A store whose backing store can be replaced while it is used.
// Each call is of one backing store from its beginning to its end, and so is a
// MultiGet(). Cursors, snapshots and what was lent out stay with the one they
// are of, and keep it open: it is closed when nothing of it is left. Costs about
// 2 ns a call, and takes no lock.
//
// Meant for stores that are read only: a write that is under way while the store
// is replaced goes to the old one. It has no maintenance(): what takes another's place
// is made, and cared for, elsewhere.
class SwapStore : public Store {
 public:
  static std::unique_ptr<SwapStore> New(std::unique_ptr<Store> first);

  // Waits for the calls that are under way on the old store and returns it: who
  // drops it last closes it, on a thread of their choice. Not from inside a call
  // on this store. kInvalidArgument where the new one has other capabilities,
  // which whoever uses this store has been told; kFailedPrecondition once closed.
  // The new one is then destroyed.
  virtual absl::StatusOr<std::shared_ptr<Store>> Swap(std::unique_ptr<Store> next) = 0;

  // How often it was swapped.
  virtual uint64_t swaps() const = 0;
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_LAYERS_SWAP_H_
