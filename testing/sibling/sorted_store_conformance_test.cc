// The promises of storage/store.h, checked on the sorted store by the suite
// that kvarts' own stores pass.

#include <memory>
#include <utility>

#include "gtest/gtest.h"
#include "sorted_store.h"
#include "storage/store.h"
#include "testing/conformance/store_suite.h"

namespace sibling {
namespace {

class SortedStoreFixture final : public kvarts::StoreFixture {
 public:
  absl::StatusOr<std::unique_ptr<kvarts::Store>> Open(const kvarts::Records& records) override {
    std::unique_ptr<kvarts::Store> store = NewSortedStore();
    kvarts::WriteBatch batch;
    for (const auto& [key, value] : records) batch.Put(key, value);
    const absl::Status status = store->Write(batch, kvarts::WriteOptions(), nullptr);
    if (!status.ok()) return status;
    return store;
  }
};

}  // namespace
}  // namespace sibling

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  kvarts::RegisterStoreSuite("sorted",
                             [] { return std::make_unique<sibling::SortedStoreFixture>(); });
  return RUN_ALL_TESTS();
}
