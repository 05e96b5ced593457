#include "storage/memory/table.h"

#include <algorithm>
#include <utility>

namespace kvarts::memory_internal {

Table::Table(const Options& options)
    : options_(options),
      hash_(options.seed, options.hash),
      pool_(RecordLayout::kMaxBytes + 4096),
      // Not by the seed of the hash, which may be a known one: stamps of an earlier table
      // must not match those of this one.
      unique_(HashSeed::Random().k0 | 1),
      absent_mark_(NextUnique() & ~kPresentMark),
      images_(options.max_image_bytes) {
  MutexLock lock(&mu_);
  directories_.push_back(std::make_unique<Directory>(0));
  segments_.push_back(std::make_unique<Segment>());
  directories_.back()->segments[0] = segments_.back().get();
  directory_ = directories_.back().get();
}

Table::~Table() {
  MutexLock lock(&mu_);
  for (const auto& segment : segments_) {
    for (Chunk* chunk = &segment->chunk; chunk != nullptr; chunk = chunk->next) {
      for (char* record = nullptr; (record = chunk->NextRecord(record)) != nullptr;) {
        const RecordLayout layout = RecordLayout::At(record);
        if (layout.header.has(RecordHeader::kBlob) && !layout.header.has(RecordHeader::kDead)) {
          layout.BlobOf(record)->Unref();
        }
      }
    }
  }
}

Segment* Table::LockFor(uint64_t hash) {
  for (;;) {
    Segment* const segment = SegmentOf(hash);
    segment->lock.Lock();
    if (Segment::Covers(segment->range.load(std::memory_order_relaxed), hash)) return segment;
    // It was split meanwhile; soon the directory says so.
    segment->lock.UnlockUnchanged();
  }
}

bool Table::FindInChain(const Segment& segment, const TableKey& key, int depth,
                        Chunk::Place* place) {
  const Chunk* chunk = &segment.chunk;
  while ((chunk = chunk->next.load(std::memory_order_acquire)) != nullptr) {
    if (chunk->Find(key, depth, place)) return true;
  }
  return false;
}

uint64_t Table::HashOf(const char* record, const RecordLayout& layout) const {
  char short_key[64];
  if (layout.header.has(RecordHeader::kUuid)) {
    LoadBytes(record + layout.key, kUuidBytes, short_key);
    return hash_.OfUuid(short_key);
  }
  if (layout.key_size <= sizeof short_key) {
    LoadBytes(record + layout.key, layout.key_size, short_key);
    return Hash(absl::string_view(short_key, layout.key_size));
  }
  std::string key(layout.key_size, '\0');
  LoadBytes(record + layout.key, layout.key_size, &key[0]);
  return Hash(key);
}

Table::Sums Table::sums() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Sums sums;
  sums.evicted = evicted_.load(std::memory_order_relaxed);
  sums.expired = expired_.load(std::memory_order_relaxed);
  // By hashes: a segment may be split meanwhile.
  uint64_t position = 0;
  do {
    Segment* const segment = LockFor(position);
    position = EndOf(*segment);
    ++sums.segments;
    uint64_t chain = 0;
    for (Chunk* chunk = &segment->chunk; chunk != nullptr; chunk = chunk->next) {
      sums.longest_chain = std::max(sums.longest_chain, ++chain);
      if (chunk->empty()) continue;
      sums.entries += chunk->records();
      sums.expiring += chunk->expiring();
      sums.index_bytes += chunk->log_begin();
      sums.log_bytes += chunk->log_end() - chunk->log_begin();
      sums.dead_bytes += chunk->dead_bytes();
    }
    segment->lock.UnlockUnchanged();
  } while (position != 0);
  return sums;
}

}  // namespace kvarts::memory_internal
