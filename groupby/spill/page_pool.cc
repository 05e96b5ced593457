#include "groupby/spill/page_pool.h"

#include <sys/mman.h>

#include "base/status_macros.h"

namespace kvarts::groupby_internal {
namespace {

constexpr size_t kSystemPage = 4096;

}  // namespace

absl::StatusOr<std::unique_ptr<PagePool>> PagePool::New(MemoryBudget::Account* account,
                                                        size_t page_bytes) {
  std::unique_ptr<PagePool> pool(new PagePool(account, page_bytes));
  KVARTS_RETURN_IF_ERROR(pool->region_.Map(account->budget()->total() / page_bytes * page_bytes));
  return pool;
}

PagePool::~PagePool() {
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
  char* const page = region_.data() + carved_;
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
  if (bytes <= size()) return absl::OkStatus();
  Free();
  return Grow(bytes, may_ask);
}

absl::Status Buffer::Grow(size_t bytes, bool may_ask) {
  if (bytes <= size()) return absl::OkStatus();
  bytes = (bytes + kSystemPage - 1) / kSystemPage * kSystemPage;
  const size_t more = bytes - size();
  if (may_ask) {
    KVARTS_RETURN_IF_ERROR(account_->Reserve(more));
  } else if (!account_->TryReserve(more)) {
    return absl::ResourceExhaustedError("the memory budget is full");
  }
  absl::Status grown = region_.Grow(bytes);
  if (!grown.ok()) account_->Release(more);
  return grown;
}

bool Buffer::GrowTouched(size_t bytes) {
  const size_t before = size();
  if (!Grow(bytes, /*may_ask=*/false).ok()) return false;
  region_.Touch(before);
  return true;
}

void Buffer::Free() {
  const size_t bytes = size();
  if (bytes == 0) return;
  region_.Free();
  account_->Release(bytes);
}

}  // namespace kvarts::groupby_internal
