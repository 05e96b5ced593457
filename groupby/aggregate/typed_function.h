#ifndef KVARTS_GROUPBY_AGGREGATE_TYPED_FUNCTION_H_
#define KVARTS_GROUPBY_AGGREGATE_TYPED_FUNCTION_H_

#include "base/language.h"

#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "groupby/aggregate/aggregate_function.h"
#include "groupby/aggregate/aggregate_spec.h"
#include "groupby/aggregate/aggregators.h"
#include "groupby/aggregate/custom_aggregate.h"
#include "groupby/codec.h"

// How an aggregator of aggregate_by.h becomes an aggregate of aggregate.h. Its field is the
// address of the value, which lives as long as the call that adds it; a distinct count's are
// the value's bytes as a key.
namespace kvarts::aggregate_internal {

// The two parts of an aggregator: what it is over, and itself.
struct Identity {
  template <typename V>
  const V& operator()(const V& v) const {
    return v;
  }
};
template <typename A>
struct PartsOf {
  using Project = Identity;
  using Aggregator = A;
  static Identity project(const A&) { return {}; }
  static const A& aggregator(const A& a) { return a; }
};
template <typename P, typename A>
struct PartsOf<aggregator::Projected<P, A>> {
  using Project = P;
  using Aggregator = A;
  static const P& project(const aggregator::Projected<P, A>& a) { return a.project; }
  static const A& aggregator(const aggregator::Projected<P, A>& a) { return a.aggregator; }
};

template <typename A>
struct ResultOfAggregator {
  using Type = std::decay_t<decltype(std::declval<const A&>().Finish())>;
};
template <typename T>
struct ResultOfAggregator<aggregator::Distinct<T>> {
  using Type = uint64_t;
};
template <typename A>
using ResultOf = typename ResultOfAggregator<typename PartsOf<A>::Aggregator>::Type;

// FieldOps of an aggregator over values of V.
template <typename V, typename Project>
struct TypedOps {
  Project project;

  template <typename A>
  void Add(A* aggregator, absl::string_view field) const {
    const V* value = nullptr;
    std::memcpy(&value, field.data(), sizeof(void*));
    aggregator->Add(project(*value));
  }
  template <typename A>
  absl::Status Finish(const A& aggregator, std::string* result) const {
    Codec<std::decay_t<decltype(aggregator.Finish())>>::Append(aggregator.Finish(),
                                                               CodecUse{false, true}, result);
    return absl::OkStatus();
  }
};

// A count that the engine keeps: of fields that it has found to be different.
class TypedDistinct : public AggregateFunction {
 public:
  Input input() const override { return Input::kDistinct; }
  Result result() const override { return Result::kText; }
  size_t state_bytes() const override { return sizeof(uint64_t); }
  bool Add(char*, const FieldInput&, StateArena*) const override { return true; }
  bool Merge(char*, const char*, StateArena*) const override { return true; }
  absl::Status Finish(const char* state, std::string* result) const override {
    Codec<uint64_t>::Append(*reinterpret_cast<const uint64_t*>(state), CodecUse{false, true},
                            result);
    return absl::OkStatus();
  }
};

template <typename V, typename Project, typename A>
AggregateSpec TypedSpec(const Project& project, const A& aggregator, size_t column) {
  return MakeCustom("", column, aggregator, TypedOps<V, Project>{project});
}
template <typename V, typename Project, typename T>
AggregateSpec TypedSpec(const Project&, const aggregator::Distinct<T>&, size_t column) {
  return AggregateSpec{std::make_shared<const TypedDistinct>(), column, ""};
}

template <typename V, typename Project, typename A>
void AppendField(const Project&, const A&, const V& value, std::string* bytes) {
  const V* const address = &value;
  bytes->append(reinterpret_cast<const char*>(&address), sizeof(void*));
}
template <typename V, typename Project, typename T>
void AppendField(const Project& project, const aggregator::Distinct<T>&, const V& value,
                 std::string* bytes) {
  Codec<T>::Append(project(value), CodecUse{true, true}, bytes);
}

// Immutable. The aggregators of an input, over values of V.
template <typename V, typename... As>
class Aggregators {
 public:
  // So that it has an address, as a bool in a vector has not.
  struct Held {
    V value;
  };

  explicit Aggregators(As... aggregators) : aggregators_(std::move(aggregators)...) {}

  std::vector<AggregateSpec> Specs() const { return SpecsOf(std::index_sequence_for<As...>()); }

  // The fields of all values, sizeof...(As) each; `bytes` has what they are of.
  void Fields(const std::vector<Held>& values, std::string* bytes, std::vector<size_t>* ends,
              std::vector<absl::string_view>* fields) const {
    bytes->clear();
    ends->clear();
    fields->clear();
    for (const Held& held : values) {
      AppendFields(held.value, bytes, ends, std::index_sequence_for<As...>());
    }
    size_t begin = 0;
    for (const size_t end : *ends) {
      fields->push_back(absl::string_view(*bytes).substr(begin, end - begin));
      begin = end;
    }
  }

 private:
  template <size_t... i>
  std::vector<AggregateSpec> SpecsOf(std::index_sequence<i...>) const {
    return {TypedSpec<V>(PartsOf<As>::project(std::get<i>(aggregators_)),
                         PartsOf<As>::aggregator(std::get<i>(aggregators_)), i)...};
  }
  template <size_t... i>
  void AppendFields(const V& value, std::string* bytes, std::vector<size_t>* ends,
                    std::index_sequence<i...>) const {
    ((AppendField(PartsOf<As>::project(std::get<i>(aggregators_)),
                  PartsOf<As>::aggregator(std::get<i>(aggregators_)), value, bytes),
      ends->push_back(bytes->size())),
     ...);
  }

  const std::tuple<As...> aggregators_;
};

}  // namespace kvarts::aggregate_internal

#endif  // KVARTS_GROUPBY_AGGREGATE_TYPED_FUNCTION_H_
