#include "groupby/text/output_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "groupby/spill/temp_folder.h"

namespace kvarts::groupby_text {
namespace {

constexpr size_t kBufferBytes = 128 << 10;
constexpr int kPipeBytes = 1 << 20;  // fewer system calls
constexpr int kPipePollMs = 20;

// A pipe as a description of this process's own, that does not block: a blocked write
// could not be interrupted, and O_NONBLOCK on the given one would reach who shares it.
int ReopenPipe(int fd) {
  const std::string path = absl::StrCat("/proc/self/fd/", fd);
  const int own = ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  if (own >= 0) ::fcntl(own, F_SETPIPE_SZ, kPipeBytes);
  return own;
}

std::string TempPrefix(absl::string_view target) {
  return absl::StrCat(target, ".", groupby_internal::TempFolder::kPrefix);
}

// Deletes what killed processes left beside `target`: nobody holds its lock.
void DeleteStale(FileSystem* fs, const std::string& target) {
  const std::string dir = DirName(target);
  const auto names = fs->List(dir);
  if (!names.ok()) return;
  const std::string prefix = TempPrefix(target.substr(target.rfind('/') + 1));
  for (const std::string& name : *names) {
    absl::string_view number = name;
    if (!absl::ConsumePrefix(&number, prefix) || !absl::ConsumeSuffix(&number, ".tmp") ||
        number.empty() || number.find_first_not_of("0123456789.") != absl::string_view::npos) {
      continue;
    }
    const std::string path = JoinPath(dir, name);
    const auto lock = fs->Lock(path);
    if (lock.ok()) fs->Delete(path).IgnoreError();
  }
}

bool IsNameOf(const std::string& path, int fd) {
  struct stat named = {};
  struct stat open = {};
  return ::stat(path.c_str(), &named) == 0 && ::fstat(fd, &open) == 0 &&
         named.st_dev == open.st_dev && named.st_ino == open.st_ino;
}

}  // namespace

absl::StatusOr<std::unique_ptr<OutputFile>> OutputFile::OpenTemporary(const std::string& path,
                                                                      const std::string& target,
                                                                      const Interrupt* interrupt) {
  FileSystem* const fs = FileSystem::Posix();
  DeleteStale(fs, target);
  // A process of the same number may run elsewhere, over a file system that is shared; and
  // who deletes stale files may lock this one first, and delete it.
  for (int attempt = 0;; ++attempt) {
    const std::string temp_path = absl::StrCat(
        TempPrefix(target), ::getpid(), attempt == 0 ? "" : absl::StrCat(".", attempt), ".tmp");
    const int fd = ::open(temp_path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
      if (errno == EEXIST && attempt < 1000) continue;
      const bool is_there = ::access(target.c_str(), F_OK) == 0;
      return absl::ErrnoToStatus(
          errno, absl::StrCat(path, is_there ? ": cannot make the file beside it that replaces it "
                                               "when it is whole (> writes to it as it goes)"
                                             : ": cannot create the output"));
    }
    std::unique_ptr<OutputFile> file(new OutputFile(path, fd, interrupt));
    auto lock = fs->Lock(temp_path);
    if (lock.ok() ? IsNameOf(temp_path, fd) : !absl::IsFailedPrecondition(lock.status())) {
      if (lock.ok()) file->lock_ = *std::move(lock);
      file->path_ = target;
      file->temp_path_ = temp_path;
      return file;
    }
    // It was deleted, and locking the name made another one.
    if (lock.ok()) fs->Delete(temp_path).IgnoreError();
  }
}

absl::StatusOr<std::unique_ptr<OutputFile>> OutputFile::Open(const std::string& path,
                                                             const Interrupt* interrupt) {
  if (path == "-") {
    struct stat info = {};
    const bool pipe = ::fstat(STDOUT_FILENO, &info) == 0 && S_ISFIFO(info.st_mode);
    const int own = pipe ? ReopenPipe(STDOUT_FILENO) : -1;
    return std::unique_ptr<OutputFile>(
        new OutputFile("standard output", own >= 0 ? own : STDOUT_FILENO, interrupt));
  }
  // A link stays one: what it names is replaced.
  std::string target = path;
  char* const real = ::realpath(path.c_str(), nullptr);
  if (real != nullptr) target = real;
  std::free(real);
  struct stat info = {};
  const bool exists = ::stat(target.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": is a directory"));
  }
  if (exists && !S_ISREG(info.st_mode)) {
    // A pipe can be opened once somebody reads it. Nothing tells when that is, and open()
    // itself would not end when the program is asked to.
    int fd = -1;
    while ((fd = ::open(target.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK)) < 0) {
      if (errno != ENXIO || !S_ISFIFO(info.st_mode)) {
        return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot open the output"));
      }
      KVARTS_RETURN_IF_ERROR(interrupt->Sleep(kPipePollMs));
    }
    if (S_ISFIFO(info.st_mode)) {
      ::fcntl(fd, F_SETPIPE_SZ, kPipeBytes);
    } else {
      ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    }
    return std::unique_ptr<OutputFile>(new OutputFile(path, fd, interrupt));
  }
  KVARTS_ASSIGN_OR_RETURN(std::unique_ptr<OutputFile> file, OpenTemporary(path, target, interrupt));
  if (exists) {
    file->mode_ = info.st_mode & 07777;
    // Nobody else may read more than before; and as long as it is not whole its owner may
    // open it, to see that it has no lock.
    [[maybe_unused]] const int kept = ::fchmod(file->fd_, file->mode_ | S_IRUSR | S_IWUSR);
  }
  return file;
}

OutputFile::~OutputFile() {
  if (fd_ > STDERR_FILENO) ::close(fd_);
  if (!temp_path_.empty()) ::unlink(temp_path_.c_str());
}

absl::Status OutputFile::Append(absl::string_view bytes) {
  if (buffer_.size() + bytes.size() < kBufferBytes) {
    buffer_.append(bytes.data(), bytes.size());
    return absl::OkStatus();
  }
  KVARTS_RETURN_IF_ERROR(Write(buffer_));
  buffer_.clear();
  if (bytes.size() >= kBufferBytes / 2) return Write(bytes);
  buffer_.append(bytes.data(), bytes.size());
  return absl::OkStatus();
}

absl::Status OutputFile::Write(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n >= 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
      written_ += static_cast<uint64_t>(n);
      continue;
    }
    const int error = errno;
    if (error == EPIPE) {
      return absl::CancelledError(absl::StrCat(name_, ": nobody reads the output any more"));
    }
    if (error == EAGAIN) {
      KVARTS_RETURN_IF_ERROR(interrupt_->Wait(fd_, POLLOUT));
    } else if (error != EINTR) {
      return absl::ErrnoToStatus(error, absl::StrCat(name_, ": cannot write the output"));
    } else if (interrupt_->is_set()) {
      return absl::CancelledError("interrupted");
    }
  }
  return absl::OkStatus();
}

absl::Status OutputFile::Commit() {
  KVARTS_RETURN_IF_ERROR(Write(buffer_));
  buffer_.clear();
  if (mode_ != 0) [[maybe_unused]]
    const int kept = ::fchmod(fd_, mode_);
  if (fd_ > STDERR_FILENO) {
    const int closed = ::close(std::exchange(fd_, -1));
    if (closed != 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat(name_, ": cannot write the output"));
    }
  }
  if (temp_path_.empty()) return absl::OkStatus();
  if (::rename(temp_path_.c_str(), path_.c_str()) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat(name_, ": cannot rename the output to this"));
  }
  temp_path_.clear();
  lock_.reset();
  return absl::OkStatus();
}

}  // namespace kvarts::groupby_text
