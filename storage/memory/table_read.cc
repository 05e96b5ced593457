#include <cstring>
#include <memory>

#include "base/prefetch.h"
#include "storage/memory/held_segments.h"
#include "storage/memory/table.h"

namespace kvarts::memory_internal {
namespace {

constexpr int kMaxTries = 100;

}  // namespace

void Table::Get(const TableKey& key, const Want& want, ReadResult* result, Bytes* bytes) {
  // Most of the time is waiting for the group, and then for the record. The fewer the
  // instructions around them, the sooner the processor finds what its next call waits for.
  if (ABSL_PREDICT_TRUE(want.value && !want.stamp && !options_.evict)) {
    const Segment* const segment = SegmentOf(key.hash);
    uint64_t version;
    if (ABSL_PREDICT_TRUE(segment->lock.TryBeginRead(&version))) {
      const uint64_t range = segment->range.load(std::memory_order_acquire);
      RecordHeader header;
      if (const char* const record = segment->chunk.FindPlain(key, Segment::Depth(range), &header);
          ABSL_PREDICT_TRUE(record != nullptr && Segment::Covers(range, key.hash))) {
        result->value =
            CopyOut(record + kWord + RoundToWord(header.short_key()), header.inline_value(), bytes);
        result->found = true;
        if (ABSL_PREDICT_TRUE(segment->lock.EndRead(version))) return;
        result->Clear();
      }
    }
  }
  GetAny(key, want, result, bytes);
}

void Table::GetAny(const TableKey& key, const Want& want, ReadResult* result, Bytes* bytes) {
  // Beside writers that leave no gap it waits for its turn as they do.
  for (int tries = 0; tries < kMaxTries && !want.stamp; ++tries) {
    Segment* const segment = SegmentOf(key.hash);
    const uint64_t version = segment->lock.BeginRead();
    const uint64_t range = segment->range.load(std::memory_order_acquire);
    if (!Segment::Covers(range, key.hash)) continue;
    Chunk::Place place;
    if (!FindIn(*segment, key, Segment::Depth(range), &place) || !IsLive(place, want.now_ms)) {
      if (segment->lock.EndRead(version)) return;
      continue;
    }
    // Who is lent a blob must be counted, which takes the lock.
    if (want.value && place.layout.header.has(RecordHeader::kBlob)) break;
    Fill(place, want.value, result, bytes);
    if (segment->lock.EndRead(version)) {
      if (options_.evict && place.layout.header.uses() < RecordHeader::kMaxUses) {
        CountUse(segment, version, place.record);
      }
      return;
    }
    result->Clear();
  }
  GetLocked(absl::MakeConstSpan(&key, 1), want, result, bytes);
}

void Table::GetLocked(absl::Span<const TableKey> keys, const Want& want, ReadResult* results,
                      Bytes* bytes) {
  Held held;
  LockAllOf(keys, /*to_write=*/false, &held);
  for (size_t i = 0; i < keys.size(); ++i) {
    if (want.stamp) {
      // Making one may move the record, or split its segment.
      while (results[i].status.ok() && (results[i].stamp = StampOf(*held.For(keys[i].hash), keys[i],
                                                                   want.now_ms)) == Stamp()) {
        results[i].status = MakeStamp(held.For(keys[i].hash), keys[i], &held).status();
      }
      if (!results[i].status.ok()) continue;
    }
    Segment* const segment = held.For(keys[i].hash);
    const int depth = Segment::Depth(segment->range.load(std::memory_order_relaxed));
    Chunk::Place place;
    if (!FindIn(*segment, keys[i], depth, &place) || !IsLive(place, want.now_ms)) continue;
    Fill(place, want.value, &results[i], bytes);
    if (options_.evict) CountUseLocked(place.record);
    if (want.value && place.layout.header.has(RecordHeader::kBlob)) {
      Blob* const blob = place.layout.BlobOf(place.record);
      blob->Ref();
      bytes->AddPin(std::shared_ptr<Blob>(blob, [](Blob* b) { b->Unref(); }));
      results[i].value = absl::string_view(blob->data(), blob->size);
    }
  }
  held.UnlockAll();
}

void Table::GetMany(absl::Span<const TableKey> keys, const Want& want, size_t first,
                    ReadResults* results) {
  Prefetch(keys);
  for (size_t i = 0; i < keys.size(); ++i) {
    Get(keys[i], want, &results->mutable_result(first + i), &results->bytes());
  }
}

void Table::Prefetch(absl::Span<const TableKey> keys) const {
  // What is read here may be wrong, and is only where to look next.
  Segment* segments[kBatch];
  const size_t n = keys.size() < kBatch ? keys.size() : kBatch;
  for (size_t i = 0; i < n; ++i) {
    segments[i] = SegmentOf(keys[i].hash);
    PrefetchRead(segments[i]);
  }
  for (size_t i = 0; i < n; ++i) {
    const int depth = Segment::Depth(segments[i]->range.load(std::memory_order_relaxed));
    PrefetchRead(segments[i]->chunk.HomeLine(keys[i].hash, depth));
  }
  for (size_t i = 0; i < n; ++i) {
    const int depth = Segment::Depth(segments[i]->range.load(std::memory_order_relaxed));
    const char* const record = segments[i]->chunk.LikelyRecord(keys[i].hash, depth);
    if (record == nullptr) continue;
    PrefetchRead(record);
    PrefetchRead(record + 64);
  }
}

Stamp Table::StampOf(const Segment& segment, const TableKey& key, int64_t now_ms) {
  const int depth = Segment::Depth(segment.range.load(std::memory_order_relaxed));
  Chunk::Place place;
  if (!FindIn(segment, key, depth, &place) || !IsLive(place, now_ms)) {
    return Stamp{absent_mark_, comings_.Get(key.hash) << 1};
  }
  if (const uint64_t stamp = place.layout.Stamp(place.record); stamp != 0) {
    return Stamp{stamp | kPresentMark, 1};
  }
  return Stamp{0, 0};
}

}  // namespace kvarts::memory_internal
