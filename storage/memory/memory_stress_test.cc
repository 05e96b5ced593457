// Everything at once, in little memory: reads, writes, batches, expiry, eviction, scans,
// statistics and snapshots, with a table that grows and shrinks. For ThreadSanitizer; and
// what is read must be whole at any time.
//
//   KVARTS_STRESS_SECONDS=600   a soak: afterwards memory must be what it was

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "storage/memory/memory.h"

namespace kvarts {
namespace {

constexpr int kPairs = 50;
constexpr int kCounters = 8;

// A value says itself how it goes on, so that a torn one is seen.
std::string ValueOf(uint64_t random) {
  return std::string(random % 300 == 0 ? 5000 + random % 5000 : random % 200,
                     static_cast<char>('a' + random % 26));
}
bool IsWhole(absl::string_view value) {
  return value.find_first_not_of(value.empty() ? 'x' : value[0]) == absl::string_view::npos;
}
std::string PairKey(uint64_t pair, int half) { return absl::StrCat("pair", pair, "-", half); }

class Stress {
 public:
  explicit Stress(Store* store) : store_(*store) {}

  void Run(absl::Duration at_least) {
    const absl::Time end = absl::Now() + at_least;
    std::vector<std::thread> threads;
    threads.emplace_back([this] { Loop(1, [this](uint64_t random) { Write(random); }); });
    threads.emplace_back([this] { Loop(2, [this](uint64_t random) { Write(random); }); });
    threads.emplace_back([this] { Loop(3, [this](uint64_t random) { Read(random); }); });
    threads.emplace_back([this] { Loop(4, [this](uint64_t random) { ReadPairs(random); }); });
    threads.emplace_back([this] { Loop(5, [this](uint64_t) { Scan(); }); });
    threads.emplace_back([this] { Loop(6, [this](uint64_t) { Save(); }); });
    while (absl::Now() < end || rounds_ < 20'000 || scans_ < 3 || saves_ < 3) {
      std::this_thread::yield();
      if (testing::Test::HasFailure()) break;
    }
    stop_ = true;
    for (std::thread& thread : threads) thread.join();
  }

 private:
  template <typename F>
  void Loop(uint64_t seed, F step) {
    std::mt19937_64 random(seed);
    while (!stop_) {
      step(random());
      ++rounds_;
    }
  }

  void Write(uint64_t random) {
    const std::string key = absl::StrCat("key", random % 20'000);
    WriteBatch batch;
    Metadata metadata;
    const std::string value = ValueOf(random >> 20);
    WriteOptions options;
    switch (random >> 32 & 7) {
      case 0:
        batch.Delete(key);
        break;
      case 1: {
        metadata.expiry = Metadata::Change::kSet;
        metadata.expires_at_ms =
            absl::ToUnixMillis(absl::Now()) + static_cast<int64_t>(random >> 40 & 63);
        batch.Put(key, value, metadata);
        break;
      }
      case 2: {
        // Both halves, or none.
        const uint64_t pair = (random >> 8) % kPairs;
        const std::string first = PairKey(pair, 0);
        const std::string second = PairKey(pair, 1);
        batch.Put(first, value);
        batch.Put(second, value);
        options.atomic = true;
        Check(store_.Write(batch, options, nullptr));
        return;
      }
      case 3: {
        const absl::Status status = store_.Modify(
            absl::StrCat("counter", random % kCounters), WriteOptions(),
            [](const ReadResult& current) -> absl::StatusOr<Modification> {
              return Modification::Put(std::string(current.value.size() % 40 + 1, 'c'));
            });
        Check(status);
        return;
      }
      case 4:
        if (random >> 44 & 15) break;
        // Half of the keys, or all of them, so that segments are merged again.
        if (random >> 48 & 15) {
          batch.DeleteRange("key1", "key2");
        } else {
          batch.DeleteRange("", "");
        }
        break;
      default:
        for (uint64_t i = 0; i < 10; ++i) batch.Put(key, value);
    }
    Check(store_.Write(batch, options, nullptr));
  }

  void Read(uint64_t random) {
    thread_local ReadResults results;
    ReadOptions options;
    options.stamp = (random >> 50 & 31) == 0;
    store_.Read(absl::StrCat("key", random % 20'000), options, &results);
    Check(results[0].status);
    EXPECT_TRUE(IsWhole(results[0].value));
  }

  void ReadPairs(uint64_t random) {
    thread_local ReadResults results;
    std::vector<std::string> names;
    for (uint64_t i = 0; i < 8; ++i) {
      names.push_back(PairKey((random + i) % kPairs, 0));
      names.push_back(PairKey((random + i) % kPairs, 1));
    }
    const std::vector<absl::string_view> keys(names.begin(), names.end());
    store_.MultiGet(keys, ReadOptions(), &results);
    for (size_t i = 0; i < keys.size(); i += 2) {
      // One of them may have been evicted.
      if (!results[i].found || !results[i + 1].found) continue;
      EXPECT_EQ(results[i].value, results[i + 1].value) << keys[i];
    }
  }

  void Scan() {
    auto cursor = store_.NewCursor(ScanOptions());
    ASSERT_TRUE(cursor.ok());
    ScanPage page;
    do {
      Check((*cursor)->Next(PageLimits{100, 1 << 20}, &page));
      for (const ScanEntry& entry : page) EXPECT_TRUE(IsWhole(entry.value)) << entry.key;
    } while (!page.empty() && !stop_);
    Check(store_.Stats().status());
    ++scans_;
  }

  void Save() {
    Check(store_.Sync());
    ++saves_;
  }

  static void Check(const absl::Status& status) {
    EXPECT_TRUE(status.ok() || absl::IsResourceExhausted(status)) << status;
  }

  Store& store_;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> rounds_{0}, scans_{0}, saves_{0};
};

int64_t ResidentBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) return std::atoll(line.c_str() + 6) * 1024;
  }
  return 0;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kOwnHeap = true;  // the sanitizer's, which keeps what is freed for a while
#else
constexpr bool kOwnHeap = false;
#endif

// Values above 4 KiB are on the heap. What they leave there goes back to the system, though
// small things that stay lie between and behind them.
TEST(ResidentMemoryTest, OfLargeValuesThatWereDeletedComesBack) {
  constexpr int kValues = 4000;
  const auto key = [](int i) { return absl::StrCat("key", i); };
  for (const bool one_by_one : {false, true}) {
    const auto store = NewMemoryStore();
    std::vector<std::string> stays;
    const int64_t before = ResidentBytes();
    // A thread of its own, as a server's loops are: its heap is not the first one.
    std::thread([&] {
      for (int i = 0; i < kValues; ++i) {
        ASSERT_TRUE(store->Put(key(i), std::string(20'000, 'v')).ok());
        if (i % 100 == 0) stays.emplace_back(100, 's');
      }
      stays.emplace_back(100, 's');
    }).join();
    const int64_t full = ResidentBytes() - before;
    std::thread([&] {
      if (one_by_one) {
        for (int i = 0; i < kValues; ++i) ASSERT_TRUE(store->Delete(key(i)).ok());
      } else {
        WriteBatch all;
        all.DeleteRange("", "");
        ASSERT_TRUE(store->Write(all, {}, nullptr).ok());
      }
    }).join();
    if (kOwnHeap) continue;
    EXPECT_GT(full, kValues * 20'000);
    EXPECT_LT(ResidentBytes() - before, full / 4) << (one_by_one ? "one by one" : "a range");
  }
}

class MemoryStressTest : public testing::TestWithParam<bool> {};

INSTANTIATE_TEST_SUITE_P(Limits, MemoryStressTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Evicting" : "Unlimited"; });

TEST_P(MemoryStressTest, EverythingAtOnce) {
  MemoryOptions options;
  if (GetParam()) {
    options.max_memory = 3 << 20;
    options.evict = MemoryOptions::Evict::kS3Fifo;
  }
  options.snapshot_path = testing::TempDir() + "/stress.snapshot";
  auto store = OpenMemoryStore(options);
  ASSERT_TRUE(store.ok()) << store.status();
  const char* const seconds = std::getenv("KVARTS_STRESS_SECONDS");
  Stress(store->get()).Run(absl::Seconds(2));
  const int64_t before = ResidentBytes();
  if (seconds != nullptr) Stress(store->get()).Run(absl::Seconds(std::atoi(seconds)));
  EXPECT_LT(ResidentBytes(), before + (16 << 20));
  EXPECT_TRUE((*store)->Close().ok());
  // What was saved last can be loaded.
  store->reset();
  const auto again = OpenMemoryStore(options);
  EXPECT_TRUE(again.ok()) << again.status();
}

}  // namespace
}  // namespace kvarts
