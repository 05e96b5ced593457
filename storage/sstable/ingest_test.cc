// Sorted entries that become part of a store at once: what reads, snapshots and crashes see of it.

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"
#include "storage/sstable/read_core.h"
#include "storage/sstable/salvage.h"
#include "storage/sstable/sstable.h"
#include "storage/sstable/test_store.h"
#include "testing/fault/fault_file_system.h"

namespace kvarts {
namespace {

using Moment = MemoryFileSystem::Moment;

std::string Key(int i) { return absl::StrCat("k", 1000 + i); }

// Of `state`, which outlives it; `before` is called in front of each entry.
SortedSource SourceOf(
    const State& state, const std::function<void()>& before = [] {}) {
  return [it = state.begin(), &state, before](ScanEntry* entry) mutable -> absl::StatusOr<bool> {
    if (it == state.end()) return false;
    before();
    entry->key = it->first;
    entry->value = it->second;
    ++it;
    return true;
  };
}

State Keys(int from, int to, absl::string_view value) {
  State state;
  for (int i = from; i < to; ++i) state[Key(i)] = std::string(value);
  return state;
}

// What is in both, the newer one's first.
State Merged(State newer, const State& older) {
  newer.insert(older.begin(), older.end());
  return newer;
}

class IngestTest : public testing::Test {
 protected:
  void SetUp() override { Reopen(); }
  void Reopen() {
    store_ = nullptr;
    auto store = OpenSstable(kTestDir, SmallSstable(&fs_));
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  void Put(const State& state) {
    for (const auto& [key, value] : state) ASSERT_TRUE(store_->Put(key, value).ok());
  }
  void Flush() { ASSERT_TRUE(store_->maintenance()->Flush().ok()); }
  void Ingest(
      const State& state, const std::function<void()>& before = [] {}) {
    const auto report = store_->maintenance()->Ingest(SourceOf(state, before));
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->entries, state.size());
  }
  // By scans both ways and by reads, with what is in memory and without.
  void ExpectHolds(const State& state, std::shared_ptr<const Snapshot> snapshot = nullptr) {
    const auto found = ContentsOf(store_.get(), snapshot);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(*found, state);
    ScanOptions backward;
    backward.backward = true;
    backward.snapshot = snapshot;
    auto cursor = store_->NewCursor(backward);
    ASSERT_TRUE(cursor.ok());
    ScanPage page;
    State seen;
    do {
      ASSERT_TRUE((*cursor)->Next(PageLimits(), &page).ok());
      for (const ScanEntry& entry : page) seen[std::string(entry.key)] = std::string(entry.value);
    } while (!page.empty());
    EXPECT_EQ(seen, state);
    ReadOptions read;
    read.snapshot = snapshot;
    for (int i = 0; i < 60; ++i) {
      ReadResults results;
      const std::string key = Key(i);
      store_->Read(key, read, &results);
      ASSERT_TRUE(results[0].status.ok()) << results[0].status;
      const auto it = state.find(key);
      EXPECT_EQ(results[0].found, it != state.end()) << key;
      if (results[0].found && it != state.end()) {
        EXPECT_EQ(results[0].value, it->second) << key;
      }
    }
    const auto verified = store_->maintenance()->Verify();
    EXPECT_TRUE(verified.ok()) << verified.status();
  }

  MemoryFileSystem fs_;
  std::unique_ptr<Store> store_;
};

TEST_F(IngestTest, WhatIsInMemoryInRunsAndOnLevelsIsReplaced) {
  for (const int where : {0, 1, 2, 3}) {
    SCOPED_TRACE(where);
    const State old = Keys(0, 40, absl::StrCat("old", where));
    Put(old);
    if (where >= 1) Flush();
    if (where == 2) {
      ASSERT_TRUE(store_->maintenance()->Compact(KeyRange::All()).ok());
    }
    if (where == 3) Put(Keys(50, 51, "in memory, elsewhere"));
    const State now = Keys(10, 30, absl::StrCat("new", where));
    State held = *ContentsOf(store_.get());
    Ingest(now);
    held = Merged(now, held);
    ExpectHolds(held);
    Put(Keys(20, 21, "later"));
    held[Key(20)] = "later";
    ExpectHolds(held);
    Flush();
    ExpectHolds(held);
    Reopen();
    ExpectHolds(held);
    ASSERT_TRUE(store_->maintenance()->Compact(KeyRange::All()).ok());
    ExpectHolds(held);
  }
}

// The sequence that stands in the tables is then one of a write.
TEST_F(IngestTest, WritesWhileTheTablesAreMadeAreOlder) {
  const State now = Keys(0, 30, "ingested");
  Put(Keys(0, 30, "before"));
  int n = 0;
  Ingest(now, [&] { Put(Keys(n, n + 1, "meanwhile")), ++n; });
  ExpectHolds(now);
  Put(Keys(3, 5, "after"));
  const State all = Merged(Keys(3, 5, "after"), now);
  ExpectHolds(all);
  const auto checkpoint = store_->maintenance()->Checkpoint("copy");
  ASSERT_TRUE(checkpoint.ok());
  ASSERT_TRUE(store_->maintenance()->SaveIndexSnapshot("index").ok());
  Reopen();
  ASSERT_TRUE(store_->maintenance()->LoadIndexSnapshot("index").ok());
  ExpectHolds(all);
  auto copy = OpenSstable("copy", SmallSstable(&fs_));
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ(*ContentsOf(copy->get()), all);
  auto mended = OpenSstable("mended", SmallSstable(&fs_));
  store_ = nullptr;
  const auto salvage = SalvageSstable(&fs_, kTestDir, mended->get());
  ASSERT_TRUE(salvage.ok());
  EXPECT_EQ(*ContentsOf(mended->get()), all);
}

TEST_F(IngestTest, ASnapshotFromBeforeNeverSeesItAndOneFromBehindAlways) {
  const State old = Keys(0, 40, "old");
  Put(old);
  Flush();
  std::shared_ptr<const Snapshot> meanwhile;
  const auto before = *store_->GetSnapshot();
  const State now = Keys(20, 50, "new");
  State at_meanwhile;
  Ingest(now, [&] {
    Put(Keys(55, 56, absl::StrCat("w", meanwhile == nullptr ? 0 : 1)));
    if (meanwhile == nullptr) meanwhile = *store_->GetSnapshot();
  });
  at_meanwhile = Merged(Keys(55, 56, "w0"), old);
  const auto behind = *store_->GetSnapshot();
  const State after = Merged(now, Merged(Keys(55, 56, "w1"), old));
  for (const int step : {0, 1, 2}) {
    SCOPED_TRACE(step);
    ExpectHolds(old, before);
    ExpectHolds(at_meanwhile, meanwhile);
    ExpectHolds(after, behind);
    if (step == 0) Flush();
    if (step == 1) {
      ASSERT_TRUE(store_->maintenance()->Compact(KeyRange::All()).ok());
    }
  }
}

TEST_F(IngestTest, OlderRangeDeletionsDoNotHideItAndNewerOnesDo) {
  for (const bool flushed : {false, true}) {
    SCOPED_TRACE(flushed);
    Put(Keys(0, 40, "old"));
    Flush();
    ASSERT_TRUE(DeleteRangeOf(store_.get(), Key(5), Key(35)).ok());
    if (flushed) Flush();
    const State now = Keys(10, 30, "new");
    Ingest(now, [&] { ASSERT_TRUE(DeleteRangeOf(store_.get(), Key(12), Key(13)).ok()); });
    State held = Merged(now, Merged(Keys(0, 5, "old"), Keys(35, 40, "old")));
    ExpectHolds(held);
    ASSERT_TRUE(DeleteRangeOf(store_.get(), Key(15), Key(20)).ok());
    for (int i = 15; i < 20; ++i) held.erase(Key(i));
    ExpectHolds(held);
    ASSERT_TRUE(store_->maintenance()->Compact(KeyRange::All()).ok());
    ExpectHolds(held);
  }
}

TEST_F(IngestTest, WhereNothingOverlapsNothingIsRewritten) {
  const State first = Keys(0, 200, "first");
  Ingest(first);
  Put(Keys(500, 501, "in memory"));
  const std::set<std::string> tables = FilesOf(&fs_, ".tbl");
  const State second = Keys(200, 400, "second");
  Ingest(second);
  const std::set<std::string> more = FilesOf(&fs_, ".tbl");
  EXPECT_TRUE(std::includes(more.begin(), more.end(), tables.begin(), tables.end()));
  EXPECT_EQ(StatOf(store_.get(), "compactions"), 0u);
  EXPECT_EQ(StatOf(store_.get(), "flushes"), 0u);
  EXPECT_EQ(StatOf(store_.get(), "level_0_tables"), 0u);
  EXPECT_EQ(StatOf(store_.get(), "ingested_tables"), more.size());
  EXPECT_GT(more.size(), tables.size());
}

// Between the flush before it and the moment when it is part of the store.
TEST_F(IngestTest, AWriteAtTheLastMomentIsOlder) {
  SstableOptions options = SmallSstable(&fs_);
  options.threads = true;
  auto store = OpenSstable("threads", options);
  ASSERT_TRUE(store.ok());
  store_ = *std::move(store);
  Put(Keys(0, 20, "old"));
  bool done = false;
  fs_.SetHook([&](Moment moment, const FileOperation& operation) {
    if (moment == Moment::kAfter && operation.kind == FileOperation::Kind::kSync &&
        absl::StrContains(operation.path, "MANIFEST-") && !std::exchange(done, true)) {
      Put(Keys(12, 13, "late"));
    }
  });
  const State now = Keys(10, 20, "new");
  Ingest(now);
  EXPECT_TRUE(done);
  fs_.SetHook({});
  ExpectHolds(Merged(now, Keys(0, 10, "old")));
  store_ = nullptr;
}

TEST_F(IngestTest, WithoutALogNothingBeforeItIsLost) {
  SstableOptions options = SmallSstable(&fs_);
  options.log = false;
  auto store = OpenSstable("unlogged", options);
  ASSERT_TRUE(store.ok());
  const State old = Keys(50, 51, "old");
  ASSERT_TRUE((*store)->Put(Key(50), "old").ok());
  const State now = Keys(0, 5, "new");
  ASSERT_TRUE((*store)->maintenance()->Ingest(SourceOf(now)).ok());
  const auto after = fs_.CloneAfterCrash(1, {});
  options.fs = after.get();
  auto again = OpenSstable("unlogged", options);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*ContentsOf(again->get()), Merged(now, old));
}

// The tables of a compaction reach over gaps between those that it reads.
TEST_F(IngestTest, ACompactionThatIsUnderWayIsNotInTheWay) {
  store_ = nullptr;
  SstableOptions options = SmallSstable(&fs_);
  options.threads = true;
  options.table_bytes = 1 << 20;
  auto store = OpenSstable("threads", options);
  ASSERT_TRUE(store.ok());
  store_ = *std::move(store);
  Ingest(Keys(0, 5, "old"));
  Ingest(Keys(40, 45, "old"));
  const State now = Keys(10, 20, "new");
  bool done = false;
  fs_.SetHook([&](Moment moment, const FileOperation& operation) {
    if (moment != Moment::kAfter || operation.kind != FileOperation::Kind::kOpenForWrite ||
        !absl::EndsWith(operation.path, ".tbl") || std::exchange(done, true)) {
      return;
    }
    Ingest(now);
  });
  const absl::Status compacted = store_->maintenance()->Compact(KeyRange::All());
  EXPECT_TRUE(compacted.ok()) << compacted;
  EXPECT_TRUE(done);
  fs_.SetHook({});
  ExpectHolds(Merged(now, Merged(Keys(0, 5, "old"), Keys(40, 45, "old"))));
  EXPECT_GT(StatOf(store_.get(), "ingest_commit_us"), 0u);
  store_ = nullptr;
}

TEST_F(IngestTest, KeysOutOfOrderAndErrorsOfTheSourceLeaveNothing) {
  Put(Keys(0, 3, "old"));
  const State held = Keys(0, 3, "old");
  const auto files = FilesOf(&fs_, "");
  for (const std::vector<std::string>& keys : std::vector<std::vector<std::string>>{
           {"a", "c", "b"}, {"a", "a"}, {"a", std::string(kMaxKeyBytes + 1, 'k')}}) {
    size_t next = 0;
    const auto report = store_->maintenance()->Ingest([&](ScanEntry* entry) {
      if (next == keys.size()) return false;
      entry->key = keys[next++];
      return true;
    });
    EXPECT_TRUE(absl::IsInvalidArgument(report.status())) << report.status();
  }
  const State many = Keys(0, 100, "never");
  int n = 0;
  const auto report = store_->maintenance()->Ingest(
      [&n, source = SourceOf(many)](ScanEntry* entry) -> absl::StatusOr<bool> {
        if (++n == 90) return absl::DataLossError("file: bad at offset 7");
        return source(entry);
      });
  EXPECT_EQ(report.status(), absl::DataLossError("file: bad at offset 7"));
  EXPECT_EQ(FilesOf(&fs_, ""), files);
  ExpectHolds(held);
  const auto none = store_->maintenance()->Ingest([](ScanEntry*) { return false; });
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(none->files, 0u);
}

TEST_F(IngestTest, AStoreIsMergedWithItsNewestVersionsTypesAndExpiries) {
  Put({{"a", "mine"}, {"b", "mine"}, {"gone", "mine"}});
  MemoryFileSystem other_fs;
  auto other = OpenSstable("other", SmallSstable(&other_fs));
  const int64_t later = absl::ToUnixMillis(absl::Now()) + 3600 * 1000;
  ASSERT_TRUE((*other)->Put("a", "older").ok());
  ASSERT_TRUE((*other)->Put("a", "theirs", Metadata::Of(later, "json")).ok());
  ASSERT_TRUE((*other)->Put("dead", "x", Metadata::Of(1, "")).ok());
  ASSERT_TRUE((*other)->Put("gone", "x").ok());
  ASSERT_TRUE((*other)->Delete("gone").ok());
  const auto source = SortedEntriesOf(other->get());
  ASSERT_TRUE(source.ok());
  ASSERT_TRUE(store_->maintenance()->Ingest(*source).ok());
  EXPECT_EQ(*ContentsOf(store_.get()), (State{{"a", "theirs"}, {"b", "mine"}, {"gone", "mine"}}));
  ReadResults results;
  store_->Read("a", {}, &results);
  EXPECT_EQ(results[0].content_type, "json");
  EXPECT_EQ(results[0].expires_at_ms, later);
}

// What the history of the crashes does: writes, an ingestion over some of them, and one that meets
// nothing, with a write while the tables are made.
struct History {
  std::vector<State> states = {State()};
  size_t synced = 0;  // so many steps must be there
  size_t begun = 0;
};

absl::Status RunHistory(Store* store, History* history) {
  State state;
  const auto begin = [&](const State& change) {
    state = Merged(change, state);
    history->states.push_back(state);
    ++history->begun;
  };
  const auto put = [&](int i, bool sync) -> absl::Status {
    const std::string value = absl::StrCat("v", history->begun);
    begin({{Key(i), value}});
    const absl::Status status = PutWith(store, Key(i), value, sync);
    if (status.ok() && sync) history->synced = history->begun;
    return status;
  };
  absl::Status first_error;
  const auto ingest = [&](int from, int to) {
    const State change = Keys(from, to, absl::StrCat("i", history->begun));
    bool written = false;
    const auto report = store->maintenance()->Ingest(SourceOf(change, [&] {
      if (!std::exchange(written, true)) first_error.Update(put(15, false));
    }));
    begin(change);
    if (report.ok()) history->synced = history->begun;
    first_error.Update(report.status());
  };
  first_error.Update(put(1, true));
  first_error.Update(put(2, false));
  ingest(0, 10);
  first_error.Update(put(3, false));
  ingest(20, 30);
  // Nothing was flushed for it: what comes behind it goes on in the same log.
  first_error.Update(put(12, true));
  first_error.Update(put(13, false));
  first_error.Update(store->maintenance()->Flush());
  first_error.Update(put(4, true));
  ingest(2, 25);
  first_error.Update(put(5, true));
  return first_error;
}

TEST(IngestCrashTest, AfterAPowerCutAtAnyMomentAllOfItIsThereOrNothing) {
  uint64_t operation = 0;
  uint64_t with = 0;
  for (size_t i = 0; i < CrashPolicy::All().size(); ++i) {
    MemoryFileSystem fs;
    auto store = OpenSstable(kTestDir, SmallSstable(&fs));
    ASSERT_TRUE(store.ok());
    History history;
    const auto check = [&] {
      ++operation;
      if (testing::Test::HasFailure()) return;
      const auto after = fs.CloneAfterCrash(operation, CrashPolicy::All()[i]);
      auto again = OpenSstable(kTestDir, SmallSstable(after.get()));
      ASSERT_TRUE(again.ok()) << again.status() << ", operation " << operation;
      const auto found = ContentsOf(again->get());
      ASSERT_TRUE(found.ok()) << found.status();
      // A step begins before its state is noted where it is an ingestion.
      const auto& states = history.states;
      const auto from = states.begin() + static_cast<ptrdiff_t>(history.synced);
      bool known = std::find(from, states.end(), *found) != states.end();
      for (const auto& [from_key, to_key] : {std::pair{0, 10}, {20, 30}, {2, 25}}) {
        const State next =
            Merged(Keys(from_key, to_key, absl::StrCat("i", history.begun)), states.back());
        const State earlier =
            Merged(Keys(from_key, to_key, absl::StrCat("i", history.begun - 1)), states.back());
        if (*found == next || *found == earlier) known = true, ++with;
      }
      EXPECT_TRUE(known) << "policy " << i << ", operation " << operation;
      size_t tables = 0;
      for (int level = 0; level < 7; ++level) {
        tables += StatOf(again->get(), absl::StrCat("level_", level, "_tables"));
      }
      EXPECT_EQ(FilesOf(after.get(), ".tbl").size(), tables) << "files are left over";
    };
    fs.SetHook([&](Moment, const FileOperation&) { check(); });
    const absl::Status status = RunHistory(store->get(), &history);
    EXPECT_TRUE(status.ok()) << status;
    fs.SetHook({});
  }
  EXPECT_GT(with, 0u);
  EXPECT_GT(operation, 1000u);
}

TEST(IngestFaultTest, AnErrorOfAnyOperationPutsAllOrNothing) {
  const State old = Keys(0, 20, "old");
  const State change = Keys(10, 60, "new");
  const State both = Merged(change, old);
  uint64_t failed = 0;
  for (const Fault fault : {Fault::kIoError, Fault::kNoSpace, Fault::kShortWrite,
                            Fault::kSyncLosesPages, Fault::kDoneButError}) {
    for (const bool forever : {false, true}) {
      for (uint64_t k = 0;; ++k) {
        MemoryFileSystem disk;
        FaultFileSystem faults(&disk, [&](WritableFile* file) { disk.LoseUnsynced(file); });
        absl::Status status;
        {
          auto store = OpenSstable(kTestDir, SmallSstable(&faults));
          ASSERT_TRUE(store.ok());
          for (const auto& [key, value] : old) ASSERT_TRUE((*store)->Put(key, value).ok());
          faults.SetRule({fault, k, forever, {}});
          status = (*store)->maintenance()->Ingest(SourceOf(change)).status();
          if (!forever) {
            const auto now = ContentsOf(store->get());
            if (now.ok()) {
              EXPECT_EQ(*now, status.ok() ? both : old) << status;
            }
            size_t tables = 0;
            for (int level = 0; level < 7; ++level) {
              tables += StatOf(store->get(), absl::StrCat("level_", level, "_tables"));
            }
            // A file that could not be opened may be there, until the store is opened again.
            if (!status.ok() && !absl::IsDeadlineExceeded(status) &&
                !absl::StrContains(status.message(), ".tbl: open for writing")) {
              EXPECT_EQ(FilesOf(&disk, ".tbl").size(), tables) << status;
            }
          }
        }
        const uint64_t injected = faults.injected();
        faults.ClearRule();
        auto store = OpenSstable(kTestDir, SmallSstable(&disk));
        ASSERT_TRUE(store.ok()) << store.status();
        const auto found = ContentsOf(store->get());
        ASSERT_TRUE(found.ok()) << found.status();
        const bool may_be = absl::IsDeadlineExceeded(status);
        EXPECT_TRUE(*found == (status.ok() ? both : old) || (may_be && *found == both))
            << "fault " << static_cast<int>(fault) << ", operation " << k << ": " << status;
        EXPECT_TRUE((*store)->maintenance()->Verify().ok());
        if (injected == 0 || testing::Test::HasFailure()) {
          failed += k;
          break;
        }
      }
    }
  }
  EXPECT_GT(failed, 30u);
}

// Older sources taken with a newer number would miss, among newer writes, what came between. More
// threads than processors, so that some are interrupted in the midst of it.
TEST(ReadCoreTest, WhatIsTakenIsOfOneMoment) {
  MemoryFileSystem fs;
  sstable::ReadCore core(SmallSstable(&fs), kTestDir, 1 << 20);
  constexpr sstable::Sequence kRounds = 300'000;
  const auto set = [&](sstable::Sequence n) {
    core.Update([&](sstable::Sources* sources) { sources->frozen.assign(n % 2, nullptr); }, n);
  };
  set(1);
  std::atomic<uint64_t> amiss{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 8; ++i) {
    readers.emplace_back([&] {
      for (sstable::Sequence seen = 0; seen < kRounds;) {
        const sstable::ReadCore::Now now = core.Take();
        if (now.sources->frozen.size() != now.visible % 2) ++amiss;
        seen = now.visible;
      }
    });
  }
  for (sstable::Sequence n = 2; n <= kRounds; ++n) set(n);
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(amiss, 0u);
}

// Its files would come into a directory that another process has by then.
TEST(IngestThreadsTest, TheDirectoryIsNotFreeBeforeItHasEnded) {
  MemoryFileSystem fs;
  SstableOptions options = SmallSstable(&fs);
  options.threads = true;
  auto store = OpenSstable(kTestDir, options);
  ASSERT_TRUE(store.ok());
  std::thread closer;
  const State change = Keys(0, 2, "x");
  const auto report = (*store)->maintenance()->Ingest(SourceOf(change, [&] {
    if (closer.joinable()) return;
    closer = std::thread([&] { EXPECT_TRUE((*store)->Close().ok()); });
    while ((*store)->Put("k", "v").ok()) std::this_thread::yield();
    // Were it free at the end of Close(), one of these would open it.
    for (int i = 0; i < 2000; ++i) {
      ASSERT_FALSE(OpenSstable(kTestDir, options).ok()) << i;
      std::this_thread::yield();
    }
  }));
  EXPECT_FALSE(report.ok());
  closer.join();
  EXPECT_TRUE(OpenSstable(kTestDir, options).ok());
}

// With threads: each round replaces the same keys, all by one value. A read of them sees one round,
// never an older one than before; a writer beside writes other keys in the midst of them.
TEST(IngestThreadsTest, ReadersSeeWholeRoundsAndWritersGoOn) {
  MemoryFileSystem fs;
  SstableOptions options = SmallSstable(&fs);
  options.threads = true;
  auto store = OpenSstable(kTestDir, options);
  ASSERT_TRUE(store.ok());
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (int i = 0; !done || i < 100; ++i) {
      ASSERT_TRUE(
          PutWith(store->get(), absl::StrCat(Key(i % 50), "w"), std::string(500, 'w'), i % 8 == 0)
              .ok());
    }
  });
  std::thread reader([&] {
    std::string last;
    while (!done) {
      const auto snapshot = *(*store)->GetSnapshot();
      std::string seen[2];
      for (std::string& values : seen) {
        ScanOptions scan;
        scan.snapshot = snapshot;
        auto cursor = (*store)->NewCursor(scan);
        ScanPage page;
        std::set<std::string> all;
        do {
          ASSERT_TRUE((*cursor)->Next(PageLimits(), &page).ok());
          for (const ScanEntry& entry : page) {
            if (entry.key[0] == 'k' && !absl::EndsWith(entry.key, "w"))
              all.insert(std::string(entry.value));
          }
        } while (!page.empty());
        ASSERT_LE(all.size(), 1u);
        if (!all.empty()) values = *all.begin();
      }
      ASSERT_EQ(seen[0], seen[1]);
      ASSERT_GE(seen[0], last);
      last = seen[0];
    }
  });
  for (int round = 0; round < 40; ++round) {
    const State change = Keys(0, 50, absl::StrCat("round", 100 + round));
    const auto report = (*store)->maintenance()->Ingest(SourceOf(change));
    EXPECT_TRUE(report.ok()) << report.status();
  }
  // A write of the same key in the last moment comes before or behind: by a read as by a scan.
  for (int round = 0; round < 300; ++round) {
    const State change = {{absl::StrCat("z", 1000 + round), "ingested"}};
    std::atomic<bool> made{false};
    std::thread putter([&] {
      while (!made) std::this_thread::yield();
      EXPECT_TRUE((*store)->Put(change.begin()->first, "put").ok());
    });
    const auto report = (*store)->maintenance()->Ingest(SourceOf(change, [&] { made = true; }));
    EXPECT_TRUE(report.ok()) << report.status();
    putter.join();
    const auto read = (*store)->Get(change.begin()->first);
    const auto scanned = ContentsOf(store->get());
    ASSERT_TRUE(read.ok() && read->has_value() && scanned.ok());
    ASSERT_EQ(**read, scanned->at(change.begin()->first)) << round;
  }
  done = true;
  writer.join();
  reader.join();
  EXPECT_TRUE((*store)->maintenance()->Verify().ok());
  const auto stats = (*store)->Stats();
  EXPECT_EQ(stats->save_error, "");
  EXPECT_EQ(*(*store)->Get(Key(7)), "round139");
}

}  // namespace
}  // namespace kvarts
