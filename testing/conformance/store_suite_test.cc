#include "testing/conformance/store_suite.h"

#include <cstdio>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "testing/conformance/store_matrix.h"
#include "testing/model/broken_store.h"
#include "testing/model/model_fixture.h"

// The suite checked: a store with a planted bug must fail it, and the sound one
// must pass and prove what it has. Its own main(), because failures are wanted.
namespace kvarts {
namespace {

int Main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::TestEventListeners& listeners = testing::UnitTest::GetInstance()->listeners();
  delete listeners.Release(listeners.default_result_printer());
  const auto sound = RegisterStoreSuite("Model", [] { return std::make_unique<ModelFixture>(); });
  std::vector<std::shared_ptr<const StoreSuiteRecord>> broken;
  for (const auto& bugs :
       {absl::MakeConstSpan(kSequentialBugs), absl::MakeConstSpan(kThreadBugs)}) {
    for (const Bug bug : bugs) {
      broken.push_back(RegisterStoreSuite(ToText(bug), BrokenModelFixture(bug)));
    }
  }
  if (RUN_ALL_TESTS() == 0) std::printf("nothing failed\n");

  int wrong = 0;
  for (const auto& record : broken) {
    std::printf("%s fails %zu tests:", record->name.c_str(), record->failed_tests.size());
    for (const std::string& test : record->failed_tests) std::printf(" %s", test.c_str());
    std::printf("\n");
    if (record->failed_tests.empty()) ++wrong;
    if (CapabilityTable({record}).ok()) ++wrong;
  }
  for (const std::string& test : sound->failed_tests) {
    std::printf("the sound store fails %s\n", test.c_str());
    ++wrong;
  }
  for (const char* name :
       {"write", "conditions", "batch_scope", "delete_range", "scan", "ordered_scan",
        "backward_scan", "slot_scan", "snapshot", "expiry", "content_type", "atomic_multi_get"}) {
    if (sound->proven.count(name) > 0) continue;
    std::printf("the sound store does not prove %s\n", name);
    ++wrong;
  }
  const auto table = CapabilityTable({sound});
  if (!table.ok() ||
      table->find("| slot_scan | ... of cluster slots | emulated, O(n) |") == std::string::npos) {
    std::printf("the table is wrong\n");
    ++wrong;
  }
  return wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) { return kvarts::Main(argc, argv); }
