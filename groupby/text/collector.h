#ifndef KVARTS_GROUPBY_TEXT_COLLECTOR_H_
#define KVARTS_GROUPBY_TEXT_COLLECTOR_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "groupby/aggregate/aggregate.h"
#include "groupby/aggregate/aggregate_spec.h"
#include "groupby/grouping.h"
#include "groupby/text/group_writer.h"
#include "groupby/text/row_parser.h"

namespace kvarts::groupby_text {

// Thread-safe. Where rows are collected, and what gives their groups as text: over a
// Grouping, an Aggregation, or both at once.
class Collector {
 public:
  virtual ~Collector() = default;

  // See Grouping::AddInOrder(); an error of one row sets `bad_row`.
  virtual absl::Status AddInOrder(uint64_t sequence, const ParsedRows& rows, size_t* bad_row) = 0;
  // Ends the feeding and writes all groups. Once, and alone.
  virtual absl::Status Write(const Groups::Write& write) = 0;
  // Has all calls end soon with kCancelled.
  virtual void Cancel() = 0;

  virtual GroupingStats stats() const = 0;
  // Fields that should have been numbers and were left out.
  virtual uint64_t skipped_fields() const = 0;
};

struct CollectorOptions {
  // Its budget is given. skip_malformed of fields that should be numbers.
  AggregationOptions grouping;
  WriterOptions writer;
  // With `writer.list` the first field is its value.
  size_t fields = 1;
  // Over the fields of rows.
  std::vector<AggregateSpec> aggregates;
};

absl::StatusOr<std::unique_ptr<Collector>> NewCollector(const CollectorOptions& options);

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_COLLECTOR_H_
