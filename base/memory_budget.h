#ifndef KVARTS_BASE_MEMORY_BUDGET_H_
#define KVARTS_BASE_MEMORY_BUDGET_H_

#include "base/language.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "base/cond_var.h"
#include "base/mutex.h"

namespace kvarts {

// Thread-safe. A number of bytes that several users share. Memory is counted before
// it is taken; the budget allocates nothing itself.
//
// Where a reservation does not fit, users are asked to give memory back, who has
// most above its fair share (total / users) first; whoever asks is one of them.
// So one user alone may have everything, and of several who all want more each ends
// with its share.
class MemoryBudget {
 public:
  explicit MemoryBudget(size_t bytes) : total_(bytes) {}
  // All accounts are closed by then.
  ~MemoryBudget();
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  size_t total() const { return total_; }
  size_t used() const { return used_.load(std::memory_order_relaxed); }
  // The most that was used at a time.
  size_t peak() const { return peak_.load(std::memory_order_relaxed); }
  // total / users.
  size_t fair_share() const;

  // Gives back at least `bytes` where it can, by Release() of its own account, and
  // returns how many it gave; 0 where there is nothing left to give. Called from any
  // thread that reserves, one at a time for each account.
  using Shrink = std::function<size_t(size_t bytes)>;

  // Thread-safe. One user's part. Destroy it with nothing reserved; that closes it.
  class Account {
   public:
    ~Account();
    Account(const Account&) = delete;
    Account& operator=(const Account&) = delete;

    // Nobody is asked to give anything.
    bool TryReserve(size_t bytes);
    // Asks others and this one to shrink until there is room. kResourceExhausted where
    // that does not help. The caller holds no lock that a shrink takes.
    absl::Status Reserve(size_t bytes);
    void Release(size_t bytes);
    // It is no user any more, and its `shrink` is not called after this, nor under way:
    // for who destroys what that needs. Only Release() may follow.
    void Close();

    size_t used() const { return used_.load(std::memory_order_relaxed); }
    size_t peak() const { return peak_.load(std::memory_order_relaxed); }
    MemoryBudget* budget() const { return budget_; }

   private:
    friend class MemoryBudget;
    Account(MemoryBudget* budget, Shrink shrink) : budget_(budget), shrink_(std::move(shrink)) {}

    MemoryBudget* const budget_;
    const Shrink shrink_;
    std::atomic<size_t> used_{0};
    std::atomic<size_t> peak_{0};
    bool asked_ = false;  // guarded by the budget's mu_
  };

  std::unique_ptr<Account> Open(Shrink shrink);

 private:
  bool Take(Account* account, size_t bytes);

  const size_t total_;
  std::atomic<size_t> used_{0};
  std::atomic<size_t> peak_{0};

  mutable Mutex mu_;
  CondVar answered_;  // an account was asked, and has given
  std::vector<Account*> accounts_ ABSL_GUARDED_BY(mu_);
  uint64_t gifts_ ABSL_GUARDED_BY(mu_) = 0;  // calls of a shrink that gave something
};

}  // namespace kvarts

#endif  // KVARTS_BASE_MEMORY_BUDGET_H_
