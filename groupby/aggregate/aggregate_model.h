#ifndef KVARTS_GROUPBY_AGGREGATE_AGGREGATE_MODEL_H_
#define KVARTS_GROUPBY_AGGREGATE_AGGREGATE_MODEL_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "groupby/aggregate/aggregate.h"

namespace kvarts {

// A row that has its bytes.
struct ModelRow {
  std::string key;
  std::vector<std::string> fields;
};

using ModelResults = std::map<std::string, std::vector<std::string>>;

// What aggregates of the flag `aggregates` (columns by number) give over `rows`, by keeping
// all fields and looking at them in the plainest way. Fields that should be integers of 64
// bits are, or are left out.
ModelResults ModelAggregate(absl::string_view aggregates, absl::Span<const ModelRow> rows);

// Adds rows[begin, end); with a sequence in its order.
absl::Status AddModelRows(Aggregation* aggregation, absl::Span<const ModelRow> rows,
                          const uint64_t* sequence = nullptr);

// All groups in the order they come.
absl::StatusOr<std::vector<std::pair<std::string, std::vector<std::string>>>> ReadAllGroups(
    AggregateGroups* groups);

// The same by Drain(), from a text of them that is written and read again.
absl::StatusOr<std::vector<std::pair<std::string, std::vector<std::string>>>> DrainAllGroups(
    AggregateGroups* groups);

// Aggregates of the flag over `columns` columns. Dies where they are wrong.
std::vector<AggregateSpec> SpecsOf(absl::string_view aggregates, size_t columns);

}  // namespace kvarts

#endif  // KVARTS_GROUPBY_AGGREGATE_AGGREGATE_MODEL_H_
