#ifndef KVARTS_GROUPBY_AGGREGATE_AGGREGATE_HASH_H_
#define KVARTS_GROUPBY_AGGREGATE_AGGREGATE_HASH_H_

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdint>

#include "absl/strings/string_view.h"

namespace kvarts::groupby_internal {

// Places a key: partitions and tables are by its upper bits, so that all go through
// groups in the order of it.
inline uint64_t HashGroup(absl::string_view key) { return XXH3_64bits(key.data(), key.size()); }

struct Hash128 {
  uint64_t low;
  uint64_t high;
};

// Stands for the bytes where these are not kept.
inline Hash128 HashBytes(absl::string_view bytes) {
  const XXH128_hash_t h = XXH3_128bits(bytes.data(), bytes.size());
  return {h.low64, h.high64};
}

// Tells groups of one HashGroup() apart; its last byte is 0.
inline uint64_t DistinctCheck(absl::string_view key) {
  return HashBytes(key).high & ~uint64_t{0xff};
}

}  // namespace kvarts::groupby_internal

#endif  // KVARTS_GROUPBY_AGGREGATE_AGGREGATE_HASH_H_
