#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "groupby/aggregate/aggregate.h"
#include "groupby/aggregate/aggregation_core.h"

namespace kvarts {
namespace {

class CoreAggregation : public Aggregation {
 public:
  explicit CoreAggregation(std::shared_ptr<groupby_internal::AggregationCore> core)
      : core_(std::move(core)) {}
  ~CoreAggregation() override {
    if (!finished_) core_->Close();
  }

  absl::Status Add(absl::Span<const AggregateRow> rows, size_t* bad_row) override {
    return core_->Add(absl::nullopt, rows, bad_row);
  }
  absl::Status AddInOrder(uint64_t sequence, absl::Span<const AggregateRow> rows,
                          size_t* bad_row) override {
    return core_->Add(sequence, rows, bad_row);
  }
  absl::StatusOr<std::unique_ptr<AggregateGroups>> Finish() override {
    KVARTS_RETURN_IF_ERROR(core_->status());
    if (finished_) return absl::FailedPreconditionError("Finish() was called before");
    finished_ = true;
    return groupby_internal::ReadGroups(core_);
  }
  void Cancel() override { core_->Fail(absl::CancelledError("cancelled")).IgnoreError(); }
  AggregationStats stats() const override { return core_->stats(); }

 private:
  const std::shared_ptr<groupby_internal::AggregationCore> core_;
  bool finished_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Aggregation>> Aggregation::New(
    const AggregationOptions& options, std::vector<AggregateSpec> aggregates) {
  KVARTS_ASSIGN_OR_RETURN(std::shared_ptr<groupby_internal::AggregationCore> core,
                          groupby_internal::AggregationCore::New(options, std::move(aggregates)));
  return std::unique_ptr<Aggregation>(new CoreAggregation(std::move(core)));
}

std::string AggregationStats::DebugString() const {
  return absl::StrCat("rows=", rows, " bytes=", bytes, " groups=", groups,
                      " spilled=", spilled_bytes, " files=", partitions, " levels=", levels,
                      " malformed=", malformed, " probes=", probes, " peak=", peak_memory);
}

}  // namespace kvarts
