#ifndef KVARTS_STORAGE_SSTABLE_VERSION_H_
#define KVARTS_STORAGE_SSTABLE_VERSION_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "storage/sstable/floors.h"
#include "storage/sstable/table.h"

namespace kvarts::sstable {

inline constexpr int kLevels = 7;

// Deletes files of tables that nobody reads any more. Thread-safe.
class TableRemover {
 public:
  virtual ~TableRemover() = default;
  virtual void RemoveTable(uint64_t number) = 0;
};

// A table of the store, as long as a version or a reader has it. When the last one lets go, its
// file is deleted if the manifest does not have it any more.
class TableFile {
 public:
  TableFile(TableInfo info, uint64_t run, std::shared_ptr<TableRemover> remover)
      : info_(std::move(info)), run_(run), remover_(std::move(remover)) {}
  ~TableFile() {
    if (obsolete_.load(std::memory_order_acquire)) remover_->RemoveTable(info_.number);
  }
  TableFile(const TableFile&) = delete;
  TableFile& operator=(const TableFile&) = delete;

  const TableInfo& info() const { return info_; }
  // Tables that one flush wrote have the same; a later flush has a larger one.
  uint64_t run() const { return run_; }
  // No durable manifest names it.
  void SetObsolete() { obsolete_.store(true, std::memory_order_release); }

 private:
  const TableInfo info_;
  const uint64_t run_;
  const std::shared_ptr<TableRemover> remover_;
  std::atomic<bool> obsolete_{false};
};

using TableFilePtr = std::shared_ptr<TableFile>;

// The first of tables in order, without overlap, that does not end before `key`.
size_t FindTable(const std::vector<TableFilePtr>& files, absl::string_view key);

// A change of the set of tables, and of numbers beside it.
struct VersionEdit {
  struct Added {
    int level = 0;
    TableFilePtr file;
  };
  std::vector<Added> added;
  std::vector<std::pair<int, uint64_t>> removed;  // level and number

  bool no_log = false;  // no log is needed
  // 0: unchanged.
  uint64_t log_number = 0;          // older logs are not needed
  Sequence log_first_sequence = 0;  // with it: the first of that log
  uint64_t next_number = 0;         // for the next file
  Sequence ceiling = 0;             // no number above it was given out
  Floors floors;                    // of the buckets whose floors it raises
};

// Immutable. The tables that make up the store on disk. Level 0 holds what was flushed, newest run
// first, each run in key order; on each further level no two tables overlap.
class Version {
 public:
  const std::vector<TableFilePtr>& level(int i) const { return levels_[static_cast<size_t>(i)]; }
  uint64_t LevelBytes(int i) const;
  size_t runs_on_level_0() const;
  size_t tables() const;
  // The deepest level that has a table; 0 where none has.
  int deepest() const;

  // The table of level i >= 1 that may have `key`, or null.
  const TableFile* Find(int i, absl::string_view key) const;
  // The tables of level i that overlap [begin, end), "" being no end.
  std::vector<TableFilePtr> Overlapping(int i, absl::string_view begin,
                                        absl::string_view end) const;
  // Whether a table of a level under `level` overlaps [begin, end).
  bool HasBelow(int level, absl::string_view begin, absl::string_view end) const;

  // kInternal says what the edit asks for that cannot be.
  static absl::StatusOr<std::shared_ptr<const Version>> Apply(const Version& base,
                                                              const VersionEdit& edit);
  // What must hold of every version: order, no overlap from level 1 on, nothing older above
  // something newer.
  absl::Status Check() const;

 private:
  std::array<std::vector<TableFilePtr>, kLevels> levels_;
};

}  // namespace kvarts::sstable

#endif  // KVARTS_STORAGE_SSTABLE_VERSION_H_
