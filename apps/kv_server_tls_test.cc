// Runs the real kv_server and its clients, with TLS and with addresses as people write them.

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "apps/testing/forwarder.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/tls/test_certificate.h"

namespace kvarts {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

class KvServerTlsTest : public testing::Test {
 protected:
  std::string Path(absl::string_view name) const { return absl::StrCat(dir_, "/", name); }
  // kv_server over a memory store, on ports that are free.
  std::unique_ptr<TestServer> Start(std::vector<std::string> args,
                                    const std::string& store = "memory:") {
    args.insert(args.begin(), {"apps/kv_server", "--listen=tcp://127.0.0.1:0", "--resp=127.0.0.1:0",
                               "--http=127.0.0.1:0", absl::StrCat("--store=", store)});
    return std::make_unique<TestServer>(args, dir_);
  }
  ProcessResult Run(const std::vector<std::string>& command) {
    ProcessOptions options;
    options.directory = dir_;
    return RunProcess(command, options);
  }
  ProcessResult Client(absl::string_view store, std::vector<std::string> args) {
    args.insert(args.begin(), {"apps/kv_client", absl::StrCat("--store=", store)});
    return Run(args);
  }

  const std::string dir_ = TestDirectory();
};

// A kv_repl that stays connected to a store.
class Shell {
 public:
  Shell(absl::string_view store, const std::string& directory) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    commands_ = ends[1];
    ProcessOptions options;
    options.directory = directory;
    options.input_fd = ends[0];
    process_ = std::make_unique<Process>(
        std::vector<std::string>{"apps/kv_repl", absl::StrCat("--store=", store)}, options);
    ::close(ends[0]);
  }
  ~Shell() {
    if (commands_ >= 0) ::close(commands_);
  }
  Shell(const Shell&) = delete;
  Shell& operator=(const Shell&) = delete;

  // The line that answers a command.
  std::string Ask(absl::string_view command) {
    const std::string line = absl::StrCat(command, "\n");
    EXPECT_EQ(::write(commands_, line.data(), line.size()), static_cast<ssize_t>(line.size()));
    return process_->ReadLine();
  }
  void End() {
    ::close(std::exchange(commands_, -1));
    EXPECT_EQ(process_->Wait(), 0) << process_->Errors();
  }

 private:
  int commands_ = -1;
  std::unique_ptr<Process> process_;
};

// What is wrong is one line, bad usage, and says what to write.
void ExpectHostIsMissing(const ProcessResult& result, absl::string_view flag) {
  EXPECT_EQ(result.exit_code, 2) << flag;
  EXPECT_THAT(result.err, HasSubstr(absl::StrCat(flag,
                                                 ": HOST: is missing in front of the port: "
                                                 "127.0.0.1:7379 is for this machine's "
                                                 "clients, 0.0.0.0:7379 for all")));
}

TEST_F(KvServerTlsTest, APortWithoutAHostSaysWhatToWrite) {
  for (const char* flag : {"--resp=7379", "--http=:7379", "--listen=7379", "--listen=tcp://7379"}) {
    ExpectHostIsMissing(Run({"apps/kv_server", "--store=memory:", flag}), flag);
  }
  for (const char* flag : {"--resp=7379", "--internal=7379", "--http=:7379"}) {
    ExpectHostIsMissing(Run({"apps/kv_node", "--coordinator=file:none", flag}), flag);
  }
}

TEST_F(KvServerTlsTest, StoresAreNamedAsRedisClientsNameThem) {
  WriteTestFile(Path("password"), "se:cr@t\n");
  WriteTestCertificate(Path("good"), "IP:127.0.0.1");
  const auto server = Start({"--password_file=password"});
  const std::string named = absl::StrCat("redis://default:se%3Acr%40t@", server->resp, "/0");
  EXPECT_EQ(Client(named, {"put", "a", "1"}).exit_code, 0);
  EXPECT_EQ(
      Client(absl::StrCat("redis://", server->resp, "?password_file=password"), {"get", "a"}).out,
      "1\n");
  const ProcessResult wrong = Client(absl::StrCat("redis://:wrong@", server->resp), {"get", "a"});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.err, HasSubstr("password"));
  const ProcessResult user = Client(absl::StrCat("redis://alice:wrong@", server->resp), {"count"});
  EXPECT_EQ(user.exit_code, 2);
  EXPECT_THAT(user.err, HasSubstr("redis://USER:PASSWORD@127.0.0.1"));
  EXPECT_THAT(user.err, HasSubstr("no user but \"default\" is known"));
  const ProcessResult bench = Run({"apps/kv_bench", "--store=" + named, "--records=100", "--load",
                                   "--requests=100", "--mix=get:100"});
  EXPECT_EQ(bench.exit_code, 0) << bench.err;
}

TEST_F(KvServerTlsTest, RedissIsRespWithTls) {
  WriteTestFile(Path("password"), "secret\n");
  WriteTestCertificate(Path("good"), "IP:127.0.0.1");
  WriteTestCertificate(Path("other"), "IP:127.0.0.1");
  const auto server =
      Start({"--password_file=password", "--tls_cert=good.pem", "--tls_key=good.key"});
  const std::string at = absl::StrCat("rediss://:secret@", server->resp);
  EXPECT_EQ(Client(at + "?ca=good.pem", {"put", "a", "1"}).exit_code, 0);
  EXPECT_EQ(Client(at + "?ca=good.pem", {"get", "a"}).out, "1\n");
  const ProcessResult stranger = Client(at + "?ca=other.pem", {"get", "a"});
  EXPECT_EQ(stranger.exit_code, 1);
  EXPECT_THAT(stranger.err, HasSubstr("certificate"));
  const ProcessResult bench = Run({"apps/kv_bench", absl::StrCat("--store=", at, "?ca=good.pem"),
                                   "--records=100", "--load", "--requests=100", "--mix=get:100"});
  EXPECT_EQ(bench.exit_code, 0) << bench.err;
}

// As it keeps what it was opened with.
TEST_F(KvServerTlsTest, AStoreOverRedissConnectsAgain) {
  WriteTestCertificate(Path("good"), "IP:127.0.0.1");
  const std::string at = absl::StrCat("127.0.0.1:", FreePort());
  const std::vector<std::string> args = {"--tls_cert=good.pem", "--tls_key=good.key",
                                         absl::StrCat("--resp=", at)};
  auto server = Start(args);
  Shell shell(absl::StrCat("rediss://", at, "?ca=good.pem"), dir_);
  EXPECT_EQ(shell.Ask("get a"), "(absent)");
  server->process.Signal(SIGTERM);
  server->process.Wait();
  server = Start(args);
  EXPECT_EQ(shell.Ask("store a 1"), "OK");
  EXPECT_EQ(shell.Ask("get a"), "1");
  shell.End();
}

TEST_F(KvServerTlsTest, TheReadyLineNamesANativePortWithTlsAsClientsDo) {
  WriteTestCertificate(Path("good"), "IP:127.0.0.1");
  const auto server = Start({"--tls_cert=good.pem", "--tls_key=good.key"});
  EXPECT_THAT(server->ready, MatchesRegex("ready native=tls://127\\.0\\.0\\.1:[0-9]+ "
                                          "resp=127\\.0\\.0\\.1:[0-9]+ "
                                          "http=127\\.0\\.0\\.1:[0-9]+"));
  EXPECT_EQ(Client(server->native + "?ca=good.pem", {"put", "a", "1"}).exit_code, 0);
  EXPECT_EQ(Client(absl::StrCat("rediss://", server->resp, "?ca=good.pem"), {"get", "a"}).out,
            "1\n");
  const auto some = Start({"--tls_cert=good.pem", "--tls_key=good.key", "--tls=resp"});
  EXPECT_THAT(some->ready, MatchesRegex("ready native=tcp://127\\.0\\.0\\.1:[0-9]+ "
                                        "resp=127\\.0\\.0\\.1:[0-9]+ "
                                        "http=127\\.0\\.0\\.1:[0-9]+"));
}

TEST_F(KvServerTlsTest, APlainClientIsToldThatThePortHasTls) {
  WriteTestCertificate(Path("good"), "IP:127.0.0.1");
  const auto server = Start({"--tls_cert=good.pem", "--tls_key=good.key"});
  const std::string http = HttpGet(server->http, "/readyz", dir_);
  EXPECT_THAT(http, StartsWith("HTTP/1.1 400 Bad Request\r\n"));
  EXPECT_THAT(http, EndsWith("\r\n\r\n{\"error\":\"a plain HTTP request came to a port that is "
                             "served with TLS: https://\",\"code\":\"bad_request\"}\n"));
  TestSocket resp(server->resp, dir_);
  ASSERT_TRUE(resp.Send("PING\r\n"));
  EXPECT_EQ(resp.ReceiveAll(),
            "-ERR this port is served with TLS: rediss://HOST:PORT, redis-cli --tls\r\n");
  const ProcessResult redis = Client(absl::StrCat("redis://", server->resp), {"get", "a"});
  EXPECT_EQ(redis.exit_code, 1);
  EXPECT_THAT(redis.err, HasSubstr("this port is served with TLS: rediss://"));
  const ProcessResult native =
      Client(absl::StrCat("tcp://", absl::StripPrefix(server->native, "tls://")), {"get", "a"});
  EXPECT_EQ(native.exit_code, 1);
  EXPECT_THAT(native.err, HasSubstr("this port is served with TLS: tls://HOST:PORT"));
}

TEST_F(KvServerTlsTest, AClientWithTlsIsToldThatThePortHasNone) {
  WriteTestCertificate(Path("good"), "IP:127.0.0.1");
  const auto server = Start({});
  for (const std::string& store :
       {absl::StrCat("tls://", absl::StripPrefix(server->native, "tcp://")),
        absl::StrCat("rediss://", server->resp), absl::StrCat("rediss://", server->http)}) {
    const ProcessResult result = Client(store + "?ca=good.pem", {"get", "a"});
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.err, HasSubstr("the server does not speak TLS")) << store;
  }
  const std::string metrics = HttpGet(server->http, "/metrics", dir_);
  for (const char* protocol : {"native", "resp", "http"}) {
    const std::string errors =
        absl::StrCat("kvarts_request_errors_total{protocol=\"", protocol, "\"} ");
    EXPECT_THAT(metrics, HasSubstr(errors));
    EXPECT_THAT(metrics, Not(HasSubstr(errors + "0\n")));
  }
}

TEST_F(KvServerTlsTest, SighupReadsTheCertificateAgainAndConnectionsStay) {
  WriteTestFile(Path("data"), "a 1\n");
  const TestCertificate served = WriteTestCertificate(Path("served"), "IP:127.0.0.1");
  WriteTestFile(Path("old.pem"), ReadTestFile(served.certificate_file));
  const auto server =
      Start({"--tls_cert=served.pem", "--tls_key=served.key", "--watch=0"}, "bisect:data");
  const auto await = [&](absl::string_view sentence) {
    while (!absl::StrContains(server->process.Errors(), sentence)) std::this_thread::yield();
  };
  Shell shell(server->native + "?ca=old.pem", dir_);
  EXPECT_EQ(shell.Ask("get a"), "1");

  WriteTestFile(Path("served.pem"), "nonsense");
  server->process.Signal(SIGHUP);
  await("kv_server: the certificate stays as it was: served.pem: expected a certificate in PEM");
  EXPECT_EQ(Client(server->native + "?ca=old.pem", {"get", "a"}).out, "1\n");

  WriteTestCertificate(Path("served"), "IP:127.0.0.1");
  WriteTestFile(Path("data.new"), "a 2\n");
  ASSERT_EQ(std::rename(Path("data.new").c_str(), Path("data").c_str()), 0);
  server->process.Signal(SIGHUP);
  await("kv_server: served.pem: what connects from now on is shown it as it is now");
  while (Client(server->native + "?ca=served.pem", {"get", "a"}).out != "2\n") {
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_EQ(Client(server->native + "?ca=old.pem", {"get", "a"}).exit_code, 1);
  // It would not come back, as it trusts the old certificate.
  EXPECT_EQ(shell.Ask("get a"), "2");
  shell.End();
}

TEST_F(KvServerTlsTest, ClientsNeedACertificateWhereTheServerAsksForOne) {
  WriteTestCertificate(Path("good"), "IP:127.0.0.1");
  WriteTestCertificate(Path("mine"), "DNS:client");
  WriteTestCertificate(Path("other"), "DNS:client", 3650, "other");
  const auto server =
      Start({"--tls_cert=good.pem", "--tls_key=good.key", "--tls_client_ca=mine.pem"});
  for (const std::string& at : {server->native, absl::StrCat("rediss://", server->resp)}) {
    const std::string store = at + "?ca=good.pem";
    EXPECT_EQ(Client(store + "&cert=mine.pem&key=mine.key", {"put", "a", "1"}).exit_code, 0);
    EXPECT_EQ(Client(store + "&cert=mine.pem&key=mine.key", {"get", "a"}).out, "1\n");
    const ProcessResult none = Client(store, {"get", "a"});
    EXPECT_EQ(none.exit_code, 1);
    EXPECT_THAT(none.err, HasSubstr("the server asks for a certificate of the client"));
    const ProcessResult other = Client(store + "&cert=other.pem&key=other.key", {"get", "a"});
    EXPECT_EQ(other.exit_code, 1);
    EXPECT_THAT(other.err, HasSubstr("does not trust the certificate"));
    EXPECT_EQ(Client(store + "&cert=mine.pem", {"get", "a"}).exit_code, 2);
  }
  const ProcessResult alone =
      Run({"apps/kv_server", "--store=memory:", "--tls_client_ca=mine.pem"});
  EXPECT_EQ(alone.exit_code, 2);
  EXPECT_THAT(alone.err, HasSubstr("--tls_client_ca is for --tls_cert"));
}

}  // namespace
}  // namespace kvarts
