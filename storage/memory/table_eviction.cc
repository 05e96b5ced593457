#include <algorithm>
#include <utility>
#include <vector>

#include "storage/memory/eviction.h"
#include "storage/memory/table.h"

namespace kvarts::memory_internal {

uint32_t Table::Carried(const Segment& segment, const TableKey& key,
                        const Chunk::Place* old) const {
  if (!options_.evict) return 0;
  if (old != nullptr) {
    const RecordHeader header = old->layout.header;
    const uint32_t use = header.uses() < RecordHeader::kMaxUses ? RecordHeader::kUse : 0;
    return (header.word() & RecordHeader::kCarried) + use;
  }
  const int depth = Segment::Depth(segment.range.load(std::memory_order_relaxed));
  const bool was_here = segment.ghosts != nullptr && segment.ghosts->Has(key.hash, depth);
  return was_here ? uint32_t{RecordHeader::kMain} : 0;
}

void Table::CountUseLocked(char* record) {
  const RecordHeader header(Load32(record));
  if (header.uses() < RecordHeader::kMaxUses) Store32(record, header.word() + RecordHeader::kUse);
}

void Table::CountUse(Segment* segment, uint64_t version, char* record) {
  // Not at this version, it may be memory of another segment by now.
  if (!segment->lock.TryLockAt(version)) return;
  CountUseLocked(record);
  segment->lock.UnlockUnchanged();
}

void Table::DropGhosts(Segment* segment) {
  if (segment->ghosts == nullptr) return;
  pool_.Charge(-static_cast<int64_t>(segment->ghosts->MemoryBytes()));
  segment->ghosts.reset();
}

bool Table::FreeMemory(uint64_t* position, size_t bytes,
                       int64_t now_ms) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  if (bytes > options_.max_bytes) return false;
  bool any = false;
  bool any_in_round = false;
  bool whole_round = false;
  do {
    Segment* const segment = LockToWrite(*position, /*many=*/true);
    const bool shrunk = Shrink(segment, now_ms);
    any = any || shrunk;
    any_in_round = any_in_round || shrunk;
    // Without eviction a write does not go to other segments for what little is dead there.
    if (options_.evict) *position = EndOf(*segment);
    if (shrunk) {
      segment->lock.Unlock();
    } else {
      segment->lock.UnlockUnchanged();
    }
    if (!options_.evict) return shrunk;
    if (*position == 0) {
      if (whole_round && !any_in_round) return any;
      whole_round = true;
      any_in_round = false;
    }
  } while (pool_.used() + bytes > options_.max_bytes || !any);
  return true;
}

bool Table::HasMoreThanShare(const Segment& segment) const {
  const int depth = Segment::Depth(segment.range.load(std::memory_order_relaxed));
  // Large values come as they come: one of them may be more than a share.
  size_t bytes = 0;
  for (const Chunk* chunk = &segment.chunk; chunk != nullptr; chunk = chunk->next) {
    bytes += chunk->charged;
  }
  return bytes > options_.max_bytes >> depth;
}

bool Table::Shrink(Segment* segment, int64_t now_ms) {
  const Segment::Usage usage = segment->usage();
  // What is dead comes first, where it is worth a copy.
  if (usage.dead > usage.live / 32 + ExtentPool::kPage) return Rebuild(segment).ok();
  return options_.evict && usage.records > 0 && Evict(segment, now_ms);
}

bool Table::Evict(Segment* segment, int64_t now_ms) {
  std::vector<EvictionItem> items;
  std::vector<Kept> records;
  uint64_t live = 0;
  for (Chunk* chunk = &segment->chunk; chunk != nullptr; chunk = chunk->next) {
    for (char* record = nullptr; (record = chunk->NextRecord(record)) != nullptr;) {
      const RecordLayout layout = RecordLayout::At(record);
      if (layout.header.has(RecordHeader::kDead)) continue;
      EvictionItem item;
      item.bytes = layout.bytes + IndexGroup::kBytes / IndexGroup::kSlots;
      if (layout.header.has(RecordHeader::kBlob)) {
        item.bytes += static_cast<uint32_t>(Blob::MemoryBytes(layout.BlobOf(record)->size));
      }
      item.uses = static_cast<uint8_t>(layout.header.uses());
      item.main = layout.header.has(RecordHeader::kMain);
      const int64_t expires_at = layout.ExpiresAt(record);
      item.expired = expires_at != 0 && expires_at <= now_ms;
      items.push_back(item);
      records.push_back({record, layout, HashOf(record, layout)});
      live += item.bytes;
    }
  }
  // An eighth, so that a copy is worth it; of few large values no more than need be.
  const uint64_t goal = std::min<uint64_t>(live / 8, options_.max_bytes / 64);
  const EvictionPlan plan = PlanEviction(items, std::max<uint64_t>(goal, 1));

  std::vector<Kept> kept;
  kept.reserve(plan.kept.size());
  size_t main = 0;
  for (const EvictionPlan::Kept& each : plan.kept) {
    kept.push_back(records[each.item]);
    kept.back().layout.header = kept.back().layout.header.WithQueue(each.main, each.uses);
    main += each.main ? 1 : 0;
  }
  // Their records go with the copy.
  std::vector<Blob*> blobs;
  for (const EvictionPlan::Victim& each : plan.victims) {
    const Kept& victim = records[each.item];
    if (victim.layout.header.has(RecordHeader::kBlob)) {
      blobs.push_back(victim.layout.BlobOf(victim.record));
    }
  }
  if (!RebuildOf(segment, kept).ok()) return false;
  for (Blob* const blob : blobs) {
    ChargeBlob(segment, -static_cast<int64_t>(Blob::MemoryBytes(blob->size)));
    blob->Unref();
  }

  size_t was = 0;
  if (segment->ghosts != nullptr) {
    was = segment->ghosts->MemoryBytes();
  } else {
    segment->ghosts = std::make_unique<Ghosts>();
  }
  segment->ghosts->Fit(std::max<size_t>(main, 1));
  pool_.Charge(static_cast<int64_t>(segment->ghosts->MemoryBytes()) - static_cast<int64_t>(was));
  const int depth = Segment::Depth(segment->range.load(std::memory_order_relaxed));
  uint64_t evicted = 0;
  uint64_t expired = 0;
  for (const EvictionPlan::Victim& each : plan.victims) {
    if (each.remember) segment->ghosts->Add(records[each.item].hash, depth);
    ++(items[each.item].expired ? expired : evicted);
  }
  evicted_.fetch_add(evicted, std::memory_order_relaxed);
  expired_.fetch_add(expired, std::memory_order_relaxed);
  return true;
}

}  // namespace kvarts::memory_internal
