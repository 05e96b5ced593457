#include "groupby/sorted/sort_shard.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/memory_budget.h"
#include "base/status_macros.h"

namespace kvarts::groupby_internal {
namespace {

// As many cache misses overlap.
constexpr size_t kAtOnce = 32;

}  // namespace

absl::Status SortShard::Init(const GroupingOptions& options, std::shared_ptr<SortShared> shared) {
  auto work = SortWork::New(options, std::move(shared), shard_, &counters_);
  if (!work.ok()) return work.status();
  MutexLock lock(&mu_);
  work_ = *std::move(work);
  return absl::OkStatus();
}

absl::Status SortShard::Add(absl::Span<const KeyValue> rows, const uint64_t* hashes,
                            absl::Span<const uint32_t> which, size_t* bytes) {
  MutexLock lock(&mu_);
  KVARTS_RETURN_IF_ERROR(Check());
  while (!which.empty()) {
    const auto some = which.first(std::min(which.size(), kAtOnce));
    which.remove_prefix(some.size());
    for (const uint32_t i : some) work_->PrefetchSlot(hashes[i]);
    for (const uint32_t i : some) work_->PrefetchKey(hashes[i]);
    for (const uint32_t i : some) KVARTS_RETURN_IF_ERROR(AddRow(rows[i], hashes[i]));
  }
  *bytes = work_->row_bytes();
  return absl::OkStatus();
}

absl::Status SortShard::Write(size_t* bytes) {
  MutexLock lock(&mu_);
  KVARTS_RETURN_IF_ERROR(Check());
  if (work_->has_rows()) KVARTS_RETURN_IF_ERROR(WriteRows());
  *bytes = 0;
  return absl::OkStatus();
}

absl::Status SortShard::Check() {
  if (status_.ok() && counters_.is_cancelled()) {
    return Fail(absl::CancelledError("the grouping was cancelled"));
  }
  return status_;
}

// The work stays, without memory and files: this may be within its account's shrink.
absl::Status SortShard::Fail(absl::Status status) {
  work_->Abandon();
  status_ = std::move(status);
  turns_->End(status_);
  return status_;
}

void SortShard::Abandon(const absl::Status& status) {
  MutexLock lock(&mu_);
  if (status_.ok() && work_ != nullptr) Fail(status).IgnoreError();
}

std::unique_ptr<SortWork> SortShard::Take(absl::Status* status) {
  MutexLock lock(&mu_);
  status->Update(status_);
  return std::move(work_);
}

absl::Status SortShard::AddRow(const KeyValue& row, uint64_t hash) {
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
        KVARTS_RETURN_IF_ERROR(WriteRows());
    }
  }
}

absl::Status SortShard::MakeRoom(const KeyValue& row) {
  const size_t missing = work_->Missing(row);
  if (missing == SIZE_MAX) return Fail(TooLarge(row));
  KVARTS_ASSIGN_OR_RETURN(const bool got, AskOthers(missing));
  if (got) return absl::OkStatus();
  if (work_->has_rows()) return WriteRows();
  absl::Status status = work_->DropSlots();
  if (!status.ok()) return Fail(std::move(status));
  // Others are asked for more than its share only where there is no other way.
  const size_t still_missing = work_->Missing(row);
  if (still_missing == 0) return absl::OkStatus();
  status = Reserve(still_missing);
  KVARTS_RETURN_IF_ERROR(Check());
  return status.ok() ? status : Fail(TooLarge(row));
}

// A share that others have is theirs to give; what is beyond it, this one's. Among shards,
// that fill evenly, who is nearly there rather begins to write: the others follow, each by a
// thread of its own. False where it did not get it.
absl::StatusOr<bool> SortShard::AskOthers(size_t bytes) {
  const SortShared& shared = *work_->shared();
  const size_t share = shared.shards() == 1 ? shared.share() : shared.share() / 4 * 3;
  if (bytes == 0 || work_->held() + bytes > share) return false;
  const absl::Status status = Reserve(bytes);
  KVARTS_RETURN_IF_ERROR(Check());
  return status.ok();
}

absl::Status SortShard::WriteRows() {
  turns_->BeginWrite(work_->row_bytes());
  absl::Status status = work_->Dump();
  turns_->EndWrite();
  return status.ok() ? status : Fail(std::move(status));
}

absl::Status SortShard::TooLarge(const KeyValue& row) const {
  const MemoryBudget& budget = *work_->shared()->account()->budget();
  return absl::ResourceExhaustedError(
      absl::StrCat("a row with a key of ", row.key.size(), " bytes and a value of ",
                   row.value.size(), " does not fit in the memory of ", budget.total(),
                   " bytes, of which ", budget.used(), " are in use"));
}

// Lets go of the lock meanwhile: others are asked, the other shards too, and so may this one
// be by them.
absl::Status SortShard::Reserve(size_t bytes) {
  MemoryBudget::Account* const account = work_->shared()->account();
  asking_ = std::this_thread::get_id();
  mu_.Unlock();
  absl::Status status = account->Reserve(bytes);
  mu_.Lock();
  asking_ = std::thread::id();
  if (!status.ok()) return status;
  if (status_.ok()) {
    work_->Took(bytes);
  } else {
    account->Release(bytes);
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> SortShard::Shrink(size_t bytes, bool may_write) {
  MutexLock lock(&mu_);
  if (work_ == nullptr || !status_.ok()) return 0;
  // What it gave to itself would be missing all the same.
  if (asking_ == std::this_thread::get_id()) return 0;
  if (work_->GiveSpare(bytes)) return bytes;
  if (!may_write || !work_->can_give()) return 0;
  if (work_->has_rows()) {
    absl::Status status = work_->Dump();
    if (!status.ok()) return Fail(std::move(status));
  }
  return work_->GiveBack(bytes);
}

}  // namespace kvarts::groupby_internal
