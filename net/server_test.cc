#include "net/server.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "net/loopback/loopback.h"
#include "net/store_runner.h"
#include "testing/conformance/transport_harness.h"
#include "testing/model/model_store.h"
#include "testing/model/slow_store.h"

namespace kvarts {
namespace {

// Sends back what it reads. Drain() ends it, unless it is stubborn.
class EchoSession final : public Session {
 public:
  EchoSession(std::unique_ptr<Stream> stream, std::atomic<int>* alive, bool stubborn)
      : alive_(alive), stubborn_(stubborn), stream_(std::move(stream)) {
    ++*alive_;
  }
  ~EchoSession() override { --*alive_; }

  void Start(Task done) override {
    done_ = std::move(done);
    Read();
  }
  void Drain() override {
    if (!stubborn_) End();
  }

 private:
  void Read() {
    stream_->Read(absl::MakeSpan(buffer_), absl::InfiniteDuration(),
                  [this](absl::StatusOr<size_t> n) {
                    if (!n.ok() || *n == 0) return End();
                    const absl::string_view piece(buffer_, *n);
                    stream_->Write(absl::MakeConstSpan(&piece, 1), absl::InfiniteDuration(),
                                   [this](absl::Status s) { s.ok() ? Read() : End(); });
                  });
  }
  void End() {
    Task done = std::move(done_);
    done();
  }

  std::atomic<int>* const alive_;
  const bool stubborn_;
  Task done_;
  char buffer_[100];
  const std::unique_ptr<Stream> stream_;
};

class ServerTest : public testing::Test {
 protected:
  void Start(int max_clients = 100, bool stubborn = false, const std::string& refusal = "") {
    ServerOptions options;
    options.refusal = refusal;
    options.max_clients = max_clients;
    options.metrics = &metrics_;
    std::vector<EventLoop*> loops = {server_loops_->loop(0), server_loops_->loop(1)};
    auto server =
        Server::Start(transport_.get(), loops, "loopback:echo", options,
                      [this, stubborn](std::unique_ptr<Stream> stream) {
                        return std::make_unique<EchoSession>(std::move(stream), &alive_, stubborn);
                      });
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  // A client that says "hi" and waits: true where it is answered, false where
  // the connection ends.
  bool SayHi() {
    Client* const client = clients_.emplace_back(std::make_unique<Client>()).get();
    EventLoop* const loop = client_loops_->loop(0);
    loop->Post([this, client, loop] {
      transport_->Connect(
          loop, "loopback:echo", kTestPatience,
          [client](absl::StatusOr<std::unique_ptr<Stream>> stream) {
            if (!stream.ok()) return client->got.Set("refused");
            client->stream = *std::move(stream);
            client->stream->Read(
                absl::MakeSpan(client->buffer), kTestPatience, [client](absl::StatusOr<size_t> n) {
                  const bool some = n.ok() && *n > 0;
                  client->got.Set(some ? std::string(client->buffer, *n) : "ended");
                });
            static constexpr absl::string_view kHi = "hi";
            client->stream->Write(absl::MakeConstSpan(&kHi, 1), kTestPatience, [](absl::Status) {});
          });
    });
    client->got.Await([](const std::string& got) { return !got.empty(); });
    return client->got.Get() == "hi";
  }

  void TearDown() override {
    server_.reset();
    EXPECT_EQ(alive_, 0);
    client_loops_->Stop();
    clients_.clear();
  }

  struct Client {
    Awaited<std::string> got;
    char buffer[10];
    std::unique_ptr<Stream> stream;
  };

  ProtocolMetrics metrics_{"echo"};
  const std::unique_ptr<Transport> transport_ = NewLoopbackTransport();
  const std::unique_ptr<EventLoops> server_loops_ = EventLoops::New(2).value();
  const std::unique_ptr<EventLoops> client_loops_ = EventLoops::New(1).value();
  std::atomic<int> alive_{0};
  std::vector<std::unique_ptr<Client>> clients_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, ServesUntilItIsDestroyed) {
  Start();
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(SayHi());
  EXPECT_EQ(server_->clients(), 10);
  EXPECT_EQ(server_->address(), "loopback:echo");
  server_.reset();
  EXPECT_EQ(alive_, 0);
  EXPECT_FALSE(SayHi());
}

TEST_F(ServerTest, ClientsBeyondTheCapAreToldSo) {
  Start(/*max_clients=*/1, /*stubborn=*/false, "full");
  EXPECT_TRUE(SayHi());
  // What they had sent by then does not have them reset. They stay for a moment, and are no
  // clients.
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(SayHi());
    EXPECT_EQ(clients_.back()->got.Get(), "full");
  }
  EXPECT_EQ(server_->clients(), 1);
  EXPECT_EQ(server_->refused(), 3);
  // The connection is ended behind the words, and what else it sends is taken.
  Client* const last = clients_.back().get();
  Awaited<std::string> end;
  Awaited<std::string> sent;
  client_loops_->loop(0)->Post([&] {
    last->stream->Read(absl::MakeSpan(last->buffer), kTestPatience, [&](absl::StatusOr<size_t> n) {
      end.Set(n.ok() && *n == 0 ? "ended" : "not so");
      static constexpr absl::string_view kMore = "more";
      last->stream->Write(
          absl::MakeConstSpan(&kMore, 1), kTestPatience,
          [&](const absl::Status& s) { sent.Set(s.ok() ? "taken" : s.ToString()); });
    });
  });
  sent.Await([](const std::string& got) { return !got.empty(); });
  EXPECT_EQ(end.Get(), "ended");
  EXPECT_EQ(sent.Get(), "taken");
}

// Each that is told holds a descriptor until it leaves: there are not many of them.
TEST_F(ServerTest, NotAllThatAreRefusedAreToldSo) {
  Start(/*max_clients=*/1, /*stubborn=*/false, "full");
  EXPECT_TRUE(SayHi());
  int told = 0;
  do {
    EXPECT_FALSE(SayHi());
    ++told;
  } while (told < 1000 && clients_.back()->got.Get() == "full");
  EXPECT_GT(told, 64);
  EXPECT_LT(told, 1000);
}

TEST_F(ServerTest, ClientsBeyondTheCapAreRefusedAndCounted) {
  Start(/*max_clients=*/2);
  EXPECT_TRUE(SayHi());
  EXPECT_TRUE(SayHi());
  EXPECT_FALSE(SayHi());
  EXPECT_EQ(server_->refused(), 1);
  EXPECT_EQ(server_->clients(), 2);
  const ProtocolStats stats = metrics_.Collect();
  EXPECT_EQ(stats.address, "loopback:echo");
  EXPECT_EQ(stats.max_clients, 2);
  EXPECT_EQ(stats.open, 2);
  EXPECT_EQ(stats.accepted, 2);
  EXPECT_EQ(stats.refused, 1);
  // One leaves: there is room again.
  RunOn(client_loops_->loop(0), [&] { clients_[0]->stream.reset(); });
  while (server_->clients() > 1) std::this_thread::yield();
  EXPECT_TRUE(SayHi());
}

TEST_F(ServerTest, DrainEndsSessionsAndListening) {
  Start();
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(SayHi());
  server_->Drain(kTestPatience);
  EXPECT_EQ(server_->clients(), 0);
  EXPECT_EQ(alive_, 0);
  EXPECT_FALSE(SayHi());
  server_->Drain(kTestPatience);  // once more does nothing
}

TEST_F(ServerTest, DrainOfStubbornSessionsEndsWithItsGrace) {
  Start(100, /*stubborn=*/true);
  EXPECT_TRUE(SayHi());
  server_->Drain(absl::Milliseconds(5));
  EXPECT_EQ(server_->clients(), 1);
  server_.reset();
  EXPECT_EQ(alive_, 0);
}

TEST_F(ServerTest, DestructionWhileClientsComeLosesNoSession) {
  for (int round = 0; round < 20; ++round) {
    Start();
    std::thread clients([&] {
      for (int i = 0; i < 10; ++i) SayHi();
    });
    while (alive_ < round % 5) std::this_thread::yield();
    server_.reset();
    EXPECT_EQ(alive_, 0);
    clients.join();
  }
}

TEST_F(ServerTest, StoppedLoopsDoNotHoldTheServerBack) {
  Start();
  EXPECT_TRUE(SayHi());
  server_loops_->Stop();
  server_.reset();
  EXPECT_EQ(alive_, 0);
}

TEST(StoreRunnerTest, AStoreThatDoesNotBlockIsCalledAtOnce) {
  const auto store = NewModelStore();
  const auto runner = StoreRunner::New(store.get(), 4).value();
  std::string order;
  runner->Run(
      nullptr, [&] { order += "work "; }, [&] { order += "done"; });
  EXPECT_EQ(order, "work done");
  EXPECT_FALSE(runner->full());
  EXPECT_EQ(runner->store(), store.get());
}

TEST(StoreRunnerTest, AStoreThatMayBlockIsCalledOnThePool) {
  ModelStoreOptions options;
  options.capabilities.may_block = true;
  const auto store = NewModelStore(options);
  const auto loops = EventLoops::New(1).value();
  Awaited<int> done(0);
  std::atomic<int> elsewhere{0};
  {
    const auto runner = StoreRunner::New(store.get(), 3).value();
    for (int i = 0; i < 100; ++i) {
      runner->Run(
          loops->loop(0), [&] { elsewhere += loops->loop(0)->InLoop() ? 0 : 1; },
          [&] {
            EXPECT_TRUE(loops->loop(0)->InLoop());
            done.Update([](int* n) { ++*n; });
          });
    }
  }  // waits for all
  EXPECT_EQ(elsewhere, 100);
  EXPECT_TRUE(done.AwaitValue(100));
}

// Says when it begins to end.
class EndingRunner final : public StoreRunner {
 public:
  EndingRunner(Store* store, Awaited<bool>* ends) : store_(store), ends_(ends) {}
  ~EndingRunner() override { ends_->Set(true); }
  Store* store() const override { return store_; }
  bool no_wait() const override { return true; }
  bool full() const override { return false; }
  void Run(EventLoop*, Task work, Task done) override {
    work();
    done();
  }

 private:
  Store* const store_;
  Awaited<bool>* const ends_;
};

TEST(StoreRunnerTest, ItsEndWaitsForTheWritesThatAreWithTheStore) {
  SlowStoreOptions options;
  options.by_itself = false;
  SlowStore store(NewModelStore(), options);
  const auto loops = EventLoops::New(1).value();
  Awaited<bool> ends(false);
  Awaited<int> done(0);
  StoreWrite write;
  write.batch.Put("k", "v");
  auto runner = std::make_unique<EndingRunner>(&store, &ends);
  RunOn(loops->loop(0), [&] {
    for (int i = 0; i < 10; ++i) {
      runner->Submit(loops->loop(0), &write, [&](const absl::Status& status) {
        EXPECT_TRUE(status.ok()) << status;
        EXPECT_TRUE(loops->loop(0)->InLoop());
        done.Update([](int* n) { ++*n; });
      });
    }
  });
  std::thread commits([&] {
    ends.AwaitValue(true);
    EXPECT_EQ(store.Commit(), 10U);
  });
  runner.reset();
  EXPECT_EQ(store.submitted(), 0U);
  commits.join();
  EXPECT_TRUE(done.AwaitValue(10));
}

// As many increments share a sync.
TEST(StoreRunnerTest, CallsOfAStoreThatSaysHowNotToWaitAreWithItAtOnce) {
  constexpr int kCalls = 50;
  SlowStore store(NewModelStore(), SlowStoreOptions());
  const auto loops = EventLoops::New(1).value();
  Awaited<int> with_the_store(0);
  Awaited<int> done(0);
  const auto runner = StoreRunner::New(&store, 1).value();
  for (int i = 0; i < kCalls; ++i) {
    runner->Run(
        loops->loop(0),
        [&] {
          with_the_store.Update([](int* n) { ++*n; });
          with_the_store.AwaitValue(kCalls);
        },
        [&] { done.Update([](int* n) { ++*n; }); });
  }
  EXPECT_TRUE(done.AwaitValue(kCalls));
}

TEST(StoreRunnerTest, APoolFarBehindSaysThatItIsFull) {
  ModelStoreOptions options;
  options.capabilities.may_block = true;
  const auto store = NewModelStore(options);
  const auto loops = EventLoops::New(1).value();
  Awaited<bool> go(false);
  const auto runner = StoreRunner::New(store.get(), 1).value();
  int taken = 0;
  while (!runner->full() && taken < 1000000) {
    runner->Run(
        loops->loop(0), [&] { go.AwaitValue(true); }, [] {});
    ++taken;
  }
  EXPECT_LT(taken, 1000000);
  go.Set(true);
  while (runner->full()) std::this_thread::yield();
}

}  // namespace
}  // namespace kvarts
