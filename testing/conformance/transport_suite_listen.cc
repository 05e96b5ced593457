// Listening, accepting and connecting.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "testing/conformance/transport_suite.h"

namespace kvarts {
namespace {

TEST_P(TransportSuite, ListenerTellsAnAddressThatReachesIt) {
  Listen();
  EXPECT_NE(address(), "");
  TestStream first = Connect();
  TestStream second = Connect();
  EXPECT_FALSE(Accepted().empty());
  EXPECT_FALSE(Accepted().empty());
}

TEST_P(TransportSuite, AddressInUseIsRefused) {
  Listen();
  auto second = transport()->Listen(all_loops(), address(), ListenOptions(),
                                    [](std::unique_ptr<Stream>) { FAIL(); });
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists) << second.status();
  // The first goes on. It may have been asked whether it lives, by a connection
  // that ended at once.
  TestStream client = Connect();
  ASSERT_TRUE(client.Write("x").ok());
  TestStream server = Accepted();
  if (server.Read(10)->empty()) server = Accepted();
  ASSERT_TRUE(server.Write("y").ok());
  EXPECT_EQ(*client.Read(10), "y");
}

TEST_P(TransportSuite, AddressIsFreeAgainAfterTheListenersEnd) {
  Pair pair = Connected();
  EndListener();
  EXPECT_EQ(Connect(address()).status().code(), absl::StatusCode::kUnavailable);
  Awaited<int> accepted;
  std::shared_ptr<TestStream> server;
  auto again = transport()->Listen({loops()->loop(0)}, address(), ListenOptions(),
                                   [&](std::unique_ptr<Stream> stream) {
                                     server = std::make_shared<TestStream>(std::move(stream));
                                     accepted.Set(1);
                                   });
  ASSERT_TRUE(again.ok()) << again.status();
  auto client = Connect(address());
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_TRUE(accepted.AwaitValue(1));
  server.reset();
  // A stream lasts longer than its listener.
  EXPECT_TRUE(pair.client.Write("x").ok());
  EXPECT_EQ(*pair.server.Read(10), "x");
  RunOn(loops()->loop(0), [&] { again->reset(); });
}

TEST_P(TransportSuite, ConnectToNobodyIsUnavailable) {
  for (int i = 0; i < 3; ++i) {
    const auto stream = Connect(under_test().nobody, absl::Seconds(100));
    EXPECT_EQ(stream.status().code(), absl::StatusCode::kUnavailable) << stream.status();
  }
}

TEST_P(TransportSuite, BadAddressesAreInvalid) {
  std::vector<std::string> bad = under_test().bad_addresses;
  for (const char* address : {"", ":", "x", "://", "nonsense:thing", "nonsense://host:1"}) {
    bad.push_back(address);
  }
  for (const std::string& address : bad) {
    const auto stream = Connect(address, absl::Seconds(100));
    EXPECT_EQ(stream.status().code(), absl::StatusCode::kInvalidArgument)
        << "'" << address << "': " << stream.status();
    const auto listener = transport()->Listen(all_loops(), address, ListenOptions(),
                                              [](std::unique_ptr<Stream>) { FAIL(); });
    EXPECT_EQ(listener.status().code(), absl::StatusCode::kInvalidArgument)
        << "'" << address << "': " << listener.status();
  }
}

TEST_P(TransportSuite, ListeningOnNoLoopsIsInvalid) {
  const auto listener = transport()->Listen({}, under_test().free_address(), ListenOptions(),
                                            [](std::unique_ptr<Stream>) { FAIL(); });
  EXPECT_EQ(listener.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(TransportSuite, AcceptedStreamsGoToTheLoopsInTurn) {
  Listen();
  std::map<EventLoop*, int> streams;
  std::vector<TestStream> held;
  for (int i = 0; i < 10 * loops()->size(); ++i) {
    held.push_back(Connect());
    held.push_back(Accepted());
    ++streams[held.back().loop()];
  }
  for (EventLoop* const loop : all_loops()) EXPECT_EQ(streams[loop], 10);
}

TEST_P(TransportSuite, ManyConnectAtOnce) {
  constexpr int kStreams = 200;
  Listen();
  Awaited<int> connected;
  std::vector<std::unique_ptr<Stream>> streams(kStreams);
  for (int i = 0; i < kStreams; ++i) {
    transport()->Connect(client_loop(), address(), absl::Seconds(100),
                         [&, i](absl::StatusOr<std::unique_ptr<Stream>> stream) {
                           EXPECT_TRUE(stream.ok()) << stream.status();
                           if (stream.ok()) streams[i] = *std::move(stream);
                           connected.Update([](int* n) { ++*n; });
                         });
  }
  EXPECT_TRUE(connected.AwaitValue(kStreams));
  for (int i = 0; i < kStreams; ++i) EXPECT_FALSE(Accepted().empty());
  RunOn(client_loop(), [&] { streams.clear(); });
}

TEST_P(TransportSuite, ConnectCallbackRunsBehindTheCallOnItsLoop) {
  Listen();
  Awaited<int> done;
  RunOn(client_loop(), [&] {
    // One that succeeds, one that fails, one that is refused.
    for (const std::string& to : {address(), under_test().nobody, std::string("nonsense:")}) {
      auto inside = std::make_shared<bool>(true);
      transport()->Connect(client_loop(), to, absl::InfiniteDuration(),
                           [&, inside](absl::StatusOr<std::unique_ptr<Stream>>) {
                             EXPECT_FALSE(*inside);
                             EXPECT_TRUE(client_loop()->InLoop());
                             done.Update([](int* n) { ++*n; });
                           });
      *inside = false;
    }
  });
  EXPECT_TRUE(done.AwaitValue(3));
}

TEST_P(TransportSuite, AcceptCallbackMayDropItsStream) {
  auto listener = transport()->Listen(all_loops(), under_test().free_address(), ListenOptions(),
                                      [](std::unique_ptr<Stream> stream) { stream.reset(); });
  ASSERT_TRUE(listener.ok()) << listener.status();
  for (int i = 0; i < 10; ++i) {
    auto client = Connect((*listener)->address());
    ASSERT_TRUE(client.ok()) << client.status();
    const auto end = client->ReadToEnd();
    EXPECT_TRUE(end.ok() ? end->empty() : end.status().code() == absl::StatusCode::kUnavailable);
  }
  RunOn(loops()->loop(0), [&] { listener->reset(); });
}

TEST_P(TransportSuite, ListenerDestroyedWithConnectsUnderWayAcceptsNoMore) {
  for (int round = 0; round < 20; ++round) {
    constexpr int kStreams = 20;
    struct Shared {
      Awaited<int> answered;
      std::vector<std::unique_ptr<Stream>> clients;  // on client_loop()
      Mutex mu;
      std::vector<std::shared_ptr<TestStream>> servers ABSL_GUARDED_BY(mu);
      bool ended ABSL_GUARDED_BY(mu) = false;
    } shared;
    auto token = std::make_shared<int>(0);
    auto listener = transport()->Listen(all_loops(), under_test().free_address(), ListenOptions(),
                                        [&shared, token](std::unique_ptr<Stream> stream) {
                                          auto server =
                                              std::make_shared<TestStream>(std::move(stream));
                                          MutexLock lock(&shared.mu);
                                          EXPECT_FALSE(shared.ended);
                                          shared.servers.push_back(std::move(server));
                                        });
    ASSERT_TRUE(listener.ok()) << listener.status();
    for (int i = 0; i < kStreams; ++i) {
      transport()->Connect(client_loop(), (*listener)->address(), absl::Seconds(100),
                           [&](absl::StatusOr<std::unique_ptr<Stream>> stream) {
                             if (stream.ok()) {
                               shared.clients.push_back(*std::move(stream));
                             } else {
                               EXPECT_EQ(stream.status().code(), absl::StatusCode::kUnavailable)
                                   << stream.status();
                             }
                             shared.answered.Update([](int* n) { ++*n; });
                           });
      if (i != kStreams / 2) continue;
      RunOn(loops()->loop(0), [&] {
        listener->reset();
        MutexLock lock(&shared.mu);
        shared.ended = true;
        EXPECT_EQ(token.use_count(), 1);  // the callback is gone too
      });
      // The address is no longer one to connect to.
      listener = transport()->Listen(all_loops(), under_test().free_address(), ListenOptions(),
                                     [](std::unique_ptr<Stream>) {});
      ASSERT_TRUE(listener.ok());
    }
    EXPECT_TRUE(shared.answered.AwaitValue(kStreams));
    RunOn(loops()->loop(0), [&] { listener->reset(); });
    std::vector<std::shared_ptr<TestStream>> servers;
    {
      MutexLock lock(&shared.mu);
      servers.swap(shared.servers);
    }
    servers.clear();
    // Those that nobody accepted end as well, at the latest when they write: Linux
    // may close a listening socket without telling a peer whose handshake it is in.
    std::vector<std::unique_ptr<Stream>> clients;
    RunOn(client_loop(), [&] { clients.swap(shared.clients); });
    for (auto& stream : clients) {
      TestStream client(std::move(stream));
      client.Write("x").IgnoreError();
      const auto end = client.ReadToEnd();
      EXPECT_TRUE(end.ok() || end.status().code() == absl::StatusCode::kUnavailable)
          << end.status();
    }
  }
}

TEST_P(TransportSuite, AcceptCallbackMayDestroyItsListener) {
  std::unique_ptr<Listener> listener;
  auto token = std::make_shared<int>(0);
  Awaited<bool> ended;
  auto listening = transport()->Listen({loops()->loop(0)}, under_test().free_address(),
                                       ListenOptions(), [&, token](std::unique_ptr<Stream> stream) {
                                         listener.reset();
                                         stream.reset();
                                         EXPECT_GE(token.use_count(), 2);
                                         ended.Set(true);
                                       });
  ASSERT_TRUE(listening.ok()) << listening.status();
  listener = *std::move(listening);
  const std::string address = listener->address();
  Connect(address).IgnoreError();
  EXPECT_TRUE(ended.AwaitValue(true));
  RunOn(loops()->loop(0), [] {});
  EXPECT_EQ(token.use_count(), 1);
  EXPECT_EQ(Connect(address).status().code(), absl::StatusCode::kUnavailable);
}

TEST_P(TransportSuite, ConnectsUnderWayAreDroppedWhenTheLoopsStop) {
  Listen();
  auto token = std::make_shared<int>(0);
  for (int i = 0; i < 50; ++i) {
    transport()->Connect(client_loop(), address(), absl::Seconds(100),
                         [token](absl::StatusOr<std::unique_ptr<Stream>> stream) {});
  }
  loops()->Stop();
  EXPECT_EQ(token.use_count(), 1);
  // Later ones are dropped at once.
  transport()->Connect(client_loop(), address(), absl::Seconds(100),
                       [token](absl::StatusOr<std::unique_ptr<Stream>> stream) {});
  EXPECT_EQ(token.use_count(), 1);
  EndListener();
}

}  // namespace
}  // namespace kvarts
