#ifndef KVARTS_BENCH_WORKLOAD_H_
#define KVARTS_BENCH_WORKLOAD_H_

#include "base/language.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bench/distribution.h"
#include "bench/key_set.h"
#include "bench/mix.h"
#include "bench/random.h"

namespace kvarts {

struct WorkloadOptions {
  OperationMix mix = {1};  // gets only
  Distribution::Kind distribution = Distribution::Kind::kUniform;
  double theta = 0.99;  // of zipf and latest
  double miss = 0;      // this part of the keys read is not in the data set
  size_t batch = 64;    // keys of an mget
  size_t scan_entries = 100;
  size_t value_bytes = 64;  // of what is written, and of what was
  uint64_t seed = 1;
};

// One call on a store.
struct BenchRequest {
  static constexpr uint64_t kAbsentRecord = UINT64_MAX;

  Operation operation = Operation::kGet;
  // As many as it reads or writes; a scan begins at its one.
  absl::Span<const absl::string_view> keys;
  absl::Span<const uint64_t> records;  // of each key; kAbsentRecord: of none
  absl::string_view value;             // to be written
};

// Thread-safe. What all sources of a run share.
class Workload {
 public:
  // `keys` must outlive it. REQUIRES: keys.size() > 0.
  Workload(const KeySet* keys, const WorkloadOptions& options);

  const KeySet& keys() const { return *keys_; }
  const WorkloadOptions& options() const { return options_; }
  // An insert was applied: the record counts for `latest` from now on.
  void Inserted() { present_.fetch_add(1, std::memory_order_relaxed); }
  bool has(Operation operation) const { return options_.mix[static_cast<size_t>(operation)] > 0; }
  bool has_writes() const;

 private:
  friend class RequestSource;

  const KeySet* const keys_;
  const WorkloadOptions options_;
  const Distribution distribution_;
  OperationMix up_to_;                 // the mix's sums: an operation's is the first above a draw
  std::atomic<uint64_t> next_insert_;  // its record's number
  std::atomic<uint64_t> present_;      // records, deletions aside
};

// Not thread-safe: one for each request under way. Requests that follow from the
// seed and `stream`.
class RequestSource {
 public:
  RequestSource(Workload* workload, uint64_t stream);

  // Good until the next call.
  const BenchRequest& Next();

 private:
  Operation ChooseOperation();
  void AddKey(bool may_miss);

  Workload* const workload_;
  BenchRandom random_;
  const std::unique_ptr<char[]> scratch_;  // of each key of a batch
  std::vector<absl::string_view> keys_;
  std::vector<uint64_t> records_;
  std::string value_;
  BenchRequest request_;
};

}  // namespace kvarts

#endif  // KVARTS_BENCH_WORKLOAD_H_
