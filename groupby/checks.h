#ifndef KVARTS_GROUPBY_CHECKS_H_
#define KVARTS_GROUPBY_CHECKS_H_

#include "absl/status/status.h"
#include "groupby/grouping.h"

namespace kvarts::groupby_internal {

// kInvalidArgument for options that no engine can work with.
absl::Status CheckOptions(const GroupingOptions& options);

// kInvalidArgument for a row beyond Grouping::kMaxKeyBytes or kMaxRowBytes.
absl::Status RowSizeError(const KeyValue& row);
inline absl::Status CheckRowSize(const KeyValue& row) {
  if (row.key.size() <= Grouping::kMaxKeyBytes &&
      row.key.size() + row.value.size() <= Grouping::kMaxRowBytes) [[likely]] {
    return absl::OkStatus();
  }
  return RowSizeError(row);
}

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_CHECKS_H_
