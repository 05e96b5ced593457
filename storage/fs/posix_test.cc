#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/fs/file_system.h"
#include "storage/fs/mapping_table.h"

namespace kvarts {
namespace {

using ::testing::HasSubstr;

const size_t kPage = static_cast<size_t>(sysconf(_SC_PAGESIZE));

class PosixTest : public ::testing::Test {
 protected:
  // A fresh path; names repeat over runs in one directory otherwise.
  std::string Path(absl::string_view name) {
    const std::string path = JoinPath(
        ::testing::TempDir(),
        absl::StrCat(::testing::UnitTest::GetInstance()->current_test_info()->name(), ".", name));
    unlink(path.c_str());
    return path;
  }

  std::string FileOf(size_t size, absl::string_view name = "file") {
    const std::string path = Path(name);
    auto file = fs_->OpenForWrite(path, FileSystem::Create::kNew);
    EXPECT_TRUE(file.ok()) << file.status();
    EXPECT_TRUE((*file)->Append(std::string(size, 'x')).ok());
    EXPECT_TRUE((*file)->Close().ok());
    return path;
  }

  std::shared_ptr<MappedFile> MapOf(const std::string& path) {
    auto map = fs_->Map(path);
    EXPECT_TRUE(map.ok()) << map.status();
    return *map;
  }

  FileSystem* const fs_ = FileSystem::Posix();
};

char At(const MappedFile& map, size_t offset) {
  return *static_cast<const volatile char*>(map.data() + offset);
}

TEST_F(PosixTest, TouchingAPageThatIsGoneGivesZerosAndPoisons) {
  InstallSigbusHandler();
  const std::string path = FileOf(4 * kPage);
  // Others on both sides of it, in the table and, as mappings grow, in memory.
  const auto before = MapOf(FileOf(kPage, "before"));
  const auto map = MapOf(path);
  const auto after = MapOf(FileOf(kPage, "after"));
  ASSERT_EQ(truncate(path.c_str(), kPage + 10), 0);

  EXPECT_EQ(At(*map, 0), 'x');
  EXPECT_EQ(At(*map, kPage + 9), 'x');
  EXPECT_EQ(At(*map, kPage + 10), 0) << "in the last page: zeros of the kernel";
  EXPECT_FALSE(map->poisoned());
  EXPECT_EQ(*map->CurrentSize(), kPage + 10);

  EXPECT_EQ(At(*map, 2 * kPage), 0);
  EXPECT_TRUE(map->poisoned());
  EXPECT_EQ(At(*map, 4 * kPage - 1), 0);
  EXPECT_EQ(At(*map, 0), 'x');
  for (const auto& other : {before, after}) {
    EXPECT_FALSE(other->poisoned());
    EXPECT_EQ(At(*other, 0), 'x');
  }
}

TEST_F(PosixTest, AFileCutOnAPageBoundaryPoisonsAtItsFirstMissingByte) {
  InstallSigbusHandler();
  const std::string path = FileOf(3 * kPage + 17);
  const auto map = MapOf(path);
  ASSERT_EQ(truncate(path.c_str(), 2 * kPage), 0);
  EXPECT_EQ(At(*map, 2 * kPage - 1), 'x');
  EXPECT_FALSE(map->poisoned());
  EXPECT_EQ(At(*map, 2 * kPage), 0);
  EXPECT_TRUE(map->poisoned());
  // The file's last page was mapped in part only; all of it is covered.
  EXPECT_EQ(At(*map, 3 * kPage + 16), 0);
}

TEST_F(PosixTest, ANewMappingInAUsedSlotIsNotPoisoned) {
  InstallSigbusHandler();
  const std::string path = FileOf(kPage);
  auto map = MapOf(path);
  ASSERT_EQ(truncate(path.c_str(), 0), 0);
  EXPECT_EQ(At(*map, 5), 0);
  EXPECT_TRUE(map->poisoned());
  map.reset();
  map = MapOf(FileOf(kPage, "next"));
  EXPECT_FALSE(map->poisoned());
  EXPECT_EQ(At(*map, 5), 'x');
}

TEST_F(PosixTest, ManyThreadsReadWhileTheFileShrinks) {
  InstallSigbusHandler();
  constexpr size_t kPages = 512;
  const std::string path = FileOf(kPages * kPage);
  const auto map = MapOf(path);
  std::vector<std::thread> readers;
  for (size_t reader = 0; reader < 4; ++reader) {
    readers.emplace_back([&, reader] {
      for (size_t i = 0; i < kPages; ++i) {
        const size_t page = reader % 2 == 0 ? i : kPages - 1 - i;
        const char c = At(*map, page * kPage + reader);
        EXPECT_TRUE(c == 'x' || c == 0);
      }
    });
  }
  // Mappings come and go in other slots meanwhile.
  readers.emplace_back([&] {
    const std::string small = FileOf(kPage, "small");
    for (int i = 0; i < 200; ++i) EXPECT_EQ(At(*MapOf(small), 1), 'x');
  });
  for (size_t left = kPages; left-- > 0;) ASSERT_EQ(truncate(path.c_str(), left * kPage), 0);
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(At(*map, (kPages / 2) * kPage), 0);
  EXPECT_TRUE(map->poisoned());
}

using PosixDeathTest = PosixTest;

TEST_F(PosixDeathTest, ASigbusOutsideOfEveryMappingKills) {
  const std::string path = FileOf(2 * kPage);
  EXPECT_EXIT(
      {
        InstallSigbusHandler();
        const auto above = MapOf(FileOf(kPage, "above"));
        const int fd = open(path.c_str(), O_RDONLY);
        const char* foreign =
            static_cast<const char*>(mmap(nullptr, 2 * kPage, PROT_READ, MAP_SHARED, fd, 0));
        const auto below = MapOf(FileOf(kPage, "below"));
        if (truncate(path.c_str(), 0) != 0) _exit(1);
        _exit(*static_cast<const volatile char*>(foreign));
      },
      ::testing::KilledBySignal(SIGBUS), "");
}

TEST_F(PosixDeathTest, ASigbusSentByAProcessKills) {
  const auto map = MapOf(FileOf(kPage));
  EXPECT_EXIT(
      {
        InstallSigbusHandler();
        kill(getpid(), SIGBUS);
        _exit(0);
      },
      ::testing::KilledBySignal(SIGBUS), "");
}

TEST_F(PosixTest, AFullMappingTableFailsTheMapAndRecovers) {
  const std::string path = FileOf(kPage);
  std::vector<int> slots;
  // Addresses that no mapping has.
  for (uintptr_t page = 1;; ++page) {
    const int slot = MappingTable::Add(reinterpret_cast<void*>(page * 8), 8);
    if (slot < 0) break;
    slots.push_back(slot);
  }
  EXPECT_EQ(slots.size(), MappingTable::kCapacity);
  const auto full = fs_->Map(path);
  EXPECT_EQ(full.status().code(), absl::StatusCode::kResourceExhausted) << full.status();
  EXPECT_THAT(full.status().message(), HasSubstr(path));
  for (const int slot : slots) MappingTable::Remove(slot);
  EXPECT_TRUE(fs_->Map(path).ok());
}

TEST_F(PosixTest, AFifoIsOtherAndOpeningItForReadFailsAtOnce) {
  const std::string path = Path("fifo");
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(fs_->Stat(path)->type, FileInfo::Type::kOther);
  EXPECT_EQ(fs_->OpenForRead(path).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(fs_->Map(path).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(fs_->Map(path).status().message(), HasSubstr("is not a regular file"));
}

TEST_F(PosixTest, ADeviceTakesAppends) {
  auto file = fs_->OpenForWrite("/dev/null", FileSystem::Create::kTruncate);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE((*file)->Append("abc").ok());
  EXPECT_TRUE((*file)->Sync().ok());
  EXPECT_FALSE((*file)->WriteAt(0, "x").ok());
  EXPECT_TRUE((*file)->Close().ok());
  EXPECT_EQ(fs_->Stat("/dev/null")->type, FileInfo::Type::kOther);
}

TEST_F(PosixTest, AFullDeviceIsResourceExhausted) {
  auto file = fs_->OpenForWrite("/dev/full", FileSystem::Create::kAppend);
  ASSERT_TRUE(file.ok()) << file.status();
  const absl::Status status = (*file)->Append("abc");
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_EQ(status.message(), "/dev/full: write: No space left on device");
}

TEST_F(PosixTest, FilesAreNotInheritedAndHaveTheDocumentedModes) {
  const mode_t old_mask = umask(022);
  const std::string path = Path("file");
  auto file = fs_->OpenForWrite(path, FileSystem::Create::kNew);
  ASSERT_TRUE(file.ok());
  struct stat info;
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0644u);
  // Of all descriptors of the process, the one of this file closes at exec.
  bool found = false;
  for (int fd = 0; fd < 1024; ++fd) {
    struct stat other;
    if (fstat(fd, &other) != 0 || other.st_ino != info.st_ino) continue;
    found = true;
    EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  }
  EXPECT_TRUE(found);

  const std::string dir = Path("dir");
  rmdir(dir.c_str());
  ASSERT_TRUE(fs_->CreateDir(dir, /*is_private=*/true).ok());
  ASSERT_EQ(stat(dir.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  umask(old_mask);
}

TEST_F(PosixTest, ALockKeepsOtherProcessesOut) {
  const std::string path = Path("lock");
  auto lock = fs_->Lock(path);
  ASSERT_TRUE(lock.ok()) << lock.status();
  // flock(2) of this process's parent, as another process sees it.
  const std::string command = absl::StrCat("flock -n '", path, "' true");
  EXPECT_NE(system(command.c_str()), 0);
  lock->reset();
  EXPECT_EQ(system(command.c_str()), 0);
}

TEST_F(PosixTest, AChildThatWasForkedDoesNotKeepTheLock) {
  const std::string path = Path("lock");
  auto lock = fs_->Lock(path);
  ASSERT_TRUE(lock.ok());
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    char c;
    close(pipe_ends[1]);
    _exit(read(pipe_ends[0], &c, 1) == 0 ? 0 : 1);  // lives until the test is done
  }
  close(pipe_ends[0]);
  lock->reset();
  EXPECT_TRUE(fs_->Lock(path).ok());
  close(pipe_ends[1]);
  int result = -1;
  ASSERT_EQ(waitpid(child, &result, 0), child);
  EXPECT_EQ(result, 0);
}

TEST_F(PosixTest, ANulInAPathIsInvalid) {
  const absl::string_view path("a\0b", 3);
  EXPECT_EQ(fs_->OpenForRead(path).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(fs_->Delete(path).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(fs_->Rename("a", path).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace kvarts
