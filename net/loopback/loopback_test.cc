#include "net/loopback/loopback.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "testing/conformance/transport_suite.h"

namespace kvarts {
namespace {

TransportUnderTest MakeLoopback() {
  TransportUnderTest test;
  test.transport = NewLoopbackTransport();
  test.free_address = [next = std::make_shared<std::atomic<int>>(0)] {
    return absl::StrCat("loopback:test", ++*next);
  };
  test.nobody = "loopback:nobody";
  test.bad_addresses = {"loopback", "loopback:", "tcp://127.0.0.1:1", "unix:/x", "Loopback:x"};
  test.window = kLoopbackWindow;
  test.peer_prefix = "loopback:";
  return test;
}

INSTANTIATE_TEST_SUITE_P(Loopback, TransportSuite,
                         testing::ValuesIn(TransportSuiteParams("Loopback", MakeLoopback)),
                         TransportSuiteName);

}  // namespace
}  // namespace kvarts
