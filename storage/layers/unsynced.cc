#include "storage/layers/unsynced.h"

#include <utility>

#include "storage/layers/forwarding_store.h"

namespace kvarts {
namespace {

WriteOptions Unsynced(WriteOptions options) {
  options.sync = false;
  return options;
}

class UnsyncedStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;

  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override {
    return under().Write(batch, Unsynced(options), results);
  }
  void Submit(const WriteBatch& batch, const WriteOptions& options, WriteResults* results,
              WriteDone done) override {
    under().Submit(batch, Unsynced(options), results, std::move(done));
  }
  absl::Status Modify(absl::string_view key, const WriteOptions& options,
                      Modifier function) override {
    return under().Modify(key, Unsynced(options), function);
  }
};

}  // namespace

std::unique_ptr<Store> NewUnsyncedStore(std::unique_ptr<Store> under) {
  return std::make_unique<UnsyncedStore>(std::move(under));
}

}  // namespace kvarts
