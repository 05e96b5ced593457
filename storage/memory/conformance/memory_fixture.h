#ifndef KVARTS_STORAGE_MEMORY_CONFORMANCE_MEMORY_FIXTURE_H_
#define KVARTS_STORAGE_MEMORY_CONFORMANCE_MEMORY_FIXTURE_H_

#include <memory>

#include "testing/conformance/store_fixture.h"

namespace kvarts {

// The memory store as a store under test.
std::unique_ptr<StoreFixture> NewMemoryFixture();
// The same that would evict, and has no reason to.
std::unique_ptr<StoreFixture> NewEvictingMemoryFixture();

}  // namespace kvarts

#endif  // KVARTS_STORAGE_MEMORY_CONFORMANCE_MEMORY_FIXTURE_H_
