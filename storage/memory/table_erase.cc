// Removing many: ranges, what has expired.

#include <algorithm>
#include <string>

#include "storage/memory/table.h"

namespace kvarts::memory_internal {

void Table::EraseIf(
    Segment* segment,
    absl::FunctionRef<bool(const char* record, const RecordLayout& layout)> condition) {
  const int depth = Segment::Depth(segment->range.load(std::memory_order_relaxed));
  bool any = false;
  for (Chunk* chunk = &segment->chunk; chunk != nullptr; chunk = chunk->next) {
    for (char* record = nullptr; (record = chunk->NextRecord(record)) != nullptr;) {
      const RecordLayout layout = RecordLayout::At(record);
      if (layout.header.has(RecordHeader::kDead) || !condition(record, layout)) continue;
      const uint64_t hash = HashOf(record, layout);
      Chunk::Place place = chunk->PlaceOf(hash, depth, record);
      place.layout = layout;
      if (layout.header.has(RecordHeader::kBlob)) FreeBlob(segment, layout, record);
      chunk->Erase(place);
      any = true;
    }
  }
  if (any) CompactIfWasteful(segment);
}

void Table::EraseRange(Segment* segment, absl::string_view begin, absl::string_view end) {
  if (begin.empty() && end.empty()) return EraseAll(segment);
  std::string key;
  EraseIf(segment, [&](const char* record, const RecordLayout& layout) {
    GetKey(record, layout, &key);
    return key >= begin && (end.empty() || key < end);
  });
}

void Table::EraseAll(Segment* segment) {
  for (Chunk* chunk = &segment->chunk; chunk != nullptr; chunk = chunk->next) {
    for (char* record = nullptr; (record = chunk->NextRecord(record)) != nullptr;) {
      const RecordLayout layout = RecordLayout::At(record);
      if (layout.header.has(RecordHeader::kBlob) && !layout.header.has(RecordHeader::kDead)) {
        FreeBlob(segment, layout, record);
      }
    }
    Free(chunk);
  }
  segment->chunk.next.store(nullptr, std::memory_order_release);
  segment->first_expiry = INT64_MAX;
  segment->shrunk = true;
  DropGhosts(segment);
}

void Table::DeleteRange(absl::string_view begin,
                        absl::string_view end) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  // A segment that is split meanwhile leaves its upper half to one that is not in the
  // list yet: so by hashes.
  uint64_t position = 0;
  do {
    Segment* const segment = LockToWrite(position, /*many=*/true);
    EraseRange(segment, begin, end);
    // Before it has another half, which is still to be gone through.
    position = EndOf(*segment);
    MergeIfSmall(segment);
    segment->lock.Unlock();
  } while (position != 0);
  holes_.GiveBackInTime();
}

bool Table::Sweep(int64_t now_ms, size_t segments,
                  uint64_t* position) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  while (segments > 0) {
    Segment* const segment = LockFor(*position);
    if (segment->first_expiry <= now_ms) {
      --segments;
      int64_t first = INT64_MAX;
      uint64_t expired = 0;
      EraseIf(segment, [&](const char* record, const RecordLayout& layout) {
        const int64_t expires_at = layout.ExpiresAt(record);
        if (expires_at == 0) return false;
        if (expires_at <= now_ms) {
          ++expired;
          return true;
        }
        first = std::min(first, expires_at);
        return false;
      });
      segment->first_expiry = first;
      expired_.fetch_add(expired, std::memory_order_relaxed);
      *position = EndOf(*segment);
      MergeIfSmall(segment);
      segment->lock.Unlock();
      holes_.GiveBackInTime();
    } else {
      *position = EndOf(*segment);
      segment->lock.UnlockUnchanged();
    }
    if (*position == 0) return true;
  }
  return false;
}

}  // namespace kvarts::memory_internal
