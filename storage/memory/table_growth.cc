#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "storage/memory/chunk_builder.h"
#include "storage/memory/held_segments.h"
#include "storage/memory/table.h"

namespace kvarts::memory_internal {
namespace {

constexpr int kMaxDepth = 48;
constexpr size_t kMinGroups = 16;
// A segment is copied rather than split where that leaves at least an eighth of it free.
constexpr size_t kFull = Chunk::kBytes / 8 * 7;

}  // namespace

uint32_t Table::Groups(int depth, size_t records, size_t bytes) {
  // Room for a quarter more, and not for more than there can be of this size.
  const size_t wanted = records + (records < 512 ? records : records / 4) + 1;
  const size_t average = records == 0 ? 64 : std::max<size_t>(bytes / records, 4);
  const size_t fit = Chunk::kBytes / (average + 4);
  const uint32_t groups = Chunk::GroupsFor(std::max(records + 1, std::min(wanted, fit)));
  return std::max<uint32_t>(groups, kMinGroups);
}

void Table::Charge(Chunk* chunk) {
  const size_t bytes = chunk->empty() ? 0 : ExtentPool::PageBytes(chunk->log_end());
  if (bytes == chunk->charged) return;
  pool_.Charge(static_cast<int64_t>(bytes) - static_cast<int64_t>(chunk->charged));
  chunk->charged = bytes;
}

void Table::Free(Chunk* chunk) {
  if (!chunk->empty()) pool_.Give(chunk->Release());
  Charge(chunk);
}

void Table::Install(Segment* segment, Builder* builder) {
  Chunk* chunk = &segment->chunk;
  // The old ones go with the builder.
  std::vector<std::unique_ptr<Chunk>>& fresh = builder->chunks();
  for (Chunk* old = chunk->next.load(); old != nullptr; old = old->next.load()) Free(old);
  chunk->next.store(nullptr, std::memory_order_release);
  if (fresh.empty()) {
    Free(chunk);
  } else {
    for (const auto& each : fresh) {
      each->Trim();
      Charge(each.get());
    }
    chunk->Swap(fresh[0].get());
    for (size_t i = fresh.size(); i-- > 1;) {
      fresh[i]->next.store(chunk->next.load(), std::memory_order_relaxed);
      chunk->next.store(fresh[i].get(), std::memory_order_release);
    }
    MutexLock lock(&mu_);
    for (size_t i = 1; i < fresh.size(); ++i) chunks_.push_back(std::move(fresh[i]));
    fresh.resize(1);
  }
}

absl::Status Table::Rebuild(Segment* segment) {
  const int depth = Segment::Depth(segment->range.load(std::memory_order_relaxed));
  const Segment::Usage usage = segment->usage();
  Builder builder(this, depth, usage.records, usage.live);
  KVARTS_RETURN_IF_ERROR(builder.AddAll(segment->chunk));
  Install(segment, &builder);
  return absl::OkStatus();
}

absl::Status Table::RebuildOf(Segment* segment, absl::Span<const Kept> kept) {
  size_t bytes = 0;
  for (const Kept& each : kept) bytes += each.layout.bytes;
  const int depth = Segment::Depth(segment->range.load(std::memory_order_relaxed));
  Builder builder(this, depth, kept.size(), bytes);
  for (const Kept& each : kept) {
    KVARTS_RETURN_IF_ERROR(builder.Add(each.record, each.layout, each.hash));
  }
  Install(segment, &builder);
  return absl::OkStatus();
}

bool Table::MayEnter(int depth) const {
  const Directory& directory = *directories_.back();
  if (depth < directory.depth) return true;
  // Keys that collide in many bits must not have the directory take all memory.
  return depth < kMaxDepth && size_t{2} << depth <= 64 * segments_.size() + 1024;
}

void Table::Enter(Segment* segment, int parent_depth) {
  Directory* directory = directories_.back().get();
  if (parent_depth == directory->depth) {
    // Readers may still be in the old one; all of them together are as large as this.
    auto larger = std::make_unique<Directory>(directory->depth + 1);
    for (size_t i = 0; i < directory->segments.size(); ++i) {
      Segment* const same = directory->segments[i].load(std::memory_order_relaxed);
      larger->segments[2 * i].store(same, std::memory_order_relaxed);
      larger->segments[2 * i + 1].store(same, std::memory_order_relaxed);
    }
    pool_.Charge(static_cast<int64_t>(larger->segments.size() * sizeof(void*)));
    directory = larger.get();
    directories_.push_back(std::move(larger));
    directory_.store(directory, std::memory_order_release);
  }
  const uint64_t prefix = Segment::Prefix(segment->range.load(std::memory_order_relaxed));
  const size_t first = prefix >> (64 - directory->depth);
  const size_t count = size_t{1} << (directory->depth - parent_depth - 1);
  for (size_t i = first; i < first + count; ++i) {
    directory->segments[i].store(segment, std::memory_order_release);
  }
}

absl::StatusOr<bool> Table::Split(Segment* segment, Held* held) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  const uint64_t range = segment->range.load(std::memory_order_relaxed);
  const int depth = Segment::Depth(range);
  {
    MutexLock lock(&mu_);
    if (!MayEnter(depth)) return false;
  }
  const uint64_t bit = uint64_t{1} << (63 - depth);
  std::vector<uint64_t> hashes;
  size_t records[2] = {0, 0};
  size_t bytes[2] = {0, 0};
  uint64_t blob_bytes[2] = {0, 0};
  for (Chunk* chunk = &segment->chunk; chunk != nullptr; chunk = chunk->next) {
    for (char* record = nullptr; (record = chunk->NextRecord(record)) != nullptr;) {
      const RecordLayout layout = RecordLayout::At(record);
      if (layout.header.has(RecordHeader::kDead)) continue;
      hashes.push_back(HashOf(record, layout));
      const int half = (hashes.back() & bit) != 0 ? 1 : 0;
      ++records[half];
      bytes[half] += layout.bytes;
      if (layout.header.has(RecordHeader::kBlob)) {
        blob_bytes[half] += Blob::MemoryBytes(layout.BlobOf(record)->size);
      }
    }
  }
  Builder lower(this, depth + 1, records[0], bytes[0]);
  Builder upper(this, depth + 1, records[1], bytes[1]);
  size_t i = 0;
  for (Chunk* chunk = &segment->chunk; chunk != nullptr; chunk = chunk->next) {
    for (char* record = nullptr; (record = chunk->NextRecord(record)) != nullptr;) {
      const RecordLayout layout = RecordLayout::At(record);
      if (layout.header.has(RecordHeader::kDead)) continue;
      const uint64_t hash = hashes[i++];
      KVARTS_RETURN_IF_ERROR(((hash & bit) != 0 ? upper : lower).Add(record, layout, hash));
    }
  }
  std::unique_ptr<Segment> added;
  Segment* other = nullptr;
  {
    MutexLock lock(&mu_);
    if (!retired_.empty()) {
      other = retired_.back();
      retired_.pop_back();
    }
  }
  if (other == nullptr) {
    added = std::make_unique<Segment>();
    other = added.get();
  }
  // Somebody who was led here by an old directory may have it for a moment.
  other->lock.Lock();
  other->range = Segment::Range(Segment::Prefix(range) | bit, depth + 1);
  other->first_expiry = segment->first_expiry;
  other->epoch = segment->epoch;
  {
    MutexLock lock(&mu_);
    // Others may have been faster; then there is no harm in trying again.
    if (!MayEnter(depth)) {
      other->range = Segment::kRetired;
      other->lock.Unlock();
      if (added == nullptr) retired_.push_back(other);
      return true;
    }
    if (added != nullptr) {
      segments_.push_back(std::move(added));
      pool_.Charge(static_cast<int64_t>(sizeof(Segment)));
    }
  }
  if (segment->undo != nullptr) {
    other->undo = std::make_unique<Undo>();
    segment->undo->MoveUpper(bit, other->undo.get());
  }
  Install(other, &upper);
  Install(segment, &lower);
  segment->blob_bytes = blob_bytes[0];
  other->blob_bytes = blob_bytes[1];
  if (segment->ghosts != nullptr) {
    const size_t was = segment->ghosts->MemoryBytes();
    other->ghosts = segment->ghosts->SplitUpper();
    pool_.Charge(
        static_cast<int64_t>(segment->ghosts->MemoryBytes() + other->ghosts->MemoryBytes()) -
        static_cast<int64_t>(was));
  }
  {
    MutexLock lock(&mu_);
    Enter(other, depth);
  }
  segment->range.store(Segment::Range(Segment::Prefix(range), depth + 1),
                       std::memory_order_release);
  if (held != nullptr) {
    held->Add(other);
  } else {
    other->lock.Unlock();
  }
  return true;
}

absl::Status Table::AddChunk(Segment* segment, size_t bytes) {
  const int depth = Segment::Depth(segment->range.load(std::memory_order_relaxed));
  ExtentPool::Extent extent;
  KVARTS_RETURN_IF_ERROR(pool_.Take(&extent));
  if (segment->chunk.empty()) {
    segment->chunk.Init(extent, Groups(depth, 0, 0));
    return absl::OkStatus();
  }
  auto added = std::make_unique<Chunk>();
  added->Init(extent, Groups(depth, segment->chunk.records(), segment->chunk.live_bytes() + bytes));
  added->next.store(segment->chunk.next.load(), std::memory_order_relaxed);
  segment->chunk.next.store(added.get(), std::memory_order_release);
  MutexLock lock(&mu_);
  chunks_.push_back(std::move(added));
  return absl::OkStatus();
}

absl::Status Table::MakeRoom(Segment* segment, size_t bytes, Held* held) {
  if (segment->chunk.empty()) return AddChunk(segment, bytes);
  const int depth = Segment::Depth(segment->range.load(std::memory_order_relaxed));
  const Segment::Usage usage = segment->usage();
  const size_t index = Groups(depth, usage.records, usage.live) * IndexGroup::kBytes;
  if (usage.live + bytes + index <= kFull) return Rebuild(segment);
  KVARTS_ASSIGN_OR_RETURN(const bool was_split, Split(segment, held));
  if (was_split) return absl::OkStatus();
  if (usage.dead > usage.live / 8 + bytes) return Rebuild(segment);
  return AddChunk(segment, bytes);
}

void Table::CompactIfWasteful(Segment* segment) {
  const Segment::Usage usage = segment->usage();
  // Where there is no room for a copy now, there may be later.
  if (usage.dead > usage.live / (IsNearLimit() ? 32 : 7) + ExtentPool::kPage) {
    Rebuild(segment).IgnoreError();
    segment->shrunk = true;
  }
}

}  // namespace kvarts::memory_internal
