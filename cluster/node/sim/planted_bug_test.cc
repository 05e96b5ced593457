#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

#include "absl/strings/numbers.h"
#include "cluster/node/sim/sim_run.h"

namespace kvarts {
namespace cluster {
namespace {

TEST(PlantedBugTest, IsFoundWithin2000Seeds) {
  uint64_t seeds = 2000;
  const char* const text = std::getenv("KVARTS_SIM_SEEDS");
  if (text != nullptr) ASSERT_TRUE(absl::SimpleAtoi(text, &seeds));
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    for (const bool durable : {true, false}) {
      SimRunOptions options;
      options.durable = durable;
      const std::string violation = RunSeed(seed, options).violation;
      if (violation.empty()) continue;
      std::cout << "found: " << violation.substr(0, violation.find('\n')) << "\n";
      return;
    }
  }
  FAIL() << "not found by " << seeds << " seeds in either mode";
}

}  // namespace
}  // namespace cluster
}  // namespace kvarts
