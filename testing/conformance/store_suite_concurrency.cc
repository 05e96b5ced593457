#include <atomic>
#include <functional>
#include <latch>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "testing/conformance/store_suite_internal.h"

// Many threads, few steps: an invariant that a wrong store breaks within them,
// and that a sanitiser sees broken for certain.
namespace kvarts::store_suite {
namespace {

constexpr int kThreads = 4;

// Begins when all threads are there, so that they meet.
void InThreads(int n, const std::function<void(int)>& run) {
  std::vector<std::thread> threads;
  std::latch start(n);
  for (int i = 0; i < n; ++i) {
    threads.emplace_back([&, i] {
      start.arrive_and_wait();
      run(i);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

void ManyThreadsReadAndScan(Tester& t) {
  const Records records = t.Many(400);
  const auto store = t.Open(records);
  std::vector<absl::string_view> keys;
  for (const auto& [key, value] : records) keys.push_back(key);
  InThreads(kThreads, [&](int thread) {
    ReadResults results;
    for (int round = 0; round < 5; ++round) {
      store->MultiGet(keys, {}, &results);
      for (size_t i = 0; i < records.size(); ++i) {
        ASSERT_EQ(results[i].value, records[i].second) << keys[i];
      }
      for (size_t i = thread; i < records.size(); i += 7) {
        ASSERT_EQ(ValueOf(*store, keys[i]), records[i].second);
      }
      if (t.Has(&Capabilities::scan)) {
        const Scanned got = Scan(*store, {}, EntriesAPage(50));
        ASSERT_TRUE(got.status.ok()) << got.status;
        ASSERT_EQ(Comparable(t.has(), {}, got.entries).size(), records.size());
      }
      ASSERT_TRUE(store->Stats().ok());
    }
  });
}

// A value that shows whether it is whole.
std::string WholeValue(int n) { return std::string(64 + n % 200, static_cast<char>('a' + n % 26)); }
bool IsWhole(absl::string_view value) {
  return value.size() >= 64 && value.find_first_not_of(value[0]) == absl::string_view::npos;
}

void ReadersSeeWholeValuesBesideWriters(Tester& t) {
  KVARTS_SUITE_NEEDS(write);
  const auto store = t.Open();
  const std::vector<absl::string_view> keys = {"a", "b", "c"};
  WriteOptions options;
  options.sync = false;
  for (const auto key : keys) ASSERT_TRUE(store->Put(key, WholeValue(0)).ok());
  InThreads(kThreads, [&](int thread) {
    ReadResults results;
    for (int i = 0; i < 300; ++i) {
      if (thread < 2) {
        const std::string value = WholeValue(i * 7 + thread);
        WriteBatch batch;
        batch.Put(keys[i % 3], value);
        ASSERT_TRUE(store->Write(batch, options, nullptr).ok());
      } else {
        store->MultiGet(keys, {}, &results);
        for (const ReadResult& result : results) {
          ASSERT_TRUE(result.status.ok() && result.found);
          ASSERT_TRUE(IsWhole(result.value)) << result.value;
        }
      }
    }
  });
}

void WritersOfDifferentKeysLoseNothing(Tester& t) {
  KVARTS_SUITE_NEEDS(write);
  const auto store = t.Open();
  constexpr int kEach = 200;
  InThreads(kThreads, [&](int thread) {
    WriteOptions options;
    options.sync = false;
    for (int i = 0; i < kEach; ++i) {
      const std::string key = absl::StrCat("k", thread, "-", i);
      const std::string before = absl::StrCat("k", thread, "-", i - 1);
      WriteBatch batch;
      batch.Put(key, key);
      if (i % 2 == 1) batch.Delete(before);
      ASSERT_TRUE(store->Write(batch, options, nullptr).ok());
      ASSERT_EQ(ValueOf(*store, key), key) << "its own write";
    }
  });
  for (int thread = 0; thread < kThreads; ++thread) {
    for (int i = 0; i < kEach; ++i) {
      const std::string key = absl::StrCat("k", thread, "-", i);
      EXPECT_EQ(ValueOf(*store, key), i % 2 == 1 ? key : kAbsent);
    }
  }
}

void CountersThroughModifyLoseNothing(Tester& t) {
  KVARTS_SUITE_NEEDS(conditions);
  const auto store = t.Open();
  constexpr int kEach = 100;
  WriteOptions options;
  options.sync = false;
  InThreads(kThreads, [&](int thread) {
    for (int i = 0; i < kEach; ++i) {
      const absl::Status status =
          store->Modify(i % 2 == 0 ? "even" : "odd", options, [](const ReadResult& now) {
            int count = 0;
            if (now.found && !absl::SimpleAtoi(now.value, &count)) {
              return absl::StatusOr<Modification>(absl::DataLossError(std::string(now.value)));
            }
            return absl::StatusOr<Modification>(Modification::Put(absl::StrCat(count + 1)));
          });
      ASSERT_TRUE(status.ok()) << status;
    }
  });
  EXPECT_EQ(ValueOf(*store, "even"), absl::StrCat(kThreads * kEach / 2));
  EXPECT_EQ(ValueOf(*store, "odd"), absl::StrCat(kThreads * kEach / 2));
}

void OnlyOneOfManyCreatesAKey(Tester& t) {
  KVARTS_SUITE_NEEDS(conditions);
  const auto store = t.Open();
  std::atomic<int> created{0};
  InThreads(kThreads, [&](int thread) {
    for (int i = 0; i < 50; ++i) {
      const std::string key = absl::StrCat("k", i);
      const std::string value = absl::StrCat(thread);
      WriteBatch batch;
      batch.Put(key, value);
      batch.RequireAbsent(key);
      WriteResults results;
      const absl::Status status = WriteAtomic(*store, batch, &results);
      if (status.ok()) {
        ++created;
      } else {
        ASSERT_EQ(results.failed_precondition, 0) << status;
      }
    }
  });
  EXPECT_EQ(created.load(), 50);
}

// Writers keep five keys of one slot equal; whoever looks in a way that promises
// it sees them so.
void AtomicBatchesAreNeverHalfSeen(Tester& t) {
  if (t.has().batch_scope < BatchScope::kShard) GTEST_SKIP() << "no batches of several keys";
  const bool by_snapshot = t.Has(&Capabilities::snapshot);
  if (!t.has().atomic_multi_get && !by_snapshot) GTEST_SKIP() << "no way to look at once";
  if (t.has().atomic_multi_get) t.Proves("atomic_multi_get");
  t.Proves("batch_scope");
  const auto store = t.Open();
  const std::vector<absl::string_view> keys = {"{t}a", "{t}b", "{t}c", "{t}d", "{t}e"};
  const auto write = [&](int n) {
    const std::string value = absl::StrCat(n);
    WriteBatch batch;
    for (const auto key : keys) batch.Put(key, value);
    WriteOptions options = Atomic();
    options.sync = false;
    ASSERT_TRUE(store->Write(batch, options, nullptr).ok());
  };
  write(0);
  std::atomic<int> writers{2};
  InThreads(kThreads, [&](int thread) {
    if (thread < 2) {
      for (int i = 0; i < 200; ++i) write(i * 2 + thread);
      --writers;
      return;
    }
    ReadResults results;
    bool last = false;
    while (!last) {
      last = writers == 0;
      ReadOptions options;
      if (by_snapshot && (thread == 2 || !t.has().atomic_multi_get)) {
        auto snapshot = store->GetSnapshot();
        ASSERT_TRUE(snapshot.ok()) << snapshot.status();
        options.snapshot = *snapshot;
      }
      store->MultiGet(keys, options, &results);
      for (const ReadResult& result : results) {
        ASSERT_TRUE(result.found) << result.status;
        ASSERT_EQ(result.value, results[0].value) << "half of a batch";
      }
    }
  });
}

void ScansBesideWritersSeeWhatStays(Tester& t) {
  KVARTS_SUITE_NEEDS(scan);
  KVARTS_SUITE_NEEDS(write);
  Records records;
  for (int i = 0; i < 200; ++i) records.emplace_back(absl::StrCat("stays", 1000 + i), "v");
  const auto store = t.Open(records);
  std::atomic<bool> done{false};
  InThreads(kThreads, [&](int thread) {
    if (thread < 2) {
      WriteOptions options;
      options.sync = false;
      for (int i = 0; !done; ++i) {
        const std::string key = absl::StrCat("stays", 1000 + (i * 17) % 200, "-comes", thread);
        WriteBatch batch;
        if (i % 400 < 200) {
          batch.Put(key, "w");
        } else {
          batch.Delete(key);
        }
        ASSERT_TRUE(store->Write(batch, options, nullptr).ok());
      }
      return;
    }
    for (int round = 0; round < 10; ++round) {
      const Scanned got = Scan(*store, {}, EntriesAPage(13));
      EXPECT_TRUE(got.status.ok()) << got.status;
      std::map<std::string, int> seen;
      for (const auto& [key, value] : got.entries) ++seen[key];
      for (const auto& [key, value] : records) {
        EXPECT_GE(seen[key], 1) << key;
        if (t.Has(&Capabilities::ordered_scan)) {
          EXPECT_LE(seen[key], 1) << key;
        }
      }
    }
    done = true;
  });
}

void CloseBesideCallsLetsThemFinishOrFail(Tester& t) {
  const Records records = t.Many(50);
  for (int round = 0; round < 5; ++round) {
    const auto store = t.Open(records);
    std::atomic<int> started{0};
    InThreads(kThreads, [&](int thread) {
      if (thread == 0) {
        while (started < kThreads - 1) std::this_thread::yield();
        EXPECT_TRUE(store->Close().ok());
        return;
      }
      ++started;
      bool closed = false;
      for (int i = 0; !closed; ++i) {
        const auto& [key, value] = records[i % records.size()];
        const Got got = ReadOne(*store, key);
        if (got.status.ok()) {
          ASSERT_TRUE(got.found);
          ASSERT_TRUE(got.value == value || got.value == "other") << got.value;
        } else {
          ASSERT_EQ(got.status.code(), absl::StatusCode::kFailedPrecondition) << got.status;
          closed = true;
        }
        if (!t.Has(&Capabilities::write)) continue;
        const absl::Status status = store->Put(key, "other");
        ASSERT_TRUE(status.ok() || status.code() == absl::StatusCode::kFailedPrecondition)
            << status;
      }
    });
  }
}

}  // namespace

absl::Span<const SuiteTest> ConcurrencyTests() {
  static constexpr SuiteTest kTests[] = {
      {"ManyThreadsReadAndScan", ManyThreadsReadAndScan},
      {"ReadersSeeWholeValuesBesideWriters", ReadersSeeWholeValuesBesideWriters},
      {"WritersOfDifferentKeysLoseNothing", WritersOfDifferentKeysLoseNothing},
      {"CountersThroughModifyLoseNothing", CountersThroughModifyLoseNothing},
      {"OnlyOneOfManyCreatesAKey", OnlyOneOfManyCreatesAKey},
      {"AtomicBatchesAreNeverHalfSeen", AtomicBatchesAreNeverHalfSeen},
      {"ScansBesideWritersSeeWhatStays", ScansBesideWritersSeeWhatStays},
      {"CloseBesideCallsLetsThemFinishOrFail", CloseBesideCallsLetsThemFinishOrFail},
  };
  return kTests;
}

}  // namespace kvarts::store_suite
