#ifndef KVARTS_STORAGE_SSTABLE_BLOCK_H_
#define KVARTS_STORAGE_SSTABLE_BLOCK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "base/coding.h"
#include "storage/blocks/block_cache.h"
#include "storage/sstable/entry.h"
#include "storage/sstable/iterator.h"

namespace kvarts::sstable {

// Not thread-safe. Makes a block of entries, which come in their order. A key is kept without
// what it has in common with the one before; every 8th is whole, and where it begins stands at
// the block's end: see FORMAT.md.
class BlockBuilder {
 public:
  void Add(const Entry& entry);
  // The block; good until Reset().
  absl::string_view Finish();
  void Reset();

  size_t size() const { return bytes_.size() + 4 * restarts_.size() + 4; }
  bool empty() const { return bytes_.empty(); }

 private:
  std::string bytes_;
  std::vector<uint32_t> restarts_;
  int since_restart_ = 0;
  std::string last_key_;
};

// Immutable, thread-safe. A block in memory, in one allocation. First as it was read, behind this
// object: a read bisects the keys that are whole and walks from there. Once it was read often it is
// worth to be laid out for that:
//
//   this object | what all keys begin with | slots | places | entries
//
// An entry is the rest of its key's size and its blob's (varints), the trailer, the rest of the
// key, the blob. A place is where an entry begins, in the order of entries. A slot, found by the
// key's hash, with linear probing, has the place of a key's newest version and 16 bits of the hash:
// a read touches the object's two lines, one of the slots, and the entry. Beside the bytes in the
// file that is about 6 an entry.
class Block final : public BlockCache::Piece, public std::enable_shared_from_this<Block> {
 public:
  // Of bytes as BlockBuilder made them; null where they are none.
  static std::shared_ptr<const Block> Make(absl::string_view bytes);
  // The same of `size` bytes that `write` writes to where it is told; null also where it says no.
  static std::shared_ptr<const Block> Make(size_t size, absl::FunctionRef<bool(char*)> write);
  ~Block() = default;
  static void operator delete(void* p) { ::operator delete(p); }

  size_t memory_bytes() const { return bytes_; }
  bool is_laid_out() const { return laid_out_; }
  // To be asked once for each read of a key from a block that is not laid out: true once, when they
  // have been so many that it pays.
  bool PaysToLayOut() const {
    return reads_.fetch_add(1, std::memory_order_relaxed) == kReadsBeforeLayOut;
  }
  // From now on one more read is enough for it.
  void LayOutAtNextRead() const { reads_.store(kReadsBeforeLayOut, std::memory_order_relaxed); }
  std::shared_ptr<const Block> LayOut() const;
  // Keeps `block`.
  static std::unique_ptr<Iterator> NewIterator(std::shared_ptr<const Block> block);
  // The first entry that is not less than (key, trailer), where it has that key. `hash` is
  // KeyHash(key). False: none.
  bool Get(absl::string_view key, uint64_t hash, Trailer trailer, Entry* entry) const {
    return laid_out_ ? GetBySlot(key, hash, trailer, entry) : GetByWalk(key, trailer, entry);
  }
  // For reads of many keys: begins to fetch where Get() of that hash will look first, and, once
  // that may be there, the entry that it will look at.
  void PrefetchSlot(uint64_t hash) const;
  void PrefetchEntry(uint64_t hash) const;

 private:
  friend class BlockWalk;
  friend class BlockIterator;
  // Laying out a block costs as much as some fifteen reads that walk cost more.
  static constexpr int kReadsBeforeLayOut = 8;
  // An entry, with what is left of its key behind common().
  struct Row {
    absl::string_view rest;
    Trailer trailer;
    absl::string_view blob;
  };
  struct Shape;

  explicit Block(size_t size);                  // as it was read, to be written
  Block(const Shape& shape, const Block& raw);  // laid out
  static void* operator new(size_t size, size_t more) { return ::operator new(size + more); }
  static void operator delete(void* p, size_t) { ::operator delete(p); }

  const char* base() const { return reinterpret_cast<const char*>(this); }

  // These are of a block as it was read.
  const char* entries() const { return base() + sizeof(Block); }
  const char* entries_end() const { return base() + bytes_ - 4 - size_t{4} * count_; }
  const char* restart(uint32_t i) const {
    return entries() + LoadLE32(entries_end() + size_t{4} * i);
  }
  // The last whole key that is less, or else the first one.
  uint32_t LastRestartBefore(absl::string_view key, Trailer trailer) const;
  bool GetByWalk(absl::string_view key, Trailer trailer, Entry* entry) const;

  // These are of one that is laid out.
  const uint32_t* slots() const { return reinterpret_cast<const uint32_t*>(base() + slots_at_); }
  absl::string_view common() const { return {base() + sizeof(Block), common_size_}; }
  uint32_t Place(uint32_t i) const;
  Row RowAt(const char* p) const;
  Row RowOf(uint32_t i) const { return RowAt(base() + Place(i)); }
  uint32_t HomeOf(uint64_t hash) const {
    return static_cast<uint32_t>((hash >> 32) * slot_count_ >> 32);
  }
  // The number of entries that are less.
  uint32_t LowerBound(absl::string_view key, Trailer trailer) const;
  bool GetBySlot(absl::string_view key, uint64_t hash, Trailer trailer, Entry* entry) const;

  const size_t bytes_;
  const bool laid_out_;
  const bool wide_ = false;
  mutable std::atomic<uint32_t> reads_{0};
  uint32_t count_ = 0;             // entries, or, as it was read, whole keys
  const uint32_t slot_count_ = 0;  // 0: there are none, since places do not fit into 16 bits
  const uint32_t slots_at_ = 0;
  const uint32_t common_size_ = 0;
};

}  // namespace kvarts::sstable

#endif  // KVARTS_STORAGE_SSTABLE_BLOCK_H_
