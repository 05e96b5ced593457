#ifndef KVARTS_GROUPBY_GROUP_BY_H_
#define KVARTS_GROUPBY_GROUP_BY_H_

#include "base/language.h"

#include <iterator>
#include <tuple>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "groupby/codec.h"
#include "groupby/group_input.h"
#include "groupby/group_stream.h"
#include "groupby/grouping.h"

// The group-by over types: pairs (K, V) in, a stream of (K, all its V in their order) out,
// within a fixed memory, whatever the size of the input or of a group.
//
//   std::vector<std::pair<int, int>> rows = {{1, 3}, {4, 1}, {1, 2}, {4, 4}, {100, 1}};
//   auto groups = kvarts::GroupBy(rows);           // reads all rows
//   if (!groups.ok()) return groups.status();
//   for (auto& [key, values] : *groups) {          // 1: 3 2, 4: 1 4, 100: 1
//     for (int v : values) ...                     // read as they are asked for
//   }
//   return groups->status();                       // why the loop ended
//
// Any K and V with a Codec (codec.h): numbers, strings, byte strings, pairs, tuples,
// vectors, protocol buffers (proto_codec.h), and your own. std::string is stored for
// absl::string_view and const char*.
//
// Where an error as a value is preferred to a loop that ends, there is Next() beside
// each loop; where all fits, groups->Collect() and values.Collect(). Rows from several
// threads, or that come now and then: GroupInput (group_input.h).
//
// Options are those of grouping.h: the memory, the order of the groups, threads, where
// to spill. Memory beside it: 64 KiB and one row while rows are read, then one key and
// one value; what Collect() returns.
namespace kvarts {

// Over a range of pairs or 2-tuples: any with begin() and end(), of input iterators
// that need not be copyable, and an end of any type that they compare with.
template <typename It, typename End,
          typename = decltype(std::declval<It&>() != std::declval<const End&>())>
auto GroupBy(It begin, End end, const GroupingOptions& options = {}) -> absl::StatusOr<
    GroupStream<Stored<decltype(std::get<0>(*begin))>, Stored<decltype(std::get<1>(*begin))>>> {
  using K = Stored<decltype(std::get<0>(*begin))>;
  using V = Stored<decltype(std::get<1>(*begin))>;
  absl::StatusOr<GroupInput<K, V>> input = GroupInput<K, V>::New(options);
  if (!input.ok()) return input.status();
  {
    auto feeder = input->NewFeeder();
    for (; begin != end; ++begin) {
      auto&& row = *begin;
      absl::Status added = feeder.Add(std::get<0>(row), std::get<1>(row));
      if (!added.ok()) return added;
    }
  }
  return input->Finish();
}

template <typename Range>
auto GroupBy(Range&& range, const GroupingOptions& options = {})
    -> decltype(GroupBy(std::begin(range), std::end(range), options)) {
  return GroupBy(std::begin(range), std::end(range), options);
}

// Over a callback `bool pull(K*, V*)` or `absl::StatusOr<bool> pull(K*, V*)`, which sets
// the next row, or returns false behind the last one; its error is GroupBy()'s.
//
//   kvarts::GroupBy<std::string, int64_t>([&](std::string* k, int64_t* v) { ... });
template <typename K, typename V, typename Pull,
          std::enable_if_t<std::is_invocable<Pull&, K*, V*>::value, int> = 0>
absl::StatusOr<GroupStream<K, V>> GroupBy(Pull&& pull, const GroupingOptions& options = {}) {
  absl::StatusOr<GroupInput<K, V>> input = GroupInput<K, V>::New(options);
  if (!input.ok()) return input.status();
  {
    auto feeder = input->NewFeeder();
    K key{};
    V value{};
    while (true) {
      absl::StatusOr<bool> more = pull(&key, &value);
      if (!more.ok()) return more.status();
      if (!*more) break;
      absl::Status added = feeder.Add(key, value);
      if (!added.ok()) return added;
    }
  }
  return input->Finish();
}

}  // namespace kvarts

#endif  // KVARTS_GROUPBY_GROUP_BY_H_
