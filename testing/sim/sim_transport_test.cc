// What a simulated network has beyond a transport: its faults.

#include "testing/sim/sim_transport.h"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "net/server.h"
#include "testing/conformance/transport_peer.h"
#include "testing/sim/world.h"

namespace kvarts {
namespace {

// Two processes. What the tests wait for is run by the waiting.
class SimTransportTest : public testing::Test {
 protected:
  struct Pair {
    TestStream client;
    TestStream server;
  };

  explicit SimTransportTest(uint64_t seed = 1)
      : world_(seed), net_(&world_), steps_([this] { return world_.Step(); }) {
    a_ = world_.NewProcess("a");
    a_loop_ = world_.NewLoop(a_);
    StartB();
  }
  ~SimTransportTest() override { accepted_.clear(); }

  // b listens at "sim:b".
  void StartB() {
    b_ = world_.NewProcess("b");
    b_loop_ = world_.NewLoop(b_);
    auto listener = net_.Listen({b_loop_}, "sim:b", {}, [this](std::unique_ptr<Stream> stream) {
      accepted_.push_back(std::move(stream));
    });
    ASSERT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
  }

  absl::StatusOr<TestStream> Connect(absl::Duration timeout = absl::Seconds(100)) {
    bool done = false;
    absl::StatusOr<std::unique_ptr<Stream>> result = absl::UnknownError("not done");
    net_.Connect(a_loop_, "sim:b", timeout, [&](absl::StatusOr<std::unique_ptr<Stream>> stream) {
      result = std::move(stream);
      done = true;
    });
    EXPECT_TRUE(world_.RunUntil([&] { return done; }, absl::Hours(1)));
    if (!result.ok()) return result.status();
    return TestStream(*std::move(result));
  }
  Pair Connected() {
    absl::StatusOr<TestStream> client = Connect();
    EXPECT_TRUE(client.ok()) << client.status();
    EXPECT_TRUE(world_.RunUntil([&] { return !accepted_.empty(); }, absl::Hours(1)));
    TestStream server(std::move(accepted_.front()));
    accepted_.pop_front();
    return {*std::move(client), std::move(server)};
  }

  SimWorld world_;
  SimTransport net_;
  WaitBySteps steps_;
  SimProcess* a_;
  SimProcess* b_;
  EventLoop* a_loop_;
  EventLoop* b_loop_;
  std::unique_ptr<Listener> listener_;
  std::deque<std::unique_ptr<Stream>> accepted_;
};

TEST_F(SimTransportTest, BytesStallInAPartitionAndArriveBehindIt) {
  Pair pair = Connected();
  const auto read = pair.server.StartRead(100);
  net_.Partition("a", "b");
  ASSERT_TRUE(pair.client.Write("one").ok());
  ASSERT_TRUE(pair.client.Write("two").ok());
  world_.RunFor(absl::Minutes(10));
  EXPECT_EQ(read->outcome.Get().callbacks, 0);
  EXPECT_GT(net_.stats().stalled, 0);
  net_.Rejoin("a", "b");
  ASSERT_TRUE(read->Await().ok());
  EXPECT_EQ(
      read->outcome.Get().bytes + *pair.server.ReadExactly(6 - read->outcome.Get().bytes.size()),
      "onetwo");
}

TEST_F(SimTransportTest, ConnectTimesOutInAPartition) {
  net_.Partition("a", "b");
  const absl::Duration start = world_.Now();
  EXPECT_EQ(Connect(absl::Seconds(3)).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_GE(world_.Now() - start, absl::Seconds(3));
  // Without a deadline of one's own as well.
  EXPECT_EQ(Connect(absl::InfiniteDuration()).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(SimTransportTest, ConnectSucceedsWhereThePartitionEndsInTime) {
  net_.Partition("a", "b");
  world_.After(absl::Seconds(2), [this] { net_.RejoinAll(); });
  EXPECT_TRUE(Connect(absl::Seconds(3)).ok());
}

TEST_F(SimTransportTest, AnswerThatIsHeldBackTimesOutAndTheOtherEndIsTold) {
  net_.Block("b", "a");
  EXPECT_EQ(Connect(absl::Seconds(3)).status().code(), absl::StatusCode::kDeadlineExceeded);
  ASSERT_EQ(accepted_.size(), 1);
  TestStream server(std::move(accepted_.front()));
  accepted_.pop_front();
  EXPECT_EQ(*server.ReadToEnd(), "");
}

TEST_F(SimTransportTest, OneWayPartitionLetsBytesThroughUntilTheWindowIsFull) {
  Pair pair = Connected();
  net_.Block("b", "a");
  const std::string text(3 * kSimWindow, 'x');
  const auto write = pair.client.StartWrite({text});
  EXPECT_EQ(pair.server.ReadExactly(kSimWindow)->size(), kSimWindow);
  const auto more = pair.server.StartRead(1);
  world_.RunFor(absl::Minutes(1));
  EXPECT_EQ(more->outcome.Get().callbacks, 0);
  EXPECT_EQ(write->outcome.Get().callbacks, 0);
  net_.Unblock("b", "a");
  ASSERT_TRUE(more->Await().ok());
  EXPECT_EQ(pair.server.ReadExactly(text.size() - kSimWindow - 1)->size(),
            text.size() - kSimWindow - 1);
  EXPECT_TRUE(write->Await().ok());
}

TEST_F(SimTransportTest, BytesAreCutIntoAnyPieces) {
  SimLinkOptions options;
  options.cut = 0.95;
  net_.SetLinks(options);
  Pair pair = Connected();
  const std::string text(10000, 'x');
  ASSERT_TRUE(pair.client.Write(text).ok());
  int reads = 0;
  for (size_t n = 0; n < text.size(); ++reads) n += pair.server.Read(text.size())->size();
  EXPECT_GT(reads, 3);
}

TEST_F(SimTransportTest, ConnectionsOvertakeEachOther) {
  Pair first = Connected();
  Pair second = Connected();
  int overtaken = 0;
  for (int i = 0; i < 100; ++i) {
    const auto one = first.server.StartRead(1);
    const auto two = second.server.StartRead(1);
    const auto w1 = first.client.StartWrite({"1"});
    const auto w2 = second.client.StartWrite({"2"});
    world_.RunUntil([&] { return one->outcome.Get().callbacks + two->outcome.Get().callbacks > 0; },
                    absl::Seconds(1));
    overtaken += two->outcome.Get().callbacks;
    EXPECT_TRUE(one->Await().ok() && two->Await().ok() && w1->Await().ok() && w2->Await().ok());
  }
  EXPECT_GT(overtaken, 20);
  EXPECT_LT(overtaken, 80);
}

TEST_F(SimTransportTest, PeersOfAKilledProcessReadWhatItSentThenAreToldSoon) {
  Pair pair = Connected();
  ASSERT_TRUE(pair.server.Write("last words").ok());
  world_.Crash(b_, SimCrash::kKilled);
  EXPECT_EQ(*pair.client.ReadExactly(10), "last words");
  const absl::Duration start = world_.Now();
  EXPECT_EQ(pair.client.Read(1).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_LT(world_.Now() - start, absl::Milliseconds(1));
  EXPECT_EQ(pair.client.Write("x").code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Connect().status().code(), absl::StatusCode::kUnavailable);
  // What the dead process still does is nothing.
  pair.server.Close();
  StartB();
  EXPECT_TRUE(Connect().ok());
}

TEST_F(SimTransportTest, PeersOfADeadMachineAreToldNothingUntilItIsBack) {
  Pair pair = Connected();
  Pair idle = Connected();
  world_.Crash(b_, SimCrash::kSilent);
  EXPECT_TRUE(pair.client.Write("x").ok());
  const auto read = pair.client.StartRead(1);
  const auto idle_read = idle.client.StartRead(1);
  world_.RunFor(absl::Hours(1));
  EXPECT_EQ(read->outcome.Get().callbacks, 0);
  EXPECT_EQ(Connect(absl::Seconds(1)).status().code(), absl::StatusCode::kDeadlineExceeded);
  StartB();
  EXPECT_EQ(read->Await().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(Connect().ok());
  // Who had sent nothing learns it when he does.
  EXPECT_EQ(idle_read->outcome.Get().callbacks, 0);
  EXPECT_TRUE(idle.client.Write("x").ok());
  EXPECT_EQ(idle_read->Await().code(), absl::StatusCode::kUnavailable);
}

TEST_F(SimTransportTest, CrashDropsCallbacksUnrun) {
  for (const SimCrash crash : {SimCrash::kKilled, SimCrash::kSilent}) {
    Pair pair = Connected();
    const auto read = pair.server.StartRead(1);
    const auto write = pair.server.StartWrite({std::string(3 * kSimWindow, 'x')});
    auto token = std::make_shared<int>();
    net_.Connect(b_loop_, "sim:b", absl::Seconds(1),
                 [token](absl::StatusOr<std::unique_ptr<Stream>>) {});
    world_.Crash(b_, crash);
    EXPECT_TRUE(read->outcome.Get().dropped);
    EXPECT_TRUE(write->outcome.Get().dropped);
    EXPECT_EQ(read->outcome.Get().callbacks + write->outcome.Get().callbacks, 0);
    EXPECT_EQ(token.use_count(), 1);
    listener_.reset();
    StartB();
  }
}

TEST_F(SimTransportTest, StreamThatItsOwnCallbackOwnsIsGoneAfterACrash) {
  struct Owner {
    std::unique_ptr<Stream> stream;
    char buffer[10];
  };
  auto owner = std::make_shared<Owner>();
  std::weak_ptr<Owner> watch = owner;
  ASSERT_TRUE(Connect().ok());
  world_.RunUntil([&] { return !accepted_.empty(); }, absl::Seconds(1));
  owner->stream = std::move(accepted_.front());
  accepted_.clear();
  b_loop_->Post([&] {
    Stream* const stream = owner->stream.get();
    stream->Read(absl::MakeSpan(owner->buffer), absl::InfiniteDuration(),
                 [kept = std::exchange(owner, nullptr)](const absl::StatusOr<size_t>&) { FAIL(); });
    world_.Crash(b_, SimCrash::kKilled);
    EXPECT_FALSE(watch.expired());  // inside its task
  });
  world_.RunUntil([&] { return b_->crashed(); }, absl::Seconds(1));
  EXPECT_TRUE(watch.expired());
}

TEST_F(SimTransportTest, LostConnectionIsUnavailableAtBothEnds) {
  Pair pair = Connected();
  const auto read = pair.client.StartRead(1);
  const auto write = pair.server.StartWrite({std::string(3 * kSimWindow, 'x')});
  EXPECT_EQ(net_.LoseConnections("b", "a"), 1);
  EXPECT_EQ(read->Await().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(write->Await().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(pair.client.Write("x").code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(pair.server.Read(1).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(Connect().ok());
}

TEST_F(SimTransportTest, ConnectionsAreLostByChance) {
  SimLinkOptions options;
  options.lose_connection = 0.05;
  net_.SetLinks(options);
  int connects = 0;
  int lost_later = 0;
  while (lost_later < 20) {
    ++connects;
    absl::StatusOr<TestStream> client = Connect();
    world_.RunFor(absl::Milliseconds(1));
    accepted_.clear();
    if (!client.ok()) {
      EXPECT_EQ(client.status().code(), absl::StatusCode::kUnavailable);
      continue;
    }
    lost_later += client->Read(1).ok() ? 0 : 1;
  }
  EXPECT_GT(net_.stats().lost_connections, 20);
  EXPECT_LT(connects, 2000);
}

TEST_F(SimTransportTest, PausedProcessTakesBytesInAndAnswersLater) {
  Pair pair = Connected();
  EchoServer echo(std::move(pair.server));
  world_.Pause(b_);
  ASSERT_TRUE(pair.client.Write("hello").ok());
  // Its system accepts for it.
  EXPECT_TRUE(Connect().ok());
  const auto read = pair.client.StartRead(5);
  world_.RunFor(absl::Seconds(5));
  EXPECT_EQ(read->outcome.Get().callbacks, 0);
  EXPECT_TRUE(accepted_.empty());
  world_.Resume(b_);
  ASSERT_TRUE(read->Await().ok());
  EXPECT_EQ(read->outcome.Get().bytes, "hello");
}

TEST_F(SimTransportTest, LossOfMessagesDelaysWhatFollows) {
  SimLinkOptions options;
  options.loss = 0.3;
  net_.SetLinks(options);
  Pair pair = Connected();
  const absl::Duration start = world_.Now();
  auto sender = PatternSender::Start(&pair.client, {1, 100000, 1000, 1, true});
  auto receiver = PatternReceiver::Start(&pair.server, {1, 100000, 1000, true});
  EXPECT_TRUE(receiver->Await().ok());
  EXPECT_TRUE(sender->Await().ok());
  EXPECT_GT(world_.Now() - start, absl::Milliseconds(200));
}

TEST_F(SimTransportTest, BandwidthHoldsBytesUp) {
  SimLinkOptions options;
  options.bytes_per_second = 10000000;
  net_.SetLinks(options);
  Pair pair = Connected();
  const absl::Duration start = world_.Now();
  auto sender = PatternSender::Start(&pair.client, {1, 1000000, 100000, 1, true});
  auto receiver = PatternReceiver::Start(&pair.server, {1, 1000000, 100000, true});
  EXPECT_TRUE(receiver->Await().ok());
  EXPECT_TRUE(sender->Await().ok());
  EXPECT_GE(world_.Now() - start, absl::Milliseconds(100));
  EXPECT_LT(world_.Now() - start, absl::Milliseconds(200));
}

// The server that real protocols stand behind.
class EchoSession final : public Session {
 public:
  explicit EchoSession(std::unique_ptr<Stream> stream) : stream_(std::move(stream)) {}
  void Start(Task done) override {
    done_ = std::move(done);
    Next();
  }
  void Drain() override {}

 private:
  void Next() {
    stream_->Read(absl::MakeSpan(buffer_), absl::Seconds(30), [this](absl::StatusOr<size_t> n) {
      if (!n.ok() || *n == 0) return std::move(done_)();
      stream_->Write({absl::string_view(buffer_, *n)}, absl::Seconds(30), [this](absl::Status s) {
        if (!s.ok()) return std::move(done_)();
        Next();
      });
    });
  }
  Task done_;
  char buffer_[100];
  std::unique_ptr<Stream> stream_;
};

TEST_F(SimTransportTest, ServerIsDestroyedAfterItsProcessHasCrashed) {
  for (int round = 0; round < 3; ++round) {
    SimProcess* const c = world_.NewProcess("c");
    auto server =
        Server::Start(&net_, {world_.NewLoop(c)}, "sim:c", {}, [](std::unique_ptr<Stream> stream) {
          return std::make_unique<EchoSession>(std::move(stream));
        });
    ASSERT_TRUE(server.ok());
    std::unique_ptr<Stream> stream;
    net_.Connect(a_loop_, "sim:c", absl::Seconds(1),
                 [&](absl::StatusOr<std::unique_ptr<Stream>> s) { stream = *std::move(s); });
    world_.RunUntil([&] { return stream != nullptr; }, absl::Seconds(1));
    TestStream client(std::move(stream));
    EXPECT_TRUE(client.Write("ping").ok());
    EXPECT_EQ(*client.ReadExactly(4), "ping");
    world_.Crash(c, round % 2 == 0 ? SimCrash::kKilled : SimCrash::kSilent);
    server->reset();
  }
}

// Echoes beside faults of all kinds. Checks that what comes back is what was sent, in
// order, from its beginning.
uint64_t Storm(uint64_t seed) {
  SimWorld world(seed);
  SimTransport net(&world);
  SimLinkOptions options;
  options.loss = 0.05;
  options.cut = 0.5;
  options.lose_connection = 0.002;
  net.SetLinks(options);
  SimProcess* const home = world.NewProcess("home");
  EventLoop* const loop = world.NewLoop(home);
  SimProcess* process = nullptr;
  absl::StatusOr<std::unique_ptr<Server>> server = absl::UnknownError("none");
  const auto start = [&] {
    process = world.NewProcess("server");
    server = Server::Start(&net, {world.NewLoop(process), world.NewLoop(process)}, "sim:server", {},
                           [](std::unique_ptr<Stream> stream) {
                             return std::make_unique<EchoSession>(std::move(stream));
                           });
    EXPECT_TRUE(server.ok()) << server.status();
  };
  start();

  struct Client {
    std::unique_ptr<Stream> stream;
    uint64_t sent = 0, received = 0;
    char buffer[50];
    bool failed = false;
  };
  std::vector<std::unique_ptr<Client>> clients;
  const auto fail = [](Client* client, const absl::Status& status) {
    EXPECT_TRUE(status.code() == absl::StatusCode::kUnavailable ||
                status.code() == absl::StatusCode::kDeadlineExceeded)
        << status;
    client->failed = true;
  };
  std::function<void(Client*)> send = [&](Client* client) {
    const absl::string_view text = Pattern(7, client->sent, 1 + world.random()->Below(300));
    client->sent += text.size();
    client->stream->Write({text}, absl::Seconds(1),
                          [&, client](absl::Status s) { s.ok() ? send(client) : fail(client, s); });
  };
  std::function<void(Client*)> receive = [&](Client* client) {
    client->stream->Read(
        absl::MakeSpan(client->buffer), absl::Seconds(1), [&, client](absl::StatusOr<size_t> n) {
          if (!n.ok()) return fail(client, n.status());
          EXPECT_EQ(absl::string_view(client->buffer, *n), Pattern(7, client->received, *n));
          client->received += *n;
          *n > 0 ? receive(client) : fail(client, absl::UnavailableError("ended"));
        });
  };
  for (int round = 0; round < 60; ++round) {
    clients.push_back(std::make_unique<Client>());
    Client* const client = clients.back().get();
    net.Connect(loop, "sim:server", absl::Seconds(1),
                [&, client](absl::StatusOr<std::unique_ptr<Stream>> stream) {
                  if (!stream.ok()) return fail(client, stream.status());
                  client->stream = *std::move(stream);
                  send(client);
                  receive(client);
                });
    world.RunFor(world.Between(absl::ZeroDuration(), absl::Milliseconds(5)));
    switch (world.random()->Below(8)) {
      case 0:
        world.Crash(process, world.Chance(0.5) ? SimCrash::kKilled : SimCrash::kSilent);
        server->reset();
        world.RunFor(world.Between(absl::ZeroDuration(), absl::Seconds(2)));
        start();
        break;
      case 1:
        net.Block("home", "server");
        break;
      case 2:
        net.Partition("home", "server");
        break;
      case 3:
        world.Pause(process);
        break;
      case 4:
        net.LoseConnections("home", "server");
        break;
      default:
        net.RejoinAll();
        world.Resume(process);
    }
  }
  net.RejoinAll();
  world.Crash(process, SimCrash::kKilled);
  server->reset();
  world.RunFor(absl::Seconds(10));
  uint64_t received = 0;
  for (const auto& client : clients) {
    EXPECT_TRUE(client->failed);
    received += client->received;
  }
  EXPECT_GT(received, 0);
  world.Crash(home, SimCrash::kKilled);
  return world.trace_hash();
}

TEST(SimTransportStormTest, BytesKeepTheirOrderUnderAllFaultsAndASeedRunsTheSameAgain) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    const uint64_t hash = Storm(seed);
    EXPECT_EQ(Storm(seed), hash);
    EXPECT_NE(Storm(seed + 1000), hash);
  }
}

}  // namespace
}  // namespace kvarts
