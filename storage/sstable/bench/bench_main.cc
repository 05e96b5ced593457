// The SSTable store and, in :peers_bench, RocksDB and LevelDB: the same jobs in turns, each in a
// process of its own. README.md says what is measured and how.
//
//   ./bazelw run //storage/sstable/bench:peers_bench -- --rounds=3 --json=$PWD/sstable.json

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "gflags/gflags.h"
#include "storage/sstable/bench/jobs.h"

DEFINE_uint64(entries, 1'000'000, "Of 16 + 100 bytes.");
DEFINE_uint64(reads, 0, "Of a job of single reads; 0: as many as entries, 500,000 at the most.");
DEFINE_uint64(synced, 2000, "Puts of fillsync; of fillsync16 four times as many.");
DEFINE_uint64(memory, uint64_t{64} << 20, "Cache and memtables of the jobs that write.");
DEFINE_bool(compress, true, "LZ4; LevelDB has Snappy. False: none.");
DEFINE_int32(rounds, 3, "Of each job; the tables have medians.");
DEFINE_int32(quiet_ms, 300, "An engine is at rest when it did nothing for so long.");
DEFINE_int32(space_back_ms, 15'000, "How long a deleted range may take to give its space back.");
DEFINE_double(reads_a_second, 20'000, "Of readloop.");
DEFINE_int32(loop_ms, 10'000, "How long each part of readloop and putloop takes.");
DEFINE_string(engines, "", "Which, by commas; empty: all of the program.");
DEFINE_string(jobs, "", "Which, by commas; empty: all. Most need fillrandom before them.");
DEFINE_string(dir, "",
              "An existing directory for the stores, which stay. Empty: one below $TEST_TMPDIR or "
              "/tmp, removed at the end.");
DEFINE_string(json, "", "A file for all figures of all runs.");
// This one is for a process that runs one job; the program gives it to those that it starts.
DEFINE_string(run_to, "", "Run one job of one engine over --dir, and write its figures here.");

namespace kvarts {
namespace {

// All runs of one job by one engine.
struct Runs {
  std::vector<BenchFigures> rounds;

  std::vector<double> Of(const std::string& name) const {
    std::vector<double> values;
    for (const BenchFigures& figures : rounds) {
      const auto it = figures.find(name);
      if (it != figures.end()) values.push_back(it->second);
    }
    absl::c_sort(values);
    return values;
  }
  double Median(const std::string& name) const {
    const std::vector<double> values = Of(name);
    return values.empty() ? std::numeric_limits<double>::quiet_NaN() : values[values.size() / 2];
  }
};

using AllRuns = std::map<std::pair<std::string, std::string>, Runs>;  // by job and engine

std::vector<BenchEngineKind> ChosenEngines() {
  std::vector<BenchEngineKind> engines = BenchEngines();
  if (FLAGS_engines.empty()) return engines;
  const std::vector<std::string> names = absl::StrSplit(FLAGS_engines, ',');
  std::vector<BenchEngineKind> chosen;
  for (const std::string& name : names) {
    const auto it =
        absl::c_find_if(engines, [&](const BenchEngineKind& kind) { return kind.name == name; });
    RequireBench(it != engines.end(), absl::StrCat("--engines: no engine ", name));
    chosen.push_back(*it);
  }
  return chosen;
}

std::vector<BenchJob> ChosenJobs() {
  if (FLAGS_jobs.empty()) return BenchJobs();
  const std::vector<std::string> names = absl::StrSplit(FLAGS_jobs, ',');
  std::vector<BenchJob> chosen;
  for (const std::string& name : names) {
    const auto it =
        absl::c_find_if(BenchJobs(), [&](const BenchJob& job) { return job.name == name; });
    RequireBench(it != BenchJobs().end(), absl::StrCat("--jobs: no job ", name));
    chosen.push_back(*it);
  }
  return chosen;
}

// In the process of its own.
void RunOne() {
  BenchOptions options;
  options.entries = FLAGS_entries;
  options.reads = FLAGS_reads;
  options.synced = FLAGS_synced;
  options.memory = FLAGS_memory;
  options.compress = FLAGS_compress;
  options.quiet = absl::Milliseconds(FLAGS_quiet_ms);
  options.space_back = absl::Milliseconds(FLAGS_space_back_ms);
  options.reads_a_second = FLAGS_reads_a_second;
  options.loop = absl::Milliseconds(FLAGS_loop_ms);
  const BenchFigures figures =
      RunBenchJob(ChosenJobs().at(0), ChosenEngines().at(0), FLAGS_dir, options);
  std::ofstream out(FLAGS_run_to);
  for (const auto& [name, value] : figures) out << absl::StrFormat("%s %.17g\n", name, value);
  RequireBench(out.flush().good(), FLAGS_run_to);
}

BenchFigures RunInProcess(const std::string& job, const std::string& engine,
                          const std::string& dir) {
  const std::string out_path = absl::StrCat(dir, ".figures");
  std::vector<std::string> args = {
      "sstable_bench",
      absl::StrCat("--run_to=", out_path),
      absl::StrCat("--jobs=", job),
      absl::StrCat("--engines=", engine),
      absl::StrCat("--dir=", dir),
      absl::StrCat("--entries=", FLAGS_entries),
      absl::StrCat("--reads=", FLAGS_reads),
      absl::StrCat("--synced=", FLAGS_synced),
      absl::StrCat("--memory=", FLAGS_memory),
      absl::StrCat("--compress=", FLAGS_compress ? "true" : "false"),
      absl::StrCat("--quiet_ms=", FLAGS_quiet_ms),
      absl::StrCat("--space_back_ms=", FLAGS_space_back_ms),
      absl::StrCat("--reads_a_second=", FLAGS_reads_a_second),
      absl::StrCat("--loop_ms=", FLAGS_loop_ms),
  };
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  const pid_t child = fork();
  RequireBench(child >= 0, "fork");
  if (child == 0) {
    execv("/proc/self/exe", argv.data());
    _exit(127);
  }
  int status = 0;
  RequireBench(waitpid(child, &status, 0) == child && status == 0,
               absl::StrCat(job, " of ", engine, " failed"));
  BenchFigures figures;
  std::ifstream in(out_path);
  std::string name;
  double value = 0;
  while (in >> name >> value) figures[name] = value;
  RequireBench(!figures.empty(), out_path);
  unlink(out_path.c_str());
  return figures;
}

// A figure for each engine, by its median.
template <typename Format>
std::string Each(const AllRuns& runs, const std::vector<BenchEngineKind>& engines,
                 const std::string& job, const std::string& name, const Format& format) {
  std::vector<std::string> texts;
  for (const BenchEngineKind& engine : engines) {
    texts.push_back(format(runs.at({job, engine.name}).Median(name)));
  }
  return absl::StrJoin(texts, "; ");
}

std::string Short(double value) {
  if (value >= 100) return absl::StrFormat("%.0f", value);
  return value >= 10 ? absl::StrFormat("%.1f", value) : absl::StrFormat("%.2f", value);
}
std::string Rate(double value) {
  return value >= 100'000 ? absl::StrFormat("%.0f k", value / 1e3)
         : value >= 1000  ? absl::StrFormat("%.1f k", value / 1e3)
                          : Short(value);
}
std::string MiB(double value) { return Short(value / (1 << 20)); }

// The first engine's figure beside that of the best of the others, by medians, and the least and
// the most of the rounds. `best` chooses: std::max of rates. Empty without others.
using Choose = const double& (*)(const double&, const double&);
std::string Ratio(const AllRuns& runs, const std::vector<BenchEngineKind>& engines,
                  const std::string& job, const std::string& name, Choose best) {
  if (engines.size() < 2) return "";
  const auto ratio_of = [&](const auto& value_of) {
    double peer = value_of(runs.at({job, engines[1].name}));
    for (size_t i = 2; i < engines.size(); ++i) {
      peer = best(peer, value_of(runs.at({job, engines[i].name})));
    }
    return value_of(runs.at({job, engines.front().name})) / peer;
  };
  std::vector<double> ratios;
  for (int round = 0; round < FLAGS_rounds; ++round) {
    ratios.push_back(
        ratio_of([&](const Runs& of) { return of.rounds[static_cast<size_t>(round)].at(name); }));
  }
  absl::c_sort(ratios);
  return absl::StrFormat("%.2f (%.2f to %.2f)",
                         ratio_of([&](const Runs& of) { return of.Median(name); }), ratios.front(),
                         ratios.back());
}

void PrintTables(const AllRuns& runs, const std::vector<BenchEngineKind>& engines,
                 const std::vector<BenchJob>& jobs) {
  std::vector<std::string> names;
  for (const BenchEngineKind& engine : engines) names.push_back(engine.name);
  absl::PrintF("Each column has %s.\n\n", absl::StrJoin(names, "; "));
  absl::PrintF(
      "| job | a second | beside the better peer | goal | processor, us each | beside the better "
      "peer | p50, us | p99, us | "
      "p99.9, us | resident at its peak, MiB |\n|---|---|---|---|---|---|---|---|---|---|\n");
  for (const BenchJob& job : jobs) {
    const auto each = [&](const char* name, const auto& format) {
      return Each(runs, engines, job.name, name, format);
    };
    absl::PrintF("| %s, %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", job.name,
                 job.operations, each("rate", Rate),
                 Ratio(runs, engines, job.name, "rate", std::max<double>),
                 job.goal == 0 ? "" : absl::StrCat(job.goal), each("cpu_us", Short),
                 Ratio(runs, engines, job.name, "cpu_us", std::min<double>), each("p50_us", Short),
                 each("p99_us", Short), each("p99.9_us", Short), each("peak_bytes", MiB));
  }
  absl::PrintF(
      "\n| job | a second, to rest | beside the better peer | processor to rest, us each | "
      "written, "
      "bytes a byte put | the same at rest | write(2) each | on disk, MiB | the same at rest |\n"
      "|---|---|---|---|---|---|---|---|---|\n");
  for (const BenchJob& job : jobs) {
    if (!job.writes || job.operations != "puts") continue;
    const auto each = [&](const char* name, const auto& format) {
      return Each(runs, engines, job.name, name, format);
    };
    absl::PrintF("| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", job.name,
                 each("rate_at_rest", Rate),
                 Ratio(runs, engines, job.name, "rate_at_rest", std::max<double>),
                 each("cpu_us_at_rest", Short), each("amplification", Short),
                 each("amplification_at_rest", Short), each("write_calls", Short),
                 each("disk_bytes", MiB), each("disk_bytes_at_rest", MiB));
  }
  for (const BenchJob& job : jobs) {
    const auto each = [&](const char* name, const auto& format) {
      return Each(runs, engines, job.name, name, format);
    };
    if (job.name == "fillsync" || job.name == "fillsync16") {
      absl::PrintF("\n%s: the disk alone takes %s us a sync\n", job.name,
                   each("sync_floor_us", Short));
    }
    if (job.name == "readloop" || job.name == "putloop") {
      absl::PrintF(
          "\n%s: waits without pauses of the machine, p99.9 %s, p99.99 %s, the longest %s us; with "
          "them %s, %s, %s\n",
          job.name, each("p99.9_us_unpaused", Short), each("p99.99_us_unpaused", Short),
          each("max_us_unpaused", Short), each("p99.9_us", Short), each("p99.99_us", Short),
          each("max_us", Short));
    }
    if (job.name == "readloop") {
      absl::PrintF("readloop: the writer puts %s a second\n", each("writer_rate", Rate));
    }
    if (job.name == "putloop") {
      absl::PrintF(
          "putloop: a closed loop puts %s a second to rest; the least second has %s of the mean, "
          "%s of the "
          "seconds have 0.8\n",
          each("sustained_rate", Rate), each("seconds_least", Short), each("seconds_even", Short));
    }
    if (job.name == "ingest") {
      absl::PrintF("\n%s: the last step takes %s ms; the opening with its first read %s ms\n",
                   job.name, each("commit_ms", Short), each("reopen_ms", Short));
    }
    if (job.name == "deleterange") {
      absl::PrintF("\n%s: MiB on disk %s; the space was back (1) %s, looked for %s s\n", job.name,
                   each("disk_bytes_at_rest", MiB), each("space_is_back", Short),
                   each("space_back_seconds", Short));
    }
  }
}

// {"settings": {...}, "runs": [{"job": ..., "engine": ..., "round": 1, "figures": {...}}, ...]}.
std::string Json(const AllRuns& runs) {
  std::vector<std::string> texts;
  for (const auto& [job_and_engine, of_job] : runs) {
    for (size_t round = 0; round < of_job.rounds.size(); ++round) {
      const std::string figures =
          absl::StrJoin(of_job.rounds[round], ", ", [](std::string* out, const auto& figure) {
            absl::StrAppendFormat(out, "\"%s\": %.10g", figure.first, figure.second);
          });
      texts.push_back(
          absl::StrFormat("{\"job\": \"%s\", \"engine\": \"%s\", \"round\": %d, \"figures\": {%s}}",
                          job_and_engine.first, job_and_engine.second, round + 1, figures));
    }
  }
  return absl::StrFormat(
      "{\"settings\": {\"entries\": %d, \"reads\": %d, \"synced\": %d, \"memory\": %d, "
      "\"compress\": %s, \"rounds\": %d},\n\"runs\": [\n%s\n]}\n",
      FLAGS_entries, FLAGS_reads, FLAGS_synced, FLAGS_memory, FLAGS_compress ? "true" : "false",
      FLAGS_rounds, absl::StrJoin(texts, ",\n"));
}

int Main() {
  if (!FLAGS_run_to.empty()) {
    RunOne();
    return 0;
  }
  const std::vector<BenchEngineKind> engines = ChosenEngines();
  const std::vector<BenchJob> jobs = ChosenJobs();
  std::string dir = FLAGS_dir;
  if (dir.empty()) {
    const char* const tmp = getenv("TEST_TMPDIR");
    dir = absl::StrCat(tmp == nullptr ? "/tmp" : tmp, "/sstable_bench.", getpid());
    std::filesystem::create_directory(dir);
  }
  AllRuns runs;
  for (int round = 0; round < FLAGS_rounds; ++round) {
    for (const BenchJob& job : jobs) {
      for (size_t i = 0; i < engines.size(); ++i) {
        // Another one is the first in each round.
        const std::string& engine = engines[(i + static_cast<size_t>(round)) % engines.size()].name;
        // Jobs with a store of their own leave that of the others.
        const bool main = !job.own_store || job.name == "fillrandom";
        const std::string store = absl::StrCat(dir, "/", engine, main ? "" : ".own");
        // Nobody pays for another's writing.
        sync();
        runs[{job.name, engine}].rounds.push_back(RunInProcess(job.name, engine, store));
        std::fprintf(stderr, "round %d, %s, %s: %s/s\n", round + 1, job.name.c_str(),
                     engine.c_str(),
                     Rate(runs[{job.name, engine}].rounds.back().at("rate")).c_str());
      }
    }
    // What is ended early leaves the rounds that it has.
    if (FLAGS_json.empty()) continue;
    std::ofstream out(FLAGS_json);
    out << Json(runs);
    RequireBench(out.flush().good(), FLAGS_json);
  }
  PrintTables(runs, engines, jobs);
  if (FLAGS_dir.empty()) std::filesystem::remove_all(dir);
  return 0;
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  return kvarts::Main();
}
