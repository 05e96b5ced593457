#ifndef KVARTS_GROUPBY_AGGREGATE_PART_READER_H_
#define KVARTS_GROUPBY_AGGREGATE_PART_READER_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "groupby/aggregate/aggregation_core.h"
#include "groupby/aggregate/part_merger.h"
#include "groupby/aggregate/part_queue.h"
#include "groupby/aggregate/state_table.h"

namespace kvarts::groupby_internal {

// Not thread-safe: one for each thread. The groups of one part after the other, in the order of
// (hash, key): of a table that never left memory as it is, of files merged.
class PartReader {
 public:
  // Both outlive this.
  PartReader(AggregationCore* core, PartQueue* queue)
      : core_(*core), queue_(*queue), merger_(core, queue) {}

  // Takes the queue's next part that can be read. False behind the last one.
  absl::StatusOr<bool> Open();
  bool is_open() const { return is_open_; }

  // Of the open part.
  uint64_t first() const { return part_.first; }
  uint64_t end() const { return part_.end(); }
  // What its table takes.
  size_t bytes() const { return table_ == nullptr ? 0 : table_->bytes(); }
  // Null behind the last group; good until Close().
  const StateEntry* Next() { return sorted_.has_value() ? sorted_->Next() : nullptr; }
  // Ends it, and frees its memory; it is done.
  void Close();
  // The same, but it has yet to be read: before the first Next().
  void GiveBack();

 private:
  enum class Opened : unsigned char { kYes = 0, kLater, kDivided };
  absl::StatusOr<Opened> OpenPart();

  AggregationCore& core_;
  PartQueue& queue_;
  PartMerger merger_;
  HashPart part_;
  bool is_open_ = false;
  StateTable* table_ = nullptr;
  absl::optional<StateTable::Sorted> sorted_;
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_AGGREGATE_PART_READER_H_
