#include "storage/sstable/commit_queue.h"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace kvarts::sstable {
namespace {

// A queue whose first group begins when it is let go, and whose groups take `group_time` of a clock
// that stands still else, or goes on by `tick` when it is looked at.
class Groups {
 public:
  explicit Groups(absl::Duration group_time, absl::Duration tick = absl::ZeroDuration())
      : group_time_(group_time),
        tick_(tick),
        queue_([this](absl::Span<Commit* const> group) { Work(group); },
               [this] { return Time(); }) {
    EXPECT_TRUE(queue_.StartThread().ok());
  }

  void Submit(std::function<void()> done = [] {}) {
    auto commit = std::make_unique<Commit>();
    commit->done = [done = std::move(done)](const absl::Status&) { done(); };
    order_.push_back(commit.get());
    queue_.Submit(std::move(commit));
  }
  void Call() {
    Commit commit;
    queue_.Call(&commit);
  }
  // The first group, of one call, has begun and waits.
  void AwaitFirst() { begun_.WaitForNotification(); }
  void LetGo() { go_.Notify(); }

  // Carries out all there is.
  const std::vector<size_t>& Sizes() {
    queue_.Stop();
    return sizes_;
  }
  const std::vector<const Commit*>& order() const { return order_; }
  const std::vector<const Commit*>& carried_out() const { return carried_out_; }

 private:
  void Work(absl::Span<Commit* const> group) {
    if (sizes_.empty()) {
      begun_.Notify();
      go_.WaitForNotification();
    }
    sizes_.push_back(group.size());
    carried_out_.insert(carried_out_.end(), group.begin(), group.end());
    now_us_ += absl::ToInt64Microseconds(group_time_);
  }
  absl::Duration Time() { return absl::Microseconds(now_us_ += absl::ToInt64Microseconds(tick_)); }

  const absl::Duration group_time_;
  const absl::Duration tick_;
  std::atomic<int64_t> now_us_{0};
  absl::Notification begun_;
  absl::Notification go_;
  std::vector<size_t> sizes_;
  std::vector<const Commit*> order_;
  std::vector<const Commit*> carried_out_;
  CommitQueue queue_;
};

TEST(CommitQueueTest, WhatComesDuringAGroupIsTheNextOneInItsOrder) {
  Groups groups(absl::ZeroDuration());
  groups.Submit();
  groups.AwaitFirst();
  for (int i = 0; i < 50; ++i) groups.Submit();
  groups.LetGo();
  EXPECT_EQ(groups.Sizes(), (std::vector<size_t>{1, 50}));
  EXPECT_EQ(groups.carried_out(), groups.order());
}

TEST(CommitQueueTest, AfterALongGroupTheNextOneWaitsForAllWhoWrite) {
  Groups groups(absl::Milliseconds(10));
  // Each call comes when the group before it is answered: who comes earlier counts twice.
  absl::BlockingCounter first(1);
  absl::BlockingCounter second(4);
  groups.Submit([&] { first.DecrementCount(); });
  groups.AwaitFirst();
  for (int i = 0; i < 3; ++i) groups.Submit([&] { second.DecrementCount(); });
  groups.LetGo();
  first.Wait();
  groups.Submit([&] { second.DecrementCount(); });
  second.Wait();
  // Four write. In each round they come one by one.
  constexpr size_t kRounds = 20;
  for (size_t round = 0; round < kRounds; ++round) {
    absl::BlockingCounter done(4);
    for (int i = 0; i < 4; ++i) {
      std::this_thread::yield();
      groups.Submit([&] { done.DecrementCount(); });
    }
    done.Wait();
  }
  std::vector<size_t> sizes(2 + kRounds, 4);
  sizes[0] = 1;
  EXPECT_EQ(groups.Sizes(), sizes);
}

TEST(CommitQueueTest, ItWaitsForAPartOfTheTimeAtTheMost) {
  Groups groups(absl::Milliseconds(10), absl::Microseconds(100));
  groups.Submit();
  groups.AwaitFirst();
  for (int i = 0; i < 9; ++i) groups.Submit();
  groups.LetGo();
  // Ten wrote, and one goes on.
  for (int i = 0; i < 3; ++i) groups.Call();
  const std::vector<size_t>& sizes = groups.Sizes();
  size_t all = 0;
  for (const size_t size : sizes) all += size;
  EXPECT_EQ(all, 13u);
  EXPECT_EQ(sizes.back(), 1u);
}

}  // namespace
}  // namespace kvarts::sstable
