#ifndef KVARTS_STORAGE_SORT_RUN_SET_H_
#define KVARTS_STORAGE_SORT_RUN_SET_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "storage/fs/file_system.h"
#include "storage/sort/run_file.h"

namespace kvarts::sort_internal {

// Not thread-safe. The runs of a sort in the order of their records' adding,
// and their files, which it deletes at the latest when it is destroyed.
class RunSet {
 public:
  RunSet(FileSystem* fs, std::string dir, std::string prefix)
      : fs_(fs), dir_(std::move(dir)), prefix_(std::move(prefix)) {}
  ~RunSet();
  RunSet(const RunSet&) = delete;
  RunSet& operator=(const RunSet&) = delete;

  // A new file, numbered by `*number`, to become a run by Append() or Replace().
  // One at a time. Names that are taken, by another sort or a dead one, are left
  // alone and passed over.
  absl::StatusOr<std::unique_ptr<WritableFile>> Create(uint64_t* number);
  void Append(const RunInfo& run);
  // Deletes the files of `count` runs from `begin` on; `run` takes their place.
  absl::Status Replace(size_t begin, size_t count, const RunInfo& run);
  absl::StatusOr<RunReader> Open(const RunInfo& run, char* buffer) const;

  // Tries to delete every file, also one half-written; what cannot be deleted
  // stays on the list. The destructor tries twice.
  void RemoveAll();

  const std::vector<RunInfo>& runs() const { return runs_; }
  void Reserve(size_t runs) { runs_.reserve(runs); }

 private:
  std::string Path(uint64_t number) const;

  FileSystem* const fs_;
  const std::string dir_;
  const std::string prefix_;
  std::vector<RunInfo> runs_;
  uint64_t next_ = 0;
  static constexpr uint64_t kNone = UINT64_MAX;
  uint64_t writing_ = kNone;
};

// What one merge may use.
struct MergeLimits {
  size_t memory = 0;    // for the runs' buffers, kSourceBytes each included
  size_t max_runs = 0;  // open at once
};

size_t MergeMemory(const RunInfo& run);

// True where `runs` can be merged in one.
bool Fits(absl::Span<const RunInfo> runs, const MergeLimits& limits);

// The neighbouring runs to merge next on the way to runs that fit. Neighbours,
// because equal keys must stay in order. If one merge is enough, the one that
// copies the fewest bytes; else the one that copies the fewest for each run that
// it takes away. At least two runs; two always fit.
struct MergeChoice {
  size_t begin = 0;
  size_t count = 0;
};
MergeChoice ChooseMerge(absl::Span<const RunInfo> runs, const MergeLimits& limits);

// The run that a merge of `runs` makes, but for its number, and its exact size.
RunInfo Merged(absl::Span<const RunInfo> runs);

}  // namespace kvarts::sort_internal

#endif  // KVARTS_STORAGE_SORT_RUN_SET_H_
