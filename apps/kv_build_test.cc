// Runs the real kv_build.

#include <sys/stat.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

class KvBuildTest : public testing::Test {
 protected:
  ProcessResult Build(std::vector<std::string> args) {
    args.insert(args.begin(), "apps/kv_build");
    ProcessOptions options;
    options.directory = dir_;
    return RunProcess(args, options);
  }
  void Write(absl::string_view name, absl::string_view contents) {
    WriteTestFile(absl::StrCat(dir_, "/", name), contents);
  }
  std::string Read(absl::string_view name) { return ReadTestFile(absl::StrCat(dir_, "/", name)); }

  const std::string dir_ = TestDirectory();
};

TEST_F(KvBuildTest, BuildsTheIndexAndSaysWhatItIs) {
  Write("data", TestData(1000));
  const ProcessResult result = Build({"data"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(absl::StartsWith(result.out, "data.bisect: 1000 keys from 1000 lines, "))
      << result.out;
  EXPECT_EQ(result.err, "");
  const std::string index = Read("data.bisect");
  EXPECT_NE(index, "");
  // Again, and with other memory: the same bytes.
  EXPECT_EQ(Build({"--memory=8MiB", "data"}).exit_code, 0);
  EXPECT_TRUE(Read("data.bisect") == index);
  EXPECT_EQ(Build({"data", "--index=elsewhere", "--temp_dir=."}).exit_code, 0);
  EXPECT_TRUE(Read("elsewhere") == index);
}

TEST_F(KvBuildTest, SaysWhatIsOddAboutTheData) {
  Write("data", "a 1\r\na 2\nb 3");
  const ProcessResult result = Build({"data"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_TRUE(absl::StartsWith(result.out, "data.bisect: 2 keys from 3 lines, ")) << result.out;
  EXPECT_TRUE(absl::StrContains(result.err, "kv_build: data: 1 line with a key that is repeated"))
      << result.err;
  EXPECT_TRUE(absl::StrContains(result.err, "carriage return")) << result.err;
  EXPECT_TRUE(absl::StrContains(result.err, "newline")) << result.err;
}

TEST_F(KvBuildTest, AMalformedLineStopsItUnlessToldOtherwise) {
  Write("data", "a 1\nmalformed\nb 2\n");
  const ProcessResult stops = Build({"data"});
  EXPECT_EQ(stops.exit_code, 1);
  EXPECT_TRUE(absl::StartsWith(stops.err, "kv_build: data, line 2 ")) << stops.err;
  EXPECT_EQ(Read("data.bisect"), "");
  const ProcessResult skips = Build({"--skip_malformed", "data"});
  EXPECT_EQ(skips.exit_code, 0);
  EXPECT_TRUE(absl::StrContains(skips.err, "1 line malformed and skipped")) << skips.err;
}

TEST_F(KvBuildTest, AByteOrderMarkIsNoPartOfTheFirstKey) {
  Write("data",
        "\xEF\xBB\xBF"
        "a 1\nb 2\n");
  EXPECT_EQ(Build({"data"}).exit_code, 0);
  EXPECT_EQ(Build({"--verify", "data"}).out, "data.bisect: verified\n");
  ProcessOptions options;
  options.directory = dir_;
  const ProcessResult scanned =
      RunProcess({"apps/kv_client", "--store=bisect:data", "scan"}, options);
  EXPECT_EQ(scanned.out, "a 1\nb 2\n") << scanned.err;
}

TEST_F(KvBuildTest, ACompressedOrWideDataFileIsNamed) {
  for (const auto& [start, format] : {std::make_pair("\x1F\x8B\x08 packed\n", "gzip data; unpack"),
                                      std::make_pair("\xFF\xFE"
                                                     "a b\n",
                                                     "UTF-16 text; convert")}) {
    Write("data", start);
    const ProcessResult result = Build({"--skip_malformed", "data"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.err, absl::StrCat("kv_build: data: expected text in bytes or UTF-8, found ",
                                       format, " it first\n"));
    EXPECT_TRUE(Read("data.bisect").empty());
  }
}

TEST_F(KvBuildTest, AFolderThatMayNotBeWrittenSaysWhatToDo) {
  ASSERT_EQ(::mkdir(absl::StrCat(dir_, "/folder").c_str(), 0700), 0);
  Write("folder/data", "a 1\n");
  ASSERT_EQ(::chmod(absl::StrCat(dir_, "/folder").c_str(), 0500), 0);
  ProcessOptions options;
  options.directory = dir_;
  options.obeys_permissions = true;
  const ProcessResult denied = RunProcess({"apps/kv_build", "folder/data"}, options);
  EXPECT_EQ(denied.exit_code, 1);
  EXPECT_EQ(denied.err,
            "kv_build: folder/data.bisect.lock: open: Permission denied; to write the index "
            "elsewhere: --index=PATH\n");
  EXPECT_EQ(RunProcess({"apps/kv_build", "folder/data", "--index=index"}, options).exit_code, 0);
  ASSERT_EQ(::chmod(absl::StrCat(dir_, "/folder").c_str(), 0700), 0);
}

TEST_F(KvBuildTest, WhatIsNoDataFileIsOneLineAndExit1) {
  ::mkdir(absl::StrCat(dir_, "/directory").c_str(), 0700);
  for (const char* path : {"none", "directory", "none/none"}) {
    const ProcessResult result = Build({path});
    EXPECT_EQ(result.exit_code, 1) << path;
    EXPECT_TRUE(absl::StartsWith(result.err, absl::StrCat("kv_build: ", path))) << result.err;
    EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
  }
}

TEST_F(KvBuildTest, BadUsageIsOneLineAndExit2) {
  Write("data", "a 1\n");
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {},
           {"data", "more"},
           {"data", "--memory=much"},
           {"data", "--memory=1MiB"},
           {"data", "--memory"},
           {"data", "--nosuch"},
           {"data", "--verify=perhaps"},
       }) {
    const ProcessResult result = Build(args);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_TRUE(absl::EndsWith(result.err, " (kv_build --help shows the usage)\n")) << result.err;
    EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
    EXPECT_EQ(result.out, "");
  }
  EXPECT_EQ(Read("data.bisect"), "");
}

TEST_F(KvBuildTest, HelpShowsItsFlagsAndExits0) {
  const ProcessResult result = Build({"--help"});
  EXPECT_EQ(result.exit_code, 0);
  for (const char* flag : {"--memory=256MiB", "--index=", "--verify=", "--skip_malformed="}) {
    EXPECT_TRUE(absl::StrContains(result.out, flag)) << flag;
  }
  EXPECT_FALSE(absl::StrContains(result.out, "logtostderr"));
}

TEST_F(KvBuildTest, VerifyFindsDamageAndBuildsWhatIsAbsent) {
  Write("data", TestData(1000));
  const ProcessResult first = Build({"--verify", "data"});
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_TRUE(absl::EndsWith(first.out, "data.bisect: verified\n")) << first.out;
  EXPECT_EQ(Build({"--verify", "data"}).out, "data.bisect: verified\n");

  std::string index = Read("data.bisect");
  index[index.size() - 100] ^= 1;
  Write("data.bisect", index);
  const ProcessResult damaged = Build({"--verify", "data"});
  EXPECT_EQ(damaged.exit_code, 1);
  EXPECT_TRUE(absl::StartsWith(damaged.err, "kv_build: data.bisect: ")) << damaged.err;
  EXPECT_TRUE(Read("data.bisect") == index) << "a check must not repair";

  EXPECT_EQ(Build({"data"}).exit_code, 0);
  Write("data", TestData(1001));
  const ProcessResult stale = Build({"--verify", "data"});
  EXPECT_EQ(stale.exit_code, 1) << stale.out;
}

}  // namespace
}  // namespace kvarts
