#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "net/fixed_cluster.h"
#include "net/fixed_store.h"
#include "net/resp/session_harness.h"

// What a request costs a server beyond its system calls: a session over a wire
// in memory, `pipelined` requests a read.
namespace kvarts {
namespace resp {
namespace {

void Run(benchmark::State& state, const std::string& requests, int64_t count, size_t value_size,
         const RespOptions& options = {}) {
  SessionHarness harness(std::make_unique<FixedStore>(value_size), options);
  const auto connection = harness.Connect();
  for (auto unused : state) {
    connection->wire->written.clear();
    connection->wire->to_read = requests;
    harness.Move(*connection);
  }
  state.SetItemsProcessed(state.iterations() * count);
}

std::string Repeat(const std::string& request, int64_t times) {
  std::string requests;
  for (int64_t i = 0; i < times; ++i) requests += request;
  return requests;
}

void BM_Get(benchmark::State& state) {
  Run(state, Repeat(Request({"GET", std::string(36, 'k')}), state.range(0)), state.range(0),
      static_cast<size_t>(state.range(1)));
}
BENCHMARK(BM_Get)->ArgNames({"pipelined", "value"})->ArgsProduct({{1, 16, 64}, {64, 10000}});

void BM_MGet(benchmark::State& state) {
  const auto keys = static_cast<size_t>(state.range(0));
  std::string request = absl::StrCat("*", keys + 1, "\r\n$4\r\nMGET\r\n");
  for (size_t i = 0; i < keys; ++i) {
    absl::StrAppend(&request, "$36\r\n", std::string(36, 'k'), "\r\n");
  }
  Run(state, request, state.range(0), 64);
}
BENCHMARK(BM_MGet)->ArgName("keys")->Arg(100);

void BM_Ping(benchmark::State& state) {
  Run(state, Repeat("PING\r\n", state.range(0)), state.range(0), 64);
}
BENCHMARK(BM_Ping)->ArgName("pipelined")->Arg(64);

void BM_Set(benchmark::State& state) {
  Run(state, Repeat(Request({"SET", std::string(36, 'k'), std::string(64, 'v')}), state.range(0)),
      state.range(0), 64);
}
BENCHMARK(BM_Set)->ArgName("pipelined")->Arg(1)->Arg(64);

// CLUSTER SLOTS, where each of 32 nodes has one run of slots.
void BM_ClusterSlots(benchmark::State& state) {
  const FixedCluster cluster(MapOf(32));
  RespOptions options;
  options.cluster = &cluster;
  Run(state, Request({"CLUSTER", "SLOTS"}), 1, 64, options);
}
BENCHMARK(BM_ClusterSlots);

}  // namespace
}  // namespace resp
}  // namespace kvarts
