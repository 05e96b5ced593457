#include "storage/sstable/bench/jobs.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/sstable/bench/counters.h"
#include "storage/sstable/bench/job_run.h"
#include "storage/sstable/bench/open_loops.h"

namespace kvarts {
namespace {

constexpr uint64_t kPutsInBatch = 100;
constexpr size_t kKeysInRead = 64;
constexpr uint64_t kEntriesInScan = 100;
// Half of the keys of fillrandom are from here on.
constexpr uint64_t kMiddle = uint64_t{1} << 63;
constexpr int kOpenings = 5;
constexpr uint64_t kFirstReads = 10'000;
constexpr uint64_t kLogBytes = 64 << 20;  // of entries, when a process is killed

// `work(thread, &latencies)` on so many threads.
template <typename Work>
void OnThreads(JobRun* run, int count, const Work& work) {
  std::vector<HistogramCounts> latencies(static_cast<size_t>(count));
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back(
        [&, i] { work(static_cast<uint64_t>(i), &latencies[static_cast<size_t>(i)]); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const HistogramCounts& counts : latencies) run->latencies.Merge(counts);
}

// The jobs return how many operations they were.

template <typename NumberOf, typename KeyOf>
uint64_t Fill(JobRun* run, uint64_t puts, const NumberOf& number_of, const KeyOf& key_of) {
  const auto start = SteadyClock::now();
  std::vector<uint64_t> seconds;  // whole ones
  uint64_t counted = 0;
  for (uint64_t i = 0; i < puts; ++i) {
    const uint64_t number = number_of(i);
    const BenchKey key = key_of(number);
    Timed(&run->latencies,
          [&] { run->engine->Put(key.view(), run->values.Of(number), /*sync=*/false); });
    if (i % 64 != 0) continue;
    while (SteadyClock::now() >= start + std::chrono::seconds(seconds.size() + 1)) {
      seconds.push_back(i - std::exchange(counted, i));
    }
  }
  AddSeconds(seconds, &run->figures);
  return puts;
}

uint64_t Same(uint64_t number) { return number; }

uint64_t FillRandom(JobRun* run) { return Fill(run, run->n(), Same, RandomKey); }

uint64_t FillSequential(JobRun* run) {
  return Fill(run, run->n(), Same, [](uint64_t number) { return BenchKey(number); });
}

uint64_t Overwrite(JobRun* run) {
  BenchRandom random(kBenchSeed, 1);
  return Fill(
      run, run->n(), [&](uint64_t) { return random.Below(run->n()); }, RandomKey);
}

uint64_t FillBatches(JobRun* run) {
  std::vector<BenchKey> keys;
  std::vector<std::pair<absl::string_view, absl::string_view>> pairs;
  for (uint64_t i = 0; i < run->n(); i += kPutsInBatch) {
    const uint64_t end = std::min(run->n(), i + kPutsInBatch);
    keys.clear();
    pairs.clear();
    for (uint64_t j = i; j < end; ++j) keys.push_back(RandomKey(j));
    for (uint64_t j = i; j < end; ++j) pairs.emplace_back(keys[j - i].view(), run->values.Of(j));
    Timed(&run->latencies, [&] { run->engine->PutBatch(pairs, /*sync=*/false); });
  }
  return run->n();
}

// What the disk takes at the least: bytes of a file that has them already, made durable.
double SyncFloorUs(const std::string& dir) {
  constexpr int kSyncs = 200;
  constexpr size_t kFileBytes = 1 << 20;
  const std::string path = absl::StrCat(dir, ".floor");
  const int fd = open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0644);
  const std::string zeros(kFileBytes, '\0');
  RequireBench(
      fd >= 0 && pwrite(fd, zeros.data(), zeros.size(), 0) == static_cast<ssize_t>(zeros.size()) &&
          fsync(fd) == 0,
      path);
  HistogramCounts latencies;
  for (int i = 0; i < kSyncs; ++i) {
    Timed(&latencies, [&] {
      RequireBench(pwrite(fd, zeros.data(), 4096, i * 4096) == 4096 && fdatasync(fd) == 0, path);
    });
  }
  close(fd);
  unlink(path.c_str());
  return static_cast<double>(latencies.Quantile(0.5)) / 1e3;
}

uint64_t FillSync(JobRun* run, int threads, uint64_t puts) {
  const uint64_t each = puts / static_cast<uint64_t>(threads);
  OnThreads(run, threads, [&](uint64_t thread, HistogramCounts* latencies) {
    for (uint64_t i = 0; i < each; ++i) {
      const uint64_t number = thread * each + i;
      const BenchKey key = RandomKey(number);
      Timed(latencies,
            [&] { run->engine->Put(key.view(), run->values.Of(number), /*sync=*/true); });
    }
  });
  return each * static_cast<uint64_t>(threads);
}

uint64_t ReadRandom(JobRun* run, int threads, bool there) {
  const uint64_t each = run->reads() / static_cast<uint64_t>(threads);
  OnThreads(run, threads, [&](uint64_t thread, HistogramCounts* latencies) {
    const auto reader = run->engine->NewReader();
    BenchRandom random(kBenchSeed, 10 + thread);
    absl::string_view value;
    for (uint64_t i = 0; i < each; ++i) {
      const uint64_t number = random.Below(run->n());
      const BenchKey key = RandomKey(there ? number : number + run->n());
      bool found = false;
      Timed(latencies, [&] { found = reader->Get(key.view(), &value); });
      RequireBench(found == there && (!found || value == run->values.Of(number)), "read amiss");
    }
  });
  return each * static_cast<uint64_t>(threads);
}

uint64_t MultiGet(JobRun* run) {
  const auto reader = run->engine->NewReader();
  BenchRandom random(kBenchSeed, 20);
  std::vector<absl::string_view> values;
  uint64_t keys_read = 0;
  while (keys_read < run->reads()) {
    std::vector<uint64_t> numbers;
    std::vector<BenchKey> keys;
    std::vector<absl::string_view> views;
    for (size_t i = 0; i < kKeysInRead; ++i) {
      numbers.push_back(random.Below(run->n()));
      keys.push_back(RandomKey(numbers.back()));
    }
    for (const BenchKey& key : keys) views.push_back(key.view());
    Timed(&run->latencies, [&] { reader->MultiGet(views, &values); });
    for (size_t i = 0; i < kKeysInRead; ++i) {
      RequireBench(values[i] == run->values.Of(numbers[i]), "read amiss");
    }
    keys_read += kKeysInRead;
  }
  return keys_read;
}

// Scans, and that keys are in order.
template <typename Scan>
uint64_t Ordered(bool backward, const Scan& scan) {
  std::string last;
  uint64_t entries = 0;
  scan([&](absl::string_view key, absl::string_view value) {
    const int order = key.compare(last);
    RequireBench(
        (entries == 0 || (backward ? order < 0 : order > 0)) && value.size() == kBenchValueBytes,
        "scan amiss");
    last.assign(key.data(), key.size());
    ++entries;
  });
  return entries;
}

uint64_t ScanSome(JobRun* run) {
  const auto reader = run->engine->NewReader();
  BenchRandom random(kBenchSeed, 30);
  const uint64_t scans = std::max<uint64_t>(run->reads() / 10, 1);
  for (uint64_t i = 0; i < scans; ++i) {
    const BenchKey key = RandomKey(random.Below(run->n()));
    Timed(&run->latencies, [&] {
      const uint64_t entries = Ordered(false, [&](BenchReader::Entry entry) {
        reader->Scan(key.view(), kEntriesInScan, entry);
      });
      RequireBench(entries > 0, "scan amiss");
    });
  }
  return scans;
}

uint64_t ScanAll(JobRun* run, bool backward, uint64_t expected) {
  const auto reader = run->engine->NewReader();
  uint64_t entries = 0;
  Timed(&run->latencies, [&] {
    entries = Ordered(backward, [&](BenchReader::Entry entry) {
      if (backward) {
        reader->ScanBackward(~uint64_t{0}, entry);
      } else {
        reader->Scan("", ~uint64_t{0}, entry);
      }
    });
  });
  RequireBench(entries == expected, absl::StrCat("a scan of ", entries, " of ", expected));
  return entries;
}

uint64_t Reopen(JobRun* run) {
  absl::string_view value;
  for (int i = 0; i < kOpenings; ++i) {
    run->engine.reset();
    Timed(&run->latencies, [&] {
      run->Open();
      const BenchKey key = RandomKey(0);
      RequireBench(run->engine->NewReader()->Get(key.view(), &value), "read amiss");
    });
  }
  return kOpenings;
}

template <typename KeyOf>
void FirstReads(JobRun* run, uint64_t n, const KeyOf& key_of) {
  const auto reader = run->engine->NewReader();
  BenchRandom random(kBenchSeed, 60);
  absl::string_view value;
  for (uint64_t i = 0; i < std::min(kFirstReads, n); ++i) {
    const uint64_t number = random.Below(n);
    const BenchKey key = key_of(number);
    RequireBench(reader->Get(key.view(), &value) && value == run->values.Of(number), "read amiss");
  }
}

// The engine takes what it has kept of its indexes, if it keeps anything.
uint64_t ReopenWithIndex(JobRun* run) {
  run->engine->SaveIndex();
  for (int i = 0; i < kOpenings; ++i) {
    run->engine.reset();
    Timed(&run->latencies, [&] {
      run->Open();
      run->engine->LoadIndex();
      FirstReads(run, run->n(), RandomKey);
    });
  }
  return kOpenings;
}

// What a killed process wrote, which is all in its log: until the last entry is read.
uint64_t ReopenKilled(JobRun* run) {
  const uint64_t puts = std::min(run->n(), kLogBytes / kBenchEntryBytes);
  const pid_t child = fork();
  RequireBench(child >= 0, "fork");
  if (child == 0) {
    run->Open();
    for (uint64_t i = 0; i < puts; ++i) {
      const BenchKey key = RandomKey(i);
      run->engine->Put(key.view(), run->values.Of(i), /*sync=*/false);
    }
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  RequireBench(waitpid(child, &status, 0) == child && WIFSIGNALED(status), "the child ended");
  Timed(&run->latencies, [&] {
    run->Open();
    absl::string_view value;
    const BenchKey key = RandomKey(puts - 1);
    RequireBench(run->engine->NewReader()->Get(key.view(), &value), "read amiss");
  });
  run->figures["log_entries"] = static_cast<double>(puts);
  return 1;
}

uint64_t Ingest(JobRun* run) {
  uint64_t next = 0;
  std::optional<BenchKey> last;
  run->figures["commit_ms"] =
      1e3 * run->engine->Ingest([&](absl::string_view* key, absl::string_view* value) {
        if (next == run->n()) return false;
        *key = last.emplace(next).view();
        *value = run->values.Of(next++);
        return true;
      });
  return run->n();
}

// Opens it anew and reads it, within the same memory.
void ReadWhatWasIngested(JobRun* run) {
  const auto key_of = [](uint64_t number) { return BenchKey(number); };
  run->engine.reset();
  const auto start = SteadyClock::now();
  run->Open();
  FirstReads(run, 1, key_of);
  run->figures["reopen_ms"] = 1e3 * SecondsBetween(start, SteadyClock::now());
  for (uint64_t i = 0; i < run->reads(); i += kFirstReads) FirstReads(run, run->n(), key_of);
  run->figures["peak_bytes"] = static_cast<double>(CountProcess().peak_bytes);
}

uint64_t DeleteHalf(JobRun* run) {
  const BenchKey middle(kMiddle);
  Timed(&run->latencies, [&] { run->engine->DeleteRange(middle.view(), "g"); });
  return 1;
}

// Until the space of what was deleted is back, or for as long as that may take.
void AwaitSpace(JobRun* run, SteadyClock::time_point start, uint64_t before) {
  run->engine->Flush();
  const auto limit = start + absl::ToChronoNanoseconds(run->options.space_back);
  // The half that stays, and a tenth of the whole.
  const auto back = [&] {
    const DirectoryBytes bytes = BytesIn(run->dir);
    return bytes.all - bytes.reserve <= before / 10 * 6;
  };
  bool is_back = back();
  while (!is_back && SteadyClock::now() < limit) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    is_back = back();
  }
  run->figures["space_is_back"] = is_back ? 1 : 0;
  run->figures["space_back_seconds"] = SecondsBetween(start, SteadyClock::now());
}

enum class CacheFor : unsigned char {
  kShare = 0,  // as when writing
  kAll,        // more than the data, which is read once before
  kTenth,      // of keys and values
  kNoFlush,    // memtables for more than kLogBytes
};

struct JobWork {
  BenchJob job;
  CacheFor cache = CacheFor::kShare;
  std::function<uint64_t(JobRun* run)> work;
  bool opens = false;  // the store itself
};

const std::vector<JobWork>& Works() {
  constexpr bool kReads = false;
  constexpr bool kWrites = true;
  static const std::vector<JobWork>& works = *new std::vector<JobWork>{
      {{"fillrandom", "puts", kWrites, true, 1.5}, CacheFor::kShare, FillRandom},
      {{"readrandom", "gets", kReads, false, 2},
       CacheFor::kAll,
       [](JobRun* run) { return ReadRandom(run, 2, true); }},
      {{"readrandom1", "gets", kReads, false, 0},
       CacheFor::kAll,
       [](JobRun* run) { return ReadRandom(run, 1, true); }},
      {{"readtenth", "gets", kReads, false, 1.5},
       CacheFor::kTenth,
       [](JobRun* run) { return ReadRandom(run, 2, true); }},
      {{"readmissing", "gets", kReads, false, 2},
       CacheFor::kAll,
       [](JobRun* run) { return ReadRandom(run, 2, false); }},
      {{"multiget64", "keys", kReads, false, 2}, CacheFor::kAll, MultiGet},
      {{"scan100", "scans", kReads, false, 1.5}, CacheFor::kAll, ScanSome},
      {{"scan", "entries", kReads, false, 2},
       CacheFor::kShare,
       [](JobRun* run) { return ScanAll(run, false, run->n()); }},
      {{"scanback", "entries", kReads, false, 0},
       CacheFor::kShare,
       [](JobRun* run) { return ScanAll(run, true, run->n()); }},
      {{"reopen", "openings", kReads, false, 0}, CacheFor::kShare, Reopen},
      {{"reopenindex", "openings", kReads, false, 0}, CacheFor::kShare, ReopenWithIndex},
      {{"overwrite", "puts", kWrites, false, 0}, CacheFor::kShare, Overwrite},
      {{"readloop", "gets", kReads, false, 0}, CacheFor::kShare, ReadsBesideAWriter},
      {{"putloop", "puts", kWrites, false, 0}, CacheFor::kShare, PutsInAnOpenLoop},
      {{"deleterange", "calls", kWrites, false, 0}, CacheFor::kShare, DeleteHalf},
      {{"fillbatch100", "puts", kWrites, true, 2.5}, CacheFor::kShare, FillBatches},
      {{"fillseq", "puts", kWrites, true, 1.7}, CacheFor::kShare, FillSequential},
      {{"ingest", "entries", kReads, true, 0}, CacheFor::kShare, Ingest},
      {{"reopenkilled", "openings", kReads, true, 0},
       CacheFor::kNoFlush,
       ReopenKilled,
       /*opens=*/true},
      {{"fillsync", "puts", kWrites, true, 1.2},
       CacheFor::kShare,
       [](JobRun* run) { return FillSync(run, 1, run->options.synced); }},
      {{"fillsync16", "puts", kWrites, true, 0},
       CacheFor::kShare,
       [](JobRun* run) { return FillSync(run, 16, 4 * run->options.synced); }},
  };
  return works;
}

BenchEngineOptions EngineOptionsFor(CacheFor cache, const BenchOptions& options) {
  BenchEngineOptions engine;
  engine.memtable_bytes = options.memory / 8;
  engine.cache_bytes = options.memory / 8 * 5;
  if (cache == CacheFor::kAll)
    engine.cache_bytes = 2 * options.entries * kBenchEntryBytes + (32 << 20);
  if (cache == CacheFor::kNoFlush) engine.memtable_bytes = 4 * kLogBytes;
  if (cache == CacheFor::kTenth) engine.cache_bytes = options.entries * kBenchEntryBytes / 10;
  engine.compress = options.compress;
  return engine;
}

// What was done since `before`, with names that end so.
void AddCounts(const JobRun& run, const ProcessCounters& before, double seconds, double operations,
               const std::string& ending, BenchFigures* figures) {
  const ProcessCounters now = CountProcess();
  const DirectoryBytes disk = BytesIn(run.dir);
  const auto add = [&](const char* name, double value) {
    (*figures)[absl::StrCat(name, ending)] = value;
  };
  add("seconds", seconds);
  add("rate", operations / seconds);
  add("cpu_us", (now.cpu_seconds - before.cpu_seconds) / operations * 1e6);
  add("written_bytes", static_cast<double>(now.written_bytes - before.written_bytes));
  add("device_bytes", static_cast<double>(now.device_bytes - before.device_bytes));
  add("write_calls", static_cast<double>(now.write_calls - before.write_calls) / operations);
  add("read_calls", static_cast<double>(now.read_calls - before.read_calls) / operations);
  add("disk_bytes", static_cast<double>(disk.all - disk.reserve));
  add("reserve_bytes", static_cast<double>(disk.reserve));
  add("resident_bytes", static_cast<double>(now.resident_bytes));
  add("peak_bytes", static_cast<double>(now.peak_bytes));
}

}  // namespace

const std::vector<BenchJob>& BenchJobs() {
  static const std::vector<BenchJob>& jobs = *[] {
    auto* const jobs = new std::vector<BenchJob>;
    for (const JobWork& work : Works()) jobs->push_back(work.job);
    return jobs;
  }();
  return jobs;
}

BenchFigures RunBenchJob(const BenchJob& job, const BenchEngineKind& kind, const std::string& dir,
                         const BenchOptions& options) {
  const auto found = std::find_if(Works().begin(), Works().end(),
                                  [&](const JobWork& work) { return work.job.name == job.name; });
  RequireBench(found != Works().end(), absl::StrCat("no job ", job.name));
  const JobWork& work = *found;
  if (job.own_store) std::filesystem::remove_all(dir);
  JobRun run{kind, dir, options, EngineOptionsFor(work.cache, options)};
  if (job.name == "fillsync" || job.name == "fillsync16") {
    run.figures["sync_floor_us"] = SyncFloorUs(dir);
  }
  if (!work.opens) run.Open();
  if (work.cache == CacheFor::kAll) {
    run.engine->NewReader()->Scan("", ~uint64_t{0}, [](absl::string_view, absl::string_view) {});
  }

  const DirectoryBytes disk = BytesIn(dir);
  const ProcessCounters before = CountProcess();
  const auto start = SteadyClock::now();
  const auto operations = static_cast<double>(work.work(&run));
  AddCounts(run, before, SecondsBetween(start, SteadyClock::now()), operations, "", &run.figures);
  if (job.name == "ingest") ReadWhatWasIngested(&run);
  if (job.name == "deleterange") AwaitSpace(&run, start, disk.all - disk.reserve);
  if (job.writes) {
    const auto rest = WaitForRest(run.engine.get(), options.quiet);
    AddCounts(run, before, SecondsBetween(start, rest), operations, "_at_rest", &run.figures);
    const bool puts = job.operations == "puts";
    if (puts) {
      const double user = operations * kBenchEntryBytes;
      run.figures["amplification"] = run.figures["written_bytes"] / user;
      run.figures["amplification_at_rest"] = run.figures["written_bytes_at_rest"] / user;
    }
  }
  run.figures["operations"] = operations;
  // A loop has its own: of waits.
  if (run.figures.count("p50_us") == 0) {
    for (const auto& [name, quantile] : {std::pair("p50_us", 0.5), std::pair("p90_us", 0.9),
                                         std::pair("p99_us", 0.99), std::pair("p99.9_us", 0.999)}) {
      run.figures[name] = static_cast<double>(run.latencies.Quantile(quantile)) / 1e3;
    }
    run.figures["max_us"] = static_cast<double>(run.latencies.max()) / 1e3;
  }

  if (job.name == "deleterange") {
    uint64_t left = 0;
    for (uint64_t i = 0; i < options.entries; ++i) left += Mix(i) < kMiddle ? 1 : 0;
    ScanAll(&run, false, left);
  }
  if (job.name == "fillrandom") {
    // The jobs after it find tables and no log, with each engine.
    run.engine->Flush();
    WaitForRest(run.engine.get(), options.quiet);
  }
  run.engine.reset();
  return run.figures;
}

}  // namespace kvarts
