#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "base/thread.h"
#include "storage/sstable/engine.h"

namespace kvarts::sstable {
namespace {

// More numbers than one opening can use up between two edits.
constexpr Sequence kNumbersAnOpening = uint64_t{1} << 32;

size_t MemtableBytes(const SstableOptions& options) {
  if (options.memtable_bytes != 0) return options.memtable_bytes;
  return std::clamp<size_t>(options.memory / 8, 64 << 10, 64 << 20);
}

size_t CacheBytes(const SstableOptions& options) {
  return options.cache != 0 ? options.cache : options.memory / 8 * 5;
}

}  // namespace

std::optional<uint64_t> NumberOf(absl::string_view name, absl::string_view suffix) {
  uint64_t number = 0;
  if (!absl::ConsumeSuffix(&name, suffix) || !absl::SimpleAtoi(name, &number)) return std::nullopt;
  return number;
}

// Deletes files of tables when the last reader lets go of them, which may be after the store was
// closed. Thread-safe.
class Engine::Remover final : public TableRemover {
 public:
  Remover(FileSystem* fs, std::string dir, std::weak_ptr<ReadCore> core)
      : fs_(fs), dir_(std::move(dir)), core_(std::move(core)) {}

  void RemoveTable(uint64_t number) override {
    if (const auto core = core_.lock(); core != nullptr) {
      TableInfo info;
      info.number = number;
      core->tables()->Forget(info);
    }
    // What cannot be deleted now is an orphan of the next opening.
    fs_->Delete(TablePath(dir_, number)).IgnoreError();
  }

 private:
  FileSystem* const fs_;
  const std::string dir_;
  const std::weak_ptr<ReadCore> core_;
};

Engine::Engine(std::string dir, const SstableOptions& options)
    : dir_(std::move(dir)),
      options_(options),
      memtable_bytes_(MemtableBytes(options)),
      inline_(!options.threads || options.read_only),
      level1_bytes_(options.level1_bytes != 0 ? options.level1_bytes
                                              : std::max<uint64_t>(4 * memtable_bytes_, 16 << 20)),
      core_(std::make_shared<ReadCore>(options, dir_, CacheBytes(options))),
      remover_(std::make_shared<Remover>(options.fs, dir_, core_)),
      reserve_(options.fs, dir_, memtable_bytes_ + memtable_bytes_ / 4 + (1 << 20)),
      logs_(options.fs, dir_),
      queue_([this](absl::Span<Commit* const> group) { CommitGroup(group); }) {}

absl::StatusOr<std::unique_ptr<Engine>> Engine::Open(const std::string& dir,
                                                     const SstableOptions& options) {
  std::unique_ptr<Engine> engine;
  for (const bool last : {false, true}) {
    engine = nullptr;  // lets go of the directory
    engine.reset(new Engine(dir, options));
    absl::Status status = engine->OpenDirectory();
    if (status.ok()) status = engine->Recover();
    if (status.ok()) break;
    // What the reserve is for, too. That of a store which is another process's is not touched.
    if (last || options.read_only || engine->lock_ == nullptr || !DiskReserve::IsNoSpace(status) ||
        !engine->reserve_.Spend(0)) {
      return status;
    }
  }
  engine->writable_ = !options.read_only;
  if (engine->writable_) engine->reserve_.Open();
  if (!engine->inline_) {
    const bool begins = !engine->begun_;
    KVARTS_RETURN_IF_ERROR(engine->StartThreads());
    if (begins) engine->BeginInBackground();
  }
  return engine;
}

absl::Status Engine::LockDirectory() {
  const std::string path = JoinPath(dir_, "LOCK");
  absl::StatusOr<std::unique_ptr<FileLock>> lock = options_.fs->Lock(path);
  if (lock.ok()) {
    lock_ = *std::move(lock);
    // Who comes second is told by it; it does no harm where it cannot be written.
    auto owner = options_.fs->OpenForWrite(JoinPath(dir_, "OWNER"), FileSystem::Create::kTruncate);
    if (owner.ok()) (*owner)->Append(absl::StrCat(getpid(), "\n")).IgnoreError();
    return absl::OkStatus();
  }
  if (options_.read_only && absl::IsPermissionDenied(lock.status())) return absl::OkStatus();
  if (!absl::IsFailedPrecondition(lock.status())) return lock.status();
  const absl::StatusOr<std::string> owner = ReadFile(options_.fs, JoinPath(dir_, "OWNER"));
  const absl::string_view pid = owner.ok() ? absl::StripSuffix(*owner, "\n") : absl::string_view();
  return absl::FailedPreconditionError(absl::StrCat(
      dir_, ": the store is open already", pid.empty() ? "" : absl::StrCat(", in process ", pid)));
}

absl::Status Engine::OpenDirectory() {
  FileSystem* const fs = options_.fs;
  const absl::StatusOr<FileInfo> info = fs->Stat(dir_);
  if (!info.ok() && !absl::IsNotFound(info.status())) return info.status();
  if (info.ok() && info->type != FileInfo::Type::kDirectory) {
    return absl::FailedPreconditionError(absl::StrCat(dir_, ": not a directory"));
  }
  const bool may_create = options_.create != SstableOptions::Create::kNever && !options_.read_only;
  const auto no_store = [&] {
    return absl::NotFoundError(absl::StrCat(dir_, ": there is no store"));
  };
  if (!info.ok()) {
    if (!may_create) return no_store();
    KVARTS_RETURN_IF_ERROR(fs->CreateDir(dir_));
    KVARTS_RETURN_IF_ERROR(fs->SyncDir(DirName(dir_)));
  }
  KVARTS_ASSIGN_OR_RETURN(bool exists, Manifest::Exists(fs, dir_));
  if (!exists && !may_create) return no_store();
  if (!exists) {
    KVARTS_ASSIGN_OR_RETURN(const auto names, fs->List(dir_));
    for (const std::string& name : names) {
      // What is left of an opening that was cut short before there was a store.
      if (name == "LOCK" || name == "OWNER" || name == "RESERVE" ||
          absl::StartsWith(name, "MANIFEST-") || name == "CURRENT.tmp") {
        continue;
      }
      if (NumberOf(name, ".tbl").has_value() || NumberOf(name, ".log").has_value()) {
        return absl::DataLossError(
            absl::StrCat(JoinPath(dir_, "CURRENT"), ": is gone, but ", name, " is there"));
      }
      return absl::FailedPreconditionError(
          absl::StrCat(dir_, ": not a store, and not empty: it holds ", name));
    }
  }
  KVARTS_RETURN_IF_ERROR(LockDirectory());
  KVARTS_ASSIGN_OR_RETURN(exists, Manifest::Exists(fs, dir_));  // maybe while it was not locked
  if (exists && options_.create == SstableOptions::Create::kNew) {
    return absl::AlreadyExistsError(absl::StrCat(dir_, ": there is a store already"));
  }
  MutexLock lock(&manifest_mu_);
  if (exists) {
    KVARTS_ASSIGN_OR_RETURN(manifest_, Manifest::Load(fs, dir_, remover_));
  } else {
    KVARTS_ASSIGN_OR_RETURN(manifest_, Manifest::Create(fs, dir_, remover_));
  }
  return absl::OkStatus();
}

absl::Status Engine::Recover() {
  FileSystem* const fs = options_.fs;
  MutexLock lock(&manifest_mu_);
  const ManifestState& state = manifest_->state();
  KVARTS_ASSIGN_OR_RETURN(const auto names, fs->List(dir_));
  std::vector<uint64_t> logs;
  std::set<uint64_t> tables;
  for (const std::string& name : names) {
    const auto log = NumberOf(name, ".log");
    const auto table = NumberOf(name, ".tbl");
    if (log.has_value() && state.log_number != 0 && *log >= state.log_number) logs.push_back(*log);
    if (table.has_value()) tables.insert(*table);
    manifest_->SkipNumbersTo(std::max(log.value_or(0), table.value_or(0)));
    absl::string_view rest = name;
    uint64_t number = 0;
    if (absl::ConsumePrefix(&rest, "MANIFEST-") && absl::SimpleAtoi(rest, &number)) {
      manifest_->SkipNumbersTo(number);
    }
  }
  std::sort(logs.begin(), logs.end());
  // Before anything is deleted for not being named: a manifest that names what is not there may
  // itself be what is wrong.
  for (int level = 0; level < kLevels; ++level) {
    for (const TableFilePtr& file : state.version->level(level)) {
      if (tables.count(file->info().number) == 0) {
        return absl::DataLossError(absl::StrCat(TablePath(dir_, file->info().number),
                                                ": the table is gone, which the manifest names"));
      }
    }
  }
  Sequence last = state.ceiling;
  bool replayed_any = false;
  std::vector<std::shared_ptr<Memtable>> frozen;  // the newest first; without an engine to write
  auto memtable = std::make_shared<Memtable>(0, memtable_bytes_);
  VersionEdit edit;
  // Tables are made at once, so that a log of any length is read within the memory of one
  // memtable; no manifest has them before all logs are read.
  const auto flush = [&]() -> absl::Status {
    if (memtable->empty()) return absl::OkStatus();
    if (options_.read_only) {
      frozen.insert(frozen.begin(), memtable);
    } else {
      MergeJob job;
      job.input = memtable->NewIterator();
      AppendRanges(*memtable->ranges(), &job.ranges);
      job.is_bottom = [](absl::string_view, absl::string_view) { return false; };
      job.new_number = [this] { return NewNumber(); };
      job.table = TableOptionsFor(0);
      job.table_bytes = options_.table_bytes;
      const uint64_t run = NewNumber();
      KVARTS_ASSIGN_OR_RETURN(const MergeResult result, Merge(std::move(job), core_->tables()));
      for (const auto& [bucket, sequence] : result.floors) {
        edit.floors[bucket] = std::max(edit.floors[bucket], sequence);
      }
      for (const TableInfo& info : result.tables) {
        edit.added.push_back({0, std::make_shared<TableFile>(info, run, remover_)});
      }
    }
    memtable = std::make_shared<Memtable>(0, memtable_bytes_);
    return absl::OkStatus();
  };
  if (state.log_number != 0) {
    const absl::StatusOr<Sequence> replayed =
        ReplayLogs(fs, dir_, state.log_number, state.log_first_sequence, logs,
                   [&](absl::Span<const Entry> batch) -> absl::Status {
                     memtable->Add(batch);
                     return memtable->memory_bytes() >= memtable_bytes_ ||
                                    memtable->range_count() >= kMaxMemtableRanges
                                ? flush()
                                : absl::OkStatus();
                   });
    if (!replayed.ok()) {
      for (const auto& added : edit.added) added.file->SetObsolete();
      return replayed.status();
    }
    last = std::max(last, *replayed);
    replayed_any = *replayed >= state.log_first_sequence;
  }
  if (options_.read_only) {
    core_->SetVisible(last);
    core_->Update([&, version = manifest_->state().version](Sources* sources) {
      *sources = {memtable, frozen, version};
    });
    return absl::OkStatus();
  }
  KVARTS_RETURN_IF_ERROR(flush());
  if (!edit.added.empty()) KVARTS_RETURN_IF_ERROR(fs->SyncDir(dir_));
  applied_ = last;
  // After a close there is nothing to write before somebody writes: no sync is waited for.
  const bool was_closed =
      manifest_->is_durable() && !replayed_any && logs.size() == (state.log_number == 0 ? 0 : 1);
  if (!was_closed) KVARTS_RETURN_IF_ERROR(Begin(std::move(edit)));
  core_->SetFloors(state.floors);
  // The log of a memtable counts when an older one is flushed, and no other is older than this.
  memtable_ = std::make_shared<Memtable>(0, memtable_bytes_);
  core_->SetVisible(applied_);
  core_->Update([&, version = manifest_->state().version](Sources* sources) {
    *sources = {memtable_, {}, version};
  });
  return DeleteOrphans();
}

absl::Status Engine::Begin(VersionEdit edit) {
  // No number of an earlier opening comes again, also not of one that was lost.
  edit.ceiling = applied_ + kNumbersAnOpening;
  if (options_.log) {
    edit.log_number = manifest_->NewNumber();
    edit.log_first_sequence = applied_ + 1;
    KVARTS_RETURN_IF_ERROR(logs_.Begin(edit.log_number, edit.log_first_sequence));
  } else {
    edit.no_log = true;
  }
  KVARTS_RETURN_IF_ERROR(manifest_->Apply(edit));
  begun_ = true;
  return absl::OkStatus();
}

// After the manifest is durable, and not before: what it does not name, nobody needs.
absl::Status Engine::DeleteOrphans() {
  const uint64_t first_log = manifest_->state().log_number;
  std::set<uint64_t> tables;
  const Version& version = *manifest_->state().version;
  for (int level = 0; level < kLevels; ++level) {
    for (const TableFilePtr& file : version.level(level)) tables.insert(file->info().number);
  }
  KVARTS_ASSIGN_OR_RETURN(const auto names, options_.fs->List(dir_));
  for (const std::string& name : names) {
    const auto table = NumberOf(name, ".tbl");
    const auto log = NumberOf(name, ".log");
    absl::string_view rest = name;
    uint64_t number = 0;
    const bool manifest =
        absl::ConsumePrefix(&rest, "MANIFEST-") && absl::SimpleAtoi(rest, &number);
    if ((table.has_value() && tables.count(*table) == 0) ||
        (log.has_value() && (*log < first_log || first_log == 0)) ||
        (manifest && number != manifest_->number()) || absl::EndsWith(name, ".tmp")) {
      options_.fs->Delete(JoinPath(dir_, name)).IgnoreError();
    }
  }
  return absl::OkStatus();
}

absl::Status Engine::StartThreads() {
  KVARTS_RETURN_IF_ERROR(queue_.StartThread());
  KVARTS_ASSIGN_OR_RETURN(flush_thread_, StartThread([this] { FlushLoop(); }));
  KVARTS_ASSIGN_OR_RETURN(compact_thread_, StartThread([this] { CompactLoop(); }));
  core_->SetOnDeadRun([this] { NoteDeadRun(); });
  return absl::OkStatus();
}

Engine::~Engine() { Close().IgnoreError(); }

absl::Status Engine::Close() {
  core_->SetOnDeadRun(nullptr);
  queue_.Stop();
  closed_ = true;  // what comes behind the last commit below would be in no directory of ours
  {
    MutexLock lock(&work_mu_);
    stopping_ = true;
  }
  cancelled_ = true;
  work_.SignalAll();
  progress_.SignalAll();
  if (flush_thread_.joinable()) flush_thread_.join();
  // Whoever still waits for room makes it: the other thread too, which may commit a promise.
  inline_ = true;
  if (compact_thread_.joinable()) compact_thread_.join();
  // What another thread compacts or ingests ends before the directory is free; none begins any
  // more.
  { MutexLock lock(&compaction_mu_); }
  { MutexLock lock(&ingest_mu_); }
  if (!writable_ || poisoned_) {
    lock_ = nullptr;
    return absl::OkStatus();
  }
  // What was written without a sync outlives the power cut after a close, too. From the log the
  // next opening has it; a flush makes that quick.
  Commit commit;
  commit.sync = true;
  commit.freeze = true;
  queue_.Call(&commit);
  absl::Status status = commit.status;
  while (status.ok()) {
    const absl::StatusOr<bool> flushed = FlushOne();
    if (!flushed.ok()) {
      if (!options_.log) status = flushed.status();  // else the log has it
      break;
    }
    if (!*flushed) break;
  }
  if (status.ok()) lock_ = nullptr;
  return status;
}

}  // namespace kvarts::sstable
