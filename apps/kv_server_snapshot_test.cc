// The real kv_server over a memory store with a snapshot.

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
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
using testing::StartsWith;

class KvServerSnapshotTest : public testing::Test {
 protected:
  static std::vector<std::string> Command(absl::string_view store) {
    return {"apps/kv_server", absl::StrCat("--store=", store),
            "--listen=", "--http=", "--resp=127.0.0.1:0"};
  }
  std::unique_ptr<TestServer> Start(absl::string_view store) {
    return std::make_unique<TestServer>(Command(store), dir_);
  }
  // What RESP answers until the server closes; `requests` are inline ones.
  std::string Ask(const TestServer& server, absl::string_view requests) {
    TestSocket socket(server.resp, dir_);
    EXPECT_TRUE(socket.connected());
    socket.Send(absl::StrCat(requests, "QUIT\r\n"));
    return socket.ReceiveAll();
  }
  void Stop(TestServer* server) {
    server->process.Signal(SIGTERM);
    EXPECT_EQ(server->process.Wait(), 0);
  }

  const std::string dir_ = TestDirectory();
};

TEST_F(KvServerSnapshotTest, SigtermSavesAndTheNextStartLoads) {
  constexpr char kStore[] = "memory:?snapshot=a%20snapshot&save_on_exit=1";
  auto server = Start(kStore);
  EXPECT_EQ(Ask(*server, "SET key value\r\nSET late x PX 86400000\r\n"), "+OK\r\n+OK\r\n+OK\r\n");
  EXPECT_THAT(Ask(*server, "SET 01234567-89ab-4def-8123-456789abcdef uuid\r\n"),
              StartsWith("+OK\r\n"));
  Stop(server.get());
  EXPECT_THAT(ReadTestFile(absl::StrCat(dir_, "/a snapshot")), StartsWith("KVSNAPSH"));
  server = Start(kStore);
  EXPECT_EQ(Ask(*server, "GET key\r\nGET 01234567-89ab-4def-8123-456789abcdef\r\nDBSIZE\r\n"),
            "$5\r\nvalue\r\n$4\r\nuuid\r\n:3\r\n+OK\r\n");
  EXPECT_THAT(Ask(*server, "TTL late\r\n"), StartsWith(":86"));
}

TEST_F(KvServerSnapshotTest, SaveAndBgsaveSaveAndNothingElseDoes) {
  constexpr char kStore[] = "memory:?snapshot=file";
  auto server = Start(kStore);
  EXPECT_EQ(Ask(*server, "SET a 1\r\nSAVE\r\nSET b 2\r\n"), "+OK\r\n+OK\r\n+OK\r\n+OK\r\n");
  EXPECT_THAT(Ask(*server, "INFO persistence\r\n"), HasSubstr("rdb_last_bgsave_status:ok\r\n"));
  Stop(server.get());
  server = Start(kStore);
  EXPECT_EQ(Ask(*server, "GET a\r\nGET b\r\n"), "$1\r\n1\r\n$-1\r\n+OK\r\n");
  EXPECT_EQ(Ask(*server, "SET c 3\r\nBGSAVE\r\n"), "+OK\r\n+Background saving started\r\n+OK\r\n");
  while (!absl::StrContains(Ask(*server, "INFO persistence\r\n"), "rdb_bgsave_in_progress:0")) {
  }
  EXPECT_THAT(Ask(*server, "BGSAVE now\r\n"), StartsWith("-ERR syntax error\r\n"));
  Stop(server.get());
  server = Start(kStore);
  EXPECT_EQ(Ask(*server, "GET c\r\n"), "$1\r\n3\r\n+OK\r\n");
}

// A BGSAVE that is under way when the server is told to end comes to its end.
TEST_F(KvServerSnapshotTest, SigtermLetsABackgroundSaveEnd) {
  constexpr char kStore[] = "memory:?snapshot=file";
  auto server = Start(kStore);
  std::string requests;
  for (int i = 0; i < 5000; ++i) {
    absl::StrAppend(&requests, "SET key", i, " ", std::string(500, 'v'), "\r\n");
  }
  EXPECT_THAT(Ask(*server, requests + "BGSAVE SCHEDULE\r\n"),
              HasSubstr("+Background saving started\r\n"));
  Stop(server.get());
  server = Start(kStore);
  EXPECT_EQ(Ask(*server, "DBSIZE\r\n"), ":5000\r\n+OK\r\n");
}

TEST_F(KvServerSnapshotTest, ADamagedSnapshotIsRefusedWithItsOffset) {
  {
    auto server = Start("memory:?snapshot=file&save_on_exit=yes");
    Ask(*server, "SET a 1\r\n");
    Stop(server.get());
  }
  std::string bytes = ReadTestFile(absl::StrCat(dir_, "/file"));
  bytes[66] = static_cast<char>(bytes[66] ^ 4);
  WriteTestFile(absl::StrCat(dir_, "/file"), bytes);
  ProcessOptions options;
  options.directory = dir_;
  // Asked to save when it ends, too: what was damaged stays for who may repair it.
  const ProcessResult result =
      RunProcess(Command("memory:?snapshot=file&save_on_exit=yes"), options);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("file: the snapshot is damaged at offset 32: "));
  EXPECT_EQ(ReadTestFile(absl::StrCat(dir_, "/file")), bytes);
}

TEST_F(KvServerSnapshotTest, AFailedSaveInTheBackgroundIsTold) {
  auto server = Start("memory:?snapshot=none/file");
  EXPECT_THAT(Ask(*server, "SET a 1\r\nSAVE\r\nBGSAVE\r\n"), HasSubstr("\r\n-ERR "));
  while (!absl::StrContains(Ask(*server, "INFO persistence\r\n"), "rdb_last_bgsave_status:err")) {
  }
  Stop(server.get());
}

TEST_F(KvServerSnapshotTest, WhatSavingAtTheEndWillNeedIsTriedAtTheStart) {
  ProcessOptions options;
  options.directory = dir_;
  const ProcessResult result =
      RunProcess(Command("memory:?snapshot=none/file&save_on_exit=1"), options);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(
      result.err,
      MatchesRegex("kv_server: none/file: a snapshot could not be saved there: [^\n]+: No such "
                   "file or directory\n"));
}

// Until the disk is there again the data stay in memory.
TEST_F(KvServerSnapshotTest, ASaveThatFailsOnTheWayOutIsTriedAgain) {
  constexpr char kStore[] = "memory:?snapshot=place/file&save_on_exit=1";
  ASSERT_EQ(::mkdir((dir_ + "/place").c_str(), 0700), 0);
  auto server = Start(kStore);
  EXPECT_EQ(Ask(*server, "SET a 1\r\n"), "+OK\r\n+OK\r\n");
  ASSERT_EQ(::rename((dir_ + "/place").c_str(), (dir_ + "/away").c_str()), 0);
  server->process.Signal(SIGTERM);
  while (!absl::StrContains(server->process.Errors(), "the data could not be saved: place/file")) {
  }
  ASSERT_EQ(::rename((dir_ + "/away").c_str(), (dir_ + "/place").c_str()), 0);
  EXPECT_EQ(server->process.Wait(), 0);
  server = Start(kStore);
  EXPECT_EQ(Ask(*server, "GET a\r\n"), "$1\r\n1\r\n+OK\r\n");
}

TEST_F(KvServerSnapshotTest, ASecondSigtermGivesTheDataUp) {
  ASSERT_EQ(::mkdir((dir_ + "/place").c_str(), 0700), 0);
  auto server = Start("memory:?snapshot=place/file&save_on_exit=1");
  ASSERT_EQ(::unlink((dir_ + "/place/file.lock").c_str()), 0);
  ASSERT_EQ(::rmdir((dir_ + "/place").c_str()), 0);
  server->process.Signal(SIGTERM);
  while (!absl::StrContains(server->process.Errors(), "the data could not be saved: place/file")) {
  }
  server->process.Signal(SIGTERM);
  EXPECT_EQ(server->process.Wait(), 128 + SIGTERM);
}

TEST_F(KvServerSnapshotTest, WithoutAFileThereIsNothingToSaveTo) {
  auto server = Start("memory:");
  EXPECT_THAT(Ask(*server, "SAVE\r\n"), StartsWith("-ERR This store has no file to save to"));
  EXPECT_THAT(Ask(*server, "BGSAVE\r\n"), StartsWith("-ERR This store has no file to save to"));
  int64_t at = 0;
  EXPECT_TRUE(absl::SimpleAtoi(Ask(*server, "LASTSAVE\r\n").substr(1, 10), &at));
  EXPECT_GT(at, 1600000000);
}

}  // namespace
}  // namespace kvarts
