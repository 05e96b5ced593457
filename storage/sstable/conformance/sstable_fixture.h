#ifndef KVARTS_STORAGE_SSTABLE_CONFORMANCE_SSTABLE_FIXTURE_H_
#define KVARTS_STORAGE_SSTABLE_CONFORMANCE_SSTABLE_FIXTURE_H_

#include <memory>

#include "storage/sstable/sstable.h"
#include "testing/conformance/store_fixture.h"

namespace kvarts {

// The SSTable store over a file system in memory, as a store under test. Clock and file system of
// `options` are the fixture's own.
std::unique_ptr<StoreFixture> NewSstableFixture(const SstableOptions& options);

// Everything small, so that a short history flushes, compacts and reads from every level; on one
// thread, in an order that repeats.
SstableOptions TinySstable();

}  // namespace kvarts

#endif  // KVARTS_STORAGE_SSTABLE_CONFORMANCE_SSTABLE_FIXTURE_H_
