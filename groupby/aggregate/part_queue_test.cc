#include "groupby/aggregate/part_queue.h"

#include <atomic>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "groupby/aggregate/aggregate_model.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"

namespace kvarts::groupby_internal {
namespace {

class PartQueueTest : public testing::Test {
 protected:
  PartQueueTest() {
    AggregationOptions options;
    options.memory_bytes = 1 << 20;
    options.fs = &fs_;
    options.temp_dir = "/temp";
    EXPECT_TRUE(fs_.CreateDir("/temp").ok());
    core_ = AggregationCore::New(options, SpecsOf("count", 1)).value();
    queue_ = std::make_unique<PartQueue>(core_.get());
  }
  HashPart Take() {
    HashPart part;
    EXPECT_TRUE(queue_->Take(&part));
    return part;
  }

  MemoryFileSystem fs_;
  std::shared_ptr<AggregationCore> core_;
  std::unique_ptr<PartQueue> queue_;
};

TEST_F(PartQueueTest, GivesPartsInOrderAndTheFirstIsTheCurrentOne) {
  const HashPart first = Take();
  const HashPart second = Take();
  EXPECT_EQ(first.first, 0u);
  EXPECT_EQ(first.end(), second.first);
  EXPECT_TRUE(queue_->IsCurrent(first.first));
  EXPECT_FALSE(queue_->IsCurrent(second.first));
  queue_->Done(first.first, 0);
  EXPECT_TRUE(queue_->IsCurrent(second.first));
  queue_->Done(second.first, 0);
  HashPart part;
  uint64_t end = second.end();
  for (size_t i = 2; i < core_->parts(); ++i) {
    ASSERT_TRUE(queue_->Take(&part));
    EXPECT_EQ(part.first, end);
    end = part.end();
    queue_->Done(part.first, 0);
  }
  EXPECT_EQ(end, 0u);
  EXPECT_FALSE(queue_->Take(&part));
}

TEST_F(PartQueueTest, ThoseAheadAreGivenBackToTheCurrentOne) {
  const HashPart first = Take();
  HashPart ahead = Take();
  const uint64_t begin = ahead.first;
  std::atomic<bool> given_back{false};
  std::thread other([&] {
    EXPECT_FALSE(queue_->WaitForTurn(begin));
    EXPECT_TRUE(queue_->IsRevoked(begin));
    given_back = true;
    queue_->GiveBack(std::move(ahead));
  });
  queue_->Revoke();
  EXPECT_TRUE(given_back);
  other.join();
  EXPECT_FALSE(queue_->IsRevoked(begin));
  // Nothing is begun ahead until the current one is done.
  std::thread next([&] {
    HashPart part;
    EXPECT_TRUE(queue_->Take(&part));
    EXPECT_EQ(part.first, begin);
    EXPECT_TRUE(queue_->IsCurrent(begin));
  });
  queue_->Done(first.first, 0);
  next.join();
}

TEST_F(PartQueueTest, WhoKeepsAPartOrHasItsTurnIsNotWaitedFor) {
  const HashPart first = Take();
  const HashPart second = Take();
  const HashPart third = Take();
  queue_->Keep(third.first);
  queue_->Done(first.first, 0);
  EXPECT_TRUE(queue_->WaitForTurn(second.first));
  queue_->Revoke();  // would never return
  queue_->Done(third.first, 0);
  queue_->Done(second.first, 0);
}

TEST_F(PartQueueTest, APartThatIsDividedIsReplaced) {
  const HashPart first = Take();
  const HashPart second = Take();
  std::vector<HashPart> parts(2);
  for (size_t i = 0; i < 2; ++i) {
    parts[i].used_bits = first.used_bits + 1;
    parts[i].first = uint64_t{i} << (64 - parts[i].used_bits);
  }
  queue_->Divide(first.first, std::move(parts));
  const HashPart half = Take();
  EXPECT_EQ(half.first, 0u);
  EXPECT_EQ(half.used_bits, first.used_bits + 1);
  EXPECT_TRUE(queue_->IsCurrent(0));
  const HashPart other = Take();
  EXPECT_EQ(other.first, half.end());
  EXPECT_EQ(other.end(), second.first);
}

TEST_F(PartQueueTest, AnErrorEndsAllWaiting) {
  std::vector<HashPart> parts(core_->parts());
  for (HashPart& part : parts) part = Take();
  std::thread takes([&] {
    HashPart part;
    EXPECT_FALSE(queue_->Take(&part));
  });
  std::thread waits([&] { EXPECT_FALSE(queue_->WaitForTurn(parts[2].first)); });
  core_->Fail(absl::CancelledError("cancelled")).IgnoreError();
  queue_->WakeAll();
  takes.join();
  waits.join();
  queue_->Revoke();  // has nobody to wait for
}

}  // namespace
}  // namespace kvarts::groupby_internal
