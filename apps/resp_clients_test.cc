// Drives the real kv_server with the real clients: redis-cli and redis-benchmark
// (Debian's redis-tools), ioredis and redis (npm, by name and version). They are
// not part of the set-up, hence "manual"; and npm is a user's, with what it takes
// to reach a registry from here, so that this is to be run, not tested:
//   ./bazelw run //apps:resp_clients_test

#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "apps/testing/terminal.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr int kKeys = 1000;

std::string Data() {
  std::string data;
  for (int i = 0; i < kKeys; ++i) absl::StrAppend(&data, "key:", i, " value ", i, "\n");
  return data;
}

class RespClientsTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string data = absl::StrCat(dir_, "/data");
    WriteTestFile(data, Data());
    reads_ = std::make_unique<TestServer>(
        std::vector<std::string>{"apps/kv_server", "--listen=", "--http=", "--resp=127.0.0.1:0",
                                 data},
        dir_);
    writes_ =
        std::make_unique<TestServer>(std::vector<std::string>{"apps/testing/model_server"}, dir_);
    ASSERT_NE(reads_->resp, "");
    ASSERT_NE(writes_->resp, "");
  }

  // Whose password is "secret".
  std::unique_ptr<TestServer> StartLocked() {
    const std::string password_file = absl::StrCat(dir_, "/password");
    WriteTestFile(password_file, "secret\n");
    return std::make_unique<TestServer>(
        std::vector<std::string>{"apps/kv_server", "--listen=", "--http=", "--resp=127.0.0.1:0",
                                 absl::StrCat("--password_file=", password_file),
                                 absl::StrCat(dir_, "/data")},
        dir_);
  }

  static std::string Port(const TestServer& server) {
    return server.resp.substr(server.resp.rfind(':') + 1);
  }
  // Both outputs of a program that ends well.
  std::string Run(std::vector<std::string> command, ProcessOptions options = {}) {
    options.merge_errors = true;
    options.directory = dir_;
    const ProcessResult result = RunProcess(command, options);
    EXPECT_EQ(result.exit_code, 0) << absl::StrJoin(command, " ") << "\n" << result.out;
    return result.out;
  }
  std::string Cli(const TestServer& server, std::vector<std::string> args,
                  const std::string& input = "") {
    args.insert(args.begin(), {"/usr/bin/redis-cli", "-p", Port(server)});
    ProcessOptions options;
    options.input = input;
    return Run(std::move(args), options);
  }
  std::string Benchmark(const TestServer& server, std::vector<std::string> args) {
    args.insert(args.begin(), {"/usr/bin/redis-benchmark", "-p", Port(server), "-q"});
    return Run(std::move(args));
  }
  // For a while; then it is told to stop.
  std::string CliUntil(const std::string& line, std::vector<std::string> args) {
    args.insert(args.begin(), {"/usr/bin/redis-cli", "-p", Port(*reads_)});
    Terminal terminal(args);
    return terminal.ReadTo(line);
  }

  const std::string dir_ = TestDirectory();
  std::unique_ptr<TestServer> reads_;
  std::unique_ptr<TestServer> writes_;
};

TEST_F(RespClientsTest, RedisCliAsksAndScans) {
  for (const std::vector<std::string>& protocol :
       {std::vector<std::string>{"-2"}, std::vector<std::string>{"-3"}}) {
    const auto ask = [&](std::vector<std::string> args) {
      args.insert(args.begin(), protocol.begin(), protocol.end());
      return Cli(*reads_, args);
    };
    EXPECT_EQ(ask({"get", "key:7"}), "value 7\n");
    EXPECT_EQ(ask({"get", "none"}), "\n");
    EXPECT_EQ(ask({"mget", "key:1", "none", "key:2"}), "value 1\n\nvalue 2\n");
    EXPECT_EQ(ask({"-n", "0", "dbsize"}), "1000\n");
    EXPECT_EQ(ask({"set", "a", "b"}), "READONLY You can't write against a read only replica.\n\n");
    const std::vector<std::string> all = absl::StrSplit(ask({"--scan"}), '\n', absl::SkipEmpty());
    EXPECT_EQ(all.size(), static_cast<size_t>(kKeys));
    EXPECT_EQ(ask({"--scan", "--pattern", "key:99[89]"}), "key:998\nkey:999\n");
    EXPECT_EQ(Cli(*reads_, {}, "get key:7\nget \"key:8\"\n"), "value 7\nvalue 8\n");
  }
}

TEST_F(RespClientsTest, RedisCliSurveysTheKeys) {
  const std::string big = Cli(*reads_, {"--bigkeys"});
  EXPECT_THAT(big, HasSubstr("Sampled 1000 keys in the keyspace!"));
  EXPECT_THAT(big, HasSubstr("Biggest string found '\"key:100\"' has 9 bytes"));
  EXPECT_THAT(big, HasSubstr("1000 strings with 8890 bytes (100.00% of keys, avg size 8.89)"));
  EXPECT_THAT(Cli(*reads_, {"--memkeys"}), HasSubstr("Sampled 1000 keys in the keyspace!"));
}

TEST_F(RespClientsTest, RedisCliWatches) {
  EXPECT_THAT(CliUntil("1000       ", {"--stat"}), HasSubstr("keys       mem"));
  EXPECT_THAT(CliUntil("avg: ", {"--latency"}), HasSubstr("min: "));
}

TEST_F(RespClientsTest, RedisCliPipes) {
  std::string commands;
  for (int i = 0; i < 10000; ++i) absl::StrAppend(&commands, "SET piped:", i, " ", i, "\r\n");
  EXPECT_THAT(Cli(*writes_, {"--pipe"}, commands), HasSubstr("errors: 0, replies: 10000\n"));
  EXPECT_EQ(Cli(*writes_, {"get", "piped:9999"}), "9999\n");
  EXPECT_EQ(Cli(*writes_, {"dbsize"}), "10000\n");
}

TEST_F(RespClientsTest, RedisCliIsUsedByAPerson) {
  const std::string prompt = absl::StrCat("127.0.0.1:", Port(*reads_), "> ");
  Terminal terminal({"/usr/bin/redis-cli", "-p", Port(*reads_)});
  terminal.ReadTo(prompt);
  const auto ask = [&](const std::string& line) {
    terminal.Type(absl::StrCat(line, "\r"));
    terminal.ReadTo("\r\n");  // the line being edited
    return terminal.ReadTo(prompt);
  };
  EXPECT_EQ(ask("get key:7"), "\"value 7\"\r\n");
  EXPECT_EQ(ask("get none"), "(nil)\r\n");
  EXPECT_EQ(ask("strlen key:7"), "(integer) 7\r\n");
  EXPECT_THAT(ask("set a b"), HasSubstr("(error) READONLY "));
  EXPECT_THAT(ask("hello 3"), HasSubstr("\"proto\" => (integer) 3"));
  EXPECT_EQ(ask("get none"), "(nil)\r\n");
  EXPECT_THAT(ask("help get"), HasSubstr("Returns the value of a key."));
  EXPECT_THAT(ask("help set"), HasSubstr("[NX|XX] [GET]"));
}

TEST_F(RespClientsTest, RedisCliAndBenchmarkHaveAPassword) {
  const std::unique_ptr<TestServer> locked = StartLocked();
  ASSERT_NE(locked->resp, "");
  EXPECT_THAT(Cli(*locked, {"get", "key:7"}), HasSubstr("NOAUTH Authentication required."));
  const std::vector<std::string> password = {"--no-auth-warning", "-a", "secret"};
  for (const char* protocol : {"-2", "-3"}) {
    EXPECT_EQ(Cli(*locked, {protocol, password[0], password[1], password[2], "get", "key:7"}),
              "value 7\n");
  }
  EXPECT_THAT(Cli(*locked, {"--no-auth-warning", "-a", "public", "get", "key:7"}),
              HasSubstr("WRONGPASS"));
  EXPECT_THAT(Benchmark(*locked, {"-a", "secret", "-n", "1000", "-t", "get"}), HasSubstr("GET: "));
}

TEST_F(RespClientsTest, RedisBenchmarkRuns) {
  for (const std::vector<std::string>& more : std::vector<std::vector<std::string>>{
           {"-P", "1"}, {"-P", "16"}, {"-P", "64", "-3"}, {"--threads", "2"}}) {
    std::vector<std::string> args = {"-n", "20000", "-r", "1000", "-t", "ping,get"};
    args.insert(args.end(), more.begin(), more.end());
    const std::string read = Benchmark(*reads_, args);
    EXPECT_THAT(read, HasSubstr("GET: "));
    EXPECT_THAT(read, Not(HasSubstr("WARNING")));
    EXPECT_THAT(read, Not(HasSubstr("rror")));
    args[5] = "ping,set,get,incr,mset";
    const std::string written = Benchmark(*writes_, args);
    for (const char* name : {"SET: ", "GET: ", "INCR: ", "MSET (10 keys): "}) {
      EXPECT_THAT(written, HasSubstr(name));
    }
    EXPECT_THAT(written, Not(HasSubstr("rror")));
  }
}

TEST_F(RespClientsTest, NpmClientsReadAndWrite) {
  const std::vector<std::pair<std::string, std::string>> packages = {
      {"ioredis6", "npm:ioredis@6.0.0"},
      {"ioredis5", "npm:ioredis@5.11.1"},
      {"redis6", "npm:redis@6.3.1"},
      {"redis4", "npm:redis@4.7.1"}};
  std::vector<std::string> install = {"/usr/bin/env", "npm",        "install",
                                      "--prefix=.",   "--no-audit", "--ignore-scripts",
                                      "--no-fund"};
  for (const auto& [name, package] : packages) install.push_back(absl::StrCat(name, "@", package));
  Run(install);
  char* const here = ::getcwd(nullptr, 0);
  const std::string script = absl::StrCat(here, "/apps/testing/resp_clients.js");
  std::free(here);
  ProcessOptions options;
  options.env["NODE_PATH"] = absl::StrCat(dir_, "/node_modules");
  const std::unique_ptr<TestServer> locked = StartLocked();
  ASSERT_NE(locked->resp, "");
  ProcessOptions with_password = options;
  with_password.env["RESP_PASSWORD"] = "secret";
  for (const auto& [name, package] : packages) {
    for (const char* protocol : {"2", "3"}) {
      Run({"/usr/bin/env", "node", script, name, protocol, reads_->resp, "reads"}, options);
      Run({"/usr/bin/env", "node", script, name, protocol, writes_->resp, "writes"}, options);
      Run({"/usr/bin/env", "node", script, name, protocol, locked->resp, "reads"}, with_password);
    }
  }
}

}  // namespace
}  // namespace kvarts
