#ifndef KVARTS_GROUPBY_AGGREGATE_RESULTS_H_
#define KVARTS_GROUPBY_AGGREGATE_RESULTS_H_

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
#include "groupby/aggregate/aggregation_core.h"

namespace kvarts::groupby_internal {

// Not thread-safe. A group's key and results; keeps its memory for the next one.
class GroupResults {
 public:
  // Of the states of a group. The key is that of the entry.
  absl::Status Finish(const StateLayout& layout, const StateEntry& entry);
  // For Load(), which the key and what it was saved in outlive.
  void Save(std::string* payload) const;
  void Load(absl::string_view key, absl::string_view payload, size_t count);

  absl::string_view key() const { return key_; }
  absl::Span<const absl::string_view> results() const { return views_; }

 private:
  void Cut(absl::string_view text);

  absl::string_view key_;
  std::string text_;
  std::vector<size_t> ends_;
  std::vector<absl::string_view> views_;
};

// Not thread-safe. All groups, in an order.
class Results {
 public:
  virtual ~Results() = default;

  // As AggregateGroups::Next().
  virtual absl::StatusOr<const GroupResults*> Next() = 0;
  // As AggregateGroups::Drain().
  virtual absl::Status Drain(const AggregateGroups::Render& render, const Groups::Write& write) = 0;
};

// By (hash, key).
std::unique_ptr<Results> NewHashResults(AggregationCore* core);
// By key, of states that have all stayed in memory; null where they have not, or where there is
// no memory for their order.
std::unique_ptr<Results> NewKeyResults(AggregationCore* core);
// By key, whatever there is: sorted as records.
absl::StatusOr<std::unique_ptr<Results>> NewSortedResults(AggregationCore* core);

// The first 8 bytes of a key as a number, zeros behind shorter ones: it decides most comparisons.
uint64_t KeyPrefix(absl::string_view key);

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_AGGREGATE_RESULTS_H_
