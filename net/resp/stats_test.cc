// What is counted of commands and errors, and how much a second.

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/resp/command_stats.h"
#include "net/resp/rates.h"

namespace kvarts {
namespace resp {
namespace {

TEST(CommandStatsTest, ThreadsAreSummedUp) {
  CommandStats stats(3);
  std::vector<std::thread> threads;
  // More than have a place of their own.
  for (int i = 0; i < 80; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 1000; ++j) {
        CommandStats::Place* const place = stats.MyPlace();
        place->Add(1, 2, 1, 4000);
        place->Reject(2);
        place->AddTotals({3, 0, 2, 1});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::vector<CommandCounts> counts = stats.Collect();
  EXPECT_EQ(counts[0].calls, 0u);
  EXPECT_EQ(counts[1].calls, 160000u);
  EXPECT_EQ(counts[1].failed, 80000u);
  EXPECT_EQ(counts[1].nanos, 320000000u);
  EXPECT_EQ(counts[1].times[1], 160000u);  // each took 2000 ns
  EXPECT_EQ(counts[2].rejected, 80000u);
  EXPECT_EQ(stats.totals().commands, 240000u);

  stats.Reset();
  stats.MyPlace()->Add(1, 1, 0, 100);
  stats.MyPlace()->AddTotals({1, 0, 1, 0});
  EXPECT_EQ(stats.Collect()[1].calls, 1u);
  EXPECT_EQ(stats.Collect()[1].nanos, 100u);
  EXPECT_EQ(stats.Collect()[1].times[0], 1u);
  EXPECT_EQ(stats.Collect()[2].rejected, 0u);
  EXPECT_EQ(stats.TotalsSinceReset().hits, 1u);
  EXPECT_EQ(stats.TotalsSinceReset().misses, 0u);
  EXPECT_EQ(stats.totals().misses, 80000u);
}

TEST(CommandStatsTest, TimesHaveBoundsOfPowersOfTwo) {
  CommandStats stats(1);
  for (const int64_t nanos : {int64_t{-5}, int64_t{1024}, int64_t{1025}, int64_t{2048},
                              int64_t{2049}, int64_t{1} << 60}) {
    stats.MyPlace()->Add(0, 1, 0, nanos);
  }
  const CommandCounts counts = stats.Collect()[0];
  EXPECT_EQ(counts.times[0], 2u);
  EXPECT_EQ(counts.times[1], 2u);
  EXPECT_EQ(counts.times[2], 1u);
  EXPECT_EQ(counts.times.back(), 1u);
}

TEST(ErrorStatsTest, TheNamesAreBounded) {
  ErrorStats stats;
  for (size_t i = 0; i < 2 * ErrorStats::kMostCodes; ++i) {
    stats.Add({1, {{absl::StrCat("CODE", i), 1}}});
  }
  stats.Add({2, {{"CODE0", 2}}});
  uint64_t sum = 0;
  uint64_t others = 0;
  for (const auto& [code, count] : stats.Collect()) {
    sum += count;
    if (code == "CODE0") {
      EXPECT_EQ(count, 3u);
    }
    if (code == "OTHER") others = count;
  }
  EXPECT_EQ(sum, 2 * ErrorStats::kMostCodes + 2);
  EXPECT_EQ(others, ErrorStats::kMostCodes);
  EXPECT_EQ(stats.Collect().size(), ErrorStats::kMostCodes + 1);
  stats.Reset();
  EXPECT_TRUE(stats.Collect().empty());
}

constexpr int64_t kSecond = 1000000000;

TEST(RatesTest, TheyAreOfTheLastSeconds) {
  Rates rates(0);
  EXPECT_EQ(rates.Now(0, {}).commands, 0);
  EXPECT_DOUBLE_EQ(rates.Now(kSecond / 2, {50, 2048, 100}).commands, 100);
  // A thousand a second for ten seconds, then a hundred.
  uint64_t commands = 0;
  int64_t now = 0;
  for (int tenth = 0; tenth < 130; ++tenth) {
    now += kSecond / 10;
    commands += tenth < 100 ? 100 : 10;
    EXPECT_TRUE(rates.IsDue(now));
    rates.Sample(now, {commands, 2 * commands, 3 * commands});
    EXPECT_FALSE(rates.IsDue(now + 1));
    rates.Sample(now + 1, {0, 0, 0});  // too soon: it is none
  }
  const Rates::PerSecond last =
      rates.Now(now + kSecond / 10, {commands + 10, 0, 3 * commands + 30});
  EXPECT_NEAR(last.commands, 100, 1);
  EXPECT_EQ(last.bytes_in, 0);  // fewer than there were: another thread was ahead
  EXPECT_NEAR(last.bytes_out, 300, 3);
  // Nobody took samples while nothing happened: what came since is of the last moment.
  EXPECT_NEAR(rates.Now(now + 100 * kSecond, {commands + 10, 0, 0}).commands, 10 / 1.7, 0.001);
}

}  // namespace
}  // namespace resp
}  // namespace kvarts
