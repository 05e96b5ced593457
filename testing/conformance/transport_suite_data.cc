// Bytes arrive, all, once and in order, and a slow reader holds its writer back.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "testing/conformance/transport_suite.h"

namespace kvarts {
namespace {

constexpr uint64_t kMiB = 1 << 20;

TEST_P(TransportSuite, MessageComesBackFromAnEcho) {
  Pair pair = Connected();
  EchoServer echo(std::move(pair.server));
  const std::string message("hello\0world\xff\n", 13);
  ASSERT_TRUE(pair.client.Write(message).ok());
  const auto back = pair.client.ReadExactly(message.size());
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, message);
}

TEST_P(TransportSuite, PeerNamesTheTransport) {
  Pair pair = Connected();
  EXPECT_EQ(pair.client.peer().rfind(under_test().peer_prefix, 0), 0) << pair.client.peer();
  EXPECT_EQ(pair.server.peer().rfind(under_test().peer_prefix, 0), 0) << pair.server.peer();
}

TEST_P(TransportSuite, ManyStreamsAtOnceKeepTheirBytesApart) {
  constexpr int kStreams = 100;
  constexpr uint64_t kBytes = 50000;
  Listen();
  std::vector<TestStream> clients;
  std::vector<std::unique_ptr<EchoServer>> echoes;
  for (int i = 0; i < kStreams; ++i) {
    clients.push_back(Connect());
    echoes.push_back(std::make_unique<EchoServer>(Accepted()));
  }
  std::vector<std::shared_ptr<PatternSender>> senders;
  std::vector<std::shared_ptr<PatternReceiver>> receivers;
  for (int i = 0; i < kStreams; ++i) {
    const uint64_t seed = i;
    receivers.push_back(PatternReceiver::Start(&clients[i], {seed, kBytes, 5000, true}));
    senders.push_back(PatternSender::Start(&clients[i], {seed, kBytes, 3000, 5, true}));
  }
  for (int i = 0; i < kStreams; ++i) {
    EXPECT_TRUE(senders[i]->Await().ok());
    const absl::Status status = receivers[i]->Await();
    EXPECT_TRUE(status.ok()) << "stream " << i << ": " << status;
  }
}

TEST_P(TransportSuite, ManyRequestsInFlightAreAnsweredInOrder) {
  // Requests leave in a thousand small writes and more, with none awaited; the
  // echo answers meanwhile.
  Pair pair = Connected();
  EchoServer echo(std::move(pair.server));
  constexpr uint64_t kBytes = 200000;
  auto receiver = PatternReceiver::Start(&pair.client, {7, kBytes, 16, true});
  auto sender = PatternSender::Start(&pair.client, {7, kBytes, 60, 3, true});
  EXPECT_TRUE(sender->Await().ok());
  const absl::Status status = receiver->Await();
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(TransportSuite, BothDirectionsCarryAtOnce) {
  Pair pair = Connected();
  constexpr uint64_t kBytes = 8 * kMiB;
  auto down = PatternReceiver::Start(&pair.client, {1, kBytes, 150001, true});
  auto up = PatternReceiver::Start(&pair.server, {2, kBytes, 150001, true});
  auto server = PatternSender::Start(&pair.server, {1, kBytes, 100000, 9, true});
  auto client = PatternSender::Start(&pair.client, {2, kBytes, 100000, 9, true});
  for (const absl::Status& status :
       {down->Await(), up->Await(), server->Await(), client->Await()}) {
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST_P(TransportSuite, LargeTransferInOddPiecesArrivesWhole) {
  Pair pair = Connected();
  constexpr uint64_t kBytes = 64 * kMiB + 1;
  auto receiver = PatternReceiver::Start(&pair.server, {3, kBytes, 600000, true});
  auto sender = PatternSender::Start(&pair.client, {3, kBytes, 700000, 12, true});
  EXPECT_TRUE(sender->Await().ok());
  const absl::Status status = receiver->Await();
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(TransportSuite, GatherWriteKeepsTheOrderOfItsPieces) {
  // More than the system takes at once, empty ones at both ends and between.
  std::vector<std::string> pieces = {"", ""};
  std::string whole;
  for (int i = 0; i < 5000; ++i) {
    pieces.push_back(i % 3 == 0 ? "" : std::string(i % 700, static_cast<char>(i)));
    whole += pieces.back();
  }
  pieces.push_back("");
  Pair pair = Connected();
  const TestStream::Pending write = pair.client.StartWrite(pieces);
  const auto got = pair.server.ReadExactly(whole.size());
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_TRUE(*got == whole);
  EXPECT_TRUE(write->Await().ok());
}

TEST_P(TransportSuite, WriteOfNothingSucceeds) {
  Pair pair = Connected();
  EXPECT_TRUE(pair.client.StartWrite({})->Await().ok());
  EXPECT_TRUE(pair.client.StartWrite({"", "", ""})->Await().ok());
  EXPECT_TRUE(pair.client.Write("x").ok());
  EXPECT_EQ(*pair.server.Read(10), "x");
}

TEST_P(TransportSuite, OneByteReadsAndWrites) {
  Pair pair = Connected();
  constexpr uint64_t kBytes = 5000;
  auto receiver = PatternReceiver::Start(&pair.server, {4, kBytes, 1, true});
  auto sender = PatternSender::Start(&pair.client, {4, kBytes, 1, 1, true});
  EXPECT_TRUE(sender->Await().ok());
  const absl::Status status = receiver->Await();
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(TransportSuite, ReadTakesWhatIsThereAndLeavesTheRest) {
  Pair pair = Connected();
  ASSERT_TRUE(pair.client.Write("abcdef").ok());
  const auto first = pair.server.Read(1);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(*first, "a");
  const auto rest = pair.server.ReadExactly(5);
  ASSERT_TRUE(rest.ok());
  EXPECT_EQ(*rest, "bcdef");
  // Nothing more: a read waits, and ends with what comes.
  const TestStream::Pending read = pair.server.StartRead(100);
  Flush();
  EXPECT_EQ(read->outcome.Get().callbacks, 0);
  ASSERT_TRUE(pair.client.Write("g").ok());
  EXPECT_TRUE(read->Await().ok());
  EXPECT_EQ(read->outcome.Get().bytes, "g");
}

TEST_P(TransportSuite, PeerThatDoesNotReadHoldsTheWriterBack) {
  Pair pair = Connected();
  const uint64_t total = under_test().window + 4 * kMiB;
  auto sender = PatternSender::Start(&pair.client, {5, total, 300000, 4, true});
  // One such write alone is held back as well.
  Pair other = Connected();
  const TestStream::Pending big = other.client.StartWrite({std::string(total, 'x')});
  Flush();
  Flush();
  EXPECT_LE(sender->written(), under_test().window);
  EXPECT_EQ(big->outcome.Get().callbacks, 0);
  // What is read makes room for as much and no more.
  auto receiver = PatternReceiver::Start(&pair.server, {5, kMiB, 150001, false});
  ASSERT_TRUE(receiver->Await().ok());
  EXPECT_LE(sender->written(), under_test().window + kMiB);
  // Then all arrives.
  const auto got = other.server.ReadExactly(total);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_TRUE(*got == std::string(total, 'x'));
  EXPECT_TRUE(big->Await().ok());
  const auto rest = pair.server.ReadToEnd();
  ASSERT_TRUE(rest.ok()) << rest.status();
  EXPECT_EQ(rest->size(), total - kMiB);
  EXPECT_TRUE(sender->Await().ok());
}

TEST_P(TransportSuite, BlockedWriterDoesNotBlockItsReader) {
  Pair pair = Connected();
  const uint64_t total = under_test().window + kMiB;
  auto sender = PatternSender::Start(&pair.client, {6, total, 300000, 4, false});
  // The client's write is stuck; the other way and other streams go on.
  for (int i = 0; i < 100; ++i) {
    const std::string message = absl::StrCat("message ", i);
    ASSERT_TRUE(pair.server.Write(message).ok());
    const auto got = pair.client.ReadExactly(message.size());
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(*got, message);
  }
  Flush();
  auto receiver = PatternReceiver::Start(&pair.server, {6, total, 150001, false});
  EXPECT_TRUE(receiver->Await().ok());
  EXPECT_TRUE(sender->Await().ok());
}

TEST_P(TransportSuite, CallbacksNeverRunInsideTheCallThatStartedThem) {
  Pair pair = Connected();
  // With bytes that are there already, and room for those written.
  ASSERT_TRUE(pair.server.Write(std::string(1000, 'x')).ok());
  for (int i = 0; i < 100; ++i) {
    const TestStream::Pending read = pair.client.StartRead(3);
    const TestStream::Pending write = pair.client.StartWrite({"yy"});
    ASSERT_TRUE(read->Await().ok());
    ASSERT_TRUE(write->Await().ok());
    for (const auto& pending : {read, write}) {
      EXPECT_FALSE(pending->inside);
      EXPECT_TRUE(pending->outcome.Get().in_loop);
      EXPECT_EQ(pending->AwaitDropped().callbacks, 1);
    }
  }
  // And with errors.
  pair.client.Close();
  const TestStream::Pending read = pair.client.StartRead(3);
  const TestStream::Pending write = pair.client.StartWrite({"y"});
  EXPECT_FALSE(read->Await().ok());
  EXPECT_FALSE(write->Await().ok());
  EXPECT_FALSE(read->inside);
  EXPECT_FALSE(write->inside);
}

}  // namespace
}  // namespace kvarts
