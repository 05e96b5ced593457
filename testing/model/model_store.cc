#include "testing/model/model_store.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/slot.h"
#include "base/status_macros.h"
#include "testing/model/model_cursor.h"
#include "testing/model/model_data.h"

namespace kvarts {
namespace model {
namespace {

// Thread-safe: one lock, that of the data, around every call.
class ModelStore final : public Store {
 public:
  explicit ModelStore(ModelStoreOptions options)
      : capabilities_(Consistent(options.capabilities)),
        clock_(options.clock),
        data_(options.data != nullptr ? std::move(options.data) : NewModelData()) {
    MutexLock lock(&data_->mu);
    // The order is the store's, so entries of a store of the other order move over.
    Entries entries(Order{by_key()});
    entries.merge(data_->entries);
    data_->entries = std::move(entries);
    ++data_->version;
    for (const auto& [key, value] : options.records) {
      Apply({Mutation::Kind::kPut, key, value, Metadata()}, NowMs());
    }
  }

  Capabilities capabilities() const override { return capabilities_; }

  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    MutexLock lock(&data_->mu);
    const Entries* entries = nullptr;
    if (absl::Status status = StartRead(options, &entries); !status.ok()) {
      return results->Fail(keys.size(), status);
    }
    const int64_t now_ms = NowMs();
    results->Reset(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) {
      ReadResult& out = results->mutable_result(i);
      out.status = CheckKey(keys[i]);
      if (!out.status.ok()) continue;
      if (options.stamp) out.stamp = StampOf(*entries, keys[i], now_ms);
      const Entry* const entry = Find(*entries, keys[i], now_ms);
      if (entry == nullptr) continue;
      out.found = true;
      out.expires_at_ms = entry->expires_at_ms;
      out.content_type = results->bytes().Copy(entry->content_type);
      if (options.value) out.value = results->bytes().Copy(entry->value);
    }
  }

  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override {
    MutexLock lock(&data_->mu);
    if (absl::Status status = CheckWrite(batch, options); !status.ok()) {
      return FailWrite(batch, status, results);
    }
    const int64_t now_ms = NowMs();
    for (size_t i = 0; i < batch.preconditions().size(); ++i) {
      if (Holds(batch.preconditions()[i], now_ms)) continue;
      absl::Status status = FailWrite(
          batch, absl::FailedPreconditionError(absl::StrCat("precondition ", i, " does not hold")),
          results);
      if (results != nullptr) results->failed_precondition = static_cast<int>(i);
      return status;
    }

    WriteResults unwanted;
    if (results == nullptr) results = &unwanted;
    results->failed_precondition = -1;
    results->results.assign(batch.mutations().size(), WriteResult());
    ++data_->version;
    absl::Status first_error;
    for (size_t i = 0; i < batch.mutations().size(); ++i) {
      const Mutation& mutation = batch.mutations()[i];
      WriteResult& out = results->results[i];
      // An atomic batch was checked as a whole; else each stands for itself.
      if (!options.atomic) out.status = CheckMutation(mutation, capabilities_);
      first_error.Update(out.status);
      if (!out.status.ok()) continue;
      const bool existed = Apply(mutation, now_ms);
      out.existed = options.report_existed && existed;
    }
    return first_error;
  }

  // Modify() is Store's own: it reads with a stamp, and writes on condition of it.

  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options) override {
    MutexLock lock(&data_->mu);
    if (closed_) return ClosedError();
    KVARTS_RETURN_IF_ERROR(CheckScan(options, capabilities_));
    const Entries* entries = nullptr;
    KVARTS_RETURN_IF_ERROR(Resolve(options.snapshot, *data_, &entries));
    return NewModelCursor(data_, clock_, by_key(), options);
  }

  absl::StatusOr<std::shared_ptr<const Snapshot>> GetSnapshot() override {
    MutexLock lock(&data_->mu);
    if (closed_) return ClosedError();
    if (!capabilities_.has(capabilities_.snapshot)) return Store::GetSnapshot();
    return std::make_shared<const ModelSnapshot>(data_, data_->entries);
  }

  absl::StatusOr<StoreStats> Stats() override {
    MutexLock lock(&data_->mu);
    if (closed_) return ClosedError();
    const int64_t now_ms = NowMs();
    StoreStats stats;
    stats.entries_exact = true;
    for (const auto& [key, entry] : data_->entries) {
      stats.entries += entry.LiveAt(now_ms) ? 1 : 0;
      stats.memory_bytes += sizeof(Entries::value_type) + key.size() + entry.value.size();
    }
    stats.details.emplace_back("versions", absl::StrCat(data_->version));
    return stats;
  }

  absl::Status Sync() override {
    MutexLock lock(&data_->mu);
    return closed_ ? ClosedError() : absl::OkStatus();
  }

  absl::Status Close() override {
    MutexLock lock(&data_->mu);
    closed_ = true;
    return absl::OkStatus();
  }

 private:
  static Capabilities Consistent(Capabilities c) {
    if (!c.has(c.scan)) c.ordered_scan = c.slot_scan = Support::kAbsent;
    if (!c.has(c.ordered_scan)) c.backward_scan = Support::kAbsent;
    if (!c.has(c.write)) {
      c.conditions = c.delete_range = c.expiry = c.content_type = Support::kAbsent;
      c.batch_scope = BatchScope::kNone;
    }
    if (c.batch_scope == BatchScope::kNone) c.conditions = Support::kAbsent;
    return c;
  }

  bool by_key() const { return capabilities_.has(capabilities_.ordered_scan); }
  int64_t NowMs() const { return absl::ToUnixMillis(clock_->Now()); }

  absl::Status StartRead(const ReadOptions& options, const Entries** entries) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(data_->mu) {
    if (closed_) return ClosedError();
    if (options.stamp && !capabilities_.has(capabilities_.conditions)) {
      return absl::UnimplementedError("the store has no conditional writes, so no stamps");
    }
    return Resolve(options.snapshot, *data_, entries);
  }

  absl::Status CheckWrite(const WriteBatch& batch, const WriteOptions& options) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(data_->mu) {
    if (closed_) return ClosedError();
    KVARTS_RETURN_IF_ERROR(CheckBatch(batch, options, capabilities_));
    if (options.atomic && capabilities_.batch_scope == BatchScope::kShard) {
      return CheckOneSlot(batch);
    }
    return absl::OkStatus();
  }

  static absl::Status CheckOneSlot(const WriteBatch& batch) {
    std::optional<int> slot;
    bool several = false;
    const auto visit = [&](absl::string_view key) {
      if (!slot.has_value()) slot = KeySlot(key);
      several = several || KeySlot(key) != *slot;
    };
    for (const Mutation& m : batch.mutations()) {
      visit(m.key);
      several = several || m.kind == Mutation::Kind::kDeleteRange;
    }
    for (const Precondition& p : batch.preconditions()) visit(p.key);
    if (!several) return absl::OkStatus();
    return absl::InvalidArgumentError("an atomic batch here is of one slot; this spans several");
  }

  bool Holds(const Precondition& precondition, int64_t now_ms) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(data_->mu) {
    switch (precondition.kind) {
      case Precondition::Kind::kAbsent:
        return Find(data_->entries, precondition.key, now_ms) == nullptr;
      case Precondition::Kind::kPresent:
        return Find(data_->entries, precondition.key, now_ms) != nullptr;
      case Precondition::Kind::kUnchanged:
        return StampOf(data_->entries, precondition.key, now_ms) == precondition.stamp;
    }
    return false;
  }

  // Returns true where the key was there.
  bool Apply(const Mutation& mutation, int64_t now_ms) ABSL_EXCLUSIVE_LOCKS_REQUIRED(data_->mu) {
    switch (mutation.kind) {
      case Mutation::Kind::kPut: {
        const bool existed = Find(data_->entries, mutation.key, now_ms) != nullptr;
        Entry& entry = data_->entries[std::string(mutation.key)];
        if (!existed) entry = Entry();  // nothing to keep of an expired one
        entry.present = true;
        entry.value = std::string(mutation.value);
        entry.version = data_->version;
        SetMetadata(mutation.metadata, &entry);
        return existed;
      }
      case Mutation::Kind::kTouch: {
        if (Find(data_->entries, mutation.key, now_ms) == nullptr) return false;
        Entry& entry = data_->entries.find(mutation.key)->second;
        entry.version = data_->version;
        SetMetadata(mutation.metadata, &entry);
        return true;
      }
      case Mutation::Kind::kDelete:
        return Erase(KeyRange::Point(mutation.key), now_ms);
      case Mutation::Kind::kDeleteRange:
        Erase({std::string(mutation.key), std::string(mutation.value)}, now_ms);
        return false;
    }
    return false;
  }

  // Returns true where the range held anything.
  bool Erase(const KeyRange& range, int64_t now_ms) ABSL_EXCLUSIVE_LOCKS_REQUIRED(data_->mu) {
    bool any = false;
    auto it = by_key() ? data_->entries.lower_bound(range.begin) : data_->entries.begin();
    for (; it != data_->entries.end() && !(by_key() && range.IsPast(it->first)); ++it) {
      if (!range.Contains(it->first) || !it->second.LiveAt(now_ms)) continue;
      it->second = Entry();
      it->second.version = data_->version;
      any = true;
    }
    return any;
  }

  static void SetMetadata(const Metadata& metadata, Entry* entry) {
    using Change = Metadata::Change;
    if (metadata.expiry == Change::kClear) entry->expires_at_ms = 0;
    if (metadata.expiry == Change::kSet) entry->expires_at_ms = metadata.expires_at_ms;
    if (metadata.content_type == Change::kClear) entry->content_type.clear();
    if (metadata.content_type == Change::kSet) entry->content_type = std::string(metadata.type);
  }

  const Capabilities capabilities_;
  const Clock* const clock_;
  const std::shared_ptr<ModelData> data_;
  bool closed_ ABSL_GUARDED_BY(data_->mu) = false;
};

}  // namespace
}  // namespace model

std::shared_ptr<ModelData> NewModelData() { return std::make_shared<ModelData>(); }

Capabilities ModelCapabilities() {
  Capabilities c;
  c.write = c.conditions = c.expiry = c.content_type = Support::kNative;
  c.scan = c.ordered_scan = c.backward_scan = Support::kNative;
  c.delete_range = Support::kNative;
  c.slot_scan = c.snapshot = Support::kEmulatedLinear;
  c.batch_scope = BatchScope::kStore;
  c.atomic_multi_get = true;
  return c;
}

std::unique_ptr<Store> NewModelStore(ModelStoreOptions options) {
  return std::make_unique<model::ModelStore>(std::move(options));
}

}  // namespace kvarts
