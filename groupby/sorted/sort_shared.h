#ifndef KVARTS_GROUPBY_SORTED_SORT_SHARED_H_
#define KVARTS_GROUPBY_SORTED_SORT_SHARED_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "base/memory_budget.h"
#include "base/status_macros.h"
#include "groupby/grouping.h"
#include "groupby/sorted/sort_memory.h"
#include "groupby/sorted/sort_progress.h"
#include "groupby/spill/temp_folder.h"

namespace kvarts::groupby_internal {

// Thread-safe. What the shards of a grouping have in common: they are one user of the
// budget, whatever their number, and have one temporary folder and one progress.
//
// Has the folder, the memory for the pieces of Drain(), one a shard, and, of several shards,
// a room for the longest value, as long as anybody is in: each shard's work, and who reads.
class SortShared {
 public:
  // `shrink` is the account's.
  SortShared(const GroupingOptions& options, size_t shards, MemoryBudget::Shrink shrink)
      : own_budget_(options.budget == nullptr ? std::make_unique<MemoryBudget>(options.memory_bytes)
                                              : nullptr),
        budget_(options.budget == nullptr ? own_budget_.get() : options.budget),
        account_(budget_->Open(std::move(shrink))),
        shards_(shards),
        memory_(budget_->total(), shards),
        folder_(options.fs, options.temp_dir),
        progress_(options.progress, shards) {}
  ~SortShared() { ReleaseAll(); }
  SortShared(const SortShared&) = delete;
  SortShared& operator=(const SortShared&) = delete;

  // Before the first Enter(). kResourceExhausted where there is no memory for it.
  absl::Status Init() {
    const size_t value_room = has_value_room() ? memory_.block : 0;
    KVARTS_RETURN_IF_ERROR(account_->Reserve(shards_ * memory_.piece + value_room));
    held_ = shards_ * memory_.piece + value_room;
    value_room_ = value_room;
    return absl::OkStatus();
  }

  void Enter() { users_.fetch_add(1, std::memory_order_relaxed); }
  // The last one deletes all files and gives back all memory.
  void Leave() {
    if (users_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    folder_.Remove();
    ReleaseAll();
  }

  // A value that lies across blocks is put together in a room, which one shard alone has for
  // itself, in its work. Several have one, as one of them is read at a time: with as many
  // shards as you like a large value takes no more.
  bool has_value_room() const { return shards_ > 1; }
  size_t value_room() const { return value_room_.load(std::memory_order_relaxed); }
  // Makes it so large; returns how many bytes that the caller has reserved became its own.
  size_t RaiseValueRoom(size_t bytes) {
    size_t before = value_room();
    while (bytes > before && !value_room_.compare_exchange_weak(before, bytes)) {
    }
    if (bytes <= before) return 0;
    held_ += bytes - before;
    return bytes - before;
  }

  size_t shards() const { return shards_; }
  const SortMemory& memory() const { return memory_; }
  MemoryBudget::Account* account() const { return account_.get(); }
  // What a shard may have, whatever others want.
  size_t share() const { return budget_->fair_share() / shards_; }
  TempFolder* folder() { return &folder_; }
  SortProgress* progress() { return &progress_; }

 private:
  void ReleaseAll() { account_->Release(held_.exchange(0)); }

  const std::unique_ptr<MemoryBudget> own_budget_;
  MemoryBudget* const budget_;
  const std::unique_ptr<MemoryBudget::Account> account_;
  const size_t shards_;
  const SortMemory memory_;
  TempFolder folder_;
  SortProgress progress_;
  std::atomic<size_t> value_room_{0};  // bytes
  std::atomic<size_t> held_{0};        // pieces and value room
  std::atomic<size_t> users_{0};
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SORTED_SORT_SHARED_H_
