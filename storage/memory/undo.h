#ifndef KVARTS_STORAGE_MEMORY_UNDO_H_
#define KVARTS_STORAGE_MEMORY_UNDO_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "absl/functional/function_ref.h"
#include "storage/memory/chunk.h"
#include "storage/memory/record.h"

namespace kvarts::memory_internal {

// Not thread-safe. What keys of a segment held at the moment of a snapshot, of those that
// were written since.
class Undo {
 public:
  Undo() = default;
  ~Undo();
  Undo(const Undo&) = delete;
  Undo& operator=(const Undo&) = delete;

  // What `key` holds: the record at `old`; null where it is absent. Only the first time.
  void Note(const TableKey& key, const Chunk::Place* old);
  // Those of hashes with this bit go to `upper`.
  void MoveUpper(uint64_t bit, Undo* upper);
  // `record`: as it was; a dead one, of the key alone, where it was absent. `key` is good
  // for the call.
  void ForEach(absl::FunctionRef<void(const TableKey& key, const char* record)> visit) const;
  size_t memory_bytes() const { return memory_; }

 private:
  using Record = std::unique_ptr<char[]>;

  static size_t MemoryBytes(const char* record);

  std::unordered_multimap<uint64_t, Record> records_;  // by hashes; one of each key
  size_t memory_ = 0;
};

}  // namespace kvarts::memory_internal

#endif  // KVARTS_STORAGE_MEMORY_UNDO_H_
