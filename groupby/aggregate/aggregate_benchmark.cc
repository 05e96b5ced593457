#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/string_view.h"
#include "benchmark/benchmark.h"
#include "groupby/aggregate/aggregate.h"

// The aggregation of rows as a program has them: keys and decimal numbers as text, in
// batches of 1000. `rows/s` counts adding and reading all groups. For the figures of
// AGGREGATES.md:
//
//   bazel run -c opt //groupby/aggregate:aggregate_benchmark -- --benchmark_filter=10000000
//
// The arguments: rows, keys, MiB of memory, threads that add.

namespace kvarts {
namespace {

std::string TempDir() {
  const char* dir = std::getenv("TEST_TMPDIR");
  return dir != nullptr ? dir : std::filesystem::temp_directory_path().string();
}

// Rows by a cheap random number, so that what is measured is not where they come from.
class Batch {
 public:
  static constexpr size_t kRows = 1000;

  Batch() : text_(kRows * 40), rows_(kRows), fields_(kRows) {}

  absl::Span<const AggregateRow> Make(uint64_t number, uint64_t keys) {
    uint64_t random = number * 0x9e3779b97f4a7c15 + 1;
    char* p = text_.data();
    for (size_t i = 0; i < kRows; ++i) {
      random = random * 6364136223846793005 + 1442695040888963407;
      const uint64_t r = random >> 20;
      char* const key = p;
      p = Put("customer", r % keys, p);
      char* const field = p;
      p = Put("", r % 100000, p);
      fields_[i] = absl::string_view(field, static_cast<size_t>(p - field));
      rows_[i] = {absl::string_view(key, static_cast<size_t>(field - key)),
                  absl::MakeConstSpan(&fields_[i], 1)};
    }
    return rows_;
  }

 private:
  static char* Put(absl::string_view prefix, uint64_t v, char* p) {
    p = std::copy(prefix.begin(), prefix.end(), p);
    char digits[20];
    size_t n = 0;
    do digits[n++] = static_cast<char>('0' + v % 10);
    while ((v /= 10) != 0);
    while (n > 0) *p++ = digits[--n];
    return p;
  }

  std::vector<char> text_;
  std::vector<AggregateRow> rows_;
  std::vector<absl::string_view> fields_;
};

void Run(benchmark::State& state, const char* aggregates) {
  const auto rows = static_cast<uint64_t>(state.range(0));
  const auto keys = static_cast<uint64_t>(state.range(1));
  const auto threads = static_cast<uint64_t>(state.range(3));
  AggregationStats stats;
  for (auto _ : state) {
    AggregationOptions options;
    options.memory_bytes = static_cast<size_t>(state.range(2)) << 20;
    options.temp_dir = TempDir();
    auto aggregation =
        Aggregation::New(options, ParseAggregates(aggregates, ResolveAmong(1))->aggregates);
    std::atomic<uint64_t> next{0};
    const auto add = [&] {
      Batch batch;
      while (true) {
        const uint64_t sequence = next++;
        if (sequence * Batch::kRows >= rows) return;
        const absl::Status added = (*aggregation)->AddInOrder(sequence, batch.Make(sequence, keys));
        if (!added.ok()) state.SkipWithError(added.ToString().c_str());
      }
    };
    std::vector<std::thread> others;
    for (uint64_t t = 1; t < threads; ++t) others.emplace_back(add);
    add();
    for (std::thread& t : others) t.join();
    auto groups = (*aggregation)->Finish();
    absl::string_view key;
    absl::Span<const absl::string_view> results;
    while (true) {
      const absl::StatusOr<bool> more = (*groups)->Next(&key, &results);
      if (!more.ok()) state.SkipWithError(more.status().ToString().c_str());
      if (!more.ok() || !*more) break;
      benchmark::DoNotOptimize(results.data());
    }
    stats = (*aggregation)->stats();
  }
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  state.counters["rows/s"] =
      benchmark::Counter(static_cast<double>(rows) * static_cast<double>(state.iterations()),
                         benchmark::Counter::kIsRate);
  state.counters["spilled_MB"] = static_cast<double>(stats.spilled_bytes) / 1e6;
  state.counters["probes"] = static_cast<double>(stats.probes);
  state.counters["counted_MB"] = static_cast<double>(stats.peak_memory) / 1e6;
  state.counters["resident_MB"] = static_cast<double>(usage.ru_maxrss) / 1e3;
}

void BM_CountSum(benchmark::State& state) { Run(state, "count,sum"); }
void BM_All(benchmark::State& state) { Run(state, "count,sum,min,max,mean,first,last"); }
void BM_Distinct(benchmark::State& state) { Run(state, "distinct"); }

void Shapes(benchmark::internal::Benchmark* b) {
  b->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(1);
  b->Args({20000, 1000, 1, 2});  // so that it cannot rot
  for (const int threads : {1, 2}) {
    b->Args({10000000, 1000, 256, threads});
    b->Args({10000000, 5000000, 1024, threads});
    b->Args({10000000, 5000000, 64, threads});
  }
}
BENCHMARK(BM_CountSum)->Apply(Shapes);
BENCHMARK(BM_All)->Apply(Shapes);
BENCHMARK(BM_Distinct)->Apply(Shapes);

}  // namespace
}  // namespace kvarts
