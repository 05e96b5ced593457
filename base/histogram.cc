#include "base/histogram.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace kvarts {

using histogram_internal::BucketOf;
using histogram_internal::kBuckets;
using histogram_internal::LastOf;

uint64_t histogram_internal::LastOf(size_t bucket) {
  if (bucket < 2 * kSteps) return bucket;
  const int shift = static_cast<int>(bucket >> kStepBits) - 1;
  return ((kSteps + bucket % kSteps + 1) << shift) - 1;
}

void HistogramCounts::Add(uint64_t value, uint64_t times) {
  if (times == 0) return;
  buckets_[BucketOf(value)] += times;
  count_ += times;
  sum_ += value * times;
  max_ = std::max(max_, value);
}

void HistogramCounts::Merge(const HistogramCounts& other) {
  for (size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

HistogramCounts HistogramCounts::Since(const HistogramCounts& before) const {
  HistogramCounts out;
  for (size_t i = 0; i < kBuckets; ++i) {
    const uint64_t times = buckets_[i] - std::min(before.buckets_[i], buckets_[i]);
    if (times == 0) continue;
    out.buckets_[i] = times;
    out.count_ += times;
    out.max_ = std::min(LastOf(i), max_);
  }
  out.sum_ = sum_ - std::min(before.sum_, sum_);
  return out;
}

uint64_t HistogramCounts::Quantile(double quantile) const {
  if (count_ == 0) return 0;
  const double wanted = std::ceil(std::clamp(quantile, 0.0, 1.0) * static_cast<double>(count_));
  const uint64_t rank = std::clamp<uint64_t>(static_cast<uint64_t>(wanted), 1, count_);
  uint64_t below = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    below += buckets_[i];
    // The last bucket also has what is beyond it.
    if (below >= rank) return i == kBuckets - 1 ? max_ : std::min(LastOf(i), max_);
  }
  return max_;
}

uint64_t HistogramCounts::CountAtMost(uint64_t bound) const {
  uint64_t out = 0;
  const size_t last = BucketOf(bound);
  for (size_t i = 0; i <= last; ++i) out += buckets_[i];
  return out;
}

Histogram::Histogram(size_t shards) : mask_(shards - 1), shards_(new Shard[shards]) {}

void Histogram::Record(uint64_t value, uint64_t times) {
  Shard& shard = shards_[mask_ == 0 ? 0 : ThreadNumber() & mask_];
  shard.buckets[BucketOf(value)].fetch_add(times, std::memory_order_relaxed);
  shard.sum.fetch_add(value * times, std::memory_order_relaxed);
  uint64_t max = shard.max.load(std::memory_order_relaxed);
  while (value > max && !shard.max.compare_exchange_weak(max, value, std::memory_order_relaxed)) {
  }
}

void Histogram::RecordAlone(uint64_t value, uint64_t times) {
  Shard& shard = shards_[0];
  const auto add = [](std::atomic<uint64_t>* to, uint64_t n) {
    to->store(to->load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  };
  add(&shard.buckets[BucketOf(value)], times);
  add(&shard.sum, value * times);
  if (value > shard.max.load(std::memory_order_relaxed)) {
    shard.max.store(value, std::memory_order_relaxed);
  }
}

HistogramCounts Histogram::Collect() const {
  HistogramCounts out;
  for (size_t s = 0; s <= mask_; ++s) {
    const Shard& shard = shards_[s];
    for (size_t i = 0; i < kBuckets; ++i) {
      const uint64_t times = shard.buckets[i].load(std::memory_order_relaxed);
      out.buckets_[i] += times;
      out.count_ += times;
    }
    out.sum_ += shard.sum.load(std::memory_order_relaxed);
    out.max_ = std::max(out.max_, shard.max.load(std::memory_order_relaxed));
  }
  return out;
}

size_t ThreadNumber() {
  static std::atomic<size_t> next{0};
  thread_local const size_t number = next.fetch_add(1, std::memory_order_relaxed);
  return number;
}

absl::Span<const uint64_t> LatencyBoundsNs() {
  static constexpr uint64_t kBounds[] = {
      1'000,         2'500,         5'000,         10'000,         25'000,      50'000,
      100'000,       250'000,       500'000,       1'000'000,      2'500'000,   5'000'000,
      10'000'000,    25'000'000,    50'000'000,    100'000'000,    250'000'000, 500'000'000,
      1'000'000'000, 2'500'000'000, 5'000'000'000, 10'000'000'000,
  };
  return kBounds;
}

void AppendPrometheus(absl::string_view name, absl::string_view labels,
                      const HistogramCounts& counts, absl::Span<const uint64_t> bounds_ns,
                      std::string* out) {
  const absl::string_view comma = labels.empty() ? "" : ",";
  for (const uint64_t bound : bounds_ns) {
    absl::StrAppend(out, name, "_bucket{", labels, comma, "le=\"",
                    absl::StrFormat("%.9g", static_cast<double>(bound) * 1e-9), "\"} ",
                    counts.CountAtMost(bound), "\n");
  }
  const std::string braces = labels.empty() ? "" : absl::StrCat("{", labels, "}");
  absl::StrAppend(out, name, "_bucket{", labels, comma, "le=\"+Inf\"} ", counts.count(), "\n");
  absl::StrAppend(out, name, "_sum", braces, " ",
                  absl::StrFormat("%.9f", static_cast<double>(counts.sum()) * 1e-9), "\n");
  absl::StrAppend(out, name, "_count", braces, " ", counts.count(), "\n");
}

}  // namespace kvarts
