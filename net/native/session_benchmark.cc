#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "net/fixed_store.h"
#include "net/native/session_harness.h"

// What a request costs a server beyond its system calls: a session over a wire
// in memory, `pipelined` requests a read.
namespace kvarts {
namespace native {
namespace {

void Run(benchmark::State& state, const std::string& requests, int64_t count, size_t value_size) {
  FixedStore store(value_size);
  ScriptedLoop loop;
  const auto runner = StoreRunner::New(&store, 1).value();
  const SessionFactory factory = NewNativeSessions(runner.get());
  const auto wire = std::make_shared<Wire>();
  auto stream = std::make_unique<ScriptedStream>(&loop, wire);
  ScriptedStream* const moved = stream.get();
  const std::unique_ptr<Session> session = factory(std::move(stream));
  session->Start([] {});
  wire->to_read = Hello();
  loop.Run();
  for (auto unused : state) {
    wire->written.clear();
    wire->to_read = requests;
    moved->Moved();
    loop.Run();
  }
  state.SetItemsProcessed(state.iterations() * count);
}

void BM_Get(benchmark::State& state) {
  std::string requests;
  for (int64_t i = 0; i < state.range(0); ++i) {
    requests += GetFrame(static_cast<uint64_t>(1000000 + i), std::string(36, 'k'));
  }
  Run(state, requests, state.range(0), static_cast<size_t>(state.range(1)));
}
BENCHMARK(BM_Get)->ArgNames({"pipelined", "value"})->ArgsProduct({{1, 16, 64}, {64, 10000}});

void BM_MultiGet(benchmark::State& state) {
  Request request = NewRequest(1, GET);
  const std::string keys(static_cast<size_t>(36 * state.range(0)), 'k');
  for (int64_t i = 0; i < state.range(0); ++i) request.add_key_sizes(36);
  Run(state, ToFrame(request, keys), state.range(0), 64);
}
BENCHMARK(BM_MultiGet)->ArgName("keys")->Arg(100);

// Without a sequence.
void BM_Put(benchmark::State& state) {
  std::string requests;
  for (int64_t i = 0; i < state.range(0); ++i) {
    requests +=
        PutFrame(static_cast<uint64_t>(1000000 + i), std::string(36, 'k'), std::string(64, 'v'), 0);
  }
  Run(state, requests, state.range(0), 64);
}
BENCHMARK(BM_Put)->ArgName("pipelined")->Arg(1)->Arg(64);

}  // namespace
}  // namespace native
}  // namespace kvarts
