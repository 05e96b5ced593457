#include "storage/bisect/bisect.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "storage/bisect/bisect_cursor.h"
#include "storage/bisect/dataset.h"

namespace kvarts {
namespace {

Capabilities BisectCapabilities() {
  Capabilities c;
  c.scan = Support::kNative;
  c.ordered_scan = Support::kNative;
  c.backward_scan = Support::kNative;
  c.slot_scan = Support::kEmulatedLinear;
  c.snapshot = Support::kNative;  // nothing ever changes
  c.shared_by_processes = true;
  c.bounded_memory = true;
  c.atomic_multi_get = true;
  return c;
}

class BisectSnapshot final : public Snapshot {
 public:
  explicit BisectSnapshot(std::shared_ptr<const Dataset> dataset) : dataset_(std::move(dataset)) {}
  const Dataset* dataset() const { return dataset_.get(); }

 private:
  const std::shared_ptr<const Dataset> dataset_;
};

// Thread-safe: all but the flag is constant.
class BisectStore final : public Store {
 public:
  explicit BisectStore(std::shared_ptr<const Dataset> dataset)
      : dataset_(std::move(dataset)),
        pin_(dataset_),
        data_losses_(dataset_->data().file()->losses()),
        index_losses_(dataset_->index().losses()) {}

  Capabilities capabilities() const override { return BisectCapabilities(); }

  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    const absl::Status ready = Check(options);
    if (!ready.ok()) return results->Fail(keys.size(), ready);
    results->Reset(keys.size());
    Lend(results);
    for (size_t i = 0; i < keys.size(); i += Dataset::kBatch) {
      absl::string_view values[Dataset::kBatch];
      Dataset::Outcome outcomes[Dataset::kBatch];
      const auto batch = keys.subspan(i, Dataset::kBatch);
      dataset_->FindBatch(batch, values, outcomes);
      for (size_t j = 0; j < batch.size(); ++j) {
        ReadResult& result = results->mutable_result(i + j);
        if (ABSL_PREDICT_TRUE(outcomes[j] == Dataset::Outcome::kFound)) {
          result.found = true;
          if (options.value) result.value = values[j];
        } else {
          SetOther(batch[j], outcomes[j], &result);
        }
      }
    }
    if (ABSL_PREDICT_FALSE(Poisoned())) DropLost(results);
  }

  void Read(absl::string_view key, const ReadOptions& options, ReadResults* results) override {
    if (ABSL_PREDICT_FALSE(!Plain(options))) return MultiGet({&key, 1}, options, results);
    // All that can be done before the record's cache miss is; see dataset.h.
    Dataset::Probe probe;
    Dataset::Outcome outcome = dataset_->Begin(key, &probe);
    ReadResult& result = results->ResetOne();
    Lend(results);
    if (ABSL_PREDICT_TRUE(outcome == Dataset::Outcome::kFound)) {
      outcome = dataset_->Finish(key, probe, &result.value, nullptr);
    }
    result.found = outcome == Dataset::Outcome::kFound;
    if (ABSL_PREDICT_FALSE(outcome > Dataset::Outcome::kAbsent || key.size() > kMaxKeyBytes)) {
      SetOther(key, outcome, &result);
    }
    if (ABSL_PREDICT_FALSE(Poisoned())) DropLost(results);
  }

  absl::Status Write(const WriteBatch& batch, const WriteOptions&, WriteResults* results) override {
    return FailWrite(batch, closed() ? ClosedError() : ReadOnlyError(), results);
  }

  absl::Status Modify(absl::string_view, const WriteOptions&, Modifier) override {
    return closed() ? ClosedError() : ReadOnlyError();
  }

  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options) override {
    if (closed()) return ClosedError();
    KVARTS_RETURN_IF_ERROR(CheckScan(options, BisectCapabilities()));
    KVARTS_RETURN_IF_ERROR(CheckSnapshot(options.snapshot));
    return NewBisectCursor(dataset_, options);
  }

  absl::StatusOr<std::shared_ptr<const Snapshot>> GetSnapshot() override {
    if (closed()) return ClosedError();
    return std::shared_ptr<const Snapshot>(std::make_shared<BisectSnapshot>(dataset_));
  }

  absl::StatusOr<StoreStats> Stats() override {
    if (closed()) return ClosedError();
    const IndexHeader& header = dataset_->index().header();
    StoreStats stats;
    stats.entries = header.entries;
    stats.entries_exact = true;
    stats.memory_bytes = dataset_->index().memory_bytes();
    stats.disk_bytes = header.file_bytes() + header.data.size;
    stats.details = {
        {"data_file", dataset_->data_path()},
        {"data_bytes", absl::StrCat(header.data.size)},
        {"data_lines", absl::StrCat(header.lines)},
        {"malformed_lines", absl::StrCat(header.malformed)},
        {"index_file", dataset_->index().path()},
        {"index_bytes", absl::StrCat(header.file_bytes())},
        {"keys", header.coding.kind() == KeyCoding::Kind::kUuid4 ? "uuid4" : "text"},
        {"radix_bits", absl::StrCat(header.radix_bits)},
        {"tag_bits", absl::StrCat(header.tag_bits)},
        {"length_bits", absl::StrCat(header.length_bits)},
        {"offset_bits", absl::StrCat(header.offset_bits)},
    };
    return stats;
  }

  absl::Status Sync() override { return closed() ? ClosedError() : absl::OkStatus(); }

  absl::Status Close() override {
    closed_.store(true, std::memory_order_relaxed);
    return absl::OkStatus();
  }

 private:
  bool closed() const { return closed_.load(std::memory_order_relaxed); }

  // What is to be read points into the mapping.
  ABSL_ATTRIBUTE_ALWAYS_INLINE void Lend(ReadResults* results) const {
    results->bytes().AddPin(pin_);
    results->bytes().WatchLosses(data_losses_, data_losses_.load(std::memory_order_acquire));
  }
  bool Poisoned() const {
    return (data_losses_.load(std::memory_order_acquire) |
            index_losses_.load(std::memory_order_acquire)) != 0;
  }

  // An open store, and options that ask for nothing but values.
  bool Plain(const ReadOptions& options) const {
    return !closed() && options.value && !options.stamp && options.snapshot == nullptr;
  }

  absl::Status CheckSnapshot(const std::shared_ptr<const Snapshot>& snapshot) const {
    if (snapshot == nullptr) return absl::OkStatus();
    const auto* const ours = dynamic_cast<const BisectSnapshot*>(snapshot.get());
    if (ours != nullptr && ours->dataset() == dataset_.get()) return absl::OkStatus();
    return absl::InvalidArgumentError("a snapshot of another store");
  }

  absl::Status Check(const ReadOptions& options) const {
    if (closed()) return ClosedError();
    if (options.stamp) {
      return absl::UnimplementedError("the store has no conditional writes, hence no stamps");
    }
    return CheckSnapshot(options.snapshot);
  }

  // Of a key that was not found.
  ABSL_ATTRIBUTE_NOINLINE void SetOther(absl::string_view key, Dataset::Outcome outcome,
                                        ReadResult* result) const {
    switch (outcome) {
      case Dataset::Outcome::kFound:
        return;
      case Dataset::Outcome::kAbsent:
        if (key.size() > kMaxKeyBytes) result->status = CheckKey(key);
        return;
      case Dataset::Outcome::kIndexDamaged:
      case Dataset::Outcome::kDataLost:
        result->status = dataset_->Error(outcome);
        return;
    }
  }

  // After a page under a mapping was found to be gone: what was read may be the
  // zeros that took its place.
  ABSL_ATTRIBUTE_NOINLINE void DropLost(ReadResults* results) const {
    results->bytes().Clear();
    Lend(results);  // what is kept is good as of now
    for (size_t i = 0; i < results->size(); ++i) {
      ReadResult& result = results->mutable_result(i);
      if (!result.status.ok()) continue;
      const Dataset::Outcome outcome = dataset_->Recheck(result.found, result.value);
      if (outcome == Dataset::Outcome::kFound) continue;
      result = ReadResult();
      result.status = dataset_->Error(outcome);
    }
  }

  const std::shared_ptr<const Dataset> dataset_;
  const Pin pin_;  // the same, ready made: a conversion would count references
  const std::atomic<uint32_t>& data_losses_;
  const std::atomic<uint32_t>& index_losses_;
  std::atomic<bool> closed_{false};
};

}  // namespace

std::string DefaultIndexPath(absl::string_view data_path) {
  return absl::StrCat(data_path, ".bisect");
}

absl::StatusOr<std::unique_ptr<Store>> OpenBisect(absl::string_view data_path,
                                                  const BisectOptions& options) {
  const std::string index_path =
      options.index_path.empty() ? DefaultIndexPath(data_path) : options.index_path;
  KVARTS_ASSIGN_OR_RETURN(std::shared_ptr<const Dataset> dataset,
                          Dataset::Open(options.fs, data_path, index_path));
  return std::unique_ptr<Store>(std::make_unique<BisectStore>(std::move(dataset)));
}

}  // namespace kvarts
