#ifndef KVARTS_STORAGE_BLOCKS_FUSE_FILTER_H_
#define KVARTS_STORAGE_BLOCKS_FUSE_FILTER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace kvarts {

// A binary fuse filter of eight bits (Graf and Lemire, "Binary Fuse Filters: Fast and Smaller Than
// Xor Filters", 2022): a set of hashes, of which it says that one may be in it, or is not. About
// 9.6 bits a key for seventy thousand keys, 10 for eighteen thousand; of keys that are not in it,
// one in 256 may be. A lookup reads three bytes.

// The filter of `hashes`, which need not differ from each other; their order is lost. Empty where
// none was found within a bounded number of tries: then every key may be there.
std::string BuildFuseFilter(std::vector<uint64_t> hashes);

// Borrows the filter. An empty one, or bytes that are none, may hold everything.
class FuseFilter {
 public:
  FuseFilter() = default;
  explicit FuseFilter(absl::string_view filter);

  bool MayContain(uint64_t hash) const;
  // For reads of many hashes: begins to fetch what MayContain() will look at.
  void Prefetch(uint64_t hash) const;

 private:
  uint64_t seed_ = 0;
  uint32_t segment_length_ = 0;
  uint32_t segment_count_length_ = 0;
  absl::string_view fingerprints_;  // empty: it holds everything
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_BLOCKS_FUSE_FILTER_H_
