#ifndef KVARTS_APPS_REPL_LINE_SOURCE_H_
#define KVARTS_APPS_REPL_LINE_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace kvarts {

// Not thread-safe. The lines of a pipe or a file, and whether the next one is there already.
class LineSource {
 public:
  enum class Result : unsigned char {
    kLine = 0,
    kEnd,
    kInterrupted,  // `wake_fd` is readable, or a signal came, before there was a line
    kTooLong,      // a line was skipped
    kFailed,       // see error()
  };

  // Longer than any command needs to be: a key and a value of the largest size, all escapes.
  static constexpr size_t kMaxLineBytes = size_t{260} << 20;

  // Neither descriptor is its own. `wake_fd` < 0: there is none.
  LineSource(int fd, int wake_fd, size_t max_line_bytes = kMaxLineBytes)
      : fd_(fd), wake_fd_(wake_fd), max_line_bytes_(max_line_bytes) {}

  // True where Next() would return without waiting for who writes.
  bool Ready();
  // The next line without its end (a newline, or a carriage return and a newline), until the
  // next call. The last one needs no newline.
  Result Next(absl::string_view* line);
  // The number of the last line, from 1 on.
  uint64_t line_number() const { return line_number_; }
  const absl::Status& error() const { return error_; }

 private:
  enum class Read : unsigned char { kSome, kNone, kInterrupted };

  // Reads once, where `wait` is set when there is something. kSome at the end and on an error,
  // too.
  Read ReadSome(bool wait);
  bool HasLine();
  Result TakeLine(size_t size, size_t with_end, absl::string_view* line);

  const int fd_;
  const int wake_fd_;
  const size_t max_line_bytes_;
  std::string buffer_;
  size_t begin_ = 0;       // what is unread in buffer_ begins here
  size_t searched_ = 0;    // behind begin_ there is no newline up to here
  bool skipping_ = false;  // to the end of a line that is too long
  bool at_end_ = false;
  uint64_t line_number_ = 0;
  absl::Status error_;
};

}  // namespace kvarts

#endif  // KVARTS_APPS_REPL_LINE_SOURCE_H_
