#include "groupby/partitioned/partition_set.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/size.h"
#include "base/status_macros.h"
#include "groupby/checks.h"
#include "groupby/partitioned/row.h"

namespace kvarts::groupby_internal {
namespace {

// Rows whose hashes and places are worked out before they are copied.
constexpr size_t kMaxRowsAtOnce = 32 << 10;
constexpr size_t kScratchPerRow = sizeof(uint64_t) + sizeof(uint32_t);

// Of a partition that was written already, so many are worth a write.
constexpr size_t kPagesWorthAWrite = 4;

}  // namespace

PartitionSet::PartitionSet(Engine* engine, int level)
    : engine_(engine), level_(level), shift_(64 - (level + 1) * engine->fanout_bits()) {
  const size_t files = std::min(kFiles, engine->fanout());
  for (size_t i = 0; i < files; ++i) {
    files_.push_back(std::make_unique<SharedFile>(engine));
    files_.back()->SetUsers(engine->fanout() / files);
  }
  for (size_t i = 0; i < engine->fanout(); ++i) {
    SharedFile* const file = files_[i * files / engine->fanout()].get();
    partitions_.push_back(std::make_unique<Partition>(engine, file, /*is_tail=*/false));
  }
  engine_->AddSpillable(this);
}

PartitionSet::~PartitionSet() { engine_->RemoveSpillable(this); }

void PartitionSet::Finished(size_t i) {
  partitions_[i]->FreePages();
  files_[i * files_.size() / partitions_.size()]->RemoveUser();
}

absl::Status PartitionSet::Add(absl::Span<const KeyValue> rows, Scratch* scratch,
                               const std::function<absl::Status(size_t part)>& enter,
                               const std::function<void(size_t part)>& leave) {
  uint64_t bytes = 0;
  size_t largest = 0;
  for (const KeyValue& row : rows) {
    KVARTS_RETURN_IF_ERROR(CheckRowSize(row));
    bytes += row.key.size() + row.value.size();
    largest = std::max(largest, row.key.size() + row.value.size());
    if (row.key.size() + row.value.size() <= engine_->max_row_bytes()) [[likely]]
      continue;
    return engine_->Fail(absl::ResourceExhaustedError(absl::StrCat(
        "a row with a key of ", row.key.size(), " bytes and a value of ", row.value.size(),
        " does not fit: ", FormatSize(engine_->account()->budget()->fair_share()),
        " of memory allow ", engine_->max_row_bytes())));
  }
  if (level_ == 0) {
    engine_->counters().rows.fetch_add(rows.size(), std::memory_order_relaxed);
    engine_->counters().bytes.fetch_add(bytes, std::memory_order_relaxed);
    engine_->SawRow(largest);
  }
  // A small budget has not even the room for the places of many rows.
  const size_t at_once = std::clamp<size_t>(
      engine_->account()->budget()->fair_share() / 128 / kScratchPerRow, 256, kMaxRowsAtOnce);
  do {
    const absl::Span<const KeyValue> some = rows.subspan(0, at_once);
    rows.remove_prefix(some.size());
    const absl::Status status = AddSome(some, scratch, rows.empty(), enter, leave);
    if (!status.ok()) return engine_->Fail(status);
  } while (!rows.empty());
  return absl::OkStatus();
}

absl::Status PartitionSet::AddSome(absl::Span<const KeyValue> rows, Scratch* scratch, bool last,
                                   const std::function<absl::Status(size_t part)>& enter,
                                   const std::function<void(size_t part)>& leave) {
  KVARTS_RETURN_IF_ERROR(
      engine_->Resize(&scratch->buffer_, rows.size() * kScratchPerRow, /*may_ask=*/true));
  uint64_t* const hashes = scratch->buffer_.as<uint64_t>();
  auto* const order = reinterpret_cast<uint32_t*>(hashes + rows.size());
  std::vector<uint32_t>& ends = scratch->ends_;
  const size_t mask = partitions_.size() - 1;
  ends.assign(partitions_.size(), 0);
  for (size_t i = 0; i < rows.size(); ++i) {
    hashes[i] = HashKey(rows[i].key);
    ++ends[hashes[i] >> shift_ & mask];
  }
  uint32_t begin = 0;
  for (uint32_t& end : ends) {
    const uint32_t n = end;
    end = begin;
    begin += n;
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    order[ends[hashes[i] >> shift_ & mask]++] = static_cast<uint32_t>(i);
  }
  const size_t in_part = partitions_.size() / kParts;
  uint32_t from = 0;
  for (size_t part = 0; part < kParts; ++part) {
    if (enter != nullptr) KVARTS_RETURN_IF_ERROR(enter(part));
    for (size_t i = part * in_part; i < (part + 1) * in_part; ++i) {
      if (ends[i] == from) continue;
      KVARTS_RETURN_IF_ERROR(
          partitions_[i]->Append(rows, hashes, absl::MakeSpan(order + from, ends[i] - from)));
      from = ends[i];
    }
    if (leave != nullptr && last) leave(part);
  }
  return absl::OkStatus();
}

bool PartitionSet::AwaitSpills() {
  std::vector<Partition*> all;
  for (const auto& partition : partitions_) {
    all.push_back(partition.get());
    partition->ListTails(&all);
  }
  bool any = false;
  for (Partition* const partition : all) any |= partition->AwaitSpill();
  return any;
}

void PartitionSet::AbandonFiles() {
  for (const auto& file : files_) file->Abandon();
}

absl::StatusOr<size_t> PartitionSet::SpillSome(bool all) {
  // Of those that have been written already, as long as it is worth it: what is in
  // memory alone may stay there.
  std::vector<Partition*> tried;
  std::vector<Partition*> tails;
  while (true) {
    Partition* best = nullptr;
    size_t best_pages = 0;
    const auto consider = [&](Partition* partition) {
      const size_t pages = partition->pages_now();
      if (pages == 0 || (pages == 1 && !all)) return;
      if (std::find(tried.begin(), tried.end(), partition) != tried.end()) return;
      const bool worth = partition->spilled() && pages > kPagesWorthAWrite;
      const size_t score = pages + (worth ? size_t{1} << 40 : 0);
      // Later ones are read later.
      if (score >= best_pages) {
        best = partition;
        best_pages = score;
      }
    };
    for (const auto& partition : partitions_) {
      consider(partition.get());
      tails.clear();
      partition->ListTails(&tails);
      for (Partition* const tail : tails) consider(tail);
    }
    if (best == nullptr) return size_t{0};
    KVARTS_ASSIGN_OR_RETURN(const size_t given, best->Spill(all));
    if (given > 0) {
      engine_->CountLevel(static_cast<uint64_t>(level_) + 1);
      return given;
    }
    tried.push_back(best);
  }
}

}  // namespace kvarts::groupby_internal
