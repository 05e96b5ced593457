#include "storage/memory/memory.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "storage/memory/memory_cursor.h"
#include "storage/memory/snapshots.h"
#include "storage/memory/sweeper.h"
#include "storage/memory/table.h"

namespace kvarts {
namespace {

using memory_internal::Snapshots;
using memory_internal::Sweeper;
using memory_internal::Table;
using memory_internal::TableKey;

// MultiGet beside atomic batches: then it takes their locks.
constexpr int kMaxTries = 3;

Capabilities MemoryCapabilities() {
  Capabilities c;
  c.write = c.conditions = c.expiry = c.content_type = c.scan = Support::kNative;
  c.delete_range = c.slot_scan = Support::kEmulatedLinear;
  c.batch_scope = BatchScope::kStore;
  c.atomic_multi_get = true;
  return c;
}

// Thread-safe, by the table.
class MemoryStore final : public Store {
 public:
  explicit MemoryStore(const MemoryOptions& options)
      : clock_(*options.clock),
        max_memory_(options.max_memory),
        evicts_(Evicts(options)),
        table_(std::make_shared<Table>(TableOptions(options))) {
    sweeper_ = std::make_unique<Sweeper>(table_.get(), options.clock);
  }
  ~MemoryStore() override { Close().IgnoreError(); }

  // Once, before all else.
  absl::Status Load(const MemoryOptions& options) {
    auto snapshots =
        std::make_unique<Snapshots>(table_.get(), options.clock, options.fs, options.snapshot_path);
    KVARTS_RETURN_IF_ERROR(snapshots->Lock());
    KVARTS_ASSIGN_OR_RETURN(const bool expires, snapshots->Load(options.progress));
    if (expires) sweeper_->Start();
    // Now, while nothing is lost by it, and not when the store is closed.
    if (options.save_on_close) KVARTS_RETURN_IF_ERROR(snapshots->CheckCanSave());
    snapshots_ = std::move(snapshots);
    MutexLock lock(&closing_);
    to_save_ = options.save_on_close;
    return absl::OkStatus();
  }

  Capabilities capabilities() const override { return MemoryCapabilities(); }

  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    if (absl::Status status = CheckRead(options); !status.ok()) {
      return results->Fail(keys.size(), status);
    }
    const Table::Want want{options.value, options.stamp, NowMs()};
    // Atomic batches of several segments must not be seen by half.
    for (int tries = 0; tries < kMaxTries; ++tries) {
      const uint64_t ended = table_->batches_ended();
      const bool quiet = table_->batches_begun() == ended;
      results->Reset(keys.size());
      for (size_t first = 0; first < keys.size(); first += Table::kBatch) {
        ReadSome(keys.subspan(first, std::min(Table::kBatch, keys.size() - first)), want, first,
                 results);
      }
      if (keys.size() < 2 || (quiet && table_->batches_begun() == ended)) return;
    }
    // There is always one under way.
    results->Reset(keys.size());
    std::vector<TableKey> table_keys(keys.size());
    SetKeys(keys, 0, table_keys.data(), results);
    table_->GetLocked(table_keys, want, &results->mutable_result(0), &results->bytes());
  }

  void Read(absl::string_view key, const ReadOptions& options, ReadResults* results) override {
    ReadResult& result = results->ResetOne();
    if (ABSL_PREDICT_FALSE(closed_ || options.snapshot != nullptr || key.size() > kMaxKeyBytes)) {
      result.status = CheckRead(options);
      result.status.Update(CheckKey(key));
      return;
    }
    TableKey table_key;
    table_->SetKey(key, &table_key);
    table_->Get(table_key, {options.value, options.stamp, NowMs()}, &result, &results->bytes());
  }

  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override {
    absl::Status status = closed_ ? ClosedError() : CheckBatch(batch, options, capabilities());
    if (!status.ok()) return FailWrite(batch, status, results);
    const auto mutations = batch.mutations();
    if (results != nullptr) {
      results->failed_precondition = -1;
      results->results.assign(mutations.size(), WriteResult());
    }
    NoticeExpiries(batch);
    // One key by itself is atomic anyway.
    if (options.atomic && (mutations.size() != 1 || !batch.preconditions().empty() ||
                           mutations[0].kind == Mutation::Kind::kDeleteRange)) {
      return WriteAtomically(batch, options, results);
    }
    if (mutations.size() == 1) {
      TableKey key;
      table_->SetKey(mutations[0].key, &key);
      bool existed = false;
      status = ApplyOne(key, mutations[0], &existed);
      if (results != nullptr) {
        results->results[0] = {status, options.report_existed && existed};
      }
      return status;
    }
    TableKey keys[Table::kBatch];
    for (size_t first = 0; first < mutations.size(); first += Table::kBatch) {
      const size_t n = std::min(Table::kBatch, mutations.size() - first);
      for (size_t i = 0; i < n; ++i) table_->SetKey(mutations[first + i].key, &keys[i]);
      table_->Prefetch(absl::MakeConstSpan(keys, n));
      for (size_t i = 0; i < n; ++i) {
        bool existed = false;
        const absl::Status applied = ApplyOne(keys[i], mutations[first + i], &existed);
        status.Update(applied);
        if (results == nullptr) continue;
        results->results[first + i].status = applied;
        results->results[first + i].existed = options.report_existed && existed;
      }
    }
    return status;
  }

  absl::Status Modify(absl::string_view key, const WriteOptions&, Modifier function) override {
    if (closed_) return ClosedError();
    KVARTS_RETURN_IF_ERROR(CheckKey(key));
    TableKey table_key;
    table_->SetKey(key, &table_key);
    return table_->Modify(table_key, NowMs(), [&](const ReadResult& current) {
      absl::StatusOr<Modification> wanted = function(current);
      if (wanted.ok() && wanted->metadata.expiry == Metadata::Change::kSet) sweeper_->Start();
      return wanted;
    });
  }

  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options) override {
    if (closed_) return ClosedError();
    KVARTS_RETURN_IF_ERROR(CheckScan(options, capabilities()));
    return memory_internal::NewMemoryCursor(table_, &clock_, options);
  }

  absl::StatusOr<StoreStats> Stats() override {
    if (closed_) return ClosedError();
    uint64_t position = 0;
    table_->Sweep(NowMs(), SIZE_MAX, &position);
    const Table::Sums sums = table_->sums();
    StoreStats stats;
    stats.entries = sums.entries;
    stats.entries_exact = true;
    stats.memory_bytes = table_->memory_bytes();
    if (snapshots_ != nullptr) {
      stats.saved_at_ms = snapshots_->saved_at_ms();
      stats.save_error = std::string(snapshots_->last_save().message());
    }
    stats.details = {
        {"segments", absl::StrCat(sums.segments)},
        {"index_bytes", absl::StrCat(sums.index_bytes)},
        {"log_bytes", absl::StrCat(sums.log_bytes)},
        {"dead_bytes", absl::StrCat(sums.dead_bytes)},
        {"max_memory", absl::StrCat(max_memory_)},
        {"peak_memory", absl::StrCat(table_->peak_memory_bytes())},
        {"evict", evicts_ ? "s3fifo" : "none"},
        {"evicted", absl::StrCat(sums.evicted)},
        {"expiring", absl::StrCat(sums.expiring)},
        {"expired", absl::StrCat(sums.expired)},
    };
    return stats;
  }

  absl::Status Sync() override {
    if (closed_) return ClosedError();
    return snapshots_ == nullptr ? absl::OkStatus() : snapshots_->Save();
  }

  absl::Status Close() override {
    closed_ = true;
    sweeper_->Stop();
    MutexLock lock(&closing_);
    if (to_save_) KVARTS_RETURN_IF_ERROR(snapshots_->Save());
    to_save_ = false;
    if (snapshots_ != nullptr) snapshots_->Unlock();
    return absl::OkStatus();
  }

 private:
  static bool Evicts(const MemoryOptions& options) {
    return options.max_memory > 0 && options.evict == MemoryOptions::Evict::kS3Fifo;
  }
  static Table::Options TableOptions(const MemoryOptions& options) {
    Table::Options table;
    table.seed = options.seed.value_or(HashSeed::Random());
    table.max_bytes = options.max_memory;
    table.evict = Evicts(options);
    table.capabilities = MemoryCapabilities();
    return table;
  }
  // Costs nothing before anything can expire.
  int64_t NowMs() const { return sweeper_->is_started() ? absl::ToUnixMillis(clock_.Now()) : 0; }

  absl::Status CheckRead(const ReadOptions& options) const {
    if (ABSL_PREDICT_FALSE(closed_)) return ClosedError();
    if (ABSL_PREDICT_FALSE(options.snapshot != nullptr)) {
      return absl::InvalidArgumentError("a snapshot of another store");
    }
    return absl::OkStatus();
  }

  void ReadSome(absl::Span<const absl::string_view> keys, const Table::Want& want, size_t first,
                ReadResults* results) {
    TableKey table_keys[Table::kBatch];
    SetKeys(keys, first, table_keys, results);
    table_->GetMany(absl::MakeConstSpan(table_keys, keys.size()), want, first, results);
  }

  void SetKeys(absl::Span<const absl::string_view> keys, size_t first, TableKey* table_keys,
               ReadResults* results) const {
    for (size_t i = 0; i < keys.size(); ++i) {
      if (ABSL_PREDICT_FALSE(keys[i].size() > kMaxKeyBytes)) {
        results->mutable_result(first + i).status = CheckKey(keys[i]);
      }
      table_->SetKey(keys[i], &table_keys[i]);
    }
  }

  absl::Status ApplyOne(const TableKey& key, const Mutation& mutation, bool* existed) {
    KVARTS_RETURN_IF_ERROR(CheckMutation(mutation, MemoryCapabilities()));
    if (mutation.kind == Mutation::Kind::kDeleteRange) {
      table_->DeleteRange(mutation.key, mutation.value);
      return absl::OkStatus();
    }
    return table_->Apply(key, mutation, NowMs(), existed);
  }

  absl::Status WriteAtomically(const WriteBatch& batch, const WriteOptions& options,
                               WriteResults* results) {
    std::vector<TableKey> keys(batch.mutations().size() + batch.preconditions().size());
    size_t n = 0;
    for (const Mutation& mutation : batch.mutations()) table_->SetKey(mutation.key, &keys[n++]);
    for (const Precondition& precondition : batch.preconditions()) {
      table_->SetKey(precondition.key, &keys[n++]);
    }
    std::vector<bool> existed(batch.mutations().size());
    int failed = -1;
    absl::Status status = table_->ApplyAtomically(batch, keys, NowMs(), &existed, &failed);
    if (!status.ok()) {
      status = FailWrite(batch, status, results);
      if (results != nullptr) results->failed_precondition = failed;
      return status;
    }
    for (size_t i = 0; results != nullptr && i < existed.size(); ++i) {
      results->results[i].existed = options.report_existed && existed[i];
    }
    return status;
  }

  void NoticeExpiries(const WriteBatch& batch) {
    for (const Mutation& mutation : batch.mutations()) {
      if (mutation.metadata.expiry == Metadata::Change::kSet) return sweeper_->Start();
    }
  }

  const Clock& clock_;
  const size_t max_memory_;
  const bool evicts_;
  const std::shared_ptr<Table> table_;  // cursors share it
  std::unique_ptr<Sweeper> sweeper_;
  std::unique_ptr<Snapshots> snapshots_;  // null without a file
  std::atomic<bool> closed_{false};
  Mutex closing_;
  bool to_save_ ABSL_GUARDED_BY(closing_) = false;  // by Close()
};

}  // namespace

std::unique_ptr<Store> NewMemoryStore(const MemoryOptions& options) {
  return std::make_unique<MemoryStore>(options);
}

absl::StatusOr<std::unique_ptr<Store>> OpenMemoryStore(const MemoryOptions& options) {
  auto store = std::make_unique<MemoryStore>(options);
  if (!options.snapshot_path.empty()) KVARTS_RETURN_IF_ERROR(store->Load(options));
  return store;
}

}  // namespace kvarts
