#ifndef KVARTS_STORAGE_SSTABLE_BENCH_JOB_RUN_H_
#define KVARTS_STORAGE_SSTABLE_BENCH_JOB_RUN_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "base/histogram.h"
#include "bench/bench_data.h"
#include "bench/random.h"
#include "storage/sstable/bench/bench_engine.h"
#include "storage/sstable/bench/jobs.h"

// What the jobs have in common: their data, and what is measured of one.
namespace kvarts {

using SteadyClock = std::chrono::steady_clock;

inline constexpr size_t kBenchKeyBytes = 16;
inline constexpr size_t kBenchValueBytes = 100;
inline constexpr uint64_t kBenchEntryBytes = kBenchKeyBytes + kBenchValueBytes;
inline constexpr uint64_t kBenchSeed = 15;

inline double SecondsBetween(SteadyClock::time_point from, SteadyClock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

// A number as 16 hexadecimal digits, whose order is that of the numbers.
class BenchKey {
 public:
  explicit BenchKey(uint64_t number) {
    for (size_t i = kBenchKeyBytes; i-- > 0; number >>= 4) {
      text_[i] = "0123456789abcdef"[number & 15];
    }
  }
  absl::string_view view() const { return {text_.data(), text_.size()}; }

 private:
  std::array<char, kBenchKeyBytes> text_;
};

// The entries: each number from 0 to n - 1 has one key and one value. Mix() maps no two numbers to
// one, so that the keys of n and above are in none of the stores.
inline BenchKey RandomKey(uint64_t number) { return BenchKey(Mix(number)); }

// Values of which, on average, a quarter repeats what is before it: they begin anywhere in a text
// of pieces of half their size, each there twice.
class BenchValues {
 public:
  BenchValues() {
    BenchRandom random(kBenchSeed, 0);
    while (pool_.size() < 1 << 20) {
      std::string piece;
      while (piece.size() < kBenchValueBytes / 2) {
        piece.push_back(static_cast<char>(' ' + random.Below(95)));
      }
      pool_ += piece + piece;
    }
  }
  absl::string_view Of(uint64_t number) const {
    return absl::string_view(pool_).substr(Mix(~number) % (pool_.size() - kBenchValueBytes),
                                           kBenchValueBytes);
  }

 private:
  std::string pool_;
};

// One run of a job: engine, data, and what was measured.
struct JobRun {
  const BenchEngineKind& kind;
  const std::string& dir;
  const BenchOptions& options;
  const BenchEngineOptions engine_options;
  std::unique_ptr<BenchEngine> engine = nullptr;
  BenchValues values = {};
  HistogramCounts latencies = {};  // ns of a call
  BenchFigures figures = {};

  uint64_t n() const { return options.entries; }
  uint64_t reads() const {
    return options.reads != 0 ? options.reads : std::min<uint64_t>(n(), 500'000);
  }
  void Open() { engine = kind.open(dir, engine_options); }
};

template <typename Call>
void Timed(HistogramCounts* latencies, const Call& call) {
  const auto start = SteadyClock::now();
  call();
  latencies->Add(static_cast<uint64_t>((SteadyClock::now() - start).count()));
}

}  // namespace kvarts

#endif  // KVARTS_STORAGE_SSTABLE_BENCH_JOB_RUN_H_
