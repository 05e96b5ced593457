// All protocols at once, over a store that is swapped under them, with clients
// that break off anywhere. Meant for ThreadSanitizer as well.

#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "apps/common/serving.h"
#include "apps/testing/programs.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/remote/remote_store.h"
#include "net/tcp/tcp.h"
#include "storage/bisect/bisect.h"
#include "storage/bisect/builder.h"
#include "storage/layers/swap.h"

namespace kvarts {
namespace {

constexpr int kKeys = 300;
constexpr int kSwaps = 60;

// A value tells its key and the generation of the data it is of, over and over, so
// that halves of two do not pass for one.
std::string Value(int key, int generation) {
  std::string value;
  for (int i = 0; i < 1 + key % 40; ++i) absl::StrAppend(&value, key, "-", generation, ";");
  return value;
}

void ExpectValue(int key, absl::string_view value) {
  const size_t dash = value.find('-');
  const size_t end = value.find(';');
  int generation = -1;
  ASSERT_TRUE(dash != value.npos && end != value.npos &&
              absl::SimpleAtoi(value.substr(dash + 1, end - dash - 1), &generation))
      << value;
  EXPECT_EQ(value, Value(key, generation));
}

class ServingStressTest : public testing::Test {
 protected:
  std::unique_ptr<Store> Generation(int generation) {
    // Another name each time: the file of before is mapped still.
    const std::string path = absl::StrCat(dir_, "/data", generation);
    std::string text;
    for (int key = 0; key < kKeys; ++key) {
      absl::StrAppend(&text, TestKey(key), " ", Value(key, generation), "\n");
    }
    WriteTestFile(path, text);
    EXPECT_TRUE(BuildBisect(path, BuildOptions()).ok());
    auto store = OpenBisect(path, BisectOptions());
    EXPECT_TRUE(store.ok()) << store.status();
    unlink(path.c_str());
    unlink(DefaultIndexPath(path).c_str());
    return *std::move(store);
  }

  // Pipelined gets, the last one broken off now and then, in the middle of a
  // request or of an answer.
  void Resp(int seed) {
    std::mt19937 random(seed);
    while (!stop_) {
      TestSocket socket(resp_, dir_);
      const int count = 1 + static_cast<int>(random() % 20);
      std::vector<int> keys;
      std::string requests;
      for (int i = 0; i < count; ++i) {
        keys.push_back(static_cast<int>(random() % kKeys));
        absl::StrAppend(&requests, "*2\r\n$3\r\nGET\r\n$36\r\n", TestKey(keys.back()), "\r\n");
      }
      if (random() % 4 == 0) {
        socket.Send(requests.substr(0, random() % requests.size()));
        if (random() % 2 == 0) socket.Reset();
        continue;
      }
      socket.Send(requests);
      if (random() % 4 == 0) {
        socket.Receive(random() % 8);  // less than the shortest answer
        if (random() % 2 == 0) socket.Reset();
        continue;
      }
      for (const int key : keys) {
        std::string head;
        while (!absl::EndsWith(head, "\r\n")) {
          const std::string byte = socket.Receive(1);
          ASSERT_EQ(byte.size(), 1u);
          head += byte;
        }
        size_t size = 0;
        ASSERT_TRUE(head[0] == '$' && absl::SimpleAtoi(head.substr(1, head.size() - 3), &size))
            << head;
        ExpectValue(key, absl::string_view(socket.Receive(size + 2)).substr(0, size));
        ++answers_;
      }
    }
  }

  void Http(int seed) {
    std::mt19937 random(seed);
    while (!stop_) {
      const int key = static_cast<int>(random() % kKeys);
      const std::string target = absl::StrCat("/v1/kv/", TestKey(key));
      if (random() % 4 == 0) {
        TestSocket socket(http_, dir_);
        const std::string request = absl::StrCat("GET ", target, " HTTP/1.1\r\nHost: x\r\n\r\n");
        socket.Send(request.substr(0, random() % request.size()));
        if (random() % 2 == 0) socket.Reset();
        continue;
      }
      const std::string page = random() % 8 == 0 ? HttpGet(http_, "/metrics", dir_) : "";
      if (!page.empty()) {
        EXPECT_TRUE(absl::StartsWith(page, "HTTP/1.1 200 ")) << page.substr(0, 100);
      }
      const std::string response = HttpGet(http_, target, dir_);
      ASSERT_TRUE(absl::StartsWith(response, "HTTP/1.1 200 ")) << response;
      ExpectValue(key, response.substr(response.find("\r\n\r\n") + 4));
      ++answers_;
    }
  }

  void Native(int seed) {
    std::mt19937 random(seed);
    const auto tcp = NewTcpTransport();
    while (!stop_) {
      auto store = OpenRemoteStore(tcp.get(), native_);
      ASSERT_TRUE(store.ok()) << store.status();
      for (int round = 0; round < 10; ++round) {
        std::vector<int> keys;
        std::vector<std::string> texts;
        for (int i = 0; i < 20; ++i) {
          keys.push_back(static_cast<int>(random() % kKeys));
          texts.push_back(TestKey(keys.back()));
        }
        const std::vector<absl::string_view> views(texts.begin(), texts.end());
        ReadResults results;
        (*store)->MultiGet(views, ReadOptions(), &results);
        for (size_t i = 0; i < keys.size(); ++i) {
          ASSERT_TRUE(results[i].status.ok()) << results[i].status;
          ASSERT_TRUE(results[i].found);
          ExpectValue(keys[i], results[i].value);
          ++answers_;
        }
      }
      // Each of its pages of one generation or another, all keys once.
      auto cursor = (*store)->NewCursor(ScanOptions());
      ASSERT_TRUE(cursor.ok()) << cursor.status();
      ScanPage page;
      size_t records = 0;
      PageLimits limits;
      limits.entries = 50;
      do {
        ASSERT_TRUE((*cursor)->Next(limits, &page).ok());
        records += page.size();
      } while (!page.empty());
      EXPECT_EQ(records, static_cast<size_t>(kKeys));
    }
  }

  const std::string dir_ = TestDirectory();
  std::string native_, resp_, http_;
  std::atomic<bool> stop_{false};
  std::atomic<int64_t> answers_{0};
};

TEST_F(ServingStressTest, NoRequestFailsWhileTheStoreIsSwappedAndClientsBreakOff) {
  ServingOptions options;
  options.listen = "tcp://127.0.0.1:0";
  options.resp = options.http = "127.0.0.1:0";
  options.tls = "http";
  options.threads = 2;
  auto serving = Serving::New(options);
  ASSERT_TRUE(serving.ok()) << serving.status();
  ASSERT_TRUE((*serving)->Listen().ok());
  std::unique_ptr<SwapStore> made = SwapStore::New(Generation(0));
  SwapStore* const swapped = made.get();
  ASSERT_TRUE((*serving)->Serve(std::move(made)).ok());
  for (absl::string_view word : absl::StrSplit((*serving)->ReadyLine(), ' ')) {
    if (absl::ConsumePrefix(&word, "native=")) native_ = std::string(word);
    if (absl::ConsumePrefix(&word, "resp=")) resp_ = std::string(word);
    if (absl::ConsumePrefix(&word, "http=")) http_ = std::string(word);
  }
  std::vector<std::thread> clients;
  for (int i = 0; i < 2; ++i) {
    clients.emplace_back([this, i] { Resp(i); });
    clients.emplace_back([this, i] { Http(10 + i); });
  }
  clients.emplace_back([this] { Native(20); });
  for (int generation = 1; generation <= kSwaps; ++generation) {
    const int64_t before = answers_;
    const auto old = swapped->Swap(Generation(generation));
    ASSERT_TRUE(old.ok()) << old.status();
    // Some answers of each generation.
    while (answers_ < before + 5 && !HasFailure()) std::this_thread::yield();
  }
  stop_ = true;
  for (std::thread& client : clients) client.join();
  EXPECT_GE(answers_, 5 * kSwaps);
  (*serving)->Drain(absl::Seconds(100));
}

}  // namespace
}  // namespace kvarts
