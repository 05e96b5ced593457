#include "storage/memory/conformance/memory_fixture.h"

#include "base/status_macros.h"
#include "storage/memory/memory.h"

namespace kvarts {
namespace {

// Not thread-safe.
class MemoryFixture final : public StoreFixture {
 public:
  absl::StatusOr<std::unique_ptr<Store>> Open(const Records& records) override {
    MemoryOptions options;
    options.clock = &clock_;
    std::unique_ptr<Store> store = NewMemoryStore(options);
    for (const auto& [key, value] : records) KVARTS_RETURN_IF_ERROR(store->Put(key, value));
    return store;
  }
  ManualClock* clock() override { return &clock_; }

 private:
  ManualClock clock_;
};

}  // namespace

std::unique_ptr<StoreFixture> NewMemoryFixture() { return std::make_unique<MemoryFixture>(); }

}  // namespace kvarts
