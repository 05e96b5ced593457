#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cluster/node/sim/sim_run.h"

namespace kvarts {
namespace cluster {
namespace {

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  uint64_t value = 0;
  return text != nullptr && absl::SimpleAtoi(text, &value) ? value : otherwise;
}

// KVARTS_SIM_SEEDS: how many, from KVARTS_SIM_FIRST_SEED on.
void RunSeeds(bool durable, bool gives_up = false) {
  const uint64_t first = FromEnvironment("KVARTS_SIM_FIRST_SEED", 1);
  const uint64_t seeds = FromEnvironment("KVARTS_SIM_SEEDS", 50);
  const uint64_t most_failures = FromEnvironment("KVARTS_SIM_FAILURES", 1);
  SimRunOptions options;
  options.durable = durable;
  options.gives_up = gives_up;
  SimRunResult all;
  uint64_t failures = 0;
  const absl::Time start = absl::Now();
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    const SimRunResult one = RunSeed(seed, options);
    all.answered += one.answered;
    all.moved_answers += one.moved_answers;
    all.crashes += one.crashes;
    all.lost_slots += one.lost_slots;
    all.given_up_slots += one.given_up_slots;
    all.trace_hash = (all.trace_hash ^ one.trace_hash) * 0x9E3779B97F4A7C15u;
    if (one.violation.empty()) continue;
    ADD_FAILURE() << one.violation;
    if (++failures == most_failures) return;
  }
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  std::cout << seeds << " seeds, " << static_cast<double>(seeds) / seconds << " a second; "
            << all.answered << " answers, " << all.moved_answers << " MOVED, " << all.crashes
            << " crashes, " << all.lost_slots << " slots lost, " << all.given_up_slots
            << " given up; all events: " << std::hex << all.trace_hash << std::dec << "\n";
}

TEST(ClusterSimTest, NothingIsLostOrSeenTwiceWhereNodesKeepTheirData) { RunSeeds(true); }

TEST(ClusterSimTest, NothingButTheSlotsOfDeadNodesIsLostWhereDataAreInMemory) { RunSeeds(false); }

TEST(ClusterSimTest, WhatIsGivenUpDoesNotReturnWhereNodesKeepTheirData) {
  RunSeeds(/*durable=*/true, /*gives_up=*/true);
}

TEST(ClusterSimTest, WhatIsGivenUpDoesNotReturnWhereDataAreInMemory) {
  RunSeeds(/*durable=*/false, /*gives_up=*/true);
}

// All others are given up while the table does not know yet that this one leaves.
TEST(ClusterSimTest, ANodeThatLeavesAsTheLastOneTakesItsSlotsWithIt) {
  SimRunOptions options;
  options.durable = options.gives_up = true;
  for (const uint64_t seed : {uint64_t{200885}, uint64_t{201285}}) {
    const SimRunResult result = RunSeed(seed, options);
    EXPECT_EQ(result.violation, "");
    EXPECT_GT(result.lost_slots, 0u);
  }
}

TEST(ClusterSimTest, ASeedRunsTheSameWayAgain) {
  for (const bool durable : {false, true}) {
    SimRunOptions options;
    options.durable = durable;
    options.operations = 400;
    EXPECT_EQ(RunSeed(7, options).trace_hash, RunSeed(7, options).trace_hash);
  }
}

}  // namespace
}  // namespace cluster
}  // namespace kvarts
