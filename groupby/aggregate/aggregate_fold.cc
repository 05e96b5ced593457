#include "groupby/aggregate/aggregate_fold.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/memory_budget.h"
#include "base/status_macros.h"
#include "groupby/aggregate/state_layout.h"
#include "groupby/aggregate/state_table.h"
#include "groupby/spill/page_pool.h"

namespace kvarts {
namespace {

using groupby_internal::PagePool;
using groupby_internal::StateEntry;
using groupby_internal::StateLayout;
using groupby_internal::StateTable;

// A table of one entry, of the empty key.
class TableFold : public AggregateFold {
 public:
  TableFold(const AggregationOptions& options, std::vector<AggregateSpec> aggregates)
      : skip_malformed_(options.skip_malformed),
        layout_(std::move(aggregates)),
        numbers_(layout_.number_columns().size()) {
    if (options.budget == nullptr) {
      own_budget_ = std::make_unique<MemoryBudget>(options.memory_bytes);
    }
    MemoryBudget* const budget = own_budget_ != nullptr ? own_budget_.get() : options.budget;
    account_ = budget->Open([](size_t) -> size_t { return 0; });
  }

  absl::Status Init() {
    constexpr size_t kPageBytes = 4096;
    KVARTS_ASSIGN_OR_RETURN(pool_, PagePool::New(account_.get(), kPageBytes));
    table_ = std::make_unique<StateTable>(&layout_, pool_.get(), account_.get(), 0);
    return absl::OkStatus();
  }

  absl::Status Add(absl::Span<const absl::string_view> fields) override {
    if (fields.size() < layout_.columns()) {
      return absl::InvalidArgumentError(absl::StrCat("a row of ", fields.size(), " fields, where ",
                                                     layout_.columns(), " are needed"));
    }
    const AggregateRow row{absl::string_view(), fields};
    KVARTS_RETURN_IF_ERROR(
        layout_.ParseNumbers(row, numbers_.data(), skip_malformed_ ? &malformed_ : nullptr));
    size_t done = 0;
    while (!table_->AddRow(0, row, numbers_.data(), &done)) {
      const size_t wanted = table_->wanted();
      absl::Status room = account_->Reserve(wanted);
      if (!room.ok()) {
        // Unused pages are all that can go.
        if (pool_->Trim(wanted) > 0) continue;
        return absl::Status(room.code(),
                            absl::StrCat("the states of a group do not fit: ", room.message()));
      }
      account_->Release(wanted);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<absl::Span<const absl::string_view>> Finish() override {
    text_.clear();
    ends_.clear();
    absl::Status status;
    const auto finish = [&](const StateEntry& entry) {
      status = layout_.Finish(entry.states(), &text_, &ends_);
      return true;
    };
    if (table_->size() == 0) {
      // Of no rows.
      std::vector<uint64_t> states(layout_.state_bytes() / 8);
      layout_.initial().copy(reinterpret_cast<char*>(states.data()), layout_.state_bytes());
      status = layout_.Finish(reinterpret_cast<const char*>(states.data()), &text_, &ends_);
    } else {
      table_->ForEach(finish);
    }
    table_->Clear();
    KVARTS_RETURN_IF_ERROR(status);
    views_.clear();
    size_t begin = 0;
    for (const size_t end : ends_) {
      views_.push_back(absl::string_view(text_).substr(begin, end - begin));
      begin = end;
    }
    return absl::MakeConstSpan(views_);
  }

  uint64_t malformed() const override { return malformed_; }

 private:
  const bool skip_malformed_;
  const StateLayout layout_;
  std::vector<Number> numbers_;  // of the row that is added
  std::unique_ptr<MemoryBudget> own_budget_;
  std::unique_ptr<MemoryBudget::Account> account_;
  std::unique_ptr<PagePool> pool_;
  std::unique_ptr<StateTable> table_;
  uint64_t malformed_ = 0;
  std::string text_;
  std::vector<size_t> ends_;
  std::vector<absl::string_view> views_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<AggregateFold>> AggregateFold::New(
    const AggregationOptions& options, std::vector<AggregateSpec> aggregates) {
  const size_t total = options.budget != nullptr ? options.budget->total() : options.memory_bytes;
  if (total < kMinMemory) {
    return absl::InvalidArgumentError(absl::StrCat("aggregates of one group need ", kMinMemory,
                                                   " bytes of memory or more, not ", total));
  }
  if (aggregates.empty() || aggregates.size() > Aggregation::kMaxAggregates) {
    return absl::InvalidArgumentError(absl::StrCat(aggregates.size(), " aggregates: from 1 to ",
                                                   Aggregation::kMaxAggregates, " are possible"));
  }
  auto fold = std::make_unique<TableFold>(options, std::move(aggregates));
  KVARTS_RETURN_IF_ERROR(fold->Init());
  return fold;
}

}  // namespace kvarts
