#include "storage/sort/run_set.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "storage/sort/merger.h"

namespace kvarts::sort_internal {

RunSet::~RunSet() {
  RemoveAll();
  RemoveAll();
}

std::string RunSet::Path(uint64_t number) const {
  return JoinPath(dir_, absl::StrCat(prefix_, ".run.", number));
}

absl::StatusOr<std::unique_ptr<WritableFile>> RunSet::Create(uint64_t* number) {
  while (true) {
    *number = next_++;
    auto file = fs_->OpenForWrite(Path(*number), FileSystem::Create::kNew);
    if (!file.ok() && absl::IsAlreadyExists(file.status())) continue;
    // After another error it may be there all the same: nobody else's.
    writing_ = *number;
    return file;
  }
}

void RunSet::Append(const RunInfo& run) {
  runs_.push_back(run);
  writing_ = kNone;
}

absl::Status RunSet::Replace(size_t begin, size_t count, const RunInfo& run) {
  // Each file leaves the list only once it is gone.
  runs_.insert(runs_.begin() + static_cast<ptrdiff_t>(begin), run);
  writing_ = kNone;
  for (; count > 0; --count) {
    const auto old = runs_.begin() + static_cast<ptrdiff_t>(begin) + 1;
    KVARTS_RETURN_IF_ERROR(fs_->Delete(Path(old->number)));
    runs_.erase(old);
  }
  return absl::OkStatus();
}

absl::StatusOr<RunReader> RunSet::Open(const RunInfo& run, char* buffer) const {
  std::string path = Path(run.number);
  KVARTS_ASSIGN_OR_RETURN(auto file, fs_->OpenForRead(path));
  return RunReader(std::move(file), std::move(path), run, buffer);
}

void RunSet::RemoveAll() {
  const auto gone = [this](uint64_t number) {
    const absl::Status status = fs_->Delete(Path(number));
    return status.ok() || absl::IsNotFound(status);
  };
  if (writing_ != kNone && gone(writing_)) writing_ = kNone;
  runs_.erase(std::remove_if(runs_.begin(), runs_.end(),
                             [&](const RunInfo& run) { return gone(run.number); }),
              runs_.end());
}

size_t MergeMemory(const RunInfo& run) { return run.max_block + Merger::kSourceBytes; }

bool Fits(absl::Span<const RunInfo> runs, const MergeLimits& limits) {
  size_t memory = 0;
  for (const RunInfo& run : runs) memory += MergeMemory(run);
  return runs.size() <= limits.max_runs && memory <= limits.memory;
}

MergeChoice ChooseMerge(absl::Span<const RunInfo> runs, const MergeLimits& limits) {
  size_t total = 0;
  for (const RunInfo& run : runs) total += MergeMemory(run);

  MergeChoice best;
  bool best_enough = false;
  double best_cost = 0;
  for (size_t begin = 0; begin + 1 < runs.size(); ++begin) {
    size_t memory = 0;
    size_t widest = 0;
    uint64_t bytes = 0;
    size_t count = 0;
    bool enough = false;
    while (begin + count < runs.size() && count < limits.max_runs && !enough) {
      const RunInfo& run = runs[begin + count];
      if (memory + MergeMemory(run) > limits.memory && count >= 2) break;
      memory += MergeMemory(run);
      widest = std::max(widest, MergeMemory(run));
      bytes += run.size;
      ++count;
      enough = count >= 2 && total - memory + widest <= limits.memory &&
               runs.size() - count + 1 <= limits.max_runs;
    }
    if (count < 2) continue;
    const double cost =
        static_cast<double>(bytes) / (enough ? 1.0 : static_cast<double>(count - 1));
    if (best.count == 0 || enough > best_enough || (enough == best_enough && cost < best_cost)) {
      best = {begin, count};
      best_enough = enough;
      best_cost = cost;
    }
  }
  return best;
}

RunInfo Merged(absl::Span<const RunInfo> runs) {
  RunInfo merged;
  for (const RunInfo& run : runs) {
    merged.size += run.size;
    merged.records += run.records;
    merged.max_block = std::max(merged.max_block, run.max_block);
    merged.level = std::max(merged.level, run.level);
  }
  ++merged.level;
  return merged;
}

}  // namespace kvarts::sort_internal
