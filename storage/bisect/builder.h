#ifndef KVARTS_STORAGE_BISECT_BUILDER_H_
#define KVARTS_STORAGE_BISECT_BUILDER_H_

#include "base/language.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/progress.h"
#include "storage/fs/file_system.h"

namespace kvarts {

struct BuildOptions {
  std::string index_path;  // empty: DefaultIndexPath()
  // Where sorted runs go that do not fit in memory: about the bytes of all
  // keys, and a few a record. Empty: the index's directory.
  std::string temp_dir;
  // For sorting and all buffers; at least kMinBuildMemory.
  uint64_t memory_bytes = uint64_t{256} << 20;
  bool skip_malformed = false;
  ProgressSink* progress = nullptr;  // borrowed; may be null
  // Called once where another process builds the index, before waiting for it.
  std::function<void()> on_wait;
  FileSystem* fs = FileSystem::Posix();
};
inline constexpr uint64_t kMinBuildMemory = 8 << 20;

struct BuildReport {
  bool built = false;      // false: the index was there and good
  std::string reason;      // why it was built: "there was no index"
  uint64_t lines = 0;      // of the data file
  uint64_t entries = 0;    // distinct keys
  uint64_t repeated = 0;   // lines whose key came again later
  uint64_t malformed = 0;  // lines skipped
  uint64_t data_bytes = 0;
  uint64_t index_bytes = 0;
  uint64_t spilled_bytes = 0;  // written to temp_dir
  absl::Duration time;
  // What a user may want to know, a sentence each: repeated keys, carriage
  // returns, a last line without a newline.
  std::vector<std::string> warnings;
};

// Builds the index of a data file, whatever stands there. One process at a time
// does, under the lock INDEX.lock; others wait. The same file and the same
// options give the same bytes. Time: O(n log n), about a microsecond a record.
// On an error nothing is left behind, and an index that was there stays.
absl::StatusOr<BuildReport> BuildBisect(absl::string_view data_path, const BuildOptions& options);

// Builds it where it is absent, stale or damaged at a glance (in constant time:
// pages are verified as they are touched). An index of a newer format is
// refused, not replaced.
absl::StatusOr<BuildReport> EnsureBisect(absl::string_view data_path, const BuildOptions& options);

// Checks all: every page's checksum, the order of the entries, that each names a
// line of its key, and the data file's checksum. The first fault is the error.
// Of the options it takes index_path, progress and fs. Reads data in key order:
// slow where it does not fit in memory.
absl::Status VerifyBisect(absl::string_view data_path, const BuildOptions& options);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_BISECT_BUILDER_H_
