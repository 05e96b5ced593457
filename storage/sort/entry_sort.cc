#include "storage/sort/entry_sort.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace kvarts::sort_internal {
namespace {

constexpr size_t kInsertion = 24;  // fewer entries are sorted by insertion
constexpr size_t kRecache = 64;    // fewer equal words are sorted by comparison
constexpr int kMaxLevels = 32;     // deeper groups too: bounds the stack

struct ByWord {
  static uint64_t Of(const Entry& e) { return e.word; }
};
struct ByTag {
  static uint64_t Of(const Entry& e) { return e.tag; }
};

// Returns the number of comparisons.
template <typename Less>
size_t InsertionSort(Entry* e, size_t n, Less less) {
  size_t compared = n == 0 ? 0 : n - 1;
  for (size_t i = 1; i < n; ++i) {
    if (!less(e[i], e[i - 1])) continue;
    const Entry moving = e[i];
    size_t j = i;
    do {
      e[j] = e[j - 1];
      --j;
    } while (j != 0 && less(moving, e[j - 1]));
    e[j] = moving;
    compared += i - j;
  }
  return compared;
}

class EntrySorter {
 public:
  EntrySorter(const char* arena_end, Entry* scratch, size_t scratch_size)
      : arena_end_(arena_end), scratch_(scratch), scratch_size_(scratch_size) {}

  uint64_t Sort(Entry* e, size_t n) {
    if (n > 1) Sort(e, n, 0, 0);
    return compared_;
  }

 private:
  Record RecordOf(const Entry& e) const {
    const char* p = arena_end_ - PositionOf(e);
    Record record;
    ParseRecord(p, arena_end_, &record);
    return record;
  }

  auto FullLess(size_t depth) const {
    return [this, depth](const Entry& a, const Entry& b) {
      if (a.word != b.word) [[likely]] {
        return a.word < b.word;
      }
      if ((a.tag & b.tag) >> kPositionBits != kGoesOn) return a.tag < b.tag;
      const Record x = RecordOf(a);
      const Record y = RecordOf(b);
      const int order = CompareKeys(x.key, x.key_size, y.key, y.key_size, depth + 8);
      return order != 0 ? order < 0 : a.tag < b.tag;
    };
  }

  // Sorts by keys from `depth` on, where the words were taken.
  void Sort(Entry* e, size_t n, size_t depth, int level) {
    if (n <= kInsertion) {
      compared_ += InsertionSort(e, n, FullLess(depth));
      return;
    }
    SortBy<ByWord>(e, n);
    for (size_t i = 0; i + 1 < n;) {
      if (e[i].word != e[i + 1].word) [[likely]] {
        ++i;
        continue;
      }
      size_t end = i + 2;
      while (end < n && e[end].word == e[i].word) ++end;
      SortEqualWords(e + i, end - i, depth, level);
      i = end;
    }
  }

  void SortEqualWords(Entry* e, size_t n, size_t depth, int level) {
    if (n < kRecache || level == kMaxLevels) {
      if (n <= kInsertion) {
        compared_ += InsertionSort(e, n, FullLess(depth));
      } else {
        std::sort(e, e + n, [this, less = FullLess(depth)](const Entry& a, const Entry& b) {
          ++compared_;
          return less(a, b);
        });
      }
      return;
    }
    // Keys that end within the word come first, by length and position.
    size_t longer = 0;
    while (longer < n && e[longer].tag >> kPositionBits == kGoesOn) ++longer;
    if (longer != n) {
      SortBy<ByTag>(e, n);
      const Entry* first_longer = std::partition_point(
          e, e + n, [](const Entry& x) { return x.tag >> kPositionBits != kGoesOn; });
      longer = static_cast<size_t>(e + n - first_longer);
      e += n - longer;
    }
    if (longer < 2) return;
    const size_t common = Recache(e, longer, depth + 8);
    Sort(e, longer, common, level + 1);
  }

  // Takes the words anew behind the bytes that all of these keys have in
  // common; returns their number. Keys are equal up to `depth`.
  size_t Recache(Entry* e, size_t n, size_t depth) const {
    const Record first = RecordOf(e[0]);
    size_t common = first.key_size;
    for (size_t i = 1; i < n && common != depth; ++i) {
      Prefetch(e, i + 8, n);
      const Record record = RecordOf(e[i]);
      common = std::min<size_t>(common, record.key_size);
      size_t same = depth;
      while (same + 8 <= common && LoadLE64(first.key + same) == LoadLE64(record.key + same)) {
        same += 8;
      }
      while (same < common && first.key[same] == record.key[same]) ++same;
      common = same;
    }
    for (size_t i = 0; i < n; ++i) {
      Prefetch(e, i + 8, n);
      const Record record = RecordOf(e[i]);
      e[i].word = KeyWord(record.key, record.key_size, common);
      e[i].tag = MakeTag(record.key_size - common, PositionOf(e[i]));
    }
    return common;
  }

  void Prefetch(const Entry* e, size_t i, size_t n) const {
    if (i < n) __builtin_prefetch(arena_end_ - PositionOf(e[i]));
  }

  // Sorts by one of the two numbers, from the highest bit down in which they
  // differ. What is too large for the scratch is parted in place by eight bits
  // (American flag); what fits goes through the scratch, once or twice, by the
  // eight or sixteen highest bits, least significant first. Few entries then
  // still share these bits.
  template <typename Key>
  void SortBy(Entry* e, size_t n) {
    if (n <= kInsertion) {
      compared_ += InsertionSort(
          e, n, [](const Entry& a, const Entry& b) { return Key::Of(a) < Key::Of(b); });
      return;
    }
    const uint64_t first = Key::Of(e[0]);
    uint64_t differ = 0;
    uint64_t last = first;
    bool sorted = true;
    for (size_t i = 1; i < n; ++i) {
      const uint64_t key = Key::Of(e[i]);
      differ |= key ^ first;
      sorted &= last <= key;
      last = key;
    }
    compared_ += n;
    if (sorted) return;
    const int bits = static_cast<int>(std::bit_width(differ));
    if (n > scratch_size_) {
      Part<Key>(e, n, std::max(0, bits - 8));
      return;
    }
    const int digits = n > 1024 && bits > 8 ? 2 : 1;
    const int shift = std::max(0, bits - 8 * digits);
    compared_ += n * static_cast<size_t>(digits);
    if (digits == 2) {
      Scatter<Key>(e, scratch_, n, shift);
      Scatter<Key>(scratch_, e, n, shift + 8);
    } else {
      Scatter<Key>(e, scratch_, n, shift);
      std::memcpy(static_cast<void*>(e), scratch_, n * sizeof(Entry));
    }
    if (shift == 0) return;
    for (size_t i = 0; i + 1 < n;) {
      const uint64_t digit = Key::Of(e[i]) >> shift;
      size_t end = i + 1;
      while (end < n && Key::Of(e[end]) >> shift == digit) ++end;
      if (end - i > 1) SortBy<Key>(e + i, end - i);
      i = end;
    }
  }

  template <typename Key>
  static void Scatter(const Entry* from, Entry* to, size_t n, int shift) {
    uint32_t at[256] = {};
    for (size_t i = 0; i < n; ++i) ++at[Key::Of(from[i]) >> shift & 255];
    uint32_t sum = 0;
    for (uint32_t& count : at) {
      const uint32_t next = sum + count;
      count = sum;
      sum = next;
    }
    for (size_t i = 0; i < n; ++i) to[at[Key::Of(from[i]) >> shift & 255]++] = from[i];
  }

  template <typename Key>
  void Part(Entry* e, size_t n, int shift) {
    compared_ += n;
    size_t head[256];
    size_t end[256] = {};
    for (size_t i = 0; i < n; ++i) ++end[Key::Of(e[i]) >> shift & 255];
    size_t sum = 0;
    for (int b = 0; b < 256; ++b) {
      head[b] = sum;
      sum += end[b];
      end[b] = sum;
    }
    // Each round swaps every misplaced entry to where one of its bucket belongs:
    // the swaps of a round do not wait for each other.
    for (bool again = true; again;) {
      again = false;
      for (int b = 0; b < 256; ++b) {
        for (size_t i = head[b], stop = end[b]; i < stop; ++i) {
          std::swap(e[i], e[head[Key::Of(e[i]) >> shift & 255]++]);
        }
        again |= head[b] != end[b];
      }
    }
    if (shift == 0) return;
    size_t begin = 0;
    for (const size_t stop : end) {
      if (stop - begin > 1) SortBy<Key>(e + begin, stop - begin);
      begin = stop;
    }
  }

  const char* const arena_end_;
  Entry* const scratch_;
  const size_t scratch_size_;
  uint64_t compared_ = 0;
};

}  // namespace

uint64_t SortEntries(Entry* entries, size_t n, const char* arena_end, Entry* scratch,
                     size_t scratch_size) {
  return EntrySorter(arena_end, scratch, scratch_size).Sort(entries, n);
}

}  // namespace kvarts::sort_internal
