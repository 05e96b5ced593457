#include "storage/layers/read_only.h"

#include <utility>

#include "storage/layers/forwarding_store.h"

namespace kvarts {
namespace {

// Thread-safe: has no state.
class ReadOnlyStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;

  Capabilities capabilities() const override {
    Capabilities c = under().capabilities();
    c.write = c.conditions = c.delete_range = Support::kAbsent;
    c.expiry = c.content_type = Support::kAbsent;  // to set them
    c.batch_scope = BatchScope::kNone;
    c.discards = false;
    return c;
  }

  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    if (options.stamp) return results->Fail(keys.size(), NoStamps());
    under().MultiGet(keys, options, results);
  }

  void Read(absl::string_view key, const ReadOptions& options, ReadResults* results) override {
    if (options.stamp) return results->Fail(1, NoStamps());
    under().Read(key, options, results);
  }

  absl::Status Write(const WriteBatch& batch, const WriteOptions&, WriteResults* results) override {
    return FailWrite(batch, ReadOnlyError(), results);
  }
  void Submit(const WriteBatch& batch, const WriteOptions&, WriteResults* results,
              WriteDone done) override {
    done(FailWrite(batch, ReadOnlyError(), results));
  }
  absl::Status Modify(absl::string_view, const WriteOptions&, Modifier) override {
    return ReadOnlyError();
  }

 private:
  static absl::Status NoStamps() {
    return absl::UnimplementedError("the store is read-only and has no stamps");
  }
};

}  // namespace

std::unique_ptr<Store> NewReadOnlyStore(std::unique_ptr<Store> under) {
  return std::make_unique<ReadOnlyStore>(std::move(under));
}

}  // namespace kvarts
