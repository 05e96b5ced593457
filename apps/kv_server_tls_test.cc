// Runs the real kv_server and its clients, with TLS and with addresses as people write them.

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/tls/test_certificate.h"

namespace kvarts {
namespace {

using testing::HasSubstr;

class KvServerTlsTest : public testing::Test {
 protected:
  std::string Path(absl::string_view name) const { return absl::StrCat(dir_, "/", name); }
  // kv_server over a memory store, on ports that are free.
  std::unique_ptr<TestServer> Start(std::vector<std::string> args) {
    args.insert(args.begin(), {"apps/kv_server", "--listen=tcp://127.0.0.1:0", "--resp=127.0.0.1:0",
                               "--http=127.0.0.1:0", "--store=memory:"});
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
  const std::string at =
      absl::StrCat("rediss://:secret@", absl::StripPrefix(server->resp, "rediss://"));
  EXPECT_EQ(Client(at + "?ca=good.pem", {"put", "a", "1"}).exit_code, 0);
  EXPECT_EQ(Client(at + "?ca=good.pem", {"get", "a"}).out, "1\n");
  const ProcessResult stranger = Client(at + "?ca=other.pem", {"get", "a"});
  EXPECT_EQ(stranger.exit_code, 1);
  EXPECT_THAT(stranger.err, HasSubstr("certificate"));
  const ProcessResult bench = Run({"apps/kv_bench", absl::StrCat("--store=", at, "?ca=good.pem"),
                                   "--records=100", "--load", "--requests=100", "--mix=get:100"});
  EXPECT_EQ(bench.exit_code, 0) << bench.err;
  const std::string commands = "get a\n";
  ProcessOptions options;
  options.directory = dir_;
  options.input = commands;
  EXPECT_EQ(RunProcess({"apps/kv_repl", absl::StrCat("--store=", at, "?ca=good.pem")}, options).out,
            "1\n");
}

}  // namespace
}  // namespace kvarts
