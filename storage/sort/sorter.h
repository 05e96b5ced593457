#ifndef KVARTS_STORAGE_SORT_SORTER_H_
#define KVARTS_STORAGE_SORT_SORTER_H_

#include "base/language.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/fs/file_system.h"

namespace kvarts {

struct SorterOptions {
  // All memory of the sorter: records, their order, read and write buffers, the
  // merge. At least kMinMemory.
  size_t memory_bytes = 256 << 20;
  static constexpr size_t kMinMemory = 1 << 20;
  FileSystem* fs = FileSystem::Posix();
  // An existing directory. Run files appear in it only where the records do not
  // fit in memory, and are deleted by the destructors. Required.
  std::string temp_dir;
  // The start of their names: "PREFIX.run.N". Names that are taken are passed
  // over, so that sorters may share a directory; files of a process that was
  // killed stay until the directory's owner deletes them.
  std::string temp_prefix = "sort";
  // Called while runs are merged, with records merged and to merge. May be empty.
  std::function<void(uint64_t done, uint64_t total)> progress;
};

struct SorterStats {
  uint64_t records = 0;
  uint64_t bytes = 0;          // of keys and payloads
  uint64_t runs = 0;           // written to disk
  uint64_t merge_passes = 0;   // over all data, before the last, lazy one
  uint64_t spilled_bytes = 0;  // written to disk, in all passes
  uint64_t peak_memory = 0;    // counted bytes
};

// Not thread-safe. The records of a Sorter in order; holds its runs.
class SortedRecords {
 public:
  virtual ~SortedRecords() = default;

  // The next record; false behind the last one. `key` and `payload` are good
  // until the next call.
  virtual absl::StatusOr<bool> Next(absl::string_view* key, absl::string_view* payload) = 0;
};

// Not thread-safe. Sorts records by the bytes of their keys within a fixed
// memory; records with equal keys stay in the order they were added.
//
// Records go to an arena with an array of 8-byte key prefixes beside it; a full
// arena is sorted and written as a run, with a checksum a block; runs are merged
// by a loser tree, in several passes where they are more than memory holds
// buffers for. Cost: O(n log n) comparisons, 8 bytes each mostly;
// ceil(log_fanout(runs)) passes.
class Sorter {
 public:
  // A fresh sorter; kInvalidArgument for options that cannot work.
  static absl::StatusOr<std::unique_ptr<Sorter>> New(const SorterOptions& options);
  virtual ~Sorter() = default;

  // Keys up to 64 KiB, payloads up to a quarter of the memory and 1 GiB; larger
  // is kInvalidArgument, after which the sort may go on. Any other error ends
  // it: all files are deleted, later calls return the same error.
  virtual absl::Status Add(absl::string_view key, absl::string_view payload) = 0;

  // Ends adding. The sorter may be destroyed before what it returns. Records
  // that fitted into memory were never written to disk.
  virtual absl::StatusOr<std::unique_ptr<SortedRecords>> Finish() = 0;

  virtual SorterStats stats() const = 0;
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_SORT_SORTER_H_
