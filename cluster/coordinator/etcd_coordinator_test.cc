// The coordinator over etcd as it is installed (Debian's package etcd-server), hence "manual":
//   ./bazelw run //cluster/coordinator:etcd_coordinator_test

#include "cluster/coordinator/etcd_coordinator.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cluster/coordinator/etcd_cluster.h"
#include "cluster/coordinator/etcd_json.h"
#include "cluster/coordinator/lossy_transport.h"
#include "cluster/coordinator/open_coordinator.h"
#include "gflags/gflags.h"
#include "net/tcp/tcp.h"
#include "net/tls/test_certificate.h"
#include "testing/conformance/coordinator_harness.h"
#include "testing/conformance/coordinator_suite.h"
#include "testing/conformance/transport_harness.h"

DEFINE_string(etcd, "/usr/bin/etcd", "what is tested against");

namespace kvarts {
namespace {

class EtcdFixture final : public CoordinatorFixture {
 public:
  EtcdFixture(std::vector<std::string> endpoints, Transport* transport)
      : endpoints_(std::move(endpoints)), transport_(transport) {
    static std::atomic<int> next = 0;
    name_ = absl::StrCat("test", ++next);
  }

  std::unique_ptr<Coordinator> NewClient(EventLoop* loop) override {
    EtcdCoordinatorOptions options;
    options.endpoints = endpoints_;
    options.name = name_;
    options.user = user;
    options.password = password;
    return NewEtcdCoordinator(loop, transport_, options).value();
  }

  const std::string& name() const { return name_; }
  std::string user;
  std::string password;

 private:
  const std::vector<std::string> endpoints_;
  Transport* const transport_;
  std::string name_;
};

// As a flag names it: SPEC has everything but the name.
class SpecFixture final : public CoordinatorFixture {
 public:
  SpecFixture(absl::string_view server, absl::string_view options, Transport* transport)
      : transport_(transport) {
    static std::atomic<int> next = 0;
    spec_ = absl::StrCat("etcd://", server, "/spec", ++next, "?", options);
  }
  std::unique_ptr<Coordinator> NewClient(EventLoop* loop) override {
    return OpenCoordinator(spec_, loop, transport_).value();
  }

 private:
  std::string spec_;
  Transport* const transport_;
};

// For tests that leave it as they find it.
std::unique_ptr<EtcdCluster> shared_cluster;
std::unique_ptr<EtcdCluster> shared_tls_cluster;
constexpr char kPassword[] = "s\"ecret";

EtcdCluster* Shared() {
  if (shared_cluster == nullptr) shared_cluster = std::make_unique<EtcdCluster>(FLAGS_etcd, 3);
  return shared_cluster.get();
}

Transport* Tcp() {
  static Transport* const tcp = NewTcpTransport().release();
  return tcp;
}

INSTANTIATE_TEST_SUITE_P(Etcd, CoordinatorSuite,
                         testing::Values(CoordinatorSuiteParam{
                             "Etcd",
                             [](EventLoops*) {
                               return std::make_unique<EtcdFixture>(Shared()->endpoints(), Tcp());
                             }}),
                         CoordinatorSuiteName);

const EtcdCluster::Tls& TlsFiles() {
  static const auto& files = *new EtcdCluster::Tls{
      WriteTestCertificate(testing::TempDir() + "/etcd_server", "IP:127.0.0.1"),
      WriteTestCertificate(testing::TempDir() + "/etcd_client", "IP:127.0.0.1", 3650, "")};
  return files;
}

// Three members that want a certificate of clients, and then a user.
EtcdCluster* SharedWithTls() {
  if (shared_tls_cluster == nullptr) {
    shared_tls_cluster =
        std::make_unique<EtcdCluster>(FLAGS_etcd, 3, std::vector<std::string>(), TlsFiles());
    shared_tls_cluster->EnableAuthentication(kPassword);
  }
  return shared_tls_cluster.get();
}

std::string PasswordFile(const std::string& password) {
  std::string path = testing::TempDir() + "/etcd_passwordXXXXXX";
  const int fd = ::mkstemp(path.data());
  EXPECT_GE(fd, 0);
  ::close(fd);
  std::ofstream(path) << password << "\n";
  return path;
}

std::string TlsSpec(const std::string& ca, const TestCertificate& shown) {
  return absl::StrCat("ca=", ca, "&cert=", shown.certificate_file, "&key=", shown.key_file);
}

INSTANTIATE_TEST_SUITE_P(
    EtcdWithTlsAndPassword, CoordinatorSuite,
    testing::Values(CoordinatorSuiteParam{
        "EtcdWithTlsAndPassword",
        [](EventLoops*) {
          return std::make_unique<SpecFixture>(
              absl::StrCat("root@", absl::StrJoin(SharedWithTls()->endpoints(), ",")),
              absl::StrCat("password_file=", PasswordFile(kPassword), "&",
                           TlsSpec(TlsFiles().server.certificate_file, TlsFiles().client)),
              Tcp());
        }}),
    CoordinatorSuiteName);

class EtcdCoordinatorTest : public testing::Test {
 protected:
  // The error that a read gives a client which is opened so.
  std::string ErrorOf(absl::string_view server, absl::string_view options) {
    SpecFixture fixture(server, options, Tcp());
    TestCoordinator client(&fixture, loop());
    const auto read = client.Read(absl::Seconds(5));
    EXPECT_FALSE(read.ok());
    return std::string(read.status().message());
  }
  EventLoop* loop() { return loops_->loop(0); }
  // What etcd has below `prefix`.
  static EtcdJson Range(EtcdCluster* cluster, int member, const std::string& prefix) {
    return cluster->Call(member, "/v3/kv/range",
                         absl::StrCat("{\"key\":", EtcdBytes(prefix),
                                      ",\"range_end\":", EtcdBytes(prefix + "\xff"), "}"));
  }

  LossyTransport lossy_{Tcp()};
  const std::unique_ptr<EventLoops> loops_ = EventLoops::New(2).value();
};

bool IsTransaction(absl::string_view request) {
  return absl::StartsWith(request, "POST /v3/kv/txn ");
}
bool IsCommit(absl::string_view request) {
  return IsTransaction(request) && absl::StrContains(request, "\"target\":\"MOD\"");
}

TEST_F(EtcdCoordinatorTest, ATransactionWhoseAnswerIsLostIsFoundToBeDone) {
  EtcdFixture fixture(Shared()->endpoints(), &lossy_);
  TestCoordinator client(&fixture, loop());
  const int64_t before = client.Read()->revision;
  int commits = 0;
  lossy_.SetJudge([&](absl::string_view request) {
    return IsCommit(request) && ++commits == 1 ? Loss::kAnswer : Loss::kNothing;
  });
  const auto outcome = client.Commit(PutIf("a", 0, "1"));
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_TRUE(outcome->succeeded);
  EXPECT_EQ(commits, 1) << "it was repeated";
  const auto contents = client.Read();
  EXPECT_EQ(contents->values.at("a").revision, outcome->revision);
  EXPECT_GT(outcome->revision, before);
  // The next one goes on from there.
  EXPECT_TRUE(client.Commit(PutIf("a", outcome->revision, "2"))->succeeded);
}

TEST_F(EtcdCoordinatorTest, ARequestThatComesLateDoesNothing) {
  EtcdFixture fixture(Shared()->endpoints(), &lossy_);
  TestCoordinator client(&fixture, loop());
  for (int i = 0; i < 3; ++i) {
    const std::string name = absl::StrCat("n", i);
    int commits = 0;
    lossy_.SetJudge([&](absl::string_view request) {
      return IsCommit(request) && ++commits == 1 ? Loss::kRequest : Loss::kNothing;
    });
    // Without a comparison: only that of txn/ME keeps it from being done twice.
    Coordinator::Transaction transaction;
    transaction.changes.push_back({name, "first"});
    const auto outcome = client.Commit(transaction);
    ASSERT_TRUE(outcome.ok() && outcome->succeeded) << outcome.status();
    EXPECT_EQ(commits, 2);
    transaction.changes[0].bytes = "second";
    ASSERT_TRUE(client.Commit(transaction)->succeeded);

    const std::string late = lossy_.lost();
    const EtcdJson answer = Shared()->Call(0, "/v3/kv/txn", late.substr(late.find("\r\n\r\n") + 4));
    EXPECT_FALSE(answer["header"]["revision"].text.empty());
    EXPECT_FALSE(answer["succeeded"].AsBool());
    EXPECT_EQ(client.Read()->values.at(name).bytes, "second");
  }
}

TEST_F(EtcdCoordinatorTest, AnOutcomeThatCannotBeFoundOutIsUnknown) {
  EtcdFixture fixture(Shared()->endpoints(), &lossy_);
  TestCoordinator client(&fixture, loop());
  ASSERT_TRUE(client.Read().ok());
  bool sent = false;
  lossy_.SetJudge([&](absl::string_view request) {
    if (IsCommit(request) && !std::exchange(sent, true)) return Loss::kAnswer;
    return sent ? Loss::kRequest : Loss::kNothing;
  });
  EXPECT_EQ(client.Commit(PutIf("a", 0, "1"), absl::Milliseconds(300)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  // Not begun, since what became of the first one is not known.
  EXPECT_EQ(client.Commit(PutIf("b", 0, "1"), absl::Milliseconds(100)).status().code(),
            absl::StatusCode::kUnavailable);
  lossy_.SetJudge(nullptr);
  const auto again = client.Commit(PutIf("a", 0, "1"));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(again->succeeded);
  EXPECT_EQ(client.Read()->values.count("b"), 0u);
}

TEST_F(EtcdCoordinatorTest, NoIncrementIsLostOrDoneTwiceWhateverIsLost) {
  EtcdFixture fixture(Shared()->endpoints(), &lossy_);
  lossy_.SetJudge([random = std::mt19937(1)](absl::string_view request) mutable {
    if (!IsTransaction(request)) return Loss::kNothing;
    const uint32_t n = random() % 10;
    return n == 0 ? Loss::kRequest : n == 1 ? Loss::kAnswer : Loss::kNothing;
  });
  ExpectNoLostIncrement(&fixture, loops_.get(), 4, 50);
}

TEST_F(EtcdCoordinatorTest, AKilledLeaderLosesNothingAndHoldsNobodyUp) {
  EtcdCluster cluster(FLAGS_etcd, 3);
  EtcdFixture fixture(cluster.endpoints(), Tcp());
  TestCoordinator client(&fixture, loop());
  Awaited<int> hints(0);
  ASSERT_TRUE(
      RunOn(loop(), [&] { client.get()->Watch([&] { hints.Update([](int* n) { ++*n; }); }); }));
  std::thread counting([&] { ExpectNoLostIncrement(&fixture, loops_.get(), 3, 150); });
  // In the middle of it.
  ASSERT_TRUE(hints.Await([](int n) { return n >= 60; }));
  const int leader = cluster.Leader();
  ASSERT_GE(leader, 0);
  cluster.Signal(leader, SIGKILL);
  const absl::Time killed = absl::Now();
  const auto outcome = client.Commit(PutIf("after", 0, "1"));
  EXPECT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_LT(absl::Now() - killed, absl::Seconds(10));
  counting.join();
  EXPECT_NE(cluster.Leader(), leader);
  // Watches go on, too.
  const int before = hints.Get();
  ASSERT_TRUE(client.Commit(PutIf("more", 0, "1")).ok());
  EXPECT_TRUE(hints.Await([before](int n) { return n > before; }));
  client.End();
}

TEST_F(EtcdCoordinatorTest, AMemberThatHangsIsLeftForTheNext) {
  EtcdCluster cluster(FLAGS_etcd, 3);
  const int hanging = (cluster.Leader() + 1) % 3;
  std::vector<std::string> endpoints = cluster.endpoints();
  std::swap(endpoints[0], endpoints[hanging]);
  EtcdFixture fixture(endpoints, Tcp());
  TestCoordinator client(&fixture, loop());
  ASSERT_TRUE(client.Commit(PutIf("a", 0, "1")).ok());
  cluster.Signal(hanging, SIGSTOP);
  const absl::Time start = absl::Now();
  const auto outcome = client.Commit(PutIf("b", 0, "1"));
  ASSERT_TRUE(outcome.ok() && outcome->succeeded) << outcome.status();
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
  // It remembers who answered.
  const absl::Time again = absl::Now();
  ASSERT_TRUE(client.Read().ok());
  EXPECT_LT(absl::Now() - again, absl::Milliseconds(900));
  cluster.Signal(hanging, SIGCONT);
}

TEST_F(EtcdCoordinatorTest, WithoutAMajorityNothingIsDone) {
  EtcdCluster cluster(FLAGS_etcd, 3);
  EtcdFixture fixture(cluster.endpoints(), Tcp());
  TestCoordinator client(&fixture, loop());
  ASSERT_TRUE(client.Commit(PutIf("a", 0, "1")).ok());
  cluster.Signal(1, SIGSTOP);
  cluster.Signal(2, SIGSTOP);
  EXPECT_FALSE(client.Read(absl::Milliseconds(500)).ok());
  EXPECT_FALSE(client.Commit(PutIf("b", 0, "1"), absl::Milliseconds(500)).ok());
  cluster.Signal(1, SIGCONT);
  cluster.Signal(2, SIGCONT);
  const auto contents = client.Read();
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->values.at("a").bytes, "1");
}

TEST_F(EtcdCoordinatorTest, AnotherClusterAtAKnownAddressIsRefused) {
  EtcdCluster ours(FLAGS_etcd, 1);
  EtcdCluster other(FLAGS_etcd, 1);
  EtcdFixture fixture({ours.endpoints()[0], other.endpoints()[0]}, Tcp());
  TestCoordinator client(&fixture, loop());
  ASSERT_TRUE(client.Commit(PutIf("a", 0, "1")).ok());
  ours.Signal(0, SIGKILL);
  const auto outcome = client.Commit(PutIf("b", 0, "1"), absl::Milliseconds(700));
  EXPECT_FALSE(outcome.ok());
  EXPECT_FALSE(client.Read(absl::Milliseconds(300)).ok());
  EXPECT_TRUE(Range(&other, 0, fixture.name())["kvs"].items.empty());
}

TEST_F(EtcdCoordinatorTest, WhereNobodyListensCallsAreUnavailable) {
  EtcdFixture fixture({"127.0.0.1:1", "127.0.0.1:2"}, Tcp());
  TestCoordinator client(&fixture, loop());
  EXPECT_EQ(client.Read(absl::Milliseconds(200)).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(client.Commit(PutIf("a", 0, "1"), absl::Milliseconds(200)).status().code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(EtcdCoordinatorTest, ATransactionThatIsTooLargeForEtcdIsInvalid) {
  EtcdFixture fixture(Shared()->endpoints(), Tcp());
  TestCoordinator client(&fixture, loop());
  EXPECT_EQ(client.Commit(PutIf("a", 0, std::string(2 << 20, 'x'))).status().code(),
            absl::StatusCode::kInvalidArgument);
  const auto outcome = client.Commit(PutIf("a", 0, std::string(1'499'000, 'x')));
  ASSERT_TRUE(outcome.ok() && outcome->succeeded) << outcome.status();
  EXPECT_EQ(client.Read()->values.at("a").bytes.size(), 1'499'000u);
}

TEST_F(EtcdCoordinatorTest, HistoryIsDiscardedAndTheDiskStaysSmall) {
  EtcdCluster cluster(FLAGS_etcd, 1);
  EtcdFixture fixture(cluster.endpoints(), Tcp());
  TestCoordinator client(&fixture, loop());
  const int64_t first = client.Commit(PutIf("a", 0, "1"))->revision;
  // 100 MB in all, were it kept.
  int64_t revision = 0;
  for (int i = 0; i < 200; ++i) {
    const auto outcome =
        client.Commit(PutIf("large", revision, std::string(500'000, 'a' + i % 26)));
    ASSERT_TRUE(outcome.ok() && outcome->succeeded) << outcome.status();
    revision = outcome->revision;
  }
  const EtcdJson old =
      cluster.Call(0, "/v3/kv/range",
                   absl::StrCat("{\"key\":", EtcdBytes("x"), ",\"revision\":\"", first, "\"}"));
  EXPECT_TRUE(absl::StrContains(old["message"].text, "compacted")) << old["message"].text;
  const EtcdJson status = cluster.Call(0, "/v3/maintenance/status", "{}");
  EXPECT_GT(status["dbSize"].AsInt(), 0);
  EXPECT_LT(status["dbSize"].AsInt(), 40'000'000);
  EXPECT_EQ(client.Read()->values.at("a").bytes, "1");
}

TEST_F(EtcdCoordinatorTest, AHintComesWithinThreeSecondsWithoutAnyWatch) {
  EtcdFixture fixture(Shared()->endpoints(), &lossy_);
  lossy_.SetJudge([](absl::string_view request) {
    return absl::StrContains(request, "/v3/watch") ? Loss::kRequest : Loss::kNothing;
  });
  TestCoordinator client(&fixture, loop());
  Awaited<int> hints(0);
  const absl::Time start = absl::Now();
  ASSERT_TRUE(
      RunOn(loop(), [&] { client.get()->Watch([&] { hints.Update([](int* n) { ++*n; }); }); }));
  EXPECT_TRUE(hints.Await([](int n) { return n > 0; }));
  EXPECT_LT(absl::Now() - start, absl::Seconds(20));
  client.End();
}

TEST_F(EtcdCoordinatorTest, AUserAndPasswordAreAskedForWhereEtcdWantsThem) {
  EtcdCluster cluster(FLAGS_etcd, 1);
  cluster.EnableAuthentication(kPassword);
  EtcdFixture fixture(cluster.endpoints(), Tcp());
  {
    TestCoordinator nobody(&fixture, loop());
    const auto read = nobody.Read(absl::Seconds(5));
    EXPECT_FALSE(read.ok());
  }
  fixture.user = "root";
  fixture.password = "wrong";
  {
    TestCoordinator wrong(&fixture, loop());
    const auto read = wrong.Read(absl::Seconds(5));
    EXPECT_FALSE(read.ok());
    EXPECT_TRUE(absl::StrContains(read.status().message(), "authentication failed"))
        << read.status();
  }
  fixture.password = kPassword;
  TestCoordinator client(&fixture, loop());
  const auto outcome = client.Commit(PutIf("a", 0, "1"));
  ASSERT_TRUE(outcome.ok() && outcome->succeeded) << outcome.status();
  EXPECT_EQ(client.Read()->values.at("a").bytes, "1");
}

TEST_F(EtcdCoordinatorTest, ATokenThatIsGoodNoMoreIsReplaced) {
  // Tokens that etcd remembers, and those that say themselves what they are good for.
  const TestCertificate key =
      WriteTestCertificate(testing::TempDir() + "/etcd_token", "IP:127.0.0.1");
  for (const std::string& token :
       {std::string("simple"), absl::StrCat("jwt,sign-method=ES256,ttl=10m,pub-key=",
                                            key.certificate_file, ",priv-key=", key.key_file)}) {
    SCOPED_TRACE(token);
    EtcdCluster cluster(FLAGS_etcd, 1, {"--auth-token", token});
    cluster.EnableAuthentication("one");
    EtcdFixture fixture(cluster.endpoints(), Tcp());
    fixture.user = "root";
    fixture.password = "one";
    TestCoordinator client(&fixture, loop());
    ASSERT_TRUE(client.Commit(PutIf("a", 0, "1"))->succeeded);
    // Ends the tokens of its user, or of all who have one of an earlier state of the users.
    const EtcdJson changed =
        cluster.Call(0, "/v3/auth/user/changepw", "{\"name\":\"root\",\"password\":\"one\"}",
                     cluster.LogIn("one"));
    ASSERT_FALSE(changed["header"]["revision"].text.empty()) << changed["message"].text;
    const auto outcome = client.Commit(PutIf("b", 0, "1"));
    ASSERT_TRUE(outcome.ok() && outcome->succeeded) << outcome.status();
    EXPECT_EQ(client.Read()->values.size(), 2u);
  }
}

TEST_F(EtcdCoordinatorTest, AUserWhoMayWriteTheClustersKeysAndNoOthersIsEnough) {
  EtcdCluster cluster(FLAGS_etcd, 1);
  EtcdFixture fixture(cluster.endpoints(), Tcp());
  cluster.Call(0, "/v3/auth/user/add", "{\"name\":\"user\",\"password\":\"one\"}");
  cluster.Call(0, "/v3/auth/role/add", "{\"name\":\"role\"}");
  cluster.Call(0, "/v3/auth/role/grant",
               absl::StrCat("{\"name\":\"role\",\"perm\":{\"permType\":\"READWRITE\",\"key\":",
                            EtcdBytes(fixture.name() + "/"),
                            ",\"range_end\":", EtcdBytes(fixture.name() + "0"), "}}"));
  cluster.Call(0, "/v3/auth/user/grant", "{\"user\":\"user\",\"role\":\"role\"}");
  cluster.EnableAuthentication(kPassword);
  fixture.user = "user";
  fixture.password = "one";
  {
    TestCoordinator client(&fixture, loop());
    const auto first = client.Commit(PutIf("a", 0, "1"));
    ASSERT_TRUE(first.ok() && first->succeeded) << first.status();
    // History is discarded, too.
    for (int i = 0; i < 250; ++i) ASSERT_TRUE(client.Read().ok());
    const EtcdJson old = cluster.Call(
        0, "/v3/kv/range",
        absl::StrCat("{\"key\":", EtcdBytes("x"), ",\"revision\":\"", first->revision, "\"}"),
        cluster.LogIn(kPassword));
    EXPECT_TRUE(absl::StrContains(old["message"].text, "compacted")) << old["message"].text;
  }
  EtcdFixture other(cluster.endpoints(), Tcp());
  other.user = "user";
  other.password = "one";
  TestCoordinator client(&other, loop());
  EXPECT_EQ(client.Read().status().code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(EtcdCoordinatorTest, WhatIsWrongWithTlsOrThePasswordIsSaidOnce) {
  const std::string at = SharedWithTls()->endpoints()[0];
  const std::string ca = TlsFiles().server.certificate_file;
  const std::string tls = TlsSpec(ca, TlsFiles().client);
  const std::string password = absl::StrCat("&password_file=", PasswordFile(kPassword));
  const auto expect = [&](absl::string_view server, absl::string_view options,
                          absl::string_view said) {
    std::string error = ErrorOf(server, options);
    // What TLS 1.3 refuses behind the client's part of the handshake may come as a reset, which
    // overtakes the alert that says why.
    for (int i = 0; i < 5 && absl::StrContains(error, "reset by peer"); ++i) {
      error = ErrorOf(server, options);
    }
    EXPECT_TRUE(absl::StrContains(error, said)) << error;
    EXPECT_TRUE(absl::StrContains(error, "127.0.0.1:")) << "it does not say who: " << error;
    EXPECT_FALSE(absl::StrContains(error, '\n')) << error;
  };
  expect("root@" + at, TlsSpec(TlsFiles().client.certificate_file, TlsFiles().client) + password,
         "self-signed certificate");
  expect("root@" + at, "ca=" + ca + password, "bad certificate");
  expect("root@" + at,
         TlsSpec(ca, WriteTestCertificate(testing::TempDir() + "/etcd_other", "IP:127.0.0.1", 3650,
                                          "")) +
             password,
         "certificate");
  expect("root@" + at, tls + "&password_file=" + PasswordFile("wrong"), "authentication failed");
  expect(at, tls, "permission denied");
  expect("root@" + at, TlsSpec(ca, TlsFiles().server) + password, "CommonName of client");
  expect("root:secret@" + at, "", "where it wants TLS, ca=PATH");
  expect(Shared()->endpoints()[0], "ca=" + ca, "before the TLS handshake ended");
}

TEST_F(EtcdCoordinatorTest, TheErrorIsTheReasonAndNotThatTheLastTryHadNoAnswer) {
  EtcdCluster silent(FLAGS_etcd, 1);
  silent.Signal(0, SIGSTOP);
  EtcdFixture fixture({SharedWithTls()->endpoints()[0], silent.endpoints()[0]}, Tcp());
  TestCoordinator client(&fixture, loop());
  const absl::Status status = client.Read(absl::Seconds(2)).status();
  EXPECT_TRUE(absl::StrContains(status.message(), "where it wants TLS")) << status;
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  const int result = RUN_ALL_TESTS();
  kvarts::shared_cluster.reset();
  kvarts::shared_tls_cluster.reset();
  return result;
}
