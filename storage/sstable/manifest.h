#ifndef KVARTS_STORAGE_SSTABLE_MANIFEST_H_
#define KVARTS_STORAGE_SSTABLE_MANIFEST_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/blocks/record_log.h"
#include "storage/fs/file_system.h"
#include "storage/sstable/version.h"

namespace kvarts::sstable {

// What the manifest says: the store as it is on disk, but for the logs' contents.
struct ManifestState {
  std::shared_ptr<const Version> version = std::make_shared<Version>();
  uint64_t log_number = 0;  // the oldest log that is needed; 0: none
  Sequence log_first_sequence = 0;
  uint64_t next_number = 1;  // as the disk has it
  Sequence ceiling = 0;
  std::vector<Sequence> floors = std::vector<Sequence>(kFloorBuckets);  // by bucket; 0: none
};

// Not thread-safe, but for NewNumber(). The durable list of the store's tables: a file of edits,
// and CURRENT, which names it. See FORMAT.md.
class Manifest {
 public:
  // Whether there is a store: its CURRENT.
  static absl::StatusOr<bool> Exists(FileSystem* fs, const std::string& dir);
  // An empty store, durably.
  static absl::StatusOr<std::unique_ptr<Manifest>> Create(FileSystem* fs, const std::string& dir,
                                                          std::shared_ptr<TableRemover> remover);
  // What is there. Nothing is written before the first edit, which makes a new file unless all of
  // the old one is known to be durable.
  static absl::StatusOr<std::unique_ptr<Manifest>> Load(FileSystem* fs, const std::string& dir,
                                                        std::shared_ptr<TableRemover> remover);
  // A manifest of `state` in another directory, as its only one: for a checkpoint.
  static absl::Status WriteCheckpoint(FileSystem* fs, const std::string& dir,
                                      const ManifestState& state);
  // For people: every edit of a manifest file, a line each.
  static absl::Status Describe(FileSystem* fs, const std::string& path, std::string* out);

  const ManifestState& state() const { return state_; }
  uint64_t number() const { return number_; }
  // What was loaded is what every crash from here on leaves: no edit of it may still be lost.
  bool is_durable() const { return whole_.has_value(); }
  uint64_t bytes() const { return writer_ == nullptr ? 0 : writer_->size(); }
  // Thread-safe. Numbers of files, each given once.
  uint64_t NewNumber() { return next_number_.fetch_add(1, std::memory_order_relaxed); }
  // A file of that number is there: none of its number or below is given any more.
  void SkipNumbersTo(uint64_t number) { next_number_ = std::max(next_number_.load(), number + 1); }

  // Makes the edit durable, then it is in state(). Where that fails state() is as it was, and it
  // is not known which of the two the disk has: no file that either needs may be deleted before
  // the next Apply() that is OK, which begins a new file.
  absl::Status Apply(const VersionEdit& edit);

 private:
  Manifest(FileSystem* fs, std::string dir, std::shared_ptr<TableRemover> remover)
      : fs_(fs), dir_(std::move(dir)), remover_(std::move(remover)) {}
  absl::Status Replay(const std::string& path, std::string* describe);
  absl::Status WriteAnew(const ManifestState& state);
  bool MayAppend() const {
    return writer_ != nullptr && writer_->size() < std::max(kMaxBytes, 4 * full_bytes_);
  }
  static std::string EncodeAll(const ManifestState& state);
  // A file is written anew beyond this many bytes, and four times what it then has.
  static constexpr uint64_t kMaxBytes = 1 << 20;

  FileSystem* const fs_;
  const std::string dir_;
  const std::shared_ptr<TableRemover> remover_;
  ManifestState state_;
  std::atomic<uint64_t> next_number_{1};
  uint64_t number_ = 0;                      // of the file
  std::unique_ptr<RecordLogWriter> writer_;  // null: the next edit begins a file
  uint64_t full_bytes_ = 0;                  // of a file when it was new
  // Of the file that was loaded, before it is written to, where all of it is durable.
  struct Whole {
    RecordLogHeader header;
    uint64_t size = 0;
    uint64_t synced = 0;
  };
  std::optional<Whole> whole_;
};

}  // namespace kvarts::sstable

#endif  // KVARTS_STORAGE_SSTABLE_MANIFEST_H_
