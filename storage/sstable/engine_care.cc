#include <algorithm>
#include <map>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "storage/sstable/engine.h"
#include "storage/sstable/index_snapshot.h"

namespace kvarts::sstable {
namespace {

template <typename Visit>
absl::Status EachTable(const Version& version, const Visit& visit) {
  for (int level = 0; level < kLevels; ++level) {
    for (const TableFilePtr& file : version.level(level)) {
      KVARTS_RETURN_IF_ERROR(visit(level, *file));
    }
  }
  return absl::OkStatus();
}

// The bytes of a store's files but those of these tables: of its logs and manifest, and of tables
// that are being written, or that only readers still have. A file that cannot be looked at is not
// counted: it may just have been deleted.
uint64_t BytesOfOtherFiles(FileSystem* fs, const std::string& dir,
                           const absl::flat_hash_set<uint64_t>& tables) {
  uint64_t bytes = 0;
  const auto names = fs->List(dir);
  if (!names.ok()) return bytes;
  for (const std::string& name : *names) {
    const auto table = NumberOf(name, ".tbl");
    const bool counts = table.has_value()
                            ? !tables.contains(*table)
                            : NumberOf(name, ".log").has_value() ||
                                  absl::StartsWith(name, "MANIFEST-") || name == "CURRENT";
    if (!counts) continue;
    if (const auto info = fs->Stat(JoinPath(dir, name)); info.ok()) bytes += info->size;
  }
  return bytes;
}

// Makes `dir` durably where it is missing.
absl::Status EnsureDir(FileSystem* fs, const std::string& dir) {
  const absl::Status made = fs->CreateDir(dir);
  if (absl::IsAlreadyExists(made)) return absl::OkStatus();
  KVARTS_RETURN_IF_ERROR(made);
  return fs->SyncDir(DirName(dir));
}

// Where a snapshot of the index named so lies. A name of no slash may come from afar, where nobody
// chooses a directory of the server's machine.
absl::StatusOr<std::string> IndexSnapshotPath(const std::string& checkpoints,
                                              absl::string_view name) {
  if (name.empty()) {
    return absl::InvalidArgumentError("expected a name for the snapshot of the index");
  }
  const bool is_bare = name.find('/') == absl::string_view::npos;
  return is_bare && !checkpoints.empty() ? JoinPath(checkpoints, name) : std::string(name);
}

// Nothing but an older snapshot is overwritten by one: who names it from afar, or by mistake, does
// not see what is there.
absl::Status CheckMayBecomeIndexSnapshot(FileSystem* fs, const std::string& path) {
  const absl::StatusOr<FileInfo> info = fs->Stat(path);
  if (absl::IsNotFound(info.status())) return absl::OkStatus();
  KVARTS_RETURN_IF_ERROR(info.status());
  if (info->type == FileInfo::Type::kFile) {
    if (info->size == 0) return absl::OkStatus();
    KVARTS_ASSIGN_OR_RETURN(const bool is_snapshot, IsIndexSnapshot(fs, path));
    if (is_snapshot) return absl::OkStatus();
  }
  return absl::AlreadyExistsError(
      absl::StrCat(path, ": is there, and is no snapshot of an index that could be replaced"));
}

}  // namespace

absl::StatusOr<uint64_t> Engine::ApproximateBytes(const KeyRange& range) {
  const ReadCore::Now now = core_->Take();
  uint64_t bytes = 0;
  if (range.empty()) return bytes;
  KVARTS_RETURN_IF_ERROR(EachTable(*now.sources->version, [&](int, const TableFile& file) {
    if (!file.info().Overlaps(range.begin, range.end)) return absl::OkStatus();
    const auto table = core_->tables()->Open(file.info(), false);
    if (table.ok()) bytes += (*table)->ApproximateBytes(range.begin, range.end);
    return table.status();
  }));
  return bytes;
}

absl::StatusOr<Maintenance::VerifyReport> Engine::Verify() {
  const ReadCore::Now now = core_->Take();
  KVARTS_RETURN_IF_ERROR(now.sources->version->Check());
  Maintenance::VerifyReport report;
  KVARTS_RETURN_IF_ERROR(EachTable(*now.sources->version, [&](int, const TableFile& file) {
    // It is read from the disk, whatever the cache has.
    KVARTS_ASSIGN_OR_RETURN(
        const auto table, Table::Open(options_.fs, dir_, file.info(), core_->tables()->counters()));
    KVARTS_RETURN_IF_ERROR(Table::Verify(table, core_->tables()->counters()));
    ++report.files;
    report.bytes += file.info().size;
    report.entries += file.info().entries + file.info().ranges;
    return absl::OkStatus();
  }));
  return report;
}

absl::StatusOr<std::string> Engine::Checkpoint(absl::string_view name) {
  FileSystem* const fs = options_.fs;
  const std::string text =
      name.empty() ? absl::FormatTime("%Y%m%d-%H%M%E3S", options_.clock->Now(), absl::UTCTimeZone())
                   : std::string(name);
  const bool is_bare = text.find('/') == std::string::npos;
  std::string parent = options_.checkpoints;
  if (is_bare && parent.empty()) parent = absl::StrCat(dir_, ".checkpoints");
  const std::string path =
      is_bare && (name.empty() || !options_.checkpoints.empty()) ? JoinPath(parent, text) : text;
  if (text == "." || text == "..") {
    return absl::InvalidArgumentError(absl::StrCat("a checkpoint named \"", text, "\""));
  }
  KVARTS_RETURN_IF_ERROR(Flush());
  ManifestState state;
  {
    MutexLock lock(&manifest_mu_);
    state = manifest_->state();
  }
  // Its tables stay as long as `state` lives; links to them are the checkpoint's own.
  state.log_number = 0;
  state.log_first_sequence = 0;
  if (path == JoinPath(parent, text) && !parent.empty()) {
    KVARTS_RETURN_IF_ERROR(EnsureDir(fs, parent));
  }
  KVARTS_RETURN_IF_ERROR(fs->CreateDir(path));
  const auto fill = [&]() -> absl::Status {
    KVARTS_RETURN_IF_ERROR(EachTable(*state.version, [&](int, const TableFile& file) {
      return fs->Link(TablePath(dir_, file.info().number), TablePath(path, file.info().number));
    }));
    KVARTS_RETURN_IF_ERROR(fs->SyncDir(path));
    // Last: before there is a CURRENT it is no store.
    KVARTS_RETURN_IF_ERROR(Manifest::WriteCheckpoint(fs, path, state));
    return fs->SyncDir(DirName(path));
  };
  absl::Status status = fill();
  if (status.ok()) return path;
  if (const auto names = fs->List(path); names.ok()) {
    for (const std::string& file : *names) fs->Delete(JoinPath(path, file)).IgnoreError();
  }
  fs->DeleteDir(path).IgnoreError();
  return status;
}

absl::StatusOr<Maintenance::IndexReport> Engine::LoadIndex() {
  const ReadCore::Now now = core_->Take();
  Maintenance::IndexReport report;
  KVARTS_RETURN_IF_ERROR(EachTable(*now.sources->version, [&](int, const TableFile& file) {
    core_->tables()->Forget(file.info());
    KVARTS_ASSIGN_OR_RETURN(const auto table, core_->tables()->Open(file.info(), false));
    ++report.tables;
    report.keys += file.info().entries;
    report.bytes += table->memory_bytes();
    return absl::OkStatus();
  }));
  return report;
}

absl::StatusOr<Maintenance::IndexReport> Engine::SaveIndexSnapshot(absl::string_view name) {
  KVARTS_ASSIGN_OR_RETURN(const std::string path, IndexSnapshotPath(options_.checkpoints, name));
  if (path != name) KVARTS_RETURN_IF_ERROR(EnsureDir(options_.fs, options_.checkpoints));
  KVARTS_RETURN_IF_ERROR(CheckMayBecomeIndexSnapshot(options_.fs, path));
  KVARTS_RETURN_IF_ERROR(Flush());
  const ReadCore::Now now = core_->Take();
  Maintenance::IndexReport report;
  std::string out = BeginIndexSnapshot(now.sources->version->tables());
  KVARTS_RETURN_IF_ERROR(EachTable(*now.sources->version, [&](int, const TableFile& file) {
    const TableInfo& info = file.info();
    KVARTS_ASSIGN_OR_RETURN(const auto table, core_->tables()->Open(info, false));
    AppendTableIndex(&out, {info.number, info.size, info.id, table->raw_meta()});
    ++report.tables;
    report.keys += info.entries;
    report.bytes += table->memory_bytes();
    return absl::OkStatus();
  }));
  KVARTS_RETURN_IF_ERROR(WriteFileAtomically(options_.fs, path, out));
  return report;
}

absl::StatusOr<Maintenance::IndexReport> Engine::LoadIndexSnapshot(absl::string_view name) {
  KVARTS_ASSIGN_OR_RETURN(const std::string path, IndexSnapshotPath(options_.checkpoints, name));
  KVARTS_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(options_.fs, path));
  KVARTS_ASSIGN_OR_RETURN(const auto indexes, ParseIndexSnapshot(path, bytes));
  const ReadCore::Now now = core_->Take();
  std::map<uint64_t, const TableFile*> there;
  KVARTS_RETURN_IF_ERROR(EachTable(*now.sources->version, [&](int, const TableFile& file) {
    there[file.info().number] = &file;
    return absl::OkStatus();
  }));
  std::map<uint64_t, absl::string_view> saved;
  for (const TableIndex& index : indexes) {
    const auto it = there.find(index.number);
    const std::string table = TablePath(dir_, index.number);
    if (it == there.end()) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": it has the index of ", table, ", which is gone"));
    }
    if (it->second->info().id != index.id || it->second->info().size != index.size) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": ", table, " is another than it was"));
    }
    saved[index.number] = index.meta;
  }
  Maintenance::IndexReport report;
  for (const auto& [number, file] : there) {
    if (const auto it = saved.find(number); it != saved.end()) {
      KVARTS_RETURN_IF_ERROR(core_->tables()->Put(file->info(), std::string(it->second)));
      ++report.from_file;
    }
    KVARTS_ASSIGN_OR_RETURN(const auto table, core_->tables()->Open(file->info(), false));
    ++report.tables;
    report.keys += file->info().entries;
    report.bytes += table->memory_bytes();
  }
  return report;
}

StoreStats Engine::Stats() {
  const ReadCore::Now now = core_->Take();
  const Version& version = *now.sources->version;
  StoreStats stats;
  const auto add = [&](absl::string_view name, uint64_t value) {
    stats.details.emplace_back(std::string(name), absl::StrCat(value));
  };
  uint64_t memtable_bytes = now.sources->memtable->memory_bytes();
  uint64_t entries = now.sources->memtable->entries();
  for (const auto& memtable : now.sources->frozen) {
    memtable_bytes += memtable->memory_bytes();
    entries += memtable->entries();
  }
  uint64_t deletions = 0;
  absl::flat_hash_set<uint64_t> tables;
  EachTable(version, [&](int, const TableFile& file) {
    tables.insert(file.info().number);
    entries += file.info().entries;
    deletions += file.info().deletions;
    stats.disk_bytes += file.info().size;
    return absl::OkStatus();
  }).IgnoreError();
  stats.disk_bytes += BytesOfOtherFiles(options_.fs, dir_, tables);
  // Overwritten versions are counted until they are compacted.
  stats.entries = entries - std::min(entries, 2 * deletions);
  BlockCache& cache = *core_->tables()->cache();
  stats.memory_bytes = memtable_bytes + cache.used();
  for (int level = 0; level < kLevels; ++level) {
    if (version.level(level).empty()) continue;
    add(absl::StrCat("level_", level, "_tables"), version.level(level).size());
    add(absl::StrCat("level_", level, "_bytes"), version.LevelBytes(level));
  }
  add("level_0_runs", version.runs_on_level_0());
  add("memtable_bytes", memtable_bytes);
  add("frozen_memtables", now.sources->frozen.size());
  add("cache_bytes", cache.used());
  add("cache_capacity", cache.capacity());
  add("cache_hits", cache.hits());
  add("cache_misses", cache.misses());
  const ReadCounters& reads = *core_->tables()->counters();
  add("index_reads", reads.index_reads.load());
  add("block_reads", reads.block_reads.load());
  add("read_bytes", reads.read_bytes.load());
  add("filter_skips", reads.filter_skips.load());
  add("writes", writes_.load());
  add("write_groups", groups_.load());
  add("log_syncs", syncs_.load());
  add("user_bytes", user_bytes_.load());
  add("log_bytes", log_bytes_.load());
  add("flushed_bytes", table_bytes_.load());
  add("compacted_bytes", compacted_bytes_.load());
  if (const uint64_t user = user_bytes_.load(); user > 0) {
    stats.details.emplace_back(
        "write_amplification",
        absl::StrFormat("%.2f", static_cast<double>(log_bytes_ + table_bytes_ + compacted_bytes_) /
                                    static_cast<double>(user)));
  }
  add("clock_steps", core_->clock_steps());
  add("disk_reserve_bytes", reserve_.held_bytes());
  add("disk_full", reserve_.is_spent() ? 1 : 0);
  add("flushes", flushes_.load());
  add("compactions", compactions_.load());
  add("moved_tables", moved_tables_.load());
  add("dropped_tables", dropped_tables_.load());
  add("dead_runs", dead_runs_.load());
  add("open_tables", core_->tables()->files().open());
  add("shrunk_tables", shrunk_.load());
  add("ingested_tables", ingested_tables_.load());
  add("ingest_commit_us", ingest_commit_us_.load());
  add("memtable_waits", memtable_waits_.load());
  add("memtable_wait_us", memtable_wait_us_.load());
  add("debt_waits", debt_waits_.load());
  add("debt_wait_us", debt_wait_us_.load());
  add("snapshots", core_->Pinned().size());
  add("visible_sequence", now.visible);
  MutexLock lock(&work_mu_);
  if (poisoned_) {
    stats.save_error = std::string(PoisonError().message());
  } else if (!flush_error_.ok()) {
    stats.save_error = std::string(flush_error_.message());
  } else if (!compact_error_.ok()) {
    stats.save_error = std::string(compact_error_.message());
  }
  return stats;
}

}  // namespace kvarts::sstable
