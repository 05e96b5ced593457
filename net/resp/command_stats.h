#ifndef KVARTS_NET_RESP_COMMAND_STATS_H_
#define KVARTS_NET_RESP_COMMAND_STATS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "net/resp/reply.h"

namespace kvarts {
namespace resp {

// Nanoseconds of the machine's clock, for durations.
int64_t PreciseNanos();

// What requests came to. A value.
struct RequestTotals {
  uint64_t commands = 0;
  uint64_t errors = 0;  // not summed by CommandStats
  uint64_t hits = 0;    // keys asked for that were there
  uint64_t misses = 0;
};

// What was done of one command. A value.
struct CommandCounts {
  // Bucket i counts calls of at most 1024 << i nanoseconds, and more than in the one before.
  static constexpr size_t kBuckets = 24;  // the last: all that took longer

  uint64_t calls = 0;
  uint64_t nanos = 0;     // of all of them together
  uint64_t rejected = 0;  // not carried out: wrong arguments, no permission
  uint64_t failed = 0;    // carried out, and answered by an error
  std::array<uint64_t, kBuckets> times{};
};

// Thread-safe. Counts commands by their place in Commands(). A thread counts in a place of its
// own, where it alone writes, so that no instruction locks; who reads sums them up. A place is
// 42 KB, made when a thread first counts; threads beyond the first 63 share one.
class CommandStats {
 public:
  class Place;

  explicit CommandStats(size_t commands);
  ~CommandStats();

  // The calling thread's: for this thread only, as long as the stats live.
  Place* MyPlace();

  // By command, since Reset().
  std::vector<CommandCounts> Collect() const;
  // Since the start, and since Reset().
  RequestTotals totals() const;
  RequestTotals TotalsSinceReset() const;
  void Reset();

 private:
  static constexpr size_t kPlaces = 64;

  std::vector<CommandCounts> Sum() const;

  const size_t commands_;
  std::array<std::atomic<Place*>, kPlaces> places_{};
  mutable Mutex mu_;
  std::vector<CommandCounts> reset_ ABSL_GUARDED_BY(mu_);  // what the sums were; empty: zeros
  RequestTotals totals_at_reset_ ABSL_GUARDED_BY(mu_);
};

// Of one thread, but for the last one.
class CommandStats::Place {
 public:
  Place(size_t commands, bool alone);

  // `calls` of a command, one or more, that took `nanos` together.
  void Add(size_t command, uint64_t calls, uint64_t failed, int64_t nanos);
  void Reject(size_t command);
  void AddTotals(const RequestTotals& totals);

 private:
  friend class CommandStats;

  struct Counts {
    std::atomic<uint64_t> calls{0};
    std::atomic<uint64_t> nanos{0};
    std::atomic<uint64_t> rejected{0};
    std::atomic<uint64_t> failed{0};
    std::array<std::atomic<uint64_t>, CommandCounts::kBuckets> times{};
  };
  void AddTo(std::atomic<uint64_t>* count, uint64_t n) const;

  const std::unique_ptr<Counts[]> counts_;
  const bool alone_;
  std::atomic<uint64_t> commands_{0};
  std::atomic<uint64_t> hits_{0};
  std::atomic<uint64_t> misses_{0};
};

// Thread-safe. How many error replies there were, by their first word: "ERR", "MOVED". Scripts
// make words of their own; beyond kMostCodes all others are counted as one, "OTHER".
class ErrorStats {
 public:
  static constexpr size_t kMostCodes = 128;

  void Add(const ErrorCodes& codes);
  // By name, since Reset().
  std::vector<std::pair<std::string, uint64_t>> Collect() const;
  void Reset();

 private:
  mutable Mutex mu_;
  std::map<std::string, uint64_t> codes_ ABSL_GUARDED_BY(mu_);
};

}  // namespace resp
}  // namespace kvarts

#endif  // KVARTS_NET_RESP_COMMAND_STATS_H_
