#include "storage/fs/memory.h"

#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Create = FileSystem::Create;
using Data = CrashPolicy::Data;
using Names = CrashPolicy::Names;
using NamesSeen = std::vector<std::string>;

constexpr uint64_t kSeeds = 300;

class MemoryTest : public ::testing::Test {
 protected:
  std::unique_ptr<WritableFile> Open(absl::string_view path, Create create = Create::kAppend) {
    auto file = fs_.OpenForWrite(path, create);
    EXPECT_TRUE(file.ok()) << file.status();
    return *std::move(file);
  }
  void Write(absl::string_view path, absl::string_view bytes) {
    EXPECT_TRUE(Open(path)->Append(bytes).ok());
  }

  // What a file holds after the crash; its status where it cannot be read.
  static std::string Contents(FileSystem* fs, absl::string_view path) {
    auto bytes = ReadFile(fs, path);
    return bytes.ok() ? *bytes : absl::StatusCodeToString(bytes.status().code());
  }
  std::string After(Data data, Names names, absl::string_view path, uint64_t seed = 1) {
    return Contents(fs_.CloneAfterCrash(seed, {data, names}).get(), path);
  }
  std::set<std::string> AllAfter(Data data, absl::string_view path) {
    std::set<std::string> seen;
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
      seen.insert(After(data, Names::kKept, path, seed));
    }
    return seen;
  }
  std::set<NamesSeen> AllNames(absl::string_view dir) {
    std::set<NamesSeen> seen;
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
      seen.insert(*fs_.CloneAfterCrash(seed, {Data::kKept, Names::kPrefix})->List(dir));
    }
    return seen;
  }

  MemoryFileSystem fs_;
};

TEST_F(MemoryTest, SyncedBytesSurviveEveryPolicy) {
  auto file = Open("f");
  EXPECT_TRUE(file->Append("0123456789").ok());
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_TRUE(fs_.SyncDir("/").ok());
  for (const CrashPolicy policy : CrashPolicy::All()) {
    EXPECT_EQ(After(policy.data, policy.names, "f"), "0123456789");
  }
  EXPECT_TRUE(file->Append("abc").ok());
  for (const CrashPolicy policy : CrashPolicy::All()) {
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
      EXPECT_EQ(After(policy.data, policy.names, "f", seed).substr(0, 10), "0123456789");
    }
  }
}

TEST_F(MemoryTest, UnsyncedBytesAreDroppedKeptOrCutAnywhere) {
  auto file = Open("f");
  EXPECT_TRUE(file->Append("ab").ok());
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_TRUE(file->Append("cd").ok());
  EXPECT_TRUE(file->Append("ef").ok());
  EXPECT_EQ(After(Data::kDropped, Names::kKept, "f"), "ab");
  EXPECT_EQ(After(Data::kKept, Names::kKept, "f"), "abcdef");
  EXPECT_THAT(AllAfter(Data::kPrefix, "f"), ElementsAre("ab", "abc", "abcd", "abcde", "abcdef"));
  EXPECT_EQ(Contents(&fs_, "f"), "abcdef") << "the file system itself goes on";
}

TEST_F(MemoryTest, OverwritesAndTruncationsAreLostInTheirOrderToo) {
  auto file = Open("f");
  EXPECT_TRUE(file->Append("abcd").ok());
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_TRUE(file->WriteAt(1, "XY").ok());
  EXPECT_TRUE(file->Truncate(2).ok());
  EXPECT_TRUE(file->Append("!").ok());
  EXPECT_EQ(After(Data::kDropped, Names::kKept, "f"), "abcd");
  EXPECT_EQ(After(Data::kKept, Names::kKept, "f"), "aX!");
  EXPECT_THAT(AllAfter(Data::kPrefix, "f"), ElementsAre("aX", "aX!", "aXYd", "aXcd", "abcd"));
}

TEST_F(MemoryTest, GarblingStaysWithinTheUnsyncedRange) {
  auto file = Open("f");
  const std::string synced(3000, 's');
  EXPECT_TRUE(file->Append(synced).ok());
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_TRUE(file->WriteAt(1000, std::string(1000, 'n')).ok());
  EXPECT_TRUE(file->Append(std::string(500, 'a')).ok());
  bool old = false, fresh = false, noise = false, hole = false;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const std::string after = After(Data::kGarbled, Names::kKept, "f", seed);
    ASSERT_THAT(after.size(), AnyOf(3000u, 3500u));
    ASSERT_EQ(after.substr(0, 1000), synced.substr(0, 1000));
    ASSERT_EQ(after.substr(2000, 1000), synced.substr(0, 1000));
    for (const char c : after.substr(1000, 1000)) {
      (c == 's' ? old : c == 'n' ? fresh : noise) = true;
    }
    for (const char c : after.substr(3000)) hole = hole || c == 0;
  }
  EXPECT_TRUE(old);
  EXPECT_TRUE(fresh);
  EXPECT_TRUE(noise);
  EXPECT_TRUE(hole);
}

TEST_F(MemoryTest, TheSameSeedGivesTheSameCrash) {
  Write("f", std::string(5000, 'x'));
  Write("g", "y");
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const CrashPolicy policy{Data::kGarbled, Names::kPrefix};
    const auto one = fs_.CloneAfterCrash(seed, policy);
    const auto two = fs_.CloneAfterCrash(seed, policy);
    EXPECT_EQ(Contents(one.get(), "f"), Contents(two.get(), "f"));
    EXPECT_EQ(*one->List("/"), *two->List("/"));
  }
}

TEST_F(MemoryTest, ANameNeedsASyncOfItsDirectory) {
  auto file = Open("f");
  EXPECT_TRUE(file->Append("x").ok());
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_EQ(After(Data::kKept, Names::kLost, "f"), "NOT_FOUND");
  EXPECT_TRUE(fs_.SyncDir("/").ok());
  EXPECT_EQ(After(Data::kDropped, Names::kLost, "f"), "x");
  ASSERT_TRUE(fs_.Delete("f").ok());
  EXPECT_EQ(After(Data::kDropped, Names::kLost, "f"), "x") << "it comes back";
  EXPECT_EQ(After(Data::kDropped, Names::kKept, "f"), "NOT_FOUND");
  EXPECT_TRUE(fs_.SyncDir("/").ok());
  EXPECT_EQ(After(Data::kDropped, Names::kLost, "f"), "NOT_FOUND");
}

TEST_F(MemoryTest, ADirectorySyncSavesNamesAndNotBytes) {
  Write("f", "x");
  EXPECT_TRUE(fs_.SyncDir("/").ok());
  EXPECT_EQ(After(Data::kDropped, Names::kLost, "f"), "");
}

TEST_F(MemoryTest, NamesAreKeptUpToSomePointInTheirOrder) {
  ASSERT_TRUE(fs_.CreateDir("d").ok());
  fs_.SyncAll();
  Write("d/a", "");
  Write("d/b", "");
  ASSERT_TRUE(fs_.Rename("d/a", "d/c").ok());
  ASSERT_TRUE(fs_.Link("d/b", "d/l").ok());
  ASSERT_TRUE(fs_.Delete("d/b").ok());
  EXPECT_THAT(AllNames("d"),
              ElementsAre(NamesSeen{}, NamesSeen{"a"}, NamesSeen{"a", "b"}, NamesSeen{"b", "c"},
                          NamesSeen{"b", "c", "l"}, NamesSeen{"c", "l"}));
}

TEST_F(MemoryTest, ARenameIsWholeAlsoFromOneDirectoryToAnother) {
  ASSERT_TRUE(fs_.CreateDir("a").ok());
  ASSERT_TRUE(fs_.CreateDir("b").ok());
  Write("a/f", "new");
  Write("b/f", "old");
  fs_.SyncAll();
  ASSERT_TRUE(fs_.Rename("a/f", "b/f").ok());
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const auto clone = fs_.CloneAfterCrash(seed, {Data::kDropped, Names::kPrefix});
    const bool done = clone->List("a")->empty();
    EXPECT_EQ(Contents(clone.get(), "b/f"), done ? "new" : "old");
    EXPECT_EQ(Contents(clone.get(), "a/f"), done ? "NOT_FOUND" : "new");
  }
}

TEST_F(MemoryTest, SyncingOneDirectorySavesWhatItsChangesNeedInOthers) {
  ASSERT_TRUE(fs_.CreateDir("a").ok());
  ASSERT_TRUE(fs_.CreateDir("b").ok());
  fs_.SyncAll();
  Write("b/first", "");
  Write("a/f", "");
  ASSERT_TRUE(fs_.Rename("a/f", "b/f").ok());
  Write("b/later", "");
  ASSERT_TRUE(fs_.SyncDir("a").ok());
  const auto clone = fs_.CloneAfterCrash(1, {Data::kDropped, Names::kLost});
  EXPECT_THAT(*clone->List("a"), IsEmpty());
  EXPECT_THAT(*clone->List("b"), ElementsAre("f", "first"));
}

TEST_F(MemoryTest, OneDirectorysChangesMayBeLostWhileAnothersAreKept) {
  ASSERT_TRUE(fs_.CreateDir("a").ok());
  ASSERT_TRUE(fs_.CreateDir("b").ok());
  fs_.SyncAll();
  Write("a/f", "");
  Write("b/f", "");
  std::set<std::pair<bool, bool>> seen;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const auto clone = fs_.CloneAfterCrash(seed, {Data::kKept, Names::kPrefix});
    seen.emplace(clone->Stat("a/f").ok(), clone->Stat("b/f").ok());
  }
  EXPECT_EQ(seen.size(), 4u);
}

TEST_F(MemoryTest, AnUnsyncedDirectoryTakesItsFilesAlong) {
  ASSERT_TRUE(fs_.CreateDir("d").ok());
  auto file = Open("d/f");
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(fs_.SyncDir("d").ok());
  EXPECT_EQ(After(Data::kKept, Names::kLost, "d/f"), "NOT_FOUND");
  ASSERT_TRUE(fs_.SyncDir("/").ok());
  EXPECT_EQ(After(Data::kKept, Names::kLost, "d/f"), "");
}

TEST_F(MemoryTest, TwoNamesOfAFileStayNamesOfOneFile) {
  Write("f", "x");
  ASSERT_TRUE(fs_.Link("f", "g").ok());
  fs_.SyncAll();
  const auto clone = fs_.CloneAfterCrash(1, {});
  EXPECT_EQ(clone->Stat("f")->inode, clone->Stat("g")->inode);
  ASSERT_TRUE((*clone->OpenForWrite("f", Create::kAppend))->Append("y").ok());
  EXPECT_EQ(Contents(clone.get(), "g"), "xy");
}

TEST_F(MemoryTest, ACloneAndItsOriginalDoNotSeeEachOther) {
  Write("f", "first");
  fs_.SyncAll();
  const auto clone = fs_.CloneAfterCrash(1, {});
  auto file = Open("f");
  ASSERT_TRUE(file->WriteAt(0, "ORIG").ok());
  ASSERT_TRUE(file->Sync().ok());
  EXPECT_EQ(Contents(clone.get(), "f"), "first");
  ASSERT_TRUE((*clone->OpenForWrite("f", Create::kAppend))->WriteAt(0, "CLON").ok());
  EXPECT_EQ(Contents(&fs_, "f"), "ORIGt");
  EXPECT_EQ(Contents(clone.get(), "f"), "CLONt");
  const auto again = clone->CloneAfterCrash(1, {});
  EXPECT_EQ(Contents(again.get(), "f"), "first") << "a crash after a crash";
}

TEST_F(MemoryTest, AMappingKeepsTheBytesOfItsMoment) {
  auto file = Open("f");
  ASSERT_TRUE(file->Append("first").ok());
  const auto map = *fs_.Map("f");
  ASSERT_TRUE(file->WriteAt(0, "other bytes").ok());
  EXPECT_EQ(map->bytes(), "first");
}

TEST_F(MemoryTest, ACrashFreesTheLocks) {
  auto lock = fs_.Lock("l");
  fs_.SyncAll();
  const auto clone = fs_.CloneAfterCrash(1, {});
  EXPECT_TRUE(clone->Lock("l").ok());
  EXPECT_FALSE(fs_.Lock("l").ok());
}

TEST_F(MemoryTest, LostPagesCountAsCleanAndAreZerosAfterACrash) {
  auto file = Open("f");
  ASSERT_TRUE(file->Append("ab").ok());
  fs_.SyncAll();
  ASSERT_TRUE(file->Append("cd").ok());
  fs_.LoseUnsynced(file.get());
  EXPECT_EQ(Contents(&fs_, "f"), "abcd") << "still cached";
  ASSERT_TRUE(file->Append("ef").ok());
  ASSERT_TRUE(file->Sync().ok());
  EXPECT_EQ(Contents(&fs_, "f"), "abcdef");
  for (const CrashPolicy policy : CrashPolicy::All()) {
    EXPECT_EQ(After(policy.data, policy.names, "f"), std::string("ab\0\0ef", 6));
  }
}

TEST_F(MemoryTest, EvictedPagesAreGoneAtOnce) {
  auto file = Open("f");
  ASSERT_TRUE(file->Append("ab").ok());
  fs_.SyncAll();
  ASSERT_TRUE(file->WriteAt(0, "XYZ").ok());
  const auto map = *fs_.Map("f");
  fs_.LoseUnsynced(file.get(), /*at_once=*/true);
  EXPECT_EQ(Contents(&fs_, "f"), std::string("ab\0", 3));
  EXPECT_EQ(map->bytes(), "XYZ");
}

TEST_F(MemoryTest, HooksSeeEachChangingOperationBeforeAndAfter) {
  std::vector<std::string> seen;
  fs_.SetHook([&](MemoryFileSystem::Moment moment, const FileOperation& operation) {
    const bool before = moment == MemoryFileSystem::Moment::kBefore;
    seen.push_back(absl::StrCat(
        before ? "< " : "> ", OperationName(operation.kind), " ", operation.path, operation.to, " ",
        fs_.CloneAfterCrash(1, {Data::kKept, Names::kKept})->List("/")->size()));
  });
  auto file = Open("f");
  ASSERT_TRUE(file->Append("ab").ok());
  ASSERT_TRUE(file->Close().ok());
  ASSERT_TRUE(fs_.Rename("f", "g").ok());
  ASSERT_TRUE(ReadFile(&fs_, "g").ok());
  ASSERT_FALSE(fs_.Delete("f").ok());
  EXPECT_EQ(fs_.operations(), 4u);
  fs_.SetHook({});
  ASSERT_TRUE(fs_.Delete("g").ok());
  EXPECT_EQ(fs_.operations(), 5u);
  EXPECT_THAT(seen, ElementsAre("< open for writing f 0", "> open for writing f 1", "< append f 1",
                                "> append f 1", "< rename fg 1", "> rename fg 1", "< delete f 1",
                                "> delete f 1"));
}

TEST_F(MemoryTest, AWriteThatDoesNotFitLeavesThePartThatDoes) {
  fs_.SetCapacity(10);
  auto file = Open("f");
  ASSERT_TRUE(file->Append("012345").ok());
  EXPECT_EQ(*fs_.FreeSpace("/"), 4u);
  const absl::Status full = file->Append("678901");
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted) << full;
  EXPECT_EQ(full.message(), "f: write: No space left on device");
  EXPECT_EQ(Contents(&fs_, "f"), "0123456789");
  EXPECT_EQ(*fs_.FreeSpace("/"), 0u);
  EXPECT_TRUE(file->WriteAt(0, "abc").ok()) << "an overwrite needs no space";
  EXPECT_FALSE(file->Preallocate(11).ok());
  EXPECT_FALSE(file->Truncate(11).ok());
  EXPECT_TRUE(file->Truncate(3).ok());
  EXPECT_TRUE(file->Append("xyz").ok());
  EXPECT_EQ(Contents(&fs_, "f"), "abcxyz");
}

TEST_F(MemoryTest, SpaceIsFreeOnceAFileHasNeitherNameNorUser) {
  fs_.SetCapacity(10);
  auto file = Open("f");
  ASSERT_TRUE(file->Preallocate(8).ok());
  EXPECT_EQ(fs_.used_bytes(), 8u);
  ASSERT_TRUE(file->Append("0123456789").ok());
  auto map = *fs_.Map("f");
  ASSERT_TRUE(fs_.Link("f", "g").ok());
  ASSERT_TRUE(fs_.Delete("f").ok());
  ASSERT_TRUE(file->Close().ok());
  EXPECT_EQ(fs_.used_bytes(), 10u);
  Write("h", "");
  ASSERT_TRUE(fs_.Rename("h", "g").ok());
  EXPECT_EQ(fs_.used_bytes(), 10u) << "still mapped";
  map = nullptr;
  EXPECT_EQ(fs_.used_bytes(), 0u);
  EXPECT_EQ(fs_.CloneAfterCrash(1, {Data::kKept, Names::kKept})->used_bytes(), 0u);
}

TEST_F(MemoryTest, OpenFilesOutliveTheirFileSystem) {
  auto fs = std::make_unique<MemoryFileSystem>();
  auto file = *fs->OpenForWrite("f", Create::kNew);
  auto reader = *fs->OpenForRead("f");
  fs.reset();
  EXPECT_TRUE(file->Append("abc").ok());
  EXPECT_EQ(*reader->Size(), 3u);
}

TEST_F(MemoryTest, PathsAreTheSameHoweverTheyAreSpelled) {
  ASSERT_TRUE(fs_.CreateDir("/a").ok());
  Write("a//b", "x");
  EXPECT_EQ(Contents(&fs_, "/a/./../a/b"), "x");
  EXPECT_EQ(Contents(&fs_, "../a/b"), "x");
}

TEST_F(MemoryTest, ADirectoryStaysInItsParent) {
  ASSERT_TRUE(fs_.CreateDir("a").ok());
  ASSERT_TRUE(fs_.CreateDir("b").ok());
  EXPECT_EQ(fs_.Rename("a", "b/a").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(fs_.Rename("a", "a/a").code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(MemoryTest, ClonesAreTakenWhileManyThreadsWrite) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      auto file = Open(absl::StrCat("f", t));
      for (int i = 0; i < 200; ++i) {
        EXPECT_TRUE(file->Append("0123456789").ok());
        EXPECT_TRUE(i % 3 != 0 || file->Sync().ok());
        EXPECT_TRUE(i % 5 != 0 || fs_.SyncDir("/").ok());
      }
    });
  }
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const auto clone = fs_.CloneAfterCrash(seed, {Data::kPrefix, Names::kLost});
    const std::vector<std::string> names = *clone->List("/");
    for (const std::string& name : names) {
      const std::string bytes = Contents(clone.get(), name);
      for (size_t i = 0; i < bytes.size(); ++i) ASSERT_EQ(bytes[i], '0' + i % 10);
    }
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace kvarts
