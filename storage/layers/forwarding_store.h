#ifndef KVARTS_STORAGE_LAYERS_FORWARDING_STORE_H_
#define KVARTS_STORAGE_LAYERS_FORWARDING_STORE_H_

#include "base/language.h"

#include <memory>
#include <utility>

#include "storage/store.h"

namespace kvarts {

// Thread-safe as the store under it is. What a layer that changes a few calls
// derives from: it owns a store and hands every call on. Who changes Write() changes Submit().
class ForwardingStore : public Store {
 public:
  explicit ForwardingStore(std::unique_ptr<Store> under) : under_(std::move(under)) {}

  Capabilities capabilities() const override { return under_->capabilities(); }
  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    under_->MultiGet(keys, options, results);
  }
  void Read(absl::string_view key, const ReadOptions& options, ReadResults* results) override {
    under_->Read(key, options, results);
  }
  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override {
    return under_->Write(batch, options, results);
  }
  void Submit(const WriteBatch& batch, const WriteOptions& options, WriteResults* results,
              WriteDone done) override {
    under_->Submit(batch, options, results, std::move(done));
  }
  absl::Status Modify(absl::string_view key, const WriteOptions& options,
                      Modifier function) override {
    return under_->Modify(key, options, function);
  }
  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options) override {
    return under_->NewCursor(options);
  }
  absl::StatusOr<std::shared_ptr<const Snapshot>> GetSnapshot() override {
    return under_->GetSnapshot();
  }
  absl::StatusOr<StoreStats> Stats() override { return under_->Stats(); }
  absl::Status Sync() override { return under_->Sync(); }
  Maintenance* maintenance() override { return under_->maintenance(); }
  absl::Status Close() override { return under_->Close(); }

 protected:
  Store& under() const { return *under_; }
  // For the destructor of a layer that submitted writes use until they are done: they are then.
  void DestroyUnder() { under_.reset(); }

 private:
  std::unique_ptr<Store> under_;
};

}  // namespace kvarts

#endif  // KVARTS_STORAGE_LAYERS_FORWARDING_STORE_H_
