#include "apps/common/app.h"

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "apps/testing/process.h"
#include "base/version.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

ProcessResult RunExample(std::vector<std::string> args, const ProcessOptions& options = {}) {
  args.insert(args.begin(), "apps/common/example_app");
  return RunProcess(args, options);
}

TEST(RunAppTest, FlagsMayStandAnywhere) {
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"a", "--text=x y", "--number=5", "b", "--flag"},
           {"--text", "x y", "-number", "5", "--flag=true", "a", "b"},
           {"a", "b", "-text=x y", "--number=5", "--flag=1"},
       }) {
    const ProcessResult result = RunExample(args);
    EXPECT_EQ(result.out, "text=x y size=67108864 number=5 flag=1 [a] [b]\n");
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.err, "");
  }
}

// Of all but one, which the program names.
TEST(RunAppTest, TheLastOfAFlagCounts) {
  EXPECT_EQ(RunExample({"--number=5", "--flag", "--number=6", "--noflag"}).out,
            "text=abc size=67108864 number=6 flag=0\n");
}

TEST(RunAppTest, DashesNumbersAndWhatFollowsTwoDashesAreArguments) {
  EXPECT_EQ(RunExample({"-", "-5", "--noflag", "--", "--text=x", "--help", "--"}).out,
            "text=abc size=67108864 number=-7 flag=0 [-] [-5] [--text=x] [--help] [--]\n");
}

TEST(RunAppTest, HelpShowsOnlyTheOwnFlagsAndExits0) {
  for (const char* flag : {"--help", "-help", "-h"}) {
    const ProcessResult result = RunExample({"--unknown", flag});
    EXPECT_EQ(result.out,
              "example: an example.\n"
              "\n"
              "usage: example [X...]\n"
              "\n"
              "flags:\n"
              "  --flag=false\n"
              "      A switch.\n"
              "  --number=-7\n"
              "      A number.\n"
              "  --part=0.99\n"
              "      A part.\n"
              "  --size=64MiB\n"
              "      A size, with a description that is so long that it has to be broken into\n"
              "      several lines of eighty columns each.\n"
              "  --text=abc\n"
              "      A text.\n"
              "  --help, --version\n");
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_EQ(result.err, "");
  }
}

TEST(RunAppTest, VersionExits0) {
  const ProcessResult result = RunExample({"--version"});
  EXPECT_EQ(result.out, absl::StrCat("example ", kVersion, "\n"));
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err, "");
}

TEST(RunAppTest, BadUsageIsOneLineAndExit2) {
  const struct {
    std::vector<std::string> args;
    std::string error;
  } cases[] = {
      {{"--nosuch=1"}, "unknown flag --nosuch"},
      {{"--nosuch"}, "unknown flag --nosuch"},
      {{"-x"}, "unknown flag --x"},
      {{"--nonumber"}, "unknown flag --nonumber; --number is one"},
      {{"--nubmer=1"}, "unknown flag --nubmer; --number is one"},
      {{"--Number"}, "unknown flag --Number; --number is one"},
      {{"--numbers"}, "unknown flag --numbers; --number is one"},
      {{"--siz=1"}, "unknown flag --siz; --size is one"},
      {{"--zise=1"}, "unknown flag --zise"},
      // gflags' and glog's own are no part of the program.
      {{"--flagfile=/etc/passwd"}, "unknown flag --flagfile"},
      {{"--helpfull"}, "unknown flag --helpfull"},
      {{"--log_dir=/"}, "unknown flag --log_dir"},
      {{"--number=x"}, "--number is \"x\"; expected a whole number in range"},
      {{"--number=99999999999"}, "--number is \"99999999999\"; expected a whole number in range"},
      {{"--number="}, "--number is \"\"; expected a whole number in range"},
      {{"--flag=perhaps"}, "--flag is \"perhaps\"; expected true or false"},
      {{"--text"}, "the flag --text needs a value"},
      {{"--size=64"}, ""},
      {{"--text=a", "b", "-text", "a"}, "the flag --text is given twice"},
      {{"--text=a", "--", "--text=a"}, ""},
      {{"--size=large"},
       "--size: \"large\" is not a size: expected digits and a unit, such as 64MiB, 64MB or plain "
       "bytes"},
      {{"usage"}, "wrongly called"},
  };
  for (const auto& c : cases) {
    const ProcessResult result = RunExample(c.args);
    if (c.error.empty()) {
      EXPECT_EQ(result.exit_code, 0);
      continue;
    }
    EXPECT_EQ(result.err,
              absl::StrCat("example: ", c.error, " (example --help shows the usage)\n"));
    EXPECT_EQ(result.exit_code, 2) << c.error;
    EXPECT_EQ(result.out, "") << c.error;
  }
}

TEST(RunAppTest, FailureIsOneLineAndExit1) {
  const ProcessResult result = RunExample({"fail"});
  EXPECT_EQ(result.err, "example: two\\x0alines\n");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(RunExample({"three"}).exit_code, 3);
}

TEST(RunAppTest, LoggingFlagsAreTaken) {
  EXPECT_EQ(RunExample({"--v=1", "--minloglevel=2"}).exit_code, 0);
}

TEST(RunAppTest, RelativePathsAreTheUsersUnderBazelRun) {
  const std::string directory = testing::TempDir();
  std::ofstream(absl::StrCat(directory, "/here.txt")) << "contents\n";
  EXPECT_EQ(RunExample({"cat", "here.txt"}).exit_code, 1);
  ProcessOptions options;
  options.env["BUILD_WORKING_DIRECTORY"] = directory;
  const ProcessResult result = RunExample({"cat", "here.txt"}, options);
  EXPECT_EQ(result.out, "contents\n");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  options.env["BUILD_WORKING_DIRECTORY"] = absl::StrCat(directory, "/nowhere");
  const ProcessResult nowhere = RunExample({"cat", "here.txt"}, options);
  EXPECT_EQ(nowhere.exit_code, 1);
  EXPECT_TRUE(absl::StartsWith(nowhere.err, "example: cannot enter BUILD_WORKING_DIRECTORY "));
}

TEST(RunAppTest, AFullDiskIsAnErrorAndAClosedPipeIsNot) {
  const ProcessResult full =
      RunProcess({"/bin/sh", "-c", "exec apps/common/example_app >/dev/full"});
  EXPECT_EQ(full.err, "example: cannot write to the standard output: No space left on device\n");
  EXPECT_EQ(full.exit_code, 1);
  ProcessOptions options;
  options.closed_output = true;
  const ProcessResult closed = RunExample({}, options);
  EXPECT_EQ(closed.err, "");
  EXPECT_EQ(closed.exit_code, 0);
}

TEST(OneLineTest, ControlBytesAreShown) {
  EXPECT_EQ(OneLine("a\nb\x7f\xc3\xa4"), "a\\x0ab\\x7f\xc3\xa4");
}

}  // namespace
}  // namespace kvarts
