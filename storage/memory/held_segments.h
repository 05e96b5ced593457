#ifndef KVARTS_STORAGE_MEMORY_HELD_SEGMENTS_H_
#define KVARTS_STORAGE_MEMORY_HELD_SEGMENTS_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "storage/memory/table.h"

namespace kvarts::memory_internal {

// Not thread-safe. The segments that an atomic batch has locked, in the order of their
// hashes: the order in which all such batches lock, so that none waits for another.
class Table::Held {
 public:
  Held() = default;
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

  // A locked one, behind all others, or one that was split off one of them.
  void Add(Segment* segment) {
    const auto at = std::upper_bound(
        segments_.begin(), segments_.end(), segment,
        [](const Segment* a, const Segment* b) { return BeginOf(a) < BeginOf(b); });
    segments_.insert(at, segment);
  }
  bool Covers(uint64_t hash) const { return Find(hash) != nullptr; }
  Segment* For(uint64_t hash) const { return Find(hash); }
  const std::vector<Segment*>& all() const { return segments_; }

  void UnlockAll() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    for (Segment* const segment : segments_) segment->lock.Unlock();
    segments_.clear();
  }

 private:
  static uint64_t BeginOf(const Segment* segment) {
    return Segment::Prefix(segment->range.load(std::memory_order_relaxed));
  }
  Segment* Find(uint64_t hash) const {
    const auto behind =
        std::upper_bound(segments_.begin(), segments_.end(), hash,
                         [](uint64_t h, const Segment* segment) { return h < BeginOf(segment); });
    if (behind == segments_.begin()) return nullptr;
    Segment* const segment = *(behind - 1);
    return Segment::Covers(segment->range.load(std::memory_order_relaxed), hash) ? segment
                                                                                 : nullptr;
  }

  std::vector<Segment*> segments_;
};

}  // namespace kvarts::memory_internal

#endif  // KVARTS_STORAGE_MEMORY_HELD_SEGMENTS_H_
