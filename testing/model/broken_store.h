#ifndef KVARTS_TESTING_MODEL_BROKEN_STORE_H_
#define KVARTS_TESTING_MODEL_BROKEN_STORE_H_

#include <memory>

#include "storage/store.h"
#include "testing/conformance/store_fixture.h"

namespace kvarts {

// Bugs as they happen, to check the checkers: each of these must be found by the
// conformance suite, and by the model test.
enum class Bug : unsigned char {
  kLosesSecondPutOfABatch = 0,  // of the same key
  kCacheOutlivesDeleteRange,    // reads give a value that was deleted
  kSkipsAfterAPage,             // a scan leaves out the entry behind a page's end
  kKeepForgetsExpiry,           // Metadata::Change::kKeep clears it
  kStampsOfAbsentKeysAreEqual,  // ... whatever was there in between
  kSnapshotSeesNewKeys,         // a key that was absent from it is read from now
  kResumeRepeatsTheLast,        // a resumed scan begins with the entry before it
  kExistedOfPutsIsFalse,
  kAtomicStopsHalfway,       // a failed precondition leaves the first mutation applied
  kModifyDeletesForNothing,  // Modification::Nothing() is taken for Delete()

  // Seen only by several threads: by the suite, not by the model test.
  kModifyIsNotAtomic,
  kAtomicBatchIsTwoWrites,
};
inline constexpr Bug kSequentialBugs[] = {
    Bug::kLosesSecondPutOfABatch,  Bug::kCacheOutlivesDeleteRange,   Bug::kSkipsAfterAPage,
    Bug::kKeepForgetsExpiry,       Bug::kStampsOfAbsentKeysAreEqual, Bug::kSnapshotSeesNewKeys,
    Bug::kResumeRepeatsTheLast,    Bug::kExistedOfPutsIsFalse,       Bug::kAtomicStopsHalfway,
    Bug::kModifyDeletesForNothing,
};
inline constexpr Bug kThreadBugs[] = {Bug::kModifyIsNotAtomic, Bug::kAtomicBatchIsTwoWrites};
const char* ToText(Bug bug);

// `base` with a bug. Safe for concurrent access, as far as a bug is.
std::unique_ptr<Store> NewBrokenStore(std::unique_ptr<Store> base, Bug bug);

// The model store with a bug.
StoreFixtureFactory BrokenModelFixture(Bug bug);

}  // namespace kvarts

#endif  // KVARTS_TESTING_MODEL_BROKEN_STORE_H_
