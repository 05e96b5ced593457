#ifndef KVARTS_GROUPBY_AGGREGATE_AGGREGATE_FOLD_H_
#define KVARTS_GROUPBY_AGGREGATE_AGGREGATE_FOLD_H_

#include "base/language.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "groupby/aggregate/aggregate.h"

namespace kvarts {

// Not thread-safe. Aggregates of one group at a time, whose rows come one behind the other: for
// `list` with others at once. The values are grouped by a Grouping (grouping.h), and while
// a group is read they are folded too:
//
//   while (*groups->Next(&key)) {
//     for (value : ...Values()...) { list it; fold->Add(fields of value); }
//     results = fold->Finish();
//   }
//
// A value of several fields has to be split again there. In Groups::Drain() each thread
// wants a fold of its own.
//
// Keeps the states of one group in memory: a distinct count takes 32 to 64 bytes for each
// different field, and has no file to go to.
class AggregateFold {
 public:
  // Of `options` the memory, or the budget, and skip_malformed are used; at least
  // kMinMemory bytes.
  static absl::StatusOr<std::unique_ptr<AggregateFold>> New(const AggregationOptions& options,
                                                            std::vector<AggregateSpec> aggregates);
  static constexpr size_t kMinMemory = 64 << 10;
  virtual ~AggregateFold() = default;

  // A row of the group. kInvalidArgument as Aggregation::Add(), and the row is not taken.
  // kResourceExhausted where the states do not fit: then Finish() starts the next group.
  virtual absl::Status Add(absl::Span<const absl::string_view> fields) = 0;
  // The group's results, good until the next call; then the next group starts.
  virtual absl::StatusOr<absl::Span<const absl::string_view>> Finish() = 0;

  virtual uint64_t malformed() const = 0;
};

}  // namespace kvarts

#endif  // KVARTS_GROUPBY_AGGREGATE_AGGREGATE_FOLD_H_
