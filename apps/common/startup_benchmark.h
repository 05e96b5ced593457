#ifndef KVARTS_APPS_COMMON_STARTUP_BENCHMARK_H_
#define KVARTS_APPS_COMMON_STARTUP_BENCHMARK_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/store.h"

namespace kvarts {

// Looks keys of `store` up, in random order, on this thread and without a
// network, for about `time` singly and about `time` in batches of 64. Returns
// what came out as lines for people:
//   entries: 400
//   single lookups: 0.410 us each, 2.44 M lookups/s
//   batches of 64: 0.120 us each, 8.33 M lookups/s
// The keys are a sample of at most 100,000, spread over the store where it can
// be scanned from anywhere. kUnimplemented for a store that cannot be scanned.
absl::StatusOr<std::string> RunStartupBenchmark(Store* store, absl::Duration time);

}  // namespace kvarts

#endif  // KVARTS_APPS_COMMON_STARTUP_BENCHMARK_H_
