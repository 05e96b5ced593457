#ifndef KVARTS_GROUPBY_SPILL_SPILL_FILE_H_
#define KVARTS_GROUPBY_SPILL_SPILL_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/fs/file_system.h"

namespace kvarts::groupby_internal {

// Not thread-safe. A file of blocks of bytes, written once from front to back, then
// read in any order of blocks. Deleted by the destructor. The bytes are in FORMAT.md:
// before each block's bytes a header of kHeaderBytes with their checksum, which counts
// the block's number in, and their size.
//
// Open while it is written, and between Read() and CloseReading(): of thousands of
// files few need be open. Remembers 16 bytes for each block from the first on that
// is not as large as the one before it.
class SpillFile {
 public:
  static constexpr size_t kHeaderBytes = 16;
  static constexpr size_t kMaxBlockBytes = size_t{1} << 30;

  // Makes the file. kAlreadyExists where there is one.
  static absl::StatusOr<std::unique_ptr<SpillFile>> New(FileSystem* fs, std::string path);
  ~SpillFile();
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;

  // Writes a block. `room` is a buffer whose first kHeaderBytes are free for the header
  // and are overwritten, the block's bytes behind them, so that one write takes both.
  // REQUIRES: bytes <= kMaxBlockBytes.
  absl::Status Append(char* room, size_t bytes);

  // Ends writing, and reports errors that delayed writes left.
  absl::Status FinishWriting();

  size_t blocks() const { return equal_ + rest_.size(); }
  size_t block_bytes(size_t i) const { return BlockAt(i).bytes; }
  uint64_t block_offset(size_t i) const { return BlockAt(i).offset; }
  uint64_t file_bytes() const { return end_; }
  const std::string& path() const { return path_; }

  // Reads block `i` to `room`, which has room for the header and the bytes, and
  // returns the bytes, in it. kDataLoss, with the file and the offset, where they are
  // not what was written.
  absl::StatusOr<absl::string_view> Read(size_t i, char* room);

  // The same in two parts, of which the second is thread-safe, also beside Append().
  struct Block {
    uint64_t offset;
    uint32_t bytes;
  };
  absl::Status OpenForRead();
  Block block(size_t i) const { return BlockAt(i); }
  // REQUIRES: OpenForRead(); `block` is block(i).
  absl::StatusOr<absl::string_view> ReadBlock(size_t i, const Block& block, char* room) const;
  // Closes the file until the next Read().
  void CloseReading() { reading_.reset(); }

 private:
  SpillFile(FileSystem* fs, std::string path) : fs_(fs), path_(std::move(path)) {}
  Block BlockAt(size_t i) const {
    if (i >= equal_) return rest_[i - equal_];
    return {i * (kHeaderBytes + equal_bytes_), equal_bytes_};
  }

  FileSystem* const fs_;
  const std::string path_;
  std::unique_ptr<WritableFile> writing_;
  std::unique_ptr<RandomAccessFile> reading_;
  // The first blocks, all of one size, and those behind them.
  uint32_t equal_bytes_ = 0;
  size_t equal_ = 0;
  std::vector<Block> rest_;
  uint64_t end_ = 0;
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SPILL_SPILL_FILE_H_
