#include <memory>
#include <string>

#include "cluster/client/test_cluster.h"
#include "gtest/gtest.h"
#include "testing/conformance/store_suite.h"

// A store over a cluster passes the suite, whatever its nodes can do.
namespace kvarts {
namespace {

void Register(const std::string& name, int nodes, void (*change)(Capabilities*)) {
  Capabilities capabilities = ModelCapabilities();
  change(&capabilities);
  RegisterStoreSuite(name, [nodes, capabilities] {
    return std::make_unique<ClusterFixture>(nodes, capabilities);
  });
}

void RegisterAll() {
  Register("ClusterOfOne", 1, [](Capabilities*) {});
  Register("ClusterOfThree", 3, [](Capabilities*) {});
  Register("BlockingClusterOfThree", 3, [](Capabilities* c) { c->may_block = true; });
  Register("PlainClusterOfThree", 3, [](Capabilities* c) {
    c->ordered_scan = c->expiry = c->content_type = Support::kAbsent;
    c->batch_scope = BatchScope::kKey;
  });
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  kvarts::RegisterAll();
  return RUN_ALL_TESTS();
}
