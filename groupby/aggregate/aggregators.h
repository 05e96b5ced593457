#ifndef KVARTS_GROUPBY_AGGREGATE_AGGREGATORS_H_
#define KVARTS_GROUPBY_AGGREGATE_AGGREGATORS_H_

#include "base/language.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/strings/string_view.h"
#include "groupby/codec.h"

// Aggregators for aggregate_by.h. Each is the state of a group:
//
//   void Add(const T& value);            // the rows of the group, in their order
//   void Merge(const A& newer);          // what was added behind; both have rows
//   R Finish() const;                    // R has a Codec
//
// A trivially copyable one (up to 1 KiB) is kept as it is; any other has
// `void Save(std::string*) const` and `bool Load(absl::string_view)` too. One of your own is
// any such struct; parameters are members of the one that is handed in.
namespace kvarts::aggregator {

struct Count {
  uint64_t count = 0;

  template <typename T>
  void Add(const T&) {
    ++count;
  }
  void Merge(const Count& newer) { count += newer.count; }
  uint64_t Finish() const { return count; }
};

// Exact for integers, in 128 bits; compensated for floats and doubles, as a double.
template <typename T, typename Enable = void>
struct Sum {
  static_assert(std::is_integral<T>::value, "of numbers");
  uint64_t low = 0;
  uint64_t high = 0;

  void Add(T v) { AddAll(static_cast<absl::int128>(v)); }
  void Merge(const Sum& newer) { AddAll(newer.Finish()); }
  absl::int128 Finish() const { return absl::MakeInt128(static_cast<int64_t>(high), low); }

 private:
  void AddAll(absl::int128 v) {
    const auto sum = static_cast<absl::uint128>(Finish()) + static_cast<absl::uint128>(v);
    low = absl::Uint128Low64(sum);
    high = absl::Uint128High64(sum);
  }
};

template <typename T>
struct Sum<T, std::enable_if_t<std::is_floating_point<T>::value>> {
  double sum = 0;
  double lost = 0;

  void Add(double v) {
    const double next = sum + v;
    lost += std::abs(sum) >= std::abs(v) ? (sum - next) + v : (v - next) + sum;
    sum = next;
  }
  void Merge(const Sum& newer) {
    Add(newer.sum);
    lost += newer.lost;
  }
  double Finish() const { return sum + lost; }
};

template <typename T>
struct Mean {
  Sum<T> sum;
  uint64_t count = 0;

  void Add(T v) {
    sum.Add(v);
    ++count;
  }
  void Merge(const Mean& newer) {
    sum.Merge(newer.sum);
    count += newer.count;
  }
  double Finish() const {
    return static_cast<double>(static_cast<long double>(sum.Finish()) /
                               static_cast<long double>(count));
  }
};

// One value of any type with a codec: `Replaces()(kept, next)` says whether `next` is kept
// instead.
template <typename T, typename Replaces>
struct OneValue {
  T value{};
  bool seen = false;

  void Add(const T& v) {
    if (seen && !Replaces()(value, v)) return;
    value = v;
    seen = true;
  }
  void Merge(const OneValue& newer) { Add(newer.value); }
  T Finish() const { return value; }
  void Save(std::string* bytes) const { Codec<T>::Append(value, CodecUse{false, true}, bytes); }
  bool Load(absl::string_view bytes) {
    seen = true;
    return Codec<T>::Parse(&bytes, CodecUse{false, true}, &value) && bytes.empty();
  }
};

struct KeepsFirst {
  template <typename T>
  bool operator()(const T&, const T&) const {
    return false;
  }
};
struct KeepsLast {
  template <typename T>
  bool operator()(const T&, const T&) const {
    return true;
  }
};
struct KeepsSmaller {
  template <typename T>
  bool operator()(const T& kept, const T& next) const {
    return next < kept;
  }
};
struct KeepsLarger {
  template <typename T>
  bool operator()(const T& kept, const T& next) const {
    return kept < next;
  }
};
// Of equal ones the first.
template <typename T>
using Min = OneValue<T, KeepsSmaller>;
template <typename T>
using Max = OneValue<T, KeepsLarger>;
template <typename T>
using First = OneValue<T, KeepsFirst>;
template <typename T>
using Last = OneValue<T, KeepsLast>;

// The `count` largest, largest first; of equal ones the first.
template <typename T>
struct Top {
  explicit Top(size_t n) : count(n) {}
  size_t count;
  std::vector<T> values;

  void Add(const T& v) {
    if (values.size() == count && (count == 0 || !(values.back() < v))) return;
    const auto at = std::upper_bound(values.begin(), values.end(), v,
                                     [](const T& a, const T& b) { return b < a; });
    values.insert(at, v);
    if (values.size() > count) values.pop_back();
  }
  void Merge(const Top& newer) {
    for (const T& v : newer.values) Add(v);
  }
  std::vector<T> Finish() const { return values; }
  void Save(std::string* bytes) const {
    Codec<std::vector<T>>::Append(values, CodecUse{false, true}, bytes);
  }
  bool Load(absl::string_view bytes) {
    return Codec<std::vector<T>>::Parse(&bytes, CodecUse{false, true}, &values) && bytes.empty();
  }
};

// How many different values there are: those whose Codec<T> writes different keys. By hashes of
// 128 bits; may exceed memory.
template <typename T>
struct Distinct {};

// `aggregator` over what `project(value)` makes of each value:
//
//   Of([](const Sale& s) { return s.price; }, Max<double>())
template <typename Project, typename Aggregator>
struct Projected {
  Project project;
  Aggregator aggregator;
};
template <typename Project, typename Aggregator>
Projected<Project, Aggregator> Of(Project project, Aggregator aggregator) {
  return {std::move(project), std::move(aggregator)};
}

}  // namespace kvarts::aggregator

#endif  // KVARTS_GROUPBY_AGGREGATE_AGGREGATORS_H_
