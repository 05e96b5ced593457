// What CLUSTER answers, beside a redis-server in cluster mode that holds the same slots: the same
// bytes. Needs redis-server 7.0 (Debian's package), hence "manual":
//   ./bazelw run //apps:resp_cluster_redis_test

#include <gflags/gflags.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "apps/testing/programs.h"
#include "apps/testing/redis_node.h"
#include "apps/testing/resp_differential/peers.h"
#include "gtest/gtest.h"
#include "net/fixed_cluster.h"
#include "net/resp/session_harness.h"
#include "testing/model/model_store.h"

DEFINE_string(redis_server, "/usr/bin/redis-server", "what to compare with");

namespace kvarts {
namespace {

class RespClusterRedisTest : public testing::Test {
 protected:
  // `host`: as the server announces itself.
  void Start(const std::string& host) {
    redis_ = StartRedisNode(FLAGS_redis_server, {"--cluster-announce-ip", host}, TestDirectory());
    ASSERT_NE(redis_.process, nullptr) << "redis-server does not start";
    const int port = redis_.port;
    peer_ = resp_differential::NewSocketPeer(absl::StrCat("127.0.0.1:", port), TestDirectory());
    EXPECT_EQ(OfRedis({"CLUSTER", "ADDSLOTSRANGE", "0", "100", "300", "16383"}), "+OK\r\n");
    EXPECT_EQ(OfRedis({"CLUSTER", "ADDSLOTS", "200"}), "+OK\r\n");

    ClusterMap map = MapOf(1);
    map.revision = 0;
    map.nodes[0].id = OfRedis({"CLUSTER", "MYID"}).substr(5, 40);
    map.nodes[0].host = host;
    map.nodes[0].resp_port = port;
    map.nodes[0].internal_port = 0;
    map.nodes[0].epoch = 0;
    for (size_t slot = 101; slot < 300; ++slot) {
      if (slot != 200) map.owner[slot] = ClusterMap::kNobody;
    }
    cluster_.Set(std::move(map));
    RespOptions options;
    options.cluster = &cluster_;
    harness_ = std::make_unique<resp::SessionHarness>(NewModelStore(), options);
    connection_ = harness_->Connect();
  }

  std::string OfRedis(absl::Span<const absl::string_view> args) {
    return peer_->Ask(0, resp::Request(args), 1)[0];
  }
  std::string OfRedis(std::initializer_list<absl::string_view> args) {
    return OfRedis(absl::MakeConstSpan(args.begin(), args.size()));
  }
  std::string Ours(absl::Span<const absl::string_view> args) {
    return harness_->Ask(*connection_, args);
  }
  std::string Ours(std::initializer_list<absl::string_view> args) {
    return Ours(absl::MakeConstSpan(args.begin(), args.size()));
  }

  // The names of the lines of INFO, without the counts of messages by kind.
  static std::vector<std::string> Names(absl::string_view text) {
    std::vector<std::string> names;
    for (const absl::string_view line : absl::StrSplit(text, "\r\n")) {
      const std::pair<absl::string_view, absl::string_view> parts =
          absl::StrSplit(line, absl::MaxSplits(':', 1));
      if (absl::StartsWith(parts.first, "$") || absl::StartsWith(parts.first, "=")) continue;
      if (!parts.first.empty()) names.emplace_back(parts.first);
    }
    return names;
  }

  void ExpectTheSame() {
    const std::vector<std::vector<absl::string_view>> commands = {
        {"CLUSTER", "SLOTS"},
        {"CLUSTER", "SHARDS"},
        {"CLUSTER", "NODES"},
        {"CLUSTER", "MYID"},
        {"CLUSTER", "LINKS"},
        {"CLUSTER", "KEYSLOT", "{foo}bar"},
        {"CLUSTER", "COUNTKEYSINSLOT", "5"},
        {"CLUSTER", "COUNTKEYSINSLOT", "16384"},
        {"CLUSTER", "COUNTKEYSINSLOT", "x"},
        {"CLUSTER", "GETKEYSINSLOT", "5", "10"},
        {"CLUSTER", "GETKEYSINSLOT", "5", "-1"},
        {"CLUSTER", "REPLICAS", cluster_.map()->nodes[0].id},
        {"CLUSTER", "SLAVES", "nobody"},
        {"CLUSTER", "COUNT-FAILURE-REPORTS", "nobody"},
        {"CLUSTER", "SLOTS", "x"},
        {"CLUSTER", "MEET"},
        {"CLUSTER", "NONE"},
        {"CLUSTER"},
        {"READONLY"},
        {"READWRITE"},
        {"ASKING"},
        {"SELECT", "0"},
        {"SELECT", "1"},
        {"SELECT", "x"},
        {"MGET", "foo", "bar"},
        {"MSET", "foo", "1", "bar"},
        {"WATCH", "foo", "bar"},
        {"MULTI"},
        {"DEL", "foo", "bar"},
        {"EXEC"},
        {"SCRIPT", "FLUSH"},
    };
    for (const char* protocol : {"2", "3"}) {
      OfRedis({"HELLO", protocol});
      Ours({"HELLO", protocol});
      for (const auto& command : commands) {
        EXPECT_EQ(Ours(command), OfRedis(command)) << command[0] << " " << command.back();
      }
      std::vector<std::string> ours = Names(Ours({"CLUSTER", "INFO"}));
      EXPECT_EQ(ours.back(), "cluster_slots_lost");
      ours.pop_back();
      EXPECT_EQ(ours, Names(OfRedis({"CLUSTER", "INFO"})));
    }
  }

  RedisNode redis_;
  std::unique_ptr<resp_differential::Peer> peer_;
  FixedCluster cluster_;
  std::unique_ptr<resp::SessionHarness> harness_;
  std::unique_ptr<resp::SessionHarness::Connection> connection_;
};

TEST_F(RespClusterRedisTest, ANodeOfIpv4SaysTheSame) {
  Start("127.0.0.1");
  ExpectTheSame();
}

TEST_F(RespClusterRedisTest, ANodeOfIpv6SaysTheSame) {
  Start("2001:db8::17");
  ExpectTheSame();
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  return RUN_ALL_TESTS();
}
