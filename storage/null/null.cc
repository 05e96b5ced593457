#include "storage/null/null.h"

#include <atomic>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace kvarts {
namespace {

Capabilities NullCapabilities() {
  Capabilities c;
  c.write = c.conditions = c.delete_range = Support::kNative;
  c.batch_scope = BatchScope::kStore;
  c.scan = c.ordered_scan = c.backward_scan = c.slot_scan = Support::kNative;
  c.snapshot = c.expiry = c.content_type = Support::kNative;
  c.shared_by_processes = true;
  c.bounded_memory = true;
  c.atomic_multi_get = true;
  c.discards = true;
  return c;
}

class NullSnapshot final : public Snapshot {
 public:
  explicit NullSnapshot(const void* store) : store_(store) {}
  const void* store() const { return store_; }

 private:
  const void* const store_;  // only compared
};

class NullCursor final : public Cursor {
 public:
  absl::Status Next(const PageLimits&, ScanPage* page) override {
    page->Reset();
    return absl::OkStatus();
  }
  std::string position() const override { return ""; }
};

// An absent key has the same stamp for ever: what would change it is dropped.
bool Holds(const Precondition& precondition) {
  switch (precondition.kind) {
    case Precondition::Kind::kAbsent:
      return true;
    case Precondition::Kind::kPresent:
      return false;
    case Precondition::Kind::kUnchanged:
      return precondition.stamp == Stamp();
  }
  return false;
}

// Thread-safe: nothing changes but the flag.
class NullStore final : public Store {
 public:
  Capabilities capabilities() const override { return NullCapabilities(); }

  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    const absl::Status ready = Check(options.snapshot);
    if (!ready.ok()) return results->Fail(keys.size(), ready);
    results->Reset(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) {
      if (keys[i].size() > kMaxKeyBytes) results->mutable_result(i).status = CheckKey(keys[i]);
    }
  }

  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override {
    absl::Status status = closed() ? ClosedError() : CheckBatch(batch, options, capabilities());
    int failed = -1;
    for (size_t i = 0; status.ok() && i < batch.preconditions().size(); ++i) {
      if (Holds(batch.preconditions()[i])) continue;
      failed = static_cast<int>(i);
      status = absl::FailedPreconditionError(absl::StrCat("precondition ", i, " does not hold"));
    }
    if (!status.ok()) {
      FailWrite(batch, status, results).IgnoreError();
      if (results != nullptr) results->failed_precondition = failed;
      return status;
    }
    if (results != nullptr) {
      results->failed_precondition = -1;
      results->results.assign(batch.mutations().size(), WriteResult());
    }
    if (options.atomic) return status;  // CheckBatch() has seen each mutation
    for (size_t i = 0; i < batch.mutations().size(); ++i) {
      const absl::Status checked = CheckMutation(batch.mutations()[i], capabilities());
      status.Update(checked);
      if (results != nullptr) results->results[i].status = checked;
    }
    return status;
  }

  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options) override {
    KVARTS_RETURN_IF_ERROR(Check(options.snapshot));
    KVARTS_RETURN_IF_ERROR(CheckScan(options, capabilities()));
    if (!options.resume_after.empty()) {
      return absl::InvalidArgumentError("not a position of a scan of this store");
    }
    return std::unique_ptr<Cursor>(std::make_unique<NullCursor>());
  }

  absl::StatusOr<std::shared_ptr<const Snapshot>> GetSnapshot() override {
    if (closed()) return ClosedError();
    return std::shared_ptr<const Snapshot>(std::make_shared<NullSnapshot>(this));
  }

  absl::StatusOr<StoreStats> Stats() override {
    if (closed()) return ClosedError();
    StoreStats stats;
    stats.entries_exact = true;
    return stats;
  }

  absl::Status Sync() override { return closed() ? ClosedError() : absl::OkStatus(); }

  absl::Status Close() override {
    closed_.store(true, std::memory_order_relaxed);
    return absl::OkStatus();
  }

 private:
  bool closed() const { return closed_.load(std::memory_order_relaxed); }

  absl::Status Check(const std::shared_ptr<const Snapshot>& snapshot) const {
    if (closed()) return ClosedError();
    if (snapshot == nullptr) return absl::OkStatus();
    const auto* const ours = dynamic_cast<const NullSnapshot*>(snapshot.get());
    if (ours != nullptr && ours->store() == this) return absl::OkStatus();
    return absl::InvalidArgumentError("a snapshot of another store");
  }

  std::atomic<bool> closed_{false};
};

}  // namespace

std::unique_ptr<Store> NewNullStore() { return std::make_unique<NullStore>(); }

}  // namespace kvarts
