// Which directories are opened, by whom, and what an opening does to them.

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"
#include "storage/sstable/test_store.h"
#include "testing/fault/fault_file_system.h"

namespace kvarts {
namespace {

using Create = SstableOptions::Create;

SstableOptions With(FileSystem* fs, Create create) {
  SstableOptions options = SmallSstable(fs);
  options.create = create;
  return options;
}

std::string TempPath(absl::string_view name) {
  const char* const dir = std::getenv("TEST_TMPDIR");
  return JoinPath(dir == nullptr ? "." : dir, name);
}

TEST(SstableOpenTest, ADirectoryThatIsNoStoreBecomesOneOnlyWhereThatIsWanted) {
  MemoryFileSystem fs;
  EXPECT_TRUE(absl::IsNotFound(OpenSstable("s", With(&fs, Create::kNever)).status()));
  EXPECT_TRUE(absl::IsNotFound(fs.Stat("s").status()));
  ASSERT_TRUE(OpenSstable("s", With(&fs, Create::kNew)).ok());
  const absl::Status twice = OpenSstable("s", With(&fs, Create::kNew)).status();
  EXPECT_TRUE(absl::IsAlreadyExists(twice)) << twice;
  EXPECT_TRUE(OpenSstable("s", With(&fs, Create::kMissing)).ok());
  EXPECT_TRUE(OpenSstable("s", With(&fs, Create::kNever)).ok());

  ASSERT_TRUE(fs.CreateDir("empty").ok());
  EXPECT_TRUE(absl::IsNotFound(OpenSstable("empty", With(&fs, Create::kNever)).status()));
  EXPECT_TRUE(fs.List("empty")->empty());
  EXPECT_TRUE(OpenSstable("empty", With(&fs, Create::kMissing)).ok());

  ASSERT_TRUE(fs.CreateDir("other").ok());
  ASSERT_TRUE(WriteFileAtomically(&fs, "other/letter.txt", "text").ok());
  for (const Create create : {Create::kNew, Create::kMissing}) {
    const absl::Status status = OpenSstable("other", With(&fs, create)).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "letter.txt")) << status;
    EXPECT_EQ(fs.List("other")->size(), 1u);
  }
  const absl::Status file = OpenSstable("other/letter.txt", With(&fs, Create::kMissing)).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(file)) << file;
  EXPECT_FALSE(OpenSstable("no/parent", With(&fs, Create::kMissing)).ok());
}

TEST(SstableOpenTest, ASecondOpenerIsToldWhoHasTheStore) {
  const std::string dir = TempPath("second");
  SstableOptions options;
  options.memory = 1 << 20;
  auto store = OpenSstable(dir, options);
  ASSERT_TRUE(store.ok()) << store.status();
  for (const bool read_only : {false, true}) {
    SstableOptions second = options;
    second.read_only = read_only;
    const absl::Status status = OpenSstable(dir, second).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), dir)) << status;
    EXPECT_TRUE(absl::EndsWith(status.message(), absl::StrCat("in process ", getpid()))) << status;
  }
  ASSERT_TRUE((*store)->Put("key", "value").ok());
  ASSERT_TRUE((*store)->Close().ok());
  auto next = OpenSstable(dir, options);
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(**(*next)->Get("key"), "value");
}

TEST(SstableOpenTest, ReadOnlyHasEverythingAndChangesNothing) {
  MemoryFileSystem fs;
  State expected;
  std::unique_ptr<MemoryFileSystem> crashed;
  {
    auto store = OpenSstable(kTestDir, SmallSstable(&fs)).value();
    const auto put = [&](const std::string& key, size_t size) {
      expected[key] = std::string(size, 'v');
      ASSERT_TRUE(PutWith(store.get(), key, expected[key], true).ok());
    };
    for (int i = 0; i < 50; ++i) put(absl::StrCat("key", i), 30);
    ASSERT_TRUE(store->maintenance()->Compact(KeyRange::All()).ok());
    ASSERT_TRUE(DeleteRangeOf(store.get(), "key3", "key4").ok());
    expected.erase(expected.lower_bound("key3"), expected.lower_bound("key4"));
    // More than a memtable, so that reading it alone takes several.
    for (int i = 0; i < 4; ++i) put(absl::StrCat("large", i), 100 << 10);
    for (int i = 40; i < 45; ++i) put(absl::StrCat("key", i), 10);
    crashed = fs.CloneAfterCrash(1, {});
  }
  SstableOptions options = SmallSstable(crashed.get());
  options.read_only = true;
  const State before = BytesOf(crashed.get());
  {
    auto store = OpenSstable(kTestDir, options).value();
    EXPECT_EQ(*ContentsOf(store.get()), expected);
    for (const auto& [key, value] : expected) EXPECT_EQ(**store->Get(key), value);
    EXPECT_FALSE(store->Get("key3")->has_value());
    EXPECT_TRUE(absl::IsFailedPrecondition(store->Put("key", "value")));
    EXPECT_TRUE(absl::IsFailedPrecondition(store->maintenance()->Flush()));
    EXPECT_TRUE(absl::IsFailedPrecondition(store->maintenance()->Compact(KeyRange::All())));
    EXPECT_TRUE(store->maintenance()->Verify().ok());
    EXPECT_TRUE(store->GetSnapshot().ok());
    EXPECT_TRUE(store->Close().ok());
  }
  EXPECT_EQ(BytesOf(crashed.get()), before);
  SstableOptions none = options;
  EXPECT_TRUE(absl::IsNotFound(OpenSstable("nothing", none).status()));
  // Then somebody writes again.
  auto store = OpenSstable(kTestDir, SmallSstable(crashed.get())).value();
  EXPECT_EQ(*ContentsOf(store.get()), expected);
  EXPECT_TRUE(store->Put("key", "value").ok());
}

// Openings that are cut short leave nothing that adds up.
TEST(SstableOpenTest, OpeningAndClosingLeavesTheDirectoryAsLargeAsItWas) {
  MemoryFileSystem fs;
  std::set<std::string> files;
  for (int i = 0; i < 300; ++i) {
    auto store = OpenSstable(kTestDir, SmallSstable(&fs)).value();
    if (i % 3 == 0) {
      ASSERT_TRUE(store->Put("key", absl::StrCat(i)).ok());
    }
    EXPECT_EQ(store->Get("key")->value(), absl::StrCat(i / 3 * 3));
    if (i % 2 == 0) {
      ASSERT_TRUE(store->Close().ok());
    }
    store = nullptr;
    const auto now = FilesOf(&fs, "");
    EXPECT_LE(now.size(), 11u);
    EXPECT_EQ(FilesOf(&fs, ".log").size(), 1u);
  }
}

// What changes what a power cut leaves, but for the file that says who has the store.
std::vector<std::string> ChangesOf(MemoryFileSystem* fs, const std::function<void()>& work) {
  std::vector<std::string> changes;
  fs->SetHook([&](MemoryFileSystem::Moment moment, const FileOperation& operation) {
    if (moment != MemoryFileSystem::Moment::kAfter || !operation.is_mutating() ||
        operation.kind == FileOperation::Kind::kLock || absl::EndsWith(operation.path, "OWNER")) {
      return;
    }
    changes.push_back(absl::StrCat(OperationName(operation.kind), " ", operation.path));
  });
  work();
  fs->SetHook({});
  return changes;
}

size_t SyncsOf(const std::vector<std::string>& changes) {
  return static_cast<size_t>(
      std::count_if(changes.begin(), changes.end(),
                    [](const std::string& change) { return absl::StartsWith(change, "sync"); }));
}

TEST(SstableOpenTest, AnOpeningBehindACloseChangesNothingAndTheFirstWriteLittle) {
  for (const bool log : {true, false}) {
    MemoryFileSystem fs;
    SstableOptions options = SmallSstable(&fs);
    options.log = log;
    State expected;
    for (int round = 0; round < 4; ++round) {
      std::unique_ptr<Store> store;
      const auto opened = ChangesOf(&fs, [&] { store = OpenSstable(kTestDir, options).value(); });
      EXPECT_EQ(*ContentsOf(store.get()), expected);
      EXPECT_EQ(opened.empty(), round > 0) << absl::StrJoin(opened, ", ");
      if (round == 2) {
        // Without a write a close does not change anything either.
        const auto closed = ChangesOf(&fs, [&] { ASSERT_TRUE(store->Close().ok()); });
        EXPECT_TRUE(closed.empty()) << absl::StrJoin(closed, ", ");
        continue;
      }
      const auto wrote = ChangesOf(&fs, [&] { ASSERT_TRUE(store->Put("key", "value").ok()); });
      // A new log and its name, the manifest; the put itself, for which zeros are written ahead.
      if (round > 0) {
        EXPECT_LE(SyncsOf(wrote), log ? 4u : 3u) << absl::StrJoin(wrote, ", ");
      }
      expected["key"] = "value";
      EXPECT_EQ(*ContentsOf(store.get()), expected);
      ASSERT_TRUE(store->Close().ok());
    }
  }
}

// The first write does not wait for syncs that could be made before it came.
TEST(SstableOpenTest, WithThreadsWhatTheFirstWriteNeedsIsMadeBehindTheOpening) {
  MemoryFileSystem fs;
  SstableOptions options = SmallSstable(&fs);
  options.threads = true;
  auto store = OpenSstable(kTestDir, options).value();
  ASSERT_TRUE(store->Put("key", "value").ok());
  ASSERT_TRUE(store->Close().ok());
  const auto logs = FilesOf(&fs, ".log");
  store = OpenSstable(kTestDir, options).value();
  // The last that it does is to delete the old log.
  for (int i = 0; i < 5000; ++i) {
    const auto now = FilesOf(&fs, ".log");
    if (now != logs && now.size() == 1) break;
    absl::SleepFor(absl::Milliseconds(2));
  }
  const auto wrote =
      ChangesOf(&fs, [&] { ASSERT_TRUE(PutWith(store.get(), "key", "v", true).ok()); });
  EXPECT_EQ(SyncsOf(wrote), 1u) << absl::StrJoin(wrote, ", ");
  EXPECT_EQ(store->Get("key")->value(), "v");
  ASSERT_TRUE(store->Close().ok());
}

// What an opening that wrote nothing begins with comes again, and what it wrote then does not.
TEST(SstableOpenTest, NoSequenceIsGivenTwiceBehindACloseEither) {
  for (const bool log : {true, false}) {
    auto disk = std::make_unique<MemoryFileSystem>();
    SstableOptions options = SmallSstable(disk.get());
    options.log = log;
    uint64_t last = 0;
    ReadOptions with_stamp;
    with_stamp.stamp = true;
    ReadResults results;
    const auto put = [&](Store* store) {
      ASSERT_TRUE(PutWith(store, "key", "value", false).ok());
      store->Read("key", with_stamp, &results);
      EXPECT_GT(results[0].stamp.high, last);
      last = results[0].stamp.high;
    };
    for (uint64_t i = 0; i < 20; ++i) {
      options.fs = disk.get();
      auto store = OpenSstable(kTestDir, options).value();  // behind a crash
      put(store.get());
      ASSERT_TRUE(store->Close().ok());
      store = OpenSstable(kTestDir, options).value();  // behind a close
      put(store.get());
      auto after = disk->CloneAfterCrash(i, {});
      store = nullptr;
      disk = std::move(after);
    }
  }
}

// The end of a manifest may be lost of which it is not known that it was synced: the tables that it
// does not name any more are needed then.
TEST(SstableOpenTest, NothingIsDeletedForAManifestThatMayBeLost) {
  MemoryFileSystem disk;
  FaultFileSystem faults(&disk);
  State expected;
  {
    auto store = OpenSstable(kTestDir, SmallSstable(&faults)).value();
    for (int i = 0; i < 30; ++i) {
      expected[absl::StrCat("key", i)] = std::string(90, 'v');
      ASSERT_TRUE(PutWith(store.get(), absl::StrCat("key", i), std::string(90, 'v'), true).ok());
    }
    ASSERT_TRUE(store->maintenance()->Flush().ok());
    // A process that ends while it syncs the edit of a compaction: what it wrote is there, and not
    // yet on the disk.
    bool ended = false;
    faults.SetRule({Fault::kIoError, 0, true, [&](const FileOperation& o) {
                      ended = ended || (o.kind == FileOperation::Kind::kSync &&
                                        absl::StrContains(o.path, "MANIFEST-"));
                      return ended && o.is_mutating();
                    }});
    EXPECT_FALSE(store->maintenance()->Compact(KeyRange::All()).ok());
    EXPECT_TRUE(ended);
  }
  uint64_t moments = 0;
  disk.SetHook([&](MemoryFileSystem::Moment, const FileOperation&) {
    const auto after = disk.CloneAfterCrash(++moments, {});
    const auto store = OpenSstable(kTestDir, SmallSstable(after.get()));
    ASSERT_TRUE(store.ok()) << store.status() << ", moment " << moments;
    EXPECT_EQ(*ContentsOf(store->get()), expected);
  });
  ASSERT_TRUE(OpenSstable(kTestDir, SmallSstable(&disk)).ok());
  disk.SetHook({});
  EXPECT_GT(moments, 20u);
}

// A number that a mutation had never comes again, also not one that a crash took.
TEST(SstableOpenTest, NoSequenceIsGivenTwice) {
  MemoryFileSystem fs;
  uint64_t last = 0;
  ReadOptions with_stamp;
  with_stamp.stamp = true;
  auto disk = fs.CloneAfterCrash(1, {});
  for (uint64_t i = 0; i < 20; ++i) {
    auto store = OpenSstable(kTestDir, SmallSstable(disk.get())).value();
    ReadResults results;
    for (int j = 0; j < 3; ++j) {
      ASSERT_TRUE(PutWith(store.get(), "key", absl::StrCat(i), false).ok());
      store->Read("key", with_stamp, &results);
      EXPECT_GT(results[0].stamp.high, last);
      last = results[0].stamp.high;
    }
    if (i % 3 == 1) {
      ASSERT_TRUE(store->Sync().ok());
    }
    if (i % 3 == 2) {
      ASSERT_TRUE(store->maintenance()->Flush().ok());
    }
    // What was not synced is gone.
    auto after = disk->CloneAfterCrash(i, {});
    store = nullptr;
    disk = std::move(after);
  }
}

}  // namespace
}  // namespace kvarts
