#ifndef KVARTS_STORAGE_SSTABLE_BENCH_OPEN_LOOPS_H_
#define KVARTS_STORAGE_SSTABLE_BENCH_OPEN_LOOPS_H_

#include <cstdint>
#include <mutex>
#include <vector>

#include "storage/sstable/bench/job_run.h"

// Calls that come when they are due, whatever became of those before: a call waits from then on. A
// thread beside them only sleeps; where it wakes late, the machine stood still and not the engine,
// and the waits of that time are counted once with and once without.
namespace kvarts {

// Nanoseconds, by SteadyClock.
struct BenchWait {
  int64_t from = 0;
  int64_t to = 0;
};

// p50_us to p99.99_us and max_us of `waits`, and the same with "_unpaused" behind the name of those
// that meet none of `pauses`, with their number as "waits_unpaused".
void AddWaits(const std::vector<BenchWait>& waits, const std::vector<BenchWait>& pauses,
              BenchFigures* figures);

// How even the work was: for each whole second that it took, "second_0001" and so on, how much was
// done; "seconds_least", the least beside the mean, and "seconds_even", the part of the seconds
// that had 0.8 of the mean or more. Nothing of what took less than two seconds.
void AddSeconds(const std::vector<uint64_t>& done, BenchFigures* figures);

// Gets of keys that are there, options.reads_a_second of them in an open loop, beside a thread that
// puts as fast as it can. Returns how many gets.
uint64_t ReadsBesideAWriter(JobRun* run);

// When the engine did something for the last time: since then nothing for so long.
SteadyClock::time_point WaitForRest(BenchEngine* engine, absl::Duration quiet);

// Puts at four fifths of the rate that a closed loop had just before, until all was at rest, in an
// open loop. Returns how many puts, of both loops.
uint64_t PutsInAnOpenLoop(JobRun* run);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_SSTABLE_BENCH_OPEN_LOOPS_H_
