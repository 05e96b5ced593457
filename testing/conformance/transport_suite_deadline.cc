// Deadlines: the promised error, on the direction they are for, and not too early.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "testing/conformance/transport_suite.h"

namespace kvarts {
namespace {

constexpr absl::Duration kShort = absl::Milliseconds(20);
constexpr size_t kMiB = 1 << 20;

TEST_P(TransportSuite, ReadFailsWhenItsTimeIsOverAndNotBefore) {
  Pair pair = Connected();
  absl::Duration started, ended;
  pair.client.On([&](Stream* stream) { started = stream->loop()->Now(); });
  EXPECT_EQ(pair.client.Read(10, kShort).status().code(), absl::StatusCode::kDeadlineExceeded);
  pair.client.On([&](Stream* stream) { ended = stream->loop()->Now(); });
  EXPECT_GE(ended - started, kShort);
  // The direction is dead, the other is not.
  EXPECT_FALSE(pair.client.Read(10).ok());
  EXPECT_TRUE(pair.client.Write("x").ok());
  EXPECT_EQ(*pair.server.Read(10), "x");
}

TEST_P(TransportSuite, WriteFailsWhenItsTimeIsOver) {
  Pair pair = Connected();
  EXPECT_EQ(pair.client.Write(std::string(under_test().window + kMiB, 'x'), kShort).code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(pair.client.Write("x").ok());
  ASSERT_TRUE(pair.server.Write("y").ok());
  EXPECT_EQ(*pair.client.Read(10), "y");
}

TEST_P(TransportSuite, ReadThatTimesOutLeavesAWriteUnderWayAlone) {
  Pair pair = Connected();
  const size_t total = under_test().window + kMiB;
  auto sender = PatternSender::Start(&pair.client, {1, total, 300000, 4, true});
  EXPECT_EQ(pair.client.Read(10, kShort).status().code(), absl::StatusCode::kDeadlineExceeded);
  auto receiver = PatternReceiver::Start(&pair.server, {1, total, 150001, true});
  EXPECT_TRUE(receiver->Await().ok());
  EXPECT_TRUE(sender->Await().ok());
}

TEST_P(TransportSuite, WriteThatTimesOutLeavesAReadUnderWayAlone) {
  Pair pair = Connected();
  const TestStream::Pending read = pair.client.StartRead(10);
  EXPECT_EQ(pair.client.Write(std::string(under_test().window + kMiB, 'x'), kShort).code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(read->outcome.Get().callbacks, 0);
  ASSERT_TRUE(pair.server.Write("here").ok());
  EXPECT_TRUE(read->Await().ok());
  // A transport may cut what was written anywhere.
  std::string got = read->outcome.Get().bytes;
  got += *pair.client.ReadExactly(4 - got.size());
  EXPECT_EQ(got, "here");
}

TEST_P(TransportSuite, BothDirectionsMayTimeOut) {
  Pair pair = Connected();
  const TestStream::Pending read = pair.client.StartRead(10, kShort);
  const TestStream::Pending write =
      pair.client.StartWrite({std::string(under_test().window + kMiB, 'x')}, kShort);
  for (const auto& pending : {read, write}) {
    EXPECT_EQ(pending->Await().code(), absl::StatusCode::kDeadlineExceeded);
    EXPECT_EQ(pending->AwaitDropped().callbacks, 1);
  }
  // Bytes that come late change nothing, neither in the outcome nor in the buffer.
  ASSERT_TRUE(pair.server.Write("late").ok());
  Flush();
  EXPECT_EQ(read->outcome.Get().callbacks, 1);
  EXPECT_EQ(read->buffer, std::string(10, '\0'));
}

TEST_P(TransportSuite, OperationThatEndsInTimeLeavesNoDeadlineBehind) {
  Pair pair = Connected();
  ASSERT_TRUE(pair.server.Write("a").ok());
  ASSERT_TRUE(pair.client.Write("x", kShort).ok());
  ASSERT_TRUE(pair.client.Read(10, kShort).ok());
  // These outlast the times of the earlier ones.
  const TestStream::Pending read = pair.client.StartRead(10);
  const TestStream::Pending late = pair.server.StartRead(10);
  ASSERT_TRUE(late->Await().ok());
  Pair other = Connected();
  EXPECT_FALSE(other.client.Read(10, 3 * kShort).ok());
  EXPECT_EQ(read->outcome.Get().callbacks, 0);
  ASSERT_TRUE(pair.server.Write("b").ok());
  ASSERT_TRUE(read->Await().ok());
  EXPECT_EQ(read->outcome.Get().bytes, "b");
}

TEST_P(TransportSuite, DeadlineCountsFromItsOwnOperation) {
  Pair pair = Connected();
  // A long one that ends soon, then a short one, which must not wait for the
  // long one's time; then a longer one, which must not end at the short one's.
  ASSERT_TRUE(pair.server.Write("a").ok());
  ASSERT_TRUE(pair.client.Read(10, absl::Hours(1)).ok());
  ASSERT_TRUE(pair.client.Write("x", absl::Hours(1)).ok());
  ASSERT_TRUE(pair.server.Write("b").ok());
  ASSERT_TRUE(pair.client.Read(10, 2 * kShort).ok());
  absl::Duration started, ended;
  pair.client.On([&](Stream* stream) { started = stream->loop()->Now(); });
  EXPECT_EQ(pair.client.Read(10, 4 * kShort).status().code(), absl::StatusCode::kDeadlineExceeded);
  pair.client.On([&](Stream* stream) { ended = stream->loop()->Now(); });
  EXPECT_GE(ended - started, 4 * kShort);
}

TEST_P(TransportSuite, ReadWithoutTimeTakesWhatIsThereOrFails) {
  Pair pair = Connected();
  EXPECT_EQ(pair.client.Read(10, absl::ZeroDuration()).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(pair.server.Read(10, absl::Seconds(-1)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_P(TransportSuite, ConnectWithoutTimeFails) {
  Listen();
  for (const absl::Duration timeout : {absl::ZeroDuration(), absl::Seconds(-1)}) {
    EXPECT_EQ(Connect(address(), timeout).status().code(), absl::StatusCode::kDeadlineExceeded);
  }
  EXPECT_TRUE(Connect(address(), absl::Seconds(100)).ok());
}

TEST_P(TransportSuite, VeryLongDeadlinesAreNone) {
  Pair pair = Connected();
  const TestStream::Pending read = pair.client.StartRead(10, absl::Hours(24 * 365 * 400));
  Flush();
  ASSERT_TRUE(pair.server.Write("a", absl::Hours(24 * 365 * 400)).ok());
  EXPECT_TRUE(read->Await().ok());
}

TEST_P(TransportSuite, ClosedStreamForgetsItsDeadlines) {
  Pair pair = Connected();
  const TestStream::Pending read = pair.client.StartRead(10, kShort);
  pair.client.Close();
  EXPECT_EQ(read->Await().code(), absl::StatusCode::kCancelled);
  Pair other = Connected();
  const TestStream::Pending dropped = other.client.StartRead(10, kShort);
  other.client.Destroy();
  Pair third = Connected();
  EXPECT_FALSE(third.client.Read(10, 3 * kShort).ok());
  EXPECT_EQ(read->outcome.Get().callbacks, 1);
  EXPECT_EQ(dropped->AwaitDropped().callbacks, 0);
}

}  // namespace
}  // namespace kvarts
