#include "bench/load.h"

#include <algorithm>
#include <atomic>
#include <string>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "base/thread.h"

namespace kvarts {
namespace {

constexpr uint64_t kBatchRecords = 1000;
constexpr size_t kBatchBytes = 1 << 20;

// Thread-safe. Hands out batches, and keeps the first error.
class Loading {
 public:
  Loading(const KeySet& keys, const LoadOptions& options, ProgressSink* progress)
      : keys_(keys),
        options_(options),
        batch_(std::clamp<uint64_t>(kBatchBytes / (options.value_bytes + kBenchUuidBytes), 1,
                                    kBatchRecords)),
        progress_(progress) {}

  // On several threads at once.
  void Run(Store* store) {
    std::string values(batch_ * options_.value_bytes, '\0');
    std::string scratch(batch_ * kBenchUuidBytes, '\0');
    WriteOptions write;
    write.sync = options_.sync_writes;
    write.timeout = options_.timeout;
    WriteBatch batch;
    while (!failed_.load(std::memory_order_relaxed)) {
      const uint64_t begin = next_.fetch_add(batch_, std::memory_order_relaxed);
      if (begin >= keys_.size()) return;
      const uint64_t n = std::min(batch_, keys_.size() - begin);
      batch.Clear();
      for (uint64_t i = 0; i < n; ++i) {
        char* const value = &values[0] + i * options_.value_bytes;
        BenchValue(begin + i, options_.value_bytes, value);
        batch.Put(keys_.Key(begin + i, &scratch[0] + i * kBenchUuidBytes),
                  absl::string_view(value, options_.value_bytes));
      }
      if (absl::Status status = store->Write(batch, write, nullptr); !status.ok()) {
        return Fail(status);
      }
      const uint64_t done = done_.fetch_add(n, std::memory_order_relaxed) + n;
      if (progress_ != nullptr) progress_->Report("loading", "records", done, keys_.size());
    }
  }

  absl::Status error() {
    MutexLock lock(&mu_);
    return error_;
  }

 private:
  void Fail(const absl::Status& status) {
    MutexLock lock(&mu_);
    if (error_.ok()) error_ = absl::Status(status.code(), status.message());
    failed_.store(true, std::memory_order_relaxed);
  }

  const KeySet& keys_;
  const LoadOptions& options_;
  const uint64_t batch_;
  ProgressSink* const progress_;
  std::atomic<uint64_t> next_{0};
  std::atomic<uint64_t> done_{0};
  std::atomic<bool> failed_{false};
  Mutex mu_;
  absl::Status error_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

absl::Status LoadRecords(absl::Span<Store* const> stores, const KeySet& keys,
                         const LoadOptions& options, ProgressSink* progress) {
  Loading loading(keys, options, progress);
  ForkJoin(options.threads,
           [&](int i) { loading.Run(stores[static_cast<size_t>(i) % stores.size()]); });
  return loading.error();
}

}  // namespace kvarts
