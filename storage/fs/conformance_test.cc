// What each FileSystem does, over all of them. What only one of them does is in
// its own test.

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/fs/file_system.h"
#include "storage/fs/memory.h"
#include "testing/fault/fault_file_system.h"

namespace kvarts {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Create = FileSystem::Create;
using Type = FileInfo::Type;

// A file system, what is under it, and where it may write.
struct Subject {
  std::unique_ptr<FileSystem> base;
  std::unique_ptr<FileSystem> wrapper;
  FileSystem* fs = nullptr;
  std::string root;
};

struct Variant {
  const char* name;
  Subject (*make)();
};

Subject MakePosix() { return {nullptr, nullptr, FileSystem::Posix(), ::testing::TempDir()}; }

Subject MakeMemory() {
  Subject subject;
  subject.base = std::make_unique<MemoryFileSystem>();
  subject.fs = subject.base.get();
  return subject;
}

Subject Wrap(Subject subject) {
  subject.wrapper = std::make_unique<FaultFileSystem>(subject.fs);
  subject.fs = subject.wrapper.get();
  return subject;
}

class FileSystemTest : public ::testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    subject_ = GetParam().make();
    fs_ = subject_.fs;
    std::string name = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    for (char& c : name) c = c == '/' ? '.' : c;
    dir_ = JoinPath(subject_.root, name);
    ASSERT_TRUE(fs_->CreateDir(dir_).ok());
  }
  void TearDown() override { DeleteAll(dir_); }

  void DeleteAll(const std::string& dir) {
    const std::vector<std::string> names = *fs_->List(dir);
    for (const std::string& name : names) {
      const std::string path = JoinPath(dir, name);
      if (fs_->Stat(path)->type == Type::kDirectory) {
        DeleteAll(path);
      } else {
        ASSERT_TRUE(fs_->Delete(path).ok());
      }
    }
    ASSERT_TRUE(fs_->DeleteDir(dir).ok());
  }

  std::string Path(absl::string_view name) const { return JoinPath(dir_, name); }

  std::unique_ptr<WritableFile> Open(absl::string_view name, Create create = Create::kTruncate) {
    auto file = fs_->OpenForWrite(Path(name), create);
    EXPECT_TRUE(file.ok()) << file.status();
    return *std::move(file);
  }
  void Write(absl::string_view name, absl::string_view bytes) {
    auto file = Open(name);
    EXPECT_TRUE(file->Append(bytes).ok());
    EXPECT_TRUE(file->Close().ok());
  }
  std::string Read(absl::string_view name) {
    auto bytes = ReadFile(fs_, Path(name));
    return bytes.ok() ? *bytes : bytes.status().ToString();
  }

  Subject subject_;
  FileSystem* fs_ = nullptr;
  std::string dir_;
};

// The code, and the path and the reason in the message.
void ExpectError(const absl::Status& status, absl::StatusCode code, absl::string_view path,
                 absl::string_view reason) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(std::string(path)));
  EXPECT_THAT(std::string(status.message()), HasSubstr(std::string(reason)));
}

TEST_P(FileSystemTest, AppendsFollowEachOtherAndAreReadBack) {
  auto file = Open("f", Create::kNew);
  EXPECT_TRUE(file->Append("one ").ok());
  EXPECT_TRUE(file->Append("").ok());
  EXPECT_TRUE(file->Append(absl::string_view("t\0o", 3)).ok());
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_EQ(Read("f"), std::string("one t\0o", 7)) << "read while it is open";
  EXPECT_TRUE(file->Close().ok());
  EXPECT_EQ(Read("f"), std::string("one t\0o", 7));
}

TEST_P(FileSystemTest, CreateModesKeepEmptyOrRefuseAnExistingFile) {
  Write("f", "abc");
  ExpectError(fs_->OpenForWrite(Path("f"), Create::kNew).status(), absl::StatusCode::kAlreadyExists,
              Path("f"), "File exists");
  EXPECT_EQ(Read("f"), "abc");
  EXPECT_TRUE(Open("f", Create::kAppend)->Append("def").ok());
  EXPECT_EQ(Read("f"), "abcdef");
  EXPECT_TRUE(Open("f", Create::kTruncate)->Append("x").ok());
  EXPECT_EQ(Read("f"), "x");
  EXPECT_TRUE(Open("new", Create::kAppend)->Append("y").ok());
  EXPECT_EQ(Read("new"), "y");
}

TEST_P(FileSystemTest, WriteAtOverwritesAndAppendStillGoesToTheEnd) {
  auto file = Open("f");
  EXPECT_TRUE(file->Append("0123456789").ok());
  EXPECT_TRUE(file->WriteAt(2, "ab").ok());
  EXPECT_TRUE(file->Append("!").ok());
  EXPECT_EQ(Read("f"), "01ab456789!");
  EXPECT_TRUE(file->WriteAt(10, "XY").ok()) << "over the end";
  EXPECT_TRUE(file->Append("Z").ok());
  EXPECT_EQ(Read("f"), "01ab456789XYZ");
}

TEST_P(FileSystemTest, TruncateCutsAndGrowsAndMovesTheEnd) {
  auto file = Open("f");
  EXPECT_TRUE(file->Append("0123456789").ok());
  EXPECT_TRUE(file->Truncate(4).ok());
  EXPECT_TRUE(file->Append("x").ok());
  EXPECT_EQ(Read("f"), "0123x");
  EXPECT_TRUE(file->Truncate(7).ok());
  EXPECT_TRUE(file->Append("y").ok());
  EXPECT_EQ(Read("f"), std::string("0123x\0\0y", 8));
}

TEST_P(FileSystemTest, PreallocateLeavesTheSize) {
  auto file = Open("f");
  EXPECT_TRUE(file->Append("ab").ok());
  EXPECT_TRUE(file->Preallocate(1 << 16).ok());
  EXPECT_TRUE(file->Preallocate(0).ok());
  EXPECT_EQ(fs_->Stat(Path("f"))->size, 2u);
  EXPECT_GE(fs_->Stat(Path("f"))->allocated, uint64_t{1} << 16);
  EXPECT_TRUE(file->Append("c").ok());
  EXPECT_EQ(Read("f"), "abc");
  EXPECT_TRUE(file->Truncate(0).ok());
  EXPECT_LT(fs_->Stat(Path("f"))->allocated, uint64_t{1} << 16);
}

TEST_P(FileSystemTest, AClosedFileTakesNothingMore) {
  auto file = Open("f");
  EXPECT_TRUE(file->Append("a").ok());
  EXPECT_TRUE(file->Close().ok());
  EXPECT_TRUE(file->Close().ok());
  EXPECT_FALSE(file->Append("b").ok());
  EXPECT_FALSE(file->WriteAt(0, "b").ok());
  EXPECT_FALSE(file->Sync().ok());
  EXPECT_FALSE(file->Truncate(0).ok());
  EXPECT_FALSE(file->Preallocate(10).ok());
  EXPECT_EQ(Read("f"), "a");
}

TEST_P(FileSystemTest, ReadsAtOffsetsEndWhereTheFileEnds) {
  Write("f", "0123456789");
  auto file = fs_->OpenForRead(Path("f"));
  ASSERT_TRUE(file.ok()) << file.status();
  char scratch[16] = {};
  EXPECT_EQ(*(*file)->Read(3, 4, scratch), 4u);
  EXPECT_EQ(absl::string_view(scratch, 4), "3456");
  EXPECT_EQ(*(*file)->Read(8, 4, scratch), 2u);
  EXPECT_EQ(absl::string_view(scratch, 2), "89");
  EXPECT_EQ(*(*file)->Read(10, 4, scratch), 0u);
  EXPECT_EQ(*(*file)->Read(1000, 4, scratch), 0u);
  EXPECT_EQ(*(*file)->Read(0, 0, nullptr), 0u);
  EXPECT_EQ(*(*file)->Size(), 10u);
  EXPECT_TRUE(Open("f", Create::kAppend)->Append("ab").ok());
  EXPECT_EQ(*(*file)->Size(), 12u) << "the size now";
  EXPECT_EQ(*(*file)->Read(8, 9, scratch), 4u);
}

TEST_P(FileSystemTest, LargeContentsAreReadBackWhole) {
  std::string bytes(3 << 20, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 2654435761u >> 13);
  Write("f", bytes);
  EXPECT_TRUE(Read("f") == bytes);
  EXPECT_TRUE((*fs_->Map(Path("f")))->bytes() == bytes);
}

TEST_P(FileSystemTest, AMappingHoldsTheBytesAndOutlivesTheName) {
  Write("f", "mapped");
  auto map = fs_->Map(Path("f"));
  ASSERT_TRUE(map.ok()) << map.status();
  EXPECT_EQ((*map)->bytes(), "mapped");
  EXPECT_EQ((*map)->size(), 6u);
  (*map)->Advise(MappedFile::Access::kRandom);
  (*map)->Advise(MappedFile::Access::kSequential);
  (*map)->Advise(MappedFile::Access::kNormal);
  EXPECT_FALSE((*map)->poisoned());
  ASSERT_TRUE(fs_->Delete(Path("f")).ok());
  Write("f", "another file");
  EXPECT_EQ((*map)->bytes(), "mapped");
  EXPECT_EQ(*(*map)->CurrentSize(), 6u);
}

TEST_P(FileSystemTest, AMappingTellsThatItsFileHasChangedItsSize) {
  Write("f", "0123456789");
  auto map = fs_->Map(Path("f"));
  ASSERT_TRUE(map.ok());
  EXPECT_TRUE(Open("f", Create::kAppend)->Truncate(4).ok());
  EXPECT_EQ(*(*map)->CurrentSize(), 4u);
  EXPECT_EQ((*map)->size(), 10u);
}

TEST_P(FileSystemTest, AnEmptyFileMapsToEmptyBytes) {
  Write("f", "");
  auto map = fs_->Map(Path("f"));
  ASSERT_TRUE(map.ok()) << map.status();
  EXPECT_EQ((*map)->bytes(), "");
  EXPECT_FALSE((*map)->poisoned());
  EXPECT_EQ(*(*map)->CurrentSize(), 0u);
  EXPECT_EQ(Read("f"), "");
}

TEST_P(FileSystemTest, AnOpenFileOutlivesItsName) {
  Write("f", "bytes");
  auto file = fs_->OpenForRead(Path("f"));
  ASSERT_TRUE(fs_->Delete(Path("f")).ok());
  char scratch[5];
  EXPECT_EQ(*(*file)->Read(0, 5, scratch), 5u);
  EXPECT_EQ(absl::string_view(scratch, 5), "bytes");
}

TEST_P(FileSystemTest, StatTellsTypeSizeTimeAndIdentity) {
  Write("f", "abc");
  const FileInfo before = *fs_->Stat(Path("f"));
  EXPECT_EQ(before.type, Type::kFile);
  EXPECT_EQ(before.size, 3u);
  EXPECT_GT(before.modified_ns, 0);
  EXPECT_EQ(fs_->Stat(dir_)->type, Type::kDirectory);

  ASSERT_TRUE(fs_->Rename(Path("f"), Path("g")).ok());
  const FileInfo after = *fs_->Stat(Path("g"));
  EXPECT_EQ(after.inode, before.inode);
  EXPECT_EQ(after.device, before.device);
  EXPECT_EQ(after.modified_ns, before.modified_ns);
  Write("f", "abc");
  EXPECT_NE(fs_->Stat(Path("f"))->inode, after.inode);
}

TEST_P(FileSystemTest, AnAbsentPathIsNotFound) {
  const auto not_found = [&](const absl::Status& status) {
    ExpectError(status, absl::StatusCode::kNotFound, Path("no"), "No such file");
  };
  not_found(fs_->OpenForRead(Path("no")).status());
  not_found(fs_->Map(Path("no")).status());
  not_found(fs_->Stat(Path("no")).status());
  not_found(fs_->Rename(Path("no"), Path("f")));
  not_found(fs_->Link(Path("no"), Path("f")));
  not_found(fs_->Delete(Path("no")));
  not_found(fs_->DeleteDir(Path("no")));
  not_found(fs_->List(Path("no")).status());
  not_found(fs_->SyncDir(Path("no")));
  not_found(fs_->FreeSpace(Path("no")).status());
  not_found(fs_->IsRemote(Path("no")).status());
  not_found(fs_->OpenForWrite(Path("no/f"), Create::kNew).status());
  not_found(fs_->CreateDir(Path("no/d")));
  not_found(fs_->Lock(Path("no/l")).status());
  EXPECT_EQ(fs_->OpenForRead("").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(fs_->OpenForWrite("", Create::kNew).status().code(), absl::StatusCode::kNotFound);
}

TEST_P(FileSystemTest, ADirectoryWhereAFileIsExpectedSaysSo) {
  ASSERT_TRUE(fs_->CreateDir(Path("d")).ok());
  Write("f", "x");
  const auto is_directory = [&](const absl::Status& status) {
    ExpectError(status, absl::StatusCode::kFailedPrecondition, Path("d"), "is a directory");
  };
  is_directory(fs_->OpenForRead(Path("d")).status());
  is_directory(fs_->Map(Path("d")).status());
  is_directory(fs_->OpenForWrite(Path("d"), Create::kTruncate).status());
  is_directory(fs_->OpenForWrite(Path("d"), Create::kAppend).status());
  is_directory(fs_->Delete(Path("d")));
  is_directory(fs_->Lock(Path("d")).status());
  is_directory(fs_->Rename(Path("f"), Path("d")));
  EXPECT_EQ(fs_->Link(Path("d"), Path("e")).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Read("f"), "x");
}

TEST_P(FileSystemTest, AFileWhereADirectoryIsExpectedSaysSo) {
  Write("f", "x");
  ASSERT_TRUE(fs_->CreateDir(Path("d")).ok());
  const auto no_directory = [&](const absl::Status& status) {
    ExpectError(status, absl::StatusCode::kFailedPrecondition, dir_, "Not a directory");
  };
  no_directory(fs_->List(Path("f")).status());
  no_directory(fs_->SyncDir(Path("f")));
  no_directory(fs_->DeleteDir(Path("f")));
  no_directory(fs_->OpenForRead(Path("f/g")).status());
  no_directory(fs_->OpenForWrite(Path("f/g"), Create::kNew).status());
  no_directory(fs_->CreateDir(Path("f/g")));
  no_directory(fs_->Rename(Path("d"), Path("f")));
}

TEST_P(FileSystemTest, RenameReplacesTheFileAtItsTarget) {
  Write("from", "new");
  Write("to", "old");
  auto old = fs_->OpenForRead(Path("to"));
  ASSERT_TRUE(fs_->Rename(Path("from"), Path("to")).ok());
  EXPECT_EQ(Read("to"), "new");
  EXPECT_THAT(*fs_->List(dir_), ElementsAre("to"));
  char scratch[3];
  EXPECT_EQ(*(*old)->Read(0, 3, scratch), 3u);
  EXPECT_EQ(absl::string_view(scratch, 3), "old");
  EXPECT_TRUE(fs_->Rename(Path("to"), Path("to")).ok());
  EXPECT_EQ(Read("to"), "new");
}

TEST_P(FileSystemTest, FilesAndDirectoriesMove) {
  ASSERT_TRUE(fs_->CreateDir(Path("a")).ok());
  ASSERT_TRUE(fs_->CreateDir(Path("b")).ok());
  Write("a/f", "x");
  ASSERT_TRUE(fs_->Rename(Path("a/f"), Path("b/g")).ok());
  EXPECT_THAT(*fs_->List(Path("a")), IsEmpty());
  EXPECT_EQ(Read("b/g"), "x");
  ASSERT_TRUE(fs_->Rename(Path("b"), Path("c")).ok());
  EXPECT_EQ(Read("c/g"), "x");
  EXPECT_THAT(*fs_->List(dir_), ElementsAre("a", "c"));
  EXPECT_TRUE(fs_->Rename(Path("c"), Path("a")).ok()) << "over an empty one";
  ASSERT_TRUE(fs_->CreateDir(Path("d")).ok());
  EXPECT_EQ(fs_->Rename(Path("d"), Path("a")).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_P(FileSystemTest, ALinkIsAnotherNameOfTheSameFile) {
  Write("f", "x");
  ASSERT_TRUE(fs_->Link(Path("f"), Path("g")).ok());
  EXPECT_EQ(fs_->Stat(Path("f"))->inode, fs_->Stat(Path("g"))->inode);
  EXPECT_EQ(fs_->Link(Path("f"), Path("g")).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(Open("g", Create::kAppend)->Append("y").ok());
  EXPECT_TRUE(fs_->Rename(Path("f"), Path("g")).ok());
  EXPECT_EQ(Read("f"), "xy") << "renaming one name of a file to another does nothing";
  ASSERT_TRUE(fs_->Delete(Path("f")).ok());
  EXPECT_EQ(Read("g"), "xy");
}

TEST_P(FileSystemTest, DirectoriesListSortedNamesAndGoOnceEmpty) {
  ASSERT_TRUE(fs_->CreateDir(Path("d"), /*is_private=*/true).ok());
  EXPECT_EQ(fs_->CreateDir(Path("d")).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(*fs_->List(Path("d")), IsEmpty());
  for (const char* name : {"d/b", "d/a", "d/.hidden", "d/c"}) Write(name, "");
  EXPECT_THAT(*fs_->List(Path("d")), ElementsAre(".hidden", "a", "b", "c"));
  EXPECT_TRUE(fs_->SyncDir(Path("d")).ok());
  ExpectError(fs_->DeleteDir(Path("d")), absl::StatusCode::kFailedPrecondition, Path("d"),
              "not empty");
  for (const char* name : {"d/b", "d/a", "d/.hidden", "d/c"}) {
    ASSERT_TRUE(fs_->Delete(Path(name)).ok());
  }
  EXPECT_TRUE(fs_->DeleteDir(Path("d")).ok());
  EXPECT_FALSE(fs_->Stat(Path("d")).ok());
}

TEST_P(FileSystemTest, ALockIsHeldUntilItIsDestroyed) {
  auto lock = fs_->Lock(Path("l"));
  ASSERT_TRUE(lock.ok()) << lock.status();
  EXPECT_EQ(fs_->Stat(Path("l"))->size, 0u);
  ExpectError(fs_->Lock(Path("l")).status(), absl::StatusCode::kFailedPrecondition, Path("l"),
              "is locked");
  ASSERT_TRUE(fs_->Link(Path("l"), Path("l2")).ok());
  EXPECT_FALSE(fs_->Lock(Path("l2")).ok()) << "it locks the file, not the name";
  EXPECT_TRUE(fs_->Lock(Path("other")).ok());
  *lock = nullptr;
  EXPECT_TRUE(fs_->Lock(Path("l")).ok());
}

TEST_P(FileSystemTest, OneOfManyThreadsGetsTheLock) {
  std::vector<std::thread> threads;
  std::vector<std::unique_ptr<FileLock>> locks(8);
  for (auto& lock : locks) {
    threads.emplace_back([&] {
      auto got = fs_->Lock(Path("l"));
      if (got.ok()) lock = *std::move(got);
    });
  }
  for (std::thread& thread : threads) thread.join();
  int held = 0;
  for (const auto& lock : locks) held += lock != nullptr;
  EXPECT_EQ(held, 1);
}

TEST_P(FileSystemTest, ThereIsFreeSpace) {
  auto space = fs_->FreeSpace(dir_);
  ASSERT_TRUE(space.ok()) << space.status();
  EXPECT_GT(*space, 0u);
}

TEST_P(FileSystemTest, ATestsDirectoryIsOnThisMachine) {
  const auto remote = fs_->IsRemote(dir_);
  ASSERT_TRUE(remote.ok()) << remote.status();
  EXPECT_FALSE(*remote);
}

TEST_P(FileSystemTest, ManyThreadsWorkOnFilesOfTheirOwnAndReadOne) {
  Write("shared", std::string(10000, 's'));
  auto shared = fs_->OpenForRead(Path("shared"));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const std::string name = absl::StrCat(t, ".", i);
        Write(absl::StrCat(name, ".new"), name);
        EXPECT_TRUE(fs_->Rename(Path(absl::StrCat(name, ".new")), Path(name)).ok());
        EXPECT_EQ(Read(name), name);
        char scratch[10];
        EXPECT_EQ(*(*shared)->Read(500 * t, 10, scratch), 10u);
        EXPECT_EQ(absl::string_view(scratch, 10), "ssssssssss");
        if (i % 2 == 0) {
          EXPECT_TRUE(fs_->Delete(Path(name)).ok());
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(fs_->List(dir_)->size(), 41u);
}

TEST_P(FileSystemTest, WriteFileAtomicallyCreatesReplacesAndLeavesNothingElse) {
  ASSERT_TRUE(WriteFileAtomically(fs_, Path("f"), "one").ok());
  EXPECT_EQ(Read("f"), "one");
  Write("f.tmp", "left over from a crash");
  ASSERT_TRUE(WriteFileAtomically(fs_, Path("f"), "").ok());
  EXPECT_EQ(Read("f"), "");
  EXPECT_THAT(*fs_->List(dir_), ElementsAre("f"));
  ExpectError(WriteFileAtomically(fs_, Path("no/f"), "x"), absl::StatusCode::kNotFound,
              Path("no/f"), "No such file");
  ASSERT_TRUE(fs_->CreateDir(Path("d")).ok());
  ExpectError(WriteFileAtomically(fs_, Path("d"), "x"), absl::StatusCode::kFailedPrecondition,
              Path("d"), "is a directory");
  EXPECT_THAT(*fs_->List(dir_), ElementsAre("d", "f"));
}

INSTANTIATE_TEST_SUITE_P(
    All, FileSystemTest,
    ::testing::Values(Variant{"Posix", MakePosix}, Variant{"Memory", MakeMemory},
                      Variant{"FaultOverPosix", [] { return Wrap(MakePosix()); }},
                      Variant{"FaultOverMemory", [] { return Wrap(MakeMemory()); }}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(PathTest, DirNameIsWhatStandsBeforeTheLastName) {
  EXPECT_EQ(DirName("dir/name"), "dir");
  EXPECT_EQ(DirName("a/b/name"), "a/b");
  EXPECT_EQ(DirName("a//name"), "a");
  EXPECT_EQ(DirName("name"), ".");
  EXPECT_EQ(DirName("/name"), "/");
  EXPECT_EQ(DirName("/"), "/");
  EXPECT_EQ(DirName("dir/name/"), "dir");
  EXPECT_EQ(DirName(""), ".");
}

TEST(PathTest, JoinPathPutsOneSlashBetween) {
  EXPECT_EQ(JoinPath("dir", "name"), "dir/name");
  EXPECT_EQ(JoinPath("dir/", "name"), "dir/name");
  EXPECT_EQ(JoinPath("/", "name"), "/name");
  EXPECT_EQ(JoinPath("", "name"), "name");
  EXPECT_EQ(JoinPath(".", "name"), "./name");
}

}  // namespace
}  // namespace kvarts
