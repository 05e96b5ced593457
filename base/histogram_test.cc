#include "base/histogram.h"

#include <algorithm>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace kvarts {
namespace {

using histogram_internal::BucketOf;
using histogram_internal::kBuckets;
using histogram_internal::LastOf;

TEST(HistogramTest, BucketsFollowEachOtherWithoutGapAndAreNarrow) {
  uint64_t first = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    const uint64_t last = LastOf(i);
    ASSERT_EQ(BucketOf(first), i);
    ASSERT_EQ(BucketOf(last), i);
    ASSERT_LE(64 * (last - first), first) << i;
    first = last + 1;
  }
  EXPECT_EQ(first, uint64_t{1} << histogram_internal::kValueBits);
  EXPECT_EQ(BucketOf(first), kBuckets - 1);
  EXPECT_EQ(BucketOf(~uint64_t{0}), kBuckets - 1);
}

TEST(HistogramTest, QuantilesAreWithinABucketOfTheSortedValues) {
  std::mt19937_64 random(1);
  std::vector<uint64_t> values;
  HistogramCounts counts;
  for (int i = 0; i < 10000; ++i) {
    values.push_back(random() >> (22 + random() % 40));
    counts.Add(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double q : {0.0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0}) {
    const auto rank = static_cast<size_t>(std::max(1.0, q * 10000));
    const uint64_t exact = values[rank - 1];
    EXPECT_GE(counts.Quantile(q), exact) << q;
    EXPECT_LE(counts.Quantile(q), exact + exact / 64) << q;
  }
  EXPECT_EQ(counts.Quantile(1), values.back());
  EXPECT_EQ(counts.max(), values.back());
  EXPECT_EQ(counts.count(), 10000u);
}

TEST(HistogramTest, AnEmptyOneHasNoValues) {
  const HistogramCounts counts;
  EXPECT_EQ(counts.Quantile(0.5), 0u);
  EXPECT_EQ(counts.Mean(), 0);
  EXPECT_EQ(counts.CountAtMost(~uint64_t{0}), 0u);
}

TEST(HistogramTest, ValuesBeyondTheLastBucketKeepTheirSumAndMaximum) {
  HistogramCounts counts;
  const uint64_t huge = uint64_t{1} << 50;
  counts.Add(huge);
  counts.Add(3);
  EXPECT_EQ(counts.sum(), huge + 3);
  EXPECT_EQ(counts.Quantile(1), huge);
  EXPECT_EQ(counts.Quantile(0.5), 3u);
}

TEST(HistogramTest, MergedCountsAreThoseOfBoth) {
  HistogramCounts one;
  HistogramCounts two;
  HistogramCounts both;
  for (uint64_t i = 0; i < 1000; ++i) {
    (i % 3 == 0 ? one : two).Add(i * i);
    both.Add(i * i);
  }
  one.Merge(two);
  for (const double q : {0.1, 0.5, 0.99}) EXPECT_EQ(one.Quantile(q), both.Quantile(q));
  EXPECT_EQ(one.sum(), both.sum());
  EXPECT_EQ(one.max(), both.max());
}

TEST(HistogramTest, SinceGivesWhatCameBetween) {
  Histogram histogram;
  histogram.Record(1000000);
  const HistogramCounts before = histogram.Collect();
  histogram.Record(10);
  histogram.Record(20);
  const HistogramCounts since = histogram.Collect().Since(before);
  EXPECT_EQ(since.count(), 2u);
  EXPECT_EQ(since.sum(), 30u);
  EXPECT_EQ(since.max(), 20u);
}

TEST(HistogramTest, ThreadsLoseNothing) {
  for (const size_t shards : {1, 4}) {
    Histogram histogram(shards);
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < 4; ++t) {
      threads.emplace_back([&histogram, t] {
        for (uint64_t i = 0; i < 20000; ++i) histogram.Record(i * 4 + t);
      });
    }
    for (std::thread& thread : threads) thread.join();
    const HistogramCounts counts = histogram.Collect();
    EXPECT_EQ(counts.count(), 80000u);
    EXPECT_EQ(counts.sum(), uint64_t{79999} * 40000);
    EXPECT_EQ(counts.max(), 79999u);
  }
}

TEST(HistogramTest, PrometheusBucketsAreCumulativeAndInSeconds) {
  HistogramCounts counts;
  counts.Add(900, 3);
  counts.Add(4000);
  counts.Add(30'000'000'000);
  std::string text;
  AppendPrometheus("op_seconds", "op=\"read\"", counts, {1000, 5000, 1'000'000'000}, &text);
  EXPECT_EQ(text,
            "op_seconds_bucket{op=\"read\",le=\"1e-06\"} 3\n"
            "op_seconds_bucket{op=\"read\",le=\"5e-06\"} 4\n"
            "op_seconds_bucket{op=\"read\",le=\"1\"} 4\n"
            "op_seconds_bucket{op=\"read\",le=\"+Inf\"} 5\n"
            "op_seconds_sum{op=\"read\"} 30.000006700\n"
            "op_seconds_count{op=\"read\"} 5\n");
  text.clear();
  AppendPrometheus("x", "", HistogramCounts(), {1000}, &text);
  EXPECT_EQ(text,
            "x_bucket{le=\"1e-06\"} 0\nx_bucket{le=\"+Inf\"} 0\nx_sum 0.000000000\nx_count 0\n");
}

TEST(HistogramTest, LatencyBoundsGrow) {
  const absl::Span<const uint64_t> bounds = LatencyBoundsNs();
  EXPECT_TRUE(std::is_sorted(bounds.begin(), bounds.end()));
}

}  // namespace
}  // namespace kvarts
