#include "net/resp/commands.h"

#include <fstream>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/resp/session_harness.h"
#include "net/turning_store.h"
#include "storage/bisect/bisect.h"
#include "storage/bisect/builder.h"
#include "testing/model/manual_clock.h"
#include "testing/model/slow_store.h"

namespace kvarts {
namespace resp {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

// A step of testdata/*.test: an inline request, and the reply, in which "\r\n" is
// a space, and bytes that cannot be printed are "\x00". "@advance N" lets N
// milliseconds pass.
struct Step {
  int line = 0;
  std::string request;
  std::string reply;
};

std::vector<Step> ReadSteps(const std::string& name) {
  std::ifstream file(absl::StrCat("net/resp/testdata/", name));
  EXPECT_TRUE(file.good()) << name;
  std::vector<Step> steps;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (line.empty() || line[0] == '#') continue;
    if (absl::StartsWith(line, "  ")) {
      EXPECT_FALSE(steps.empty()) << name << ":" << number;
      if (!steps.empty()) steps.back().reply = line.substr(2);
    } else {
      steps.push_back({number, line, ""});
    }
  }
  EXPECT_FALSE(steps.empty()) << name;
  return steps;
}

std::string Readable(absl::string_view reply) {
  EXPECT_TRUE(absl::EndsWith(reply, "\r\n")) << reply;
  const std::string text = absl::StrReplaceAll(
      reply.substr(0, reply.size() - std::min<size_t>(reply.size(), 2)), {{"\r\n", " "}});
  std::string readable;
  for (const char c : text) {
    const bool plain = absl::ascii_isprint(static_cast<unsigned char>(c));
    absl::StrAppend(&readable, plain ? std::string(1, c)
                                     : absl::StrCat("\\x", absl::Hex(c & 0xff, absl::kZeroPad2)));
  }
  return readable;
}

void RunSteps(const std::string& name, SessionHarness* harness, ManualClock* clock) {
  const auto connection = harness->Connect();
  const std::string version = absl::StrCat("$7 version $", strlen(kVersion), " ", kVersion);
  for (const Step& step : ReadSteps(name)) {
    if (absl::StartsWith(step.request, "@advance ")) {
      int ms = 0;
      ASSERT_TRUE(absl::SimpleAtoi(step.request.substr(9), &ms));
      clock->Advance(absl::Milliseconds(ms));
      continue;
    }
    const std::string reply = harness->Send(*connection, step.request + "\r\n");
    EXPECT_EQ(Readable(reply),
              absl::StrReplaceAll(step.reply, {{"$7 version $5 VERSION", version}}))
        << "net/resp/testdata/" << name << ":" << step.line << ": " << step.request;
    ASSERT_FALSE(connection->over()) << name << ":" << step.line;
  }
}

class CommandsTest : public testing::TestWithParam<bool> {
 protected:
  // The model store; may block, where the parameter says so.
  std::unique_ptr<Store> NewModel() {
    ModelStoreOptions options;
    options.capabilities.may_block = GetParam();
    options.clock = &clock_;
    return NewModelStore(options);
  }
  RespOptions Options() {
    RespOptions options;
    options.clock = &clock_;
    return options;
  }

  ManualClock clock_;
};

class SlowCommandsTest : public testing::Test {
 protected:
  // Writes end later.
  std::unique_ptr<Store> NewSlowModel() {
    ModelStoreOptions options;
    options.clock = &clock_;
    SlowStoreOptions slow;
    slow.by_itself = false;
    slow.forbids_waiting = false;
    return std::make_unique<SlowStore>(NewModelStore(options), slow);
  }
  RespOptions Options() {
    RespOptions options;
    options.clock = &clock_;
    return options;
  }

  ManualClock clock_;
};

INSTANTIATE_TEST_SUITE_P(All, CommandsTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "OnAPool" : "OnTheLoop"; });

TEST_P(CommandsTest, RepliesAreAsWritten) {
  for (const char* name :
       {"bits.test", "connection.test", "dump.test", "scripts.test", "strings.test",
        "keyspace.test", "server.test", "transactions.test", "copies.test", "time.test"}) {
    SessionHarness harness(NewModel(), Options());
    RunSteps(name, &harness, &clock_);
  }
}

TEST_F(SlowCommandsTest, RepliesAreAsWrittenWhereWritesAreSubmitted) {
  for (const char* name :
       {"bits.test", "connection.test", "dump.test", "scripts.test", "strings.test",
        "keyspace.test", "server.test", "transactions.test", "copies.test", "time.test"}) {
    SessionHarness harness(NewSlowModel(), Options());
    RunSteps(name, &harness, &clock_);
  }
}

TEST_F(SlowCommandsTest, PipelinedRepliesAreTheSameWhereWritesAreSubmitted) {
  for (const char* name : {"strings.test", "keyspace.test", "transactions.test", "copies.test"}) {
    std::string requests;
    std::string one_by_one;
    SessionHarness harness(NewSlowModel(), Options());
    const auto connection = harness.Connect();
    for (const Step& step : ReadSteps(name)) {
      if (absl::StartsWith(step.request, "@")) continue;
      absl::StrAppend(&requests, step.request, "\r\n");
      absl::StrAppend(&one_by_one, harness.Send(*connection, step.request + "\r\n"));
    }
    SessionHarness pipelined(NewSlowModel(), Options());
    EXPECT_EQ(pipelined.Send(*pipelined.Connect(), requests), one_by_one);
  }
}

// The same requests at once: answers come in order, and reads see the writes
// before them.
TEST_P(CommandsTest, PipelinedRepliesAreTheSame) {
  for (const char* name : {"strings.test", "keyspace.test", "transactions.test", "copies.test"}) {
    std::string requests;
    std::string one_by_one;
    SessionHarness harness(NewModel(), Options());
    const auto connection = harness.Connect();
    for (const Step& step : ReadSteps(name)) {
      if (absl::StartsWith(step.request, "@")) continue;
      absl::StrAppend(&requests, step.request, "\r\n");
      absl::StrAppend(&one_by_one, harness.Send(*connection, step.request + "\r\n"));
    }
    SessionHarness pipelined(NewModel(), Options());
    EXPECT_EQ(pipelined.Send(*pipelined.Connect(), requests), one_by_one);
  }
}

std::string Number(int i) { return absl::StrCat("key:", i); }

// Follows SCAN's cursors to the end.
std::multiset<std::string> ScanAll(SessionHarness* harness, const std::string& options) {
  const auto connection = harness->Connect();
  std::multiset<std::string> keys;
  std::string cursor = "0";
  do {
    const std::string reply =
        harness->Send(*connection, absl::StrCat("SCAN ", cursor, " ", options, "\r\n"));
    const std::vector<std::string> lines = absl::StrSplit(reply, "\r\n");
    if (lines[0] != "*2") {
      ADD_FAILURE() << reply;
      break;
    }
    cursor = lines[2];
    for (size_t i = 5; i < lines.size(); i += 2) keys.insert(lines[i]);
  } while (cursor != "0");
  return keys;
}

TEST_P(CommandsTest, ScansFindEveryKey) {
  for (const bool ordered : {true, false}) {
    ModelStoreOptions options;
    options.capabilities.may_block = GetParam();
    if (!ordered) {
      options.capabilities.ordered_scan = Support::kAbsent;
      options.capabilities.backward_scan = Support::kAbsent;
    }
    std::multiset<std::string> all;
    std::multiset<std::string> tens;
    for (int i = 0; i < 100; ++i) {
      options.records.emplace_back(Number(i), "v");
      all.insert(Number(i));
      if (i / 10 == 5) tens.insert(Number(i));
    }
    SessionHarness harness(NewModelStore(options));
    for (const char* count : {"", "COUNT 1", "COUNT 7", "COUNT 10", "COUNT 100", "COUNT 1000"}) {
      EXPECT_EQ(ScanAll(&harness, count), all) << count;
      EXPECT_EQ(ScanAll(&harness, absl::StrCat("MATCH key:5? ", count)), tens) << count;
      EXPECT_EQ(ScanAll(&harness, absl::StrCat("MATCH *y:5? ", count)), tens) << count;
    }
    const std::string random = harness.Ask(*harness.Connect(), {"RANDOMKEY"});
    EXPECT_THAT(random, MatchesRegex("\\$[0-9]\r\nkey:[0-9]+\r\n"));
  }
}

// Of keys that come and go meanwhile, those that stay are found.
TEST_P(CommandsTest, ScansFindWhatStaysWhileOthersComeAndGo) {
  for (const bool ordered : {true, false}) {
    ModelStoreOptions options;
    options.capabilities.may_block = GetParam();
    if (!ordered) options.capabilities.ordered_scan = Support::kAbsent;
    for (int i = 0; i < 100; ++i) options.records.emplace_back(Number(2 * i), "v");
    SessionHarness harness(NewModelStore(options));
    const auto connection = harness.Connect();
    std::set<std::string> found;
    std::string cursor = "0";
    int round = 0;
    do {
      const std::string reply =
          harness.Send(*connection, absl::StrCat("SCAN ", cursor, " COUNT 5\r\n"));
      const std::vector<std::string> lines = absl::StrSplit(reply, "\r\n");
      cursor = lines[2];
      for (size_t i = 5; i < lines.size(); i += 2) found.insert(lines[i]);
      for (int i = 0; i < 5; ++i, ++round) {
        harness.Ask(*connection, {"SET", Number(2 * (round * 37 % 100) + 1), "new"});
        harness.Ask(*connection, {"DEL", Number(2 * (round * 11 % 100) + 1)});
      }
    } while (cursor != "0" && round < 10000);
    EXPECT_EQ(cursor, "0");
    for (int i = 0; i < 100; ++i) EXPECT_EQ(found.count(Number(2 * i)), 1u) << i;
  }
}

TEST_P(CommandsTest, ACursorThatIsNotKnownIsAnErrorAndNotAnEnd) {
  SessionHarness harness(NewModel(), Options());
  EXPECT_THAT(harness.Ask(*harness.Connect(), {"SCAN", "12345"}),
              StartsWith("-ERR invalid cursor: it is not known any more"));
}

TEST_P(CommandsTest, KeysAreBounded) {
  ModelStoreOptions options;
  for (int i = 0; i < 110000; ++i) options.records.emplace_back(Number(1000000 + i), "v");
  SessionHarness harness(NewModelStore(options));
  const auto connection = harness.Connect();
  EXPECT_THAT(harness.Ask(*connection, {"KEYS", "*"}), StartsWith("-ERR KEYS goes over at most"));
  EXPECT_THAT(harness.Ask(*connection, {"KEYS", "*0"}), StartsWith("-ERR KEYS goes over at most"));
  // A beginning bounds what is gone over.
  EXPECT_THAT(harness.Ask(*connection, {"KEYS", "key:10000*"}), StartsWith("*100\r\n"));
  EXPECT_THAT(harness.Ask(*connection, {"KEYS", std::string(2000, '?')}),
              StartsWith("-ERR a pattern of 2000 bytes"));
}

TEST_P(CommandsTest, AllKeysAreDeletedWhereThatIsAllowed) {
  RespOptions options = Options();
  options.allow_flush = true;
  SessionHarness harness(NewModel(), options);
  const auto connection = harness.Connect();
  harness.Ask(*connection, {"SET", "k", "v"});
  EXPECT_EQ(harness.Ask(*connection, {"FLUSHALL", "ASYNC"}), "+OK\r\n");
  EXPECT_EQ(harness.Ask(*connection, {"DBSIZE"}), ":0\r\n");
}

TEST_P(CommandsTest, TimeIsTheClocks) {
  SessionHarness harness(NewModel(), Options());
  clock_.Advance(absl::Milliseconds(123));
  EXPECT_EQ(harness.Ask(*harness.Connect(), {"TIME"}),
            "*2\r\n$10\r\n1700000000\r\n$6\r\n123000\r\n");
}

// Where the store shows all of an atomic batch or nothing, an MGET does.
TEST(MGetTest, ManyKeysAreOneReadWhereTheStoreShowsThemAtOnce) {
  auto store = std::make_unique<TurningStore>(1001, /*atomic_multi_get=*/true);
  std::vector<absl::string_view> request = {"MGET"};
  request.insert(request.end(), store->keys().begin(), store->keys().end());
  std::string expected = "*1001\r\n";
  for (int i = 0; i < 1001; ++i) expected += "$1\r\n1\r\n";
  SessionHarness harness(std::move(store));
  EXPECT_EQ(harness.Ask(*harness.Connect(), request), expected);
}

TEST_P(CommandsTest, AnMGetOfManyKeysIsAnsweredInParts) {
  ModelStoreOptions options;
  options.capabilities.may_block = GetParam();
  options.capabilities.atomic_multi_get = false;
  const std::string large(10000, 'x');
  std::string request = "*1002\r\n$4\r\nMGET\r\n";
  std::string expected = "*1001\r\n";
  for (int i = 0; i < 1001; ++i) {
    const std::string value = i % 100 == 0 ? large : absl::StrCat("v", i);
    if (i % 2 == 0) options.records.emplace_back(Number(i), value);
    absl::StrAppend(&request, "$", Number(i).size(), "\r\n", Number(i), "\r\n");
    if (i % 2 == 0) {
      absl::StrAppend(&expected, "$", value.size(), "\r\n", value, "\r\n");
    } else {
      absl::StrAppend(&expected, "$-1\r\n");
    }
  }
  SessionHarness harness(NewModelStore(options));
  EXPECT_EQ(harness.Send(*harness.Connect(), request), expected);
  RespOptions limited;
  limited.max_answer_bytes = 50000;
  SessionHarness small(NewModelStore(options), limited);
  EXPECT_EQ(small.Send(*small.Connect(), "PING\r\n" + request + "PING\r\n"),
            "+PONG\r\n-ERR the values are over 50000 bytes: ask for fewer keys at once\r\n"
            "+PONG\r\n");
}

TEST_P(CommandsTest, ValuesGrowToALimit) {
  RespOptions options = Options();
  options.max_value_bytes = 1000;
  SessionHarness harness(NewModel(), options);
  const auto connection = harness.Connect();
  const std::string too_long = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n";
  EXPECT_EQ(harness.Ask(*connection, {"SETRANGE", "k", "999", "x"}), ":1000\r\n");
  EXPECT_EQ(harness.Ask(*connection, {"SETRANGE", "k", "999", "xy"}), too_long);
  EXPECT_EQ(harness.Ask(*connection, {"SETRANGE", "k", "9223372036854775807", "x"}), too_long);
  EXPECT_EQ(harness.Ask(*connection, {"APPEND", "k", "x"}), too_long);
  EXPECT_EQ(harness.Ask(*connection, {"APPEND", "k", ""}), ":1000\r\n");
  EXPECT_THAT(harness.Ask(*connection, {"LCS", "k", "k"}), StartsWith("-ERR Insufficient memory"));
  EXPECT_THAT(harness.Ask(*connection, {"CONFIG", "GET", "proto-max-bulk-len"}),
              HasSubstr("\r\n$4\r\n1000\r\n"));
  EXPECT_EQ(harness.Ask(*connection, {"ECHO", std::string(1001, 'x')}),
            "-ERR Protocol error: invalid bulk length\r\n");
}

TEST_P(CommandsTest, AKeyThatIsTooLongIsAnError) {
  SessionHarness harness(NewModel(), Options());
  const std::string key((64 << 10) + 1, 'k');
  EXPECT_THAT(harness.Ask(*harness.Connect(), {"GET", key}),
              StartsWith("-ERR a key of 65537 bytes; at most 65536 are allowed"));
}

// What the table says, and what COMMAND does, for all rows.
TEST(CommandTableTest, EveryCommandIsFoundInAnyCase) {
  std::map<std::string, int> names;
  for (const Command& command : Commands()) {
    ++names[std::string(command.name)];
    const std::vector<std::string> words = absl::StrSplit(command.name, '|');
    for (const bool upper : {true, false}) {
      const auto spelled = [&](const std::string& word) {
        return upper ? absl::AsciiStrToUpper(word) : word;
      };
      const Command* found = FindCommand(spelled(words[0]));
      ASSERT_NE(found, nullptr) << command.name;
      if (words.size() == 2) found = FindSubcommand(*found, spelled(words[1]));
      EXPECT_EQ(found, &command) << command.name;
    }
    EXPECT_FALSE(command.summary.empty()) << command.name;
    if (IsContainer(command)) continue;
    EXPECT_TRUE(command.handler != nullptr || command.read != nullptr || command.write != nullptr)
        << command.name;
    if (command.read != nullptr) {
      EXPECT_NE(command.first_key, 0) << command.name;
      EXPECT_EQ(command.flags & kWrites, 0u) << command.name;
    }
  }
  for (const auto& [name, count] : names) EXPECT_EQ(count, 1) << name;
}

TEST(CommandTableTest, OtherNamesAreNotFound) {
  for (const char* name : {"", "g", "ge", "gett", "get ", "g t", "getrang", "getrangf", "client|id",
                           "averyveryverylongname", "g\x05t", "[et"}) {
    EXPECT_EQ(FindCommand(name), nullptr) << name;
  }
  EXPECT_EQ(FindCommand(absl::string_view("g\0t", 3)), nullptr);
  // A byte of a letter with any one bit changed.
  for (int bit = 0; bit < 8; ++bit) {
    std::string name = "get";
    name[1] = static_cast<char>(name[1] ^ (1 << bit));
    EXPECT_EQ(FindCommand(name) != nullptr, bit == 5) << name;
  }
  EXPECT_EQ(FindSubcommand(*FindCommand("client"), "nonsense"), nullptr);
  EXPECT_EQ(FindSubcommand(*FindCommand("get"), "x"), nullptr);
}

TEST(CommandTableTest, CommandTellsAboutAllOfThem) {
  SessionHarness harness;
  const auto connection = harness.Connect();
  size_t top = 0;
  for (const Command& command : Commands()) {
    if (!absl::StrContains(command.name, '|')) ++top;
  }
  EXPECT_EQ(harness.Ask(*connection, {"COMMAND", "COUNT"}), absl::StrCat(":", top, "\r\n"));
  EXPECT_THAT(harness.Ask(*connection, {"COMMAND"}), StartsWith(absl::StrCat("*", top, "\r\n*10")));
  EXPECT_THAT(harness.Ask(*connection, {"COMMAND", "LIST"}),
              StartsWith(absl::StrCat("*", Commands().size(), "\r\n")));
  EXPECT_EQ(harness.Ask(*connection, {"COMMAND", "LIST", "FILTERBY", "PATTERN", "config|*re*"}),
            "*2\r\n$16\r\nconfig|resetstat\r\n$14\r\nconfig|rewrite\r\n");
  const std::string docs = harness.Ask(*connection, {"COMMAND", "DOCS"});
  EXPECT_THAT(docs, StartsWith(absl::StrCat("*", 2 * top, "\r\n")));
  for (const Command& command : Commands()) {
    EXPECT_THAT(docs, HasSubstr(absl::StrCat("\r\n", command.name, "\r\n")));
  }
}

TEST(IntegerTest, OnlyPlainDecimalsAreIntegers) {
  int64_t value = 0;
  for (const auto& [text, expected] :
       std::map<std::string, int64_t>{{"0", 0},
                                      {"-1", -1},
                                      {"9223372036854775807", INT64_MAX},
                                      {"-9223372036854775808", INT64_MIN}}) {
    EXPECT_TRUE(ParseInteger(text, &value)) << text;
    EXPECT_EQ(value, expected);
  }
  for (const char* text : {"", "-", "+1", "01", "-0", " 1", "1 ", "1.0", "0x1",
                           "9223372036854775808", "-9223372036854775809", "99999999999999999999"}) {
    EXPECT_FALSE(ParseInteger(text, &value)) << text;
  }
}

TEST(ReadOnlyStoreTest, RepliesAreAsWritten) {
  const std::string path = absl::StrCat(testing::TempDir(), "/read_only.data");
  {
    std::ofstream file(path);
    for (int i = 0; i < 100; ++i) file << Number(i) << " " << i << "\n";
  }
  ASSERT_TRUE(BuildBisect(path, BuildOptions()).ok());
  auto store = OpenBisect(path, BisectOptions());
  ASSERT_TRUE(store.ok()) << store.status();
  ManualClock clock;
  SessionHarness harness(*std::move(store));
  RunSteps("read_only.test", &harness, &clock);
  std::multiset<std::string> all;
  for (int i = 0; i < 100; ++i) all.insert(Number(i));
  EXPECT_EQ(ScanAll(&harness, "COUNT 7"), all);
  const auto connection = harness.Connect();
  std::set<std::string> random;
  for (int i = 0; i < 200; ++i) random.insert(harness.Ask(*connection, {"RANDOMKEY"}));
  EXPECT_GT(random.size(), 30u);
}

// What one request can have the server look at, whoever else waits.
TEST(CostTest, PatternsNamesAndPagesOfOneRequestAreBounded) {
  const std::string path = absl::StrCat(testing::TempDir(), "/costly.data");
  const std::string padding(60000, 'a');
  {
    std::ofstream file(path);
    for (int i = 0; i < 300; ++i) file << Number(i) << padding << " " << i << "\n";
  }
  ASSERT_TRUE(BuildBisect(path, BuildOptions()).ok());
  auto store = OpenBisect(path, BisectOptions());
  ASSERT_TRUE(store.ok()) << store.status();
  SessionHarness harness(*std::move(store));
  const auto connection = harness.Connect();
  const std::string costly = absl::StrCat("*[", std::string(1000, 'b'), "]");
  EXPECT_THAT(harness.Ask(*connection, {"KEYS", costly}), testing::StartsWith("-ERR a pattern"));
  // An answer of none, and a place to go on from.
  const std::string page =
      harness.Ask(*connection, {"SCAN", "0", "MATCH", costly, "COUNT", "10000"});
  EXPECT_THAT(page, testing::EndsWith("*0\r\n"));
  EXPECT_THAT(page, testing::Not(testing::HasSubstr("$1\r\n0\r\n")));
  // 18 MB of keys do not come at once.
  EXPECT_LT(harness.Ask(*connection, {"SCAN", "0", "COUNT", "10000"}).size(), size_t{10} << 20);
  EXPECT_EQ(ScanAll(&harness, "COUNT 10000").size(), 300u);
  std::vector<absl::string_view> names(1000, "*");
  names.insert(names.begin(), {"CONFIG", "GET"});
  EXPECT_EQ(harness.Ask(*connection, names), "-ERR too many names in one request\r\n");
  names.erase(names.begin(), names.begin() + 2);
  names.insert(names.begin(), "INFO");
  EXPECT_EQ(harness.Ask(*connection, names), "-ERR too many names in one request\r\n");
}

}  // namespace
}  // namespace resp
}  // namespace kvarts
