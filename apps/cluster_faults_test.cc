// Faults of processes, of the coordinator and of the network, in the middle of moves and beside
// writers. What is acknowledged by a store that survives is there afterwards, and nothing is in
// transit: within 5 s of the last thing that came back. It takes minutes, an etcd as it is
// installed (Debian's package etcd-server) and, for the network, root; hence "manual":
//   ./bazelw run //apps:cluster_faults_test

#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "apps/testing/cluster_fixture.h"
#include "apps/testing/forwarder.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "base/slot.h"
#include "cluster/coordinator/etcd_cluster.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/store.h"

namespace kvarts {
namespace {

constexpr int kKeys = kSanitized ? 2000 : 20000;
constexpr absl::Duration kFault = absl::Seconds(5);
constexpr absl::Duration kHeals = absl::Seconds(kSanitized ? 30 : 5);
constexpr size_t kMembers = 3;

// Of each victim: KVARTS_CLUSTER_KILLS says another number.
int Kills() {
  int kills = 20;
  if (const char* const other = std::getenv("KVARTS_CLUSTER_KILLS"); other != nullptr) {
    EXPECT_TRUE(absl::SimpleAtoi(other, &kills)) << other;
  }
  return kills;
}

class ClusterFaultsTest : public ClusterFixture {
 protected:
  struct Node {
    std::string store;
    std::vector<std::string> flags;
    std::unique_ptr<TestServer> server;
  };

  // Three members with disks, all entries, and clients that count.
  void StartMembers() {
    Create();
    for (size_t i = 0; i < kMembers; ++i) {
      nodes_.push_back(NewNode());
      StartNode(&nodes_[i]);
    }
    AwaitEven(kMembers);
    const std::unique_ptr<Store> client = Client(*nodes_[0].server, kClusterPatience);
    ASSERT_NE(client, nullptr);
    Fill(client.get(), kKeys);
    counting_ = std::make_unique<Counting>(
        [this] { return Client(*nodes_[1].server, kClusterPatience); }, 2);
  }
  // Each with ports of its own, and the same when it is started again.
  virtual Node NewNode() {
    Node node;
    node.store = Sstable(next_store_++);
    for (const char* flag : {"--listen", "--resp", "--http", "--internal"}) {
      node.flags.push_back(absl::StrCat(flag, "=127.0.0.1:", FreePort()));
    }
    return node;
  }
  virtual void StartNode(Node* node, bool manual = false) {
    std::vector<std::string> flags = node->flags;
    if (manual) flags.push_back("--manual");
    node->server = Start(node->store, flags);
    ASSERT_NE(node->server->ready, "") << node->server->process.Errors();
  }
  static void Kill(Node* node) {
    node->server->process.Signal(SIGKILL);
    node->server->process.Wait();
  }

  // The member that plans: the alive one with the lowest id.
  size_t Planner() {
    std::map<std::string, size_t> by_id;
    const auto lines = Nodes(Cluster("status", {"--json"}).out);
    for (size_t i = 0; i < nodes_.size(); ++i) {
      const auto it = lines.find(nodes_[i].server->resp);
      if (it != lines.end()) by_id[it->second.id] = i;
    }
    EXPECT_FALSE(by_id.empty());
    return by_id.empty() ? 0 : by_id.begin()->second;
  }

  // A fourth node, to which slots begin to move, and a random moment of that.
  void BeginMove() {
    nodes_.push_back(NewNode());
    StartNode(&nodes_.back(), true);
    if (HasFatalFailure()) return;
    const ProcessResult added = Cluster("add", {nodes_.back().server->resp, "--timeout=0s"});
    ASSERT_EQ(added.exit_code, 0) << added.err;
    begun_ = absl::Now();
  }
  void AwaitMoment() {
    absl::SleepFor(move_time_ * std::uniform_real_distribution<double>(0, 1)(random_));
  }

  // Whether the fault that has just begun is in a move.
  void CountMoment() {
    const std::string json = Cluster("status", {"--json"}).out;
    ++moments_;
    if (NumberIn(json, "slots_moving") > 0 || NumberIn(json, "slots_to_drop") > 0) ++in_moves_;
  }

  // All is at rest soon after `since`, and everything is there, once.
  void ExpectHealed(absl::Time since, size_t nodes, const std::string& what) {
    AwaitEven(static_cast<int>(nodes));
    const absl::Duration took = absl::Now() - since;
    longest_ = std::max(longest_, took);
    EXPECT_LE(took, kHeals) << what;
    EXPECT_EQ(counting_->wrong(), 0) << counting_->first_error();
    const std::unique_ptr<Store> client = Client(*nodes_[0].server, kClusterPatience);
    ASSERT_NE(client, nullptr);
    ExpectAll(client.get(), kKeys);
    std::vector<const TestServer*> servers;
    for (const Node& node : nodes_) servers.push_back(node.server.get());
    const int keys = CountByScan(servers);
    EXPECT_GE(keys, kKeys) << what;
    EXPECT_LE(keys, kKeys + counting_->keys()) << what;
  }
  // Three again.
  void RemoveFourth() {
    const ProcessResult removed = Cluster("remove", {nodes_.back().server->resp});
    ASSERT_EQ(removed.exit_code, 0) << removed.err;
    nodes_.pop_back();
  }
  // How long a move takes where nothing happens.
  void MeasureMove() {
    BeginMove();
    if (HasFatalFailure()) return;
    AwaitEven(kMembers + 1);
    move_time_ = absl::Now() - begun_;
    RemoveFourth();
    Note("a move without faults", move_time_);
  }
  void EndCounting() {
    counting_->Stop();
    const std::unique_ptr<Store> client = Client(*nodes_[0].server, kClusterPatience);
    ASSERT_NE(client, nullptr);
    counting_->ExpectExact(client.get());
    EXPECT_EQ(counting_->wrong(), 0) << counting_->first_error();
    EXPECT_GT(counting_->sum(), 0);
    Note("at rest after at most", longest_);
    if (moments_ > 0) {
      EXPECT_GT(in_moves_, 0) << "it was never tried";
      Note(absl::StrCat(in_moves_, " of ", moments_, " faults began in a move"));
    }
    Note(absl::StrCat(counting_->sum(), " writes, ", counting_->errors(),
                      " errors, first: ", counting_->first_error()));
  }
  static void Note(const std::string& what) {
    std::fputs(absl::StrCat(what, "\n").c_str(), stdout);
    std::fflush(stdout);
  }
  static void Note(const std::string& what, absl::Duration time) {
    Note(absl::StrCat(what, ": ", absl::ToInt64Milliseconds(time), " ms"));
  }

  std::vector<Node> nodes_;
  std::unique_ptr<Counting> counting_;
  int next_store_ = 0;
  int moments_ = 0;
  int in_moves_ = 0;
  absl::Time begun_;
  absl::Duration move_time_;
  absl::Duration longest_;
  std::minstd_rand random_{1};
};

TEST_F(ClusterFaultsTest, SourceTargetAndPlannerAreKilledAtRandomMomentsOfMoves) {
  StartMembers();
  MeasureMove();
  for (int round = 0; round < 3 * Kills() && !HasFailure(); ++round) {
    const char* const roles[] = {"source", "target", "planner"};
    const std::string what = absl::StrCat(roles[round % 3], ", round ", round);
    BeginMove();
    if (HasFatalFailure()) break;
    const size_t victim = round % 3 == 0   ? static_cast<size_t>(round / 3) % kMembers
                          : round % 3 == 1 ? kMembers
                                           : Planner();
    AwaitMoment();
    Kill(&nodes_[victim]);
    CountMoment();
    StartNode(&nodes_[victim]);
    if (HasFatalFailure()) break;
    ExpectHealed(absl::Now(), kMembers + 1, what);
    RemoveFourth();
  }
  EndCounting();
}

TEST_F(ClusterFaultsTest, SourceTargetAndPlannerStandStillForFiveSecondsInAMove) {
  StartMembers();
  MeasureMove();
  for (int round = 0; round < 6 && !HasFailure(); ++round) {
    const char* const roles[] = {"source", "target", "planner"};
    BeginMove();
    if (HasFatalFailure()) break;
    const size_t victim = round % 3 == 0   ? static_cast<size_t>(round / 3) % kMembers
                          : round % 3 == 1 ? kMembers
                                           : Planner();
    AwaitMoment();
    nodes_[victim].server->process.Signal(SIGSTOP);
    const absl::Time end = absl::Now() + kFault;
    CountMoment();
    absl::SleepFor(end - absl::Now());
    nodes_[victim].server->process.Signal(SIGCONT);
    ExpectHealed(absl::Now(), kMembers + 1, absl::StrCat(roles[round % 3], ", round ", round));
    RemoveFourth();
  }
  EndCounting();
}

class EtcdFaultsTest : public ClusterFaultsTest {
 protected:
  static constexpr int kEtcds = 3;

  void SetUp() override {
    const std::string program = "/usr/bin/etcd";
    if (::access(program.c_str(), X_OK) != 0) GTEST_SKIP() << "needs " << program;
    etcd_ = std::make_unique<EtcdCluster>(program, kEtcds);
    table_ = absl::StrCat("etcd://", absl::StrJoin(etcd_->endpoints(), ","), "/faults");
  }
  void SignalAll(int signal) {
    for (int i = 0; i < kEtcds; ++i) etcd_->Signal(i, signal);
  }

  std::unique_ptr<EtcdCluster> etcd_;
};

TEST_F(EtcdFaultsTest, TheLeaderStandsStillAndIsKilledInAMove) {
  StartMembers();
  MeasureMove();
  for (int round = 0; round < 4 && !HasFailure(); ++round) {
    const int leader = etcd_->Leader();
    ASSERT_GE(leader, 0);
    BeginMove();
    if (HasFatalFailure()) break;
    AwaitMoment();
    const bool is_last = round == 3;  // with two of three it goes on
    etcd_->Signal(leader, is_last ? SIGKILL : SIGSTOP);
    const absl::Time since = absl::Now();
    ExpectHealed(since, kMembers + 1, is_last ? "killed" : "standing still");
    if (!is_last) etcd_->Signal(leader, SIGCONT);
    RemoveFourth();
  }
  EndCounting();
}

TEST_F(EtcdFaultsTest, NodesGoOnServingWhileAllOfItIsAwayForAMinute) {
  StartMembers();
  MeasureMove();
  if (HasFailure()) return;
  // Nothing moves: nobody notices.
  const int errors = counting_->errors();
  SignalAll(SIGSTOP);
  const absl::Time end = absl::Now() + absl::Seconds(60);
  const std::unique_ptr<Store> client = Client(*nodes_[0].server);
  ASSERT_NE(client, nullptr);
  while (absl::Now() < end && !HasFailure()) ExpectAll(client.get(), kKeys);
  EXPECT_EQ(counting_->errors(), errors) << counting_->first_error();
  SignalAll(SIGCONT);
  absl::Time back = absl::Now();
  BeginMove();
  if (HasFatalFailure()) return;
  ExpectHealed(back, kMembers + 1, "away while nothing moved");
  RemoveFourth();
  // In a move.
  BeginMove();
  if (HasFatalFailure()) return;
  AwaitMoment();
  SignalAll(SIGSTOP);
  absl::SleepFor(absl::Seconds(60));
  SignalAll(SIGCONT);
  back = absl::Now();
  ExpectHealed(back, kMembers + 1, "away in a move");
  EndCounting();
}

// Nodes in network namespaces of their own, on a bridge in one that only this process has: nothing
// of it is seen outside, and all is gone with it.
class PartitionTest : public ClusterFaultsTest {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    char* const here = ::getcwd(nullptr, 0);
    here_ = here;
    std::free(here);
    Ip("link set lo up");
    Ip("link add bridge0 type bridge");
    Ip("addr add 10.199.0.254/24 dev bridge0");
    Ip("link set bridge0 up");
    const std::string secret = WriteSecret("secret", "0123456789abcdef\n");
    cluster_flags_ = {secret};
  }

  void Run(const std::string& command) {
    const ProcessResult result = RunProcess({"/bin/sh", "-c", command});
    EXPECT_EQ(result.exit_code, 0) << command << "\n" << result.err;
  }
  void Ip(const std::string& words) { Run(absl::StrCat("ip ", words)); }
  std::string In(size_t place) const {
    return absl::StrCat("nsenter -t ", places_[place]->pid(), " -n ");
  }
  static std::string Address(size_t place) { return absl::StrCat("10.199.0.", place + 1); }

  Node NewNode() override {
    const size_t place = places_.size();
    places_.push_back(std::make_unique<Process>(std::vector<std::string>{
        "/bin/sh", "-c", "exec unshare -n sh -c 'echo up; exec sleep inf'"}));
    EXPECT_EQ(places_.back()->ReadLine(), "up");
    Ip(absl::StrCat("link add v", place, " type veth peer name eth0 netns ",
                    places_.back()->pid()));
    Ip(absl::StrCat("link set v", place, " master bridge0 up"));
    Run(absl::StrCat(In(place), "ip addr add ", Address(place), "/24 dev eth0"));
    Run(absl::StrCat(In(place), "ip link set eth0 up"));
    Run(absl::StrCat(In(place), "ip link set lo up"));
    Node node;
    node.store = Sstable(next_store_++);
    node.flags = {absl::StrCat("--listen=tcp://", Address(place), ":7700"),
                  absl::StrCat("--resp=", Address(place), ":7379"),
                  absl::StrCat("--http=", Address(place), ":7780"),
                  absl::StrCat("--internal=", Address(place), ":7800"),
                  "--insecure_listen",
                  cluster_flags_[0]};
    return node;
  }
  void StartNode(Node* node, bool manual = false) override {
    const size_t place = places_.size() - 1;
    std::vector<std::string> words = {"/usr/bin/nsenter",
                                      "-t",
                                      absl::StrCat(places_[place]->pid()),
                                      "-n",
                                      absl::StrCat(here_, "/apps/kv_node"),
                                      absl::StrCat("--coordinator=", table_),
                                      absl::StrCat("--store=", node->store),
                                      "--join_delay=0s",
                                      "--threads=2"};
    words.insert(words.end(), node->flags.begin(), node->flags.end());
    if (manual) words.push_back("--manual");
    node->server = std::make_unique<TestServer>(words, dir_);
    ASSERT_NE(node->server->ready, "") << node->server->process.Errors();
  }

  // What goes from one place to the other is lost: it is sent to a machine that is not there.
  void Lose(size_t from, size_t to) {
    Run(absl::StrCat(In(from), "ip neigh replace ", Address(to),
                     " lladdr 02:00:00:00:00:99 dev eth0 nud permanent"));
  }
  void Heal(size_t from, size_t to) {
    Run(absl::StrCat(In(from), "ip neigh del ", Address(to), " dev eth0"));
  }

  std::string here_;
  std::vector<std::unique_ptr<Process>> places_;
};

TEST_F(PartitionTest, SourceAndTargetDoNotHearEachOtherForFiveSecondsInAMove) {
  StartMembers();
  MeasureMove();
  // Both ways, and either.
  for (int round = 0; round < 6 && !HasFailure(); ++round) {
    BeginMove();
    if (HasFatalFailure()) break;
    const size_t source = static_cast<size_t>(round) % kMembers;
    const size_t target = places_.size() - 1;
    AwaitMoment();
    const bool there = round % 3 != 1;
    const bool back = round % 3 != 2;
    if (there) Lose(source, target);
    if (back) Lose(target, source);
    const absl::Time end = absl::Now() + kFault;
    CountMoment();
    absl::SleepFor(end - absl::Now());
    if (there) Heal(source, target);
    if (back) Heal(target, source);
    ExpectHealed(absl::Now(), kMembers + 1,
                 absl::StrCat(there ? "there " : "", back ? "back " : "", "round ", round));
    RemoveFourth();
  }
  EndCounting();
}

TEST_F(PartitionTest, ANodeIsCutOffFromAllOthersInAMove) {
  StartMembers();
  MeasureMove();
  for (int round = 0; round < 2 && !HasFailure(); ++round) {
    BeginMove();
    if (HasFatalFailure()) break;
    const size_t place = round == 0 ? 0 : places_.size() - 1;
    AwaitMoment();
    Ip(absl::StrCat("link set v", place, " nomaster"));
    const absl::Time end = absl::Now() + kFault;
    CountMoment();
    absl::SleepFor(end - absl::Now());
    Ip(absl::StrCat("link set v", place, " master bridge0"));
    ExpectHealed(absl::Now(), kMembers + 1, absl::StrCat("round ", round));
    RemoveFourth();
  }
  EndCounting();
}

}  // namespace
}  // namespace kvarts
