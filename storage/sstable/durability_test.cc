// Writers on threads beside failed syncs, full disks, crashes and checkpoints.

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"
#include "storage/sstable/test_store.h"
#include "testing/fault/fault_file_system.h"

namespace kvarts {
namespace {

using Kind = FileOperation::Kind;

std::string KeyOf(int writer, int i) { return absl::StrCat(writer, "/", 1000000 + i); }

// Also where a test ends early.
void Join(std::vector<std::thread>* threads) {
  for (std::thread& thread : *threads) thread.join();
  threads->clear();
}

SstableOptions Threaded(FileSystem* fs) {
  SstableOptions options = SmallSstable(fs);
  options.threads = true;
  return options;
}

TEST(SstableDurabilityTest, WhatASyncThatFailedWasToSaveIsNeverAcknowledged) {
  constexpr int kWriters = 4;
  uint64_t k = 0;
  for (; k < 200; ++k) {
    MemoryFileSystem disk;
    FaultFileSystem faults(&disk, [&](WritableFile* file) { disk.LoseUnsynced(file); });
    std::array<std::atomic<int>, kWriters> acknowledged{};
    std::atomic<int> unknown{0};
    bool poisoned = false;
    {
      auto store = OpenSstable(kTestDir, Threaded(&faults)).value();
      faults.SetRule({Fault::kSyncLosesPages, k, false, [](const FileOperation& o) {
                        return o.kind == Kind::kSync && absl::EndsWith(o.path, ".log");
                      }});
      std::vector<std::thread> writers;
      for (int w = 0; w < kWriters; ++w) {
        writers.emplace_back([&, w] {
          for (int i = 0; i < 12; ++i) {
            const absl::Status status = PutWith(store.get(), KeyOf(w, i), "v", true);
            if (status.ok()) {
              acknowledged[static_cast<size_t>(w)] = i + 1;
              continue;
            }
            if (absl::IsDeadlineExceeded(status)) ++unknown;
            ASSERT_TRUE(absl::IsDeadlineExceeded(status) || absl::IsFailedPrecondition(status))
                << status;
            return;
          }
        });
      }
      for (std::thread& writer : writers) writer.join();
      poisoned = faults.injected() > 0;
      State expected;
      for (int w = 0; w < kWriters; ++w) {
        for (int i = 0; i < acknowledged[static_cast<size_t>(w)]; ++i) expected[KeyOf(w, i)] = "v";
      }
      // Reads go on, and have what was acknowledged, alone.
      EXPECT_EQ(*ContentsOf(store.get()), expected) << k;
      if (poisoned) {
        EXPECT_GT(unknown, 0) << k;
        const absl::Status later = store->Put("later", "l");
        EXPECT_TRUE(absl::IsFailedPrecondition(later)) << later;
        EXPECT_TRUE(absl::IsFailedPrecondition(store->Sync()));
        EXPECT_TRUE(absl::IsFailedPrecondition(store->maintenance()->Flush()));
        EXPECT_FALSE(store->Stats()->save_error.empty());
      }
    }
    faults.ClearRule();
    for (const bool crash : {true, false}) {
      std::unique_ptr<MemoryFileSystem> after;
      if (crash) after = disk.CloneAfterCrash(k, {});
      auto store = OpenSstable(kTestDir, Threaded(crash ? after.get() : &disk));
      ASSERT_TRUE(store.ok()) << store.status() << k;
      const State found = *ContentsOf(store->get());
      for (int w = 0; w < kWriters; ++w) {
        for (int i = 0; i < acknowledged[static_cast<size_t>(w)]; ++i) {
          ASSERT_EQ(found.count(KeyOf(w, i)), 1u) << "writer " << w << ", sync " << k;
        }
      }
      EXPECT_TRUE((*store)->Put("later", "l").ok());
    }
    if (!poisoned) break;
  }
  EXPECT_GT(k, 10u);
}

// A memtable that cannot be flushed keeps its log; a synced write in the next log is worth nothing
// without it.
TEST(SstableDurabilityTest, ASyncSavesTheLogsBeforeTheLastOneToo) {
  MemoryFileSystem disk;
  FaultFileSystem faults(&disk);
  auto store = OpenSstable(kTestDir, SmallSstable(&faults)).value();
  faults.SetRule({Fault::kNoSpace, 0, true,
                  [](const FileOperation& o) { return absl::EndsWith(o.path, ".tbl"); }});
  State expected;
  const auto put = [&](const std::string& key, size_t size, bool sync) {
    expected[key] = std::string(size, 'v');
    const absl::Status status = PutWith(store.get(), key, expected[key], sync);
    ASSERT_TRUE(status.ok()) << status;
  };
  for (int log = 0; log < 2; ++log) {
    put(absl::StrCat("buffered", log), 10, false);
    put(absl::StrCat("large", log), 320 << 10, false);
  }
  put("synced", 10, true);
  EXPECT_EQ(FilesOf(&disk, ".log").size(), 3u);
  const auto after = disk.CloneAfterCrash(1, {});
  auto reopened = OpenSstable(kTestDir, SmallSstable(after.get()));
  ASSERT_TRUE(reopened.ok()) << reopened.status();
  EXPECT_EQ(*ContentsOf(reopened->get()), expected);
}

// What crashes leave is a prefix of the history: if a write is there, so is every one that was
// answered before it began, of any writer; and what was answered after a sync is there.
TEST(SstableDurabilityTest, ACrashBesideWritersLeavesAPrefixOfTheHistory) {
  constexpr int kWriters = 4;
  constexpr int kWrites = 300;
  struct Times {
    std::atomic<uint64_t> begin{0};
    std::atomic<uint64_t> end{0};
  };
  for (int round = 0; round < 4; ++round) {
    MemoryFileSystem disk;
    std::vector<Times> times(kWriters * kWrites);
    std::atomic<uint64_t> ticket{0};
    std::array<std::atomic<int>, kWriters> synced{};
    std::atomic<int> running{kWriters};
    auto store = OpenSstable(kTestDir, Threaded(&disk)).value();
    std::vector<std::thread> writers;
    for (int w = 0; w < kWriters; ++w) {
      writers.emplace_back([&, w] {
        for (int i = 0; i < kWrites; ++i) {
          Times& t = times[static_cast<size_t>(w * kWrites + i)];
          const bool sync = (i + w) % (w + 2) == 0;
          t.begin = ++ticket;
          const std::string value(i % 50 == 0 ? 40000 : 100, 'v');
          ASSERT_TRUE(PutWith(store.get(), KeyOf(w, i), value, sync).ok());
          t.end = ++ticket;
          if (sync) synced[static_cast<size_t>(w)] = i + 1;
        }
        --running;
      });
    }
    const auto join = absl::MakeCleanup([&] { Join(&writers); });
    struct Crash {
      std::array<int, kWriters> synced{};
      State state;
    };
    std::vector<Crash> crashes;
    for (uint64_t seed = 0; running > 0 || seed < 12; ++seed) {
      Crash crash;
      for (size_t w = 0; w < kWriters; ++w) crash.synced[w] = synced[w];
      const auto after = disk.CloneAfterCrash(seed, CrashPolicy::All()[seed % 12]);
      auto opened = OpenSstable(kTestDir, SmallSstable(after.get()));
      ASSERT_TRUE(opened.ok()) << opened.status();
      crash.state = *ContentsOf(opened->get());
      crashes.push_back(std::move(crash));
    }
    Join(&writers);
    for (const Crash& crash : crashes) {
      uint64_t last_begin = 0;
      for (int w = 0; w < kWriters; ++w) {
        for (int i = 0; i < kWrites; ++i) {
          if (crash.state.count(KeyOf(w, i)) == 0) continue;
          last_begin =
              std::max(last_begin, times[static_cast<size_t>(w * kWrites + i)].begin.load());
        }
      }
      for (int w = 0; w < kWriters; ++w) {
        for (int i = 0; i < kWrites; ++i) {
          const bool there = crash.state.count(KeyOf(w, i)) == 1;
          if (i < crash.synced[static_cast<size_t>(w)]) {
            ASSERT_TRUE(there) << w << ", " << i;
          }
          if (times[static_cast<size_t>(w * kWrites + i)].end < last_begin) {
            ASSERT_TRUE(there) << "a hole at write " << i << " of writer " << w;
          }
        }
      }
    }
  }
}

TEST(SstableDurabilityTest, ACheckpointBesideWritersAndCompactionIsAPrefix) {
  MemoryFileSystem disk;
  auto store = OpenSstable(kTestDir, Threaded(&disk)).value();
  constexpr int kWriters = 2;
  std::array<std::atomic<int>, kWriters> acknowledged{};
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int w = 0; w < kWriters; ++w) {
    threads.emplace_back([&, w] {
      for (int i = 0; !stop; ++i) {
        WriteBatch batch;
        const std::string key = KeyOf(w, i % 1000);
        const std::string value = absl::StrCat(i);
        const std::string last = absl::StrCat("last", w);
        batch.Put(key, value);
        batch.Put(last, value);
        WriteOptions options;
        options.atomic = true;
        options.sync = i % 10 == 0;
        ASSERT_TRUE(store->Write(batch, options, nullptr).ok());
        acknowledged[static_cast<size_t>(w)] = i + 1;
      }
    });
  }
  threads.emplace_back([&] {
    while (!stop) ASSERT_TRUE(store->maintenance()->Compact(KeyRange::All()).ok());
  });
  const auto join = absl::MakeCleanup([&] {
    stop = true;
    Join(&threads);
  });
  std::vector<std::pair<std::string, State>> checkpoints;
  for (int c = 0; c < 12; ++c) {
    std::array<int, kWriters> before{};
    // Some writes between two of them.
    for (size_t w = 0; w < kWriters; ++w) {
      const int from = acknowledged[w];
      while (acknowledged[w] < from + 50) std::this_thread::yield();
      before[w] = acknowledged[w];
    }
    const auto path = store->maintenance()->Checkpoint(absl::StrCat("checkpoint", c));
    ASSERT_TRUE(path.ok()) << path.status();
    auto opened = OpenSstable(*path, SmallSstable(&disk));
    ASSERT_TRUE(opened.ok()) << opened.status();
    const auto verified = (*opened)->maintenance()->Verify();
    ASSERT_TRUE(verified.ok()) << verified.status();
    const State state = *ContentsOf(opened->get());
    for (int w = 0; w < kWriters; ++w) {
      // A writer's history is there up to some write.
      const int last = std::stoi(state.at(absl::StrCat("last", w)));
      EXPECT_GE(last + 1, before[static_cast<size_t>(w)]);
      for (int i = std::max(0, last - 999); i <= last; ++i) {
        ASSERT_EQ(state.at(KeyOf(w, i % 1000)), absl::StrCat(i)) << c;
      }
    }
    checkpoints.emplace_back(*path, state);
    EXPECT_TRUE(absl::IsAlreadyExists(
        store->maintenance()->Checkpoint(absl::StrCat("checkpoint", c)).status()));
  }
  stop = true;
  Join(&threads);
  ASSERT_TRUE(DeleteRangeOf(store.get(), "", "").ok());
  ASSERT_TRUE(store->maintenance()->Compact(KeyRange::All()).ok());
  store = nullptr;
  // Nothing done to the store later changes one.
  for (const auto& [path, state] : checkpoints) {
    auto opened = OpenSstable(path, SmallSstable(&disk));
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_EQ(*ContentsOf(opened->get()), state);
    EXPECT_TRUE((*opened)->Put("it", "is a store").ok());
  }
}

// The disk is full for a while, from any number of bytes on.
TEST(SstableDurabilityTest, OnAFullDiskReadsGoOnAndWritesResumeWhenThereIsSpace) {
  for (const bool threads : {false, true}) {
    for (uint64_t k = 0; k < (threads ? 12u : 150u); ++k) {
      MemoryFileSystem disk;
      const SstableOptions options = threads ? Threaded(&disk) : SmallSstable(&disk);
      auto store = OpenSstable(kTestDir, options).value();
      State state;
      const std::string value(3000, 'v');
      const auto put = [&](int i) {
        const std::string key = KeyOf(i % 3, i % 70);
        const absl::Status status = PutWith(store.get(), key, absl::StrCat(i, value), i % 4 == 0);
        if (status.ok()) state[key] = absl::StrCat(i, value);
        return status;
      };
      for (int i = 0; i < 20; ++i) ASSERT_TRUE(put(i).ok());
      disk.SetCapacity(disk.used_bytes() + k * (threads ? 50021 : 4001));
      int failed = 0;
      for (int i = 20; i < 400; ++i) {
        const absl::Status status = put(i);
        if (status.ok()) continue;
        ASSERT_TRUE(absl::IsResourceExhausted(status)) << status;
        ++failed;
        if (failed % 10 == 1) {
          ASSERT_EQ(*ContentsOf(store.get()), state);
        }
        if (failed == 30) break;
      }
      if (failed > 0) {
        store->maintenance()->Compact(KeyRange::All()).IgnoreError();
        ASSERT_EQ(*ContentsOf(store.get()), state);
      }
      disk.SetCapacity(~uint64_t{0});
      // It goes on without another opening; where threads flush, as soon as they have tried again.
      absl::Status status = put(1000);
      for (int i = 0; threads && !status.ok() && i < 2000; ++i) {
        absl::SleepFor(absl::Milliseconds(2));
        status = put(1000);
      }
      ASSERT_TRUE(status.ok()) << status << k;
      for (int i = 1001; i < 1020; ++i) ASSERT_TRUE(put(i).ok());
      // A try that began before there was space may still fail.
      absl::Status flushed = store->maintenance()->Flush();
      for (int i = 0; threads && !flushed.ok() && i < 3; ++i)
        flushed = store->maintenance()->Flush();
      ASSERT_TRUE(flushed.ok()) << flushed << threads << k;
      ASSERT_EQ(*ContentsOf(store.get()), state);
      const auto after = disk.CloneAfterCrash(k, {});
      auto reopened = OpenSstable(kTestDir, SmallSstable(after.get()));
      ASSERT_TRUE(reopened.ok()) << reopened.status();
      ASSERT_EQ(*ContentsOf(reopened->get()), state) << k;
      ASSERT_TRUE(store->Close().ok());
    }
  }
}

// Puts keys of `prefix` until there is no space for them, whatever a compaction gives back.
void FillDisk(Store* store, int prefix, State* state) {
  int refused = 0;
  for (int i = 0; i < 8000; ++i) {
    const std::string key = KeyOf(prefix, i);
    const std::string value(2000, static_cast<char>('a' + i % 26));
    const absl::Status status = PutWith(store, key, value, i % 8 == 0);
    if (status.ok()) {
      (*state)[key] = value;
      refused = 0;
      continue;
    }
    ASSERT_TRUE(absl::IsResourceExhausted(status)) << status;
    if (++refused == 2) return;
    store->maintenance()->Compact(KeyRange::All()).IgnoreError();
  }
  FAIL() << "the disk does not fill";
}

// Where threads give the space back, after a while.
absl::Status PutWhenThereIsSpace(Store* store, const std::string& key, bool threads) {
  absl::Status status = PutWith(store, key, std::string(2000, 'v'), false);
  for (int i = 0; threads && !status.ok() && i < 5000; ++i) {
    absl::SleepFor(absl::Milliseconds(2));
    status = PutWith(store, key, std::string(2000, 'v'), false);
  }
  return status;
}

TEST(SstableDurabilityTest, OnAFullDiskDeletionsAreTakenAndGiveSpaceBack) {
  for (const bool threads : {false, true}) {
    for (const bool ranges : {false, true}) {
      for (const bool reopened : {false, true}) {
        SCOPED_TRACE(absl::StrCat(threads, ranges, reopened));
        MemoryFileSystem first;
        std::unique_ptr<MemoryFileSystem> second;
        const auto options = [&](FileSystem* fs) {
          SstableOptions small = threads ? Threaded(fs) : SmallSstable(fs);
          small.compress = SstableOptions::Compress::kNone;
          small.idle_period = absl::Hours(1);
          small.table_bytes = 16 << 10;
          return small;
        };
        first.SetCapacity(threads ? 4 << 20 : 2 << 20);
        auto store = OpenSstable(kTestDir, options(&first)).value();
        State state;
        FillDisk(store.get(), 1, &state);
        ASSERT_GT(state.size(), 300u);
        if (reopened) {
          // As after a kill: nothing that was written is gone, and nothing was closed.
          ASSERT_TRUE(store->Sync().ok());
          second = first.CloneAfterCrash(1, {});
          store = nullptr;
          auto opened = OpenSstable(kTestDir, options(second.get()));
          ASSERT_TRUE(opened.ok()) << opened.status();
          store = *std::move(opened);
        }
        ASSERT_EQ(*ContentsOf(store.get()), state);
        if (reopened) FillDisk(store.get(), 2, &state);  // what the opening has given back
        // All but a few.
        const std::string kept = std::prev(state.end(), 5)->first;
        if (ranges) {
          ASSERT_TRUE(DeleteRangeOf(store.get(), "", kept).ok());
        } else {
          for (auto it = state.begin(); it->first != kept; ++it) {
            const absl::Status deleted = store->Delete(it->first).status();
            ASSERT_TRUE(deleted.ok()) << deleted;
          }
        }
        state.erase(state.begin(), state.find(kept));
        ASSERT_EQ(*ContentsOf(store.get()), state);
        if (!threads) {
          ASSERT_TRUE(store->maintenance()->Compact(KeyRange::All()).ok());
        }
        // There is as much space again as there was.
        for (int i = 0; i < 300; ++i) {
          const std::string key = KeyOf(3, i);
          const absl::Status put = PutWhenThereIsSpace(store.get(), key, threads);
          ASSERT_TRUE(put.ok()) << put << " " << i;
          state[key] = std::string(2000, 'v');
        }
        ASSERT_EQ(*ContentsOf(store.get()), state);
        // Threads may be at work that need the reserve once more.
        if (!threads) {
          EXPECT_EQ(StatOf(store.get(), "disk_full"), 0u);
        }
        ASSERT_TRUE(store->Close().ok());
      }
    }
  }
}

// A compaction would need space for half of what is there.
TEST(SstableDurabilityTest, OnAFullDiskWhatIsLeftOfATableIsWrittenForItself) {
  for (const bool ranges : {false, true}) {
    MemoryFileSystem disk;
    SstableOptions options = Threaded(&disk);
    options.compress = SstableOptions::Compress::kNone;
    options.idle_period = absl::Hours(1);
    options.table_bytes = 64 << 10;
    options.level1_bytes = 1 << 20;
    disk.SetCapacity(12 << 20);
    auto store = OpenSstable(kTestDir, options).value();
    State state;
    FillDisk(store.get(), 1, &state);
    const size_t all = state.size();
    ASSERT_GT(all, 3000u);
    if (ranges) {
      // Pieces of tables, here and there.
      for (size_t i = 0; i < all; i += 40) {
        ASSERT_TRUE(DeleteRangeOf(store.get(), KeyOf(1, static_cast<int>(i)),
                                  KeyOf(1, static_cast<int>(i + 20)))
                        .ok());
        for (size_t k = i; k < i + 20; ++k) state.erase(KeyOf(1, static_cast<int>(k)));
      }
    } else {
      for (size_t i = 0; i < all; i += 2) {
        ASSERT_TRUE(store->Delete(KeyOf(1, static_cast<int>(i))).ok());
        state.erase(KeyOf(1, static_cast<int>(i)));
      }
    }
    ASSERT_EQ(*ContentsOf(store.get()), state);
    for (int i = 0; i < 1000; ++i) {
      const absl::Status put = PutWhenThereIsSpace(store.get(), KeyOf(2, i), true);
      ASSERT_TRUE(put.ok()) << put << " " << i;
      state[KeyOf(2, i)] = std::string(2000, 'v');
    }
    ASSERT_EQ(*ContentsOf(store.get()), state);
    EXPECT_GT(StatOf(store.get(), "shrunk_tables"), 0u);
    ASSERT_TRUE(store->Close().ok());
    store = OpenSstable(kTestDir, options).value();
    ASSERT_EQ(*ContentsOf(store.get()), state);
    ASSERT_TRUE(store->maintenance()->Verify().ok());
  }
}

TEST(SstableDurabilityTest, OnAFullDiskASnapshotKeepsWhatItSees) {
  MemoryFileSystem disk;
  SstableOptions options = Threaded(&disk);
  options.compress = SstableOptions::Compress::kNone;
  options.table_bytes = 16 << 10;
  disk.SetCapacity(4 << 20);
  auto store = OpenSstable(kTestDir, options).value();
  State state;
  FillDisk(store.get(), 1, &state);
  auto snapshot = store->GetSnapshot().value();
  for (const auto& [key, value] : state) ASSERT_TRUE(store->Delete(key).ok());
  // Deletions are flushed, and what they hide is looked for: behind the second flush from here on a
  // look at what the first one brought has ended.
  const uint64_t flushes = StatOf(store.get(), "flushes");
  for (int i = 0; StatOf(store.get(), "flushes") < flushes + 3 && i < 30000; ++i) {
    store->Delete("nothing").status().IgnoreError();
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_GE(StatOf(store.get(), "flushes"), flushes + 3);
  EXPECT_EQ(*ContentsOf(store.get(), snapshot), state);
  EXPECT_EQ(StatOf(store.get(), "shrunk_tables"), 0u);
  snapshot = nullptr;
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(PutWhenThereIsSpace(store.get(), KeyOf(2, i), true).ok());
  }
}

// The disk has been filled by others, after any number of puts.
TEST(SstableDurabilityTest, TheReserveIsNotForPutsAlsoWhereTheyFindTheDiskFull) {
  int froze = 0;
  for (int puts = 1; puts < 200; ++puts) {
    MemoryFileSystem disk;
    SstableOptions options = SmallSstable(&disk);
    options.compress = SstableOptions::Compress::kNone;
    auto store = OpenSstable(kTestDir, options).value();
    for (int i = 0; i < puts; ++i) {
      ASSERT_TRUE(PutWith(store.get(), KeyOf(1, i), std::string(2000, 'v'), false).ok());
    }
    disk.SetCapacity(disk.used_bytes());
    // It is for deletions, and one of them may be the first to find the disk full.
    const auto put = [&] {
      const absl::Status put = PutWith(store.get(), "one more", std::string(2000, 'v'), false);
      ASSERT_TRUE(absl::IsResourceExhausted(put)) << puts;
      EXPECT_FALSE(store->Get("one more")->has_value());
      froze += StatOf(store.get(), "flushes") == 1 ? 1 : 0;
    };
    if (puts % 2 == 0) put();
    const absl::Status deleted = store->Delete(KeyOf(1, 0)).status();
    ASSERT_TRUE(deleted.ok()) << deleted << puts;
    EXPECT_FALSE(store->Get(KeyOf(1, 0))->has_value());
    ASSERT_TRUE(store->Close().ok());
  }
  EXPECT_GT(froze, 0);
}

// A flush finds the disk full at the same moment as a deletion, and is the first to spend the
// reserve.
TEST(SstableDurabilityTest, OnAFullDiskADeletionIsTakenWhoeverSpendsTheReserve) {
  MemoryFileSystem disk;
  SstableOptions options = Threaded(&disk);
  options.compress = SstableOptions::Compress::kNone;
  auto store = OpenSstable(kTestDir, options).value();
  Mutex mu;
  CondVar changed;
  int logs = 0;           // begun
  bool flushes = false;   // a flush is about to write, and waits
  bool deleting = false;  // its log may fail from now on
  bool failed = false;    // it has found the disk full
  bool spent = false;
  disk.SetHook([&](MemoryFileSystem::Moment moment, const FileOperation& operation) {
    const bool before = moment == MemoryFileSystem::Moment::kBefore;
    MutexLock lock(&mu);
    logs +=
        before && operation.kind == Kind::kOpenForWrite && absl::EndsWith(operation.path, ".log");
    if (before && operation.kind == Kind::kAppend && absl::EndsWith(operation.path, ".tbl")) {
      flushes = true;
      changed.SignalAll();
      while (!failed) changed.Wait(&mu);
    }
    if (!before && deleting && absl::EndsWith(operation.path, ".log")) {
      failed = true;
      changed.SignalAll();
      while (!spent) changed.Wait(&mu);
    }
    if (!before && operation.kind == Kind::kAppend && absl::EndsWith(operation.path, "RESERVE")) {
      spent = true;
      changed.SignalAll();
    }
  });
  const auto logs_begun = [&] {
    MutexLock lock(&mu);
    return logs;
  };
  ASSERT_TRUE(store->Put("a", "v").ok());
  // With the next log the first memtable is frozen. No more is put: the flush stands still.
  const int first = logs_begun();
  for (int i = 0; logs_begun() == first; ++i) {
    ASSERT_TRUE(PutWith(store.get(), KeyOf(1, i), std::string(2000, 'v'), false).ok());
  }
  {
    MutexLock lock(&mu);
    while (!flushes) changed.Wait(&mu);
    deleting = true;
  }
  disk.SetCapacity(disk.used_bytes());
  const State there = *ContentsOf(store.get());
  WriteBatch batch;
  for (const auto& [key, value] : there) batch.Delete(key);
  const absl::Status deleted = store->Write(batch, {}, nullptr);
  EXPECT_TRUE(deleted.ok()) << deleted;
  EXPECT_TRUE(ContentsOf(store.get())->empty());
  EXPECT_TRUE(store->Close().ok());
  disk.SetHook({});
}

TEST(SstableDurabilityTest, OnceThereIsSpaceADeletionIsNotRefusedForAnErrorOfBefore) {
  MemoryFileSystem disk;
  FaultFileSystem faults(&disk);
  auto store = OpenSstable(kTestDir, Threaded(&faults)).value();
  faults.SetRule({Fault::kNoSpace, 0, true, [](const FileOperation& operation) {
                    return operation.kind == Kind::kAppend &&
                           absl::EndsWith(operation.path, ".tbl");
                  }});
  const std::string part(2000, 'k');
  absl::Status status;
  for (int i = 0; status.ok() && i < 5000; ++i) {
    status = store->Delete(absl::StrCat(i, part)).status();
  }
  ASSERT_TRUE(absl::IsResourceExhausted(status)) << status;
  faults.ClearRule();
  status = store->Delete("one more").status();
  EXPECT_TRUE(status.ok()) << status;
}

TEST(SstableDurabilityTest, AStoreThatWasKilledOpensOnADiskThatOthersHaveFilled) {
  for (int puts = 1; puts < 160; puts += 20) {
    MemoryFileSystem disk;
    auto store = OpenSstable(kTestDir, SmallSstable(&disk)).value();
    State state;
    for (int i = 0; i < puts; ++i) {
      ASSERT_TRUE(PutWith(store.get(), KeyOf(1, i), std::string(2000, 'v'), true).ok());
      state[KeyOf(1, i)] = std::string(2000, 'v');
    }
    const auto killed = disk.CloneAfterCrash(1, {});
    killed->SetCapacity(killed->used_bytes());
    auto opened = OpenSstable(kTestDir, SmallSstable(killed.get()));
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_EQ(*ContentsOf(opened->get()), state);
    EXPECT_TRUE((*opened)->Delete(KeyOf(1, 0)).ok());
    killed->SetCapacity(~uint64_t{0});
    EXPECT_TRUE((*opened)->Put("key", "value").ok());
    EXPECT_EQ(StatOf(opened->get(), "disk_full"), 0u);
  }
}

TEST(SstableDurabilityTest, AReserveIsNoMoreThanAQuarterOfASmallDisk) {
  MemoryFileSystem disk;
  MemoryFileSystem tiny;
  disk.SetCapacity(400 << 10);
  auto store = OpenSstable(kTestDir, SmallSstable(&disk)).value();
  const uint64_t held = StatOf(store.get(), "disk_reserve_bytes");
  EXPECT_GT(held, 80u << 10);
  EXPECT_LE(held, 100u << 10);
  store = nullptr;
  // One that has no room for any does without.
  tiny.SetCapacity(100 << 10);
  store = OpenSstable(kTestDir, SmallSstable(&tiny)).value();
  EXPECT_EQ(StatOf(store.get(), "disk_reserve_bytes"), 0u);
  EXPECT_EQ(StatOf(store.get(), "disk_full"), 0u);
  EXPECT_TRUE(store->Put("key", std::string(50000, 'v')).ok());
}

}  // namespace
}  // namespace kvarts
