#ifndef KVARTS_GROUPBY_AGGREGATE_AGGREGATION_CORE_H_
#define KVARTS_GROUPBY_AGGREGATE_AGGREGATION_CORE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "base/cond_var.h"
#include "base/memory_budget.h"
#include "base/mutex.h"
#include "groupby/aggregate/aggregate.h"
#include "groupby/aggregate/state_layout.h"
#include "groupby/aggregate/state_record.h"
#include "groupby/aggregate/state_table.h"
#include "groupby/spill/ordered_writer.h"
#include "groupby/spill/page_pool.h"
#include "groupby/spill/spill_file.h"
#include "groupby/spill/temp_folder.h"

namespace kvarts::groupby_internal {

// The files of a part of all groups; null where there is none.
struct PartFiles {
  std::unique_ptr<SpillFile> states;
  std::unique_ptr<SpillFile> distinct;
};

// Thread-safe. The states of an aggregation, in parts by the hash of the key, and what all
// that works on them shares: memory, folder, counters, the first error.
//
// Locks are taken in this order: spilling_, then a part's. Memory is asked for with none of
// them held, since who asks may be told to spill.
class AggregationCore final : public OrderedWriter::Owner {
 public:
  static absl::StatusOr<std::shared_ptr<AggregationCore>> New(
      const AggregationOptions& options, std::vector<AggregateSpec> aggregates);
  ~AggregationCore() override;

  // Aggregation::Add() and, with a sequence, AddInOrder().
  absl::Status Add(absl::optional<uint64_t> sequence, absl::Span<const AggregateRow> rows,
                   size_t* bad_row);

  // --- For who reads the groups ---

  const AggregationOptions& options() const { return options_; }
  const StateLayout& layout() const { return layout_; }
  MemoryBudget::Account* account() { return account_.get(); }
  PagePool* pool() { return pool_.get(); }
  TempFolder* folder() { return &folder_; }
  int fanout_bits() const { return fanout_bits_; }
  size_t block_room() const { return room_bytes_; }

  size_t parts() const { return parts_.size(); }
  // The part is not spilled from here on. Its table; with files they are moved to `files`,
  // and all that was in the table.
  absl::StatusOr<StateTable*> Claim(size_t part, PartFiles* files);
  // The same of a part that never left memory; null for one that has.
  StateTable* ClaimInMemory(size_t part);
  // May be spilled again.
  void Unclaim(size_t part);
  bool HasFiles(size_t part) const { return parts_[part]->has_files; }
  // `file`, made where it is null.
  absl::StatusOr<SpillFile*> FileFor(std::unique_ptr<SpillFile>* file, uint64_t level);
  void CountSpilled(uint64_t bytes) { spilled_bytes_ += bytes; }
  void CountGroups(uint64_t groups) { groups_ += groups; }
  void CountProbes(uint64_t probes) { probes_ += probes; }

  // Has room for `bytes` made, by spilling; holds nothing of it.
  absl::Status MakeRoom(size_t bytes);
  // The same, but of other parts only what will be written anyway is. False: there is none.
  bool MakeRoomAhead(size_t bytes);
  bool HasRoom(size_t bytes);
  // Text that waits for its turn.
  size_t waiting_text_bytes() const { return account_->budget()->fair_share() / 16; }
  // Tables whose text is made ahead of its turn.
  size_t ahead_bytes() const override { return account_->budget()->fair_share() / 4; }

  // Not OK once something has failed, or was cancelled.
  absl::Status status() const override;
  bool ok() const override { return ok_.load(std::memory_order_relaxed); }
  // Keeps the first error and deletes all files. Returns it.
  absl::Status Fail(const absl::Status& status);
  // Frees all that is left.
  void Close();

  AggregationStats stats() const;

 private:
  struct Part {
    Part(const StateLayout* layout, PagePool* pool, MemoryBudget::Account* account, int used_bits)
        : table(layout, pool, account, used_bits) {}

    Mutex mu;
    CondVar turn;
    StateTable table ABSL_GUARDED_BY(mu);
    uint64_t next_sequence ABSL_GUARDED_BY(mu) = 0;
    bool claimed ABSL_GUARDED_BY(mu) = false;
    PartFiles files ABSL_GUARDED_BY(mu);
    // Of the table, for who looks for the largest.
    std::atomic<size_t> bytes{0};
    std::atomic<bool> has_files{false};
  };
  // What a call works with: a batch, its hashes, its numbers, its rows by part.
  struct Batch;

  AggregationCore(const AggregationOptions& options, std::vector<AggregateSpec> aggregates)
      : options_(options), layout_(std::move(aggregates)), folder_(options.fs, options.temp_dir) {}
  absl::Status Init();
  absl::Status AddRows(absl::optional<uint64_t> sequence, absl::Span<const AggregateRow> rows,
                       size_t* bad_row, Buffer* room);
  absl::Status AddBatch(absl::optional<uint64_t> sequence, bool ends, const Batch& batch);
  absl::Status AddToPart(Part* part, absl::optional<uint64_t> sequence, bool ends,
                         const Batch& batch, absl::Span<const uint16_t> rows);
  size_t PartOf(uint64_t hash) const { return hash >> (64 - fanout_bits_); }

  // Of those that may be spilled; null where they have nothing.
  Part* LargestPart(bool with_files) const;
  // MemoryBudget::Shrink.
  size_t Shrink(size_t bytes);
  // The bytes that this gave back to the budget, beside pages, which go to the pool.
  absl::StatusOr<size_t> SpillPart(Part* part) ABSL_EXCLUSIVE_LOCKS_REQUIRED(spilling_);
  absl::Status WriteTable(Part* part) ABSL_EXCLUSIVE_LOCKS_REQUIRED(spilling_, part->mu);

  const AggregationOptions options_;
  const StateLayout layout_;
  TempFolder folder_;

  // Above the account, which may call Shrink() until it is destroyed.
  Mutex spilling_;
  bool open_ ABSL_GUARDED_BY(spilling_) = false;  // parts may be spilled

  std::unique_ptr<MemoryBudget> own_budget_;
  std::unique_ptr<MemoryBudget::Account> account_;
  std::unique_ptr<PagePool> pool_;
  int fanout_bits_ = 0;
  size_t batch_rows_ = 0;
  size_t room_bytes_ = 0;  // of a block and its header
  std::vector<std::unique_ptr<Part>> parts_;

  std::unique_ptr<Buffer> room_ ABSL_GUARDED_BY(spilling_);
  std::string scratch_ ABSL_GUARDED_BY(spilling_);

  Mutex batches_mu_;
  std::vector<std::unique_ptr<Buffer>> batches_ ABSL_GUARDED_BY(batches_mu_);  // unused ones

  std::atomic<uint64_t> rows_{0}, bytes_{0}, groups_{0}, malformed_{0}, probes_{0};
  std::atomic<uint64_t> spilled_bytes_{0}, files_{0}, levels_{0};

  std::atomic<bool> ok_{true};
  mutable Mutex status_mu_;
  absl::Status status_ ABSL_GUARDED_BY(status_mu_);
};

// The groups of the core, whose parts it claims.
std::unique_ptr<AggregateGroups> ReadGroups(std::shared_ptr<AggregationCore> core);

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_AGGREGATE_AGGREGATION_CORE_H_
