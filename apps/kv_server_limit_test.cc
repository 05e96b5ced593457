// Runs the real kv_server over a memory store at its limit.

#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

constexpr char kOom[] = "-OOM command not allowed when used memory > 'maxmemory'.";
constexpr int kWrites = 3000;

std::vector<std::string> Command(std::vector<std::string> args) {
  args.insert(args.begin(),
              {"apps/kv_server", "--listen=", "--resp=127.0.0.1:0", "--http=127.0.0.1:0"});
  return args;
}

// What a server says to so many writes of a kilobyte each, under keys of their own, and
// then to a read of the last.
std::vector<std::string> Write(const TestServer& server, const std::string& dir) {
  std::string requests;
  for (int i = 0; i < kWrites; ++i) {
    absl::StrAppend(&requests, "SET key:", i, " ", std::string(1000, 'v'), "\r\n");
  }
  TestSocket socket(server.resp, dir);
  EXPECT_TRUE(socket.connected());
  socket.Send(absl::StrCat(requests, "STRLEN key:", kWrites - 1, "\r\nQUIT\r\n"));
  std::vector<std::string> lines = absl::StrSplit(socket.ReceiveAll(), "\r\n");
  EXPECT_EQ(lines.size(), kWrites + 3u);
  lines.resize(kWrites + 1);
  return lines;
}

int Count(const std::vector<std::string>& lines, const std::string& line) {
  int count = 0;
  for (const std::string& each : lines) count += each == line ? 1 : 0;
  return count;
}

TEST(KvServerLimitTest, WritesBeyondItAreRefusedAsRedisRefusesThem) {
  const std::string dir = TestDirectory();
  TestServer server(Command({"--store=memory:", "--max_memory=1MiB"}), dir, {});
  const auto lines = Write(server, dir);
  const int refused = Count(lines, kOom);
  EXPECT_GT(refused, kWrites / 2);
  EXPECT_EQ(Count(lines, "+OK"), kWrites - refused);
  EXPECT_EQ(lines.back(), ":0");
}

// As a whole: of a transaction that needs more nothing is done.
TEST(KvServerLimitTest, TransactionsThatOnlyReadOrDeleteAreCarriedOut) {
  const std::string dir = TestDirectory();
  TestServer server(Command({"--store=memory:", "--max_memory=1MiB"}), dir, {});
  Write(server, dir);
  const auto ask = [&](const std::string& requests) {
    TestSocket socket(server.resp, dir);
    socket.Send(absl::StrCat(requests, "QUIT\r\n"));
    return socket.ReceiveAll();
  };
  EXPECT_EQ(ask("MULTI\r\nSTRLEN key:0\r\nPING\r\nEXEC\r\n"),
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1000\r\n+PONG\r\n+OK\r\n");
  const std::string large(60000, 'v');
  EXPECT_EQ(ask(absl::StrCat("MULTI\r\nSET large ", large, "\r\nAPPEND large ", large,
                             "\r\nDEL key:0\r\nEXEC\r\nEXISTS key:0 large\r\n")),
            absl::StrCat("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n-EXECABORT Transaction discarded "
                         "because of: ",
                         kOom + 1, "\r\n:1\r\n+OK\r\n"));
  EXPECT_EQ(ask("MULTI\r\nSET k v\r\nDISCARD\r\nMULTI\r\nDEL key:0\r\nEXEC\r\n"),
            "+OK\r\n+QUEUED\r\n+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n:1\r\n+OK\r\n");
}

TEST(KvServerLimitTest, OthersAreEvictedOnRequest) {
  const std::string dir = TestDirectory();
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"--store=memory:", "--max_memory=1MiB", "--evict=s3fifo"},
           {"--store=memory:?max_memory=1MiB", "--evict=s3fifo"},
           {"--store=memory:?max_memory=1MiB&evict=s3fifo"}}) {
    TestServer server(Command(args), dir, {});
    const auto lines = Write(server, dir);
    EXPECT_EQ(Count(lines, "+OK"), kWrites);
    EXPECT_EQ(lines.back(), ":1000");
    TestSocket socket(server.resp, dir);
    socket.Send("INFO\r\nQUIT\r\n");
    const std::string info = socket.ReceiveAll();
    EXPECT_THAT(info, HasSubstr("\r\nmaxmemory:1048576\r\nmaxmemory_human:1.00M\r\nmaxmemory_"
                                "policy:allkeys-s3fifo\r\n"));
    EXPECT_THAT(info, ContainsRegex("\r\nevicted_keys:[12][0-9]{3}\r\n"));
  }
}

std::string Ask(TestSocket* socket, absl::string_view request, absl::string_view end) {
  socket->Send(absl::StrCat(request, "\r\n"));
  std::string reply;
  while (!absl::EndsWith(reply, end)) {
    const std::string more = socket->ReceiveSome();
    if (more.empty()) break;
    reply += more;
  }
  return reply;
}

TEST(KvServerLimitTest, SettingsAreThoseThatHold) {
  const std::string dir = TestDirectory();
  TestServer server(
      Command({"--store=memory:", "--max_memory=1MiB", "--evict=s3fifo", "--max_clients=7"}), dir,
      {});
  TestSocket socket(server.resp, dir);
  EXPECT_EQ(Ask(&socket, "CONFIG GET maxmemory*", "allkeys-s3fifo\r\n"),
            "*4\r\n$9\r\nmaxmemory\r\n$7\r\n1048576\r\n$16\r\nmaxmemory-policy\r\n"
            "$14\r\nallkeys-s3fifo\r\n");
  EXPECT_EQ(Ask(&socket, "CONFIG GET maxclients", "7\r\n"),
            "*2\r\n$10\r\nmaxclients\r\n$1\r\n7\r\n");
  // What it cannot change it refuses to; what is so already is no change.
  EXPECT_THAT(Ask(&socket, "CONFIG SET maxmemory 0", "\r\n"),
              testing::StartsWith("-ERR CONFIG SET failed"));
  EXPECT_EQ(Ask(&socket, "CONFIG SET maxmemory 1048576", "\r\n"), "+OK\r\n");
  TestServer unlimited(Command({"--store=memory:"}), dir, {});
  TestSocket other(unlimited.resp, dir);
  EXPECT_EQ(Ask(&other, "CONFIG SET maxmemory 0", "\r\n"), "+OK\r\n");
  EXPECT_THAT(Ask(&other, "CONFIG SET maxmemory 1048576", "\r\n"),
              testing::StartsWith("-ERR CONFIG SET failed"));
}

TEST(KvServerLimitTest, InfoCountsExpiriesAndRefusals) {
  const std::string dir = TestDirectory();
  TestServer server(Command({"--store=memory:", "--max_clients=1"}), dir, {});
  TestSocket socket(server.resp, dir);
  EXPECT_EQ(Ask(&socket, "SET a 1 EX 1000", "\r\n"), "+OK\r\n");
  EXPECT_EQ(Ask(&socket, "SET b 1", "\r\n"), "+OK\r\n");
  EXPECT_EQ(Ask(&socket, "SET c 1 PX 86400000", "\r\n"), "+OK\r\n");
  EXPECT_THAT(Ask(&socket, "INFO keyspace", "\r\n\r\n"), HasSubstr("db0:keys=3,expires=2\r\n"));
  EXPECT_EQ(Ask(&socket, "PERSIST a", "\r\n"), ":1\r\n");
  EXPECT_EQ(Ask(&socket, "SET c 2 PX 1", "\r\n"), "+OK\r\n");
  while (Ask(&socket, "EXISTS c", "\r\n") != ":0\r\n") {
  }
  EXPECT_THAT(Ask(&socket, "INFO keyspace", "avg_ttl=0\r\n\r\n"),
              HasSubstr("db0:keys=2,expires=0,"));
  {
    TestSocket refused(server.resp, dir);
    EXPECT_EQ(refused.ReceiveAll(), "-ERR max number of clients reached\r\n");
  }
  socket.Send("INFO stats\r\nCONFIG RESETSTAT\r\nINFO stats\r\nQUIT\r\n");
  const std::vector<std::string> stats = absl::StrSplit(socket.ReceiveAll(), "\r\n+OK\r\n");
  ASSERT_EQ(stats.size(), 3u);
  EXPECT_THAT(stats[0], HasSubstr("\r\nrejected_connections:1\r\n"));
  EXPECT_THAT(stats[0], HasSubstr("\r\nexpired_keys:1\r\nevicted_keys:0\r\n"));
  EXPECT_THAT(stats[1], HasSubstr("\r\nrejected_connections:0\r\n"));
  EXPECT_THAT(stats[1], HasSubstr("\r\nexpired_keys:0\r\n"));
}

TEST(KvServerLimitTest, LimitsOfOtherStoresAreUsageErrors) {
  const std::string dir = TestDirectory();
  const auto run = [&](std::vector<std::string> args) {
    ProcessOptions options;
    options.directory = dir;
    options.merge_errors = true;
    return RunProcess(Command(std::move(args)), options);
  };
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"--max_memory=1MiB", "data"},
           {"--evict=s3fifo", "data"},
           {"--max_memory=1MiB", "--store=null:"},
           {"--max_memory=much", "--store=memory:"},
           {"--max_memory=1MiB", "--evict=lru", "--store=memory:"},
           {"--max_memory=1MiB", "--store=memory:?max_memory=2MiB"},
           {"--evict=s3fifo", "--store=memory:"}}) {
    EXPECT_EQ(run(args).exit_code, 2) << args[0];
  }
  EXPECT_THAT(run({"--max_memory=1MiB", "data"}).out, HasSubstr("--store=memory:"));
}

TEST(KvServerLimitTest, AMemoryStoreMayBeFlushedOthersOnlyWhereTheFlagSaysSo) {
  const std::string dir = TestDirectory();
  for (const auto& [store, flag, allowed] : {std::make_tuple("memory:", "--noallow_flush", true),
                                             std::make_tuple("null:", "--noallow_flush", false),
                                             std::make_tuple("null:", "--allow_flush", true)}) {
    TestServer server(Command({absl::StrCat("--store=", store), flag}), dir, {});
    TestSocket socket(server.resp, dir);
    socket.Send("SET a 1\r\nFLUSHALL\r\nEXISTS a\r\nQUIT\r\n");
    EXPECT_EQ(socket.ReceiveAll(),
              absl::StrCat("+OK\r\n",
                           allowed ? "+OK"
                                   : "-ERR deleting all keys at once is not allowed on "
                                     "this server",
                           "\r\n:0\r\n+OK\r\n"))
        << store << " " << flag;
  }
}

}  // namespace
}  // namespace kvarts
