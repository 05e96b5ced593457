// The second and the third stage of SortWork.

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "groupby/sorted/merge_choice.h"
#include "groupby/sorted/sort_work.h"

namespace kvarts::groupby_internal {
namespace {

constexpr uint64_t kProgressBytes = 1 << 20;

}  // namespace

std::vector<uint64_t> SortWork::RunSizes() const {
  std::vector<uint64_t> sizes;
  sizes.reserve(runs_.size());
  for (const SortedRun& run : runs_) sizes.push_back(run.file->file_bytes());
  return sizes;
}

uint64_t SortWork::run_bytes() const {
  uint64_t bytes = 0;
  for (const SortedRun& run : runs_) bytes += run.file->file_bytes();
  return bytes;
}

size_t SortWork::FanIn() const {
  size_t crossing = 0;
  for (const SortedRun& run : runs_) crossing = std::max(crossing, run.crossing_key);
  const size_t rest = SortMemory::Round(max_key_) + SortMemory::Round(OwnRoom(max_value_));
  const size_t room = row_room() - std::min(row_room(), rest);
  return std::clamp<size_t>(room / memory_.SourceBytes(crossing), 2, max_open_runs_);
}

void SortWork::GatherMemory() {
  size_t crossing = 0;
  for (const SortedRun& run : runs_) crossing = std::max(crossing, run.crossing_key);
  const size_t wanted = OtherThanRows() + SortMemory::Round(max_key_) +
                        SortMemory::Round(OwnRoom(max_value_)) +
                        std::min(runs_.size(), max_open_runs_) * memory_.SourceBytes(crossing);
  if (wanted <= held_) {
    Release(held_ - std::max(wanted, Floor()));
    return;
  }
  MemoryBudget::Account* const account = shared_->account();
  if (account->TryReserve(wanted - held_)) return Took(wanted - held_);
  // All of them at once is more than others leave. Its share nobody denies it.
  const size_t share = std::min(wanted, shared_->share());
  if (share > held_ && account->Reserve(share - held_).ok()) Took(share - held_);
}

absl::Status SortWork::EndRows() {
  if (runs_.empty()) {
    CountProbes();
    counters_->comparisons.Add(table_.Sort(region_.data(), memory_.write_room));
    if (held_ > used()) Release(held_ - used());
    SetTotal(0);
    return absl::OkStatus();
  }
  if (has_rows()) KVARTS_RETURN_IF_ERROR(Dump());
  CountProbes();
  table_.Free();
  GatherMemory();
  region_.Trim(memory_.write_room + row_room());
  bytes_to_merge_ = BytesToMerge(RunSizes(), FanIn());
  SetTotal(bytes_to_merge_);
  return absl::OkStatus();
}

absl::Status SortWork::MergeDown() {
  if (runs_.empty()) return absl::OkStatus();
  const size_t fan_in = FanIn();
  while (const size_t count = NextMergeCount(runs_.size(), fan_in)) {
    KVARTS_RETURN_IF_ERROR(MergeSome(CheapestMerge(RunSizes(), count), count));
  }
  for (const SortedRun& run : runs_) counters_->merge_passes.Raise(run.level);
  GatherMemory();
  region_.Trim(memory_.write_room + row_room());
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<RunMerger>> SortWork::Open(size_t begin, size_t count,
                                                          char** behind) {
  auto merger = std::make_unique<RunMerger>(count, max_key_, &counters_->comparisons);
  char* buffer = rows_begin();
  for (size_t i = begin; i < begin + count; ++i) {
    const SortedRun& run = runs_[i];
    merger->Add(RunReader(&run, memory_.block, buffer, &counters_->cancelled));
    buffer += SortMemory::Round(RunReader::BufferBytes(memory_.block, run.crossing_key));
  }
  KVARTS_RETURN_IF_ERROR(merger->Start());
  *behind = buffer;
  return merger;
}

absl::StatusOr<std::unique_ptr<RunMerger>> SortWork::OpenMerger(absl::Span<char>* value_room) {
  char* behind;
  auto merger = Open(0, runs_.size(), &behind);
  if (merger.ok()) *value_room = absl::Span<char>(behind, OwnRoom(max_value_));
  return merger;
}

absl::Status SortWork::MergeSome(size_t begin, size_t count) {
  SortedRun merged;
  {
    char* behind;
    KVARTS_ASSIGN_OR_RETURN(const auto merger, Open(begin, count, &behind));
    KVARTS_ASSIGN_OR_RETURN(RunWriter writer, NewWriter());
    uint64_t reported = 0;
    for (;;) {
      KVARTS_ASSIGN_OR_RETURN(const bool more, merger->NextGroup());
      if (!more) break;
      for (bool is_first = true;; is_first = false) {
        KVARTS_ASSIGN_OR_RETURN(RunReader* const part, merger->Part());
        if (part == nullptr) break;
        KVARTS_RETURN_IF_ERROR(is_first ? writer.BeginGroup(merger->key(), part->left())
                                        : writer.ContinueGroup(part->left()));
        while (part->left() > 0) {
          KVARTS_ASSIGN_OR_RETURN(const absl::string_view bytes, part->Bytes());
          KVARTS_RETURN_IF_ERROR(writer.Put(bytes));
        }
        if (bytes_to_merge_ != 0 && writer.file_bytes() >= reported + kProgressBytes) {
          reported = writer.file_bytes();
          SetDone("merge", merged_bytes_ + reported);
        }
      }
    }
    KVARTS_ASSIGN_OR_RETURN(merged, writer.Finish());
  }
  counters_->spilled_bytes.Add(merged.file->file_bytes());
  if (bytes_to_merge_ != 0) merged_bytes_ += merged.file->file_bytes();
  const auto at = runs_.begin() + static_cast<ptrdiff_t>(begin);
  const auto end = at + static_cast<ptrdiff_t>(count);
  for (auto run = at; run != end; ++run) merged.level = std::max(merged.level, run->level + 1);
  *at = std::move(merged);
  runs_.erase(at + 1, end);
  return absl::OkStatus();
}

}  // namespace kvarts::groupby_internal
