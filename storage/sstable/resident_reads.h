#ifndef KVARTS_STORAGE_SSTABLE_RESIDENT_READS_H_
#define KVARTS_STORAGE_SSTABLE_RESIDENT_READS_H_

#include <cstddef>
#include <cstdint>

#include "absl/container/fixed_array.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "storage/blocks/block_cache.h"
#include "storage/sstable/view.h"

namespace kvarts::sstable {

// Not thread-safe. Lookups of several keys in what is in memory: memtables, and tables whose index
// and block are in the cache. All of them go on step by step together, and each step begins to
// fetch what the next one of the same key looks at, so that their cache misses overlap. It takes
// no lock and no reference for a key.
//
// What is not in memory it leaves to Lookup(), which it is to be gone by: until its end nothing
// that leaves the cache is freed.
class ResidentReads {
 public:
  // More keys at once gain nothing: the first lines would be gone before they are used.
  static constexpr size_t kMost = 32;

  // `sources` and `keys`, kMost at the most, outlive it.
  ResidentReads(const Sources& sources, TableCache* tables,
                absl::Span<const absl::string_view> keys, Sequence at, bool for_stamp);
  ~ResidentReads();
  ResidentReads(const ResidentReads&) = delete;
  ResidentReads& operator=(const ResidentReads&) = delete;

  uint64_t hash(size_t i) const { return reads_[i].hash; }
  // False: what would answer key i is not in memory.
  bool settled(size_t i) const { return reads_[i].settled; }
  // As Lookup() gives it, without a pin: good as long as this object, or what PinOf() gave.
  const Found& found(size_t i) const { return reads_[i].found; }
  Pin PinOf(size_t i) const;

 private:
  struct Read {
    absl::string_view key;
    uint64_t hash;
    Found found;
    bool settled = false;
    int level = 0;                       // that is looked at next
    size_t place = 0;                    // on level 0
    const Memtable* memtable = nullptr;  // that has it
    const Block* block = nullptr;        // that was looked at last
    // What is looked at now.
    Sequence covering;
    const Table* table;
    size_t group;
    BlockCache::Reader::Search search;
  };
  // Indexes of reads that go on.
  struct Open {
    size_t size = 0;
    uint8_t reads[kMost];
    void Add(uint8_t i) { reads[size++] = i; }
    const uint8_t* begin() const { return reads; }
    const uint8_t* end() const { return reads + size; }
  };

  void LookInMemtables(Open* open);
  // Each one's next table; gives those that go on.
  void LookInTables(Open* open);
  bool LookInMemtable(const Memtable& memtable, Read* read) const;
  const TableFile* NextFile(Read* read) const;
  // Null: its index is not in memory.
  const Table* FindTable(const TableFile& file);
  void LayOut(const Read& read);

  const Sources& sources_;
  TableCache* const tables_;
  const Sequence at_;
  const bool for_stamp_;
  BlockCache::Reader reader_;
  absl::FixedArray<Read, kMost> reads_;
  // Keys that are asked for together are often in one table.
  const TableFile* last_file_ = nullptr;
  const Table* last_table_ = nullptr;
  uint64_t filter_skips_ = 0;
};

}  // namespace kvarts::sstable

#endif  // KVARTS_STORAGE_SSTABLE_RESIDENT_READS_H_
