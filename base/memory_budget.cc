#include "base/memory_budget.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace kvarts {

MemoryBudget::~MemoryBudget() = default;

size_t MemoryBudget::fair_share() const {
  MutexLock lock(&mu_);
  return total_ / std::max<size_t>(accounts_.size(), 1);
}

std::unique_ptr<MemoryBudget::Account> MemoryBudget::Open(Shrink shrink) {
  std::unique_ptr<Account> account(new Account(this, std::move(shrink)));
  MutexLock lock(&mu_);
  accounts_.push_back(account.get());
  return account;
}

bool MemoryBudget::Take(Account* account, size_t bytes) {
  size_t used = used_.load(std::memory_order_relaxed);
  do {
    if (bytes > total_ || used > total_ - bytes) return false;
  } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
  const auto raise = [](std::atomic<size_t>* peak, size_t now) {
    size_t before = peak->load(std::memory_order_relaxed);
    while (now > before && !peak->compare_exchange_weak(before, now, std::memory_order_relaxed)) {
    }
  };
  raise(&peak_, used + bytes);
  raise(&account->peak_, account->used_.fetch_add(bytes, std::memory_order_relaxed) + bytes);
  return true;
}

bool MemoryBudget::Account::TryReserve(size_t bytes) { return budget_->Take(this, bytes); }

void MemoryBudget::Account::Release(size_t bytes) {
  used_.fetch_sub(bytes, std::memory_order_relaxed);
  budget_->used_.fetch_sub(bytes, std::memory_order_relaxed);
}

absl::Status MemoryBudget::Account::Reserve(size_t bytes) {
  if (TryReserve(bytes)) return absl::OkStatus();
  MemoryBudget* const budget = budget_;
  // Those that had nothing to give since gift number `gift`. What anybody gave may have
  // gone to one of them.
  std::vector<Account*> empty;
  uint64_t gift = 0;
  while (true) {
    Account* most = nullptr;
    {
      MutexLock lock(&budget->mu_);
      if (gift != budget->gifts_) empty.clear();
      gift = budget->gifts_;
      if (TryReserve(bytes)) return absl::OkStatus();
      const size_t share = budget->total_ / budget->accounts_.size();
      bool others_asked = false;
      for (Account* const account : budget->accounts_) {
        if (account->asked_) {
          others_asked = true;
          continue;
        }
        if (std::find(empty.begin(), empty.end(), account) != empty.end()) continue;
        // Within its share only this one's own memory is taken.
        if (account != this && account->used() <= share && used() + bytes > share) continue;
        if (most == nullptr || account->used() > most->used()) most = account;
      }
      if (most == nullptr && others_asked) {
        budget->answered_.Wait(&budget->mu_);
        continue;
      }
      if (most != nullptr) most->asked_ = true;
    }
    if (most == nullptr) {
      return absl::ResourceExhaustedError(absl::StrCat("the memory budget of ", budget->total_,
                                                       " bytes has no room for ", bytes,
                                                       " more: ", budget->used(), " are in use"));
    }
    const size_t given = most->shrink_ == nullptr ? 0 : most->shrink_(bytes);
    if (given == 0) empty.push_back(most);
    MutexLock lock(&budget->mu_);
    if (given > 0) ++budget->gifts_;
    most->asked_ = false;
    budget->answered_.SignalAll();
  }
}

MemoryBudget::Account::~Account() { Close(); }

void MemoryBudget::Account::Close() {
  MutexLock lock(&budget_->mu_);
  while (asked_) budget_->answered_.Wait(&budget_->mu_);
  auto& accounts = budget_->accounts_;
  const auto self = std::find(accounts.begin(), accounts.end(), this);
  if (self == accounts.end()) return;
  accounts.erase(self);
  budget_->answered_.SignalAll();
}

}  // namespace kvarts
