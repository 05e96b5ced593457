#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "storage/memory/held_segments.h"
#include "storage/memory/table.h"

namespace kvarts::memory_internal {

struct Table::NewRecord {
  uint32_t carried = 0;  // flags that are of the entry, not of its parts
  int64_t expires_at_ms = 0;
  uint64_t stamp = 0;
  absl::string_view type;
  absl::string_view value;
  Blob* blob = nullptr;  // in place of `value`

  RecordLayout LayoutFor(const TableKey& key) const {
    uint32_t flags = carried;
    if (key.is_uuid()) flags |= RecordHeader::kUuid;
    if (expires_at_ms != 0) flags |= RecordHeader::kExpiry;
    if (stamp != 0) flags |= RecordHeader::kStamp;
    if (!type.empty()) flags |= RecordHeader::kType;
    if (blob != nullptr) flags |= RecordHeader::kBlob;
    return RecordLayout::For(flags, type.size(), key.bytes().size(), value.size());
  }

  void WriteTo(char* to, const RecordLayout& layout, absl::string_view key) const {
    Store32(to, layout.header.word());
    if (layout.header.short_key() == RecordHeader::kLongKey) {
      Store32(to + 4, static_cast<uint32_t>(key.size()));
    }
    if (expires_at_ms != 0) Store2x32(to + layout.expiry, static_cast<uint64_t>(expires_at_ms));
    if (stamp != 0) Store2x32(to + layout.stamp, stamp);
    if (!type.empty()) {
      Store32(to + layout.type - 4, static_cast<uint32_t>(type.size()));
      StoreBytes(to + layout.type, type);
    }
    StoreBytes(to + layout.key, key);
    if (blob != nullptr) {
      Store2x32(to + layout.value, reinterpret_cast<uint64_t>(blob));
    } else {
      StoreBytes(to + layout.value, value);
    }
  }
};

namespace {

// What a split takes at most, beside the record itself: pages that are not full, and a
// larger index.
constexpr size_t kRoomBytes = 4 * ExtentPool::kPage;

// What a put may take, about.
size_t BytesFor(const Mutation& mutation) {
  return mutation.key.size() + mutation.value.size() + mutation.metadata.type.size() + 64;
}

// Its own blob for a value that is too large for a record.
absl::Status NewBlob(const Mutation& mutation, Blob** blob) {
  if (mutation.kind != Mutation::Kind::kPut ||
      mutation.value.size() <= RecordHeader::kMaxInlineValue) {
    return absl::OkStatus();
  }
  *blob = Blob::New(mutation.value);
  if (*blob != nullptr) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("no memory for a value of ", mutation.value.size(), " bytes"));
}

}  // namespace

absl::Status Table::Apply(const TableKey& key, const Mutation& mutation, int64_t now_ms,
                          bool* existed) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Blob* blob = nullptr;
  KVARTS_RETURN_IF_ERROR(NewBlob(mutation, &blob));
  uint64_t position = key.hash;
  absl::StatusOr<Step> step;
  for (;;) {
    Segment* const segment = LockToWrite(key.hash);
    ShrinkToShare(segment, now_ms);
    step = ApplyLocked(segment, key, mutation, now_ms, &blob, nullptr, existed);
    MergeIfSmall(segment);
    segment->lock.Unlock();
    if (!step.ok() || *step == Step::kDone) break;
    if (*step == Step::kFull && !FreeMemory(&position, BytesFor(mutation), now_ms)) {
      step = MemoryLimitError();
      break;
    }
  }
  if (blob != nullptr) blob->Unref();
  holes_.GiveBackInTime();
  return step.status();
}

bool Table::PutOver(const Segment* segment, const TableKey& key, int depth,
                    const Mutation& mutation) const {
  using Change = Metadata::Change;
  if (mutation.kind != Mutation::Kind::kPut || mutation.metadata.expiry == Change::kSet ||
      mutation.metadata.content_type == Change::kSet || options_.evict ||
      segment->epoch != epoch_) {
    return false;
  }
  RecordHeader header;
  char* const record = segment->chunk.FindPlain(key, depth, &header);
  if (record == nullptr || header.inline_value() != mutation.value.size()) return false;
  StoreBytes(record + kWord + RoundToWord(header.short_key()), mutation.value);
  return true;
}

absl::StatusOr<Table::Step> Table::ApplyLocked(Segment* segment, const TableKey& key,
                                               const Mutation& mutation, int64_t now_ms,
                                               Blob** blob, Held* held, bool* existed) {
  using Change = Metadata::Change;
  const int depth = Segment::Depth(segment->range.load(std::memory_order_relaxed));
  if (PutOver(segment, key, depth, mutation)) {
    *existed = true;
    return Step::kDone;
  }
  Chunk::Place place;
  const bool is_there = FindIn(*segment, key, depth, &place);
  const bool is_live = is_there && IsLive(place, now_ms);
  *existed = is_live;
  if (mutation.kind == Mutation::Kind::kDelete) {
    if (is_there) {
      Remember(segment, key, &place);
      if (!is_live) expired_.fetch_add(1, std::memory_order_relaxed);
      Erase(segment, place);
    }
    return Step::kDone;
  }
  const bool is_put = mutation.kind == Mutation::Kind::kPut;
  if (!is_put && !is_live) return Step::kDone;
  NewRecord record;
  record.carried = Carried(*segment, key, is_live ? &place : nullptr);
  if (mutation.metadata.expiry == Change::kSet) {
    record.expires_at_ms = mutation.metadata.expires_at_ms;
    // What has no expiry has 0.
    if (record.expires_at_ms == 0) record.expires_at_ms = 1;
  } else if (mutation.metadata.expiry == Change::kKeep && is_live) {
    record.expires_at_ms = place.layout.ExpiresAt(place.record);
  }
  if (mutation.metadata.content_type == Change::kSet) {
    record.type = mutation.metadata.type;
  } else if (mutation.metadata.content_type == Change::kKeep && is_live) {
    record.type = absl::string_view(place.record + place.layout.type, place.layout.type_size);
  }
  if (is_put) {
    record.value = mutation.value;
    record.blob = *blob;
  } else if (place.layout.header.has(RecordHeader::kBlob)) {
    record.blob = place.layout.BlobOf(place.record);
    record.blob->Ref();
  } else {
    record.value = absl::string_view(place.record + place.layout.value, place.layout.value_size);
  }
  Remember(segment, key, is_there ? &place : nullptr);
  absl::StatusOr<Step> step = Put(segment, key, is_there ? &place : nullptr, is_live, record, held);
  const bool done = step.ok() && *step == Step::kDone;
  if (is_put && done) {
    *blob = nullptr;  // the record has it
  } else if (!is_put && !done && record.blob != nullptr) {
    record.blob->Unref();
  }
  return step;
}

absl::StatusOr<Table::Step> Table::Put(Segment* segment, const TableKey& key,
                                       const Chunk::Place* old, bool was_live,
                                       const NewRecord& record, Held* held) {
  const RecordLayout layout = record.LayoutFor(key);
  if (record.expires_at_ms != 0) {
    segment->first_expiry = std::min(segment->first_expiry, record.expires_at_ms);
  }
  // The key comes: it was absent, or may have been so to somebody whose clock had its
  // expiry behind it already, and who has a stamp of that.
  if (old == nullptr || old->layout.header.has(RecordHeader::kExpiry)) comings_.Count(key.hash);
  // Of the same shape, and lent to nobody: written over.
  if (old != nullptr && was_live &&
      ((old->layout.header.word() ^ layout.header.word()) & ~RecordHeader::kCarried) == 0 &&
      record.blob == nullptr && record.stamp == 0 && record.type.empty()) {
    if (old->layout.header.word() != layout.header.word()) {
      Store32(old->record, layout.header.word());
    }
    if (record.expires_at_ms != 0) {
      Store2x32(old->record + layout.expiry, static_cast<uint64_t>(record.expires_at_ms));
    }
    if (record.value.data() != old->record + layout.value) {
      StoreBytes(old->record + layout.value, record.value);
    }
    return Step::kDone;
  }
  Chunk* chunk = old != nullptr ? const_cast<Chunk*>(old->chunk) : nullptr;
  if (chunk == nullptr || !chunk->HasRoom(layout.bytes)) {
    chunk = &segment->chunk;
    while (chunk != nullptr &&
           (chunk->empty() || chunk->IsIndexFull() || !chunk->HasRoom(layout.bytes))) {
      chunk = chunk->next.load(std::memory_order_relaxed);
    }
  }
  const int depth = Segment::Depth(segment->range.load(std::memory_order_relaxed));
  ExtentPool::Reservation reservation(&pool_);
  // A batch has one already; who reads a stamp is not refused.
  if (held == nullptr) {
    size_t pages = 0;
    if (chunk != nullptr) {
      pages = ExtentPool::PageBytes(chunk->log_end() + layout.bytes) - chunk->charged;
    } else {
      pages = segment->chunk.empty()
                  ? ExtentPool::PageBytes(Groups(depth, 0, 0) * IndexGroup::kBytes + layout.bytes)
                  : ExtentPool::PageBytes(layout.bytes) + kRoomBytes;
    }
    auto growth = static_cast<int64_t>(pages);
    if (record.blob != nullptr) {
      growth += static_cast<int64_t>(Blob::MemoryBytes(record.blob->size));
    }
    if (old != nullptr && old->layout.header.has(RecordHeader::kBlob)) {
      growth -= static_cast<int64_t>(Blob::MemoryBytes(old->layout.BlobOf(old->record)->size));
    }
    if (!reservation.Take(growth, options_.max_bytes)) return Step::kFull;
  }
  if (chunk == nullptr) {
    KVARTS_RETURN_IF_ERROR(MakeRoom(segment, layout.bytes, held));
    return Step::kAgain;
  }
  char* const to = chunk->Append(layout.bytes);
  record.WriteTo(to, layout, key.bytes());
  if (record.blob != nullptr) {
    ChargeBlob(segment, static_cast<int64_t>(Blob::MemoryBytes(record.blob->size)));
  }
  Chunk* wasteful = nullptr;
  if (old != nullptr) {
    if (old->layout.header.has(RecordHeader::kBlob)) FreeBlob(segment, old->layout, old->record);
    wasteful = const_cast<Chunk*>(old->chunk);
    if (wasteful == chunk) {
      chunk->Replace(*old, to);
    } else {
      wasteful->Erase(*old);
    }
  }
  if (wasteful != chunk) chunk->Insert(key.hash, depth, to);
  if (old != nullptr && !was_live) expired_.fetch_add(1, std::memory_order_relaxed);
  Charge(chunk);
  if (wasteful != nullptr) CompactIfWasteful(segment);
  return Step::kDone;
}

absl::StatusOr<Table::Step> Table::MakeStamp(Segment* segment, const TableKey& key, Held* held) {
  Chunk::Place place;
  const int depth = Segment::Depth(segment->range.load(std::memory_order_relaxed));
  if (!FindIn(*segment, key, depth, &place)) return Step::kDone;
  const RecordLayout& layout = place.layout;
  NewRecord record;
  record.carried = layout.header.word() & RecordHeader::kCarried;
  record.expires_at_ms = layout.ExpiresAt(place.record);
  record.stamp = NextUnique() & ~kPresentMark;
  record.type = absl::string_view(place.record + layout.type, layout.type_size);
  if (layout.header.has(RecordHeader::kBlob)) {
    record.blob = layout.BlobOf(place.record);
    record.blob->Ref();
  } else {
    record.value = absl::string_view(place.record + layout.value, layout.value_size);
  }
  const absl::StatusOr<Step> step = Put(segment, key, &place, /*was_live=*/true, record, held);
  if ((!step.ok() || *step != Step::kDone) && record.blob != nullptr) record.blob->Unref();
  return step;
}

void Table::FreeBlob(Segment* segment, const RecordLayout& layout, const char* record) {
  Blob* const blob = layout.BlobOf(record);
  ChargeBlob(segment, -static_cast<int64_t>(Blob::MemoryBytes(blob->size)));
  blob->Unref();
}

void Table::Erase(Segment* segment, const Chunk::Place& place) {
  if (place.layout.header.has(RecordHeader::kBlob)) FreeBlob(segment, place.layout, place.record);
  const_cast<Chunk*>(place.chunk)->Erase(place);
  CompactIfWasteful(segment);
}

bool Table::Holds(const Segment& segment, const TableKey& key, const Precondition& precondition,
                  int64_t now_ms) {
  if (precondition.kind == Precondition::Kind::kUnchanged) {
    const Stamp now = StampOf(segment, key, now_ms);
    return now != Stamp() && now == precondition.stamp;
  }
  Chunk::Place place;
  const int depth = Segment::Depth(segment.range.load(std::memory_order_relaxed));
  const bool is_live = FindIn(segment, key, depth, &place) && IsLive(place, now_ms);
  return is_live == (precondition.kind == Precondition::Kind::kPresent);
}

absl::Status Table::Modify(const TableKey& key, int64_t now_ms,
                           Store::Modifier function) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  uint64_t position = key.hash;
  for (;;) {
    Segment* const segment = LockToWrite(key.hash);
    const auto unlock = [segment]() ABSL_NO_THREAD_SAFETY_ANALYSIS { segment->lock.Unlock(); };
    const bool shrunk = ShrinkToShare(segment, now_ms);
    Chunk::Place place;
    const int depth = Segment::Depth(segment->range.load(std::memory_order_relaxed));
    ReadResult current;
    if (FindIn(*segment, key, depth, &place) && IsLive(place, now_ms)) {
      // Nobody writes as long as the lock is held: lent as it lies there.
      const RecordLayout& layout = place.layout;
      current.found = true;
      current.expires_at_ms = layout.ExpiresAt(place.record);
      current.content_type = absl::string_view(place.record + layout.type, layout.type_size);
      if (layout.header.has(RecordHeader::kBlob)) {
        Blob* const blob = layout.BlobOf(place.record);
        current.value = absl::string_view(blob->data(), blob->size);
      } else {
        current.value = absl::string_view(place.record + layout.value, layout.value_size);
      }
    }
    absl::StatusOr<Modification> wanted = function(current);
    if (!wanted.ok() || wanted->kind == Modification::Kind::kNothing) {
      if (options_.evict && current.found) CountUseLocked(place.record);
      if (shrunk) {
        segment->lock.Unlock();
      } else {
        segment->lock.UnlockUnchanged();
      }
      return wanted.status();
    }
    Mutation mutation;
    mutation.kind =
        wanted->kind == Modification::Kind::kPut ? Mutation::Kind::kPut : Mutation::Kind::kDelete;
    mutation.key = key.text();
    mutation.value = wanted->value;
    mutation.metadata = wanted->metadata;
    Blob* blob = nullptr;
    absl::Status status = CheckMutation(mutation, options_.capabilities);
    if (status.ok()) status = NewBlob(mutation, &blob);
    if (!status.ok()) {
      unlock();
      return status;
    }
    bool existed;
    const absl::StatusOr<Step> step =
        ApplyLocked(segment, key, mutation, now_ms, &blob, nullptr, &existed);
    MergeIfSmall(segment);
    unlock();
    if (blob != nullptr) blob->Unref();
    holes_.GiveBackInTime();
    if (!step.ok() || *step == Step::kDone) return step.status();
    if (*step == Step::kFull && !FreeMemory(&position, BytesFor(mutation), now_ms)) {
      return MemoryLimitError();
    }
  }
}

absl::Status Table::ApplyAtomically(const WriteBatch& batch, absl::Span<const TableKey> keys,
                                    int64_t now_ms, std::vector<bool>* existed,
                                    int* failed) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  const auto mutations = batch.mutations();
  const auto preconditions = batch.preconditions();
  std::vector<Blob*> blobs(mutations.size(), nullptr);
  size_t growth = 0;
  absl::Status status;
  bool all_segments = false;
  for (size_t i = 0; i < mutations.size() && status.ok(); ++i) {
    all_segments = all_segments || mutations[i].kind == Mutation::Kind::kDeleteRange;
    if (mutations[i].kind == Mutation::Kind::kPut || mutations[i].kind == Mutation::Kind::kTouch) {
      growth += BytesFor(mutations[i]);
    }
    status = NewBlob(mutations[i], &blobs[i]);
  }
  // What may fail comes first: nothing can be undone.
  ExtentPool::Reservation reservation(&pool_);
  uint64_t position = keys.empty() ? 0 : keys[0].hash;
  while (status.ok() && !reservation.Take(static_cast<int64_t>(growth), options_.max_bytes)) {
    if (!FreeMemory(&position, growth, now_ms)) status = MemoryLimitError();
  }
  if (status.ok()) status = pool_.Prepare(4 * mutations.size() + growth / (Chunk::kBytes / 8) + 4);
  if (status.ok()) {
    Held held;
    if (all_segments) {
      LockAll(&held);
    } else {
      LockAllOf(keys, /*to_write=*/true, &held);
    }
    for (size_t i = 0; i < preconditions.size() && *failed < 0; ++i) {
      const TableKey& key = keys[mutations.size() + i];
      if (!Holds(*held.For(key.hash), key, preconditions[i], now_ms)) {
        *failed = static_cast<int>(i);
        status = absl::FailedPreconditionError(absl::StrCat("precondition ", i, " does not hold"));
      }
    }
    if (status.ok()) {
      batches_begun_.fetch_add(1);
      for (size_t i = 0; i < mutations.size(); ++i) {
        bool was_there = false;
        if (mutations[i].kind == Mutation::Kind::kDeleteRange) {
          for (Segment* const segment : held.all()) {
            EraseRange(segment, mutations[i].key, mutations[i].value);
          }
          continue;
        }
        absl::StatusOr<Step> step;
        do {
          step = ApplyLocked(held.For(keys[i].hash), keys[i], mutations[i], now_ms, &blobs[i],
                             &held, &was_there);
        } while (step.ok() && *step == Step::kAgain);
        if (!step.ok()) status.Update(step.status());
        if (existed != nullptr) (*existed)[i] = was_there;
      }
    }
    held.UnlockAll();
    if (*failed < 0) batches_ended_.fetch_add(1);
  }
  for (Blob* const blob : blobs) {
    if (blob != nullptr) blob->Unref();
  }
  holes_.GiveBackInTime();
  return status;
}

void Table::LockAllOf(absl::Span<const TableKey> keys, bool to_write,
                      Held* held) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  std::vector<uint64_t> hashes;
  hashes.reserve(keys.size());
  for (const TableKey& key : keys) hashes.push_back(key.hash);
  std::sort(hashes.begin(), hashes.end());
  for (const uint64_t hash : hashes) {
    if (!held->Covers(hash)) held->Add(to_write ? LockToWrite(hash) : LockFor(hash));
  }
}

void Table::LockAll(Held* held) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  uint64_t position = 0;
  do {
    Segment* const segment = LockToWrite(position, /*many=*/true);
    held->Add(segment);
    position = EndOf(*segment);
  } while (position != 0);
}

}  // namespace kvarts::memory_internal
