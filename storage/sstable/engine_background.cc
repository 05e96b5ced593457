#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "storage/sstable/engine.h"

namespace kvarts::sstable {
namespace {

// Runs on level 0 from which on it is compacted, and from which on writers are paced.
constexpr size_t kLevel0Runs = 4;
constexpr uint64_t kLevelFactor = 10;
constexpr absl::Duration kRetry = absl::Milliseconds(500);
// How often the memtable is flushed at most since range deletions in it hide all of a table.
constexpr absl::Duration kBetweenRangeDrops = absl::Seconds(1);
// After dead runs were compacted, so many times as long nothing is done about the next ones, and a
// second at the least: who deletes at the front what comes at the back, as from a queue, and looks
// at the front all the time, must not have all compacted all the time.
constexpr int kRestAfterDeadRuns = 10;

// The range from the first key of `files` to behind the last.
void Widen(const std::vector<TableFilePtr>& files, bool* any, std::string* begin,
           std::string* end) {
  for (const TableFilePtr& file : files) {
    const TableInfo& info = file->info();
    const std::string file_end = EndOf(info);
    if (!*any || info.smallest < *begin) *begin = info.smallest;
    if (!*any || EndLess(*end, file_end)) *end = file_end;
    *any = true;
  }
}

// Whether so much has expired of a table that writing it anew is worth it.
bool HasExpired(const TableInfo& info, int64_t now_ms) {
  return info.rewrite_at_ms != 0 && info.rewrite_at_ms <= now_ms;
}

// Whether a table may become one of level `to` as it is: it meets nothing there, and would not
// become smaller.
bool MayMoveTo(const Version& version, int to, const TableInfo& info, int64_t now_ms) {
  return info.deletions == 0 && info.ranges == 0 && !HasExpired(info, now_ms) &&
         version.Overlapping(to, info.smallest, EndOf(info)).empty();
}

// The runs of level 0 that may move to level 1 as they are, since they meet nothing there, and no
// older run, moved or not. Runs whose tables are smaller than `least_bytes` on average are not
// among them: each would be a table of its own for ever, and so four of them become one.
std::vector<TableFilePtr> RunsThatMeetNothing(const Version& version, uint64_t least_bytes,
                                              int64_t now_ms) {
  const std::vector<TableFilePtr>& files = version.level(0);
  std::vector<TableFilePtr> found;
  for (auto end = files.end(); end != files.begin();) {
    auto begin = std::prev(end);
    while (begin != files.begin() && (*std::prev(begin))->run() == (*begin)->run()) --begin;
    uint64_t bytes = 0;
    for (auto it = begin; it != end; ++it) bytes += (*it)->info().size;
    const bool moves = bytes >= least_bytes * static_cast<uint64_t>(end - begin) &&
                       std::all_of(begin, end, [&](const TableFilePtr& file) {
                         const TableInfo& info = file->info();
                         return MayMoveTo(version, 1, info, now_ms) &&
                                std::none_of(end, files.end(), [&](const TableFilePtr& older) {
                                  return older->info().Overlaps(info.smallest, EndOf(info));
                                });
                       });
    if (moves) found.insert(found.end(), begin, end);
    end = begin;
  }
  return found;
}

}  // namespace

TableOptions Engine::TableOptionsFor(int level) const {
  TableOptions options;
  options.block_bytes = options_.block_bytes;
  switch (options_.compress) {
    case SstableOptions::Compress::kNone:
      options.compression = Compression::kNone;
      break;
    case SstableOptions::Compress::kLz4:
      options.compression = Compression::kLz4;
      break;
    case SstableOptions::Compress::kZstd:
      options.compression = Compression::kZstd;
      break;
    case SstableOptions::Compress::kAuto:
      options.compression = level >= 2 ? Compression::kZstd : Compression::kLz4;
      break;
  }
  return options;
}

uint64_t Engine::LevelTarget(int level) const {
  uint64_t target = level1_bytes_;
  for (int i = 1; i < level; ++i) target *= kLevelFactor;
  return target;
}

void Engine::Wake() {
  {
    MutexLock lock(&work_mu_);
    ++work_asked_;
  }
  work_.SignalAll();
}

// Space that a range deletion gives back is not waited for until the memtable is full.
void Engine::WakeIfHidesTables(absl::Span<const Entry> entries) {
  if (inline_) return;
  for (const Entry& entry : entries) {
    if (KindOf(entry.trailer) != kDeleteRange) continue;
    const std::shared_ptr<const Version> version = core_->Take().sources->version;
    const auto hides = [&](const TableFilePtr& file) {
      const TableInfo& info = file->info();
      return info.smallest >= entry.key && (entry.blob.empty() || info.IsPast(entry.blob));
    };
    for (int level = 0; level < kLevels; ++level) {
      const std::vector<TableFilePtr>& files = version->level(level);
      if (std::none_of(files.begin(), files.end(), hides)) continue;
      {
        MutexLock lock(&work_mu_);
        hides_tables_ = true;
      }
      return Wake();
    }
  }
}

void Engine::NoteDeadRun() {
  {
    MutexLock lock(&work_mu_);
    if (std::exchange(dead_run_, true)) return;
    ++work_asked_;
  }
  work_.SignalAll();
}

void Engine::FlushLoop() {
  uint64_t seen = 0;
  while (true) {
    const absl::StatusOr<bool> flushed = FlushOne();
    MutexLock lock(&work_mu_);
    flush_error_ = flushed.status();
    progress_.SignalAll();
    if (stopping_) return;
    if (flushed.ok() && *flushed) {
      // The run that it made may be the one that makes a compaction due.
      ++work_asked_;
      work_.SignalAll();
      continue;
    }
    if (!flushed.ok()) {
      work_.WaitFor(&work_mu_, kRetry);  // there may be space again
    } else {
      while (work_asked_ == seen && !stopping_) work_.Wait(&work_mu_);
    }
    seen = work_asked_;
  }
}

void Engine::CompactLoop() {
  uint64_t seen = 0;
  bool idle = false;
  bool shrinks = false;
  bool hides_tables = false;
  absl::Time flushed_at = absl::InfinitePast();
  bool dead_noted = false;
  bool dead = false;  // until what is full of deletions is compacted, also on level 0
  absl::Time dead_since = absl::InfinitePast();
  absl::Time dead_again = absl::InfinitePast();
  while (true) {
    if (idle) PromiseWhatIsSynced();
    const bool full = reserve_.is_spent();
    // The next scan tells again of what a snapshot pins.
    dead_noted = dead_noted && core_->Pinned().empty();
    if (dead_noted && !dead && absl::Now() >= dead_again) {
      dead_noted = false;
      dead = true;
      dead_since = absl::Now();
      dead_runs_.fetch_add(1, std::memory_order_relaxed);
      FlushDeletions();
    }
    if (full || (hides_tables && absl::Now() >= flushed_at + kBetweenRangeDrops)) {
      hides_tables = false;
      flushed_at = absl::Now();
      FlushDeletions();
    }
    // All of what deletions give back, also where the first of it ends the want.
    shrinks = shrinks || full;
    absl::StatusOr<bool> compacted = false;
    if (shrinks) compacted = ShrinkOne();
    shrinks = shrinks && compacted.ok() && *compacted;
    if (!shrinks) compacted = CompactOne(idle || full || dead);
    if (dead && compacted.ok() && !*compacted && core_->Take().sources->frozen.empty()) {
      dead = false;
      const absl::Time now = absl::Now();
      dead_again = now + std::max(kBetweenRangeDrops, kRestAfterDeadRuns * (now - dead_since));
    }
    MutexLock lock(&work_mu_);
    compact_error_ = compacted.status();
    progress_.SignalAll();
    if (stopping_) return;
    if (!compacted.ok()) {
      work_.WaitFor(&work_mu_, kRetry);
    } else if (!*compacted && work_asked_ == seen) {
      const bool wants = full || hides_tables || dead_noted;
      work_.WaitFor(&work_mu_, wants ? kRetry : options_.idle_period);
      idle = !wants;
    }
    idle = idle && work_asked_ == seen;
    hides_tables = std::exchange(hides_tables_, false) || hides_tables;
    dead_noted = std::exchange(dead_run_, false) || dead_noted;
    seen = work_asked_;
  }
}

void Engine::RunInline() {
  bool idle = true;
  while (true) {
    const absl::StatusOr<bool> flushed = FlushOne();
    if (!flushed.ok()) return;
    if (*flushed) {
      idle = false;
      continue;
    }
    const absl::StatusOr<bool> compacted = CompactOne(idle);
    if (!compacted.ok() || !*compacted) return;
  }
}

absl::Status Engine::Install(VersionEdit edit, const std::vector<TableFilePtr>& obsolete,
                             const std::shared_ptr<Memtable>& flushed, Sequence to) {
  const auto is_new = [&](const VersionEdit::Added& added) {
    return std::none_of(edit.removed.begin(), edit.removed.end(), [&](const auto& removed) {
      return removed.second == added.file->info().number;
    });
  };
  // The names of the new tables are durable before the manifest has them.
  absl::Status status = std::any_of(edit.added.begin(), edit.added.end(), is_new)
                            ? options_.fs->SyncDir(dir_)
                            : absl::OkStatus();
  const Sequence visible = core_->visible();
  if (manifest_->state().ceiling < visible + (uint64_t{1} << 31)) {
    edit.ceiling = visible + (uint64_t{1} << 32);
  }
  if (status.ok()) status = manifest_->Apply(edit);
  if (!status.ok()) {
    // The manifest on the disk may have the edit: its tables must stay. One that only moves is in
    // the version that goes on.
    for (const auto& added : edit.added) {
      if (is_new(added)) doubtful_.push_back(added.file);
    }
    return status;
  }
  // Before a reader can miss what is gone.
  if (!edit.floors.empty()) core_->SetFloors(manifest_->state().floors);
  const auto change = [&, version = manifest_->state().version](Sources* sources) {
    sources->version = version;
    if (flushed != nullptr) {
      sources->frozen.erase(std::remove(sources->frozen.begin(), sources->frozen.end(), flushed),
                            sources->frozen.end());
    }
  };
  core_->Update(change, to);
  for (const TableFilePtr& file : obsolete) file->SetObsolete();
  for (const TableFilePtr& file : doubtful_) file->SetObsolete();
  doubtful_.clear();
  return status;
}

absl::StatusOr<bool> Engine::FlushOne() {
  return WithReserve([this] { return TryFlushOne(); });
}

absl::StatusOr<bool> Engine::TryFlushOne() {
  if (poisoned_) return false;  // nothing beyond what is visible ever gets to a table
  MutexLock flush_lock(&flush_mu_);
  const ReadCore::Now now = core_->Take();
  const auto& frozen = now.sources->frozen;
  if (frozen.empty()) return false;
  const std::shared_ptr<Memtable> memtable = frozen.back();
  const std::shared_ptr<Memtable> next =
      frozen.size() > 1 ? frozen[frozen.size() - 2] : now.sources->memtable;
  MergeJob job;
  job.input = memtable->NewIterator();
  AppendRanges(*memtable->ranges(), &job.ranges);
  job.snapshots = core_->Pinned();
  job.is_bottom = [](absl::string_view, absl::string_view) { return false; };
  job.new_number = [this] { return NewNumber(); };
  job.table = TableOptionsFor(0);
  job.table_bytes = options_.table_bytes;
  const uint64_t run = NewNumber();
  KVARTS_ASSIGN_OR_RETURN(const MergeResult result, Merge(std::move(job), core_->tables()));
  VersionEdit edit;
  for (const TableInfo& info : result.tables) {
    edit.added.push_back({0, std::make_shared<TableFile>(info, run, remover_)});
    table_bytes_.fetch_add(info.size, std::memory_order_relaxed);
  }
  edit.floors = result.floors;
  if (options_.log) {
    edit.log_number = next->first_log();
    edit.log_first_sequence = memtable->last_sequence() + 1;
  }
  MutexLock lock(&manifest_mu_);
  const uint64_t old_log = manifest_->state().log_number;
  KVARTS_RETURN_IF_ERROR(Install(std::move(edit), {}, memtable));
  flushes_.fetch_add(1, std::memory_order_relaxed);
  if (options_.log) {
    logs_.Forget(next->first_log());
    for (uint64_t number = old_log; number < next->first_log(); ++number) {
      options_.fs->Delete(LogPath(dir_, number)).IgnoreError();
    }
  }
  return true;
}

void Engine::FlushDeletions() {
  const auto memtable = core_->Take().sources->memtable;
  if (memtable->empty()) return;
  Commit commit;
  commit.freeze = true;
  queue_.Call(&commit);
}

absl::StatusOr<bool> Engine::ShrinkOne() {
  MutexLock lock(&compaction_mu_);
  if (poisoned_ || cancelled_) return false;
  const uint64_t flushes = flushes_.load(std::memory_order_relaxed);
  if (flushes != std::exchange(looked_since_, flushes)) looked_at_.clear();
  const ReadCore::Now now = core_->Take();
  // Looked at after that: who pins later pins what was visible then, or newer.
  if (!core_->Pinned().empty()) return false;
  // Tables alone: what hides must be as durable as what it hides.
  const Sources tables{std::make_shared<Memtable>(0, 0), {}, now.sources->version};
  for (int level = kLevels - 1; level >= 0; --level) {
    for (const TableFilePtr& file : tables.version->level(level)) {
      if (!looked_at_.insert(file->info().number).second) continue;
      KVARTS_ASSIGN_OR_RETURN(const bool done, Shrink(level, file, tables, now.visible));
      if (done) return true;
    }
  }
  return false;
}

absl::StatusOr<bool> Engine::Shrink(int level, const TableFilePtr& file, const Sources& above,
                                    Sequence at) {
  const auto is_hidden = [&](const Entry& entry) -> absl::StatusOr<bool> {
    Found found;
    Pin pin;
    KVARTS_RETURN_IF_ERROR(Lookup(above, core_->tables(), entry.key, KeyHash(entry.key), at, false,
                                  true, &found, &pin));
    return found.covered || found.sequence > entry.sequence();
  };
  const auto iterator = NewRunIterator({file}, core_->tables(), false);
  uint64_t all = 0;
  uint64_t hidden = 0;
  for (iterator->SeekToFirst(); iterator->valid(); iterator->Next()) {
    const Entry entry = iterator->entry();
    const uint64_t bytes = entry.key.size() + entry.blob.size();
    KVARTS_ASSIGN_OR_RETURN(const bool is, is_hidden(entry));
    all += bytes;
    hidden += is ? bytes : 0;
    if (cancelled_) return false;
  }
  KVARTS_RETURN_IF_ERROR(iterator->status());
  if (hidden == 0 || hidden * 4 < all) return false;
  MergeJob job;
  job.input = NewRunIterator({file}, core_->tables(), false);
  if (file->info().ranges > 0) {
    KVARTS_ASSIGN_OR_RETURN(const auto table, core_->tables()->Open(file->info(), false));
    AppendRanges(*table->ranges(), &job.ranges);
  }
  job.is_bottom = [](absl::string_view, absl::string_view) { return false; };
  job.is_hidden = is_hidden;
  job.new_number = [this] { return NewNumber(); };
  job.is_cancelled = [this] { return cancelled_.load(); };
  job.table = TableOptionsFor(level);
  job.table_bytes = options_.table_bytes;
  const absl::StatusOr<MergeResult> result = Merge(std::move(job), core_->tables());
  if (absl::IsCancelled(result.status())) return false;
  if (DiskReserve::IsNoSpace(result.status())) {
    // Another may have space, and this one later: all are looked at again.
    looked_since_ = ~uint64_t{0};
    return false;
  }
  KVARTS_RETURN_IF_ERROR(result.status());
  VersionEdit edit;
  edit.removed.emplace_back(level, file->info().number);
  for (const TableInfo& info : result->tables) {
    edit.added.push_back({level, std::make_shared<TableFile>(info, file->run(), remover_)});
    looked_at_.insert(info.number);
    compacted_bytes_.fetch_add(info.size, std::memory_order_relaxed);
  }
  edit.floors = result->floors;
  shrunk_.fetch_add(1, std::memory_order_relaxed);
  MutexLock lock(&manifest_mu_);
  KVARTS_RETURN_IF_ERROR(Install(std::move(edit), {file}, nullptr));
  return true;
}

absl::StatusOr<bool> Engine::IsHidden(const Version& version, const TableInfo& info,
                                      const std::vector<Sequence>& pinned) {
  const auto snapshot = std::lower_bound(pinned.begin(), pinned.end(), info.smallest_sequence);
  // Where what hides the table from `from` on ends; nothing: where that is not hidden.
  const auto hidden_to = [&](absl::string_view from,
                             const TableFile* file) -> absl::StatusOr<std::optional<std::string>> {
    if (file == nullptr || file->info().ranges == 0 ||
        file->info().largest_sequence <= info.largest_sequence || !file->info().Contains(from)) {
      return std::nullopt;
    }
    KVARTS_ASSIGN_OR_RETURN(const auto table, core_->tables()->Open(file->info(), false));
    const RangeTombstones::Fragment* const over = table->ranges()->Find(from);
    if (over == nullptr) return std::nullopt;
    // The oldest one that is newer than all of the table; no snapshot may be between.
    const auto older = std::lower_bound(over->sequences.begin(), over->sequences.end(),
                                        info.largest_sequence, std::greater<>());
    if (older == over->sequences.begin()) return std::nullopt;
    if (snapshot != pinned.end() && *snapshot < *std::prev(older)) return std::nullopt;
    return over->end;
  };
  std::string from = info.smallest;
  while (true) {
    std::optional<std::string> end;
    for (const TableFilePtr& file : version.level(0)) {
      KVARTS_ASSIGN_OR_RETURN(end, hidden_to(from, file.get()));
      if (end.has_value()) break;
    }
    for (int level = 1; level < kLevels && !end.has_value(); ++level) {
      KVARTS_ASSIGN_OR_RETURN(end, hidden_to(from, version.Find(level, from)));
    }
    if (!end.has_value()) return false;
    if (end->empty() || info.IsPast(*end)) return true;
    from = *std::move(end);
  }
}

absl::StatusOr<bool> Engine::DropHidden() {
  // Of tables alone: what hides must be as durable as what it hides. While it is kept, it hides
  // older versions on the levels below too, and it is kept while anything is there.
  const std::shared_ptr<const Version> version = core_->Take().sources->version;
  // Looked at after that: who pins later pins what was visible then, or newer.
  const std::vector<Sequence> pinned = core_->Pinned();
  bool any = false;
  for (int level = 0; level < kLevels; ++level) {
    for (const TableFilePtr& file : version->level(level)) any = any || file->info().ranges > 0;
  }
  if (!any) return false;
  VersionEdit edit;
  std::vector<TableFilePtr> hidden;
  Sequence newest = 0;
  for (int level = 0; level < kLevels; ++level) {
    for (const TableFilePtr& file : version->level(level)) {
      KVARTS_ASSIGN_OR_RETURN(const bool is, IsHidden(*version, file->info(), pinned));
      if (!is) continue;
      edit.removed.emplace_back(level, file->info().number);
      hidden.push_back(file);
      newest = std::max(newest, file->info().largest_sequence);
    }
  }
  if (hidden.empty()) return false;
  MutexLock lock(&manifest_mu_);
  // Which keys leave no trace is not known, since nobody reads them; of a table of the usual size
  // there are some in every bucket anyway.
  for (uint32_t bucket = 0; bucket < kFloorBuckets; ++bucket) {
    if (manifest_->state().floors[bucket] < newest) edit.floors[bucket] = newest;
  }
  KVARTS_RETURN_IF_ERROR(Install(std::move(edit), hidden, nullptr));
  dropped_tables_.fetch_add(hidden.size(), std::memory_order_relaxed);
  return true;
}

std::optional<Engine::Compaction> Engine::Pick(const Version& version, bool idle) {
  Compaction compaction;
  const auto add = [&](int level, const std::vector<TableFilePtr>& files) {
    for (const TableFilePtr& file : files) compaction.inputs.emplace_back(level, file);
  };
  const int64_t now_ms = core_->NowMs();
  // The level that is most above its size.
  int level = -1;
  double most = 1;
  if (const size_t runs = version.runs_on_level_0(); runs >= kLevel0Runs) {
    level = 0;
    most = static_cast<double>(runs) / kLevel0Runs;
  }
  for (int i = 1; i < kLevels - 1; ++i) {
    const double score =
        static_cast<double>(version.LevelBytes(i)) / static_cast<double>(LevelTarget(i));
    if (score > most) {
      level = i;
      most = score;
    }
  }
  std::vector<TableFilePtr> files;
  if (level == 0) {
    add(0, RunsThatMeetNothing(version, options_.table_bytes / 16, now_ms));
    files = version.level(0);
  } else if (level > 0) {
    const auto& all = version.level(level);
    const std::string& behind = compacted_to_[static_cast<size_t>(level)];
    auto it = std::find_if(all.begin(), all.end(), [&](const TableFilePtr& file) {
      return file->info().smallest > behind;
    });
    if (it == all.end()) it = all.begin();
    files = {*it};
    // As many at once as the level has too much: each edit of the manifest is a sync.
    uint64_t left = version.LevelBytes(level) - LevelTarget(level);
    for (; it != all.end() && MayMoveTo(version, level + 1, (*it)->info(), now_ms); ++it) {
      add(level, {*it});
      if ((*it)->info().size >= left) break;
      left -= (*it)->info().size;
    }
  } else {
    // Nothing is too large: what is full of deletions, or has expired, gives its space back. Level
    // 0 only when nothing is written, since otherwise its next runs compact it anyway. One range
    // may stand for any number of entries.
    for (int i = idle ? 0 : 1; i < kLevels && level < 0; ++i) {
      for (const TableFilePtr& file : version.level(i)) {
        const TableInfo& info = file->info();
        // With a snapshot they may have to stay, and on the last level they are gone.
        const uint64_t deletions = info.deletions + info.ranges;
        const bool due = deletions * 2 > info.entries + info.ranges || (idle && info.ranges > 0);
        const bool dead = due && (i == 0 || i < version.deepest()) && core_->Pinned().empty();
        if (!dead && !HasExpired(info, now_ms)) continue;
        level = i;
        files = {file};
        if (i == 0) files = version.level(0);
        break;
      }
    }
    if (level < 0) return std::nullopt;
  }
  if (!compaction.inputs.empty()) {
    compaction.moves = true;
    compaction.output_level = level + 1;
    return compaction;
  }
  bool any = false;
  std::string begin;
  std::string end;
  Widen(files, &any, &begin, &end);
  // On the last level with data it stays there, rewritten.
  const bool stays = level > 0 && !version.HasBelow(level, begin, end) && most <= 1;
  compaction.output_level = stays ? level : level + 1;
  add(level, files);
  if (!stays) add(level + 1, version.Overlapping(level + 1, begin, end));
  return compaction;
}

absl::StatusOr<bool> Engine::CompactOne(bool idle) {
  MutexLock lock(&compaction_mu_);
  if (poisoned_ || cancelled_) return false;
  KVARTS_ASSIGN_OR_RETURN(const bool dropped, DropHidden());
  if (dropped) return true;
  std::pair<int, TableFilePtr> last;
  const auto pick = [&](const Version& version) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    std::optional<Compaction> picked = Pick(version, idle);
    if (picked.has_value()) last = picked->moves ? picked->inputs.back() : picked->inputs.front();
    return picked;
  };
  const absl::StatusOr<bool> done = PickAndRun(pick);
  if (absl::IsCancelled(done.status())) return false;
  KVARTS_RETURN_IF_ERROR(done.status());
  const auto& [level, file] = last;
  if (*done && level > 0) compacted_to_[static_cast<size_t>(level)] = file->info().smallest;
  return *done;
}

absl::StatusOr<bool> Engine::PickAndRun(
    absl::FunctionRef<std::optional<Compaction>(const Version& version)> pick) {
  std::shared_ptr<const Version> version;
  std::optional<Compaction> compaction;
  {
    MutexLock lock(&manifest_mu_);
    version = manifest_->state().version;
    compaction = pick(*version);
    if (!compaction.has_value()) return false;
    compacting_ = &*compaction;
  }
  const absl::Status status = Run(*compaction, *version);
  {
    MutexLock lock(&manifest_mu_);
    compacting_ = nullptr;
  }
  KVARTS_RETURN_IF_ERROR(status);
  return true;
}

absl::Status Engine::Run(const Compaction& compaction, const Version& version) {
  const int output = compaction.output_level;
  VersionEdit edit;
  std::vector<TableFilePtr> inputs;
  for (const auto& [level, file] : compaction.inputs) {
    edit.removed.emplace_back(level, file->info().number);
    inputs.push_back(file);
  }
  if (compaction.moves) {
    for (const TableFilePtr& file : inputs) edit.added.push_back({output, file});
    MutexLock lock(&manifest_mu_);
    KVARTS_RETURN_IF_ERROR(Install(std::move(edit), {}, nullptr));
    moved_tables_.fetch_add(inputs.size(), std::memory_order_relaxed);
    return absl::OkStatus();
  }
  MergeJob job;
  std::vector<std::unique_ptr<Iterator>> children;
  for (int level = 0; level < kLevels; ++level) {
    std::vector<TableFilePtr> run;
    for (const auto& [from, file] : compaction.inputs) {
      if (from != level) continue;
      if (file->info().ranges > 0) {
        KVARTS_ASSIGN_OR_RETURN(const auto table, core_->tables()->Open(file->info(), false));
        AppendRanges(*table->ranges(), &job.ranges);
      }
      if (level == 0 && !run.empty() && run.back()->run() != file->run()) {
        children.push_back(NewRunIterator(std::move(run), core_->tables(), false));
        run.clear();
      }
      run.push_back(file);
    }
    if (!run.empty()) children.push_back(NewRunIterator(std::move(run), core_->tables(), false));
  }
  job.input = NewMergingIterator(std::move(children));
  job.snapshots = core_->Pinned();
  job.is_bottom = [&](absl::string_view begin, absl::string_view end) {
    return !version.HasBelow(output, begin, end);
  };
  job.now_ms = core_->NowMs();
  job.new_number = [this] { return NewNumber(); };
  // On a full disk it leaves deletions the space that they need.
  job.is_cancelled = [this] { return cancelled_ || reserve_.IsAlmostUsed(); };
  job.table = TableOptionsFor(output);
  job.table_bytes = options_.table_bytes;
  KVARTS_ASSIGN_OR_RETURN(const MergeResult result, Merge(std::move(job), core_->tables()));
  const uint64_t run = NewNumber();
  for (const TableInfo& info : result.tables) {
    edit.added.push_back({output, std::make_shared<TableFile>(info, run, remover_)});
    compacted_bytes_.fetch_add(info.size, std::memory_order_relaxed);
  }
  edit.floors = result.floors;
  compactions_.fetch_add(1, std::memory_order_relaxed);
  MutexLock lock(&manifest_mu_);
  return Install(std::move(edit), inputs, nullptr);
}

absl::Status Engine::Flush() {
  if (poisoned_) return PoisonError();
  {
    MutexLock lock(&work_mu_);
    RetryFlush();
  }
  Commit commit;
  commit.freeze = true;
  queue_.Call(&commit);
  KVARTS_RETURN_IF_ERROR(commit.status);
  if (inline_) {
    while (true) {
      KVARTS_ASSIGN_OR_RETURN(const bool flushed, FlushOne());
      if (!flushed) return absl::OkStatus();
    }
  }
  // Those that are frozen now; what others freeze meanwhile is not waited for.
  const auto waited = core_->Take().sources->frozen;
  MutexLock lock(&work_mu_);
  while (true) {
    const auto frozen = core_->Take().sources->frozen;
    const bool there = std::any_of(frozen.begin(), frozen.end(), [&](const auto& memtable) {
      return std::find(waited.begin(), waited.end(), memtable) != waited.end();
    });
    if (!there) return absl::OkStatus();
    KVARTS_RETURN_IF_ERROR(flush_error_);
    if (poisoned_) return PoisonError();
    if (stopping_) return ClosedError();
    progress_.WaitFor(&work_mu_, absl::Milliseconds(100));
  }
}

// All tables that hold keys of the range, and all that those meet, become one run on the deepest
// of their levels.
absl::Status Engine::Compact(const KeyRange& range) {
  KVARTS_RETURN_IF_ERROR(Flush());
  if (range.empty()) return absl::OkStatus();
  MutexLock lock(&compaction_mu_);
  if (cancelled_) return ClosedError();
  const auto pick = [&](const Version& version) -> std::optional<Compaction> {
    Compaction compaction;
    std::string begin = range.begin;
    std::string end = range.end;
    // A table's tombstones reach as far as the table does: what it meets must come along.
    while (true) {
      std::vector<TableFilePtr> files;
      compaction.inputs.clear();
      for (int level = 0; level < kLevels; ++level) {
        for (const TableFilePtr& file : version.Overlapping(level, begin, end)) {
          compaction.inputs.emplace_back(level, file);
          compaction.output_level = std::max(level, 1);
          files.push_back(file);
        }
      }
      if (files.empty()) return std::nullopt;
      bool any = true;
      std::string wide_begin = begin;
      std::string wide_end = end;
      Widen(files, &any, &wide_begin, &wide_end);
      if (wide_begin == begin && wide_end == end) return compaction;
      begin = wide_begin;
      end = wide_end;
    }
  };
  const absl::Status status = PickAndRun(pick).status();
  if (!absl::IsCancelled(status)) return status;
  if (cancelled_) return ClosedError();
  return absl::ResourceExhaustedError(
      absl::StrCat(dir_, ": no space left on the disk for a compaction of all that is asked for"));
}

}  // namespace kvarts::sstable
