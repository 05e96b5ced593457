#include "groupby/sorted/drain.h"

#include <cstring>

#include "base/status_macros.h"

namespace kvarts::groupby_internal {

absl::Status PieceOutput::Append(absl::string_view text) {
  if (text.size() > piece_.size() - size_) {
    KVARTS_RETURN_IF_ERROR(Flush());
    if (text.size() >= piece_.size()) return write_(text);
  }
  if (!text.empty()) std::memcpy(piece_.data() + size_, text.data(), text.size());
  size_ += text.size();
  return absl::OkStatus();
}

absl::Status PieceOutput::Flush() {
  if (size_ == 0) return absl::OkStatus();
  const absl::string_view text(piece_.data(), size_);
  size_ = 0;
  return write_(text);
}

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
