#ifndef KVARTS_GROUPBY_TEXT_OUTPUT_FILE_H_
#define KVARTS_GROUPBY_TEXT_OUTPUT_FILE_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "groupby/text/interrupt.h"
#include "storage/fs/file_system.h"

namespace kvarts::groupby_text {

// Not thread-safe. Where the result goes, whole or not at all:
// (1) Open() makes PATH.kvarts-groupby.PID.tmp beside PATH (of a link, beside what it
//     names), so that what cannot be written fails before any work, and locks it;
// (2) Append() writes to it;
// (3) Commit() renames it to PATH.
// Destroyed before that, it deletes it. What a killed process left has no lock: the next
// Open() of PATH deletes it. "-", pipes and devices are written as it goes.
// It is not synced: a power cut just after may leave the old file or an empty one.
class OutputFile {
 public:
  // `interrupt` ends waiting for who reads a pipe.
  static absl::StatusOr<std::unique_ptr<OutputFile>> Open(const std::string& path,
                                                          const Interrupt* interrupt);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  // kCancelled: of a pipe, whose reader went away; or the interrupt.
  absl::Status Append(absl::string_view bytes);
  absl::Status Commit();

  uint64_t written() const { return written_; }

 private:
  OutputFile(std::string name, int fd, const Interrupt* interrupt)
      : name_(std::move(name)), fd_(fd), interrupt_(interrupt) {}
  absl::Status Write(absl::string_view bytes);
  // For a regular file `target`.
  static absl::StatusOr<std::unique_ptr<OutputFile>> OpenTemporary(const std::string& path,
                                                                   const std::string& target,
                                                                   const Interrupt* interrupt);

  const std::string name_;  // for errors
  int fd_;
  const Interrupt* const interrupt_;
  std::string path_;                // "": written as it goes
  std::string temp_path_;           // "": none, or not any more
  std::unique_ptr<FileLock> lock_;  // of temp_path_; null where the file system has none
  mode_t mode_ = 0;                 // that of the file which is replaced; 0: there is none
  std::string buffer_;              // small pieces together
  uint64_t written_ = 0;
};

}  // namespace kvarts::groupby_text

#endif  // KVARTS_GROUPBY_TEXT_OUTPUT_FILE_H_
