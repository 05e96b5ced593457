#include "storage/bisect/builder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "bench/bench_data.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/bisect/test_data.h"

namespace kvarts {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class BuilderTest : public BisectTest {
 protected:
  absl::Status BuildError(BuildOptions options = BuildOptions()) {
    const size_t before = FilesInDir();
    const absl::Status status = BuildBisect(data_, options).status();
    EXPECT_EQ(FilesInDir(), before) << "something was left behind";
    return status;
  }
  void SetModified(int64_t seconds, int64_t nanoseconds = 0) {
    timespec times[2];
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_sec = seconds;
    times[1].tv_nsec = nanoseconds;
    ASSERT_EQ(utimensat(AT_FDCWD, data_.c_str(), times, 0), 0);
  }
};

TEST_F(BuilderTest, TheSameFileGivesTheSameBytesWithAnyMemory) {
  std::string text;
  for (int i = 0; i < 150000; ++i) absl::StrAppend(&text, BenchUuid(i % 140000), " ", i, "\n");
  WriteData(text);
  const BuildReport large = Build(256 << 20);
  const std::string first = Slurp(index_);
  const BuildReport small = Build(kMinBuildMemory);
  EXPECT_EQ(Slurp(index_), first);
  EXPECT_EQ(large.spilled_bytes, 0u);
  EXPECT_EQ(small.entries, 140000u);
  EXPECT_EQ(small.repeated, 10000u);
  EXPECT_EQ(FilesInDir(), 2u);
}

TEST_F(BuilderTest, TheLastLineOfAKeyWinsAndTheyAreCounted) {
  WriteData("b 1\na 2\nb 3\nc 4\nb 5\na 6\n");
  const BuildReport report = Build();
  EXPECT_EQ(report.lines, 6u);
  EXPECT_EQ(report.entries, 3u);
  EXPECT_EQ(report.repeated, 3u);
  EXPECT_THAT(report.warnings, ElementsAre(HasSubstr("3 lines with a key that is repeated")));
  const auto store = Open();
  EXPECT_EQ(**store->Get("a"), "6");
  EXPECT_EQ(**store->Get("b"), "5");
  EXPECT_EQ(**store->Get("c"), "4");
}

TEST_F(BuilderTest, TheExampleOfTheFormatHolds) {
  WriteData("b two\na one\nc three\nb 2\n");
  SetModified(1767225600);
  Build();
  const std::string index = Slurp(index_);
  const auto hex = [&index](size_t at, size_t size) {
    return absl::BytesToHexString(absl::string_view(index).substr(at, size));
  };
  ASSERT_EQ(index.size(), 3 * 4096u);
  EXPECT_EQ(hex(0, 48),
            "4b56424953454354010000000010000003000000000000000400000000000000"
            "00000000000000001800000000000000");
  EXPECT_EQ(hex(0x30, 32), "0000faed5172861819f2ac1f4c93260319f2ac1f4c93260301053b0000000000");
  EXPECT_EQ(hex(0x5c, 4), "0e000000");
  EXPECT_EQ(hex(0xff8, 8), "a3d2ac47091c2831");
  EXPECT_EQ(hex(0x1000, 16), "24d6ae6d985c1cb80000000003000000");
  EXPECT_EQ(hex(0x2000, 32), "6c66f31df4f0b8880600000000000000d43f2881df39b554ac7f5002bf736aa9");
}

TEST_F(BuilderTest, MalformedLinesAreNamed) {
  struct Case {
    std::string text;
    std::string message;
  };
  const std::vector<Case> cases = {
      {"a 1\nb\nc 3\n", "line 2 (offset 4): expected `<key> <value>`, found no space"},
      {"a 1\n\nc 3\n", "line 2 (offset 4): expected `<key> <value>`, found an empty line"},
      {" 1\n", "line 1 (offset 0): expected `<key> <value>`, found an empty key"},
      {"a 1\nb", "line 2 (offset 4): expected `<key> <value>`, found no space"},
      {absl::StrCat("a 1\n", std::string(kMaxKeyBytes + 1, 'k'), " 1\n"),
       "line 2 (offset 4): expected `<key> <value>`, found a key longer than 65536 bytes"},
      {std::string(3 << 20, 'k'), "found a key longer than 65536 bytes"},
      {absl::StrCat("a ", std::string(kMaxValueBytes + 1, 'v'), "\nb 1\n"),
       "line 1 (offset 0): expected `<key> <value>`, found a value of 67108865 bytes"},
  };
  for (const Case& c : cases) {
    WriteData(c.text);
    const absl::Status status = BuildError();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
    EXPECT_THAT(std::string(status.message()), HasSubstr(data_));
  }
}

TEST_F(BuilderTest, MalformedLinesAreSkippedAndCountedOnRequest) {
  WriteData(absl::StrCat("a 1\nb\n\n 2\n", std::string(2 << 20, 'x'), "\nc 3\n",
                         std::string(kMaxKeyBytes + 1, 'k'), " 1\nd 4"));
  BuildOptions options;
  options.skip_malformed = true;
  const auto report = BuildBisect(data_, options);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->malformed, 5u);
  EXPECT_EQ(report->lines, 8u);
  EXPECT_EQ(report->entries, 3u);
  const auto store = Open();
  EXPECT_EQ(**store->Get("a"), "1");
  EXPECT_EQ(**store->Get("c"), "3");
  EXPECT_EQ(**store->Get("d"), "4");
}

TEST_F(BuilderTest, AnEmptyFileIsAnEmptyStore) {
  WriteData("");
  const BuildReport report = Build();
  EXPECT_EQ(report.entries, 0u);
  EXPECT_THAT(report.warnings, ElementsAre(HasSubstr("is empty")));
  EXPECT_FALSE(Open()->Get("a")->has_value());
}

TEST_F(BuilderTest, ALastLineWithoutNewlineCounts) {
  WriteData("a 1\nb 2");
  EXPECT_THAT(Build().warnings, ElementsAre(HasSubstr("no newline")));
  EXPECT_EQ(**Open()->Get("b"), "2");
  WriteData("a 1\nb ");
  Build();
  EXPECT_EQ(**Open()->Get("b"), "");
}

TEST_F(BuilderTest, CarriageReturnsStayInTheValuesAndAreSaid) {
  WriteData("a 1\r\nb 2\r\n");
  EXPECT_THAT(Build().warnings, ElementsAre(HasSubstr("2 lines ending in a carriage return")));
  EXPECT_EQ(**Open()->Get("a"), "1\r");
}

TEST_F(BuilderTest, ValuesUpToTheLimitAreServed) {
  const std::string value(kMaxValueBytes, 'v');
  WriteData(absl::StrCat("a 1\nbig ", value, "\nz 2\n"));
  Build();
  const auto store = Open();
  EXPECT_TRUE(**store->Get("big") == value);
  EXPECT_EQ(**store->Get("z"), "2");
  EXPECT_TRUE(VerifyBisect(data_, BuildOptions()).ok());
}

TEST_F(BuilderTest, LinesAcrossTheReadBufferAreWhole) {
  std::map<std::string, std::string> records;
  for (int i = 0; i < 60; ++i) {
    records[absl::StrCat("key", i, std::string(i * 997 % 60000, 'k'))] =
        std::string(i * 77777 % 3000000, static_cast<char>('a' + i % 26));
  }
  WriteData(Lines(records));
  EXPECT_EQ(Build().entries, records.size());
  const auto store = Open();
  for (const auto& [key, value] : records) ASSERT_TRUE(**store->Get(key) == value);
}

TEST_F(BuilderTest, WhatIsNoFileIsRefused) {
  data_ = dir_;
  index_ = DefaultIndexPath(data_);
  const absl::Status status = BuildBisect(data_, BuildOptions()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("directory"));
  data_ = JoinPath(dir_, "absent");
  EXPECT_EQ(BuildError().code(), absl::StatusCode::kNotFound);
}

TEST_F(BuilderTest, TooLittleMemoryIsRefused) {
  WriteData("a 1\n");
  BuildOptions options;
  options.memory_bytes = kMinBuildMemory - 1;
  EXPECT_EQ(BuildError(options).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(BuilderTest, EnsureBuildsOnlyWhatMustBeBuilt) {
  WriteData("a 1\n");
  auto report = EnsureBisect(data_, BuildOptions());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->built);
  EXPECT_THAT(report->reason, HasSubstr("no index"));
  report = EnsureBisect(data_, BuildOptions());
  ASSERT_TRUE(report.ok());
  EXPECT_FALSE(report->built);
  ReplaceData("a 2\nb 3\n");
  EXPECT_EQ(OpenBisect(data_, BisectOptions()).status().code(),
            absl::StatusCode::kFailedPrecondition);
  report = EnsureBisect(data_, BuildOptions());
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->built);
  EXPECT_THAT(report->reason, HasSubstr("stale"));
  EXPECT_EQ(**Open()->Get("a"), "2");
}

TEST_F(BuilderTest, ManyThatEnsureAtOnceBuildOnce) {
  std::string text;
  for (int i = 0; i < 50000; ++i) absl::StrAppend(&text, BenchUuid(i), " ", i, "\n");
  WriteData(text);
  std::atomic<int> built{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      const auto report = EnsureBisect(data_, BuildOptions());
      ASSERT_TRUE(report.ok()) << report.status();
      built += report->built;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(built, 1);
  EXPECT_EQ(FilesInDir(), 2u);
}

TEST_F(BuilderTest, LeftoversOfADeadBuildAreRemoved) {
  WriteData("a 1\n");
  for (const std::string suffix : {".tmp", ".sort.run.0", ".sort.run.17", ".lock"}) {
    ASSERT_TRUE(fs_->OpenForWrite(index_ + suffix, FileSystem::Create::kTruncate).ok());
  }
  Build();
  EXPECT_EQ(FilesInDir(), 2u);
  EXPECT_EQ(**Open()->Get("a"), "1");
}

TEST_F(BuilderTest, VerifyFindsDataThatChangedInPlace) {
  std::string text;
  for (int i = 0; i < 20000; ++i) absl::StrAppend(&text, BenchUuid(i), " value\n");
  WriteData(text);
  Build();
  ASSERT_TRUE(VerifyBisect(data_, BuildOptions()).ok());
  const FileInfo before = *fs_->Stat(data_);
  // Between the samples, with the old time: nothing but the checksum can tell.
  auto file = fs_->OpenForWrite(data_, FileSystem::Create::kAppend);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->WriteAt(text.size() / 14, "0").ok());
  ASSERT_TRUE((*file)->Close().ok());
  SetModified(before.modified_ns / 1000000000, before.modified_ns % 1000000000);
  const absl::Status status = VerifyBisect(data_, BuildOptions());
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr(data_));
}

}  // namespace
}  // namespace kvarts
