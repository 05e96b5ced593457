#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <set>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "storage/fs/errno_status.h"
#include "storage/fs/file_system.h"
#include "storage/fs/mapping_table.h"
#include "storage/fs/posix_descriptor.h"
#include "storage/fs/posix_files.h"

namespace kvarts {
namespace {

// The locks of this process: flock(2) over NFS is the process's, and then two
// calls of one process would both have it.
struct HeldLocks {
  using Id = std::pair<dev_t, ino_t>;

  Mutex mu;
  std::set<Id> ids ABSL_GUARDED_BY(mu);

  static HeldLocks& Get() {
    static HeldLocks* const held = new HeldLocks;
    return *held;
  }
};

class PosixFileLock : public FileLock {
 public:
  PosixFileLock(Descriptor fd, HeldLocks::Id id) : fd_(std::move(fd)), id_(id) {}
  ~PosixFileLock() override {
    HeldLocks& held = HeldLocks::Get();
    MutexLock lock(&held.mu);
    // Not by close() alone: a child that was forked has the descriptor too.
    flock(fd_.get(), LOCK_UN);
    held.ids.erase(id_);
  }

 private:
  const Descriptor fd_;
  const HeldLocks::Id id_;
};

class PosixFileSystem : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForWrite(absl::string_view path,
                                                             Create create) override {
    return OpenPosixForWrite(std::string(path), create);
  }
  absl::StatusOr<std::unique_ptr<RandomAccessFile>> OpenForRead(absl::string_view path) override {
    return OpenPosixForRead(std::string(path));
  }
  absl::StatusOr<std::shared_ptr<MappedFile>> Map(absl::string_view path) override {
    return MapPosix(std::string(path));
  }

  absl::StatusOr<FileInfo> Stat(absl::string_view path) override {
    struct stat info;
    KVARTS_RETURN_IF_ERROR(Call(path, "stat", [&](const char* name) { return stat(name, &info); }));
    FileInfo result;
    result.type = S_ISREG(info.st_mode)   ? FileInfo::Type::kFile
                  : S_ISDIR(info.st_mode) ? FileInfo::Type::kDirectory
                                          : FileInfo::Type::kOther;
    result.size = static_cast<uint64_t>(info.st_size);
    result.allocated = static_cast<uint64_t>(info.st_blocks) * 512;
    result.modified_ns = int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
    result.device = info.st_dev;
    result.inode = info.st_ino;
    return result;
  }

  absl::Status Rename(absl::string_view from, absl::string_view to) override {
    return CallWithTwo(from, to, "rename", rename);
  }
  absl::Status Link(absl::string_view from, absl::string_view to) override {
    return CallWithTwo(from, to, "link", link);
  }
  absl::Status Delete(absl::string_view path) override { return Call(path, "delete", unlink); }

  absl::Status CreateDir(absl::string_view path, bool is_private) override {
    return Call(path, "create a directory",
                [&](const char* name) { return mkdir(name, is_private ? 0700 : 0755); });
  }
  absl::Status DeleteDir(absl::string_view path) override {
    return Call(path, "delete a directory", rmdir);
  }

  absl::StatusOr<std::vector<std::string>> List(absl::string_view path) override {
    DIR* dir = nullptr;
    KVARTS_RETURN_IF_ERROR(Call(path, "list", [&](const char* name) {
      dir = opendir(name);
      return dir == nullptr ? -1 : 0;
    }));
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = readdir(dir)) {
      const absl::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      errno = 0;
    }
    const int error = errno;
    closedir(dir);
    if (error != 0) return ErrnoStatus(error, path, "list");
    std::sort(names.begin(), names.end());
    return names;
  }

  absl::Status SyncDir(absl::string_view path) override {
    const std::string name(path);
    KVARTS_ASSIGN_OR_RETURN(const Descriptor fd, OpenDescriptor(name, O_RDONLY | O_DIRECTORY));
    // EINVAL: a file system whose directories need no sync.
    if (Retry([&] { return fsync(fd.get()); }) == 0 || errno == EINVAL) return absl::OkStatus();
    return ErrnoStatus(errno, name, "sync the directory");
  }

  absl::StatusOr<std::unique_ptr<FileLock>> Lock(absl::string_view path) override {
    const std::string name(path);
    HeldLocks& held = HeldLocks::Get();
    // Held throughout: nothing in here waits.
    MutexLock lock(&held.mu);
    for (;;) {
      KVARTS_ASSIGN_OR_RETURN(Descriptor fd, OpenDescriptor(name, O_RDWR | O_CREAT | O_NONBLOCK));
      KVARTS_ASSIGN_OR_RETURN(const struct stat info, StatDescriptor(fd, name));
      const HeldLocks::Id id(info.st_dev, info.st_ino);
      if (held.ids.count(id) > 0) {
        return absl::FailedPreconditionError(
            absl::StrCat(name, ": lock: is locked by this process"));
      }
      if (Retry([&] { return flock(fd.get(), LOCK_EX | LOCK_NB); }) != 0) {
        if (errno != EWOULDBLOCK) return ErrnoStatus(errno, name, "lock");
        return absl::FailedPreconditionError(
            absl::StrCat(name, ": lock: is locked by another process"));
      }
      // Deleted or replaced between open and lock: a lock that nobody meets.
      struct stat now;
      if (stat(name.c_str(), &now) != 0 || HeldLocks::Id(now.st_dev, now.st_ino) != id) continue;
      held.ids.insert(id);
      return std::make_unique<PosixFileLock>(std::move(fd), id);
    }
  }

  absl::StatusOr<uint64_t> FreeSpace(absl::string_view path) override {
    struct statvfs info;
    KVARTS_RETURN_IF_ERROR(
        Call(path, "ask for free space", [&](const char* name) { return statvfs(name, &info); }));
    return uint64_t{info.f_bavail} * info.f_frsize;
  }

  absl::StatusOr<bool> IsRemote(absl::string_view path) override {
    struct statfs info;
    KVARTS_RETURN_IF_ERROR(Call(path, "ask for the file system's kind",
                                [&](const char* name) { return statfs(name, &info); }));
    // Of 32 bits; the field is signed, and wider on most machines.
    switch (static_cast<uint32_t>(info.f_type)) {
      case NFS_SUPER_MAGIC:
      case SMB_SUPER_MAGIC:
      case 0xff534d42:  // CIFS
      case 0xfe534d42:  // SMB2
      case AFS_SUPER_MAGIC:
      case CODA_SUPER_MAGIC:
      case 0x00c36400:  // Ceph
        return true;
      default:
        return false;
    }
  }

 private:
  template <typename SystemCall>
  static absl::Status Call(absl::string_view path, absl::string_view what, SystemCall call) {
    const std::string name(path);
    if (name.find('\0') != std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat(name.c_str(), ": ", what, ": the path holds a NUL"));
    }
    if (Retry([&] { return call(name.c_str()); }) == 0) return absl::OkStatus();
    return ErrnoStatus(errno, path, what);
  }

  static absl::Status CallWithTwo(absl::string_view from, absl::string_view to,
                                  absl::string_view what, int (*call)(const char*, const char*)) {
    const std::string target(to);
    if (target.find('\0') != std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat(target.c_str(), ": ", what, ": the path holds a NUL"));
    }
    return Call(from, absl::StrCat(what, " to ", to),
                [&](const char* name) { return call(name, target.c_str()); });
  }
};

}  // namespace

FileSystem* FileSystem::Posix() {
  static FileSystem* const posix = new PosixFileSystem;
  return posix;
}

void InstallSigbusHandler() { MappingTable::InstallHandler(); }

}  // namespace kvarts
