#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "storage/fs/file_system.h"
#include "storage/sort/sorter.h"

// The sorter on records of a 16-byte key and an 8-byte payload, as the index
// builder adds them. `records/s` counts adding, sorting and reading to the end.
// For the figures of the README:
//
//   bazel run //storage/sort:sorter_benchmark -- --benchmark_filter=10M
//
// The peak resident size is the process's, so run one benchmark at a time for it.

namespace kvarts {
namespace {

std::string TempDir() {
  const char* dir = std::getenv("TEST_TMPDIR");
  return dir != nullptr ? dir : std::filesystem::temp_directory_path().string();
}

enum class Keys { kUuid, kText, kFew };

class KeyMaker {
 public:
  explicit KeyMaker(Keys kind) : kind_(kind) {}

  absl::string_view Next() {
    const uint64_t a = Random();
    switch (kind_) {
      case Keys::kUuid: {  // uniform
        const uint64_t b = Random();
        std::memcpy(key_, &a, 8);
        std::memcpy(key_ + 8, &b, 8);
        return absl::string_view(key_, 16);
      }
      case Keys::kText: {  // a long common prefix, then digits
        std::memcpy(key_, "customer/", 9);
        uint64_t v = a % 100000000;
        for (int i = 16; i > 8; --i, v /= 10) key_[i] = static_cast<char>('0' + v % 10);
        return absl::string_view(key_, 17);
      }
      case Keys::kFew:  // a thousand different keys
        std::memcpy(key_, "group-by key ", 13);
        key_[13] = static_cast<char>('0' + a % 10);
        key_[14] = static_cast<char>('0' + a / 10 % 10);
        key_[15] = static_cast<char>('0' + a / 100 % 10);
        return absl::string_view(key_, 16);
    }
    return {};
  }

 private:
  uint64_t Random() {  // splitmix64
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  const Keys kind_;
  uint64_t state_ = 1;
  char key_[24];
};

void BM_Sort(benchmark::State& state, int64_t records, int64_t memory_mib, Keys kind) {
  SorterOptions options;
  options.memory_bytes = static_cast<size_t>(memory_mib) << 20;
  options.temp_dir = TempDir();
  options.temp_prefix = absl::StrCat("sorter_benchmark.", getpid());
  SorterStats stats;
  for (auto _ : state) {
    auto sorter = Sorter::New(options);
    if (!sorter.ok()) return state.SkipWithError(sorter.status().ToString().c_str());
    KeyMaker keys(kind);
    for (int64_t i = 0; i < records; ++i) {
      char payload[8];
      std::memcpy(payload, &i, 8);
      const absl::Status status = (*sorter)->Add(keys.Next(), absl::string_view(payload, 8));
      if (!status.ok()) return state.SkipWithError(status.ToString().c_str());
    }
    auto sorted = (*sorter)->Finish();
    if (!sorted.ok()) return state.SkipWithError(sorted.status().ToString().c_str());
    absl::string_view key, payload;
    uint64_t sum = 0;
    while (true) {
      auto more = (*sorted)->Next(&key, &payload);
      if (!more.ok()) return state.SkipWithError(more.status().ToString().c_str());
      if (!*more) break;
      sum += static_cast<unsigned char>(payload[0]);
    }
    benchmark::DoNotOptimize(sum);
    stats = (*sorter)->stats();
  }
  state.SetItemsProcessed(state.iterations() * records);
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  state.counters["runs"] = static_cast<double>(stats.runs);
  state.counters["passes"] = static_cast<double>(stats.merge_passes);
  state.counters["spilled_MB"] = static_cast<double>(stats.spilled_bytes) / 1e6;
  state.counters["counted_MiB"] = static_cast<double>(stats.peak_memory) / (1 << 20);
  state.counters["peak_rss_MiB"] = static_cast<double>(usage.ru_maxrss) / 1024;
}

#define KVARTS_SORT(name, records, memory_mib, kind)          \
  BENCHMARK_CAPTURE(BM_Sort, name, records, memory_mib, kind) \
      ->Unit(benchmark::kMillisecond)                         \
      ->MeasureProcessCPUTime()                               \
      ->UseRealTime()

KVARTS_SORT(small_in_memory, 10000, 1, Keys::kUuid);
KVARTS_SORT(small_spilled, 100000, 1, Keys::kUuid);
KVARTS_SORT(small_few_keys, 100000, 1, Keys::kFew);
KVARTS_SORT(10M_8MiB, 10000000, 8, Keys::kUuid);
KVARTS_SORT(10M_16MiB, 10000000, 16, Keys::kUuid);
KVARTS_SORT(10M_64MiB, 10000000, 64, Keys::kUuid);
KVARTS_SORT(10M_256MiB, 10000000, 256, Keys::kUuid);
KVARTS_SORT(10M_1024MiB, 10000000, 1024, Keys::kUuid);
KVARTS_SORT(10M_1MiB, 10000000, 1, Keys::kUuid);
KVARTS_SORT(10M_text_64MiB, 10000000, 64, Keys::kText);
KVARTS_SORT(10M_text_1024MiB, 10000000, 1024, Keys::kText);
KVARTS_SORT(10M_few_64MiB, 10000000, 64, Keys::kFew);
KVARTS_SORT(10M_few_1024MiB, 10000000, 1024, Keys::kFew);

}  // namespace
}  // namespace kvarts
