#ifndef KVARTS_STORAGE_DATA_FILE_IMMUTABLE_STORE_H_
#define KVARTS_STORAGE_DATA_FILE_IMMUTABLE_STORE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "storage/data_file/data_file.h"
#include "storage/store.h"

namespace kvarts {

// Thread-safe: all but a flag is constant. What stores have in common whose
// values point into a mapped data file that never changes: they refuse writes,
// lend what they read, and say when it was lost. Capabilities, cursors and stats
// are left to them.
//
// `Dataset`, immutable and thread-safe, is the file and an index of it:
//   enum class Outcome { kFound, kAbsent, ... };   the others are errors
//   Outcome Begin(string_view key, Probe* probe) const;    begins to read what the
//                                                  second step needs; kFound: go on
//   Outcome Finish(string_view key, const Probe& probe, string_view* value) const;
//   static constexpr size_t kBatch;
//   void FindBatch(Span<const string_view> keys, string_view* values,
//                  Outcome* outcomes) const;       of up to kBatch keys
//   const DataFileMap& data() const;
//   const std::atomic<uint32_t>& index_losses() const;   the data's, if of no file
//   Outcome Recheck(bool found, string_view bytes) const;   after losses: does this hold?
//   absl::Status Error(Outcome outcome) const;
template <typename Dataset>
class ImmutableStore : public Store {
 public:
  explicit ImmutableStore(std::shared_ptr<const Dataset> dataset)
      : dataset_(std::move(dataset)),
        pin_(dataset_),
        data_losses_(dataset_->data().file()->losses()),
        index_losses_(dataset_->index_losses()) {}

  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) final {
    const absl::Status ready = CheckRead(options);
    if (!ready.ok()) return results->Fail(keys.size(), ready);
    results->Reset(keys.size());
    Lend(results);
    for (size_t i = 0; i < keys.size(); i += Dataset::kBatch) {
      absl::string_view values[Dataset::kBatch];
      Outcome outcomes[Dataset::kBatch];
      const auto batch = keys.subspan(i, Dataset::kBatch);
      dataset_->FindBatch(batch, values, outcomes);
      for (size_t j = 0; j < batch.size(); ++j) {
        ReadResult& result = results->mutable_result(i + j);
        if (ABSL_PREDICT_TRUE(outcomes[j] == Outcome::kFound)) {
          result.found = true;
          if (options.value) result.value = values[j];
        } else {
          SetOther(batch[j], outcomes[j], &result);
        }
      }
    }
    if (ABSL_PREDICT_FALSE(Poisoned())) DropLost(results);
  }

  void Read(absl::string_view key, const ReadOptions& options, ReadResults* results) final {
    if (ABSL_PREDICT_FALSE(!Plain(options))) return MultiGet({&key, 1}, options, results);
    // All that can be done before the record's cache miss is.
    typename Dataset::Probe probe;
    Outcome outcome = dataset_->Begin(key, &probe);
    ReadResult& result = results->ResetOne();
    Lend(results);
    if (ABSL_PREDICT_TRUE(outcome == Outcome::kFound)) {
      outcome = dataset_->Finish(key, probe, &result.value);
    }
    result.found = outcome == Outcome::kFound;
    if (ABSL_PREDICT_FALSE(outcome > Outcome::kAbsent || key.size() > kMaxKeyBytes)) {
      SetOther(key, outcome, &result);
    }
    if (ABSL_PREDICT_FALSE(Poisoned())) DropLost(results);
  }

  absl::Status Write(const WriteBatch& batch, const WriteOptions&, WriteResults* results) final {
    return FailWrite(batch, closed() ? ClosedError() : ReadOnlyError(), results);
  }
  absl::Status Modify(absl::string_view, const WriteOptions&, Modifier) final {
    return closed() ? ClosedError() : ReadOnlyError();
  }

  absl::StatusOr<std::shared_ptr<const Snapshot>> GetSnapshot() final {
    if (closed()) return ClosedError();
    return std::shared_ptr<const Snapshot>(std::make_shared<DatasetSnapshot>(dataset_));
  }

  absl::Status Sync() final { return closed() ? ClosedError() : absl::OkStatus(); }

  absl::Status Close() final {
    closed_.store(true, std::memory_order_relaxed);
    return absl::OkStatus();
  }

 protected:
  using Outcome = typename Dataset::Outcome;

  bool closed() const { return closed_.load(std::memory_order_relaxed); }
  const std::shared_ptr<const Dataset>& dataset() const { return dataset_; }

  // That a cursor may be made: open, possible, with a snapshot of this store.
  absl::Status CheckCursor(const ScanOptions& options) const {
    if (closed()) return ClosedError();
    KVARTS_RETURN_IF_ERROR(CheckScan(options, capabilities()));
    return CheckSnapshot(options.snapshot);
  }

 private:
  class DatasetSnapshot final : public Snapshot {
   public:
    explicit DatasetSnapshot(std::shared_ptr<const Dataset> dataset)
        : dataset_(std::move(dataset)) {}
    const Dataset* dataset() const { return dataset_.get(); }

   private:
    const std::shared_ptr<const Dataset> dataset_;
  };

  absl::Status CheckSnapshot(const std::shared_ptr<const Snapshot>& snapshot) const {
    if (snapshot == nullptr) return absl::OkStatus();
    const auto* const ours = dynamic_cast<const DatasetSnapshot*>(snapshot.get());
    if (ours != nullptr && ours->dataset() == dataset_.get()) return absl::OkStatus();
    return absl::InvalidArgumentError("a snapshot of another store");
  }

  absl::Status CheckRead(const ReadOptions& options) const {
    if (closed()) return ClosedError();
    if (options.stamp) {
      return absl::UnimplementedError("the store has no conditional writes, hence no stamps");
    }
    return CheckSnapshot(options.snapshot);
  }

  // An open store, and options that ask for nothing but values.
  bool Plain(const ReadOptions& options) const {
    return !closed() && options.value && !options.stamp && options.snapshot == nullptr;
  }

  // Of a key that was not found.
  ABSL_ATTRIBUTE_NOINLINE void SetOther(absl::string_view key, Outcome outcome,
                                        ReadResult* result) const {
    if (outcome != Outcome::kAbsent) {
      result->status = dataset_->Error(outcome);
    } else if (key.size() > kMaxKeyBytes) {
      result->status = CheckKey(key);
    }
  }

  // What is to be read points into the mapping.
  ABSL_ATTRIBUTE_ALWAYS_INLINE void Lend(ReadResults* results) const {
    results->bytes().AddPin(pin_);
    results->bytes().WatchLosses(data_losses_, data_losses_.load(std::memory_order_acquire));
  }
  bool Poisoned() const {
    return (data_losses_.load(std::memory_order_acquire) |
            index_losses_.load(std::memory_order_acquire)) != 0;
  }

  // After a page under a mapping was found to be gone: what was read may be the
  // zeros that took its place.
  ABSL_ATTRIBUTE_NOINLINE void DropLost(ReadResults* results) const {
    results->bytes().Clear();
    Lend(results);  // what is kept is good as of now
    for (size_t i = 0; i < results->size(); ++i) {
      ReadResult& result = results->mutable_result(i);
      if (!result.status.ok()) continue;
      const Outcome outcome = dataset_->Recheck(result.found, result.value);
      if (outcome == Outcome::kFound) continue;
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

}  // namespace kvarts

#endif  // KVARTS_STORAGE_DATA_FILE_IMMUTABLE_STORE_H_
