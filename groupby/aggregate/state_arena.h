#ifndef KVARTS_GROUPBY_AGGREGATE_STATE_ARENA_H_
#define KVARTS_GROUPBY_AGGREGATE_STATE_ARENA_H_

#include "base/language.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/memory_budget.h"
#include "groupby/spill/page_pool.h"

namespace kvarts {

// Not thread-safe. Where states of aggregates have their bytes: pages of a pool, that
// all go at once. Everything is reserved in the budget before it is taken.
class StateArena {
 public:
  // Both outlive this.
  StateArena(groupby_internal::PagePool* pool, MemoryBudget::Account* account)
      : pool_(pool), account_(account) {}
  ~StateArena() { Clear(); }
  StateArena(const StateArena&) = delete;
  StateArena& operator=(const StateArena&) = delete;

  // What a piece of `bytes` has room for.
  static size_t Capacity(size_t bytes);

  // Capacity(bytes) bytes, aligned to 8; null where the budget is full, and wanted() is
  // then what would have sufficed.
  char* Take(size_t bytes);
  // The same for what is never given back: takes no more than it has to.
  char* TakeForGood(size_t bytes);
  // `bytes` as Take() had them.
  void Give(char* piece, size_t bytes);
  void Clear();

  // All that is reserved.
  size_t bytes() const { return bytes_; }
  size_t page_bytes() const { return pages_.size() * pool_->page_bytes(); }
  size_t wanted() const { return wanted_; }

 private:
  // Two sizes for each power of two from 16 on.
  static constexpr size_t kClasses = 40;
  static size_t ClassOf(size_t bytes);
  bool IsLarge(size_t capacity) const { return capacity > pool_->page_bytes() / 2; }
  char* Carve(size_t bytes);
  char* TakeLarge(size_t bytes);

  // A piece that is too large for a page, on its own.
  struct Large {
    Large* next;
    Large** prev;
    size_t bytes;
  };

  groupby_internal::PagePool* const pool_;
  MemoryBudget::Account* const account_;
  std::vector<char*> pages_;
  char* at_ = nullptr;  // in the last page
  char* end_ = nullptr;
  std::array<char*, kClasses> free_{};  // lists
  Large* large_ = nullptr;
  size_t bytes_ = 0;
  size_t wanted_ = 0;
};

}  // namespace kvarts

#endif  // KVARTS_GROUPBY_AGGREGATE_STATE_ARENA_H_
