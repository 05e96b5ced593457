#include "groupby/sorted/merge_choice.h"

#include <cassert>
#include <numeric>

namespace kvarts::groupby_internal {

size_t NextMergeCount(size_t runs, size_t fan_in) {
  assert(fan_in >= 2);
  return runs <= fan_in ? 0 : (runs - 2) % (fan_in - 1) + 2;
}

size_t CheapestMerge(absl::Span<const uint64_t> sizes, size_t count) {
  assert(count > 0 && count <= sizes.size());
  uint64_t bytes = std::accumulate(sizes.begin(), sizes.begin() + count, uint64_t{0});
  uint64_t least = bytes;
  size_t best = 0;
  for (size_t begin = 1; begin + count <= sizes.size(); ++begin) {
    bytes += sizes[begin + count - 1] - sizes[begin - 1];
    if (bytes < least - least / 8) {
      least = bytes;
      best = begin;
    }
  }
  return best;
}

uint64_t BytesToMerge(std::vector<uint64_t> sizes, size_t fan_in) {
  uint64_t total = 0;
  while (const size_t count = NextMergeCount(sizes.size(), fan_in)) {
    const auto begin = sizes.begin() + static_cast<ptrdiff_t>(CheapestMerge(sizes, count));
    const auto end = begin + static_cast<ptrdiff_t>(count);
    *begin = std::accumulate(begin, end, uint64_t{0});
    total += *begin;
    sizes.erase(begin + 1, end);
  }
  return total;
}

}  // namespace kvarts::groupby_internal
