#ifndef KVARTS_STORAGE_DICT_ENTRY_LOG_H_
#define KVARTS_STORAGE_DICT_ENTRY_LOG_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "absl/status/status.h"
#include "storage/dict/page_memory.h"

namespace kvarts {

// Ten bytes that a table is built from, 80 bits: a slot's payload (of 17 to 63
// bits) in the low ones, above it the upper bits of a hash, as many as there is
// room for.
struct LogEntry {
  uint64_t low = 0;
  uint16_t high = 0;

  static LogEntry Make(uint64_t payload, uint64_t hash, int payload_bits) {
    const uint64_t kept = hash >> (payload_bits - 16);
    return {kept << payload_bits | payload, static_cast<uint16_t>(kept >> (64 - payload_bits))};
  }
  uint64_t Payload(int payload_bits) const { return low & ((uint64_t{1} << payload_bits) - 1); }
  // With zeros for what there was no room for.
  uint64_t Hash(int payload_bits) const {
    const uint64_t kept = static_cast<uint64_t>(high) << (64 - payload_bits) | low >> payload_bits;
    return kept << (payload_bits - 16);
  }
};

// Chunks for logs, from large pieces of memory. Not thread-safe: one a thread.
class ChunkSource {
 public:
  static constexpr size_t kEntries = 1 << 14;
  static constexpr size_t kBytes = kEntries * 10;  // 40 pages

  absl::StatusOr<char*> Take();

 private:
  static constexpr size_t kSlabChunks = 256;  // 40 MiB of room, touched as it is used

  std::vector<PageMemory> slabs_;
  size_t used_ = kSlabChunks;  // of the last slab
};

// Not thread-safe. Entries in the order they were added. Memory is taken up by
// the page; what ends it lies with the source.
class EntryLog {
 public:
  absl::Status Append(const LogEntry& entry, ChunkSource* source) {
    if (size_ == chunks_.size() * ChunkSource::kEntries) {
      absl::Status status = Grow(source);
      if (!status.ok()) return status;
    }
    Set(size_++, entry);
    return absl::OkStatus();
  }

  size_t size() const { return size_; }
  LogEntry Get(size_t i) const {
    const char* const p = At(i);
    LogEntry entry;
    std::memcpy(&entry.low, p, 8);
    std::memcpy(&entry.high, p + 8, 2);
    return entry;
  }
  // Of an entry that is there.
  void Set(size_t i, const LogEntry& entry) {
    char* const p = At(i);
    std::memcpy(p, &entry.low, 8);
    std::memcpy(p + 8, &entry.high, 2);
  }
  // Appends all of `other`, which is empty then. The source of its chunks must
  // stay.
  void Take(EntryLog&& other);
  // Keeps the first `n`, and gives memory back.
  void Truncate(size_t n);

 private:
  absl::Status Grow(ChunkSource* source);
  char* At(size_t i) const {
    return chunks_[i / ChunkSource::kEntries] + i % ChunkSource::kEntries * 10;
  }

  std::vector<char*> chunks_;
  size_t size_ = 0;
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_DICT_ENTRY_LOG_H_
