#include "storage/layers/swap.h"

#include <atomic>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "base/swappable.h"

namespace kvarts {
namespace {

// Names a swap store for as long as the process runs: another may come to lie where it lay.
uint64_t NextId() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

// Of one backing store, which it keeps.
class SwapSnapshot final : public Snapshot {
 public:
  SwapSnapshot(uint64_t owner, std::shared_ptr<Store> store,
               std::shared_ptr<const Snapshot> snapshot)
      : owner_(owner), store_(std::move(store)), snapshot_(std::move(snapshot)) {}
  uint64_t owner() const { return owner_; }
  const std::shared_ptr<Store>& store() const { return store_; }
  const std::shared_ptr<const Snapshot>& snapshot() const { return snapshot_; }

 private:
  const uint64_t owner_;
  const std::shared_ptr<Store> store_;
  const std::shared_ptr<const Snapshot> snapshot_;  // ends before its store
};

class SwapCursor final : public Cursor {
 public:
  SwapCursor(std::shared_ptr<Store> store, std::unique_ptr<Cursor> cursor)
      : store_(std::move(store)), cursor_(std::move(cursor)) {}
  absl::Status Next(const PageLimits& limits, ScanPage* page) override {
    return cursor_->Next(limits, page);
  }
  std::string position() const override { return cursor_->position(); }

 private:
  const std::shared_ptr<Store> store_;
  const std::unique_ptr<Cursor> cursor_;
};

class SwapStoreImpl final : public SwapStore {
 public:
  explicit SwapStoreImpl(std::unique_ptr<Store> first)
      : capabilities_(first->capabilities()), current_(std::shared_ptr<Store>(std::move(first))) {}

  Capabilities capabilities() const override { return capabilities_; }

  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    if (ABSL_PREDICT_FALSE(options.snapshot != nullptr)) {
      return ReadSnapshot(keys, options, results);
    }
    current_.Hold()->MultiGet(keys, options, results);
  }

  void Read(absl::string_view key, const ReadOptions& options, ReadResults* results) override {
    if (ABSL_PREDICT_FALSE(options.snapshot != nullptr)) {
      return ReadSnapshot({&key, 1}, options, results);
    }
    current_.Hold()->Read(key, options, results);
  }

  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override {
    return current_.Hold()->Write(batch, options, results);
  }

  // A store that was replaced has called `done` when it is destroyed.
  void Submit(const WriteBatch& batch, const WriteOptions& options, WriteResults* results,
              WriteDone done) override {
    current_.Hold()->Submit(batch, options, results, std::move(done));
  }

  absl::Status Modify(absl::string_view key, const WriteOptions& options,
                      Modifier function) override {
    return current_.Hold()->Modify(key, options, function);
  }

  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options) override {
    std::shared_ptr<Store> store = current_.Share();
    ScanOptions theirs = options;
    if (options.snapshot != nullptr) {
      if (closed()) return ClosedError();
      KVARTS_ASSIGN_OR_RETURN(const SwapSnapshot* const ours, Ours(options.snapshot));
      store = ours->store();
      theirs.snapshot = ours->snapshot();
    }
    KVARTS_ASSIGN_OR_RETURN(std::unique_ptr<Cursor> cursor, store->NewCursor(theirs));
    return std::unique_ptr<Cursor>(
        std::make_unique<SwapCursor>(std::move(store), std::move(cursor)));
  }

  absl::StatusOr<std::shared_ptr<const Snapshot>> GetSnapshot() override {
    std::shared_ptr<Store> store = current_.Share();
    KVARTS_ASSIGN_OR_RETURN(std::shared_ptr<const Snapshot> snapshot, store->GetSnapshot());
    return std::shared_ptr<const Snapshot>(
        std::make_shared<SwapSnapshot>(id_, std::move(store), std::move(snapshot)));
  }

  absl::StatusOr<StoreStats> Stats() override {
    absl::StatusOr<StoreStats> stats = current_.Share()->Stats();
    if (stats.ok()) stats->details.emplace_back("swaps", absl::StrCat(swaps()));
    return stats;
  }
  absl::Status Sync() override { return current_.Hold()->Sync(); }

  absl::Status Close() override {
    MutexLock lock(&swap_mu_);
    closed_.store(true, std::memory_order_release);
    return current_.Share()->Close();
  }

  absl::StatusOr<std::shared_ptr<Store>> Swap(std::unique_ptr<Store> next) override {
    if (next->capabilities() != capabilities_) {
      return absl::InvalidArgumentError("a store of other capabilities cannot take the place");
    }
    MutexLock lock(&swap_mu_);
    if (closed()) return ClosedError();
    std::shared_ptr<Store> old = current_.Exchange(std::move(next));
    swaps_.fetch_add(1, std::memory_order_relaxed);
    return old;
  }

  uint64_t swaps() const override { return swaps_.load(std::memory_order_relaxed); }

 private:
  bool closed() const { return closed_.load(std::memory_order_acquire); }

  absl::StatusOr<const SwapSnapshot*> Ours(const std::shared_ptr<const Snapshot>& snapshot) const {
    const auto* const ours = dynamic_cast<const SwapSnapshot*>(snapshot.get());
    if (ours != nullptr && ours->owner() == id_) return ours;
    return absl::InvalidArgumentError("a snapshot of another store");
  }

  void ReadSnapshot(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                    ReadResults* results) {
    if (closed()) return results->Fail(keys.size(), ClosedError());
    const auto ours = Ours(options.snapshot);
    if (!ours.ok()) return results->Fail(keys.size(), ours.status());
    ReadOptions theirs = options;
    theirs.snapshot = (*ours)->snapshot();
    (*ours)->store()->MultiGet(keys, theirs, results);
  }

  const uint64_t id_ = NextId();
  const Capabilities capabilities_;
  Swappable<Store> current_;
  std::atomic<bool> closed_{false};
  std::atomic<uint64_t> swaps_{0};
  Mutex swap_mu_;  // one swap or close at a time
};

}  // namespace

std::unique_ptr<SwapStore> SwapStore::New(std::unique_ptr<Store> first) {
  return std::make_unique<SwapStoreImpl>(std::move(first));
}

}  // namespace kvarts
