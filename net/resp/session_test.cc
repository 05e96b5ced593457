#include "net/resp/session.h"

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/metrics.h"
#include "net/resp/session_harness.h"

namespace kvarts {
namespace resp {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

// Notes how it was asked. One value, of one size, for every key but "none".
class NotingStore final : public Store {
 public:
  explicit NotingStore(size_t value_size = 5, bool may_block = false)
      : may_block_(may_block), value_(std::make_shared<std::string>(value_size, 'v')) {}

  Capabilities capabilities() const override {
    Capabilities has;
    has.scan = has.ordered_scan = Support::kNative;
    has.may_block = may_block_;
    return has;
  }
  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    calls.push_back(absl::StrCat(keys.size(), options.value ? "" : " without values"));
    results->Reset(keys.size());
    results->bytes().AddPin(value_);
    results->bytes().WatchLosses(losses, losses.load());
    for (size_t i = 0; i < keys.size(); ++i) {
      ReadResult& result = results->mutable_result(i);
      result.found = keys[i] != "none";
      if (result.found && options.value) result.value = *value_;
    }
    if (lose_after_read) ++losses;
  }
  absl::StatusOr<StoreStats> Stats() override { return StoreStats(); }
  absl::Status Close() override { return absl::OkStatus(); }

  std::vector<std::string> calls;
  std::atomic<uint32_t> losses{0};
  bool lose_after_read = false;

 private:
  const bool may_block_;
  const std::shared_ptr<const std::string> value_;
};

// A harness over a NotingStore.
struct Noting {
  explicit Noting(size_t value_size = 5, bool may_block = false, const RespOptions& options = {})
      : harness(std::make_unique<NotingStore>(value_size, may_block), options) {}
  std::vector<std::string>& calls() { return static_cast<NotingStore&>(harness.store()).calls; }
  SessionHarness harness;
};

std::unique_ptr<Store> BlockingModel() {
  ModelStoreOptions options;
  options.capabilities.may_block = true;
  return NewModelStore(options);
}

std::string Conversation() {
  return Request({"SET", "k", "value"}) + "\r\nGET k\r\n" +
         Request({"MGET", "k", "none", std::string("\0", 1)}) + Request({"HELLO", "3"}) +
         "SET l \"a b\"\r\n" + Request({"MGET", "l", "none"}) + Request({"nonsense", "x"}) +
         Request({"SET", "large", std::string(20000, 'x')}) + Request({"GET", "large"}) +
         Request({"INCR", "n"}) + Request({"GET", "n"}) + Request({"DEL", "n", "k"}) + "*0\r\n" +
         Request({"GET", "n"}) + Request({"PING"});
}

TEST(RespSessionTest, BytesMayComeInAnyPieces) {
  SessionHarness whole;
  const std::string expected = whole.Send(*whole.Connect(), Conversation());
  EXPECT_THAT(expected, StartsWith("+OK\r\n$5\r\nvalue\r\n*3\r\n$5\r\nvalue\r\n$-1\r\n$-1\r\n%7"));
  EXPECT_THAT(expected, EndsWith("\r\n:1\r\n$1\r\n1\r\n:2\r\n_\r\n+PONG\r\n"));
  for (const bool blocking : {false, true}) {
    for (const size_t step : {1, 2, 7, 1000}) {
      SessionHarness harness(blocking ? BlockingModel() : NewModelStore());
      const auto connection = harness.Connect();
      std::string answers;
      const std::string bytes = Conversation();
      for (size_t i = 0; i < bytes.size(); i += step) {
        answers += harness.Send(*connection, bytes.substr(i, step));
      }
      EXPECT_EQ(answers, expected) << step;
    }
  }
}

TEST(RespSessionTest, WhatIsAnsweredIsCounted) {
  for (const bool blocking : {false, true}) {
    ProtocolMetrics metrics("resp");
    RespOptions options;
    options.metrics = &metrics;
    ModelStoreOptions model;
    model.capabilities.may_block = blocking;
    model.records = {{"a", "1"}};
    SessionHarness harness(NewModelStore(std::move(model)), options);
    const auto connection = harness.Connect();
    const std::string sent = Request({"GET", "a"}) + Request({"MGET", "a", "none"}) +
                             Request({"NOSUCH"}) + Request({"PING"}) + Request({"GET"});
    harness.Send(*connection, sent);
    const ProtocolStats stats = metrics.Collect();
    EXPECT_EQ(stats.counts.requests, 5u);
    EXPECT_EQ(stats.counts.errors, 2u);
    EXPECT_EQ(stats.counts.hits, 2u);
    EXPECT_EQ(stats.counts.misses, 1u);
    EXPECT_EQ(stats.counts.bytes_in, sent.size());
    EXPECT_EQ(stats.counts.bytes_out, connection->wire->written.size());
    EXPECT_EQ(stats.latency.count(), 5u);
  }
}

TEST(RespSessionTest, PipelinedReadsAreOneCall) {
  Noting noting;
  const auto connection = noting.harness.Connect();
  std::string requests;
  for (int i = 0; i < 10; ++i) requests += Request({"GET", absl::StrCat(i)});
  requests += Request({"MGET", "a", "none", "c"}) + Request({"STRLEN", "a"}) +
              Request({"EXISTS", "a", "none"});
  EXPECT_EQ(
      noting.harness.Send(*connection, requests),
      absl::StrCat("$5\r\nvvvvv\r\n$5\r\nvvvvv\r\n$5\r\nvvvvv\r\n$5\r\nvvvvv\r\n$5\r\nvvvvv\r\n",
                   "$5\r\nvvvvv\r\n$5\r\nvvvvv\r\n$5\r\nvvvvv\r\n$5\r\nvvvvv\r\n$5\r\nvvvvv\r\n",
                   "*3\r\n$5\r\nvvvvv\r\n$-1\r\n$5\r\nvvvvv\r\n:5\r\n:1\r\n"));
  EXPECT_THAT(noting.calls(), ElementsAre("16"));
}

TEST(RespSessionTest, AnythingElseBetweenReadsSplitsThem) {
  Noting noting;
  const auto connection = noting.harness.Connect();
  const std::string get = Request({"GET", "a"});
  for (const std::string& between : {Request({"PING"}), Request({"nonsense"}), Request({"GET"}),
                                     Request({"SET", "a", "b"}), Request({"CLIENT", "nonsense"})}) {
    noting.calls().clear();
    const std::string reply = noting.harness.Send(*connection, get + get + between + get);
    EXPECT_THAT(reply, StartsWith("$5\r\nvvvvv\r\n$5\r\nvvvvv\r\n"));
    EXPECT_THAT(reply, EndsWith("\r\n$5\r\nvvvvv\r\n"));
    EXPECT_THAT(noting.calls(), ElementsAre("2", "1"));
  }
}

TEST(RespSessionTest, ValuesAreOnlyReadWhereTheyAreAnswered) {
  Noting noting;
  const auto connection = noting.harness.Connect();
  EXPECT_EQ(noting.harness.Send(*connection, "EXISTS a\r\nTTL a\r\nTYPE a\r\nTYPE none\r\n"),
            ":1\r\n:-1\r\n+string\r\n+none\r\n");
  EXPECT_THAT(noting.calls(), ElementsAre("4 without values"));
}

TEST(RespSessionTest, FewerKeysAreAskedTogetherWhereValuesAreLarge) {
  Noting noting(200000);
  const auto connection = noting.harness.Connect();
  std::string requests;
  for (int i = 0; i < 40; ++i) requests += Request({"GET", "a"});
  noting.harness.Send(*connection, requests);
  ASSERT_GT(noting.calls().size(), 5u);
  for (size_t i = 1; i < noting.calls().size(); ++i) EXPECT_LE(noting.calls()[i].size(), 1u);
}

TEST(RespSessionTest, ManyReadsAreAskedInSeveralCalls) {
  Noting noting;
  const auto connection = noting.harness.Connect();
  std::string requests;
  for (int i = 0; i < 1000; ++i) requests += Request({"GET", "a"});
  std::string expected;
  for (int i = 0; i < 1000; ++i) expected += "$5\r\nvvvvv\r\n";
  EXPECT_EQ(noting.harness.Send(*connection, requests), expected);
  EXPECT_LE(noting.calls().size(), 12u);
}

TEST(RespSessionTest, LargeValuesAreSentFromWhereTheStoreHasThem) {
  const std::string value(1 << 20, 'v');
  Noting noting(value.size());
  const auto connection = noting.harness.Connect();
  connection->wire->takes_writes = false;
  noting.harness.Send(*connection, Request({"GET", "a"}) + Request({"GETRANGE", "a", "1", "5000"}));
  connection->wire->takes_writes = true;
  noting.harness.Move(*connection);
  EXPECT_EQ(connection->wire->written,
            absl::StrCat("$1048576\r\n", value, "\r\n$5000\r\n", value.substr(0, 5000), "\r\n"));
}

TEST(RespSessionTest, WhatWasLostIsNotSent) {
  for (const size_t size : {5, 100000}) {
    Noting noting(size);
    static_cast<NotingStore&>(noting.harness.store()).lose_after_read = true;
    const auto connection = noting.harness.Connect();
    EXPECT_EQ(noting.harness.Ask(*connection, {"GET", "a"}), "");
    EXPECT_TRUE(connection->over());
  }
}

TEST(RespSessionTest, APasswordIsAskedFor) {
  RespOptions options;
  options.password = "secret";
  SessionHarness harness(options);
  const auto connection = harness.Connect();
  const std::string noauth = "-NOAUTH Authentication required.\r\n";
  EXPECT_EQ(harness.Ask(*connection, {"GET", "k"}), noauth);
  EXPECT_EQ(harness.Ask(*connection, {"PING"}), noauth);
  EXPECT_EQ(harness.Ask(*connection, {"INFO"}), noauth);
  EXPECT_EQ(harness.Ask(*connection, {"COMMAND"}), noauth);
  EXPECT_THAT(harness.Ask(*connection, {"HELLO", "3"}),
              StartsWith("-NOAUTH HELLO must be called with the client already authenticated"));
  const std::string wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
  EXPECT_EQ(harness.Ask(*connection, {"AUTH", "public"}), wrong);
  EXPECT_EQ(harness.Ask(*connection, {"AUTH", "secre"}), wrong);
  EXPECT_EQ(harness.Ask(*connection, {"AUTH", ""}), wrong);
  EXPECT_EQ(harness.Ask(*connection, {"AUTH", "other", "secret"}), wrong);
  EXPECT_EQ(harness.Ask(*connection, {"HELLO", "3", "AUTH", "default", "x"}), wrong);
  EXPECT_EQ(harness.Ask(*connection, {"GET", "k"}), noauth);
  EXPECT_EQ(harness.Send(*connection, "AUTH secret\r\nGET k\r\n"), "+OK\r\n$-1\r\n");
  EXPECT_EQ(harness.Ask(*connection, {"RESET"}), "+RESET\r\n");
  EXPECT_EQ(harness.Ask(*connection, {"GET", "k"}), noauth);
  EXPECT_EQ(harness.Ask(*connection, {"AUTH", "default", "secret"}), "+OK\r\n");
  EXPECT_EQ(harness.Ask(*connection, {"GET", "k"}), "$-1\r\n");
  const auto other = harness.Connect();
  EXPECT_THAT(harness.Ask(*other, {"HELLO", "3", "AUTH", "default", "secret", "SETNAME", "n"}),
              StartsWith("%7\r\n"));
  EXPECT_EQ(harness.Ask(*other, {"GET", "k"}), "_\r\n");
}

TEST(RespSessionTest, WhoIsNotLetInMaySendLittle) {
  RespOptions options;
  options.password = "secret";
  SessionHarness harness(options);
  const auto connection = harness.Connect();
  EXPECT_EQ(harness.Send(*connection, "*11\r\n"),
            "-ERR Protocol error: unauthenticated multibulk length\r\n");
  const auto other = harness.Connect();
  EXPECT_EQ(harness.Send(*other, "*2\r\n$4\r\nAUTH\r\n$16385\r\n"),
            "-ERR Protocol error: unauthenticated bulk length\r\n");
  const auto good = harness.Connect();
  const std::string large(20000, 'x');
  EXPECT_EQ(harness.Send(*good, Request({"AUTH", "secret"}) + Request({"ECHO", large})),
            absl::StrCat("+OK\r\n$20000\r\n", large, "\r\n"));
}

TEST(RespSessionTest, BeforeTheStoreIsThereItIsLoading) {
  SessionHarness harness(NewModelStore(), {}, /*ready=*/false);
  const auto connection = harness.Connect();
  const std::string loading = "-LOADING kvarts is loading the dataset in memory\r\n";
  EXPECT_EQ(harness.Send(*connection, "GET k\r\nSET k v\r\nPING\r\nDBSIZE\r\n"),
            loading + loading + loading + loading);
  EXPECT_EQ(harness.Ask(*connection, {"ECHO", "x"}), "$1\r\nx\r\n");
  EXPECT_EQ(harness.Ask(*connection, {"SELECT", "0"}), "+OK\r\n");
  EXPECT_THAT(harness.Ask(*connection, {"HELLO", "3"}), StartsWith("%7\r\n"));
  EXPECT_THAT(harness.Ask(*connection, {"INFO"}), HasSubstr("\r\nloading:1\r\n"));
  EXPECT_THAT(harness.Ask(*connection, {"COMMAND"}), StartsWith("*"));
  harness.SetReady();
  EXPECT_EQ(harness.Ask(*connection, {"SET", "k", "v"}), "+OK\r\n");
  EXPECT_THAT(harness.Ask(*connection, {"INFO"}), HasSubstr("\r\nloading:0\r\n"));
}

TEST(RespSessionTest, AFullPoolIsSaid) {
  SessionHarness harness(BlockingModel());
  harness.held().full_ = true;
  const auto connection = harness.Connect();
  EXPECT_EQ(harness.Ask(*connection, {"GET", "k"}),
            "-ERR the server is overloaded: try again later\r\n");
  harness.held().full_ = false;
  EXPECT_EQ(harness.Ask(*connection, {"GET", "k"}), "$-1\r\n");
}

TEST(RespSessionTest, QuitIsAnsweredAndEndsTheConnection) {
  SessionHarness harness;
  const auto connection = harness.Connect();
  EXPECT_EQ(harness.Send(*connection, "PING\r\nQUIT\r\nPING\r\n"), "+PONG\r\n+OK\r\n");
  EXPECT_TRUE(connection->wire->write_ended);
  EXPECT_FALSE(connection->over()) << "it waits for the client to end";
  harness.End(*connection);
  EXPECT_TRUE(connection->over());
  const auto other = harness.Connect();
  harness.Send(*other, "QUIT\r\n");
  harness.loop().Advance(absl::Seconds(3));
  EXPECT_TRUE(other->over());
}

TEST(RespSessionTest, WhatIsNoRequestIsSaidAndEndsTheConnection) {
  SessionHarness harness;
  const auto connection = harness.Connect();
  EXPECT_EQ(harness.Send(*connection, "GET k\r\n*1\r\nnonsense\r\nPING\r\n"),
            "$-1\r\n-ERR Protocol error: expected '$', got 'n'\r\n");
  EXPECT_TRUE(connection->wire->write_ended);
}

TEST(RespSessionTest, BrowsersAreDropped) {
  for (const char* request : {"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
                              "GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: y\r\n\r\n"}) {
    SessionHarness harness;
    const auto connection = harness.Connect();
    const std::string reply = harness.Send(*connection, request);
    EXPECT_THAT(reply, testing::AnyOf("", "-ERR wrong number of arguments for 'get' command\r\n"));
    EXPECT_TRUE(connection->over());
  }
}

TEST(RespSessionTest, AHalfClosedConnectionIsAnswered) {
  for (const bool blocking : {false, true}) {
    SessionHarness harness(blocking ? BlockingModel() : NewModelStore());
    const auto connection = harness.Connect();
    connection->wire->ended = true;
    EXPECT_EQ(harness.Send(*connection, "PING\r\nGET k\r\nGET unfini"), "+PONG\r\n$-1\r\n");
    EXPECT_TRUE(connection->over());
  }
}

TEST(RespSessionTest, AClientThatDoesNotReadIsNotReadFrom) {
  RespOptions options;
  options.max_output_bytes = 10000;
  SessionHarness harness(options);
  const auto connection = harness.Connect();
  connection->wire->takes_writes = false;
  const std::string echo = Request({"ECHO", std::string(1000, 'x')});
  std::string requests;
  for (int i = 0; i < 1000; ++i) requests += echo;
  harness.Send(*connection, requests);
  EXPECT_LT(connection->wire->read, 200u << 10);
  const size_t read = connection->wire->read;
  harness.Send(*connection, "PING\r\n");
  EXPECT_EQ(connection->wire->read, read);
  connection->wire->takes_writes = true;
  harness.Move(*connection);
  EXPECT_EQ(connection->wire->written.size(), 1000 * 1009 + 7u) << "all is answered in the end";
  EXPECT_THAT(connection->wire->written, EndsWith("\r\n+PONG\r\n"));
}

TEST(RespSessionTest, AClientThatNeverReadsIsClosedInTheEnd) {
  SessionHarness harness;
  const auto connection = harness.Connect();
  connection->wire->takes_writes = false;
  harness.Send(*connection, "PING\r\n");
  harness.loop().Advance(absl::Minutes(21));
  EXPECT_TRUE(connection->over());
}

TEST(RespSessionTest, IdleConnectionsAreClosed) {
  SessionHarness harness;
  const auto connection = harness.Connect();
  for (int i = 0; i < 10; ++i) {
    harness.loop().Advance(absl::Minutes(9));
    EXPECT_EQ(harness.Ask(*connection, {"PING"}), "+PONG\r\n");
  }
  harness.loop().Advance(absl::Minutes(21));
  EXPECT_TRUE(connection->over());
}

TEST(RespSessionTest, WhoDoesNotAuthenticateIsClosedSoon) {
  RespOptions options;
  options.password = "secret";
  SessionHarness harness(options);
  const auto silent = harness.Connect();
  const auto talks = harness.Connect();
  const auto good = harness.Connect();
  harness.Ask(*good, {"AUTH", "secret"});
  harness.loop().Advance(absl::Seconds(9));
  EXPECT_FALSE(silent->over());
  EXPECT_THAT(harness.Ask(*talks, {"PING"}), StartsWith("-NOAUTH"));
  harness.loop().Advance(absl::Seconds(2));
  EXPECT_TRUE(silent->over());
  EXPECT_TRUE(talks->over());
  EXPECT_FALSE(good->over());
  harness.loop().Advance(absl::Seconds(60));
  EXPECT_EQ(harness.Ask(*good, {"PING"}), "+PONG\r\n");
}

TEST(RespSessionTest, ARequestThatDoesNotGoOnIsClosed) {
  RespOptions options;
  options.idle_timeout = absl::InfiniteDuration();
  options.request_timeout = absl::Seconds(60);
  SessionHarness harness(options);
  const auto idle = harness.Connect();
  const auto stuck = harness.Connect();
  const auto slow = harness.Connect();
  const auto after = harness.Connect();
  EXPECT_EQ(harness.Ask(*after, {"PING"}), "+PONG\r\n");
  for (const auto* connection : {&stuck, &slow, &after}) harness.Send(**connection, "*1\r\n$4\r\n");
  const std::string ping = "PING\r\n";
  for (const char c : ping) {
    harness.loop().Advance(absl::Seconds(59));
    harness.Send(*slow, std::string(1, c));
  }
  EXPECT_THAT(slow->wire->written, "+PONG\r\n");
  EXPECT_TRUE(stuck->over());
  EXPECT_TRUE(after->over());
  EXPECT_FALSE(slow->over());
  EXPECT_FALSE(idle->over());
}

TEST(RespSessionTest, DrainingAnswersWhatWasRead) {
  SessionHarness harness(BlockingModel());
  const auto idle = harness.Connect();
  const auto busy = harness.Connect();
  busy->wire->to_read = "PING\r\nGET k\r\n";
  harness.Move(*busy);
  idle->session->Drain();
  busy->session->Drain();
  harness.loop().Run();
  EXPECT_TRUE(idle->wire->write_ended);
  EXPECT_FALSE(busy->wire->write_ended) << "its call is under way";
  harness.held().RunHeld();
  harness.loop().Run();
  EXPECT_EQ(busy->wire->written, "+PONG\r\n$-1\r\n");
  EXPECT_TRUE(busy->wire->write_ended);
}

TEST(RespSessionTest, AConnectionMayEndWhileItsCallIsUnderWay) {
  SessionHarness harness(BlockingModel());
  const auto connection = harness.Connect();
  connection->wire->to_read = Request({"SET", "k", "v"});
  harness.Move(*connection);
  ASSERT_EQ(harness.held().held.size(), 1u);
  connection->session.reset();
  harness.held().RunHeld();
  harness.loop().Run();
  EXPECT_EQ(harness.Ask(*harness.Connect(), {"GET", "k"}), "$1\r\nv\r\n") << "it was done";
}

TEST(RespSessionTest, OneCallOfAConnectionIsUnderWay) {
  SessionHarness harness(BlockingModel());
  const auto connection = harness.Connect();
  connection->wire->to_read = Request({"SET", "k", "1"});
  harness.Move(*connection);
  connection->wire->to_read = Request({"GET", "k"}) + Request({"INCR", "k"});
  harness.Move(*connection);
  EXPECT_EQ(harness.held().held.size(), 1u) << "order is kept";
  EXPECT_EQ(harness.Send(*connection, Request({"GET", "k"})),
            "+OK\r\n$1\r\n1\r\n:2\r\n$1\r\n2\r\n");
}

TEST(RespSessionTest, ALongPipelineLetsOthersHaveTheirTurn) {
  SessionHarness harness;
  const auto greedy = harness.Connect();
  const auto other = harness.Connect();
  for (int i = 0; i < 200000; ++i) greedy->wire->to_read += "PING\r\n";
  greedy->wire->read_at_most = 64 << 10;
  greedy->stream->Moved();
  other->wire->to_read = "PING\r\n";
  other->stream->Moved();
  size_t greedy_had = 0;
  harness.loop().Post([&] {
    harness.loop().Post(
        [&] { harness.loop().Post([&] { greedy_had = greedy->wire->written.size(); }); });
  });
  harness.loop().Run();
  EXPECT_EQ(other->wire->written, "+PONG\r\n");
  EXPECT_LT(greedy_had, 7 * 100000u);
  EXPECT_EQ(greedy->wire->written.size(), 7 * 200000u);
}

TEST(RespSessionTest, CopiesOfLargeValuesLetOthersHaveTheirTurn) {
  SessionHarness harness;
  const auto greedy = harness.Connect();
  const auto other = harness.Connect();
  harness.Ask(*greedy, {"SET", "k", std::string(8 << 20, 'x')});
  greedy->wire->written.clear();
  for (int i = 0; i < 100; ++i) greedy->wire->to_read += Request({"APPEND", "k", "y"});
  greedy->stream->Moved();
  other->wire->to_read = "PING\r\n";
  other->stream->Moved();
  size_t greedy_had = 0;
  harness.loop().Post(
      [&] { harness.loop().Post([&] { greedy_had = greedy->wire->written.size(); }); });
  harness.loop().Run();
  EXPECT_EQ(other->wire->written, "+PONG\r\n");
  EXPECT_LT(greedy_had, 10 * 10u);
  EXPECT_EQ(greedy->wire->written.size(), 100 * 10u);
}

TEST(RespSessionTest, TooMuchMemoryOfAllTogetherClosesWhoNeedsMore) {
  RespOptions options;
  options.max_held_bytes = 3 << 20;
  SessionHarness harness(options);
  std::vector<std::unique_ptr<SessionHarness::Connection>> connections;
  const std::string part =
      absl::StrCat("*2\r\n$4\r\nECHO\r\n$2000000\r\n", std::string(1000000, 'x'));
  size_t open = 0;
  for (int i = 0; i < 10; ++i) {
    connections.push_back(harness.Connect());
    harness.Send(*connections.back(), part);
    open += connections.back()->over() ? 0 : 1;
  }
  EXPECT_GE(open, 1u);
  EXPECT_LE(open, 3u);
  EXPECT_EQ(harness.Ask(*harness.Connect(), {"PING"}), "+PONG\r\n");
  for (const auto& connection : connections) {
    if (!connection->over()) harness.End(*connection);
  }
  const auto later = harness.Connect();
  harness.Send(*later, part);
  EXPECT_FALSE(later->over()) << "what the others held is free again";
}

TEST(RespSessionTest, ABrokenConnectionEnds) {
  SessionHarness harness;
  const auto connection = harness.Connect();
  connection->wire->broken = true;
  harness.Move(*connection);
  EXPECT_TRUE(connection->over());
}

TEST(RespSessionTest, CountsAreKept) {
  SessionHarness harness;
  const auto connection = harness.Connect();
  harness.Send(*connection, "SET k v\r\nGET k\r\nMGET k none k\r\nnonsense\r\n");
  const RespStats stats = harness.service().stats();
  EXPECT_EQ(stats.commands, 4u);
  EXPECT_EQ(stats.connections, 1u);
  EXPECT_EQ(stats.clients, 1u);
  EXPECT_EQ(stats.hits, 3u);
  EXPECT_EQ(stats.misses, 1u);
}

}  // namespace
}  // namespace resp
}  // namespace kvarts
