#ifndef KVARTS_STORAGE_MEMORY_SNAPSHOT_WRITER_H_
#define KVARTS_STORAGE_MEMORY_SNAPSHOT_WRITER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/fs/file_system.h"
#include "storage/memory/snapshot_format.h"

namespace kvarts::memory_internal {

// Not thread-safe. Writes a snapshot so that a crash, or an error, leaves what was at the
// path before or the new one, whole: (1) write PATH.tmp, (2) sync it, (3) rename it to
// PATH, (4) sync the directory. Without a Finish() that is OK, PATH.tmp is removed.
class SnapshotWriter {
 public:
  static absl::StatusOr<std::unique_ptr<SnapshotWriter>> New(FileSystem* fs, absl::string_view path,
                                                             int64_t created_ms);
  ~SnapshotWriter();

  absl::Status Add(const SnapshotEntry& entry);
  absl::Status Finish();
  const SnapshotTotals& totals() const { return totals_; }

 private:
  SnapshotWriter(FileSystem* fs, absl::string_view path, int64_t created_ms);
  absl::Status Begin();
  absl::Status WriteBlock(uint32_t kind);

  FileSystem* const fs_;
  const std::string path_;
  const std::string temporary_;
  std::unique_ptr<WritableFile> file_;
  bool finished_ = false;
  uint64_t snapshot_ = 0;  // the header's checksum
  uint64_t offset_ = 0;
  SnapshotTotals totals_;
  uint32_t entries_ = 0;  // of this block
  std::string block_;     // its head, and its payload so far
};

}  // namespace kvarts::memory_internal

#endif  // KVARTS_STORAGE_MEMORY_SNAPSHOT_WRITER_H_
