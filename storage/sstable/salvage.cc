#include "storage/sstable/salvage.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "storage/sstable/engine.h"
#include "storage/sstable/iterator.h"
#include "storage/sstable/log_set.h"
#include "storage/sstable/manifest.h"
#include "storage/sstable/memtable.h"
#include "storage/sstable/merge.h"
#include "storage/sstable/range_tombstones.h"
#include "storage/sstable/table.h"
#include "storage/sstable/two_level_iterator.h"

namespace kvarts::sstable {
namespace {

constexpr size_t kBatchBytes = size_t{1} << 20;

// Stands where something cannot be read, so that what follows it can.
class Nothing final : public Iterator {
 public:
  void Seek(absl::string_view, Trailer) override {}
  void SeekBefore(absl::string_view, Trailer) override {}
  void SeekToLast() override {}
  void Next() override {}
  void Prev() override {}
};

using Losses = std::vector<std::string>;

std::string Between(absl::string_view begin, absl::string_view end) {
  return absl::StrCat("; keys from \"", absl::CHexEscape(begin), "\" to \"", absl::CHexEscape(end),
                      "\"");
}

// Not thread-safe. The blocks of a table that can be read, for TwoLevelIterator: all of them, from
// the first on.
class ReadableBlocks {
 public:
  ReadableBlocks(std::shared_ptr<const Table> table, ReadCounters* counters, Losses* losses)
      : table_(std::move(table)), counters_(counters), losses_(losses) {}

  size_t size() const { return table_->blocks(); }
  size_t Find(absl::string_view) const { return 0; }
  size_t FindBefore(absl::string_view) const { return 0; }
  absl::StatusOr<std::unique_ptr<Iterator>> Open(size_t i) {
    auto block = table_->OpenBlock(i, counters_);
    if (block.ok()) return block;
    losses_->push_back(
        absl::StrCat(block.status().message(),
                     Between(table_->BlockBegin(i),
                             i + 1 < size() ? table_->BlockBegin(i + 1) : table_->info().largest)));
    return std::make_unique<Nothing>();
  }
  absl::Status Error(size_t, absl::Status status) const { return status; }

 private:
  std::shared_ptr<const Table> table_;
  ReadCounters* counters_;
  Losses* losses_;
};

// Not thread-safe. The tables of a run, which follow each other, each open while it is read.
class ReadableTables {
 public:
  ReadableTables(FileSystem* fs, std::string dir, std::vector<TableInfo> tables,
                 ReadCounters* counters, Losses* losses)
      : fs_(fs),
        dir_(std::move(dir)),
        tables_(std::move(tables)),
        counters_(counters),
        losses_(losses) {}

  size_t size() const { return tables_.size(); }
  size_t Find(absl::string_view) const { return 0; }
  size_t FindBefore(absl::string_view) const { return 0; }
  absl::StatusOr<std::unique_ptr<Iterator>> Open(size_t i) {
    auto table = Table::Open(fs_, dir_, tables_[i], counters_);
    if (table.ok()) {
      return std::make_unique<TwoLevelIterator<ReadableBlocks>>(
          ReadableBlocks(*std::move(table), counters_, losses_));
    }
    losses_->push_back(
        absl::StrCat(table.status().message(), Between(tables_[i].smallest, tables_[i].largest)));
    return std::make_unique<Nothing>();
  }
  absl::Status Error(size_t, absl::Status status) const { return status; }

 private:
  FileSystem* fs_;
  std::string dir_;
  std::vector<TableInfo> tables_;
  ReadCounters* counters_;
  Losses* losses_;
};

// Not thread-safe.
class Salvager {
 public:
  Salvager(FileSystem* fs, std::string dir, Store* to) : fs_(fs), dir_(std::move(dir)), to_(*to) {}

  absl::StatusOr<SstableSalvage> Run() {
    KVARTS_RETURN_IF_ERROR(FindFiles());
    if (!has_manifest_ && tables_.empty() && logs_.empty() && out_.losses.empty()) {
      return absl::NotFoundError(absl::StrCat(dir_, ": no files of an sstable: store"));
    }
    std::vector<std::unique_ptr<Iterator>> children;
    std::vector<RangeTombstone> ranges;
    OpenTables(&children, &ranges);
    ReadLogs(&children, &ranges);
    const std::unique_ptr<Iterator> entries = NewMergingIterator(std::move(children));
    KVARTS_RETURN_IF_ERROR(Copy(entries.get(), RangeTombstones(ranges)));
    return std::move(out_);
  }

 private:
  void Lose(absl::string_view what) { out_.losses.emplace_back(what); }

  // What the manifest says is there; without it, what is there.
  absl::Status FindFiles() {
    KVARTS_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs_->List(dir_));
    absl::StatusOr<std::unique_ptr<Manifest>> manifest = Manifest::Load(fs_, dir_, nullptr);
    uint64_t first_log = 0;
    has_manifest_ = manifest.ok();
    if (manifest.ok()) {
      const ManifestState& state = (*manifest)->state();
      first_log = state.log_number == 0 ? ~uint64_t{0} : state.log_number;
      for (int level = 0; level < kLevels; ++level) {
        for (const TableFilePtr& file : state.version->level(level)) {
          tables_.push_back(file->info());
        }
      }
    }
    bool any = false;
    for (const std::string& name : names) {
      const auto log = NumberOf(name, ".log");
      const auto table = NumberOf(name, ".tbl");
      any = any || log.has_value() || table.has_value();
      if (log.has_value() && *log >= first_log) logs_.push_back(*log);
      if (!table.has_value() || manifest.ok()) continue;
      absl::StatusOr<TableInfo> info = Table::ReadInfo(fs_, JoinPath(dir_, name));
      if (!info.ok()) {
        Lose(absl::StrCat(info.status().message(), "; all keys of the table"));
        continue;
      }
      info->number = *table;
      tables_.push_back(*std::move(info));
    }
    std::sort(logs_.begin(), logs_.end());
    if (!manifest.ok() && any) {
      Lose(absl::StrCat(manifest.status().message(),
                        "; every table and log of the directory was taken, and what was deleted "
                        "may be there again"));
    }
    return absl::OkStatus();
  }

  // In as few runs as they can be in, so that a merge has few children.
  void OpenTables(std::vector<std::unique_ptr<Iterator>>* children,
                  std::vector<RangeTombstone>* ranges) {
    std::sort(tables_.begin(), tables_.end(),
              [](const TableInfo& a, const TableInfo& b) { return a.smallest < b.smallest; });
    std::vector<std::vector<TableInfo>> runs;
    for (const TableInfo& info : tables_) {
      const auto table = Table::Open(fs_, dir_, info, &counters_);
      if (!table.ok()) {
        Lose(absl::StrCat(table.status().message(), Between(info.smallest, info.largest)));
        continue;
      }
      ++out_.tables;
      AppendRanges(*(*table)->ranges(), ranges);
      const auto run = std::find_if(runs.begin(), runs.end(), [&](const auto& tables) {
        return tables.back().IsPast(info.smallest);
      });
      (run == runs.end() ? runs.emplace_back() : *run).push_back(info);
    }
    for (std::vector<TableInfo>& run : runs) {
      children->push_back(std::make_unique<TwoLevelIterator<ReadableTables>>(
          ReadableTables(fs_, dir_, std::move(run), &counters_, &out_.losses)));
    }
  }

  void ReadLogs(std::vector<std::unique_ptr<Iterator>>* children,
                std::vector<RangeTombstone>* ranges) {
    for (const uint64_t number : logs_) {
      // One for each log: in it sequences go up.
      const auto memtable = std::make_shared<Memtable>(0, kBatchBytes);
      if (const absl::Status status = ReadLog(number, memtable.get()); !status.ok()) {
        Lose(absl::StrCat(status.message(), "; what was written last"));
      }
      AppendRanges(*memtable->ranges(), ranges);
      children->push_back(memtable->NewIterator());
    }
  }
  absl::Status ReadLog(uint64_t number, Memtable* memtable) {
    const std::string path = LogPath(dir_, number);
    KVARTS_ASSIGN_OR_RETURN(
        auto reader, RecordLogReader::Open(fs_, path, RecordLogHeader::Kind::kWriteLog, number));
    ++out_.logs;
    std::vector<Entry> entries;
    while (true) {
      absl::string_view record;
      const absl::StatusOr<bool> more = reader->Next(&record);
      if (more.ok() && *more) {
        if (DecodeLogRecord(record, &entries)) {
          memtable->Add(entries);
        } else {
          Lose(absl::StrCat(path, ": a bad batch at offset ", reader->record_offset()));
        }
        continue;
      }
      if (!more.ok() && !absl::IsDataLoss(more.status())) return more.status();
      if (!more.ok()) {
        Lose(absl::StrCat(more.status().message(), "; what was written there"));
      } else if (reader->has_bad_tail()) {
        Lose(absl::StrCat(path, ": an end as a crash leaves it, at offset ", reader->good_size(),
                          "; of what was written there nothing was known to be synced"));
      }
      if (!reader->SkipBadBytes()) return absl::OkStatus();
    }
  }

  // Writes what lives of each key.
  absl::Status Copy(Iterator* entries, const RangeTombstones& ranges) {
    const int64_t now_ms = absl::ToUnixMillis(absl::Now());
    WriteBatch batch;
    Bytes bytes;
    size_t batch_bytes = 0;
    const auto write = [&]() -> absl::Status {
      if (batch.empty()) return absl::OkStatus();
      WriteOptions options;
      options.sync = false;
      KVARTS_RETURN_IF_ERROR(to_.Write(batch, options, nullptr));
      batch.Clear();
      bytes.Clear();
      batch_bytes = 0;
      return absl::OkStatus();
    };
    std::optional<std::string> last;
    for (entries->SeekToFirst(); entries->valid(); entries->Next()) {
      const Entry& entry = entries->entry();
      ++out_.versions;
      if (last.has_value() && entry.key == *last) continue;  // an older version
      last = std::string(entry.key);
      if (!entry.is_put() || ranges.Covering(entry.key, kMaxSequence) > entry.sequence()) continue;
      int64_t expires_at_ms = 0;
      absl::string_view type;
      absl::string_view value;
      if (!entry.Decode(&expires_at_ms, &type, &value)) {
        Lose(absl::StrCat(dir_, ": an entry that is none", Between(entry.key, entry.key)));
        continue;
      }
      if (expires_at_ms != 0 && expires_at_ms <= now_ms) continue;
      batch.Put(bytes.Copy(entry.key), bytes.Copy(value),
                Metadata::Of(expires_at_ms, bytes.Copy(type)));
      ++out_.keys;
      batch_bytes += entry.key.size() + value.size();
      if (batch_bytes >= kBatchBytes) KVARTS_RETURN_IF_ERROR(write());
    }
    KVARTS_RETURN_IF_ERROR(entries->status());
    KVARTS_RETURN_IF_ERROR(write());
    return to_.Sync();
  }

  FileSystem* const fs_;
  const std::string dir_;
  Store& to_;
  ReadCounters counters_;
  bool has_manifest_ = false;
  std::vector<TableInfo> tables_;
  std::vector<uint64_t> logs_;
  SstableSalvage out_;
};

}  // namespace
}  // namespace kvarts::sstable

namespace kvarts {

absl::StatusOr<SstableSalvage> SalvageSstable(FileSystem* fs, const std::string& dir, Store* to) {
  KVARTS_RETURN_IF_ERROR(fs->Stat(dir).status());
  // A store that is open changes under the reader. Where there is no lock to be had nobody writes.
  const std::string lock_path = JoinPath(dir, "LOCK");
  std::unique_ptr<FileLock> held;
  if (fs->Stat(lock_path).ok()) {
    absl::StatusOr<std::unique_ptr<FileLock>> lock = fs->Lock(lock_path);
    if (absl::IsFailedPrecondition(lock.status())) {
      return absl::FailedPreconditionError(absl::StrCat(dir, ": the store is open"));
    }
    if (lock.ok()) held = *std::move(lock);
  }
  return sstable::Salvager(fs, dir, to).Run();
}

}  // namespace kvarts
