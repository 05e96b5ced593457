#include "groupby/text/collector.h"

#include <utility>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "groupby/text/group_fold.h"
#include "groupby/text/text_buffer.h"

namespace kvarts::groupby_text {
namespace {

// The values, and results over them where there are aggregates.
class ListCollector final : public Collector {
 public:
  ListCollector(const CollectorOptions& options, std::unique_ptr<Grouping> grouping)
      : grouping_(std::move(grouping)),
        writer_(NewGroupWriter(options.writer, options.aggregates)),
        folds_(options.aggregates.empty() ? nullptr : std::make_unique<GroupFolds>(options)) {}

  absl::Status AddInOrder(uint64_t sequence, const ParsedRows& rows, size_t* bad_row) override {
    if (folds_ == nullptr) return grouping_->AddInOrder(sequence, rows.rows());
    PackedRows packed;
    KVARTS_RETURN_IF_ERROR(folds_->Pack(rows, &packed, bad_row));
    return grouping_->AddInOrder(sequence, packed.rows);
  }

  absl::Status Write(const Groups::Write& write) override {
    KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<Groups> groups, grouping_->Finish());
    return groups->Drain(
        [this](Groups::Cursor* group, Groups::Output* output) {
          return folds_ == nullptr ? WriteList(group, output) : WriteFolded(group, output);
        },
        write);
  }

  void Cancel() override { grouping_->Cancel(); }
  GroupingStats stats() const override { return grouping_->stats(); }
  uint64_t skipped_fields() const override { return folds_ == nullptr ? 0 : folds_->malformed(); }

 private:
  absl::Status WriteList(Groups::Cursor* group, Groups::Output* output) const {
    TextBuffer text(output);
    KVARTS_RETURN_IF_ERROR(writer_->Begin(group->key(), &text));
    bool first = true;
    while (true) {
      KVARTS_ASSIGN_OR_RETURN(const absl::Span<const absl::string_view> values, group->Values());
      if (values.empty()) break;
      for (const absl::string_view value : values) {
        KVARTS_RETURN_IF_ERROR(
            writer_->Value(group->key(), value, std::exchange(first, false), &text));
      }
    }
    KVARTS_RETURN_IF_ERROR(writer_->End(group->key(), {}, &text));
    return text.Flush();
  }

  absl::Status WriteFolded(Groups::Cursor* group, Groups::Output* output) const {
    KVARTS_ASSIGN_OR_RETURN(std::unique_ptr<GroupFold> fold, folds_->Take());
    TextBuffer text(output);
    KVARTS_RETURN_IF_ERROR(writer_->Begin(group->key(), &text));
    bool first = true;
    while (true) {
      KVARTS_ASSIGN_OR_RETURN(const absl::Span<const absl::string_view> values, group->Values());
      if (values.empty()) break;
      for (const absl::string_view packed : values) {
        absl::StatusOr<absl::string_view> value = fold->Add(packed);
        if (!value.ok()) return OfKey(group->key(), value.status());
        KVARTS_RETURN_IF_ERROR(
            writer_->Value(group->key(), *value, std::exchange(first, false), &text));
      }
    }
    const absl::StatusOr<absl::Span<const absl::string_view>> results = fold->Finish();
    if (!results.ok()) return OfKey(group->key(), results.status());
    KVARTS_RETURN_IF_ERROR(writer_->End(group->key(), *results, &text));
    folds_->Give(std::move(fold));
    return text.Flush();
  }

  const std::unique_ptr<Grouping> grouping_;
  const std::unique_ptr<GroupWriter> writer_;
  const std::unique_ptr<GroupFolds> folds_;  // null: the values alone
};

// Results without values.
class AggregateCollector final : public Collector {
 public:
  AggregateCollector(const CollectorOptions& options, std::unique_ptr<Aggregation> aggregation)
      : aggregation_(std::move(aggregation)),
        writer_(NewGroupWriter(options.writer, options.aggregates)) {}

  absl::Status AddInOrder(uint64_t sequence, const ParsedRows& rows, size_t* bad_row) override {
    const absl::Span<const KeyValue> keys = rows.rows();
    std::vector<AggregateRow> batch;
    batch.reserve(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) batch.push_back({keys[i].key, rows.fields(i)});
    return aggregation_->AddInOrder(sequence, batch, bad_row);
  }

  absl::Status Write(const Groups::Write& write) override {
    KVARTS_ASSIGN_OR_RETURN(const std::unique_ptr<AggregateGroups> groups, aggregation_->Finish());
    return groups->Drain(
        [this](absl::string_view key, absl::Span<const absl::string_view> results,
               Groups::Output* output) {
          TextBuffer text(output);
          KVARTS_RETURN_IF_ERROR(writer_->Begin(key, &text));
          KVARTS_RETURN_IF_ERROR(writer_->End(key, results, &text));
          return text.Flush();
        },
        write);
  }

  void Cancel() override { aggregation_->Cancel(); }
  GroupingStats stats() const override { return aggregation_->stats(); }
  uint64_t skipped_fields() const override { return aggregation_->stats().malformed; }

 private:
  const std::unique_ptr<Aggregation> aggregation_;
  const std::unique_ptr<GroupWriter> writer_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Collector>> NewCollector(const CollectorOptions& options) {
  if (options.writer.list) {
    KVARTS_ASSIGN_OR_RETURN(std::unique_ptr<Grouping> grouping, Grouping::New(options.grouping));
    return std::unique_ptr<Collector>(new ListCollector(options, std::move(grouping)));
  }
  KVARTS_ASSIGN_OR_RETURN(std::unique_ptr<Aggregation> aggregation,
                          Aggregation::New(options.grouping, options.aggregates));
  return std::unique_ptr<Collector>(new AggregateCollector(options, std::move(aggregation)));
}

}  // namespace kvarts::groupby_text
