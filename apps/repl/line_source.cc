#include "apps/repl/line_source.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace kvarts {
namespace {

constexpr size_t kReadBytes = 64 << 10;

}  // namespace

bool LineSource::Ready() {
  while (!HasLine() && !at_end_) {
    if (ReadSome(false) != Read::kSome) return false;
  }
  return true;
}

LineSource::Result LineSource::Next(absl::string_view* line) {
  while (true) {
    if (HasLine()) {
      const size_t size = searched_ - begin_;
      return TakeLine(size, size + 1, line);
    }
    if (at_end_) {
      const size_t size = buffer_.size() - begin_;
      if (size > 0 || skipping_) return TakeLine(size, size, line);
      return error_.ok() ? Result::kEnd : Result::kFailed;
    }
    if (ReadSome(true) == Read::kInterrupted) return Result::kInterrupted;
  }
}

// Leaves searched_ at the newline.
bool LineSource::HasLine() {
  searched_ = std::max(searched_, begin_);
  const size_t newline = buffer_.find('\n', searched_);
  searched_ = std::min(newline, buffer_.size());
  if (newline != std::string::npos) return true;
  if (buffer_.size() - begin_ > max_line_bytes_) skipping_ = true;
  if (skipping_) {
    buffer_.clear();
    begin_ = searched_ = 0;
  }
  return false;
}

LineSource::Result LineSource::TakeLine(size_t size, size_t with_end, absl::string_view* line) {
  *line = absl::StripSuffix(absl::string_view(buffer_).substr(begin_, size), "\r");
  begin_ += with_end;
  ++line_number_;
  const bool too_long = skipping_ || size > max_line_bytes_;
  skipping_ = false;
  return too_long ? Result::kTooLong : Result::kLine;
}

LineSource::Read LineSource::ReadSome(bool wait) {
  pollfd fds[] = {{fd_, POLLIN, 0}, {wake_fd_, POLLIN, 0}};
  const int ready = ::poll(fds, 2, wait ? -1 : 0);
  if (ready < 0 || fds[1].revents != 0) return Read::kInterrupted;
  if (fds[0].revents == 0) return Read::kNone;
  // What was taken makes room.
  buffer_.erase(0, begin_);
  searched_ -= std::min(searched_, begin_);
  begin_ = 0;
  const size_t old_size = buffer_.size();
  buffer_.resize(old_size + kReadBytes);
  const ssize_t n = ::read(fd_, buffer_.data() + old_size, kReadBytes);
  buffer_.resize(old_size + static_cast<size_t>(std::max<ssize_t>(n, 0)));
  if (n > 0) return Read::kSome;
  if (n < 0 && errno == EINTR) return Read::kInterrupted;
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Read::kNone;
  if (n < 0) {
    error_ =
        absl::InternalError(absl::StrCat("cannot read the standard input: ", std::strerror(errno)));
  }
  at_end_ = true;
  return Read::kSome;
}

}  // namespace kvarts
