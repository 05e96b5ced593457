// Two halves of a segment that have become small are one again: splitting, backwards.
//
// (1) Who has removed records has the lock of one half, and tries that of the other: it
//     waits for nobody, so that the order in which others lock does not matter.
// (2) All records go to a new chunk of the first, whose range is then that of both.
// (3) The directory leads to it, before either lock is given back. Who was led to the other
//     half before sees that it has no range, and looks again, as after a split.
// (4) That one is kept, since readers may look at it for ever, and used for the next split.
//
// Both halves are of the newest snapshot, or none of them is touched. A store that evicts
// is full, and the order of its logs is that of its queues; it merges nothing.

#include <algorithm>

#include "storage/memory/chunk_builder.h"
#include "storage/memory/table.h"

namespace kvarts::memory_internal {
namespace {

// Of the records of both. A split is due at some 220 KiB, so there is much to be written
// before the next one.
constexpr size_t kSmall = Chunk::kBytes / 4;

}  // namespace

void Table::MergeSmall(Segment* segment) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  segment->shrunk = false;
  if (options_.evict) return;
  for (;;) {
    const uint64_t range = segment->range.load(std::memory_order_relaxed);
    const int depth = Segment::Depth(range);
    if (depth == 0 || segment->usage().live > kSmall) return;
    const uint64_t bit = uint64_t{1} << (64 - depth);
    Segment* const buddy = SegmentOf(Segment::Prefix(range) ^ bit);
    if (!buddy->lock.TryLock()) return;
    const bool is_half = buddy->range.load(std::memory_order_relaxed) == (range ^ bit);
    if (!is_half || !Merge(segment, buddy)) return buddy->lock.UnlockUnchanged();
    buddy->lock.Unlock();
  }
}

bool Table::Merge(Segment* segment, Segment* buddy) {
  if (segment->epoch != epoch_ || buddy->epoch != epoch_) return false;
  const Segment::Usage ours = segment->usage();
  const Segment::Usage theirs = buddy->usage();
  if (ours.live + theirs.live > kSmall) return false;
  const uint64_t range = segment->range.load(std::memory_order_relaxed);
  const int depth = Segment::Depth(range);
  const uint64_t prefix = Segment::Prefix(range) & ~(uint64_t{1} << (64 - depth));
  Builder builder(this, depth - 1, ours.records + theirs.records, ours.live + theirs.live);
  if (!builder.AddAll(segment->chunk).ok() || !builder.AddAll(buddy->chunk).ok()) return false;
  Install(segment, &builder);
  for (Chunk* chunk = &buddy->chunk; chunk != nullptr; chunk = chunk->next) Free(chunk);
  buddy->chunk.next.store(nullptr, std::memory_order_release);
  segment->first_expiry = std::min(segment->first_expiry, buddy->first_expiry);
  segment->blob_bytes += buddy->blob_bytes;
  buddy->first_expiry = INT64_MAX;
  buddy->blob_bytes = 0;
  segment->range.store(Segment::Range(prefix, depth - 1), std::memory_order_release);
  buddy->range.store(Segment::kRetired, std::memory_order_release);
  MutexLock lock(&mu_);
  Directory& directory = *directories_.back();
  const size_t first = directory.depth == 0 ? 0 : prefix >> (64 - directory.depth);
  const size_t count = size_t{1} << (directory.depth - depth + 1);
  for (size_t i = first; i < first + count; ++i) {
    directory.segments[i].store(segment, std::memory_order_release);
  }
  retired_.push_back(buddy);
  return true;
}

}  // namespace kvarts::memory_internal
