#ifndef KVARTS_STORAGE_SSTABLE_BENCH_JOBS_H_
#define KVARTS_STORAGE_SSTABLE_BENCH_JOBS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "storage/sstable/bench/bench_engine.h"

namespace kvarts {

struct BenchOptions {
  uint64_t entries = 1'000'000;
  uint64_t reads = 0;      // single reads of a job; 0: as many as entries, 500,000 at the most
  uint64_t synced = 2000;  // puts of fillsync; of fillsync16 four times as many
  // Cache and memtables of the jobs that write, and of full scans: an eighth for each of three
  // memtables, five eighths for the cache. Other reads say themselves what cache they have.
  uint64_t memory = uint64_t{64} << 20;
  bool compress = true;
  // An engine is at rest when it did nothing for so long. Zero: when it says so.
  absl::Duration quiet = absl::Milliseconds(300);
  // The gets of readloop, and how long each part of readloop and putloop takes.
  double reads_a_second = 20'000;
  absl::Duration loop = absl::Seconds(10);
  // How long a range that was deleted may take to give its space back.
  absl::Duration space_back = absl::Seconds(15);
};

struct BenchJob {
  std::string name;
  std::string operations;  // what is counted, for people: "puts"
  bool writes = false;
  // Begins with an empty store of its own; the others go on with that of fillrandom.
  bool own_store = false;
  double goal = 0;  // of the rate beside the better peer; 0: none is set
};

// In the order in which they are to run. The names are those of README.md.
const std::vector<BenchJob>& BenchJobs();

// Figures of one run of a job by their names, which README.md lists.
using BenchFigures = std::map<std::string, double>;

// Runs one job over the store in `dir`, made where it is absent, and closes the store. What is
// read is compared with what was put. Counts what the process does: run it in one of its own,
// where nothing else happens.
BenchFigures RunBenchJob(const BenchJob& job, const BenchEngineKind& kind, const std::string& dir,
                         const BenchOptions& options);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_SSTABLE_BENCH_JOBS_H_
