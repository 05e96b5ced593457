#include "storage/memory/chunk.h"

#include <algorithm>
#include <utility>

namespace kvarts::memory_internal {
namespace {

// Of the slots; with 20 in a group hardly a record is away from home.
constexpr size_t kFullPercent = 88;

}  // namespace

uint32_t Chunk::GroupsFor(size_t records) {
  const size_t slots = records * 100 / kFullPercent + 1;
  const size_t groups = (slots + IndexGroup::kSlots - 1) / IndexGroup::kSlots;
  return static_cast<uint32_t>(std::min<size_t>(std::max<size_t>(groups, 1), kMaxGroups));
}

void Chunk::Init(const ExtentPool::Extent& extent, uint32_t groups) {
  const size_t index = groups * IndexGroup::kBytes;
  touched_ = static_cast<uint32_t>(extent.touched);
  for (size_t at = 0; at < std::min(index, extent.touched); at += 8) Store64(extent.base + at, 0);
  records_ = expiring_ = 0;
  max_records_ = groups * IndexGroup::kSlots * kFullPercent / 100;
  log_end_ = static_cast<uint32_t>(index);
  dead_ = 0;
  groups_.store(groups, std::memory_order_release);
  base_.store(extent.base, std::memory_order_release);
}

ExtentPool::Extent Chunk::Release() {
  const ExtentPool::Extent extent{base(), touched()};
  base_.store(nullptr, std::memory_order_release);
  groups_.store(0, std::memory_order_release);
  records_ = expiring_ = max_records_ = log_end_ = dead_ = touched_ = 0;
  return extent;
}

void Chunk::Swap(Chunk* other) {
  const auto swap_atomic = [](auto* a, auto* b) {
    const auto was = a->load(std::memory_order_relaxed);
    a->store(b->load(std::memory_order_relaxed), std::memory_order_release);
    b->store(was, std::memory_order_release);
  };
  swap_atomic(&groups_, &other->groups_);
  swap_atomic(&base_, &other->base_);
  std::swap(records_, other->records_);
  std::swap(expiring_, other->expiring_);
  std::swap(max_records_, other->max_records_);
  std::swap(log_end_, other->log_end_);
  std::swap(dead_, other->dead_);
  std::swap(touched_, other->touched_);
  std::swap(charged, other->charged);
}

void Chunk::Trim() {
  ExtentPool::Extent extent{base(), touched()};
  ExtentPool::Trim(&extent, log_end_);
  touched_ = static_cast<uint32_t>(extent.touched);
}

char* Chunk::Append(size_t bytes) {
  char* const record = base() + log_end_;
  log_end_ += static_cast<uint32_t>(bytes);
  return record;
}

void Chunk::Insert(uint64_t hash, int depth, char* record) {
  const uint32_t groups = this->groups();
  uint32_t g = Home(hash, depth, groups);
  for (;;) {
    IndexGroup group(base() + g * IndexGroup::kBytes);
    const uint32_t empty = group.tags().Empty();
    if (empty != 0) {
      group.Set(static_cast<uint32_t>(__builtin_ctz(empty)), IndexGroup::Tag(hash),
                static_cast<uint32_t>(record - base()) / kWord);
      ++records_;
      expiring_ += HasExpiry(record);
      return;
    }
    group.SetOverflows();
    if (++g == groups) g = 0;
  }
}

Chunk::Place Chunk::PlaceOf(uint64_t hash, int depth, char* record) const {
  const auto position = static_cast<uint32_t>(record - base()) / kWord;
  for (uint32_t g = Home(hash, depth, groups());;) {
    char* const line = base() + g * IndexGroup::kBytes;
    for (uint32_t m = IndexGroup(line).tags().Matches(IndexGroup::Tag(hash)); m != 0; m &= m - 1) {
      const auto slot = static_cast<uint32_t>(__builtin_ctz(m));
      if (IndexGroup(line).position(slot) == position) {
        return {this, line, slot, record, RecordLayout::At(record)};
      }
    }
    if (++g == groups()) g = 0;
  }
}

void Chunk::Replace(const Place& place, char* record) {
  Store32(place.record, Load32(place.record) | RecordHeader::kDead);
  dead_ += place.layout.bytes;
  expiring_ += HasExpiry(record) - HasExpiry(place.record);
  IndexGroup(place.group).SetPosition(place.slot, static_cast<uint32_t>(record - base()) / kWord);
}

void Chunk::Erase(const Place& place) {
  Store32(place.record, Load32(place.record) | RecordHeader::kDead);
  dead_ += place.layout.bytes;
  IndexGroup(place.group).Erase(place.slot);
  --records_;
  expiring_ -= HasExpiry(place.record);
}

}  // namespace kvarts::memory_internal
