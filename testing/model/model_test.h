#ifndef KVARTS_TESTING_MODEL_MODEL_TEST_H_
#define KVARTS_TESTING_MODEL_MODEL_TEST_H_

#include "base/language.h"

#include <cstdint>
#include <string>

#include "testing/conformance/store_fixture.h"

namespace kvarts {

struct ModelTestOptions {
  uint64_t first_seed = 1;
  int seeds = 50;        // one history each
  int operations = 300;  // of a history
};

struct ModelTestReport {
  bool ok = true;
  // Where not ok: what differs, the seed, and the shortest history that shows
  // it, as text that KVARTS_MODEL_HISTORY takes.
  std::string text;
  uint64_t seed = 0;
  int shrunk_operations = 0;
};

// Does random operations to a store and to the model store, and compares every
// outcome:
//
//   const ModelTestReport report = CheckAgainstModel(new_fixture);
//   EXPECT_TRUE(report.ok) << report.text;
//
// Prints the seeds. These environment variables overrule the options:
// KVARTS_MODEL_SEED (a number: that seed only), KVARTS_MODEL_RUNS (so many seeds
// from the first), KVARTS_MODEL_HISTORY (a file: that history only).
ModelTestReport CheckAgainstModel(const StoreFixtureFactory& new_fixture,
                                  const ModelTestOptions& options = {});

}  // namespace kvarts

#endif  // KVARTS_TESTING_MODEL_MODEL_TEST_H_
