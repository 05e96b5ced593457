#ifndef KVARTS_BENCH_TALLY_H_
#define KVARTS_BENCH_TALLY_H_

#include "base/language.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/histogram.h"
#include "bench/mix.h"

namespace kvarts {

// What became of requests. requests == latency_ns.count() - not_sent, and for
// each request hits + misses are the keys it read, without those of errors.
struct OperationTally {
  uint64_t requests = 0;
  uint64_t keys = 0;         // read, written, or entries of scans
  uint64_t value_bytes = 0;  // read or written
  uint64_t hits = 0;
  uint64_t misses = 0;
  uint64_t unexpected_misses = 0;  // of keys that are in the data set
  uint64_t wrong_values = 0;       // not what the record's number makes
  uint64_t errors = 0;             // requests with one
  uint64_t not_sent = 0;           // due in an open loop, and given up at its end
  HistogramCounts latency_ns;      // of all, errors and those not sent too

  void Merge(const OperationTally& other);
};

// Not thread-safe: one a thread, merged at the end. Memory: 19 KB for each kind
// of operation that occurs.
class Tally {
 public:
  OperationTally& of(Operation operation) {
    std::unique_ptr<OperationTally>& tally = operations_[static_cast<size_t>(operation)];
    if (tally == nullptr) tally = std::make_unique<OperationTally>();
    return *tally;
  }
  // Null where there was none.
  const OperationTally* find(Operation operation) const {
    return operations_[static_cast<size_t>(operation)].get();
  }
  void AddError(const absl::Status& status);
  // The time from when a request was due to when it was sent, in an open loop.
  HistogramCounts& start_delay_ns() { return start_delay_ns_; }
  const HistogramCounts& start_delay_ns() const { return start_delay_ns_; }

  // Latencies by when requests began, or were due, where that is asked for: of each interval, null
  // where it has none. 19 KB each.
  using Timeline = std::vector<std::unique_ptr<HistogramCounts>>;
  void AddToTimeline(size_t interval, uint64_t latency_ns);
  const Timeline& timeline() const { return timeline_; }

  void Merge(const Tally& other);
  OperationTally Total() const;
  // By the name of their code, and the first one's message.
  const std::map<std::string, uint64_t>& errors() const { return errors_; }
  const absl::Status& first_error() const { return first_error_; }

 private:
  HistogramCounts* At(size_t interval);

  std::array<std::unique_ptr<OperationTally>, kOperations> operations_;
  HistogramCounts start_delay_ns_;
  Timeline timeline_;
  std::map<std::string, uint64_t> errors_;
  absl::Status first_error_;
};

}  // namespace kvarts

#endif  // KVARTS_BENCH_TALLY_H_
