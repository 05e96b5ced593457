#ifndef KVARTS_GROUPBY_AGGREGATE_PART_MERGER_H_
#define KVARTS_GROUPBY_AGGREGATE_PART_MERGER_H_

#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "groupby/aggregate/aggregation_core.h"
#include "groupby/aggregate/part_queue.h"
#include "groupby/aggregate/state_table.h"
#include "groupby/spill/spill_file.h"

namespace kvarts::groupby_internal {

// Not thread-safe. Makes a table of the files of a part: the states of each key are merged in the
// order in which they were written. Counting different fields, where these alone do not fit,
// goes over the fields in slices by their hash: each field is in one slice.
class PartMerger {
 public:
  PartMerger(AggregationCore* core, PartQueue* queue) : core_(*core), queue_(*queue) {}

  enum class Fit : unsigned char {
    kYes = 0,
    kNo,     // it has to be divided
    kLater,  // it did not ahead of its turn
  };
  // kResourceExhausted where it does not fit and cannot be divided. Replaces the table before.
  absl::StatusOr<Fit> Merge(const HashPart& part);
  // After kYes.
  StateTable* table() { return table_.get(); }
  // What that took at most, with what was copied when it grew.
  size_t peak_bytes() const { return peak_bytes_; }
  void Free();
  // Divides a part by the next bits of the hash, in the order of it.
  absl::StatusOr<std::vector<HashPart>> Divide(HashPart part);

 private:
  absl::StatusOr<Fit> MergeStates(SpillFile* states);
  absl::StatusOr<Fit> CountDistinct(SpillFile* distinct, int slice_bits);
  absl::StatusOr<Fit> CountSlices(SpillFile* distinct, int slice_bits);
  // Of what an operation that wants memory returned.
  absl::StatusOr<Fit> FitOf(const absl::Status& status) const;
  // Calls add() until it is true, making room for what the table wants.
  absl::StatusOr<Fit> Insist(absl::FunctionRef<bool()> add);
  absl::Status TooLarge();

  AggregationCore& core_;
  PartQueue& queue_;
  absl::optional<PartTurn> turn_;
  std::unique_ptr<StateTable> table_;
  size_t peak_bytes_ = 0;
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_AGGREGATE_PART_MERGER_H_
