#include <memory>

#include "absl/strings/str_cat.h"
#include "cluster/resp_client/served_cluster.h"
#include "gtest/gtest.h"
#include "testing/conformance/store_suite.h"

// What the nodes of a RESP cluster hold passes the suite, as far as the protocol goes.
int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (const bool expiry : {false, true}) {
    for (const int nodes : {1, 3}) {
      kvarts::RegisterStoreSuite(
          absl::StrCat("RespClusterOf", nodes, expiry ? "WithExpiry" : ""),
          [=] { return std::make_unique<kvarts::RespClusterFixture>(nodes, expiry); });
    }
  }
  return RUN_ALL_TESTS();
}
