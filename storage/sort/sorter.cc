#include "storage/sort/sorter.h"

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "storage/sort/arena.h"
#include "storage/sort/merger.h"
#include "storage/sort/run_file.h"
#include "storage/sort/run_set.h"

namespace kvarts {
namespace {

using sort_internal::Arena;
using sort_internal::MergeLimits;
using sort_internal::Merger;
using sort_internal::Record;
using sort_internal::RunInfo;
using sort_internal::RunSet;
using sort_internal::RunWriter;

constexpr size_t kMaxSortKey = 64 << 10;
constexpr size_t kMaxSortPayload = 1 << 30;
// The sorter's own objects and a deep stack while it sorts.
constexpr size_t kFixedBytes = 24 << 10;
// Far below the usual limit of 1024 descriptors.
constexpr size_t kMaxOpenRuns = 256;
constexpr uint64_t kProgressStep = 1 << 16;

absl::string_view View(const char* p, size_t n) { return absl::string_view(p, n); }

// How a budget is shared out. From the budget come the fixed bytes, the table
// of runs, and the arena; from the arena, while runs are merged, one write
// buffer and the read buffers.
struct Plan {
  size_t block = 0;       // bytes of a block, and of the write buffer
  size_t table_runs = 0;  // when there are so many they are merged at once
  size_t table_bytes = 0;
  size_t arena = 0;
  MergeLimits merge;

  explicit Plan(size_t memory) {
    block = std::clamp<size_t>(std::bit_floor(memory / 64), 16 << 10, 256 << 10);
    const size_t fan_in = std::min(kMaxOpenRuns, memory / (block + Merger::kSourceBytes));
    table_runs = 4 * fan_in;
    // Twice: progress is reckoned on a copy.
    table_bytes = 2 * (table_runs + 1) * sizeof(RunInfo);
    arena = (memory - kFixedBytes - table_bytes) / 4096 * 4096;
    merge.memory = arena - block;
    merge.max_runs = kMaxOpenRuns;
  }
};

// The memory that the sorter passes on to what it finishes with.
struct Work {
  Work(const SorterOptions& options, const Plan& p)
      : plan(p), runs(options.fs, options.temp_dir, options.temp_prefix) {}

  // Bytes in use now, with `arena_bytes` of the arena.
  void Count(size_t bytes) {
    stats.peak_memory =
        std::max<uint64_t>(stats.peak_memory, kFixedBytes + plan.table_bytes + bytes);
  }

  const Plan plan;
  Arena arena;
  RunSet runs;
  SorterStats stats;
};

class MemoryRecords final : public SortedRecords {
 public:
  explicit MemoryRecords(std::unique_ptr<Work> work) : work_(std::move(work)) {}

  absl::StatusOr<bool> Next(absl::string_view* key, absl::string_view* payload) override {
    const Arena& arena = work_->arena;
    if (next_ == arena.count()) return false;
    arena.Prefetch(next_ + kAhead);
    const Record record = arena.record(next_++);
    *key = View(record.key, record.key_size);
    *payload = View(record.payload(), record.payload_size);
    return true;
  }

 private:
  static constexpr size_t kAhead = 16;

  const std::unique_ptr<Work> work_;
  size_t next_ = 0;
};

// Progress over all merges of a sort, reported in steps.
class MergeProgress {
 public:
  MergeProgress(std::function<void(uint64_t, uint64_t)> report, uint64_t total)
      : report_(std::move(report)), total_(total) {}

  void Step() {
    if (++done_ >= next_) [[unlikely]] {
      next_ = done_ + kProgressStep;
      if (report_) report_(done_, total_);
    }
  }
  void End() {
    if (report_) report_(done_, total_);
  }

 private:
  std::function<void(uint64_t, uint64_t)> report_;
  uint64_t total_;
  uint64_t done_ = 0;
  uint64_t next_ = kProgressStep;
};

class MergedRecords final : public SortedRecords {
 public:
  MergedRecords(std::unique_ptr<Work> work, Merger merger, MergeProgress progress)
      : work_(std::move(work)), progress_(std::move(progress)), merger_(std::move(merger)) {}

  absl::StatusOr<bool> Next(absl::string_view* key, absl::string_view* payload) override {
    Record record;
    if (!merger_.Next(&record)) [[unlikely]] {
      return End();
    }
    *key = View(record.key, record.key_size);
    *payload = View(record.payload(), record.payload_size);
    progress_.Step();
    return true;
  }

 private:
  absl::StatusOr<bool> End() {
    if (!merger_.status().ok()) {
      error_ = merger_.status();
      merger_ = Merger();  // closes the files
      work_->runs.RemoveAll();
    }
    if (!error_.ok()) return error_;
    if (!ended_) progress_.End();
    ended_ = true;
    return false;
  }

  const std::unique_ptr<Work> work_;  // outlives the merger, which reads its files
  MergeProgress progress_;
  Merger merger_;
  absl::Status error_;
  bool ended_ = false;
};

class ExternalSorter final : public Sorter {
 public:
  ExternalSorter(const SorterOptions& options, std::unique_ptr<Work> work)
      : work_(std::move(work)),
        progress_(options.progress),
        max_payload_(std::min(options.memory_bytes / 4, kMaxSortPayload)) {}

  absl::Status Add(absl::string_view key, absl::string_view payload) override {
    if (work_ == nullptr) [[unlikely]] {
      return Ended();
    }
    if (key.size() > kMaxSortKey || payload.size() > max_payload_) [[unlikely]] {
      return TooLarge(key, payload);
    }
    if (!work_->arena.Add(key, payload)) [[unlikely]] {
      absl::Status status = Spill();
      if (!status.ok()) return Fail(std::move(status));
      work_->arena.Add(key, payload);
    }
    ++work_->stats.records;
    work_->stats.bytes += key.size() + payload.size();
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<SortedRecords>> Finish() override {
    if (work_ == nullptr) return Ended();
    auto sorted = Sorted();
    if (!sorted.ok()) return Fail(sorted.status());
    return sorted;
  }

  SorterStats stats() const override {
    if (work_ == nullptr) return stats_;
    SorterStats stats = work_->stats;
    stats.peak_memory = std::max<uint64_t>(
        stats.peak_memory, kFixedBytes + work_->plan.table_bytes + work_->arena.used());
    return stats;
  }

 private:
  absl::Status Ended() const {
    return error_.ok() ? absl::FailedPreconditionError("the sorter was finished") : error_;
  }

  absl::Status TooLarge(absl::string_view key, absl::string_view payload) const {
    return absl::InvalidArgumentError(
        absl::StrCat("a record to sort has a key of ", key.size(), " bytes (at most ", kMaxSortKey,
                     ") and a payload of ", payload.size(), " (at most ", max_payload_, ")"));
  }

  // Every later call returns it; nothing is kept.
  absl::Status Fail(absl::Status status) {
    error_ = std::move(status);
    if (work_ != nullptr) {
      stats_ = work_->stats;
      work_.reset();
    }
    return error_;
  }

  // Writes the records of the arena as a run.
  absl::Status Spill() {
    Arena& arena = work_->arena;
    work_->Count(arena.used());
    arena.Sort();
    uint64_t number;
    KVARTS_ASSIGN_OR_RETURN(auto file, work_->runs.Create(&number));
    RunWriter writer(file.get(), number, arena.scratch(), arena.scratch_size());
    constexpr size_t kAhead = 16;
    for (size_t i = 0, n = arena.count(); i < n; ++i) {
      arena.Prefetch(i + kAhead);
      KVARTS_RETURN_IF_ERROR(writer.Add(arena.record(i)));
    }
    KVARTS_RETURN_IF_ERROR(writer.Finish());
    work_->runs.Append(writer.run());
    ++work_->stats.runs;
    work_->stats.spilled_bytes += writer.run().size;
    arena.Clear();
    if (work_->runs.runs().size() < work_->plan.table_runs) return absl::OkStatus();
    MergeProgress quiet(nullptr, 0);
    while (work_->runs.runs().size() > work_->plan.table_runs / 2) {
      KVARTS_RETURN_IF_ERROR(MergeSome(&quiet));
    }
    return absl::OkStatus();
  }

  // Opens `runs` for merging, their buffers from `buffers` on.
  absl::StatusOr<Merger> OpenMerger(absl::Span<const RunInfo> runs, char* buffers) {
    size_t memory = static_cast<size_t>(buffers - work_->arena.data());
    for (const RunInfo& run : runs) memory += sort_internal::MergeMemory(run);
    work_->Count(memory);
    // What the sources take outside of the arena comes from its tail.
    work_->arena.Release(memory - runs.size() * Merger::kSourceBytes);
    Merger merger;
    merger.Reserve(runs.size());
    for (const RunInfo& run : runs) {
      KVARTS_ASSIGN_OR_RETURN(auto reader, work_->runs.Open(run, buffers));
      merger.Add(std::move(reader), run);
      buffers += run.max_block;
    }
    KVARTS_RETURN_IF_ERROR(merger.Start());
    return merger;
  }

  // Merges some runs into one, towards runs that can be merged at once.
  absl::Status MergeSome(MergeProgress* progress) {
    const auto choice = sort_internal::ChooseMerge(work_->runs.runs(), work_->plan.merge);
    const auto inputs = absl::MakeSpan(work_->runs.runs()).subspan(choice.begin, choice.count);
    RunInfo merged = sort_internal::Merged(inputs);
    {
      char* const buffer = work_->arena.data();
      KVARTS_ASSIGN_OR_RETURN(Merger merger, OpenMerger(inputs, buffer + work_->plan.block));
      uint64_t number;
      KVARTS_ASSIGN_OR_RETURN(auto file, work_->runs.Create(&number));
      RunWriter writer(file.get(), number, buffer, work_->plan.block);
      for (Record record; merger.Next(&record);) {
        KVARTS_RETURN_IF_ERROR(writer.Add(record));
        progress->Step();
      }
      KVARTS_RETURN_IF_ERROR(merger.status());
      KVARTS_RETURN_IF_ERROR(writer.Finish());
      const uint16_t level = merged.level;
      merged = writer.run();
      merged.level = level;
    }
    work_->stats.spilled_bytes += merged.size;
    return work_->runs.Replace(choice.begin, choice.count, merged);
  }

  // Records that all merges together give out.
  uint64_t MergeTotal() const {
    std::vector<RunInfo> runs = work_->runs.runs();
    uint64_t total = work_->stats.records;
    while (!sort_internal::Fits(runs, work_->plan.merge)) {
      const auto choice = sort_internal::ChooseMerge(runs, work_->plan.merge);
      const auto begin = runs.begin() + static_cast<ptrdiff_t>(choice.begin);
      const RunInfo merged = sort_internal::Merged(absl::MakeSpan(&*begin, choice.count));
      total += merged.records;
      *begin = merged;
      runs.erase(begin + 1, begin + static_cast<ptrdiff_t>(choice.count));
    }
    return total;
  }

  absl::StatusOr<std::unique_ptr<SortedRecords>> Sorted() {
    if (work_->runs.runs().empty()) {
      work_->Count(work_->arena.used());
      work_->arena.Sort();
      stats_ = work_->stats;
      return std::make_unique<MemoryRecords>(std::move(work_));
    }
    KVARTS_RETURN_IF_ERROR(Spill());
    MergeProgress progress(progress_, MergeTotal());
    const std::vector<RunInfo>& runs = work_->runs.runs();
    while (!sort_internal::Fits(runs, work_->plan.merge)) {
      KVARTS_RETURN_IF_ERROR(MergeSome(&progress));
    }
    KVARTS_ASSIGN_OR_RETURN(Merger merger, OpenMerger(runs, work_->arena.data()));
    for (const RunInfo& run : runs) {
      work_->stats.merge_passes = std::max<uint64_t>(work_->stats.merge_passes, run.level);
    }
    stats_ = work_->stats;
    return std::make_unique<MergedRecords>(std::move(work_), std::move(merger),
                                           std::move(progress));
  }

  std::unique_ptr<Work> work_;  // null once it was finished or has failed
  const std::function<void(uint64_t, uint64_t)> progress_;
  const size_t max_payload_;
  SorterStats stats_;  // once there is no work
  absl::Status error_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Sorter>> Sorter::New(const SorterOptions& options) {
  if (options.memory_bytes < SorterOptions::kMinMemory) {
    return absl::InvalidArgumentError(absl::StrCat("sorting in ", options.memory_bytes,
                                                   " bytes of memory, at least ",
                                                   SorterOptions::kMinMemory, " are needed"));
  }
  if (options.fs == nullptr) return absl::InvalidArgumentError("sorting without a file system");
  if (options.temp_prefix.empty() || options.temp_prefix.find('/') != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the prefix of run files is \"", options.temp_prefix, "\", expected the start of a name"));
  }
  if (options.temp_dir.empty()) {
    return absl::InvalidArgumentError("sorting without a directory for run files");
  }
  KVARTS_ASSIGN_OR_RETURN(const FileInfo info, options.fs->Stat(options.temp_dir));
  if (info.type != FileInfo::Type::kDirectory) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.temp_dir, ": not a directory, for run files of a sort"));
  }
  const Plan plan(options.memory_bytes);
  auto work = std::make_unique<Work>(options, plan);
  KVARTS_RETURN_IF_ERROR(work->arena.Reserve(plan.arena, plan.block));
  work->runs.Reserve(plan.table_runs + 1);
  return std::make_unique<ExternalSorter>(options, std::move(work));
}

}  // namespace kvarts
