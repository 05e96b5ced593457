#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "cluster/client/test_cluster.h"
#include "net/remote/remote_store.h"

// What calls take over a cluster of one node and of three, beside a remote store. All of
// it is in one process, over loopback streams: CPU is that of client and servers together, and the
// model stores behind them are slow. So the figures are for comparing with each other only.
namespace kvarts {
namespace {

constexpr int kKeys = 1000;

std::string Key(int i) { return absl::StrCat("key", i); }

// 0 nodes: a remote store of the only node.
Store& Opened(int64_t nodes) {
  struct World {
    std::unique_ptr<TestCluster> cluster;
    std::unique_ptr<Store> store;
  };
  static auto* const worlds = new std::vector<World>(4);
  World& world = (*worlds)[static_cast<size_t>(nodes)];
  if (world.store == nullptr) {
    if (nodes == 0) {
      // The same checks of slots in front of the store.
      world.cluster = std::make_unique<TestCluster>(1);
      world.store = *OpenRemoteStore(world.cluster->transport(),
                                     absl::StrCat("tcp://", TestCluster::Seed(0)));
    } else {
      world.cluster = std::make_unique<TestCluster>(static_cast<int>(nodes));
      world.store = world.cluster->MustOpen();
    }
    for (int i = 0; i < kKeys; ++i) world.cluster->Put(Key(i), std::string(64, 'v'));
  }
  return *world.store;
}

void BM_Get(benchmark::State& state) {
  Store& store = Opened(state.range(0));
  ReadResults results;
  int i = 0;
  for (auto unused : state) {
    store.Read(Key(i++ % kKeys), {}, &results);
    if (!results[0].found) state.SkipWithError("a key is not there");
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Get)->Arg(0)->Arg(1)->Arg(3)->MeasureProcessCPUTime()->UseRealTime();

void BM_BatchGet(benchmark::State& state) {
  Store& store = Opened(state.range(0));
  std::vector<std::string> keys;
  for (int i = 0; i < kKeys; ++i) keys.push_back(Key(i));
  const std::vector<absl::string_view> views(keys.begin(), keys.end());
  ReadResults results;
  for (auto unused : state) {
    store.MultiGet(views, {}, &results);
    if (!results[0].found) state.SkipWithError("a key is not there");
  }
  state.SetItemsProcessed(state.iterations() * kKeys);
}
BENCHMARK(BM_BatchGet)->Arg(0)->Arg(1)->Arg(3)->MeasureProcessCPUTime()->UseRealTime();

void BM_Put(benchmark::State& state) {
  Store& store = Opened(state.range(0));
  int i = 0;
  for (auto unused : state) {
    if (!store.Put(Key(i++ % kKeys), "value").ok()) state.SkipWithError("a put failed");
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Put)->Arg(0)->Arg(1)->Arg(3)->MeasureProcessCPUTime()->UseRealTime();

}  // namespace
}  // namespace kvarts
