#ifndef KVARTS_GROUPBY_SORTED_DRAIN_H_
#define KVARTS_GROUPBY_SORTED_DRAIN_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "groupby/grouping.h"
#include "groupby/spill/mapped_region.h"

namespace kvarts::groupby_internal {

// Not thread-safe. Collects texts to pieces and writes these. Has no buffer that grows: a
// text that is longer than a piece is written as it is.
class PieceOutput final : public Groups::Output {
 public:
  // `write` outlives this.
  explicit PieceOutput(const Groups::Write& write) : write_(write) {}

  // Before all else.
  absl::Status Init(size_t piece_bytes) { return piece_.Map(piece_bytes); }

  absl::Status Append(absl::string_view text) override;
  // Writes what there is.
  absl::Status Flush();

 private:
  const Groups::Write& write_;
  MappedRegion piece_;
  size_t size_ = 0;
};

// Not thread-safe. The group that Next() is at, for a Render.
class CurrentGroup final : public Groups::Cursor {
 public:
  // For groups whose keys stay good until their next Next(). They outlive this.
  explicit CurrentGroup(Groups* groups) : groups_(groups) {}

  absl::StatusOr<bool> Next() { return groups_->Next(&key_); }
  absl::string_view key() const override { return key_; }
  absl::StatusOr<absl::Span<const absl::string_view>> Values() override {
    return groups_->Values();
  }

 private:
  Groups* const groups_;
  absl::string_view key_;
};

// Groups::Drain() on the calling thread alone, for the same groups. Writes pieces of about
// `piece_bytes`, the memory it takes.
absl::Status DrainByNext(Groups* groups, const Groups::Render& render, const Groups::Write& write,
                         size_t piece_bytes);

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SORTED_DRAIN_H_
