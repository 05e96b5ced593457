#include "groupby/sorted/sorted_groups.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "groupby/sorted/drain.h"

namespace kvarts::groupby_internal {
namespace {

using Views = absl::Span<const absl::string_view>;

constexpr size_t kViews = 256;
constexpr uint64_t kProgressSteps = 1 << 14;

// What both have in common: the end, errors, cancelling.
class SortedGroups : public ShardGroups {
 public:
  SortedGroups(std::unique_ptr<SortWork> work, std::shared_ptr<const void> owner,
               SortCounter* counter)
      : owner_(std::move(owner)),
        work_(std::move(work)),
        counters_(work_->counters()),
        counter_(counter) {}

  absl::StatusOr<bool> Next(absl::string_view* key) final {
    if (work_ == nullptr) [[unlikely]] {
      return Ended(false);
    }
    if (counters_->is_cancelled()) [[unlikely]] {
      return Fail(absl::CancelledError("the grouping was cancelled"));
    }
    auto more = NextGroup(key);
    if (!more.ok()) [[unlikely]] {
      return Fail(more.status());
    }
    if (!*more) [[unlikely]] {
      End();
      return false;
    }
    if (counter_ != nullptr) counter_->Add(1);
    return true;
  }

  absl::StatusOr<Views> Values() final {
    if (work_ == nullptr) [[unlikely]] {
      return Ended(Views());
    }
    if (counters_->is_cancelled()) [[unlikely]] {
      return Fail(absl::CancelledError("the grouping was cancelled"));
    }
    auto values = NextValues(absl::MakeSpan(views_));
    if (!values.ok()) [[unlikely]] {
      return Fail(values.status());
    }
    return values;
  }

  absl::Status Drain(const Render& render, const Write& write) final {
    if (work_ == nullptr) return error_;
    // The piece is in use until the last text, the work until the last group.
    const std::shared_ptr<SortShared> shared = work_->shared();
    shared->Enter();
    absl::Status status = DrainByNext(this, render, write, shared->memory().piece);
    shared->Leave();
    return status.ok() || !error_.ok() ? status : Fail(std::move(status));
  }

 protected:
  virtual absl::StatusOr<bool> NextGroup(absl::string_view* key) = 0;
  // Into `views`.
  virtual absl::StatusOr<Views> NextValues(absl::Span<absl::string_view> views) = 0;
  // Lets go of what uses the work.
  virtual void Close() = 0;

  SortWork* work() const { return work_.get(); }

 private:
  template <typename T>
  absl::StatusOr<T> Ended(T nothing) const {
    if (!error_.ok()) return error_;
    return nothing;
  }
  void End() {
    if (work_ != nullptr) Close();
    work_.reset();
  }
  absl::Status Fail(absl::Status status) {
    error_ = std::move(status);
    End();
    return error_;
  }

  const std::shared_ptr<const void> owner_;
  std::unique_ptr<SortWork> work_;  // null at the end
  SortCounters* const counters_;
  SortCounter* const counter_;  // of groups
  absl::Status error_;
  absl::string_view views_[kViews];
};

class TableGroups final : public SortedGroups {
 public:
  TableGroups(std::unique_ptr<SortWork> work, std::shared_ptr<const void> owner,
              SortCounter* counter)
      : SortedGroups(std::move(work), std::move(owner), counter), table_(this->work()->table()) {
    this->work()->SetTotal(table_->used());
  }
  void SetValueRoom(absl::Span<char> /*room*/) override {}

 private:
  absl::StatusOr<bool> NextGroup(absl::string_view* key) override {
    value_ = nullptr;
    if (next_ == table_->keys()) return false;
    table_->PrefetchBehind(next_);
    if (next_ % kProgressSteps == 0) {
      work()->SetDone("group", table_->used() / table_->keys() * next_);
    }
    const RowTable::Group group = table_->Open(next_++);
    *key = group.key;
    value_ = group.first;
    return true;
  }
  absl::StatusOr<Views> NextValues(absl::Span<absl::string_view> views) override {
    size_t n = 0;
    while (n < views.size() && value_ != nullptr) views[n++] = table_->Value(&value_);
    return views.first(n);
  }
  void Close() override { value_ = nullptr; }

  RowTable* const table_;
  size_t next_ = 0;
  const char* value_ = nullptr;
};

class MergedGroups final : public SortedGroups {
 public:
  using SortedGroups::SortedGroups;

  void SetValueRoom(absl::Span<char> room) override { value_room_ = room; }
  absl::Status Open() {
    work()->SetTotal(work()->run_bytes());
    KVARTS_ASSIGN_OR_RETURN(merger_, work()->OpenMerger(&value_room_));
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<bool> NextGroup(absl::string_view* key) override {
    KVARTS_ASSIGN_OR_RETURN(const bool more, merger_->NextGroup());
    if (!more) return false;
    *key = merger_->key();
    Step();
    return true;
  }
  absl::StatusOr<Views> NextValues(absl::Span<absl::string_view> views) override {
    KVARTS_ASSIGN_OR_RETURN(RunReader* const part, merger_->Part());
    if (part == nullptr) return Views();
    Step();
    return part->Values(views, value_room_);
  }
  void Close() override { merger_.reset(); }

  void Step() {
    if (steps_++ % kProgressSteps == 0) {
      work()->SetDone("group", merger_->bytes_read());
    }
  }

  std::unique_ptr<RunMerger> merger_;
  absl::Span<char> value_room_;
  uint64_t steps_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ShardGroups>> NewSortedGroups(std::unique_ptr<SortWork> work,
                                                             std::shared_ptr<const void> owner,
                                                             SortCounter* counter) {
  if (work->is_in_memory()) {
    return std::make_unique<TableGroups>(std::move(work), std::move(owner), counter);
  }
  auto groups = std::make_unique<MergedGroups>(std::move(work), std::move(owner), counter);
  KVARTS_RETURN_IF_ERROR(groups->Open());
  return groups;
}

}  // namespace kvarts::groupby_internal
