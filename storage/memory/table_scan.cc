#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "storage/memory/table.h"

namespace kvarts::memory_internal {

struct Table::Found {
  uint64_t hash;
  const char* record;
  RecordLayout layout;
};

namespace {

// A scan that writers disturb so often takes the lock.
constexpr int kMaxTries = 8;

// The first hash behind those whose home is group `g` of a segment; 0 behind all.
uint64_t EndOfGroup(uint64_t range, uint32_t g, uint32_t groups) {
  const int depth = Segment::Depth(range);
  const uint64_t next = ((uint64_t{g + 1} << 32) + groups - 1) / groups;  // of 2^32
  if (depth == 0) return next >> 32 != 0 ? 0 : next << 32;
  return Segment::Prefix(range) + (next << (32 - (depth < 32 ? depth : 32)));
}

}  // namespace

uint64_t Table::EndOf(const Segment& segment) {
  const uint64_t range = segment.range.load(std::memory_order_relaxed);
  const int depth = Segment::Depth(range);
  return depth == 0 ? 0 : Segment::Prefix(range) + (uint64_t{1} << (64 - depth));
}

void Table::GetKey(const char* record, const RecordLayout& layout, std::string* text) {
  if (!layout.header.has(RecordHeader::kUuid)) {
    text->resize(layout.key_size);
    LoadBytes(record + layout.key, layout.key_size, &(*text)[0]);
    return;
  }
  char packed[kUuidBytes];
  LoadBytes(record + layout.key, kUuidBytes, packed);
  text->resize(kUuidTextBytes);
  UnpackUuid(packed, &(*text)[0]);
}

// Records with hashes in [begin, end).
void Table::FindHome(const Segment& segment, const Table& table, uint64_t begin, uint64_t end,
                     std::vector<Found>* found) {
  found->clear();
  const int depth = Segment::Depth(segment.range.load(std::memory_order_acquire));
  for (const Chunk* chunk = &segment.chunk; chunk != nullptr;
       chunk = chunk->next.load(std::memory_order_acquire)) {
    const char* const base = chunk->shared_base();
    if (base == nullptr) continue;
    const uint32_t groups = chunk->shared_groups();
    if (groups == 0) continue;
    uint32_t g = Chunk::Home(begin, depth, groups);
    const uint32_t last = Chunk::Home(end - 1, depth, groups);
    bool is_behind_last = false;
    for (uint32_t looked = 0; looked < groups; ++looked) {
      IndexGroup group(const_cast<char*>(base) + g * IndexGroup::kBytes);
      const IndexGroup::Tags tags = group.tags();
      for (uint32_t m = ~tags.Empty() & ((1u << IndexGroup::kSlots) - 1); m != 0; m &= m - 1) {
        const char* const record =
            base + group.position(static_cast<uint32_t>(__builtin_ctz(m))) * kWord;
        const RecordLayout layout = RecordLayout::At(record);
        const uint64_t hash = table.HashOf(record, layout);
        if (hash >= begin && (hash < end || end == 0)) found->push_back({hash, record, layout});
      }
      is_behind_last = is_behind_last || g == last;
      if (is_behind_last && !tags.overflows()) break;
      if (++g == groups) g = 0;
    }
  }
  std::sort(found->begin(), found->end(),
            [](const Found& a, const Found& b) { return a.hash < b.hash; });
}

bool Table::Scan(uint64_t* position, const PageLimits& limits, bool keys_only, int64_t now_ms,
                 absl::FunctionRef<bool(absl::string_view key)> wanted, ScanPage* page,
                 uint64_t* last) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  std::vector<Found> found;
  std::vector<std::pair<uint64_t, ScanEntry>> entries;
  std::string text;
  size_t bytes = 0;
  for (int tries = 0;;) {
    Segment* segment = SegmentOf(*position);
    const bool locked = tries >= kMaxTries;
    uint64_t version = 0;
    if (locked) {
      segment = LockFor(*position);
    } else {
      version = segment->lock.BeginRead();
      ++tries;
    }
    const uint64_t range = segment->range.load(std::memory_order_acquire);
    const uint32_t groups = segment->chunk.shared_groups();
    if (!Segment::Covers(range, *position)) continue;
    uint64_t end = EndOf(*segment);
    if (groups > 0) {
      const uint32_t g = Chunk::Home(*position, Segment::Depth(range), groups);
      if (g + 1 < groups) end = EndOfGroup(range, g, groups);
    }
    FindHome(*segment, *this, *position, end, &found);
    entries.clear();
    bool has_blob = false;
    const size_t had = bytes;
    uint64_t cut = 0;  // where this page ends within the group
    for (const Found& each : found) {
      const int64_t expires_at = each.layout.ExpiresAt(each.record);
      if (expires_at != 0 && expires_at <= now_ms) continue;
      GetKey(each.record, each.layout, &text);
      if (!wanted(text)) continue;
      Blob* blob = nullptr;
      size_t value_size = keys_only ? 0 : each.layout.value_size;
      if (!keys_only && each.layout.header.has(RecordHeader::kBlob)) {
        has_blob = true;
        if (!locked) break;
        blob = each.layout.BlobOf(each.record);
        value_size = blob->size;
      }
      const size_t size = text.size() + value_size;
      const size_t had_entries = page->size() + entries.size();
      const bool is_full =
          had_entries >= limits.entries || (had_entries > 0 && bytes + size > limits.bytes);
      // Keys of one hash come in one page.
      if (is_full && (entries.empty() || entries.back().first != each.hash)) {
        cut = each.hash;
        break;
      }
      ScanEntry entry;
      entry.key = page->bytes().Copy(text);
      entry.expires_at_ms = expires_at;
      if (each.layout.header.has(RecordHeader::kType)) {
        entry.content_type =
            CopyOut(each.record + each.layout.type, each.layout.type_size, &page->bytes());
      }
      if (blob != nullptr) {
        blob->Ref();
        page->bytes().AddPin(std::shared_ptr<Blob>(blob, [](Blob* b) { b->Unref(); }));
        entry.value = absl::string_view(blob->data(), blob->size);
      } else {
        entry.value = CopyOut(each.record + each.layout.value, value_size, &page->bytes());
      }
      bytes += size;
      entries.emplace_back(each.hash, entry);
    }
    if (locked) {
      segment->lock.UnlockUnchanged();
    } else if (!segment->lock.EndRead(version) || has_blob) {
      // Who is lent a blob must be counted, which takes the lock.
      if (has_blob) tries = kMaxTries;
      bytes = had;
      continue;
    }
    tries = 0;
    for (const auto& [hash, entry] : entries) page->Add(entry);
    if (!entries.empty()) *last = entries.back().first;
    if (cut != 0) {
      *position = cut;
      return true;
    }
    *position = end;
    if (end == 0) return false;
    if (page->size() >= limits.entries || (bytes >= limits.bytes && !page->empty())) return true;
  }
}

}  // namespace kvarts::memory_internal
