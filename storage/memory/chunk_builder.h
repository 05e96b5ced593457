#ifndef KVARTS_STORAGE_MEMORY_CHUNK_BUILDER_H_
#define KVARTS_STORAGE_MEMORY_CHUNK_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "storage/memory/table.h"

namespace kvarts::memory_internal {

// Not thread-safe. Records on their way to new chunks, which it has until they are installed.
// The old ones stay as they are.
class Table::Builder {
 public:
  Builder(Table* table, int depth, size_t records, size_t bytes)
      : table_(*table), depth_(depth), records_(records), bytes_(bytes) {}
  ~Builder() {
    for (const auto& chunk : chunks_) table_.Free(chunk.get());
  }

  absl::Status Add(const char* record, const RecordLayout& layout, uint64_t hash) {
    if (chunks_.empty() || chunks_.back()->IsIndexFull() ||
        !chunks_.back()->HasRoom(layout.bytes)) {
      KVARTS_RETURN_IF_ERROR(Begin());
    }
    char* const to = chunks_.back()->Append(layout.bytes);
    CopyWords(to, record, layout.bytes);
    Store32(to, layout.header.word());
    chunks_.back()->Insert(hash, depth_, to);
    --records_;
    bytes_ -= layout.bytes;
    return absl::OkStatus();
  }

  // Those of a segment that are not dead, as they are.
  absl::Status AddAll(const Chunk& first) {
    for (const Chunk* chunk = &first; chunk != nullptr; chunk = chunk->next) {
      for (char* record = nullptr; (record = chunk->NextRecord(record)) != nullptr;) {
        const RecordLayout layout = RecordLayout::At(record);
        if (layout.header.has(RecordHeader::kDead)) continue;
        KVARTS_RETURN_IF_ERROR(Add(record, layout, table_.HashOf(record, layout)));
      }
    }
    return absl::OkStatus();
  }

  std::vector<std::unique_ptr<Chunk>>& chunks() { return chunks_; }

 private:
  absl::Status Begin() {
    ExtentPool::Extent extent;
    KVARTS_RETURN_IF_ERROR(table_.pool_.Take(&extent));
    chunks_.push_back(std::make_unique<Chunk>());
    chunks_.back()->Init(extent, Groups(depth_, records_, bytes_));
    return absl::OkStatus();
  }

  Table& table_;
  const int depth_;
  size_t records_;  // still to come
  size_t bytes_;
  std::vector<std::unique_ptr<Chunk>> chunks_;
};

}  // namespace kvarts::memory_internal

#endif  // KVARTS_STORAGE_MEMORY_CHUNK_BUILDER_H_
