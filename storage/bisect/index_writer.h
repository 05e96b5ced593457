#ifndef KVARTS_STORAGE_BISECT_INDEX_WRITER_H_
#define KVARTS_STORAGE_BISECT_INDEX_WRITER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/bisect/format.h"
#include "storage/fs/file_system.h"

namespace kvarts {

// Not thread-safe. Writes an index from entries in the order of their keys. So
// that a reader, or a crash, finds the old index or the new one, whole:
//   1. entry pages go to PATH.tmp, each as it fills;
//   2. the radix table and, last, the header go in front of them;
//   3. sync: all bytes are there before the name is;
//   4. rename to PATH: the step that makes it the index;
//   5. sync of the directory.
// Memory: the radix table (under 0.09 bytes an entry) and 256 KiB. Destroyed
// before Finish() returned OK, it removes PATH.tmp.
class IndexWriter {
 public:
  // `header` has its widths, coding and data identity.
  static absl::StatusOr<std::unique_ptr<IndexWriter>> New(FileSystem* fs, absl::string_view path,
                                                          const IndexHeader& header);
  ~IndexWriter();

  // A key's code, its record's offset and the size of its value. Codes must not
  // fall.
  absl::Status Add(uint64_t code, uint64_t offset, uint64_t value_size);

  // Returns the bytes of the index. `header().entries` is what was added.
  absl::StatusOr<uint64_t> Finish();

  IndexHeader& header() { return header_; }
  uint64_t memory_bytes() const;

 private:
  IndexWriter(FileSystem* fs, std::string path, const IndexHeader& header);

  absl::Status FlushPage();
  absl::Status FlushBuffer();
  absl::Status WriteRadix();

  FileSystem* const fs_;
  const std::string path_;
  const std::string temp_path_;
  IndexHeader header_;
  std::unique_ptr<WritableFile> file_;
  std::vector<uint32_t> radix_;  // [b]: the rank of the first entry of bucket b
  uint64_t next_bucket_ = 0;     // radix_ below it is filled
  std::string buffer_;           // whole pages, and the one being filled
  size_t slot_ = 0;              // in that page
  uint64_t page_number_ = 0;
  bool finished_ = false;
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_BISECT_INDEX_WRITER_H_
