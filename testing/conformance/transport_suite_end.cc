// How streams end: half-close, Close(), destruction, peers that go away.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "testing/conformance/transport_suite.h"

namespace kvarts {
namespace {

constexpr size_t kMiB = 1 << 20;

bool EndedOrUnavailable(const absl::StatusOr<std::string>& read) {
  return read.ok() ? read->empty() : read.status().code() == absl::StatusCode::kUnavailable;
}

TEST_P(TransportSuite, ClientEndsItsDirectionFirst) {
  Pair pair = Connected();
  ASSERT_TRUE(pair.client.Write("request").ok());
  pair.client.CloseWrite();
  EXPECT_EQ(*pair.server.ReadToEnd(), "request");
  const std::string answer(3 * kMiB, 'a');
  const TestStream::Pending write = pair.server.StartWrite({answer});
  auto got = pair.client.ReadExactly(answer.size());
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_TRUE(*got == answer);
  EXPECT_TRUE(write->Await().ok());
  pair.server.CloseWrite();
  EXPECT_EQ(*pair.client.ReadToEnd(), "");
}

TEST_P(TransportSuite, ServerEndsItsDirectionFirst) {
  Pair pair = Connected();
  ASSERT_TRUE(pair.server.Write("banner").ok());
  pair.server.CloseWrite();
  EXPECT_EQ(*pair.client.ReadToEnd(), "banner");
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(pair.client.Write("more").ok());
  EXPECT_EQ(pair.server.ReadExactly(40)->size(), 40);
  pair.client.CloseWrite();
  EXPECT_EQ(*pair.server.ReadToEnd(), "");
}

TEST_P(TransportSuite, HalfCloseEndsAReadThatWaits) {
  Pair pair = Connected();
  const TestStream::Pending read = pair.server.StartRead(10);
  pair.client.CloseWrite();
  EXPECT_TRUE(read->Await().ok());
  EXPECT_EQ(read->outcome.Get().bytes, "");
}

TEST_P(TransportSuite, ReadingOnBehindTheEndGivesTheEndAgain) {
  Pair pair = Connected();
  ASSERT_TRUE(pair.client.Write("x").ok());
  pair.client.CloseWrite();
  EXPECT_EQ(*pair.server.ReadToEnd(), "x");
  for (int i = 0; i < 3; ++i) {
    const auto again = pair.server.Read(10);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(*again, "");
  }
}

TEST_P(TransportSuite, WriteBehindTheEndOfItsDirectionFails) {
  Pair pair = Connected();
  pair.client.CloseWrite();
  pair.client.CloseWrite();
  EXPECT_FALSE(pair.client.Write("x").ok());
  EXPECT_EQ(*pair.server.ReadToEnd(), "");
}

TEST_P(TransportSuite, PeerThatClosesInTheMiddleOfAFrameEndsTheStreamBehindItsBytes) {
  for (const bool destroy : {false, true}) {
    Pair pair = Connected();
    ASSERT_TRUE(pair.server.Write("the first ten of a hundred").ok());
    destroy ? pair.server.Destroy() : pair.server.Close();
    EXPECT_EQ(*pair.client.ReadToEnd(), "the first ten of a hundred");
  }
}

TEST_P(TransportSuite, PeerDestroyedInTheMiddleOfAWriteEndsTheStreamEarly) {
  Pair pair = Connected();
  const size_t total = under_test().window + 2 * kMiB;
  const TestStream::Pending write = pair.server.StartWrite({std::string(total, 'x')});
  ASSERT_EQ(pair.client.ReadExactly(1000)->size(), 1000);
  pair.server.Destroy();
  EXPECT_EQ(write->AwaitDropped().callbacks, 0);
  size_t read = 1000;
  while (true) {
    const auto part = pair.client.Read(kMiB);
    if (EndedOrUnavailable(part)) break;
    ASSERT_TRUE(part.ok()) << part.status();
    read += part->size();
  }
  EXPECT_LT(read, total);
}

TEST_P(TransportSuite, PeerDestroyedWithUnreadBytesFailsTheWriterSoon) {
  Pair pair = Connected();
  ASSERT_TRUE(pair.client.Write(std::string(1000, 'x')).ok());
  Flush();  // the bytes are there
  pair.server.Destroy();
  EXPECT_TRUE(EndedOrUnavailable(pair.client.Read(10)));
  absl::Status status;
  while (status.ok()) status = pair.client.Write(std::string(1000, 'x'));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  // The direction stays dead.
  EXPECT_FALSE(pair.client.Write("x").ok());
}

TEST_P(TransportSuite, WriterThatWaitsIsToldWhenItsPeerGoes) {
  Pair pair = Connected();
  const TestStream::Pending write =
      pair.client.StartWrite({std::string(under_test().window + kMiB, 'x')});
  const TestStream::Pending read = pair.client.StartRead(1);
  Flush();
  pair.server.Destroy();
  EXPECT_EQ(write->Await().code(), absl::StatusCode::kUnavailable);
  const absl::Status status = read->Await();
  EXPECT_TRUE(status.ok() || status.code() == absl::StatusCode::kUnavailable) << status;
}

TEST_P(TransportSuite, CloseCancelsWhatIsUnderWayOnce) {
  Pair pair = Connected();
  const TestStream::Pending read = pair.client.StartRead(10);
  const TestStream::Pending write =
      pair.client.StartWrite({std::string(under_test().window + kMiB, 'x')});
  Flush();
  pair.client.On([](Stream* stream) {
    stream->Close();
    stream->Close();
  });
  for (const auto& pending : {read, write}) {
    EXPECT_EQ(pending->Await().code(), absl::StatusCode::kCancelled);
    EXPECT_EQ(pending->AwaitDropped().callbacks, 1);
  }
  Flush();
  EXPECT_EQ(read->outcome.Get().callbacks, 1);
  EXPECT_EQ(write->outcome.Get().callbacks, 1);
  // And what is started later.
  EXPECT_EQ(pair.client.Read(10).status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(pair.client.Write("x").code(), absl::StatusCode::kCancelled);
  pair.client.CloseWrite();
}

TEST_P(TransportSuite, CloseCancelsWhatEndedButWasNotToldYet) {
  Pair pair = Connected();
  ASSERT_TRUE(pair.server.Write("there").ok());
  Flush();
  auto read = std::make_shared<TestStream::Operation>();
  auto write = std::make_shared<TestStream::Operation>();
  write->pieces = {"x"};
  pair.client.On([&](Stream* stream) {
    TestStream::ReadInto(stream, 10, absl::InfiniteDuration(), read);
    TestStream::WriteFrom(stream, absl::InfiniteDuration(), write);
    stream->Close();
  });
  for (const auto& pending : {read, write}) {
    EXPECT_EQ(pending->Await().code(), absl::StatusCode::kCancelled);
    EXPECT_EQ(pending->AwaitDropped().callbacks, 1);
  }
}

TEST_P(TransportSuite, DestructionDropsTheCallbacksUnrun) {
  Pair pair = Connected();
  const TestStream::Pending read = pair.client.StartRead(10);
  const TestStream::Pending write =
      pair.client.StartWrite({std::string(under_test().window + kMiB, 'x')}, absl::Seconds(100));
  Flush();
  pair.client.Destroy();
  EXPECT_EQ(read->AwaitDropped().callbacks, 0);
  EXPECT_EQ(write->AwaitDropped().callbacks, 0);
  Flush();
  EXPECT_EQ(read->outcome.Get().callbacks, 0);
  EXPECT_EQ(write->outcome.Get().callbacks, 0);
}

TEST_P(TransportSuite, DestructionRightBehindTheCallsDropsTheCallbacksUnrun) {
  Pair pair = Connected();
  ASSERT_TRUE(pair.server.Write("there").ok());
  Flush();
  auto read = std::make_shared<TestStream::Operation>();
  auto write = std::make_shared<TestStream::Operation>();
  write->pieces = {"x"};
  std::unique_ptr<Stream> stream = pair.client.Release();
  RunOn(client_loop(), [&] {
    TestStream::ReadInto(stream.get(), 10, absl::Seconds(100), read);
    TestStream::WriteFrom(stream.get(), absl::Seconds(100), write);
    stream.reset();
  });
  EXPECT_EQ(read->AwaitDropped().callbacks, 0);
  EXPECT_EQ(write->AwaitDropped().callbacks, 0);
}

TEST_P(TransportSuite, CallbackMayDestroyItsStream) {
  for (const bool in_read : {true, false}) {
    for (const bool other_waits : {true, false}) {
      Pair pair = Connected();
      std::unique_ptr<Stream> stream = pair.client.Release();
      auto other = std::make_shared<TestStream::Operation>();
      std::string buffer(100, '\0');
      Awaited<std::string> done;
      RunOn(client_loop(), [&] {
        // What the callback holds must last until it returns.
        auto text = std::make_unique<std::string>("still here");
        if (in_read) {
          if (other_waits) {
            other->pieces = {std::string(under_test().window + kMiB, 'x')};
            TestStream::WriteFrom(stream.get(), absl::Seconds(100), other);
          }
          stream->Read(absl::MakeSpan(&buffer[0], buffer.size()), absl::Seconds(100),
                       [&stream, &done, text = std::move(text)](absl::StatusOr<size_t>) {
                         stream.reset();
                         done.Set(*text);
                       });
        } else {
          if (other_waits) TestStream::ReadInto(stream.get(), 10, absl::Seconds(100), other);
          stream->Write({absl::string_view("x")}, absl::Seconds(100),
                        [&stream, &done, text = std::move(text)](absl::Status) {
                          stream.reset();
                          done.Set(*text);
                        });
        }
      });
      if (in_read) pair.server.Write("wake up").IgnoreError();
      EXPECT_TRUE(done.AwaitValue("still here"));
      if (other_waits) {
        EXPECT_EQ(other->AwaitDropped().callbacks, 0);
      }
    }
  }
}

TEST_P(TransportSuite, CallbackOfACloseMayDestroyItsStream) {
  Pair pair = Connected();
  std::unique_ptr<Stream> stream = pair.client.Release();
  auto write = std::make_shared<TestStream::Operation>();
  write->pieces = {std::string(under_test().window + kMiB, 'x')};
  std::string buffer(100, '\0');
  Awaited<bool> done;
  RunOn(client_loop(), [&] {
    TestStream::WriteFrom(stream.get(), absl::InfiniteDuration(), write);
    stream->Read(absl::MakeSpan(&buffer[0], buffer.size()), absl::InfiniteDuration(),
                 [&](absl::StatusOr<size_t> n) {
                   EXPECT_EQ(n.status().code(), absl::StatusCode::kCancelled);
                   stream.reset();
                   done.Set(true);
                 });
    stream->Close();
  });
  EXPECT_TRUE(done.AwaitValue(true));
  EXPECT_LE(write->AwaitDropped().callbacks, 1);
}

TEST_P(TransportSuite, StreamsAreDestroyedAfterTheLoopsHaveStopped) {
  Pair pair = Connected();
  const TestStream::Pending read = pair.client.StartRead(10, absl::Seconds(100));
  const TestStream::Pending write =
      pair.client.StartWrite({std::string(under_test().window + kMiB, 'x')});
  const TestStream::Pending far = pair.server.StartRead(1);
  ASSERT_TRUE(far->Await().ok());
  loops()->Stop();
  pair.server.Destroy();
  pair.client.Destroy();
  EXPECT_EQ(read->AwaitDropped().callbacks, 0);
  EXPECT_EQ(write->AwaitDropped().callbacks, 0);
}

}  // namespace
}  // namespace kvarts
