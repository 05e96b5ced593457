#ifndef KVARTS_BENCH_ARRIVALS_H_
#define KVARTS_BENCH_ARRIVALS_H_

#include "base/language.h"

#include <cstdint>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "bench/random.h"

namespace kvarts {

// Thread-safe. When requests are due in an open loop, whatever became of those
// before: users who do not know of each other (`poisson`), or a metronome. Whoever
// is free takes the next one. Nothing is kept of them.
class Arrivals {
 public:
  struct Options {
    double rate = 1;  // a second
    bool poisson = true;
    int64_t start_ns = 0;
    int64_t count_from_ns = 0;       // those before it are the warm-up
    int64_t end_ns = INT64_MAX;      // none is due at it or later
    uint64_t requests = UINT64_MAX;  // at most, the warm-up's not counted
    uint64_t seed = 1;
  };

  // REQUIRES: rate > 0.
  explicit Arrivals(const Options& options);

  // When the next one is due; nothing where none will be.
  std::optional<int64_t> Next();

 private:
  const Options options_;
  Mutex mu_;
  BenchRandom random_ ABSL_GUARDED_BY(mu_);
  // Since start_ns: a sum that stays exact to a nanosecond for months.
  double due_ns_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t given_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t counted_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace kvarts

#endif  // KVARTS_BENCH_ARRIVALS_H_
