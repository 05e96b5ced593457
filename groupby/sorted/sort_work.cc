#include "groupby/sorted/sort_work.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "groupby/sorted/merge_choice.h"

namespace kvarts::groupby_internal {
namespace {

constexpr size_t kPage = 4096;
size_t RoundUp(size_t n) { return (n + kPage - 1) / kPage * kPage; }

}  // namespace

SortWork::SortWork(const GroupingOptions& options, std::shared_ptr<SortShared> shared, size_t shard,
                   SortCounters* counters)
    : shared_(std::move(shared)),
      shard_(shard),
      fs_(options.fs),
      memory_(shared_->memory()),
      max_open_runs_(options.max_open_runs == 0 ? memory_.open_runs
                                                : static_cast<size_t>(options.max_open_runs)),
      counters_(counters) {
  shared_->Enter();
  table_.SetMaxKeys(options.max_hash_entries);
}

absl::StatusOr<std::unique_ptr<SortWork>> SortWork::New(const GroupingOptions& options,
                                                        std::shared_ptr<SortShared> shared,
                                                        size_t shard, SortCounters* counters) {
  std::unique_ptr<SortWork> work(new SortWork(options, std::move(shared), shard, counters));
  const size_t least = work->Floor();
  KVARTS_RETURN_IF_ERROR(work->shared_->account()->Reserve(least));
  work->Took(least);
  KVARTS_RETURN_IF_ERROR(work->region_.Map(work->memory_.total));
  work->table_.SetSpace(work->rows_begin(), work->region_.end());
  KVARTS_RETURN_IF_ERROR(work->table_.SetSlots(SortMemory::kMinSlots));
  return work;
}

SortWork::~SortWork() { Abandon(); }

void SortWork::Abandon() {
  if (has_left_) return;
  has_left_ = true;
  CountProbes();
  runs_.clear();
  table_.Free();
  region_.Free();
  Release(held_);
  shared_->Leave();
}

void SortWork::SetHeld(size_t bytes) {
  held_ = bytes;
  counters_->held.store(bytes, std::memory_order_relaxed);
}

void SortWork::Took(size_t bytes) {
  SetHeld(held_ + bytes);
  counters_->peak_memory.Raise(shared_->account()->peak());
}

void SortWork::Release(size_t bytes) {
  SetHeld(held_ - bytes);
  shared_->account()->Release(bytes);
}

bool SortWork::TryTake(size_t bytes) {
  // In steps, where there is so much; else just what is needed.
  const size_t step = std::max(RoundUp(bytes), memory_.block);
  for (const size_t some : {step, bytes}) {
    if (shared_->account()->TryReserve(some)) {
      Took(some);
      return true;
    }
  }
  return false;
}

size_t SortWork::OtherThanRows() const {
  return memory_.fixed + memory_.write_room + table_.slot_bytes() +
         runs_.size() * SortMemory::kRunBytes;
}

size_t SortWork::row_room() const {
  const size_t other = OtherThanRows();
  return held_ > other ? held_ - other : 0;
}

size_t SortWork::Missing(const KeyValue& row) const {
  const size_t max_value = std::max(max_value_, row.value.size());
  const size_t floor =
      memory_.Floor(std::max(max_key_, row.key.size()), OwnRoom(max_value), runs_.size());
  // Of the value room that is shared.
  const size_t shared_room = max_value - OwnRoom(max_value);
  const size_t has_room = std::min(shared_room, shared_->value_room());
  const size_t rows = table_.used() + RowTable::RowBytes(row);
  // What there can be at most, for this row alone.
  const size_t alone = RowTable::RowBytes(row) + OtherThanRows() - table_.slot_bytes() +
                       SortMemory::kMinSlots * RowTable::kSlotBytes;
  if (std::max(floor, alone) + shared_room > memory_.total) return SIZE_MAX;
  const size_t needed = std::max(floor, OtherThanRows() + rows) + shared_room - has_room;
  return needed > held_ ? needed - held_ : 0;
}

SortWork::Added SortWork::Add(const KeyValue& row, uint64_t hash) {
  const bool is_longest = row.key.size() > max_key_ || row.value.size() > max_value_;
  if (is_longest || table_.used() + RowTable::RowBytes(row) > row_room()) {
    const size_t missing = Missing(row);
    if (missing == SIZE_MAX || (missing != 0 && !TryTake(missing))) return Added::kNoMemory;
    max_key_ = std::max(max_key_, row.key.size());
    max_value_ = std::max(max_value_, row.value.size());
    if (shared_->has_value_room()) SetHeld(held_ - shared_->RaiseValueRoom(max_value_));
  }
  while (!table_.Add(row, hash)) {
    if (table_.has_max_keys()) return Added::kFull;
    if (!GrowSlots()) return table_.is_stretched() ? Added::kFull : Added::kNoSlots;
    // Growing may have used what this row was to have.
    if (table_.used() + RowTable::RowBytes(row) > row_room()) return Add(row, hash);
  }
  counters_->rows.Add(1);
  counters_->bytes.Add(row.key.size() + row.value.size());
  return Added::kYes;
}

size_t SortWork::MissingForSlots() const {
  const size_t bytes = 2 * table_.slot_bytes();
  const size_t room = row_room() - table_.used();
  return bytes > room ? bytes - room : 0;
}

bool SortWork::GrowSlots() {
  const size_t missing = MissingForSlots();
  return (missing == 0 || TryTake(missing)) && table_.Grow().ok();
}

void SortWork::CountProbes() { counters_->probes.Raise(table_.probes()); }

absl::Status SortWork::DropSlots() {
  CountProbes();
  return table_.SetSlots(SortMemory::kMinSlots);
}

bool SortWork::GiveSpare(size_t bytes) {
  const size_t least = std::max(Floor(), used());
  if (held_ < least || held_ - least < bytes) return false;
  Release(bytes);
  region_.Trim(memory_.write_room + row_room());
  return true;
}

size_t SortWork::GiveBack(size_t bytes) {
  if (!DropSlots().ok()) return 0;
  const size_t share = shared_->share();
  const size_t keep = std::max(Floor(), std::min(held_ - std::min(held_, bytes), share));
  if (held_ <= keep) return 0;
  const size_t given = held_ - keep;
  region_.Trim(memory_.write_room + row_room() - std::min(row_room(), given));
  Release(given);
  return given;
}

absl::StatusOr<RunWriter> SortWork::NewWriter() {
  KVARTS_ASSIGN_OR_RETURN(std::string path, shared_->folder()->NewPath("run"));
  KVARTS_ASSIGN_OR_RETURN(auto file, SpillFile::New(fs_, std::move(path)));
  return RunWriter(std::move(file), region_.data(), memory_.block, &counters_->cancelled);
}

absl::Status SortWork::Dump() {
  CountProbes();
  // The write room serves the sort first.
  counters_->comparisons.Add(table_.Sort(region_.data(), memory_.write_room));
  KVARTS_ASSIGN_OR_RETURN(RunWriter writer, NewWriter());
  for (size_t i = 0, n = table_.keys(); i < n; ++i) {
    table_.PrefetchBehind(i);
    const RowTable::Group group = table_.Open(i);
    KVARTS_RETURN_IF_ERROR(writer.BeginGroup(group.key, group.bytes));
    for (const char* value = group.first; value != nullptr;) {
      KVARTS_RETURN_IF_ERROR(writer.Put(table_.Encoded(&value)));
    }
  }
  KVARTS_ASSIGN_OR_RETURN(SortedRun run, writer.Finish());
  counters_->runs.Add(1);
  counters_->spilled_bytes.Add(run.file->file_bytes());
  runs_.push_back(std::move(run));
  table_.Clear();
  if (HasRoomForRuns()) return absl::OkStatus();
  // Some at once, so that the infos of the runs do not fill the memory.
  KVARTS_RETURN_IF_ERROR(DropSlots());
  for (const size_t keep = runs_.size() / 2; runs_.size() > keep;) {
    const size_t count = std::min(FanIn(), runs_.size() / 2);
    KVARTS_RETURN_IF_ERROR(MergeSome(CheapestMerge(RunSizes(), count), count));
  }
  return absl::OkStatus();
}

bool SortWork::HasRoomForRuns() {
  if (runs_.size() < SortMemory::MaxRuns(held_)) return true;
  const size_t needed = SortMemory::HeldForRuns(runs_.size() + 1);
  return needed <= memory_.total && TryTake(needed - held_);
}

}  // namespace kvarts::groupby_internal
