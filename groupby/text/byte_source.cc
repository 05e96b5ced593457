#include "groupby/text/byte_source.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace kvarts::groupby_text {
namespace {

class FileSource final : public ByteSource {
 public:
  FileSource(std::string name, int fd, const struct stat& info, const Interrupt* interrupt)
      : name_(std::move(name)),
        fd_(fd),
        regular_(S_ISREG(info.st_mode)),
        size_(regular_ ? static_cast<uint64_t>(info.st_size) : 0),
        interrupt_(interrupt) {}
  ~FileSource() override {
    if (fd_ != STDIN_FILENO) ::close(fd_);
  }

  absl::StatusOr<size_t> Read(char* to, size_t room) override {
    while (true) {
      if (!regular_) KVARTS_RETURN_IF_ERROR(interrupt_->Wait(fd_, POLLIN));
      const ssize_t n = ::read(fd_, to, room);
      if (n >= 0) {
        position_ += static_cast<uint64_t>(n);
        return static_cast<size_t>(n);
      }
      const int error = errno;
      if (error == EAGAIN) KVARTS_RETURN_IF_ERROR(interrupt_->Wait(fd_, POLLIN));
      if (error != EINTR && error != EAGAIN) {
        return absl::ErrnoToStatus(
            error, absl::StrCat(name_, ": cannot read the file at offset ", position_));
      }
    }
  }
  uint64_t position() const override { return position_; }
  uint64_t size() const override { return size_; }

 private:
  const std::string name_;
  const int fd_;
  const bool regular_;
  const uint64_t size_;
  const Interrupt* const interrupt_;
  uint64_t position_ = 0;
};

}  // namespace

std::string InputName(const std::string& path) { return path == "-" ? "standard input" : path; }

bool IsPacked(const std::string& path) {
  return absl::EndsWith(path, ".gz") || absl::EndsWith(path, ".zst");
}

absl::StatusOr<std::unique_ptr<ByteSource>> OpenInput(const std::string& path,
                                                      const Interrupt* interrupt,
                                                      MemoryBudget* budget) {
  const std::string name = InputName(path);
  int fd = STDIN_FILENO;
  if (path != "-") {
    // Opening a pipe without O_NONBLOCK would wait for its writer.
    fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat(name, ": cannot open the file"));
  }
  struct stat info = {};
  if (::fstat(fd, &info) != 0) {
    const int error = errno;
    if (path != "-") ::close(fd);
    return absl::ErrnoToStatus(error, absl::StrCat(name, ": cannot open the file"));
  }
  std::unique_ptr<ByteSource> source = std::make_unique<FileSource>(name, fd, info, interrupt);
  if (S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(name, ": is a directory"));
  }
  if (S_ISREG(info.st_mode)) ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  if (S_ISFIFO(info.st_mode)) ::fcntl(fd, F_SETPIPE_SZ, 1 << 20);  // fewer system calls
  if (absl::EndsWith(path, ".gz")) return NewGzipSource(name, std::move(source));
  if (absl::EndsWith(path, ".zst")) return NewZstdSource(name, std::move(source), budget);
  return source;
}

}  // namespace kvarts::groupby_text
