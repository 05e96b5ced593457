#include "storage/sstable/view.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"

namespace kvarts::sstable {
namespace {

// Looks at one source, of which everything about a key is newer than in those after it. True: that
// settles it.
bool Settle(bool has_point, const Entry& point, Sequence covering, Pin pin, bool for_stamp,
            Found* found) {
  found->covered = found->covered || (covering != 0 && !(has_point && point.sequence() > covering));
  if (!has_point) return found->covered && !for_stamp;
  found->sequence = point.sequence();
  found->entry = point;
  found->pin = std::move(pin);
  return true;
}

absl::StatusOr<bool> LookInTable(const TableFile& file, TableCache* tables, absl::string_view key,
                                 uint64_t hash, Sequence at, bool no_wait, bool for_stamp,
                                 Found* found) {
  KVARTS_ASSIGN_OR_RETURN(const auto table, tables->Open(file.info(), no_wait));
  const Sequence covering = table->ranges()->empty() ? 0 : table->ranges()->Covering(key, at);
  bool has_point = false;
  Entry point;
  std::shared_ptr<const Block> block;
  KVARTS_RETURN_IF_ERROR(table->Get(key, hash, at, no_wait, tables->cache(), tables->counters(),
                                    &has_point, &point, &block));
  return Settle(has_point, point, covering, std::move(block), for_stamp, found);
}

// Not thread-safe. Opens a table when it comes to it.
class RunIterator final : public Iterator {
 public:
  RunIterator(std::vector<TableFilePtr> files, TableCache* tables, bool use_cache)
      : files_(std::move(files)), tables_(tables), use_cache_(use_cache) {}

  void Seek(absl::string_view key, Trailer trailer) override {
    const auto it = std::partition_point(
        files_.begin(), files_.end(), [&](const auto& file) { return file->info().IsPast(key); });
    if (!GoTo(static_cast<size_t>(it - files_.begin()))) return;
    it_->Seek(key, trailer);
    SkipForwards();
  }
  void SeekBefore(absl::string_view key, Trailer trailer) override {
    auto it = std::partition_point(files_.begin(), files_.end(), [&](const auto& file) {
      return absl::string_view(file->info().smallest) <= key;
    });
    if (it == files_.begin()) {
      it_ = nullptr;
      return;
    }
    if (!GoTo(static_cast<size_t>(it - files_.begin()) - 1)) return;
    it_->SeekBefore(key, trailer);
    SkipBackwards();
  }
  void SeekToLast() override {
    if (files_.empty() || !GoTo(files_.size() - 1)) return;
    it_->SeekToLast();
    SkipBackwards();
  }
  void Next() override {
    it_->Next();
    SkipForwards();
  }
  void Prev() override {
    it_->Prev();
    SkipBackwards();
  }
  bool valid() const override { return it_ != nullptr && it_->valid(); }
  Entry entry() const override { return it_->entry(); }
  absl::Status status() const override { return status_; }
  Pin pin() const override { return it_->pin(); }

 private:
  bool GoTo(size_t place) {
    it_ = nullptr;
    if (place >= files_.size()) return false;
    auto table = tables_->Open(files_[place]->info(), false);
    if (!table.ok()) {
      status_ = table.status();
      return false;
    }
    place_ = place;
    it_ = Table::NewIterator(*std::move(table), use_cache_ ? tables_->cache() : nullptr,
                             tables_->counters());
    return true;
  }
  bool Ended() {
    if (it_ == nullptr) return true;
    status_ = it_->status();
    if (status_.ok()) return it_->valid();
    it_ = nullptr;
    return true;
  }
  void SkipForwards() {
    while (!Ended()) {
      if (GoTo(place_ + 1)) it_->SeekToFirst();
    }
  }
  void SkipBackwards() {
    while (!Ended()) {
      if (place_ == 0) {
        it_ = nullptr;
      } else if (GoTo(place_ - 1)) {
        it_->SeekToLast();
      }
    }
  }

  const std::vector<TableFilePtr> files_;
  TableCache* const tables_;
  const bool use_cache_;
  size_t place_ = 0;
  std::unique_ptr<Iterator> it_;
  absl::Status status_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const Table>> TableCache::Open(const TableInfo& info, bool no_wait) {
  if (Pin pin = cache_.Find(IndexKey(info)); pin != nullptr) {
    return std::static_pointer_cast<const Table>(std::move(pin));
  }
  if (no_wait) return absl::UnavailableError("an index that is not in memory");
  KVARTS_ASSIGN_OR_RETURN(auto table, Table::Open(fs_, dir_, info, &counters_));
  cache_.Insert(IndexKey(info), table, table->memory_bytes());
  return table;
}

absl::Status TableCache::Put(const TableInfo& info, std::string meta) {
  KVARTS_ASSIGN_OR_RETURN(const auto table,
                          Table::OpenWithMeta(fs_, dir_, info, std::move(meta), &counters_));
  cache_.Erase(IndexKey(info));
  cache_.Insert(IndexKey(info), table, table->memory_bytes());
  return absl::OkStatus();
}

absl::Status Lookup(const Sources& sources, TableCache* tables, absl::string_view key,
                    uint64_t hash, Sequence at, bool no_wait, bool for_stamp, Found* found) {
  *found = Found();
  const auto look = [&](const std::shared_ptr<Memtable>& memtable) {
    Entry point;
    const bool has_point = memtable->Get(key, hash, at, &point);
    return Settle(has_point, point, memtable->Covering(key, at), has_point ? memtable : nullptr,
                  for_stamp, found);
  };
  if (look(sources.memtable)) return absl::OkStatus();
  for (const auto& memtable : sources.frozen) {
    if (look(memtable)) return absl::OkStatus();
  }
  const Version& version = *sources.version;
  for (const TableFilePtr& file : version.level(0)) {
    if (!file->info().Contains(key)) continue;
    KVARTS_ASSIGN_OR_RETURN(const bool settled,
                            LookInTable(*file, tables, key, hash, at, no_wait, for_stamp, found));
    if (settled) return absl::OkStatus();
  }
  for (int level = 1; level < kLevels; ++level) {
    const TableFile* const file = version.Find(level, key);
    if (file == nullptr) continue;
    KVARTS_ASSIGN_OR_RETURN(const bool settled,
                            LookInTable(*file, tables, key, hash, at, no_wait, for_stamp, found));
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
  return std::make_unique<RunIterator>(std::move(files), tables, use_cache);
}

absl::StatusOr<Scan> NewScan(const Sources& sources, TableCache* tables, absl::string_view begin,
                             absl::string_view end) {
  Scan scan;
  std::vector<std::unique_ptr<Iterator>> children;
  const auto add = [&](const std::shared_ptr<Memtable>& memtable) {
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
