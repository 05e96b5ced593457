#include "cluster/coordinator/file_coordinator.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "storage/fs/memory.h"
#include "testing/conformance/coordinator_harness.h"
#include "testing/conformance/coordinator_suite.h"
#include "testing/conformance/transport_harness.h"
#include "testing/fault/fault_file_system.h"

namespace kvarts {
namespace {

using Kind = FileOperation::Kind;

// A directory of this test's own.
std::string NewDirectory() {
  std::string name = absl::StrCat(testing::TempDir(), "/coordinatorXXXXXX");
  EXPECT_NE(::mkdtemp(name.data()), nullptr);
  return name;
}

class FileFixture final : public CoordinatorFixture {
 public:
  FileFixture(FileSystem* fs, std::string path) : fs_(fs), path_(std::move(path)) {}
  explicit FileFixture(std::unique_ptr<MemoryFileSystem> fs)
      : memory_(std::move(fs)), fs_(memory_.get()), path_("table") {}

  std::unique_ptr<Coordinator> NewClient(EventLoop* loop) override {
    return NewFileCoordinator(fs_, loop, path_).value();
  }

 private:
  const std::unique_ptr<MemoryFileSystem> memory_;
  FileSystem* const fs_;
  const std::string path_;
};

INSTANTIATE_TEST_SUITE_P(
    File, CoordinatorSuite,
    testing::Values(CoordinatorSuiteParam{"Memory",
                                          [](EventLoops*) {
                                            return std::make_unique<FileFixture>(
                                                std::make_unique<MemoryFileSystem>());
                                          }},
                    CoordinatorSuiteParam{"Posix",
                                          [](EventLoops*) {
                                            return std::make_unique<FileFixture>(
                                                FileSystem::Posix(), NewDirectory() + "/table");
                                          }}),
    CoordinatorSuiteName);

// Adds 1 to a number until it was done; false where the coordinator failed otherwise than by a
// lock that another held.
bool Increment(TestCoordinator* client) {
  while (true) {
    auto contents = client->Read();
    if (absl::IsUnavailable(contents.status())) continue;
    if (!contents.ok()) return false;
    int sum = 0;
    const Coordinator::Value& value = contents->values["sum"];
    if (!value.bytes.empty() && !absl::SimpleAtoi(value.bytes, &sum)) return false;
    const auto outcome = client->Commit(PutIf("sum", value.revision, absl::StrCat(sum + 1)));
    if (absl::IsUnavailable(outcome.status())) continue;
    if (!outcome.ok()) return false;
    if (outcome->succeeded) return true;
  }
}

constexpr int kIncrements = 30;

// In another process: counts, and stops in its fifth transaction, with the lock.
[[noreturn]] void CountAndStop(const std::string& path) {
  FaultFileSystem fs(FileSystem::Posix());
  FaultRule rule;
  rule.matches = [renames = 0](const FileOperation& operation) mutable {
    if (operation.kind == Kind::kRename && ++renames == 5) ::raise(SIGSTOP);
    return false;
  };
  fs.SetRule(rule);
  bool done = true;
  {
    const auto loops = EventLoops::New(1).value();
    FileFixture fixture(&fs, path);
    TestCoordinator client(&fixture, loops->loop(0));
    for (int i = 0; done && i < kIncrements; ++i) done = Increment(&client);
  }
  ::_exit(done ? 0 : 1);
}

TEST(FileCoordinatorTest, AStoppedHolderOfTheLockMakesOthersWaitAndLosesNothing) {
  const std::string path = NewDirectory() + "/table";
  // Before this process has threads.
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) CountAndStop(path);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, WUNTRACED), child);
  ASSERT_TRUE(WIFSTOPPED(status));

  const auto loops = EventLoops::New(1).value();
  FileFixture fixture(FileSystem::Posix(), path);
  TestCoordinator client(&fixture, loops->loop(0));
  const absl::Time start = absl::Now();
  const auto outcome = client.Commit(PutIf("other", 0, "x"), absl::Seconds(2));
  EXPECT_EQ(outcome.status().code(), absl::StatusCode::kUnavailable) << outcome.status();
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(1700));
  EXPECT_EQ(client.Read()->revision, 4) << "who only looks need not wait";
  // A shorter timeout is kept.
  const absl::Time again = absl::Now();
  EXPECT_EQ(client.Commit(PutIf("other", 0, "x"), absl::Milliseconds(20)).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_LT(absl::Now() - again, absl::Milliseconds(1700));

  ASSERT_EQ(::kill(child, SIGCONT), 0);
  for (int i = 0; i < kIncrements; ++i) EXPECT_TRUE(Increment(&client));
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  const auto contents = client.Read();
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->values.at("sum").bytes, absl::StrCat(2 * kIncrements));
  EXPECT_EQ(contents->values.count("other"), 0u);
  EXPECT_EQ(contents->revision, 2 * kIncrements);
}

TEST(FileCoordinatorTest, AKilledHolderOfTheLockHoldsNobodyUp) {
  const std::string path = NewDirectory() + "/table";
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) CountAndStop(path);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, WUNTRACED), child);
  ASSERT_TRUE(WIFSTOPPED(status));
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, &status, 0), child);

  const auto loops = EventLoops::New(1).value();
  FileFixture fixture(FileSystem::Posix(), path);
  TestCoordinator client(&fixture, loops->loop(0));
  const auto contents = client.Read();
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->values.at("sum").bytes, "4");
  EXPECT_TRUE(Increment(&client));
}

TEST(FileCoordinatorTest, ValuesOutliveTheCoordinator) {
  const std::string path = NewDirectory() + "/table";
  const auto loops = EventLoops::New(1).value();
  FileFixture fixture(FileSystem::Posix(), path);
  int64_t revision = 0;
  for (int i = 0; i < 3; ++i) {
    TestCoordinator client(&fixture, loops->loop(0));
    const auto outcome = client.Commit(PutIf("a", revision, absl::StrCat(i)));
    ASSERT_TRUE(outcome.ok() && outcome->succeeded) << outcome.status();
    EXPECT_GT(outcome->revision, revision);
    revision = outcome->revision;
  }
}

TEST(FileCoordinatorTest, ADamagedFileIsDataLossAndIsLeftAsItIs) {
  const std::string path = NewDirectory() + "/table";
  ASSERT_TRUE(WriteFileAtomically(FileSystem::Posix(), path, "not one of ours").ok());
  const auto loops = EventLoops::New(1).value();
  FileFixture fixture(FileSystem::Posix(), path);
  TestCoordinator client(&fixture, loops->loop(0));
  for (const absl::Status& status :
       {client.Read().status(), client.Commit(PutIf("a", 0, "1")).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_NE(status.message().find(path), absl::string_view::npos) << status;
  }
  EXPECT_EQ(*ReadFile(FileSystem::Posix(), path), "not one of ours");
}

TEST(FileCoordinatorTest, AnAbsentDirectoryIsNotFound) {
  const auto loops = EventLoops::New(1).value();
  EXPECT_EQ(NewFileCoordinator(FileSystem::Posix(), loops->loop(0), NewDirectory() + "/no/table")
                .status()
                .code(),
            absl::StatusCode::kNotFound);
}

// As where a disk is not mounted any more. An empty table would be one that was restored.
TEST(FileCoordinatorTest, ADirectoryThatIsGoneIsNotFoundAndNotEmpty) {
  const std::string directory = NewDirectory();
  const auto loops = EventLoops::New(1).value();
  FileFixture fixture(FileSystem::Posix(), directory + "/table");
  TestCoordinator client(&fixture, loops->loop(0));
  ASSERT_TRUE(client.Commit(PutIf("a", 0, "1")).ok());
  std::filesystem::remove_all(directory);
  EXPECT_EQ(client.Read().status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(client.Commit(PutIf("a", 0, "1")).status().code(), absl::StatusCode::kNotFound);
}

class RemoteFileSystem final : public FaultFileSystem {
 public:
  using FaultFileSystem::FaultFileSystem;
  absl::StatusOr<bool> IsRemote(absl::string_view) override { return true; }
};

TEST(FileCoordinatorTest, ANetworksFileSystemIsRefused) {
  MemoryFileSystem memory;
  RemoteFileSystem fs(&memory);
  const auto loops = EventLoops::New(1).value();
  EXPECT_EQ(NewFileCoordinator(&fs, loops->loop(0), "table").status().code(),
            absl::StatusCode::kFailedPrecondition);
}

// A disk whose syncs wait for the test.
class HangingDisk {
 public:
  HangingDisk() : fs_(&memory_) {
    FaultRule rule;
    rule.matches = [this](const FileOperation& operation) {
      if (operation.kind == Kind::kSync && hangs_.Get()) {
        reached_.Set(true);
        hangs_.AwaitValue(false);
      }
      return false;
    };
    fs_.SetRule(rule);
  }
  FileSystem* fs() { return &fs_; }
  void Hang() { hangs_.Set(true); }
  void GoOn() { hangs_.Set(false); }
  bool AwaitHanging() { return reached_.AwaitValue(true); }

 private:
  MemoryFileSystem memory_;
  FaultFileSystem fs_;
  Awaited<bool> hangs_{false};
  Awaited<bool> reached_{false};
};

TEST(FileCoordinatorTest, ADiskThatHangsLeavesItUnknownAndHoldsUpNoLoop) {
  HangingDisk disk;
  const auto loops = EventLoops::New(1).value();
  FileFixture fixture(disk.fs(), "table");
  TestCoordinator client(&fixture, loops->loop(0));
  disk.Hang();
  EXPECT_EQ(client.Commit(PutIf("a", 0, "1"), absl::Milliseconds(20)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  ASSERT_TRUE(disk.AwaitHanging());
  // What stands behind it was not begun, and will not be.
  EXPECT_EQ(client.Commit(PutIf("b", 0, "1"), absl::Milliseconds(20)).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_TRUE(RunOn(loops->loop(0), [] {}));
  disk.GoOn();
  const auto contents = client.Read();
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->values.count("a"), 1u);
  EXPECT_EQ(contents->values.count("b"), 0u);
}

TEST(FileCoordinatorTest, ATransactionWithALockThatIsFreedInTimeIsDone) {
  MemoryFileSystem fs;
  const auto loops = EventLoops::New(1).value();
  FileFixture fixture(&fs, "table");
  TestCoordinator client(&fixture, loops->loop(0));
  auto lock = fs.Lock("table.lock").value();
  std::unique_ptr<Timer> timer;
  ASSERT_TRUE(RunOn(loops->loop(0), [&] {
    timer = loops->loop(0)->NewTimer();
    timer->Start(absl::Milliseconds(30), [&] { lock.reset(); });
  }));
  const auto outcome = client.Commit(PutIf("a", 0, "1"));
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_TRUE(outcome->succeeded);
  ASSERT_TRUE(RunOn(loops->loop(0), [&] { timer.reset(); }));
}

}  // namespace
}  // namespace kvarts
