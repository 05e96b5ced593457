#include "bench/cluster_connection.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "base/slot.h"
#include "bench/connection_run.h"
#include "bench/load.h"
#include "bench/mix.h"
#include "bench/run.h"
#include "bench/workload.h"
#include "cluster/client/test_cluster.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

constexpr SlotRange kLowerHalf = {0, kSlots / 2 - 1};
constexpr uint64_t kRecords = 2000;

// A load on a cluster of three nodes that holds the data set.
class ClusterConnectionTest : public testing::Test {
 protected:
  ClusterConnectionTest() {
    const std::unique_ptr<Store> store = cluster_.MustOpen();
    Store* const stores[] = {store.get()};
    EXPECT_TRUE(LoadRecords(stores, keys_, {}, nullptr).ok());
  }

  RunResult Run(const std::string& mix, const RunOptions& run) {
    WorkloadOptions options;
    options.mix = *ParseMix(mix);
    options.batch = 50;
    options.scan_entries = 3000;  // more than a page has
    Workload workload(&keys_, options);
    ConnectionRunOptions connections;
    connections.threads = 2;
    connections.connections = 3;
    absl::StatusOr<RunResult> result =
        RunOnConnections(ClusterConnections(cluster_.transport(), cluster_.seeds(), {}),
                         connections, &workload, run, BenchClock::Real(), nullptr);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *std::move(result) : RunResult();
  }

  uint64_t Answered() const {
    return cluster_.requests(0) + cluster_.requests(1) + cluster_.requests(2);
  }

  const KeySet keys_{kRecords};
  TestCluster cluster_{3};
};

TEST_F(ClusterConnectionTest, EveryOperationIsDoneAndRightWhileSlotsMove) {
  std::atomic<bool> over{false};
  // A scan begins anew with what has moved: it ends where some requests come between two moves,
  // however slow the machine is.
  std::thread moves([&] {
    for (int to = 0; !over; to = (to + 1) % 3) {
      const uint64_t before = Answered();
      cluster_.Move(kLowerHalf, to);
      while (!over && Answered() < before + 100) std::this_thread::yield();
    }
  });
  RunOptions run;
  run.in_flight = 12;
  run.requests = 1500;
  run.timeout = absl::Seconds(60);
  const RunResult result = Run("get:10,mget:2,put:5,insert:2,scan:1", run);
  over = true;
  moves.join();
  const OperationTally total = result.tally.Total();
  ASSERT_EQ(total.requests, 1500u);
  EXPECT_EQ(total.errors, 0u) << result.tally.first_error();
  EXPECT_EQ(total.wrong_values, 0u);
  EXPECT_EQ(total.unexpected_misses, 0u);
  const OperationTally& scans = *result.tally.find(Operation::kScan);
  EXPECT_GE(scans.keys, scans.requests * kRecords);
}

TEST_F(ClusterConnectionTest, RequestsForSlotsThatAreDownHoldNoOthersUp) {
  constexpr SlotRange kDown = {0, 5000};  // of the first node
  cluster_.TakeDown(kDown);
  const uint64_t before = Answered();
  std::thread repair([&] {
    // A third of the first ones wait for this.
    while (Answered() < before + 50) std::this_thread::yield();
    cluster_.TakeUp(kDown, 0);
  });
  RunOptions run;
  run.in_flight = 60;
  run.requests = 400;
  run.timeout = absl::Seconds(60);
  const OperationTally total = Run("get:1", run).tally.Total();
  repair.join();
  EXPECT_EQ(total.requests, 400u);
  EXPECT_EQ(total.errors, 0u);
}

TEST_F(ClusterConnectionTest, WhereNobodyAnswersTheRunDoesNotBegin) {
  Workload workload(&keys_, {});
  const absl::StatusOr<RunResult> result =
      RunOnConnections(ClusterConnections(cluster_.transport(), {"127.0.0.1:1"}, {}), {}, &workload,
                       {}, BenchClock::Real(), nullptr);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kUnavailable) << result.status();
}

}  // namespace
}  // namespace kvarts
