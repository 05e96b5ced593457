#include "groupby/aggregate/part_reader.h"

#include <utility>
#include <vector>

#include "base/status_macros.h"

namespace kvarts::groupby_internal {

absl::StatusOr<bool> PartReader::Open() {
  while (queue_.Take(&part_)) {
    KVARTS_ASSIGN_OR_RETURN(const Opened opened, OpenPart());
    switch (opened) {
      case Opened::kYes:
        is_open_ = true;
        return true;
      case Opened::kLater:
        queue_.GiveBack(std::move(part_));
        break;
      case Opened::kDivided:
        break;
    }
  }
  if (!core_.ok()) return core_.status();
  return false;
}

absl::StatusOr<PartReader::Opened> PartReader::OpenPart() {
  if (part_.in_core) {
    KVARTS_ASSIGN_OR_RETURN(table_, core_.Claim(part_.number, &part_.files));
    if (part_.files.states != nullptr) {
      part_.in_core = false;
      table_ = nullptr;
    }
  }
  if (!part_.in_core && part_.files.states != nullptr) {
    KVARTS_ASSIGN_OR_RETURN(const PartMerger::Fit fit, merger_.Merge(part_));
    if (fit == PartMerger::Fit::kLater) return Opened::kLater;
    if (fit == PartMerger::Fit::kNo) {
      const uint64_t first = part_.first;
      KVARTS_ASSIGN_OR_RETURN(std::vector<HashPart> parts, merger_.Divide(std::move(part_)));
      queue_.Divide(first, std::move(parts));
      return Opened::kDivided;
    }
    table_ = merger_.table();
  }
  if (table_ != nullptr) sorted_.emplace(table_);
  return Opened::kYes;
}

void PartReader::Close() {
  const size_t merged = merger_.table() == nullptr ? 0 : merger_.peak_bytes();
  sorted_.reset();
  if (part_.in_core) table_->Clear();
  table_ = nullptr;
  merger_.Free();
  part_.files = PartFiles();
  is_open_ = false;
  queue_.Done(part_.first, merged);
}

void PartReader::GiveBack() {
  sorted_.reset();
  if (part_.in_core) core_.Unclaim(part_.number);
  table_ = nullptr;
  merger_.Free();
  is_open_ = false;
  queue_.GiveBack(std::move(part_));
}

}  // namespace kvarts::groupby_internal
