#ifndef KVARTS_STORAGE_SSTABLE_ENGINE_H_
#define KVARTS_STORAGE_SSTABLE_ENGINE_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "storage/maintenance.h"
#include "storage/sstable/commit_queue.h"
#include "storage/sstable/disk_reserve.h"
#include "storage/sstable/log_set.h"
#include "storage/sstable/manifest.h"
#include "storage/sstable/merge.h"
#include "storage/sstable/options.h"
#include "storage/sstable/read_core.h"
#include "storage/sstable/view.h"
#include "storage/store.h"

namespace kvarts::sstable {

Capabilities SstableCapabilities();

// The number in "000012.log", whose suffix is ".log", or nothing.
std::optional<uint64_t> NumberOf(absl::string_view name, absl::string_view suffix);

// A memtable with so many range deletions is flushed: each one copies those before it.
inline constexpr size_t kMaxMemtableRanges = 1024;

// The end of a table's range: behind its last key.
inline std::string EndOf(const TableInfo& info) {
  return info.largest_open ? info.largest : info.largest + '\0';
}

// Tables that are to become part of the store: whole and durable, but for their names.
struct Ingestion {
  std::vector<TableInfo> tables;
  bool named = false;  // the manifest may name them: their files are not the caller's any more
};

// Thread-safe. The store's machinery; sstable.cc is its face.
//
// Locks, and the order in which they are taken:
//   the commit queue's leadership: one thread commits; it alone touches the memtable that is
//     written, the logs, and the numbers of mutations
//   ingest_mu_: one ingestion at a time; taken before the leadership
//   compaction_mu_, flush_mu_: one compaction, and one flush at a time
//   manifest_mu_: the manifest, and with it the version in the sources
//   work_mu_: what the background threads are to do, and who waits for them
//   ReadCore's: for the moment of an exchange
class Engine {
 public:
  static absl::StatusOr<std::unique_ptr<Engine>> Open(const std::string& dir,
                                                      const SstableOptions& options);
  ~Engine();

  const std::shared_ptr<ReadCore>& core() const { return core_; }
  const SstableOptions& options() const { return options_; }
  // A batch within the store's memory, and any single put.
  uint64_t max_batch_bytes() const {
    return std::max<uint64_t>(options_.memory,
                              kMaxKeyBytes + kMaxValueBytes + kMaxContentTypeBytes);
  }

  // engine_commit.cc
  absl::Status Write(const WriteBatch& batch, const WriteOptions& options, WriteResults* results);
  void Submit(const WriteBatch& batch, const WriteOptions& options, WriteResults* results,
              Store::WriteDone done);
  absl::Status Modify(absl::string_view key, const WriteOptions& options,
                      const Store::Modifier& modifier);
  absl::Status Sync();

  // engine_background.cc
  absl::Status Flush();
  absl::Status Compact(const KeyRange& range);

  // engine_ingest.cc
  absl::StatusOr<Maintenance::IngestReport> Ingest(const SortedSource& source);

  // engine_care.cc
  absl::StatusOr<uint64_t> ApproximateBytes(const KeyRange& range);
  absl::StatusOr<Maintenance::VerifyReport> Verify();
  absl::StatusOr<std::string> Checkpoint(absl::string_view name);
  absl::StatusOr<Maintenance::IndexReport> LoadIndex();
  absl::StatusOr<Maintenance::IndexReport> SaveIndexSnapshot(absl::string_view name);
  absl::StatusOr<Maintenance::IndexReport> LoadIndexSnapshot(absl::string_view name);
  StoreStats Stats();

  // Ends the threads and flushes. Calls that write fail from then on.
  absl::Status Close();

 private:
  class Remover;
  class Resolver;

  Engine(std::string dir, const SstableOptions& options);

  // Thread-safe by itself.
  uint64_t NewNumber() ABSL_NO_THREAD_SAFETY_ANALYSIS { return manifest_->NewNumber(); }

  // engine_open.cc
  absl::Status OpenDirectory();
  absl::Status LockDirectory();
  absl::Status Recover();
  // Numbers for the mutations of this opening, and a log for them, durably, and what else `edit`
  // has. By who opens or leads.
  absl::Status Begin(VersionEdit edit) ABSL_EXCLUSIVE_LOCKS_REQUIRED(manifest_mu_);
  absl::Status DeleteOrphans() ABSL_EXCLUSIVE_LOCKS_REQUIRED(manifest_mu_);
  absl::Status StartThreads();

  // engine_commit.cc; all by who leads.
  void CommitGroup(absl::Span<Commit* const> group);
  // `full`: there is space for deletions alone.
  void CommitGroup(absl::Span<Commit* const> group, bool full);
  absl::Status MakeRoom(bool freeze);
  absl::Status BeginLate();
  void BeginInBackground();
  absl::Status Freeze();
  void PaceWriters();
  void PromiseWhatIsSynced();  // by a thread of the background
  void Poison(const absl::Status& cause);
  absl::Status PoisonError() const;
  absl::Status SyncLogs();

  // engine_ingest.cc
  class SourceEntries;
  // By who leads.
  absl::Status CommitIngestion(Ingestion* ingestion);
  absl::Status FlushAll();  // by who leads
  bool MeetsMemory(const std::vector<TableInfo>& tables) const;
  // The level for each table: the deepest where there is nothing of its range, nor on those above.
  std::vector<int> PlacesOf(const std::vector<TableInfo>& tables)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(manifest_mu_);

  // engine_background.cc
  void FlushLoop();
  void CompactLoop();
  // One step of each: false where there was nothing to do.
  absl::StatusOr<bool> FlushOne();
  absl::StatusOr<bool> TryFlushOne();
  // `idle`: nothing has come to be flushed for a while, or nothing can.
  absl::StatusOr<bool> CompactOne(bool idle);
  void RunInline();  // without threads: all that is due
  struct Compaction {
    int output_level = 0;
    bool moves = false;  // the inputs get there as they are, by an edit of the manifest alone
    std::vector<std::pair<int, TableFilePtr>> inputs;
  };
  // Drops, unread, the tables of which range deletions in other tables hide all; false where there
  // is none.
  absl::StatusOr<bool> DropHidden() ABSL_EXCLUSIVE_LOCKS_REQUIRED(compaction_mu_);
  absl::StatusOr<bool> IsHidden(const Version& version, const TableInfo& info,
                                const std::vector<Sequence>& pinned);
  std::optional<Compaction> Pick(const Version& version, bool idle)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(compaction_mu_);
  // Picks by the version that there is, and carries it out. False where there is nothing to do.
  absl::StatusOr<bool> PickAndRun(
      absl::FunctionRef<std::optional<Compaction>(const Version& version)> pick)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(compaction_mu_);
  absl::Status Run(const Compaction& compaction, const Version& version);
  // What was deleted reaches the tables, so that they can become smaller, or go.
  void FlushDeletions();
  // Writes one table without what newer tables hide of it, where that is a quarter of it or more: a
  // compaction needs space for all that it meets, this for a table. False where there is none.
  absl::StatusOr<bool> ShrinkOne();
  absl::StatusOr<bool> Shrink(int level, const TableFilePtr& file, const Sources& above,
                              Sequence at) ABSL_EXCLUSIVE_LOCKS_REQUIRED(compaction_mu_);
  // From then on a thread looks for space, which would otherwise sleep for as long as nothing is
  // flushed.
  bool SpendReserve(uint64_t before) {
    if (!reserve_.Spend(before)) return false;
    Wake();
    return true;
  }
  // Does it once more where only the reserve had the space for it.
  template <typename Work>
  auto WithReserve(const Work& work) {
    const uint64_t before = reserve_.times_spent();
    auto result = work();
    if (!DiskReserve::IsNoSpace(StatusOf(result)) || !SpendReserve(before)) return result;
    return work();
  }
  static const absl::Status& StatusOf(const absl::Status& status) { return status; }
  template <typename T>
  static const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
    return result.status();
  }
  // `to`: becomes visible with it; 0: nothing does.
  absl::Status Install(VersionEdit edit, const std::vector<TableFilePtr>& obsolete,
                       const std::shared_ptr<Memtable>& flushed, Sequence to = 0)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(manifest_mu_);
  TableOptions TableOptionsFor(int level) const;
  uint64_t LevelTarget(int level) const;
  void Wake();
  // What stopped the last try may be over: from here on a new one counts.
  void RetryFlush() ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mu_) {
    flush_error_ = absl::OkStatus();
    work_.SignalAll();
  }
  void NoteDeadRun();
  void WakeIfHidesTables(absl::Span<const Entry> entries);

  const std::string dir_;
  const SstableOptions options_;
  const size_t memtable_bytes_;
  std::atomic<bool> inline_;  // there are no threads for flushes and compactions
  const uint64_t level1_bytes_;
  const std::shared_ptr<ReadCore> core_;
  std::shared_ptr<TableRemover> remover_;
  std::unique_ptr<FileLock> lock_;
  DiskReserve reserve_;

  // Only who leads touches these.
  LogSet logs_;
  Sequence applied_ = 0;
  bool begun_ = false;  // see Begin()
  std::shared_ptr<Memtable> memtable_;
  uint64_t paced_bytes_ = 0;  // the memtable's, when writers were paced last

  // Only who leads changes it. Whether the last record of the log is a promise alone.
  std::atomic<bool> promised_{true};

  bool writable_ = false;  // constant once it is open
  CommitQueue queue_;
  std::atomic<bool> closed_{false};
  std::atomic<bool> poisoned_{false};
  mutable Mutex poison_mu_;
  absl::Status poison_ ABSL_GUARDED_BY(poison_mu_);

  Mutex ingest_mu_;  // one ingestion at a time
  Mutex flush_mu_;   // one flush at a time
  Mutex compaction_mu_;
  // Where the last compaction of a level ended: the next one goes on behind it.
  std::array<std::string, kLevels> compacted_to_ ABSL_GUARDED_BY(compaction_mu_);
  // Tables that ShrinkOne() has looked at since that many flushes.
  std::set<uint64_t> looked_at_ ABSL_GUARDED_BY(compaction_mu_);
  uint64_t looked_since_ ABSL_GUARDED_BY(compaction_mu_) = 0;

  Mutex manifest_mu_;
  std::unique_ptr<Manifest> manifest_ ABSL_PT_GUARDED_BY(manifest_mu_);
  // No version has these, but maybe a manifest whose writing failed has.
  std::vector<TableFilePtr> doubtful_ ABSL_GUARDED_BY(manifest_mu_);
  // The compaction that is under way, from before its version is looked at: what comes to its
  // output level meanwhile must not be where its tables will be.
  const Compaction* compacting_ ABSL_GUARDED_BY(manifest_mu_) = nullptr;

  Mutex work_mu_;
  CondVar work_;      // for the threads
  CondVar progress_;  // something was done, or has failed
  uint64_t work_asked_ ABSL_GUARDED_BY(work_mu_) = 0;
  absl::Status flush_error_ ABSL_GUARDED_BY(work_mu_);    // what the last try gave
  absl::Status compact_error_ ABSL_GUARDED_BY(work_mu_);  // likewise
  bool stopping_ ABSL_GUARDED_BY(work_mu_) = false;
  // A range deletion in the memtable hides all of a table.
  bool hides_tables_ ABSL_GUARDED_BY(work_mu_) = false;
  bool dead_run_ ABSL_GUARDED_BY(work_mu_) = false;  // a scan has passed one
  std::atomic<bool> cancelled_{false};
  std::thread flush_thread_;
  std::thread compact_thread_;

  // These are counted for Stats().
  std::atomic<uint64_t> syncs_{0};
  std::atomic<uint64_t> groups_{0};
  std::atomic<uint64_t> writes_{0};
  std::atomic<uint64_t> user_bytes_{0};
  std::atomic<uint64_t> log_bytes_{0};
  std::atomic<uint64_t> table_bytes_{0};
  std::atomic<uint64_t> flushes_{0};
  std::atomic<uint64_t> compactions_{0};
  std::atomic<uint64_t> moved_tables_{0};
  std::atomic<uint64_t> dropped_tables_{0};
  std::atomic<uint64_t> dead_runs_{0};
  std::atomic<uint64_t> shrunk_{0};
  std::atomic<uint64_t> ingested_tables_{0};
  std::atomic<uint64_t> ingest_commit_us_{0};
  std::atomic<uint64_t> compacted_bytes_{0};
  std::atomic<uint64_t> memtable_waits_{0};
  std::atomic<uint64_t> memtable_wait_us_{0};
  std::atomic<uint64_t> debt_waits_{0};
  std::atomic<uint64_t> debt_wait_us_{0};
};

}  // namespace kvarts::sstable

#endif  // KVARTS_STORAGE_SSTABLE_ENGINE_H_
