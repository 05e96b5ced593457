#ifndef KVARTS_STORAGE_FS_FILE_SYSTEM_H_
#define KVARTS_STORAGE_FS_FILE_SYSTEM_H_

#include "base/language.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kvarts {

// Not thread-safe. A file being written, from its end on. The destructor closes
// without a sync and hides errors. After a failed Append() or Sync() it is not
// known what reached the disk: do not write on.
class WritableFile {
 public:
  virtual ~WritableFile() = default;

  // Writes all of `bytes` behind what is there, or fails; after a failure some
  // of them may be in the file. Unbuffered: one system call or more each.
  virtual absl::Status Append(absl::string_view bytes) = 0;
  // Overwrites bytes at `offset` (a header, once the body is known).
  virtual absl::Status WriteAt(uint64_t offset, absl::string_view bytes) = 0;
  // The bytes outlive a power cut (fdatasync). The name may not yet: see
  // FileSystem::SyncDir().
  virtual absl::Status Sync() = 0;
  // Space for `size` bytes in all, without changing the size.
  virtual absl::Status Preallocate(uint64_t size) = 0;
  virtual absl::Status Truncate(uint64_t size) = 0;
  // Reports errors that a delayed write left.
  virtual absl::Status Close() = 0;
};

// Thread-safe. A file for reading at offsets.
class RandomAccessFile {
 public:
  virtual ~RandomAccessFile() = default;

  // Reads up to `size` bytes at `offset` into `scratch`; returns how many, fewer
  // only where the file ends.
  virtual absl::StatusOr<size_t> Read(uint64_t offset, size_t size, char* scratch) const = 0;
  // The size now.
  virtual absl::StatusOr<uint64_t> Size() const = 0;
};

// Thread-safe. A file mapped read-only, as large as it was when it was mapped.
//
// A file that shrinks under its mapping: where InstallSigbusHandler() was
// called, touching a page that is gone gives zero bytes and sets poisoned();
// without the handler the process dies (SIGBUS). The bytes between the new end
// and the end of its page read as zeros and set nothing: check CurrentSize().
class MappedFile {
 public:
  enum class Access : unsigned char { kNormal = 0, kRandom, kSequential };

  virtual ~MappedFile() = default;

  absl::string_view bytes() const { return bytes_; }
  const char* data() const { return bytes_.data(); }
  size_t size() const { return bytes_.size(); }

  // madvise(2) for all of it.
  virtual void Advise(Access access) = 0;
  // True once a touched page was found to be gone. One load.
  bool poisoned() const { return losses_->load(std::memory_order_acquire) != 0; }
  // Counts such touches, for who lends the bytes on; good as long as this mapping.
  const std::atomic<uint32_t>& losses() const { return *losses_; }
  // fstat(2) of the mapped file, whatever its name now stands for.
  virtual absl::StatusOr<uint64_t> CurrentSize() const = 0;

 protected:
  static inline const std::atomic<uint32_t> kNoLosses{0};

  absl::string_view bytes_;
  const std::atomic<uint32_t>* losses_ = &kNoLosses;
};

// Held until destroyed, or until the process ends, however it does.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

struct FileInfo {
  enum class Type : unsigned char { kFile = 0, kDirectory, kOther };

  Type type = Type::kFile;
  uint64_t size = 0;
  uint64_t allocated = 0;   // bytes of the disk that it has, behind its end too
  int64_t modified_ns = 0;  // since the Unix epoch
  // Names the file itself, through renames: unequal ids are different files.
  uint64_t device = 0;
  uint64_t inode = 0;
};

// Thread-safe. The only door to a disk for every engine. Paths are as the
// system has them: relative ones from the working directory of the process.
//
// Errors name the path, what was tried and the system's reason: kNotFound,
// kAlreadyExists, kPermissionDenied, kResourceExhausted (no space, no
// descriptors), kFailedPrecondition (a directory where a file is expected, a
// lock that is taken), kDataLoss (EIO), else kInternal.
class FileSystem {
 public:
  enum class Create : unsigned char {
    kNew = 0,   // kAlreadyExists where there is one
    kTruncate,  // empties one that is there
    kAppend,    // goes on behind what is there
  };

  virtual ~FileSystem() = default;

  // Files are created with mode 0644, less the umask; directories 0755, private
  // ones 0700.
  virtual absl::StatusOr<std::unique_ptr<WritableFile>> OpenForWrite(absl::string_view path,
                                                                     Create create) = 0;
  virtual absl::StatusOr<std::unique_ptr<RandomAccessFile>> OpenForRead(absl::string_view path) = 0;
  // Shared: lent-out bytes keep it alive. An empty file maps to empty bytes.
  virtual absl::StatusOr<std::shared_ptr<MappedFile>> Map(absl::string_view path) = 0;
  virtual absl::StatusOr<FileInfo> Stat(absl::string_view path) = 0;

  // Atomic: replaces a file at `to`.
  virtual absl::Status Rename(absl::string_view from, absl::string_view to) = 0;
  virtual absl::Status Link(absl::string_view from, absl::string_view to) = 0;
  virtual absl::Status Delete(absl::string_view path) = 0;

  virtual absl::Status CreateDir(absl::string_view path, bool is_private = false) = 0;
  virtual absl::Status DeleteDir(absl::string_view path) = 0;  // an empty one
  // The names in a directory, sorted, without "." and "..".
  virtual absl::StatusOr<std::vector<std::string>> List(absl::string_view path) = 0;
  // The names in a directory outlive a power cut: after creating, renaming and
  // deleting in it.
  virtual absl::Status SyncDir(absl::string_view path) = 0;

  // Creates the file where it is absent and locks it against other processes
  // and other calls; kFailedPrecondition at once where it is taken.
  virtual absl::StatusOr<std::unique_ptr<FileLock>> Lock(absl::string_view path) = 0;
  // Bytes that an unprivileged process may still write there.
  virtual absl::StatusOr<uint64_t> FreeSpace(absl::string_view path) = 0;
  // True where the system says that what is there is on another machine (NFS, SMB, AFS, Ceph):
  // others may have it too, with locks and renames of their own.
  virtual absl::StatusOr<bool> IsRemote(absl::string_view path) = 0;

  // The machine's. Never destroyed.
  static FileSystem* Posix();
};

// "dir/name" -> "dir"; "name" -> "."; "/name" -> "/".
std::string DirName(absl::string_view path);
std::string JoinPath(absl::string_view dir, absl::string_view name);

// Writes `contents` to `path` so that a reader, or a crash, finds the old file
// or the new one, whole and durable: (1) write PATH.tmp, (2) sync it, (3) rename
// it to PATH, (4) sync the directory. Removes PATH.tmp on failure.
absl::Status WriteFileAtomically(FileSystem* fs, absl::string_view path,
                                 absl::string_view contents);
absl::StatusOr<std::string> ReadFile(FileSystem* fs, absl::string_view path);

// Posix mappings survive a file that shrinks: see MappedFile. Call once, from
// main(), before threads. SIGBUS outside of a mapping still kills.
void InstallSigbusHandler();

}  // namespace kvarts

#endif  // KVARTS_STORAGE_FS_FILE_SYSTEM_H_
