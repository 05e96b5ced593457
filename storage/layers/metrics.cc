#include "storage/layers/metrics.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "storage/layers/forwarding_store.h"

namespace kvarts {
namespace {

uint64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

const char* ToText(StoreOperation operation) {
  switch (operation) {
    case StoreOperation::kRead:
      return "read";
    case StoreOperation::kMultiGet:
      return "multi_get";
    case StoreOperation::kWrite:
      return "write";
    case StoreOperation::kModify:
      return "modify";
    case StoreOperation::kScanPage:
      return "scan_page";
    case StoreOperation::kSnapshot:
      return "snapshot";
    case StoreOperation::kSync:
      return "sync";
  }
  return "?";
}

// One call, from its construction on. Not thread-safe.
class MetricsCall {
 public:
  MetricsCall(StoreMetrics* metrics, StoreOperation operation)
      : operation_(metrics->operations_[static_cast<size_t>(operation)]),
        shard_(operation_.shards[ThreadNumber() % StoreMetrics::kShards]) {
    // The shard's own count chooses, so that each thread's calls are timed evenly.
    const uint64_t before = shard_.calls.fetch_add(1, std::memory_order_relaxed);
    if ((before & metrics->time_mask_) == 0) start_ns_ = NowNs();
  }

  void End(bool error, uint64_t items, uint64_t found, uint64_t bytes) {
    if (start_ns_ != 0) operation_.latency.Record(NowNs() - start_ns_);
    Add(&shard_.items, items);
    Add(&shard_.found, found);
    Add(&shard_.bytes, bytes);
    Add(&shard_.errors, error ? 1 : 0);
  }
  void End(const absl::Status& status) { End(!status.ok(), 0, 0, 0); }
  void End(const ReadResults& results) {
    uint64_t found = 0;
    uint64_t bytes = 0;
    bool error = false;
    for (const ReadResult& result : results) {
      found += result.found ? 1 : 0;
      bytes += result.value.size();
      error = error || !result.status.ok();
    }
    End(error, results.size(), found, bytes);
  }

 private:
  static void Add(std::atomic<uint64_t>* counter, uint64_t n) {
    if (n != 0) counter->fetch_add(n, std::memory_order_relaxed);
  }

  StoreMetrics::Operation& operation_;
  StoreMetrics::Shard& shard_;
  uint64_t start_ns_ = 0;  // 0: is not timed
};

namespace {

class MetricsCursor final : public Cursor {
 public:
  MetricsCursor(std::unique_ptr<Cursor> under, std::shared_ptr<StoreMetrics> metrics)
      : under_(std::move(under)), metrics_(std::move(metrics)) {}

  absl::Status Next(const PageLimits& limits, ScanPage* page) override {
    MetricsCall call(metrics_.get(), StoreOperation::kScanPage);
    absl::Status status = under_->Next(limits, page);
    uint64_t bytes = 0;
    for (const ScanEntry& entry : *page) bytes += entry.key.size() + entry.value.size();
    call.End(!status.ok(), page->size(), 0, bytes);
    return status;
  }
  std::string position() const override { return under_->position(); }

 private:
  const std::unique_ptr<Cursor> under_;
  const std::shared_ptr<StoreMetrics> metrics_;
};

// Thread-safe: has no state but the counters.
class MetricsStore final : public ForwardingStore {
 public:
  MetricsStore(std::unique_ptr<Store> under, std::shared_ptr<StoreMetrics> metrics)
      : ForwardingStore(std::move(under)), metrics_(std::move(metrics)) {}

  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    MetricsCall call(metrics_.get(), StoreOperation::kMultiGet);
    under().MultiGet(keys, options, results);
    call.End(*results);
  }

  void Read(absl::string_view key, const ReadOptions& options, ReadResults* results) override {
    MetricsCall call(metrics_.get(), StoreOperation::kRead);
    under().Read(key, options, results);
    call.End(*results);
  }

  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override {
    MetricsCall call(metrics_.get(), StoreOperation::kWrite);
    absl::Status status = under().Write(batch, options, results);
    call.End(!status.ok(), batch.mutations().size(), 0, ValueBytes(batch));
    return status;
  }

  void Submit(const WriteBatch& batch, const WriteOptions& options, WriteResults* results,
              WriteDone done) override {
    under().Submit(batch, options, results,
                   [call = MetricsCall(metrics_.get(), StoreOperation::kWrite), metrics = metrics_,
                    &batch, done = std::move(done)](absl::Status status) mutable {
                     call.End(!status.ok(), batch.mutations().size(), 0, ValueBytes(batch));
                     done(std::move(status));
                   });
  }

  absl::Status Modify(absl::string_view key, const WriteOptions& options,
                      Modifier function) override {
    MetricsCall call(metrics_.get(), StoreOperation::kModify);
    absl::Status status = under().Modify(key, options, function);
    call.End(!status.ok(), 1, 0, 0);
    return status;
  }

  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options) override {
    KVARTS_ASSIGN_OR_RETURN(std::unique_ptr<Cursor> cursor, under().NewCursor(options));
    return std::unique_ptr<Cursor>(std::make_unique<MetricsCursor>(std::move(cursor), metrics_));
  }

  absl::StatusOr<std::shared_ptr<const Snapshot>> GetSnapshot() override {
    MetricsCall call(metrics_.get(), StoreOperation::kSnapshot);
    auto snapshot = under().GetSnapshot();
    call.End(snapshot.status());
    return snapshot;
  }

  absl::Status Sync() override {
    MetricsCall call(metrics_.get(), StoreOperation::kSync);
    absl::Status status = under().Sync();
    call.End(status);
    return status;
  }

 private:
  static uint64_t ValueBytes(const WriteBatch& batch) {
    uint64_t bytes = 0;
    for (const Mutation& mutation : batch.mutations()) {
      if (mutation.kind == Mutation::Kind::kPut) bytes += mutation.value.size();
    }
    return bytes;
  }

  const std::shared_ptr<StoreMetrics> metrics_;
};

}  // namespace

StoreMetrics::StoreMetrics(uint32_t time_one_in) : time_mask_(time_one_in - 1) {}

OperationCounts StoreMetrics::Collect(StoreOperation operation) const {
  const Operation& from = operations_[static_cast<size_t>(operation)];
  OperationCounts out;
  for (const Shard& shard : from.shards) {
    out.calls += shard.calls.load(std::memory_order_relaxed);
    out.errors += shard.errors.load(std::memory_order_relaxed);
    out.items += shard.items.load(std::memory_order_relaxed);
    out.found += shard.found.load(std::memory_order_relaxed);
    out.bytes += shard.bytes.load(std::memory_order_relaxed);
  }
  out.latency_ns = from.latency.Collect();
  return out;
}

void StoreMetrics::AppendPrometheus(std::string* out) const {
  struct Counter {
    const char* name;
    const char* help;
    uint64_t OperationCounts::*member;
  };
  constexpr Counter kCounters[] = {
      {"calls", "Calls on the store.", &OperationCounts::calls},
      {"errors", "Calls of which something failed.", &OperationCounts::errors},
      {"items", "Keys read, mutations written, entries scanned.", &OperationCounts::items},
      {"found", "Keys read that were there.", &OperationCounts::found},
      {"bytes", "Bytes of values read and written, of keys and values scanned.",
       &OperationCounts::bytes},
  };
  std::array<OperationCounts, kStoreOperations> counts;
  for (size_t i = 0; i < kStoreOperations; ++i) counts[i] = Collect(static_cast<StoreOperation>(i));
  const auto label = [](size_t i) {
    return absl::StrCat("op=\"", ToText(static_cast<StoreOperation>(i)), "\"");
  };
  for (const Counter& counter : kCounters) {
    const std::string name = absl::StrCat("kvarts_store_", counter.name, "_total");
    absl::StrAppend(out, "# HELP ", name, " ", counter.help, "\n# TYPE ", name, " counter\n");
    for (size_t i = 0; i < kStoreOperations; ++i) {
      absl::StrAppend(out, name, "{", label(i), "} ", counts[i].*counter.member, "\n");
    }
  }
  constexpr absl::string_view kSeconds = "kvarts_store_seconds";
  absl::StrAppend(out, "# HELP ", kSeconds, " Time of the calls that were timed.\n# TYPE ",
                  kSeconds, " histogram\n");
  for (size_t i = 0; i < kStoreOperations; ++i) {
    // The namespace's own, which this method hides.
    kvarts::AppendPrometheus(kSeconds, label(i), counts[i].latency_ns, LatencyBoundsNs(), out);
  }
}

std::unique_ptr<Store> NewMetricsStore(std::unique_ptr<Store> under,
                                       std::shared_ptr<StoreMetrics> metrics) {
  return std::make_unique<MetricsStore>(std::move(under), std::move(metrics));
}

}  // namespace kvarts
