// What callbacks may do to the client that calls them, and whom a client talks to.

#include "net/native/client.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "net/event_loop.h"
#include "net/fixed_cluster.h"
#include "net/loopback/loopback.h"
#include "net/remote/served_store.h"
#include "net/waiting.h"
#include "testing/model/model_store.h"

namespace kvarts {
namespace native {
namespace {

// A PING that does something when it is answered, or done.
class ActingCall final : public ClientCall {
 public:
  using Action = std::function<void()>;

  ActingCall(Client* client, Action on_answer, Action on_done)
      : on_answer_(std::move(on_answer)), on_done_(std::move(on_done)) {
    Request request;
    request.set_id(client->NewId());
    request.set_operation(PING);
    SetRequest(request, {});
  }

  absl::Status Wait() { return waiter_.Wait(); }

 private:
  absl::Status OnAnswer(const Response&, absl::string_view, FrameReader*) override {
    if (on_answer_) on_answer_();
    return absl::OkStatus();
  }
  void OnDone(const absl::Status& status) override {
    if (on_done_) on_done_();
    waiter_.Done(status);
  }

  const Action on_answer_;
  const Action on_done_;
  StatusWaiter waiter_;
};

class ClientTest : public testing::Test {
 protected:
  ClientTest() { Start({}); }
  ~ClientTest() override {
    if (client_ != nullptr) RunOnLoop(loop(), [this] { client_->Shutdown(); });
  }

  void Start(const NativeServerOptions& options) {
    served_.reset();
    served_ = *ServedStore::Start(NewModelStore(), transport_.get(), "loopback:s", options);
  }
  absl::Status Open(ClientOptions options = {}) {
    options.client_id = "client";
    client_ = Client::New(transport_.get(), loop(), "loopback:s", options);
    StatusWaiter opened;
    client_->Open([&](const absl::StatusOr<ServerHello>& hello) { opened.Done(hello.status()); });
    return opened.Wait();
  }
  std::shared_ptr<ActingCall> Ping(ActingCall::Action on_answer, ActingCall::Action on_done,
                                   absl::Duration timeout = absl::Seconds(60)) {
    auto call =
        std::make_shared<ActingCall>(client_.get(), std::move(on_answer), std::move(on_done));
    client_->Start(call, timeout);
    return call;
  }
  EventLoop* loop() { return loops_->loop(0); }

  const std::unique_ptr<Transport> transport_ = NewLoopbackTransport();
  const std::unique_ptr<EventLoops> loops_ = *EventLoops::New(1);
  std::unique_ptr<ServedStore> served_;
  std::shared_ptr<Client> client_;
};

TEST_F(ClientTest, ACallThatIsDoneMayShutTheClientDown) {
  ASSERT_TRUE(Open().ok());
  EXPECT_TRUE(Ping(nullptr, [this] { client_->Shutdown(); })->Wait().ok());
  EXPECT_EQ(Ping(nullptr, nullptr)->Wait().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ClientTest, AnAnswerMayShutTheClientDownBeforeItsCallIsDone) {
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(Ping([this] { client_->Shutdown(); }, nullptr)->Wait().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(ClientTest, ACallThatIsDoneMayLetGoOfTheClient) {
  ASSERT_TRUE(Open().ok());
  const std::weak_ptr<Client> weak = client_;
  auto call = Ping(nullptr, [this] { client_.reset(); });
  EXPECT_TRUE(call->Wait().ok());
  ASSERT_TRUE(RunOnLoop(loop(), [] {}));
  EXPECT_TRUE(weak.expired());
}

TEST_F(ClientTest, TheFirstOfManyThatFailMayShutTheClientDown) {
  ASSERT_TRUE(Open().ok());
  // All of them wait when the server turns out to be another one.
  std::shared_ptr<ActingCall> calls[3];
  NativeServerOptions options;
  options.password = "secret";
  ASSERT_TRUE(RunOnLoop(loop(), [&] {
    for (auto& call : calls) call = Ping(nullptr, [this] { client_->Shutdown(); });
  }));
  Start(options);
  for (auto& call : calls) call->Wait().IgnoreError();
  auto late = Ping(nullptr, nullptr);
  EXPECT_EQ(late->Wait().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ClientTest, ACallWhoseTimeIsOverMayShutTheClientDown) {
  ASSERT_TRUE(Open().ok());
  served_.reset();  // nobody answers
  std::shared_ptr<ActingCall> calls[2];
  for (auto& call : calls) {
    call = Ping(
        nullptr, [this] { client_->Shutdown(); }, absl::Milliseconds(1));
  }
  EXPECT_EQ(calls[0]->Wait().code(), absl::StatusCode::kUnavailable);
  calls[1]->Wait().IgnoreError();
}

TEST_F(ClientTest, AClientThatWasShutDownDoesNotConnect) {
  client_ = Client::New(transport_.get(), loop(), "loopback:s", {});
  ASSERT_TRUE(RunOnLoop(loop(), [this] { client_->Shutdown(); }));
  StatusWaiter opened;
  client_->Open([&](const absl::StatusOr<ServerHello>& hello) { opened.Done(hello.status()); });
  EXPECT_EQ(opened.Wait().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ClientTest, AServerOfAnotherClusterThatHasTheAddressByNowIsNotTalkedTo) {
  FixedCluster cluster;
  FixedCluster another;
  another.Change([](kvarts::ClusterMap* map) { map->cluster_id = std::string(40, 'd'); });
  NativeServerOptions of_cluster;
  of_cluster.cluster = &cluster;
  NativeServerOptions of_another;
  of_another.cluster = &another;
  ClientOptions options;
  options.features = {std::string(kClusterFeature)};
  options.waits = false;
  for (const std::string& named : {std::string(), cluster.map()->cluster_id}) {
    Start(of_cluster);
    if (client_ != nullptr) RunOnLoop(loop(), [this] { client_->Shutdown(); });
    options.cluster_id = named;
    ASSERT_TRUE(Open(options).ok());
    EXPECT_TRUE(Ping(nullptr, nullptr)->Wait().ok());
    for (const NativeServerOptions& other : {of_another, NativeServerOptions()}) {
      Start(other);
      EXPECT_EQ(Ping(nullptr, nullptr)->Wait().code(), absl::StatusCode::kUnavailable);
    }
    // The right one is found again.
    Start(of_cluster);
    while (!Ping(nullptr, nullptr)->Wait().ok()) {
    }
  }
  served_.reset();
}

}  // namespace
}  // namespace native
}  // namespace kvarts
