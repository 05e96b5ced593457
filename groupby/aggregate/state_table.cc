#include "groupby/aggregate/state_table.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/numeric/bits.h"

namespace kvarts::groupby_internal {

StateEntry* StateTable::FindOrInsert(uint64_t hash, absl::string_view key) {
  const uint64_t tag = Tag(hash);
  size_t i = 0;
  if (capacity_ != 0) {
    for (i = Home(hash);; i = (i + 1) & (capacity_ - 1)) {
      ++probes_;
      const uint64_t slot = slots()[i];
      if (slot == 0) break;
      if ((slot & ~kPointer) != tag) continue;
      StateEntry* const entry = EntryOf(slot);
      if (entry->hash == hash && entry->key(layout_) == key) return entry;
    }
  }
  if (4 * (size_ + 1) > 3 * capacity_) {
    if (!Grow()) return nullptr;
    for (i = Home(hash); slots()[i] != 0; i = (i + 1) & (capacity_ - 1)) {
    }
  }
  const absl::string_view initial = layout_.initial();
  char* const bytes = arena_.TakeForGood(sizeof(StateEntry) + initial.size() + key.size());
  if (bytes == nullptr) {
    wanted_ = arena_.wanted();
    return nullptr;
  }
  auto* const entry = reinterpret_cast<StateEntry*>(bytes);
  *entry = StateEntry{hash, key.size()};
  std::memcpy(entry->states(), initial.data(), initial.size());
  if (!key.empty()) std::memcpy(entry->states() + initial.size(), key.data(), key.size());
  slots()[i] = tag | reinterpret_cast<uintptr_t>(bytes);
  ++size_;
  return entry;
}

bool StateTable::Grow() {
  size_t capacity = capacity_ == 0 ? std::max(first_capacity_, kSmallest) : 2 * capacity_;
  auto slots = std::make_unique<Buffer>(account_);
  if (!slots->GrowTouched(capacity * sizeof(uint64_t))) {
    capacity = capacity_ == 0 ? kSmallest : capacity;
    if (!slots->GrowTouched(capacity * sizeof(uint64_t))) {
      wanted_ = capacity * sizeof(uint64_t) + 4096;
      return false;
    }
  }
  slots_.swap(slots);
  const size_t old_capacity = std::exchange(capacity_, capacity);
  shift_ = 65 - absl::bit_width(capacity);
  for (size_t i = 0; i < old_capacity; ++i) {
    constexpr size_t kAhead = 16;
    if (i + kAhead < old_capacity) {
      __builtin_prefetch(EntryOf(slots->as<uint64_t>()[i + kAhead]));
    }
    const uint64_t slot = slots->as<uint64_t>()[i];
    if (slot == 0) continue;
    size_t to = Home(EntryOf(slot)->hash);
    while (this->slots()[to] != 0) to = (to + 1) & (capacity_ - 1);
    this->slots()[to] = slot;
  }
  return true;
}

bool StateTable::Count(StateEntry* entry, size_t item, const Hash128& field) {
  switch (distinct_.Insert(field, Place(entry, item))) {
    case DistinctSet::Outcome::kNoRoom:
      wanted_ = distinct_.wanted();
      return false;
    case DistinctSet::Outcome::kNew:
      ++*Counter(entry, layout_.items()[item]);
      return true;
    case DistinctSet::Outcome::kKnown:
      return true;
  }
  return true;
}

bool StateTable::AddRow(uint64_t hash, const AggregateRow& row, const Number* numbers,
                        size_t* done) {
  StateEntry* const entry = FindOrInsert(hash, row.key);
  if (entry == nullptr) return false;
  const absl::Span<const StateLayout::Item> items(layout_.items());
  for (; *done < items.size(); ++*done) {
    const StateLayout::Item& item = items[*done];
    FieldInput input;
    switch (item.input) {
      case AggregateFunction::Input::kNone:
        break;
      case AggregateFunction::Input::kField:
        input.field = row.fields[item.column];
        break;
      case AggregateFunction::Input::kNumber:
        input.field = row.fields[item.column];
        input.number = &numbers[item.number];
        if (input.number->kind() == Number::Kind::kNone) continue;
        break;
      case AggregateFunction::Input::kDistinct:
        if (!Count(entry, *done, HashBytes(row.fields[item.column]))) return false;
        continue;
    }
    if (!item.function->Add(entry->states() + item.offset, input, &arena_)) {
      wanted_ = arena_.wanted();
      return false;
    }
  }
  return true;
}

bool StateTable::Merge(uint64_t hash, absl::string_view key, const char* states, size_t* done) {
  StateEntry* const entry = FindOrInsert(hash, key);
  if (entry == nullptr) return false;
  const absl::Span<const StateLayout::Item> items(layout_.items());
  for (; *done < items.size(); ++*done) {
    const StateLayout::Item& item = items[*done];
    // Those are counted again, from their fields.
    if (item.input == AggregateFunction::Input::kDistinct) continue;
    if (!item.function->Merge(entry->states() + item.offset, states + item.offset, &arena_)) {
      wanted_ = arena_.wanted();
      return false;
    }
  }
  return true;
}

bool StateTable::AddDistinct(uint64_t hash, uint64_t check, size_t item, const Hash128& field) {
  const uint64_t tag = Tag(hash);
  StateEntry* found = nullptr;
  for (size_t i = Home(hash); capacity_ != 0; i = (i + 1) & (capacity_ - 1)) {
    const uint64_t slot = slots()[i];
    if (slot == 0) break;
    if ((slot & ~kPointer) != tag || EntryOf(slot)->hash != hash) continue;
    StateEntry* const entry = EntryOf(slot);
    if (found == nullptr || DistinctCheck(entry->key(layout_)) == check) found = entry;
  }
  return found == nullptr || Count(found, item, field);
}

void StateTable::UndoDistinct() {
  distinct_.ForEach([this](const Hash128&, uint64_t place) {
    --*Counter(EntryOf(place), layout_.items()[place >> 48]);
    return true;
  });
  distinct_.Clear();
}

void StateTable::Clear() {
  distinct_.Clear();
  arena_.Clear();
  if (size_ != 0) first_capacity_ = capacity_ / 2;
  if (capacity_ == kSmallest) {
    if (size_ != 0) std::memset(slots_->data(), 0, slots_->size());
  } else {
    slots_ = nullptr;
    capacity_ = 0;
  }
  size_ = 0;
}

StateTable::Sorted::Sorted(StateTable* table) : table_(table) {
  if (table->size_ == 0) return;
  uint64_t* const slots = table->slots();
  // Those behind are empty: it may yet be walked through.
  uint64_t* const end = std::remove(slots, slots + table->capacity_, 0);
  std::fill(end, slots + table->capacity_, 0);
  // By the tag, which is all but a few bits of it.
  std::sort(slots, slots + table->size_,
            [](uint64_t a, uint64_t b) { return a >> kTagShift < b >> kTagShift; });
}

const StateEntry* StateTable::Sorted::Next() {
  const size_t size = table_->size_;
  if (next_ == size) return nullptr;
  uint64_t* const slots = table_->slots();
  if (next_ == run_end_) {
    const uint64_t tag = slots[next_] >> kTagShift;
    while (run_end_ != size && slots[run_end_] >> kTagShift == tag) ++run_end_;
    for (size_t i = run_end_; i < std::min(run_end_ + 8, size); ++i) {
      __builtin_prefetch(EntryOf(slots[i]));  // soon wanted
    }
    const StateLayout& layout = table_->layout_;
    std::sort(slots + next_, slots + run_end_, [&layout](uint64_t a, uint64_t b) {
      const StateEntry& x = *EntryOf(a);
      const StateEntry& y = *EntryOf(b);
      return x.hash != y.hash ? x.hash < y.hash : x.key(layout) < y.key(layout);
    });
  }
  return EntryOf(slots[next_++]);
}

}  // namespace kvarts::groupby_internal
