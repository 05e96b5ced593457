#include "testing/conformance/transport_suite.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kvarts {

TransportSuite::TransportSuite()
    : under_test_(GetParam().make()),
      steps_(under_test_.step == nullptr ? nullptr
                                         : std::make_unique<WaitBySteps>(under_test_.step)),
      loops_(under_test_.new_loops == nullptr ? EventLoops::New(GetParam().loops).value()
                                              : under_test_.new_loops(GetParam().loops)) {}

TransportSuite::~TransportSuite() {
  EndListener();
  std::deque<std::shared_ptr<TestStream>> accepted;
  accepted_.Update([&](auto* streams) { streams->swap(accepted); });
}

std::vector<EventLoop*> TransportSuite::all_loops() {
  std::vector<EventLoop*> loops;
  for (int i = 0; i < loops_->size(); ++i) loops.push_back(loops_->loop(i));
  return loops;
}

void TransportSuite::Listen() {
  auto listener = transport()->Listen(
      all_loops(), under_test_.free_address(), ListenOptions(),
      [this](std::unique_ptr<Stream> stream) {
        EXPECT_TRUE(stream->loop()->InLoop());
        auto accepted = std::make_shared<TestStream>(std::move(stream));
        accepted_.Update([&](auto* streams) { streams->push_back(std::move(accepted)); });
      });
  ASSERT_TRUE(listener.ok()) << listener.status();
  listener_ = *std::move(listener);
  address_ = listener_->address();
}

void TransportSuite::EndListener() {
  if (listener_ == nullptr) return;
  if (!RunOn(loops_->loop(0), [this] { listener_.reset(); })) listener_.reset();
}

TestStream TransportSuite::Accepted() {
  if (!accepted_.Await([](const auto& streams) { return !streams.empty(); })) {
    ADD_FAILURE() << "nothing was accepted";
    return TestStream();
  }
  std::shared_ptr<TestStream> accepted;
  accepted_.Update([&](auto* streams) {
    accepted = std::move(streams->front());
    streams->pop_front();
  });
  return std::move(*accepted);
}

absl::StatusOr<TestStream> TransportSuite::Connect(const std::string& address,
                                                   absl::Duration timeout) {
  struct Result {
    bool done = false;
    CrossThreadStatus status;
    std::shared_ptr<TestStream> stream;
  };
  Awaited<Result> result;
  EventLoop* const loop = client_loop();
  transport()->Connect(loop, address, timeout, [&](absl::StatusOr<std::unique_ptr<Stream>> stream) {
    EXPECT_TRUE(loop->InLoop());
    result.Update([&](Result* r) {
      EXPECT_FALSE(r->done);
      r->done = true;
      r->status = stream.status();
      if (stream.ok()) r->stream = std::make_shared<TestStream>(*std::move(stream));
    });
  });
  if (!result.Await([](const Result& r) { return r.done; })) {
    return absl::InternalError("the test waited too long for a connection");
  }
  const Result got = result.Get();
  if (absl::Status status = got.status.Get(); !status.ok()) return status;
  return std::move(*got.stream);
}

TestStream TransportSuite::Connect() {
  absl::StatusOr<TestStream> stream = Connect(address_);
  if (stream.ok()) return *std::move(stream);
  ADD_FAILURE() << stream.status();
  return TestStream();
}

TransportSuite::Pair TransportSuite::Connected() {
  if (listener_ == nullptr) Listen();
  TestStream client = Connect();
  TestStream server = Accepted();
  return {std::move(client), std::move(server)};
}

void TransportSuite::Flush() {
  Pair pair = Connected();
  EchoServer echo(std::move(pair.server));
  ASSERT_TRUE(pair.client.Write("flush").ok());
  const absl::StatusOr<std::string> back = pair.client.ReadExactly(5);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, "flush");
}

std::vector<TransportSuiteParam> TransportSuiteParams(
    const std::string& name, const std::function<TransportUnderTest()>& make) {
  return {{absl::StrCat(name, "OneLoop"), make, 1}, {absl::StrCat(name, "TwoLoops"), make, 2}};
}

std::string TransportSuiteName(const testing::TestParamInfo<TransportSuiteParam>& info) {
  return info.param.name;
}

}  // namespace kvarts
