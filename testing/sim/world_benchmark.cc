// What a simulated event costs: a task, a timer, and a message there and back.
//
//   bazel run -c opt //testing/sim:world_benchmark

#include <benchmark/benchmark.h>
#include <glog/logging.h>

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "testing/sim/sim_transport.h"
#include "testing/sim/world.h"

namespace kvarts {
namespace {

void BM_Posts(benchmark::State& state) {
  SimWorld world(1);
  EventLoop* const a = world.NewLoop(world.NewProcess("a"));
  EventLoop* const b = world.NewLoop(world.NewProcess("b"));
  std::function<void()> to_b, to_a;
  to_b = [&] { b->Post([&] { to_a(); }); };
  to_a = [&] { a->Post([&] { to_b(); }); };
  for (int i = 0; i < 10; ++i) to_b();
  for (auto _ : state) CHECK(world.Step());
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Posts);

void BM_Timers(benchmark::State& state) {
  SimWorld world(1);
  EventLoop* const loop = world.NewLoop(world.NewProcess("a"));
  std::vector<std::unique_ptr<Timer>> timers;
  std::function<void(Timer*)> again = [&](Timer* timer) {
    timer->Start(world.Between(absl::Milliseconds(1), absl::Milliseconds(2)),
                 [&again, timer] { again(timer); });
  };
  for (int i = 0; i < 100; ++i) {
    timers.push_back(loop->NewTimer());
    again(timers.back().get());
  }
  for (auto _ : state) CHECK(world.Step());
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Timers);

// One end of a ping-pong: reads 64 bytes and writes them back.
struct Player {
  explicit Player(std::unique_ptr<Stream> s) : stream(std::move(s)) {}
  void Read() {
    stream->Read(absl::MakeSpan(buffer), absl::Seconds(30), [this](absl::StatusOr<size_t> n) {
      CHECK_EQ(*n, sizeof buffer);
      ++messages;
      Write();
    });
  }
  void Write() {
    stream->Write({absl::string_view(buffer, sizeof buffer)}, absl::Seconds(30),
                  [this](absl::Status status) {
                    CHECK(status.ok()) << status;
                    Read();
                  });
  }
  const std::unique_ptr<Stream> stream;
  char buffer[64] = {};
  int64_t messages = 0;
};

// An iteration is an event; "messages" are one way.
void BM_PingPong(benchmark::State& state) {
  SimWorld world(1);
  SimTransport net(&world);
  EventLoop* const a = world.NewLoop(world.NewProcess("a"));
  EventLoop* const b = world.NewLoop(world.NewProcess("b"));
  std::unique_ptr<Player> client, server;
  const auto listener = net.Listen({b}, "sim:b", {}, [&](std::unique_ptr<Stream> stream) {
    server = std::make_unique<Player>(std::move(stream));
    server->Read();
  });
  net.Connect(a, "sim:b", absl::Seconds(1), [&](absl::StatusOr<std::unique_ptr<Stream>> stream) {
    client = std::make_unique<Player>(*std::move(stream));
    client->Write();
  });
  for (auto _ : state) CHECK(world.Step());
  state.SetItemsProcessed(state.iterations());
  state.counters["messages"] =
      benchmark::Counter(static_cast<double>(server == nullptr ? 0 : 2 * server->messages),
                         benchmark::Counter::kIsRate);
}
BENCHMARK(BM_PingPong);

}  // namespace
}  // namespace kvarts

BENCHMARK_MAIN();
