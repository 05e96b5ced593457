#include "storage/sstable/view.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "storage/sstable/two_level_iterator.h"

namespace kvarts::sstable {
namespace {

absl::StatusOr<bool> LookInTable(const TableFile& file, TableCache* tables, absl::string_view key,
                                 uint64_t hash, Sequence at, bool no_wait, bool for_stamp,
                                 Found* found, Pin* pin) {
  KVARTS_ASSIGN_OR_RETURN(const auto table, tables->Open(file.info(), no_wait));
  const Sequence covering = table->ranges()->empty() ? 0 : table->ranges()->Covering(key, at);
  bool has_point = false;
  Entry point;
  std::shared_ptr<const Block> block;
  KVARTS_RETURN_IF_ERROR(table->Get(key, hash, at, no_wait, tables->cache(), tables->counters(),
                                    &has_point, &point, &block));
  if (has_point) *pin = std::move(block);
  return found->Settle(has_point, point, covering, for_stamp);
}

// Not thread-safe. The tables of a run, for TwoLevelIterator.
class RunTables {
 public:
  RunTables(std::vector<TableFilePtr> files, TableCache* tables, bool use_cache)
      : files_(std::move(files)), tables_(tables), use_cache_(use_cache) {}

  size_t size() const { return files_.size(); }
  size_t Find(absl::string_view key) const { return FindTable(files_, key); }
  size_t FindBefore(absl::string_view key) const {
    const auto it = std::partition_point(files_.begin(), files_.end(), [&](const auto& file) {
      return absl::string_view(file->info().smallest) <= key;
    });
    return static_cast<size_t>(it - files_.begin()) - 1;
  }
  absl::StatusOr<std::unique_ptr<Iterator>> Open(size_t i) {
    KVARTS_ASSIGN_OR_RETURN(auto table, tables_->Open(files_[i]->info(), false));
    return Table::NewIterator(std::move(table), use_cache_ ? tables_->cache() : nullptr,
                              tables_->counters());
  }
  absl::Status Error(size_t, absl::Status status) const { return status; }

 private:
  std::vector<TableFilePtr> files_;
  TableCache* tables_;
  bool use_cache_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const Table>> TableCache::Open(const TableInfo& info, bool no_wait) {
  if (auto pin = cache_.Find(IndexKey(info)); pin != nullptr) {
    return std::static_pointer_cast<const Table>(std::move(pin));
  }
  if (no_wait) return absl::UnavailableError("an index that is not in memory");
  KVARTS_ASSIGN_OR_RETURN(auto table, Table::Open(fs_, dir_, info, &counters_, &files_));
  cache_.Insert(IndexKey(info), table, table->memory_bytes());
  return table;
}

absl::Status TableCache::Put(const TableInfo& info, std::string meta) {
  KVARTS_ASSIGN_OR_RETURN(
      const auto table, Table::OpenWithMeta(fs_, dir_, info, std::move(meta), &counters_, &files_));
  cache_.Erase(IndexKey(info));
  cache_.Insert(IndexKey(info), table, table->memory_bytes());
  return absl::OkStatus();
}

absl::Status Lookup(const Sources& sources, TableCache* tables, absl::string_view key,
                    uint64_t hash, Sequence at, bool no_wait, bool for_stamp, Found* found,
                    Pin* pin) {
  *found = Found();
  const auto look = [&](const std::shared_ptr<Memtable>& memtable) {
    Entry point;
    const bool has_point = memtable->Get(key, hash, at, &point);
    if (has_point) *pin = memtable;
    return found->Settle(has_point, point, memtable->Covering(key, at), for_stamp);
  };
  if (look(sources.memtable)) return absl::OkStatus();
  for (const auto& memtable : sources.frozen) {
    if (look(memtable)) return absl::OkStatus();
  }
  const Version& version = *sources.version;
  for (const TableFilePtr& file : version.level(0)) {
    if (!file->info().Contains(key)) continue;
    KVARTS_ASSIGN_OR_RETURN(const bool settled, LookInTable(*file, tables, key, hash, at, no_wait,
                                                            for_stamp, found, pin));
    if (settled) return absl::OkStatus();
  }
  for (int level = 1; level < kLevels; ++level) {
    const TableFile* const file = version.Find(level, key);
    if (file == nullptr) continue;
    KVARTS_ASSIGN_OR_RETURN(const bool settled, LookInTable(*file, tables, key, hash, at, no_wait,
                                                            for_stamp, found, pin));
    if (settled) return absl::OkStatus();
  }
  return absl::OkStatus();
}

Sequence Scan::Covering(absl::string_view key, Sequence at) const {
  Sequence most = 0;
  for (const auto& tombstones : ranges) most = std::max(most, tombstones->Covering(key, at));
  return most;
}

std::unique_ptr<Iterator> NewRunIterator(std::vector<TableFilePtr> files, TableCache* tables,
                                         bool use_cache) {
  return std::make_unique<TwoLevelIterator<RunTables>>(
      RunTables(std::move(files), tables, use_cache));
}

absl::StatusOr<Scan> NewScan(const Sources& sources, TableCache* tables, absl::string_view begin,
                             absl::string_view end) {
  Scan scan;
  std::vector<std::unique_ptr<Iterator>> children;
  const auto add = [&](const std::shared_ptr<Memtable>& memtable) {
    // What comes to it from now on is newer than what the reader sees.
    if (memtable->empty()) return;
    children.push_back(memtable->NewIterator());
    if (auto ranges = memtable->ranges(); !ranges->empty()) {
      scan.ranges.push_back(std::move(ranges));
    }
  };
  add(sources.memtable);
  for (const auto& memtable : sources.frozen) add(memtable);
  const Version& version = *sources.version;
  for (int level = 0; level < kLevels; ++level) {
    std::vector<TableFilePtr> run;
    for (const TableFilePtr& file : version.Overlapping(level, begin, end)) {
      if (file->info().ranges > 0) {
        KVARTS_ASSIGN_OR_RETURN(const auto table, tables->Open(file->info(), false));
        scan.ranges.push_back(table->ranges());
      }
      if (level == 0 && !run.empty() && run.back()->run() != file->run()) {
        children.push_back(NewRunIterator(std::move(run), tables, true));
        run.clear();
      }
      run.push_back(file);
    }
    if (!run.empty()) children.push_back(NewRunIterator(std::move(run), tables, true));
  }
  scan.entries = NewMergingIterator(std::move(children));
  return scan;
}

}  // namespace kvarts::sstable
