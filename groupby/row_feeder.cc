#include "groupby/row_feeder.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace kvarts::groupby_internal {

absl::Status RowFeeder::Shared::status() const {
  MutexLock lock(&mu_);
  return status_;
}

void RowFeeder::Shared::Fail(const absl::Status& error) {
  MutexLock lock(&mu_);
  status_.Update(error);
}

RowFeeder::RowFeeder(RowFeeder&& other) noexcept
    : grouping_(other.grouping_),
      shared_(other.shared_),
      buffer_(std::move(other.buffer_)),
      rows_(std::move(other.rows_)),
      row_begin_(std::exchange(other.row_begin_, 0)),
      key_end_(std::exchange(other.key_end_, 0)) {
  other.buffer_.clear();
  other.rows_.clear();
}

RowFeeder::~RowFeeder() { Flush().IgnoreError(); }  // in Shared

absl::Status RowFeeder::Refuse(size_t key_bytes, size_t row_bytes) {
  buffer_.resize(row_begin_);
  if (key_bytes > Grouping::kMaxKeyBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a key of ", key_bytes, " bytes: at most ",
                                                   Grouping::kMaxKeyBytes, " are possible"));
  }
  return absl::InvalidArgumentError(absl::StrCat("a row of ", row_bytes, " bytes: at most ",
                                                 Grouping::kMaxRowBytes, " are possible"));
}

absl::Status RowFeeder::Flush() {
  if (rows_.empty()) return shared_->status();
  batch_.clear();
  const char* at = buffer_.data();
  for (const Row& row : rows_) {
    batch_.push_back({absl::string_view(at, row.key_bytes),
                      absl::string_view(at + row.key_bytes, row.value_bytes)});
    at += row.key_bytes + row.value_bytes;
  }
  rows_.clear();
  absl::Status status = grouping_->Add(batch_);
  if (!status.ok()) shared_->Fail(status);  // rows are lost, whatever the error
  // A large row's room is not kept.
  if (buffer_.capacity() > 4 * kMaxBytes) std::string().swap(buffer_);
  buffer_.clear();
  row_begin_ = 0;
  return status;
}

}  // namespace kvarts::groupby_internal
