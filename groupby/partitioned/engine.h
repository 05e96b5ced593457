#ifndef KVARTS_GROUPBY_PARTITIONED_ENGINE_H_
#define KVARTS_GROUPBY_PARTITIONED_ENGINE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/cond_var.h"
#include "base/memory_budget.h"
#include "base/mutex.h"
#include "groupby/grouping.h"
#include "groupby/spill/ordered_writer.h"
#include "groupby/spill/page_pool.h"
#include "groupby/spill/spill_file.h"
#include "groupby/spill/temp_folder.h"

namespace kvarts::groupby_internal {

// Rows, or text, in memory. Of rows the first SpillFile::kHeaderBytes are left free for
// a block's header. A row that is larger than a page has one of its own size.
struct Page {
  char* data = nullptr;
  size_t used = SpillFile::kHeaderBytes;
  size_t capacity = 0;
  bool from_pool = true;

  const char* begin() const { return data + SpillFile::kHeaderBytes; }
  const char* end() const { return data + used; }
};

// Thread-safe. What all parts of a partitioned grouping share: its options, memory,
// folder, counters and end.
class Engine final : public OrderedWriter::Owner {
 public:
  // Something that has pages which it can write to files.
  class Spillable {
   public:
    virtual ~Spillable() = default;
    // Writes some pages, of `all` also those that are not full; returns the bytes of
    // memory that this gave back.
    virtual absl::StatusOr<size_t> SpillSome(bool all) = 0;
    // Waits for what another thread writes; false where there is no such thing.
    virtual bool AwaitSpills() = 0;
    // Something has failed: its files are not wanted any more.
    virtual void AbandonFiles() = 0;
  };

  static absl::StatusOr<std::unique_ptr<Engine>> New(const GroupingOptions& options);
  ~Engine() override;

  const GroupingOptions& options() const { return options_; }
  MemoryBudget::Account* account() { return account_.get(); }
  PagePool* pool() { return pool_.get(); }
  TempFolder* folder() { return &folder_; }

  size_t page_bytes() const { return page_bytes_; }
  size_t fanout() const { return size_t{1} << fanout_bits_; }
  int fanout_bits() const { return fanout_bits_; }
  // A row of more cannot be held along with all else.
  size_t max_row_bytes() const { return max_row_bytes_; }
  // Bytes of a partition from which it is looked through for heavy keys.
  size_t heavy_bytes() const { return heavy_bytes_; }
  // What one partition may take to be grouped in memory.
  size_t leaf_bytes() const { return account_->budget()->fair_share() / 2; }

  // Text that waits for its turn.
  size_t waiting_text_bytes() const { return account_->budget()->fair_share() / 16; }
  // What partitions may take that are not the first to be read: the first one always
  // finds what it needs, also to be partitioned again.
  size_t ahead_bytes() const override;
  void SawRow(size_t bytes);

  // A page for `bytes` behind the header. With `may_ask` memory is made where there is
  // none, by spilling (the caller holds no partition's lock); else kResourceExhausted.
  absl::StatusOr<Page> TakePage(size_t bytes, bool may_ask);
  void FreePage(Page* page);
  // Such a page is not one of the pool.
  bool IsLarge(size_t bytes) const { return SpillFile::kHeaderBytes + bytes > page_bytes_; }
  // Held by who has a page for a large row that nobody can spill yet.
  Mutex* large_row() { return &large_row_; }
  // As Buffer::Resize(), but takes unused pages first.
  absl::Status Resize(Buffer* buffer, size_t bytes, bool may_ask);
  absl::Status Grow(Buffer* buffer, size_t bytes, bool may_ask);

  void AddSpillable(Spillable* spillable);
  void RemoveSpillable(Spillable* spillable);

  // Not OK once something has failed, or was cancelled.
  absl::Status status() const override;
  bool ok() const override { return ok_.load(std::memory_order_relaxed); }
  // Keeps the first error. Returns it.
  absl::Status Fail(const absl::Status& status);
  // Called once at the first error, from the thread that meets it.
  void OnFailure(std::function<void()> callback) { on_failure_ = std::move(callback); }

  struct Counters {
    std::atomic<uint64_t> rows{0}, bytes{0}, groups{0}, spilled_bytes{0}, partitions{0}, levels{0},
        heavy_keys{0}, runs{0}, merge_passes{0}, comparisons{0}, probes{0};
  };
  Counters& counters() { return counters_; }
  // Something of the `level`th level, from 1 on, was written.
  void CountLevel(uint64_t level);
  GroupingStats stats() const;
  uint64_t bytes_added() const { return counters_.bytes.load(std::memory_order_relaxed); }

 private:
  explicit Engine(const GroupingOptions& options)
      : options_(options), folder_(options.fs, options.temp_dir) {}
  size_t Shrink(size_t bytes);
  absl::StatusOr<size_t> SpillSome();

  const GroupingOptions options_;
  std::unique_ptr<MemoryBudget> own_budget_;
  TempFolder folder_;
  std::unique_ptr<MemoryBudget::Account> account_;
  std::unique_ptr<PagePool> pool_;
  size_t page_bytes_ = 0;
  int fanout_bits_ = 0;
  size_t max_row_bytes_ = 0;
  std::atomic<size_t> largest_row_{0};
  size_t heavy_bytes_ = 0;
  std::function<void()> on_failure_;
  Counters counters_;

  Mutex large_row_;
  Mutex spillables_mu_;
  std::vector<Spillable*> spillables_ ABSL_GUARDED_BY(spillables_mu_);
  // Threads within SpillSome(), for which none of them goes away.
  int spilling_ ABSL_GUARDED_BY(spillables_mu_) = 0;
  CondVar spilled_;

  std::atomic<bool> ready_{false};  // for Shrink(), which other users may call
  std::atomic<bool> ok_{true};
  mutable Mutex mu_;
  absl::Status status_ ABSL_GUARDED_BY(mu_);
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_PARTITIONED_ENGINE_H_
