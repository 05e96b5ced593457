#ifndef KVARTS_STORAGE_LAYERS_LAYER_FIXTURE_H_
#define KVARTS_STORAGE_LAYERS_LAYER_FIXTURE_H_

#include <functional>
#include <memory>
#include <utility>

#include "testing/conformance/store_fixture.h"
#include "testing/model/model_fixture.h"
#include "testing/model/slow_fixture.h"

namespace kvarts {

// Another fixture's stores, each with a layer over it. Not thread-safe.
class LayerFixture final : public StoreFixture {
 public:
  using Layer = std::function<std::unique_ptr<Store>(std::unique_ptr<Store>)>;

  LayerFixture(std::unique_ptr<StoreFixture> under, Layer layer)
      : under_(std::move(under)), layer_(std::move(layer)) {}

  absl::StatusOr<std::unique_ptr<Store>> Open(const Records& records) override {
    return Over(under_->Open(records));
  }
  bool can_reopen() const override { return under_->can_reopen(); }
  absl::StatusOr<std::unique_ptr<Store>> Reopen() override { return Over(under_->Reopen()); }
  ManualClock* clock() override { return under_->clock(); }
  bool Accepts(absl::string_view key, absl::string_view value) const override {
    return under_->Accepts(key, value);
  }

 private:
  absl::StatusOr<std::unique_ptr<Store>> Over(absl::StatusOr<std::unique_ptr<Store>> store) {
    if (!store.ok()) return store;
    return layer_(*std::move(store));
  }

  const std::unique_ptr<StoreFixture> under_;
  const Layer layer_;
};

// A layer over what blocks and says how not to.
inline std::unique_ptr<StoreFixture> NewSlowLayerFixture(LayerFixture::Layer layer) {
  SlowStoreOptions slow;
  slow.forbids_waiting = false;  // the suite's threads make all kinds of calls
  auto model = std::make_unique<ModelFixture>(ModelCapabilities(), 1 << 20);
  return std::make_unique<LayerFixture>(std::make_unique<SlowFixture>(std::move(model), slow),
                                        std::move(layer));
}

}  // namespace kvarts

#endif  // KVARTS_STORAGE_LAYERS_LAYER_FIXTURE_H_
