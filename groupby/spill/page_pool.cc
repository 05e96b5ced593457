#include "groupby/spill/page_pool.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace kvarts::groupby_internal {
namespace {

constexpr size_t kSystemPage = 4096;
// Regions from here on are worth large pages of the system.
constexpr size_t kHugeRegion = 16 << 20;

absl::StatusOr<char*> MapMemory(size_t bytes) {
  void* const p = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot map ", bytes, " bytes of memory: ", strerror(errno)));
  }
  if (bytes >= kHugeRegion) ::madvise(p, bytes, MADV_HUGEPAGE);
  return static_cast<char*>(p);
}

}  // namespace

absl::StatusOr<std::unique_ptr<PagePool>> PagePool::New(MemoryBudget::Account* account,
                                                        size_t page_bytes) {
  std::unique_ptr<PagePool> pool(new PagePool(account, page_bytes));
  pool->region_bytes_ = account->budget()->total() / page_bytes * page_bytes;
  KVARTS_ASSIGN_OR_RETURN(pool->region_, MapMemory(pool->region_bytes_));
  return pool;
}

PagePool::~PagePool() {
  if (region_ == nullptr) return;
  ::munmap(region_, region_bytes_);
  MutexLock lock(&mu_);
  account_->Release(kept_.size() * page_bytes_);
}

char* PagePool::TryTake() {
  {
    MutexLock lock(&mu_);
    if (!kept_.empty()) {
      char* const page = kept_.back();
      kept_.pop_back();
      return page;
    }
  }
  return account_->TryReserve(page_bytes_) ? TakeReserved() : nullptr;
}

char* PagePool::TakeReserved() {
  MutexLock lock(&mu_);
  if (!given_back_.empty()) {
    char* const page = given_back_.back();
    given_back_.pop_back();
    return page;
  }
  // Pages in use are reserved, each once, so that there is always one left.
  char* const page = region_ + carved_;
  carved_ += page_bytes_;
  return page;
}

void PagePool::Give(char* page) {
  MutexLock lock(&mu_);
  kept_.push_back(page);
}

size_t PagePool::Trim(size_t bytes) {
  size_t given = 0;
  MutexLock lock(&mu_);
  while (given < bytes && !kept_.empty()) {
    ::madvise(kept_.back(), page_bytes_, MADV_DONTNEED);
    given_back_.push_back(kept_.back());
    kept_.pop_back();
    given += page_bytes_;
  }
  account_->Release(given);
  return given;
}

absl::Status Buffer::Resize(size_t bytes, bool may_ask) {
  if (bytes <= size_) return absl::OkStatus();
  Free();
  return Grow(bytes, may_ask);
}

absl::Status Buffer::Grow(size_t bytes, bool may_ask) {
  if (bytes <= size_) return absl::OkStatus();
  bytes = (bytes + kSystemPage - 1) / kSystemPage * kSystemPage;
  const size_t more = bytes - size_;
  if (may_ask) {
    KVARTS_RETURN_IF_ERROR(account_->Reserve(more));
  } else if (!account_->TryReserve(more)) {
    return absl::ResourceExhaustedError("the memory budget is full");
  }
  if (data_ == nullptr) {
    absl::StatusOr<char*> data = MapMemory(bytes);
    if (!data.ok()) {
      account_->Release(more);
      return data.status();
    }
    data_ = *data;
  } else {
    void* const moved = ::mremap(data_, size_, bytes, MREMAP_MAYMOVE);
    if (moved == MAP_FAILED) {
      account_->Release(more);
      return absl::ResourceExhaustedError(
          absl::StrCat("cannot map ", bytes, " bytes of memory: ", strerror(errno)));
    }
    data_ = static_cast<char*>(moved);
  }
  size_ = bytes;
  return absl::OkStatus();
}

bool Buffer::GrowTouched(size_t bytes) {
  const size_t before = size_;
  if (!Grow(bytes, /*may_ask=*/false).ok()) return false;
#ifdef MADV_POPULATE_WRITE
  // Where the system knows no such thing, pages come one by one.
  ::madvise(data_ + before, size_ - before, MADV_POPULATE_WRITE);
#endif
  return true;
}

void Buffer::Free() {
  if (data_ == nullptr) return;
  ::munmap(data_, size_);
  account_->Release(size_);
  data_ = nullptr;
  size_ = 0;
}

}  // namespace kvarts::groupby_internal
