// A node of a cluster, as Redis clients see it.

#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/slot.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/fixed_cluster.h"
#include "net/resp/cluster_replies.h"
#include "net/resp/session_harness.h"
#include "storage/slot_status.h"
#include "testing/model/model_store.h"
#include "testing/model/slot_store.h"
#include "testing/model/slow_store.h"

namespace kvarts {
namespace resp {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr char kOk[] = "+OK\r\n";
constexpr char kQueued[] = "+QUEUED\r\n";
constexpr char kMoved[] = "-MOVED 12182 127.0.0.1:7002\r\n";  // of "foo"
constexpr char kDown[] = "-CLUSTERDOWN Hash slot not served\r\n";
constexpr char kCross[] = "-CROSSSLOT Keys in request don't hash to the same slot\r\n";
constexpr char kAbort[] = "-EXECABORT Transaction discarded because of previous errors.\r\n";

enum class Kind : unsigned char { kOnTheLoop, kOnAPool, kNoWait };

// Node 0, which holds all slots until a test moves some.
class ClusterTest : public testing::TestWithParam<Kind> {
 protected:
  ClusterTest() : cluster_(MapOf(1)) {
    cluster_.Change([](ClusterMap* map) {
      const ClusterMap three = MapOf(3);
      map->nodes = three.nodes;
    });
    ModelStoreOptions model;
    model.capabilities.may_block = GetParam() == Kind::kOnAPool;
    std::unique_ptr<Store> store = NewModelStore(model);
    if (GetParam() == Kind::kNoWait) {
      store = std::make_unique<SlowStore>(std::move(store), SlowStoreOptions{true, false, {}});
    }
    auto slots = std::make_unique<SlotStore>(std::move(store));
    slots_ = slots.get();
    RespOptions options;
    options.cluster = &cluster_;
    harness_ = std::make_unique<SessionHarness>(std::move(slots), options);
    connection_ = harness_->Connect();
  }

  // From now on commands of several slots go to `all_`.
  void ServeAllNodes() { harness_->service().SetAllNodes(&all_runner_); }

  // Writes that a thread of the store ends are waited for.
  std::string Ask(absl::Span<const absl::string_view> args) {
    std::string reply = harness_->Ask(*connection_, args);
    while (reply.empty()) {
      all_runner_.RunHeld();
      reply = harness_->Send(*connection_, "");
    }
    return reply;
  }
  std::string Ask(std::initializer_list<absl::string_view> args) {
    return Ask(absl::MakeConstSpan(args.begin(), args.size()));
  }

  // In the store and in the map, as it is when a move is over.
  void MoveAway(uint16_t slot) {
    slots_->GiveUp({slot, "127.0.0.1:7002", "http://127.0.0.1:8002"});
    cluster_.Change([slot](ClusterMap* map) { map->owner[slot] = 1; });
  }
  void MoveBack(uint16_t slot) {
    slots_->TakeBack(slot);
    cluster_.Change([slot](ClusterMap* map) { map->owner[slot] = 0; });
  }

  const uint16_t foo_ = KeySlot("foo");
  FixedCluster cluster_;
  SlotStore* slots_ = nullptr;
  std::unique_ptr<SessionHarness> harness_;
  std::unique_ptr<SessionHarness::Connection> connection_;
  // What stands for a store over all nodes has entries of its own.
  SlotStore all_{NewModelStore()};
  HeldRunner all_runner_{&all_};
};

INSTANTIATE_TEST_SUITE_P(All, ClusterTest,
                         testing::Values(Kind::kOnTheLoop, Kind::kOnAPool, Kind::kNoWait),
                         [](const auto& info) {
                           switch (info.param) {
                             case Kind::kOnTheLoop:
                               return "OnTheLoop";
                             case Kind::kOnAPool:
                               return "OnAPool";
                             case Kind::kNoWait:
                               return "NoWait";
                           }
                           return "";
                         });

TEST_P(ClusterTest, AKeyOfAnotherNodeIsMovedForEveryCommand) {
  MoveAway(foo_);
  const std::vector<std::vector<absl::string_view>> commands = {
      {"GET", "foo"},
      {"SET", "foo", "1"},
      {"SET", "foo", "1", "NX"},
      {"SET", "foo", "1", "XX", "GET"},
      {"SETNX", "foo", "1"},
      {"SETEX", "foo", "10", "1"},
      {"GETSET", "foo", "1"},
      {"GETDEL", "foo"},
      {"GETEX", "foo", "PERSIST"},
      {"APPEND", "foo", "1"},
      {"SETRANGE", "foo", "1", "1"},
      {"INCR", "foo"},
      {"INCRBYFLOAT", "foo", "1"},
      {"STRLEN", "foo"},
      {"GETRANGE", "foo", "0", "1"},
      {"MGET", "foo", "{foo}2"},
      {"MSET", "foo", "1", "{foo}2", "2"},
      {"MSETNX", "foo", "1", "{foo}2", "2"},
      {"DEL", "foo"},
      {"UNLINK", "foo", "{foo}2"},
      {"EXISTS", "foo"},
      {"TOUCH", "foo", "{foo}2"},
      {"EXPIRE", "foo", "10"},
      {"PERSIST", "foo"},
      {"TTL", "foo"},
      {"TYPE", "foo"},
      {"RENAME", "foo", "{foo}2"},
      {"RENAME", "foo", "foo"},
      {"RENAMENX", "foo", "{foo}2"},
      {"COPY", "foo", "{foo}2"},
      {"LCS", "foo", "{foo}2"},
      {"OBJECT", "ENCODING", "foo"},
      {"MEMORY", "USAGE", "foo"},
      {"WATCH", "foo", "{foo}2"},
  };
  for (const auto& command : commands) EXPECT_EQ(Ask(command), kMoved) << command[0];
  slots_->TakeDown(foo_);
  for (const auto& command : commands) EXPECT_EQ(Ask(command), kDown) << command[0];
  MoveBack(foo_);
  EXPECT_EQ(Ask({"EXISTS", "foo", "{foo}2"}), ":0\r\n") << "nothing was done";
}

TEST_P(ClusterTest, KeysOfSeveralSlotsAreRefusedBeforeAnythingIsDone) {
  const std::vector<std::vector<absl::string_view>> commands = {
      {"MGET", "foo", "bar"},      {"MSET", "foo", "1", "bar", "2"},
      {"MSET", "foo", "1", "bar"}, {"MSETNX", "foo", "1", "bar", "2"},
      {"DEL", "foo", "bar"},       {"UNLINK", "foo", "bar"},
      {"EXISTS", "foo", "bar"},    {"TOUCH", "foo", "bar"},
      {"RENAME", "foo", "bar"},    {"RENAMENX", "foo", "bar"},
      {"COPY", "foo", "bar"},      {"LCS", "foo", "bar"},
      {"WATCH", "foo", "bar"},
  };
  Ask({"SET", "foo", "0"});
  for (const auto& command : commands) EXPECT_EQ(Ask(command), kCross) << command[0];
  EXPECT_EQ(Ask({"GET", "foo"}), "$1\r\n0\r\n");
  EXPECT_EQ(Ask({"EXISTS", "bar"}), ":0\r\n");
  for (const auto& command : commands) {
    if (command[0] == "WATCH") continue;
    EXPECT_EQ(Ask({"MULTI"}), kOk);
    EXPECT_EQ(Ask(command), kCross) << command[0];
    EXPECT_EQ(Ask({"EXEC"}), kAbort);
  }
}

TEST_P(ClusterTest, WithAStoreOfAllNodesKeysOfSeveralSlotsAreAskedOfIt) {
  ServeAllNodes();
  EXPECT_EQ(Ask({"MSET", "foo", "1", "bar", "2"}), kOk);
  EXPECT_EQ(Ask({"MGET", "bar", "none", "foo"}), "*3\r\n$1\r\n2\r\n$-1\r\n$1\r\n1\r\n");
  EXPECT_EQ(Ask({"EXISTS", "foo", "bar", "foo"}), ":3\r\n");
  EXPECT_EQ(Ask({"MSET", "foo", "1", "bar"}),
            "-ERR wrong number of arguments for 'mset' command\r\n");
  // What is of one slot stays here.
  EXPECT_EQ(Ask({"EXISTS", "foo"}), ":0\r\n");
  EXPECT_EQ(Ask({"DEL", "foo", "none"}), ":1\r\n");
  EXPECT_EQ(Ask({"UNLINK", "foo", "bar"}), ":1\r\n");
  for (const std::vector<absl::string_view>& command :
       {std::vector<absl::string_view>{"MSETNX", "foo", "1", "bar", "2"},
        {"TOUCH", "foo", "bar"},
        {"RENAME", "foo", "bar"},
        {"COPY", "foo", "bar"},
        {"WATCH", "foo", "bar"}}) {
    EXPECT_EQ(Ask(command), kCross) << command[0];
  }
  EXPECT_EQ(Ask({"MULTI"}), kOk);
  EXPECT_EQ(Ask({"MGET", "foo", "bar"}), kCross);
  EXPECT_EQ(Ask({"EXEC"}), kAbort);
}

TEST_P(ClusterTest, CommandsOfSeveralSlotsKeepTheirPlaceInAPipeline) {
  ServeAllNodes();
  std::string requests;
  for (const std::vector<absl::string_view>& command :
       {std::vector<absl::string_view>{"SET", "foo", "here"},
        {"MSET", "foo", "1", "bar", "2"},
        {"GET", "foo"},
        {"MGET", "foo", "bar"},
        {"CLIENT", "REPLY", "SKIP"},
        {"DEL", "foo", "bar"},
        {"EXISTS", "foo", "bar"},
        {"CLIENT", "REPLY", "OFF"},
        {"MSET", "foo", "1", "bar", "2"},
        {"CLIENT", "REPLY", "ON"},
        {"EXISTS", "foo", "bar"},
        {"DEL", "foo"},
        {"QUIT"}}) {
    requests += Request(command);
  }
  const std::string expected =
      "+OK\r\n+OK\r\n$4\r\nhere\r\n*2\r\n$1\r\n1\r\n$1\r\n2\r\n"
      ":0\r\n+OK\r\n:2\r\n:1\r\n+OK\r\n";
  std::string replies = harness_->Send(*connection_, requests);
  while (replies.size() < expected.size()) {
    all_runner_.RunHeld();
    replies += harness_->Send(*connection_, "");
  }
  EXPECT_EQ(replies, expected);
}

TEST_P(ClusterTest, AnErrorOfOneNodeIsTheCommandsOne) {
  ServeAllNodes();
  EXPECT_EQ(Ask({"MSET", "foo", "1", "bar", "2"}), kOk);
  all_.TakeDown(foo_);
  EXPECT_EQ(Ask({"MGET", "bar", "foo"}), kDown);
  EXPECT_EQ(Ask({"EXISTS", "bar", "foo"}), kDown);
  EXPECT_EQ(Ask({"DEL", "bar", "foo"}), kDown);
  all_.TakeBack(foo_);
  EXPECT_EQ(Ask({"EXISTS", "bar", "foo"}), ":1\r\n") << "the other part was done";
  all_runner_.full_ = true;
  EXPECT_EQ(Ask({"MGET", "bar", "foo"}), "-ERR the server is overloaded: try again later\r\n");
}

TEST_P(ClusterTest, AClientMayLeaveWhileNodesAreAsked) {
  ServeAllNodes();
  connection_->wire->to_read += Request({"MSET", "foo", "1", "bar", "2"});
  harness_->Move(*connection_);
  connection_->session.reset();
  all_runner_.RunHeld();
  harness_->loop().Run();
  EXPECT_TRUE(all_.Get("bar").ok());
}

TEST_P(ClusterTest, KeysOfOneSlotAreWrittenTogether) {
  EXPECT_EQ(Ask({"MSET", "{a}1", "1", "{a}2", "2"}), kOk);
  EXPECT_EQ(Ask({"MGET", "{a}1", "{a}2"}), "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
  EXPECT_EQ(Ask({"MSETNX", "{a}3", "1", "{a}2", "2"}), ":0\r\n");
  EXPECT_EQ(Ask({"RENAME", "{a}1", "{a}4"}), kOk);
  EXPECT_EQ(Ask({"COPY", "{a}4", "{a}5"}), ":1\r\n");
  EXPECT_EQ(Ask({"DEL", "{a}2", "{a}4", "{a}5"}), ":3\r\n");
}

TEST_P(ClusterTest, ATransactionOfOneSlotIsCarriedOut) {
  EXPECT_EQ(Ask({"WATCH", "foo"}), kOk);
  EXPECT_EQ(Ask({"MULTI"}), kOk);
  EXPECT_EQ(Ask({"INCR", "foo"}), kQueued);
  EXPECT_EQ(Ask({"MSET", "{foo}1", "1", "{foo}2", "2"}), kQueued);
  EXPECT_EQ(Ask({"EXEC"}), "*2\r\n:1\r\n+OK\r\n");
  EXPECT_EQ(Ask({"WATCH", "foo"}), kOk);
  EXPECT_EQ(Ask({"SET", "foo", "5"}), kOk);
  EXPECT_EQ(Ask({"MULTI"}), kOk);
  EXPECT_EQ(Ask({"SET", "foo", "6"}), kQueued);
  EXPECT_EQ(Ask({"EXEC"}), "*-1\r\n");
}

TEST_P(ClusterTest, ATransactionOfSeveralSlotsIsRefusedAtItsEnd) {
  EXPECT_EQ(Ask({"MULTI"}), kOk);
  EXPECT_EQ(Ask({"SET", "foo", "1"}), kQueued);
  EXPECT_EQ(Ask({"SET", "bar", "1"}), kQueued);
  EXPECT_EQ(Ask({"EXEC"}), kCross);
  EXPECT_EQ(Ask({"WATCH", "bar"}), kOk);
  EXPECT_EQ(Ask({"MULTI"}), kOk);
  EXPECT_EQ(Ask({"SET", "foo", "1"}), kQueued);
  EXPECT_EQ(Ask({"EXEC"}), kCross);
  EXPECT_EQ(Ask({"EXISTS", "foo"}), ":0\r\n");
  EXPECT_EQ(Ask({"EXEC"}), "-ERR EXEC without MULTI\r\n");
}

TEST_P(ClusterTest, ACommandOfAnotherNodesKeyIsNotQueued) {
  MoveAway(foo_);
  EXPECT_EQ(Ask({"MULTI"}), kOk);
  EXPECT_EQ(Ask({"GET", "bar"}), kQueued);
  EXPECT_EQ(Ask({"SET", "foo", "1"}), kMoved);
  EXPECT_EQ(Ask({"EXEC"}), kAbort);
  slots_->TakeDown(foo_);
  EXPECT_EQ(Ask({"MULTI"}), kOk);
  EXPECT_EQ(Ask({"SET", "foo", "1"}), kDown);
  EXPECT_EQ(Ask({"EXEC"}), kAbort);
  // The map is late: the store has the slot already.
  slots_->TakeBack(foo_);
  EXPECT_EQ(Ask({"MULTI"}), kOk);
  EXPECT_EQ(Ask({"SET", "foo", "1"}), kQueued);
  EXPECT_EQ(Ask({"EXEC"}), "*1\r\n+OK\r\n");
}

TEST_P(ClusterTest, ExecIsMovedItselfAndDoesNothing) {
  const std::vector<std::vector<absl::string_view>> commands = {
      {"SET", "foo", "1"}, {"GET", "foo"}, {"INCR", "foo"}, {"MGET", "foo", "{foo}2"}};
  for (const auto& command : commands) {
    EXPECT_EQ(Ask({"MULTI"}), kOk);
    EXPECT_EQ(Ask(command), kQueued);
    EXPECT_EQ(Ask({"SET", "{foo}2", "2"}), kQueued);
    MoveAway(foo_);
    EXPECT_EQ(Ask({"EXEC"}), kMoved) << command[0];
    EXPECT_EQ(Ask({"EXEC"}), "-ERR EXEC without MULTI\r\n");
    MoveBack(foo_);
    EXPECT_EQ(Ask({"EXISTS", "foo", "{foo}2"}), ":0\r\n") << command[0];
  }
  EXPECT_EQ(Ask({"MULTI"}), kOk);
  EXPECT_EQ(Ask({"SET", "foo", "1"}), kQueued);
  slots_->TakeDown(foo_);
  EXPECT_EQ(Ask({"EXEC"}), kDown);
}

TEST_P(ClusterTest, AWatchedKeyThatMovedIsMovedAndOneThatCameBackHasChanged) {
  EXPECT_EQ(Ask({"WATCH", "foo"}), kOk);
  EXPECT_EQ(Ask({"MULTI"}), kOk);
  EXPECT_EQ(Ask({"SET", "foo", "1"}), kQueued);
  MoveAway(foo_);
  EXPECT_EQ(Ask({"EXEC"}), kMoved);
  MoveBack(foo_);
  EXPECT_EQ(Ask({"WATCH", "foo"}), kOk);
  MoveAway(foo_);
  MoveBack(foo_);
  EXPECT_EQ(Ask({"MULTI"}), kOk);
  EXPECT_EQ(Ask({"SET", "foo", "1"}), kQueued);
  EXPECT_EQ(Ask({"EXEC"}), "*-1\r\n");
  EXPECT_EQ(Ask({"EXISTS", "foo"}), ":0\r\n");
}

TEST_P(ClusterTest, AnIpv6AddressHasNoBracketsAndNoNodeIsNameless) {
  slots_->GiveUp({foo_, HostPort("::1", 7002), ""});
  EXPECT_EQ(Ask({"GET", "foo"}), "-MOVED 12182 ::1:7002\r\n");
  slots_->GiveUp({foo_, "", "127.0.0.1:8002"});
  EXPECT_EQ(Ask({"GET", "foo"}), "-ERR slot 12182 is held by a node that does not speak RESP\r\n");
}

TEST_P(ClusterTest, TheServerSaysThatItIsANode) {
  EXPECT_EQ(Ask({"SELECT", "0"}), kOk);
  EXPECT_EQ(Ask({"SELECT", "1"}), "-ERR SELECT is not allowed in cluster mode\r\n");
  EXPECT_THAT(Ask({"INFO", "server"}), HasSubstr("redis_mode:cluster\r\n"));
  EXPECT_THAT(Ask({"INFO", "cluster"}), HasSubstr("cluster_enabled:1\r\n"));
  EXPECT_THAT(Ask({"HELLO", "2"}), HasSubstr("$4\r\nmode\r\n$7\r\ncluster\r\n"));
  for (const char* command : {"READONLY", "READWRITE", "ASKING"}) EXPECT_EQ(Ask({command}), kOk);
  EXPECT_EQ(Ask({"SCRIPT", "FLUSH"}), kOk);
  EXPECT_THAT(Ask({"COMMAND", "INFO", "cluster"}), HasSubstr("$13\r\ncluster|slots\r\n"));
}

TEST_P(ClusterTest, TheSmallSubcommandsAnswer) {
  const std::string me(40, '0');
  const std::string me_too = absl::StrCat("$40\r\n", me, "\r\n");
  EXPECT_EQ(Ask({"CLUSTER", "MYID"}), me_too);
  EXPECT_EQ(Ask({"CLUSTER", "MYSHARDID"}), me_too);
  EXPECT_EQ(Ask({"CLUSTER", "KEYSLOT", "foo"}), ":12182\r\n");
  EXPECT_EQ(Ask({"CLUSTER", "BUMPEPOCH"}), "+STILL 1\r\n");
  EXPECT_EQ(Ask({"CLUSTER", "LINKS"}), "*0\r\n");
  for (const char* name : {"REPLICAS", "SLAVES"}) {
    EXPECT_EQ(Ask({"CLUSTER", name, me}), "*0\r\n");
    EXPECT_EQ(Ask({"CLUSTER", name, "x"}), "-ERR Unknown node x\r\n");
  }
  EXPECT_EQ(Ask({"CLUSTER", "COUNT-FAILURE-REPORTS", me}), ":0\r\n");
  EXPECT_EQ(Ask({"CLUSTER", "COUNT-FAILURE-REPORTS", "x"}), "-ERR Unknown node x\r\n");
  EXPECT_THAT(Ask({"CLUSTER", "HELP"}), HasSubstr("+SLOTS\r\n"));
  EXPECT_THAT(Ask({"CLUSTER", "NONE"}), StartsWith("-ERR unknown subcommand 'NONE'. Try CLUSTER"));
  EXPECT_EQ(Ask({"CLUSTER", "SLOTS", "x"}),
            "-ERR wrong number of arguments for 'cluster|slots' command\r\n");
  cluster_.Change([](ClusterMap* map) { map->myself = -1; });
  EXPECT_THAT(Ask({"CLUSTER", "MYID"}), StartsWith("-ERR this node is not registered"));
}

TEST_P(ClusterTest, KeysOfASlotAreCountedAndListed) {
  Ask({"MSET", "{foo}1", "1", "{foo}2", "2", "foo", "3"});
  Ask({"SET", "bar", "1"});
  EXPECT_EQ(Ask({"CLUSTER", "COUNTKEYSINSLOT", "12182"}), ":3\r\n");
  EXPECT_EQ(Ask({"CLUSTER", "COUNTKEYSINSLOT", "0"}), ":0\r\n");
  EXPECT_THAT(Ask({"CLUSTER", "GETKEYSINSLOT", "12182", "2"}), StartsWith("*2\r\n$"));
  EXPECT_THAT(Ask({"CLUSTER", "GETKEYSINSLOT", "12182", "10"}), StartsWith("*3\r\n$"));
  EXPECT_EQ(Ask({"CLUSTER", "GETKEYSINSLOT", "12182", "0"}), "*0\r\n");
  EXPECT_EQ(Ask({"CLUSTER", "COUNTKEYSINSLOT", "16384"}), "-ERR Invalid slot\r\n");
  EXPECT_EQ(Ask({"CLUSTER", "GETKEYSINSLOT", "0", "-1"}),
            "-ERR Invalid slot or number of keys\r\n");
  EXPECT_EQ(Ask({"CLUSTER", "COUNTKEYSINSLOT", "x"}),
            "-ERR value is not an integer or out of range\r\n");
}

// redis-cli --cluster check --cluster-search-multiple-owners asks every node of every slot.
TEST_P(ClusterTest, SlotsOfOtherNodesHaveNoKeysHere) {
  Ask({"SET", "foo", "1"});
  MoveAway(12182);
  slots_->TakeDown(5061);  // of "bar"
  for (const char* slot : {"12182", "5061"}) {
    EXPECT_EQ(Ask({"CLUSTER", "COUNTKEYSINSLOT", slot}), ":0\r\n");
    EXPECT_EQ(Ask({"CLUSTER", "GETKEYSINSLOT", slot, "10"}), "*0\r\n");
  }
  MoveBack(12182);
  EXPECT_EQ(Ask({"CLUSTER", "COUNTKEYSINSLOT", "12182"}), ":1\r\n");
}

TEST_P(ClusterTest, PlacingSlotsIsTheCoordinators) {
  const std::vector<std::vector<absl::string_view>> commands = {
      {"MEET", "127.0.0.1", "1"},
      {"ADDSLOTS", "1"},
      {"ADDSLOTSRANGE", "1", "2"},
      {"DELSLOTS", "1"},
      {"DELSLOTSRANGE", "1", "2"},
      {"SETSLOT", "1", "STABLE"},
      {"REPLICATE", "x"},
      {"FORGET", "x"},
      {"FAILOVER"},
      {"RESET"},
      {"FLUSHSLOTS"},
      {"SET-CONFIG-EPOCH", "1"},
      {"SAVECONFIG"},
  };
  for (const auto& rest : commands) {
    std::vector<absl::string_view> args = {"CLUSTER"};
    args.insert(args.end(), rest.begin(), rest.end());
    EXPECT_EQ(Ask(args), absl::StrCat("-ERR CLUSTER ", rest[0],
                                      " is not a client's: the cluster's coordinator places slots "
                                      "and nodes, see kv_cluster\r\n"));
  }
}

TEST_P(ClusterTest, WhoWasToldMovedFindsTheSameInEveryReply) {
  MoveAway(foo_);
  EXPECT_EQ(Ask({"GET", "foo"}), kMoved);
  const std::string other(40, '1');
  EXPECT_THAT(Ask({"CLUSTER", "SLOTS"}),
              HasSubstr(absl::StrCat("*3\r\n:12182\r\n:12182\r\n*4\r\n$9\r\n127.0.0.1\r\n:7002\r\n",
                                     "$40\r\n", other, "\r\n*0\r\n")));
  EXPECT_THAT(
      Ask({"CLUSTER", "NODES"}),
      HasSubstr(absl::StrCat(other, " 127.0.0.1:7002@17002 master - 0 0 2 connected 12182\n")));
  EXPECT_THAT(Ask({"CLUSTER", "SHARDS"}),
              HasSubstr("$5\r\nslots\r\n*2\r\n:12182\r\n:12182\r\n$5\r\nnodes\r\n*1\r\n*14\r\n"));
  MoveBack(foo_);
  EXPECT_THAT(Ask({"CLUSTER", "SLOTS"}), StartsWith("*1\r\n*3\r\n:0\r\n:16383\r\n"));
}

std::string Text(const ClusterMap& map, ClusterTexts::ByProtocol ClusterTexts::*which,
                 size_t protocol = 2) {
  ClusterReplies replies;
  return ((*replies.Newest(FixedCluster(map))).*which)[protocol - 2];
}

TEST(ClusterRepliesTest, NodesAreLinesAsRedisWritesThem) {
  ClusterMap map = MapOf(4);
  map.myself = 1;
  map.nodes[0].internal_port = 0;
  map.nodes[0].host = "::1";
  map.nodes[2].is_alive = false;
  map.nodes[2].host = "node-2.example";
  map.nodes[3].resp_port = 0;
  map.owner[0] = 1;
  map.owner[5] = ClusterMap::kNobody;
  const std::string text = Text(map, &ClusterTexts::nodes);
  EXPECT_THAT(text, EndsWith(absl::StrCat(
                        "\r\n", std::string(40, '0'), " ::1:7001@17001 master - 0 0 1 connected ",
                        "1-4 6-4095\n", std::string(40, '1'),
                        " 127.0.0.1:7002@17002 myself,master - 0 0 2 connected 0 4096-8191\n",
                        std::string(40, '2'),
                        " node-2.example:7003@17003,node-2.example master,fail - 0 0 3 ",
                        "disconnected 8192-12287\n\r\n")));
  EXPECT_THAT(Text(map, &ClusterTexts::nodes, 3), StartsWith("="));
}

TEST(ClusterRepliesTest, AHostNameIsThePreferredEndpoint) {
  ClusterMap map = MapOf(1);
  map.nodes[0].host = "node.example";
  map.nodes[0].resp_tls = true;
  const std::string id = absl::StrCat("$40\r\n", map.nodes[0].id, "\r\n");
  EXPECT_EQ(Text(map, &ClusterTexts::slots),
            absl::StrCat("*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n$12\r\nnode.example\r\n:7001\r\n", id,
                         "*0\r\n"));
  EXPECT_THAT(Text(map, &ClusterTexts::slots, 3), EndsWith("%0\r\n"));
  EXPECT_EQ(Text(map, &ClusterTexts::shards, 3),
            absl::StrCat("*1\r\n%2\r\n$5\r\nslots\r\n*2\r\n:0\r\n:16383\r\n$5\r\nnodes\r\n*1\r\n"
                         "%8\r\n$2\r\nid\r\n",
                         id,
                         "$8\r\ntls-port\r\n:7001\r\n$2\r\nip\r\n$12\r\nnode.example\r\n"
                         "$8\r\nendpoint\r\n$12\r\nnode.example\r\n$8\r\nhostname\r\n"
                         "$12\r\nnode.example\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
                         "$18\r\nreplication-offset\r\n:0\r\n$6\r\nhealth\r\n$6\r\nonline\r\n"));
}

TEST(ClusterRepliesTest, SlotsOfNobodyAndOfNodesWithoutRespAreLeftOut) {
  ClusterMap map = MapOf(3);
  map.nodes[1].resp_port = 0;
  map.owner[0] = ClusterMap::kNobody;
  const std::string text = Text(map, &ClusterTexts::slots);
  EXPECT_THAT(text, StartsWith("*2\r\n*3\r\n:1\r\n:5461\r\n"));
  EXPECT_THAT(text, Not(HasSubstr(":7002\r\n")));
}

TEST(ClusterRepliesTest, TheStateIsOkWhileSlotsAreDownAndTheyAreCounted) {
  ClusterMap map = MapOf(4);
  map.nodes[3].is_alive = false;
  map.owner[0] = ClusterMap::kNobody;
  map.lost_slots = 9;
  const std::string text = ClusterInfoText(map);
  for (const char* line :
       {"cluster_state:ok\r\n", "cluster_slots_assigned:16383\r\n", "cluster_slots_ok:12287\r\n",
        "cluster_slots_pfail:0\r\n", "cluster_slots_fail:4097\r\n", "cluster_known_nodes:4\r\n",
        "cluster_size:4\r\n", "cluster_current_epoch:7\r\n", "cluster_my_epoch:1\r\n",
        "cluster_slots_lost:9\r\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(ClusterRepliesTest, TextsAreMadeOnceAMap) {
  FixedCluster cluster;
  ClusterReplies replies;
  const auto first = replies.Newest(cluster);
  EXPECT_EQ(replies.Newest(cluster), first);
  cluster.Change([](ClusterMap* map) { map->owner[0] = 1; });
  const auto second = replies.Newest(cluster);
  EXPECT_NE(second, first);
  EXPECT_EQ(second->map, cluster.map());
}

TEST(NoClusterTest, AllIsAsBefore) {
  SessionHarness harness;
  const auto connection = harness.Connect();
  for (const char* subcommand : {"SLOTS", "HELP", "NONE", "KEYSLOT"}) {
    EXPECT_EQ(harness.Ask(*connection, {"CLUSTER", subcommand}),
              "-ERR This instance has cluster support disabled\r\n");
  }
  EXPECT_EQ(harness.Ask(*connection, {"MSET", "foo", "1", "bar", "2"}), kOk);
  EXPECT_EQ(harness.Ask(*connection, {"SELECT", "1"}), "-ERR DB index is out of range\r\n");
}

// "foo" is of slot 12182, as is "{foo}x"; "bar" is of another.
TEST_P(ClusterTest, AScriptIsOfOneSlot) {
  EXPECT_EQ(Ask({"EVAL", "return redis.call('SET', KEYS[1], 1)", "1", "foo"}), kOk);
  EXPECT_EQ(Ask({"EVAL", "return 1", "2", "foo", "bar"}), kCross);
  EXPECT_EQ(Ask({"EVAL", "return 1", "2", "foo", "{foo}x"}), ":1\r\n");
  // Keys that are not told beforehand.
  EXPECT_EQ(Ask({"EVAL", "return redis.call('GET', '{foo}x')", "1", "foo"}), "$-1\r\n");
  EXPECT_EQ(Ask({"EVAL", "return redis.call('GET', 'bar')", "0"}), "$-1\r\n");
  EXPECT_THAT(Ask({"EVAL", "redis.call('SET', 'bar', 1)", "1", "foo"}),
              StartsWith("-ERR Script attempted to access keys that do not hash to the same slot"));
  EXPECT_THAT(Ask({"EVAL", "redis.call('SET', 'foo', 2) redis.call('SET', 'bar', 1)", "0"}),
              StartsWith("-ERR Script attempted to access keys that do not hash to the same slot"));
  EXPECT_THAT(Ask({"EVAL", "return redis.call('MGET', 'foo', 'bar')", "0"}),
              StartsWith("-CROSSSLOT "));
}

TEST_P(ClusterTest, AScriptOfAnotherNodesKeysIsMoved) {
  Ask({"SET", "bar", "1"});
  MoveAway(foo_);
  EXPECT_EQ(Ask({"EVAL", "return 1", "1", "foo"}), kMoved);
  EXPECT_EQ(Ask({"EVAL", "return redis.call('GET', KEYS[1])", "1", "foo"}), kMoved);
  EXPECT_EQ(Ask({"EVAL", "return redis.call('GET', KEYS[1])", "1", "bar"}), "$1\r\n1\r\n");
  for (const char* script :
       {"return redis.call('GET', 'foo')", "return redis.call('SET', 'foo', 1)"}) {
    EXPECT_THAT(Ask({"EVAL", script, "0"}),
                StartsWith("-ERR Script attempted to access a non local key in a cluster node"));
    EXPECT_THAT(Ask({"EVAL", script, "1", "bar"}),
                StartsWith("-ERR Script attempted to access a non local key in a cluster node"));
  }
  EXPECT_EQ(Ask({"MULTI"}), kOk);
  EXPECT_EQ(Ask({"EVAL", "return 1", "1", "foo"}), kMoved);
  EXPECT_EQ(Ask({"EXEC"}), kAbort);
  // The map may be behind: the store has the last word.
  MoveBack(foo_);
  slots_->GiveUp({foo_, "127.0.0.1:7002", "http://127.0.0.1:8002"});
  EXPECT_EQ(Ask({"EVAL", "return redis.call('SET', 'foo', 1)", "0"}), kMoved);
}

TEST_P(ClusterTest, BitsOfSeveralKeysAreOfOneSlot) {
  EXPECT_EQ(Ask({"SETBIT", "{foo}a", "1", "1"}), ":0\r\n");
  EXPECT_EQ(Ask({"BITOP", "NOT", "{foo}b", "{foo}a"}), ":1\r\n");
  EXPECT_EQ(Ask({"GET", "{foo}b"}), "$1\r\n\xbf\r\n");
  EXPECT_EQ(Ask({"BITOP", "OR", "bar", "{foo}a"}), kCross);
  MoveAway(foo_);
  EXPECT_EQ(Ask({"BITOP", "NOT", "{foo}b", "{foo}a"}), kMoved);
  EXPECT_EQ(Ask({"SETBIT", "foo", "1", "1"}), kMoved);
  EXPECT_EQ(Ask({"BITFIELD", "foo", "SET", "u8", "0", "1"}), kMoved);
  EXPECT_EQ(Ask({"BITCOUNT", "foo"}), kMoved);
}

}  // namespace
}  // namespace resp
}  // namespace kvarts
