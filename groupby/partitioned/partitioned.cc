#include "groupby/partitioned/partitioned.h"

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "groupby/checks.h"
#include "groupby/partitioned/engine.h"
#include "groupby/partitioned/partition_set.h"
#include "groupby/partitioned/partitioned_groups.h"

namespace kvarts::groupby_internal {
namespace {

// Thread-safe. Lets calls pass a point in the order of their numbers.
class Turnstile {
 public:
  absl::Status Enter(uint64_t number, const Engine& engine) {
    if (now_.load(std::memory_order_acquire) == number) return absl::OkStatus();
    MutexLock lock(&mu_);
    while (now_.load(std::memory_order_relaxed) != number) {
      if (!engine.ok()) return engine.status();
      changed_.Wait(&mu_);
    }
    return absl::OkStatus();
  }
  bool Passed(uint64_t number) const { return now_.load(std::memory_order_relaxed) > number; }
  void Leave() {
    MutexLock lock(&mu_);
    now_.fetch_add(1, std::memory_order_release);
    changed_.SignalAll();
  }
  void WakeAll() {
    MutexLock lock(&mu_);
    changed_.SignalAll();
  }

 private:
  Mutex mu_;
  CondVar changed_;
  std::atomic<uint64_t> now_{0};
};

class Partitioned final : public Grouping {
 public:
  explicit Partitioned(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {
    engine_->OnFailure([turns = turns_] {
      for (Turnstile& turn : *turns) turn.WakeAll();
    });
    set_ = std::make_unique<PartitionSet>(engine_.get(), 0);
  }

  absl::Status Add(absl::Span<const KeyValue> rows) override {
    return AddRows(rows, nullptr, nullptr);
  }

  absl::Status AddInOrder(uint64_t sequence, absl::Span<const KeyValue> rows) override {
    if ((*turns_)[0].Passed(sequence)) {
      return absl::InvalidArgumentError(
          absl::StrCat("rows number ", sequence, " were added before"));
    }
    const auto enter = [&](size_t part) { return (*turns_)[part].Enter(sequence, *engine_); };
    const auto leave = [&](size_t part) { (*turns_)[part].Leave(); };
    const absl::Status status = AddRows(rows, enter, leave);
    // Nothing of it was taken, and what follows may be.
    if (!absl::IsInvalidArgument(status) || !engine_->ok()) return status;
    KVARTS_RETURN_IF_ERROR(AddRows({}, enter, leave));
    return status;
  }

  absl::StatusOr<std::unique_ptr<Groups>> Finish() override {
    if (!engine_->ok()) return engine_->status();
    if (set_ == nullptr) return absl::FailedPreconditionError("Finish() was called before");
    {
      MutexLock lock(&mu_);
      free_.clear();
    }
    return NewPartitionedGroups(engine_, std::move(set_));
  }

  void Cancel() override {
    engine_->Fail(absl::CancelledError("the group-by was cancelled")).IgnoreError();
  }

  GroupingStats stats() const override { return engine_->stats(); }

 private:
  using Scratch = PartitionSet::Scratch;
  using Turnstiles = std::array<Turnstile, PartitionSet::kParts>;

  absl::Status AddRows(absl::Span<const KeyValue> rows,
                       const std::function<absl::Status(size_t part)>& enter,
                       const std::function<void(size_t part)>& leave) {
    if (!engine_->ok()) return engine_->status();
    if (set_ == nullptr) return absl::FailedPreconditionError("Add() after Finish()");
    std::unique_ptr<Scratch> scratch;
    {
      MutexLock lock(&mu_);
      if (!free_.empty()) {
        scratch = std::move(free_.back());
        free_.pop_back();
      }
    }
    if (scratch == nullptr) scratch = std::make_unique<Scratch>(engine_.get());
    const absl::Status status = set_->Add(rows, scratch.get(), enter, leave);
    if (engine_->options().progress != nullptr) {
      engine_->options().progress("partition", engine_->bytes_added(), engine_->bytes_added());
    }
    MutexLock lock(&mu_);
    free_.push_back(std::move(scratch));
    return status;
  }

  // Outlives this with the engine, whose failure wakes all who wait.
  const std::shared_ptr<Turnstiles> turns_ = std::make_shared<Turnstiles>();
  const std::shared_ptr<Engine> engine_;
  std::unique_ptr<PartitionSet> set_;

  Mutex mu_;
  std::vector<std::unique_ptr<Scratch>> free_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

absl::StatusOr<std::unique_ptr<Grouping>> NewPartitioned(const GroupingOptions& options) {
  KVARTS_RETURN_IF_ERROR(CheckOptions(options));
  KVARTS_ASSIGN_OR_RETURN(std::unique_ptr<Engine> engine, Engine::New(options));
  return std::make_unique<Partitioned>(std::move(engine));
}

}  // namespace kvarts::groupby_internal
