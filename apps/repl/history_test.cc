#include "apps/repl/history.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "apps/testing/programs.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

unsigned Mode(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 0777;
}

TEST(HistoryTest, KeepsLinesForTheOwnerAlone) {
  const std::string dir = TestDirectory();
  const std::string path = dir + "/state/kvarts/repl_history";
  HistoryFile file(path);
  EXPECT_THAT(*file.Load(), ElementsAre());
  ASSERT_TRUE(file.Add("store a 1").ok());
  ASSERT_TRUE(HistoryFile(path).Add("get \xC3\xA9").ok());
  EXPECT_THAT(*file.Load(), ElementsAre("store a 1", "get \xC3\xA9"));
  EXPECT_EQ(Mode(path), 0600u);
  EXPECT_EQ(Mode(dir + "/state/kvarts"), 0700u);
  ::chmod(path.c_str(), 0644);
  ASSERT_TRUE(file.Add("get b").ok());
  EXPECT_EQ(Mode(path), 0600u);
}

TEST(HistoryTest, KeepsTheLastThousand) {
  const std::string path = TestDirectory() + "/history";
  std::string text;
  for (int i = 0; i < 1500; ++i) absl::StrAppend(&text, "get ", i, "\n");
  WriteTestFile(path, text);
  HistoryFile file(path);
  const std::vector<std::string> lines = *file.Load();
  ASSERT_EQ(lines.size(), 1000u);
  EXPECT_EQ(lines.front(), "get 500");
  EXPECT_EQ(lines.back(), "get 1499");
  EXPECT_EQ(Mode(path), 0600u);
  EXPECT_TRUE(absl::StartsWith(ReadTestFile(path), "get 500\n"));
  EXPECT_EQ(*HistoryFile(path).Load(), lines);
}

TEST(HistoryTest, SaysWhatItCannotDo) {
  const std::string dir = TestDirectory();
  WriteTestFile(dir + "/file", "");
  HistoryFile file(dir + "/file/kvarts/history");
  EXPECT_THAT(file.Add("x").message(), HasSubstr(dir + "/file"));
  HistoryFile none("");
  EXPECT_TRUE(none.Add("x").ok());
  EXPECT_THAT(*none.Load(), ElementsAre());
}

TEST(HistoryTest, StandsWhereStateIsKept) {
  ::setenv("HOME", "/home/ann", 1);
  ::unsetenv("XDG_STATE_HOME");
  EXPECT_EQ(HistoryFile::DefaultPath(), "/home/ann/.local/state/kvarts/repl_history");
  ::setenv("XDG_STATE_HOME", "/state", 1);
  EXPECT_EQ(HistoryFile::DefaultPath(), "/state/kvarts/repl_history");
  ::setenv("XDG_STATE_HOME", "not/absolute", 1);
  EXPECT_EQ(HistoryFile::DefaultPath(), "/home/ann/.local/state/kvarts/repl_history");
  ::unsetenv("XDG_STATE_HOME");
  ::unsetenv("HOME");
  EXPECT_EQ(HistoryFile::DefaultPath(), "");
}

}  // namespace
}  // namespace kvarts
