#include "testing/fault/fault_file_system.h"

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"

namespace kvarts {
namespace {

using ::testing::HasSubstr;
using Create = FileSystem::Create;
using Kind = FileOperation::Kind;

class FaultTest : public ::testing::Test {
 protected:
  std::unique_ptr<WritableFile> Open(absl::string_view path) {
    auto file = faults_.OpenForWrite(path, Create::kTruncate);
    EXPECT_TRUE(file.ok()) << file.status();
    return *std::move(file);
  }
  std::string Contents(absl::string_view path) { return *ReadFile(&memory_, path); }
  std::string AfterCrash(absl::string_view path) {
    const auto clone =
        memory_.CloneAfterCrash(1, {CrashPolicy::Data::kKept, CrashPolicy::Names::kKept});
    return *ReadFile(clone.get(), path);
  }

  MemoryFileSystem memory_;
  FaultFileSystem faults_{&memory_, [this](WritableFile* file) { memory_.LoseUnsynced(file); }};
};

TEST_F(FaultTest, EachOperationFailsInItsTurnAndIsNotDone) {
  faults_.SetRule({Fault::kIoError, 1});
  auto file = Open("f");
  const absl::Status status = file->Append("a");
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(status.message(), "f: append (injected): Input/output error");
  EXPECT_EQ(Contents("f"), "");
  EXPECT_TRUE(file->Append("b").ok()) << "once";
  EXPECT_EQ(Contents("f"), "b");
  EXPECT_EQ(faults_.matched(), 3u);
  EXPECT_EQ(faults_.injected(), 1u);
  EXPECT_EQ(faults_.operations(), 3u);
}

TEST_F(FaultTest, EveryKindOfOperationCanFail) {
  // One call of each kind that a rule may befall; true where it succeeded.
  const std::vector<std::function<bool(FileSystem*)>> calls = {
      [](FileSystem* fs) { return fs->OpenForWrite("new", Create::kNew).ok(); },
      [](FileSystem* fs) { return fs->OpenForRead("f").ok(); },
      [](FileSystem* fs) { return fs->Map("f").ok(); },
      [](FileSystem* fs) { return fs->Stat("f").ok(); },
      [](FileSystem* fs) { return fs->Rename("f", "g").ok(); },
      [](FileSystem* fs) { return fs->Link("f", "g").ok(); },
      [](FileSystem* fs) { return fs->Delete("f").ok(); },
      [](FileSystem* fs) { return fs->CreateDir("e").ok(); },
      [](FileSystem* fs) { return fs->DeleteDir("d").ok(); },
      [](FileSystem* fs) { return fs->List("d").ok(); },
      [](FileSystem* fs) { return fs->SyncDir("d").ok(); },
      [](FileSystem* fs) { return fs->Lock("l").ok(); },
  };
  for (size_t i = 0; i < calls.size(); ++i) {
    MemoryFileSystem memory;
    FaultFileSystem faults(&memory);
    ASSERT_TRUE(memory.CreateDir("d").ok());
    ASSERT_TRUE(memory.OpenForWrite("f", Create::kNew).ok());
    faults.SetRule({Fault::kIoError, 0});
    EXPECT_FALSE(calls[i](&faults)) << i;
    EXPECT_EQ(faults.injected(), 1u) << i;
    EXPECT_EQ(*memory.List("/"), (std::vector<std::string>{"d", "f"})) << i << ": not done";
    EXPECT_TRUE(calls[i](&faults)) << i;
  }
  auto file = Open("f");
  auto reader = *faults_.OpenForRead("f");
  char scratch[1];
  faults_.SetRule({Fault::kIoError, 0, /*forever=*/true});
  EXPECT_FALSE(file->Append("x").ok());
  EXPECT_FALSE(file->WriteAt(0, "x").ok());
  EXPECT_FALSE(file->Sync().ok());
  EXPECT_FALSE(file->Preallocate(1).ok());
  EXPECT_FALSE(file->Truncate(1).ok());
  EXPECT_FALSE(reader->Read(0, 1, scratch).ok());
  EXPECT_FALSE(reader->Size().ok());
  EXPECT_FALSE(file->Close().ok());
  EXPECT_EQ(faults_.injected(), 8u);
  EXPECT_TRUE(faults_.FreeSpace("/").ok());
  EXPECT_EQ(memory_.Stat("f")->size, 0u);
}

TEST_F(FaultTest, ARuleChoosesByKindAndPathAndHoldsForEver) {
  FaultRule rule{Fault::kNoSpace, 1, /*forever=*/true};
  rule.matches = [](const FileOperation& operation) {
    return operation.kind == Kind::kAppend && operation.path == "log";
  };
  faults_.SetRule(rule);
  auto log = Open("log");
  auto other = Open("other");
  EXPECT_TRUE(log->Append("1").ok());
  EXPECT_TRUE(other->Append("1").ok());
  EXPECT_EQ(log->Append("2").code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(log->Append("3").code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(other->Append("2").ok());
  EXPECT_TRUE(log->Sync().ok());
  faults_.ClearRule();
  EXPECT_TRUE(log->Append("4").ok());
  EXPECT_EQ(Contents("log"), "14");
}

TEST_F(FaultTest, AFaultIsCountedOnlyWhereItCanHappen) {
  auto file = Open("f");
  faults_.SetRule({Fault::kShortWrite, 0});
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_TRUE(faults_.Delete("f").ok());
  EXPECT_EQ(faults_.matched(), 0u);
  faults_.SetRule({Fault::kNoSpace, 0});
  EXPECT_FALSE(faults_.Delete("f").ok());
  EXPECT_EQ(faults_.matched(), 0u);
  EXPECT_EQ(faults_.CreateDir("d").code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(FaultTest, AShortWriteLeavesHalf) {
  auto file = Open("f");
  faults_.SetRule({Fault::kShortWrite, 1});
  EXPECT_TRUE(file->Append("ab").ok());
  EXPECT_EQ(file->Append("cdef").code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Contents("f"), "abcd");
}

TEST_F(FaultTest, AFailedSyncLosesTheBytesAndTheNextOneSucceeds) {
  auto file = Open("f");
  faults_.SetRule({Fault::kSyncLosesPages, 1});
  EXPECT_TRUE(file->Append("ab").ok());
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_TRUE(file->Append("cd").ok());
  EXPECT_EQ(file->Sync().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_EQ(Contents("f"), "abcd");
  EXPECT_EQ(AfterCrash("f"), std::string("ab\0\0", 4));
}

TEST_F(FaultTest, ALateErrorIsReportedBySyncOnce) {
  auto file = Open("f");
  auto other = Open("other");
  faults_.SetRule({Fault::kLateError, 0});
  EXPECT_TRUE(file->Append("ab").ok());
  EXPECT_TRUE(other->Sync().ok()) << "another file";
  EXPECT_EQ(file->Sync().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_TRUE(file->Close().ok());
  EXPECT_EQ(AfterCrash("f"), std::string(2, '\0'));
}

TEST_F(FaultTest, ALateErrorIsReportedByClose) {
  auto file = Open("f");
  faults_.SetRule({Fault::kLateError, 0});
  EXPECT_TRUE(file->WriteAt(0, "ab").ok());
  const absl::Status status = file->Close();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("f: close"));
  EXPECT_FALSE(file->Append("cd").ok()) << "it is closed all the same";
}

TEST_F(FaultTest, ACloseThatLosesPagesReportsIt) {
  auto file = Open("f");
  EXPECT_TRUE(file->Append("ab").ok());
  faults_.SetRule({Fault::kSyncLosesPages, 0});
  EXPECT_EQ(file->Close().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(AfterCrash("f"), std::string(2, '\0'));
}

TEST_F(FaultTest, AnOperationMayBeDoneThoughItFails) {
  auto file = Open("f");
  faults_.SetRule({Fault::kDoneButError, 0, /*forever=*/true});
  EXPECT_EQ(file->Append("ab").code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Contents("f"), "ab");
  EXPECT_EQ(faults_.Rename("f", "g").code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Contents("g"), "ab");
  EXPECT_EQ(faults_.Delete("f").code(), absl::StatusCode::kNotFound) << "its own error comes first";
}

TEST_F(FaultTest, AnIgnoredSyncIsReportedAsDone) {
  auto file = Open("f");
  memory_.SyncAll();
  faults_.SetRule({Fault::kIgnored, 0});
  EXPECT_TRUE(file->Append("ab").ok());
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_EQ(*ReadFile(memory_.CloneAfterCrash(1, {}).get(), "f"), "");
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_EQ(*ReadFile(memory_.CloneAfterCrash(1, {}).get(), "f"), "ab");
}

TEST_F(FaultTest, ManyThreadsShareOneCount) {
  faults_.SetRule({Fault::kIoError, 100});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) faults_.Stat("/").IgnoreError();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(faults_.matched(), 400u);
  EXPECT_EQ(faults_.injected(), 1u);
}

}  // namespace
}  // namespace kvarts
