#include "groupby/sorted/sorted_runs.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "absl/container/fixed_array.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/checksum.h"
#include "base/status_macros.h"
#include "groupby/checks.h"
#include "groupby/sorted/run_threads.h"
#include "groupby/sorted/shard_turns.h"
#include "groupby/sorted/sharded_groups.h"
#include "groupby/sorted/sort_counters.h"
#include "groupby/sorted/sort_shard.h"
#include "groupby/sorted/sorted_groups.h"

namespace kvarts::groupby_internal {
namespace {

uint64_t RandomSeed() {
  std::random_device random;
  return uint64_t{random()} << 32 | random();
}

size_t ShardsFor(const GroupingOptions& options, size_t min_shard_bytes) {
  // These are caps of one map and one merge.
  if (options.max_hash_entries != 0 || options.max_open_runs != 0) return 1;
  const size_t memory =
      options.budget != nullptr ? options.budget->fair_share() : options.memory_bytes;
  const size_t most =
      std::min<size_t>(static_cast<size_t>(options.threads), ShardTurns::kMaxShards);
  return std::clamp<size_t>(memory / min_shard_bytes, 1, most);
}

// Thread-safe. The shards while they are fed, and, when that is done, what their groups share
// with the grouping.
class Feeding : public std::enable_shared_from_this<Feeding> {
 public:
  explicit Feeding(size_t shards) : turns_(shards) {
    for (size_t i = 0; i < shards; ++i) shards_.emplace_back(i, &turns_);
  }
  ~Feeding() {
    // Destroyed without their locks: the account waits for a Shrink() that waits for these.
    std::vector<std::unique_ptr<SortWork>> works;
    absl::Status status;
    for (SortShard& shard : shards_) works.push_back(shard.Take(&status));
  }

  absl::Status Init(const GroupingOptions& options) {
    const auto shared = std::make_shared<SortShared>(
        options, shards_.size(), [this](size_t bytes) { return Shrink(bytes); });
    KVARTS_RETURN_IF_ERROR(shared->Init());
    batch_rows_ = shared->memory().batch_rows;
    for (SortShard& shard : shards_) KVARTS_RETURN_IF_ERROR(shard.Init(options, shared));
    return absl::OkStatus();
  }

  absl::Status Add(absl::Span<const KeyValue> rows, uint64_t sequence) {
    absl::Status refused;
    for (const KeyValue& row : rows) refused.Update(CheckRowSize(row));
    if (!refused.ok()) {
      if (sequence == ShardTurns::kNoSequence) return refused;
      rows = {};  // the sequence passes all the same
    }
    do {
      const auto batch = rows.first(std::min(rows.size(), batch_rows_));
      rows.remove_prefix(batch.size());
      const absl::Status status = AddBatch(batch, sequence, rows.empty());
      if (!status.ok()) return status;
    } while (!rows.empty());
    return refused;
  }

  absl::StatusOr<std::unique_ptr<Groups>> Finish() {
    if (!turns_.End(absl::FailedPreconditionError("the grouping was finished"))) {
      return turns_.end();
    }
    auto groups = OpenGroups();
    if (!groups.ok()) turns_.ChangeEnd(groups.status());
    return groups;
  }

  void Cancel() {
    CancelAll();
    if (turns_.End(absl::CancelledError("the grouping was cancelled"))) AbandonAll();
  }

  GroupingStats stats() const {
    GroupingStats stats;
    for (const SortShard& shard : shards_) shard.counters().AddTo(&stats);
    merged_.AddTo(&stats);
    return stats;
  }

 private:
  // The part of a call that memory allows. `is_last`: the sequence passes.
  absl::Status AddBatch(absl::Span<const KeyValue> rows, uint64_t sequence, bool is_last) {
    // On the stack where they are few.
    absl::FixedArray<uint64_t, 32> hashes(rows.size());
    absl::FixedArray<uint32_t, 32> order(rows.size());
    size_t ends[ShardTurns::kMaxShards + 1] = {};
    Scatter(rows, hashes.data(), order.data(), ends);
    // A sequence passes all of them, at its end.
    const bool passes = is_last && sequence != ShardTurns::kNoSequence;
    uint64_t left = 0;
    for (size_t i = 0; i < shards_.size(); ++i) {
      if (passes || ends[i] < ends[i + 1]) left |= uint64_t{1} << i;
    }
    if (left == 0) return turns_.end();
    while (left != 0) {
      KVARTS_ASSIGN_OR_RETURN(const ShardTurns::Turn turn, turns_.Enter(left, sequence));
      const size_t i = turn.shard;
      size_t bytes = 0;
      absl::Status status;
      if (turn.to_help) {
        status = shards_[i].Write(&bytes);
      } else {
        const auto which = absl::MakeConstSpan(order).subspan(ends[i], ends[i + 1] - ends[i]);
        status = shards_[i].Add(rows, hashes.data(), which, &bytes);
        left &= ~(uint64_t{1} << i);
      }
      turns_.Leave(i, bytes, passes && !turn.to_help);
      if (!status.ok()) {
        AbandonAll();
        return turns_.end();
      }
    }
    return absl::OkStatus();
  }

  // Hashes, and the rows' numbers in the order of their shards: those of shard i are from
  // ends[i] to ends[i + 1].
  void Scatter(absl::Span<const KeyValue> rows, uint64_t* hashes, uint32_t* order,
               size_t* ends) const {
    const size_t n = shards_.size();
    size_t counts[ShardTurns::kMaxShards] = {};
    for (size_t i = 0; i < rows.size(); ++i) {
      hashes[i] = Checksum(rows[i].key, seed_);
      ++counts[ShardOf(hashes[i])];
    }
    for (size_t i = 0; i < n; ++i) ends[i + 1] = ends[i] + counts[i];
    size_t next[ShardTurns::kMaxShards];
    std::copy_n(ends, n, next);
    for (size_t i = 0; i < rows.size(); ++i) {
      order[next[ShardOf(hashes[i])]++] = static_cast<uint32_t>(i);
    }
  }
  // By the lower half: the upper one is for the slots of the tables.
  size_t ShardOf(uint64_t hash) const {
    return static_cast<size_t>((hash & UINT32_MAX) * shards_.size() >> 32);
  }

  absl::StatusOr<std::unique_ptr<Groups>> OpenGroups() {
    std::vector<std::unique_ptr<SortWork>> works;
    absl::Status status;
    for (SortShard& shard : shards_) works.push_back(shard.Take(&status));
    KVARTS_RETURN_IF_ERROR(status);
    const auto self = shared_from_this();
    const auto cancel = [self] { self->CancelAll(); };
    const size_t n = works.size();
    KVARTS_RETURN_IF_ERROR(RunThreads(
        n, [&](size_t i) { return works[i]->EndRows(); }, cancel));
    KVARTS_RETURN_IF_ERROR(RunThreads(
        n, [&](size_t i) { return works[i]->MergeDown(); }, cancel));
    const std::shared_ptr<SortShared> shared = works[0]->shared();
    size_t max_key = 0;
    std::vector<std::unique_ptr<ShardGroups>> groups;
    for (auto& work : works) {
      max_key = std::max(max_key, work->max_key());
      KVARTS_ASSIGN_OR_RETURN(
          auto its, NewSortedGroups(std::move(work), self, n == 1 ? &merged_.groups : nullptr));
      groups.push_back(std::move(its));
    }
    if (n == 1) return std::unique_ptr<Groups>(std::move(groups[0]));
    return NewShardedGroups(std::move(groups), shared, max_key, &merged_, cancel);
  }

  void CancelAll() {
    for (SortShard& shard : shards_) shard.Cancel();
  }

  // The first error, or Cancel(), has ended the feeding.
  void AbandonAll() {
    const absl::Status status = turns_.end();
    CancelAll();
    for (SortShard& shard : shards_) shard.Abandon(status);
  }

  // A user of the budget needs memory; it may be a shard. First what costs nothing, then the
  // rows of whoever has most.
  size_t Shrink(size_t bytes) {
    std::vector<SortShard*> shards;
    for (SortShard& shard : shards_) shards.push_back(&shard);
    std::sort(shards.begin(), shards.end(),
              [](const SortShard* a, const SortShard* b) { return a->held() > b->held(); });
    size_t given = 0;
    for (const bool may_write : {false, true}) {
      for (SortShard* const shard : shards) {
        if (given >= bytes) return given;
        const absl::StatusOr<size_t> some = shard->Shrink(bytes - given, may_write);
        if (!some.ok()) {
          AbandonAll();
          return bytes;
        }
        given += *some;
      }
    }
    return given;
  }

  const uint64_t seed_ = RandomSeed();
  size_t batch_rows_ = 0;
  ShardTurns turns_;
  std::deque<SortShard> shards_;
  SortCounters merged_;  // what is not of one shard
};

class SortedRuns final : public Grouping {
 public:
  explicit SortedRuns(std::shared_ptr<Feeding> feeding) : feeding_(std::move(feeding)) {}

  absl::Status Add(absl::Span<const KeyValue> rows) override {
    return feeding_->Add(rows, ShardTurns::kNoSequence);
  }
  absl::Status AddInOrder(uint64_t sequence, absl::Span<const KeyValue> rows) override {
    return feeding_->Add(rows, sequence);
  }
  absl::StatusOr<std::unique_ptr<Groups>> Finish() override { return feeding_->Finish(); }
  void Cancel() override { feeding_->Cancel(); }
  GroupingStats stats() const override { return feeding_->stats(); }

 private:
  const std::shared_ptr<Feeding> feeding_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Grouping>> NewSortedRuns(const GroupingOptions& options,
                                                        size_t min_shard_bytes) {
  KVARTS_RETURN_IF_ERROR(CheckOptions(options));
  auto feeding = std::make_shared<Feeding>(ShardsFor(options, min_shard_bytes));
  KVARTS_RETURN_IF_ERROR(feeding->Init(options));
  return std::make_unique<SortedRuns>(std::move(feeding));
}

absl::StatusOr<std::unique_ptr<Grouping>> NewSortedRuns(const GroupingOptions& options) {
  return NewSortedRuns(options, 16 << 20);
}

}  // namespace kvarts::groupby_internal
