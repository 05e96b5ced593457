// What the engine must not do around its edges: a failed manifest, a close beside other calls,
// stamps over a crash.

#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"
#include "storage/sstable/floors.h"
#include "storage/sstable/test_store.h"
#include "testing/fault/fault_file_system.h"

namespace kvarts {
namespace {

using Kind = FileOperation::Kind;

std::unique_ptr<Store> OpenSmall(FileSystem* fs) {
  return OpenSstable(kTestDir, SmallSstable(fs)).value();
}

bool IsOfManifest(const FileOperation& operation) {
  return absl::StrContains(operation.path, "MANIFEST-") ||
         absl::StrContains(operation.path, "CURRENT");
}

// A table that moves a level down as it is stays the table of the version before, if the manifest
// could not be told.
TEST(SstableManifestFaultTest, ATableWhoseMoveFailedIsNotDeleted) {
  uint64_t moves = 0;
  for (uint64_t k = 0; k < 40; ++k) {
    MemoryFileSystem disk;
    FaultFileSystem faults(&disk);
    State expected;
    {
      auto store = OpenSmall(&faults);
      // Enough for level 1 to be too large, of keys that go upwards: tables that meet nothing
      // below.
      const auto put = [&](int from, int to) {
        for (int i = from; i < to; ++i) {
          const std::string key = absl::StrCat("key", 1000 + i);
          const std::string value = absl::StrCat(i, std::string(200, 'v'));
          ASSERT_TRUE(PutWith(store.get(), key, value, false).ok());
          expected[key] = value;
        }
        // It does what is due behind it, too.
        store->maintenance()->Flush().IgnoreError();
      };
      for (int round = 0; round < 3; ++round) put(round * 10, round * 10 + 10);
      uint64_t seen = 0;
      faults.SetRule({Fault::kNoSpace, 0, true, [&seen, k](const FileOperation& o) {
                        return IsOfManifest(o) && (o.is_write() || o.kind == Kind::kOpenForWrite) &&
                               seen++ >= k && seen <= k + 6;
                      }});
      for (int round = 3; round < 12; ++round) put(round * 10, round * 10 + 10);
      moves += faults.injected();
      faults.ClearRule();
      put(120, 130);
      put(130, 140);
      ASSERT_TRUE(store->Close().ok());
    }
    auto store = OpenSmall(&disk);
    const auto found = ContentsOf(store.get());
    ASSERT_TRUE(found.ok()) << found.status() << ", operation " << k;
    ASSERT_EQ(*found, expected) << k;
    const auto report = store->maintenance()->Verify();
    ASSERT_TRUE(report.ok()) << report.status();
  }
  EXPECT_GT(moves, 0u);
}

// The disk fails while a log is begun, and its file cannot be taken away either: it has no record,
// and the log before it goes on.
TEST(SstableLogFaultTest, ALogThatNeverHadARecordEndsNothing) {
  MemoryFileSystem disk;
  FaultFileSystem faults(&disk);
  State expected;
  {
    auto store = OpenSmall(&faults);
    const auto put = [&](const std::string& key) {
      ASSERT_TRUE(PutWith(store.get(), key, "v", true).ok());
      expected[key] = "v";
    };
    put("first");
    faults.SetRule({Fault::kIoError, 0, true, [](const FileOperation& o) {
                      return o.kind == Kind::kSyncDir || o.kind == Kind::kDelete;
                    }});
    EXPECT_FALSE(store->maintenance()->Flush().ok());
    EXPECT_EQ(faults.injected(), 2u);
    faults.ClearRule();
    put("second");
    // A failed append begins a third log.
    faults.SetRule(
        {Fault::kShortWrite, 0, false, [](const FileOperation& o) { return o.is_write(); }});
    EXPECT_FALSE(PutWith(store.get(), "failed", "v", true).ok());
    faults.ClearRule();
    put("third");
    put("fourth");
    EXPECT_EQ(FilesOf(&disk, ".log").size(), 3u);
    const auto after = disk.CloneAfterCrash(1, {});
    auto reopened = OpenSstable(kTestDir, SmallSstable(after.get()));
    ASSERT_TRUE(reopened.ok()) << reopened.status();
    EXPECT_EQ(*ContentsOf(reopened->get()), expected);
  }
}

Stamp StampOf(Store* store, absl::string_view key,
              std::shared_ptr<const Snapshot> snapshot = nullptr) {
  ReadOptions options;
  options.stamp = true;
  options.snapshot = std::move(snapshot);
  ReadResults results;
  store->Read(key, options, &results);
  EXPECT_TRUE(results[0].status.ok() && !results[0].found) << key;
  return results[0].stamp;
}

// A key that came and went between two stamps is never the key that never was.
TEST(SstableStampTest, AStampOfAbsenceIsNotThatOfAnEarlierAbsence) {
  for (const bool flush_first : {false, true}) {
    for (const bool range : {false, true}) {
      for (const bool compact : {false, true}) {
        MemoryFileSystem fs;
        auto store = OpenSmall(&fs);
        std::vector<Stamp> stamps;
        const auto look = [&] { stamps.push_back(StampOf(store.get(), "key")); };
        const auto reopen = [&] {
          const auto after = fs.CloneAfterCrash(1, {});
          store = nullptr;
          fs.~MemoryFileSystem();
          new (&fs) MemoryFileSystem();
          for (const auto& [name, bytes] : BytesOf(after.get())) {
            fs.CreateDir(kTestDir).IgnoreError();
            auto file = fs.OpenForWrite(JoinPath(kTestDir, name), FileSystem::Create::kNew).value();
            ASSERT_TRUE(file->Append(bytes).ok());
          }
          fs.SyncAll();
          store = OpenSmall(&fs);
        };
        look();
        ASSERT_TRUE(store->Put("key", "value").ok());
        if (flush_first) {
          ASSERT_TRUE(store->maintenance()->Flush().ok());
        }
        if (range) {
          ASSERT_TRUE(DeleteRangeOf(store.get(), "a", "z").ok());
        } else {
          ASSERT_TRUE(store->Delete("key").ok());
        }
        look();
        reopen();
        look();
        if (compact) {
          ASSERT_TRUE(store->maintenance()->Compact(KeyRange::All()).ok());
        }
        look();
        reopen();
        look();
        for (size_t i = 1; i < stamps.size(); ++i) {
          EXPECT_NE(stamps[i], stamps[0]) << i << flush_first << range << compact;
        }
        // And a write under it is refused.
        WriteBatch batch;
        batch.RequireUnchanged("key", stamps[0]);
        batch.Put("key", "stale");
        WriteOptions atomic;
        atomic.atomic = true;
        EXPECT_TRUE(absl::IsFailedPrecondition(store->Write(batch, atomic, nullptr)));
      }
    }
  }
}

uint32_t BucketOf(absl::string_view key) { return sstable::FloorBucket(sstable::KeyHash(key)); }

// Nor does it say whether the last trace of the key itself is still there.
TEST(SstableStampTest, WhereOtherKeysLeaveNoTraceIsNoWriteOfAnAbsentKey) {
  MemoryFileSystem fs;
  auto store = OpenSmall(&fs);
  ASSERT_TRUE(store->Put("gone", "value").ok());
  ASSERT_TRUE(store->Delete("gone").ok());
  const Stamp never = StampOf(store.get(), "never");
  const Stamp gone = StampOf(store.get(), "gone");
  EXPECT_NE(never, gone);
  std::set<uint32_t> buckets;
  for (int i = 0; i < 2000; ++i) {
    const std::string key = absl::StrCat("other", i);
    if (BucketOf(key) == BucketOf("never") || BucketOf(key) == BucketOf("gone")) continue;
    buckets.insert(BucketOf(key));
    ASSERT_TRUE(PutWith(store.get(), key, "value", false).ok());
    ASSERT_TRUE(store->Delete(key).ok());
  }
  EXPECT_GT(buckets.size(), 1000u);
  ASSERT_TRUE(store->maintenance()->Compact(KeyRange::All()).ok());
  EXPECT_TRUE(FilesOf(&fs, ".tbl").empty());
  EXPECT_EQ(StampOf(store.get(), "never"), never);
  EXPECT_EQ(StampOf(store.get(), "gone"), gone);
  const Stamp other = StampOf(store.get(), "other7");
  // The edit of the compaction has the floors, then the first one of a new manifest.
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(store->Close().ok());
    store = OpenSmall(&fs);
    EXPECT_EQ(StampOf(store.get(), "never"), never);
    EXPECT_EQ(StampOf(store.get(), "gone"), gone);
    EXPECT_EQ(StampOf(store.get(), "other7"), other);
  }
}

// A flush drops what came and went behind a snapshot: that was a write of this key, and of no
// other.
TEST(SstableStampTest, TheStampOfASnapshotIsNotThatOfALaterAbsence) {
  MemoryFileSystem fs;
  auto store = OpenSmall(&fs);
  ASSERT_TRUE(store->Put("before", "value").ok());
  ASSERT_NE(BucketOf("key"), BucketOf("never"));
  const auto snapshot = store->GetSnapshot();
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  ASSERT_TRUE(store->Put("key", "value").ok());
  ASSERT_TRUE(DeleteRangeOf(store.get(), "key", "z").ok());
  ASSERT_TRUE(store->maintenance()->Flush().ok());
  EXPECT_NE(StampOf(store.get(), "key", *snapshot), StampOf(store.get(), "key"));
  EXPECT_EQ(StampOf(store.get(), "never", *snapshot), StampOf(store.get(), "never"));
}

// Calls beside Close() finish before the directory is free for the next opener, or fail: nothing
// is acknowledged that the next opener does not have.
TEST(SstableCloseTest, NothingIsAcknowledgedBehindAClose) {
  for (int round = 0; round < 30; ++round) {
    MemoryFileSystem fs;
    SstableOptions options = SmallSstable(&fs);
    options.threads = round % 2 == 0;
    auto store = OpenSstable(kTestDir, options).value();
    std::atomic<int> acknowledged[4] = {};
    std::vector<std::thread> threads;
    absl::Notification begun;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0;; ++i) {
          const absl::Status status =
              PutWith(store.get(), absl::StrCat(t, "/", 1000000 + i), "v", i % 2 == 0);
          if (!status.ok()) {
            EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
            return;
          }
          acknowledged[t] = i + 1;
          if (t == 0 && i == 20) begun.Notify();
        }
      });
    }
    begun.WaitForNotification();
    ASSERT_TRUE(store->Close().ok());
    auto next = OpenSstable(kTestDir, options);
    ASSERT_TRUE(next.ok()) << next.status();
    const auto found = ContentsOf(next->get());
    ASSERT_TRUE(found.ok()) << found.status();
    for (std::thread& thread : threads) thread.join();
    for (int t = 0; t < 4; ++t) {
      for (int i = 0; i < acknowledged[t]; ++i) {
        ASSERT_EQ(found->count(absl::StrCat(t, "/", 1000000 + i)), 1u)
            << "of writer " << t << ", round " << round;
      }
    }
  }
}

// A sync of what was written without one would hold up all writers.
TEST(SstableLogTest, APromiseSyncsNothingForThoseWhoAskedForNoSync) {
  MemoryFileSystem fs;
  SstableOptions options = SmallSstable(&fs);
  options.threads = true;
  options.idle_period = absl::ZeroDuration();
  auto store = OpenSstable(kTestDir, options).value();
  for (int i = 0; i < 5000; ++i) {
    ASSERT_TRUE(PutWith(store.get(), absl::StrCat("key", i % 10), "value", false).ok());
  }
  EXPECT_EQ(StatOf(store.get(), "log_syncs"), 0u);
}

// The thread of compactions writes promises when nothing is flushed, and may wait for room then.
TEST(SstableCloseTest, AnIdleStoreWithoutRoomCloses) {
  for (int round = 0; round < 300; ++round) {
    MemoryFileSystem fs;
    SstableOptions options = SmallSstable(&fs);
    options.threads = true;
    options.memtable_bytes = 1;
    options.idle_period = absl::ZeroDuration();
    auto store = OpenSstable(kTestDir, options).value();
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(PutWith(store.get(), absl::StrCat("key", i), "value", false).ok());
    }
    ASSERT_TRUE(store->Close().ok());
  }
}

// A compaction that somebody asked for is not carried on in a directory that was given up.
TEST(SstableCloseTest, NoCompactionGoesOnBehindAClose) {
  for (int round = 0; round < 10; ++round) {
    MemoryFileSystem fs;
    auto store = OpenSmall(&fs);
    for (int i = 0; i < 500; ++i) {
      ASSERT_TRUE(PutWith(store.get(), absl::StrCat("key", i), std::string(100, 'v'), false).ok());
    }
    ASSERT_TRUE(store->maintenance()->Flush().ok());
    std::atomic<bool> closed{false};
    std::atomic<int> after_close{0};
    absl::Notification begun;
    fs.SetHook([&](MemoryFileSystem::Moment moment, const FileOperation& operation) {
      if (moment != MemoryFileSystem::Moment::kBefore) return;
      if (closed) ++after_close;
      // Held where it writes a table, until the close has had time to overtake it.
      if (operation.kind == Kind::kSync && absl::EndsWith(operation.path, ".tbl") &&
          !begun.HasBeenNotified()) {
        begun.Notify();
        for (int i = 0; i < 100 && !closed; ++i) std::this_thread::yield();
      }
    });
    std::thread compaction([&] {
      const absl::Status status = store->maintenance()->Compact(KeyRange::All());
      EXPECT_TRUE(status.ok() || absl::IsFailedPrecondition(status) || absl::IsCancelled(status))
          << status;
    });
    begun.WaitForNotification();
    ASSERT_TRUE(store->Close().ok());
    closed = true;
    compaction.join();
    EXPECT_EQ(after_close, 0) << round;
    closed = false;
    fs.SetHook({});
  }
}

// Keys `from` to `to`, not synced and then flushed: a run.
void FlushRun(Store* store, int from, int to, absl::string_view value, State* expected) {
  for (int i = from; i < to; ++i) {
    const std::string key = absl::StrCat("key", 10000 + i);
    (*expected)[key] = absl::StrCat(value, std::string(90, 'v'));
    ASSERT_TRUE(PutWith(store, key, (*expected)[key], false).ok());
  }
  ASSERT_TRUE(store->maintenance()->Flush().ok());
}

// A call that writes nothing, and does what is due.
void DoWhatIsDue(Store* store) {
  ASSERT_TRUE(
      store->Modify("key", {}, [](const ReadResult&) { return Modification::Nothing(); }).ok());
}

TEST(SstableCompactionTest, RunsOfAscendingKeysMoveDownAndAreNotWrittenAgain) {
  MemoryFileSystem fs;
  auto store = OpenSmall(&fs);
  State expected;
  for (int run = 0; run < 40; ++run) {
    FlushRun(store.get(), run * 20, run * 20 + 20, "a", &expected);
    DoWhatIsDue(store.get());
    ASSERT_LT(StatOf(store.get(), "level_0_runs"), 4u);
  }
  EXPECT_EQ(StatOf(store.get(), "compactions"), 0u);
  EXPECT_EQ(StatOf(store.get(), "compacted_bytes"), 0u);
  EXPECT_GT(StatOf(store.get(), "level_2_tables"), 20u);
  ASSERT_TRUE(store->maintenance()->Verify().ok());
  EXPECT_EQ(*ContentsOf(store.get()), expected);
  ASSERT_TRUE(store->Close().ok());
  store = OpenSmall(&fs);
  EXPECT_EQ(*ContentsOf(store.get()), expected);
}

// A run goes below an older one only where they have no key in common, and one that has deletions
// to lose, or would be a crumb, is merged.
TEST(SstableCompactionTest, ARunThatMeetsAnOlderOneStaysAboveIt) {
  for (const bool deletion : {false, true}) {
    MemoryFileSystem fs;
    auto store = OpenSmall(&fs);
    State expected;
    FlushRun(store.get(), 100, 120, "oldest", &expected);
    FlushRun(store.get(), 110, 130, "above it", &expected);
    FlushRun(store.get(), 125, 145, "above that", &expected);
    if (deletion) {
      ASSERT_TRUE(store->Delete("key0").ok());
    }
    FlushRun(store.get(), 0, 20, "alone", &expected);
    DoWhatIsDue(store.get());
    EXPECT_EQ(StatOf(store.get(), "level_0_runs"), deletion ? 3u : 2u);
    EXPECT_EQ(StatOf(store.get(), "compactions"), 0u);
    EXPECT_EQ(*ContentsOf(store.get()), expected);
    for (const auto& [key, value] : expected) EXPECT_EQ(store->Get(key)->value(), value);
    ASSERT_TRUE(store->maintenance()->Verify().ok());
  }
}

TEST(SstableCompactionTest, CrumbsAreJoinedByFoursRatherThanMoved) {
  MemoryFileSystem fs;
  SstableOptions options = SmallSstable(&fs);
  options.table_bytes = 64 << 10;
  options.level1_bytes = 1 << 20;
  auto store = OpenSstable(kTestDir, options).value();
  State expected;
  for (int run = 0; run < 40; ++run) {
    FlushRun(store.get(), run * 5, run * 5 + 5, "a", &expected);
    DoWhatIsDue(store.get());
  }
  EXPECT_LE(FilesOf(&fs, ".tbl").size(), 13u);
  EXPECT_EQ(*ContentsOf(store.get()), expected);
}

TEST(SstableCompactionTest, AllThatALevelHasTooMuchMovesByOneEdit) {
  MemoryFileSystem fs;
  auto store = OpenSmall(&fs);
  State expected;
  for (int run = 0; run < 4; ++run) {
    FlushRun(store.get(), run * 100, run * 100 + 100, "a", &expected);
  }
  uint64_t edits = 0;
  uint64_t names = 0;
  fs.SetHook([&](MemoryFileSystem::Moment moment, const FileOperation& operation) {
    if (moment != MemoryFileSystem::Moment::kAfter) return;
    edits += operation.kind == Kind::kSync && IsOfManifest(operation) ? 1 : 0;
    names += operation.kind == Kind::kSyncDir ? 1 : 0;
  });
  DoWhatIsDue(store.get());
  fs.SetHook({});
  EXPECT_GT(StatOf(store.get(), "level_2_tables"), 10u);
  EXPECT_EQ(edits, 2u);  // level 0 to 1, level 1 to 2
  EXPECT_EQ(names, 0u);  // there is no new one
  EXPECT_EQ(*ContentsOf(store.get()), expected);
}

class SstableRangeDropTest : public testing::Test {
 protected:
  SstableRangeDropTest() { Open(); }

  // Of tables of about ten keys each.
  SstableOptions Options() {
    SstableOptions options = SmallSstable(&fs_);
    options.compress = SstableOptions::Compress::kNone;
    return options;
  }
  void Open() { store_ = OpenSstable(kTestDir, Options()).value(); }

  static std::string Key(int i) { return absl::StrCat("key", 10000 + i); }
  void DeleteKeys(int from, int to) {
    ASSERT_TRUE(DeleteRangeOf(store_.get(), Key(from), Key(to)).ok());
    expected_.erase(expected_.lower_bound(Key(from)), expected_.lower_bound(Key(to)));
  }
  void FlushAndDoWhatIsDue() {
    ASSERT_TRUE(store_->maintenance()->Flush().ok());
    DoWhatIsDue(store_.get());
  }
  void Compact() { ASSERT_TRUE(store_->maintenance()->Compact(KeyRange::All()).ok()); }
  void Reopen() {
    ASSERT_TRUE(store_->Close().ok());
    Open();
  }
  void ExpectContents() {
    EXPECT_EQ(*ContentsOf(store_.get()), expected_);
    for (int i = 0; i < 200; ++i) {
      const auto it = expected_.find(Key(i));
      EXPECT_EQ(store_->Get(Key(i)).value(),
                it == expected_.end() ? std::nullopt : std::make_optional(it->second));
    }
    EXPECT_TRUE(store_->maintenance()->Verify().ok());
  }
  uint64_t dropped() { return StatOf(store_.get(), "dropped_tables"); }
  std::set<std::string> tables() { return FilesOf(&fs_, ".tbl"); }

  MemoryFileSystem fs_;
  std::unique_ptr<Store> store_;
  State expected_;
};

// A snapshot of what was before them needs none of them, and while it is held nothing is compacted.
TEST_F(SstableRangeDropTest, TablesOfWhichARangeDeletionHidesAllGoUnread) {
  const auto snapshot = store_->GetSnapshot().value();
  FlushRun(store_.get(), 0, 200, "v", &expected_);
  Compact();
  const std::set<std::string> before = tables();
  ASSERT_GT(before.size(), 15u);
  DeleteKeys(50, 150);
  ASSERT_TRUE(store_->maintenance()->Flush().ok());
  const std::set<std::string> with_deletion = tables();
  std::set<std::string> read;
  fs_.SetHook([&](MemoryFileSystem::Moment, const FileOperation& operation) {
    if (operation.kind == Kind::kRead) read.insert(std::string(operation.path));
  });
  DoWhatIsDue(store_.get());
  fs_.SetHook({});
  for (const std::string& table : before) EXPECT_EQ(read.count(JoinPath(kTestDir, table)), 0u);
  EXPECT_GT(dropped(), 7u);
  EXPECT_EQ(tables().size(), with_deletion.size() - dropped());
  ExpectContents();
  Reopen();
  ExpectContents();
  EXPECT_TRUE(ContentsOf(store_.get())->size() == 100);
}

TEST_F(SstableRangeDropTest, WhatASnapshotSeesStaysUntilItGoes) {
  FlushRun(store_.get(), 0, 200, "v", &expected_);
  Compact();
  const State then = expected_;
  auto snapshot = store_->GetSnapshot().value();
  DeleteKeys(50, 150);
  FlushAndDoWhatIsDue();
  EXPECT_EQ(dropped(), 0u);
  EXPECT_EQ(*ContentsOf(store_.get(), snapshot), then);
  ExpectContents();
  snapshot = nullptr;
  DoWhatIsDue(store_.get());
  EXPECT_GT(dropped(), 7u);
  ExpectContents();
}

// Deletions that stand side by side hide a table together; one key beside them keeps it, and so
// does all that is newer.
TEST_F(SstableRangeDropTest, ATableWithAnythingThatIsNotHiddenStays) {
  for (const char* what : {"all", "a gap", "the first", "the last", "newer"}) {
    SstableOptions options = Options();
    options.table_bytes = 1 << 20;  // a table a run
    const std::string dir = absl::StrCat("of ", what);
    store_ = OpenSstable(dir, options).value();
    expected_.clear();
    const auto none = store_->GetSnapshot().value();  // nothing is compacted by itself
    const absl::string_view is = what;
    FlushRun(store_.get(), 0, 200, "v", &expected_);
    DeleteKeys(is == "the first" ? 1 : 0, 100);
    DeleteKeys(is == "a gap" ? 101 : 100, is == "the last" ? 199 : 200);
    if (is == "newer") FlushRun(store_.get(), 0, 200, "w", &expected_);
    FlushAndDoWhatIsDue();
    if (is == "newer") FlushRun(store_.get(), 0, 200, "x", &expected_);
    FlushAndDoWhatIsDue();
    EXPECT_EQ(dropped(), is == "all" || is == "newer" ? 1u : 0u) << what;
    ExpectContents();
  }
}

TEST_F(SstableRangeDropTest, AnOlderVersionBelowDoesNotComeBack) {
  FlushRun(store_.get(), 0, 200, "old", &expected_);
  Compact();
  const auto snapshot = store_->GetSnapshot().value();  // of the old ones: their tables stay
  const State then = expected_;
  FlushRun(store_.get(), 60, 140, "new", &expected_);
  DeleteKeys(55, 145);
  FlushAndDoWhatIsDue();
  EXPECT_GT(dropped(), 3u);
  ExpectContents();
  EXPECT_EQ(*ContentsOf(store_.get(), snapshot), then);
  Compact();
  ExpectContents();
  Reopen();
  ExpectContents();
}

TEST_F(SstableRangeDropTest, AKeyThatWentUnreadLeavesAnotherStampThanOneThatNeverWas) {
  const Stamp before = StampOf(store_.get(), Key(100));
  FlushRun(store_.get(), 0, 200, "v", &expected_);
  Compact();
  DeleteKeys(0, 200);
  const Stamp gone = StampOf(store_.get(), Key(100));
  EXPECT_NE(gone, before);
  FlushAndDoWhatIsDue();
  EXPECT_GT(dropped(), 10u);
  EXPECT_TRUE(tables().empty());
  for (int i = 0; i < 3; ++i) {
    EXPECT_GE(StampOf(store_.get(), Key(100)).high, gone.high) << i;
    if (i == 0) Compact();
    Reopen();
  }
}

// With nobody to flush the memtable, and nothing written.
TEST(SstableCompactionTest, TheSpaceOfADeletedRangeDoesNotWaitForTheMemtableToFill) {
  MemoryFileSystem fs;
  SstableOptions options = SmallSstable(&fs);
  options.threads = true;
  options.idle_period = absl::Hours(1);
  auto store = OpenSstable(kTestDir, options).value();
  State expected;
  FlushRun(store.get(), 0, 200, "v", &expected);
  ASSERT_TRUE(store->maintenance()->Compact(KeyRange::All()).ok());
  ASSERT_TRUE(DeleteRangeOf(store.get(), "key", "z").ok());
  for (int i = 0; StatOf(store.get(), "dropped_tables") == 0 && i < 5000; ++i) {
    absl::SleepFor(absl::Milliseconds(2));
  }
  EXPECT_EQ(StatOf(store.get(), "level_1_tables"), 0u);
  EXPECT_TRUE(ContentsOf(store.get())->empty());
}

// Each scan from there would pass over all of them, for as long as nothing is written.
TEST(SstableCompactionTest, DeadRunsThatAScanHasPassedAreCompacted) {
  for (const bool backward : {false, true}) {
    SCOPED_TRACE(backward);
    MemoryFileSystem fs;
    SstableOptions options = SmallSstable(&fs);
    options.threads = true;
    options.memtable_bytes = 8 << 20;
    options.memory = 64 << 20;
    options.table_bytes = 1 << 20;
    options.idle_period = absl::Hours(1);
    auto store = OpenSstable(kTestDir, options).value();
    ASSERT_TRUE(store->Put("a", "first").ok());
    ASSERT_TRUE(store->Put("z", "last").ok());
    for (const bool deletes : {false, true}) {
      WriteBatch batch;
      std::vector<std::string> keys;
      for (int i = 0; i < 12'000; ++i) keys.push_back(absl::StrCat("k", 100'000 + i));
      for (const std::string& key : keys) deletes ? batch.Delete(key) : batch.Put(key, "v");
      ASSERT_TRUE(store->Write(batch, {}, nullptr).ok());
      // The deletions are still in memory.
      if (!deletes) {
        ASSERT_TRUE(store->maintenance()->Flush().ok());
      }
    }
    const auto entries = [&] { return store->maintenance()->Verify()->entries; };
    EXPECT_GE(entries(), 12'002u);
    ScanOptions scan;
    scan.backward = backward;
    scan.range = KeyRange::FromTo("b", "zz");
    ScanPage page;
    ASSERT_TRUE((*store->NewCursor(scan))->Next(PageLimits(), &page).ok());
    for (int i = 0; (StatOf(store.get(), "dead_runs") == 0 || entries() > 2) && i < 5000; ++i) {
      absl::SleepFor(absl::Milliseconds(2));
    }
    EXPECT_EQ(entries(), 2u);
    EXPECT_EQ(StatOf(store.get(), "dead_runs"), 1u);
    EXPECT_EQ(*ContentsOf(store.get()), (State{{"a", "first"}, {"z", "last"}}));
  }
}

// A scan of a snapshot says nothing, and what a snapshot may need is not looked for all the time.
TEST(SstableCompactionTest, DeadRunsOfASnapshotStay) {
  MemoryFileSystem fs;
  SstableOptions options = SmallSstable(&fs);
  options.threads = true;
  options.idle_period = absl::Hours(1);
  auto store = OpenSstable(kTestDir, options).value();
  std::vector<std::string> keys;
  for (int i = 0; i < 12'000; ++i) keys.push_back(absl::StrCat("k", 100'000 + i));
  for (const bool deletes : {false, true}) {
    WriteBatch batch;
    for (const std::string& key : keys) deletes ? batch.Delete(key) : batch.Put(key, "v");
    ASSERT_TRUE(store->Write(batch, {}, nullptr).ok());
  }
  {
    const auto snapshot = *store->GetSnapshot();
    for (const bool pinned : {true, false}) {
      ScanOptions scan;
      if (pinned) scan.snapshot = snapshot;
      ScanPage page;
      ASSERT_TRUE((*store->NewCursor(scan))->Next(PageLimits(), &page).ok());
    }
    // Whatever it was asked for, the thread has looked at it once this flush is compacted.
    ASSERT_TRUE(store->maintenance()->Flush().ok());
    ASSERT_TRUE(store->maintenance()->Compact(KeyRange::All()).ok());
    EXPECT_EQ(StatOf(store.get(), "dead_runs"), 0u);
  }
}

// Not when something else wakes it, which may be after the idle period.
TEST(SstableCompactionTest, ItBeginsWhenTheFlushThatMakesItDueHasEnded) {
  for (int round = 0; round < 5; ++round) {
    MemoryFileSystem disk;
    SstableOptions options = SmallSstable(&disk);
    options.threads = true;
    options.idle_period = absl::Hours(1);
    auto store = OpenSstable(kTestDir, options).value();
    for (int run = 0; run < 4; ++run) {
      for (int i = 0; i < 50; ++i) {
        ASSERT_TRUE(
            PutWith(store.get(), absl::StrCat("key", i), std::string(500, 'v'), false).ok());
      }
      ASSERT_TRUE(store->maintenance()->Flush().ok());
    }
    for (int i = 0; StatOf(store.get(), "level_0_runs") >= 4 && i < 5000; ++i) {
      absl::SleepFor(absl::Milliseconds(2));
    }
    EXPECT_LT(StatOf(store.get(), "level_0_runs"), 4u);
    ASSERT_TRUE(store->Close().ok());
  }
}

// A file that the manifest names must be there, before anything is deleted for not being named.
TEST(SstableOpenTest, AMissingTableFailsTheOpenAndNothingIsDeleted) {
  MemoryFileSystem fs;
  {
    auto store = OpenSmall(&fs);
    ASSERT_TRUE(store->Put("key", "value").ok());
    ASSERT_TRUE(store->Close().ok());
  }
  const std::string table = *FilesOf(&fs, ".tbl").begin();
  const std::string path = JoinPath(kTestDir, table);
  ASSERT_TRUE(fs.Rename(path, JoinPath(kTestDir, "999999.tbl")).ok());
  const State before = BytesOf(&fs);
  const auto opened = OpenSstable(kTestDir, SmallSstable(&fs));
  ASSERT_TRUE(absl::IsDataLoss(opened.status())) << opened.status();
  EXPECT_TRUE(absl::StrContains(opened.status().message(), path)) << opened.status();
  EXPECT_EQ(BytesOf(&fs), before);
}

}  // namespace
}  // namespace kvarts
