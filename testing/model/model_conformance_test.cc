#include <memory>

#include "gtest/gtest.h"
#include "testing/conformance/store_suite.h"
#include "testing/model/model_fixture.h"
#include "testing/model/slow_fixture.h"

// The model store passes the suite, whole and with capabilities switched off:
// so every branch of the suite is run too.
namespace kvarts {
namespace {

void Register(const char* name, void (*change)(Capabilities*)) {
  Capabilities capabilities = ModelCapabilities();
  change(&capabilities);
  RegisterStoreSuite(
      name, [capabilities] { return std::make_unique<ModelFixture>(capabilities, 1 << 20); });
}

void RegisterAll() {
  RegisterStoreSuite("Model", [] { return std::make_unique<ModelFixture>(); });
  Register("ModelDurableAndShared", [](Capabilities* c) {
    c->durable = true;
    c->shared_by_processes = true;
  });
  Register("ModelReadOnly", [](Capabilities* c) { c->write = Support::kAbsent; });
  Register("ModelReadOnlyUnordered",
           [](Capabilities* c) { c->write = c->ordered_scan = c->snapshot = Support::kAbsent; });
  Register("ModelUnordered", [](Capabilities* c) { c->ordered_scan = Support::kAbsent; });
  Register("ModelWithoutScan", [](Capabilities* c) { c->scan = Support::kAbsent; });
  Register("ModelOfBatchesOfAKey", [](Capabilities* c) { c->batch_scope = BatchScope::kKey; });
  Register("ModelOfBatchesOfAShard", [](Capabilities* c) { c->batch_scope = BatchScope::kShard; });
  Register("ModelWithoutBatches", [](Capabilities* c) { c->batch_scope = BatchScope::kNone; });
  Register("ModelOfLimitedBatches", [](Capabilities* c) {
    c->max_batch_mutations = 20'000;
    c->max_batch_bytes = 1 << 20;
  });
  RegisterStoreSuite("SlowModel", [] {
    SlowStoreOptions options;
    options.forbids_waiting = false;  // the tests' threads make all kinds of calls
    return std::make_unique<SlowFixture>(std::make_unique<ModelFixture>(), options);
  });
  Register("ModelWithoutConditions", [](Capabilities* c) { c->conditions = Support::kAbsent; });
  Register("ModelOfPlainPuts", [](Capabilities* c) {
    c->expiry = c->content_type = c->delete_range = Support::kAbsent;
    c->backward_scan = c->slot_scan = c->snapshot = Support::kAbsent;
    c->atomic_multi_get = false;
  });
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  kvarts::RegisterAll();
  return RUN_ALL_TESTS();
}
