#ifndef KVARTS_STORAGE_BISECT_CONFORMANCE_BISECT_FIXTURE_H_
#define KVARTS_STORAGE_BISECT_CONFORMANCE_BISECT_FIXTURE_H_

#include <memory>

#include "testing/conformance/store_fixture.h"

namespace kvarts {

// bisect as a store under test: the records are written as a data file, in a
// temporary directory that ends with the fixture, and its index is built.
std::unique_ptr<StoreFixture> NewBisectFixture();

}  // namespace kvarts

#endif  // KVARTS_STORAGE_BISECT_CONFORMANCE_BISECT_FIXTURE_H_
