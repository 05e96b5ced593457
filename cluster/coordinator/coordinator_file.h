#ifndef KVARTS_CLUSTER_COORDINATOR_COORDINATOR_FILE_H_
#define KVARTS_CLUSTER_COORDINATOR_COORDINATOR_FILE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cluster/coordinator.h"
#include "storage/fs/file_system.h"

namespace kvarts {

// FORMAT.md, both ways. kDataLoss where `bytes` are not what was written.
std::string SerializeCoordinatorFile(const Coordinator::Contents& contents);
absl::StatusOr<Coordinator::Contents> ParseCoordinatorFile(absl::string_view bytes);

// Not thread-safe. The values in one file, which other processes, and other objects of this one,
// may read and replace. Blocks for as long as the disk does; waits for no lock.
class CoordinatorFile {
 public:
  // `fs` must outlive it.
  CoordinatorFile(FileSystem* fs, std::string path);

  // Commit() holds the lock on PATH.lock while it looks at the file and changes it, and is kAborted
  // at once where another has it, so that the caller may try again. Read() takes no lock. What they
  // tell of the file outlives a power cut, even where its writer died before that was so.
  //
  // kDataLoss: the file is damaged. Commit(): kUnavailable, nothing was and will be done;
  // kDeadlineExceeded, others may see that it was done, and a power cut may undo it.
  absl::StatusOr<Coordinator::Contents> Read();
  absl::StatusOr<Coordinator::Outcome> Commit(const Coordinator::Transaction& transaction);

  // The revision; 0 where there is no file, -1 where it cannot be told. It may
  // be of a transaction that has not ended.
  int64_t PeekRevision();

 private:
  absl::StatusOr<std::unique_ptr<FileLock>> Lock();
  struct Found {
    Coordinator::Contents contents;
    std::optional<uint64_t> checksum;  // of the file, where there is one
  };

  absl::StatusOr<Found> Find();
  absl::Status MakeDurable(const Found& found);
  absl::StatusOr<Coordinator::Outcome> Replace(const Coordinator::Contents& before,
                                               const Coordinator::Transaction& transaction);

  FileSystem* const fs_;
  const std::string path_;
  // The checksum in the file that was last seen to be durable; 0 for none.
  uint64_t durable_ = 0;
};

}  // namespace kvarts

#endif  // KVARTS_CLUSTER_COORDINATOR_COORDINATOR_FILE_H_
