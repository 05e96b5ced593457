// What each layer costs, over a store that does nothing.

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "storage/layers/cache.h"
#include "storage/layers/metrics.h"
#include "storage/layers/read_only.h"
#include "storage/layers/swap.h"
#include "storage/null/null.h"

namespace kvarts {
namespace {

// Of the same store, made once, from one thread or several.
void Reads(benchmark::State& state, Store* store) {
  static auto* const keys = new std::vector<std::string>([] {
    std::vector<std::string> out;
    for (int i = 0; i < 1000; ++i) out.push_back(absl::StrCat("a key of some length ", 1000 + i));
    return out;
  }());
  ReadResults results;
  size_t i = 0;
  for (auto _ : state) {
    store->Read((*keys)[i], ReadOptions(), &results);
    benchmark::DoNotOptimize(results[0].found);
    i = i + 1 == keys->size() ? 0 : i + 1;
  }
  state.SetItemsProcessed(state.iterations());
}

template <typename Make>
Store* Once(const Make& make) {
  static Store* const store = make().release();
  return store;
}

void BM_Null(benchmark::State& state) {
  Reads(state, Once([] { return NewNullStore(); }));
}
void BM_ReadOnly(benchmark::State& state) {
  Reads(state, Once([] { return NewReadOnlyStore(NewNullStore()); }));
}
void BM_Swap(benchmark::State& state) {
  Reads(state, Once([] { return SwapStore::New(NewNullStore()); }));
}
void BM_Metrics(benchmark::State& state) {
  Reads(state,
        Once([] { return NewMetricsStore(NewNullStore(), std::make_shared<StoreMetrics>()); }));
}
void BM_MetricsOneIn64(benchmark::State& state) {
  Reads(state,
        Once([] { return NewMetricsStore(NewNullStore(), std::make_shared<StoreMetrics>(64)); }));
}
// All hits but the first: that the key is absent.
void BM_CacheHit(benchmark::State& state) {
  Reads(state, Once([] { return NewCacheStore(NewNullStore(), CacheOptions()); }));
}
// All misses: there is no room.
void BM_CacheMiss(benchmark::State& state) {
  Reads(state, Once([] {
          CacheOptions options;
          options.bytes = 1000;
          return NewCacheStore(NewNullStore(), options);
        }));
}
BENCHMARK(BM_Null)->ThreadRange(1, 2);
BENCHMARK(BM_ReadOnly)->ThreadRange(1, 2);
BENCHMARK(BM_Swap)->ThreadRange(1, 2);
BENCHMARK(BM_Metrics)->ThreadRange(1, 2);
BENCHMARK(BM_MetricsOneIn64)->ThreadRange(1, 2);
BENCHMARK(BM_CacheHit)->ThreadRange(1, 2);
BENCHMARK(BM_CacheMiss)->ThreadRange(1, 2);

}  // namespace
}  // namespace kvarts
