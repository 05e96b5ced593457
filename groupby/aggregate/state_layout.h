#ifndef KVARTS_GROUPBY_AGGREGATE_STATE_LAYOUT_H_
#define KVARTS_GROUPBY_AGGREGATE_STATE_LAYOUT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "groupby/aggregate/aggregate.h"
#include "groupby/aggregate/number.h"

namespace kvarts::groupby_internal {

// Immutable. Where each aggregate has its state among those of a group.
class StateLayout {
 public:
  struct Item {
    const AggregateFunction* function;
    AggregateFunction::Input input;
    bool has_block;
    size_t offset;  // of its state
    size_t column;
    size_t number;  // which of a row's numbers, for Input::kNumber
  };

  explicit StateLayout(std::vector<AggregateSpec> specs);

  const std::vector<AggregateSpec>& specs() const { return specs_; }
  const std::vector<Item>& items() const { return items_; }
  size_t state_bytes() const { return initial_.size(); }
  // The states of no rows.
  absl::string_view initial() const { return initial_; }
  // Fields that a row has at least.
  size_t columns() const { return columns_; }
  // Columns that are parsed, once for all that want them.
  const std::vector<size_t>& number_columns() const { return number_columns_; }
  bool has_distinct() const { return has_distinct_; }

  // The numbers of a row, number_columns().size() of them. With `malformed` what is no
  // number is none, and counted there; else it is kInvalidArgument.
  absl::Status ParseNumbers(const AggregateRow& row, Number* numbers, uint64_t* malformed) const;
  // Appends a result for each item to `text`, and where it ends to `ends`.
  absl::Status Finish(const char* states, std::string* text, std::vector<size_t>* ends) const;

 private:
  absl::Status NoNumber(const AggregateRow& row, size_t column, const absl::Status& why) const;

  const std::vector<AggregateSpec> specs_;
  std::vector<Item> items_;
  std::string initial_;
  size_t columns_ = 0;
  std::vector<size_t> number_columns_;
  bool has_distinct_ = false;
};

// A key for a message: its start, escaped.
std::string QuoteKey(absl::string_view key);

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_AGGREGATE_STATE_LAYOUT_H_
