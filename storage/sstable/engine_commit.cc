#include <algorithm>
#include <limits>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "storage/sstable/engine.h"

namespace kvarts::sstable {
namespace {

size_t BytesOf(const WriteBatch& batch) {
  size_t bytes = 0;
  for (const Mutation& m : batch.mutations()) bytes += m.key.size() + m.value.size();
  return bytes;
}

absl::Status Fail(Commit* commit, const absl::Status& status) {
  if (commit->batch != nullptr) FailWrite(*commit->batch, status, commit->results).IgnoreError();
  commit->status = status;
  return status;
}

}  // namespace

// What the calls of a group come to: numbered entries, with their metadata worked out. By who
// leads, for one group. Conditions are judged by what is applied before them, in the group too.
class Engine::Resolver {
 public:
  Resolver(const Sources& sources, ReadCore* core, Sequence applied, bool remember)
      : sources_(sources),
        core_(*core),
        applied_(applied),
        next_(applied + 1),
        remember_(remember) {}

  // Of which calls the group consists: the entries of a call are one record of the log.
  void Resolve(Commit* commit) {
    const size_t first = entries_.size();
    absl::Status status;
    if (commit->modifier != nullptr) {
      status = ResolveModify(commit);
    } else if (commit->batch != nullptr) {
      status = ResolveBatch(commit);
    }
    commit->status = status;
    if (entries_.size() > first) records_.emplace_back(first, entries_.size());
  }

  const std::vector<Entry>& entries() const { return entries_; }
  absl::Span<const Entry> record(size_t i) const {
    return absl::MakeConstSpan(entries_).subspan(records_[i].first,
                                                 records_[i].second - records_[i].first);
  }
  size_t records() const { return records_.size(); }
  Sequence last() const { return next_ - 1; }

 private:
  // A key as the group's next call finds it.
  struct Current {
    Stamp stamp;
    bool live = false;
    absl::string_view value;
    absl::string_view type;
    int64_t expires_at_ms = 0;
    Pin pin;
  };

  absl::StatusOr<Current> Find(absl::string_view key) {
    const uint64_t hash = KeyHash(key);
    Current current;
    Found found;
    bool covered = false;
    if (const auto it = latest_.find(key); it != latest_.end()) {
      found.entry = entries_[it->second];
      found.sequence = found.entry.sequence();
    }
    for (const size_t i : ranges_) {
      const Entry& range = entries_[i];
      covered = covered || (range.sequence() > found.sequence && key >= range.key &&
                            (range.blob.empty() || key < range.blob));
    }
    if (found.sequence == 0) {
      KVARTS_RETURN_IF_ERROR(
          Lookup(sources_, core_.tables(), key, hash, applied_, false, true, &found, &current.pin));
    }
    found.covered = found.covered || covered;
    if (found.is_put()) {
      if (!found.entry.Decode(&current.expires_at_ms, &current.type, &current.value)) {
        return absl::DataLossError("an entry that is none");
      }
      current.live = current.expires_at_ms == 0 || current.expires_at_ms > core_.NowMs();
    }
    current.stamp = core_.StampOf(hash, found.sequence, current.live);
    if (!current.live) {
      current.expires_at_ms = 0;
      current.type = current.value = {};
    }
    return current;
  }

  absl::Status ResolveModify(Commit* commit) {
    KVARTS_ASSIGN_OR_RETURN(const Current current, Find(commit->key));
    ReadResult read;
    read.found = current.live;
    read.value = current.value;
    read.content_type = current.type;
    read.expires_at_ms = current.expires_at_ms;
    read.stamp = current.stamp;
    KVARTS_ASSIGN_OR_RETURN(Modification wanted, (*commit->modifier)(read));
    Mutation mutation;
    mutation.key = commit->key;
    switch (wanted.kind) {
      case Modification::Kind::kNothing:
        return absl::OkStatus();
      case Modification::Kind::kDelete:
        mutation.kind = Mutation::Kind::kDelete;
        break;
      case Modification::Kind::kPut:
        mutation.value = bytes_.Copy(wanted.value);
        mutation.metadata = wanted.metadata;
        mutation.metadata.type = bytes_.Copy(wanted.metadata.type);
        break;
    }
    KVARTS_RETURN_IF_ERROR(CheckMutation(mutation, SstableCapabilities()));
    return Apply(mutation, false, nullptr);
  }

  absl::Status ResolveBatch(Commit* commit) {
    const WriteBatch& batch = *commit->batch;
    WriteResults* const results = commit->results;
    for (size_t i = 0; i < batch.preconditions().size(); ++i) {
      const Precondition& precondition = batch.preconditions()[i];
      const absl::StatusOr<Current> current = Find(precondition.key);
      if (!current.ok()) return FailWrite(batch, current.status(), results);
      const bool holds = precondition.kind == Precondition::Kind::kAbsent ? !current->live
                         : precondition.kind == Precondition::Kind::kPresent
                             ? current->live
                             : current->stamp == precondition.stamp;
      if (holds) continue;
      const absl::Status status = FailWrite(
          batch, absl::FailedPreconditionError(absl::StrCat("precondition ", i, " does not hold")),
          results);
      if (results != nullptr) results->failed_precondition = static_cast<int>(i);
      return status;
    }
    if (results != nullptr) {
      results->failed_precondition = -1;
      results->results.assign(batch.mutations().size(), WriteResult());
    }
    const size_t first_entry = entries_.size();
    const Sequence first_number = next_;
    absl::Status first_error;
    for (size_t i = 0; i < batch.mutations().size(); ++i) {
      const Mutation& mutation = batch.mutations()[i];
      bool existed = false;
      absl::Status status = commit->options.atomic ? absl::OkStatus()
                                                   : CheckMutation(mutation, SstableCapabilities());
      if (status.ok()) {
        status = Apply(mutation, commit->options.report_existed && results != nullptr, &existed);
      }
      if (!status.ok() && commit->options.atomic) {
        Undo(first_entry, first_number);
        return FailWrite(batch, status, results);
      }
      first_error.Update(status);
      if (results != nullptr) results->results[i] = {std::move(status), existed};
    }
    return first_error;
  }

  absl::Status Apply(const Mutation& mutation, bool want_existed, bool* existed) {
    using Change = Metadata::Change;
    const Metadata& metadata = mutation.metadata;
    switch (mutation.kind) {
      case Mutation::Kind::kDeleteRange:
        if (!mutation.value.empty() && mutation.key >= mutation.value) return absl::OkStatus();
        Append(mutation.key, kDeleteRange, mutation.value);
        return absl::OkStatus();
      case Mutation::Kind::kDelete:
        if (want_existed) {
          KVARTS_ASSIGN_OR_RETURN(const Current current, Find(mutation.key));
          *existed = current.live;
        }
        Append(mutation.key, kDelete, {});
        return absl::OkStatus();
      case Mutation::Kind::kPut:
      case Mutation::Kind::kTouch:
        break;
    }
    const bool touch = mutation.kind == Mutation::Kind::kTouch;
    Current current;
    if (touch || want_existed || metadata.expiry == Change::kKeep ||
        metadata.content_type == Change::kKeep) {
      KVARTS_ASSIGN_OR_RETURN(current, Find(mutation.key));
      if (want_existed) *existed = current.live;
      if (touch && !current.live) return absl::OkStatus();
    }
    const int64_t expires_at_ms = metadata.expiry == Change::kSet    ? metadata.expires_at_ms
                                  : metadata.expiry == Change::kKeep ? current.expires_at_ms
                                                                     : 0;
    const absl::string_view type = metadata.content_type == Change::kSet    ? metadata.type
                                   : metadata.content_type == Change::kKeep ? current.type
                                                                            : absl::string_view();
    const absl::string_view value = touch ? current.value : mutation.value;
    unsigned char kind = kPut;
    if (expires_at_ms == 0 && type.empty() && !touch) {
      Append(mutation.key, kind, value);  // as it is, in the caller's memory
      return absl::OkStatus();
    }
    char* const blob = bytes_.Allocate(8 + 1 + type.size() + value.size());
    const char* const end = EncodePut(expires_at_ms, type, value, blob, &kind);
    Append(mutation.key, kind, absl::string_view(blob, static_cast<size_t>(end - blob)));
    return absl::OkStatus();
  }

  void Append(absl::string_view key, unsigned char kind, absl::string_view blob) {
    if (remember_) {
      if (kind == kDeleteRange) {
        ranges_.push_back(entries_.size());
      } else {
        latest_[key] = entries_.size();
      }
    }
    entries_.push_back({key, MakeTrailer(next_++, kind), blob});
  }

  // Takes back the entries of an atomic batch that cannot be whole.
  void Undo(size_t first_entry, Sequence first_number) {
    entries_.resize(first_entry);
    next_ = first_number;
    latest_.clear();
    ranges_.clear();
    for (size_t i = 0; remember_ && i < entries_.size(); ++i) {
      if (KindOf(entries_[i].trailer) == kDeleteRange) {
        ranges_.push_back(i);
      } else {
        latest_[entries_[i].key] = i;
      }
    }
  }

  const Sources& sources_;
  ReadCore& core_;
  const Sequence applied_;
  Sequence next_;
  const bool remember_;  // what the group has so far, for those of it that read
  std::vector<Entry> entries_;
  std::vector<std::pair<size_t, size_t>> records_;
  absl::flat_hash_map<absl::string_view, size_t> latest_;
  std::vector<size_t> ranges_;
  Bytes bytes_;
};

namespace {

// Whether carrying out the call looks at what is there.
bool Reads(const Commit& commit) {
  if (commit.modifier != nullptr) return true;
  if (commit.batch == nullptr) return false;
  if (!commit.batch->preconditions().empty() || commit.options.report_existed) return true;
  for (const Mutation& m : commit.batch->mutations()) {
    if (m.kind == Mutation::Kind::kTouch || m.metadata.expiry == Metadata::Change::kKeep ||
        m.metadata.content_type == Metadata::Change::kKeep) {
      return true;
    }
  }
  return false;
}

// Whether the call may write more than deletions.
bool Grows(const Commit& commit) {
  if (commit.modifier != nullptr) return true;
  if (commit.batch == nullptr) return false;
  return std::any_of(commit.batch->mutations().begin(), commit.batch->mutations().end(),
                     [](const Mutation& m) {
                       return m.kind == Mutation::Kind::kPut || m.kind == Mutation::Kind::kTouch;
                     });
}

}  // namespace

void Engine::CommitGroup(absl::Span<Commit* const> group) {
  groups_.fetch_add(1, std::memory_order_relaxed);
  // Ingestions come behind the rest of their group, each for itself.
  const auto ingests = [](const Commit* commit) { return commit->ingestion != nullptr; };
  if (std::none_of(group.begin(), group.end(), ingests)) {
    return CommitGroup(group, reserve_.IsSpent());
  }
  std::vector<Commit*> commits(group.begin(), group.end());
  const auto first = std::stable_partition(commits.begin(), commits.end(),
                                           [&](const Commit* commit) { return !ingests(commit); });
  const auto others = static_cast<size_t>(first - commits.begin());
  if (others > 0) CommitGroup(absl::MakeConstSpan(commits).first(others), reserve_.IsSpent());
  for (auto it = first; it != commits.end(); ++it)
    (*it)->status = CommitIngestion((*it)->ingestion);
}

void Engine::CommitGroup(absl::Span<Commit* const> group, bool full) {
  std::vector<Commit*> deleting;
  if (full) {
    const absl::Status no_space = absl::ResourceExhaustedError(absl::StrCat(
        dir_, ": no space left on the disk, but for deletions; writes go on when there is"));
    for (Commit* commit : group) {
      if (Grows(*commit)) {
        Fail(commit, no_space).IgnoreError();
      } else {
        deleting.push_back(commit);
      }
    }
    if (deleting.empty()) return;
    group = deleting;
  }
  bool freeze = false;
  bool sync = false;
  bool reads = false;
  bool promise = false;
  for (const Commit* commit : group) {
    promise = promise || commit->promise;
    freeze = freeze || commit->freeze;
    sync = sync || commit->sync || (commit->options.sync && commit->batch != nullptr) ||
           (commit->options.sync && commit->modifier != nullptr);
    reads = reads || Reads(*commit);
  }
  const bool only_promise = std::all_of(group.begin(), group.end(), [](const Commit* commit) {
    return commit->promise && commit->batch == nullptr && commit->modifier == nullptr;
  });
  // A promise takes no room. In the new log that comes with a new memtable all is synced, and it
  // would sync the one before.
  absl::Status status = !only_promise ? MakeRoom(freeze)
                        : poisoned_   ? PoisonError()
                                      : absl::OkStatus();
  if (!status.ok()) {
    for (Commit* commit : group) Fail(commit, status).IgnoreError();
    return;
  }
  if (!full && reserve_.is_spent()) return CommitGroup(group, true);
  const ReadCore::Now now = core_->Take();
  Resolver resolver(*now.sources, core_.get(), applied_, reads);
  for (Commit* commit : group) {
    if (closed_ && (commit->batch != nullptr || commit->modifier != nullptr)) {
      Fail(commit, ClosedError()).IgnoreError();
      continue;
    }
    if (commit->batch != nullptr && BytesOf(*commit->batch) > max_batch_bytes()) {
      Fail(commit, absl::ResourceExhaustedError(
                       absl::StrCat("a batch of ", BytesOf(*commit->batch), " bytes; at most ",
                                    max_batch_bytes(), " are allowed with the store's memory")))
          .IgnoreError();
      continue;
    }
    resolver.Resolve(commit);
  }
  const bool begins =
      std::any_of(group.begin(), group.end(), [](const Commit* commit) { return commit->begin; });
  if ((resolver.records() > 0 || begins) && !begun_) {
    status = WithReserve([this] { return BeginLate(); });
    if (!status.ok() && resolver.records() > 0) {
      for (Commit* commit : group) Fail(commit, status).IgnoreError();
      return;
    }
    if (!full && reserve_.is_spent()) return CommitGroup(group, true);
  }
  RecordLogWriter* const log = logs_.writer();  // null: the store has none
  // A record promises what was synced before it; one without entries comes where none else does. It
  // makes nobody's writes durable who did not ask for that.
  promise = promise && logs_.is_open() && resolver.records() == 0 && !promised_ &&
            log->synced_size() == log->size();
  sync = sync || promise;
  if (log != nullptr && (resolver.records() > 0 || promise)) {
    const uint64_t before = log->size();
    for (size_t i = 0; i < resolver.records(); ++i) log->Add(EncodeLogRecord(resolver.record(i)));
    if (promise) log->Add(EncodeLogRecord({}));
    promised_ = promise;
    const uint64_t times_spent = reserve_.times_spent();
    status = log->Flush();
    if (!status.ok()) {
      // It is cut back, or not known to be: then nothing may be written behind it.
      if (log->poisoned()) Poison(status);
      if (!poisoned_ && DiskReserve::IsNoSpace(status) && SpendReserve(times_spent)) {
        return CommitGroup(group, true);
      }
      for (Commit* commit : group) Fail(commit, status).IgnoreError();
      return;
    }
    log_bytes_.fetch_add(log->size() - before, std::memory_order_relaxed);
  }
  for (const Entry& entry : resolver.entries()) {
    user_bytes_.fetch_add(entry.key.size() + entry.blob.size(), std::memory_order_relaxed);
  }
  memtable_->Add(resolver.entries());
  writes_.fetch_add(resolver.entries().size(), std::memory_order_relaxed);
  applied_ = resolver.last();
  if (sync) {
    status = SyncLogs();
    if (!status.ok()) {
      Poison(status);
      // Their writers, and who saw what they wrote, do not learn more than this; readers never see
      // it, since it does not become visible.
      const absl::Status unknown =
          absl::DeadlineExceededError(absl::StrCat("the write may be lost: ", status.message()));
      for (Commit* commit : group) Fail(commit, unknown).IgnoreError();
      return;
    }
  }
  core_->SetVisible(applied_);
  WakeIfHidesTables(resolver.entries());
}

// Damage to the last group of a log looks like the end of a crash, until something behind it says
// that it was synced.
void Engine::PromiseWhatIsSynced() {
  if (promised_) return;
  Commit commit;
  commit.promise = true;
  queue_.Call(&commit);
}

absl::Status Engine::SyncLogs() {
  if (!options_.log) return absl::OkStatus();
  syncs_.fetch_add(1, std::memory_order_relaxed);
  return logs_.Sync();
}

void Engine::Poison(const absl::Status& cause) {
  MutexLock lock(&poison_mu_);
  if (poisoned_) return;
  poison_ = cause;
  poisoned_ = true;
}

absl::Status Engine::PoisonError() const {
  MutexLock lock(&poison_mu_);
  return absl::FailedPreconditionError(
      absl::StrCat("the store is read-only until it is opened again, since: ", poison_.message()));
}

// The first write waits for it only where it comes at once, or where it failed.
void Engine::BeginInBackground() {
  auto commit = std::make_unique<Commit>();
  commit->begin = true;
  commit->done = [](absl::Status) {};
  queue_.Submit(std::move(commit));
}

// What an opening behind a close leaves to be done.
absl::Status Engine::BeginLate() {
  MutexLock lock(&manifest_mu_);
  const uint64_t old_log = manifest_->state().log_number;
  KVARTS_RETURN_IF_ERROR(Begin({}));
  if (old_log == 0) return absl::OkStatus();
  const uint64_t end = std::max(manifest_->state().log_number, old_log + 1);
  for (uint64_t number = old_log; number < end; ++number) {
    options_.fs->Delete(LogPath(dir_, number)).IgnoreError();
  }
  return absl::OkStatus();
}

// Room in the memtable and a log that takes records, for the next group.
absl::Status Engine::MakeRoom(bool freeze) {
  if (poisoned_) return PoisonError();
  const bool full = memtable_->memory_bytes() >= memtable_bytes_ ||
                    memtable_->range_count() >= kMaxMemtableRanges;
  if ((full || freeze) && !memtable_->empty()) {
    // Those that wait to be flushed take memory: no more than two of them.
    const absl::Time start = absl::Now();
    bool waited = false;
    while (true) {
      const size_t frozen = core_->Take().sources->frozen.size();
      if (frozen < 2) break;
      if (inline_) {
        KVARTS_RETURN_IF_ERROR(FlushOne().status());
        continue;
      }
      MutexLock lock(&work_mu_);
      // Space may have been given back since: a deletion is not refused for an error of before.
      if (!waited && DiskReserve::IsNoSpace(flush_error_)) RetryFlush();
      waited = true;
      if (!flush_error_.ok()) return flush_error_;
      progress_.WaitFor(&work_mu_, absl::Milliseconds(100));
    }
    if (waited) {
      memtable_waits_.fetch_add(1, std::memory_order_relaxed);
      memtable_wait_us_.fetch_add(
          static_cast<uint64_t>(absl::ToInt64Microseconds(absl::Now() - start)),
          std::memory_order_relaxed);
    }
    return Freeze();
  }
  PaceWriters();
  if (options_.log && begun_ && !logs_.is_open()) {
    // An append failed and was cut back. The numbers it would have had come again.
    return logs_.Begin(NewNumber(), applied_ + 1);
  }
  return absl::OkStatus();
}

// Slows writers down by as much as compaction is behind, a little at a time, so that none ever
// waits for all of it.
void Engine::PaceWriters() {
  constexpr size_t kPacedRuns = 12;
  constexpr uint64_t kStep = 64 << 10;
  if (inline_ || memtable_->data_bytes() < paced_bytes_ + kStep) return;
  paced_bytes_ = memtable_->data_bytes();
  const size_t runs = core_->Take().sources->version->runs_on_level_0();
  if (runs < kPacedRuns) return;
  const auto micros = std::min<uint64_t>((runs - kPacedRuns + 1) * 300, 3000);
  absl::SleepFor(absl::Microseconds(micros));
  debt_waits_.fetch_add(1, std::memory_order_relaxed);
  debt_wait_us_.fetch_add(micros, std::memory_order_relaxed);
}

absl::Status Engine::Freeze() {
  uint64_t log = 0;
  if (options_.log) {
    KVARTS_RETURN_IF_ERROR(WithReserve([&] {
      log = NewNumber();
      return logs_.Begin(log, applied_ + 1);
    }));
  }
  auto next = std::make_shared<Memtable>(log, memtable_bytes_);
  core_->Update([&](Sources* sources) {
    sources->frozen.insert(sources->frozen.begin(), std::move(sources->memtable));
    sources->memtable = next;
  });
  memtable_ = std::move(next);
  paced_bytes_ = 0;
  Wake();
  return absl::OkStatus();
}

absl::Status Engine::Write(const WriteBatch& batch, const WriteOptions& options,
                           WriteResults* results) {
  Commit commit;
  commit.batch = &batch;
  commit.options = options;
  commit.results = results;
  queue_.Call(&commit);
  if (inline_) RunInline();
  return commit.status;
}

void Engine::Submit(const WriteBatch& batch, const WriteOptions& options, WriteResults* results,
                    Store::WriteDone done) {
  auto commit = std::make_unique<Commit>();
  commit->batch = &batch;
  commit->options = options;
  commit->results = results;
  commit->done = std::move(done);
  queue_.Submit(std::move(commit));
  if (inline_) RunInline();
}

absl::Status Engine::Modify(absl::string_view key, const WriteOptions& options,
                            const Store::Modifier& modifier) {
  Commit commit;
  commit.key = key;
  commit.modifier = &modifier;
  commit.options = options;
  queue_.Call(&commit);
  if (inline_) RunInline();
  return commit.status;
}

absl::Status Engine::Sync() {
  if (!options_.log) return Flush();
  Commit commit;
  commit.sync = true;
  queue_.Call(&commit);
  return commit.status;
}

}  // namespace kvarts::sstable
