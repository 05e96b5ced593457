#ifndef KVARTS_STORAGE_SORT_ARENA_H_
#define KVARTS_STORAGE_SORT_ARENA_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "storage/sort/entry_sort.h"
#include "storage/sort/record.h"

namespace kvarts::sort_internal {

// Not thread-safe. The one region of a sorter: address space taken at once,
// memory only as it is touched, so that a small sort in a large budget costs
// little and nothing ever doubles.
//
//   | scratch | entries ->          free          <- records |
//   0         scratch_size                               size()
//
// The scratch serves the sort, then as the write buffer of the spill. While
// runs are merged the region holds the write buffer and the read buffers.
class Arena {
 public:
  Arena() = default;
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // kResourceExhausted where the system has no such address space. Once, before
  // all else.
  absl::Status Reserve(size_t size, size_t scratch_size);

  // False where it is full.
  bool Add(absl::string_view key, absl::string_view payload) {
    const size_t size = RecordSize(key.size(), payload.size());
    if (size + sizeof(Entry) > free_) return false;
    free_ -= size + sizeof(Entry);
    used_ += size;
    char* p = PutVarint(end_ - used_, static_cast<uint32_t>(key.size()));
    p = PutVarint(p, static_cast<uint32_t>(payload.size()));
    CopyBytes(p, key.data(), key.size());
    CopyBytes(p + key.size(), payload.data(), payload.size());
    entries_[count_++] = {LoadWord(key.data(), key.size()), MakeTag(key.size(), used_)};
    return true;
  }

  // Puts the entries in the order of their records.
  void Sort();

  size_t count() const { return count_; }
  Record record(size_t i) const {
    Record record;
    ParseRecord(end_ - PositionOf(entries_[i]), end_, &record);
    return record;
  }
  // Records lie scattered once they are sorted.
  void Prefetch(size_t i) const {
    if (i < count_) __builtin_prefetch(end_ - PositionOf(entries_[i]));
  }

  // Forgets all records.
  void Clear();
  // Gives the memory behind the first `keep` bytes back to the system. Only
  // when it is cleared.
  void Release(size_t keep);

  char* data() const { return data_; }
  size_t size() const { return size_; }
  char* scratch() const { return data_; }
  size_t scratch_size() const { return scratch_size_; }
  // Bytes in use: the scratch, entries and records.
  size_t used() const { return size_ - free_; }

 private:
  char* mapping_ = nullptr;
  size_t mapping_size_ = 0;
  char* data_ = nullptr;
  char* end_ = nullptr;
  size_t size_ = 0;
  size_t scratch_size_ = 0;

  Entry* entries_ = nullptr;
  size_t count_ = 0;
  size_t used_ = 0;  // by records
  size_t free_ = 0;  // between entries and records
};

}  // namespace kvarts::sort_internal

#endif  // KVARTS_STORAGE_SORT_ARENA_H_
