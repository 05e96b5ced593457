#ifndef KVARTS_GROUPBY_AGGREGATE_DISTINCT_SET_H_
#define KVARTS_GROUPBY_AGGREGATE_DISTINCT_SET_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/memory_budget.h"
#include "groupby/aggregate/aggregate_hash.h"
#include "groupby/spill/page_pool.h"

namespace kvarts::groupby_internal {

// A walk through all of 2^n slots whose first steps are all over them: what is read in the
// order of one table would fill another that is smaller from one end, and collide.
inline size_t NextOfWalk(size_t i, size_t capacity) {
  return (i + (capacity / 8 * 5 | 1)) & (capacity - 1);
}

// Not thread-safe. Which fields each group has had: one hash table for all groups of a
// StateTable, of the hash of the field and the place of the count that it is for. So a
// field costs 24 bytes / load (3/8 to 3/4), in a group of one as in a group of millions.
class DistinctSet {
 public:
  explicit DistinctSet(MemoryBudget::Account* account) : account_(account) {}

  enum class Outcome : unsigned char { kNew = 0, kKnown, kNoRoom };
  // `place` is not 0. After kNoRoom wanted() bytes would have sufficed.
  Outcome Insert(const Hash128& field, uint64_t place);
  // Keeps a little memory.
  void Clear();

  size_t size() const { return size_; }
  size_t bytes() const { return slots_ == nullptr ? 0 : slots_->size(); }
  size_t wanted() const { return wanted_; }

  // visit(const Hash128&, uint64_t place) for all, until it returns false; by NextOfWalk().
  template <typename Visit>
  void ForEach(const Visit& visit) const {
    size_t i = 0;
    for (size_t left = size_; left > 0; i = NextOfWalk(i, capacity_)) {
      const Slot& slot = slots_->as<Slot>()[i];
      if (slot.place == 0) continue;
      --left;
      if (!visit(slot.field, slot.place)) return;
    }
  }

 private:
  static constexpr size_t kSmallest = 128;  // slots: 3 KiB

  struct Slot {
    Hash128 field;
    uint64_t place;
  };
  size_t Home(const Hash128& field, uint64_t place) const {
    return ((field.low ^ (place * 0x9e3779b97f4a7c15)) * 0xd6e8feb86659fd93) >> shift_;
  }
  // Where it is, or would be.
  Slot* Find(const Hash128& field, uint64_t place) const;
  bool Grow();

  MemoryBudget::Account* const account_;
  std::unique_ptr<Buffer> slots_;
  size_t capacity_ = 0;
  size_t first_capacity_ = 0;  // after Clear(): half of what there was
  int shift_ = 0;
  size_t size_ = 0;
  size_t wanted_ = 0;
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_AGGREGATE_DISTINCT_SET_H_
