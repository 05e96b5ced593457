#include "net/resp/client/resp_store.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "net/loopback/loopback.h"
#include "net/remote/cutting_transport.h"
#include "net/resp/client/served_resp.h"
#include "net/resp/client/store_cursor.h"
#include "net/resp/parser.h"
#include "testing/conformance/transport_harness.h"
#include "testing/model/model_store.h"

namespace kvarts {
namespace {

using absl::StatusCode;

// A model store behind RESP, and a connection to it that can be cut.
struct World {
  World() : transport(NewLoopbackTransport()), cutting(transport.get(), &scissors) { Serve({}); }

  void Serve(const RespOptions& options, bool ready = true) {
    served.reset();
    served = *ServedResp::Start(NewModelStore(), transport.get(), "loopback:r", options);
    if (ready) served->SetReady();
  }
  absl::StatusOr<std::unique_ptr<Store>> TryOpen(const RespStoreOptions& options = {}) {
    return OpenRespStore(&cutting, "loopback:r", options);
  }
  std::unique_ptr<Store> Open(absl::Duration timeout = kTestPatience) {
    RespStoreOptions options;
    options.timeout = timeout;
    auto store = TryOpen(options);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  Scissors scissors;
  std::unique_ptr<Transport> transport;
  CuttingTransport cutting;
  std::unique_ptr<ServedResp> served;
};

// Answers each command of a connection by the next of some replies, whatever it
// asks; then with nothing.
class CannedServer {
 public:
  CannedServer(Transport* transport, std::vector<std::string> replies)
      : loops_(EventLoops::New(1).value()), replies_(std::move(replies)) {
    listener_ =
        *transport->Listen({loops_->loop(0)}, "loopback:canned", {},
                           [this](std::unique_ptr<Stream> stream) { Accept(std::move(stream)); });
  }
  ~CannedServer() {
    RunOn(loops_->loop(0), [this] {
      listener_.reset();
      connections_.clear();
    });
    loops_->Stop();
  }

 private:
  struct Connection {
    std::unique_ptr<Stream> stream;
    resp::RequestParser parser;
    size_t answered = 0;
    std::string writing;
  };

  void Accept(std::unique_ptr<Stream> stream) {
    connections_.push_back(std::make_unique<Connection>());
    connections_.back()->stream = std::move(stream);
    ReadOn(connections_.back().get());
  }
  void ReadOn(Connection* c) {
    c->stream->Read(c->parser.Space(), absl::InfiniteDuration(),
                    [this, c](absl::StatusOr<size_t> n) {
                      if (!n.ok() || *n == 0) return;
                      c->parser.Filled(*n);
                      c->writing.clear();
                      while (c->parser.Next() == resp::RequestParser::Result::kRequest) {
                        if (c->answered < replies_.size()) c->writing += replies_[c->answered++];
                      }
                      if (c->writing.empty()) return ReadOn(c);
                      c->stream->Write({c->writing}, absl::InfiniteDuration(),
                                       [this, c](absl::Status) { ReadOn(c); });
                    });
  }

  const std::unique_ptr<EventLoops> loops_;
  const std::vector<std::string> replies_;
  std::unique_ptr<Listener> listener_;                    // on the loop
  std::vector<std::unique_ptr<Connection>> connections_;  // likewise
};

TEST(RespStoreTest, PasswordsAndServersThatLoadAreSaidAtOpen) {
  World world;
  RespOptions options;
  options.password = "secret";
  world.Serve(options);
  EXPECT_EQ(world.TryOpen().status().code(), StatusCode::kUnauthenticated);
  RespStoreOptions with;
  with.password = "wrong";
  EXPECT_EQ(world.TryOpen(with).status().code(), StatusCode::kUnauthenticated);
  with.password = "secret";
  EXPECT_TRUE(world.TryOpen(with).ok());
  world.Serve({}, /*ready=*/false);
  const absl::Status loading = world.TryOpen().status();
  EXPECT_EQ(loading.code(), StatusCode::kUnavailable);
  EXPECT_TRUE(absl::StrContains(loading.message(), "LOADING")) << loading;
  EXPECT_TRUE(absl::StartsWith(loading.message(), "loopback:r: ")) << loading;
}

TEST(RespStoreTest, UnreachableServersAreUnavailableByName) {
  const auto transport = NewLoopbackTransport();
  const absl::Status status = OpenRespStore(transport.get(), "loopback:nobody").status();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_TRUE(absl::StrContains(status.message(), "loopback:nobody")) << status;
}

TEST(RespStoreTest, WritesOfALostConnectionAreInDoubtAndReadsComeBack) {
  World world;
  const auto store = world.Open();
  ASSERT_TRUE(store->Put("k", "v").ok());
  // Cut at each byte of a write and its reply, and of a read.
  bool in_doubt = false;
  for (int64_t cut = 0; cut < 60; ++cut) {
    world.scissors.bytes_left = cut;
    const absl::Status status = store->Put("k", absl::StrCat("v", cut));
    if (!status.ok()) {
      in_doubt = true;
      EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded) << status;
      EXPECT_TRUE(absl::StrContains(status.message(), "may have been applied")) << status;
    }
    world.scissors.bytes_left = cut;
    const auto value = store->Get("k");
    ASSERT_TRUE(value.ok()) << value.status();
    ASSERT_TRUE(value->has_value());
    world.scissors.bytes_left = INT64_MAX;
  }
  EXPECT_TRUE(in_doubt);
}

TEST(RespStoreTest, OfABatchOnlyWhatWasNotAnsweredIsInDoubt) {
  World world;
  const auto store = world.Open();
  WriteBatch batch;
  for (const char* key : {"a", "b", "c", "d"}) batch.Put(key, "v");
  // All is sent and two replies get through: "+OK\r\n" twice.
  const int64_t before = world.scissors.bytes_seen;
  ASSERT_TRUE(store->Write(batch, {}, nullptr).ok());
  const int64_t whole = world.scissors.bytes_seen - before;
  world.scissors.bytes_left = whole - 2 * 5;
  WriteResults results;
  EXPECT_EQ(store->Write(batch, {}, &results).code(), StatusCode::kDeadlineExceeded);
  ASSERT_EQ(results.results.size(), 4u);
  EXPECT_TRUE(results.results[0].status.ok());
  EXPECT_TRUE(results.results[1].status.ok());
  EXPECT_EQ(results.results[2].status.code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(results.results[3].status.code(), StatusCode::kDeadlineExceeded);
}

TEST(RespStoreTest, AServerThatBeganAnewIsTakenUpAgain) {
  World world;
  const auto store = world.Open();
  ASSERT_TRUE(store->Put("k", "v").ok());
  world.Serve({});
  EXPECT_FALSE(store->Get("k")->has_value());
  EXPECT_TRUE(store->Put("k", "w").ok());
  EXPECT_EQ(**store->Get("k"), "w");
}

TEST(RespStoreTest, AScanOfAServerThatBeganAnewEnds) {
  World world;
  const auto fill = [](Store& store) {
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(store.Put(absl::StrCat("k", i), "v").ok());
  };
  const auto store = world.Open();
  fill(*store);
  auto cursor = store->NewCursor({});
  ScanPage page;
  PageLimits limits;
  limits.entries = 10;
  ASSERT_TRUE((*cursor)->Next(limits, &page).ok());
  ASSERT_EQ(page.size(), 10u);
  const std::string position = (*cursor)->position();
  world.Serve({});
  fill(*store);
  const absl::Status status = (*cursor)->Next(limits, &page);
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(page.empty());
  EXPECT_EQ((*cursor)->position(), position);
}

TEST(RespStoreTest, WhatTheServerDoesNotHaveIsSaidAtOpen) {
  const auto transport = NewLoopbackTransport();
  const CannedServer server(
      transport.get(),
      {"+PONG\r\n", "+OK\r\n", "+QUEUED\r\n", "-ERR unknown command 'PEXPIRETIME'\r\n",
       "-EXECABORT Transaction discarded because of previous errors.\r\n"});
  RespStoreOptions options;
  options.expiry = true;
  const absl::Status status = OpenRespStore(transport.get(), "loopback:canned", options).status();
  EXPECT_EQ(status.code(), StatusCode::kUnimplemented) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "PEXPIRETIME")) << status;
}

TEST(RespStoreTest, ErrorsOfTheServerAreOfTheirKind) {
  const auto transport = NewLoopbackTransport();
  const CannedServer server(
      transport.get(),
      {"+PONG\r\n", "+none\r\n", "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
       "+OK\r\n", "-ERR some text\r\n"});
  const auto store = OpenRespStore(transport.get(), "loopback:canned");
  ASSERT_TRUE(store.ok()) << store.status();
  WriteBatch batch;
  batch.Put("a", "1");
  batch.Put("b", "2");
  batch.Delete("c");
  WriteResults results;
  EXPECT_EQ(
      (*store)->Write(batch, {}, &results),
      absl::ResourceExhaustedError("OOM command not allowed when used memory > 'maxmemory'."));
  EXPECT_TRUE(results.results[1].status.ok());
  EXPECT_EQ(results.results[2].status, absl::InternalError("ERR some text"));
}

TEST(RespStoreTest, ManyThreadsShareAConnectionThatBreaks) {
  World world;
  const auto store = world.Open();
  std::atomic<int> written{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        if (i % 25 == 0) world.scissors.bytes_left = 40 + 13 * i % 100;
        const std::string key = absl::StrCat(t, "-", i);
        const absl::Status status = store->Put(key, key);
        const auto value = store->Get(key);
        ASSERT_TRUE(value.ok()) << value.status();
        if (status.ok()) {
          ++written;
          EXPECT_EQ(**value, key);
        } else {
          EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded) << status;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(written, 700);
  EXPECT_GT(world.scissors.connections, 3);
}

TEST(RespStoreTest, ACallOnTheLoopItselfFailsInsteadOfWaitingForEver) {
  World world;
  const auto loops = EventLoops::New(1).value();
  RespStoreOptions options;
  options.loop = loops->loop(0);
  auto store = *world.TryOpen(options);
  absl::Status status;
  ASSERT_TRUE(RunOn(loops->loop(0), [&] { status = store->Get("k").status(); }));
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(store->Get("k").ok());
  EXPECT_TRUE(store->Close().ok());
}

TEST(ScanPositionTest, EncodesItselfAndKnowsWhatIsForeign) {
  resp_client::ScanPosition position;
  position.cursor = 0x0102030405060708;
  position.run_id = "run";
  position.given = {"", "key", std::string(300, 'k')};
  const std::string bytes = position.Encode();
  const auto decoded = resp_client::ScanPosition::Decode(bytes);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->Encode(), bytes);
  EXPECT_EQ(decoded->given, position.given);
  EXPECT_EQ(bytes.substr(0, 18),
            std::string("\x01\x00\x08\x07\x06\x05\x04\x03\x02\x01\x03run\0\0\0\0", 18));
  for (size_t n = 0; n < bytes.size(); ++n) {
    const auto cut = resp_client::ScanPosition::Decode(absl::string_view(bytes).substr(0, n));
    if (cut.ok()) {
      EXPECT_LT(cut->given.size(), 3u) << n;
    } else {
      EXPECT_EQ(cut.status().code(), StatusCode::kInvalidArgument);
    }
  }
}

}  // namespace
}  // namespace kvarts
