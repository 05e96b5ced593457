#ifndef KVARTS_GROUPBY_AGGREGATE_AGGREGATE_H_
#define KVARTS_GROUPBY_AGGREGATE_AGGREGATE_H_

#include "base/language.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "groupby/aggregate/aggregate_spec.h"
#include "groupby/grouping.h"

// Aggregates of groups, without their values: a group takes what its states take, however
// many rows it has. For the values themselves: grouping.h; both at once:
// aggregate_fold.h. Over types: aggregate_by.h. As the flag of a program has them:
// ParseAggregates() of aggregate_spec.h.
namespace kvarts {

// A row of the input, borrowed: the fields that aggregates are over, by AggregateSpec's
// `column`.
struct AggregateRow {
  absl::string_view key;
  absl::Span<const absl::string_view> fields;
};

// As for a grouping; not used are `algorithm` and its caps. kInvalidArgument for
// Order::kKey within less than 2 * kMinMemory.
struct AggregationOptions : GroupingOptions {
  // A field that should be a number, and is none, is left out by the aggregates that
  // want one, and counted. Else it is an error.
  bool skip_malformed = false;
};

struct AggregationStats : GroupingStats {
  uint64_t malformed = 0;  // fields that were left out

  std::string DebugString() const;
};

// Not thread-safe. A stream of groups and their results. Errors end it: later calls
// return the same one. Destroying it half-way is prompt, and deletes all files; so does
// its end.
class AggregateGroups {
 public:
  virtual ~AggregateGroups() = default;

  // Goes to the next group: its key, and a result for each aggregate, in their order.
  // Both are good until the next call. False behind the last group.
  virtual absl::StatusOr<bool> Next(absl::string_view* key,
                                    absl::Span<const absl::string_view>* results) = 0;

  // Renders one group to a text: its key, and a result for each aggregate. Called for many
  // groups at a time from `threads` threads.
  using Render = std::function<absl::Status(
      absl::string_view key, absl::Span<const absl::string_view> results, Groups::Output* output)>;
  // Reads all groups that are left, on several threads. Their texts come in the order of
  // Next(), in large pieces, by one thread at a time. The first error ends it.
  virtual absl::Status Drain(const Render& render, const Groups::Write& write) = 0;
};

// Thread-safe. Takes rows, then gives a result of each aggregate for each key.
//
// States are in a hash table, in memory that is counted before it is taken. When it is
// used up, the states of a part of all keys (1/16 or 1/32) are written to a file, as
// many times as it takes; in the end the parts are merged one by one, and divided again
// where they do not fit. Nothing is written, and no folder made, where all states fit.
//
// What has an order (first, last, top among equals, sums of reals in their last digit) has
// that of AddInOrder(), or, of Add() by several threads, that in which they came.
class Aggregation {
 public:
  static constexpr size_t kMaxAggregates = 64;

  // kInvalidArgument for options or aggregates that cannot work; kResourceExhausted where a
  // shared budget has no room for one more.
  static absl::StatusOr<std::unique_ptr<Aggregation>> New(const AggregationOptions& options,
                                                          std::vector<AggregateSpec> aggregates);
  virtual ~Aggregation() = default;

  // Adds rows. kInvalidArgument for a key longer than Grouping::kMaxKeyBytes, for a row
  // of too few fields, and for a field that should be a number: then `bad_row`, where it is
  // given, is set to the index of the first such row, of the rows only that many were
  // taken, and the aggregation may go on. Other errors end it: all files are deleted,
  // later calls return the same. kResourceExhausted where one state is larger than
  // memory. Hundreds of rows a call are best.
  virtual absl::Status Add(absl::Span<const AggregateRow> rows, size_t* bad_row = nullptr) = 0;
  // The same for rows that several threads prepare: as if they came in the order of
  // `sequence` (0, 1, 2, ...: each once), whoever calls first. Waits for the calls before
  // it where it has to. After kInvalidArgument the turn has passed: the rows behind the
  // bad one are lost.
  virtual absl::Status AddInOrder(uint64_t sequence, absl::Span<const AggregateRow> rows,
                                  size_t* bad_row = nullptr) = 0;

  // Ends the feeding: no Add() may be under way. Once.
  virtual absl::StatusOr<std::unique_ptr<AggregateGroups>> Finish() = 0;

  // Has all calls, those of the groups too, end soon with kCancelled.
  virtual void Cancel() = 0;

  // Of the groups too, as far as they were read.
  virtual AggregationStats stats() const = 0;
};

}  // namespace kvarts

#endif  // KVARTS_GROUPBY_AGGREGATE_AGGREGATE_H_
