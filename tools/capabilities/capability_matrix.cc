#include <memory>

#include "net/remote/served_store.h"
#include "net/resp/client/served_resp.h"
#include "storage/bisect/conformance/bisect_fixture.h"
#include "storage/dict/conformance/dict_fixture.h"
#include "storage/memory/conformance/memory_fixture.h"
#include "storage/null/null_fixture.h"
#include "storage/sstable/conformance/sstable_fixture.h"
#include "testing/conformance/store_matrix.h"
#include "testing/model/model_fixture.h"

namespace kvarts {
namespace {

std::unique_ptr<StoreFixture> NewModelFixture() { return std::make_unique<ModelFixture>(); }

std::unique_ptr<StoreFixture> NewPlainSstableFixture() {
  return NewSstableFixture(SstableOptions());
}

// The same store at the other end of the native protocol.
StoreFixtureFactory Remote(const StoreFixtureFactory& new_backing) {
  return [new_backing] {
    const TestTransport& loopback = TestTransports()[0];
    return std::make_unique<RemoteFixture>(new_backing(), loopback.make(), loopback.new_address);
  };
}

// ... of RESP, as what another server holds.
StoreFixtureFactory Resp(const StoreFixtureFactory& new_backing, bool expiry) {
  return [new_backing, expiry] {
    const TestTransport& loopback = TestTransports()[0];
    return std::make_unique<RespFixture>(new_backing(), loopback.make(), loopback.new_address,
                                         expiry);
  };
}

}  // namespace
}  // namespace kvarts

// Every store there is, by name: another one is one more line here, and its
// fixture among the dependencies.
int main(int argc, char** argv) {
  return kvarts::CapabilityMatrixMain(
      argc, argv,
      {
          {"model", kvarts::NewModelFixture},
          {"bisect", kvarts::NewBisectFixture},
          {"dict", kvarts::NewDictFixture},
          {"memory", kvarts::NewMemoryFixture},
          {"sstable", kvarts::NewPlainSstableFixture},
          {"null", [] { return std::make_unique<kvarts::NullFixture>(); }},
          {"remote_model", kvarts::Remote(kvarts::NewModelFixture)},
          {"remote_bisect", kvarts::Remote(kvarts::NewBisectFixture)},
          {"resp", kvarts::Resp(kvarts::NewMemoryFixture, /*expiry=*/false)},
          {"resp_expiry", kvarts::Resp(kvarts::NewMemoryFixture, /*expiry=*/true)},
      },
      "./bazelw run //tools/capabilities:capability_matrix");
}
