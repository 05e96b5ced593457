#ifndef KVARTS_STORAGE_DATA_FILE_DATA_FILE_H_
#define KVARTS_STORAGE_DATA_FILE_DATA_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/checksum.h"
#include "base/prefetch.h"
#include "storage/fs/file_system.h"

namespace kvarts {

// The data file: lines "<key> <value>\n". The key is any bytes without space or
// newline, 1 B to 64 KiB; the value is the rest of the line, 0 B to 64 MiB of
// any byte but newline. The last line may lack its newline. The last line of a
// key wins.

struct ScannedRecord {
  absl::string_view key;  // until the next call
  uint64_t offset = 0;    // of the key in the file
};

struct DataFileCounts {
  uint64_t bytes = 0;
  uint64_t lines = 0;             // all, the malformed too
  uint64_t malformed = 0;         // skipped
  uint64_t carriage_returns = 0;  // values that end in \r, as lines of CRLF files do
  bool ends_without_newline = false;
};

// Not thread-safe. Reads a data file from front to back through one buffer of
// 1 MiB at most, whatever the length of its lines.
class DataFileScanner {
 public:
  // With `skip_malformed`, malformed lines are counted and skipped.
  static absl::StatusOr<std::unique_ptr<DataFileScanner>> Open(FileSystem* fs,
                                                               absl::string_view path,
                                                               bool skip_malformed);

  // The next record; false behind the last one. kInvalidArgument names file,
  // line and offset of a malformed one, and what was expected.
  absl::StatusOr<bool> Next(ScannedRecord* record);

  const DataFileCounts& counts() const { return counts_; }
  // Of all bytes, once Next() has returned false.
  uint64_t checksum() const { return checksum_.Digest(); }
  // How much of the file was read, for progress.
  uint64_t bytes_read() const { return read_offset_; }

 private:
  DataFileScanner(std::string path, std::unique_ptr<RandomAccessFile> file, uint64_t size,
                  bool skip_malformed);

  // Moves what is unread to the front and reads behind it. False: nothing came.
  absl::StatusOr<bool> Refill();
  // A line that does not end inside the buffer.
  absl::StatusOr<bool> NextLong(ScannedRecord* record, bool* malformed);
  absl::Status Malformed(absl::string_view why);
  // What is wrong with a whole line's key and value sizes; empty: nothing.
  static std::string Fault(size_t key_size, bool has_space, uint64_t value_size);

  const std::string path_;
  const std::unique_ptr<RandomAccessFile> file_;
  const bool skip_malformed_;
  const size_t capacity_;
  const std::unique_ptr<char[]> buffer_;
  size_t begin_ = 0;  // of what is unread in buffer_
  size_t end_ = 0;
  uint64_t read_offset_ = 0;  // in the file, of buffer_[end_]
  uint64_t line_offset_ = 0;  // of the line at hand
  bool at_end_ = false;
  std::string long_key_;
  DataFileCounts counts_;
  ChecksumStream checksum_;
};

// Thread-safe. A data file mapped for records at known offsets.
class DataFileMap {
 public:
  enum class Match : unsigned char {
    kEqual = 0,
    kLess,  // the key asked for is less than the record's
    kGreater,
    kLost,  // the file shrank: the record is not there any more, or not whole
  };

  DataFileMap() = default;
  explicit DataFileMap(std::shared_ptr<MappedFile> file) : file_(std::move(file)) {}

  const char* data() const { return file_->data(); }
  uint64_t size() const { return file_->size(); }
  const std::shared_ptr<MappedFile>& file() const { return file_; }

  // Compares `key` with the key of the record at `offset`; where they are
  // equal, sets `value`, which points into the mapping. Costs one cache miss or
  // two, or page faults.
  Match Find(uint64_t offset, absl::string_view key, absl::string_view* value) const;
  // The record at `offset`; false where it is lost. A null `value` saves the
  // search for its end.
  bool Get(uint64_t offset, absl::string_view* key, absl::string_view* value) const;

  // Into cache: the part of a record that Find() touches, for records of up to
  // about 128 bytes.
  void Prefetch(uint64_t offset) const {
    if (offset >= size()) return;
    const char* p = data() + offset;
    PrefetchRead(p);
    PrefetchRead(p + 64);
    PrefetchRead(p + 127);
  }

 private:
  bool Value(uint64_t begin, absl::string_view* value) const;
  bool Shrunk() const;

  std::shared_ptr<MappedFile> file_;
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_DATA_FILE_DATA_FILE_H_
