#include "storage/sstable/bench/open_loops.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/arrivals.h"
#include "bench/bench_clock.h"
#include "storage/sstable/bench/counters.h"

namespace kvarts {
namespace {

// Who sleeps wakes so late only where the machine stood still.
constexpr int64_t kLateNs = 5'000'000;
constexpr int64_t kSleepNs = 1'000'000;
constexpr int kReaders = 2;
constexpr double kShareOfSustained = 0.8;

int64_t NowNs() { return BenchClock::Real()->NowNs(); }

// The control thread: notes when it woke late.
class Control {
 public:
  Control() : thread_([this] { Watch(); }) {}
  ~Control() {
    if (thread_.joinable()) Stop();
  }

  // Ends it. The pauses, in order.
  std::vector<BenchWait> Stop() {
    done_ = true;
    thread_.join();
    return std::move(pauses_);
  }

 private:
  void Watch() {
    int64_t from = NowNs();
    while (!done_) {
      BenchClock::Real()->SleepUntilNs(from + kSleepNs);
      const int64_t now = NowNs();
      if (now - from > kSleepNs + kLateNs) pauses_.push_back({from, now});
      from = now;
    }
  }

  std::atomic<bool> done_{false};
  std::vector<BenchWait> pauses_;
  std::thread thread_;  // begins when all else is there
};

// Puts of drawn entries, each a change of what is there already.
class Putter {
 public:
  explicit Putter(JobRun* run) : run_(run), random_(kBenchSeed, 40) {}

  void Put() {
    const uint64_t number = random_.Below(run_->n());
    const BenchKey key = RandomKey(number);
    run_->engine->Put(key.view(), run_->values.Of(number), /*sync=*/false);
  }

 private:
  JobRun* const run_;
  BenchRandom random_;
};

double Quantile(const std::vector<int64_t>& sorted, double quantile) {
  if (sorted.empty()) return 0;
  const auto place = static_cast<size_t>(quantile * static_cast<double>(sorted.size()));
  return static_cast<double>(sorted[std::min(place, sorted.size() - 1)]) / 1e3;
}

void AddQuantiles(std::vector<int64_t> lengths, absl::string_view ending, BenchFigures* figures) {
  std::sort(lengths.begin(), lengths.end());
  for (const auto& [name, quantile] :
       {std::pair("p50_us", 0.5), std::pair("p90_us", 0.9), std::pair("p99_us", 0.99),
        std::pair("p99.9_us", 0.999), std::pair("p99.99_us", 0.9999)}) {
    (*figures)[absl::StrCat(name, ending)] = Quantile(lengths, quantile);
  }
  (*figures)[absl::StrCat("max_us", ending)] = Quantile(lengths, 1);
}

// Does `call` when it is due, until `arrivals` end.
template <typename Call>
std::vector<BenchWait> Loop(Arrivals* arrivals, const Call& call) {
  std::vector<BenchWait> waits;
  while (const auto due = arrivals->Next()) {
    while (NowNs() < *due) BenchClock::Real()->SleepUntilNs(*due);
    call();
    waits.push_back({*due, NowNs()});
  }
  return waits;
}

Arrivals::Options Due(double rate, absl::Duration time) {
  Arrivals::Options options;
  options.rate = rate;
  options.start_ns = NowNs();
  options.count_from_ns = options.start_ns;
  options.end_ns = options.start_ns + absl::ToInt64Nanoseconds(time);
  options.seed = kBenchSeed;
  return options;
}

}  // namespace

void AddWaits(const std::vector<BenchWait>& waits, const std::vector<BenchWait>& pauses,
              BenchFigures* figures) {
  std::vector<int64_t> all;
  std::vector<int64_t> unpaused;
  for (const BenchWait& wait : waits) {
    all.push_back(wait.to - wait.from);
    // The first that ends behind its beginning.
    const auto pause = std::partition_point(pauses.begin(), pauses.end(),
                                            [&](const BenchWait& p) { return p.to <= wait.from; });
    if (pause == pauses.end() || pause->from >= wait.to) unpaused.push_back(all.back());
  }
  (*figures)["waits_unpaused"] = static_cast<double>(unpaused.size());
  AddQuantiles(std::move(all), "", figures);
  AddQuantiles(std::move(unpaused), "_unpaused", figures);
}

void AddSeconds(const std::vector<uint64_t>& done, BenchFigures* figures) {
  if (done.size() < 2) return;
  double sum = 0;
  for (size_t i = 0; i < done.size(); ++i) {
    const auto count = static_cast<double>(done[i]);
    (*figures)[absl::StrFormat("second_%04d", i + 1)] = count;
    sum += count;
  }
  const double mean = sum / static_cast<double>(done.size());
  const auto least = static_cast<double>(*std::min_element(done.begin(), done.end()));
  const auto even = std::count_if(done.begin(), done.end(), [&](uint64_t count) {
    return static_cast<double>(count) >= 0.8 * mean;
  });
  (*figures)["seconds_least"] = least / mean;
  (*figures)["seconds_even"] = static_cast<double>(even) / static_cast<double>(done.size());
}

SteadyClock::time_point WaitForRest(BenchEngine* engine, absl::Duration quiet) {
  const auto needed = absl::ToChronoNanoseconds(quiet);
  const auto step = std::max<std::chrono::nanoseconds>(needed / 30, std::chrono::milliseconds(1));
  auto active = SteadyClock::now();
  auto looked = active;
  ProcessCounters before = CountProcess();
  while (true) {
    const bool may_rest = engine->MayBeAtRest();
    const auto now = SteadyClock::now();
    const ProcessCounters counters = CountProcess();
    // This loop itself takes some of the processor.
    const bool worked =
        counters.cpu_seconds - before.cpu_seconds > 0.2 * SecondsBetween(looked, now) + 0.0005 ||
        counters.written_bytes != before.written_bytes;
    if (!may_rest || (quiet != absl::ZeroDuration() && worked)) {
      active = now;
    } else if (now - active >= needed) {
      return active;
    }
    before = counters;
    looked = now;
    std::this_thread::sleep_for(step);
  }
}

uint64_t ReadsBesideAWriter(JobRun* run) {
  std::atomic<bool> done{false};
  uint64_t puts = 0;
  const auto start = SteadyClock::now();
  std::thread writer([&] {
    for (Putter putter(run); !done; ++puts) putter.Put();
  });
  Control control;
  Arrivals arrivals(Due(run->options.reads_a_second, run->options.loop));
  std::vector<std::vector<BenchWait>> waits(kReaders);
  std::vector<std::thread> readers;
  for (size_t i = 0; i < kReaders; ++i) {
    readers.emplace_back([&, i] {
      const auto reader = run->engine->NewReader();
      BenchRandom random(kBenchSeed, 50 + i);
      absl::string_view value;
      waits[i] = Loop(&arrivals, [&] {
        const uint64_t number = random.Below(run->n());
        const BenchKey key = RandomKey(number);
        RequireBench(reader->Get(key.view(), &value) && value == run->values.Of(number),
                     "read amiss");
      });
    });
  }
  for (std::thread& reader : readers) reader.join();
  done = true;
  writer.join();
  run->figures["writer_rate"] =
      static_cast<double>(puts) / SecondsBetween(start, SteadyClock::now());
  std::vector<BenchWait> all;
  for (const std::vector<BenchWait>& of : waits) all.insert(all.end(), of.begin(), of.end());
  AddWaits(all, control.Stop(), &run->figures);
  return all.size();
}

uint64_t PutsInAnOpenLoop(JobRun* run) {
  Putter putter(run);
  uint64_t puts = 0;
  const auto start = SteadyClock::now();
  const auto end = start + absl::ToChronoNanoseconds(run->options.loop);
  for (; SteadyClock::now() < end; ++puts) putter.Put();
  // A store takes more than it can keep up with for as long as its memtables and levels have room.
  const auto rest = WaitForRest(run->engine.get(), run->options.quiet);
  const double sustained = static_cast<double>(puts) / SecondsBetween(start, rest);
  run->figures["sustained_rate"] = sustained;

  Control control;
  const Arrivals::Options due = Due(kShareOfSustained * sustained, run->options.loop);
  Arrivals arrivals(due);
  const std::vector<BenchWait> waits = Loop(&arrivals, [&] { putter.Put(); });
  AddWaits(waits, control.Stop(), &run->figures);
  std::vector<uint64_t> seconds(static_cast<size_t>(absl::ToInt64Seconds(run->options.loop)));
  for (const BenchWait& wait : waits) {
    const auto second = static_cast<size_t>((wait.to - due.start_ns) / 1'000'000'000);
    if (second < seconds.size()) ++seconds[second];
  }
  AddSeconds(seconds, &run->figures);
  return puts + waits.size();
}

}  // namespace kvarts
