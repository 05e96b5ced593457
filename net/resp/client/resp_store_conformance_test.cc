#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/remote/served_store.h"
#include "net/resp/client/served_resp.h"
#include "storage/memory/conformance/memory_fixture.h"
#include "testing/conformance/store_suite.h"
#include "testing/model/model_fixture.h"

// What a RESP server holds passes the suite, as far as the protocol goes.
namespace kvarts {
namespace {

void Register(const std::string& name, const StoreFixtureFactory& new_backing,
              const TestTransport& transport, bool expiry) {
  RegisterStoreSuite(absl::StrCat("Resp", name, expiry ? "WithExpiry" : "", "Over", transport.name),
                     [=] {
                       return std::make_unique<RespFixture>(new_backing(), transport.make(),
                                                            transport.new_address, expiry);
                     });
}

void RegisterAll() {
  const auto& transports = TestTransports();
  for (const bool expiry : {false, true}) {
    Register("Memory", NewMemoryFixture, transports[0], expiry);
  }
  for (const TestTransport& transport : transports) {
    Register(
        "Model", [] { return std::make_unique<ModelFixture>(); }, transport, true);
  }
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  kvarts::RegisterAll();
  return RUN_ALL_TESTS();
}
