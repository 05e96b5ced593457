#ifndef KVARTS_GROUPBY_AGGREGATE_AGGREGATE_BY_H_
#define KVARTS_GROUPBY_AGGREGATE_AGGREGATE_BY_H_

#include "base/language.h"

#include <cstddef>
#include <iterator>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "groupby/aggregate/aggregate.h"
#include "groupby/aggregate/aggregators.h"
#include "groupby/aggregate/typed_function.h"
#include "groupby/codec.h"
#include "groupby/group_stream.h"

// Aggregates over types: pairs (K, V) in, a stream of (K, a result of each aggregator) out.
//
//   namespace agg = kvarts::aggregator;
//   auto groups = kvarts::AggregateBy(rows, options, agg::Count(), agg::Max<int>());
//   if (!groups.ok()) return groups.status();
//   for (auto& [key, results] : *groups) {
//     const auto& [count, max] = results;   // uint64_t, int
//   }
//   return groups->status();
//
// The aggregators are in aggregators.h, and yours is a struct like those. K has a Codec; V
// may be any type that can be copied.
namespace kvarts {

template <typename K, typename... Results>
struct AggregateGroup {
  K key{};
  std::tuple<Results...> results;
};

// Not thread-safe. The groups, one after the other. Movable.
template <typename K, typename... Results>
class AggregateStream {
  struct State;

 public:
  using value_type = AggregateGroup<K, Results...>;
  using iterator = groupby_internal::StepIterator<State, value_type>;

  AggregateStream(std::unique_ptr<Aggregation> aggregation, std::unique_ptr<AggregateGroups> groups)
      : state_(std::make_unique<State>()) {
    state_->aggregation = std::move(aggregation);
    state_->groups = std::move(groups);
  }

  // The loop ends behind the last group, or at an error: see status().
  iterator begin() { return iterator(state_.get()); }
  iterator end() { return iterator(); }
  // The next group, which this keeps; null behind the last one.
  absl::StatusOr<value_type*> Next() {
    if (state_->Step()) return &state_->group;
    if (!state_->status.ok()) return state_->status;
    return nullptr;
  }
  const absl::Status& status() const { return state_->status; }
  AggregationStats stats() const { return state_->aggregation->stats(); }

 private:
  struct State {
    std::unique_ptr<Aggregation> aggregation;
    std::unique_ptr<AggregateGroups> groups;
    absl::Status status;
    value_type group;

    value_type& current() { return group; }
    bool Step() {
      if (!status.ok()) return false;
      absl::string_view key;
      absl::Span<const absl::string_view> results;
      const absl::StatusOr<bool> more = groups->Next(&key, &results);
      if (!more.ok()) status = more.status();
      if (!more.ok() || !*more) return false;
      if (!Codec<K>::Parse(&key, CodecUse{true, true}, &group.key) ||
          !Parse(results, std::index_sequence_for<Results...>())) {
        status = absl::InternalError("Codec::Parse() refused what Append() wrote");
      }
      return status.ok();
    }
    template <size_t... i>
    bool Parse(absl::Span<const absl::string_view> results, std::index_sequence<i...>) {
      return (ParseOne(results[i], &std::get<i>(group.results)) && ...);
    }
    template <typename R>
    static bool ParseOne(absl::string_view bytes, R* result) {
      return Codec<R>::Parse(&bytes, CodecUse{false, true}, result) && bytes.empty();
    }
  };

  std::unique_ptr<State> state_;
};

// Thread-safe. Rows of (K, V) for aggregators, from several threads, each with a feeder of its
// own. What has an order has that of one feeder, and between feeders none.
template <typename K, typename V, typename... Aggregators>
class AggregateInput {
  using Shared = aggregate_internal::Aggregators<V, Aggregators...>;

 public:
  using Stream = AggregateStream<K, aggregate_internal::ResultOf<Aggregators>...>;

  static absl::StatusOr<AggregateInput> New(const AggregationOptions& options,
                                            Aggregators... aggregators) {
    auto shared = std::make_unique<Shared>(std::move(aggregators)...);
    absl::StatusOr<std::unique_ptr<Aggregation>> aggregation =
        Aggregation::New(options, shared->Specs());
    if (!aggregation.ok()) return aggregation.status();
    return AggregateInput(*std::move(aggregation), std::move(shared));
  }

  // Not thread-safe. Collects rows to batches; Flush() hands over the last one, before
  // Finish(): what a destroyed feeder still has is lost.
  class Feeder {
   public:
    absl::Status Add(const Stored<K>& key, V value) {
      Codec<K>::Append(key, CodecUse{true, true}, &keys_);
      key_ends_.push_back(keys_.size());
      values_.push_back({std::move(value)});
      return values_.size() < kMaxRows ? absl::OkStatus() : Flush();
    }
    absl::Status Flush() {
      shared_->Fields(values_, &bytes_, &ends_, &fields_);
      rows_.clear();
      const absl::string_view keys = keys_;
      const size_t columns = sizeof...(Aggregators);
      size_t begin = 0;
      for (size_t i = 0; i < values_.size(); ++i) {
        rows_.push_back({keys.substr(begin, key_ends_[i] - begin),
                         absl::MakeConstSpan(fields_).subspan(i * columns, columns)});
        begin = key_ends_[i];
      }
      absl::Status status = aggregation_->Add(rows_);
      keys_.clear();
      key_ends_.clear();
      values_.clear();
      return status;
    }

   private:
    friend class AggregateInput;
    static constexpr size_t kMaxRows = 512;
    Feeder(Aggregation* aggregation, const Shared* shared)
        : aggregation_(aggregation), shared_(shared) {}

    Aggregation* aggregation_;
    const Shared* shared_;
    std::string keys_;
    std::vector<size_t> key_ends_;
    std::vector<typename Shared::Held> values_;
    std::string bytes_;
    std::vector<size_t> ends_;
    std::vector<absl::string_view> fields_;
    std::vector<AggregateRow> rows_;
  };
  Feeder NewFeeder() { return Feeder(aggregation_.get(), shared_.get()); }

  // Once, when all feeders are flushed.
  absl::StatusOr<Stream> Finish() {
    absl::StatusOr<std::unique_ptr<AggregateGroups>> groups = aggregation_->Finish();
    if (!groups.ok()) return groups.status();
    return Stream(std::move(aggregation_), *std::move(groups));
  }

 private:
  AggregateInput(std::unique_ptr<Aggregation> aggregation, std::unique_ptr<Shared> shared)
      : aggregation_(std::move(aggregation)), shared_(std::move(shared)) {}

  std::unique_ptr<Aggregation> aggregation_;
  std::unique_ptr<Shared> shared_;
};

// Over a range of pairs or 2-tuples, as GroupBy().
template <typename Range, typename... Aggregators>
auto AggregateBy(Range&& range, const AggregationOptions& options, Aggregators... aggregators)
    -> absl::StatusOr<typename AggregateInput<Stored<decltype(std::get<0>(*std::begin(range)))>,
                                              Stored<decltype(std::get<1>(*std::begin(range)))>,
                                              Aggregators...>::Stream> {
  using Input = AggregateInput<Stored<decltype(std::get<0>(*std::begin(range)))>,
                               Stored<decltype(std::get<1>(*std::begin(range)))>, Aggregators...>;
  absl::StatusOr<Input> input = Input::New(options, std::move(aggregators)...);
  if (!input.ok()) return input.status();
  auto feeder = input->NewFeeder();
  auto end = std::end(range);
  for (auto it = std::begin(range); it != end; ++it) {
    auto&& row = *it;
    using K = Stored<decltype(std::get<0>(row))>;
    using V = Stored<decltype(std::get<1>(row))>;
    absl::Status added = feeder.Add(K(std::get<0>(row)), V(std::get<1>(row)));
    if (!added.ok()) return added;
  }
  absl::Status flushed = feeder.Flush();
  if (!flushed.ok()) return flushed;
  return input->Finish();
}

}  // namespace kvarts

#endif  // KVARTS_GROUPBY_AGGREGATE_AGGREGATE_BY_H_
