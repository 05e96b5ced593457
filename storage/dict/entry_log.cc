#include "storage/dict/entry_log.h"

#include <utility>

#include "base/status_macros.h"

namespace kvarts {

absl::StatusOr<char*> ChunkSource::Take() {
  if (used_ == kSlabChunks) {
    KVARTS_ASSIGN_OR_RETURN(PageMemory slab,
                            PageMemory::Reserve(kSlabChunks * kBytes, /*huge=*/false));
    slabs_.push_back(std::move(slab));
    used_ = 0;
  }
  return slabs_.back().data() + used_++ * kBytes;
}

absl::Status EntryLog::Grow(ChunkSource* source) {
  KVARTS_ASSIGN_OR_RETURN(char* const chunk, source->Take());
  chunks_.push_back(chunk);
  return absl::OkStatus();
}

void EntryLog::Take(EntryLog&& other) {
  if (size_ == 0) {
    std::swap(*this, other);
    return;
  }
  // The last chunk is filled up from the other's end, so that all but the last
  // are full: who takes logs does not care for their order.
  size_t from = other.size_;
  const size_t room = chunks_.size() * ChunkSource::kEntries;
  while (size_ < room && from > 0) Set(size_++, other.Get(--from));
  other.Truncate(from);
  // Now either the other is empty, or this one ends with a full chunk.
  chunks_.insert(chunks_.end(), other.chunks_.begin(), other.chunks_.end());
  size_ += other.size_;
  other.chunks_.clear();
  other.size_ = 0;
}

void EntryLog::Truncate(size_t n) {
  const size_t keep = (n + ChunkSource::kEntries - 1) / ChunkSource::kEntries;
  for (size_t i = keep; i < chunks_.size(); ++i) {
    PageMemory::GiveBack(chunks_[i], ChunkSource::kBytes);
  }
  chunks_.resize(keep);
  size_ = n;
}

}  // namespace kvarts
