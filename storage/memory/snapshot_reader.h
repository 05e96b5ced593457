#ifndef KVARTS_STORAGE_MEMORY_SNAPSHOT_READER_H_
#define KVARTS_STORAGE_MEMORY_SNAPSHOT_READER_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/progress.h"
#include "storage/fs/file_system.h"
#include "storage/memory/snapshot_format.h"

namespace kvarts::memory_internal {

// Calls `take` with the entries of the snapshot at `path`, those of a block at a time,
// borrowed for the call; its error ends the reading. kNotFound where there is none.
// kDataLoss, with the offset, where anything of it is damaged or missing: what was taken
// by then must be dropped. kFailedPrecondition for a newer version.
absl::StatusOr<SnapshotTotals> ReadSnapshot(
    FileSystem* fs, absl::string_view path, ProgressSink* progress,
    absl::FunctionRef<absl::Status(absl::Span<const SnapshotEntry> entries)> take);

}  // namespace kvarts::memory_internal

#endif  // KVARTS_STORAGE_MEMORY_SNAPSHOT_READER_H_
