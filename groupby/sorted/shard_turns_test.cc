#include "groupby/sorted/shard_turns.h"

#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace kvarts::groupby_internal {
namespace {

constexpr uint64_t kNone = ShardTurns::kNoSequence;

TEST(ShardTurnsTest, EachShardIsPassedInTheOrderOfTheSequence) {
  ShardTurns turns(2);
  ASSERT_EQ(turns.Enter(0b11, 0)->shard, 0u);
  // The first is somebody's; of the second it is not the turn of 1.
  ASSERT_EQ(turns.Enter(0b10, 0)->shard, 1u);
  turns.Leave(0, 0, /*passes=*/true);
  const auto next = turns.Enter(0b11, 1);
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(next->shard, 0u);
  EXPECT_FALSE(next->to_help);
  turns.Leave(1, 0, /*passes=*/false);
  EXPECT_EQ(turns.Enter(0b10, 0)->shard, 1u);
  turns.Leave(1, 0, /*passes=*/true);
  const absl::Status late = turns.Enter(0b10, 0).status();
  EXPECT_EQ(late.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(late.message(), "rows number 0 were added before, expected number 1");
}

TEST(ShardTurnsTest, WithoutASequenceAnyFreeShardIsTaken) {
  ShardTurns turns(3);
  EXPECT_EQ(turns.Enter(0b111, kNone)->shard, 0u);
  EXPECT_EQ(turns.Enter(0b111, kNone)->shard, 1u);
  EXPECT_EQ(turns.Enter(0b100, kNone)->shard, 2u);
  turns.Leave(1, 0, /*passes=*/false);
  EXPECT_EQ(turns.Enter(0b111, kNone)->shard, 1u);
}

TEST(ShardTurnsTest, WhoWaitsWhileOneIsWrittenWritesTheFullestOther) {
  ShardTurns turns(4);
  const size_t bytes[] = {1000, 760, 990, 740};
  for (size_t i = 0; i < 4; ++i) {
    ASSERT_EQ(turns.Enter(uint64_t{1} << i, 0)->shard, i);
    turns.Leave(i, bytes[i], /*passes=*/false);
  }
  ASSERT_EQ(turns.Enter(0b0001, 0)->shard, 0u);
  turns.BeginWrite(1000);
  // 1 has the turn of no shard.
  for (const size_t expected : {2, 1}) {
    const auto turn = turns.Enter(0b1111, 1);
    ASSERT_TRUE(turn.ok());
    EXPECT_TRUE(turn->to_help);
    EXPECT_EQ(turn->shard, expected);
    turns.Leave(turn->shard, 0, /*passes=*/false);
  }
  // Three quarters are worth it, and no less: now it waits.
  std::thread waiting([&] {
    const auto turn = turns.Enter(0b1111, 1);
    ASSERT_TRUE(turn.ok());
    EXPECT_FALSE(turn->to_help);
    EXPECT_EQ(turn->shard, 0u);
  });
  turns.EndWrite();
  turns.Leave(0, 0, /*passes=*/true);
  waiting.join();
}

TEST(ShardTurnsTest, WhoWaitsAlreadyIsSentToHelp) {
  ShardTurns turns(2);
  ASSERT_EQ(turns.Enter(0b10, 0)->shard, 1u);
  turns.Leave(1, 900, /*passes=*/false);
  ASSERT_EQ(turns.Enter(0b01, 0)->shard, 0u);
  std::thread waiting([&] {
    const auto turn = turns.Enter(0b11, 1);
    ASSERT_TRUE(turn.ok());
    EXPECT_TRUE(turn->to_help);
    EXPECT_EQ(turn->shard, 1u);
  });
  turns.BeginWrite(1000);
  waiting.join();
}

TEST(ShardTurnsTest, NobodyHelpsWhereNothingIsWritten) {
  ShardTurns turns(2);
  ASSERT_EQ(turns.Enter(0b01, 0)->shard, 0u);
  turns.Leave(0, 1000, /*passes=*/true);
  // Not 0, though it is full.
  EXPECT_FALSE(turns.Enter(0b11, 0).ok());
  EXPECT_EQ(turns.Enter(0b10, 0)->shard, 1u);
}

TEST(ShardTurnsTest, TheEndWakesAllAndIsTheFirst) {
  ShardTurns turns(2);
  std::vector<std::thread> threads;
  for (const uint64_t sequence : {1, 2, 5}) {
    threads.emplace_back([&, sequence] {
      EXPECT_EQ(turns.Enter(0b11, sequence).status(), absl::DataLossError("first"));
    });
  }
  EXPECT_TRUE(turns.End(absl::DataLossError("first")));
  EXPECT_FALSE(turns.End(absl::CancelledError("second")));
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(turns.end(), absl::DataLossError("first"));
  EXPECT_EQ(turns.Enter(0b11, 0).status(), absl::DataLossError("first"));
}

}  // namespace
}  // namespace kvarts::groupby_internal
