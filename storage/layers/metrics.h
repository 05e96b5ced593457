#ifndef KVARTS_STORAGE_LAYERS_METRICS_H_
#define KVARTS_STORAGE_LAYERS_METRICS_H_

#include "base/language.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "base/histogram.h"
#include "storage/store.h"

namespace kvarts {

enum class StoreOperation : unsigned char {
  kRead = 0,  // of one key
  kMultiGet,
  kWrite,
  kModify,
  kScanPage,  // Cursor::Next(); cursors are made in no time
  kSnapshot,
  kSync,
};
inline constexpr size_t kStoreOperations = 7;
// "read", "multi_get", "write", ...
const char* ToText(StoreOperation operation);

// What was counted of one operation. A value.
struct OperationCounts {
  uint64_t calls = 0;
  uint64_t errors = 0;         // calls of which something failed; an absent key is no error
  uint64_t items = 0;          // keys read, mutations, entries of pages
  uint64_t found = 0;          // of the keys read
  uint64_t bytes = 0;          // of values read or written, and of scanned keys and values
  HistogramCounts latency_ns;  // of the calls that were timed
};

// Thread-safe, lock-free. What a metrics layer counts into; it may be that of
// several stores, and outlive them.
class StoreMetrics {
 public:
  // Of reads and writes, one call in `time_one_in` (a power of two) is timed:
  // reading the clock twice is most of what counting costs.
  explicit StoreMetrics(uint32_t time_one_in = 1);

  OperationCounts Collect(StoreOperation operation) const;

  // In Prometheus' text format: kvarts_store_calls_total{op="read"} and so on,
  // kvarts_store_seconds as a histogram.
  void AppendPrometheus(std::string* out) const;

 private:
  friend class MetricsCall;

  // As many as keep busy threads apart; a thread always has the same one.
  static constexpr size_t kShards = 8;

  struct alignas(64) Shard {
    std::atomic<uint64_t> calls{0};
    std::atomic<uint64_t> errors{0};
    std::atomic<uint64_t> items{0};
    std::atomic<uint64_t> found{0};
    std::atomic<uint64_t> bytes{0};
  };
  struct Operation {
    Shard shards[kShards];
    Histogram latency{kShards};
  };

  const uint32_t time_mask_;
  std::array<Operation, kStoreOperations> operations_;
};

// `under`, with its calls counted and timed.
std::unique_ptr<Store> NewMetricsStore(std::unique_ptr<Store> under,
                                       std::shared_ptr<StoreMetrics> metrics);

}  // namespace kvarts

#endif  // KVARTS_STORAGE_LAYERS_METRICS_H_
