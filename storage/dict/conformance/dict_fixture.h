#ifndef KVARTS_STORAGE_DICT_CONFORMANCE_DICT_FIXTURE_H_
#define KVARTS_STORAGE_DICT_CONFORMANCE_DICT_FIXTURE_H_

#include <memory>

#include "testing/conformance/store_fixture.h"

namespace kvarts {

// dict as a store under test: the records are written as a data file.
std::unique_ptr<StoreFixture> NewDictFixture();

}  // namespace kvarts

#endif  // KVARTS_STORAGE_DICT_CONFORMANCE_DICT_FIXTURE_H_
