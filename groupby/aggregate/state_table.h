#ifndef KVARTS_GROUPBY_AGGREGATE_STATE_TABLE_H_
#define KVARTS_GROUPBY_AGGREGATE_STATE_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/memory_budget.h"
#include "groupby/aggregate/aggregate.h"
#include "groupby/aggregate/distinct_set.h"
#include "groupby/aggregate/state_arena.h"
#include "groupby/aggregate/state_layout.h"
#include "groupby/spill/page_pool.h"

namespace kvarts::groupby_internal {

// A group in a StateTable: behind it are its states, then its key.
struct StateEntry {
  uint64_t hash;
  uint64_t key_bytes;

  char* states() { return reinterpret_cast<char*>(this + 1); }
  const char* states() const { return reinterpret_cast<const char*>(this + 1); }
  absl::string_view key(const StateLayout& layout) const {
    return {states() + layout.state_bytes(), key_bytes};
  }
};

// Not thread-safe. Keys and their states: a hash table with open addressing over entries in
// an arena.
//
//   slots:  [tag 16 | entry 48] [0] [tag | entry] ...     at most 3/4 full
//   entry:  hash 8 | key size 8 | states | key
//
// The tag is the first bits of the hash that groups here do not share. Where a slot is depends
// on all of its bits: keys may come in the order of the hash, as of another grouping, and
// would fill one end of the table otherwise.
//
// What wants memory and gets none returns false, having changed nothing that counts, and
// goes on from there when it is called again, even where the table was cleared meanwhile.
class StateTable {
 public:
  // All outlive this. The first `used_bits` of all hashes are the same.
  StateTable(const StateLayout* layout, PagePool* pool, MemoryBudget::Account* account,
             int used_bits)
      : layout_(*layout),
        account_(account),
        used_bits_(used_bits),
        arena_(pool, account),
        distinct_(account) {}

  // Adds a row. *done is how many of its aggregates have it already: 0 for a new row.
  bool AddRow(uint64_t hash, const AggregateRow& row, const Number* numbers, size_t* done);
  // Merges the states of a record (state_record.h), which are newer. *done as above.
  bool Merge(uint64_t hash, absl::string_view key, const char* states, size_t* done);
  // Counts a field that was spilled, for the group of that hash and, where there are several,
  // of that DistinctCheck(). False for no memory.
  bool AddDistinct(uint64_t hash, uint64_t check, size_t item, const Hash128& field);
  // Takes back what AddDistinct() has counted since ClearDistinct(), or the beginning.
  void UndoDistinct();
  void ClearDistinct() { distinct_.Clear(); }

  // After false: the bytes that were missing.
  size_t wanted() const { return wanted_; }

  size_t size() const { return size_; }
  // All memory that is reserved.
  size_t bytes() const {
    return arena_.bytes() + distinct_.bytes() + (slots_ == nullptr ? 0 : slots_->size());
  }
  // With what a table had beside itself when it grew.
  size_t peak_bytes() const { return bytes() + (bytes() - arena_.bytes()) / 2; }
  // Of these, pages of the pool.
  size_t page_bytes() const { return arena_.page_bytes(); }
  uint64_t probes() const { return probes_; }
  void Clear();
  void Prefetch(uint64_t hash) const {
    if (capacity_ != 0) __builtin_prefetch(&slots()[Home(hash)]);
  }
  void PrefetchEntry(uint64_t hash) const {
    if (capacity_ == 0) return;
    for (size_t i = Home(hash);; i = (i + 1) & (capacity_ - 1)) {
      const uint64_t slot = slots()[i];
      if (slot == 0) return;
      if ((slot & ~kPointer) != Tag(hash)) continue;
      const char* const entry = reinterpret_cast<const char*>(EntryOf(slot));
      // Its start, and its key.
      __builtin_prefetch(entry);
      __builtin_prefetch(entry + sizeof(StateEntry) + layout_.state_bytes());
      return;
    }
  }

  // visit(const StateEntry&) for all, until it returns false. In no order, and not in that of
  // the slots, in which they would fill one end of another table first.
  template <typename Visit>
  void ForEach(const Visit& visit) const {
    size_t i = 0;
    for (size_t left = size_; left > 0; i = NextOfWalk(i, capacity_)) {
      if (slots()[i] == 0) continue;
      --left;
      if (!visit(static_cast<const StateEntry&>(*EntryOf(slots()[i])))) return;
    }
  }
  // visit(item, const Hash128& field, const StateEntry&) likewise.
  template <typename Visit>
  void ForEachDistinct(const Visit& visit) const {
    distinct_.ForEach([&visit](const Hash128& field, uint64_t place) {
      return visit(static_cast<size_t>(place >> 48), field,
                   static_cast<const StateEntry&>(*EntryOf(place)));
    });
  }

  // Not thread-safe. Entries in the order of (hash, key). Sorts the table's slots: nothing
  // may be added to it, or looked up in it, until it is cleared.
  class Sorted {
   public:
    explicit Sorted(StateTable* table);
    // Null behind the last one.
    const StateEntry* Next();

   private:
    StateTable* const table_;
    size_t next_ = 0;
    size_t run_end_ = 0;  // slots of one tag are sorted up to here
  };

 private:
  static constexpr size_t kSmallest = 512;  // slots: 4 KiB
  static constexpr int kTagShift = 48;
  static constexpr uint64_t kPointer = (uint64_t{1} << kTagShift) - 1;

  static StateEntry* EntryOf(uint64_t slot) {
    return reinterpret_cast<StateEntry*>(slot & kPointer);
  }
  static uint64_t Place(const StateEntry* entry, size_t item) {
    return reinterpret_cast<uintptr_t>(entry) | (uint64_t{item} << 48);
  }
  uint64_t* slots() const { return slots_->as<uint64_t>(); }
  size_t Home(uint64_t hash) const { return (hash * 0x9e3779b97f4a7c15) >> shift_; }
  uint64_t Tag(uint64_t hash) const { return (hash << used_bits_) & ~kPointer; }
  StateEntry* FindOrInsert(uint64_t hash, absl::string_view key);
  bool Grow();
  // Of the item's count.
  static uint64_t* Counter(StateEntry* entry, const StateLayout::Item& item) {
    return reinterpret_cast<uint64_t*>(entry->states() + item.offset);
  }
  bool Count(StateEntry* entry, size_t item, const Hash128& field);

  const StateLayout& layout_;
  MemoryBudget::Account* const account_;
  const int used_bits_;
  StateArena arena_;
  DistinctSet distinct_;
  std::unique_ptr<Buffer> slots_;
  size_t capacity_ = 0;
  size_t first_capacity_ = 0;  // of slots, after Clear(): half of what there were
  int shift_ = 0;
  size_t size_ = 0;
  size_t wanted_ = 0;
  uint64_t probes_ = 0;
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_AGGREGATE_STATE_TABLE_H_
