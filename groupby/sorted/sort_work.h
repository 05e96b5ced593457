#ifndef KVARTS_GROUPBY_SORTED_SORT_WORK_H_
#define KVARTS_GROUPBY_SORTED_SORT_WORK_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "groupby/grouping.h"
#include "groupby/sorted/row_table.h"
#include "groupby/sorted/run_file.h"
#include "groupby/sorted/run_merger.h"
#include "groupby/sorted/sort_counters.h"
#include "groupby/sorted/sort_memory.h"
#include "groupby/sorted/sort_shared.h"
#include "groupby/spill/mapped_region.h"

namespace kvarts::groupby_internal {

// Not thread-safe. The memory, the rows and the runs of one shard of a grouping by sorted
// runs. The destructor gives back the memory and deletes the files.
//
// An error of any call leaves it good for Abandon() and the destructor only.
class SortWork {
 public:
  // Of the shard of that number. `counters` outlives this. kResourceExhausted where the
  // budget has not the least that is needed.
  static absl::StatusOr<std::unique_ptr<SortWork>> New(const GroupingOptions& options,
                                                       std::shared_ptr<SortShared> shared,
                                                       size_t shard, SortCounters* counters);
  ~SortWork();

  // --- Stage 1: rows ---

  enum class Added : unsigned char {
    kYes = 0,
    kNoMemory,  // the account has not what Missing() says
    kNoSlots,   // nor MissingForSlots(), for more keys; Stretch() does without
    kFull,      // all keys that there may be
  };
  // Takes memory where nobody else has to give it.
  Added Add(const KeyValue& row, uint64_t hash);
  void PrefetchSlot(uint64_t hash) const { table_.PrefetchSlot(hash); }
  void PrefetchKey(uint64_t hash) const { table_.PrefetchKey(hash); }
  bool has_rows() const { return !table_.empty(); }
  size_t row_bytes() const { return table_.used(); }
  // Bytes that Add() would need, and has not; SIZE_MAX where it cannot be, ever.
  size_t Missing(const KeyValue& row) const;
  size_t MissingForSlots() const;
  void Stretch() { table_.Stretch(); }
  // Writes all rows as a run.
  absl::Status Dump();

  const std::shared_ptr<SortShared>& shared() const { return shared_; }
  // The caller has reserved so much of shared().account().
  void Took(size_t bytes);
  // Without rows: makes their room as large as it can be.
  absl::Status DropSlots();
  size_t held() const { return held_; }
  // Gives back what is not used; false where that is less.
  bool GiveSpare(size_t bytes);
  // True where Dump() and GiveBack() would give anything.
  bool can_give() const { return held_ > Floor(); }
  // Without rows: gives back so much, or down to its share, as far as it can; returns how
  // much.
  size_t GiveBack(size_t bytes);

  // --- Stages 2 and 3 ---

  // No more rows. They are sorted, or, where there are runs, become the last one.
  absl::Status EndRows();
  // Then, until as many runs are left as can be merged at once. All shards have ended their
  // rows: what has to be merged is known.
  absl::Status MergeDown();
  bool is_in_memory() const { return runs_.empty(); }
  size_t max_key() const { return max_key_; }
  RowTable* table() { return &table_; }
  // Opens the merge of all runs, and the room for its longest value, if it has its own.
  absl::StatusOr<std::unique_ptr<RunMerger>> OpenMerger(absl::Span<char>* value_room);

  uint64_t run_bytes() const;
  void SetTotal(uint64_t total) { shared_->progress()->SetTotal(shard_, total); }
  void SetDone(absl::string_view phase, uint64_t done) {
    shared_->progress()->SetDone(phase, shard_, done);
  }
  SortCounters* counters() const { return counters_; }

  // Deletes all files and gives back all memory. Once or more.
  void Abandon();

 private:
  SortWork(const GroupingOptions& options, std::shared_ptr<SortShared> shared, size_t shard,
           SortCounters* counters);

  // Of the longest value, where that is not shared.
  size_t OwnRoom(size_t value_bytes) const { return shared_->has_value_room() ? 0 : value_bytes; }
  size_t Floor() const { return memory_.Floor(max_key_, OwnRoom(max_value_), runs_.size()); }
  // See SortMemory.
  size_t OtherThanRows() const;
  size_t used() const { return OtherThanRows() + table_.used(); }
  size_t row_room() const;
  char* rows_begin() const { return region_.data() + memory_.write_room; }
  bool TryTake(size_t bytes);
  void SetHeld(size_t bytes);
  void Release(size_t bytes);
  bool GrowSlots();
  bool HasRoomForRuns();
  void CountProbes();

  size_t FanIn() const;
  void GatherMemory();
  absl::StatusOr<std::unique_ptr<RunMerger>> Open(size_t begin, size_t count, char** behind);
  absl::StatusOr<RunWriter> NewWriter();
  absl::Status MergeSome(size_t begin, size_t count);
  std::vector<uint64_t> RunSizes() const;

  const std::shared_ptr<SortShared> shared_;
  const size_t shard_;
  FileSystem* const fs_;
  const SortMemory& memory_;
  const size_t max_open_runs_;
  SortCounters* const counters_;

  bool has_left_ = false;  // what is shared
  size_t held_ = 0;        // reserved of the account
  MappedRegion region_;
  RowTable table_;
  size_t max_key_ = 0;  // of all rows
  size_t max_value_ = 0;

  std::vector<SortedRun> runs_;  // in input order
  uint64_t merged_bytes_ = 0;
  uint64_t bytes_to_merge_ = 0;  // 0: not known yet
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SORTED_SORT_WORK_H_
