#ifndef KVARTS_GROUPBY_SORTED_ROW_TABLE_H_
#define KVARTS_GROUPBY_SORTED_ROW_TABLE_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/coding.h"
#include "groupby/grouping.h"
#include "groupby/spill/mapped_region.h"
#include "storage/sort/entry_sort.h"
#include "storage/sort/record.h"

namespace kvarts::groupby_internal {

// Not thread-safe. Rows by key: a hash table over keys and values that lie in a space
// that is lent, in the order they came.
//
//   key:   link (5) | key size (varint32) | 0 | key
//   value: link (5) | value size (varint32) | value
//
// A key's link leads to its last value, a value's to the one before it, so that adding
// touches nothing but the key and the end of the space. A reference is the distance from
// the end of the space; 0 is none.
//
// The slots are 16 bytes: the hash of a key and its reference; sorted, they are the
// entries that storage/sort knows. So a row costs 5 bytes and the size of its value
// beside itself, a key 7 and 18 to 43 of the slots.
class RowTable {
 public:
  static constexpr size_t kSlotBytes = sizeof(sort_internal::Entry);

  // [space, end) is lent; it is memory as far as the caller says, and 1 TiB at most.
  void SetSpace(char* space, char* end) {
    at_ = space_ = space;
    end_ = end;
  }
  // Makes the slots, a power of two, and forgets all rows. Before the first Add().
  absl::Status SetSlots(size_t slots);
  // No more keys than these; 0: as many as there are slots for.
  void SetMaxKeys(uint64_t keys) { max_keys_ = keys; }

  // What a row takes at most.
  static size_t RowBytes(const KeyValue& row) {
    return row.key.size() + row.value.size() + 2 * kLinkBytes + 11;
  }
  // Has what Add() will touch on its way to the cache: first the slot, then, once that is
  // there, the key it leads to.
  void PrefetchSlot(uint64_t hash) const { __builtin_prefetch(&slots_[hash >> shift_]); }
  void PrefetchKey(uint64_t hash) const {
    __builtin_prefetch(end_ - PositionOf(slots_[hash >> shift_]) - kLinkBytes);
  }
  // REQUIRES: the space has memory for RowBytes(). False where the key is new and there
  // are as many as there may be: then make it larger, or clear it.
  bool Add(const KeyValue& row, uint64_t hash);

  // Doubles the slots: takes twice their bytes, then gives back the old ones. On an
  // error all is as before.
  absl::Status Grow();
  // Fills the slots, where there is no memory for more, beyond what is fast.
  void Stretch() { limit_ = Limit(7); }
  bool is_stretched() const { return limit_ == Limit(7); }
  bool has_max_keys() const { return max_keys_ != 0 && keys_ == max_keys_; }

  bool empty() const { return keys_ == 0; }
  size_t keys() const { return keys_; }
  size_t used() const { return static_cast<size_t>(at_ - space_); }
  size_t slot_bytes() const { return slot_memory_.size(); }
  // Slots looked at since it was made.
  uint64_t probes() const { return probes_; }

  // Puts the keys in order; returns the comparisons. No Add() until Clear(). `scratch`
  // has at least 256 * kSlotBytes.
  uint64_t Sort(char* scratch, size_t scratch_bytes);

  struct Group {
    absl::string_view key;
    const char* first;  // value
    uint64_t bytes;     // of the values with their sizes
  };
  // The i'th in order, its values turned into input order: once each, after Sort().
  Group Open(size_t i);
  // Has what Open() of some that follow will touch on its way to the cache: their keys,
  // and of nearer ones, of which the key is there, the last value.
  void PrefetchBehind(size_t i) const {
    if (i + 2 * kAhead >= keys_) return;
    __builtin_prefetch(LinkOf(slots_[i + 2 * kAhead]));
    __builtin_prefetch(end_ - LoadLink(LinkOf(slots_[i + kAhead])));
  }
  // A value with its size before it; null `*value` behind the last one.
  absl::string_view Encoded(const char** value) const {
    const char* const begin = *value + kLinkBytes;
    uint32_t size = 0;
    const char* const bytes = sort_internal::GetVarint(begin, end_, &size);
    *value = Follow(*value);
    return absl::string_view(begin, static_cast<size_t>(bytes - begin) + size);
  }
  absl::string_view Value(const char** value) const {
    uint32_t size = 0;
    const char* const bytes = sort_internal::GetVarint(*value + kLinkBytes, end_, &size);
    *value = Follow(*value);
    return absl::string_view(bytes, size);
  }

  // Forgets all rows, keeps the slots.
  void Clear();
  // And gives back the slots.
  void Free();

 private:
  using Entry = sort_internal::Entry;
  static constexpr size_t kLinkBytes = 5;
  static constexpr size_t kAhead = 8;

  const char* LinkOf(const Entry& key) const { return end_ - PositionOf(key) - kLinkBytes; }
  static uint64_t LoadLink(const char* p) {
    return LoadLE32(p) | uint64_t{static_cast<unsigned char>(p[4])} << 32;
  }
  static void StoreLink(char* p, uint64_t link) {
    StoreLE32(p, static_cast<uint32_t>(link));
    p[4] = static_cast<char>(link >> 32);
  }
  const char* Follow(const char* value) const {
    const uint64_t link = LoadLink(value);
    return link == 0 ? nullptr : end_ - link;
  }
  static uint64_t PositionOf(const Entry& slot) { return sort_internal::PositionOf(slot); }
  void UseSlots(MappedRegion memory, size_t slots);
  // Eighths of the slots, less for the keys that the caller allows.
  size_t Limit(size_t eighths) const;
  bool IsKey(const Entry& slot, absl::string_view key) const;
  uint64_t NewKey(absl::string_view key);
  void AddValue(const Entry& slot, absl::string_view value);

  char* space_ = nullptr;
  char* at_ = nullptr;
  char* end_ = nullptr;
  MappedRegion slot_memory_;
  Entry* slots_ = nullptr;
  size_t slot_count_ = 0;
  int shift_ = 0;
  size_t keys_ = 0;
  size_t limit_ = 0;
  uint64_t max_keys_ = 0;
  uint64_t probes_ = 0;
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SORTED_ROW_TABLE_H_
