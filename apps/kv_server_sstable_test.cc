// The real kv_server over an SSTable store: killed under load, opened twice, opened anew.

#include <signal.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

class KvServerSstableTest : public testing::Test {
 protected:
  static std::vector<std::string> Command(absl::string_view store,
                                          const std::vector<std::string>& flags = {}) {
    std::vector<std::string> command = {"apps/kv_server", absl::StrCat("--store=", store),
                                        "--listen=", "--http=", "--resp=127.0.0.1:0"};
    command.insert(command.end(), flags.begin(), flags.end());
    return command;
  }
  std::unique_ptr<TestServer> Start(absl::string_view store,
                                    const std::vector<std::string>& flags = {}) {
    return std::make_unique<TestServer>(Command(store, flags), dir_);
  }
  std::string Ask(const TestServer& server, absl::string_view requests) {
    TestSocket socket(server.resp, dir_);
    EXPECT_TRUE(socket.connected());
    socket.Send(absl::StrCat(requests, "QUIT\r\n"));
    return socket.ReceiveAll();
  }

  ProcessOptions InDirectory() const {
    ProcessOptions options;
    options.directory = dir_;
    return options;
  }

  const std::string dir_ = TestDirectory();
};

// One client, which sends some SETs of a key of its own at a time, each with the next number, and
// counts those that were answered.
struct Client {
  int number = 0;
  int sent = 0;      // the last number
  int answered = 0;  // the last number whose reply came

  std::string key() const { return absl::StrCat("client", number); }

  // Until the server is gone.
  void Run(const std::string& address, const std::string& dir, std::atomic<int>* all) {
    TestSocket socket(address, dir);
    const std::string pad(200, 'x');
    while (socket.connected()) {
      const int at_once = 1 + sent % 8;
      const int first = sent + 1;
      std::string requests;
      for (int i = 0; i < at_once; ++i) {
        ++sent;
        absl::StrAppend(&requests, "SET ", key(), " ", sent, "\r\n");
        // Others fill memtables and tables meanwhile.
        absl::StrAppend(&requests, "SET ", key(), ".", sent % 5000, " ", sent, pad, "\r\n");
      }
      if (!socket.Send(requests)) return;
      for (int i = 0; i < at_once; ++i) {
        if (socket.Receive(10) != "+OK\r\n+OK\r\n") return;
        answered = first + i;
        all->fetch_add(1);
      }
    }
  }
};

TEST_F(KvServerSstableTest, KillsUnderLoadLoseNothingThatWasAnswered) {
  const char* const wanted = std::getenv("KVARTS_KILLS");
  int kills = 20;
  if (wanted != nullptr) {
    ASSERT_TRUE(absl::SimpleAtoi(wanted, &kills));
  }
  constexpr int kClients = 4;
  std::vector<Client> clients(kClients);
  uint64_t total = 0;
  for (int round = 0; round < kills; ++round) {
    auto server = Start("sstable:data?memory=4MiB");
    ASSERT_NE(server->resp, "") << server->process.Errors();
    for (const Client& client : clients) {
      const std::string reply = Ask(*server, absl::StrCat("GET ", client.key(), "\r\n"));
      int found = 0;
      if (reply[0] == '$' && reply[1] != '-') {
        ASSERT_TRUE(absl::SimpleAtoi(
            reply.substr(reply.find('\n') + 1,
                         reply.find('\r', reply.find('\n')) - reply.find('\n') - 1),
            &found))
            << reply;
      }
      EXPECT_GE(found, client.answered) << "after kill " << round;
      EXPECT_LE(found, client.sent);
    }
    std::atomic<int> answers{0};
    std::atomic<int> at_work{kClients};
    std::vector<std::thread> threads;
    for (int i = 0; i < kClients; ++i) {
      Client& client = clients[static_cast<size_t>(i)];
      client.number = i;
      threads.emplace_back([&client, &server, &answers, &at_work, this] {
        client.Run(server->resp, dir_, &answers);
        at_work.fetch_sub(1);
      });
    }
    // The load itself says when: nothing here waits for a time.
    const int until = 50 + 137 * round % 1500;
    while (answers.load() < until && at_work.load() > 0) std::this_thread::yield();
    EXPECT_GE(answers.load(), until) << server->process.Errors();
    server->process.Signal(SIGKILL);
    for (std::thread& thread : threads) thread.join();
    server->process.Wait();
    total += static_cast<uint64_t>(answers.load());
  }
  EXPECT_GT(total, 1000u);
}

// The value of a line of /metrics; -1 where there is none.
double Metric(const std::string& page, const std::string& name) {
  const size_t at = page.find(absl::StrCat("\n", name, " "));
  double value = -1;
  if (at == std::string::npos) return value;
  const size_t begin = at + name.size() + 2;
  return absl::SimpleAtod(page.substr(begin, page.find('\n', begin) - begin), &value) ? value : -1;
}

TEST_F(KvServerSstableTest, WhatWasAnsweredWithoutASyncSurvivesAKill) {
  auto server = Start("sstable:data", {"--sync=false", "--http=127.0.0.1:0"});
  std::string requests;
  std::string replies;
  for (int i = 0; i < 1000; ++i) {
    absl::StrAppend(&requests, "SET key", i, " value", i, "\r\n");
    replies += "+OK\r\n";
  }
  EXPECT_EQ(Ask(*server, requests), replies + "+OK\r\n");
  const std::string page = HttpGet(server->http, "/metrics", dir_);
  EXPECT_EQ(Metric(page, "kvarts_store_detail{name=\"writes\"}"), 1000);
  EXPECT_EQ(Metric(page, "kvarts_store_detail{name=\"log_syncs\"}"), 0);
  server->process.Signal(SIGKILL);
  server->process.Wait();
  server = Start("sstable:data");
  EXPECT_EQ(Ask(*server, "GET key999\r\nDBSIZE\r\n"), "$8\r\nvalue999\r\n:1000\r\n+OK\r\n");
}

TEST_F(KvServerSstableTest, ManyClientsShareASyncHoweverFewTheThreads) {
  const auto server = Start("sstable:data", {"--threads=2", "--http=127.0.0.1:0"});
  std::vector<std::unique_ptr<TestSocket>> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(std::make_unique<TestSocket>(server->resp, dir_));
    ASSERT_TRUE(clients.back()->connected());
  }
  constexpr int kRounds = 40;
  // The writes, and the writes a sync, of rounds in which each client sends a command.
  const auto share = [&](const std::function<std::string(size_t)>& command, char reply) {
    const auto metric = [&](const std::string& name) {
      return Metric(HttpGet(server->http, "/metrics", dir_),
                    absl::StrCat("kvarts_store_detail{name=\"", name, "\"}"));
    };
    const double writes = metric("writes");
    const double syncs = metric("log_syncs");
    for (int round = 0; round < kRounds; ++round) {
      for (size_t i = 0; i < clients.size(); ++i) clients[i]->Send(command(i));
      for (const auto& client : clients) {
        std::string line;
        do {
          const std::string byte = client->Receive(1);
          if (byte.empty()) break;
          line += byte;
        } while (line.back() != '\n' && line.size() < 100);
        EXPECT_EQ(line.substr(0, 1), std::string(1, reply)) << line;
      }
    }
    EXPECT_EQ(metric("writes") - writes, 50 * kRounds);
    return (metric("writes") - writes) / (metric("log_syncs") - syncs);
  };
  // How many depends on the disk and on how fast this thread sends; two threads that wait for it
  // give two at the most.
  EXPECT_GE(share([](size_t i) { return absl::StrCat("SET key", i, " v\r\n"); }, '+'), 5);
  // What is read and written in one step waits on threads, which are more than two then.
  EXPECT_GE(share([](size_t) { return "INCR counter\r\n"; }, ':'), 5);
  EXPECT_EQ(Ask(*server, "GET counter\r\n"), "$4\r\n2000\r\n+OK\r\n");
}

TEST_F(KvServerSstableTest, ASecondServerIsToldWhoHasTheStore) {
  const auto server = Start("sstable:data");
  const ProcessResult second = RunProcess(Command("sstable:data"), InDirectory());
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_THAT(second.err, HasSubstr(absl::StrCat("data: the store is open already, in process ",
                                                 server->process.pid())));
}

TEST_F(KvServerSstableTest, AMistypedDirectoryIsNoNewStoreWhereThatIsNotWanted) {
  ProcessResult result = RunProcess(Command("sstable:dta?create=never"), InDirectory());
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("dta: there is no store"));
  {
    auto server = Start("sstable:data?create=new");
    EXPECT_EQ(Ask(*server, "SET a 1\r\n"), "+OK\r\n+OK\r\n");
    server->process.Signal(SIGTERM);
    EXPECT_EQ(server->process.Wait(), 0);
  }
  result = RunProcess(Command("sstable:data?create=new"), InDirectory());
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("data: there is a store already"));
  WriteTestFile(absl::StrCat(dir_, "/photos.zip"), "");
  result = RunProcess(Command("sstable:."), InDirectory());
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("not a store, and not empty"));
}

TEST_F(KvServerSstableTest, BadOptionsAreUsageErrors) {
  for (const absl::string_view options :
       {"log=maybe", "memory=1KiB", "memory=8MiB&cache=8MiB", "compression=gzip", "mode=fast"}) {
    const ProcessResult result =
        RunProcess(Command(absl::StrCat("sstable:data?", options)), InDirectory());
    EXPECT_EQ(result.exit_code, 2) << options;
    EXPECT_THAT(result.err, HasSubstr("--store: "));
  }
}

TEST_F(KvServerSstableTest, ACheckpointOfAServedStoreOpensAsOne) {
  {
    const auto server = Start("sstable:data", {"--http=127.0.0.1:0"});
    EXPECT_EQ(Ask(*server, "SET a 1\r\n"), "+OK\r\n+OK\r\n");
    TestSocket http(server->http, dir_);
    http.Send(
        "POST /v1/admin/checkpoint?name=first HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        "Content-Type: application/json\r\nContent-Length: 0\r\n\r\n");
    EXPECT_THAT(http.ReceiveAll(), HasSubstr("{\"path\":\"data.checkpoints/first\"}"));
    EXPECT_EQ(Ask(*server, "SET a 2\r\nSET b 2\r\n"), "+OK\r\n+OK\r\n+OK\r\n");
  }
  const auto server = Start("sstable:data.checkpoints/first?create=never");
  EXPECT_EQ(Ask(*server, "GET a\r\nGET b\r\n"), "$1\r\n1\r\n$-1\r\n+OK\r\n");
}

TEST_F(KvServerSstableTest, TheShellLoadsAndSavesTheIndexOfAServedStore) {
  const auto server = Start("sstable:data", {"--listen=tcp://127.0.0.1:0"});
  ProcessOptions options = InDirectory();
  options.input =
      "store a 1\nstore b 2\nflush\nload_index\nsave_index_snapshot idx\n"
      "load_index_snapshot idx\nsave_index_snapshot ../data/CURRENT\nload_index_snapshot other\n"
      "checkpoint first\nsave_index_snapshot first\nget a\n";
  const ProcessResult result =
      RunProcess({"apps/kv_repl", absl::StrCat("--store=", server->native)}, options);
  EXPECT_THAT(result.out, MatchesRegex("OK\nOK\nOK\n1 tables, 2 keys, .* bytes, .* ms\n"
                                       "1 tables, 2 keys, .* bytes, .* ms\n"
                                       "1 tables, 2 keys, .* bytes, .* ms, 1 tables from the file\n"
                                       "data.checkpoints/first\n1\n"));
  EXPECT_THAT(result.err,
              HasSubstr("line 7: save_index_snapshot: the name of what the server keeps"));
  EXPECT_THAT(result.err, HasSubstr("line 8: load_index_snapshot: data.checkpoints/other: "));
  EXPECT_THAT(result.err,
              HasSubstr("line 10: save_index_snapshot: data.checkpoints/first: is there"));
  EXPECT_EQ(result.exit_code, 1);
}

TEST_F(KvServerSstableTest, AStoreThatIsReadOnlySaysSo) {
  {
    auto server = Start("sstable:data");
    EXPECT_EQ(Ask(*server, "SET a 1\r\n"), "+OK\r\n+OK\r\n");
    server->process.Signal(SIGTERM);
    EXPECT_EQ(server->process.Wait(), 0);
  }
  const auto server = Start("sstable:data?read_only=1");
  EXPECT_THAT(Ask(*server, "GET a\r\nSET a 2\r\n"), HasSubstr("$1\r\n1\r\n-READONLY"));
}

}  // namespace
}  // namespace kvarts
