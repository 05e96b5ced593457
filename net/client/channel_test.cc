#include "net/client/channel.h"

#include <array>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "net/client/scripted_server.h"
#include "net/transport.h"

namespace kvarts {
namespace client {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(10);

// Calls are names, one a line. What the server says:
//   hi SESSION   to the hello, which is "hi"
//   NAME         the answer to one of them
//   bye, no, ?   that it goes and did nothing else; that it refuses; nonsense
class LineCall final : public Call {
 public:
  enum class Kind : unsigned char { kRead, kWrite, kOnce };
  static constexpr Kind kRead = Kind::kRead;
  static constexpr Kind kWrite = Kind::kWrite;
  static constexpr Kind kOnce = Kind::kOnce;

  LineCall(std::string name, Kind kind, bool waits) : name_(std::move(name)) {
    bytes_ = name_ + "\n";
    waits_ = waits;
    if (kind == kWrite) resend_ = Resend::kSameSession;
    if (kind == kOnce) resend_ = Resend::kNever;
  }
  const std::string& name() const { return name_; }
  absl::StatusCode code() const { return done.value_or(absl::UnknownError("not done")).code(); }
  bool is_in_doubt() const {
    return absl::IsDeadlineExceeded(*done) && absl::StrContains(done->message(), "may have been");
  }

  int retries = 0;
  std::optional<absl::Status> done;
  std::function<void()> on_retry = [] {};
  std::function<void()> on_done = [] {};
  std::shared_ptr<void> holds;

 private:
  void OnRetry() override {
    ++retries;
    on_retry();
  }
  void OnDone(const absl::Status& status) override {
    EXPECT_FALSE(done.has_value()) << name_;
    done = status;
    std::exchange(on_done, nullptr)();
  }

  const std::string name_;
};

using LineCallPtr = std::shared_ptr<LineCall>;

class LineChannel final : public Channel {
 public:
  static std::shared_ptr<LineChannel> New(Transport* transport, EventLoop* loop,
                                          const ChannelOptions& options) {
    return std::shared_ptr<LineChannel>(new LineChannel(transport, loop, options));
  }
  ~LineChannel() override { CloseStream(); }

  void Start(LineCallPtr call, absl::Duration timeout) { Channel::Start(std::move(call), timeout); }
  size_t in_flight() const { return in_flight_.size(); }
  size_t most_in_flight = 3;

 private:
  LineChannel(Transport* transport, EventLoop* loop, const ChannelOptions& options)
      : Channel(transport, loop, "scripted:", options),
        buffer_(std::make_unique<std::array<char, 64>>()) {}

  std::string Hello() override {
    line_.clear();
    in_flight_.clear();
    return "hi\n";
  }
  absl::Span<char> Space() override { return absl::MakeSpan(*buffer_); }
  absl::Status Take(size_t n) override {
    for (const char c : absl::string_view(buffer_->data(), n)) {
      if (!is_open()) break;
      if (c != '\n') {
        line_ += c;
      } else if (absl::Status status = TakeLine(std::exchange(line_, "")); !status.ok()) {
        return status;
      }
    }
    return absl::OkStatus();
  }
  absl::Status TakeLine(absl::string_view line) {
    if (absl::ConsumePrefix(&line, "hi ")) {
      Ready(line);
      return absl::OkStatus();
    }
    if (line == "bye") return absl::UnavailableError(line);
    if (line == "no") return absl::PermissionDeniedError(line);
    const auto found = in_flight_.find(std::string(line));
    if (found == in_flight_.end()) return absl::InternalError(line);
    Complete(CallPtr(found->second));
    return absl::OkStatus();
  }
  bool Admit(const CallPtr& call) override {
    if (in_flight_.size() == most_in_flight) return false;
    return in_flight_.emplace(NameOf(*call), call).second;
  }
  void DidEnd(const Call& call) override { in_flight_.erase(NameOf(call)); }

  static const std::string& NameOf(const Call& call) {
    return static_cast<const LineCall&>(call).name();
  }

  std::unique_ptr<std::array<char, 64>> buffer_;
  std::string line_;
  std::map<std::string, CallPtr> in_flight_;
};

class ChannelTest : public testing::Test {
 protected:
  ~ChannelTest() override {
    if (channel_ != nullptr) channel_->Shutdown();
    loop().Run();
  }
  void Make(const ChannelOptions& options = {}) {
    channel_ = LineChannel::New(&server_, &loop(), options);
    channel_->Open([this](const absl::Status& status) {
      opened_ = status;
      if (on_open_) on_open_();
    });
  }
  void Open() {
    Make();
    Hear("hi\n");
    server_.Reply("hi 1\n");
    ASSERT_TRUE(opened_.ok()) << opened_;
  }
  LineCallPtr Start(const std::string& name, LineCall::Kind kind = LineCall::kRead,
                    absl::Duration timeout = kTimeout, bool waits = true) {
    auto call = std::make_shared<LineCall>(name, kind, waits);
    channel_->Start(call, timeout);
    return call;
  }
  // What comes next at the server.
  void Hear(absl::string_view bytes) { EXPECT_EQ(server_.Taken(), bytes); }
  // Comes back on a new connection.
  void Reconnect(absl::string_view session) {
    Hear("hi\n");
    server_.Reply(absl::StrCat("hi ", session, "\n"));
  }
  // No new connection is made from now on.
  void StopListening() {
    server_.set_listens(false);
    server_.Hangup();
  }
  ScriptedLoop& loop() { return server_.loop(); }

  ScriptedServer server_;
  std::shared_ptr<LineChannel> channel_;
  absl::Status opened_ = absl::UnknownError("not yet");
  std::function<void()> on_open_;
};

TEST_F(ChannelTest, CallsThatWaitAreSentAtOnceAndAnsweredInTheServersOrder) {
  Open();
  const auto a = Start("a");
  const auto b = Start("b", LineCall::kWrite);
  Hear("a\nb\n");
  server_.Reply("b\n");
  EXPECT_EQ(b->done, absl::OkStatus());
  EXPECT_FALSE(a->done.has_value());
  server_.set_step(1);
  server_.Reply("a\n");
  EXPECT_EQ(a->done, absl::OkStatus());
  EXPECT_EQ(server_.attempts(), 1);
}

TEST_F(ChannelTest, NoMoreIsSentThanTheProtocolAdmits) {
  Open();
  for (const char* name : {"a", "b", "c", "d", "e"}) Start(name);
  Hear("a\nb\nc\n");
  server_.Reply("b\n");
  Hear("d\n");
  server_.Reply("a\nc\n");
  Hear("e\n");
}

TEST_F(ChannelTest, ReadsOfALostConnectionAreSentAgainInTheirOrderBeforeWhatCameSince) {
  Open();
  const auto a = Start("a");
  const auto b = Start("b", LineCall::kRead, absl::Seconds(5));  // ends first, was started second
  const auto c = Start("c");
  Hear("a\nb\nc\n");
  server_.Hangup();
  Start("0");
  Reconnect("2");
  Hear("a\nb\nc\n");
  EXPECT_EQ(a->retries, 1);
  server_.Reply("a\nb\nc\n");
  EXPECT_EQ(a->done, absl::OkStatus());
  EXPECT_EQ(c->done, absl::OkStatus());
  Hear("0\n");
}

TEST_F(ChannelTest, AWriteIsSentAgainInItsSession) {
  Open();
  const auto write = Start("w", LineCall::kWrite);
  Hear("w\n");
  server_.Hangup();
  Reconnect("1");
  Hear("w\n");
  server_.Reply("w\n");
  EXPECT_EQ(write->done, absl::OkStatus());
}

TEST_F(ChannelTest, AWriteOfAnotherSessionIsInDoubt) {
  Open();
  const auto write = Start("w", LineCall::kWrite);
  Hear("w\n");
  server_.Hangup();
  const auto unsent = Start("u", LineCall::kWrite);
  Reconnect("2");
  EXPECT_TRUE(write->is_in_doubt()) << *write->done;
  Hear("u\n");
}

TEST_F(ChannelTest, WhatMustNotBeRepeatedEndsWithItsConnection) {
  Open();
  const auto once = Start("o", LineCall::kOnce);
  Hear("o\n");
  server_.Hangup();
  EXPECT_TRUE(once->is_in_doubt()) << *once->done;
  const auto unsent = Start("u", LineCall::kOnce);
  Reconnect("1");
  Hear("u\n");
}

TEST_F(ChannelTest, WhatTheServerSaysItDidNotDoIsSentToAnyOther) {
  Open();
  Start("w", LineCall::kWrite);
  Start("o", LineCall::kOnce);
  Hear("w\no\n");
  server_.Reply("bye\n");
  Reconnect("2");
  Hear("w\no\n");
}

TEST_F(ChannelTest, AConnectionThatDidNothingSaysNothingOfTheOneBeforeIt) {
  Open();
  const auto write = Start("w", LineCall::kWrite);
  Hear("w\n");
  server_.Hangup();
  Reconnect("1");
  Hear("w\n");
  server_.Reply("bye\n");
  loop().Advance(absl::Seconds(1));
  Reconnect("2");
  EXPECT_TRUE(write->is_in_doubt()) << *write->done;
}

TEST_F(ChannelTest, ARefusalEndsAllCallsAndNonsenseNone) {
  Open();
  const auto read = Start("r");
  const auto write = Start("w", LineCall::kWrite);
  Hear("r\nw\n");
  server_.Reply("?\n");
  Reconnect("1");
  Hear("r\nw\n");
  server_.Reply("no\n");
  EXPECT_EQ(read->code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(read->done->message(), "scripted:: no");
  EXPECT_TRUE(write->is_in_doubt()) << *write->done;
  EXPECT_FALSE(server_.connected());
  EXPECT_EQ(server_.attempts(), 2) << "nobody waits for it";
}

TEST_F(ChannelTest, AHelloThatIsRefusedIsSaidToOpenAndToAllCalls) {
  Make();
  const auto call = Start("a");
  Hear("hi\n");
  server_.Reply("no\n");
  EXPECT_EQ(opened_.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(call->code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(ChannelTest, AServerThatDoesNotSayHelloIsUnavailable) {
  Make();
  Hear("hi\n");
  loop().Advance(absl::Seconds(6));
  EXPECT_EQ(opened_.code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(server_.connected());
}

TEST_F(ChannelTest, ARefusalIsHeardThoughTheCallsBeforeItCannotBeSent) {
  Open();
  server_.wire().fails_writes = true;
  const auto call = Start("a");
  loop().Run();
  Start("b");
  loop().Run();
  EXPECT_EQ(channel_->in_flight(), 1U) << "nothing more is sent";
  server_.Reply("no\n");
  EXPECT_EQ(call->code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(ChannelTest, AnOpenConnectionMayStandIdle) {
  Open();
  loop().Advance(absl::Hours(1));
  EXPECT_TRUE(server_.connected());
}

TEST_F(ChannelTest, AConnectionMayBeLostWhileItIsWrittenTo) {
  Open();
  server_.wire().takes_writes = false;
  Start("a");
  loop().Run();
  server_.Hangup();
  Reconnect("1");
  Hear("a\n");
}

TEST_F(ChannelTest, WhereNoConnectionIsMadeInTimeTheServerIsUnavailable) {
  server_.set_listens(false);
  server_.set_refusal(absl::DeadlineExceededError("timed out"));
  Make();
  loop().Run();
  EXPECT_EQ(opened_.code(), absl::StatusCode::kUnavailable);
}

TEST_F(ChannelTest, WhereTryingAgainIsOfNoUseCallsDoNotWait) {
  Open();
  server_.set_refusal(absl::PermissionDeniedError("not you"));
  StopListening();
  const auto call = Start("a");
  loop().Run();
  EXPECT_EQ(call->code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(ChannelTest, WithoutAServerCallsWaitForItUntilTheirDeadline) {
  Open();
  StopListening();
  const auto short_one = Start("s", LineCall::kOnce, absl::Seconds(1));
  const auto long_one = Start("l", LineCall::kWrite);
  loop().Advance(absl::Seconds(2));
  EXPECT_EQ(short_one->code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(short_one->done->message(), "scripted:: nobody listens");
  server_.set_listens(true);
  loop().Advance(absl::Seconds(1));
  Reconnect("2");
  Hear("l\n");
}

TEST_F(ChannelTest, WhatDoesNotWaitEndsWithTheNextAttemptUnlessItIsInDoubt) {
  Open();
  const auto write = Start("w", LineCall::kWrite, kTimeout, /*waits=*/false);
  Hear("w\n");
  StopListening();
  EXPECT_FALSE(write->done.has_value());
  const auto hasty = Start("h", LineCall::kWrite, kTimeout, /*waits=*/false);
  const auto patient = Start("p");
  loop().Advance(absl::Seconds(2));
  EXPECT_EQ(hasty->code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(write->done.has_value());
  EXPECT_FALSE(patient->done.has_value());
}

TEST_F(ChannelTest, AttemptsToConnectSlowDownUntilAnAnswerComes) {
  Open();
  StopListening();
  Start("a", LineCall::kRead, absl::Hours(1));
  std::vector<int> attempts;
  for (const int ms : {0, 19, 1, 39, 1, 79, 1}) {
    loop().Advance(absl::Milliseconds(ms));
    attempts.push_back(server_.attempts());
  }
  EXPECT_EQ(attempts, (std::vector<int>{2, 2, 3, 3, 4, 4, 5}));
  loop().Advance(absl::Seconds(60));
  const int before = server_.attempts();
  loop().Advance(absl::Seconds(10));
  EXPECT_EQ(server_.attempts(), before + 10);
  server_.set_listens(true);
  loop().Advance(absl::Seconds(1));
  server_.Reply("hi 1\n");
  server_.Hangup();  // no answer came: as slow as before
  EXPECT_FALSE(server_.connected());
  loop().Advance(absl::Seconds(1));
  server_.Reply("hi 1\n");
  server_.Reply("a\n");
  Start("b");
  server_.Hangup();
  EXPECT_TRUE(server_.connected()) << "at once";
}

TEST_F(ChannelTest, NobodyConnectsWhileNobodyCalls) {
  Open();
  server_.Hangup();
  loop().Advance(absl::Seconds(10));
  EXPECT_EQ(server_.attempts(), 1);
}

TEST_F(ChannelTest, NobodyConnectsForCallsThatAreOver) {
  Open();
  StopListening();
  Start("a", LineCall::kRead, absl::Milliseconds(1500));
  loop().Advance(absl::Milliseconds(1500));
  const int before = server_.attempts();
  loop().Advance(absl::Seconds(10));
  EXPECT_EQ(server_.attempts(), before);
}

TEST_F(ChannelTest, WhatIsStartedDuringAWriteIsSentBehindIt) {
  Open();
  server_.wire().takes_writes = false;
  Start("a");
  loop().Run();
  Start("b");
  loop().Run();
  server_.wire().takes_writes = true;
  server_.Reply("");
  Hear("a\nb\n");
}

TEST_F(ChannelTest, AWriteTakesSomeCallsSoThatTheFirstAnswersComeEarly) {
  struct Case {
    size_t bytes;
    int started;
    size_t sent;
  };
  for (const Case& c : {Case{1, 300, 256}, Case{400 << 10, 10, 3}}) {
    Open();
    channel_->most_in_flight = 1000;
    server_.wire().takes_writes = false;
    for (int i = 0; i < c.started; ++i) Start(absl::StrCat(i, std::string(c.bytes, 'x')));
    loop().Run();
    EXPECT_EQ(channel_->in_flight(), c.sent);
    channel_->Shutdown();
  }
}

TEST_F(ChannelTest, EachCallHasADeadlineOfItsOwn) {
  Open();
  StopListening();
  const auto a = Start("a", LineCall::kRead, absl::Seconds(2));
  const auto b = Start("b", LineCall::kRead, absl::Seconds(3));
  loop().Run();
  const auto c = Start("c", LineCall::kRead, absl::Seconds(1));
  for (const LineCallPtr& next : {c, a, b}) {
    EXPECT_FALSE(next->done.has_value());
    loop().Advance(absl::Seconds(1));
    EXPECT_EQ(next->code(), absl::StatusCode::kUnavailable);
  }
}

TEST_F(ChannelTest, AServerThatAnswersOthersKeepsItsConnection) {
  Open();
  const auto late = Start("l", LineCall::kRead, absl::Seconds(1));
  const auto write = Start("w", LineCall::kWrite, absl::Seconds(1));
  const auto other = Start("o");
  Hear("l\nw\no\n");
  server_.Reply("o\n");
  loop().Advance(absl::Seconds(2));
  EXPECT_EQ(late->code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(late->is_in_doubt());
  EXPECT_TRUE(write->is_in_doubt());
  EXPECT_TRUE(server_.connected());
  EXPECT_EQ(channel_->in_flight(), 0U);
}

TEST_F(ChannelTest, AServerThatIsSilentUntilADeadlineLosesItsConnection) {
  Open();
  const auto late = Start("l", LineCall::kRead, absl::Seconds(1));
  Start("p");
  Hear("l\np\n");
  loop().Advance(absl::Seconds(2));
  EXPECT_EQ(late->code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(server_.attempts(), 2);
  Reconnect("1");
  Hear("p\n");
}

TEST_F(ChannelTest, ItsEndEndsAllCalls) {
  Open();
  const auto read = Start("r");
  const auto write = Start("w", LineCall::kWrite);
  Hear("r\nw\n");
  const auto incoming = Start("i");
  channel_->Shutdown();
  EXPECT_EQ(read->code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(write->is_in_doubt());
  EXPECT_EQ(incoming->code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(server_.connected());
  EXPECT_EQ(Start("a")->code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ChannelTest, AfterItsEndItKeepsNoCalls) {
  Open();
  StopListening();
  const std::weak_ptr<Channel> weak = channel_;
  Start("a")->holds = channel_;
  loop().Run();
  channel_->Shutdown();
  channel_.reset();
  EXPECT_TRUE(weak.expired());
}

TEST_F(ChannelTest, AfterItsEndItDoesNotOpen) {
  channel_ = LineChannel::New(&server_, &loop(), {});
  channel_->Shutdown();
  channel_->Open([this](const absl::Status& status) { opened_ = status; });
  loop().Run();
  EXPECT_EQ(opened_.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(server_.attempts(), 0);
}

TEST_F(ChannelTest, ItMayEndWhileItConnects) {
  Make();
  loop().Post([this] { channel_->Shutdown(); });  // behind what begins to connect
  loop().Run();
  EXPECT_EQ(server_.attempts(), 1);
  EXPECT_EQ(opened_.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(server_.connected());
}

TEST_F(ChannelTest, ACallThatIsAnsweredMayShutItDown) {
  Open();
  const auto a = Start("a");
  const auto b = Start("b");
  a->on_done = [this] { channel_->Shutdown(); };
  server_.Reply("a\nb\n");
  EXPECT_EQ(a->done, absl::OkStatus());
  EXPECT_EQ(b->code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ChannelTest, ACallThatIsLostMayShutItDown) {
  Open();
  const auto a = Start("a", LineCall::kOnce);
  const auto b = Start("b", LineCall::kOnce);
  const auto c = Start("c");
  Hear("a\nb\nc\n");
  b->on_done = [this] { channel_->Shutdown(); };
  server_.Hangup();
  EXPECT_TRUE(a->is_in_doubt());
  EXPECT_TRUE(b->is_in_doubt());
  EXPECT_EQ(c->code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ChannelTest, ACallThatIsAskedAgainMayShutItDown) {
  Open();
  const auto a = Start("a");
  const auto b = Start("b");
  Hear("a\nb\n");
  b->on_retry = [this] { channel_->Shutdown(); };
  server_.Hangup();
  EXPECT_EQ(a->code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(b->code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(a->retries, 0);
}

TEST_F(ChannelTest, ACallOfAnotherSessionMayShutItDown) {
  Open();
  const auto a = Start("a", LineCall::kWrite);
  const auto b = Start("b", LineCall::kWrite);
  Hear("a\nb\n");
  server_.Hangup();
  a->on_done = [this] { channel_->Shutdown(); };
  Reconnect("2");
  EXPECT_TRUE(a->is_in_doubt());
  EXPECT_TRUE(b->is_in_doubt());
  EXPECT_FALSE(server_.connected());
}

TEST_F(ChannelTest, ACallThatDoesNotWaitMayShutItDown) {
  Open();
  StopListening();
  const auto a = Start("a", LineCall::kRead, kTimeout, /*waits=*/false);
  const auto b = Start("b", LineCall::kRead, kTimeout, /*waits=*/false);
  a->on_done = [this] { channel_->Shutdown(); };
  loop().Run();
  EXPECT_EQ(a->code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(b->code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ChannelTest, ACallWhoseTimeIsOverMayShutItDown) {
  Open();
  const auto a = Start("a", LineCall::kRead, absl::Seconds(1));
  const auto b = Start("b", LineCall::kRead, absl::Seconds(1));
  Hear("a\nb\n");
  a->on_done = [this] { channel_->Shutdown(); };
  loop().Advance(absl::Seconds(2));
  EXPECT_EQ(a->code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(b->code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ChannelTest, WhoeverIsToldThatItIsOpenMayShutItDown) {
  on_open_ = [this] { channel_->Shutdown(); };
  Make();
  const auto call = Start("a");
  Hear("hi\n");
  server_.Reply("hi 1\n");
  EXPECT_EQ(call->code(), absl::StatusCode::kFailedPrecondition);
  server_.set_listens(false);
  Make();
  const auto other = Start("b", LineCall::kRead, kTimeout, /*waits=*/false);
  loop().Run();
  EXPECT_EQ(other->code(), absl::StatusCode::kFailedPrecondition);
}

// Each lets go of the channel in a callback, as the last who holds it.
TEST_F(ChannelTest, ItMayBeLetGoOfWhereACallIsAnswered) {
  Open();
  const std::weak_ptr<Channel> weak = channel_;
  Start("a")->on_done = [this] { channel_.reset(); };
  Start("b");
  server_.Reply("a\nb\n");
  EXPECT_TRUE(weak.expired());
  EXPECT_FALSE(server_.connected());
}

TEST_F(ChannelTest, ItMayBeLetGoOfWhereACallIsLost) {
  Open();
  const std::weak_ptr<Channel> weak = channel_;
  Start("a", LineCall::kOnce)->on_done = [this] { channel_.reset(); };
  Start("b");
  loop().Run();
  server_.Hangup();
  EXPECT_TRUE(weak.expired());
}

TEST_F(ChannelTest, ItMayBeLetGoOfWhereTheServerDoesNotSayHello) {
  Make();
  const std::weak_ptr<Channel> weak = channel_;
  Start("a", LineCall::kRead, kTimeout, /*waits=*/false)->on_done = [this] { channel_.reset(); };
  Hear("hi\n");
  loop().Advance(absl::Seconds(6));
  EXPECT_TRUE(weak.expired());
}

TEST_F(ChannelTest, ItMayBeLetGoOfWhereItsEndEndsACall) {
  Open();
  const std::weak_ptr<Channel> weak = channel_;
  Start("a")->on_done = [this] { channel_.reset(); };
  Start("b");
  loop().Run();
  channel_->Shutdown();
  EXPECT_TRUE(weak.expired());
}

TEST_F(ChannelTest, ItMayBeLetGoOfWhereTheTimeOfACallIsOver) {
  Open();
  const std::weak_ptr<Channel> weak = channel_;
  Start("a", LineCall::kRead, absl::Seconds(1))->on_done = [this] { channel_.reset(); };
  loop().Advance(absl::Seconds(2));
  EXPECT_TRUE(weak.expired());
}

TEST_F(ChannelTest, ItMayBeLetGoOfByACallOfWhichOnlyTheBytesAreUsed) {
  Open();
  const std::weak_ptr<Channel> weak = channel_;
  server_.wire().takes_writes = false;
  Start("a", LineCall::kRead, absl::Seconds(1))->holds = channel_;
  loop().Run();
  server_.Reply("so it is not silent");
  loop().Advance(absl::Seconds(2));
  channel_.reset();
  ASSERT_FALSE(weak.expired());
  server_.wire().takes_writes = true;
  server_.Reply("");
  EXPECT_TRUE(weak.expired());
}

TEST_F(ChannelTest, ItMayBeLetGoOfByACallThatWasOverBeforeItWasSent) {
  Open();
  StopListening();
  const std::weak_ptr<Channel> weak = channel_;
  Start("a", LineCall::kRead, absl::Milliseconds(1500))->holds = channel_;
  loop().Advance(absl::Milliseconds(1500));
  channel_.reset();
  ASSERT_FALSE(weak.expired());
  loop().Advance(absl::Seconds(1));
  EXPECT_TRUE(weak.expired());
}

}  // namespace
}  // namespace client
}  // namespace kvarts
