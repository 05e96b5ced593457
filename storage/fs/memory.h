#ifndef KVARTS_STORAGE_FS_MEMORY_H_
#define KVARTS_STORAGE_FS_MEMORY_H_

#include "base/language.h"

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "storage/fs/crash_policy.h"
#include "storage/fs/file_operation.h"
#include "storage/fs/file_system.h"

namespace kvarts {

struct MemoryCore;

// Thread-safe, its files as FileSystem says. A file system in memory that knows
// what a disk would have after a power cut: of each file the bytes that were
// synced, of each directory the names. A file's sync does not save its name.
//
// Other than on Posix: paths begin at the root, whether they begin with a slash
// or not, and only the root is there at first; Map() gives the bytes of that
// moment, and a file that shrinks poisons nothing; a directory is renamed
// within its parent only; permissions are not kept.
class MemoryFileSystem : public FileSystem {
 public:
  enum class Moment : unsigned char { kBefore = 0, kAfter };
  // Runs in the thread of the operation and without a lock, so that it may call
  // CloneAfterCrash().
  using Hook = std::function<void(Moment, const FileOperation&)>;

  MemoryFileSystem();
  ~MemoryFileSystem() override;

  // What a power cut at this moment leaves: a file system of its own, without locks
  // and open files, all of it synced. The same seed gives the same one.
  std::unique_ptr<MemoryFileSystem> CloneAfterCrash(uint64_t seed, CrashPolicy policy) const;

  // Makes all durable, as sync(2): a test's starting point.
  void SyncAll();

  // A failed write-back, as Linux has it: what was not synced of `file` never
  // reaches the disk and counts as clean, so that the next sync succeeds. The size
  // stays; zeros are where bytes are gone. Readers see that after a crash, or, where
  // `at_once` (the pages were evicted), now.
  // REQUIRES: `file` was opened by this file system.
  void LoseUnsynced(WritableFile* file, bool at_once = false);

  // Called before and after each operation that may change what a crash leaves,
  // also a failing one. Empty: none.
  void SetHook(Hook hook);
  // How many of these there were.
  uint64_t operations() const;

  // The space for files' bytes; unlimited at first. A write that does not fit
  // leaves the part that does and is kResourceExhausted. Names take no space.
  void SetCapacity(uint64_t bytes);
  uint64_t used_bytes() const;

  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForWrite(absl::string_view path,
                                                             Create create) override;
  absl::StatusOr<std::unique_ptr<RandomAccessFile>> OpenForRead(absl::string_view path) override;
  absl::StatusOr<std::shared_ptr<MappedFile>> Map(absl::string_view path) override;
  absl::StatusOr<FileInfo> Stat(absl::string_view path) override;
  absl::Status Rename(absl::string_view from, absl::string_view to) override;
  absl::Status Link(absl::string_view from, absl::string_view to) override;
  absl::Status Delete(absl::string_view path) override;
  absl::Status CreateDir(absl::string_view path, bool is_private = false) override;
  absl::Status DeleteDir(absl::string_view path) override;
  absl::StatusOr<std::vector<std::string>> List(absl::string_view path) override;
  absl::Status SyncDir(absl::string_view path) override;
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(absl::string_view path) override;
  absl::StatusOr<uint64_t> FreeSpace(absl::string_view path) override;
  absl::StatusOr<bool> IsRemote(absl::string_view path) override;

 private:
  const std::shared_ptr<MemoryCore> core_;  // shared with open files
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_FS_MEMORY_H_
