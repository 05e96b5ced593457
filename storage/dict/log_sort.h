#ifndef KVARTS_STORAGE_DICT_LOG_SORT_H_
#define KVARTS_STORAGE_DICT_LOG_SORT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "storage/data_file/data_file.h"
#include "storage/dict/entry_log.h"
#include "storage/dict/table.h"

namespace kvarts {

// Not thread-safe: one a thread, for its memory. Sorts logs by hash, and leaves
// one entry of each key: the last in the file.
class LogSorter {
 public:
  LogSorter(const SlotLayout& layout, const DataFileMap& data) : layout_(layout), data_(data) {}

  // In pieces first where a log is very long, which only keys that are repeated
  // very often make it: memory stays that of a piece.
  void SortUnique(EntryLog* log);

 private:
  struct Item {
    uint64_t hash;
    uint64_t payload;
  };

  // Entries [begin, end) to `to` and behind it; returns where they end.
  size_t SortPiece(EntryLog* log, size_t begin, size_t end, size_t to);
  void RadixSort();
  // Of items of one hash: one for each key among them.
  void Unify(size_t begin, size_t end, std::vector<Item>* unique) const;

  const SlotLayout layout_;
  const DataFileMap& data_;
  std::vector<Item> items_;
  std::vector<Item> scratch_;
  std::vector<Item> unique_;
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_DICT_LOG_SORT_H_
