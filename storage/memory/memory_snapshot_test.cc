// The memory store with a snapshot: what is saved, and what a crash or an error leaves.

#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"
#include "storage/memory/memory.h"
#include "testing/fault/fault_file_system.h"
#include "testing/model/manual_clock.h"

namespace kvarts {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Kind = FileOperation::Kind;
using Moment = MemoryFileSystem::Moment;

constexpr char kPath[] = "d/snapshot";
constexpr char kUuid[] = "01234567-89ab-4def-8123-456789abcdef";

// What a store holds, in words.
std::string Contents(Store* store) {
  std::map<std::string, std::string> all;
  auto cursor = store->NewCursor({});
  EXPECT_TRUE(cursor.ok()) << cursor.status();
  for (ScanPage page;;) {
    EXPECT_TRUE((*cursor)->Next(PageLimits(), &page).ok());
    if (page.empty()) break;
    for (const ScanEntry& entry : page) {
      all[std::string(entry.key)] = absl::StrCat(
          entry.value.size() > 100 ? absl::StrCat(entry.value.size()) : entry.value,
          entry.content_type.empty() ? "" : " ", entry.content_type,
          entry.expires_at_ms == 0 ? "" : absl::StrCat(" until ", entry.expires_at_ms));
    }
  }
  std::string text;
  for (const auto& [key, value] : all) absl::StrAppend(&text, key, "=", value, ";");
  return text;
}

class MemorySnapshotTest : public testing::Test {
 protected:
  MemorySnapshotTest() {
    EXPECT_TRUE(fs_.CreateDir("d").ok());
    fs_.SyncAll();
  }

  MemoryOptions Options(FileSystem* fs) {
    MemoryOptions options;
    options.clock = &clock_;
    options.snapshot_path = kPath;
    options.fs = fs;
    return options;
  }
  std::unique_ptr<Store> Open(FileSystem* fs) {
    absl::StatusOr<std::unique_ptr<Store>> store = OpenMemoryStore(Options(fs));
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  std::string ContentsAt(FileSystem* fs) { return Contents(Open(fs).get()); }
  // A disk with a copy of the file, which an open store has locked.
  static std::unique_ptr<MemoryFileSystem> Copy(FileSystem* fs) {
    auto copy = std::make_unique<MemoryFileSystem>();
    EXPECT_TRUE(copy->CreateDir("d").ok());
    const absl::StatusOr<std::string> bytes = ReadFile(fs, kPath);
    EXPECT_TRUE(bytes.ok()) << bytes.status();
    EXPECT_TRUE(WriteFileAtomically(copy.get(), kPath, *bytes).ok());
    return copy;
  }

  ManualClock clock_;
  MemoryFileSystem fs_;
};

TEST_F(MemorySnapshotTest, WhatSyncSavedIsLoaded) {
  std::unique_ptr<Store> store = Open(&fs_);
  EXPECT_EQ(store->Stats()->saved_at_ms, 0);
  ASSERT_TRUE(store->Put("", "empty").ok());
  ASSERT_TRUE(store->Put(kUuid, "uuid").ok());
  ASSERT_TRUE(store->Put("large", std::string(70'000, 'l')).ok());
  Metadata metadata;
  metadata.content_type = Metadata::Change::kSet;
  metadata.type = "text/html";
  metadata.expiry = Metadata::Change::kSet;
  metadata.expires_at_ms = clock_.now_ms() + 1000;
  ASSERT_TRUE(store->Put("all", "v", metadata).ok());
  ASSERT_TRUE(store->Sync().ok());
  EXPECT_EQ(store->Stats()->saved_at_ms, clock_.now_ms());
  ASSERT_TRUE(store->Put("later", "not saved").ok());
  store.reset();
  const std::unique_ptr<Store> again = Open(&fs_);
  EXPECT_EQ(Contents(again.get()), absl::StrCat("=empty;", kUuid, "=uuid;all=v text/html until ",
                                                metadata.expires_at_ms, ";large=70000;"));
  EXPECT_EQ(**again->Get("large"), std::string(70'000, 'l'));
  EXPECT_EQ(again->Stats()->saved_at_ms, clock_.now_ms());
  // It is of use afterwards: what expires does so.
  clock_.Advance(absl::Seconds(2));
  EXPECT_EQ(again->Stats()->entries, 3u);
}

TEST_F(MemorySnapshotTest, WhatHasExpiredIsNeitherSavedNorLoaded) {
  const auto put = [&](Store* store, const std::string& key, int seconds) {
    Metadata metadata;
    metadata.expiry = Metadata::Change::kSet;
    metadata.expires_at_ms = clock_.now_ms() + 1000 * seconds;
    ASSERT_TRUE(store->Put(key, "v", metadata).ok());
  };
  {
    const std::unique_ptr<Store> store = Open(&fs_);
    put(store.get(), "a", 1);
    put(store.get(), "b", 10);
    put(store.get(), "c", 100);
    clock_.Advance(absl::Seconds(5));
    ASSERT_TRUE(store->Sync().ok());
  }
  EXPECT_THAT(*ReadFile(&fs_, kPath), Not(HasSubstr("a\1v")));
  EXPECT_THAT(*ReadFile(&fs_, kPath), HasSubstr("b\1v"));
  clock_.Advance(absl::Seconds(10));
  EXPECT_THAT(ContentsAt(&fs_), HasSubstr("c=v"));
  EXPECT_EQ(Open(&fs_)->Stats()->entries, 1u);
}

TEST_F(MemorySnapshotTest, CloseSavesWhereItIsAskedTo) {
  MemoryOptions options = Options(&fs_);
  for (const bool save : {true, false}) {
    options.save_on_close = save;
    auto store = OpenMemoryStore(options);
    ASSERT_TRUE((*store)->Put(save ? "kept" : "lost", "v").ok());
    ASSERT_TRUE((*store)->Close().ok());
    EXPECT_TRUE((*store)->Close().ok());
    EXPECT_FALSE((*store)->Sync().ok());
  }
  EXPECT_EQ(ContentsAt(&fs_), "kept=v;");
  // Also the destructor's; and an error of it is told.
  options.save_on_close = true;
  { ASSERT_TRUE((*OpenMemoryStore(options))->Put("more", "v").ok()); }
  EXPECT_EQ(ContentsAt(&fs_), "kept=v;more=v;");
  FaultFileSystem faults(&fs_);
  options.fs = &faults;
  auto store = OpenMemoryStore(options);
  faults.SetRule({Fault::kNoSpace});
  EXPECT_TRUE(absl::IsResourceExhausted((*store)->Close()));
}

TEST_F(MemorySnapshotTest, ASecondStoreThatWouldSaveThereIsRefused) {
  const std::string posix_path =
      absl::StrCat(std::getenv("TEST_TMPDIR"), "/", "a_second_store.snapshot");
  for (FileSystem* const fs : {static_cast<FileSystem*>(&fs_), FileSystem::Posix()}) {
    MemoryOptions options = Options(fs);
    if (fs != &fs_) options.snapshot_path = posix_path;
    auto first = OpenMemoryStore(options);
    ASSERT_TRUE(first.ok()) << first.status();
    ASSERT_TRUE((*first)->Put("k", "v").ok());
    const absl::Status second = OpenMemoryStore(options).status();
    EXPECT_EQ(second.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(second.message(), HasSubstr(options.snapshot_path + ": another process has"));
    EXPECT_TRUE((*first)->Sync().ok());
    EXPECT_TRUE((*first)->Close().ok());
    EXPECT_TRUE(absl::IsNotFound(fs->Stat(options.snapshot_path + ".lock").status()));
    auto next = OpenMemoryStore(options);
    ASSERT_TRUE(next.ok()) << next.status();
    EXPECT_EQ(Contents(next->get()), "k=v;");
    next->reset();  // as good as closed
    EXPECT_TRUE(OpenMemoryStore(options).ok());
  }
}

TEST_F(MemorySnapshotTest, AStoreThatIsNotSavedYetHoldsItsLock) {
  FaultFileSystem faults(&fs_);
  MemoryOptions options = Options(&faults);
  options.save_on_close = true;
  auto first = OpenMemoryStore(options);
  ASSERT_TRUE(first.ok()) << first.status();
  faults.SetRule({Fault::kNoSpace});
  EXPECT_FALSE((*first)->Close().ok());
  faults.ClearRule();
  EXPECT_TRUE(absl::IsFailedPrecondition(OpenMemoryStore(options).status()));
  EXPECT_TRUE((*first)->Close().ok());
  EXPECT_TRUE(OpenMemoryStore(options).ok());
}

// A folder in which nothing can be made.
class UnwritableFileSystem final : public MemoryFileSystem {
 public:
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(absl::string_view path) override {
    if (writable) return MemoryFileSystem::Lock(path);
    return absl::PermissionDeniedError(absl::StrCat(path, ": cannot be made"));
  }
  bool writable = true;
};

TEST_F(MemorySnapshotTest, WhatCannotBeLockedCanBeLoadedButNotSaved) {
  UnwritableFileSystem fs;
  ASSERT_TRUE(fs.CreateDir("d").ok());
  {
    const auto store = Open(&fs);
    ASSERT_TRUE(store->Put("k", "v").ok());
    ASSERT_TRUE(store->Sync().ok());
  }
  fs.writable = false;
  const auto store = Open(&fs);
  EXPECT_EQ(Contents(store.get()), "k=v;");
  EXPECT_EQ(store->Sync().code(), absl::StatusCode::kPermissionDenied);
  fs.writable = true;
  EXPECT_TRUE(store->Sync().ok());
}

TEST_F(MemorySnapshotTest, WithoutAPathNothingIsWritten) {
  MemoryOptions options = Options(&fs_);
  options.snapshot_path = "";
  options.save_on_close = true;
  auto store = OpenMemoryStore(options);
  EXPECT_TRUE((*store)->Sync().ok());
  EXPECT_EQ((*store)->Stats()->saved_at_ms, std::nullopt);
  EXPECT_TRUE((*store)->Close().ok());
  EXPECT_TRUE(fs_.List("d")->empty());
}

TEST_F(MemorySnapshotTest, ADamagedOneIsRefusedWithTheOffset) {
  ASSERT_TRUE(Open(&fs_)->Sync().ok());
  std::string bytes = *ReadFile(&fs_, kPath);
  bytes[40] ^= 1;
  ASSERT_TRUE(WriteFileAtomically(&fs_, kPath, bytes).ok());
  const absl::Status status = OpenMemoryStore(Options(&fs_)).status();
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_THAT(status.message(), HasSubstr("d/snapshot: the snapshot is damaged at offset 32"));
  // It stays as it is.
  EXPECT_EQ(*ReadFile(&fs_, kPath), bytes);
}

TEST_F(MemorySnapshotTest, OneThatIsMoreThanTheMemoryAllowedIsRefused) {
  {
    const std::unique_ptr<Store> store = Open(&fs_);
    for (int i = 0; i < 3000; ++i) {
      ASSERT_TRUE(store->Put(absl::StrCat("k", i), std::string(1000, 'v')).ok());
    }
    ASSERT_TRUE(store->Sync().ok());
  }
  MemoryOptions options = Options(&fs_);
  options.max_memory = 1 << 20;
  const absl::Status status = OpenMemoryStore(options).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_THAT(status.message(), HasSubstr("d/snapshot: "));
}

// A disk with a snapshot of "old=1", and a store that holds "new=2" besides.
struct Scene {
  Scene(const ManualClock& clock, const MemoryOptions& options) {
    EXPECT_TRUE(fs.CreateDir("d").ok());
    MemoryOptions with = options;
    with.fs = &fs;
    auto first = OpenMemoryStore(with);
    EXPECT_TRUE((*first)->Put("old", "1").ok());
    EXPECT_TRUE((*first)->Sync().ok());
    first->reset();
    fs.SyncAll();
    with.fs = &faults;
    store = *OpenMemoryStore(with);
    EXPECT_TRUE(store->Put("new", "2").ok());
  }
  static constexpr char kOld[] = "old=1;";
  static constexpr char kNew[] = "new=2;old=1;";

  MemoryFileSystem fs;
  FaultFileSystem faults{&fs, [this](WritableFile* file) { fs.LoseUnsynced(file); }};
  std::unique_ptr<Store> store;
};

TEST_F(MemorySnapshotTest, ACrashAtEveryOperationLeavesTheOldOrTheNewOne) {
  Scene scene(clock_, Options(nullptr));
  uint64_t states = 0;
  const auto visit = [&](const std::vector<std::string>& allowed) {
    for (const CrashPolicy policy : CrashPolicy::All()) {
      for (uint64_t seed = 0; seed < 30; ++seed) {
        ++states;
        const auto after = scene.fs.CloneAfterCrash(seed, policy);
        EXPECT_THAT(allowed, testing::Contains(ContentsAt(after.get())));
      }
    }
  };
  scene.fs.SetHook([&](Moment, const FileOperation&) { visit({Scene::kOld, Scene::kNew}); });
  ASSERT_TRUE(scene.store->Sync().ok());
  scene.fs.SetHook({});
  visit({Scene::kNew});
  EXPECT_GT(states, 5000u);
}

TEST_F(MemorySnapshotTest, AnErrorAtEveryOperationIsToldAndLeavesTheOldOrTheNewOne) {
  int runs = 0;
  for (const Fault fault : {Fault::kIoError, Fault::kNoSpace, Fault::kShortWrite,
                            Fault::kSyncLosesPages, Fault::kLateError, Fault::kDoneButError}) {
    for (uint64_t k = 0;; ++k) {
      Scene scene(clock_, Options(nullptr));
      scene.faults.SetRule({fault, k});
      const absl::Status status = scene.store->Sync();
      if (scene.faults.injected() == 0) {
        EXPECT_TRUE(status.ok()) << status;
        break;
      }
      ++runs;
      const std::string where =
          absl::StrCat("fault ", static_cast<int>(fault), " at ", k, ": ", status.ToString());
      EXPECT_FALSE(status.ok()) << where;
      scene.faults.ClearRule();
      EXPECT_THAT(ContentsAt(Copy(&scene.fs).get()), testing::AnyOf(Scene::kOld, Scene::kNew))
          << where;
      EXPECT_THAT(*scene.fs.List("d"), ElementsAre("snapshot", "snapshot.lock")) << where;
      // The store goes on, and the next one works.
      ASSERT_TRUE(scene.store->Put("more", "3").ok());
      EXPECT_TRUE(scene.store->Sync().ok()) << where;
      EXPECT_EQ(ContentsAt(Copy(&scene.fs).get()), "more=3;new=2;old=1;") << where;
    }
  }
  EXPECT_GE(runs, 20);
}

TEST_F(MemorySnapshotTest, AnErrorOfReadingIsNoEmptyStore) {
  for (uint64_t k = 0;; ++k) {
    Scene scene(clock_, Options(nullptr));
    scene.store.reset();
    scene.faults.SetRule({Fault::kIoError, k});
    const absl::StatusOr<std::unique_ptr<Store>> store = OpenMemoryStore(Options(&scene.faults));
    if (scene.faults.injected() == 0) break;
    EXPECT_TRUE(absl::IsDataLoss(store.status())) << k << ": " << store.status();
  }
}

// Writers of pairs, what expires, splits, and snapshots one after the other: each that was
// saved has both of a pair or none, with one value.
TEST_F(MemorySnapshotTest, SnapshotsUnderWritersHavePairsWhole) {
  const std::unique_ptr<Store> store = Open(&fs_);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; !stop; ++i) {
        const std::string left = absl::StrCat("l", t, ".", i % 5000);
        const std::string right = absl::StrCat("r", t, ".", i % 5000);
        const std::string value = absl::StrCat(i, std::string(i % 300, ' '));
        WriteBatch batch;
        if (i % 7 == 6) {
          batch.Delete(left);
          batch.Delete(right);
        } else {
          batch.Put(left, value);
          batch.Put(right, value);
        }
        WriteOptions options;
        options.atomic = true;
        ASSERT_TRUE(store->Write(batch, options, nullptr).ok());
        Metadata expires;
        expires.expiry = Metadata::Change::kSet;
        expires.expires_at_ms = clock_.now_ms() + i % 50;
        ASSERT_TRUE(store->Put(absl::StrCat("e", t, ".", i % 1000), "x", expires).ok());
        if (i % 100 == 0) clock_.Advance(absl::Milliseconds(10));
      }
    });
  }
  for (int n = 0; n < 15; ++n) {
    ASSERT_TRUE(store->Sync().ok());
    const std::unique_ptr<MemoryFileSystem> copy = Copy(&fs_);
    const std::unique_ptr<Store> saved = Open(copy.get());
    for (int i = 0; i < 5000; ++i) {
      for (int t = 0; t < 2; ++t) {
        const auto left = *saved->Get(absl::StrCat("l", t, ".", i));
        const auto right = *saved->Get(absl::StrCat("r", t, ".", i));
        ASSERT_EQ(left, right) << i;
      }
    }
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace kvarts
