#include "storage/fs/posix_descriptor.h"

#include <fcntl.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "storage/fs/errno_status.h"

namespace kvarts {

absl::StatusOr<Descriptor> OpenDescriptor(const std::string& path, int flags) {
  // Behind a NUL the system would see another path than the caller.
  if (path.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat(path.c_str(), ": open: the path holds a NUL"));
  }
  const int fd = Retry([&] { return open(path.c_str(), flags | O_CLOEXEC, 0644); });
  if (fd < 0) return ErrnoStatus(errno, path, "open");
  return Descriptor(fd);
}

absl::StatusOr<struct stat> StatDescriptor(const Descriptor& fd, const std::string& path) {
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, path, "stat");
  return info;
}

absl::StatusOr<std::pair<Descriptor, uint64_t>> OpenRegular(const std::string& path) {
  // O_NONBLOCK: opening a FIFO that nobody writes would wait for ever; regular
  // files do not heed it.
  KVARTS_ASSIGN_OR_RETURN(Descriptor fd, OpenDescriptor(path, O_RDONLY | O_NONBLOCK));
  KVARTS_ASSIGN_OR_RETURN(const struct stat info, StatDescriptor(fd, path));
  if (S_ISDIR(info.st_mode)) return ErrnoStatus(EISDIR, path, "open");
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": open: is not a regular file"));
  }
  return std::make_pair(std::move(fd), static_cast<uint64_t>(info.st_size));
}

}  // namespace kvarts
