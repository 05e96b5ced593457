#ifndef KVARTS_GROUPBY_ROW_FEEDER_H_
#define KVARTS_GROUPBY_ROW_FEEDER_H_

#include "base/language.h"

#include <cstddef>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "base/mutex.h"
#include "groupby/grouping.h"

namespace kvarts::groupby_internal {

// Not thread-safe. Rows on their way to a Grouping, in batches: each is written behind
// the one before, in one buffer that is used again and again.
class RowFeeder {
 public:
  // Thread-safe. What the feeders of a grouping have in common: whether a row was lost.
  class Shared {
   public:
    absl::Status status() const;
    void Fail(const absl::Status& error);

   private:
    mutable Mutex mu_;
    absl::Status status_ ABSL_GUARDED_BY(mu_);
  };

  // Both outlive this.
  RowFeeder(Grouping* grouping, Shared* shared) : grouping_(grouping), shared_(shared) {}
  RowFeeder(RowFeeder&& other) noexcept;
  RowFeeder& operator=(RowFeeder&&) = delete;
  ~RowFeeder();

  // A row: its key is appended to what StartRow() returns, then EndKey(), then its value.
  std::string* StartRow() { return &buffer_; }
  void EndKey() { key_end_ = buffer_.size(); }
  absl::Status EndRow() {
    const size_t key = key_end_ - row_begin_;
    const size_t row = buffer_.size() - row_begin_;
    if (key > Grouping::kMaxKeyBytes || row > Grouping::kMaxRowBytes) return Refuse(key, row);
    rows_.push_back({static_cast<uint32_t>(key), static_cast<uint32_t>(row - key)});
    row_begin_ = buffer_.size();
    if (rows_.size() < kMaxRows && buffer_.size() < kMaxBytes) return absl::OkStatus();
    return Flush();
  }

  absl::Status Flush();

 private:
  static constexpr size_t kMaxRows = 1024;
  static constexpr size_t kMaxBytes = 48 << 10;

  struct Row {
    uint32_t key_bytes;
    uint32_t value_bytes;
  };
  absl::Status Refuse(size_t key_bytes, size_t row_bytes);

  Grouping* grouping_;
  Shared* shared_;
  std::string buffer_;
  std::vector<Row> rows_;
  std::vector<KeyValue> batch_;
  size_t row_begin_ = 0;  // of the one that is being written
  size_t key_end_ = 0;
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_ROW_FEEDER_H_
