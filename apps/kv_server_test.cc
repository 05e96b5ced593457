// Runs the real kv_server.

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/tls/test_certificate.h"
#include "storage/fs/file_system.h"

namespace kvarts {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

constexpr char kNative[] = "--listen=tcp://127.0.0.1:0";
constexpr char kHttp[] = "--http=127.0.0.1:0";
constexpr char kResp[] = "--resp=127.0.0.1:0";

class KvServerTest : public testing::Test {
 protected:
  KvServerTest() { Write("data", TestData(100)); }

  std::string Path(absl::string_view name) const { return absl::StrCat(dir_, "/", name); }
  void Write(absl::string_view name, absl::string_view contents) {
    WriteTestFile(Path(name), contents);
  }
  // Without RESP, unless `args` say where.
  static std::vector<std::string> Command(std::vector<std::string> args) {
    const bool resp = std::any_of(args.begin(), args.end(), [](const std::string& arg) {
      return absl::StartsWith(arg, "--resp=");
    });
    if (!resp) args.insert(args.begin(), "--resp=");
    args.insert(args.begin(), "apps/kv_server");
    return args;
  }
  std::unique_ptr<TestServer> Start(std::vector<std::string> args,
                                    const ProcessOptions& options = {}) {
    return std::make_unique<TestServer>(Command(std::move(args)), dir_, options);
  }
  ProcessResult Run(std::vector<std::string> args) {
    ProcessOptions options;
    options.directory = dir_;
    return RunProcess(Command(std::move(args)), options);
  }
  ProcessResult Client(const TestServer& server, std::vector<std::string> args) {
    args.insert(args.begin(), {"apps/kv_client", absl::StrCat("--store=", server.native)});
    ProcessOptions options;
    options.directory = dir_;
    return RunProcess(args, options);
  }
  // What RESP answers until the server closes; `requests` are inline ones.
  std::string Resp(absl::string_view address, absl::string_view requests) {
    TestSocket socket(address, dir_);
    EXPECT_TRUE(socket.connected()) << address;
    socket.Send(absl::StrCat(requests, "QUIT\r\n"));
    return socket.ReceiveAll();
  }
  std::string Get(const TestServer& server, absl::string_view target) {
    return HttpGet(server.http, target, dir_);
  }

  const std::string dir_ = TestDirectory();
};

TEST_F(KvServerTest, ServesADataFileToHttpAndToClients) {
  const auto server = Start({kNative, kHttp, kResp, "data"});
  EXPECT_THAT(server->ready, MatchesRegex("ready native=tcp://127\\.0\\.0\\.1:[0-9]+ "
                                          "resp=127\\.0\\.0\\.1:[0-9]+ "
                                          "http=127\\.0\\.0\\.1:[0-9]+"));
  const std::string response = Get(*server, absl::StrCat("/v1/kv/", TestKey(7)));
  EXPECT_THAT(response, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(response, EndsWith("\r\n\r\nvalue 7"));
  EXPECT_THAT(Get(*server, "/v1/kv/none"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Get(*server, "/readyz"), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(Client(*server, {"get", TestKey(7), TestKey(99)}).out, "value 7\nvalue 99\n");
  EXPECT_EQ(Client(*server, {"count"}).out, "100\n");
  EXPECT_EQ(Resp(server->resp, absl::StrCat("GET ", TestKey(7), "\r\nGET none\r\nSET a b\r\n")),
            "$7\r\nvalue 7\r\n$-1\r\n-READONLY You can't write against a read only replica.\r\n"
            "+OK\r\n");
  EXPECT_THAT(server->process.Errors(), HasSubstr("kv_server: data: built the index in "));
  server->process.Signal(SIGTERM);
  EXPECT_EQ(server->process.ReadAll(), "");
  EXPECT_EQ(server->process.Wait(), 0);
}

TEST_F(KvServerTest, EachSignalThatAsksForItsEndDrainsIt) {
  for (const int signal : {SIGTERM, SIGINT, SIGQUIT, SIGXCPU}) {
    const auto server = Start({kNative, "--http=", "data"});
    EXPECT_NE(server->ready, "");
    server->process.Signal(signal);
    EXPECT_EQ(server->process.Wait(), 0) << signal;
  }
}

TEST_F(KvServerTest, ListenersThatAreOffAreNotInTheReadyLine) {
  EXPECT_THAT(Start({kNative, "--http=", "data"})->ready,
              MatchesRegex("ready native=tcp://127\\.0\\.0\\.1:[0-9]+"));
  EXPECT_THAT(Start({"--listen=", kHttp, "data"})->ready,
              MatchesRegex("ready http=127\\.0\\.0\\.1:[0-9]+"));
  EXPECT_THAT(Start({"--listen=", kResp, "--http=", "data"})->ready,
              MatchesRegex("ready resp=127\\.0\\.0\\.1:[0-9]+"));
}

TEST_F(KvServerTest, UnixSocketsAndRelativePathsAreTheUsersUnderBazelRun) {
  ProcessOptions options;
  options.env["BUILD_WORKING_DIRECTORY"] = dir_;
  const auto server = std::make_unique<TestServer>(
      Command({"--listen=unix:n.sock", "--resp=unix:r.sock", "--http=unix:h.sock",
               "--store=bisect:data?index=my.index"}),
      "/", options);
  EXPECT_EQ(server->ready, "ready native=unix:n.sock resp=unix:r.sock http=unix:h.sock");
  EXPECT_EQ(Resp(server->resp, "PING\r\n"), "+PONG\r\n+OK\r\n");
  EXPECT_THAT(Get(*server, absl::StrCat("/v1/kv/", TestKey(7))), EndsWith("value 7"));
  EXPECT_EQ(Client(*server, {"get", TestKey(7)}).out, "value 7\n");
  EXPECT_NE(ReadTestFile(Path("my.index")), "");
  server->process.Signal(SIGINT);
  EXPECT_EQ(server->process.Wait(), 0);
  EXPECT_NE(::access(Path("n.sock").c_str(), F_OK), 0) << "the socket's file was left behind";
  EXPECT_NE(::access(Path("r.sock").c_str(), F_OK), 0);
  EXPECT_NE(::access(Path("h.sock").c_str(), F_OK), 0);
}

TEST_F(KvServerTest, IsAliveAndNotReadyWhileTheIndexIsBuilt) {
  // This test's lock is another process's build to the server.
  auto lock = FileSystem::Posix()->Lock(Path("data.bisect.lock"));
  ASSERT_TRUE(lock.ok()) << lock.status();
  ProcessOptions options;
  options.merge_errors = true;
  options.directory = dir_;
  Process process(
      Command({"--listen=unix:n.sock", "--resp=unix:r.sock", "--http=unix:h.sock", "data"}),
      options);
  EXPECT_EQ(process.ReadLine(),
            "kv_server: data: another process builds the index; waiting for it");
  EXPECT_EQ(Resp("unix:r.sock", "PING\r\nGET a\r\n"),
            "-LOADING kvarts is loading the dataset in memory\r\n"
            "-LOADING kvarts is loading the dataset in memory\r\n+OK\r\n");
  EXPECT_THAT(Resp("unix:r.sock", "INFO persistence\r\n"), HasSubstr("\r\nloading:1\r\n"));
  EXPECT_THAT(HttpGet("unix:h.sock", "/livez", dir_), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(HttpGet("unix:h.sock", "/readyz", dir_), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(HttpGet("unix:h.sock", "/v1/kv/a", dir_), StartsWith("HTTP/1.1 503 "));
  lock->reset();
  while (!absl::StartsWith(process.ReadLine(), "ready ")) {
  }
  EXPECT_THAT(HttpGet("unix:h.sock", "/readyz", dir_), StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(Resp("unix:r.sock", "PING\r\n"), "+PONG\r\n+OK\r\n");
}

TEST_F(KvServerTest, ASignalEndsItBeforeItIsReadyToo) {
  auto lock = FileSystem::Posix()->Lock(Path("data.bisect.lock"));
  ASSERT_TRUE(lock.ok()) << lock.status();
  ProcessOptions options;
  options.merge_errors = true;
  options.directory = dir_;
  Process process(Command({"--listen=unix:n.sock", "--http=", "data"}), options);
  EXPECT_THAT(process.ReadLine(), HasSubstr("another process"));
  process.Signal(SIGTERM);
  EXPECT_EQ(process.Wait(), 0);
  EXPECT_EQ(process.ReadAll(), "");
  EXPECT_NE(::access(Path("n.sock").c_str(), F_OK), 0);
}

TEST_F(KvServerTest, TwoServersThatStartAtOnceBuildTheIndexOnce) {
  Write("data", TestData(50'000));
  ProcessOptions options;
  options.merge_errors = true;
  options.directory = dir_;
  Process one(Command({kNative, kHttp, "data"}), options);
  Process two(Command({kNative, kHttp, "data"}), options);
  int built = 0;
  for (Process* process : {&one, &two}) {
    std::string line;
    do {
      line = process->ReadLine();
      ASSERT_NE(line, "") << "it ended";
      if (absl::StrContains(line, "built the index in")) ++built;
    } while (!absl::StartsWith(line, "ready "));
  }
  EXPECT_EQ(built, 1);
}

TEST_F(KvServerTest, DrainingEndsWhatIsUnderWay) {
  const std::string value(64 << 20, 'v');
  Write("large", absl::StrCat("key ", value, "\n"));
  const auto server = Start({kNative, kHttp, "large"});
  TestSocket busy(server->http, dir_);
  TestSocket idle(server->http, dir_);
  TestSocket native(server->native, dir_);
  busy.Send("GET /v1/kv/key HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string start = busy.Receive(100);
  EXPECT_THAT(start, StartsWith("HTTP/1.1 200 "));
  server->process.Signal(SIGTERM);
  EXPECT_EQ(idle.ReceiveAll(), "");
  native.ReceiveAll();
  // It does not listen any more, and goes on with what was under way.
  EXPECT_FALSE(TestSocket(server->http, dir_).connected());
  const std::string rest = busy.ReceiveAll();
  EXPECT_EQ(start.size() + rest.size(), (start + rest).find("\r\n\r\n") + 4 + value.size());
  EXPECT_EQ(server->process.Wait(), 0);
}

TEST_F(KvServerTest, ASecondSignalEndsItAtOnce) {
  Write("large", absl::StrCat("key ", std::string(64 << 20, 'v'), "\n"));
  const auto server = Start({"--listen=", kHttp, "large"});
  TestSocket stalled(server->http, dir_);
  TestSocket idle(server->http, dir_);
  stalled.Send("GET /v1/kv/key HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(stalled.Receive(1), "H");
  server->process.Signal(SIGTERM);
  EXPECT_EQ(idle.ReceiveAll(), "");  // it drains
  server->process.Signal(SIGTERM);
  EXPECT_EQ(server->process.Wait(), 128 + SIGTERM);
}

TEST_F(KvServerTest, PasswordsAreAskedForOverTheNativeProtocol) {
  Write("password", "secret\n");
  Write("wrong", "public\n");
  auto server = Start({kNative, "--http=", "--password_file=password", "data"});
  EXPECT_EQ(Client(*server, {"count"}).exit_code, 1);
  const std::string address = server->native;
  server->native = absl::StrCat(address, "?password_file=wrong");
  EXPECT_EQ(Client(*server, {"count"}).exit_code, 1);
  server->native = absl::StrCat(address, "?password_file=password");
  EXPECT_EQ(Client(*server, {"count"}).out, "100\n");
}

TEST_F(KvServerTest, ThePasswordIsAskedForOverRespToo) {
  Write("password", "secret\n");
  const auto server = Start({"--listen=", "--http=", kResp, "--password_file=password", "data"});
  EXPECT_EQ(Resp(server->resp, "PING\r\nAUTH public\r\nPING\r\nAUTH secret\r\nPING\r\n"),
            "-NOAUTH Authentication required.\r\n"
            "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
            "-NOAUTH Authentication required.\r\n+OK\r\n+PONG\r\n+OK\r\n");
}

TEST_F(KvServerTest, ThePasswordIsAskedForOverHttpTooButNotForHealth) {
  Write("password", "secret\n");
  const auto server = Start({"--listen=", kHttp, "--password_file=password", "data"});
  const auto ask = [&](absl::string_view target, absl::string_view authorization) {
    TestSocket socket(server->http, dir_);
    socket.Send(absl::StrCat("GET ", target, " HTTP/1.0\r\n", authorization, "\r\n"));
    return socket.ReceiveAll();
  };
  const std::string key = absl::StrCat("/v1/kv/", TestKey(7));
  EXPECT_THAT(ask(key, ""), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(ask("/metrics", ""), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(ask(key, "Authorization: Bearer public\r\n"), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(ask(key, "Authorization: Bearer secret\r\n"), EndsWith("value 7"));
  EXPECT_THAT(ask(key, "Authorization: Basic dXNlcjpzZWNyZXQ=\r\n"), EndsWith("value 7"));
  EXPECT_THAT(ask("/livez", ""), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(ask("/readyz", ""), StartsWith("HTTP/1.1 200 "));
}

TEST_F(KvServerTest, ClientsAboveTheCapAreTurnedAwayAndIdleOnesLetGo) {
  const auto server = Start({"--listen=", "--http=", kResp, "--max_clients=2", "data"});
  TestSocket one(server->resp, dir_);
  TestSocket two(server->resp, dir_);
  for (TestSocket* socket : {&one, &two}) {
    socket->Send("PING\r\n");
    EXPECT_EQ(socket->Receive(7), "+PONG\r\n");
  }
  // In words that clients know; what they had sent does not have the connection reset before.
  TestSocket three(server->resp, dir_);
  three.Send("PING\r\n");
  EXPECT_EQ(three.ReceiveAll(), "-ERR max number of clients reached\r\n");
  one.Send("PING\r\n");
  EXPECT_EQ(one.Receive(7), "+PONG\r\n");

  const auto impatient = Start({"--listen=", "--http=", kResp, "--idle_timeout=50ms", "data"});
  EXPECT_EQ(TestSocket(impatient->resp, dir_).ReceiveAll(), "");
  EXPECT_EQ(Run({"--max_clients=0", "data"}).exit_code, 2);
  EXPECT_EQ(Run({"--idle_timeout=soon", "data"}).exit_code, 2);
  EXPECT_EQ(Run({"--script_timeout=soon", "data"}).exit_code, 2);
  EXPECT_EQ(Run({"--script_timeout=0", "data"}).exit_code, 2);
}

TEST_F(KvServerTest, WiderThanThisMachineTakesAPasswordOrAFlag) {
  Write("password", "secret\n");
  EXPECT_EQ(Run({"--listen=tcp://0.0.0.0:0", "--http=", "data"}).exit_code, 2);
  EXPECT_EQ(Run({"--listen=tcp://[::]:0", "--http=", "data"}).exit_code, 2);
  EXPECT_EQ(Run({"--listen=", "--resp=0.0.0.0:0", "--http=", "data"}).exit_code, 2);
  EXPECT_THAT(
      Start({"--listen=", "--resp=0.0.0.0:0", "--http=", "--password_file=password", "data"})
          ->ready,
      StartsWith("ready resp=0.0.0.0:"));
  EXPECT_EQ(Run({"--listen=", "--http=0.0.0.0:0", "data"}).exit_code, 2);
  EXPECT_THAT(Start({"--listen=", "--http=0.0.0.0:0", "--password_file=password", "data"})->ready,
              StartsWith("ready http=0.0.0.0:"));
  EXPECT_THAT(
      Start({"--listen=tcp://0.0.0.0:0", "--http=", "--password_file=password", "data"})->ready,
      StartsWith("ready native=tcp://0.0.0.0:"));
  EXPECT_THAT(Start({"--listen=", "--http=0.0.0.0:0", "--insecure_listen", "data"})->ready,
              StartsWith("ready http=0.0.0.0:"));
}

TEST_F(KvServerTest, TheStartupBenchmarkIsPrintedBeforeItServes) {
  ProcessOptions options;
  options.directory = dir_;
  Process process(Command({kNative, kHttp, "--startup_benchmark", "data"}), options);
  EXPECT_THAT(process.ReadLine(), MatchesRegex("index: [0-9.]+ s"));
  EXPECT_EQ(process.ReadLine(), "entries: 100");
  EXPECT_THAT(process.ReadLine(), MatchesRegex("single lookups: [0-9.]+ us each, .*/s"));
  EXPECT_THAT(process.ReadLine(), MatchesRegex("batches of 64: [0-9.]+ us each, .*/s"));
  EXPECT_THAT(process.ReadLine(), StartsWith("ready native="));
}

TEST_F(KvServerTest, SeveralProcessesShareAPort) {
  const auto one = Start({kNative, kHttp, kResp, "--reuse_port", "data"});
  const std::string native = absl::StrCat("--listen=", one->native);
  const std::string resp = absl::StrCat("--resp=", one->resp);
  const std::string http = absl::StrCat("--http=", one->http);
  const auto two = Start({native, http, resp, "--reuse_port", "data"});
  EXPECT_EQ(two->ready, one->ready);
  for (int i = 0; i < 20; ++i) EXPECT_THAT(Get(*one, "/readyz"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(KvServerTest, AnAddressThatIsTakenIsOneLineAndExit1) {
  const auto one = Start({kNative, kHttp, kResp, "data"});
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {kNative, absl::StrCat("--http=", one->http), "data"},
           {kNative, kHttp, absl::StrCat("--resp=", one->resp), "data"},
           {absl::StrCat("--listen=", one->native), kHttp, "data"}}) {
    const ProcessResult result = Run(args);
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.err, StartsWith("kv_server: --"));
    EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
    EXPECT_EQ(result.out, "");
  }
}

TEST_F(KvServerTest, AServerServesAServer) {
  const auto one = Start({kNative, "--http=", "data"});
  const auto two = Start({kNative, kHttp, absl::StrCat("--store=", one->native)});
  EXPECT_THAT(Get(*two, absl::StrCat("/v1/kv/", TestKey(7))), EndsWith("value 7"));
  EXPECT_EQ(Client(*two, {"get", TestKey(8)}).out, "value 8\n");
  one->process.Signal(SIGKILL);
  one->process.Wait();
}

TEST_F(KvServerTest, AStaleIndexIsBuiltAnew) {
  Start({kNative, kHttp, "data"});
  Write("data", TestData(101));
  const auto server = Start({kNative, kHttp, "data"});
  EXPECT_EQ(Client(*server, {"count"}).out, "101\n");
  EXPECT_THAT(server->process.Errors(), HasSubstr("built the index"));
}

TEST_F(KvServerTest, ADataFileThatShrinksIsAnErrorAndNoCrash) {
  Write("data", TestData(10'000));
  const auto server = Start({kNative, kHttp, "data"});
  ASSERT_EQ(::truncate(Path("data").c_str(), 4096), 0);
  EXPECT_THAT(Get(*server, absl::StrCat("/v1/kv/", TestKey(9999))), StartsWith("HTTP/1.1 5"));
  const ProcessResult gone = Client(*server, {"get", TestKey(9999), TestKey(1)});
  EXPECT_EQ(gone.exit_code, 1);
  EXPECT_EQ(gone.out, "value 1\n");
  EXPECT_THAT(gone.err, HasSubstr("the data file has 4096 bytes"));
  EXPECT_THAT(Get(*server, absl::StrCat("/v1/kv/", TestKey(0))), EndsWith("value 0"));
  EXPECT_THAT(Get(*server, "/livez"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(KvServerTest, AFolderThatMayNotBeWrittenSaysWhatToDo) {
  ASSERT_EQ(::mkdir(Path("folder").c_str(), 0700), 0);
  Write("folder/my data", "a 1\n");
  ASSERT_EQ(::chmod(Path("folder").c_str(), 0500), 0);
  ProcessOptions options;
  options.directory = dir_;
  options.obeys_permissions = true;
  const ProcessResult result = RunProcess(Command({kNative, "--http=", "folder/my data"}), options);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.err,
            "kv_server: folder/my data: there is no index to serve it by, and none can be written: "
            "folder/my data.bisect.lock: open: Permission denied; put it elsewhere: "
            "--store='bisect:folder/my%20data?index=PATH'; or have it in memory: "
            "--store=dict:folder/my%20data\n");
  // What it says to do is what helps.
  for (const char* store :
       {"--store=bisect:folder/my%20data?index=index", "--store=dict:folder/my%20data"}) {
    const auto server = Start({kNative, "--http=", store}, options);
    EXPECT_EQ(Client(*server, {"get", "a"}).out, "1\n") << store;
  }
  // An index that is there needs no folder that may be written.
  ASSERT_EQ(::chmod(Path("folder").c_str(), 0700), 0);
  ASSERT_EQ(::rename(Path("index").c_str(), Path("folder/my data.bisect").c_str()), 0);
  ASSERT_EQ(::chmod(Path("folder").c_str(), 0500), 0);
  EXPECT_EQ(Client(*Start({kNative, "--http=", "folder/my data"}, options), {"get", "a"}).out,
            "1\n");
  ASSERT_EQ(::chmod(Path("folder").c_str(), 0700), 0);
}

TEST_F(KvServerTest, FailureIsOneLineAndExit1) {
  Write("malformed", "a 1\nmalformed\n");
  const std::vector<std::string> paths = {"none", ".", "none/none", "malformed"};
  for (const std::string& path : paths) {
    const ProcessResult result = Run({kNative, kHttp, path});
    EXPECT_EQ(result.exit_code, 1) << path;
    EXPECT_THAT(result.err, StartsWith(absl::StrCat("kv_server: ", path)));
    EXPECT_EQ(result.out, "");
  }
  EXPECT_EQ(Run({kNative, kHttp, "none"}).err,
            "kv_server: none: stat: No such file or directory\n");
  EXPECT_THAT(Run({kNative, kHttp, "malformed"}).err, HasSubstr("malformed, line 2 "));
  EXPECT_THAT(Start({kNative, kHttp, "--skip_malformed", "malformed"})->ready, StartsWith("ready"));
  EXPECT_EQ(Run({kNative, kHttp, "--password_file=none", "data"}).exit_code, 1);
  EXPECT_EQ(Run({kNative, kHttp, "--store=unix:nobody"}).exit_code, 1);
}

TEST_F(KvServerTest, BadUsageIsOneLineAndExit2) {
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {},
           {kNative, kHttp, "data", "more"},
           {kNative, kHttp, "data", "--store=bisect:data"},
           {kNative, kHttp, ""},
           {kNative, kHttp, "--store=data"},
           {kNative, kHttp, "--store=riddles:data"},
           {kNative, kHttp, "--store=bisect:data?x=1"},
           {kNative, kHttp, "--store=bisect:"},
           {"--listen=", "--http=", "data"},
           {"--listen=nonsense", kHttp, "data"},
           {"--listen=tcp://127.0.0.1:70000", kHttp, "data"},
           {"--listen=tcp://127.0.0.1", kHttp, "data"},
           {kNative, "--http=127.0.0.1:x", "data"},
           {kNative, "--http=unix:", "data"},
           {kNative, kHttp, "--resp=127.0.0.1", "data"},
           {kNative, kHttp, "--threads=x", "data"},
           {kNative, kHttp, "--threads=-1", "data"},
           {kNative, kHttp, "--nosuch", "data"},
           {kNative, kHttp, "data", "--listen"},
       }) {
    const ProcessResult result = Run(args);
    EXPECT_EQ(result.exit_code, 2) << absl::StrJoin(args, " ") << ": " << result.err;
    EXPECT_THAT(result.err, StartsWith("kv_server: "));
    EXPECT_THAT(result.err, EndsWith(" (kv_server --help shows the usage)\n"));
    EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
    EXPECT_EQ(result.out, "");
  }
}

TEST_F(KvServerTest, HelpAndVersionExit0) {
  const ProcessResult help = Run({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_EQ(help.err, "");
  for (const char* text :
       {"kv_server [FLAGS] DATA_FILE", "--listen=tcp://127.0.0.1:7700", "requests of 80 MiB",
        "10 arguments of 16 KiB", "--http=127.0.0.1:7780", "--resp=127.0.0.1:7379",
        "--threads=", "--reuse_port=", "--startup_benchmark=", "bisect:DATA_FILE"}) {
    EXPECT_THAT(help.out, HasSubstr(text));
  }
  const ProcessResult version = Run({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.out, MatchesRegex("kv_server [0-9.]+\n"));
}

TEST_F(KvServerTest, ServesWithTlsToClientsThatTrustItsCertificate) {
  const TestCertificate good = WriteTestCertificate(Path("good"), "IP:127.0.0.1");
  const TestCertificate other = WriteTestCertificate(Path("other"), "IP:127.0.0.1");
  Write("password", "secret\n");
  const auto server = Start({kNative, kHttp, "--tls_cert=good.pem", "--tls_key=good.key",
                             "--tls=listen", "--password_file=password", "data"});
  const std::string host = std::string(absl::StripPrefix(server->native, "tls://"));
  const auto client = [&](const std::string& store) {
    ProcessOptions options;
    options.directory = dir_;
    return RunProcess({"apps/kv_client", absl::StrCat("--store=", store), "get", TestKey(7)},
                      options);
  };
  const std::string with_password = "&password_file=password";
  EXPECT_EQ(client(absl::StrCat("tls://", host, "?ca=good.pem", with_password)).out, "value 7\n");
  const ProcessResult stranger =
      client(absl::StrCat("tls://", host, "?ca=other.pem", with_password));
  EXPECT_EQ(stranger.exit_code, 1);
  EXPECT_THAT(stranger.err, HasSubstr("certificate"));
  const ProcessResult no_password = client(absl::StrCat("tls://", host, "?ca=good.pem"));
  EXPECT_EQ(no_password.exit_code, 1);
  EXPECT_THAT(no_password.err, HasSubstr("password"));
  const ProcessResult no_file = client(absl::StrCat("tls://", host, "?ca=nowhere.pem"));
  EXPECT_EQ(no_file.exit_code, 1);
  EXPECT_THAT(no_file.err, HasSubstr("nowhere.pem: no such file"));
  const ProcessResult plain = client(absl::StrCat("tcp://", host, "?password_file=password"));
  EXPECT_EQ(plain.exit_code, 1);
  // HTTP was not asked to.
  EXPECT_THAT(Get(*server, "/readyz"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(KvServerTest, FlagsOfTlsThatCannotWorkAreBadUsageOrNameTheFile) {
  WriteTestCertificate(Path("good"), "IP:127.0.0.1");
  const struct {
    std::vector<std::string> args;
    int exit_code;
    const char* error;
  } cases[] = {
      {{"--tls_cert=good.pem", "data"}, 2, "--tls_cert and --tls_key are given together"},
      {{"--tls_key=good.key", "data"}, 2, "--tls_cert and --tls_key are given together"},
      {{"--tls=listen,ftp", "data"}, 2, "--tls=listen,ftp: expected a list of"},
      {{"--tls_cert=none.pem", "--tls_key=good.key", "data"}, 1, "none.pem: no such file"},
      {{"--tls_cert=good.pem", "--tls_key=data", "data"}, 1, "data: expected the private key"},
  };
  for (const auto& c : cases) {
    const ProcessResult result = Run(c.args);
    EXPECT_EQ(result.exit_code, c.exit_code) << result.err;
    EXPECT_THAT(result.err, HasSubstr(c.error));
    EXPECT_EQ(result.out, "");
  }
}

}  // namespace
}  // namespace kvarts
