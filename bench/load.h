#ifndef KVARTS_BENCH_LOAD_H_
#define KVARTS_BENCH_LOAD_H_

#include "base/language.h"

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/progress.h"
#include "bench/key_set.h"
#include "storage/store.h"

namespace kvarts {

struct LoadOptions {
  int threads = 1;  // thread i writes to store i modulo their number
  size_t value_bytes = 64;
  bool sync_writes = true;
  absl::Duration timeout = absl::Seconds(10);  // of each batch
};

// Puts all records of `keys`, with the values their numbers make, in batches of up
// to 1,000 records or 1 MiB. Ends with the first error. `progress` may be null.
absl::Status LoadRecords(absl::Span<Store* const> stores, const KeySet& keys,
                         const LoadOptions& options, ProgressSink* progress);

}  // namespace kvarts

#endif  // KVARTS_BENCH_LOAD_H_
