#ifndef KVARTS_STORAGE_SSTABLE_VIEW_H_
#define KVARTS_STORAGE_SSTABLE_VIEW_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/blocks/block_cache.h"
#include "storage/sstable/memtable.h"
#include "storage/sstable/open_files.h"
#include "storage/sstable/table.h"
#include "storage/sstable/version.h"

namespace kvarts::sstable {

// Thread-safe. The tables of a directory: opened when they are needed, their indexes and blocks
// in one cache.
class TableCache {
 public:
  // At most `most_open` of their files are open.
  TableCache(FileSystem* fs, std::string dir, size_t bytes,
             size_t most_open = OpenFiles::HalfOfProcess())
      : fs_(fs), dir_(std::move(dir)), files_(fs, most_open), cache_(bytes) {}

  // kUnavailable where `no_wait` and its index is not in memory.
  absl::StatusOr<std::shared_ptr<const Table>> Open(const TableInfo& info, bool no_wait);
  // Opens a table with its index given.
  absl::Status Put(const TableInfo& info, std::string meta);
  void Forget(const TableInfo& info) { cache_.Erase(IndexKey(info)); }
  static BlockCache::Key IndexKey(const TableInfo& info) { return {info.number, ~uint64_t{0}}; }

  FileSystem* fs() const { return fs_; }
  const std::string& dir() const { return dir_; }
  BlockCache* cache() { return &cache_; }
  const OpenFiles& files() const { return files_; }
  ReadCounters* counters() { return &counters_; }

 private:
  FileSystem* const fs_;
  const std::string dir_;
  OpenFiles files_;
  BlockCache cache_;
  ReadCounters counters_;
};

// Immutable. Where the entries of the store are at some moment: the memtable that is written, those
// that wait to be flushed (the newest first), and the tables.
struct Sources {
  std::shared_ptr<Memtable> memtable;
  std::vector<std::shared_ptr<Memtable>> frozen;
  std::shared_ptr<const Version> version;
};

// The newest version of a key that a reader sees, and what keeps its bytes.
struct Found {
  Sequence sequence = 0;  // the newest put or deletion of this very key has it; 0: none has
  bool covered = false;   // a range deletion hides it
  Entry entry;            // where there is one

  bool is_put() const { return sequence != 0 && !covered && entry.is_put(); }

  // Takes what one source has of the key, of which everything is newer than in those after it:
  // perhaps an entry, and the newest range deletion over it, 0 for none. True: that settles it.
  // Behind a range deletion it goes on only `for_stamp`, which needs the sequence.
  bool Settle(bool has_point, const Entry& point, Sequence covering, bool for_stamp) {
    covered = covered || (covering != 0 && !(has_point && point.sequence() > covering));
    if (!has_point) return covered && !for_stamp;
    sequence = point.sequence();
    entry = point;
    return true;
  }
};

// What a reader at `at` sees of `key`, whose KeyHash() is `hash`; `*pin` keeps the entry's bytes.
// kUnavailable where `no_wait` and
// the answer is on disk. `for_stamp`: see Found::Settle().
absl::Status Lookup(const Sources& sources, TableCache* tables, absl::string_view key,
                    uint64_t hash, Sequence at, bool no_wait, bool for_stamp, Found* found,
                    Pin* pin);

// Everything in `sources` that may be in [begin, end), merged; and all range tombstones there.
struct Scan {
  std::unique_ptr<Iterator> entries;
  std::vector<std::shared_ptr<const RangeTombstones>> ranges;

  Sequence Covering(absl::string_view key, Sequence at) const;
};
absl::StatusOr<Scan> NewScan(const Sources& sources, TableCache* tables, absl::string_view begin,
                             absl::string_view end);

// The entries of tables that follow each other without overlap. Without `use_cache` it reads
// ahead and leaves the cache alone.
std::unique_ptr<Iterator> NewRunIterator(std::vector<TableFilePtr> files, TableCache* tables,
                                         bool use_cache);

}  // namespace kvarts::sstable

#endif  // KVARTS_STORAGE_SSTABLE_VIEW_H_
