#include "groupby/sorted/drain.h"

#include <cstring>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "groupby/spill/mapped_region.h"

namespace kvarts::groupby_internal {
namespace {

// Has no buffer that grows: the memory is what was counted.
class PieceOutput final : public Groups::Output {
 public:
  explicit PieceOutput(const Groups::Write& write) : write_(write) {}

  absl::Status Init(size_t piece_bytes) { return piece_.Map(piece_bytes); }

  absl::Status Append(absl::string_view text) override {
    if (text.size() > piece_.size() - size_) {
      KVARTS_RETURN_IF_ERROR(Flush());
      if (text.size() >= piece_.size()) return write_(text);
    }
    if (!text.empty()) std::memcpy(piece_.data() + size_, text.data(), text.size());
    size_ += text.size();
    return absl::OkStatus();
  }

  absl::Status Flush() {
    if (size_ == 0) return absl::OkStatus();
    const absl::string_view text(piece_.data(), size_);
    size_ = 0;
    return write_(text);
  }

 private:
  const Groups::Write& write_;
  MappedRegion piece_;
  size_t size_ = 0;
};

class CurrentGroup final : public Groups::Cursor {
 public:
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

}  // namespace

absl::Status DrainByNext(Groups* groups, const Groups::Render& render, const Groups::Write& write,
                         size_t piece_bytes) {
  PieceOutput output(write);
  KVARTS_RETURN_IF_ERROR(output.Init(piece_bytes));
  CurrentGroup group(groups);
  for (;;) {
    KVARTS_ASSIGN_OR_RETURN(const bool more, group.Next());
    if (!more) return output.Flush();
    KVARTS_RETURN_IF_ERROR(render(&group, &output));
  }
}

}  // namespace kvarts::groupby_internal
