#include "groupby/spill/temp_folder.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"
#include "testing/fault/fault_file_system.h"

namespace kvarts::groupby_internal {
namespace {

absl::Status Write(FileSystem* fs, const std::string& path) {
  auto file = fs->OpenForWrite(path, FileSystem::Create::kNew);
  return file.ok() ? (*file)->Append("bytes") : file.status();
}

// Of both file systems: the parameter says whether of memory.
class TempFolderTest : public testing::TestWithParam<bool> {
 protected:
  TempFolderTest() : fs_(GetParam() ? &memory_ : FileSystem::Posix()) {
    static int count = 0;
    parent_ = GetParam()
                  ? "/parent"
                  : absl::StrCat(testing::TempDir(), "/temp_folder_test.", getpid(), ".", count++);
    EXPECT_TRUE(fs_->CreateDir(parent_).ok());
  }
  ~TempFolderTest() override {
    EXPECT_EQ(Names().size(), 0u) << Names()[0];
    fs_->DeleteDir(parent_).IgnoreError();
  }

  std::vector<std::string> Names() { return fs_->List(parent_).value(); }

  MemoryFileSystem memory_;
  FileSystem* const fs_;
  std::string parent_;
};

TEST_P(TempFolderTest, NothingIsMadeBeforeTheFirstPath) {
  TempFolder folder(fs_, parent_);
  EXPECT_FALSE(folder.exists());
  EXPECT_TRUE(Names().empty());
}

TEST_P(TempFolderTest, PathsAreNewAndInOneFolder) {
  TempFolder folder(fs_, parent_);
  const std::string first = folder.NewPath("run").value();
  const std::string second = folder.NewPath("run").value();
  EXPECT_TRUE(folder.exists());
  EXPECT_NE(first, second);
  EXPECT_EQ(DirName(first), DirName(second));
  EXPECT_EQ(DirName(DirName(first)), parent_);
  EXPECT_TRUE(absl::EndsWith(first, ".run"));
  ASSERT_EQ(Names().size(), 1u);
  EXPECT_TRUE(absl::StartsWith(Names()[0], "kvarts-groupby."));
}

TEST_P(TempFolderTest, DestructorDeletesFilesThatWereLeft) {
  std::string path;
  {
    TempFolder folder(fs_, parent_);
    for (int i = 0; i < 3; ++i) {
      path = folder.NewPath("run").value();
      EXPECT_TRUE(Write(fs_, path).ok());
    }
    EXPECT_EQ(Names().size(), 1u);
  }
  EXPECT_TRUE(Names().empty());
  EXPECT_TRUE(absl::IsNotFound(fs_->Stat(path).status()));
}

TEST_P(TempFolderTest, RemovedFolderGivesNoPaths) {
  TempFolder folder(fs_, parent_);
  EXPECT_TRUE(Write(fs_, folder.NewPath("run").value()).ok());
  folder.Remove();
  EXPECT_FALSE(folder.exists());
  EXPECT_TRUE(Names().empty());
  EXPECT_TRUE(absl::IsFailedPrecondition(folder.NewPath("run").status()));
  EXPECT_TRUE(Names().empty());
}

TEST_P(TempFolderTest, AFileThatIsMadeWhileItIsRemovedIsDeletedByTheNextRemove) {
  TempFolder folder(fs_, parent_);
  const std::string path = folder.NewPath("late").value();
  const std::string foreign = JoinPath(DirName(path), "foreign");
  ASSERT_TRUE(Write(fs_, foreign).ok());
  folder.Remove();
  EXPECT_EQ(Names().size(), 1u);
  ASSERT_TRUE(fs_->Delete(foreign).ok());
  ASSERT_TRUE(Write(fs_, path).ok());
  folder.Remove();
  EXPECT_TRUE(Names().empty());
}

TEST_P(TempFolderTest, FolderThatWasNeverMadeCanBeRemoved) {
  TempFolder folder(fs_, parent_);
  folder.Remove();
  EXPECT_TRUE(absl::IsFailedPrecondition(folder.NewPath("run").status()));
}

TEST_P(TempFolderTest, FoldersOfTheDeadAreDeletedAndThoseOfTheLivingKept) {
  const std::string dead = JoinPath(parent_, "kvarts-groupby.dead");
  const std::string empty = JoinPath(parent_, "kvarts-groupby.empty");
  for (const std::string& path : {dead, empty}) ASSERT_TRUE(fs_->CreateDir(path, true).ok());
  ASSERT_TRUE(Write(fs_, JoinPath(dead, "lock")).ok());
  ASSERT_TRUE(Write(fs_, JoinPath(dead, "17.run")).ok());

  TempFolder living(fs_, parent_);
  const std::string kept = living.NewPath("run").value();
  ASSERT_TRUE(Write(fs_, kept).ok());
  EXPECT_EQ(Names().size(), 1u);

  TempFolder folder(fs_, parent_);
  ASSERT_TRUE(folder.NewPath("run").ok());
  EXPECT_EQ(Names().size(), 2u);
  EXPECT_TRUE(fs_->Stat(kept).ok());
}

TEST_P(TempFolderTest, ForeignFilesAndFoldersAreKept) {
  const std::string foreign = JoinPath(parent_, "kvarts-groupby.foreign");
  const std::string other = JoinPath(parent_, "other");
  for (const std::string& path : {foreign, other}) {
    ASSERT_TRUE(fs_->CreateDir(path).ok());
    ASSERT_TRUE(Write(fs_, JoinPath(path, "lock")).ok());
    ASSERT_TRUE(Write(fs_, JoinPath(path, "thesis.txt")).ok());
  }
  {
    TempFolder folder(fs_, parent_);
    ASSERT_TRUE(folder.NewPath("run").ok());
  }
  for (const std::string& path : {foreign, other}) {
    EXPECT_TRUE(fs_->Delete(JoinPath(path, "thesis.txt")).ok());
    fs_->Delete(JoinPath(path, "lock")).IgnoreError();
    EXPECT_TRUE(fs_->DeleteDir(path).ok());
  }
}

TEST_P(TempFolderTest, ErrorNamesTheFolderAndStays) {
  TempFolder folder(fs_, JoinPath(parent_, "absent"));
  const absl::Status status = folder.NewPath("run").status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_TRUE(absl::StrContains(
      status.message(), "a temporary folder cannot be made: " + JoinPath(parent_, "absent/")))
      << status;
  EXPECT_EQ(folder.NewPath("run").status(), status);
  EXPECT_FALSE(folder.exists());
}

TEST_P(TempFolderTest, ManyAtOnceDisturbNobody) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this] {
      for (int i = 0; i < 50; ++i) {
        TempFolder folder(fs_, parent_);
        for (int n = 0; n < 2; ++n) {
          const auto path = folder.NewPath("run");
          ASSERT_TRUE(path.ok()) << path.status();
          ASSERT_TRUE(Write(fs_, *path).ok());
          ASSERT_TRUE(fs_->Stat(*path).ok());
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

INSTANTIATE_TEST_SUITE_P(FileSystems, TempFolderTest, testing::Bool());

TEST(TempFolderPosixTest, FolderIsPrivate) {
  TempFolder folder(FileSystem::Posix(), testing::TempDir());
  const std::string path = folder.NewPath("run").value();
  struct stat info;
  ASSERT_EQ(stat(DirName(path).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777u, 0700u);
}

TEST(TempFolderPosixTest, EmptyParentIsTheEnvironments) {
  const std::string parent = absl::StrCat(testing::TempDir(), "/environment.", getpid());
  ASSERT_TRUE(FileSystem::Posix()->CreateDir(parent).ok());
  const char* const before = getenv("TMPDIR");
  const std::string saved = before == nullptr ? "" : before;
  setenv("TMPDIR", parent.c_str(), 1);
  {
    TempFolder folder(FileSystem::Posix(), "");
    EXPECT_EQ(DirName(DirName(folder.NewPath("run").value())), parent);
  }
  setenv("TMPDIR", saved.c_str(), 1);
  EXPECT_TRUE(FileSystem::Posix()->DeleteDir(parent).ok());
}

// A process that is killed leaves its folder, and the next one deletes it; before that
// it is kept.
TEST(TempFolderPosixTest, FolderOfAKilledProcessIsDeletedByTheNext) {
  FileSystem* const fs = FileSystem::Posix();
  const std::string parent = absl::StrCat(testing::TempDir(), "/killed.", getpid());
  ASSERT_TRUE(fs->CreateDir(parent).ok());
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    TempFolder folder(fs, parent);
    const bool good = Write(fs, folder.NewPath("run").value()).ok();
    if (write(ready[1], good ? "y" : "n", 1) != 1) _exit(1);
    for (;;) pause();
  }
  char answer = 0;
  ASSERT_EQ(read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  const std::string left = JoinPath(parent, fs->List(parent)->at(0));
  {
    TempFolder folder(fs, parent);
    ASSERT_TRUE(folder.NewPath("run").ok());
    EXPECT_TRUE(fs->Stat(left).ok());
  }
  kill(child, SIGKILL);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(fs->Stat(left).ok());
  {
    TempFolder folder(fs, parent);
    ASSERT_TRUE(folder.NewPath("run").ok());
    EXPECT_TRUE(absl::IsNotFound(fs->Stat(left).status()));
  }
  close(ready[0]);
  close(ready[1]);
  EXPECT_TRUE(fs->DeleteDir(parent).ok());
}

TEST(TempFolderFaultTest, AnErrorAtEveryOperationLeavesNothing) {
  for (const Fault fault : {Fault::kIoError, Fault::kNoSpace, Fault::kDoneButError}) {
    for (uint64_t k = 0;; ++k) {
      SCOPED_TRACE(absl::StrCat("fault ", static_cast<int>(fault), " operation ", k));
      MemoryFileSystem memory;
      FaultFileSystem faults(&memory);
      faults.SetRule({fault, k});
      {
        TempFolder folder(&faults, "/");
        const auto path = folder.NewPath("run");
        if (path.ok()) Write(&faults, *path).IgnoreError();
      }
      EXPECT_TRUE(memory.List("/")->empty());
      if (faults.injected() == 0) break;
    }
  }
}

}  // namespace
}  // namespace kvarts::groupby_internal
