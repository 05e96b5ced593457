#include <cstring>

#include "absl/strings/str_cat.h"
#include "groupby/aggregate/aggregate_functions.h"

// Aggregates of rows and of fields as they are.
namespace kvarts {

bool StateBlock::Reserve(size_t size, StateArena* arena) {
  if (size <= capacity) return true;
  char* const moved = arena->Take(size);
  if (moved == nullptr) return false;
  if (bytes != 0) std::memcpy(moved, data, bytes);
  if (capacity != 0) arena->Give(data, capacity);
  data = moved;
  capacity = static_cast<uint32_t>(StateArena::Capacity(size));
  return true;
}

bool StateBlock::Set(absl::string_view v, StateArena* arena) {
  if (v.size() > capacity) {
    StateBlock next;
    if (!next.Reserve(v.size(), arena)) return false;
    if (capacity != 0) arena->Give(data, capacity);
    *this = next;
  }
  if (!v.empty()) std::memcpy(data, v.data(), v.size());
  bytes = static_cast<uint32_t>(v.size());
  return true;
}

namespace {

class Count : public AggregateFunction {
 public:
  explicit Count(Input input) : input_(input) {}
  Input input() const override { return input_; }
  Result result() const override { return Result::kNumber; }
  size_t state_bytes() const override { return 8; }
  bool Add(char* state, const FieldInput&, StateArena*) const override {
    ++*reinterpret_cast<uint64_t*>(state);
    return true;
  }
  bool Merge(char* state, const char* newer, StateArena*) const override {
    *reinterpret_cast<uint64_t*>(state) += *reinterpret_cast<const uint64_t*>(newer);
    return true;
  }
  absl::Status Finish(const char* state, std::string* result) const override {
    absl::StrAppend(result, *reinterpret_cast<const uint64_t*>(state));
    return absl::OkStatus();
  }

 private:
  const Input input_;
};

struct FieldState {
  StateBlock field;
  uint64_t seen = 0;
};

// One field of a group: `replaces(kept, next)` says which.
template <typename Replaces>
class OneField : public AggregateFunction {
 public:
  explicit OneField(Replaces replaces) : replaces_(replaces) {}
  Input input() const override { return Input::kField; }
  Result result() const override { return Result::kText; }
  size_t state_bytes() const override { return sizeof(FieldState); }
  bool has_block() const override { return true; }
  bool Add(char* state, const FieldInput& input, StateArena* arena) const override {
    auto* const s = reinterpret_cast<FieldState*>(state);
    if (s->seen != 0 && !replaces_(s->field.view(), input.field)) return true;
    if (!s->field.Set(input.field, arena)) return false;
    s->seen = 1;
    return true;
  }
  bool Merge(char* state, const char* newer, StateArena* arena) const override {
    const auto* const n = reinterpret_cast<const FieldState*>(newer);
    return n->seen == 0 || Add(state, FieldInput{n->field.view(), nullptr}, arena);
  }
  absl::Status Finish(const char* state, std::string* result) const override {
    const absl::string_view field = reinterpret_cast<const FieldState*>(state)->field.view();
    result->append(field.data(), field.size());
    return absl::OkStatus();
  }

 private:
  const Replaces replaces_;
};

template <typename Replaces>
std::shared_ptr<const AggregateFunction> MakeOneField(Replaces replaces) {
  return std::make_shared<const OneField<Replaces>>(replaces);
}

}  // namespace

std::shared_ptr<const AggregateFunction> CountFunction() {
  return std::make_shared<const Count>(AggregateFunction::Input::kNone);
}
std::shared_ptr<const AggregateFunction> DistinctFunction() {
  return std::make_shared<const Count>(AggregateFunction::Input::kDistinct);
}
std::shared_ptr<const AggregateFunction> FirstFunction() {
  return MakeOneField([](absl::string_view, absl::string_view) { return false; });
}
std::shared_ptr<const AggregateFunction> LastFunction() {
  return MakeOneField([](absl::string_view, absl::string_view) { return true; });
}
std::shared_ptr<const AggregateFunction> MinTextFunction() {
  return MakeOneField([](absl::string_view kept, absl::string_view next) { return next < kept; });
}
std::shared_ptr<const AggregateFunction> MaxTextFunction() {
  return MakeOneField([](absl::string_view kept, absl::string_view next) { return next > kept; });
}

}  // namespace kvarts
