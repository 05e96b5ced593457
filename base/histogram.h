#ifndef KVARTS_BASE_HISTOGRAM_H_
#define KVARTS_BASE_HISTOGRAM_H_

#include "base/language.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace kvarts {

// The buckets of both classes below are log-linear, as HdrHistogram's
// (https://hdrhistogram.org): each power of two is cut into kSteps equal parts,
// so that a bucket is at most 1/64 (1.6 %) of its values wide; values below
// 2 * kSteps have one each.
//   BucketOf(127) == 127, BucketOf(128) == BucketOf(129) == 128
//   LastOf(128) == 129
namespace histogram_internal {

inline constexpr int kStepBits = 6;
inline constexpr uint64_t kSteps = uint64_t{1} << kStepBits;
inline constexpr int kValueBits = 42;  // 73 minutes of nanoseconds; what is beyond counts as that
inline constexpr size_t kBuckets = (kValueBits - kStepBits + 1) * kSteps;  // 2368

inline size_t BucketOf(uint64_t value) {
  if (value >> kValueBits != 0) return kBuckets - 1;
  if (value < kSteps) return value;
  const int shift = 63 - __builtin_clzll(value) - kStepBits;
  return (static_cast<size_t>(shift) << kStepBits) + (value >> shift);
}
uint64_t LastOf(size_t bucket);

}  // namespace histogram_internal

// How often which values were seen: what a Histogram has collected. A value type;
// not thread-safe. 19 KB.
class HistogramCounts {
 public:
  void Add(uint64_t value, uint64_t times = 1);
  // Afterwards this has what both had.
  void Merge(const HistogramCounts& other);
  // What was counted since `before`, an earlier state of the same histogram. The
  // largest value is then known to a bucket.
  HistogramCounts Since(const HistogramCounts& before) const;

  uint64_t count() const { return count_; }
  uint64_t sum() const { return sum_; }  // exact
  uint64_t max() const { return max_; }
  double Mean() const { return count_ == 0 ? 0 : static_cast<double>(sum_) / count_; }
  // A value that at least `quantile` (0 to 1) of the values do not exceed, and at
  // most 1/64 above the least such. 0 where there are none.
  uint64_t Quantile(double quantile) const;
  // How many values are at most `bound`; those in its own bucket all count, so
  // it grows with `bound`, and is exact for powers of two less one.
  uint64_t CountAtMost(uint64_t bound) const;

 private:
  friend class Histogram;

  std::array<uint64_t, histogram_internal::kBuckets> buckets_{};
  uint64_t count_ = 0;
  uint64_t sum_ = 0;
  uint64_t max_ = 0;
};

// Thread-safe, lock-free: two additions and a load for each value, about 10 ns,
// while threads do not meet on a cache line. Of `shards` (a power of two), a
// thread always uses the same one: as many as there are busy threads keep them
// apart, at 19 KB each.
class Histogram {
 public:
  explicit Histogram(size_t shards = 1);

  // `times`: for what was done together, and took each as long.
  void Record(uint64_t value, uint64_t times = 1);
  // The same in about 3 ns, where one thread alone records: Collect() may run
  // beside it, another Record() may not. Uses the first shard.
  void RecordAlone(uint64_t value, uint64_t times = 1);
  // All that was recorded before the call, and perhaps some of what is beside it.
  HistogramCounts Collect() const;

 private:
  struct alignas(64) Shard {
    std::array<std::atomic<uint64_t>, histogram_internal::kBuckets> buckets{};
    std::atomic<uint64_t> sum{0};
    std::atomic<uint64_t> max{0};
  };

  const size_t mask_;
  const std::unique_ptr<Shard[]> shards_;
};

// A small number for each thread, from 0 on, for choosing shards.
size_t ThreadNumber();

// Upper bounds of latencies for Prometheus, in nanoseconds: 1, 2.5, 5 of each
// power of ten from 1 us to 10 s.
absl::Span<const uint64_t> LatencyBoundsNs();

// The lines of one histogram in Prometheus' text format, of nanoseconds as
// seconds: NAME_bucket{LABELS,le="0.000001"} 12 and so on, NAME_sum, NAME_count.
// `labels` is `op="read"` or empty. The caller writes # HELP and # TYPE.
void AppendPrometheus(absl::string_view name, absl::string_view labels,
                      const HistogramCounts& counts, absl::Span<const uint64_t> bounds_ns,
                      std::string* out);

}  // namespace kvarts

#endif  // KVARTS_BASE_HISTOGRAM_H_
