#ifndef KVARTS_STORAGE_DATA_FILE_DATA_FILE_H_
#define KVARTS_STORAGE_DATA_FILE_DATA_FILE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "base/prefetch.h"
#include "base/text_start.h"
#include "storage/fs/file_system.h"

namespace kvarts {

// The data file: lines "<key> <value>\n". The key is any bytes without space or
// newline, 1 B to 64 KiB; the value is the rest of the line, 0 B to 64 MiB of
// any byte but newline. The last line may lack its newline. The last line of a
// key wins. A UTF-8 byte order mark in front of the first key is no part of it:
// that record's offset is 3.

struct ScannedRecord {
  absl::string_view key;    // until the next call
  uint64_t offset = 0;      // of the key in the file
  uint64_t value_size = 0;  // bytes
};

struct DataFileCounts {
  uint64_t bytes = 0;
  uint64_t lines = 0;             // all, the malformed too
  uint64_t malformed = 0;         // skipped
  uint64_t carriage_returns = 0;  // values that end in \r, as lines of CRLF files do
  bool ends_without_newline = false;
};

// A part of a data file, from one beginning of a line to another, or to the end.
struct DataFileRange {
  uint64_t begin = 0;
  uint64_t end = ~uint64_t{0};
};

// `n` ranges or fewer, of about the same size, for threads that scan one each.
absl::StatusOr<std::vector<DataFileRange>> SplitDataFile(FileSystem* fs, absl::string_view path,
                                                         int n);

// Not thread-safe. Reads a data file from front to back through one buffer of
// 1 MiB at most, whatever the length of its lines.
class DataFileScanner {
 public:
  // With `skip_malformed`, malformed lines are counted and skipped. Of a range,
  // counts and line numbers in errors are its own.
  static absl::StatusOr<std::unique_ptr<DataFileScanner>> Open(FileSystem* fs,
                                                               absl::string_view path,
                                                               bool skip_malformed,
                                                               const DataFileRange& range = {});

  // The next record; false behind the last one. kInvalidArgument names file,
  // line and offset of a malformed one, and what was expected;
  // kFailedPrecondition: the file is compressed, or UTF-16, see CheckTextStart().
  absl::StatusOr<bool> Next(ScannedRecord* record);

  const DataFileCounts& counts() const { return counts_; }
  // Of all bytes, once Next() has returned false.
  uint64_t checksum() const { return checksum_.Digest(); }
  // How much of the range was read, for progress.
  uint64_t bytes_read() const { return counts_.bytes; }

 private:
  DataFileScanner(std::string path, std::unique_ptr<RandomAccessFile> file, uint64_t size,
                  bool skip_malformed, const DataFileRange& range);

  // Moves what is unread to the front and reads behind it. False: nothing came.
  absl::StatusOr<bool> Refill();
  // Looks at the file's first bytes, which are in the buffer.
  absl::Status Begin();
  // A line that does not end inside the buffer.
  absl::StatusOr<bool> NextLong(ScannedRecord* record, bool* malformed);
  absl::Status Malformed(absl::string_view why);
  // What is wrong with a whole line's key and value sizes; empty: nothing.
  static std::string Fault(size_t key_size, bool has_space, uint64_t value_size);

  const std::string path_;
  const std::unique_ptr<RandomAccessFile> file_;
  const bool skip_malformed_;
  const DataFileRange range_;
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

  // For Find(): nothing is known of the value's size. More than any file has.
  static constexpr uint64_t kUnknownSize = uint64_t{1} << 62;

  DataFileMap() = default;
  explicit DataFileMap(std::shared_ptr<MappedFile> file)
      : data_(file->data()), size_(file->size()), file_(std::move(file)) {}

  const char* data() const { return data_; }
  uint64_t size() const { return size_; }
  // Where the first record begins: at 0, or behind a byte order mark.
  uint64_t begin() const { return ByteOrderMarkBytes(file_->bytes()); }
  const std::shared_ptr<MappedFile>& file() const { return file_; }

  // Compares `key` with the key of the record at `offset`; where they are
  // equal, sets `value`, which points into the mapping. Costs one cache miss or
  // two, or page faults. Where `value_size` is right, the value's end need not
  // be looked for; where it is wrong, nothing but time is lost as long as no
  // newline stands in its place: a value never holds one.
  ABSL_ATTRIBUTE_ALWAYS_INLINE Match Find(uint64_t offset, uint64_t value_size,
                                          absl::string_view key, absl::string_view* value) const {
    // No branch here hangs on the record but those that go one way always: they
    // let the processor run on into the next lookup while this one waits.
    const char* const record = data_ + offset;
    if (ABSL_PREDICT_TRUE(offset < size_ && key.size() + 1 + value_size < size_ - offset) &&
        ABSL_PREDICT_TRUE(Equal(record, key)) && ABSL_PREDICT_TRUE(record[key.size()] == ' ') &&
        ABSL_PREDICT_TRUE(record[key.size() + 1 + value_size] == '\n')) {
      *value = absl::string_view(record + key.size() + 1, value_size);
      return Match::kEqual;
    }
    return FindEnd(offset, key, value);
  }
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
  // memcmp() by hand for the length of a UUID's text, without branches on bytes.
  static bool Equal(const char* record, absl::string_view key) {
    if (ABSL_PREDICT_FALSE(key.size() != 36)) {
      return std::memcmp(record, key.data(), key.size()) == 0;
    }
    uint64_t differ = LoadLE32(record + 32) ^ LoadLE32(key.data() + 32);
    for (int i = 0; i < 32; i += 8) differ |= LoadLE64(record + i) ^ LoadLE64(key.data() + i);
    return differ == 0;
  }
  // Find() that looks for the value's end.
  Match FindEnd(uint64_t offset, absl::string_view key, absl::string_view* value) const;
  bool Value(uint64_t begin, absl::string_view* value) const;
  bool Shrunk() const;

  const char* data_ = nullptr;
  uint64_t size_ = 0;
  std::shared_ptr<MappedFile> file_;
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_DATA_FILE_DATA_FILE_H_
