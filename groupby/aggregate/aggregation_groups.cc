#include <memory>
#include <utility>

#include "base/status_macros.h"
#include "groupby/aggregate/aggregation_core.h"
#include "groupby/aggregate/results.h"

namespace kvarts::groupby_internal {
namespace {

class CoreGroups final : public AggregateGroups {
 public:
  explicit CoreGroups(std::shared_ptr<AggregationCore> core) : core_(std::move(core)) {}
  ~CoreGroups() override { End(); }

  absl::StatusOr<bool> Next(absl::string_view* key,
                            absl::Span<const absl::string_view>* results) override {
    if (!core_->ok()) return core_->status();
    if (ended_) return false;
    const absl::StatusOr<const GroupResults*> group = Step();
    if (!group.ok()) return Failed(group.status());
    if (*group == nullptr) {
      End();
      return false;
    }
    core_->CountGroups(1);
    *key = (*group)->key();
    *results = (*group)->results();
    return true;
  }

  absl::Status Drain(const Render& render, const Groups::Write& write) override {
    if (!core_->ok()) return core_->status();
    if (ended_) return absl::OkStatus();
    absl::Status status = Start();
    if (status.ok()) status = results_->Drain(render, write);
    if (!status.ok()) return Failed(status);
    End();
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<const GroupResults*> Step() {
    KVARTS_RETURN_IF_ERROR(Start());
    return results_->Next();
  }

  absl::Status Start() {
    if (results_ != nullptr) return absl::OkStatus();
    AggregationCore* const core = core_.get();
    if (core->options().order == GroupingOptions::Order::kAny) {
      results_ = NewHashResults(core);
      return absl::OkStatus();
    }
    results_ = NewKeyResults(core);
    if (results_ != nullptr) return absl::OkStatus();
    KVARTS_ASSIGN_OR_RETURN(results_, NewSortedResults(core));
    return absl::OkStatus();
  }

  absl::Status Failed(const absl::Status& status) {
    absl::Status first = core_->Fail(status);
    End();
    return first;
  }

  // All memory and files go.
  void End() {
    ended_ = true;
    results_ = nullptr;
    core_->Close();
  }

  const std::shared_ptr<AggregationCore> core_;
  std::unique_ptr<Results> results_;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<AggregateGroups> ReadGroups(std::shared_ptr<AggregationCore> core) {
  return std::make_unique<CoreGroups>(std::move(core));
}

}  // namespace kvarts::groupby_internal
