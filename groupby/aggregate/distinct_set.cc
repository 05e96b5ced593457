#include "groupby/aggregate/distinct_set.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/numeric/bits.h"

namespace kvarts::groupby_internal {

DistinctSet::Slot* DistinctSet::Find(const Hash128& field, uint64_t place) const {
  Slot* const slots = slots_->as<Slot>();
  for (size_t i = Home(field, place);; i = (i + 1) & (capacity_ - 1)) {
    Slot& slot = slots[i];
    if (slot.place == 0 ||
        (slot.field.low == field.low && slot.place == place && slot.field.high == field.high)) {
      return &slot;
    }
  }
}

DistinctSet::Outcome DistinctSet::Insert(const Hash128& field, uint64_t place) {
  Slot* slot = capacity_ == 0 ? nullptr : Find(field, place);
  if (slot != nullptr && slot->place != 0) return Outcome::kKnown;
  if (4 * (size_ + 1) > 3 * capacity_) {
    if (!Grow()) return Outcome::kNoRoom;
    slot = Find(field, place);
  }
  *slot = Slot{field, place};
  ++size_;
  return Outcome::kNew;
}

bool DistinctSet::Grow() {
  size_t capacity = capacity_ == 0 ? std::max(first_capacity_, kSmallest) : 2 * capacity_;
  auto slots = std::make_unique<Buffer>(account_);
  if (!slots->GrowTouched(capacity * sizeof(Slot))) {
    capacity = capacity_ == 0 ? kSmallest : capacity;
    if (!slots->GrowTouched(capacity * sizeof(Slot))) {
      wanted_ = capacity * sizeof(Slot) + 4096;
      return false;
    }
  }
  slots_.swap(slots);
  const size_t old_capacity = std::exchange(capacity_, capacity);
  shift_ = 65 - absl::bit_width(capacity);
  for (size_t i = 0; i < old_capacity; ++i) {
    const Slot& slot = slots->as<Slot>()[i];
    if (slot.place != 0) *Find(slot.field, slot.place) = slot;
  }
  return true;
}

void DistinctSet::Clear() {
  if (size_ == 0) return;
  size_ = 0;
  first_capacity_ = capacity_ / 2;
  if (capacity_ == kSmallest) {
    std::memset(slots_->data(), 0, slots_->size());
    return;
  }
  slots_ = nullptr;
  capacity_ = 0;
}

}  // namespace kvarts::groupby_internal
