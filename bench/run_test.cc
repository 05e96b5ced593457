#include "bench/run.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/load.h"
#include "bench/manual_bench_clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "testing/model/model_store.h"

namespace kvarts {
namespace {

constexpr int64_t kUs = 1000;
constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSecond = 1'000'000'000;
constexpr uint64_t kRecords = 1000;

// Reads take the time of a manual clock that a function says, and find what it
// says; as many at once as there are threads.
class ScriptedStore final : public Store {
 public:
  // Called for each read with its number.
  using Script = std::function<void(int call, absl::string_view key, ReadResult* result)>;

  explicit ScriptedStore(Script script) : script_(std::move(script)) {}

  int calls() const { return calls_; }
  Capabilities capabilities() const override { return {}; }
  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions&,
                ReadResults* results) override {
    results->Reset(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) {
      ReadResult& result = results->mutable_result(i);
      script_(calls_++, keys[i], &result);
      result.value = results->bytes().Copy(result.value);
    }
  }
  absl::StatusOr<StoreStats> Stats() override { return StoreStats(); }
  absl::Status Close() override { return absl::OkStatus(); }

 private:
  const Script script_;
  std::atomic<int> calls_{0};
};

class RunTest : public testing::Test {
 protected:
  // With one request at a time, on the manual clock.
  RunResult Run(ScriptedStore* store, const RunOptions& options,
                const WorkloadOptions& workload_options = {}) {
    Workload workload(&keys_, workload_options);
    Store* const stores[] = {store};
    absl::StatusOr<RunResult> result = RunOnStores(stores, &workload, options, &clock_, nullptr);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : RunResult();
  }
  static RunOptions Open(double rate, absl::Duration duration) {
    RunOptions options;
    options.rate = rate;
    options.poisson = false;
    options.duration = duration;
    options.verify_values = false;
    return options;
  }

  const KeySet keys_{kRecords};
  ManualBenchClock clock_;
};

TEST_F(RunTest, AStallIsInTheLatencyOfAllThatWasDueMeanwhile) {
  // A request each millisecond, answered in 100 us; that of second 2 takes one.
  ScriptedStore store([this](int call, absl::string_view, ReadResult*) {
    clock_.Advance(call == 2000 ? kSecond : 100 * kUs);
  });
  const RunResult result = Run(&store, Open(1000, absl::Seconds(5)));
  const OperationTally& gets = *result.tally.find(Operation::kGet);
  EXPECT_EQ(gets.requests, 5000u);
  const HistogramCounts& latency = gets.latency_ns;
  EXPECT_EQ(latency.count(), 5000u);
  EXPECT_EQ(latency.max(), static_cast<uint64_t>(kSecond));
  // The one due k ms after it is sent behind the k before it, 100 us each: the
  // wait ends where k ms = 1 s + k * 0.1 ms.
  const uint64_t waited = 5000 - latency.CountAtMost(110 * kUs);
  EXPECT_NEAR(static_cast<double>(waited), 1000 / 0.9, 3);
  const uint64_t half_a_second = 5000 - latency.CountAtMost(kSecond / 2);
  EXPECT_NEAR(static_cast<double>(half_a_second), 500 / 0.9, 16);  // a bucket is 1.6 % wide
  EXPECT_NEAR(static_cast<double>(latency.Quantile(0.5)), 100 * kUs, 2 * kUs);
  EXPECT_GT(latency.Quantile(0.9), static_cast<uint64_t>(kSecond / 2));
  // They were sent late by as much, less the time of an answer.
  EXPECT_EQ(result.tally.start_delay_ns().count(), 5000u);
  EXPECT_EQ(result.tally.start_delay_ns().sum() + 4999 * 100 * kUs + kSecond, latency.sum());
  EXPECT_EQ(absl::ToInt64Milliseconds(result.elapsed), 4999);
}

TEST_F(RunTest, ATimelineHasEachRequestWhereItWasDue) {
  ScriptedStore store([this](int call, absl::string_view, ReadResult*) {
    clock_.Advance(call == 2300 ? kSecond : 100 * kUs);
  });
  RunOptions options = Open(1000, absl::Seconds(5));
  EXPECT_TRUE(Run(&store, options).tally.timeline().empty());
  ScriptedStore again([this](int call, absl::string_view, ReadResult*) {
    clock_.Advance(call == 2300 ? kSecond : 100 * kUs);
  });
  options.interval = absl::Seconds(1);
  const RunResult result = Run(&again, options);
  const Tally::Timeline& timeline = result.tally.timeline();
  ASSERT_EQ(timeline.size(), 5u);
  for (const auto& second : timeline) EXPECT_EQ(second->count(), 1000u);
  for (const size_t calm : {0u, 1u, 4u}) EXPECT_EQ(timeline[calm]->max(), 100u * kUs);
  EXPECT_EQ(timeline[2]->max(), static_cast<uint64_t>(kSecond));
  EXPECT_LT(timeline[3]->max(), 500u * kMs);
  EXPECT_GT(timeline[3]->max(), 300u * kMs);
}

TEST_F(RunTest, ATimelineHasWhatWasNeverSent) {
  ScriptedStore store([this](int, absl::string_view, ReadResult*) { clock_.Advance(10 * kMs); });
  RunOptions options = Open(1000, absl::Seconds(1));
  options.drain = absl::Milliseconds(500);
  options.interval = absl::Milliseconds(100);
  const RunResult result = Run(&store, options);
  ASSERT_EQ(result.tally.timeline().size(), 10u);
  for (const auto& part : result.tally.timeline()) EXPECT_EQ(part->count(), 100u);
}

TEST_F(RunTest, InAClosedLoopOneRequestSeesAStall) {
  ScriptedStore store([this](int call, absl::string_view, ReadResult*) {
    clock_.Advance(call == 2000 ? kSecond : 100 * kUs);
  });
  RunOptions options;
  options.verify_values = false;
  options.duration = absl::Seconds(5);
  const RunResult result = Run(&store, options);
  const OperationTally& gets = *result.tally.find(Operation::kGet);
  EXPECT_EQ(gets.requests, 40'001u);
  EXPECT_EQ(gets.requests - gets.latency_ns.CountAtMost(110 * kUs), 1u);
  EXPECT_EQ(gets.latency_ns.max(), static_cast<uint64_t>(kSecond));
  EXPECT_EQ(result.tally.start_delay_ns().count(), 0u);
}

TEST_F(RunTest, WhatIsNotSentInTimeHasWaitedTillThen) {
  ScriptedStore store([this](int, absl::string_view, ReadResult*) { clock_.Advance(10 * kMs); });
  RunOptions options = Open(1000, absl::Seconds(1));
  options.drain = absl::Milliseconds(500);
  const OperationTally gets = Run(&store, options).tally.Total();
  EXPECT_EQ(gets.requests, 150u);  // until 1.5 s
  EXPECT_EQ(gets.not_sent, 850u);
  EXPECT_EQ(gets.latency_ns.count(), 1000u);
  // Sent: the k-th is answered at 10 (k + 1) ms, due at k ms. Others: due at k ms.
  uint64_t sum = 0;
  for (uint64_t k = 0; k < 1000; ++k) sum += (k < 150 ? 10 * (k + 1) : 1500) - k;
  EXPECT_EQ(gets.latency_ns.sum(), sum * kMs);
}

TEST_F(RunTest, TheWarmUpIsNotCounted) {
  ScriptedStore store([this](int call, absl::string_view, ReadResult* result) {
    clock_.Advance(kMs);
    if (call < 1000) result->status = absl::InternalError("early");
  });
  RunOptions options;
  options.warmup = absl::Seconds(1);
  options.duration = absl::Seconds(2);
  const RunResult closed = Run(&store, options);
  EXPECT_EQ(store.calls(), 3000);
  EXPECT_EQ(closed.tally.Total().requests, 2000u);
  EXPECT_EQ(closed.tally.Total().latency_ns.count(), 2000u);
  EXPECT_EQ(closed.tally.Total().errors, 0u);
  EXPECT_EQ(closed.tally.Total().misses, 2000u);
  EXPECT_TRUE(closed.tally.errors().empty());
  EXPECT_EQ(closed.elapsed, absl::Seconds(2));
  options.rate = 100;
  options.poisson = false;
  EXPECT_EQ(Run(&store, options).tally.Total().requests, 200u);
}

TEST_F(RunTest, ARunEndsAfterItsRequestsOnAllThreads) {
  ScriptedStore store([](int, absl::string_view, ReadResult*) {});
  Workload workload(&keys_, WorkloadOptions());
  Store* const stores[] = {&store};
  RunOptions options;
  options.in_flight = 4;
  options.requests = 10'000;
  for (const double rate : {0.0, 1e7}) {
    options.rate = rate;
    const auto result = RunOnStores(stores, &workload, options, BenchClock::Real(), nullptr);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->tally.Total().requests, 10'000u);
  }
  EXPECT_EQ(store.calls(), 20'000);
}

TEST_F(RunTest, ErrorsThatMayPassAreCountedByTheirCode) {
  ScriptedStore store([this](int call, absl::string_view, ReadResult* result) {
    clock_.Advance(kMs);
    if (call % 10 == 3) result->status = absl::ResourceExhaustedError("too much");
    if (call % 10 == 5) result->status = absl::DeadlineExceededError("too late");
  });
  RunOptions options;
  options.requests = 100;
  WorkloadOptions workload;
  const RunResult result = Run(&store, options, workload);
  EXPECT_EQ(result.tally.Total().errors, 20u);
  EXPECT_EQ(result.tally.Total().requests, 100u);
  EXPECT_EQ(result.tally.Total().misses, 80u);
  EXPECT_EQ(result.tally.Total().latency_ns.count(), 100u);
  EXPECT_EQ(result.tally.errors().at("RESOURCE_EXHAUSTED"), 10u);
  EXPECT_EQ(result.tally.errors().at("DEADLINE_EXCEEDED"), 10u);
  EXPECT_EQ(result.tally.first_error().message(), "too much");
  // Of a batch: one error a request, and what the others gave.
  workload.mix = *ParseMix("mget:1");
  workload.batch = 10;
  const OperationTally batches = Run(&store, options, workload).tally.Total();
  EXPECT_EQ(batches.errors, 100u);
  EXPECT_EQ(batches.keys, 1000u);
  EXPECT_EQ(batches.misses, 800u);
}

TEST_F(RunTest, AStoreThatIsGoneEndsTheRunWithItsError) {
  ScriptedStore store([](int call, absl::string_view, ReadResult* result) {
    if (call >= 100) result->status = absl::UnavailableError("connection refused");
  });
  Workload workload(&keys_, WorkloadOptions());
  Store* const stores[] = {&store};
  for (const double rate : {0.0, 10'000.0}) {
    RunOptions options;
    options.in_flight = 3;
    options.rate = rate;
    options.verify_values = false;
    const auto result = RunOnStores(stores, &workload, options, BenchClock::Real(), nullptr);
    EXPECT_EQ(result.status(), absl::UnavailableError("connection refused"));
  }
  EXPECT_LE(store.calls(), 100 + 2 * 3);
}

TEST_F(RunTest, WrongValuesAndKeysThatAreLostAreCounted) {
  const std::string right = BenchValue(1, 64);
  ScriptedStore store([&](int, absl::string_view key, ReadResult* result) {
    clock_.Advance(kMs);
    if (key == BenchUuid(0)) return;
    result->found = true;
    result->value = right;
  });
  RunOptions options;
  options.requests = 10'000;
  const OperationTally all = Run(&store, options).tally.Total();
  EXPECT_EQ(all.hits + all.misses, 10'000u);
  EXPECT_EQ(all.misses, all.unexpected_misses);
  EXPECT_NEAR(static_cast<double>(all.misses), 10, 10);
  EXPECT_NEAR(static_cast<double>(all.hits - all.wrong_values), 10, 10);  // record 1's
  EXPECT_GT(all.hits, all.wrong_values);
  // A key that nobody wrote.
  WorkloadOptions absent;
  absent.miss = 1;
  EXPECT_EQ(Run(&store, options, absent).tally.Total().wrong_values, 10'000u);
  options.verify_values = false;
  EXPECT_EQ(Run(&store, options).tally.Total().wrong_values, 0u);
}

TEST(StoreRunTest, LoadsAStoreAndDoesAllOperationsOnIt) {
  const std::unique_ptr<Store> store = NewModelStore();
  Store* const stores[] = {store.get()};
  const KeySet keys(5000);
  LoadOptions load;
  load.threads = 3;
  load.value_bytes = 100;
  ASSERT_TRUE(LoadRecords(stores, keys, load, nullptr).ok());
  EXPECT_EQ(store->Stats()->entries, 5000u);
  EXPECT_EQ(**store->Get(BenchUuid(4999)), BenchValue(4999, 100));

  WorkloadOptions options;
  options.mix = *ParseMix("get:1,mget:1,put:1,insert:1,scan:1");
  options.value_bytes = 100;
  options.miss = 0.5;
  options.batch = 5;
  options.scan_entries = 10;
  Workload workload(&keys, options);
  RunOptions run;
  run.in_flight = 3;
  run.requests = 5000;
  auto result = RunOnStores(stores, &workload, run, BenchClock::Real(), nullptr);
  ASSERT_TRUE(result.ok()) << result.status();
  const Tally& tally = result->tally;
  const OperationTally all = tally.Total();
  EXPECT_EQ(all.requests, 5000u);
  EXPECT_EQ(all.errors, 0u);
  EXPECT_EQ(all.wrong_values, 0u);
  EXPECT_EQ(all.unexpected_misses, 0u);
  EXPECT_NEAR(static_cast<double>(all.misses) / static_cast<double>(all.hits), 1, 0.2);
  const OperationTally& mgets = *tally.find(Operation::kMultiGet);
  EXPECT_EQ(mgets.keys, 5 * mgets.requests);
  EXPECT_EQ(mgets.keys, mgets.hits + mgets.misses);
  EXPECT_EQ(mgets.value_bytes, 100 * mgets.hits);
  const OperationTally& inserts = *tally.find(Operation::kInsert);
  EXPECT_EQ(store->Stats()->entries, 5000 + inserts.requests);
  EXPECT_EQ(inserts.value_bytes, 100 * inserts.requests);
  const OperationTally& scans = *tally.find(Operation::kScan);
  EXPECT_LE(scans.keys, 10 * scans.requests);
  EXPECT_GT(scans.keys, 9 * scans.requests);  // but for those that begin near the end
  EXPECT_EQ(tally.find(Operation::kDelete), nullptr);

  options.mix = *ParseMix("delete:1");
  options.miss = 0;
  Workload deletes(&keys, options);
  ASSERT_TRUE(RunOnStores(stores, &deletes, run, BenchClock::Real(), nullptr).ok());
  EXPECT_LT(store->Stats()->entries, 4000 + inserts.requests);
}

TEST(StoreRunTest, LoadingEndsWithTheFirstError) {
  ScriptedStore read_only([](int, absl::string_view, ReadResult*) {});
  Store* const stores[] = {&read_only};
  EXPECT_EQ(LoadRecords(stores, KeySet(10), LoadOptions(), nullptr), ReadOnlyError());
}

}  // namespace
}  // namespace kvarts
