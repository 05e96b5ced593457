// Replaces the data file under the real kv_server, while clients read.

#include <signal.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr int kKeys = 2000;

// Values of one size, so that replies are too.
std::string Generation(int n) {
  std::string out;
  for (int i = 0; i < kKeys; ++i) absl::StrAppend(&out, TestKey(i), " gen ", n, "\n");
  return out;
}
std::string Reply(int n) { return absl::StrCat("$5\r\ngen ", n, "\r\n"); }

class KvServerReloadTest : public testing::Test {
 protected:
  KvServerReloadTest() { Write(1); }

  std::string Path(absl::string_view name) const { return absl::StrCat(dir_, "/", name); }
  void Write(int generation) { WriteTestFile(Path("data"), Generation(generation)); }
  // As `mv` does.
  void Replace(absl::string_view text) {
    WriteTestFile(Path("data.new"), text);
    ASSERT_EQ(std::rename(Path("data.new").c_str(), Path("data").c_str()), 0);
  }
  std::unique_ptr<TestServer> Start(const std::string& store, const std::string& watch) {
    return std::make_unique<TestServer>(
        std::vector<std::string>{"apps/kv_server", "--listen=tcp://127.0.0.1:0",
                                 "--resp=127.0.0.1:0", "--http=127.0.0.1:0",
                                 absl::StrCat("--store=", store), absl::StrCat("--watch=", watch)},
        dir_);
  }
  // Which generation a key is of, over a connection of its own.
  int Now(const TestServer& server) {
    const std::string response = HttpGet(server.http, absl::StrCat("/v1/kv/", TestKey(7)), dir_);
    EXPECT_TRUE(absl::StartsWith(response, "HTTP/1.1 200 ")) << response;
    return response.empty() ? -1 : response.back() - '0';
  }
  void WaitFor(const TestServer& server, int generation) {
    while (Now(server) != generation) std::this_thread::yield();
  }

  const std::string dir_ = TestDirectory();
};

// Reads one key after another over one connection until it has seen the last
// generation; each reply must be of a generation, and never of one before.
void ReadUntil(const std::string& address, const std::string& dir, int last, int first_key,
               std::atomic<uint64_t>* reads) {
  TestSocket socket(address, dir);
  ASSERT_TRUE(socket.connected());
  const size_t size = Reply(1).size();
  int generation = 1;
  for (int i = first_key; generation < last; i = (i + 1) % kKeys) {
    // A few at once, as pipelining clients ask.
    std::string requests;
    for (int j = 0; j < 4; ++j) absl::StrAppend(&requests, "GET ", TestKey(i), "\r\n");
    socket.Send(requests);
    for (int j = 0; j < 4; ++j) {
      const std::string reply = socket.Receive(size);
      int now = generation;
      while (now <= last && reply != Reply(now)) ++now;
      ASSERT_LE(now, last) << "a request failed, or went back: " << reply;
      generation = now;
      ++*reads;
    }
  }
}

TEST_F(KvServerReloadTest, NoRequestFailsWhileTheFileIsReplacedByRename) {
  for (const std::string store : {"bisect:data", "dict:data"}) {
    Write(1);
    const auto server = Start(store, "10ms");
    constexpr int kLast = 4;
    std::atomic<uint64_t> reads{0};
    std::vector<std::thread> readers;
    for (int t = 0; t < 3; ++t) {
      readers.emplace_back(ReadUntil, server->resp, dir_, kLast, t * 500, &reads);
    }
    for (int generation = 2; generation <= kLast; ++generation) {
      Replace(Generation(generation));
      WaitFor(*server, generation);
    }
    for (std::thread& reader : readers) reader.join();
    EXPECT_GT(reads, 20u);
    EXPECT_THAT(server->process.Errors(), HasSubstr("the new data are served: 2000 keys"));
    server->process.Signal(SIGTERM);
    EXPECT_EQ(server->process.Wait(), 0);
  }
}

TEST_F(KvServerReloadTest, SighupOpensTheFileAgain) {
  const auto server = Start("bisect:data", "0");
  EXPECT_EQ(Now(*server), 1);
  Replace(Generation(2));
  EXPECT_EQ(Now(*server), 1) << "nobody watches";
  server->process.Signal(SIGHUP);
  WaitFor(*server, 2);
  server->process.Signal(SIGHUP);
  Replace(Generation(3));
  server->process.Signal(SIGHUP);
  WaitFor(*server, 3);
  server->process.Signal(SIGTERM);
  EXPECT_EQ(server->process.Wait(), 0);
}

TEST_F(KvServerReloadTest, AFileThatCannotBeServedLeavesTheOld) {
  const auto server = Start("bisect:data", "10ms");
  Replace("malformed\n");
  while (!absl::StrContains(server->process.Errors(), "the old data are still served: ")) {
    EXPECT_EQ(Now(*server), 1);
  }
  EXPECT_THAT(server->process.Errors(), HasSubstr("line 1"));
  EXPECT_EQ(Now(*server), 1);
  Replace(Generation(2));
  WaitFor(*server, 2);
}

TEST_F(KvServerReloadTest, SighupOfAStoreWithoutAFileIsSaid) {
  const auto server = Start("null:", "1s");
  server->process.Signal(SIGHUP);
  while (!absl::StrContains(server->process.Errors(), "SIGHUP: there is no data file")) {
    EXPECT_THAT(HttpGet(server->http, "/readyz", dir_), StartsWith("HTTP/1.1 200 "));
  }
  server->process.Signal(SIGTERM);
  EXPECT_EQ(server->process.Wait(), 0);
}

// bisect's positions are keys, which hold in the new file too; dict's are places
// in a file, and those of another are refused, not guessed at.
TEST_F(KvServerReloadTest, AScanInPagesGoesOnInTheNewFileOrIsToldThatItCannot) {
  for (const bool bisect : {true, false}) {
    Write(1);
    const auto server = Start(bisect ? "bisect:data" : "dict:data", "0");
    const std::string first = HttpGet(server->http, "/v1/scan?limit=5", dir_);
    EXPECT_THAT(first, HasSubstr("gen 1"));
    const std::string before = "\"cursor\":\"";
    const size_t at = first.find(before);
    ASSERT_NE(at, std::string::npos) << first;
    const std::string cursor =
        first.substr(at + before.size(), first.find('"', at + before.size()) - at - before.size());
    Replace(Generation(2));
    server->process.Signal(SIGHUP);
    WaitFor(*server, 2);
    const std::string next =
        HttpGet(server->http, absl::StrCat("/v1/scan?limit=5&cursor=", cursor), dir_);
    if (bisect) {
      EXPECT_THAT(next, HasSubstr("gen 2"));
    } else {
      EXPECT_THAT(next, StartsWith("HTTP/1.1 400 "));
    }
  }
}

TEST_F(KvServerReloadTest, WatchMustBeATime) {
  ProcessOptions options;
  options.directory = dir_;
  const ProcessResult result =
      RunProcess({"apps/kv_server", "--watch=often", "--resp=", "data"}, options);
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("--watch=often: expected a time such as 1s"));
}

}  // namespace
}  // namespace kvarts
