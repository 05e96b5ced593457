#include "groupby/sorted/row_table.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/coding.h"
#include "base/status_macros.h"

namespace kvarts::groupby_internal {

using sort_internal::CopyBytes;
using sort_internal::GetVarint;
using sort_internal::PutVarint;

size_t RowTable::Limit(size_t eighths) const {
  const size_t limit = slot_count_ / 8 * eighths;
  return max_keys_ == 0 ? limit : std::min<uint64_t>(limit, max_keys_);
}

absl::Status RowTable::SetSlots(size_t slots) {
  Free();
  MappedRegion memory;
  KVARTS_RETURN_IF_ERROR(memory.Map(slots * kSlotBytes));
  UseSlots(std::move(memory), slots);
  return absl::OkStatus();
}

void RowTable::UseSlots(MappedRegion memory, size_t slots) {
  slot_memory_ = std::move(memory);
  slots_ = reinterpret_cast<Entry*>(slot_memory_.data());
  slot_count_ = slots;
  shift_ = 64 - std::countr_zero(slots);
  limit_ = Limit(6);
}

bool RowTable::IsKey(const Entry& slot, absl::string_view key) const {
  const char* p = end_ - PositionOf(slot);
  uint32_t size = 0;
  p = GetVarint(p, end_, &size);
  return absl::string_view(p + 1, size) == key;
}

uint64_t RowTable::NewKey(absl::string_view key) {
  StoreLink(at_, 0);
  char* const record = at_ + kLinkBytes;
  char* p = PutVarint(PutVarint(record, static_cast<uint32_t>(key.size())), 0);
  CopyBytes(p, key.data(), key.size());
  at_ = p + key.size();
  return static_cast<uint64_t>(end_ - record);
}

void RowTable::AddValue(const Entry& slot, absl::string_view value) {
  char* const last = end_ - PositionOf(slot) - kLinkBytes;
  StoreLink(at_, LoadLink(last));
  StoreLink(last, static_cast<uint64_t>(end_ - at_));
  char* const p = PutVarint(at_ + kLinkBytes, static_cast<uint32_t>(value.size()));
  CopyBytes(p, value.data(), value.size());
  at_ = p + value.size();
}

bool RowTable::Add(const KeyValue& row, uint64_t hash) {
  const size_t mask = slot_count_ - 1;
  for (size_t i = hash >> shift_;; i = (i + 1) & mask) {
    ++probes_;
    Entry& slot = slots_[i];
    if (slot.tag == 0) {
      if (keys_ == limit_) return false;
      slot = {hash, NewKey(row.key)};
      ++keys_;
    } else if (slot.word != hash || !IsKey(slot, row.key)) {
      continue;
    }
    AddValue(slot, row.value);
    return true;
  }
}

absl::Status RowTable::Grow() {
  MappedRegion memory;
  const Entry* const from = slots_;
  const size_t count = slot_count_;
  KVARTS_RETURN_IF_ERROR(memory.Map(2 * count * kSlotBytes));
  std::swap(memory, slot_memory_);
  UseSlots(std::move(slot_memory_), 2 * count);
  const size_t mask = slot_count_ - 1;
  for (size_t n = 0; n < count; ++n) {
    if (from[n].tag == 0) continue;
    size_t i = from[n].word >> shift_;
    while (slots_[i].tag != 0) i = (i + 1) & mask;
    slots_[i] = from[n];
  }
  return absl::OkStatus();
}

uint64_t RowTable::Sort(char* scratch, size_t scratch_bytes) {
  // The entries replace the slots, from the front on.
  constexpr size_t kAhead = 16;
  size_t n = 0;
  for (size_t i = 0; i < slot_count_; ++i) {
    if (i + kAhead < slot_count_) __builtin_prefetch(end_ - PositionOf(slots_[i + kAhead]));
    if (slots_[i].tag == 0) continue;
    const uint64_t position = PositionOf(slots_[i]);
    uint32_t size = 0;
    const char* const key = GetVarint(end_ - position, end_, &size) + 1;
    slots_[n++] = {sort_internal::LoadWord(key, size), sort_internal::MakeTag(size, position)};
  }
  return sort_internal::SortEntries(slots_, n, end_, reinterpret_cast<Entry*>(scratch),
                                    scratch_bytes / kSlotBytes);
}

RowTable::Group RowTable::Open(size_t i) {
  const char* const record = end_ - PositionOf(slots_[i]);
  Group group;
  uint32_t key_size = 0;
  const char* const key = GetVarint(record, end_, &key_size) + 1;
  group.key = absl::string_view(key, key_size);
  group.bytes = 0;
  uint64_t before = 0;
  for (uint64_t link = LoadLink(record - kLinkBytes); link != 0;) {
    char* const value = end_ - link;
    const uint64_t next = LoadLink(value);
    StoreLink(value, before);
    uint32_t size = 0;
    const char* const bytes = GetVarint(value + kLinkBytes, end_, &size);
    group.bytes += static_cast<uint64_t>(bytes - (value + kLinkBytes)) + size;
    before = link;
    link = next;
  }
  group.first = end_ - before;
  return group;
}

void RowTable::Clear() {
  if (keys_ != 0) std::memset(static_cast<void*>(slots_), 0, slot_count_ * kSlotBytes);
  keys_ = 0;
  at_ = space_;
  limit_ = slot_count_ == 0 ? 0 : Limit(6);
}

void RowTable::Free() {
  slot_memory_.Free();
  slots_ = nullptr;
  slot_count_ = 0;
  keys_ = 0;
  at_ = space_;
}

}  // namespace kvarts::groupby_internal
