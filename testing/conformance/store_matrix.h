#ifndef KVARTS_TESTING_CONFORMANCE_STORE_MATRIX_H_
#define KVARTS_TESTING_CONFORMANCE_STORE_MATRIX_H_

#include "base/language.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "testing/conformance/store_fixture.h"
#include "testing/conformance/store_suite.h"

namespace kvarts {

struct MatrixStore {
  std::string name;  // the heading of its column
  StoreFixtureFactory new_fixture;
};

// A table in Markdown: what each store can do, a row a capability. What it has
// and no test proved is marked. kInternal: tests failed; it names them.
absl::StatusOr<std::string> CapabilityTable(
    const std::vector<std::shared_ptr<const StoreSuiteRecord>>& records);

// The main() of a program over a list of stores. Runs the suite over each and
// prints the page to standard output; `--check=FILE` compares instead, and says
// how to make FILE anew where it differs, `command`. Other flags are
// googletest's. Returns the exit code.
int CapabilityMatrixMain(int argc, char** argv, const std::vector<MatrixStore>& stores,
                         const std::string& command);

}  // namespace kvarts

#endif  // KVARTS_TESTING_CONFORMANCE_STORE_MATRIX_H_
