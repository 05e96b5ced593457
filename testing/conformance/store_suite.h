#ifndef KVARTS_TESTING_CONFORMANCE_STORE_SUITE_H_
#define KVARTS_TESTING_CONFORMANCE_STORE_SUITE_H_

#include "base/language.h"

#include <memory>
#include <set>
#include <string>

#include "storage/capabilities.h"
#include "testing/conformance/store_fixture.h"

namespace kvarts {

// What a run of the suite found. Filled while the tests run.
struct StoreSuiteRecord {
  std::string name;
  bool opened = false;        // else `capabilities` are not known
  Capabilities capabilities;  // as the store declares them
  // Names of the members of Capabilities that a test passed on: that what is
  // there works, and that what is absent is refused with the right error.
  std::set<std::string> proven;
  std::set<std::string> failed_tests;
};

// Registers the conformance tests of storage/store.h with googletest, under the
// name NAME/test. Call it before RUN_ALL_TESTS(), once for each kind of store
// and each option set of it:
//
//   int main(int argc, char** argv) {
//     testing::InitGoogleTest(&argc, argv);
//     kvarts::RegisterStoreSuite("mine", [] { return std::make_unique<MyFixture>(); });
//     return RUN_ALL_TESTS();
//   }
//
// The tests branch on capabilities() and on what the fixture says, on nothing
// else. What a store does not have is tested too: the error must be the
// promised one. After the run the record is written to NAME.capabilities in
// $TEST_UNDECLARED_OUTPUTS_DIR, where that is set.
std::shared_ptr<const StoreSuiteRecord> RegisterStoreSuite(const std::string& name,
                                                           const StoreFixtureFactory& new_fixture);

}  // namespace kvarts

#endif  // KVARTS_TESTING_CONFORMANCE_STORE_SUITE_H_
