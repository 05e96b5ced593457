#include "base/thread.h"

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <set>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

// While it lives new threads want a larger stack than there is address space.
class NoThreads {
 public:
  NoThreads() {
    pthread_getattr_default_np(&before_);
    pthread_attr_t huge;
    pthread_attr_init(&huge);
    pthread_attr_setstacksize(&huge, size_t{1} << 50);
    pthread_setattr_default_np(&huge);
    pthread_attr_destroy(&huge);
  }
  ~NoThreads() {
    pthread_setattr_default_np(&before_);
    pthread_attr_destroy(&before_);
  }
  NoThreads(const NoThreads&) = delete;
  NoThreads& operator=(const NoThreads&) = delete;

 private:
  pthread_attr_t before_{};
};

TEST(ThreadTest, AThreadRuns) {
  std::atomic<bool> ran{false};
  auto thread = StartThread([&ran] { ran = true; });
  ASSERT_TRUE(thread.ok()) << thread.status();
  thread->join();
  EXPECT_TRUE(ran);
}

TEST(ThreadTest, AThreadThatCannotBeHadIsAnError) {
  const NoThreads none;
  const auto thread = StartThread([] {});
  ASSERT_FALSE(thread.ok());
  EXPECT_EQ(thread.status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(ThreadTest, ForkJoinCallsEachOnceOnItsOwnThread) {
  Mutex mu;
  std::multiset<int> calls;
  std::set<std::thread::id> threads;
  std::atomic<int> arrived{0};
  ForkJoin(4, [&](int i) {
    // Waits for all the others, so that no thread makes two calls.
    ++arrived;
    while (arrived < 4) std::this_thread::yield();
    MutexLock lock(&mu);
    calls.insert(i);
    threads.insert(std::this_thread::get_id());
  });
  EXPECT_EQ(calls, (std::multiset<int>{0, 1, 2, 3}));
  EXPECT_EQ(threads.size(), 4u);
  EXPECT_EQ(threads.count(std::this_thread::get_id()), 1u);
}

TEST(ThreadTest, ForkJoinWithoutThreadsMakesAllCallsItself) {
  const NoThreads none;
  std::vector<int> calls;
  ForkJoin(4, [&](int i) { calls.push_back(i); });
  EXPECT_EQ(calls, (std::vector<int>{0, 1, 2, 3}));
}

TEST(ThreadTest, ForkJoinOfNoneCallsNothing) {
  ForkJoin(0, [](int) { FAIL(); });
}

}  // namespace
}  // namespace kvarts
