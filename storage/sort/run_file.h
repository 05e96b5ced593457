#ifndef KVARTS_STORAGE_SORT_RUN_FILE_H_
#define KVARTS_STORAGE_SORT_RUN_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "storage/fs/file_system.h"
#include "storage/sort/record.h"

namespace kvarts::sort_internal {

// A run file is a sequence of blocks of whole records: see FORMAT.md.
inline constexpr uint32_t kBlockMagic = 0x0152564b;  // "KVR", version 1
inline constexpr size_t kBlockHeader = 24;

// What is known of a run beside its file: enough to doubt every length in it.
struct RunInfo {
  uint64_t number = 0;  // in its name
  uint64_t size = 0;    // of the file
  uint64_t records = 0;
  uint32_t max_block = 0;  // the longest block, header and all
  uint16_t level = 0;      // how often its records were merged
  uint16_t common = 0;     // at least so many first bytes are the same in all keys
};

// Not thread-safe. Writes one run into an empty file, block by block.
class RunWriter {
 public:
  // A block fills `buffer` (of `size` bytes, lent), or holds one record that is
  // larger.
  RunWriter(WritableFile* file, uint64_t number, char* buffer, size_t size)
      : file_(file), buffer_(buffer), end_(buffer + size), at_(buffer + kBlockHeader) {
    run_.number = number;
  }

  absl::Status Add(const Record& record) {
    const size_t size = record.size();
    if (size > static_cast<size_t>(end_ - at_)) [[unlikely]] {
      absl::Status status = Flush();
      if (!status.ok()) return status;
      if (size > static_cast<size_t>(end_ - at_)) return AddLarge(record);
    }
    CopyBytes(at_, record.begin, size);
    at_ += size;
    ++block_records_;
    Note(record);
    return absl::OkStatus();
  }

  // Writes the last block and closes the file. The run is good for all but its
  // level.
  absl::Status Finish();
  const RunInfo& run() const { return run_; }

 private:
  static constexpr size_t kMaxCommon = 128;

  void Note(const Record& record) {
    if (run_.records++ == 0) StartCommon(record);
    if (run_.common != 0) NarrowCommon(record);
  }
  void StartCommon(const Record& record);
  void NarrowCommon(const Record& record);
  absl::Status Flush();
  // A record beyond a block's size, written from where it lies.
  absl::Status AddLarge(const Record& record);
  // Fills in `header`, whose body of `size` bytes is `body`.
  void SealHeader(char* header, const char* body, size_t size, uint32_t records);

  WritableFile* const file_;
  char* const buffer_;
  char* const end_;
  char* at_;
  uint32_t block_records_ = 0;
  RunInfo run_;
  char first_key_[kMaxCommon];
};

// Not thread-safe. Reads a run in order through one buffer.
class RunReader {
 public:
  RunReader(std::unique_ptr<RandomAccessFile> file, std::string path, const RunInfo& run,
            char* buffer)
      : file_(std::move(file)), path_(std::move(path)), run_(run), buffer_(buffer) {}

  // False behind the last record, and after an error: see status(). A record is
  // good until the next call.
  bool Next(Record* record) {
    if (at_ == block_end_ && !NextBlock()) return false;
    if (!ParseRecord(at_, block_end_, record)) [[unlikely]] {
      return Damaged("a record goes beyond its block");
    }
    at_ = record->end();
    ++records_;
    return true;
  }

  // kDataLoss names the file and the offset of the block.
  const absl::Status& status() const { return status_; }
  uint64_t records() const { return records_; }

 private:
  bool NextBlock();
  bool Fill();
  bool Damaged(absl::string_view what);

  std::unique_ptr<RandomAccessFile> file_;
  std::string path_;
  RunInfo run_;
  char* buffer_;                // of run_.max_block bytes
  size_t filled_ = 0;           // of them
  uint64_t buffer_offset_ = 0;  // in the file
  const char* block_ = nullptr;
  const char* at_ = nullptr;
  const char* block_end_ = nullptr;
  uint64_t records_ = 0;
  absl::Status status_;
};

}  // namespace kvarts::sort_internal

#endif  // KVARTS_STORAGE_SORT_RUN_FILE_H_
