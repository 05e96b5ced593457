// What is asked of a server by those who look after it.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/metrics.h"
#include "net/resp/latency_log.h"
#include "net/resp/session_harness.h"
#include "storage/layers/forwarding_store.h"
#include "testing/model/manual_clock.h"

namespace kvarts {
namespace resp {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

class AdminTest : public testing::TestWithParam<bool> {
 protected:
  // The model store; may block, where the parameter says so.
  std::unique_ptr<Store> NewModel() {
    ModelStoreOptions options;
    options.capabilities.may_block = GetParam();
    options.clock = &clock_;
    return NewModelStore(options);
  }
  RespOptions Options() {
    RespOptions options;
    options.clock = &clock_;
    return options;
  }

  ManualClock clock_;
};

INSTANTIATE_TEST_SUITE_P(All, AdminTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "OnAPool" : "OnTheLoop"; });

TEST_P(AdminTest, InfoHasWhatClientsLookFor) {
  SessionHarness harness(NewModel(), Options());
  const auto connection = harness.Connect();
  harness.Ask(*connection, {"SET", "k", "v"});
  harness.Send(*connection, Request({"GET", "k"}) + Request({"GET", "none"}));
  const std::string all = harness.Ask(*connection, {"INFO"});
  for (const char* line :
       {"redis_version:7.", "loading:0", "cluster_enabled:0", "role:master", "blocked_clients:0",
        "total_commands_processed:3", "total_connections_received:1", "connected_clients:1",
        "keyspace_hits:1", "keyspace_misses:1", "db0:keys=1\r\n"}) {
    EXPECT_THAT(all, HasSubstr(absl::StrCat("\r\n", line))) << all;
  }
  const std::string one = harness.Ask(*connection, {"info", "CLUSTER"});
  EXPECT_EQ(one, "$30\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n");
  EXPECT_EQ(harness.Ask(*connection, {"INFO", "everything"}).substr(0, 1), "$");
  EXPECT_THAT(harness.Ask(*connection, {"INFO", "none"}), "$0\r\n\r\n");
  harness.Ask(*connection, {"HELLO", "3"});
  EXPECT_THAT(harness.Ask(*connection, {"INFO", "cluster"}), StartsWith("=34\r\ntxt:# Cluster"));
}

// What the model and the harness cannot tell has no line, rather than a zero.
TEST_P(AdminTest, InfoSaysNothingOfWhatIsNotKnown) {
  SessionHarness harness(NewModel(), Options());
  const auto connection = harness.Connect();
  const std::string all = harness.Ask(*connection, {"INFO", "everything"});
  for (const char* field :
       {"expired_keys", "evicted_keys", "used_memory_peak", "total_net_input_bytes",
        "rejected_connections", "tcp_port", "maxclients", "rdb_changes_since_last_save"}) {
    EXPECT_THAT(all, testing::Not(HasSubstr(absl::StrCat("\r\n", field, ":")))) << all;
  }
  EXPECT_THAT(all, ContainsRegex("\r\narch_bits:(32|64)\r\n"));
  EXPECT_THAT(all, ContainsRegex("\r\nused_cpu_user:[0-9]+\\.[0-9]{6}\r\n"));
  EXPECT_THAT(all, ContainsRegex("\r\nused_memory_rss_human:[0-9]+\\.[0-9]{2}[KMG]\r\n"));
  EXPECT_THAT(all, HasSubstr("\r\nmaxmemory_human:0B\r\n"));
  EXPECT_THAT(all, ContainsRegex("\r\nmem_clients_normal:[1-9][0-9]{3,}\r\n"));
}

TEST_P(AdminTest, CommandsAreCounted) {
  SessionHarness harness(NewModel(), Options());
  const auto connection = harness.Connect();
  const auto stats = [&] { return harness.Ask(*connection, {"INFO", "COMMANDSTATS"}); };
  EXPECT_THAT(stats(), HasSubstr("# Commandstats\r\n\r\n"));
  const std::string get = Request({"GET", "k"});
  harness.Ask(*connection, {"SET", "k", "v"});
  // Those in front of INFO in one read too.
  EXPECT_THAT(
      harness.Send(*connection, get + get + get + Request({"GET"}) + get + Request({"INCR", "k"}) +
                                    Request({"INFO", "commandstats"})),
      ContainsRegex("cmdstat_get:calls=4,usec=[0-9]+,usec_per_call=[0-9]+\\.[0-9]{2},"
                    "rejected_calls=1,failed_calls=0\r\n"));
  harness.Send(*connection, Request({"MULTI"}) + get + Request({"INCR", "k"}) + Request({"EXEC"}));
  harness.Send(*connection, Request({"EXEC"}) + Request({"CLIENT", "none"}) +
                                Request({"CLIENT", "ID"}) + Request({"SET", "k", "v", "bad"}));
  const std::string all = stats();
  for (const char* line :
       {"set:calls=2,.*rejected_calls=0,failed_calls=1", "get:calls=5,.*rejected_calls=1,failed",
        "incr:calls=2,.*failed_calls=2", "multi:calls=1,", "exec:calls=2,.*failed_calls=1",
        "client\\|id:calls=1,", "info:calls=2,"}) {
    EXPECT_THAT(all, ContainsRegex(absl::StrCat("\r\ncmdstat_", line)));
  }
  EXPECT_THAT(all, testing::Not(HasSubstr("cmdstat_client:")));
  EXPECT_EQ(
      harness.Ask(*connection, {"LATENCY", "HISTOGRAM", "client", "none", "del"}).substr(0, 30),
      "*2\r\n$9\r\nclient|id\r\n*4\r\n$5\r\ncal");
  EXPECT_THAT(harness.Ask(*connection, {"LATENCY", "HISTOGRAM", "GET"}),
              ContainsRegex("\\*2\r\n\\$3\r\nget\r\n\\*4\r\n\\$5\r\ncalls\r\n:5\r\n"
                            "\\$14\r\nhistogram_usec\r\n\\*[1-9][0-9]*\r\n(:[0-9]+\r\n)+:5\r\n"));
  harness.Ask(*connection, {"CONFIG", "RESETSTAT"});
  EXPECT_THAT(stats(), ContainsRegex("# Commandstats\r\n"
                                     "cmdstat_config\\|resetstat:calls=1,[^\r]*\r\n\r\n$"));
}

// Writes "a" behind the first read, once.
class RewritingStore final : public ForwardingStore {
 public:
  RewritingStore() : ForwardingStore(NewModelStore()) { Put(); }

  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    ForwardingStore::MultiGet(keys, options, results);
    if (!std::exchange(rewritten_, true)) Put();
  }
  void Read(absl::string_view key, const ReadOptions& options, ReadResults* results) override {
    MultiGet(absl::MakeConstSpan(&key, 1), options, results);
  }

 private:
  void Put() {
    WriteBatch batch;
    batch.Put("a", "text");
    EXPECT_TRUE(Write(batch, WriteOptions(), nullptr).ok());
  }

  bool rewritten_ = false;
};

TEST(CommandCountsTest, WhatATransactionTriesAgainIsCountedOnce) {
  SessionHarness harness(std::make_unique<RewritingStore>());
  const auto connection = harness.Connect();
  EXPECT_THAT(harness.Send(*connection, "MULTI\r\nINCR a\r\nSET b 1\r\nEXEC\r\n"),
              HasSubstr("*2\r\n-ERR value is not an integer or out of range\r\n+OK\r\n"));
  const std::string all = harness.Ask(*connection, {"INFO", "everything"});
  EXPECT_THAT(all, ContainsRegex("cmdstat_incr:calls=1,[^\r]*,failed_calls=1\r\n"));
  EXPECT_THAT(all, ContainsRegex("cmdstat_set:calls=1,[^\r]*,failed_calls=0\r\n"));
  EXPECT_THAT(all, ContainsRegex("cmdstat_exec:calls=1,[^\r]*,failed_calls=0\r\n"));
  EXPECT_THAT(all, HasSubstr("errorstat_ERR:count=1\r\n"));
}

TEST_P(AdminTest, CommandsThatShareACallAreCountedEach) {
  SessionHarness harness(NewModel(), Options());
  const auto connection = harness.Connect();
  const std::string mixed = Request({"GET", "k"}) + Request({"GETBIT", "k", "bad"}) +
                            Request({"STRLEN", "k"}) + Request({"STRLEN", "k"}) +
                            Request({"GET", "k"});
  harness.Send(*connection, mixed + Request({"SET", "k", "v"}) + Request({"DEL", "k"}) +
                                Request({"SET", "k", "v"}));
  const std::string all = harness.Ask(*connection, {"INFO", "commandstats"});
  for (const char* line : {"get:calls=2,.*failed_calls=0", "getbit:calls=1,.*failed_calls=1",
                           "strlen:calls=2,.*failed_calls=0", "set:calls=2,", "del:calls=1,"}) {
    EXPECT_THAT(all, ContainsRegex(absl::StrCat("\r\ncmdstat_", line)));
  }
}

TEST_P(AdminTest, ErrorsAreCountedByTheirFirstWord) {
  RespOptions options = Options();
  options.password = "secret";
  SessionHarness harness(NewModel(), options);
  const auto connection = harness.Connect();
  harness.Ask(*connection, {"GET", "k"});
  harness.Ask(*connection, {"AUTH", "wrong"});
  harness.Ask(*connection, {"AUTH", "secret"});
  harness.Send(*connection,
               Request({"nonsense"}) + Request({"GET"}) + "CLIENT REPLY SKIP\r\nGET\r\n");
  harness.Ask(*connection, {"EVAL", "return redis.error_reply('MINE is an error')", "0"});
  EXPECT_THAT(harness.Ask(*connection, {"INFO", "errorstats"}),
              HasSubstr("# Errorstats\r\nerrorstat_ERR:count=3\r\nerrorstat_MINE:count=1\r\n"
                        "errorstat_NOAUTH:count=1\r\nerrorstat_WRONGPASS:count=1\r\n\r\n"));
  EXPECT_THAT(harness.Ask(*connection, {"INFO", "stats"}), HasSubstr("total_error_replies:6\r\n"));
  harness.Ask(*connection, {"CONFIG", "RESETSTAT"});
  EXPECT_THAT(harness.Ask(*connection, {"INFO"}), HasSubstr("# Errorstats\r\n\r\n"));
}

TEST_P(AdminTest, InfoHasWhatTheMetricsCount) {
  Metrics metrics;
  RespOptions options = Options();
  options.metrics = metrics.protocol("resp");
  options.metrics->Listening("tcp://127.0.0.1:7379", 77);
  SessionHarness harness(NewModel(), options);
  const auto connection = harness.Connect();
  harness.Ask(*connection, {"SET", "k", std::string(100000, 'v')});
  const std::string all = harness.Ask(*connection, {"INFO"});
  EXPECT_THAT(all, HasSubstr("\r\ntcp_port:7379\r\n"));
  EXPECT_THAT(all, HasSubstr("\r\nmaxclients:77\r\n"));
  EXPECT_THAT(all, ContainsRegex("\r\ntotal_net_input_bytes:1000[0-9]{2}\r\n"));
  EXPECT_THAT(all, ContainsRegex("\r\ntotal_net_output_bytes:[0-9]+\r\n"));
  EXPECT_THAT(all, ContainsRegex("\r\ninstantaneous_input_kbps:[1-9][0-9]*\\.[0-9]{2}\r\n"));
  EXPECT_THAT(all, ContainsRegex("\r\ninstantaneous_ops_per_sec:[0-9]+\r\n"));
  harness.Ask(*connection, {"CONFIG", "RESETSTAT"});
  EXPECT_THAT(harness.Ask(*connection, {"INFO"}),
              ContainsRegex("\r\ntotal_net_input_bytes:[0-9]{1,3}\r\n"));
}

TEST_P(AdminTest, MetricsHaveCommandsAndErrors) {
  Metrics metrics;
  RespOptions options = Options();
  options.metrics = metrics.protocol("resp");
  {
    SessionHarness harness(NewModel(), options);
    const auto connection = harness.Connect();
    harness.Ask(*connection, {"SET", "k", "v"});
    harness.Ask(*connection, {"INCR", "k"});
    harness.Ask(*connection, {"INCR"});
    harness.Ask(*connection, {"EVAL", "return redis.error_reply('MY\"\\\\ error')", "0"});
    std::string text;
    options.metrics->AppendMore(&text);
    for (const char* line : {"# TYPE kvarts_resp_commands_total counter",
                             "kvarts_resp_commands_total{command=\"set\"} 1",
                             "kvarts_resp_commands_rejected_total{command=\"incr\"} 1",
                             "kvarts_resp_commands_failed_total{command=\"incr\"} 1",
                             "kvarts_resp_errors_total{code=\"ERR\"} 2",
                             "kvarts_resp_errors_total{code=\"MY\\\"\\\\\"} 1"}) {
      EXPECT_THAT(text, HasSubstr(absl::StrCat(line, "\n")));
    }
    EXPECT_THAT(text, ContainsRegex(
                          "kvarts_resp_command_seconds_total\\{command=\"set\"\\} 0\\.[0-9]{9}\n"));
  }
  // The service is gone; its metrics are not.
  std::string text;
  options.metrics->AppendMore(&text);
  EXPECT_EQ(text, "");
}

TEST_P(AdminTest, ClientsAreListed) {
  SessionHarness harness(NewModel(), Options());
  const auto first = harness.Connect();
  const auto second = harness.Connect();
  harness.Ask(*first, {"CLIENT", "SETNAME", "first"});
  harness.Ask(*first, {"CLIENT", "SETINFO", "LIB-NAME", "lib"});
  harness.Ask(*first, {"CLIENT", "SETINFO", "LIB-VER", "1.2"});
  harness.Ask(*first, {"GET", "k"});
  clock_.Advance(absl::Seconds(5));
  const std::string list = harness.Ask(*second, {"CLIENT", "LIST"});
  // Of the second its own request is in the buffer.
  EXPECT_THAT(
      list, ContainsRegex("id=1 addr=scripted: laddr=scripted:here fd=7 name=first age=5 idle=5 "
                          "flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=0 qbuf-free=[1-9][0-9]* "
                          "argv-mem=[0-9]+ multi-mem=0 obl=0 oll=0 omem=0 tot-mem=[1-9][0-9]* "
                          "events=r cmd=get user=default redir=-1 resp=2 lib-name=lib "
                          "lib-ver=1.2\n"));
  EXPECT_THAT(list, ContainsRegex("id=2 addr=scripted: laddr=scripted:here fd=7 name= age=5 idle=5 "
                                  "flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=26 .* "
                                  "cmd=client\\|list"));
  EXPECT_THAT(harness.Ask(*second, {"CLIENT", "INFO"}), HasSubstr("id=2 "));
  EXPECT_EQ(harness.Ask(*second, {"CLIENT", "ID"}), ":2\r\n");
  harness.End(*first);
  EXPECT_THAT(harness.Ask(*second, {"CLIENT", "LIST"}), testing::Not(HasSubstr("id=1 ")));
}

TEST_P(AdminTest, WhatAClientHoldsIsListed) {
  SessionHarness harness(NewModel(), Options());
  const auto first = harness.Connect();
  const auto second = harness.Connect();
  const auto line = [&] { return harness.Ask(*second, {"CLIENT", "LIST", "ID", "1"}); };
  const auto field = [&](absl::string_view name) {
    const std::string text = line();
    const size_t at = text.find(absl::StrCat(" ", name, "=")) + name.size() + 2;
    int64_t number = -1;
    EXPECT_TRUE(absl::SimpleAtoi(text.substr(at, text.find(' ', at) - at), &number)) << text;
    return number;
  };
  harness.Ask(*first, {"SET", "k", std::string(10000, 'v')});
  harness.Send(*first, Request({"MULTI"}) + Request({"GET", "k"}) + Request({"GET", "l"}));
  EXPECT_THAT(line(), HasSubstr(" flags=x db=0 sub=0 psub=0 ssub=0 multi=2 "));
  EXPECT_GT(field("multi-mem"), 8);
  harness.Ask(*first, {"DISCARD"});
  EXPECT_THAT(line(), HasSubstr(" multi=-1 "));
  EXPECT_EQ(field("multi-mem"), 0);
  // Half a request waits in its buffer, which has room for more.
  harness.Send(*first, "*2\r\n$3\r\nGET\r\n$1\r\n");
  EXPECT_EQ(field("qbuf"), 17);
  EXPECT_GT(field("qbuf-free"), 0);
  // Replies wait that it does not read: of a large value the model lends nothing, others may.
  first->wire->takes_writes = false;
  harness.Send(*first, "k\r\n");
  EXPECT_EQ(field("obl") + field("omem"), 10010);
  EXPECT_EQ(field("oll"), field("omem") > 0 ? 1 : 0);
  EXPECT_THAT(line(), HasSubstr(" events=rw "));
  EXPECT_GT(field("tot-mem"), 4096);
  first->wire->takes_writes = true;
  harness.Move(*first);
  EXPECT_THAT(line(), HasSubstr(" obl=0 oll=0 omem=0 "));
  EXPECT_THAT(line(), HasSubstr(" events=r "));
}

TEST_P(AdminTest, ClientsAreKilledByWhereTheyArrived) {
  SessionHarness harness(NewModel(), Options());
  const auto first = harness.Connect();
  const auto second = harness.Connect();
  EXPECT_EQ(harness.Ask(*first, {"CLIENT", "KILL", "LADDR", "scripted:there"}), ":0\r\n");
  EXPECT_FALSE(second->over());
  EXPECT_EQ(harness.Ask(*first, {"CLIENT", "KILL", "LADDR", "scripted:here"}), ":1\r\n");
  EXPECT_TRUE(second->over());
  EXPECT_EQ(harness.Ask(*first, {"CLIENT", "KILL", "USER", "DEFAULT"}),
            "-ERR No such user 'DEFAULT'\r\n");
  EXPECT_EQ(harness.Ask(*first, {"CLIENT", "KILL", "USER", "default", "SKIPME", "no"}), ":1\r\n");
  harness.End(*first);
  EXPECT_TRUE(first->over());
}

TEST_P(AdminTest, ClientsAreKilled) {
  SessionHarness harness(NewModel(), Options());
  const auto first = harness.Connect();
  const auto second = harness.Connect();
  const auto third = harness.Connect();
  EXPECT_EQ(harness.Ask(*first, {"CLIENT", "KILL", "ID", "2"}), ":1\r\n");
  EXPECT_TRUE(second->over());
  EXPECT_FALSE(third->over());
  EXPECT_THAT(harness.Ask(*first, {"CLIENT", "LIST", "ID", "3", "2", "77"}), HasSubstr("\nid=3 "));
  EXPECT_THAT(harness.Ask(*first, {"CLIENT", "LIST", "ID", "3"}), testing::Not(HasSubstr("id=1 ")));
  EXPECT_EQ(harness.Ask(*first, {"CLIENT", "LIST", "TYPE", "pubsub"}), "$0\r\n\r\n");
  // Itself too: behind the reply.
  EXPECT_EQ(harness.Ask(*first, {"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no"}), ":2\r\n");
  EXPECT_TRUE(third->over());
  harness.End(*first);
  EXPECT_TRUE(first->over());
  const auto fourth = harness.Connect();
  EXPECT_EQ(harness.Ask(*fourth, {"CLIENT", "KILL", "scripted:"}), "+OK\r\n");
  EXPECT_EQ(harness.Ask(*fourth, {"PING"}), "");
}

TEST_P(AdminTest, RepliesAreLeftOutOnRequest) {
  SessionHarness harness(NewModel(), Options());
  const auto connection = harness.Connect();
  EXPECT_EQ(harness.Send(*connection,
                         "SET k v\r\nCLIENT REPLY SKIP\r\nGET k\r\nSTRLEN k\r\n"
                         "CLIENT REPLY SKIP\r\nCLIENT REPLY SKIP\r\nSET k w\r\nGET k\r\n"
                         "CLIENT REPLY OFF\r\nGET k\r\nnonsense\r\nSET k x\r\nGET\r\n"
                         "CLIENT REPLY SKIP\r\nPING\r\nPING\r\n"),
            "+OK\r\n:1\r\n$1\r\nw\r\n");
  EXPECT_EQ(harness.Send(*connection, "GET k\r\nCLIENT REPLY ON\r\nGET k\r\n"),
            "+OK\r\n$1\r\nx\r\n");
  EXPECT_EQ(harness.Send(*connection, "CLIENT REPLY SKIP\r\nCLIENT REPLY ON\r\n"), "+OK\r\n");
  EXPECT_EQ(harness.Send(*connection, "MULTI\r\nCLIENT REPLY OFF\r\nEXEC\r\n"),
            "+OK\r\n-ERR Command not allowed inside a transaction\r\n"
            "-EXECABORT Transaction discarded because of previous errors.\r\n");
  // RESET ends OFF; its own reply is still left out by SKIP.
  EXPECT_EQ(harness.Send(*connection, "CLIENT REPLY OFF\r\nPING\r\nRESET\r\nPING\r\n"),
            "+RESET\r\n+PONG\r\n");
  EXPECT_EQ(harness.Send(*connection, "CLIENT REPLY SKIP\r\nRESET\r\nPING\r\n"), "+PONG\r\n");
  // What cannot be understood ends the connection, but not with a word.
  EXPECT_EQ(harness.Send(*connection, "PING\r\nCLIENT REPLY OFF\r\n*x\r\n"), "+PONG\r\n");
  harness.End(*connection);
  EXPECT_TRUE(connection->over());
}

TEST_P(AdminTest, SlowCommandsAreNoted) {
  SessionHarness harness(NewModel(), Options());
  const auto connection = harness.Connect();
  harness.Ask(*connection, {"CLIENT", "SETNAME", "me"});
  harness.Ask(*connection, {"SET", "before", "v"});
  EXPECT_EQ(harness.Ask(*connection, {"SLOWLOG", "LEN"}), ":0\r\n");
  harness.Ask(*connection, {"CONFIG", "SET", "slowlog-log-slower-than", "0"});
  harness.Ask(*connection, {"SLOWLOG", "RESET"});
  const std::string many(200, 'x');
  harness.Ask(*connection, {"SET", "k", many});
  harness.Send(*connection,
               Request({"GeT", "k"}) + Request({"STRLEN", "l"}) + Request({"mget", "a", "b"}));
  harness.Ask(*connection, {"getrange", "k", "0", "1"});
  harness.Send(*connection, Request({"set", "a", "1"}) + Request({"Set", "b", "2"}));
  std::vector<absl::string_view> keys(40, "k");
  keys[0] = "DEL";
  harness.Ask(*connection, keys);
  harness.Ask(*connection, {"AUTH", "default", "secret"});
  harness.Ask(*connection, {"CONFIG", "SET", "slowlog-log-slower-than", "-1"});
  const std::string entry = ":[0-9]+\r\n:1700000000\r\n:[0-9]+\r\n";
  const std::string from = "\\$9\r\nscripted:\r\n\\$2\r\nme\r\n";
  std::string deleted = "\\*32\r\n\\$3\r\nDEL\r\n";
  for (int i = 0; i < 30; ++i) deleted += "\\$1\r\nk\r\n";
  deleted += "\\$22\r\n... \\(9 more arguments\\)\r\n";
  const std::string cut = absl::StrCat("\\*3\r\n\\$3\r\nSET\r\n\\$1\r\nk\r\n\\$147\r\n",
                                       std::string(128, 'x'), "... \\(72 more bytes\\)\r\n");
  const auto shown = [](const std::vector<absl::string_view>& args) {
    return absl::StrReplaceAll(Request(args),
                               {{"*", "\\*"}, {"$", "\\$"}, {"(", "\\("}, {")", "\\)"}});
  };
  // As they were sent, the newest first; what shared a call is told by the first of it.
  std::string expected = "\\*7\r\n";
  for (const std::string& args :
       {shown({"AUTH", "(redacted)", "(redacted)"}), deleted,
        shown({"set", "a", "1", "... (1 more commands)"}), shown({"getrange", "k", "0", "1"}),
        shown({"GeT", "k", "... (2 more commands)"}), cut, shown({"SLOWLOG", "RESET"})}) {
    absl::StrAppend(&expected, "\\*6\r\n", entry, args, from);
  }
  EXPECT_THAT(harness.Ask(*connection, {"SLOWLOG", "GET", "-1"}), MatchesRegex(expected));
  EXPECT_THAT(harness.Ask(*connection, {"SLOWLOG", "GET", "1"}), StartsWith("*1\r\n"));
  harness.Ask(*connection, {"CONFIG", "SET", "slowlog-max-len", "2"});
  EXPECT_EQ(harness.Ask(*connection, {"SLOWLOG", "LEN"}), ":2\r\n");
  harness.Ask(*connection, {"SLOWLOG", "RESET"});
  EXPECT_EQ(harness.Ask(*connection, {"SLOWLOG", "LEN"}), ":0\r\n");
}

TEST_P(AdminTest, NoPasswordIsNoted) {
  RespOptions options = Options();
  options.password = "secret";
  SessionHarness harness(NewModel(), options);
  const auto first = harness.Connect();
  harness.Ask(*first, {"AUTH", "secret"});
  harness.Ask(*first, {"CONFIG", "SET", "slowlog-log-slower-than", "0"});
  const auto second = harness.Connect();
  harness.Ask(*second, {"AUTH", "secret", "secret"});
  harness.Ask(*second, {"hello", "3", "SETNAME", "me", "auth", "default", "secret"});
  harness.Ask(*second, {"HELLO", "3", "AUTH", "secret"});
  const std::string log = harness.Ask(*first, {"SLOWLOG", "GET"});
  EXPECT_THAT(log, HasSubstr("$5\r\nhello\r\n$1\r\n3\r\n$7\r\nSETNAME\r\n$2\r\nme\r\n$4\r\nauth"
                             "\r\n$10\r\n(redacted)\r\n$10\r\n(redacted)\r\n"));
  EXPECT_THAT(log, testing::Not(HasSubstr("secret")));
}

TEST(LatencyLogTest, SpikesAreKeptBySecond) {
  LatencyLog log;
  EXPECT_FALSE(log.IsSpike(1000000));
  log.set_threshold(10);
  EXPECT_FALSE(log.IsSpike(9999));
  EXPECT_TRUE(log.IsSpike(10000));
  for (int i = 0; i < 400; ++i) log.Add(true, 1000 + i / 2, i == 7 ? 5000 : 10 + i % 2);
  log.Add(false, 1000, 10);
  const std::vector<LatencyEvent> events = log.Events();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_STREQ(events[0].name, "command");
  EXPECT_STREQ(events[1].name, "fast-command");
  EXPECT_EQ(events[1].samples.size(), 160u);
  EXPECT_EQ(events[1].samples.back().unix_seconds, 1199);
  EXPECT_EQ(events[1].samples.back().millis, 11);
  EXPECT_EQ(events[1].most_millis, 5000);
  EXPECT_TRUE(log.Clear("FAST-command"));
  EXPECT_FALSE(log.Clear("fast-command"));
  EXPECT_EQ(log.Events().size(), 1u);
}

TEST_P(AdminTest, CountsAreReset) {
  SessionHarness harness(NewModel(), Options());
  const auto connection = harness.Connect();
  harness.Ask(*connection, {"GET", "k"});
  harness.Ask(*connection, {"CONFIG", "RESETSTAT"});
  harness.Ask(*connection, {"GET", "k"});
  EXPECT_THAT(harness.Ask(*connection, {"INFO"}), HasSubstr("keyspace_misses:1\r\n"));
  EXPECT_EQ(harness.service().stats().misses, 2u);
}

}  // namespace
}  // namespace resp
}  // namespace kvarts
