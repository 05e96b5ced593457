#ifndef KVARTS_STORAGE_SORT_ENTRY_SORT_H_
#define KVARTS_STORAGE_SORT_ENTRY_SORT_H_

#include <cstddef>
#include <cstdint>

#include "storage/sort/record.h"

namespace kvarts::sort_internal {

// Stands for a record in the arena. Records are laid from the arena's end
// downwards: `position` is the distance of a record's start from that end, and
// grows in the order they were added.
//
//   word   8 bytes of the key from some depth on, big-endian, zero-padded
//   tag    bits 63..60: how many bytes the key has from that depth on, 9 for
//          more than 8;  bits 59..0: the position
//
// A key that ends within its word is wholly in the entry: such entries order by
// (word, tag) alone, as 128-bit numbers, without a look at the arena.
struct Entry {
  uint64_t word;
  uint64_t tag;
};

inline constexpr int kPositionBits = 60;
inline constexpr uint64_t kPositionMask = (uint64_t{1} << kPositionBits) - 1;
inline constexpr uint64_t kGoesOn = 9;  // the key is longer than the word

inline uint64_t PositionOf(const Entry& e) { return e.tag & kPositionMask; }

inline uint64_t MakeTag(size_t rest, uint64_t position) {
  return static_cast<uint64_t>(rest > 8 ? kGoesOn : rest) << kPositionBits | position;
}

// Sorts `entries`, made at depth 0, by their keys, equal keys by position. The
// words are not kept: entries are good only for their positions afterwards.
// `arena_end` is where positions count from; `scratch` holds `scratch_size`
// entries, at least 256. Takes no other memory than some KiB of stack.
//
// Returns how many comparisons it took; a look at a word, to put its entry into a
// bucket, counts as one.
uint64_t SortEntries(Entry* entries, size_t n, const char* arena_end, Entry* scratch,
                     size_t scratch_size);

}  // namespace kvarts::sort_internal

#endif  // KVARTS_STORAGE_SORT_ENTRY_SORT_H_
