#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "groupby/testing/grouping_suite.h"

namespace kvarts {
namespace {

// All against std::map.
TEST_P(GroupingSuite, GroupsAreThoseOfAMapForEveryShapeAndBudget) {
  for (uint8_t shape = 0; shape < static_cast<uint8_t>(RowShape::kEnd); ++shape) {
    for (const size_t bytes : {500, 300'000, 2'500'000}) {
      for (const size_t memory : {kSmall, 5 * kSmall / 3}) {
        if (kFewerRounds > 1 && memory != kSmall) continue;
        const SuiteRows rows = MakeSuiteRows(static_cast<RowShape>(shape), bytes, shape);
        GroupingStats stats;
        const absl::Status status = GroupAndCheck(Options(memory), rows, &stats);
        ASSERT_TRUE(status.ok() && !HasFailure())
            << status << " shape " << static_cast<RowShape>(shape) << ", " << bytes
            << " bytes, memory " << memory;
        EXPECT_EQ(stats.rows, rows.size());
        EXPECT_EQ(stats.groups, GroupsOf(rows).size());
        EXPECT_LE(stats.peak_memory, memory);
        ExpectNothingLeft();
      }
    }
  }
}

TEST_P(GroupingSuite, GroupsAreThoseOfAMapAtRandom) {
  const uint64_t seed = std::random_device()();
  std::cerr << "seed " << seed << "\n";
  std::mt19937_64 random(seed);
  for (int round = 0; round < SuiteRounds(25); ++round) {
    SCOPED_TRACE(absl::StrCat("seed ", seed, " round ", round));
    // Some shapes one behind the other.
    SuiteRows rows;
    for (uint64_t parts = 1 + random() % 3; parts > 0; --parts) {
      const auto shape = static_cast<RowShape>(random() % static_cast<size_t>(RowShape::kEnd));
      const SuiteRows some = MakeSuiteRows(shape, random() % 2'000'000, random());
      rows.insert(rows.end(), some.begin(), some.end());
    }
    GroupingOptions options = Options(kSmall + random() % (2 * kSmall));
    if (random() % 2 == 0) options.threads = 1 + static_cast<int>(random() % 4);
    if (random() % 3 == 0) options.max_hash_entries = 1 + rows.size() / (1 + random() % 50);
    if (random() % 3 == 0) options.max_open_runs = 2 + static_cast<int>(random() % 5);
    const absl::Status status = GroupAndCheck(options, rows);
    ASSERT_TRUE(status.ok()) << status;
    ExpectNothingLeft();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace kvarts
