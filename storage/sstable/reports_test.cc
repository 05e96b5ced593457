// What users of such stores report, one test each: what happened to them does not happen here.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"
#include "storage/sstable/test_store.h"
#include "testing/fault/fault_file_system.h"
#include "testing/model/manual_clock.h"

namespace kvarts {
namespace {

using Kind = FileOperation::Kind;

// What may happen to a memtable and its tables happens in each order, with puts in between.
TEST(SstableReportsTest, ARangeDeletionHidesWhatIsOlderAndNothingElseWhateverHappensToIt) {
  enum Action { kFill, kFlush, kCompact, kReopen };
  std::vector<Action> order = {kFill, kFlush, kCompact, kReopen};
  do {
    for (const bool flushed_before : {false, true}) {
      MemoryFileSystem fs;
      auto store = OpenSstable(kTestDir, SmallSstable(&fs)).value();
      State now;
      const auto put = [&](const std::string& key, const std::string& value) {
        ASSERT_TRUE(PutWith(store.get(), key, value, true).ok());
        now[key] = value;
      };
      for (char c = 'a'; c <= 'z'; ++c)
        put(std::string(1, c), absl::StrCat("old ", std::string(1, c)));
      if (flushed_before) {
        ASSERT_TRUE(store->maintenance()->Compact(KeyRange::All()).ok());
      }
      auto snapshot = store->GetSnapshot().value();
      const State at_snapshot = now;
      ASSERT_TRUE(DeleteRangeOf(store.get(), "b", "y").ok());
      now.erase(now.lower_bound("b"), now.lower_bound("y"));
      int puts = 0;
      for (const Action action : order) {
        put(std::string(1, static_cast<char>('c' + puts++)), "new");
        switch (action) {
          case kFill:  // the next write begins another memtable
            put("filler", std::string(320 << 10, 'f'));
            put("after", "filler");
            break;
          case kFlush:
            ASSERT_TRUE(store->maintenance()->Flush().ok());
            break;
          case kCompact:
            ASSERT_TRUE(store->maintenance()->Compact(KeyRange::All()).ok());
            break;
          case kReopen:
            snapshot = nullptr;
            ASSERT_TRUE(store->Close().ok());
            store = OpenSstable(kTestDir, SmallSstable(&fs)).value();
            break;
        }
        ASSERT_EQ(*ContentsOf(store.get()), now);
        if (snapshot != nullptr) {
          ASSERT_EQ(*ContentsOf(store.get(), snapshot), at_snapshot);
          for (const auto& [key, value] : at_snapshot) {
            ReadOptions options;
            options.snapshot = snapshot;
            ReadResults results;
            store->Read(key, options, &results);
            ASSERT_TRUE(results[0].found) << key;
            ASSERT_EQ(results[0].value, value);
          }
        }
        for (char c = 'a'; c <= 'z'; ++c) {
          const auto value = store->Get(std::string(1, c));
          ASSERT_TRUE(value.ok());
          ASSERT_EQ(value->has_value(), now.count(std::string(1, c)) == 1) << c;
        }
      }
    }
  } while (std::next_permutation(order.begin(), order.end()));
}

// A store with several tables on two levels and two logs, as a crash leaves it.
std::unique_ptr<MemoryFileSystem> CrashedStore(State* expected) {
  MemoryFileSystem disk;
  FaultFileSystem faults(&disk);
  auto store = OpenSstable(kTestDir, SmallSstable(&faults)).value();
  const auto put = [&](const std::string& key, const std::string& value) {
    if (PutWith(store.get(), key, value, true).ok()) (*expected)[key] = value;
  };
  for (int i = 0; i < 30; ++i) put(absl::StrCat("table", i), std::string(90, 't'));
  EXPECT_TRUE(store->maintenance()->Compact(KeyRange::All()).ok());
  for (int i = 0; i < 3; ++i) put(absl::StrCat("more", i), "m");
  EXPECT_TRUE(store->maintenance()->Flush().ok());
  for (int i = 0; i < 20; ++i) put(absl::StrCat("log", i), std::string(4000, 'l'));
  // A log ends with a failed append, and another goes on.
  faults.SetRule(
      {Fault::kShortWrite, 0, false, [](const FileOperation& o) { return o.is_write(); }});
  put("not", "written");
  faults.ClearRule();
  for (int i = 0; i < 20; ++i) put(absl::StrCat("second", i), "s");
  EXPECT_EQ(expected->count("not"), 0u);
  return disk.CloneAfterCrash(1, {});
}

TEST(SstableReportsTest, AReadErrorWhileOpeningIsNotTakenForTheEndOfTheLog) {
  State expected;
  const auto crashed = CrashedStore(&expected);
  EXPECT_EQ(FilesOf(crashed.get(), ".log").size(), 2u);
  EXPECT_GE(FilesOf(crashed.get(), ".tbl").size(), 2u);
  uint64_t k = 0;
  for (;; ++k) {
    const auto disk = crashed->CloneAfterCrash(k, {});
    const State before = BytesOf(disk.get());
    FaultFileSystem faults(disk.get());
    faults.SetRule({Fault::kIoError, k, false, [](const FileOperation& o) {
                      // The store opens without a reserve, too.
                      return !o.is_mutating() && o.kind != Kind::kClose &&
                             !absl::EndsWith(o.path, "RESERVE");
                    }});
    {
      const auto store = OpenSstable(kTestDir, SmallSstable(&faults));
      if (faults.injected() == 0) break;
      ASSERT_FALSE(store.ok()) << k;
      EXPECT_TRUE(absl::StrContains(store.status().message(), kTestDir)) << store.status();
    }
    // No file of data is changed, nor deleted, so long as a new manifest does not stand for them.
    const State after = BytesOf(disk.get());
    if (after.at("CURRENT") == before.at("CURRENT")) {
      for (const auto& [name, bytes] : before) {
        ASSERT_EQ(after.count(name), 1u) << name << ", read " << k;
        EXPECT_EQ(after.at(name), bytes) << name << ", read " << k;
      }
    }
    faults.ClearRule();
    const auto store = OpenSstable(kTestDir, SmallSstable(&faults));
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_EQ(*ContentsOf(store->get()), expected) << k;
  }
  EXPECT_GT(k, 10u);
}

TEST(SstableReportsTest, TheManifestStaysWithinItsBound) {
  MemoryFileSystem fs;
  auto store = OpenSstable(kTestDir, SmallSstable(&fs)).value();
  // Edits of some kilobytes, so that few flushes do for many.
  const std::string key(3000, 'k');
  uint64_t largest = 0;
  std::set<std::string> manifests;
  for (int i = 0; i < 1200; ++i) {
    ASSERT_TRUE(PutWith(store.get(), absl::StrCat(key, i % 5), absl::StrCat(i), false).ok());
    ASSERT_TRUE(store->maintenance()->Flush().ok());
    const std::set<std::string> now = FilesOf(&fs, "");
    const auto it = now.lower_bound("MANIFEST-");
    ASSERT_TRUE(it != now.end());
    ASSERT_FALSE(absl::StartsWith(*std::next(it), "MANIFEST-"));
    manifests.insert(*it);
    largest = std::max(largest, fs.Stat(JoinPath(kTestDir, *it))->size);
  }
  EXPECT_GT(manifests.size(), 3u);
  EXPECT_LT(largest, (1u << 20) + (64u << 10));
  ASSERT_TRUE(store->Close().ok());
  store = OpenSstable(kTestDir, SmallSstable(&fs)).value();
  EXPECT_EQ(ContentsOf(store.get())->size(), 5u);
}

// At rest the directory has what the manifest names, and a log.
void ExpectAtRest(MemoryFileSystem* fs, Store* store) {
  const auto report = store->maintenance()->Verify();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(FilesOf(fs, ".tbl").size(), report->files);
  EXPECT_EQ(FilesOf(fs, ".log").size(), 1u);
  // A log, a manifest, CURRENT, LOCK, OWNER, RESERVE.
  EXPECT_EQ(FilesOf(fs, "").size(), report->files + 6);
}

TEST(SstableReportsTest, TheBytesOnDiskAreThoseOfAllFilesOfTheStore) {
  MemoryFileSystem fs;
  auto store = OpenSstable(kTestDir, SmallSstable(&fs)).value();
  const auto expect = [&] {
    uint64_t bytes = 0;
    for (const auto& [name, text] : BytesOf(&fs)) {
      if (name != "notes" && name != "index") bytes += text.size();
    }
    EXPECT_EQ(store->Stats()->disk_bytes, bytes);
  };
  expect();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(PutWith(store.get(), absl::StrCat("key", i), std::string(1000, 'v'), true).ok());
    if (i == 50) {
      ASSERT_TRUE(store->maintenance()->Flush().ok());
    }
    if (i == 70) {
      ASSERT_TRUE(store->maintenance()->Compact(KeyRange::All()).ok());
    }
    if (i % 10 == 0) expect();
  }
  EXPECT_EQ(FilesOf(&fs, ".log").size(), 1u);
  // A table that is being written counts, and what somebody else put there does not.
  const std::string table = JoinPath(kTestDir, "999999.tbl");
  ASSERT_TRUE(WriteFileAtomically(&fs, table, "a part of a table").ok());
  expect();
  ASSERT_TRUE(WriteFileAtomically(&fs, JoinPath(kTestDir, "notes"), "notes").ok());
  ASSERT_TRUE(store->maintenance()->SaveIndexSnapshot(JoinPath(kTestDir, "index")).ok());
  expect();
}

TEST(SstableReportsTest, AnIdleCursorPinsNothing) {
  MemoryFileSystem fs;
  auto store = OpenSstable(kTestDir, SmallSstable(&fs)).value();
  State now;
  const auto fill = [&](int round) {
    for (int i = 0; i < 200; ++i) {
      const std::string key = absl::StrCat("key", 1000 + i);
      now[key] = absl::StrCat(round, std::string(100, 'v'));
      ASSERT_TRUE(PutWith(store.get(), key, now[key], false).ok());
    }
    ASSERT_TRUE(store->maintenance()->Compact(KeyRange::All()).ok());
  };
  fill(0);
  for (const bool backward : {false, true}) {
    ScanOptions scan;
    scan.backward = backward;
    auto cursor = store->NewCursor(scan).value();
    ScanPage page;
    PageLimits limits;
    limits.entries = 50;
    ASSERT_TRUE(cursor->Next(limits, &page).ok());
    for (int round = 1; round <= 5; ++round) fill(round);
    ExpectAtRest(&fs, store.get());
    EXPECT_LT(store->Stats()->disk_bytes, 200u * 110 * 13 / 10);
    // And it goes on where it stood, with what is there now.
    size_t seen = page.size();
    do {
      ASSERT_TRUE(cursor->Next(limits, &page).ok());
      for (const ScanEntry& entry : page) EXPECT_EQ(entry.value, now[std::string(entry.key)]);
      seen += page.size();
    } while (!page.empty());
    EXPECT_EQ(seen, 200u);
  }
  // A snapshot does pin, until it goes.
  auto snapshot = store->GetSnapshot().value();
  const State then = now;
  fill(6);
  EXPECT_EQ(*ContentsOf(store.get(), snapshot), then);
  snapshot = nullptr;
  fill(7);
  ExpectAtRest(&fs, store.get());
}

Metadata ExpiresAt(int64_t ms) { return Metadata::Of(ms, ""); }

TEST(SstableReportsTest, AnOldVersionDoesNotComeBackFromUnderOneThatHasExpired) {
  enum Action { kNothing, kFlush, kCompactRange, kCompact, kReopen, kClockBack };
  for (const Action between : {kNothing, kFlush, kCompact}) {
    for (const Action behind : {kNothing, kFlush, kCompactRange, kCompact, kReopen, kClockBack}) {
      MemoryFileSystem fs;
      ManualClock clock;
      SstableOptions options = SmallSstable(&fs);
      options.clock = &clock;
      auto store = OpenSstable(kTestDir, options).value();
      ASSERT_TRUE(store->Put("key", "old").ok());
      ASSERT_TRUE(store->Put("other", "stays").ok());
      if (between == kFlush) {
        ASSERT_TRUE(store->maintenance()->Flush().ok());
      }
      if (between == kCompact) {
        ASSERT_TRUE(store->maintenance()->Compact(KeyRange::All()).ok());
      }
      ASSERT_TRUE(PutWith(store.get(), "key", "new", true, ExpiresAt(clock.now_ms() + 60000)).ok());
      ASSERT_TRUE(
          PutWith(store.get(), "later", "l", true, ExpiresAt(clock.now_ms() + 3600000)).ok());
      clock.Advance(absl::Seconds(59));
      EXPECT_EQ(**store->Get("key"), "new");
      clock.Advance(absl::Seconds(1));
      const auto expect_gone = [&] {
        EXPECT_FALSE(store->Get("key")->has_value()) << between << behind;
        EXPECT_EQ(*ContentsOf(store.get()), (State{{"other", "stays"}, {"later", "l"}}));
      };
      expect_gone();
      switch (behind) {
        case kFlush:
          ASSERT_TRUE(store->maintenance()->Flush().ok());
          break;
        case kCompactRange:
          ASSERT_TRUE(store->maintenance()->Compact(KeyRange::Prefix("key")).ok());
          break;
        case kCompact:
          ASSERT_TRUE(store->maintenance()->Compact(KeyRange::All()).ok());
          break;
        case kReopen:
          store = nullptr;
          store = OpenSstable(kTestDir, options).value();
          break;
        case kClockBack:
          clock.Advance(-absl::Hours(1));
          ASSERT_TRUE(store->maintenance()->Compact(KeyRange::All()).ok());
          break;
        case kNothing:
          break;
      }
      expect_gone();
      // What is put then is there, whatever lies under it.
      ASSERT_TRUE(store->Put("key", "again").ok());
      EXPECT_EQ(**store->Get("key"), "again");
    }
  }
}

// A store of entries that expire in an hour, whose clock is set while another time goes on.
class SetClockTest : public testing::Test {
 protected:
  SetClockTest() {
    SstableOptions options = SmallSstable(&disk_);
    options.clock = &clock_;
    options.elapsed = [this] { return elapsed_; };
    store_ = OpenSstable(kTestDir, options).value();
    for (int i = 0; i < 100; ++i) {
      const Metadata expires = ExpiresAt(clock_.now_ms() + 3600000);
      EXPECT_TRUE(PutWith(store_.get(), absl::StrCat("key", i), "v", false, expires).ok());
    }
  }

  void Pass(absl::Duration time) {
    clock_.Advance(time);
    elapsed_ += time;
  }
  size_t Count() { return ContentsOf(store_.get())->size(); }
  // What has expired does not outlive it.
  void Compact() { ASSERT_TRUE(store_->maintenance()->Compact(KeyRange::All()).ok()); }

  MemoryFileSystem disk_;
  ManualClock clock_;
  absl::Duration elapsed_ = absl::Hours(5);
  std::unique_ptr<Store> store_;
};

TEST_F(SetClockTest, NothingDiesOfAClockThatIsADayAheadForAMoment) {
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(absl::Hours(24));
    Pass(absl::Minutes(5));
    EXPECT_EQ(Count(), 100u);
    Compact();
    Pass(absl::Minutes(4));
    Compact();
    clock_.Advance(-absl::Hours(24));
    Pass(absl::Minutes(9));
    EXPECT_EQ(Count(), 100u);
  }
  EXPECT_EQ(StatOf(store_.get(), "clock_steps"), 3u);
  Pass(absl::Minutes(7));
  EXPECT_EQ(Count(), 0u);
}

TEST_F(SetClockTest, AClockThatWasSetIsBelievedAfterTenMinutes) {
  clock_.Advance(absl::Hours(24));
  EXPECT_EQ(Count(), 100u);
  Pass(absl::Minutes(11));
  EXPECT_EQ(Count(), 0u);
  EXPECT_EQ(StatOf(store_.get(), "clock_steps"), 1u);
}

TEST_F(SetClockTest, TimeGoesOnWhereTheClockIsSetBack) {
  Pass(absl::Minutes(50));
  clock_.Advance(-absl::Hours(2));
  EXPECT_EQ(Count(), 100u);
  Pass(absl::Minutes(9));
  EXPECT_EQ(Count(), 100u);
  // From here on the clock is believed, and time stands until it is there.
  Pass(absl::Minutes(2));
  EXPECT_EQ(Count(), 100u);
  Pass(absl::Minutes(110));
  EXPECT_EQ(Count(), 100u);
  Pass(absl::Minutes(10));
  EXPECT_EQ(Count(), 0u);
  Compact();
  clock_.Advance(-absl::Hours(2));
  EXPECT_EQ(Count(), 0u);
}

TEST(SstableReportsTest, WhatHasExpiredGivesItsSpaceBackWithoutWrites) {
  for (const int where : {0, 1, 2}) {  // on level 0, on level 1, below both
    MemoryFileSystem fs;
    ManualClock clock;
    SstableOptions options = SmallSstable(&fs);
    options.clock = &clock;
    options.table_bytes = 16 << 10;
    options.level1_bytes = 64 << 10;
    auto store = OpenSstable(kTestDir, options).value();
    State live;
    const auto fill = [&] {
      for (int i = 0; i < 2000; ++i) {
        const std::string key = absl::StrCat("key", 10000 + i);
        std::string value;
        while (value.size() < 100) absl::StrAppend(&value, 7919 * (i + value.size()));
        const bool stays = i % 10 == 0;
        ASSERT_TRUE(PutWith(store.get(), key, value, false,
                            stays ? Metadata() : ExpiresAt(clock.now_ms() + 1000 + i % 300))
                        .ok());
        if (stays) live[key] = value;
      }
      ASSERT_TRUE(store->maintenance()->Flush().ok());
    };
    fill();
    if (where >= 1) {
      ASSERT_TRUE(store->maintenance()->Compact(KeyRange::All()).ok());
    }
    if (where == 2) fill();
    const uint64_t before = store->Stats()->disk_bytes;
    clock.Advance(absl::Seconds(1));
    const auto look = [&] {  // a call that writes nothing, and does what is due
      ASSERT_TRUE(
          store->Modify("key", {}, [](const ReadResult&) { return Modification::Nothing(); }).ok());
    };
    look();
    clock.Advance(absl::Seconds(1));
    look();
    const uint64_t after = store->Stats()->disk_bytes;
    EXPECT_LT(after, before / 3) << where;
    // The same as a store that never had more, but for a third.
    MemoryFileSystem other;
    SstableOptions plain = options;
    plain.fs = &other;
    auto small = OpenSstable("small", plain).value();
    for (const auto& [key, value] : live) {
      ASSERT_TRUE(PutWith(small.get(), key, value, false).ok());
    }
    ASSERT_TRUE(small->maintenance()->Compact(KeyRange::All()).ok());
    EXPECT_LE(after, small->Stats()->disk_bytes * 13 / 10) << where;
    EXPECT_EQ(*ContentsOf(store.get()), live);
    ExpectAtRest(&fs, store.get());
    clock.Advance(-absl::Hours(2));
    EXPECT_EQ(*ContentsOf(store.get()), live);
  }
}

TEST(SstableReportsTest, WhatADeletedRangeHeldIsGivenBackWithoutWrites) {
  for (const bool compacted : {false, true}) {
    MemoryFileSystem fs;
    auto store = OpenSstable(kTestDir, SmallSstable(&fs)).value();
    for (int i = 0; i < 3000; ++i) {
      const std::string value = absl::StrCat(i, std::string(300, static_cast<char>('a' + i % 26)));
      ASSERT_TRUE(PutWith(store.get(), absl::StrCat("key", 1000 + i), value, false).ok());
    }
    ASSERT_TRUE(store->maintenance()->Flush().ok());
    if (compacted) {
      ASSERT_TRUE(store->maintenance()->Compact(KeyRange::All()).ok());
    }
    const uint64_t before = store->Stats()->disk_bytes;
    ASSERT_TRUE(DeleteRangeOf(store.get(), "key1", "key3990").ok());
    ASSERT_TRUE(store->maintenance()->Flush().ok());
    // A call that writes nothing, and does what is due.
    ASSERT_TRUE(
        store->Modify("key", {}, [](const ReadResult&) { return Modification::Nothing(); }).ok());
    // The manifest has floors for the stamps of what is gone.
    EXPECT_LT(store->Stats()->disk_bytes, before / 3) << compacted;
    EXPECT_EQ(ContentsOf(store.get())->size(), 10u);
  }
}

TEST(SstableReportsTest, WhatHasExpiredOnLevelZeroDoesNotMakeACompactionOfEachFlush) {
  MemoryFileSystem fs;
  ManualClock clock;
  SstableOptions options = SmallSstable(&fs);
  options.clock = &clock;
  auto store = OpenSstable(kTestDir, options).value();
  // Each fills a memtable, which the next one flushes when it has expired.
  for (uint64_t i = 0; i < 4; ++i) {
    ASSERT_TRUE(PutWith(store.get(), absl::StrCat("key", i), std::string(320 << 10, 'v'), false,
                        ExpiresAt(clock.now_ms() + 1000))
                    .ok());
    clock.Advance(absl::Seconds(1));
    EXPECT_EQ(StatOf(store.get(), "level_0_runs"), i);
    EXPECT_EQ(StatOf(store.get(), "compactions"), 0u);
  }
  // A call that flushes nothing has the time.
  ASSERT_TRUE(
      store->Modify("key", {}, [](const ReadResult&) { return Modification::Nothing(); }).ok());
  EXPECT_EQ(StatOf(store.get(), "level_0_runs"), 0u);
  EXPECT_EQ(StatOf(store.get(), "compactions"), 1u);
}

TEST(SstableReportsTest, ABatchBeyondTheBudgetIsRefusedAndNothingOfItIsThere) {
  MemoryFileSystem fs;
  auto store = OpenSstable(kTestDir, SmallSstable(&fs)).value();
  ASSERT_TRUE(store->Put("before", "b").ok());
  const std::string value(12 << 20, 'v');
  std::vector<std::string> keys;
  for (int i = 0; i < 6; ++i) keys.push_back(absl::StrCat("key", i));
  for (const bool atomic : {false, true}) {
    WriteBatch batch;
    for (const std::string& key : keys) batch.Put(key, value);
    WriteOptions options;
    options.atomic = atomic;
    WriteResults results;
    const absl::Status status = store->Write(batch, options, &results);
    EXPECT_TRUE(atomic ? absl::IsInvalidArgument(status) : absl::IsResourceExhausted(status))
        << status;
    EXPECT_EQ(*ContentsOf(store.get()), (State{{"before", "b"}}));
  }
  ASSERT_TRUE(store->Put("after", "a").ok());
  store = nullptr;
  store = OpenSstable(kTestDir, SmallSstable(&fs)).value();
  EXPECT_EQ(*ContentsOf(store.get()), (State{{"after", "a"}, {"before", "b"}}));
}

// The contract allows such a pair; the budget is what is exceeded, until it is flushed.
TEST(SstableReportsTest, ThePutOfALargestPairFitsAnyBudget) {
  MemoryFileSystem fs;
  auto store = OpenSstable(kTestDir, SmallSstable(&fs)).value();
  const std::string key(kMaxKeyBytes, 'k');
  const std::string value(kMaxValueBytes, 'v');
  ASSERT_TRUE(store->Put(key, value).ok());
  WriteBatch batch;
  batch.Put(key, value);
  WriteOptions options;
  options.atomic = true;
  ASSERT_TRUE(store->Write(batch, options, nullptr).ok());
  store = nullptr;
  store = OpenSstable(kTestDir, SmallSstable(&fs)).value();
  EXPECT_EQ(store->Get(key).value(), value);
}

// Batches over many blocks of the log, cut at each operation, with every kind of noise.
TEST(SstableReportsTest, ALargeBatchIsWholeOrAbsentAndTheOpenNeverFails) {
  MemoryFileSystem fs;
  uint64_t states = 0;
  uint64_t operation = 0;
  uint64_t whole_early = 0;
  size_t begun = 0;
  size_t synced = 0;
  constexpr size_t kKeys = 4;
  const auto value_of = [](size_t batch) {
    return std::string(60000 + batch * 7001, static_cast<char>('a' + batch));
  };
  fs.SetHook([&](MemoryFileSystem::Moment, const FileOperation&) {
    ++operation;
    for (const CrashPolicy policy : CrashPolicy::All()) {
      if (policy.data == CrashPolicy::Data::kDropped || testing::Test::HasFailure()) continue;
      for (uint64_t seed = 0; seed < 2; ++seed) {
        const auto after = fs.CloneAfterCrash(operation * 2 + seed, policy);
        const auto store = OpenSstable(kTestDir, SmallSstable(after.get()));
        ASSERT_TRUE(store.ok()) << store.status();
        ++states;
        const auto state = ContentsOf(store->get());
        ASSERT_TRUE(state.ok()) << state.status();
        if (state->empty()) {
          ASSERT_EQ(synced, 0u);
          continue;
        }
        ASSERT_EQ(state->size(), kKeys);
        const std::string& value = state->begin()->second;
        const auto batch = static_cast<size_t>(value[0] - 'a');
        for (const auto& [key, other] : *state) ASSERT_EQ(other, value);
        ASSERT_EQ(value, value_of(batch));
        ASSERT_GE(batch + 1, synced);
        ASSERT_LE(batch + 1, begun);
        if (batch + 1 > synced) ++whole_early;
      }
    }
  });
  {
    auto store = OpenSstable(kTestDir, SmallSstable(&fs)).value();
    const std::vector<std::string> keys = {"a", "b", "c", "d"};
    for (size_t i = 0; i < 8; ++i) {
      const std::string value = value_of(i);
      WriteBatch batch;
      for (const std::string& key : keys) batch.Put(key, value);
      WriteOptions options;
      options.atomic = true;
      options.sync = i % 3 != 1;
      ++begun;
      ASSERT_TRUE(store->Write(batch, options, nullptr).ok());
      if (options.sync) synced = begun;
    }
  }
  fs.SetHook({});
  EXPECT_GT(states, 1000u);
  EXPECT_GT(whole_early, 0u);
}

}  // namespace
}  // namespace kvarts
