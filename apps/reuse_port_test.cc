// Runs two of the real kv_server on one port and one index.

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// The system deals connections out by their addresses: that all of these go to
// one of two processes happens once in 2^63 times.
constexpr int kConnections = 64;

// How many sockets a process has open.
int Sockets(const Process& process) {
  const std::string path = absl::StrCat("/proc/", process.pid(), "/fd");
  DIR* const dir = ::opendir(path.c_str());
  if (dir == nullptr) return -1;
  int sockets = 0;
  while (const dirent* entry = ::readdir(dir)) {
    char target[64] = {};
    const std::string link = absl::StrCat(path, "/", entry->d_name);
    if (::readlink(link.c_str(), target, sizeof target - 1) <= 0) continue;
    if (absl::StartsWith(target, "socket:")) ++sockets;
  }
  ::closedir(dir);
  return sockets;
}

class ReusePortTest : public testing::Test {
 protected:
  ReusePortTest() {
    WriteTestFile(absl::StrCat(dir_, "/data"), TestData(100));
    one_ = Start("tcp://127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0");
    two_ = Start(one_->native, one_->resp, one_->http);
  }

  std::unique_ptr<TestServer> Start(absl::string_view native, absl::string_view resp,
                                    absl::string_view http) const {
    const std::vector<std::string> command = {"apps/kv_server",
                                              absl::StrCat("--listen=", native),
                                              absl::StrCat("--resp=", resp),
                                              absl::StrCat("--http=", http),
                                              "--reuse_port",
                                              "data"};
    return std::make_unique<TestServer>(command, dir_);
  }

  // Opens connections, waits until they are accepted, and expects that both
  // processes have some.
  std::vector<std::unique_ptr<TestSocket>> ConnectToBoth(absl::string_view address) {
    const int one_before = Sockets(one_->process);
    const int two_before = Sockets(two_->process);
    std::vector<std::unique_ptr<TestSocket>> sockets;
    for (int i = 0; i < kConnections; ++i) {
      sockets.push_back(std::make_unique<TestSocket>(address, dir_));
      EXPECT_TRUE(sockets.back()->connected());
    }
    int one = 0;
    int two = 0;
    while (one + two < kConnections) {
      ::sched_yield();
      one = Sockets(one_->process) - one_before;
      two = Sockets(two_->process) - two_before;
    }
    EXPECT_GT(one, 0);
    EXPECT_GT(two, 0);
    EXPECT_EQ(one + two, kConnections);
    return sockets;
  }

  const std::string dir_ = TestDirectory();
  std::unique_ptr<TestServer> one_;
  std::unique_ptr<TestServer> two_;
};

TEST_F(ReusePortTest, TwoProcessesServeOnePortAndOneIndex) {
  ASSERT_EQ(two_->ready, one_->ready);
  EXPECT_THAT(one_->process.Errors(), HasSubstr("built the index"));
  EXPECT_THAT(two_->process.Errors(), Not(HasSubstr("built the index")));
  for (const TestServer* server : {one_.get(), two_.get()}) {
    const std::string maps = ReadTestFile(absl::StrCat("/proc/", server->process.pid(), "/maps"));
    EXPECT_THAT(maps, HasSubstr("/data.bisect\n"));
  }
  const auto native = ConnectToBoth(one_->native);
  const auto resp = ConnectToBoth(one_->resp);
  for (const auto& socket : resp) {
    socket->Send(absl::StrCat("GET ", TestKey(7), "\r\n"));
    EXPECT_EQ(socket->Receive(13), "$7\r\nvalue 7\r\n");
  }
  const auto sockets = ConnectToBoth(one_->http);
  for (const auto& socket : sockets) {
    socket->Send(absl::StrCat("GET /v1/kv/", TestKey(7),
                              " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    const std::string response = socket->ReceiveAll();
    EXPECT_THAT(response, StartsWith("HTTP/1.1 200 "));
    EXPECT_THAT(response, EndsWith("\r\n\r\nvalue 7"));
  }
  ProcessOptions options;
  options.directory = dir_;
  const ProcessResult bench =
      RunProcess({"apps/kv_bench", absl::StrCat("--store=", one_->native), "--keys=data",
                  "--connections=16", "--warmup=0", "--requests=2000"},
                 options);
  EXPECT_EQ(bench.exit_code, 0) << bench.err;
  EXPECT_THAT(bench.out, HasSubstr("2000 hits, 0 misses"));
}

TEST_F(ReusePortTest, OneThatEndsLeavesThePortToTheOther) {
  one_->process.Signal(SIGTERM);
  EXPECT_EQ(one_->process.Wait(), 0);
  for (int i = 0; i < kConnections; ++i) {
    EXPECT_THAT(HttpGet(two_->http, "/readyz", dir_), StartsWith("HTTP/1.1 200 "));
  }
}

}  // namespace
}  // namespace kvarts
