#ifndef KVARTS_GROUPBY_SPILL_TEMP_FOLDER_H_
#define KVARTS_GROUPBY_SPILL_TEMP_FOLDER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "storage/fs/file_system.h"

namespace kvarts::groupby_internal {

// Thread-safe. A private folder (mode 0700) for one grouping's files,
// "PARENT/kvarts-groupby.RANDOM", made when the first path is asked for, and deleted
// with all that is in it by the destructor.
//
// A file "lock" in it is locked as long as the process lives. Whoever makes such a
// folder first deletes those beside it whose lock is free: their processes are dead.
class TempFolder {
 public:
  static constexpr char kPrefix[] = "kvarts-groupby.";

  // `parent` empty: $TMPDIR, else /tmp. Touches nothing.
  TempFolder(FileSystem* fs, absl::string_view parent);
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  // A path in the folder that no other call has got, ending in ".NAME". An error, that
  // of making the folder, stays.
  absl::StatusOr<std::string> NewPath(absl::string_view name);
  // Deletes all now; NewPath() is kFailedPrecondition afterwards. Called again it deletes what a
  // thread that was about to make a file has made since.
  void Remove();
  bool exists() const;

  // Deletes such folders in `parent` whose processes are dead, for who may never make one.
  static void DeleteStale(FileSystem* fs, absl::string_view parent);

 private:
  absl::Status Make() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  FileSystem* const fs_;
  const std::string parent_;
  mutable Mutex mu_;
  std::string path_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<FileLock> lock_ ABSL_GUARDED_BY(mu_);
  uint64_t next_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status error_ ABSL_GUARDED_BY(mu_);
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SPILL_TEMP_FOLDER_H_
