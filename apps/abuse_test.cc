// The real kv_server under clients that are slow, greedy, broken or many, while
// one that behaves goes on: its answers are right, and the server's memory stays
// inside its caps. Prints the p99 of that one beside the one of calm times.

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "apps/testing/process.h"
#include "apps/testing/programs.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Sockets = std::vector<std::unique_ptr<TestSocket>>;

// What goes on until its end.
struct Attack {
  ~Attack() {
    stop = true;
    if (thread.joinable()) thread.join();
  }
  Sockets sockets;
  std::atomic<bool> stop{false};
  std::thread thread;
};

constexpr int kLookups = kSanitized ? 200 : 2000;
constexpr int kResets = kSanitized ? 500 : 5000;
constexpr int kMegabytes = kSanitized ? 10 : 100;

constexpr int kKeys = 1000;
constexpr size_t kBigBytes = 1 << 20;

class AbuseTest : public testing::Test {
 protected:
  AbuseTest() {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    WriteTestFile(dir_ + "/data",
                  absl::StrCat(TestData(kKeys), "big ", std::string(kBigBytes, 'b'), "\n"));
    server_ = std::make_unique<TestServer>(
        std::vector<std::string>{"apps/kv_server", "--listen=tcp://127.0.0.1:0",
                                 "--resp=127.0.0.1:0", "--http=127.0.0.1:0", "data"},
        dir_);
    EXPECT_THAT(server_->ready, StartsWith("ready "));
  }
  // It ends as it should, whatever was done to it.
  ~AbuseTest() override {
    server_->process.Signal(SIGTERM);
    EXPECT_EQ(server_->process.Wait(), 0) << server_->process.Errors();
  }

  std::unique_ptr<TestSocket> Connect(const std::string& address) const {
    return std::make_unique<TestSocket>(address, dir_);
  }

  // Kilobytes of the server's own memory.
  int64_t OwnMemory() const {
    for (const absl::string_view line : absl::StrSplit(
             ReadTestFile(absl::StrCat("/proc/", server_->process.pid(), "/status")), '\n')) {
      if (!absl::StartsWith(line, "RssAnon:")) continue;
      const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
      int64_t kilobytes = 0;
      EXPECT_TRUE(words.size() > 1 && absl::SimpleAtoi(words[1], &kilobytes)) << line;
      return kilobytes;
    }
    ADD_FAILURE() << "no RssAnon";
    return 0;
  }

  // Microseconds of each of `n` lookups, over RESP.
  std::vector<double> Lookups(int n) const {
    const auto socket = Connect(server_->resp);
    std::vector<double> us;
    for (int i = 0; i < n; ++i) {
      const int key = i * 7 % kKeys;
      const std::string value = absl::StrCat("value ", key);
      const std::string want = absl::StrCat("$", value.size(), "\r\n", value, "\r\n");
      const auto start = std::chrono::steady_clock::now();
      socket->Send(absl::StrCat("*2\r\n$3\r\nGET\r\n$36\r\n", TestKey(key), "\r\n"));
      EXPECT_EQ(socket->Receive(want.size()), want);
      us.push_back(
          std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
              .count());
      if (HasFailure()) break;
    }
    std::sort(us.begin(), us.end());
    return us;
  }

  // Looks keys up, over all protocols, while `abuse` holds; then lets go of it.
  void Check(const std::string& name, int64_t cap_kilobytes,
             const std::function<void(Attack*)>& abuse) {
    const std::vector<double> calm = Lookups(kLookups);
    const int64_t before = OwnMemory();
    auto attack = std::make_unique<Attack>();
    abuse(attack.get());
    const std::vector<double> under = Lookups(kLookups);
    EXPECT_THAT(HttpGet(server_->http, absl::StrCat("/v1/kv/", TestKey(3)), dir_),
                HasSubstr("\r\n\r\nvalue 3"));
    const int64_t grown = OwnMemory() - before;
    std::printf("%s: p99 %.0f us, %.0f us in calm; %lld KiB more memory\n", name.c_str(),
                under[under.size() * 99 / 100], calm[calm.size() * 99 / 100],
                static_cast<long long>(grown));  // NOLINT(google-runtime-int): printf's
    if (!kSanitized) {
      EXPECT_LE(grown, cap_kilobytes) << name;
    }
    attack.reset();
    Lookups(10);
  }

  const std::string dir_ = TestDirectory();
  std::unique_ptr<TestServer> server_;
};

TEST_F(AbuseTest, AThousandSlowConnectionsHoldNobodyUp) {
  Check("1,000 slow connections", 64 << 10, [&](Attack* attack) {
    const std::string request = absl::StrCat("GET /v1/kv/", TestKey(1), " HTTP/1.1\r\nX-Slow: ");
    for (int i = 0; i < 1000; ++i) {
      auto slow = Connect(i % 3 == 0   ? server_->http
                          : i % 3 == 1 ? server_->resp
                                       : server_->native);
      slow->Send(i % 3 == 0 ? request : i % 3 == 1 ? "*2\r\n$3\r\nGE" : "K");
      attack->sockets.push_back(std::move(slow));
    }
    // HTTP's headers grow by a byte at a time, round and round.
    attack->thread = std::thread([attack] {
      for (size_t i = 0; !attack->stop; i = (i + 3) % 999) {
        attack->sockets[i]->Send("x");
        usleep(100);  // its pace
      }
    });
  });
}

TEST_F(AbuseTest, RequestsOfOneByteAtATimeAndHalfClosedOnesAreAnswered) {
  const std::string get = absl::StrCat("*2\r\n$3\r\nGET\r\n$36\r\n", TestKey(5), "\r\n");
  Check("half-closed connections", 32 << 10, [&](Attack* attack) {
    for (int i = 0; i < 200; ++i) {
      auto resp = Connect(server_->resp);
      for (const char byte : get) resp->Send(absl::string_view(&byte, 1));
      resp->CloseWrite();
      EXPECT_EQ(resp->ReceiveAll(), "$7\r\nvalue 5\r\n");
      auto http = Connect(server_->http);
      http->Send(absl::StrCat("GET /v1/kv/", TestKey(5), " HTTP/1.1\r\nHost: x\r\n\r\n"));
      http->CloseWrite();
      EXPECT_THAT(http->ReceiveAll(), testing::EndsWith("\r\n\r\nvalue 5"));
      // And some that say nothing more and stay.
      attack->sockets.push_back(Connect(server_->resp));
      attack->sockets.back()->CloseWrite();
    }
  });
}

TEST_F(AbuseTest, OversizeAndEndlessRequestsAreCutOff) {
  const std::string megabyte(1 << 20, 'a');
  const struct {
    const char* what;
    std::string address;
    std::string head;
  } cases[] = {
      {"an inline command without end", server_->resp, "GET "},
      {"a bulk of 512 MiB", server_->resp, "*2\r\n$3\r\nGET\r\n$536870912\r\n"},
      {"a bulk of 2^63 bytes", server_->resp, "*2\r\n$3\r\nGET\r\n$9223372036854775807\r\n"},
      {"2^31 arguments", server_->resp, "*2147483647\r\n$1\r\n"},
      {"a length without end", server_->resp, "*1\r\n$"},
      {"HTTP's POST to RESP", server_->resp, "POST / HTTP/1.1\r\nHost: x\r\n\r\n"},
      {"a target without end", server_->http, "GET /"},
      {"a header without end", server_->http, "GET / HTTP/1.1\r\nHost: x\r\nX: "},
      {"a body of a petabyte", server_->http,
       "POST /v1/batch/get HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000000\r\n\r\n"},
      {"chunks without end", server_->http,
       "POST /v1/batch/get HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n"},
      {"a native frame of garbage", server_->native, ""},
      {"a native frame of 4 GiB", server_->native, std::string(64, '\xff')},
  };
  for (const auto& c : cases) {
    Check(c.what, 200 << 10, [&](Attack* attack) {
      for (int i = 0; i < 4; ++i) {
        attack->sockets.push_back(Connect(c.address));
        attack->sockets.back()->Send(c.head);
        // Far more than any limit; the server hangs up meanwhile.
        for (int j = 0; j < kMegabytes && attack->sockets.back()->Send(megabyte); ++j) {
        }
      }
    });
  }
}

TEST_F(AbuseTest, ClientsThatNeverReadHoldTheirOwnAnswersOnly) {
  Check("clients that never read", 64 << 10, [&](Attack* attack) {
    std::string resp;
    std::string http;
    for (int i = 0; i < 500; ++i) {
      absl::StrAppend(&resp, "*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n");
      absl::StrAppend(&http, "GET /v1/kv/big HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    for (int i = 0; i < 20; ++i) {
      attack->sockets.push_back(Connect(server_->resp));
      attack->sockets.back()->Send(resp);
      attack->sockets.push_back(Connect(server_->http));
      attack->sockets.back()->Send(http);
    }
  });
}

TEST_F(AbuseTest, ConnectionsThatComeAndGoLeaveNothingBehind) {
  Check("connections reset", 32 << 10, [&](Attack*) {
    for (int i = 0; i < kResets; ++i) {
      const auto socket = Connect(i % 3 == 0   ? server_->http
                                  : i % 3 == 1 ? server_->resp
                                               : server_->native);
      socket->Send("GET ");
      if (i % 2 == 0) socket->Reset();
    }
  });
}

TEST_F(AbuseTest, WithoutDescriptorsTheConnectionsThereGoOn) {
  if (std::getenv("UBSAN_OPTIONS") != nullptr) {
    GTEST_SKIP() << "UBSan looks at objects through a pipe, for which there is no descriptor";
  }
  const auto settled = Connect(server_->resp);
  settled->Send("PING\r\n");
  ASSERT_EQ(settled->Receive(7), "+PONG\r\n");
  const rlimit few{48, 48};
  ASSERT_EQ(prlimit(server_->process.pid(), RLIMIT_NOFILE, &few, nullptr), 0);
  {
    Sockets many;
    for (int i = 0; i < 200; ++i) {
      many.push_back(Connect(i % 2 == 0 ? server_->resp : server_->http));
      many.back()->Send("x");
    }
    for (int i = 0; i < 1000; ++i) {
      settled->Send("PING\r\n");
      ASSERT_EQ(settled->Receive(7), "+PONG\r\n");
    }
  }
  // There are some again.
  Lookups(100);
}

}  // namespace
}  // namespace kvarts
