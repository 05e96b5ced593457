#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "net/remote/served_store.h"
#include "testing/model/model_store.h"

// What a call on a remote store takes, client and server in one process. The
// model store behind it is slow: the figures are those of the way there.
namespace kvarts {
namespace {

constexpr int kKeys = 1000;

struct World {
  explicit World(const TestTransport& kind) : transport(kind.make()) {
    auto store = NewModelStore();
    for (int i = 0; i < kKeys; ++i) {
      store->Put(absl::StrCat("key", i), std::string(64, 'v')).IgnoreError();
    }
    served = *ServedStore::Start(std::move(store), transport.get(), kind.new_address());
    remote = *OpenRemoteStore(transport.get(), served->address());
  }
  const std::unique_ptr<Transport> transport;
  std::unique_ptr<ServedStore> served;
  std::unique_ptr<Store> remote;
};

World& OverTcp() {
  static World* const world = new World(TestTransports()[1]);
  return *world;
}

void BM_Get(benchmark::State& state) {
  Store& store = *OverTcp().remote;
  ReadResults results;
  int i = state.thread_index() * 37;
  for (auto unused : state) {
    store.Read(absl::StrCat("key", i++ % kKeys), {}, &results);
    if (!results[0].found) state.SkipWithError("a key is not there");
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Get)->Threads(1)->Threads(16)->Threads(64)->UseRealTime();

void BM_MultiGet(benchmark::State& state) {
  Store& store = *OverTcp().remote;
  std::vector<std::string> keys;
  for (int64_t i = 0; i < state.range(0); ++i) keys.push_back(absl::StrCat("key", i));
  const std::vector<absl::string_view> views(keys.begin(), keys.end());
  ReadResults results;
  for (auto unused : state) store.MultiGet(views, {}, &results);
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_MultiGet)->Arg(100)->UseRealTime();

void BM_Put(benchmark::State& state) {
  Store& store = *OverTcp().remote;
  int i = 0;
  for (auto unused : state) {
    if (!store.Put(absl::StrCat("key", i++ % kKeys), "value").ok()) {
      state.SkipWithError("a put failed");
    }
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Put)->Threads(1)->Threads(16)->UseRealTime();

}  // namespace
}  // namespace kvarts
