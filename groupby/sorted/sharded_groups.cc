#include "groupby/sorted/sharded_groups.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/memory_budget.h"
#include "base/status_macros.h"
#include "groupby/sorted/drain.h"
#include "groupby/sorted/parallel_drain.h"
#include "groupby/sorted/shard_merge.h"
#include "groupby/spill/mapped_region.h"

namespace kvarts::groupby_internal {
namespace {

class ShardedGroups final : public Groups {
 public:
  ShardedGroups(std::vector<std::unique_ptr<ShardGroups>> shards,
                std::shared_ptr<SortShared> shared, size_t max_key, SortCounters* counters,
                std::function<void()> stop)
      : stop_(std::move(stop)),
        shared_(std::move(shared)),
        shards_(std::move(shards)),
        merge_(shards_.size()),
        max_key_(max_key),
        counters_(counters) {
    shared_->Enter();
  }
  ~ShardedGroups() override { End(); }

  absl::Status Init() {
    const size_t bytes = shared_->value_room();
    KVARTS_RETURN_IF_ERROR(value_room_.Map(bytes));
    for (const auto& shard : shards_) shard->SetValueRoom({value_room_.data(), bytes});
    return absl::OkStatus();
  }

  absl::StatusOr<bool> Next(absl::string_view* key) override {
    if (shards_.empty()) return Ended(false);
    const absl::Status status = has_begun_ ? Advance() : Begin();
    if (!status.ok()) [[unlikely]] {
      return Fail(status);
    }
    if (merge_.at_end()) {
      End();
      return false;
    }
    counters_->groups.Add(1);
    *key = merge_.key();
    return true;
  }

  absl::StatusOr<absl::Span<const absl::string_view>> Values() override {
    if (shards_.empty()) return Ended(absl::Span<const absl::string_view>());
    // Before the first group, the first shard knows whether it was cancelled.
    auto values = shards_[has_begun_ ? merge_.shard() : 0]->Values();
    if (!values.ok()) [[unlikely]] {
      return Fail(values.status());
    }
    return values;
  }

  absl::Status Drain(const Render& render, const Write& write) override {
    if (shards_.empty()) return error_;
    // What Next() has read of the shards is in no queue.
    const bool by_next = has_begun_ || max_key_ > MaxKeyToDrain(shared_->memory().piece);
    // Its memory is in use until the last text.
    const std::shared_ptr<SortShared> shared = shared_;
    shared->Enter();
    absl::Status status = by_next ? DrainOnOneThread(render, write) : DrainOnAll(render, write);
    if (error_.ok()) {
      if (status.ok()) {
        End();
      } else {
        Fail(status).IgnoreError();
      }
    }
    shared->Leave();
    return error_;
  }

 private:
  absl::Status Begin() {
    has_begun_ = true;
    for (size_t i = 0; i < shards_.size(); ++i) {
      absl::string_view key;
      KVARTS_ASSIGN_OR_RETURN(const bool more, shards_[i]->Next(&key));
      merge_.SetFirst(i, more, key);
    }
    merge_.Start(&counters_->comparisons);
    return absl::OkStatus();
  }
  absl::Status DrainOnOneThread(const Render& render, const Write& write) {
    return DrainByNext(this, render, write, shared_->memory().piece);
  }
  // Each needs a value room of its own.
  absl::Status DrainOnAll(const Render& render, const Write& write) {
    const size_t room = shared_->value_room();
    const size_t more = room * (shards_.size() - 1);
    MemoryBudget::Account* const account = shared_->account();
    if (!account->TryReserve(more)) return DrainOnOneThread(render, write);
    counters_->peak_memory.Raise(account->peak());
    MappedRegion rooms;
    absl::Status status = rooms.Map(more);
    if (status.ok()) {
      std::vector<Groups*> shards = {shards_[0].get()};
      for (size_t i = 1; i < shards_.size(); ++i) {
        shards_[i]->SetValueRoom({rooms.data() + room * (i - 1), room});
        shards.push_back(shards_[i].get());
      }
      status = DrainInParallel(shards, render, write, shared_->memory().piece, counters_, stop_);
    }
    account->Release(more);
    return status;
  }

  absl::Status Advance() {
    absl::string_view key;
    KVARTS_ASSIGN_OR_RETURN(const bool more, shards_[merge_.shard()]->Next(&key));
    merge_.Replace(more, key);
    return absl::OkStatus();
  }

  template <typename T>
  absl::StatusOr<T> Ended(T nothing) const {
    if (!error_.ok()) return error_;
    return nothing;
  }
  void End() {
    if (shards_.empty()) return;
    shards_.clear();
    value_room_.Free();
    shared_->Leave();
    shared_.reset();
  }
  absl::Status Fail(absl::Status status) {
    error_ = std::move(status);
    End();
    return error_;
  }

  const std::function<void()> stop_;  // keeps the counters
  std::shared_ptr<SortShared> shared_;
  std::vector<std::unique_ptr<ShardGroups>> shards_;  // none at the end
  MappedRegion value_room_;
  ShardMerge merge_;
  const size_t max_key_;
  SortCounters* const counters_;
  bool has_begun_ = false;
  absl::Status error_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Groups>> NewShardedGroups(
    std::vector<std::unique_ptr<ShardGroups>> shards, std::shared_ptr<SortShared> shared,
    size_t max_key, SortCounters* counters, std::function<void()> stop) {
  auto groups = std::make_unique<ShardedGroups>(std::move(shards), std::move(shared), max_key,
                                                counters, std::move(stop));
  KVARTS_RETURN_IF_ERROR(groups->Init());
  return groups;
}

}  // namespace kvarts::groupby_internal
