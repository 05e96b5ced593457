#ifndef KVARTS_STORAGE_SSTABLE_LOG_SET_H_
#define KVARTS_STORAGE_SSTABLE_LOG_SET_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/blocks/record_log.h"
#include "storage/fs/file_system.h"
#include "storage/sstable/entry.h"

namespace kvarts::sstable {

std::string LogPath(absl::string_view dir, uint64_t number);

// The record of a batch: the number of its first mutation, and all of them. Of a range deletion
// the key is the begin and the blob the end.
std::string EncodeLogRecord(absl::Span<const Entry> entries);
// False where the bytes are none. The entries borrow them.
bool DecodeLogRecord(absl::string_view record, std::vector<Entry>* entries);

// Not thread-safe: for who commits. The log that is written, and those before it whose memtables
// are not flushed yet.
class LogSet {
 public:
  LogSet(FileSystem* fs, std::string dir) : fs_(fs), dir_(std::move(dir)) {}

  // Ends the log and begins another, whose header says how much of it is synced. After an error the
  // old one goes on, if it can; the file of the new one may be left, without a record.
  absl::Status Begin(uint64_t number, Sequence first_sequence);
  // Whether there is one that takes records.
  bool is_open() const { return current_ != nullptr && !current_->ended(); }
  bool is_poisoned() const { return current_ != nullptr && current_->poisoned(); }
  uint64_t number() const { return current_ == nullptr ? 0 : current_->header().number; }

  RecordLogWriter* writer() { return current_.get(); }
  // Makes all records durable: those of older logs first, so that no log is durable behind one
  // that is not. After a failure nothing of it may be tried again.
  absl::Status Sync();
  // Thread-safe. Logs below are not needed: they were flushed, and need no sync any more.
  void Forget(uint64_t below) { needed_.store(below, std::memory_order_release); }

 private:
  FileSystem* const fs_;
  const std::string dir_;
  std::unique_ptr<RecordLogWriter> current_;
  std::vector<std::unique_ptr<RecordLogWriter>> older_;  // with bytes that are not synced
  std::atomic<uint64_t> needed_{0};
};

// Reads the logs from `first_number` on, which must begin with `first_sequence`, in their order.
// `batch` gets each batch whole. Returns the last sequence, or 0 where there was none.
// kDataLoss where a log is gone, or damaged below what was known to be synced, as a later record of
// it says, the header of a later log, or that a later log was synced.
absl::StatusOr<Sequence> ReplayLogs(
    FileSystem* fs, const std::string& dir, uint64_t first_number, Sequence first_sequence,
    const std::vector<uint64_t>& numbers,
    const std::function<absl::Status(absl::Span<const Entry>)>& batch);

// For people: the records of a log, a line each.
absl::Status DescribeLog(FileSystem* fs, const std::string& path, uint64_t number,
                         std::string* out);

}  // namespace kvarts::sstable

#endif  // KVARTS_STORAGE_SSTABLE_LOG_SET_H_
