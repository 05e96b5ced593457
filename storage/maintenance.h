#ifndef KVARTS_STORAGE_MAINTENANCE_H_
#define KVARTS_STORAGE_MAINTENANCE_H_

#include "base/language.h"

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/cursor.h"
#include "storage/key_range.h"

namespace kvarts {

class Store;

// Gives entries in the order of their keys, each key once: the next one, whose bytes are good until
// the next call; false behind the last one. An error ends it. Called by one thread at a time.
using SortedSource = std::function<absl::StatusOr<bool>(ScanEntry* entry)>;

// All that `from` holds now; it must outlive the source. kUnimplemented where it has no ordered
// scan.
absl::StatusOr<SortedSource> SortedEntriesOf(Store* from);

// Thread-safe. The care of a store that keeps its data in files of its own: see
// Store::maintenance(). All of it may run beside reads and writes, and may take long: call it
// from a thread that may wait. After Close() every call is kFailedPrecondition.
class Maintenance {
 public:
  virtual ~Maintenance() = default;

  // Writes what is in memory to the store's sorted files. OK where there is nothing.
  virtual absl::Status Flush() = 0;

  // Merges the files that hold keys of `range`, so that what was overwritten, deleted or has
  // expired gives its space back. The whole range joins all files into one sorted run.
  virtual absl::Status Compact(const KeyRange& range) = 0;

  // Bytes on disk of the keys of `range`, within a block at each end for each file.
  virtual absl::StatusOr<uint64_t> ApproximateBytes(const KeyRange& range) = 0;

  struct VerifyReport {
    uint64_t files = 0;
    uint64_t bytes = 0;
    uint64_t entries = 0;  // versions and deletions, also those that are hidden
  };
  // Reads every file and checks its checksums, its order, and what files say of each other.
  // kDataLoss names the first file and offset that are bad.
  virtual absl::StatusOr<VerifyReport> Verify() = 0;

  // Makes a directory that opens as a store of its own with all that is visible now, and that
  // nothing done to this store later changes. Returns its path. `name` is a path, or, where it
  // has no slash and the store has a directory for checkpoints, a name in that; empty: a name
  // made of the time. kAlreadyExists where there is one.
  virtual absl::StatusOr<std::string> Checkpoint(absl::string_view name) = 0;

  struct IndexReport {
    uint64_t tables = 0;
    uint64_t keys = 0;       // of these tables, overwritten ones too
    uint64_t bytes = 0;      // of index and filter in memory
    uint64_t from_file = 0;  // tables whose index came from a snapshot of the index
  };
  // Reads the index and the filter of every table, so that no later read has to.
  virtual absl::StatusOr<IndexReport> LoadIndex();
  // Flushes, and writes the index and the filter of every table to a file, atomically. `path` of
  // no slash is a name in the store's directory for checkpoints where it has one; kInvalidArgument
  // where it is empty. A file that is there is replaced if it is empty or such a snapshot, else
  // kAlreadyExists.
  virtual absl::StatusOr<IndexReport> SaveIndexSnapshot(absl::string_view path);
  // Takes them from there. A file that is damaged is kDataLoss with the offset; one that names
  // a table which is gone or another than it was is kFailedPrecondition with its name; nothing
  // is then taken. Tables that came since are read themselves.
  virtual absl::StatusOr<IndexReport> LoadIndexSnapshot(absl::string_view path);

  struct IngestReport {
    uint64_t entries = 0;
    uint64_t files = 0;
    uint64_t bytes = 0;  // of the files
  };
  // Puts all entries of `source` at once: they become sorted files of the store as they come, past
  // its log and its memory, and then, in one moment, part of it, durably. As one atomic batch of
  // puts does at that moment, they replace what is there under the same keys; no snapshot that
  // was made before has them. Memory: the largest entry, and the index of one file. One call goes
  // on at a time, others wait.
  //
  // kInvalidArgument where a key is not greater than the one before it, or an entry is not one
  // that can be put; what `source` fails with; then, and on every other error, nothing is put, but
  // for kDeadlineExceeded: it may be there once the store is opened anew.
  virtual absl::StatusOr<IngestReport> Ingest(const SortedSource& source);
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_MAINTENANCE_H_
