#include "apps/repl/command.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

using testing::HasSubstr;

// "get(a b --limit=1)", or the error.
std::string Parsed(absl::string_view line) {
  const absl::StatusOr<std::optional<Command>> command = ParseCommand(line);
  if (!command.ok()) {
    EXPECT_EQ(command.status().code(), absl::StatusCode::kInvalidArgument) << line;
    return std::string(command.status().message());
  }
  if (!command->has_value()) return "nothing";
  std::string text = absl::StrCat((*command)->info->name, "(");
  for (const std::string& arg : (*command)->args) absl::StrAppend(&text, "<", arg, ">");
  for (const auto& [name, value] : (*command)->options) {
    absl::StrAppend(&text, "--", name, "=", value);
  }
  return text + ")";
}

TEST(CommandTest, ReadsLines) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "nothing"},
      {"  \t", "nothing"},
      {"# it's a comment", "nothing"},
      {" #", "nothing"},
      {"get a", "get(<a>)"},
      {"  get\ta  ", "get(<a>)"},
      {"get '#'", "get(<#>)"},
      {"get ''", "get(<>)"},
      {"'get' a", "get(<a>)"},
      {"quit", "exit()"},
      {"exit", "exit()"},
      {"store k v", "store(<k><v>)"},
      {"store k  two words ", "store(<k><two words >)"},
      {"store 'a key' 'two words' ", "store(<a key><two words>)"},
      {"store k --v", "store(<k><--v>)"},
      {"store -- --k -- v", "store(<--k><-- v>)"},
      {"store k ''", "store(<k><>)"},
      {"store k {\"a\": 1}", "store(<k><{\"a\": 1}>)"},
      {"delete a 'b c' d", "delete(<a><b c><d>)"},
      {"delete -- --a", "delete(<--a>)"},
      {"delete '--a' \\--b", "delete(<--a><--b>)"},
      {"scan", "scan()"},
      {"scan p --limit=5 --keys", "scan(<p>--keys=--limit=5)"},
      {"scan --from='a b' --to=$'\\xff' --backward", "scan(--backward=--from=a b--to=\xFF)"},
      {"scan --from=", "scan(--from=)"},
      {"compact", "compact()"},
      {"compact a b", "compact(<a><b>)"},
      {"checkpoint", "checkpoint()"},
      {"help get", "help(<get>)"},
  };
  for (const auto& [line, parsed] : cases) EXPECT_EQ(Parsed(line), parsed) << line;
}

TEST(CommandTest, SaysWhatIsWrong) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"gte a", "unknown command gte; help shows those there are"},
      {"GET a", "unknown command GET"},
      {"'\x1b'", "unknown command $'\\x1b'"},
      {"''", "unknown command ''"},
      {"get", "get: expected KEY"},
      {"get a b", "get: expected KEY, not 2 arguments"},
      {"store", "store: expected KEY DATA"},
      {"store k", "store: expected KEY DATA; an empty DATA is ''"},
      {"store k 'v' w", "store: column 13: something follows the quoted DATA"},
      {"store k 'v", "store: column 9: the quote ' is not closed"},
      {"get \\q", "get: column 5: \\q is no escape"},
      {"flush x", "flush: expected no arguments"},
      {"compact a b c", "compact: expected [FROM [TO]], not 3 arguments"},
      {"scan --limit", "scan: --limit needs a value: --limit=..."},
      {"scan --keys=1", "scan: --keys takes no value"},
      {"scan --keys --keys", "scan: --keys twice"},
      {"scan --key", "scan: no option '--key'; known are --from= --to= --limit="},
      {"get --x a", "get: no option '--x'; there are none"},
  };
  for (const auto& [line, error] : cases) EXPECT_THAT(Parsed(line), HasSubstr(error)) << line;
}

TEST(CommandTest, CountsAreFromOneOn) {
  for (const std::string text : {"0", "-1", "x", "", "1.5", "99999999999999999999"}) {
    const absl::StatusOr<std::optional<Command>> command =
        ParseCommand(absl::StrCat("scan --limit=", text));
    ASSERT_TRUE(command.ok());
    EXPECT_THAT(CountOption(**command, "limit", 7).status().message(),
                HasSubstr("expected a whole number from 1 on"));
  }
  EXPECT_EQ(*CountOption(**ParseCommand("scan --limit=5"), "limit", 7), 5u);
  EXPECT_EQ(*CountOption(**ParseCommand("scan"), "limit", 7), 7u);
}

TEST(CommandTest, HelpNamesEveryCommand) {
  const std::string help = HelpText();
  for (const CommandInfo& info : AllCommands()) {
    EXPECT_THAT(help, HasSubstr(absl::StrCat("\n  ", info.name).substr(info.name == "store")));
    EXPECT_THAT(help, HasSubstr(info.summary));
    EXPECT_EQ(FindCommand(info.name), &info);
    const std::string more = HelpText(info);
    EXPECT_TRUE(absl::StartsWith(more, info.name));
    for (const std::string& text : {help, more}) {
      for (const absl::string_view line : absl::StrSplit(text, '\n')) {
        EXPECT_LE(line.size(), 100u) << line;
      }
    }
    // The examples are lines that can be typed.
    for (const absl::string_view line : absl::StrSplit(info.details, '\n')) {
      if (!absl::StartsWith(line, "  ")) continue;
      EXPECT_THAT(Parsed(line), testing::StartsWith(absl::StrCat(info.name, "("))) << line;
    }
  }
}

}  // namespace
}  // namespace kvarts
