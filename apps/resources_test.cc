// The programs, where the system has something not to give: threads, descriptors, room in a
// file, standard descriptors. Each is an error of who asked for it, in one line.

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

std::string Absolute(absl::string_view path) {
  char* const directory = ::getcwd(nullptr, 0);
  std::string absolute = absl::StrCat(directory, "/", path);
  std::free(directory);
  return absolute;
}

// `command` behind a shell's `setup`: limits, redirections.
std::vector<std::string> InShell(absl::string_view setup, absl::string_view redirections,
                                 const std::vector<std::string>& command) {
  std::vector<std::string> shell = {"/bin/sh", "-c",
                                    absl::StrCat(setup, "; exec \"$0\" \"$@\" ", redirections),
                                    Absolute(command[0])};
  shell.insert(shell.end(), command.begin() + 1, command.end());
  return shell;
}

class ResourcesTest : public testing::Test {
 protected:
  ResourcesTest() {
    WriteTestFile(dir_ + "/data", TestData(2000));
    std::string rows;
    for (int i = 0; i < 40000; ++i) {
      absl::StrAppend(&rows, "key", i % 9999, "\tvalue ", i, std::string(100, 'v'), "\n");
    }
    WriteTestFile(dir_ + "/rows", rows);
    EXPECT_EQ(RunProcess({"apps/kv_build", "data"}, Here()).exit_code, 0);
  }

  ProcessOptions Here() const {
    ProcessOptions options;
    options.directory = dir_;
    return options;
  }
  ProcessOptions WithThreads(int threads) const {
    ProcessOptions options = Here();
    options.env["LD_PRELOAD"] = Absolute("apps/testing/libthread_limit.so");
    options.env["KVARTS_THREAD_LIMIT"] = absl::StrCat(threads);
    // A preloaded library comes before the runtime of AddressSanitizer.
    const char* const asan = std::getenv("ASAN_OPTIONS");
    options.env["ASAN_OPTIONS"] =
        absl::StrCat(asan == nullptr ? "" : asan, ":verify_asan_link_order=0");
    return options;
  }
  // Programs that end by themselves.
  static std::vector<std::vector<std::string>> Programs() {
    const std::vector<std::string> group = {"apps/group_by", "--input=rows", "--threads=4"};
    std::vector<std::vector<std::string>> all = {
        {"apps/kv_build", "data", "--memory=8MiB"},
        {"apps/kv_client", "--store=bisect:data", "count"},
        {"apps/kv_client", "--store=dict:data", "count"},
        {"apps/kv_bench", "--store=memory:", "--load", "--records=1000", "--requests=1000",
         "--threads=2", "--json"}};
    for (const std::vector<std::string>& flags : std::vector<std::vector<std::string>>{
             {"--order=any"},
             {"--order=any", "--memory=2MiB", "--temp_dir=."},
             {"--aggregate=count,maxtext", "--order=key"},
             {"--aggregate=count,maxtext", "--memory=2MiB", "--temp_dir=."},
             {"--order=key"},
             {"--order=key", "--algorithm=sorted_runs", "--memory=4MiB", "--temp_dir=."}}) {
      all.push_back(group);
      all.back().insert(all.back().end(), flags.begin(), flags.end());
    }
    return all;
  }
  static std::string SortedLines(const std::string& text) {
    std::vector<std::string> lines = absl::StrSplit(text, '\n');
    std::sort(lines.begin(), lines.end());
    return absl::StrJoin(lines, "\n");
  }
  static std::string Name(const std::vector<std::string>& command) {
    return command[0].substr(command[0].rfind('/') + 1);
  }
  // It did its work, or says in one line why not, behind its progress where it is slow.
  static void CheckEnded(const ProcessResult& result, const std::string& name) {
    if (result.exit_code == 0) return;
    EXPECT_EQ(result.exit_code, 1) << result.err;
    EXPECT_THAT(result.err, MatchesRegex(absl::StrCat("(reading: [^\n]+\n)*", name, ": [^\n]+\n")));
  }
  // What RESP answers until the server closes; `requests` are inline ones.
  std::string Ask(const TestServer& server, absl::string_view requests) const {
    TestSocket socket(server.resp, dir_);
    EXPECT_TRUE(socket.connected());
    socket.Send(absl::StrCat(requests, "QUIT\r\n"));
    return socket.ReceiveAll();
  }

  const std::string dir_ = TestDirectory();
};

TEST_F(ResourcesTest, FewerThreadsDoTheSameOrAreAnError) {
  for (const std::vector<std::string>& command : Programs()) {
    const ProcessResult wanted = RunProcess(command, Here());
    ASSERT_EQ(wanted.exit_code, 0) << absl::StrJoin(command, " ") << wanted.err;
    for (const int threads : {0, 1, 2, 3, 5}) {
      SCOPED_TRACE(absl::StrCat(absl::StrJoin(command, " "), " with ", threads, " threads"));
      const ProcessResult result = RunProcess(command, WithThreads(threads));
      CheckEnded(result, Name(command));
      if (Name(command) != "group_by") continue;
      // It runs on a thread of its own. Its workers do with fewer; the shards that sort lists
      // by key, each of which waits for all others, do not.
      if (threads > 0 && command[3] != "--order=key") {
        EXPECT_EQ(result.exit_code, 0) << result.err;
      }
      if (result.exit_code != 0) continue;
      EXPECT_EQ(SortedLines(result.out), SortedLines(wanted.out));
    }
  }
}

// Ending takes no more threads than there were.
TEST_F(ResourcesTest, AServerThatMayStartNoMoreThreadsSavesItsData) {
  const std::vector<std::string> command = {"apps/kv_server",
                                            "--store=memory:?snapshot=saved&save_on_exit=1",
                                            "--listen=tcp://127.0.0.1:0",
                                            "--http=127.0.0.1:0",
                                            "--resp=127.0.0.1:0",
                                            "--threads=2"};
  bool ready = false;
  for (int threads = 0; threads < 10 && !ready; ++threads) {
    SCOPED_TRACE(absl::StrCat(threads, " threads"));
    TestServer server(command, dir_, WithThreads(threads));
    ready = !server.ready.empty();
    if (!ready) {
      EXPECT_EQ(server.process.Wait(), 1);
      EXPECT_THAT(server.process.Errors(), MatchesRegex("kv_server: [^\n]*threads[^\n]+\n"));
      continue;
    }
    // An expiry would be swept by a thread; a snapshot in the background has one.
    EXPECT_EQ(Ask(server, "SET a 1\r\nSET b 2 PX 1\r\nSET c 3 PX 100000000\r\nGET a\r\n"),
              "+OK\r\n+OK\r\n+OK\r\n$1\r\n1\r\n+OK\r\n");
    EXPECT_THAT(Ask(server, "BGSAVE\r\n"), HasSubstr("the system has no more threads"));
    // Asio would look a name up on a thread of its own.
    for (const char* const scheme : {"tcp", "resp"}) {
      const ProcessResult client = RunProcess(
          {"apps/kv_client", absl::StrCat("--store=", scheme, "://localhost:1"), "count"},
          WithThreads(1));
      EXPECT_EQ(client.exit_code, 1);
      EXPECT_THAT(client.err, MatchesRegex("kv_client: [^\n]+\n"));
    }
    server.process.Signal(SIGTERM);
    EXPECT_EQ(server.process.Wait(), 0);
    EXPECT_THAT(ReadTestFile(dir_ + "/saved"), StartsWith("KVSNAPSH"));
  }
  EXPECT_TRUE(ready);
}

TEST_F(ResourcesTest, MoreThreadsThanThereAreDescriptorsIsAnErrorOfTheFlag) {
  if (std::getenv("UBSAN_OPTIONS") != nullptr) {
    GTEST_SKIP() << "UBSan looks at objects through a pipe, for which there is no descriptor";
  }
  const ProcessResult result = RunProcess(InShell("ulimit -n 64", "",
                                                  {"apps/kv_server", "data", "--threads=100",
                                                   "--resp=127.0.0.1:0", "--listen=", "--http="}),
                                          Here());
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, MatchesRegex("kv_server: --threads=100: [^\n]+Too many open files\n"));
}

TEST_F(ResourcesTest, FewerDescriptorsAreAnError) {
  if (std::getenv("UBSAN_OPTIONS") != nullptr) {
    GTEST_SKIP() << "UBSan looks at objects through a pipe, for which there is no descriptor";
  }
  std::vector<std::vector<std::string>> commands = Programs();
  commands.push_back({"apps/kv_server", "--store=memory:?max_memory=none",
                      "--listen=", "--http=", "--resp=127.0.0.1:0"});
  for (const std::vector<std::string>& command : commands) {
    for (int limit = 3; limit < 16; ++limit) {
      SCOPED_TRACE(absl::StrCat(absl::StrJoin(command, " "), " with ", limit, " descriptors"));
      const ProcessResult result =
          RunProcess(InShell(absl::StrCat("ulimit -n ", limit), "", command), Here());
      // Where the loader cannot open its libraries the program has not begun, which is 127.
      if (result.exit_code == 127) continue;
      if (result.exit_code == 2) continue;  // kv_server's option, which has it end
      CheckEnded(result, Name(command));
    }
  }
}

TEST_F(ResourcesTest, ALimitOfFileSizeIsAnErrorOfTheSave) {
  TestServer server(InShell("ulimit -f 16", "",
                            {"apps/kv_server", "--store=memory:?snapshot=limited",
                             "--listen=", "--http=127.0.0.1:0", "--resp=127.0.0.1:0"}),
                    dir_);
  ASSERT_NE(server.ready, "") << server.process.Errors();
  EXPECT_EQ(Ask(server, "SET a 1\r\nSAVE\r\n"), "+OK\r\n+OK\r\n+OK\r\n");
  EXPECT_THAT(Ask(server, "INFO persistence\r\n"), HasSubstr("rdb_last_bgsave_status:ok"));
  EXPECT_THAT(HttpGet(server.http, "/metrics", dir_), HasSubstr("\nkvarts_store_save_failed 0\n"));
  Ask(server, absl::StrCat("SET large ", std::string(60000, 'x'), "\r\n"));
  EXPECT_THAT(Ask(server, "SAVE\r\n"), MatchesRegex("-ERR [^\r]+File too large\r\n.*"));
  EXPECT_THAT(Ask(server, "INFO persistence\r\n"), HasSubstr("rdb_last_bgsave_status:err"));
  EXPECT_THAT(HttpGet(server.http, "/metrics", dir_), HasSubstr("\nkvarts_store_save_failed 1\n"));
  EXPECT_THAT(HttpGet(server.http, "/v1/stats", dir_), HasSubstr("File too large"));
  EXPECT_EQ(Ask(server, "BGSAVE\r\n"), "+Background saving started\r\n+OK\r\n");
  for (std::string info; !absl::StrContains(info, "rdb_bgsave_in_progress:0");) {
    info = Ask(server, "INFO persistence\r\n");
    ASSERT_NE(info, "") << "the server is gone";
  }
  EXPECT_EQ(Ask(server, "DEL large\r\nSAVE\r\nGET a\r\n"), ":1\r\n+OK\r\n$1\r\n1\r\n+OK\r\n");
  EXPECT_THAT(Ask(server, "INFO persistence\r\n"), HasSubstr("rdb_last_bgsave_status:ok"));
  server.process.Signal(SIGTERM);
  EXPECT_EQ(server.process.Wait(), 0);
}

// The index that does not fit is not swapped in, and the old one is served.
TEST_F(ResourcesTest, ALimitOfFileSizeIsAnErrorOfTheSwap) {
  TestServer server(InShell("ulimit -f 64", "",
                            {"apps/kv_server", "data", "--listen=", "--http=", "--resp=127.0.0.1:0",
                             "--watch=1ms"}),
                    dir_);
  ASSERT_NE(server.ready, "") << server.process.Errors();
  WriteTestFile(dir_ + "/next", TestData(20000));
  ASSERT_EQ(::rename((dir_ + "/next").c_str(), (dir_ + "/data").c_str()), 0);
  while (!absl::StrContains(server.process.Errors(), "the old data are still served: ")) {
  }
  EXPECT_THAT(server.process.Errors(), HasSubstr("File too large"));
  EXPECT_EQ(Ask(server, absl::StrCat("GET ", TestKey(7), "\r\nGET ", TestKey(7777), "\r\n")),
            "$7\r\nvalue 7\r\n$-1\r\n+OK\r\n");
}

TEST_F(ResourcesTest, ALimitOfFileSizeIsAnErrorOfTheOutput) {
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"apps/kv_build", "data"},
           {"apps/group_by", "--input=rows", "--output=groups"},
           {"apps/group_by", "--input=rows", "--memory=2MiB", "--temp_dir=."}}) {
    SCOPED_TRACE(absl::StrJoin(command, " "));
    ::unlink((dir_ + "/data.bisect").c_str());
    const ProcessResult result = RunProcess(InShell("ulimit -f 8", "> /dev/null", command), Here());
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.err, MatchesRegex(absl::StrCat(Name(command), ": [^\n]+File too large\n")));
    EXPECT_NE(::access((dir_ + "/groups").c_str(), F_OK), 0);
    EXPECT_NE(::access((dir_ + "/data.bisect").c_str(), F_OK), 0);
  }
}

TEST_F(ResourcesTest, AClosedOutputIsAnErrorWithItsName) {
  const std::vector<std::vector<std::string>> commands = {
      {"apps/kv_build", "data"},
      {"apps/kv_client", "--store=bisect:data", "count"},
      {"apps/kv_client", "--store=bisect:data", "get", TestKey(1)},
      {"apps/kv_client", "--store=bisect:data", "scan"},
      {"apps/kv_bench", "--store=memory:", "--load", "--records=10", "--duration=0"},
      {"apps/group_by", "--input=rows"},
      {"apps/kv_server", "data", "--listen=", "--http=", "--resp=127.0.0.1:0"}};
  for (const std::vector<std::string>& command : commands) {
    SCOPED_TRACE(absl::StrJoin(command, " "));
    for (const char* const closed : {">&-", ">&- <&-"}) {
      const ProcessResult result = RunProcess(InShell(":", closed, command), Here());
      EXPECT_EQ(result.exit_code, 1);
      EXPECT_THAT(result.err, MatchesRegex(absl::StrCat(Name(command), ": [^\n]*output[^\n]+\n")));
      EXPECT_THAT(result.err, AnyOf(HasSubstr("closed"), HasSubstr("Bad file descriptor")));
    }
    // Nothing of it goes to where errors are told; that it failed the exit status says.
    EXPECT_EQ(RunProcess(InShell(":", ">&- 2>&- <&-", command), Here()).exit_code, 1);
  }
}

TEST_F(ResourcesTest, AClosedInputIsAnErrorWithItsName) {
  const std::vector<std::string> command = {"apps/group_by"};
  const ProcessResult result = RunProcess(InShell(":", "<&-", command), Here());
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, MatchesRegex("group_by: [^\n]*input[^\n]+\n"));
  EXPECT_EQ(result.out, "");
}

// Their numbers are nobody else's: what is written to stderr does not go into a file.
TEST_F(ResourcesTest, ClosedErrorsAreLost) {
  for (const std::vector<std::string>& command : Programs()) {
    SCOPED_TRACE(absl::StrJoin(command, " "));
    const ProcessResult result = RunProcess(InShell(":", "2>&-", command), Here());
    EXPECT_EQ(result.exit_code, 0);
  }
  EXPECT_EQ(RunProcess(InShell(":", "2>&-", {"apps/kv_build", "none"}), Here()).exit_code, 1);
}

}  // namespace
}  // namespace kvarts
