#ifndef KVARTS_GROUPBY_SPILL_PAGE_POOL_H_
#define KVARTS_GROUPBY_SPILL_PAGE_POOL_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/memory_budget.h"
#include "base/mutex.h"
#include "groupby/spill/mapped_region.h"

namespace kvarts::groupby_internal {

// Thread-safe. Pages of one size out of one region of address space, of which memory
// is taken as pages are touched. A page in use or kept for the next use is reserved in
// the account.
class PagePool {
 public:
  // `account` outlives the pool.
  static absl::StatusOr<std::unique_ptr<PagePool>> New(MemoryBudget::Account* account,
                                                       size_t page_bytes);
  ~PagePool();

  size_t page_bytes() const { return page_bytes_; }

  // Null where the budget has no room.
  char* TryTake();
  // The caller has reserved page_bytes().
  char* TakeReserved();
  void Give(char* page);
  // Gives kept pages back, to the system and the budget, until it is `bytes` or there
  // are none. Returns how many.
  size_t Trim(size_t bytes);

 private:
  PagePool(MemoryBudget::Account* account, size_t page_bytes)
      : account_(account), page_bytes_(page_bytes) {}

  MemoryBudget::Account* const account_;
  const size_t page_bytes_;
  MappedRegion region_;

  Mutex mu_;
  size_t carved_ ABSL_GUARDED_BY(mu_) = 0;              // bytes that were pages
  std::vector<char*> kept_ ABSL_GUARDED_BY(mu_);        // reserved
  std::vector<char*> given_back_ ABSL_GUARDED_BY(mu_);  // not reserved
};

// Not thread-safe. One contiguous piece of memory, reserved in an account, that keeps
// what it has for the next use.
class Buffer {
 public:
  explicit Buffer(MemoryBudget::Account* account) : account_(account) {}
  ~Buffer() { Free(); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  // Has at least `bytes`; what was in it is lost where it grows. `may_ask`: others may
  // be asked to shrink (MemoryBudget::Account::Reserve). kResourceExhausted.
  absl::Status Resize(size_t bytes, bool may_ask);
  // The same, and keeps what was in it.
  absl::Status Grow(size_t bytes, bool may_ask);
  // The same without asking anybody; false for no memory. For what is touched all over and
  // soon: the system is asked for all of it at once.
  bool GrowTouched(size_t bytes);
  void Free();

  char* data() const { return region_.data(); }
  size_t size() const { return region_.size(); }
  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(data());
  }

 private:
  MemoryBudget::Account* const account_;
  MappedRegion region_;
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SPILL_PAGE_POOL_H_
