#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "base/status_macros.h"
#include "storage/sstable/engine.h"

namespace kvarts::sstable {
namespace {

constexpr absl::string_view kIndexMagic = "kvartidx";
constexpr uint32_t kIndexVersion = 1;

template <typename Visit>
absl::Status EachTable(const Version& version, const Visit& visit) {
  for (int level = 0; level < kLevels; ++level) {
    for (const TableFilePtr& file : version.level(level)) {
      KVARTS_RETURN_IF_ERROR(visit(level, *file));
    }
  }
  return absl::OkStatus();
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
    // From the disk, whatever the cache has.
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
    const absl::Status made = fs->CreateDir(parent);
    if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
    if (made.ok()) KVARTS_RETURN_IF_ERROR(fs->SyncDir(DirName(parent)));
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

// magic 8, version 4, zero 4, tables 8; for each: number 8, size 8, id 8, size of the index 8, the
// index, checksum of these 8.
absl::StatusOr<Maintenance::IndexReport> Engine::SaveIndexSnapshot(absl::string_view path) {
  KVARTS_RETURN_IF_ERROR(Flush());
  const ReadCore::Now now = core_->Take();
  Maintenance::IndexReport report;
  std::string out(kIndexMagic);
  AppendLE32(&out, kIndexVersion);
  AppendLE32(&out, 0);
  AppendLE64(&out, now.sources->version->tables());
  AppendLE64(&out, Checksum(out));
  KVARTS_RETURN_IF_ERROR(EachTable(*now.sources->version, [&](int, const TableFile& file) {
    KVARTS_ASSIGN_OR_RETURN(const auto table, core_->tables()->Open(file.info(), false));
    const size_t start = out.size();
    AppendLE64(&out, file.info().number);
    AppendLE64(&out, file.info().size);
    AppendLE64(&out, file.info().id);
    AppendLE64(&out, table->raw_meta().size());
    out += table->raw_meta();
    AppendLE64(&out, Checksum(absl::string_view(out).substr(start), start));
    ++report.tables;
    report.keys += file.info().entries;
    report.bytes += table->memory_bytes();
    return absl::OkStatus();
  }));
  KVARTS_RETURN_IF_ERROR(WriteFileAtomically(options_.fs, path, out));
  return report;
}

absl::StatusOr<Maintenance::IndexReport> Engine::LoadIndexSnapshot(absl::string_view path) {
  KVARTS_ASSIGN_OR_RETURN(const std::string text, ReadFile(options_.fs, path));
  const auto damage = [&](uint64_t offset, absl::string_view what) {
    return absl::DataLossError(absl::StrCat(path, ": ", what, " at offset ", offset));
  };
  if (text.size() < 32 || absl::string_view(text).substr(0, 8) != kIndexMagic) {
    return damage(0, "no snapshot of an index");
  }
  if (LoadLE64(text.data() + 24) != Checksum(absl::string_view(text).substr(0, 24))) {
    return damage(0, "a damaged header");
  }
  if (const uint32_t version = LoadLE32(text.data() + 8); version != kIndexVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, ": version ", version, " of the format; this program reads version ", kIndexVersion));
  }
  struct Saved {
    uint64_t size;
    uint64_t id;
    absl::string_view meta;
  };
  std::map<uint64_t, Saved> saved;
  const uint64_t count = LoadLE64(text.data() + 16);
  uint64_t at = 32;
  for (uint64_t i = 0; i < count; ++i) {
    if (text.size() - at < 40) return damage(text.size(), "the file ends");
    const uint64_t meta = LoadLE64(text.data() + at + 24);
    if (meta > text.size() - at - 40) return damage(at, "a damaged index");
    const absl::string_view bytes = absl::string_view(text).substr(at, 32 + meta);
    if (LoadLE64(bytes.data() + bytes.size()) != Checksum(bytes, at)) {
      return damage(at, "a damaged index");
    }
    saved[LoadLE64(bytes.data())] = {LoadLE64(bytes.data() + 8), LoadLE64(bytes.data() + 16),
                                     bytes.substr(32)};
    at += bytes.size() + 8;
  }
  if (at != text.size()) return damage(at, "bytes behind the end");
  const ReadCore::Now now = core_->Take();
  std::map<uint64_t, const TableFile*> there;
  KVARTS_RETURN_IF_ERROR(EachTable(*now.sources->version, [&](int, const TableFile& file) {
    there[file.info().number] = &file;
    return absl::OkStatus();
  }));
  for (const auto& [number, entry] : saved) {
    const auto it = there.find(number);
    const std::string table = TablePath(dir_, number);
    if (it == there.end()) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": it has the index of ", table, ", which is gone"));
    }
    if (it->second->info().id != entry.id || it->second->info().size != entry.size) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": ", table, " is another than it was"));
    }
  }
  Maintenance::IndexReport report;
  for (const auto& [number, file] : there) {
    if (const auto it = saved.find(number); it != saved.end()) {
      KVARTS_RETURN_IF_ERROR(core_->tables()->Put(file->info(), std::string(it->second.meta)));
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
  EachTable(version, [&](int, const TableFile& file) {
    entries += file.info().entries;
    deletions += file.info().deletions;
    stats.disk_bytes += file.info().size;
    return absl::OkStatus();
  }).IgnoreError();
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
  add("flushes", flushes_.load());
  add("compactions", compactions_.load());
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
