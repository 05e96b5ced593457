#ifndef KVARTS_STORAGE_MEMORY_SNAPSHOTS_H_
#define KVARTS_STORAGE_MEMORY_SNAPSHOTS_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/progress.h"
#include "storage/fs/file_system.h"
#include "storage/memory/snapshot_format.h"
#include "storage/memory/table.h"

namespace kvarts::memory_internal {

// Thread-safe. The snapshots of a table in one file.
class Snapshots {
 public:
  // All must outlive it.
  Snapshots(Table* table, const Clock* clock, FileSystem* fs, std::string path)
      : table_(*table), clock_(*clock), fs_(*fs), path_(std::move(path)) {}
  ~Snapshots() { Unlock(); }

  // Once, before all else: takes the file's lock, which keeps other processes from saving over
  // what this one saves. kFailedPrecondition where another store has it. A folder that takes no
  // files may be loaded from: Save() tries again there.
  absl::Status Lock();
  // The file may be another's now.
  void Unlock();

  // Fills the table, which is empty, from the file, if there is one; what has expired is
  // left out. True where an entry will expire. After an error the table is to be dropped.
  absl::StatusOr<bool> Load(ProgressSink* progress);

  // Replaces the file by one of a moment within this call. One at a time: others wait.
  absl::Status Save();
  // When the file was last written, or was when it was loaded: Unix milliseconds, 0: never.
  int64_t saved_at_ms() const { return saved_at_ms_.load(std::memory_order_relaxed); }
  // Why the last Save() failed; OK where it did not, and before the first one.
  absl::Status last_save() const;
  // Tries what Save() will need: that a file can be made beside `path`.
  absl::Status CheckCanSave();

 private:
  absl::Status TakeLock() ABSL_EXCLUSIVE_LOCKS_REQUIRED(saving_);
  absl::Status Write();

  Table& table_;
  const Clock& clock_;
  FileSystem& fs_;
  const std::string path_;
  std::atomic<int64_t> saved_at_ms_{0};
  Mutex saving_;
  std::unique_ptr<FileLock> lock_ ABSL_GUARDED_BY(saving_);
  mutable Mutex mu_;
  absl::Status last_save_ ABSL_GUARDED_BY(mu_);
};

}  // namespace kvarts::memory_internal

#endif  // KVARTS_STORAGE_MEMORY_SNAPSHOTS_H_
