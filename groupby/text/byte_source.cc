#include "groupby/text/byte_source.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/text_start.h"

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
    while (!ended_) {
      if (!regular_) KVARTS_RETURN_IF_ERROR(interrupt_->Wait(fd_, POLLIN));
      const ssize_t n = ::read(fd_, to, room);
      if (n >= 0) {
        position_ += static_cast<uint64_t>(n);
        ended_ = n == 0 && room > 0;
        return static_cast<size_t>(n);
      }
      const int error = errno;
      if (error == EAGAIN) KVARTS_RETURN_IF_ERROR(interrupt_->Wait(fd_, POLLIN));
      if (error != EINTR && error != EAGAIN) {
        return absl::ErrnoToStatus(
            error, absl::StrCat(name_, ": cannot read the file at offset ", position_));
      }
    }
    return size_t{0};
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
  bool ended_ = false;  // of a terminal the next read would wait for another end
};

// Another source, whose first bytes may be looked at before they are read.
class StartSource final : public ByteSource {
 public:
  explicit StartSource(std::unique_ptr<ByteSource> source) : source_(std::move(source)) {}

  // The first kTextStartBytes, or all where there are fewer; before the first Read().
  absl::StatusOr<absl::string_view> Start() {
    while (end_ < kTextStartBytes) {
      KVARTS_ASSIGN_OR_RETURN(const size_t n, source_->Read(start_ + end_, kTextStartBytes - end_));
      if (n == 0) break;
      end_ += n;
    }
    return absl::string_view(start_, end_);
  }
  absl::StatusOr<size_t> Read(char* to, size_t room) override {
    if (begin_ == end_) return source_->Read(to, room);
    const size_t n = std::min(room, end_ - begin_);
    std::memcpy(to, start_ + begin_, n);
    begin_ += n;
    return n;
  }
  uint64_t position() const override { return source_->position(); }
  uint64_t size() const override { return source_->size(); }

 private:
  const std::unique_ptr<ByteSource> source_;
  char start_[kTextStartBytes];
  size_t begin_ = 0;  // of what was looked at and not read
  size_t end_ = 0;
};

// A file that says with its first bytes what it is; they are waited for by the first
// Read() alone, so that an input can be opened before anybody writes to it.
class InputSource final : public ByteSource {
 public:
  InputSource(std::string path, std::unique_ptr<ByteSource> file, MemoryBudget* budget)
      : path_(std::move(path)), size_(file->size()), budget_(budget), file_(std::move(file)) {}

  absl::StatusOr<size_t> Read(char* to, size_t room) override {
    if (file_ != nullptr) begun_ = Begin();
    KVARTS_RETURN_IF_ERROR(begun_);
    return text_->Read(to, room);
  }
  uint64_t position() const override { return text_ == nullptr ? 0 : text_->position(); }
  uint64_t size() const override { return size_; }
  bool unpacks() const override { return unpacks_; }

 private:
  absl::Status Begin() {
    const std::string name = InputName(path_);
    auto file = std::make_unique<StartSource>(std::move(file_));
    KVARTS_ASSIGN_OR_RETURN(const absl::string_view start, file->Start());
    bool gzip = IsGzip(start);
    bool zstd = IsZstd(start);
    if (!gzip && !zstd) {
      KVARTS_RETURN_IF_ERROR(CheckTextStart(name, start));
      // Such a name is a promise, and what breaks it is damaged.
      gzip = absl::EndsWithIgnoreCase(path_, ".gz");
      zstd = absl::EndsWithIgnoreCase(path_, ".zst");
    }
    unpacks_ = gzip || zstd;
    if (!unpacks_) {
      text_ = std::move(file);
      return absl::OkStatus();
    }
    auto text = std::make_unique<StartSource>(gzip ? NewGzipSource(name, std::move(file))
                                                   : NewZstdSource(name, std::move(file), budget_));
    KVARTS_ASSIGN_OR_RETURN(const absl::string_view text_start, text->Start());
    KVARTS_RETURN_IF_ERROR(CheckTextStart(absl::StrCat(name, ", unpacked"), text_start));
    text_ = std::move(text);
    return absl::OkStatus();
  }

  const std::string path_;
  const uint64_t size_;
  MemoryBudget* const budget_;
  std::unique_ptr<ByteSource> file_;  // null once Begin() was called
  absl::Status begun_;
  std::unique_ptr<ByteSource> text_;
  bool unpacks_ = false;
};

}  // namespace

std::string InputName(const std::string& path) { return path == "-" ? "standard input" : path; }

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
  return std::unique_ptr<ByteSource>(new InputSource(path, std::move(source), budget));
}

}  // namespace kvarts::groupby_text
