#include "net/resp/client/client.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "net/client/scripted_server.h"
#include "net/resp/client/command.h"

namespace kvarts {
namespace resp_client {
namespace {

using client::ScriptedServer;

constexpr char kPing[] = "*1\r\n$4\r\nPING\r\n";
constexpr absl::Duration kTimeout = absl::Seconds(10);

// Keeps the texts of what is answered, one string a command.
class TestCall final : public Call {
 public:
  explicit TestCall(absl::Span<const absl::string_view> args) { AddCommand(args); }

  std::string answers;
  int retries = 0;
  std::optional<absl::Status> done;
  bool refuses = false;  // what is answered
  std::function<void()> on_item = [] {};

 private:
  absl::Status OnItem(size_t command, const ReplyItem& item) override {
    EXPECT_FALSE(done.has_value());
    on_item();
    if (refuses) return NonsenseError();
    absl::StrAppend(&answers, command, ":", item.text,
                    item.kind == ReplyItem::Kind::kArray ? "*" : "", " ");
    return absl::OkStatus();
  }
  void OnRetry() override {
    ++retries;
    answers.clear();
  }
  void OnDone(const absl::Status& status) override {
    EXPECT_FALSE(done.has_value());
    done = status;
  }
};

using CallPtr = std::shared_ptr<TestCall>;

class ClientTest : public testing::Test {
 protected:
  ~ClientTest() override {
    if (client_ != nullptr) client_->Shutdown();
    server_.loop().Run();
  }
  absl::Status Open(const ClientOptions& options = {}, const std::string& replies = "+PONG\r\n") {
    client_ = Client::New(&server_, &server_.loop(), "scripted:", options);
    absl::Status opened = absl::UnknownError("not yet");
    client_->Open([&opened](const absl::Status& status) { opened = status; });
    hello_ = server_.Taken();
    if (server_.connected()) server_.Reply(replies);
    return opened;
  }
  CallPtr Start(absl::Span<const absl::string_view> args, bool is_write = false,
                absl::Duration timeout = kTimeout) {
    auto call = std::make_shared<TestCall>(args);
    if (is_write) call->SetIsWrite();
    client_->Start(call, timeout);
    server_.loop().Run();
    return call;
  }
  static std::string Sent(absl::Span<const absl::string_view> args) {
    std::string out;
    AppendCommand(args, &out);
    return out;
  }

  ScriptedServer server_;
  std::shared_ptr<Client> client_;
  std::string hello_;
};

TEST_F(ClientTest, CallsArePipelinedAndAnsweredInOrderByteByByte) {
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(hello_, kPing);
  const auto one = Start({"GET", "a"});
  const auto two = std::make_shared<TestCall>(std::vector<absl::string_view>{"MGET", "b", "c"});
  two->AddCommand({"GET", "\r\n"});
  client_->Start(two, kTimeout);
  EXPECT_EQ(server_.Taken(),
            "*2\r\n$3\r\nGET\r\n$1\r\na\r\n*3\r\n$4\r\nMGET\r\n$1\r\nb\r\n$1\r\nc\r\n"
            "*2\r\n$3\r\nGET\r\n$2\r\n\r\n\r\n");
  server_.set_step(1);
  server_.Reply("$1\r\nA\r\n*2\r\n$1\r\nB\r\n");
  EXPECT_EQ(one->done, absl::OkStatus());
  EXPECT_EQ(one->answers, "0:A ");
  EXPECT_FALSE(two->done.has_value());
  server_.Reply("$-1\r\n-ERR no\r\n");
  EXPECT_EQ(two->done, absl::OkStatus());
  EXPECT_EQ(two->answers, "0:* 0:B 0: 1:ERR no ");
}

TEST_F(ClientTest, APasswordIsSentFirst) {
  ClientOptions options;
  options.password = "pass word";
  ASSERT_TRUE(Open(options, "+OK\r\n+PONG\r\n").ok());
  EXPECT_EQ(hello_, absl::StrCat("*2\r\n$4\r\nAUTH\r\n$9\r\npass word\r\n", kPing));
}

TEST_F(ClientTest, WhatAServerRefusesAtTheStartIsSaidByItsKind) {
  for (const auto& [reply, code] : std::map<std::string, absl::StatusCode>{
           {"-NOAUTH Authentication required.\r\n", absl::StatusCode::kUnauthenticated},
           {"-WRONGPASS invalid username-password pair\r\n", absl::StatusCode::kUnauthenticated},
           {"-LOADING Redis is loading the dataset in memory\r\n", absl::StatusCode::kUnavailable},
           {"-ERR max number of clients reached\r\n", absl::StatusCode::kUnavailable},
           {"-DENIED Redis is running in protected mode\r\n", absl::StatusCode::kPermissionDenied},
           {"HTTP/1.1 400 Bad Request\r\n", absl::StatusCode::kInternal},
           {":1\r\n", absl::StatusCode::kInternal},
           {"+PONG\r\n+PONG\r\n", absl::StatusCode::kOk},
       }) {
    const absl::Status status = Open({}, reply);
    EXPECT_EQ(status.code(), code) << reply << ": " << status;
    if (!status.ok()) {
      EXPECT_TRUE(absl::StartsWith(status.message(), "scripted:: ")) << status;
    }
    client_->Shutdown();
  }
}

TEST_F(ClientTest, ASilentServerIsUnavailableAfterTheConnectTimeout) {
  client_ = Client::New(&server_, &server_.loop(), "scripted:", {});
  absl::Status opened;
  client_->Open([&opened](const absl::Status& status) { opened = status; });
  server_.loop().Run();
  server_.loop().Advance(absl::Seconds(6));
  EXPECT_EQ(opened.code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(server_.connected());
}

TEST_F(ClientTest, ALostConnectionHasReadsAskedAgainAndWritesInDoubt) {
  ASSERT_TRUE(Open().ok());
  const auto read = Start({"GET", "a"});
  const auto write = Start({"SET", "b", "1"}, /*is_write=*/true);
  const auto second = Start({"MGET", "c", "d"});
  server_.Taken();
  server_.Reply("$1\r\n");  // some of the first
  server_.Hangup();
  ASSERT_TRUE(write->done.has_value());
  EXPECT_EQ(write->done->code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(absl::StrContains(write->done->message(), "may have been applied")) << *write->done;
  EXPECT_FALSE(read->done.has_value());
  // What is started meanwhile is sent behind it.
  const auto unsent = Start({"SET", "e", "2"}, /*is_write=*/true);
  EXPECT_EQ(server_.Taken(), kPing);
  server_.Reply("+PONG\r\n");
  EXPECT_EQ(server_.Taken(),
            Sent({"GET", "a"}) + Sent({"MGET", "c", "d"}) + Sent({"SET", "e", "2"}));
  server_.Reply("$1\r\nA\r\n*2\r\n$1\r\nC\r\n$1\r\nD\r\n+OK\r\n");
  EXPECT_EQ(read->answers, "0:A ");
  EXPECT_EQ(read->retries, 1);
  EXPECT_EQ(second->answers, "0:* 0:C 0:D ");
  EXPECT_EQ(unsent->answers, "0:OK ");
  EXPECT_EQ(unsent->done, absl::OkStatus());
}

TEST_F(ClientTest, ItemsOfACallThatIsAskedAgainAreForgotten) {
  ASSERT_TRUE(Open().ok());
  const auto call = Start({"MGET", "a", "b"});
  server_.Reply("*2\r\n$1\r\nA\r\n");
  EXPECT_EQ(call->answers, "0:* 0:A ");
  server_.Hangup();
  server_.Reply("+PONG\r\n");
  EXPECT_EQ(call->retries, 1);
  server_.Reply("*2\r\n$1\r\nX\r\n$1\r\nY\r\n");
  EXPECT_EQ(call->answers, "0:* 0:X 0:Y ");
}

TEST_F(ClientTest, AReplyThatIsNoRespEndsTheCallAndTheOthersAreAskedAgain) {
  for (const std::string& bad :
       {std::string("?\r\n"), std::string("$67108865\r\n"), std::string("*2000000\r\n"),
        std::string("$1\r\nabc\r\n"), absl::StrCat("+", std::string(70000, 'x'))}) {
    ASSERT_TRUE(Open().ok());
    const auto first = Start({"GET", "a"});
    const auto second = Start({"GET", "b"});
    server_.Taken();
    server_.Reply(bad);
    ASSERT_TRUE(first->done.has_value()) << bad.substr(0, 20);
    EXPECT_EQ(first->done->code(), absl::StatusCode::kInternal) << *first->done;
    EXPECT_FALSE(second->done.has_value());
    EXPECT_EQ(server_.Taken(), kPing);
    server_.Reply("+PONG\r\n");
    EXPECT_EQ(server_.Taken(), Sent({"GET", "b"}));
    server_.Reply("$1\r\nB\r\n");
    EXPECT_EQ(second->done, absl::OkStatus());
    client_->Shutdown();
  }
}

TEST_F(ClientTest, AnAnswerThatDoesNotFitEndsTheConnection) {
  ASSERT_TRUE(Open().ok());
  const auto read = Start({"GET", "a"});
  read->refuses = true;
  server_.Reply(":1\r\n");
  EXPECT_EQ(read->done->code(), absl::StatusCode::kInternal);
  const auto write = Start({"SET", "a", "1"}, /*is_write=*/true);
  write->refuses = true;
  server_.Reply("+PONG\r\n");
  server_.Reply(":1\r\n");
  EXPECT_EQ(write->done->code(), absl::StatusCode::kDeadlineExceeded) << "it may be applied";
}

TEST_F(ClientTest, AReplyThatNobodyAskedForEndsTheConnection) {
  ASSERT_TRUE(Open().ok());
  server_.Reply("+OK\r\n");
  EXPECT_FALSE(server_.connected());
  const auto call = Start({"GET", "a"});
  EXPECT_EQ(server_.attempts(), 2);
  EXPECT_FALSE(call->done.has_value());
}

TEST_F(ClientTest, ALateAnswerIsSkipped) {
  ASSERT_TRUE(Open().ok());
  const auto late = Start({"MGET", "a", "b"}, false, absl::Seconds(1));
  const auto patient = Start({"GET", "c"});
  server_.Reply("*2\r\n");
  server_.loop().Advance(absl::Seconds(2));
  ASSERT_TRUE(late->done.has_value());
  EXPECT_EQ(late->done->code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(late->answers, "0:* ");
  server_.Reply("$1\r\nA\r\n$1\r\nB\r\n$1\r\nC\r\n");
  EXPECT_EQ(late->answers, "0:* ");
  EXPECT_EQ(patient->answers, "0:C ");
  EXPECT_EQ(server_.attempts(), 1);
}

TEST_F(ClientTest, AServerThatStopsAnsweringCostsTheDeadlineAndTheConnection) {
  ASSERT_TRUE(Open().ok());
  const auto read = Start({"GET", "a"}, false, absl::Seconds(1));
  const auto write = Start({"SET", "a", "1"}, true, absl::Seconds(1));
  const auto patient = Start({"GET", "b"});
  server_.Taken();
  server_.loop().Advance(absl::Seconds(2));
  EXPECT_EQ(read->done->code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(write->done->code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(absl::StrContains(write->done->message(), "may have been applied"));
  EXPECT_EQ(server_.attempts(), 2);
  server_.Reply("+PONG\r\n");
  EXPECT_EQ(server_.Taken(), absl::StrCat(kPing, Sent({"GET", "b"})));
  server_.Reply("$1\r\nB\r\n");
  EXPECT_EQ(patient->answers, "0:B ");
}

TEST_F(ClientTest, WithoutAServerCallsAreUnavailableAndComeBackWithIt) {
  ASSERT_TRUE(Open().ok());
  server_.set_listens(false);
  server_.Hangup();
  const auto read = Start({"GET", "a"}, false, absl::Seconds(1));
  const auto write = Start({"SET", "a", "1"}, true, absl::Seconds(1));
  const auto patient = Start({"SET", "b", "2"}, true, absl::Seconds(10));
  server_.loop().Advance(absl::Seconds(2));
  EXPECT_EQ(read->done->code(), absl::StatusCode::kUnavailable) << *read->done;
  EXPECT_EQ(write->done->code(), absl::StatusCode::kUnavailable) << *write->done;
  EXPECT_LT(server_.attempts(), 20) << "it waits between them";
  server_.set_listens(true);
  server_.loop().Advance(absl::Seconds(2));
  server_.Reply("+PONG\r\n");
  server_.Reply("+OK\r\n");
  EXPECT_EQ(patient->done, absl::OkStatus());
}

TEST_F(ClientTest, ItsEndEndsAllCalls) {
  ASSERT_TRUE(Open().ok());
  const auto read = Start({"GET", "a"});
  const auto write = Start({"SET", "a", "1"}, true);
  server_.Taken();
  client_->Shutdown();
  EXPECT_EQ(read->done->code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(write->done->code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(server_.connected());
  EXPECT_EQ(Start({"GET", "a"})->done->code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ClientTest, AnItemMayShutTheClientDown) {
  ASSERT_TRUE(Open().ok());
  const auto read = Start({"GET", "a"});
  const auto next = Start({"GET", "b"});
  read->on_item = [this, &read] {
    client_->Shutdown();
    EXPECT_EQ(read->done->code(), absl::StatusCode::kFailedPrecondition);
    read->done.reset();
  };
  server_.Reply("$1\r\nA\r\n$1\r\nB\r\n");
  EXPECT_FALSE(read->done.has_value()) << "twice";
  EXPECT_EQ(next->done->code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ClientTest, AServerThatTurnsOutToBeNoneOfRedisEndsWhatWaits) {
  ASSERT_TRUE(Open().ok());
  server_.Hangup();
  const auto call = Start({"GET", "a"});
  server_.Reply("HTTP/1.1 400 Bad Request\r\n");
  ASSERT_TRUE(call->done.has_value());
  EXPECT_EQ(call->done->code(), absl::StatusCode::kInternal);
}

TEST(ErrorStatusTest, ErrorsKeepTheirTextAndGetACode) {
  const auto code = [](absl::string_view error) { return ErrorStatus(error).code(); };
  EXPECT_EQ(ErrorStatus("OOM command not allowed"),
            absl::ResourceExhaustedError("OOM command not allowed"));
  EXPECT_EQ(code("LOADING kvarts is loading"), absl::StatusCode::kUnavailable);
  EXPECT_EQ(code("READONLY You can't write"), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code("MOVED 12182 127.0.0.1:17203"), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code("ERR unknown command 'X'"), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(code("ERR syntax error"), absl::StatusCode::kInternal);
  EXPECT_EQ(code(""), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace resp_client
}  // namespace kvarts
