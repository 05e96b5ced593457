// Runs the real kv_bench: in process, and against the real kv_server and a model
// store that takes writes.

#include <signal.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "bench/flat_json.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/tls/test_certificate.h"

namespace kvarts {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

class KvBenchTest : public testing::Test {
 protected:
  static std::vector<std::string> Command(std::vector<std::string> args) {
    args.insert(args.begin(), "apps/kv_bench");
    return args;
  }
  ProcessResult Run(std::vector<std::string> args) {
    ProcessOptions options;
    options.directory = dir_;
    return RunProcess(Command(std::move(args)), options);
  }
  // What a run that goes well says as JSON.
  std::map<std::string, std::string> Json(std::vector<std::string> args) {
    args.insert(args.end(), {"--json", "--warmup=0"});
    const ProcessResult result = Run(args);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const auto fields = ParseFlatJson(result.out);
    EXPECT_TRUE(fields.has_value()) << result.out;
    return fields.value_or(std::map<std::string, std::string>());
  }
  // A number of it.
  static double Number(const std::map<std::string, std::string>& fields, const std::string& name) {
    double value = -1;
    const auto it = fields.find(name);
    EXPECT_TRUE(it != fields.end() && absl::SimpleAtod(it->second, &value)) << name;
    return value;
  }
  // A data file of `records`, and its index.
  void WriteData(int records) {
    EXPECT_EQ(Run({"--write_data=data", absl::StrCat("--records=", records)}).exit_code, 0);
    ProcessOptions options;
    options.directory = dir_;
    EXPECT_EQ(RunProcess({"apps/kv_build", "data"}, options).exit_code, 0);
  }
  std::unique_ptr<TestServer> Serve(const std::vector<std::string>& args = {}) {
    std::vector<std::string> command = {"apps/kv_server", "--listen=tcp://127.0.0.1:0",
                                        "--http=", "data"};
    command.insert(command.end(), args.begin(), args.end());
    return std::make_unique<TestServer>(command, dir_);
  }
  std::string Path(absl::string_view name) const { return absl::StrCat(dir_, "/", name); }

  const std::string dir_ = TestDirectory();
};

TEST_F(KvBenchTest, MeasuresAStoreInItsProcessAndTheFieldsAddUp) {
  WriteData(2000);
  const auto fields =
      Json({"--store=bisect:data", "--records=2000", "--mix=get:3,mget:1,scan:1", "--batch=10",
            "--requests=5000", "--threads=2", "--miss=0.2", "--distribution=zipf"});
  EXPECT_EQ(fields.at("store"), "bisect:data");
  EXPECT_EQ(fields.at("loop.kind"), "closed");
  EXPECT_EQ(fields.at("loop.threads"), "2");
  EXPECT_EQ(fields.at("workload.distribution"), "zipf");
  EXPECT_EQ(fields.at("requests"), "5000");
  EXPECT_EQ(fields.at("errors"), "0");
  EXPECT_EQ(fields.at("wrong_values"), "0");
  EXPECT_EQ(fields.at("unexpected_misses"), "0");
  EXPECT_EQ(fields.at("latency_ns.count"), "5000");
  for (const char* field : {"requests", "keys", "hits", "misses", "value_bytes"}) {
    double sum = 0;
    for (const char* operation : {"get", "mget", "scan"}) {
      sum += Number(fields, absl::StrCat("operations.", operation, ".", field));
    }
    EXPECT_EQ(sum, Number(fields, field)) << field;
  }
  EXPECT_EQ(Number(fields, "hits") + Number(fields, "misses"),
            Number(fields, "operations.get.keys") + Number(fields, "operations.mget.keys"));
  EXPECT_NEAR(Number(fields, "misses") / (Number(fields, "hits") + Number(fields, "misses")), 0.2,
              0.02);
  EXPECT_EQ(Number(fields, "operations.mget.keys"),
            10 * Number(fields, "operations.mget.requests"));
  double last = 0;
  for (const char* quantile : {"p50", "p90", "p99", "p999", "p9999", "max"}) {
    const double now = Number(fields, absl::StrCat("latency_ns.", quantile));
    EXPECT_GE(now, last);
    last = now;
  }
  EXPECT_NEAR(Number(fields, "requests_per_s") * Number(fields, "elapsed_s"), 5000, 0.01);
}

TEST_F(KvBenchTest, MeasuresAServerInBothLoops) {
  WriteData(2000);
  const auto server = Serve();
  const std::string store = absl::StrCat("--store=", server->native);
  const auto closed = Json({store, "--records=2000", "--requests=3000", "--connections=3",
                            "--pipeline=4", "--mix=get:1,mget:1"});
  EXPECT_EQ(closed.at("requests"), "3000");
  EXPECT_EQ(closed.at("misses"), "0");
  EXPECT_EQ(closed.at("wrong_values"), "0");
  EXPECT_EQ(closed.at("loop.connections"), "3");
  EXPECT_EQ(closed.at("loop.pipeline"), "4");
  const auto open = Json({store, "--records=2000", "--rate=2000", "--duration=0.5",
                          "--arrivals=fixed", "--connections=5"});
  EXPECT_EQ(open.at("loop.kind"), "open");
  EXPECT_EQ(open.at("loop.rate"), "2000");
  EXPECT_EQ(open.at("requests"), "1000");
  EXPECT_EQ(open.at("start_delay_ns.count"), "1000");
  EXPECT_EQ(open.at("misses"), "0");
}

TEST_F(KvBenchTest, MeasuresAServerOverRespInBothLoops) {
  WriteData(2000);
  const auto server = Serve({"--resp=127.0.0.1:0"});
  const std::string store = absl::StrCat("--store=resp://", server->resp);
  const auto closed = Json({store, "--records=2000", "--requests=3000", "--connections=3",
                            "--pipeline=4", "--mix=get:1,mget:1", "--batch=10", "--miss=0.1"});
  EXPECT_EQ(closed.at("requests"), "3000");
  EXPECT_EQ(closed.at("errors"), "0");
  EXPECT_EQ(closed.at("unexpected_misses"), "0");
  EXPECT_EQ(closed.at("wrong_values"), "0");
  EXPECT_GT(Number(closed, "misses"), 0);
  EXPECT_EQ(closed.at("loop.connections"), "3");
  EXPECT_EQ(closed.at("loop.threads"), "1");
  const auto open = Json({store, "--records=2000", "--rate=2000", "--duration=0.5",
                          "--arrivals=fixed", "--connections=5", "--threads=2"});
  EXPECT_EQ(open.at("loop.kind"), "open");
  EXPECT_EQ(open.at("requests"), "1000");
  EXPECT_EQ(open.at("start_delay_ns.count"), "1000");
  EXPECT_EQ(open.at("misses"), "0");
  EXPECT_EQ(open.at("wrong_values"), "0");
  // Other values than the data set's are seen.
  EXPECT_EQ(
      Run({store, "--records=2000", "--value_bytes=63", "--requests=100", "--warmup=0"}).exit_code,
      1);
}

TEST_F(KvBenchTest, LoadsARespServerAndWritesToIt) {
  const TestServer server({"apps/testing/model_server"}, dir_);
  const std::string store = absl::StrCat("--store=resp://", server.resp);
  const auto loaded = Json({store, "--load", "--records=3000", "--duration=0"});
  EXPECT_EQ(loaded.at("load.records"), "3000");
  ProcessOptions options;
  options.directory = dir_;
  EXPECT_EQ(RunProcess({"apps/kv_client", store, "count"}, options).out, "3000\n");
  const auto fields = Json({store, "--records=3000", "--distribution=latest",
                            "--mix=get:50,put:30,insert:10,scan:10", "--scan_entries=20",
                            "--requests=2000", "--connections=2"});
  EXPECT_EQ(fields.at("errors"), "0");
  EXPECT_EQ(fields.at("wrong_values"), "0");
  EXPECT_GE(Number(fields, "operations.scan.keys"),
            20 * Number(fields, "operations.scan.requests"));
  EXPECT_EQ(RunProcess({"apps/kv_client", store, "count"}, options).out,
            absl::StrCat(3000 + Number(fields, "operations.insert.requests"), "\n"));
  EXPECT_EQ(Json({store, "--records=3000", "--mix=delete:1", "--requests=100"}).at("errors"), "0");
}

TEST_F(KvBenchTest, AnErrorReplyOfARespServerIsCountedWithItsText) {
  const TestServer server({"apps/kv_server", "--store=memory:?max_memory=2MiB",
                           "--listen=", "--http=", "--resp=127.0.0.1:0"},
                          dir_);
  const ProcessResult result =
      Run({absl::StrCat("--store=resp://", server.resp), "--mix=put:1", "--value_bytes=1KB",
           "--requests=10000", "--warmup=0", "--json"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err,
              HasSubstr(" requests failed, the first with: OOM command not allowed when used "
                        "memory > 'maxmemory'."));
  const auto fields = ParseFlatJson(result.out);
  ASSERT_TRUE(fields.has_value()) << result.out;
  EXPECT_GT(Number(*fields, "error_codes.RESOURCE_EXHAUSTED"), 0);
}

TEST_F(KvBenchTest, MeasuresAServerWithTlsAndAPassword) {
  WriteData(100);
  WriteTestCertificate(Path("good"), "IP:127.0.0.1");
  WriteTestFile(Path("password"), "secret\n");
  const auto server =
      Serve({"--tls_cert=good.pem", "--tls_key=good.key", "--password_file=password"});
  const std::string store = absl::StrCat("--store=", server->native, "?ca=good.pem");
  const auto fields = Json({absl::StrCat(store, "&password_file=password"), "--records=100",
                            "--requests=500", "--connections=3"});
  EXPECT_EQ(fields.at("hits"), "500");
  const ProcessResult refused = Run({store, "--records=100"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("password"));
  EXPECT_EQ(refused.err.find('\n'), refused.err.size() - 1) << refused.err;
}

TEST_F(KvBenchTest, LoadsAStoreAndWritesToIt) {
  const TestServer server({"apps/testing/model_server"}, dir_);
  const std::string store = absl::StrCat("--store=", server.native);
  const auto loaded =
      Json({store, "--load", "--records=3000", "--value_bytes=1KB", "--duration=0"});
  EXPECT_EQ(loaded.at("load.records"), "3000");
  EXPECT_GT(Number(loaded, "load.records_per_s"), 0);
  EXPECT_EQ(loaded.at("requests"), "0");
  ProcessOptions options;
  options.directory = dir_;
  EXPECT_EQ(RunProcess({"apps/kv_client", store, "count"}, options).out, "3000\n");
  const auto fields =
      Json({store, "--records=3000", "--value_bytes=1KB", "--distribution=latest",
            "--mix=get:50,put:30,insert:10,scan:10", "--requests=2000", "--connections=2"});
  EXPECT_EQ(fields.at("load"), "null");
  EXPECT_EQ(fields.at("errors"), "0");
  EXPECT_EQ(fields.at("wrong_values"), "0");
  EXPECT_EQ(RunProcess({"apps/kv_client", store, "count"}, options).out,
            absl::StrCat(3000 + Number(fields, "operations.insert.requests"), "\n"));
  EXPECT_EQ(Json({store, "--records=3000", "--mix=delete:1", "--requests=100"}).at("errors"), "0");
}

TEST_F(KvBenchTest, TakesTheKeysOfADataFile) {
  WriteTestFile(Path("data"), TestData(500));
  const auto server = Serve();
  const auto fields =
      Json({absl::StrCat("--store=", server->native), "--keys=data", "--requests=1000"});
  EXPECT_EQ(fields.at("workload.keys"), "data");
  EXPECT_EQ(fields.at("workload.records"), "500");
  EXPECT_EQ(fields.at("hits"), "1000");
  EXPECT_EQ(fields.at("wrong_values"), "0");
}

TEST_F(KvBenchTest, ASeedMakesTheSameDataAndRequests) {
  WriteData(100);
  const std::string first = ReadTestFile(Path("data"));
  WriteData(100);
  EXPECT_EQ(ReadTestFile(Path("data")), first);
  const auto run = [this](const char* seed) {
    return Json({"--store=bisect:data", "--records=100", "--miss=0.5", "--requests=10000", seed});
  };
  const std::string hits = run("--seed=7").at("hits");
  EXPECT_EQ(run("--seed=7").at("hits"), hits);
  EXPECT_NE(run("--seed=8").at("hits"), hits);
}

TEST_F(KvBenchTest, TextIsForPeopleAndProgressGoesToStderr) {
  const ProcessResult result = Run({"--store=null:", "--duration=0.6", "--warmup=0.6"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out,
              AllOf(StartsWith("store     null:\nworkload  get:100 on 1000000 keys (generated), "
                               "uniform, seed 1\nrun       closed loop, 1 thread; "),
                    HasSubstr(" s after 0.6 s of warm-up, "),
                    HasSubstr("\nlatency           mean       p50"), HasSubstr("\nget   ")));
  EXPECT_THAT(result.err, AllOf(HasSubstr("warming up: "), HasSubstr("running: ")));
}

TEST_F(KvBenchTest, KeysThatAreNotThereAndWrongValuesAreSaid) {
  WriteData(100);
  WriteTestFile(Path("other"), "a 1\nb 2\n");
  const ProcessResult missing =
      Run({"--store=bisect:data", "--records=200", "--requests=1000", "--warmup=0"});
  EXPECT_EQ(missing.exit_code, 0);
  EXPECT_THAT(missing.err, HasSubstr(" of 1000 keys were not found that are in the data set"));
  // An hour of misses is no measurement: a script learns so by the exit code.
  for (const char* mix : {"get:1", "mget:1"}) {
    const ProcessResult none = Run({"--store=bisect:data", "--keys=other",
                                    absl::StrCat("--mix=", mix), "--requests=100", "--warmup=0"});
    EXPECT_EQ(none.exit_code, 1) << mix;
    EXPECT_THAT(none.err, AllOf(StartsWith("kv_bench: none of "),
                                EndsWith(" keys was found: the store does not hold the data set. "
                                         "--load puts it there, --keys=FILE takes the keys of a "
                                         "data file\n")));
    EXPECT_THAT(none.out, StartsWith("store "));
  }
  const ProcessResult empty =
      Run({"--store=memory:", "--mix=scan:1", "--requests=100", "--warmup=0"});
  EXPECT_EQ(empty.exit_code, 1);
  EXPECT_EQ(empty.err, "kv_bench: none of 100 scans found an entry; is the store empty?\n");
  EXPECT_EQ(
      Run({"--store=bisect:data", "--records=100", "--miss=1", "--requests=100", "--warmup=0"})
          .exit_code,
      0)
      << "the misses were asked for";
  const ProcessResult wrong = Run({"--store=bisect:data", "--records=100", "--requests=1000",
                                   "--value_bytes=63", "--warmup=0"});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_EQ(wrong.err,
            "kv_bench: 1000 of 1000 values are not those of the data set; are --records and "
            "--value_bytes what it was made with? --verify=false compares nothing\n");
  EXPECT_THAT(wrong.out, HasSubstr("1000 wrong values"));
  EXPECT_EQ(Run({"--store=bisect:data", "--records=100", "--requests=1000", "--value_bytes=63",
                 "--warmup=0", "--verify=false"})
                .exit_code,
            0);
}

TEST_F(KvBenchTest, AServerThatStandsStillIsInTheLatencyOfAllThatWasDue) {
  WriteData(1000);
  const auto server = Serve();
  ProcessOptions options;
  options.directory = dir_;
  options.merge_errors = true;
  Process bench(Command({absl::StrCat("--store=", server->native), "--records=1000",
                         "--connections=4", "--rate=1000", "--warmup=1", "--duration=1", "--json"}),
                options);
  // The first lines come half a second into the warm-up, and into what counts.
  EXPECT_THAT(bench.ReadLine(), StartsWith("warming up: "));
  server->process.Signal(SIGSTOP);
  std::string line;
  do {
    line = bench.ReadLine();
  } while (absl::StartsWith(line, "warming up: "));
  EXPECT_THAT(line, StartsWith("running: "));
  server->process.Signal(SIGCONT);
  do {
    line = bench.ReadLine();
  } while (absl::StartsWith(line, "running: "));
  const auto fields = ParseFlatJson(line);
  ASSERT_TRUE(fields.has_value()) << line;
  EXPECT_EQ(bench.Wait(), 0);
  // Half of some 1000 were due while it stood, for half a second on average half
  // of it; with 4 connections 4 of them were under way.
  EXPECT_NEAR(Number(*fields, "requests"), 1000, 160);
  EXPECT_GT(Number(*fields, "latency_ns.p90"), 3e8);
  EXPECT_GT(Number(*fields, "start_delay_ns.p90"), 3e8);
}

TEST_F(KvBenchTest, AServerThatGoesAwayEndsTheRunWithOneLine) {
  WriteData(1000);
  for (const bool resp : {false, true}) {
    const std::string rate = resp ? "0" : "3000";
    const auto server = Serve({"--resp=127.0.0.1:0"});
    const std::string store = resp ? absl::StrCat("resp://", server->resp) : server->native;
    ProcessOptions options;
    options.directory = dir_;
    options.merge_errors = true;
    Process bench(
        Command({absl::StrCat("--store=", store), "--records=1000", "--duration=600", "--warmup=0",
                 "--connections=4", "--timeout=0.5", absl::StrCat("--rate=", rate)}),
        options);
    EXPECT_THAT(bench.ReadLine(), StartsWith("running: "));  // it runs
    server->process.Signal(SIGKILL);
    server->process.Wait();
    std::string line;
    do {
      line = bench.ReadLine();
    } while (absl::StartsWith(line, "running: "));
    EXPECT_THAT(line, StartsWith(absl::StrCat("kv_bench: ", store, ": ")));
    EXPECT_EQ(bench.ReadAll(), "");
    EXPECT_EQ(bench.Wait(), 1);
  }
}

TEST_F(KvBenchTest, FailureIsOneLineAndExit1) {
  WriteData(10);
  for (const auto& [says, args] : std::map<std::string, std::vector<std::string>>{
           {"kv_bench: none: ", {"--store=bisect:none"}},
           {"kv_bench: ", {"--store=unix:nobody"}},
           {"kv_bench: bisect:data: the store is read-only, and the mix has writes\n",
            {"--store=bisect:data", "--mix=get:1,put:1"}},
           {"kv_bench: bisect:data: the store is read-only, and --load writes\n",
            {"--store=bisect:data", "--load"}},
           {"kv_bench: none: ", {"--store=bisect:data", "--keys=none"}},
           {"kv_bench: /dev/null: there are no keys in it\n",
            {"--store=bisect:data", "--keys=/dev/null"}},
           {"kv_bench: none/data: No such file or directory\n", {"--write_data=none/data"}},
       }) {
    const ProcessResult result = Run(args);
    EXPECT_EQ(result.exit_code, 1) << absl::StrJoin(args, " ");
    EXPECT_THAT(result.err, StartsWith(says));
    EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
    EXPECT_EQ(result.out, "");
  }
}

TEST_F(KvBenchTest, BadUsageIsOneLineAndExit2) {
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"--store=null:", "more"},
           {"--store=nonsense"},
           {"--store=nonsense:"},
           {"--store=null:?x=1"},
           {"--store=null:", "--mix="},
           {"--store=null:", "--mix=get:1,get:1"},
           {"--store=null:", "--distribution=normal"},
           {"--store=null:", "--theta=-1"},
           {"--store=null:", "--miss=1.5"},
           {"--store=null:", "--records=0"},
           {"--store=null:", "--keys=data", "--records=5"},
           {"--store=null:", "--batch=0"},
           {"--store=null:", "--scan_entries=0"},
           {"--store=null:", "--value_bytes=65MiB"},
           {"--store=null:", "--value_bytes=x"},
           {"--store=null:", "--threads=0"},
           {"--store=null:", "--connections=2"},
           {"--store=null:", "--pipeline=2"},
           {"--store=resp://nonsense"},
           {"--store=resp://127.0.0.1:1?x=1"},
           {"--store=unix:nobody", "--connections=0"},
           {"--store=unix:nobody", "--connections=4000", "--pipeline=4000"},
           {"--store=null:", "--rate=-1"},
           {"--store=null:", "--rate=nan"},
           {"--store=null:", "--arrivals=random"},
           {"--store=null:", "--warmup=-1"},
           {"--store=null:", "--duration=-1"},
           {"--store=null:", "--duration=0"},
           {"--store=null:", "--timeout=0"},
           {"--store=null:", "--nosuch"},
       }) {
    const ProcessResult result = Run(args);
    EXPECT_EQ(result.exit_code, 2) << absl::StrJoin(args, " ") << ": " << result.err;
    EXPECT_THAT(result.err, StartsWith("kv_bench: "));
    EXPECT_THAT(result.err, EndsWith(" (kv_bench --help shows the usage)\n"));
    EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
    EXPECT_EQ(result.out, "");
  }
}

TEST_F(KvBenchTest, HelpAndVersionExit0) {
  const ProcessResult help = Run({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const char* text : {"--mix=get:100", "--rate=", "--json=", "bisect:DATA_FILE", "null:"}) {
    EXPECT_THAT(help.out, HasSubstr(text));
  }
  EXPECT_THAT(Run({"--version"}).out, StartsWith("kv_bench "));
}

}  // namespace
}  // namespace kvarts
