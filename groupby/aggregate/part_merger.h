#ifndef KVARTS_GROUPBY_AGGREGATE_PART_MERGER_H_
#define KVARTS_GROUPBY_AGGREGATE_PART_MERGER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "groupby/aggregate/aggregation_core.h"

namespace kvarts::groupby_internal {

// Not thread-safe. Makes tables of the files of parts: the states of each key are merged in the
// order in which they were written. A part whose table does not fit is divided by the next
// bits of the hash. Counting different fields, where these alone do not fit, goes over
// the fields in slices by their hash: each field is in one slice.
class PartMerger {
 public:
  explicit PartMerger(AggregationCore* core) : core_(*core) {}

  // Has files of a part whose first `used_bits` of all hashes are the same.
  void Push(PartFiles files, int used_bits);
  bool empty() const { return parts_.empty(); }
  // The next of the parts that were pushed, or that they were divided into, in the order of the
  // hash; null behind the last one. Replaces the table before.
  absl::StatusOr<StateTable*> Next();

 private:
  struct Part {
    PartFiles files;
    int used_bits;
  };

  // What does not fit is no error.
  enum class Fit : unsigned char { kYes = 0, kNo };
  absl::StatusOr<Fit> MergeStates(SpillFile* states);
  absl::StatusOr<Fit> CountDistinct(SpillFile* distinct, int slice_bits);
  absl::StatusOr<Fit> CountSlices(SpillFile* distinct, int slice_bits);
  // Calls add() until it is true, making room for what the table wants.
  absl::StatusOr<Fit> Insist(absl::FunctionRef<bool()> add);
  absl::Status Divide(Part part);
  absl::Status TooLarge();

  AggregationCore& core_;
  std::deque<Part> parts_;
  std::unique_ptr<StateTable> table_;
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_AGGREGATE_PART_MERGER_H_
