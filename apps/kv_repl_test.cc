// Runs the real kv_repl as scripts run it: commands from a pipe.

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

class KvReplTest : public testing::Test {
 protected:
  ProcessResult Repl(const std::string& input, const std::vector<std::string>& flags = {},
                     const std::string& store = "memory:") {
    std::vector<std::string> command = {"apps/kv_repl", "--store=" + store};
    command.insert(command.end(), flags.begin(), flags.end());
    return RunProcess(command, Options(input));
  }
  ProcessOptions Options(const std::string& input) const {
    ProcessOptions options;
    options.directory = dir_;
    options.input = input;
    options.env["HOME"] = dir_;
    options.env["XDG_STATE_HOME"] = dir_;
    return options;
  }

  const std::string dir_ = TestDirectory();
};

// A kv_repl that is told one thing after the other.
class Conversation {
 public:
  explicit Conversation(const std::vector<std::string>& command, ProcessOptions options = {}) {
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    write_ = fds[1];
    options.input_fd = fds[0];
    process_ = std::make_unique<Process>(command, options);
    ::close(fds[0]);
  }
  ~Conversation() { CloseInput(); }
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  void Say(const std::string& text) const {
    EXPECT_EQ(::write(write_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void CloseInput() {
    if (write_ >= 0) ::close(write_);
    write_ = -1;
  }
  Process& process() { return *process_; }

 private:
  int write_ = -1;
  std::unique_ptr<Process> process_;
};

TEST_F(KvReplTest, RunsCommands) {
  const ProcessResult result = Repl(
      "store a 1\nstore b two words\nget a\nget b\nget c\nscan --keys --limit=0x\ncount\n"
      "delete a c\nexit\nget a\n");
  EXPECT_EQ(result.out, "OK\nOK\n1\ntwo words\n(absent)\n2\nOK\n(absent)\n");
  EXPECT_EQ(result.err, "kv_repl: line 6: scan: --limit=0x: expected a whole number from 1 on\n");
  EXPECT_EQ(result.exit_code, 1);
}

TEST_F(KvReplTest, IngestsWhatGroupByWrites) {
  const std::string rows = "b\t1\na\t2\nb\t3\n";
  ProcessOptions options = Options(rows);
  const ProcessResult grouped = RunProcess(
      {"apps/group_by", "--format=data", "--order=key", "--output=" + dir_ + "/groups"}, options);
  ASSERT_EQ(grouped.exit_code, 0) << grouped.err;
  const std::string store = "sstable:" + dir_ + "/store";
  const std::string commands =
      absl::StrCat("store a old\nstore c kept\ningest ", dir_, "/groups\nscan\nverify\n");
  const ProcessResult result = Repl(commands, {}, store);
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(result.out, MatchesRegex("OK\nOK\nOK: 2 entries, 1 files, [0-9]+ bytes\n"
                                       "a 2\nb 1,3\nc kept\nOK: [^\n]*\n"));
}

TEST_F(KvReplTest, IngestNamesWhatIsWrongAndPutsNothing) {
  const std::string file = dir_ + "/bad.data";
  const std::string store = "sstable:" + dir_ + "/store";
  const auto ingest = [&](const std::string& text) {
    std::ofstream(file) << text;
    const ProcessResult result = Repl(absl::StrCat("ingest ", file, "\ncount\n"), {}, store);
    EXPECT_EQ(result.out, "0\n");
    EXPECT_EQ(result.exit_code, 1);
    return result.err;
  };
  EXPECT_EQ(ingest("a 1\nc 2\nb 3\n"),
            absl::StrCat("kv_repl: line 1: ingest: ", file,
                         ", line 3, offset 8: expected a key greater than that of the line before, "
                         "as `group_by --order=key` writes them, each once\n"));
  EXPECT_EQ(ingest("a 1\ntorn"),
            absl::StrCat("kv_repl: line 1: ingest: ", file,
                         ", line 2: expected a key, a space and a value (at offset 4)\n"));
  const ProcessResult memory = Repl("ingest " + file, {}, "memory:");
  EXPECT_EQ(memory.err,
            "kv_repl: line 1: ingest: this store has no files of its own to add files to\n");
}

TEST_F(KvReplTest, MergesAClosedStoreIntoTheOpenOne) {
  const std::string one = dir_ + "/one";
  const std::string two = dir_ + "/two";
  ASSERT_EQ(Repl("store a 1\nstore b 1\n", {}, "sstable:" + one).err, "");
  ASSERT_EQ(
      Repl("store b 2\nstore c 1\nstore c 2\nstore d 1\ndelete d\n", {}, "sstable:" + two).err, "");
  const ProcessResult merged =
      Repl(absl::StrCat("merge_store ", two, "\nscan\n"), {}, "sstable:" + one);
  EXPECT_EQ(merged.err, "");
  EXPECT_THAT(merged.out, MatchesRegex("OK: 2 entries, 1 files, [0-9]+ bytes\na 1\nb 2\nc 2\n"));
  const ProcessResult same = Repl(absl::StrCat("merge_store ", one), {}, "sstable:" + one);
  EXPECT_THAT(same.err, MatchesRegex("kv_repl: line 1: merge_store: [^\n]*/one: the store is open "
                                     "already, in process [0-9]+\n"));
  const ProcessResult none =
      Repl(absl::StrCat("merge_store ", dir_, "/none"), {}, "sstable:" + one);
  EXPECT_THAT(none.err, MatchesRegex("kv_repl: line 1: merge_store: [^\n]*none[^\n]*\n"));
  EXPECT_EQ(Repl("scan", {}, "sstable:" + two).out, "b 2\nc 2\n");
}

TEST_F(KvReplTest, AnAbsentKeyIsNoError) {
  const ProcessResult result = Repl("get a\ndelete a");
  EXPECT_EQ(result.out, "(absent)\n(absent)\n");
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.exit_code, 0);
}

TEST_F(KvReplTest, NeedsNoCommands) {
  const ProcessResult result = Repl("");
  EXPECT_EQ(result.out + result.err, "");
  EXPECT_EQ(result.exit_code, 0);
}

TEST_F(KvReplTest, TextComesOutAsItIsAndOtherBytesDoNot) {
  EXPECT_EQ(Repl("store t $'two\\nlines\\n'\nget t").out, "OK\ntwo\nlines\n\n");
  EXPECT_EQ(Repl("store b $'\\x1b\\xff'\nget b\nscan").out, "OK\n$'\\x1b\\xff'\nb $'\\x1b\\xff'\n");
}

TEST_F(KvReplTest, KeepsNoHistoryOfScripts) {
  Repl("store a 1\nget a\n");
  EXPECT_NE(::access((dir_ + "/kvarts").c_str(), F_OK), 0);
}

TEST_F(KvReplTest, WritesJson) {
  const ProcessResult result = Repl("store a 1\nget a\nbad\n", {"--json"});
  EXPECT_THAT(
      result.out,
      MatchesRegex("\\{\"command\":\"store\",\"ok\":true,\"line\":1,\"ms\":[0-9.]+\\}\n"
                   "\\{\"command\":\"get\",\"found\":true,\"value\":\"1\",\"line\":2,"
                   "\"ms\":[0-9.]+\\}\n\\{\"command\":\"bad\",\"line\":3,\"error\":.*\\}\n"));
  EXPECT_EQ(result.exit_code, 1);
}

TEST_F(KvReplTest, BadUsageExitsTwo) {
  for (const std::vector<std::string>& flags :
       std::vector<std::vector<std::string>>{{},
                                             {"--store="},
                                             {"--store=memory:", "get"},
                                             {"--store=memory:", "--sync=maybe"},
                                             {"--store=memory:", "--unknown"},
                                             {"--store=nothing:"},
                                             {"--store=memory:?x=1"}}) {
    std::vector<std::string> command = {"apps/kv_repl"};
    command.insert(command.end(), flags.begin(), flags.end());
    const ProcessResult result = RunProcess(command, Options("get a\n"));
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_THAT(result.err, MatchesRegex("kv_repl: [^\n]+\n"));
  }
  const ProcessResult absent = Repl("get a", {}, "bisect:none.data");
  EXPECT_EQ(absent.exit_code, 1);
  EXPECT_THAT(absent.err, MatchesRegex("kv_repl: [^\n]*none.data[^\n]*\n"));
}

TEST_F(KvReplTest, HelpHasCommandsAndExamples) {
  const ProcessResult help = RunProcess({"apps/kv_repl", "--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const std::string text : {"store KEY DATA", "load_index_snapshot FILE", "--sync", "--json",
                                 "| kv_repl --store=memory:", "memory:?"}) {
    EXPECT_THAT(help.out, HasSubstr(text));
  }
}

TEST_F(KvReplTest, AnswersBeforeItWaitsForMore) {
  Conversation talk({"apps/kv_repl", "--store=memory:"}, Options(""));
  talk.Say("store a 1\nstore b 2\nget");
  EXPECT_EQ(talk.process().ReadLine(), "OK");
  EXPECT_EQ(talk.process().ReadLine(), "OK");
  talk.Say(" b\n");
  EXPECT_EQ(talk.process().ReadLine(), "2");
  talk.CloseInput();
  EXPECT_EQ(talk.process().Wait(), 0);
}

TEST_F(KvReplTest, AScanIntoAPipeThatCloses) {
  std::string stores;
  for (int i = 0; i < 20000; ++i) {
    absl::StrAppend(&stores, "store key", i, " ", std::string(100, 'v'), "\n");
  }
  Process process({"apps/kv_repl", "--store=memory:"}, Options(stores + "scan\nscan\n"));
  for (int i = 0; i < 20000; ++i) ASSERT_EQ(process.ReadLine(), "OK");
  EXPECT_THAT(process.ReadLine(), StartsWith("key"));
  process.CloseOutput();
  EXPECT_EQ(process.Wait(), 0);
  EXPECT_EQ(process.Errors(), "");
}

TEST_F(KvReplTest, ASignalEndsItAndClosesTheStore) {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    const std::string store = absl::StrCat("memory:?snapshot=saved", signal, "&save_on_exit=1");
    Conversation talk({"apps/kv_repl", "--store=" + store}, Options(""));
    talk.Say("store a 1\n");
    EXPECT_EQ(talk.process().ReadLine(), "OK");
    talk.process().Signal(signal);
    EXPECT_EQ(talk.process().Wait(), 128 + signal);
    EXPECT_EQ(talk.process().Errors(), "");
    EXPECT_EQ(Repl("get a", {}, store).out, "1\n");
  }
}

TEST_F(KvReplTest, ASignalEndsAWaitForAServer) {
  TestServer server({"apps/kv_server", "--store=memory:"}, dir_);
  Conversation talk({"apps/kv_repl", "--store=" + server.native}, Options(""));
  talk.Say("store a 1\n");
  EXPECT_EQ(talk.process().ReadLine(), "OK");
  server.process.Signal(SIGSTOP);
  talk.Say("get a\n");
  talk.process().Signal(SIGTERM);
  EXPECT_EQ(talk.process().Wait(), 128 + SIGTERM);
  server.process.Signal(SIGCONT);
}

TEST_F(KvReplTest, AStoreThatCannotBeClosedIsAnError) {
  const ProcessResult result =
      Repl("store a 1\n", {}, "memory:?snapshot=none/saved&save_on_exit=1");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("none/saved"));
}

TEST_F(KvReplTest, InspectsASnapshotOfAnIndexAndSaysWhereItIsDamaged) {
  EXPECT_EQ(Repl("store a 1\nsave_index_snapshot 'an index'\n", {}, "sstable:data").exit_code, 0);
  ProcessResult result = Repl("inspect 'an index'\n");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, MatchesRegex("snapshot of the index, [0-9]+ bytes\ntables 1\n"
                                       "table [0-9]+ of [0-9]+ bytes: entries 1, .*\n"));
  const std::string path = absl::StrCat(dir_, "/an index");
  std::string bytes = ReadTestFile(path);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  WriteTestFile(path, bytes);
  result = Repl("inspect 'an index'\n");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("an index: a damaged index at offset 32"));
}

TEST_F(KvReplTest, GetsOutOfADamagedStoreWhatItStillHas) {
  EXPECT_EQ(Repl("store a 1\nflush\nstore b 2\nflush\nstore c 3\n", {}, "sstable:data").exit_code,
            0);
  ProcessResult result = Repl("repair data\nscan\n", {}, "sstable:copy");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "3 keys of 3 versions in 3 tables and 1 logs\na 1\nb 2\nc 3\n");
  std::string table;
  for (const auto& file : std::filesystem::directory_iterator(absl::StrCat(dir_, "/data"))) {
    if (file.path().extension() == ".tbl" && (table.empty() || file.path() < table)) {
      table = file.path();
    }
  }
  std::string bytes = ReadTestFile(table);
  bytes[1] = static_cast<char>(bytes[1] ^ 1);
  WriteTestFile(table, bytes);
  result = Repl("repair data\nscan\n", {}, "sstable:mended");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.out, HasSubstr(".tbl: a damaged block at offset 0; keys from \"a\" to \"a\""));
  EXPECT_THAT(result.out, HasSubstr("\nb 2\nc 3\n"));
  EXPECT_THAT(result.err, HasSubstr("line 1: repair: not all of data could be read (1 loss"));
  result = Repl("repair none\n", {}, "sstable:mended");
  EXPECT_THAT(result.err, HasSubstr("line 1: repair: none: "));
  result = Repl("repair copy\n", {}, "sstable:copy");
  EXPECT_THAT(result.err, HasSubstr("copy: the store is open"));
}

TEST_F(KvReplTest, WorksOnAServedStore) {
  TestServer server({"apps/kv_server", "--store=memory:"}, dir_);
  const ProcessResult result = Repl(
      "store a 1\nstore $'\\0' $'\\xff'\nget a\ndelete a b\nget a\n"
      "scan\ncount\n",
      {"--sync=false"}, server.native);
  EXPECT_EQ(result.out, "OK\nOK\n1\nOK\n(absent)\n(absent)\n$'\\x00' $'\\xff'\n1\n");
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.exit_code, 0);
  const ProcessResult properties = Repl("properties\nstats\n", {}, server.native);
  EXPECT_THAT(properties.out, HasSubstr("\nentries: 1\n"));
  EXPECT_EQ(properties.exit_code, 0);
}

TEST_F(KvReplTest, SaysThatAServerHasGone) {
  TestServer server({"apps/kv_server", "--store=memory:"}, dir_);
  Conversation talk({"apps/kv_repl", "--store=" + server.native}, Options(""));
  talk.Say("store a 1\n");
  EXPECT_EQ(talk.process().ReadLine(), "OK");
  server.process.Signal(SIGKILL);
  server.process.Wait();
  talk.Say("store b 2\nhelp exit\n");
  EXPECT_EQ(talk.process().ReadLine(), "exit");
  talk.CloseInput();
  EXPECT_EQ(talk.process().Wait(), 1);
  EXPECT_THAT(talk.process().Errors(), MatchesRegex("kv_repl: line 2: store: [^\n]+\n"));
}

TEST_F(KvReplTest, StandardDescriptorsThatAreClosed) {
  const auto run = [this](const std::string& redirection) {
    return RunProcess(
        {"/bin/sh", "-c", absl::StrCat("exec apps/kv_repl --store=memory: ", redirection)}, [this] {
          ProcessOptions options = Options("store a 1\nget a\n");
          options.directory = "";
          return options;
        }());
  };
  const ProcessResult no_input = run("<&-");
  EXPECT_EQ(no_input.exit_code, 1);
  EXPECT_EQ(no_input.err, "kv_repl: cannot read the standard input: Bad file descriptor\n");
  const ProcessResult no_output = run(">&-");
  EXPECT_EQ(no_output.exit_code, 1);
  EXPECT_EQ(no_output.err, "kv_repl: cannot write to the standard output: it is closed\n");
  const ProcessResult full = run(">/dev/full");
  EXPECT_EQ(full.exit_code, 1);
  EXPECT_THAT(full.err, StartsWith("kv_repl: cannot write to the standard output"));
}

TEST_F(KvReplTest, TakesLinesOfAnySize) {
  const std::string value(5 << 20, 'v');
  const ProcessResult result = Repl(absl::StrCat("store a ", value, "\nget a\nstore b ",
                                                 std::string(65 << 20, 'v'), "\nget b\n"));
  EXPECT_EQ(result.out, absl::StrCat("OK\n", value, "\n(absent)\n"));
  EXPECT_THAT(result.err, MatchesRegex("kv_repl: line 3: store: [^\n]+\n"));
  EXPECT_EQ(result.exit_code, 1);
}

}  // namespace
}  // namespace kvarts
