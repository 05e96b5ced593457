#ifndef KVARTS_STORAGE_MEMORY_CHUNK_H_
#define KVARTS_STORAGE_MEMORY_CHUNK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/base/attributes.h"
#include "absl/strings/string_view.h"
#include "base/prefetch.h"
#include "storage/memory/extent_pool.h"
#include "storage/memory/index_group.h"
#include "storage/memory/key_hash.h"
#include "storage/memory/record.h"
#include "storage/memory/uuid_key.h"

namespace kvarts::memory_internal {

// A key as it is stored and hashed. Not to be moved while bytes() is in use.
class TableKey {
 public:
  // `key` must outlive it.
  void Set(absl::string_view key, const KeyHash& by) {
    bytes_ = key;
    is_uuid_ = key.size() == kUuidTextBytes && by.Pack(key.data(), packed_, &hash);
    if (!is_uuid_) hash = by.OfBytes(key);
  }
  void Set(absl::string_view key, uint64_t known_hash) {
    bytes_ = key;
    is_uuid_ = PackUuid(key, packed_);
    hash = known_hash;
  }
  bool is_uuid() const { return is_uuid_; }
  absl::string_view bytes() const {
    return is_uuid_ ? absl::string_view(packed_, kUuidBytes) : bytes_;
  }
  absl::string_view text() const { return bytes_; }
  // What the header of its record says of it.
  RecordHeader header() const {
    return RecordHeader(is_uuid_ ? uint32_t{RecordHeader::kUuid} : 0, 0, bytes().size());
  }

  uint64_t hash = 0;

 private:
  bool is_uuid_ = false;
  char packed_[kUuidBytes];
  absl::string_view bytes_;
};

// Records and their index in one extent: groups of slots at its beginning, then the log.
//
//   | groups, 64 bytes each | record | record | ... | free |
//
// A key's home is the group that the bits of its hash below `depth` name, in proportion,
// so that hashes in order have homes in order. A record that finds no slot at home has
// one in the next group that has any; the groups before it say so.
//
// One writer at a time; Find() also beside it, if what it gives is checked afterwards.
class Chunk {
 public:
  static constexpr size_t kBytes = ExtentPool::kExtentBytes;
  static constexpr uint32_t kMaxGroups = 3276;  // 65,536 records of a word

  // Where a record is, and its slot.
  struct Place {
    const Chunk* chunk = nullptr;
    char* group = nullptr;
    uint32_t slot = 0;
    char* record = nullptr;
    RecordLayout layout;
  };

  bool empty() const { return base_.load(std::memory_order_acquire) == nullptr; }
  // The line that a key's slot is most likely in, for a prefetch; null in an empty one.
  const char* HomeLine(uint64_t hash, int depth) const {
    char* const base = base_.load(std::memory_order_acquire);
    if (base == nullptr) return nullptr;
    return base + Home(hash, depth, groups_.load(std::memory_order_acquire)) * IndexGroup::kBytes;
  }
  // The first record that may be the key's, for a prefetch; null where there is none.
  const char* LikelyRecord(uint64_t hash, int depth) const {
    char* const base = base_.load(std::memory_order_acquire);
    if (base == nullptr) return nullptr;
    IndexGroup group(base + Home(hash, depth, groups_.load(std::memory_order_acquire)) *
                                IndexGroup::kBytes);
    const uint32_t matches = group.tags().Matches(IndexGroup::Tag(hash));
    if (matches == 0) return nullptr;
    return base + group.position(static_cast<uint32_t>(__builtin_ctz(matches))) * kWord;
  }

  // The key's record, dead ones are none. Whatever a writer does meanwhile, it ends, and
  // touches nothing but this store's extents.
  ABSL_ATTRIBUTE_ALWAYS_INLINE bool Find(const TableKey& key, int depth, Place* place) const {
    char* const base = base_.load(std::memory_order_acquire);
    if (base == nullptr) return false;
    const uint32_t groups = groups_.load(std::memory_order_acquire);
    const absl::string_view bytes = key.bytes();
    const uint32_t wanted = key.header().word();
    uint32_t g = Home(key.hash, depth, groups);
    for (uint32_t looked = 0; looked < groups; ++looked) {
      IndexGroup group(base + g * IndexGroup::kBytes);
      const IndexGroup::Tags tags = group.tags();
      for (uint32_t m = tags.Matches(IndexGroup::Tag(key.hash)); m != 0; m &= m - 1) {
        const auto slot = static_cast<uint32_t>(__builtin_ctz(m));
        char* const record = base + group.position(slot) * kWord;
        // Most records lie across two lines; where the value is, the first one says.
        PrefetchRead(record + 64);
        const RecordHeader header(Load32(record));
        if (((header.word() ^ wanted) & RecordHeader::kOfKey) != 0) continue;
        const RecordLayout layout = RecordLayout::At(record, header);
        if (layout.key_size != bytes.size() || !EqualKeys(record + layout.key, key)) continue;
        *place = {this, base + g * IndexGroup::kBytes, slot, record, layout};
        return true;
      }
      if (!tags.overflows()) return false;
      if (++g == groups) g = 0;
    }
    return false;
  }

  // As Find(), for most keys: null where the record is not at home, or has more than key and
  // value, or is not there; then Find() is to be asked. The value follows the key.
  ABSL_ATTRIBUTE_ALWAYS_INLINE char* FindPlain(const TableKey& key, int depth,
                                               RecordHeader* header) const {
    char* const base = base_.load(std::memory_order_acquire);
    const uint32_t wanted = key.header().word();
    if (ABSL_PREDICT_FALSE(base == nullptr || key.bytes().size() >= RecordHeader::kLongKey)) {
      return nullptr;
    }
    IndexGroup group(base + Home(key.hash, depth, groups_.load(std::memory_order_acquire)) *
                                IndexGroup::kBytes);
    for (uint32_t m = group.tags().Matches(IndexGroup::Tag(key.hash)); m != 0; m &= m - 1) {
      char* const record = base + group.position(static_cast<uint32_t>(__builtin_ctz(m))) * kWord;
      PrefetchRead(record + 64);
      *header = RecordHeader(Load32(record));
      if (((header->word() ^ wanted) & (RecordHeader::kOfKey | RecordHeader::kMore)) == 0 &&
          EqualKeys(record + kWord, key)) {
        return record;
      }
    }
    return nullptr;
  }

  // For who reads beside a writer.
  const char* shared_base() const { return base_.load(std::memory_order_acquire); }
  uint32_t shared_groups() const { return groups_.load(std::memory_order_acquire); }

  // --- For the writer ---

  // An empty one over `extent`, which may have been used before.
  void Init(const ExtentPool::Extent& extent, uint32_t groups);
  // Gives out the extent; it is then empty, as at first.
  ExtentPool::Extent Release();

  // Room for one more record, in the log.
  bool HasRoom(size_t bytes) const { return log_end_ + bytes <= kBytes; }
  bool IsIndexFull() const { return records_ >= max_records_; }
  // At the end of the log, in no index yet. REQUIRES: HasRoom().
  char* Append(size_t bytes);
  // Into the index, once it is written. REQUIRES: !IsIndexFull().
  void Insert(uint64_t hash, int depth, char* record);
  // What is at `place` is dead from now on; its slot goes to `record`, or to nobody.
  void Replace(const Place& place, char* record);
  void Erase(const Place& place);
  // Of a record that is in the index.
  Place PlaceOf(uint64_t hash, int depth, char* record) const;

  // Goes over the log, oldest first: null at first, and at the end.
  char* NextRecord(char* record) const {
    if (base() == nullptr) return nullptr;
    record = record == nullptr ? base() + log_begin() : record + RecordLayout::At(record).bytes;
    return record < base() + log_end_ ? record : nullptr;
  }

  char* base() const { return base_.load(std::memory_order_relaxed); }
  uint32_t groups() const { return groups_.load(std::memory_order_relaxed); }
  uint32_t records() const { return records_; }
  // Those of them that have an expiry.
  uint32_t expiring() const { return expiring_; }
  size_t log_begin() const { return groups() * IndexGroup::kBytes; }
  size_t log_end() const { return log_end_; }
  size_t dead_bytes() const { return dead_; }
  size_t live_bytes() const { return log_end_ - log_begin() - dead_; }
  size_t touched() const { return touched_ > log_end_ ? touched_ : log_end_; }
  void Trim();

  // Groups that so many records fit in.
  static uint32_t GroupsFor(size_t records);
  // Exchanges all but `next`.
  void Swap(Chunk* other);

  std::atomic<Chunk*> next{nullptr};  // more records of a segment that cannot be split
  size_t charged = 0;                 // bytes of it that its owner has counted

  static uint32_t Home(uint64_t hash, int depth, uint32_t groups) {
    return static_cast<uint32_t>((hash << depth >> 32) * groups >> 32);
  }

 private:
  static uint32_t HasExpiry(const char* record) {
    return RecordHeader(Load32(record)).has(RecordHeader::kExpiry) ? 1 : 0;
  }
  static bool EqualKeys(const char* p, const TableKey& key) {
    // Of a constant size: no loop.
    return key.is_uuid() ? EqualBytes(p, absl::string_view(key.bytes().data(), kUuidBytes))
                         : EqualBytes(p, key.bytes());
  }

  std::atomic<char*> base_{nullptr};
  std::atomic<uint32_t> groups_{0};
  uint32_t records_ = 0;
  uint32_t expiring_ = 0;
  uint32_t max_records_ = 0;
  uint32_t log_end_ = 0;
  uint32_t dead_ = 0;
  uint32_t touched_ = 0;
};

}  // namespace kvarts::memory_internal

#endif  // KVARTS_STORAGE_MEMORY_CHUNK_H_
