#include "groupby/sorted/sorted_runs.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/checksum.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "groupby/checks.h"
#include "groupby/sorted/sort_counters.h"
#include "groupby/sorted/sort_work.h"
#include "groupby/sorted/sorted_groups.h"

namespace kvarts::groupby_internal {
namespace {

uint64_t RandomSeed() {
  std::random_device random;
  return uint64_t{random()} << 32 | random();
}

// Thread-safe. The feeding of a work, and, when that is done, what its groups share with
// the grouping.
class Feeding {
 public:
  Feeding() = default;
  ~Feeding() {
    std::unique_ptr<SortWork> work;
    {
      MutexLock lock(&mu_);
      work = std::move(work_);
    }
    // Destroyed without the lock: the account waits for a Shrink() that waits for it.
  }

  absl::Status Init(const GroupingOptions& options) {
    auto work = SortWork::New(
        options, [this](size_t bytes) { return Shrink(bytes); }, &counters_);
    if (!work.ok()) return work.status();
    MutexLock lock(&mu_);
    work_ = *std::move(work);
    return absl::OkStatus();
  }

  absl::Status Add(absl::Span<const KeyValue> rows) {
    for (const KeyValue& row : rows) KVARTS_RETURN_IF_ERROR(CheckRowSize(row));
    do {
      const auto batch = rows.first(std::min(rows.size(), kBatch));
      rows.remove_prefix(batch.size());
      uint64_t hashes[kBatch];
      for (size_t i = 0; i < batch.size(); ++i) hashes[i] = Checksum(batch[i].key, seed_);
      MutexLock lock(&mu_);
      KVARTS_RETURN_IF_ERROR(Check());
      for (size_t i = 0; i < batch.size(); ++i) work_->PrefetchSlot(hashes[i]);
      for (size_t i = 0; i < batch.size(); ++i) work_->PrefetchKey(hashes[i]);
      for (size_t i = 0; i < batch.size(); ++i) {
        KVARTS_RETURN_IF_ERROR(AddRow(batch[i], hashes[i]));
      }
    } while (!rows.empty());
    return absl::OkStatus();
  }

  absl::Status AddInOrder(uint64_t sequence, absl::Span<const KeyValue> rows) {
    KVARTS_RETURN_IF_ERROR(AwaitTurn(sequence));
    const absl::Status status = Add(rows);
    MutexLock lock(&turn_mu_);
    ++turn_;
    turned_.SignalAll();
    return status;
  }

  absl::StatusOr<std::unique_ptr<SortWork>> Finish() {
    std::unique_ptr<SortWork> work;
    {
      MutexLock lock(&mu_);
      KVARTS_RETURN_IF_ERROR(Check());
      work = std::move(work_);
      End(absl::FailedPreconditionError("the grouping was finished"));
    }
    const absl::Status status = work->Finish();
    if (status.ok()) return work;
    MutexLock lock(&mu_);
    status_ = status;
    return status;
  }

  void Cancel() {
    counters_.cancelled = true;
    MutexLock lock(&mu_);
    Check().IgnoreError();
  }

  GroupingStats stats() const { return counters_.Stats(); }

 private:
  static constexpr size_t kBatch = 32;

  // The state that ends the feeding, if anything has.
  absl::Status Check() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (status_.ok() && counters_.is_cancelled()) {
      return Fail(absl::CancelledError("the grouping was cancelled"));
    }
    return status_;
  }
  // The work stays, without memory and files: this may be within its account's Shrink().
  absl::Status Fail(absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    work_->Abandon();
    End(std::move(status));
    return status_;
  }
  void End(absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    status_ = std::move(status);
    MutexLock lock(&turn_mu_);
    ended_ = status_;
    turned_.SignalAll();
  }

  absl::Status AwaitTurn(uint64_t sequence) {
    MutexLock lock(&turn_mu_);
    while (turn_ < sequence && ended_.ok()) turned_.Wait(&turn_mu_);
    if (!ended_.ok()) return ended_;
    if (turn_ == sequence) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("rows number ", sequence, " were added before, expected number ", turn_));
  }

  absl::Status AddRow(const KeyValue& row, uint64_t hash) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    for (;;) {
      switch (work_->Add(row, hash)) {
        case SortWork::Added::kYes:
          return absl::OkStatus();
        case SortWork::Added::kNoMemory:
          KVARTS_RETURN_IF_ERROR(MakeRoom(row));
          break;
        case SortWork::Added::kNoSlots: {
          KVARTS_ASSIGN_OR_RETURN(const bool got, AskOthers(work_->MissingForSlots()));
          if (!got) work_->Stretch();
          break;
        }
        case SortWork::Added::kFull:
          KVARTS_RETURN_IF_ERROR(Dump());
      }
    }
  }

  absl::Status MakeRoom(const KeyValue& row) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const size_t missing = work_->Missing(row);
    if (missing == SIZE_MAX) return Fail(TooLarge(row));
    KVARTS_ASSIGN_OR_RETURN(const bool got, AskOthers(missing));
    if (got) return absl::OkStatus();
    if (work_->has_rows()) return Dump();
    absl::Status status = work_->DropSlots();
    if (!status.ok()) return Fail(std::move(status));
    // Others are asked for more than its share only where there is no other way.
    const size_t still_missing = work_->Missing(row);
    if (still_missing == 0) return absl::OkStatus();
    status = Reserve(still_missing);
    KVARTS_RETURN_IF_ERROR(Check());
    return status.ok() ? status : Fail(TooLarge(row));
  }

  // A share that others have is theirs to give; what is beyond it, this one's. False
  // where it did not get it.
  absl::StatusOr<bool> AskOthers(size_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    MemoryBudget::Account* const account = work_->account();
    if (bytes == 0 || account->used() + bytes > account->budget()->fair_share()) return false;
    const absl::Status status = Reserve(bytes);
    KVARTS_RETURN_IF_ERROR(Check());
    return status.ok();
  }

  absl::Status Dump() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    absl::Status status = work_->Dump();
    return status.ok() ? status : Fail(std::move(status));
  }

  absl::Status TooLarge(const KeyValue& row) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const MemoryBudget& budget = *work_->account()->budget();
    return absl::ResourceExhaustedError(
        absl::StrCat("a row with a key of ", row.key.size(), " bytes and a value of ",
                     row.value.size(), " does not fit in the memory of ", budget.total(),
                     " bytes, of which ", budget.used(), " are in use"));
  }

  // Lets go of the lock meanwhile: others are asked, and so may this one be.
  absl::Status Reserve(size_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    MemoryBudget::Account* const account = work_->account();
    mu_.Unlock();
    absl::Status status = account->Reserve(bytes);
    mu_.Lock();
    if (!status.ok()) return status;
    if (status_.ok()) {
      work_->Took(bytes);
    } else {
      account->Release(bytes);
    }
    return absl::OkStatus();
  }

  // Another user of the budget needs memory.
  size_t Shrink(size_t bytes) {
    MutexLock lock(&mu_);
    if (work_ == nullptr || !status_.ok()) return 0;
    if (work_->GiveSpare(bytes)) return bytes;
    if (!work_->can_give()) return 0;
    if (work_->has_rows()) {
      const size_t held = work_->account()->used();
      if (!Dump().ok()) return held;
    }
    return work_->GiveBack(bytes);
  }

  const uint64_t seed_ = RandomSeed();
  SortCounters counters_;

  Mutex mu_ ABSL_ACQUIRED_BEFORE(turn_mu_);
  std::unique_ptr<SortWork> work_ ABSL_GUARDED_BY(mu_);  // null once it was finished
  absl::Status status_ ABSL_GUARDED_BY(mu_);             // of all later calls

  Mutex turn_mu_;
  CondVar turned_;
  uint64_t turn_ ABSL_GUARDED_BY(turn_mu_) = 0;
  absl::Status ended_ ABSL_GUARDED_BY(turn_mu_);  // status_
};

class SortedRuns final : public Grouping {
 public:
  explicit SortedRuns(std::shared_ptr<Feeding> feeding) : feeding_(std::move(feeding)) {}

  absl::Status Add(absl::Span<const KeyValue> rows) override { return feeding_->Add(rows); }
  absl::Status AddInOrder(uint64_t sequence, absl::Span<const KeyValue> rows) override {
    return feeding_->AddInOrder(sequence, rows);
  }
  absl::StatusOr<std::unique_ptr<Groups>> Finish() override {
    KVARTS_ASSIGN_OR_RETURN(auto work, feeding_->Finish());
    return NewSortedGroups(std::move(work), feeding_);
  }
  void Cancel() override { feeding_->Cancel(); }
  GroupingStats stats() const override { return feeding_->stats(); }

 private:
  const std::shared_ptr<Feeding> feeding_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Grouping>> NewSortedRuns(const GroupingOptions& options) {
  KVARTS_RETURN_IF_ERROR(CheckOptions(options));
  auto feeding = std::make_shared<Feeding>();
  KVARTS_RETURN_IF_ERROR(feeding->Init(options));
  return std::make_unique<SortedRuns>(std::move(feeding));
}

}  // namespace kvarts::groupby_internal
