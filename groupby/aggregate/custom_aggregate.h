#ifndef KVARTS_GROUPBY_AGGREGATE_CUSTOM_AGGREGATE_H_
#define KVARTS_GROUPBY_AGGREGATE_CUSTOM_AGGREGATE_H_

#include "base/language.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "groupby/aggregate/aggregate_function.h"
#include "groupby/aggregate/aggregate_spec.h"

namespace kvarts {

// An aggregate of your own, as a struct that is the state of a group:
//
//   struct Longest {
//     uint64_t bytes = 0;
//     void Add(absl::string_view field) { bytes = std::max<uint64_t>(bytes, field.size()); }
//     void Merge(const Longest& newer) { bytes = std::max(bytes, newer.bytes); }
//     void Finish(std::string* result) const { absl::StrAppend(result, bytes); }
//   };
//   auto aggregation = Aggregation::New(options, {CustomAggregate<Longest>("longest", 0)});
//
// The rows of a group are added to some states, one behind the other, which are then merged in
// their order: it has to make no difference where they were split. A group's first row is
// added to a copy of what is handed in here (parameters may be in it), and Merge() is
// called with states that have rows. Finish() may return an absl::Status.
//
// Trivially copyable states of 8-byte alignment or less stay in place. Others, a std::string
// in them, say, are kept as bytes, written and read at each row, by
//
//     void Save(std::string* bytes) const;          // appends
//     bool Load(absl::string_view bytes);           // false: not bytes of Save()
template <typename State>
AggregateSpec CustomAggregate(std::string label, size_t column, State initial = State());

namespace aggregate_internal {

template <typename State>
constexpr bool kInPlace = std::is_trivially_copyable<State>::value && alignof(State) <= 8 &&
                          sizeof(State) <= 1024;

// How a row gets to a state, and a state to a result.
struct FieldOps {
  template <typename State>
  void Add(State* state, absl::string_view field) const {
    state->Add(field);
  }
  template <typename State>
  absl::Status Finish(const State& state, std::string* result) const {
    if constexpr (std::is_void<decltype(state.Finish(result))>::value) {
      state.Finish(result);
      return absl::OkStatus();
    } else {
      return state.Finish(result);
    }
  }
};

template <typename State, typename Ops>
class CustomInPlace : public AggregateFunction {
 public:
  CustomInPlace(State initial, Ops ops) : initial_(std::move(initial)), ops_(std::move(ops)) {}
  Input input() const override { return Input::kField; }
  Result result() const override { return Result::kText; }
  size_t state_bytes() const override { return sizeof(Kept); }
  void Init(char* state) const override { new (state) Kept{initial_, 0}; }
  bool Add(char* state, const FieldInput& input, StateArena*) const override {
    auto* const kept = reinterpret_cast<Kept*>(state);
    kept->seen = 1;
    ops_.Add(&kept->state, input.field);
    return true;
  }
  bool Merge(char* state, const char* newer, StateArena*) const override {
    auto* const kept = reinterpret_cast<Kept*>(state);
    const auto* const next = reinterpret_cast<const Kept*>(newer);
    if (next->seen == 0) return true;
    if (kept->seen != 0) {
      kept->state.Merge(next->state);
    } else {
      *kept = *next;
    }
    return true;
  }
  absl::Status Finish(const char* state, std::string* result) const override {
    return ops_.Finish(reinterpret_cast<const Kept*>(state)->state, result);
  }

 private:
  struct alignas(8) Kept {
    State state;
    uint64_t seen;
  };
  const State initial_;
  const Ops ops_;
};

template <typename State, typename Ops>
class CustomSaved : public AggregateFunction {
 public:
  CustomSaved(State initial, Ops ops) : initial_(std::move(initial)), ops_(std::move(ops)) {}
  Input input() const override { return Input::kField; }
  Result result() const override { return Result::kText; }
  size_t state_bytes() const override { return sizeof(Kept); }
  bool has_block() const override { return true; }
  bool Add(char* state, const FieldInput& input, StateArena* arena) const override {
    auto* const kept = reinterpret_cast<Kept*>(state);
    State loaded = initial_;
    if (!Load(kept, &loaded)) return true;
    ops_.Add(&loaded, input.field);
    return Save(kept, loaded, arena);
  }
  bool Merge(char* state, const char* newer, StateArena* arena) const override {
    auto* const kept = reinterpret_cast<Kept*>(state);
    Kept next = *reinterpret_cast<const Kept*>(newer);
    if (next.rows == Rows::kNone) return true;
    State added = initial_;
    if (!Load(&next, &added)) {
      kept->rows = Rows::kLost;
      return true;
    }
    if (kept->rows == Rows::kNone) return Save(kept, added, arena);
    State loaded = initial_;
    if (!Load(kept, &loaded)) return true;
    loaded.Merge(added);
    return Save(kept, loaded, arena);
  }
  absl::Status Finish(const char* state, std::string* result) const override {
    Kept kept = *reinterpret_cast<const Kept*>(state);
    State loaded = initial_;
    if (!Load(&kept, &loaded)) {
      return absl::InternalError("Load() refused what Save() wrote");
    }
    return ops_.Finish(loaded, result);
  }

 private:
  enum class Rows : uint64_t { kNone = 0, kSome, kLost };
  struct Kept {
    StateBlock block;
    Rows rows;
  };
  static bool Load(Kept* kept, State* state) {
    if (kept->rows == Rows::kSome && !state->Load(kept->block.view())) kept->rows = Rows::kLost;
    return kept->rows != Rows::kLost;
  }
  static bool Save(Kept* kept, const State& state, StateArena* arena) {
    std::string bytes;
    state.Save(&bytes);
    if (!kept->block.Set(bytes, arena)) return false;
    kept->rows = Rows::kSome;
    return true;
  }
  const State initial_;
  const Ops ops_;
};

template <typename State, typename Ops>
AggregateSpec MakeCustom(std::string label, size_t column, State initial, Ops ops) {
  using Function =
      std::conditional_t<kInPlace<State>, CustomInPlace<State, Ops>, CustomSaved<State, Ops>>;
  return AggregateSpec{std::make_shared<const Function>(std::move(initial), std::move(ops)), column,
                       std::move(label)};
}

}  // namespace aggregate_internal

template <typename State>
AggregateSpec CustomAggregate(std::string label, size_t column, State initial) {
  return aggregate_internal::MakeCustom(std::move(label), column, std::move(initial),
                                        aggregate_internal::FieldOps());
}

}  // namespace kvarts

#endif  // KVARTS_GROUPBY_AGGREGATE_CUSTOM_AGGREGATE_H_
