#include "testing/model/slot_store.h"

#include <optional>

#include "absl/strings/string_view.h"
#include "base/slot.h"

namespace kvarts {
namespace {

// Far above what the store under this one counts to.
constexpr int kEpochShift = 40;

}  // namespace

void SlotStore::GiveUp(const MovedSlot& moved) {
  MutexLock lock(&mu_);
  elsewhere_[moved.slot] = MovedError(moved);
}

void SlotStore::TakeDown(uint16_t slot) {
  MutexLock lock(&mu_);
  elsewhere_[slot] = SlotDownError();
}

void SlotStore::TakeBack(uint16_t slot) {
  MutexLock lock(&mu_);
  elsewhere_.erase(slot);
  ++epochs_[slot];
}

Capabilities SlotStore::capabilities() const {
  Capabilities has = under().capabilities();
  has.batch_scope = BatchScope::kShard;
  has.atomic_multi_get = false;
  return has;
}

absl::Status SlotStore::StatusOf(absl::string_view key) const {
  if (elsewhere_.empty()) return absl::OkStatus();
  const auto found = elsewhere_.find(KeySlot(key));
  return found == elsewhere_.end() ? absl::OkStatus() : found->second;
}

uint64_t SlotStore::EpochOf(absl::string_view key) const {
  const auto found = epochs_.find(KeySlot(key));
  return found == epochs_.end() ? 0 : found->second << kEpochShift;
}

void SlotStore::MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                         ReadResults* results) {
  under().MultiGet(keys, options, results);
  MutexLock lock(&mu_);
  for (size_t i = 0; i < keys.size(); ++i) {
    absl::Status status = StatusOf(keys[i]);
    ReadResult& result = results->mutable_result(i);
    if (!status.ok()) {
      result = ReadResult();
      result.status = std::move(status);
    } else if (options.stamp) {
      result.stamp.low += EpochOf(keys[i]);
    }
  }
}

SlotStore::Plan SlotStore::PlanOf(const WriteBatch& batch, const WriteOptions& options) const {
  Plan plan;
  std::optional<uint16_t> slot;
  bool several = false;
  MutexLock lock(&mu_);
  const auto visit = [&](absl::string_view key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (!slot.has_value()) slot = KeySlot(key);
    several = several || KeySlot(key) != *slot;
    plan.errors.push_back(StatusOf(key));
    plan.first_error.Update(plan.errors.back());
  };
  for (const Mutation& mutation : batch.mutations()) {
    if (mutation.kind == Mutation::Kind::kDeleteRange) {
      plan.errors.push_back(absl::OkStatus());  // of what is here
      several = several || options.atomic;
    } else {
      visit(mutation.key);
    }
    if (plan.errors.back().ok()) plan.batch.Add(mutation);
  }
  const size_t mutations = plan.errors.size();
  for (Precondition precondition : batch.preconditions()) {
    visit(precondition.key);
    precondition.stamp.low -= EpochOf(precondition.key);
    plan.batch.Add(precondition);
  }
  plan.errors.resize(mutations);
  if (options.atomic && several) {
    plan.first_error = absl::InvalidArgumentError("an atomic batch here is of one slot");
  }
  plan.refused = options.atomic && !plan.first_error.ok();
  return plan;
}

absl::Status SlotStore::Plan::Merge(const absl::Status& status, WriteResults* results) {
  if (results != nullptr) {
    results->failed_precondition = done.failed_precondition;
    results->results.clear();
    auto next = done.results.begin();
    for (const absl::Status& error : errors) {
      results->results.push_back(error.ok() ? *next++ : WriteResult{error});
    }
  }
  return status.ok() ? first_error : status;
}

absl::Status SlotStore::Write(const WriteBatch& batch, const WriteOptions& options,
                              WriteResults* results) {
  Plan plan = PlanOf(batch, options);
  if (plan.refused) return FailWrite(batch, plan.first_error, results);
  const bool calls = !plan.batch.empty();
  return plan.Merge(calls ? under().Write(plan.batch, options, &plan.done) : absl::OkStatus(),
                    results);
}

void SlotStore::Submit(const WriteBatch& batch, const WriteOptions& options, WriteResults* results,
                       WriteDone done) {
  const auto plan = std::make_shared<Plan>(PlanOf(batch, options));
  if (plan->refused) return done(FailWrite(batch, plan->first_error, results));
  if (plan->batch.empty()) return done(plan->Merge(absl::OkStatus(), results));
  under().Submit(plan->batch, options, &plan->done,
                 [plan, results, done = std::move(done)](const absl::Status& status) mutable {
                   done(plan->Merge(status, results));
                 });
}

absl::Status SlotStore::Modify(absl::string_view key, const WriteOptions& options,
                               Modifier function) {
  {
    MutexLock lock(&mu_);
    if (absl::Status status = StatusOf(key); !status.ok()) return status;
  }
  return under().Modify(key, options, function);
}

absl::StatusOr<std::unique_ptr<Cursor>> SlotStore::NewCursor(const ScanOptions& options) {
  {
    MutexLock lock(&mu_);
    for (const auto& [slot, status] : elsewhere_) {
      for (const SlotRange& range : options.slots) {
        if (range.first <= slot && slot <= range.last) return status;
      }
    }
  }
  return under().NewCursor(options);
}

}  // namespace kvarts
