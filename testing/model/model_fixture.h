#ifndef KVARTS_TESTING_MODEL_MODEL_FIXTURE_H_
#define KVARTS_TESTING_MODEL_MODEL_FIXTURE_H_

#include "base/language.h"

#include <cstddef>
#include <memory>
#include <utility>

#include "absl/strings/string_view.h"
#include "storage/store.h"
#include "testing/conformance/store_fixture.h"
#include "testing/model/manual_clock.h"
#include "testing/model/model_store.h"

namespace kvarts {

// The model store as a store under test. Not thread-safe.
class ModelFixture final : public StoreFixture {
 public:
  // Values beyond `max_value_bytes` are left out of the tests: the largest cost
  // seconds under a sanitiser, and need not be tried with every set of options.
  explicit ModelFixture(Capabilities capabilities = ModelCapabilities(),
                        size_t max_value_bytes = kMaxValueBytes)
      : max_value_bytes_(max_value_bytes) {
    options_.capabilities = capabilities;
    options_.clock = &clock_;
  }

  absl::StatusOr<std::unique_ptr<Store>> Open(const Records& records) override {
    options_.data = NewModelData();
    ModelStoreOptions options = options_;
    options.records = records;
    return NewModelStore(std::move(options));
  }
  bool can_reopen() const override { return true; }
  absl::StatusOr<std::unique_ptr<Store>> Reopen() override { return NewModelStore(options_); }
  ManualClock* clock() override { return &clock_; }
  bool Accepts(absl::string_view, absl::string_view value) const override {
    return value.size() <= max_value_bytes_;
  }

 private:
  const size_t max_value_bytes_;
  ManualClock clock_;
  ModelStoreOptions options_;
};

}  // namespace kvarts

#endif  // KVARTS_TESTING_MODEL_MODEL_FIXTURE_H_
