#ifndef KVARTS_STORAGE_SSTABLE_MEMTABLE_H_
#define KVARTS_STORAGE_SSTABLE_MEMTABLE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "base/swappable.h"
#include "storage/sstable/entry.h"
#include "storage/sstable/iterator.h"
#include "storage/sstable/range_tombstones.h"

namespace kvarts::sstable {

// Safe for many readers beside one writer, who is whoever commits. The newest entries, in a skip
// list (Pugh 1990) whose nodes are never moved nor freed before all of it: a reader follows
// pointers that were published with release, and takes no lock. A hash table beside it has the
// newest node of each key, so that a read of one key is two cache misses, and of an absent one
// mostly one. About 60 bytes an entry beside key and blob.
class Memtable : public std::enable_shared_from_this<Memtable> {
 public:
  // `first_log`: the oldest log that has entries of it. `bytes`: what it is to grow to.
  Memtable(uint64_t first_log, size_t bytes);
  ~Memtable();
  Memtable(const Memtable&) = delete;
  Memtable& operator=(const Memtable&) = delete;

  // For the writer. No entry may be there twice, nor an older one of a key come later.
  // Range deletions are told apart by their kind.
  void Add(absl::Span<const Entry> entries);

  // The newest version of `key`, whose KeyHash() is `hash`, that a reader at `at` sees. False: none
  // here. `at` must have been visible when the reader came by it.
  bool Get(absl::string_view key, uint64_t hash, Sequence at, Entry* entry) const;
  // For reads of many keys: begins to fetch where Get() of that hash will look first, and, once
  // that may be there, what it will look at then.
  void PrefetchPlace(uint64_t hash) const;
  void PrefetchNode(uint64_t hash) const;
  // See RangeTombstones::Covering().
  Sequence Covering(absl::string_view key, Sequence at) const {
    return has_ranges_.load(std::memory_order_acquire) ? ranges_.Hold()->Covering(key, at) : 0;
  }
  std::shared_ptr<const RangeTombstones> ranges() const { return ranges_.Share(); }
  // Keeps the memtable.
  std::unique_ptr<Iterator> NewIterator() const;

  uint64_t first_log() const { return first_log_; }
  size_t entries() const { return entries_.load(std::memory_order_relaxed); }
  size_t range_count() const { return all_ranges_.size(); }  // for the writer
  bool empty() const { return entries() == 0 && !has_ranges_.load(std::memory_order_acquire); }
  size_t memory_bytes() const { return bytes_.load(std::memory_order_relaxed); }
  // For the writer, and who reads it when it is frozen.
  Sequence last_sequence() const { return last_sequence_; }
  uint64_t data_bytes() const { return data_bytes_; }

 private:
  friend class MemtableIterator;
  static constexpr int kMaxHeight = 12;
  struct Node;
  struct Descent;

  // Of the hash table: a node's address, and above it 16 bits of the hash. Constant size; a larger
  // one takes its place, and it stays for those who still read it. It then lacks what was written
  // since, which no reader that came by it can see.
  struct Slots {
    explicit Slots(size_t count);
    const size_t mask;
    const std::unique_ptr<std::atomic<uint64_t>[]> places;
  };
  static uint64_t PlaceOf(const Node* node);
  // Where the key is, or would be.
  std::atomic<uint64_t>* FindPlace(const Slots& slots, absl::string_view key, uint32_t hash,
                                   const Node** node) const;
  void Remember(const Node* node);

  void AddRange(RangeTombstone tombstone);
  char* Allocate(size_t bytes);
  int RandomHeight();
  void Insert(Descent* descent);
  // The first node that is not less than (key, trailer), or null.
  Node* FindNotLess(absl::string_view key, Trailer trailer) const;
  Node* FindLess(absl::string_view key, Trailer trailer) const;

  const uint64_t first_log_;
  std::atomic<size_t> bytes_{0};
  std::vector<std::unique_ptr<char[]>> blocks_;
  char* free_ = nullptr;
  size_t free_bytes_ = 0;
  Node* const head_;
  std::vector<std::unique_ptr<Slots>> all_slots_;  // of the writer; the last one is in use
  std::atomic<const Slots*> slots_;
  size_t keys_ = 0;  // different ones; of the writer
  std::atomic<int> height_{1};
  uint64_t random_ = 0x9e3779b97f4a7c15;
  std::atomic<size_t> entries_{0};
  Sequence last_sequence_ = 0;
  uint64_t data_bytes_ = 0;
  std::vector<RangeTombstone> all_ranges_;  // of the writer
  std::atomic<bool> has_ranges_{false};
  Swappable<const RangeTombstones> ranges_;
};

}  // namespace kvarts::sstable

#endif  // KVARTS_STORAGE_SSTABLE_MEMTABLE_H_
