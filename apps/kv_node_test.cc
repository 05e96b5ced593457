// Real nodes of a cluster, as processes: joining, leaving, killed, and come back.

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "apps/testing/cluster_fixture.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "base/slot.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/tls/test_certificate.h"
#include "storage/store.h"

namespace kvarts {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr int kKeys = kSanitized ? 2000 : 20000;

class KvNodeTest : public ClusterFixture {
 protected:
  static void Fill(Store* store) { ClusterFixture::Fill(store, kKeys); }
  static void ExpectAll(Store* store) { ClusterFixture::ExpectAll(store, kKeys); }
  std::string coordinator_ = absl::StrCat("--coordinator=", table_);
};

TEST_F(KvNodeTest, AFourthNodeTakesItsShareUnderTrafficAndLeavesAgain) {
  Create();
  const auto one = Start("memory:");
  const auto two = Start("memory:");
  const auto three = Start("memory:");
  ASSERT_NE(three->ready, "") << three->process.Errors();
  AwaitEven(3);
  const std::unique_ptr<Store> client = Client(*one);
  ASSERT_NE(client, nullptr);
  Fill(client.get());
  Counting counting([&] { return Client(*two); }, 3);

  auto four = Start("memory:");
  AwaitEven(4);
  ExpectAll(client.get());
  // SIGTERM: it gives its slots back, and ends well.
  four->process.Signal(SIGTERM);
  EXPECT_EQ(four->process.Wait(), 0) << four->process.Errors();
  AwaitEven(3);
  counting.Stop();
  EXPECT_EQ(counting.errors() + counting.wrong(), 0) << counting.first_error();
  EXPECT_GT(counting.sum(), 0);
  counting.ExpectExact(client.get());
  ExpectAll(client.get());
  // Nothing is left where it is not, and nothing is there twice.
  EXPECT_EQ(SumOfKeys(Cluster("status", {"--json"}).out), kKeys + counting.keys());
}

TEST_F(KvNodeTest, RedisClientsAreToldWhoHoldsWhat) {
  Create();
  const auto one = Start("memory:");
  const auto two = Start("memory:");
  AwaitEven(2);
  // `foo` is in slot 12182.
  const std::string first = Ask(one->resp, "SET foo bar");
  const std::string second = Ask(two->resp, "SET foo bar");
  const bool at_one = first == "+OK\r\n";
  EXPECT_EQ(at_one ? second : first,
            absl::StrCat("-MOVED 12182 ", at_one ? one->resp : two->resp, "\r\n"));
  EXPECT_EQ(Ask((at_one ? one : two)->resp, "GET foo"), "$3\r\nbar\r\n");
  EXPECT_THAT(Ask(one->resp, "MGET foo b"), HasSubstr("-CROSSSLOT"));
  EXPECT_THAT(Ask(one->resp, "CLUSTER INFO"), HasSubstr("cluster_state:ok"));
  const std::string nodes = Ask(two->resp, "CLUSTER NODES");
  EXPECT_THAT(nodes, HasSubstr(absl::StrCat(one->resp, "@")));
  EXPECT_THAT(nodes, HasSubstr("myself,master"));
}

TEST_F(KvNodeTest, KeysOfSeveralSlotsAreAskedOfTheirNodesWhileSlotsMove) {
  Create();
  const std::vector<std::string> asks = {"--cross_slot=ask"};
  const auto one = Start(Sstable(1), asks);
  const auto two = Start(Sstable(2), asks);
  const auto three = Start(Sstable(3), asks);
  ASSERT_NE(three->ready, "") << three->process.Errors();
  AwaitEven(3);
  std::string keys;
  std::string pairs;
  std::string expected = "*101\r\n";
  for (int i = 0; i < 100; ++i) {
    absl::StrAppend(&keys, " ", TestKey(i));
    absl::StrAppend(&pairs, " ", TestKey(i), " ", 1000 + i);
    absl::StrAppend(&expected, "$4\r\n", 1000 + i, "\r\n");
  }
  absl::StrAppend(&expected, "$-1\r\n");
  EXPECT_EQ(Ask(one->resp, "MSET" + pairs), "+OK\r\n");
  const std::string mget = "MGET" + keys + " none";
  EXPECT_EQ(Ask(three->resp, mget), expected);

  std::atomic<bool> stop{false};
  int asked = 0;
  std::string wrong;
  std::thread asking([&] {
    for (; !stop; ++asked) {
      const std::string& resp = asked % 2 == 0 ? one->resp : two->resp;
      const std::string answer = Ask(resp, asked % 3 == 0 ? "MSET" + pairs : mget);
      if (answer != (asked % 3 == 0 ? "+OK\r\n" : expected) && wrong.empty()) wrong = answer;
    }
  });
  const auto four = Start(Sstable(4), asks);
  AwaitEven(4);
  stop = true;
  asking.join();
  EXPECT_EQ(wrong, "");
  EXPECT_GT(asked, 0);
  EXPECT_EQ(Ask(four->resp, mget), expected);
  EXPECT_EQ(Ask(two->resp, "EXISTS none" + keys), ":100\r\n");
  EXPECT_EQ(Ask(two->resp, absl::StrCat("UNLINK none ", TestKey(0), " ", TestKey(1))), ":2\r\n");
  EXPECT_EQ(Ask(one->resp, "DEL none" + keys), ":98\r\n");

  // What nobody serves is the error of the whole.
  two->process.Signal(SIGKILL);
  two->process.Wait();
  EXPECT_THAT(Ask(one->resp, mget), StartsWith("-CLUSTERDOWN Hash slot not served"));
}

TEST_F(KvNodeTest, NodesWithAPasswordAndTlsAskEachOther) {
  Create();
  const TestCertificate certificate =
      WriteTestCertificate(dir_ + "/node", "IP:127.0.0.1,DNS:localhost");
  const std::string password = absl::StrCat("--password_file=", dir_, "/password");
  WriteSecret("password", "secret\n");
  std::vector<std::string> flags = {"--cross_slot=ask",
                                    password,
                                    "--tls=listen",
                                    "--tls_cert=" + certificate.certificate_file,
                                    "--tls_key=" + certificate.key_file,
                                    "--tls_client_ca=" + certificate.certificate_file,
                                    "--tls_ca=" + certificate.certificate_file};
  const auto one = Start("memory:", flags);
  const auto two = Start("memory:", flags);
  ASSERT_NE(two->ready, "") << two->process.Errors();
  AwaitEven(2);
  EXPECT_EQ(Ask(one->resp, "AUTH secret\r\nMSET a 1 b 2 c 3\r\nMGET c b a"),
            "+OK\r\n+OK\r\n*3\r\n$1\r\n3\r\n$1\r\n2\r\n$1\r\n1\r\n");
  flags.back() =
      "--tls_ca=" + WriteTestCertificate(dir_ + "/other", "IP:127.0.0.1").certificate_file;
  const auto three = Start("memory:", flags);
  EXPECT_EQ(three->ready, "");
  EXPECT_EQ(three->process.Wait(), 1);
  EXPECT_THAT(three->process.Errors(), HasSubstr("--cross_slot=ask: "));
  AwaitEven(2);
}

TEST_F(KvNodeTest, ADurableNodeThatWasKilledComesBackWithItsSlots) {
  Create();
  const auto one = Start(Sstable(1));
  auto two = Start(Sstable(2));
  ASSERT_NE(two->ready, "") << two->process.Errors();
  AwaitEven(2);
  const std::unique_ptr<Store> client = Client(*one);
  ASSERT_NE(client, nullptr);
  Fill(client.get());
  const std::string before = Cluster("status", {"--json"}).out;
  two->process.Signal(SIGKILL);
  two->process.Wait();
  // Half of the slots are down, and say so; the other half serves.
  int down = 0;
  for (const absl::Time end = absl::Now() + kClusterPatience; absl::Now() < end && down == 0;) {
    for (int i = 0; i < 20; ++i) {
      const std::string answer = Ask(one->resp, absl::StrCat("GET ", TestKey(i)));
      if (absl::StartsWith(answer, "-CLUSTERDOWN Hash slot not served")) ++down;
    }
  }
  EXPECT_GT(down, 0);
  EXPECT_THAT(Ask(one->resp, "CLUSTER INFO"), HasSubstr("cluster_state:ok"));
  two = Start(Sstable(2));
  ASSERT_NE(two->ready, "") << two->process.Errors();
  const std::string after = AwaitEven(2);
  ExpectAll(client.get());
  EXPECT_EQ(CountByScan({one.get(), two.get()}), kKeys);
  // It is the same node, not another one.
  EXPECT_EQ(Nodes(before).size(), 2u);
  EXPECT_EQ(Nodes(after).size(), 2u);
}

TEST_F(KvNodeTest, ACopyOfADirectoryIsNotTheNode) {
  Create();
  auto one = Start(Sstable(1));
  ASSERT_NE(one->ready, "");
  one->process.Signal(SIGTERM);
  EXPECT_EQ(one->process.Wait(), 0);
  ASSERT_EQ(RunProcess({"/bin/cp", "-r", dir_ + "/store1", dir_ + "/store2"}).exit_code, 0);
  one = Start(Sstable(1));
  ASSERT_NE(one->ready, "") << one->process.Errors();
  auto copy = Start(Sstable(2));
  EXPECT_EQ(copy->ready, "");
  EXPECT_EQ(copy->process.Wait(), 1);
  EXPECT_THAT(copy->process.Errors(), HasSubstr("a copy"));
}

TEST_F(KvNodeTest, OfANodeAndACopyOfItsDirectoryTheOlderStops) {
  Create();
  const auto one = Start(Sstable(1));
  ASSERT_NE(one->ready, "");
  AwaitEven(1);
  EXPECT_EQ(Ask(one->resp, "SET key value"), "+OK\r\n");
  ASSERT_EQ(RunProcess({"/bin/cp", "-r", dir_ + "/store1", dir_ + "/store2"}).exit_code, 0);
  const auto copy = Start(Sstable(2));
  ASSERT_NE(copy->ready, "") << copy->process.Errors();
  std::string answer;
  for (const absl::Time end = absl::Now() + kClusterPatience; absl::Now() < end;) {
    answer = Ask(one->resp, "SET key other");
    if (absl::StartsWith(answer, "-CLUSTERDOWN")) break;
  }
  EXPECT_THAT(answer, HasSubstr("-CLUSTERDOWN"));
  EXPECT_THAT(one->process.Errors(), HasSubstr("serves nothing any more"));
  EXPECT_EQ(Ask(copy->resp, "GET key"), "$5\r\nvalue\r\n");
}

TEST_F(KvNodeTest, ADirectoryOfOtherEntriesIsNotANodes) {
  Create();
  ASSERT_EQ(
      RunProcess({"apps/kv_client", absl::StrCat("--store=", Sstable(1)), "put", "key", "value"})
          .exit_code,
      0);
  const auto node = Start(Sstable(1));
  EXPECT_EQ(node->ready, "");
  EXPECT_EQ(node->process.Wait(), 1);
  EXPECT_THAT(node->process.Errors(), HasSubstr("holds entries, and is not a node's"));
}

TEST_F(KvNodeTest, AnAdvertisedHostIsShownToClientsAndNodesReachEachOtherAllTheSame) {
  Create();
  // Nobody is at that address: it is for documentation (RFC 5737).
  const auto one = Start("memory:", {"--advertise=192.0.2.1"});
  const auto two = Start("memory:", {"--advertise=192.0.2.2"});
  const std::string json = AwaitEven(2);
  EXPECT_EQ(NumberIn(json, "slots_down"), 0) << json;
  const std::string slots = Ask(one->resp, "CLUSTER SLOTS");
  EXPECT_THAT(slots, HasSubstr("192.0.2.1"));
  EXPECT_THAT(slots, HasSubstr("192.0.2.2"));
  EXPECT_EQ(slots.find("127.0.0.1"), std::string::npos) << slots;
  const std::string moved = Ask(one->resp, "SET foo bar") + Ask(two->resp, "SET foo bar");
  EXPECT_THAT(moved, HasSubstr("-MOVED 12182 192.0.2."));
}

// All of 127.0.0.0/8 is this machine, so that each protocol has a host of its own.
TEST_F(KvNodeTest, EachProtocolIsAdvertisedByItself) {
  Create();
  const std::string secret = WriteSecret("secret", "0123456789abcdef\n");
  cluster_flags_ = {secret};
  const auto start = [&](int n) {
    return Start("memory:", {"--listen=0.0.0.0:0", "--resp=0.0.0.0:0", "--http=0.0.0.0:0",
                             "--internal=0.0.0.0:0", "--insecure_listen", secret,
                             absl::StrCat("--advertise=127.0.0.2,native=127.0.0.3,http=127.0.0.4,"
                                          "internal=127.0.0.",
                                          4 + n)});
  };
  const auto one = start(1);
  const auto two = start(2);
  ASSERT_NE(two->ready, "") << two->process.Errors();
  const std::string json = AwaitEven(2);
  EXPECT_EQ(NumberIn(json, "slots_down"), 0) << json;
  const auto port_of = [](const std::string& address) {
    return address.substr(address.rfind(':') + 1);
  };
  const std::string resp_of_two = absl::StrCat("127.0.0.2:", port_of(two->resp));
  EXPECT_THAT(json, HasSubstr(absl::StrCat("\"resp\":\"", resp_of_two, "\"")));
  EXPECT_THAT(json, HasSubstr(absl::StrCat("\"native\":\"127.0.0.3:", port_of(two->native))));
  EXPECT_THAT(json, HasSubstr(absl::StrCat("\"http\":\"127.0.0.4:", port_of(two->http))));

  // A client of each protocol goes where it is sent.
  const std::unique_ptr<Store> client = Client(*one);
  ASSERT_NE(client, nullptr);
  Fill(client.get());
  ExpectAll(client.get());
  const std::string answers =
      Ask(absl::StrCat("127.0.0.2:", port_of(one->resp)), "GET foo") + Ask(resp_of_two, "GET foo");
  EXPECT_THAT(answers, HasSubstr("-MOVED 12182 127.0.0.2:"));
  EXPECT_THAT(answers, HasSubstr("$-1\r\n"));
  const std::string responses =
      HttpGet(absl::StrCat("127.0.0.4:", port_of(one->http)), "/v1/kv/foo", dir_) +
      HttpGet(absl::StrCat("127.0.0.4:", port_of(two->http)), "/v1/kv/foo", dir_);
  EXPECT_THAT(responses, HasSubstr("307 "));
  EXPECT_THAT(responses, HasSubstr("Location: http://127.0.0.4:"));
}

TEST_F(KvNodeTest, NodesThatDoNotKnowThePasswordGetNothing) {
  Create();
  const std::string secret = WriteSecret("secret", "0123456789abcdef\n");
  const auto one = Start("memory:", {secret});
  const auto two = Start("memory:", {secret});
  EXPECT_EQ(Cluster("status").exit_code, 2);
  EXPECT_THAT(Cluster("status").err, HasSubstr("--cluster_password_file"));
  cluster_flags_ = {secret};
  AwaitEven(2);
  const std::unique_ptr<Store> client = Client(*one);
  ASSERT_NE(client, nullptr);
  Fill(client.get());

  const auto guessing = Start("memory:", {WriteSecret("other", "0123456789abcdeX\n")});
  const auto without = Start("memory:");
  for (const TestServer* stranger : {guessing.get(), without.get()}) {
    ASSERT_NE(stranger->ready, "") << stranger->process.Errors();
    for (const absl::Time end = absl::Now() + kClusterPatience; absl::Now() < end;) {
      if (absl::StrContains(stranger->process.Errors(), "is not heard of")) break;
      EXPECT_EQ(Cluster("status").exit_code, 0);
    }
    EXPECT_THAT(stranger->process.Errors(), HasSubstr("is not heard of"));
  }
  EXPECT_THAT(guessing->process.Errors(), HasSubstr("do not have one shared secret"));
  // Who has it is let in beside them, and gets its share.
  const auto three = Start("memory:", {secret});
  const std::string json = AwaitEven(3);
  EXPECT_EQ(Nodes(json)[guessing->resp].slots, 0) << json;
  EXPECT_EQ(Nodes(json)[without->resp].slots, 0) << json;
  ExpectAll(client.get());
}

TEST_F(KvNodeTest, ClientsAreServedWithTlsAndSentToIt) {
  Create();
  const TestCertificate certificate =
      WriteTestCertificate(absl::StrCat(dir_, "/server"), "IP:127.0.0.1");
  const TestCertificate mine = WriteTestCertificate(absl::StrCat(dir_, "/mine"), "DNS:client");
  const std::vector<std::string> tls = {absl::StrCat("--tls_cert=", certificate.certificate_file),
                                        absl::StrCat("--tls_key=", certificate.key_file),
                                        "--tls=listen,http",
                                        absl::StrCat("--tls_client_ca=", mine.certificate_file)};
  const auto one = Start("memory:", tls);
  const auto two = Start("memory:", tls);
  ASSERT_NE(two->ready, "") << two->process.Errors();
  cluster_flags_ = {absl::StrCat("--ca=", certificate.certificate_file),
                    absl::StrCat("--cert=", mine.certificate_file),
                    absl::StrCat("--key=", mine.key_file)};
  AwaitEven(2);
  const std::string spec = absl::StrCat("--store=cluster:file:", dir_, "/table");
  const std::string ca = absl::StrCat("?ca=", certificate.certificate_file,
                                      "&cert=", mine.certificate_file, "&key=", mine.key_file);
  for (int i = 0; i < 20; ++i) {
    const ProcessResult put =
        RunProcess({"apps/kv_client", spec + ca, "put", TestKey(i), TestValue(i)});
    EXPECT_EQ(put.exit_code, 0) << put.err;
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(RunProcess({"apps/kv_client", spec + ca, "get", TestKey(i)}).out,
              absl::StrCat(TestValue(i), "\n"));
  }
  EXPECT_EQ(SumOfKeys(Cluster("status", {"--json"}).out), 20);
  EXPECT_EQ(RunProcess({"apps/kv_client", spec, "get", TestKey(0)}).exit_code, 1);
  const std::string only_ca = absl::StrCat("?ca=", certificate.certificate_file);
  EXPECT_EQ(RunProcess({"apps/kv_client", spec + only_ca, "get", TestKey(0)}).exit_code, 1);
  EXPECT_THAT(Ask(one->resp, "GET foo") + Ask(two->resp, "GET foo"), HasSubstr("-MOVED 12182"));
  one->process.Signal(SIGHUP);
  while (!absl::StrContains(one->process.Errors(), "what connects from now on is shown it")) {
    std::this_thread::yield();
  }
  const ProcessResult map = RunProcess({"curl", "-s", "--cacert", certificate.certificate_file,
                                        "--cert", mine.certificate_file, "--key", mine.key_file,
                                        absl::StrCat(one->http, "/v1/cluster")});
  if (map.exit_code == 127) return;  // without curl
  EXPECT_THAT(map.out, HasSubstr(absl::StrCat("\"http\":\"", two->http, "\"")));
}

TEST_F(KvNodeTest, SlotsOfADeadNodeInMemoryAreDownUntilTheLossIsAccepted) {
  Create();
  const auto one = Start("memory:");
  auto two = Start("memory:");
  AwaitEven(2);
  const std::unique_ptr<Store> client = Client(*one);
  ASSERT_NE(client, nullptr);
  Fill(client.get());
  two->process.Signal(SIGKILL);
  two->process.Wait();
  const ProcessResult refused = Cluster("recover");
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("--accept_loss"));
  const ProcessResult done = Cluster("recover", {"--accept_loss"});
  EXPECT_EQ(done.exit_code, 0) << done.err;
  const std::string json = AwaitEven(1);
  EXPECT_EQ(NumberIn(json, "slots_lost"), kSlots / 2);
  // All slots serve; what was on the dead node is gone, and the rest is there.
  EXPECT_TRUE(client->Put("new", "value").ok());
  int found = 0;
  for (int i = 0; i < kKeys; i += 50) {
    const auto value = client->Get(TestKey(i));
    ASSERT_TRUE(value.ok()) << value.status();
    if (value->has_value()) ++found;
  }
  EXPECT_GT(found, 0);
  EXPECT_LT(found, kKeys / 50);
}

TEST_F(KvNodeTest, InACacheALostNodesSlotsComeBackEmptyAndAreCounted) {
  Create({"--on_loss=empty"});
  const auto one = Start("memory:");
  auto two = Start("memory:");
  AwaitEven(2);
  const std::unique_ptr<Store> client = Client(*one);
  ASSERT_NE(client, nullptr);
  Fill(client.get());
  const std::string resp = two->resp;
  const std::string native = two->native;
  two->process.Signal(SIGKILL);
  two->process.Wait();
  two = Start("memory:", {absl::StrCat("--resp=", resp), absl::StrCat("--listen=", native)});
  ASSERT_NE(two->ready, "") << two->process.Errors();
  const std::string json = AwaitEven(2);
  EXPECT_EQ(NumberIn(json, "slots_lost"), kSlots / 2);
  EXPECT_THAT(two->process.Errors(), HasSubstr("were lost"));
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(client->Put(TestKey(i), TestValue(i)).ok());
}

TEST_F(KvNodeTest, ALiveNodesPlaceIsNotTakenByOneThatAdvertisesTheSame) {
  Create({"--on_loss=empty"});
  const std::string place = "--advertise=resp=192.0.2.1:7001";
  const auto one = Start("memory:", {place});
  AwaitEven(1);
  const std::unique_ptr<Store> client = Client(*one);
  ASSERT_NE(client, nullptr);
  Fill(client.get());
  const auto two = Start("memory:", {place});
  ASSERT_EQ(two->ready, "");
  EXPECT_EQ(two->process.Wait(), 1);
  EXPECT_THAT(two->process.Errors(), HasSubstr("is alive"));
  EXPECT_EQ(NumberIn(AwaitEven(1), "slots_lost"), 0);
  ExpectAll(client.get());
}

TEST_F(KvNodeTest, AddAndRemoveByHand) {
  Create();
  const auto one = Start("memory:");
  const auto two = Start("memory:", {"--manual"});
  ASSERT_NE(two->ready, "") << two->process.Errors();
  AwaitEven(1);
  const std::unique_ptr<Store> client = Client(*one);
  ASSERT_NE(client, nullptr);
  Fill(client.get());
  const ProcessResult added = Cluster("add", {two->resp});
  EXPECT_EQ(added.exit_code, 0) << added.err;
  EXPECT_THAT(added.out, HasSubstr(absl::StrCat("has ", kSlots / 2, " slots")));
  ExpectAll(client.get());
  const ProcessResult skew = Cluster("skew");
  EXPECT_EQ(skew.exit_code, 0) << skew.err;
  const ProcessResult removed = Cluster("remove", {one->resp});
  EXPECT_EQ(removed.exit_code, 0) << removed.err;
  const std::unique_ptr<Store> other = Client(*two);
  ASSERT_NE(other, nullptr);
  ExpectAll(other.get());
  const ProcessResult last = Cluster("remove", {two->resp});
  EXPECT_EQ(last.exit_code, 1);
  EXPECT_THAT(last.err, HasSubstr("no other member"));
}

TEST_F(KvNodeTest, NothingMovesToWhereThereIsNoRoomForIt) {
  Create();
  // The entries of the first two take some megabytes.
  const auto one = Start("memory:?max_memory=64MiB");
  const auto two = Start("memory:?max_memory=64MiB");
  AwaitEven(2);
  const std::unique_ptr<Store> client = Client(*one);
  ASSERT_NE(client, nullptr);
  const std::string large(100000, 'x');
  for (int i = 0; i < 800; ++i) {
    ASSERT_TRUE(client->Put(absl::StrCat("large ", i), large).ok());
  }
  const ProcessResult refused = Cluster("remove", {one->resp});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("add a node first"));

  const auto small = Start("memory:?max_memory=8MiB");
  ASSERT_NE(small->ready, "") << small->process.Errors();
  std::string said;
  for (const absl::Time end = absl::Now() + kClusterPatience; absl::Now() < end;) {
    said = one->process.Errors() + two->process.Errors();
    if (absl::StrContains(said, "has no room for about")) break;
    EXPECT_EQ(Cluster("status").exit_code, 0);
  }
  EXPECT_THAT(said, HasSubstr("has no room for about"));
  const auto nodes = Nodes(Cluster("status", {"--json"}).out);
  EXPECT_EQ(nodes.at(small->resp).keys, 0);
  for (int i = 0; i < 800; ++i) {
    const auto value = client->Get(absl::StrCat("large ", i));
    ASSERT_TRUE(value.ok()) << value.status();
    EXPECT_TRUE(*value == large) << i;
  }
}

TEST_F(KvNodeTest, SkewCountsTheOperationsOfEachNode) {
  Create();
  const auto one = Start("memory:");
  const auto two = Start("memory:");
  AwaitEven(2);
  // `foo` is another node's for one of them, and that is no operation that it served.
  std::string foos;
  for (int i = 0; i < 500; ++i) foos += "GET foo\r\n";
  const bool at_one = Ask(one->resp, "GET foo") == "$-1\r\n";
  Ask(one->resp, foos);
  Ask(two->resp, foos);
  const auto nodes = Nodes(Cluster("status", {"--json"}).out);
  const std::string json = Cluster("skew", {"--json"}).out;
  const auto operations = [&](const TestServer& node) {
    const size_t at = json.find(nodes.at(node.resp).id);
    return at == std::string::npos ? -1 : NumberIn(json.substr(at), "operations");
  };
  EXPECT_GE(operations(at_one ? *one : *two), 500) << json;
  EXPECT_GE(operations(at_one ? *two : *one), 0) << json;
  EXPECT_LT(operations(at_one ? *two : *one), 400) << json;
  EXPECT_THAT(Cluster("skew").out, HasSubstr("  operations"));
}

TEST_F(KvNodeTest, ANodeHasSlotsByItsWeightWhichItsNextStartMayChange) {
  Create();
  const auto slots_of = [&](const TestServer& node) {
    return Nodes(Cluster("status", {"--json"}).out)[node.resp].slots;
  };
  const auto await = [&](const TestServer& node, int slots) {
    for (const absl::Time end = absl::Now() + kClusterPatience; absl::Now() < end;) {
      if (slots_of(node) == slots) break;
    }
    EXPECT_EQ(slots_of(node), slots) << node.process.Errors();
    AwaitRest();
  };
  const auto one = Start(Sstable(1));
  auto two = Start(Sstable(2), {"--weight=3"});
  ASSERT_NE(two->ready, "") << two->process.Errors();
  await(*two, kSlots * 3 / 4);
  EXPECT_THAT(Cluster("skew", {"--json"}).out,
              HasSubstr("\"weight\":3,\"slots\":12288,\"slots_of_even\":1.0000"));
  two->process.Signal(SIGTERM);
  EXPECT_EQ(two->process.Wait(), 0);
  two = Start(Sstable(2));
  await(*two, kSlots / 2);
}

TEST_F(KvNodeTest, SkewNamesTheHeaviestSlotsAndTheirTags) {
  Create();
  const auto one = Start("memory:");
  const auto two = Start("memory:");
  AwaitEven(2);
  const std::unique_ptr<Store> client = Client(*one);
  ASSERT_NE(client, nullptr);
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(client->Put(absl::StrCat("{heavy}", i), std::string(1000, 'x')).ok());
    ASSERT_TRUE(client->Put(TestKey(i), "light").ok());
  }
  ASSERT_TRUE(client->Put("heavy", "of the same slot, without a tag").ok());
  const ProcessResult skew = Cluster("skew", {"--slots=2"});
  EXPECT_EQ(skew.exit_code, 0) << skew.err;
  const std::string slot = absl::StrCat(KeySlot("heavy"), " ");
  EXPECT_THAT(skew.out, HasSubstr(absl::StrCat("\n", slot)));
  EXPECT_THAT(skew.out, HasSubstr("{heavy} 100 %"));
  const std::string json = Cluster("skew", {"--slots=2", "--json"}).out;
  ASSERT_THAT(json, HasSubstr("\"slot\":"));
  EXPECT_EQ(NumberIn(json, "slot"), KeySlot("heavy"));
  EXPECT_EQ(NumberIn(json, "tag_keys"), 50);
  EXPECT_EQ(NumberIn(json.substr(json.find("\"slot\":")), "keys"), 51);
}

TEST_F(KvNodeTest, SkewNamesTheBusiestSlotsAndTheirTags) {
  Create();
  const auto one = Start("memory:");
  const auto two = Start("memory:");
  AwaitEven(2);
  const std::unique_ptr<Store> client = Client(*one);
  ASSERT_NE(client, nullptr);
  // The heaviest is another one.
  ASSERT_TRUE(client->Put("{heavy}", std::string(100000, 'x')).ok());
  std::vector<std::string> keys;
  for (int i = 0; i < 10; ++i) {
    for (int k = 0; k < 100; ++k) keys.push_back(absl::StrCat("{busy}", k));
    for (int k = 0; k < 100; ++k) keys.push_back(TestKey(k));
  }
  ReadResults results;
  for (int i = 0; i < 40; ++i) {
    client->MultiGet(std::vector<absl::string_view>(keys.begin(), keys.end()), {}, &results);
  }
  const ProcessResult skew = Cluster("skew", {"--slots=1"});
  EXPECT_EQ(skew.exit_code, 0) << skew.err;
  const size_t busiest = skew.out.find("tag that most of them have");
  ASSERT_NE(busiest, std::string::npos) << skew.out;
  EXPECT_THAT(skew.out.substr(busiest), HasSubstr(absl::StrCat("\n", KeySlot("busy"), " ")));
  EXPECT_THAT(skew.out.substr(busiest), HasSubstr("{busy}\n"));
  const std::string json = Cluster("skew", {"--slots=1", "--json"}).out;
  const size_t at = json.find("\"busiest_slots\":");
  ASSERT_NE(at, std::string::npos) << json;
  EXPECT_EQ(NumberIn(json.substr(at), "slot"), KeySlot("busy")) << json;
  EXPECT_NEAR(static_cast<double>(NumberIn(json.substr(at), "operations")), 40000, 16000) << json;
}

// How many slots the node that serves RESP at `address` has, by an answer to CLUSTER NODES.
int SlotsOf(const std::string& address, const std::string& answer) {
  int slots = 0;
  for (const absl::string_view line : absl::StrSplit(answer, '\n')) {
    if (!absl::StrContains(line, absl::StrCat(" ", address, "@"))) continue;
    const std::vector<absl::string_view> words =
        absl::StrSplit(absl::StripAsciiWhitespace(line), ' ');
    for (size_t i = 8; i < words.size(); ++i) {
      const std::pair<absl::string_view, absl::string_view> run =
          absl::StrSplit(words[i], absl::MaxSplits('-', 1));
      int first = 0;
      int last = 0;
      if (!absl::SimpleAtoi(run.first, &first)) continue;
      slots += absl::SimpleAtoi(run.second, &last) ? last - first + 1 : 1;
    }
  }
  return slots;
}

TEST_F(KvNodeTest, KilledAtAnyMomentOfAMoveNothingIsLost) {
  Create();
  std::vector<std::unique_ptr<TestServer>> nodes;
  for (int i = 0; i < 2; ++i) nodes.push_back(Start(Sstable(i)));
  AwaitEven(2);
  {
    const std::unique_ptr<Store> client = Client(*nodes[0]);
    ASSERT_NE(client, nullptr);
    Fill(client.get());
  }
  // A third one comes; now it, now one that gives, is killed at another moment of the moves, which
  // is told by how many slots have come, and comes back.
  nodes.push_back(Start(Sstable(2)));
  int killed_in_a_move = 0;
  for (int round = 0; round < (kSanitized ? 3 : 8); ++round) {
    const size_t victim = round % 2 == 0 ? 2 : round / 2 % 2;
    const int wanted = kSlots / 3 * round / 10;
    // Asked over a socket: a move may be over before a program has started to ask.
    for (const absl::Time end = absl::Now() + kClusterPatience; absl::Now() < end;) {
      if (SlotsOf(nodes[2]->resp, Ask(nodes[0]->resp, "CLUSTER NODES")) >= wanted) break;
    }
    nodes[victim]->process.Signal(SIGKILL);
    nodes[victim]->process.Wait();
    const std::string json = Cluster("status", {"--json"}).out;
    if (NumberIn(json, "slots_moving") > 0 || NumberIn(json, "slots_to_drop") > 0) {
      ++killed_in_a_move;
    }
    nodes[victim] = Start(Sstable(static_cast<int>(victim)));
    ASSERT_NE(nodes[victim]->ready, "") << nodes[victim]->process.Errors();
  }
  EXPECT_GT(killed_in_a_move, 0) << "it was never tried";
  RecordProperty("killed_in_a_move", killed_in_a_move);
  AwaitEven(3);
  const std::unique_ptr<Store> client = Client(*nodes[0]);
  ASSERT_NE(client, nullptr);
  ExpectAll(client.get());
  EXPECT_EQ(CountByScan({nodes[0].get(), nodes[1].get(), nodes[2].get()}), kKeys);
  // Not even under the nodes' own stores is anything left of what moved.
  for (const auto& node : nodes) node->process.Signal(SIGTERM);
  int entries = 0;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(nodes[static_cast<size_t>(i)]->process.Wait(), 0);
    const ProcessResult count =
        RunProcess({"apps/kv_client", absl::StrCat("--store=", Sstable(i)), "count"});
    int number = 0;
    EXPECT_TRUE(absl::SimpleAtoi(absl::StripAsciiWhitespace(count.out), &number)) << count.err;
    entries += number;
  }
  EXPECT_EQ(entries, kKeys);
}

TEST_F(KvNodeTest, WhatIsWrongIsSaidInOneLine) {
  const auto ends_with = [&](const std::vector<std::string>& words, int code,
                             absl::string_view text) {
    const ProcessResult result = RunProcess(words);
    EXPECT_EQ(result.exit_code, code) << result.err;
    EXPECT_THAT(result.err, HasSubstr(std::string(text)));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  };
  ends_with({"apps/kv_node"}, 2, "--coordinator is missing");
  ends_with({"apps/kv_node", coordinator_}, 1, "kv_cluster create");
  ends_with({"apps/kv_cluster", coordinator_, "status"}, 1, "kv_cluster create");
  ends_with({"apps/kv_cluster", coordinator_, "frobnicate"}, 2, "unknown command");
  ends_with({"apps/kv_cluster", coordinator_, "create", "--on_loss=no"}, 2, "--on_loss=no");
  ends_with({"apps/kv_cluster", "--coordinator=zk:x", "status"}, 2, "--coordinator");
  Create();
  ends_with({"apps/kv_cluster", coordinator_, "create"}, 1, "there is a cluster already");
  ends_with({"apps/kv_node", coordinator_, "--store=null:"}, 2, "expected memory: or sstable:DIR");
  ends_with({"apps/kv_node", coordinator_, "--resp=0.0.0.0:0", "--insecure_listen"}, 2,
            "--advertise");
  ends_with({"apps/kv_node", coordinator_, "--internal=127.0.0.1:0", "--advertise=a:1"}, 2,
            "resp=HOST:PORT");
  ends_with({"apps/kv_node", coordinator_, "--advertise=rest=a"}, 2, "native, resp, http");
  ends_with({"apps/kv_node", coordinator_, "--advertise=resp=0.0.0.0:1"}, 2, "--advertise=");
  ends_with({"apps/kv_node", coordinator_, "--advertise=a,b"}, 2, "each protocol once");
  for (const char* weight : {"0", "-1", "nan", "inf", "1000"}) {
    ends_with({"apps/kv_node", coordinator_, absl::StrCat("--weight=", weight)}, 2, "--weight=");
  }
  ends_with({"apps/kv_node", coordinator_, "--cross_slot=yes"}, 2, "expected refuse or ask");
  ends_with({"apps/kv_node", coordinator_, "--cross_slot=ask", "--listen="}, 2, "neither may");
  ends_with({"apps/kv_node", coordinator_, "--internal=192.0.2.1:0"}, 2, "--cluster_password_file");
  ends_with({"apps/kv_node", coordinator_, "--internal=0.0.0.0:0"}, 2, "--advertise=internal=HOST");
  ends_with({"apps/kv_node", coordinator_, WriteSecret("short", "012345678901234\n")}, 2,
            "expected 16 or more");
  ends_with({"apps/kv_cluster", coordinator_, "status", WriteSecret("short", "012345678901234\n")},
            2, "expected 16 or more");
  ends_with({"apps/kv_cluster", coordinator_, "add", "nobody"}, 1, "no node");
}

}  // namespace
}  // namespace kvarts
