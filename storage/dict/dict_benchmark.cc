// dict beside bisect, in one run: bytes an entry, building, lookups one by one
// and in batches, misses, scans.
//
//   KVARTS_BENCH_FILE=FILE   lookups in this file, made if absent, of as many
//                            records as the benchmark's argument

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/bench_data.h"
#include "benchmark/benchmark.h"
#include "storage/bisect/bisect.h"
#include "storage/bisect/builder.h"
#include "storage/dict/dict.h"

namespace kvarts {
namespace {

// A benchmark that errs ends the program: as a test, it must be able to fail.
void Require(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "dict_benchmark: %s\n", what);
  std::abort();
}

const std::string& Data(int64_t records) {
  static auto* const paths = new std::map<int64_t, std::string>;
  std::string& path = (*paths)[records];
  if (!path.empty()) return path;
  const char* const dir = std::getenv("TEST_TMPDIR");
  const char* const given = std::getenv("KVARTS_BENCH_FILE");
  path = given != nullptr
             ? given
             : absl::StrCat(dir == nullptr ? "/tmp" : dir, "/dict_benchmark.", records);
  if (given == nullptr || !std::ifstream(path).good()) {
    Require(WriteBenchData(path, records, 64), "the data could not be written");
  }
  return path;
}

// A line of /proc/self/status, in bytes: "RssAnon", "VmHWM".
int64_t Memory(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(name + ":", 0) == 0) return std::atoll(line.c_str() + name.size() + 1) * 1024;
  }
  return 0;
}

enum Kind : int64_t { kDict = 0, kBisect = 1 };

std::unique_ptr<Store> MakeStore(int64_t kind, const std::string& path) {
  if (kind == kBisect) {
    Require(EnsureBisect(path, BuildOptions()).ok(), "the index could not be built");
    auto store = OpenBisect(path, BisectOptions());
    Require(store.ok(), "the store could not be opened");
    return *std::move(store);
  }
  auto store = OpenDict(path, DictOptions());
  Require(store.ok(), "the store could not be opened");
  return *std::move(store);
}

// One of each size for the whole run.
Store* OpenStore(int64_t kind, int64_t records) {
  static auto* const stores = new std::map<std::pair<int64_t, int64_t>, std::unique_ptr<Store>>;
  std::unique_ptr<Store>& store = (*stores)[{kind, records}];
  if (store == nullptr) store = MakeStore(kind, Data(records));
  return store.get();
}

void Lookups(benchmark::State& state, uint64_t first, size_t batch) {
  const int64_t records = state.range(1);
  Store* const store = OpenStore(state.range(0), records);
  state.SetLabel(state.range(0) == kDict ? "dict" : "bisect");
  // So many that what they find does not stay in a cache.
  const uint64_t n = records < 1000000 ? 1 << 14 : 1 << 20;
  std::string keys(36 * n, '\0');
  std::vector<absl::string_view> views;
  for (uint64_t i = 0; i < n; ++i) {
    BenchUuid(first + Mix(i) % records, &keys[36 * i]);
    views.emplace_back(&keys[36 * i], 36);
  }
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
void BM_MissBatch64(benchmark::State& state) { Lookups(state, uint64_t{1} << 40, 64); }

void BM_Scan(benchmark::State& state) {
  Store* const store = OpenStore(state.range(0), state.range(1));
  state.SetLabel(state.range(0) == kDict ? "dict" : "bisect");
  int64_t entries = 0;
  ScanPage page;
  for (auto _ : state) {
    auto cursor = store->NewCursor(ScanOptions());
    int64_t now = 0;
    do {
      Require((*cursor)->Next(PageLimits(), &page).ok(), "the scan failed");
      now += static_cast<int64_t>(page.size());
    } while (!page.empty());
    Require(now == state.range(1), "the scan lost keys");
    entries += now;
  }
  state.SetItemsProcessed(entries);
}

void BM_Build(benchmark::State& state) {
  const std::string& path = Data(state.range(1));
  DictOptions options;
  options.threads = static_cast<int>(state.range(0));
  DictReport report;
  int64_t grown = 0;
  for (auto _ : state) {
    const int64_t before = Memory("RssAnon");
    auto store = OpenDict(path, options, &report);
    Require(store.ok(), "the build failed");
    grown = Memory("RssAnon") - before;
  }
  Require(static_cast<int64_t>(report.entries) == state.range(1), "records were lost");
  Require(state.range(1) < 10000 || report.table_bytes <= 12 * report.entries,
          "the table is larger than 12 bytes an entry");
  const auto entries = static_cast<double>(report.entries);
  state.counters["table_B/entry"] = static_cast<double>(report.table_bytes) / entries;
  state.counters["rss_B/entry"] = static_cast<double>(grown) / entries;
  state.SetItemsProcessed(state.iterations() * state.range(1));
  state.SetLabel(absl::StrCat(state.range(0), " threads"));
}

// (store, records)
void Sizes(benchmark::internal::Benchmark* b) {
  for (const int64_t records : {10000, 1000000, 10000000, 100000000}) {
    for (const int64_t kind : {kDict, kBisect}) b->Args({kind, records});
  }
}
BENCHMARK(BM_Hit)->Apply(Sizes);
BENCHMARK(BM_Miss)->Apply(Sizes);
BENCHMARK(BM_Batch64)->Apply(Sizes);
BENCHMARK(BM_MissBatch64)->Apply(Sizes);
BENCHMARK(BM_Scan)->Apply(Sizes)->Unit(benchmark::kMillisecond);
// (threads, records)
BENCHMARK(BM_Build)
    ->ArgsProduct({{1, 2}, {10000, 1000000, 10000000, 100000000}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kvarts
