#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "groupby/aggregate/aggregate_functions.h"

// Aggregates of numbers.
namespace kvarts {
namespace {

// Integers are summed exactly; reals in two doubles (Neumaier's variant of Kahan's sum),
// of which the second collects what the first loses.
struct SumState {
  uint64_t low;
  uint64_t high;
  double sum;
  double lost;
  uint64_t count : 62;  // of both
  uint64_t has_reals : 1;
  uint64_t overflow : 1;

  absl::int128 integer() const { return absl::MakeInt128(static_cast<int64_t>(high), low); }

  void AddInteger(absl::int128 v) {
    const auto a = absl::MakeUint128(high, low);
    const auto b = static_cast<absl::uint128>(v);
    const absl::uint128 c = a + b;
    high = absl::Uint128High64(c);
    low = absl::Uint128Low64(c);
    // Both of one sign, the result of the other.
    if ((absl::Uint128High64((a ^ c) & (b ^ c)) >> 63) != 0) overflow = 1;
  }
  void AddReal(double v) {
    const double next = sum + v;
    lost += std::abs(sum) >= std::abs(v) ? (sum - next) + v : (v - next) + sum;
    sum = next;
  }
  void Add(const Number& n) {
    ++count;
    if (n.kind() == Number::Kind::kInteger) {
      AddInteger(n.integer());
    } else {
      has_reals = 1;
      AddReal(n.real());
    }
  }
  // Of integers and reals together.
  long double Total() const {
    SumState all = *this;
    // In three parts, each a double as it is.
    absl::int128 rest = integer();
    for (int i = 0; i < 3; ++i) {
      const auto part = static_cast<double>(rest);
      if (std::abs(part) >= std::ldexp(1.0, 127)) {  // rounded up, and no integer here
        all.AddReal(part);
        break;
      }
      all.AddReal(part);
      rest -= static_cast<absl::int128>(part);
    }
    return static_cast<long double>(all.sum) + all.lost;
  }
};
static_assert(sizeof(SumState) == 40, "counted in AGGREGATES.md");

absl::Status TooLarge() {
  return absl::OutOfRangeError("the sum is beyond what 128 bits, or a double, hold");
}

class Sum : public AggregateFunction {
 public:
  explicit Sum(bool mean) : mean_(mean) {}
  Input input() const override { return Input::kNumber; }
  Result result() const override { return Result::kNumber; }
  size_t state_bytes() const override { return sizeof(SumState); }
  bool Add(char* state, const FieldInput& input, StateArena*) const override {
    reinterpret_cast<SumState*>(state)->Add(*input.number);
    return true;
  }
  bool Merge(char* state, const char* newer, StateArena*) const override {
    auto* const s = reinterpret_cast<SumState*>(state);
    const auto* const n = reinterpret_cast<const SumState*>(newer);
    s->AddInteger(n->integer());
    s->AddReal(n->sum);
    s->lost += n->lost;
    s->count += n->count;
    s->has_reals |= n->has_reals;
    s->overflow |= n->overflow;
    return true;
  }
  absl::Status Finish(const char* state, std::string* result) const override {
    const auto* const s = reinterpret_cast<const SumState*>(state);
    if (s->overflow != 0) return TooLarge();
    if (!mean_ && s->has_reals == 0) {
      AppendInteger(s->integer(), result);
      return absl::OkStatus();
    }
    if (s->count == 0) return absl::OkStatus();
    const long double total = s->Total();
    const auto real =
        static_cast<double>(mean_ ? total / static_cast<long double>(s->count) : total);
    if (!std::isfinite(real)) return TooLarge();
    AppendReal(real, result);
    return absl::OkStatus();
  }

 private:
  const bool mean_;
};

class Extreme : public AggregateFunction {
 public:
  explicit Extreme(int sign) : sign_(sign) {}
  Input input() const override { return Input::kNumber; }
  Result result() const override { return Result::kNumber; }
  size_t state_bytes() const override { return sizeof(Number); }
  bool Add(char* state, const FieldInput& input, StateArena*) const override {
    AddNumber(state, *input.number);
    return true;
  }
  bool Merge(char* state, const char* newer, StateArena*) const override {
    const auto* const n = reinterpret_cast<const Number*>(newer);
    if (n->kind() != Number::Kind::kNone) AddNumber(state, *n);
    return true;
  }
  absl::Status Finish(const char* state, std::string* result) const override {
    reinterpret_cast<const Number*>(state)->AppendTo(result);
    return absl::OkStatus();
  }

 private:
  void AddNumber(char* state, const Number& n) const {
    auto* const s = reinterpret_cast<Number*>(state);
    if (s->kind() == Number::Kind::kNone || sign_ * Number::Compare(n, *s) > 0) *s = n;
  }

  const int sign_;
};

class Top : public AggregateFunction {
 public:
  explicit Top(size_t k) : k_(k) {}
  Input input() const override { return Input::kNumber; }
  Result result() const override { return Result::kNumbers; }
  size_t state_bytes() const override { return sizeof(StateBlock); }
  bool has_block() const override { return true; }

  bool Add(char* state, const FieldInput& input, StateArena* arena) const override {
    auto* const block = reinterpret_cast<StateBlock*>(state);
    size_t count = Size(*block);
    const Number& n = *input.number;
    if (count == k_ && Number::Compare(n, Numbers(*block)[count - 1]) <= 0) return true;
    if (count < k_) {
      const size_t size = (count + 1) * sizeof(Number);
      if (size > block->capacity &&
          !block->Reserve(std::min(k_, count + count / 2 + 1) * sizeof(Number), arena)) {
        return false;
      }
      block->bytes = static_cast<uint32_t>(size);
      ++count;
    }
    // Behind its equals: of those that do not fit, the newest are left out.
    Number* const begin = Numbers(*block);
    Number* const at = std::upper_bound(
        begin, begin + count - 1, n,
        [](const Number& a, const Number& b) { return Number::Compare(a, b) > 0; });
    std::memmove(at + 1, at, static_cast<size_t>(begin + count - 1 - at) * sizeof(Number));
    *at = n;
    return true;
  }

  bool Merge(char* state, const char* newer, StateArena* arena) const override {
    const auto* const n = reinterpret_cast<const StateBlock*>(newer);
    auto* const s = reinterpret_cast<StateBlock*>(state);
    const size_t total = std::min(k_, Size(*s) + Size(*n));
    if (!s->Reserve(total * sizeof(Number), arena)) return false;
    for (size_t i = 0; i < Size(*n); ++i) {
      Number number;  // not aligned
      std::memcpy(&number, n->data + i * sizeof number, sizeof number);
      Add(state, FieldInput{{}, &number}, arena);
    }
    return true;
  }

  absl::Status Finish(const char* state, std::string* result) const override {
    const auto* const block = reinterpret_cast<const StateBlock*>(state);
    for (size_t i = 0; i < Size(*block); ++i) {
      if (i != 0) result->push_back(',');
      Numbers(*block)[i].AppendTo(result);
    }
    return absl::OkStatus();
  }

 private:
  static Number* Numbers(const StateBlock& block) { return reinterpret_cast<Number*>(block.data); }
  static size_t Size(const StateBlock& block) { return block.bytes / sizeof(Number); }

  const size_t k_;
};

}  // namespace

std::shared_ptr<const AggregateFunction> SumFunction() {
  return std::make_shared<const Sum>(/*mean=*/false);
}
std::shared_ptr<const AggregateFunction> MeanFunction() {
  return std::make_shared<const Sum>(/*mean=*/true);
}
std::shared_ptr<const AggregateFunction> MinFunction() {
  return std::make_shared<const Extreme>(-1);
}
std::shared_ptr<const AggregateFunction> MaxFunction() {
  return std::make_shared<const Extreme>(1);
}
std::shared_ptr<const AggregateFunction> TopFunction(size_t k) {
  return std::make_shared<const Top>(k);
}

}  // namespace kvarts
