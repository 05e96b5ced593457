#include "net/metrics.h"

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "net/event_loop.h"
#include "net/metrics_history.h"
#include "testing/conformance/transport_harness.h"
#include "testing/model/manual_clock.h"

namespace kvarts {
namespace {

TEST(MetricsTest, AProtocolIsMadeOnceAndKeepsItsPlace) {
  Metrics metrics;
  ProtocolMetrics* const http = metrics.protocol("http");
  ProtocolMetrics* const native = metrics.protocol("native");
  EXPECT_NE(http, native);
  EXPECT_EQ(metrics.protocol("http"), http);
  ASSERT_EQ(metrics.protocols().size(), 2u);
  EXPECT_EQ(metrics.protocols()[0], http);
  EXPECT_EQ(metrics.protocols()[1]->Collect().name, "native");
}

TEST(MetricsTest, WhatThreadsAddIsAllThere) {
  Metrics metrics;
  ProtocolMetrics* const protocol = metrics.protocol("http");
  std::vector<std::thread> threads;
  // More threads than have a place of their own.
  constexpr int kThreads = 100;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([protocol] {
      for (int i = 0; i < 100; ++i) {
        RequestCounts counts;
        counts.requests = 3;
        counts.errors = 1;
        counts.hits = 2;
        counts.misses = 4;
        counts.bytes_in = 10;
        counts.bytes_out = 20;
        protocol->Accepted();
        protocol->Add(&counts);
        EXPECT_EQ(counts.requests + counts.bytes_out, 0u) << "what was added is cleared";
        protocol->RecordLatency(1000, 3);
        if (i % 2 == 0) protocol->Closed();
      }
      protocol->Refused();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(metrics.Served(), 20000u);
  const ProtocolStats stats = protocol->Collect();
  EXPECT_EQ(stats.counts.requests, 30000u);
  EXPECT_EQ(stats.counts.errors, 10000u);
  EXPECT_EQ(stats.counts.hits, 20000u);
  EXPECT_EQ(stats.counts.misses, 40000u);
  EXPECT_EQ(stats.counts.bytes_in, 100000u);
  EXPECT_EQ(stats.counts.bytes_out, 200000u);
  EXPECT_EQ(stats.latency.count(), 30000u);
  EXPECT_EQ(stats.latency.sum(), 30'000'000u);
  EXPECT_EQ(stats.accepted, 10000);
  EXPECT_EQ(stats.open, 5000);
  EXPECT_EQ(stats.refused, kThreads);
}

TEST(MetricsHistoryTest, ASampleHasWhatHappenedSinceTheOneBefore) {
  Metrics metrics;
  ManualClock clock;
  MetricsHistory history(&metrics, absl::Seconds(1), &clock);
  RequestCounts counts;
  counts.requests = 100;
  metrics.protocol("http")->Add(&counts);
  metrics.protocol("http")->RecordLatency(50'000, 99);
  metrics.protocol("http")->RecordLatency(3'000'000, 1);
  clock.Advance(absl::Seconds(2));
  history.Sample();
  counts.requests = 7;
  metrics.protocol("http")->Add(&counts);
  metrics.protocol("native")->Accepted();
  clock.Advance(absl::Seconds(1));
  history.Sample();

  const std::vector<MetricsSample> samples = history.Since(0);
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[0].time_ms, ManualClock::kStartMs + 2000);
  EXPECT_DOUBLE_EQ(samples[0].seconds, 2);
  ASSERT_EQ(samples[0].protocols.size(), 1u);
  EXPECT_EQ(samples[0].protocols[0].counts.requests, 100u);
  EXPECT_NEAR(static_cast<double>(samples[0].protocols[0].p50_ns), 50e3, 1e3);
  EXPECT_NEAR(static_cast<double>(samples[0].protocols[0].p999_ns), 3e6, 6e4);
  ASSERT_EQ(samples[1].protocols.size(), 2u);
  EXPECT_EQ(samples[1].protocols[0].counts.requests, 7u);
  EXPECT_EQ(samples[1].protocols[0].p50_ns, 0u) << "no latency was recorded in it";
  EXPECT_EQ(samples[1].protocols[1].open, 1);
  EXPECT_EQ(history.Since(samples[0].time_ms).size(), 1u);
}

TEST(MetricsHistoryTest, TheOldestSamplesGo) {
  Metrics metrics;
  ManualClock clock;
  MetricsHistory history(&metrics, absl::Seconds(1), &clock);
  history.Sample();  // the clock stands: nothing to tell
  for (size_t i = 0; i < MetricsHistory::kSamples + 10; ++i) {
    clock.Advance(absl::Seconds(1));
    history.Sample();
  }
  const std::vector<MetricsSample> samples = history.Since(0);
  ASSERT_EQ(samples.size(), MetricsHistory::kSamples);
  EXPECT_EQ(samples[0].time_ms, ManualClock::kStartMs + 11'000);
}

TEST(MetricsHistoryTest, ItSamplesByItself) {
  // Before what is on them, and stopped first.
  const std::unique_ptr<EventLoops> loops = EventLoops::New(1).value();
  Metrics metrics;
  MetricsHistory history(&metrics, absl::Milliseconds(1));
  history.Start(loops->loop(0));
  // Asks the loop again until a sample is there.
  Awaited<bool> sampled(false);
  std::function<void()> look = [&] {
    if (!history.Since(0).empty()) return sampled.Set(true);
    loops->loop(0)->Post([&] { look(); });
  };
  loops->loop(0)->Post([&] { look(); });
  EXPECT_TRUE(sampled.AwaitValue(true));
  loops->Stop();
}

}  // namespace
}  // namespace kvarts
