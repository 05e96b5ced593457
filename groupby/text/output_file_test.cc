#include "groupby/text/output_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace kvarts::groupby_text {
namespace {

class OutputFileTest : public testing::Test {
 protected:
  OutputFileTest() {
    dir_ = absl::StrCat(testing::TempDir(), "/output_file_test-",
                        testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directory(dir_);
    path_ = dir_ + "/out";
  }
  static std::string Read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return std::string((std::istreambuf_iterator<char>(file)), {});
  }
  size_t Files() const {
    const std::filesystem::directory_iterator begin(dir_);
    return static_cast<size_t>(std::distance(begin, std::filesystem::directory_iterator()));
  }

  std::string dir_;
  std::string path_;
  Interrupt interrupt_;
};

TEST_F(OutputFileTest, IsThereWholeAfterCommitAndNotBefore) {
  std::ofstream(path_) << "old";
  auto file = OutputFile::Open(path_, &interrupt_);
  ASSERT_TRUE(file.ok()) << file.status();
  std::string expected;
  for (const size_t size : {1u, 100u, 200000u, 5u, 131072u, 131071u, 70000u, 0u, 1u}) {
    const std::string piece(size, static_cast<char>('a' + size % 26));
    ASSERT_TRUE((*file)->Append(piece).ok());
    expected += piece;
  }
  EXPECT_EQ(Read(path_), "old");
  ASSERT_TRUE((*file)->Commit().ok());
  EXPECT_TRUE(Read(path_) == expected);
  EXPECT_EQ((*file)->written(), expected.size());
  EXPECT_EQ(Files(), 1u);
}

TEST_F(OutputFileTest, LeavesNothingWhereItIsGivenUp) {
  {
    auto file = OutputFile::Open(path_, &interrupt_);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE((*file)->Append(std::string(1 << 20, 'x')).ok());
    EXPECT_EQ(Files(), 1u);
  }
  EXPECT_EQ(Files(), 0u);
}

TEST_F(OutputFileTest, KeepsTheModeAndTheLink) {
  std::ofstream(path_) << "old";
  ::chmod(path_.c_str(), 0640);
  const std::string link = dir_ + "/link";
  ASSERT_EQ(::symlink("out", link.c_str()), 0);
  auto file = OutputFile::Open(link, &interrupt_);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->Append("new").ok());
  ASSERT_TRUE((*file)->Commit().ok());
  EXPECT_EQ(Read(path_), "new");
  struct stat info = {};
  ASSERT_EQ(::lstat(link.c_str(), &info), 0);
  EXPECT_TRUE(S_ISLNK(info.st_mode));
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
}

TEST_F(OutputFileTest, ErrorsNameTheOutput) {
  for (const std::string& path : {dir_, dir_ + "/none/out"}) {
    const absl::Status status = OutputFile::Open(path, &interrupt_).status();
    EXPECT_TRUE(absl::StartsWith(status.message(), path + ": ")) << status;
  }
  auto full = OutputFile::Open("/dev/full", &interrupt_);
  ASSERT_TRUE(full.ok()) << full.status();
  ASSERT_TRUE((*full)->Append("x").ok());
  const absl::Status status = (*full)->Commit();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_TRUE(absl::StartsWith(status.message(), "/dev/full: ")) << status;
}

TEST_F(OutputFileTest, ADeviceStaysOne) {
  auto file = OutputFile::Open("/dev/null", &interrupt_);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE((*file)->Append("x").ok());
  ASSERT_TRUE((*file)->Commit().ok());
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
}

TEST_F(OutputFileTest, WaitingForThePipesReaderIsInterrupted) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  const int reader = ::open(path_.c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  auto file = OutputFile::Open(path_, &interrupt_);
  ASSERT_TRUE(file.ok()) << file.status();
  absl::Status status;
  std::thread writer([&] {
    while (status.ok()) status = (*file)->Append(std::string(1 << 20, 'x'));
  });
  interrupt_.Set();
  writer.join();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  ::close(reader);
}

TEST_F(OutputFileTest, APipeWithoutReaderIsAnError) {
  ::signal(SIGPIPE, SIG_IGN);  // as the programs do
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  const int reader = ::open(path_.c_str(), O_RDONLY | O_NONBLOCK);
  auto file = OutputFile::Open(path_, &interrupt_);
  ASSERT_TRUE(file.ok()) << file.status();
  ::close(reader);
  ASSERT_TRUE((*file)->Append("x").ok());
  const absl::Status status = (*file)->Commit();
  EXPECT_TRUE(absl::IsCancelled(status) && absl::StrContains(status.message(), "nobody reads"))
      << status;
}

}  // namespace
}  // namespace kvarts::groupby_text
