#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "storage/sstable/engine.h"

// Entries that come in order become tables of their own, beside everything else; then
//   1. who leads the commits writes what is in memory and may meet them to tables: a read looks
//      into memory first, and what it finds there must be newer
//   2. their sequence is taken, by a record of the log that changes nothing, so that the sequences
//      of the log have no gap; the sync of that record makes durable what was written before them
//   3. one edit of the manifest names all of them, with that sequence, and makes it visible
// A crash before the edit leaves tables that nobody names, which the next opening deletes.
namespace kvarts::sstable {
namespace {

// Deletes nothing, since it ends where it begins: see FORMAT.md.
constexpr absl::string_view kNowhere("\0", 1);

}  // namespace

// Not thread-safe. A source, as the input of a merge. Its entries have the sequence that the next
// write would have: where nobody writes meanwhile it stays theirs, and where the manifest is lost,
// who reads the tables without it takes them for newer than what was there before.
class Engine::SourceEntries final : public Iterator {
 public:
  SourceEntries(const SortedSource& source, Sequence sequence)
      : source_(source), sequence_(sequence) {}

  void Seek(absl::string_view, Trailer) override { Next(); }  // to the first one alone
  void SeekBefore(absl::string_view, Trailer) override {}
  void SeekToLast() override {}
  void Prev() override {}
  void Next() override {
    ShowNothing();
    const absl::StatusOr<bool> more = Take();
    status_ = more.status();
    if (more.ok() && *more) Show({*last_, MakeTrailer(sequence_, kind_), blob_});
  }
  absl::Status status() const override { return status_; }

 private:
  absl::StatusOr<bool> Take() {
    ScanEntry entry;
    KVARTS_ASSIGN_OR_RETURN(const bool more, source_(&entry));
    if (!more) return false;
    ++count_;
    if (last_.has_value() && entry.key <= absl::string_view(*last_)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "entry ", count_, ": its key \"", absl::CHexEscape(entry.key),
          "\" is not greater than the one before, \"", absl::CHexEscape(*last_), "\""));
    }
    Mutation put;
    put.key = entry.key;
    put.value = entry.value;
    put.metadata = Metadata::Of(entry.expires_at_ms, entry.content_type);
    KVARTS_RETURN_IF_ERROR(CheckMutation(put, SstableCapabilities()));
    last_.emplace(entry.key);
    blob_.resize(9 + entry.content_type.size() + entry.value.size());
    const char* const end =
        EncodePut(entry.expires_at_ms, entry.content_type, entry.value, blob_.data(), &kind_);
    blob_.resize(static_cast<size_t>(end - blob_.data()));
    return true;
  }

  const SortedSource& source_;
  const Sequence sequence_;
  uint64_t count_ = 0;
  std::optional<std::string> last_;
  std::string blob_;
  unsigned char kind_ = kPut;
  absl::Status status_;
};

absl::StatusOr<Maintenance::IngestReport> Engine::Ingest(const SortedSource& source) {
  MutexLock lock(&ingest_mu_);
  if (cancelled_) return ClosedError();
  if (poisoned_) return PoisonError();
  MergeJob job;
  job.input = std::make_unique<SourceEntries>(source, core_->visible() + 1);
  job.is_bottom = [](absl::string_view, absl::string_view) { return false; };
  job.new_number = [this] { return NewNumber(); };
  job.is_cancelled = [this] { return cancelled_.load(); };
  job.table = TableOptionsFor(1);  // wherever they go, they go there as they are
  job.table_bytes = options_.table_bytes;
  absl::StatusOr<MergeResult> merged = Merge(std::move(job), core_->tables());
  if (cancelled_ && absl::IsCancelled(merged.status())) return ClosedError();
  KVARTS_RETURN_IF_ERROR(merged.status());
  Maintenance::IngestReport report;
  if (merged->tables.empty()) return report;
  for (const TableInfo& info : merged->tables) {
    report.entries += info.entries;
    report.bytes += info.size;
    ++report.files;
  }
  Ingestion ingestion{std::move(merged->tables), false};
  // Most of what has to be flushed is, before writers have to wait for it.
  absl::Status status;
  if (MeetsMemory(ingestion.tables)) status = Flush();
  if (status.ok()) {
    const absl::Time start = absl::Now();
    Commit commit;
    commit.ingestion = &ingestion;
    queue_.Call(&commit);
    status = commit.status;
    ingest_commit_us_.fetch_add(
        static_cast<uint64_t>(absl::ToInt64Microseconds(absl::Now() - start)),
        std::memory_order_relaxed);
  }
  if (inline_) RunInline();
  if (status.ok()) return report;
  for (const TableInfo& info : ingestion.tables) {
    if (!ingestion.named) options_.fs->Delete(TablePath(dir_, info.number)).IgnoreError();
  }
  return status;
}

absl::Status Engine::CommitIngestion(Ingestion* ingestion) {
  if (closed_) return ClosedError();
  KVARTS_RETURN_IF_ERROR(MakeRoom(false));
  if (!begun_) KVARTS_RETURN_IF_ERROR(BeginLate());
  if (!options_.log || MeetsMemory(ingestion->tables)) KVARTS_RETURN_IF_ERROR(FlushAll());
  const Sequence sequence = applied_ + 1;
  if (options_.log) {
    const Entry taken{kNowhere, MakeTrailer(sequence, kDeleteRange), kNowhere};
    logs_.writer()->Add(EncodeLogRecord(absl::MakeConstSpan(&taken, 1)));
    promised_ = false;
    const absl::Status logged = logs_.writer()->Flush();
    if (logs_.writer()->poisoned()) Poison(logged);
    KVARTS_RETURN_IF_ERROR(logged);
    memtable_->Add(absl::MakeConstSpan(&taken, 1));
  }
  applied_ = sequence;
  if (const absl::Status synced = SyncLogs(); !synced.ok()) {
    Poison(synced);
    return PoisonError();
  }
  for (TableInfo& info : ingestion->tables) {
    if (info.smallest_sequence != sequence) info.stored_sequence = info.smallest_sequence;
    info.smallest_sequence = info.largest_sequence = sequence;
  }
  for (bool flushed = !options_.log;; flushed = true) {
    {
      MutexLock lock(&manifest_mu_);
      const std::vector<int> places = PlacesOf(ingestion->tables);
      // On level 0, where older runs stand behind newer ones, what is in memory may not come later.
      if (flushed || std::find(places.begin(), places.end(), 0) == places.end()) {
        VersionEdit edit;
        const uint64_t run = NewNumber();
        for (size_t i = 0; i < places.size(); ++i) {
          edit.added.push_back(
              {places[i], std::make_shared<TableFile>(ingestion->tables[i], run, remover_)});
        }
        ingestion->named = true;
        const absl::Status status = Install(std::move(edit), {}, nullptr, sequence);
        if (!status.ok()) {
          return absl::DeadlineExceededError(absl::StrCat(
              "what was ingested may be there when the store is opened again: ", status.message()));
        }
        ingested_tables_.fetch_add(places.size(), std::memory_order_relaxed);
        break;
      }
    }
    KVARTS_RETURN_IF_ERROR(FlushAll());
  }
  Wake();
  return absl::OkStatus();
}

absl::Status Engine::FlushAll() {
  while (true) {
    KVARTS_ASSIGN_OR_RETURN(const bool flushed, FlushOne());
    if (flushed) continue;
    if (poisoned_) return PoisonError();
    if (memtable_->empty()) return absl::OkStatus();
    KVARTS_RETURN_IF_ERROR(Freeze());
  }
}

bool Engine::MeetsMemory(const std::vector<TableInfo>& tables) const {
  const ReadCore::Now now = core_->Take();
  const auto meets = [&](const std::shared_ptr<Memtable>& memtable) {
    const auto entries = memtable->NewIterator();
    const auto ranges = memtable->ranges();
    return std::any_of(tables.begin(), tables.end(), [&](const TableInfo& info) {
      entries->Seek(info.smallest, ~Trailer{0});
      if (entries->valid() && info.Contains(entries->entry().key)) return true;
      return std::any_of(ranges->fragments().begin(), ranges->fragments().end(),
                         [&](const RangeTombstones::Fragment& range) {
                           return info.Overlaps(range.begin, range.end);
                         });
    });
  };
  return meets(now.sources->memtable) ||
         std::any_of(now.sources->frozen.begin(), now.sources->frozen.end(), meets);
}

std::vector<int> Engine::PlacesOf(const std::vector<TableInfo>& tables) {
  const Version& version = *manifest_->state().version;
  // No deeper than the data are, unless there is no room for so much: else what comes later would
  // stay above for long, and take its space twice.
  uint64_t bytes = 0;
  for (const TableInfo& info : tables) bytes += info.size;
  int deepest = std::max(version.deepest(), 1);
  while (deepest < kLevels - 1 && version.LevelBytes(deepest) + bytes > LevelTarget(deepest)) {
    ++deepest;
  }
  const Compaction* const compacting = compacting_;
  const auto meets = [&](int level, const TableInfo& info) {
    if (!version.Overlapping(level, info.smallest, EndOf(info)).empty()) return true;
    if (compacting == nullptr || compacting->output_level != level) return false;
    // What the compaction will have written may lie anywhere from its first key to its last.
    bool before = false;
    bool behind = false;
    for (const auto& [from, file] : compacting->inputs) {
      before = before || file->info().smallest <= info.largest;
      behind = behind || !file->info().IsPast(info.smallest);
    }
    return before && behind;
  };
  std::vector<int> places;
  for (const TableInfo& info : tables) {
    int level = 0;
    if (!meets(0, info)) {
      while (level < deepest && !meets(level + 1, info)) ++level;
    }
    places.push_back(level);
  }
  return places;
}

}  // namespace kvarts::sstable
