#ifndef KVARTS_STORAGE_BLOCKS_RECORD_LOG_H_
#define KVARTS_STORAGE_BLOCKS_RECORD_LOG_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/fs/file_system.h"

namespace kvarts {

// A file of records that grows at its end, and from which a crash takes only what was not
// synced: what LevelDB's log is, and two things more. See FORMAT.md.
//
// Each checksum is seeded with the file's random salt and the place in the file, so that neither
// an earlier life of the same disk blocks nor a record that was stored as a value passes for one.
// Each record says how much of the file was known to be synced when it was written: bytes that
// are bad below such a promise are damage, and bytes that are bad above it the end of a crash.
struct RecordLogHeader {
  // What the file is: another kind is not taken for it.
  enum class Kind : uint32_t { kWriteLog = 1, kManifest = 2 };
  static constexpr uint32_t kVersion = 1;

  Kind kind = Kind::kWriteLog;
  uint64_t number = 0;  // which one of its kind; also in the name
  uint64_t first = 0;   // for the user: the first sequence of a write log
  // A write log has the number of the one before it, and how many bytes of that were known to be
  // synced when this one was made, so that the end of a log has a promise too. 0: none.
  uint64_t previous = 0;
  uint64_t previous_synced = 0;
  uint64_t salt = 0;  // set when it is created
};

// Not thread-safe.
class RecordLogWriter {
 public:
  // Creates the file, whose name must be free, with its header and, unless it is empty, a first
  // record, and makes all of it durable. Leaves no file where that fails.
  static absl::StatusOr<std::unique_ptr<RecordLogWriter>> Create(
      FileSystem* fs, const std::string& path, RecordLogHeader header,
      absl::string_view first_record = {});

  // Goes on with a file whose `size` bytes are good records and nothing else, `synced` of them
  // known to be durable.
  static absl::StatusOr<std::unique_ptr<RecordLogWriter>> GoOn(FileSystem* fs,
                                                               const std::string& path,
                                                               const RecordLogHeader& header,
                                                               uint64_t size, uint64_t synced);

  // Gathers a record; nothing is written before Flush().
  void Add(absl::string_view record);
  // Forgets what was gathered.
  void Forget() { pending_.clear(); }
  // Writes what was gathered, in one call. Where that fails the file is cut back to where it was,
  // durably, so that none of it comes back: then only is ended() true, and a new file can go on.
  // Where the cut fails too, poisoned() is: it is not known what is in the file.
  absl::Status Flush();
  // After a failure, poisoned() is true for ever. Of a write log it may write zeros behind the
  // records first, where later ones will be, so that most syncs need not change the file's size.
  absl::Status Sync();

  const std::string& path() const { return path_; }
  const RecordLogHeader& header() const { return header_; }
  uint64_t size() const { return size_; }
  uint64_t synced_size() const { return synced_size_; }
  bool ended() const { return ended_ || poisoned_; }
  bool poisoned() const { return poisoned_; }

 private:
  RecordLogWriter(std::string path, RecordLogHeader header, std::unique_ptr<WritableFile> file)
      : path_(std::move(path)), header_(header), file_(std::move(file)) {}
  void AddFragment(unsigned char type, absl::string_view bytes);
  void WriteAhead();

  const std::string path_;
  const RecordLogHeader header_;
  const std::unique_ptr<WritableFile> file_;
  std::string pending_;
  uint64_t size_ = 0;
  uint64_t synced_size_ = 0;
  uint64_t ahead_ = 0;  // what the file was written ahead to, with zeros
  bool ended_ = false;
  bool poisoned_ = false;
};

// Not thread-safe.
class RecordLogReader {
 public:
  // kDataLoss where the header is bad, and kFailedPrecondition where a newer version wrote it.
  // A file that has no more than a header that is not whole was never used: is_unused().
  static absl::StatusOr<std::unique_ptr<RecordLogReader>> Open(FileSystem* fs,
                                                               const std::string& path,
                                                               RecordLogHeader::Kind kind,
                                                               uint64_t number);

  const RecordLogHeader& header() const { return header_; }
  bool is_unused() const { return unused_; }

  // The next record, good until the next call; false at the end. kDataLoss, with path and offset,
  // where bytes are bad that were known to be synced; and an error of the disk, which is never
  // taken for the end.
  absl::StatusOr<bool> Next(absl::string_view* record);

  // For who wants what is behind damage: after an end at bad bytes, also one that was kDataLoss,
  // Next() goes on with the first record that begins at a border of a block (FORMAT.md) or behind
  // it. False: nothing follows.
  bool SkipBadBytes();

  // The offset of the record that Next() gave last.
  uint64_t record_offset() const { return record_offset_; }
  // Behind the last good record.
  uint64_t good_size() const { return good_size_; }
  // The most that a good record promised to be synced.
  uint64_t promised() const { return promised_; }
  // At the end: nothing follows the last good record.
  bool is_whole() const { return at_end_ && good_size_ == file_size_; }
  // At the end: bytes follow that are no record, and not only zeros.
  bool has_bad_tail() const { return bad_tail_; }

 private:
  RecordLogReader(std::string path, std::unique_ptr<RandomAccessFile> file)
      : path_(std::move(path)), file_(std::move(file)) {}

  enum class Fragment : unsigned char { kGood = 0, kPadding, kBad, kEnd };
  absl::Status Load(uint64_t offset);
  // At `offset`, which it moves behind a good one.
  absl::StatusOr<Fragment> Take(uint64_t* offset, unsigned char* type, absl::string_view* bytes);
  absl::StatusOr<bool> HasOnlyZeros(uint64_t offset);
  absl::StatusOr<bool> EndAt(uint64_t bad_offset, uint64_t scan_from);

  const std::string path_;
  const std::unique_ptr<RandomAccessFile> file_;
  RecordLogHeader header_;
  uint64_t file_size_ = 0;
  std::string buffer_;
  uint64_t buffer_offset_ = 0;
  std::string record_;
  uint64_t offset_ = 0;
  uint64_t record_offset_ = 0;
  uint64_t good_size_ = 0;
  uint64_t promised_ = 0;
  uint64_t bad_offset_ = 0;  // where EndAt() found bad bytes; 0: it did not
  bool skips_ = false;       // the rest of a record whose beginning was bad
  bool unused_ = false;
  bool bad_tail_ = false;
  bool at_end_ = false;
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_BLOCKS_RECORD_LOG_H_
