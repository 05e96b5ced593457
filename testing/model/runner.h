#ifndef KVARTS_TESTING_MODEL_RUNNER_H_
#define KVARTS_TESTING_MODEL_RUNNER_H_

#include <cstddef>
#include <optional>
#include <string>

#include "testing/conformance/store_fixture.h"
#include "testing/model/history.h"

namespace kvarts::model {

struct Difference {
  size_t operation = 0;  // its index; the number of operations: found at the end
  std::string what;
};

// Does `history` to a store of the fixture and to the model store, and compares
// every outcome; at the end, all entries.
std::optional<Difference> RunHistory(const History& history, StoreFixture& fixture);

}  // namespace kvarts::model

#endif  // KVARTS_TESTING_MODEL_RUNNER_H_
