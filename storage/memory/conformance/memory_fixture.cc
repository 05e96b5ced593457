#include "storage/memory/conformance/memory_fixture.h"

#include "base/status_macros.h"
#include "storage/memory/memory.h"

namespace kvarts {
namespace {

// Not thread-safe.
class MemoryFixture final : public StoreFixture {
 public:
  explicit MemoryFixture(const MemoryOptions& options) : options_(options) {}

  absl::StatusOr<std::unique_ptr<Store>> Open(const Records& records) override {
    MemoryOptions options = options_;
    options.clock = &clock_;
    std::unique_ptr<Store> store = NewMemoryStore(options);
    for (const auto& [key, value] : records) KVARTS_RETURN_IF_ERROR(store->Put(key, value));
    return store;
  }
  ManualClock* clock() override { return &clock_; }

 private:
  const MemoryOptions options_;
  ManualClock clock_;
};

}  // namespace

std::unique_ptr<StoreFixture> NewMemoryFixture() {
  return std::make_unique<MemoryFixture>(MemoryOptions());
}

std::unique_ptr<StoreFixture> NewEvictingMemoryFixture() {
  MemoryOptions options;
  options.max_memory = size_t{1} << 40;
  options.evict = MemoryOptions::Evict::kS3Fifo;
  return std::make_unique<MemoryFixture>(options);
}

}  // namespace kvarts
