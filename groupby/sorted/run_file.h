#ifndef KVARTS_GROUPBY_SORTED_RUN_FILE_H_
#define KVARTS_GROUPBY_SORTED_RUN_FILE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/coding.h"
#include "groupby/spill/spill_file.h"
#include "storage/sort/record.h"

namespace kvarts::groupby_internal {

// A sorted run: groups in the order of their keys, in a spill file. FORMAT.md has the
// records. What is known of it beside its bytes:
struct SortedRun {
  std::unique_ptr<SpillFile> file;
  // The longest key that lies across the end of a block.
  size_t crossing_key = 0;
  // At least so many first bytes are the same in all keys.
  size_t common = 0;
  // How often its rows were merged.
  uint64_t level = 0;
};

// Not thread-safe. Writes a run, all blocks but the last of one size.
class RunWriter {
 public:
  // `room` is lent and has SpillFile::kHeaderBytes + block_bytes. Once `cancelled`,
  // every write is kCancelled.
  RunWriter(std::unique_ptr<SpillFile> file, char* room, size_t block_bytes,
            const std::atomic<bool>* cancelled)
      : room_(room),
        at_(room + SpillFile::kHeaderBytes),
        end_(room + SpillFile::kHeaderBytes + block_bytes),
        cancelled_(cancelled) {
    run_.file = std::move(file);
  }

  // Begins a record of a key, or of more values of the last one, with `bytes` of values
  // that Put() gives.
  absl::Status BeginGroup(absl::string_view key, uint64_t bytes);
  absl::Status ContinueGroup(uint64_t bytes);
  absl::Status Put(absl::string_view bytes) {
    if (bytes.size() > static_cast<size_t>(end_ - at_)) [[unlikely]] {
      return PutAcross(bytes);
    }
    sort_internal::CopyBytes(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
    return absl::OkStatus();
  }
  uint64_t file_bytes() const { return run_.file->file_bytes(); }
  // Writes the last block. Once; all but the level of the run is known then.
  absl::StatusOr<SortedRun> Finish();

 private:
  static constexpr size_t kMaxCommon = 128;

  absl::Status PutHeader(uint64_t tag, uint64_t bytes);
  absl::Status PutAcross(absl::string_view bytes);
  absl::Status Flush();
  void NoteKey(absl::string_view key);

  SortedRun run_;
  char* const room_;
  char* at_;
  char* const end_;
  const std::atomic<bool>* const cancelled_;
  bool is_first_ = true;
  char first_key_[kMaxCommon] = {};
};

// Not thread-safe. Reads a run in order through one buffer. Bytes that no writer makes
// are kDataLoss, with the file and the offset of the block.
//
// It stands at a group: its key, and what is left of the values of its record, which
// come as bytes or as values. More() goes on to the next record.
class RunReader {
 public:
  // The memory for a block, keys across blocks, and what is moved from one block to the
  // next.
  static size_t BufferBytes(size_t block_bytes, size_t crossing_key) {
    return kCarryBytes + SpillFile::kHeaderBytes + block_bytes + crossing_key;
  }

  // `run` outlives it. `buffer` is lent, of BufferBytes(block_bytes, run->crossing_key).
  RunReader(const SortedRun* run, size_t block_bytes, char* buffer,
            const std::atomic<bool>* cancelled)
      : run_(run),
        room_(buffer + kCarryBytes),
        crossing_key_(room_ + SpillFile::kHeaderBytes + block_bytes),
        cancelled_(cancelled) {}

  // The first group. An empty run has none: see at_end().
  absl::Status Start() { return More().status(); }

  const SortedRun& run() const { return *run_; }
  // An error of this run, at the block it is at.
  absl::Status Damaged(absl::string_view what) const;

  // As far as the end of the block it is at.
  uint64_t bytes_read() const {
    return next_ == run_->file->blocks() ? run_->file->file_bytes()
                                         : run_->file->block_offset(next_);
  }

  // True behind the last group.
  bool at_end() const { return at_end_; }
  // Good until More() is called with nothing left of the record.
  absl::string_view key() const { return key_; }
  uint64_t left() const { return left_; }

  // Where nothing is left: goes to the next record. False where that is another group,
  // at which it then stands, or the end.
  absl::StatusOr<bool> More();

  // Some of the bytes that are left. Good until the next call.
  // REQUIRES: left() > 0.
  absl::StatusOr<absl::string_view> Bytes();
  // Some of the values that are left. A value that lies across blocks comes alone and is
  // put together in `room`. Good until the next call.
  // REQUIRES: left() > 0, at least one view.
  absl::StatusOr<absl::Span<const absl::string_view>> Values(absl::Span<absl::string_view> views,
                                                             absl::Span<char> room);
  // Passes over what is left of the record, without reading blocks that are in between.
  absl::Status Skip();

 private:
  // Two varints at most; blocks of one byte would do.
  static constexpr size_t kCarryBytes = 32;

  size_t here() const { return static_cast<size_t>(end_ - at_); }
  bool has_block() const { return next_ < run_->file->blocks(); }
  // Reads the next block behind what is left of this one, at most kCarryBytes.
  absl::Status Fill();
  // Has at least `bytes` at hand, or the rest of the run.
  absl::Status Ensure(size_t bytes);
  absl::Status CopyOut(char* to, size_t bytes);

  const SortedRun* const run_;
  char* const room_;
  char* const crossing_key_;
  const std::atomic<bool>* const cancelled_;
  size_t next_ = 0;  // block
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  uint64_t left_ = 0;
  absl::string_view key_;
  bool at_end_ = false;
};

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_SORTED_RUN_FILE_H_
