#ifndef KVARTS_GROUPBY_TEXT_GROUP_FOLD_H_
#define KVARTS_GROUPBY_TEXT_GROUP_FOLD_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "groupby/aggregate/aggregate_fold.h"
#include "groupby/text/collector.h"
#include "groupby/text/row_parser.h"

namespace kvarts::groupby_text {

// An error of a group, with its key.
absl::Status OfKey(absl::string_view key, const absl::Status& status);

// Rows whose values hold all fields: the sizes of all but the last, then the fields.
struct PackedRows {
  std::vector<KeyValue> rows;
  std::string bytes;
};

// Not thread-safe. Folds the packed values of a group.
class GroupFold {
 public:
  GroupFold(std::unique_ptr<AggregateFold> fold, size_t fields, bool json_text)
      : fold_(std::move(fold)),
        sizes_(fields),
        fields_(fields),
        decoded_(fields),
        json_text_(json_text) {}

  // Returns the first field, as it lies in `packed`.
  absl::StatusOr<absl::string_view> Add(absl::string_view packed);
  // See AggregateFold.
  absl::StatusOr<absl::Span<const absl::string_view>> Finish() { return fold_->Finish(); }
  uint64_t malformed() const { return fold_->malformed(); }

 private:
  const std::unique_ptr<AggregateFold> fold_;
  std::vector<size_t> sizes_;
  std::vector<absl::string_view> fields_;
  std::vector<std::string> decoded_;  // of JSON text
  const bool json_text_;
};

// Thread-safe. The folds that threads take for a group and give back.
class GroupFolds {
 public:
  explicit GroupFolds(const CollectorOptions& options);

  // A field that should be a number and is none sets `bad_row`, unless such are skipped.
  absl::Status Pack(const ParsedRows& rows, PackedRows* packed, size_t* bad_row) const;

  absl::StatusOr<std::unique_ptr<GroupFold>> Take();
  void Give(std::unique_ptr<GroupFold> fold);
  uint64_t malformed() const;

 private:
  const CollectorOptions options_;
  std::vector<const AggregateSpec*> numbers_;  // one for each field that should be one
  mutable Mutex mu_;
  std::vector<std::unique_ptr<GroupFold>> free_ ABSL_GUARDED_BY(mu_);
};

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_GROUP_FOLD_H_
