// Drives a cluster of real nodes with the real clients while a node joins and leaves, and while
// one is down: redis-cli and redis-benchmark (Debian's redis-tools), ioredis and redis (npm, by
// name and version), and redis-py (Debian's python3-redis, where it is). They are not part of the
// set-up, hence "manual"; and npm is a user's, as for resp_clients_test:
//   ./bazelw run //apps:resp_cluster_clients_test

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "apps/testing/resp_connection.h"
#include "base/slot.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr char kOperations[] = "20000";

// A program that works until its input ends.
class Worker {
 public:
  Worker(const std::vector<std::string>& command, ProcessOptions options) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    options.input_fd = ends[0];
    options.merge_errors = true;
    process_ = std::make_unique<Process>(command, options);
    ::close(ends[0]);
    input_ = ends[1];
  }
  ~Worker() { EndInput(); }

  std::string ReadLine() { return process_->ReadLine(); }
  void Tell(absl::string_view line) {
    EXPECT_EQ(::write(input_, line.data(), line.size()), static_cast<ssize_t>(line.size()));
  }
  void EndInput() {
    if (input_ >= 0) ::close(input_);
    input_ = -1;
  }
  // What it said to its end; failed where that is not a good one.
  std::string Finish() {
    EndInput();
    std::string out = process_->ReadAll();
    EXPECT_EQ(process_->Wait(), 0) << out;
    return out;
  }
  int Wait() { return process_->Wait(); }

 private:
  std::unique_ptr<Process> process_;
  int input_ = -1;
};

class RespClusterClientsTest : public testing::Test {
 protected:
  void SetUp() override {
    char* const here = ::getcwd(nullptr, 0);
    here_ = here;
    std::free(here);
    const ProcessResult made = RunProcess({"apps/kv_cluster", coordinator_, "create"});
    ASSERT_EQ(made.exit_code, 0) << made.err;
  }

  std::unique_ptr<TestServer> StartNode(const std::string& store = "memory:",
                                        const std::string& resp = "127.0.0.1:0") {
    auto node = std::make_unique<TestServer>(
        std::vector<std::string>{"apps/kv_node", coordinator_, absl::StrCat("--store=", store),
                                 "--join_delay=0s", "--threads=2", absl::StrCat("--resp=", resp)},
        dir_);
    EXPECT_NE(node->ready, "") << node->process.Errors();
    return node;
  }
  void StartThree() {
    for (int i = 0; i < 3; ++i) nodes_.push_back(StartNode());
    AwaitEven(3);
  }
  void Join() {
    const absl::Time start = absl::Now();
    nodes_.push_back(StartNode());
    AwaitEven(4);
    Say(absl::StrCat("joined in ", absl::FormatDuration(Whole(absl::Now() - start))));
  }
  void Leave() {
    const absl::Time start = absl::Now();
    nodes_.back()->process.Signal(SIGTERM);
    EXPECT_EQ(nodes_.back()->process.Wait(), 0) << nodes_.back()->process.Errors();
    nodes_.pop_back();
    Say(absl::StrCat("left in ", absl::FormatDuration(Whole(absl::Now() - start))));
    AwaitEven(3);
  }
  static absl::Duration Whole(absl::Duration time) {
    return absl::Floor(time, absl::Milliseconds(1));
  }
  static void Say(const std::string& line) {
    std::fputs(absl::StrCat(line, "\n").c_str(), stdout);
    std::fflush(stdout);
  }

  // Until nothing moves and `count` nodes hold slots as even as can be.
  void AwaitEven(int count) {
    std::string json;
    for (const absl::Time end = absl::Now() + kPatience; absl::Now() < end;) {
      json = RunProcess({"apps/kv_cluster", coordinator_, "status", "--json"}).out;
      int even = 0;
      const int share = kSlots / count;
      const std::vector<std::string> nodes = absl::StrSplit(json, "{\"id\":");
      for (const std::string& node : nodes) {
        for (const int slots : {share, share + 1}) {
          if (absl::StrContains(node, absl::StrCat("\"slots\":", slots, ","))) ++even;
        }
      }
      if (even == count && absl::StrContains(json, "\"slots_moving\":0") &&
          absl::StrContains(json, "\"slots_to_drop\":0") &&
          absl::StrContains(json, "\"slots_unassigned\":0")) {
        return;
      }
      absl::SleepFor(absl::Milliseconds(10));
    }
    ADD_FAILURE() << "the cluster is not even after a long time: " << json;
  }

  std::string Port(size_t node = 0) const {
    return nodes_[node]->resp.substr(nodes_[node]->resp.rfind(':') + 1);
  }
  // Both outputs of a program that ends well.
  std::string Run(const std::vector<std::string>& command, ProcessOptions options = {}) {
    options.merge_errors = true;
    options.directory = dir_;
    const ProcessResult result = RunProcess(command, options);
    EXPECT_EQ(result.exit_code, 0) << absl::StrJoin(command, " ") << "\n" << result.out;
    return result.out;
  }
  std::string Cli(std::vector<std::string> args, const std::string& input = "") {
    args.insert(args.begin(), {"/usr/bin/redis-cli", "-c", "-p", Port()});
    ProcessOptions options;
    options.input = input;
    // Without what it says of its own way.
    std::vector<std::string> lines = absl::StrSplit(Run(args, options), '\n');
    lines.erase(std::remove_if(lines.begin(), lines.end(),
                               [](const std::string& line) {
                                 return absl::StartsWith(line, "-> Redirected");
                               }),
                lines.end());
    return absl::StrJoin(lines, "\n");
  }
  ProcessResult Manage(const std::string& command, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {"/usr/bin/redis-cli", "--cluster", command, nodes_[0]->resp};
    words.insert(words.end(), more.begin(), more.end());
    ProcessOptions options;
    options.merge_errors = true;
    return RunProcess(words, options);
  }
  void ExpectClean(int nodes) {
    const ProcessResult check = Manage("check");
    EXPECT_EQ(check.exit_code, 0) << check.out;
    EXPECT_THAT(check.out, HasSubstr("[OK] All nodes agree about slots configuration."));
    EXPECT_THAT(check.out, HasSubstr("[OK] All 16384 slots covered."));
    EXPECT_THAT(check.out, Not(HasSubstr("[WARNING]")));
    EXPECT_THAT(check.out, Not(HasSubstr("[ERR]")));
    const std::string masters = absl::StrCat(" keys in ", nodes, " masters.");
    EXPECT_THAT(check.out, HasSubstr(masters));
    const ProcessResult info = Manage("info");
    EXPECT_EQ(info.exit_code, 0) << info.out;
    EXPECT_THAT(info.out, HasSubstr(masters));
    const ProcessResult call = Manage("call", {"PING"});
    EXPECT_EQ(call.exit_code, 0) << call.out;
    const std::vector<std::string> pongs = absl::StrSplit(call.out, ": PONG");
    EXPECT_EQ(pongs.size(), static_cast<size_t>(nodes) + 1) << call.out;
  }

  // The environment of a node program, with the packages under `dir_`.
  ProcessOptions Npm() {
    std::vector<std::string> install = {"/usr/bin/env", "npm",        "install",
                                        "--prefix=.",   "--no-audit", "--ignore-scripts",
                                        "--no-fund"};
    for (const auto& [name, package] : packages_) {
      install.push_back(absl::StrCat(name, "@", package));
    }
    Run(install);
    ProcessOptions options;
    options.env["NODE_PATH"] = absl::StrCat(dir_, "/node_modules");
    return options;
  }
  std::string Script(absl::string_view name) const {
    return absl::StrCat(here_, "/apps/testing/", name);
  }
  std::vector<std::string> NpmClient(const std::string& name, const std::string& mode,
                                     const std::string& count) {
    return {"/usr/bin/env", "node", Script("resp_cluster_clients.js"), name, nodes_[0]->resp,
            mode,           count};
  }
  void FlushAll() {
    for (const auto& node : nodes_) {
      RespConnection connection(node->resp, dir_);
      EXPECT_EQ(connection.AskText({"FLUSHALL"}), "OK");
    }
  }

  const std::string dir_ = TestDirectory();
  const std::string coordinator_ = absl::StrCat("--coordinator=file:", dir_, "/table");
  const std::vector<std::pair<std::string, std::string>> packages_ = {
      {"ioredis6", "npm:ioredis@6.0.0"},
      {"ioredis5", "npm:ioredis@5.11.1"},
      {"redis6", "npm:redis@6.3.1"},
      {"redis4", "npm:redis@4.7.1"}};
  std::string here_;
  std::vector<std::unique_ptr<TestServer>> nodes_;
};

TEST_F(RespClusterClientsTest, RedisCliFollowsSlotsAndFindsTheClusterCleanBeforeAndAfterAMove) {
  StartThree();
  std::string sets;
  std::string gets;
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    absl::StrAppend(&sets, "SET key:", i, " value:", i, "\n");
    absl::StrAppend(&gets, "GET key:", i, "\n");
    absl::StrAppend(&expected, "value:", i, "\n");
  }
  EXPECT_THAT(Cli({}, sets), Not(HasSubstr("rror")));
  EXPECT_EQ(Cli({}, gets), expected);
  ExpectClean(3);

  std::atomic<bool> moved{false};
  std::thread mover([&] {
    for (int i = 0; i < 3; ++i) {
      TestServer node({"apps/kv_node", coordinator_, "--join_delay=0s", "--threads=2"}, dir_);
      AwaitEven(4);
      node.process.Signal(SIGTERM);
      EXPECT_EQ(node.process.Wait(), 0) << node.process.Errors();
      AwaitEven(3);
    }
    moved = true;
  });
  // Nodes are told of a new table one after the other, and redis-cli asks them so: they need not
  // agree. But no slot is open, and none is uncovered.
  int checks = 0;
  int disagreements = 0;
  int unreachable = 0;
  for (; !moved; ++checks) {
    const std::string check = Manage("check").out;
    // It named a node that has left meanwhile.
    if (absl::StrContains(check, "Could not connect")) {
      ++unreachable;
      continue;
    }
    EXPECT_THAT(check, HasSubstr("[OK] All 16384 slots covered."));
    EXPECT_THAT(check, Not(HasSubstr("open slots: "))) << "[WARNING] names open slots";
    if (absl::StrContains(check, "[ERR] Nodes don't agree")) ++disagreements;
    EXPECT_EQ(Cli({}, gets), expected);
    EXPECT_THAT(Cli({}, sets), Not(HasSubstr("rror")));
  }
  mover.join();
  Say(absl::StrCat(checks, " checks while slots moved; nodes disagreed in ", disagreements,
                   ", one had left in ", unreachable));
  ExpectClean(3);
  EXPECT_THAT(Manage("check", {"--cluster-search-multiple-owners"}).out,
              testing::AllOf(HasSubstr("[OK] No multiple owners found."),
                             Not(HasSubstr("replied with error"))));
  EXPECT_EQ(Cli({}, gets), expected);
}

TEST_F(RespClusterClientsTest, RedisBenchmarkRunsOverTheClusterAndThroughAMove) {
  StartThree();
  const auto benchmark = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"/usr/bin/redis-benchmark",
                                      "--cluster",
                                      "-p",
                                      Port(),
                                      "-r",
                                      "100000",
                                      "-t",
                                      "set,get,incr"};
    words.insert(words.end(), more.begin(), more.end());
    const std::string out = Run(words);
    EXPECT_THAT(out, Not(HasSubstr("rror")));
    return out;
  };
  for (const std::vector<std::string>& more :
       std::vector<std::vector<std::string>>{{}, {"-P", "16"}, {"-3"}, {"--threads", "2"}}) {
    std::vector<std::string> args = {"--csv", "-n", "50000"};
    args.insert(args.end(), more.begin(), more.end());
    const std::string out = benchmark(args);
    for (const char* name : {"\"SET\",", "\"GET\",", "\"INCR\","}) {
      EXPECT_THAT(out, HasSubstr(name));
    }
    Say(out);
  }
  std::thread joiner([&] {
    absl::SleepFor(absl::Milliseconds(300));
    Join();
  });
  benchmark({"-q", "-n", "300000"});
  joiner.join();
  ExpectClean(4);
}

TEST_F(RespClusterClientsTest, NpmClientsCountExactlyWhileANodeJoinsAndLeaves) {
  StartThree();
  const ProcessOptions options = Npm();
  for (const auto& [name, package] : packages_) {
    const auto work = [&, client = name](absl::string_view what, auto change) {
      FlushAll();
      Worker worker(NpmClient(client, "works", kOperations), options);
      EXPECT_EQ(worker.ReadLine(), "working");
      change();
      const std::string out = worker.Finish();
      Say(absl::StrCat(client, " while one ", what, ": ", out));
      return out;
    };
    const std::string joined = work("joins", [&] { Join(); });
    EXPECT_THAT(joined, HasSubstr(" 0 dropped")) << name;
    // The package redis fails what it has under way at a node that the table no longer names.
    const std::string left = work("leaves", [&] { Leave(); });
    if (absl::StartsWith(name, "ioredis")) {
      EXPECT_THAT(left, HasSubstr(" 0 dropped")) << name;
    }
  }
  ExpectClean(3);
}

TEST_F(RespClusterClientsTest, RedisPyCountsExactlyWhileANodeJoinsAndLeaves) {
  StartThree();
  Worker worker(
      {"/usr/bin/env", "python3", Script("resp_cluster_clients.py"), nodes_[0]->resp, kOperations},
      {});
  const std::string first = worker.ReadLine();
  if (absl::StartsWith(first, "no redis-py")) {
    worker.Wait();
    GTEST_SKIP() << first << "; apt-get install python3-redis brings it";
  }
  EXPECT_EQ(first, "working");
  Join();
  Leave();
  Say(worker.Finish());
  ExpectClean(3);
}

TEST_F(RespClusterClientsTest, NpmClientsReadTwoThirdsWhileOneOfThreeIsDownAndAllOnceItIsBack) {
  constexpr char kKeys[] = "3000";
  const auto store = [&](int i) { return absl::StrCat("sstable:", dir_, "/store", i); };
  for (int i = 0; i < 3; ++i) nodes_.push_back(StartNode(store(i)));
  AwaitEven(3);
  const ProcessOptions options = Npm();
  for (const auto& [name, package] : packages_) {
    const bool is_ioredis = absl::StartsWith(name, "ioredis");
    Worker(NpmClient(name, "fills", kKeys), options).Finish();
    Worker worker(NpmClient(name, "outage", kKeys), options);
    EXPECT_EQ(worker.ReadLine(), "working");
    nodes_[2]->process.Signal(SIGKILL);
    nodes_[2]->process.Wait();
    for (const absl::Time end = absl::Now() + kPatience; absl::Now() < end;) {
      if (absl::StrContains(Cli({"CLUSTER", "INFO"}), "cluster_slots_fail:5461")) break;
    }
    const std::string info = Cli({"CLUSTER", "INFO"});
    EXPECT_THAT(info, HasSubstr("cluster_state:ok"));
    EXPECT_THAT(info, HasSubstr("cluster_slots_fail:5461"));
    worker.Tell("now\n");
    const std::string down = worker.ReadLine();
    Say(absl::StrCat(name, " ", down));
    int read = 0;
    ASSERT_TRUE(absl::StartsWith(down, "down ")) << down;
    ASSERT_TRUE(absl::SimpleAtoi(down.substr(5, down.find(' ', 5) - 5), &read));
    EXPECT_GT(read, 1900);
    EXPECT_LT(read, 2100);
    if (is_ioredis) {
      EXPECT_THAT(down, HasSubstr("CLUSTERDOWN Hash slot not served"));
    }
    // ioredis waits for a slot that is down, for some seconds; the package redis does not.
    if (is_ioredis) worker.EndInput();
    // At the port it had: the package redis asks nobody for another while its connection is down.
    nodes_[2] = StartNode(store(2), nodes_[2]->resp);
    AwaitEven(3);
    Say(absl::StrCat(name, " ", worker.Finish()));
  }
  ExpectClean(3);
}

}  // namespace
}  // namespace kvarts
