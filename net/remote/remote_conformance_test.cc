#include <memory>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/remote/served_store.h"
#include "storage/bisect/conformance/bisect_fixture.h"
#include "testing/conformance/store_suite.h"
#include "testing/model/model_fixture.h"
#include "testing/model/slow_fixture.h"

// A remote store passes the suite as the store behind it does, over each
// transport. Another store to serve is one more line in RegisterAll().
namespace kvarts {
namespace {

void Register(const std::string& name, const StoreFixtureFactory& new_backing) {
  for (const TestTransport& transport : TestTransports()) {
    RegisterStoreSuite(absl::StrCat("Remote", name, "Over", transport.name),
                       [new_backing, transport] {
                         return std::make_unique<RemoteFixture>(new_backing(), transport.make(),
                                                                transport.new_address);
                       });
  }
}

StoreFixtureFactory Model(void (*change)(Capabilities*)) {
  Capabilities capabilities = ModelCapabilities();
  change(&capabilities);
  return [capabilities] { return std::make_unique<ModelFixture>(capabilities); };
}

void RegisterAll() {
  Register("Model", Model([](Capabilities*) {}));
  // On a pool of threads instead of on the loop.
  Register("BlockingModel", Model([](Capabilities* c) { c->may_block = true; }));
  // ... and on the loop what says how not to wait.
  Register("SlowModel", [] {
    return std::make_unique<SlowFixture>(std::make_unique<ModelFixture>(ModelCapabilities()));
  });
  Register("PlainModel", Model([](Capabilities* c) {
             c->ordered_scan = c->expiry = c->content_type = Support::kAbsent;
             c->batch_scope = BatchScope::kKey;
             c->atomic_multi_get = false;
           }));
  Register("Bisect", NewBisectFixture);
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  kvarts::RegisterAll();
  return RUN_ALL_TESTS();
}
