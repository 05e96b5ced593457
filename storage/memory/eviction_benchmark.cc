// How often the store at its limit has what is asked for, beside other caches of as many
// entries, and what counting uses and evicting cost.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/distribution.h"
#include "bench/random.h"
#include "benchmark/benchmark.h"
#include "storage/memory/cache_models.h"
#include "storage/memory/memory.h"
#include "storage/store.h"

namespace kvarts {
namespace {

using memory_internal::LruModel;
using memory_internal::S3FifoModel;

constexpr size_t kValueBytes = 64;

std::string Key(uint64_t i) { return absl::StrCat("key:", i); }

// Ranks of `keys` keys by Zipf's law, of which a part are keys that never come again.
std::vector<uint64_t> Trace(uint64_t keys, double theta, int64_t scan_percent) {
  BenchRandom random(1, 0);
  const ZipfRanks ranks(keys, theta);
  const Scatter scatter(keys);
  std::vector<uint64_t> trace(4 * keys);
  uint64_t scanned = keys;
  // A scan asks for a thousand, one after the other.
  uint64_t left = 0;
  for (uint64_t& key : trace) {
    if (left == 0 && scan_percent > 0 &&
        random.Below(1000 * static_cast<uint64_t>(100 - scan_percent) /
                     static_cast<uint64_t>(scan_percent)) == 0) {
      left = 1000;
    }
    if (left > 0) {
      --left;
      key = scanned++;
    } else {
      key = scatter(ranks.Choose(&random));
    }
  }
  return trace;
}

// The memory that so many entries take.
size_t MemoryFor(uint64_t entries) {
  const std::unique_ptr<Store> store = NewMemoryStore();
  const std::string value(kValueBytes, 'v');
  for (uint64_t i = 0; i < entries; ++i) store->Put(Key(i), value).IgnoreError();
  return store->Stats()->memory_bytes;
}

template <typename Cache>
double HitPercent(const std::vector<uint64_t>& trace, Cache cache) {
  uint64_t hits = 0;
  for (size_t i = 0; i < trace.size(); ++i) {
    const bool hit = cache.Get(trace[i]);
    // The first half is to fill it.
    if (i >= trace.size() / 2 && hit) ++hits;
  }
  return 100.0 * static_cast<double>(hits) / (static_cast<double>(trace.size()) / 2);
}

class StoreCache {
 public:
  explicit StoreCache(size_t max_memory) {
    MemoryOptions options;
    options.max_memory = max_memory;
    options.evict = MemoryOptions::Evict::kS3Fifo;
    options.seed = HashSeed{1, 2};
    store_ = NewMemoryStore(options);
  }
  bool Get(uint64_t i) {
    const std::string key = Key(i);
    store_->Read(key, ReadOptions(), &results_);
    if (results_[0].found) return true;
    store_->Put(key, value_).IgnoreError();
    return false;
  }
  Store& store() { return *store_; }

 private:
  std::unique_ptr<Store> store_;
  ReadResults results_;
  const std::string value_ = std::string(kValueBytes, 'v');
};

// Args: keys, ten times theta, per cent of the keys that fit, per cent of the requests
// that are a scan's.
void BM_HitRatio(benchmark::State& state) {
  const auto keys = static_cast<uint64_t>(state.range(0));
  const std::vector<uint64_t> trace =
      Trace(keys, static_cast<double>(state.range(1)) / 10, state.range(3));
  const size_t max_memory = MemoryFor(keys * static_cast<uint64_t>(state.range(2)) / 100);
  for (auto _ : state) {
    StoreCache cache(max_memory);
    uint64_t hits = 0;
    uint64_t entries = 0;
    uint64_t looks = 0;
    for (size_t i = 0; i < trace.size(); ++i) {
      const bool hit = cache.Get(trace[i]);
      if (i < trace.size() / 2) continue;
      if (hit) ++hits;
      if (i % (trace.size() / 16) == 0) {
        entries += cache.store().Stats()->entries;
        ++looks;
      }
    }
    const size_t mean = entries / looks;
    state.counters["entries"] = static_cast<double>(mean);
    state.counters["store"] =
        100.0 * static_cast<double>(hits) / (static_cast<double>(trace.size()) / 2);
    state.counters["lru"] = HitPercent(trace, LruModel(mean));
    state.counters["s3fifo1"] = HitPercent(trace, S3FifoModel(mean, 1));
    state.counters["s3fifo2"] = HitPercent(trace, S3FifoModel(mean, 2));
  }
}

void HitRatioArgs(benchmark::internal::Benchmark* benchmark) {
  for (const int64_t keys : {20'000, 1'000'000}) {
    for (const int64_t scan : {0, 20}) {
      for (const int64_t theta : {7, 9, 11}) {
        for (const int64_t percent : {1, 10, 25}) benchmark->Args({keys, theta, percent, scan});
      }
    }
  }
}
BENCHMARK(BM_HitRatio)->Apply(HitRatioArgs)->Iterations(1)->Unit(benchmark::kMillisecond);

// Reads of a Zipf mix on all threads, a put where one misses; a tenth puts anyway. Args:
// keys, whether it evicts. Without, all keys fit.
std::unique_ptr<StoreCache> shared_cache;
void BM_Throughput(benchmark::State& state) {
  const auto keys = static_cast<uint64_t>(state.range(0));
  if (state.thread_index() == 0) {
    const size_t all = MemoryFor(keys);
    shared_cache = std::make_unique<StoreCache>(state.range(1) != 0 ? all / 4 : 0);
    for (uint64_t i = 0; i < keys; ++i) {
      shared_cache->store().Put(Key(i), std::string(kValueBytes, 'v')).IgnoreError();
    }
  }
  BenchRandom random(1, static_cast<uint64_t>(state.thread_index()));
  const ZipfRanks ranks(keys, 0.9);
  const Scatter scatter(keys);
  const std::string value(kValueBytes, 'v');
  ReadResults results;
  uint64_t hits = 0;
  for (auto _ : state) {
    const std::string key = Key(scatter(ranks.Choose(&random)));
    const bool put = random.Below(10) == 0;
    if (!put) {
      shared_cache->store().Read(key, ReadOptions(), &results);
      if (results[0].found) {
        ++hits;
        continue;
      }
    }
    shared_cache->store().Put(key, value).IgnoreError();
  }
  state.counters["hits"] =
      benchmark::Counter(static_cast<double>(hits), benchmark::Counter::kAvgIterations);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Throughput)
    ->ArgsProduct({{20'000, 1'000'000}, {0, 1}})
    ->ThreadRange(1, 2)
    ->UseRealTime();

}  // namespace
}  // namespace kvarts
