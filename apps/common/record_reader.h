#ifndef KVARTS_APPS_COMMON_RECORD_READER_H_
#define KVARTS_APPS_COMMON_RECORD_READER_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "apps/common/record_format.h"
#include "net/http/entry_json.h"

namespace kvarts {

struct Record {
  absl::string_view key;
  absl::string_view value;
  absl::string_view content_type;
  int64_t expires_at_ms = 0;  // Unix milliseconds; 0: it does not expire
};

// Not thread-safe. Reads records from front to back, out of a file or a pipe: those of a
// data file or of NDJSON, as record_format.h has them. Memory: the longest line.
class RecordReader {
 public:
  // "-" is the standard input. No format: as the first bytes say.
  static absl::StatusOr<std::unique_ptr<RecordReader>> Open(const std::string& path,
                                                            std::optional<RecordFormat> format);
  ~RecordReader();
  RecordReader(const RecordReader&) = delete;
  RecordReader& operator=(const RecordReader&) = delete;

  // The next record, until the next call; false at the end. A byte order mark in
  // front of the first one is left out. kInvalidArgument names file, line and
  // what was expected; kFailedPrecondition: see CheckTextStart().
  absl::StatusOr<bool> Next(Record* record);

  uint64_t line() const { return line_; }      // of the last record, from 1 on
  uint64_t offset() const { return offset_; }  // of that line in the file
  uint64_t bytes_read() const { return bytes_read_; }
  uint64_t size() const { return size_; }  // of the file; 0: not known
  // How errors call it: the path, or "standard input".
  const std::string& name() const { return name_; }

 private:
  RecordReader(std::string name, std::FILE* file, uint64_t size,
               std::optional<RecordFormat> format);
  absl::Status Malformed(absl::string_view expected) const;
  // The next line without its end; false behind the last one.
  absl::StatusOr<bool> NextLine(absl::string_view* line);
  absl::Status ParseData(absl::string_view line, Record* record) const;
  absl::Status ParseNdjson(absl::string_view line, Record* record);
  // The first line, of a format that it was known by.
  absl::Status ParseFirst(absl::string_view line, Record* record);

  const std::string name_;
  std::FILE* const file_;
  const uint64_t size_;
  std::optional<RecordFormat> format_;
  JsonEntry entry_;  // the last record of NDJSON
  std::string buffer_;
  size_t begin_ = 0;  // of what is unread in buffer_
  bool at_end_ = false;
  uint64_t line_ = 0;
  uint64_t offset_ = 0;
  uint64_t bytes_read_ = 0;
};

}  // namespace kvarts

#endif  // KVARTS_APPS_COMMON_RECORD_READER_H_
