// What a snapshot of the memory store takes: time, memory, and the latency of puts beside.
//
//   ./bazelw run -c opt //storage/memory:snapshot_benchmark -- --entries=2000000

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/histogram.h"
#include "bench/bench_data.h"
#include "gflags/gflags.h"
#include "storage/memory/memory.h"

DEFINE_uint64(entries, 1'000'000, "Entries: UUID keys, values of 64 bytes.");
DEFINE_int32(threads, 1, "Threads that put.");
DEFINE_int32(rounds, 3, "Snapshots.");
DEFINE_uint64(rate, 0, "Puts a second of each thread; 0: as many as it can.");
DEFINE_string(path, "/tmp/kvarts_snapshot_benchmark", "The file; removed at the end.");

namespace kvarts {
namespace {

using SteadyClock = std::chrono::steady_clock;

void Require(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "snapshot_benchmark: %s\n", status.ToString().c_str());
  std::abort();
}

double SecondsSince(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

// A line of /proc/self/status, in MB.
double Status(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(name + ":", 0) == 0) {
      return std::strtod(line.c_str() + name.size() + 1, nullptr) * 1024 / 1e6;
    }
  }
  return 0;
}

void ResetPeak() { std::ofstream("/proc/self/clear_refs") << 5; }

// Puts all the while, into the histogram of the phase.
class Writers {
 public:
  explicit Writers(Store* store) {
    for (int t = 0; t < FLAGS_threads; ++t) {
      threads_.emplace_back([this, t, store] { Run(t, store); });
    }
  }
  ~Writers() {
    phase_ = -1;
    for (std::thread& thread : threads_) thread.join();
  }
  void SetPhase(int phase) { phase_ = phase; }
  HistogramCounts Counts(int phase) const { return histograms_[phase].Collect(); }

 private:
  void Run(int t, Store* store) {
    std::vector<std::string> keys;
    for (uint64_t i = 0; i < 100'000; ++i) {
      keys.push_back(BenchUuid(Mix(i * FLAGS_threads + t) % FLAGS_entries));
    }
    const std::string value(64, 'w');
    auto due = SteadyClock::now();
    for (uint64_t i = 0;; ++i) {
      const int phase = phase_.load(std::memory_order_relaxed);
      if (phase < 0) return;
      auto start = SteadyClock::now();
      if (FLAGS_rate > 0) {
        // Of an open loop: from when it was due.
        due += std::chrono::nanoseconds(1'000'000'000 / FLAGS_rate);
        while (start < due) start = SteadyClock::now();
        start = due;
      }
      Require(store->Put(keys[i % keys.size()], value));
      histograms_[phase].Record(
          static_cast<uint64_t>(std::chrono::nanoseconds(SteadyClock::now() - start).count()));
    }
  }

  std::atomic<int> phase_{0};
  Histogram histograms_[2];
  std::vector<std::thread> threads_;
};

void Say(const char* name, const HistogramCounts& counts, double seconds) {
  std::printf("  %-8s %9.0f puts/s  p50 %6.2f us  p99 %8.2f us  p99.9 %8.2f us  max %8.0f us\n",
              name, counts.count() / seconds, counts.Quantile(0.5) / 1e3,
              counts.Quantile(0.99) / 1e3, counts.Quantile(0.999) / 1e3, counts.max() / 1e3);
}

void Main() {
  MemoryOptions options;
  options.snapshot_path = FLAGS_path;
  ::unlink(FLAGS_path.c_str());
  {
    auto store = OpenMemoryStore(options);
    Require(store.status());
    const std::string value(64, 'v');
    for (uint64_t i = 0; i < FLAGS_entries; ++i) Require((*store)->Put(BenchUuid(i), value));
    for (int round = 0; round < FLAGS_rounds; ++round) {
      ResetPeak();
      const double before = Status("VmRSS");
      auto start = SteadyClock::now();
      Require((*store)->Sync());
      std::printf("idle: %.3f s, peak %.0f MB over %.0f MB\n", SecondsSince(start),
                  Status("VmHWM") - before, before);
    }
    for (int round = 0; round < FLAGS_rounds; ++round) {
      Writers writers(store->get());
      const auto began = SteadyClock::now();
      std::this_thread::sleep_for(std::chrono::seconds(2));
      const double without = SecondsSince(began);
      const double before = Status("VmRSS");
      ResetPeak();
      writers.SetPhase(1);
      const auto start = SteadyClock::now();
      Require((*store)->Sync());
      const double during = SecondsSince(start);
      writers.SetPhase(0);
      const double peak = Status("VmHWM");
      const HistogramCounts with = writers.Counts(1);
      std::printf("%d threads put: %.3f s, peak %.0f MB over %.0f MB\n", FLAGS_threads, during,
                  peak - before, before);
      Say("without", writers.Counts(0), without);
      Say("during", with, during);
    }
  }
  for (int round = 0; round < FLAGS_rounds; ++round) {
    const auto start = SteadyClock::now();
    const std::clock_t cpu = std::clock();
    auto store = OpenMemoryStore(options);
    Require(store.status());
    const double seconds = SecondsSince(start);
    std::printf("load: %.3f s (%.3f s of CPU), %.2f M entries/s, %llu entries\n", seconds,
                static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC,
                FLAGS_entries / seconds / 1e6,
                static_cast<unsigned long long>((*store)->Stats()->entries));  // NOLINT
  }
  ::unlink(FLAGS_path.c_str());
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  kvarts::Main();
}
