// Lookups, batches, misses, scans and builds of bisect, by themselves. Beside its
// peers: peers_benchmark.cc.

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/bench_data.h"
#include "benchmark/benchmark.h"
#include "storage/bisect/bisect.h"
#include "storage/bisect/builder.h"

namespace kvarts {
namespace {

// A benchmark that errs ends the program: as a test, it must be able to fail.
void Require(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "bisect_benchmark: %s\n", what);
  std::abort();
}

std::string DataPath(int64_t records) {
  const char* const dir = std::getenv("TEST_TMPDIR");
  return absl::StrCat(dir == nullptr ? "/tmp" : dir, "/bisect_benchmark.", records);
}

// One of each size for the whole run.
Store* OpenStore(int64_t records) {
  static auto* const stores = new std::map<int64_t, std::unique_ptr<Store>>;
  std::unique_ptr<Store>& store = (*stores)[records];
  if (store == nullptr) {
    const std::string path = DataPath(records);
    Require(WriteBenchData(path, records, 64), "the data could not be written");
    Require(EnsureBisect(path, BuildOptions()).ok(), "the index could not be built");
    auto opened = OpenBisect(path, BisectOptions());
    Require(opened.ok(), "the store could not be opened");
    store = *std::move(opened);
  }
  return store.get();
}

void Lookups(benchmark::State& state, uint64_t first, size_t batch) {
  const int64_t records = state.range(0);
  Store* const store = OpenStore(records);
  std::vector<std::string> keys;
  for (int i = 0; i < 1 << 14; ++i) keys.push_back(BenchUuid(first + Mix(i) % records));
  const std::vector<absl::string_view> views(keys.begin(), keys.end());
  ReadResults results;
  size_t at = 0;
  uint64_t found = 0;
  for (auto _ : state) {
    if (batch == 1) {
      store->Read(views[at], ReadOptions(), &results);
    } else {
      store->MultiGet(absl::MakeConstSpan(&views[at], batch), ReadOptions(), &results);
    }
    found += results[0].found;
    at = (at + batch) % views.size();
  }
  Require(found == (first == 0 ? static_cast<uint64_t>(state.iterations()) : 0),
          "keys were lost or made up");
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(batch));
}

void BM_Hit(benchmark::State& state) { Lookups(state, 0, 1); }
void BM_Miss(benchmark::State& state) { Lookups(state, uint64_t{1} << 40, 1); }
void BM_Batch64(benchmark::State& state) { Lookups(state, 0, 64); }
BENCHMARK(BM_Hit)->Arg(10000)->Arg(1000000);
BENCHMARK(BM_Miss)->Arg(10000)->Arg(1000000);
BENCHMARK(BM_Batch64)->Arg(10000)->Arg(1000000);

void BM_Scan(benchmark::State& state) {
  Store* const store = OpenStore(state.range(0));
  int64_t entries = 0;
  ScanPage page;
  for (auto _ : state) {
    auto cursor = store->NewCursor(ScanOptions());
    int64_t now = 0;
    do {
      Require((*cursor)->Next(PageLimits(), &page).ok(), "the scan failed");
      now += static_cast<int64_t>(page.size());
    } while (!page.empty());
    Require(now == state.range(0), "the scan lost keys");
    entries += now;
  }
  state.SetItemsProcessed(entries);
}
BENCHMARK(BM_Scan)->Arg(10000)->Arg(1000000);

void BM_Build(benchmark::State& state) {
  OpenStore(state.range(0));
  BuildOptions options;
  options.memory_bytes = 64 << 20;
  options.index_path = absl::StrCat(DataPath(state.range(0)), ".again");
  for (auto _ : state) {
    Require(BuildBisect(DataPath(state.range(0)), options).ok(), "the build failed");
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_Build)->Arg(10000)->Arg(1000000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kvarts
