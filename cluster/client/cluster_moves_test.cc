// Slots that move back and forth while four threads read, write and scan.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <iostream>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "cluster/client/test_cluster.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

// At the least, of each.
constexpr int kMoves = 150;
constexpr int kSteps = 150;
constexpr int kScans = 20;
constexpr int kStable = 300;
constexpr int kCounters = 5;
constexpr int kOwn = 40;

// Thread-safe. Lets slots move only after something else was done: else nothing else would be.
class Pace {
 public:
  void Tick() {
    MutexLock lock(&mu_);
    ++ticks_;
    changed_.SignalAll();
  }
  void End() {
    MutexLock lock(&mu_);
    ended_ = true;
    changed_.SignalAll();
  }
  void AwaitTick() {
    MutexLock lock(&mu_);
    const uint64_t before = ticks_;
    while (ticks_ == before && !ended_) changed_.Wait(&mu_);
  }

 private:
  Mutex mu_;
  CondVar changed_;
  uint64_t ticks_ ABSL_GUARDED_BY(mu_) = 0;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
};

// A writer's keys are its own: what it wrote last is what is there. The counters are everybody's.
struct Writer {
  void Step(Store& store) {
    std::vector<std::string> keys;
    WriteBatch batch;
    const std::string first = absl::StrCat(round, " a");
    const std::string last = absl::StrCat(round, " b");
    for (int i = 0; i < kOwn; ++i) keys.push_back(absl::StrCat("own", number, "/", i));
    // Each key twice: the second one must stay on top.
    for (const std::string& key : keys) batch.Put(key, first);
    for (const std::string& key : keys) batch.Put(key, last);
    const absl::Status status = store.Write(batch, {}, nullptr);
    ASSERT_TRUE(status.ok()) << status;
    ReadResults results;
    store.MultiGet(std::vector<absl::string_view>(keys.begin(), keys.end()), {}, &results);
    for (const ReadResult& result : results) {
      ASSERT_TRUE(result.status.ok()) << result.status;
      ASSERT_TRUE(result.found);
      ASSERT_EQ(result.value, last);
    }
    const absl::Status added =
        store.Modify(absl::StrCat("counter", round % kCounters), {},
                     [](const ReadResult& now) -> absl::StatusOr<Modification> {
                       int n = 0;
                       if (now.found && !absl::SimpleAtoi(now.value, &n))
                         return absl::DataLossError("no number");
                       return Modification::Put(absl::StrCat(n + 1));
                     });
    ASSERT_TRUE(added.ok()) << added;
    ++round;
  }

  int number = 0;
  int round = 0;
};

void ScanOnce(Store& store, bool keys_only, Pace* pace) {
  ScanOptions options;
  options.range = KeyRange::Prefix("stable");
  options.keys_only = keys_only;
  auto cursor = store.NewCursor(options);
  ASSERT_TRUE(cursor.ok()) << cursor.status();
  std::set<std::string> seen;
  ScanPage page;
  do {
    const absl::Status status = (*cursor)->Next({25, 1 << 20}, &page);
    ASSERT_TRUE(status.ok()) << status;
    for (const ScanEntry& entry : page) {
      seen.insert(std::string(entry.key));
      ASSERT_EQ(entry.value, keys_only ? "" : "value");
    }
    pace->Tick();
  } while (!page.empty());
  ASSERT_EQ(seen.size(), static_cast<size_t>(kStable));
}

TEST(ClusterMovesTest, NothingIsLostMissedOrAnErrorWhileSlotsMove) {
  TestCluster cluster(3);
  for (int i = 0; i < kStable; ++i) cluster.Put(absl::StrCat("stable", i), "value");
  const auto store = cluster.MustOpen();
  std::atomic<bool> moving{true};
  Pace pace;
  std::atomic<int> scans{0};
  std::atomic<int> steps{0};
  Writer writers[3];
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    writers[i].number = i;
    threads.emplace_back([&, i] {
      do {
        writers[i].Step(*store);
        ++steps;
        pace.Tick();
      } while (moving && !testing::Test::HasFatalFailure());
      pace.End();
    });
  }
  threads.emplace_back([&] {
    do {
      ScanOnce(*store, scans % 2 == 0, &pace);
      ++scans;
    } while (moving && !testing::Test::HasFatalFailure());
    pace.End();
  });
  std::minstd_rand random(7);
  int moves = 0;
  for (; (moves < kMoves || steps < kSteps || scans < kScans) && !testing::Test::HasFatalFailure();
       ++moves) {
    const int first = static_cast<int>(random() % kSlots);
    const int last = std::min(kSlots - 1, first + static_cast<int>(random() % 3000));
    cluster.Move({static_cast<uint16_t>(first), static_cast<uint16_t>(last)},
                 static_cast<int>(random() % 3));
    pace.AwaitTick();
  }
  moving = false;
  for (std::thread& thread : threads) thread.join();
  int counted = 0;
  for (int i = 0; i < kCounters; ++i) {
    const auto value = store->Get(absl::StrCat("counter", i));
    int n = 0;
    if (value.ok() && value->has_value()) {
      ASSERT_TRUE(absl::SimpleAtoi(**value, &n));
    }
    counted += n;
  }
  EXPECT_EQ(counted, steps);
  std::cout << steps << " steps and " << scans << " scans beside " << moves << " moves\n";
}

}  // namespace
}  // namespace kvarts
