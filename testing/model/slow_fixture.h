#ifndef KVARTS_TESTING_MODEL_SLOW_FIXTURE_H_
#define KVARTS_TESTING_MODEL_SLOW_FIXTURE_H_

#include "base/language.h"

#include <memory>
#include <utility>

#include "testing/conformance/store_fixture.h"
#include "testing/model/slow_store.h"

namespace kvarts {

// Another fixture's stores, each under a SlowStore. Not thread-safe.
class SlowFixture final : public StoreFixture {
 public:
  explicit SlowFixture(std::unique_ptr<StoreFixture> backing, SlowStoreOptions options = {})
      : backing_(std::move(backing)), options_(std::move(options)) {}

  absl::StatusOr<std::unique_ptr<Store>> Open(const Records& records) override {
    return Slow(backing_->Open(records));
  }
  bool can_reopen() const override { return backing_->can_reopen(); }
  absl::StatusOr<std::unique_ptr<Store>> Reopen() override { return Slow(backing_->Reopen()); }
  ManualClock* clock() override { return backing_->clock(); }
  bool Accepts(absl::string_view key, absl::string_view value) const override {
    return backing_->Accepts(key, value);
  }

 private:
  absl::StatusOr<std::unique_ptr<Store>> Slow(absl::StatusOr<std::unique_ptr<Store>> store) {
    if (!store.ok()) return store.status();
    return std::unique_ptr<Store>(std::make_unique<SlowStore>(*std::move(store), options_));
  }

  const std::unique_ptr<StoreFixture> backing_;
  const SlowStoreOptions options_;
};

}  // namespace kvarts

#endif  // KVARTS_TESTING_MODEL_SLOW_FIXTURE_H_
