#ifndef KVARTS_NET_HTTP_READ_PACE_H_
#define KVARTS_NET_HTTP_READ_PACE_H_

#include <algorithm>
#include <cstddef>

#include "storage/read_results.h"

namespace kvarts {

// How many keys of a request go to the store in one call, where they need not be read
// at once: fewer where values are large, so that what a store that copies holds for a
// request stays bounded. Not thread-safe.
class ReadPace {
 public:
  size_t keys() const { return keys_; }
  // What the last call gave.
  void Learn(const ReadResults& results) {
    size_t bytes = 0;
    for (const ReadResult& result : results) bytes += result.value.size();
    if (bytes > kManyBytes) keys_ = std::max<size_t>(keys_ / 8, 1);
    if (bytes < kFewBytes) keys_ = std::min(keys_ * 2, kMaxKeys);
  }

 private:
  static constexpr size_t kMaxKeys = 64;
  static constexpr size_t kFewBytes = 1 << 20;
  static constexpr size_t kManyBytes = 4 << 20;

  size_t keys_ = kMaxKeys;
};

}  // namespace kvarts

#endif  // KVARTS_NET_HTTP_READ_PACE_H_
