// The real kv_server under clients of all kinds at once, the rude ones too, over all
// protocols: what they are answered is right all the while, and what the server holds does
// not grow: memory, descriptors, threads.
//
//   ./bazelw test //apps:kv_server_soak_test --test_env=KVARTS_SOAK_SECONDS=600
//       --test_timeout=1000 --test_output=all     a soak, with its figures

#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "apps/testing/programs.h"
#include "apps/testing/soak/connections.h"
#include "apps/testing/soak/soak.h"
#include "apps/testing/soak/values.h"
#include "apps/testing/soak/watch.h"
#include "gtest/gtest.h"

namespace kvarts::soak {
namespace {

constexpr absl::Duration kSampleInterval = absl::Milliseconds(50);

// Of the cache's resident memory: its entries may take 32 MiB. Beside them there are the
// program, notes and images of a snapshot (16 MiB each at most), up to 8 MiB of answers for
// each of two clients that do not read, and what the heap loses between large values.
constexpr int64_t kMostResidentKib = (32 + 96) << 10;
// When all was deleted: the program, what the heap keeps for who asks again, and 2 MiB of
// extents.
constexpr int64_t kMostEmptyKib = 32 << 10;
// The most of the last third of the time beside the most of the second.
constexpr int64_t kMostGrowthKib = 8 << 10;

class KvServerSoakTest : public testing::Test {
 protected:
  static std::vector<std::string> Command(const std::string& snapshot,
                                          const std::vector<std::string>& more) {
    std::vector<std::string> command = {
        "apps/kv_server",
        absl::StrCat("--store=memory:?snapshot=", snapshot, "&save_on_exit=1"),
        "--threads=2",
        "--listen=tcp://127.0.0.1:0",
        "--resp=127.0.0.1:0",
        "--http=127.0.0.1:0"};
    command.insert(command.end(), more.begin(), more.end());
    return command;
  }
  ~KvServerSoakTest() override {
    if (!HasFailure() || cache_ == nullptr || ledger_ == nullptr) return;
    absl::PrintF("the cache said: %s\nthe ledger said: %s\n", cache_->process.Errors(),
                 ledger_->process.Errors());
  }
  void Start() {
    cache_ = std::make_unique<TestServer>(
        Command("cache", {"--max_memory=32MiB", "--evict=s3fifo"}), dir_);
    ledger_ = std::make_unique<TestServer>(Command("ledger", {}), dir_);
    ASSERT_NE(cache_->http, "") << cache_->process.Errors();
    ASSERT_NE(ledger_->http, "") << ledger_->process.Errors();
  }
  // With connections that say nothing, and one that has said half of something.
  void Stop() {
    RespConnection idle(cache_->resp, dir_);
    EXPECT_EQ(idle.Ask({"PING"}).text, "PONG");
    TestSocket half(cache_->resp, dir_);
    half.Send("*2\r\n$3\r\nGE");
    TestSocket http(cache_->http, dir_);
    for (TestServer* const server : {cache_.get(), ledger_.get()}) {
      server->process.Signal(SIGTERM);
      EXPECT_EQ(server->process.Wait(), 0) << server->process.Errors();
    }
  }
  void FillLedger() {
    RespConnection ledger(ledger_->resp, dir_);
    EXPECT_EQ(ledger.Ask({"SET", kSharedCounter, "0"}).text, "OK");
    for (uint64_t i = 0; i < kStays; ++i) {
      const std::string key = StayingKey(i);
      EXPECT_EQ(ledger.Ask({"SET", key, ValueOf(key, 1, 300)}).text, "OK");
    }
  }
  void CheckLedger(const Soak& soak) {
    RespConnection ledger(ledger_->resp, dir_);
    EXPECT_EQ(ledger.Ask({"GET", kSharedCounter}).text, absl::StrCat(soak.added.load()));
    for (uint64_t i = 0; i < soak.ledger_counters.size(); ++i) {
      EXPECT_EQ(ledger.Ask({"GET", CounterKey(i)}).text, absl::StrCat(soak.ledger_counters[i]));
    }
    for (uint64_t i = 0; i < kStays; ++i) {
      const std::string key = StayingKey(i);
      EXPECT_EQ(ledger.Ask({"GET", key}).text, ValueOf(key, 1, 300));
    }
  }
  // All that is there is right.
  void CheckCache() {
    RespConnection cache(cache_->resp, dir_);
    std::string cursor = "0";
    uint64_t keys = 0;
    do {
      const Reply page = cache.Ask({"SCAN", cursor, "COUNT", "1000"});
      ASSERT_EQ(page.items.size(), 2u) << page.text;
      cursor = page.items[0].text;
      for (const Reply& key : page.items[1].items) {
        if (absl::StartsWith(key.text, "counter-")) continue;
        const Reply value = cache.Ask({"GET", key.text});
        CheckValue("at the end", key.text, !value.is_null(), value.text);
        ++keys;
      }
    } while (cursor != "0");
    absl::PrintF("  keys of the cache, loaded again: %d\n", keys);
  }

  // And what was full is small again.
  void Flush() {
    RespConnection cache(cache_->resp, dir_);
    EXPECT_EQ(cache.Ask({"FLUSHALL"}).text, "OK");
    const int64_t resident = HeldBy(cache_->process.pid()).resident_kib;
    absl::PrintF("  resident, after FLUSHALL: %.1f MiB\n", static_cast<double>(resident) / 1024);
    if (!kSanitized) {
      EXPECT_LE(resident, kMostEmptyKib);
    }
  }

  bool HasEvicted() {
    RespConnection cache(cache_->resp, dir_);
    return !absl::StrContains(cache.Ask({"INFO"}).text, "\nevicted_keys:0\r");
  }

  // All clients at once, for so long and until all keys were gone over once more. For
  // warming up, without `memory`, until the cache is full.
  void Round(absl::Duration at_least, uint64_t seed, Soak* soak, ResidentMemory* memory) {
    soak->stop = false;
    const uint64_t scans = soak->full_scans + 2;
    std::vector<std::thread> threads;
    for (void (*const drive)(uint64_t, Soak*) :
         {DrivePipelines, DrivePipelines, DriveTransactions, DriveCounters, DriveScans, DriveHttp,
          DriveNative, Disturb}) {
      threads.emplace_back(drive, seed++, soak);
    }
    const absl::Time start = absl::Now();
    const auto is_enough = [&] {
      return absl::Now() > start + at_least && soak->full_scans >= scans &&
             (memory != nullptr || kSanitized || HasEvicted());
    };
    while (soak->goes_on() && !is_enough()) {
      const Held held = HeldBy(cache_->process.pid());
      if (memory != nullptr) memory->Add(held.resident_kib);
      if (!kSanitized) {
        EXPECT_LE(held.resident_kib, kMostResidentKib);
      }
      EXPECT_LT(absl::Now() - start, at_least + absl::Seconds(kHangingSeconds)) << "it hangs";
      absl::SleepFor(kSampleInterval);  // its pace
    }
    soak->stop = true;
    for (std::thread& thread : threads) thread.join();
  }

  void PrintFigures(const Soak& soak, const ResidentMemory& memory, const Held& before) {
    const Held after = HeldBy(cache_->process.pid());
    RespConnection cache(cache_->resp, dir_);
    const std::string info = cache.Ask({"INFO"}).text;
    absl::PrintF("%s", soak.tally.ToString());
    for (const absl::string_view line : absl::StrSplit(info, "\r\n")) {
      for (const char* const name : {"used_memory:", "evicted_keys:", "keyspace_hits:",
                                     "keyspace_misses:", "total_connections_received:", "db0:"}) {
        if (absl::StartsWith(line, name)) absl::PrintF("  cache, %s\n", line);
      }
    }
    absl::PrintF("  descriptors: %d before, %d after; threads: %d, %d\n", before.descriptors,
                 after.descriptors, before.threads, after.threads);
    for (int third = 0; third < 3; ++third) {
      const ResidentMemory::Range range = memory.OfThird(third);
      absl::PrintF("  resident, third %d: %.1f to %.1f MiB\n", third + 1,
                   static_cast<double>(range.least) / 1024, static_cast<double>(range.most) / 1024);
    }
  }

  const std::string dir_ = TestDirectory();
  std::unique_ptr<TestServer> cache_;
  std::unique_ptr<TestServer> ledger_;
};

absl::Duration SoakTime() {
  const char* const seconds = std::getenv("KVARTS_SOAK_SECONDS");
  return absl::Seconds(seconds != nullptr ? std::atoi(seconds) : 5);
}

TEST_F(KvServerSoakTest, EverythingAtOnceLeavesNothingBehind) {
  Start();
  if (HasFatalFailure()) return;
  TestServer* const servers[] = {cache_.get(), ledger_.get()};
  Held before[] = {HeldBy(cache_->process.pid()), HeldBy(ledger_->process.pid())};
  // The one that removes what has expired begins with the first that may.
  for (Held& held : before) ++held.threads;
  FillLedger();
  Soak soak(*cache_, *ledger_, dir_);
  ResidentMemory memory;
  const absl::Duration round =
      std::clamp(SoakTime() / 6, absl::Milliseconds(500), absl::Seconds(20));
  // The first is for warming up.
  const auto rounds = static_cast<uint64_t>(SoakTime() / round) + 1;
  for (uint64_t i = 0; i < rounds && !HasFailure(); ++i) {
    Round(round, i * 100, &soak, i == 0 ? nullptr : &memory);
    CheckLedger(soak);
    for (size_t s = 0; s < 2; ++s) {
      const pid_t pid = servers[s]->process.pid();
      EXPECT_TRUE(WaitUntil([&] { return HeldBy(pid).descriptors <= before[s].descriptors; }))
          << HeldBy(pid).descriptors << " descriptors, before " << before[s].descriptors;
      EXPECT_TRUE(WaitUntil([&] { return HeldBy(pid).threads <= before[s].threads; }))
          << HeldBy(pid).threads << " threads, before " << before[s].threads;
    }
  }
  if (HasFailure()) return;
  PrintFigures(soak, memory, before[0]);
  if (!kSanitized) {
    EXPECT_LE(memory.OfThird(2).most, memory.OfThird(1).most + kMostGrowthKib);
  }
  EXPECT_GT(soak.tally.Of("BGSAVE"), 0u);
  if (HasFailure()) return;

  Stop();
  Start();
  if (HasFatalFailure()) return;
  CheckLedger(soak);
  CheckCache();
  Soak again(*cache_, *ledger_, soak);
  Round(round, rounds * 100, &again, nullptr);
  CheckLedger(again);
  Flush();
  Stop();
}

}  // namespace
}  // namespace kvarts::soak
