// Runs the real kv_repl as people run it: on a terminal.

#include <signal.h>
#include <sys/stat.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "apps/testing/terminal.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

constexpr char kPrompt[] = "kvarts> ";
constexpr char kUp[] = "\x1b[A";
constexpr char kLeft[] = "\x1b[D";
constexpr char kCtrlC[] = "\x03";
constexpr char kCtrlD[] = "\x04";

class KvReplTerminalTest : public testing::Test {
 protected:
  std::vector<std::string> Command(const std::string& store = "memory:",
                                   const std::vector<std::string>& flags = {}) const {
    std::vector<std::string> command = {"apps/kv_repl", "--store=" + store};
    command.insert(command.end(), flags.begin(), flags.end());
    return command;
  }
  std::string HistoryPath() const { return home_ + "/.local/state/kvarts/repl_history"; }

  const std::string home_ = TestDirectory();
  // An empty variable is as none.
  const std::map<std::string, std::string> env_ = {{"HOME", home_}, {"XDG_STATE_HOME", ""}};
};

// Types a line at the prompt, and returns what is shown up to the next one.
std::string Enter(Terminal* terminal, const std::string& keys) {
  terminal->Type(keys + "\n");
  std::string shown = terminal->ReadTo(kPrompt);
  // Behind the line itself.
  const size_t newline = shown.find("\r\n");
  return newline == std::string::npos ? shown : shown.substr(newline + 2);
}

TEST_F(KvReplTerminalTest, GreetsAnswersAndSaysHowLongItTook) {
  Terminal terminal(Command(), env_);
  EXPECT_THAT(terminal.ReadTo(kPrompt),
              MatchesRegex("kv_repl [0-9.]+ on memory:; help shows the commands\r\n"));
  EXPECT_THAT(Enter(&terminal, "store a 1"), MatchesRegex("OK\r\n\\([0-9.]+ ms\\)\r\n"));
  EXPECT_THAT(Enter(&terminal, "get a"), MatchesRegex("1\r\n\\([0-9.]+ ms\\)\r\n"));
  EXPECT_THAT(Enter(&terminal, "bad"),
              MatchesRegex("unknown command bad; help shows those there are\r\n"));
  EXPECT_EQ(Enter(&terminal, ""), "");
  terminal.Type("exit\n");
  EXPECT_THAT(terminal.ReadToEnd(), Not(HasSubstr("ms")));
  EXPECT_EQ(terminal.Wait(), 0);
}

TEST_F(KvReplTerminalTest, EditsALine) {
  Terminal terminal(Command(), env_);
  terminal.ReadTo(kPrompt);
  // A wrong letter, a letter that was left out, another character of two bytes.
  EXPECT_THAT(Enter(&terminal, absl::StrCat("stpre\b\b\bore a \xC3\xA9", kLeft, "x")),
              HasSubstr("OK"));
  EXPECT_THAT(Enter(&terminal, "get a"), HasSubstr("x\xC3\xA9\r\n"));
}

TEST_F(KvReplTerminalTest, RecallsLinesAndKeepsThemForTheOwner) {
  {
    Terminal terminal(Command(), env_);
    terminal.ReadTo(kPrompt);
    Enter(&terminal, "store a 1");
    Enter(&terminal, "store a 1");
    Enter(&terminal, " store secret 2");
    EXPECT_THAT(Enter(&terminal, absl::StrCat(kUp, "2")), HasSubstr("OK"));
    EXPECT_THAT(Enter(&terminal, "get a"), HasSubstr("12\r\n"));
    terminal.Type(kCtrlD);
    terminal.ReadToEnd();
    EXPECT_EQ(terminal.Wait(), 0);
  }
  EXPECT_EQ(ReadTestFile(HistoryPath()), "store a 1\nstore a 12\nget a\n");
  struct stat info = {};
  ASSERT_EQ(::stat(HistoryPath().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);

  Terminal later(Command(), env_);
  later.ReadTo(kPrompt);
  EXPECT_THAT(Enter(&later, absl::StrCat(kUp, kUp)), HasSubstr("OK"));
  EXPECT_THAT(Enter(&later, "get a"), HasSubstr("12\r\n"));
}

TEST_F(KvReplTerminalTest, ALineThatCannotBeKeptIsSaidOnce) {
  WriteTestFile(home_ + "/.local", "no directory");
  Terminal terminal(Command(), env_);
  terminal.ReadTo(kPrompt);
  EXPECT_THAT(Enter(&terminal, "store a 1"), HasSubstr("OK"));
  EXPECT_THAT(Enter(&terminal, "get a"), Not(HasSubstr("history")));
  EXPECT_THAT(Enter(&terminal, absl::StrCat(kUp, kUp)), HasSubstr("OK"));
}

TEST_F(KvReplTerminalTest, CompletesCommandsAndKeys) {
  Terminal terminal(Command(), env_);
  terminal.ReadTo(kPrompt);
  Enter(&terminal, "store user:1 Ann");
  Enter(&terminal, "store user:2 Bob");
  Enter(&terminal, "store 'a key' x");
  EXPECT_THAT(Enter(&terminal, "ge\tuser:2"), HasSubstr("Bob\r\n"));
  EXPECT_THAT(Enter(&terminal, "get u\t1"), HasSubstr("Ann\r\n"));
  EXPECT_THAT(Enter(&terminal, "get a\t"), HasSubstr("x\r\n"));
  terminal.Type("get u\t\t");
  terminal.ReadTo("user:1  user:2");
  terminal.ReadTo("get user:");
  EXPECT_THAT(Enter(&terminal, "2"), HasSubstr("Bob\r\n"));
}

TEST_F(KvReplTerminalTest, ShowsNoControlBytes) {
  Terminal terminal(Command(), env_);
  terminal.ReadTo(kPrompt);
  Enter(&terminal, "store a $'\\x1b]0;title\\x07\\n\\xff'");
  EXPECT_THAT(Enter(&terminal, "get a"), HasSubstr("$'\\x1b]0;title\\x07\\n\\xff'\r\n"));
  EXPECT_THAT(Enter(&terminal, "get $'\\x1b]\\q'"), HasSubstr("\\q is no escape"));
}

TEST_F(KvReplTerminalTest, CtrlCClearsTheLineAndCtrlDEnds) {
  Terminal terminal(Command(), env_);
  terminal.ReadTo(kPrompt);
  Enter(&terminal, "store a 1");
  terminal.Type("delete a");
  terminal.ReadTo("delete a");
  terminal.Type(kCtrlC);
  EXPECT_EQ(terminal.ReadTo(kPrompt), "^C\r\n");
  EXPECT_THAT(Enter(&terminal, "get a"), HasSubstr("1\r\n"));
  terminal.Type(kCtrlC);
  terminal.ReadTo(kPrompt);
  terminal.Type(kCtrlD);
  EXPECT_THAT(terminal.ReadToEnd(), EndsWith("\r\n"));
  EXPECT_EQ(terminal.Wait(), 0);
  EXPECT_TRUE(terminal.IsPlain());
}

TEST_F(KvReplTerminalTest, CtrlCEndsAScan) {
  WriteTestFile(home_ + "/data", TestData(200000));
  ASSERT_EQ(RunProcess({"apps/kv_build", home_ + "/data"}).exit_code, 0);
  Terminal terminal(Command(absl::StrCat("bisect:", home_, "/data")), env_);
  terminal.ReadTo(kPrompt);
  terminal.Type("scan\n");
  terminal.ReadTo("value ");
  terminal.Type(kCtrlC);
  EXPECT_THAT(terminal.ReadTo(kPrompt), HasSubstr("scan: interrupted after "));
  EXPECT_THAT(Enter(&terminal, "count"), HasSubstr("200000\r\n"));
  terminal.Type(kCtrlD);
  terminal.ReadToEnd();
  EXPECT_EQ(terminal.Wait(), 0);
}

TEST_F(KvReplTerminalTest, StopsAndGoesOn) {
  Terminal terminal(Command(), env_);
  terminal.ReadTo(kPrompt);
  terminal.Type("get ");
  terminal.ReadTo("get ");
  terminal.Type("\x1a");
  terminal.WaitUntilStopped();
  EXPECT_TRUE(terminal.IsPlain());
  terminal.Signal(SIGCONT);
  terminal.ReadTo("get ");
  EXPECT_THAT(Enter(&terminal, "a"), HasSubstr("(absent)"));
}

TEST_F(KvReplTerminalTest, ASignalEndsItAndLeavesTheTerminalAsItWas) {
  for (const int signal : {SIGTERM, SIGHUP}) {
    Terminal terminal(Command(), env_);
    terminal.ReadTo(kPrompt);
    terminal.Type("get a");
    terminal.ReadTo("get a");
    EXPECT_FALSE(terminal.IsPlain());
    terminal.Signal(signal);
    terminal.ReadToEnd();
    EXPECT_EQ(terminal.Wait(), 128 + signal);
    EXPECT_TRUE(terminal.IsPlain());
  }
}

TEST_F(KvReplTerminalTest, AnswersInJson) {
  Terminal terminal(Command("memory:", {"--json"}), env_);
  terminal.ReadTo(kPrompt);
  EXPECT_THAT(Enter(&terminal, "get a"),
              MatchesRegex("\\{\"command\":\"get\",\"found\":false,\"ms\":[0-9.]+\\}\r\n"));
}

}  // namespace
}  // namespace kvarts
