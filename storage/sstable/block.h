#ifndef KVARTS_STORAGE_SSTABLE_BLOCK_H_
#define KVARTS_STORAGE_SSTABLE_BLOCK_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "storage/sstable/entry.h"
#include "storage/sstable/iterator.h"

namespace kvarts::sstable {

// Not thread-safe. Makes a block of entries, which come in their order. A key is kept without
// what it has in common with the one before; every 8th is whole, and where it begins stands at
// the block's end: see FORMAT.md.
class BlockBuilder {
 public:
  void Add(const Entry& entry);
  // The block; good until Reset().
  absl::string_view Finish();
  void Reset();

  size_t size() const { return bytes_.size() + 4 * restarts_.size() + 4; }
  bool empty() const { return bytes_.empty(); }

 private:
  std::string bytes_;
  std::vector<uint32_t> restarts_;
  int since_restart_ = 0;
  std::string last_key_;
};

// Immutable. A block in memory, its bytes as BlockBuilder made them. Bytes that are not a block
// give an iterator with an error, never more.
class Block {
 public:
  explicit Block(std::string bytes);

  size_t memory_bytes() const { return sizeof(Block) + bytes_.capacity(); }
  // Keeps `block`.
  static std::unique_ptr<Iterator> NewIterator(std::shared_ptr<const Block> block);
  // The first entry that is not less than (key, trailer), where it has that key. False: none, or
  // `*good` false: the bytes are no block.
  bool Get(absl::string_view key, Trailer trailer, Entry* entry, bool* good) const;

 private:
  friend class BlockIterator;

  uint32_t Restart(uint32_t i) const { return LoadLE32(restarts_ + 4 * size_t{i}); }

  const std::string bytes_;
  absl::string_view entries_;
  const char* restarts_ = nullptr;
  uint32_t restart_count_ = 0;  // 0: no block
};

}  // namespace kvarts::sstable

#endif  // KVARTS_STORAGE_SSTABLE_BLOCK_H_
