#include "net/remote/served_store.h"

#include <unistd.h>

#include <atomic>

#include "gtest/gtest.h"
#include "net/loopback/loopback.h"
#include "net/tcp/tcp.h"

namespace kvarts {
namespace {

int NextNumber() {
  static std::atomic<int> number{0};
  return number.fetch_add(1);
}

}  // namespace

const std::vector<TestTransport>& TestTransports() {
  static const auto* const transports = new std::vector<TestTransport>{
      {"Loopback", &NewLoopbackTransport,
       [] { return absl::StrCat("loopback:store", NextNumber()); }},
      {"Tcp", &NewTcpTransport, [] { return std::string("tcp://127.0.0.1:0"); }},
      {"Unix", &NewTcpTransport,
       [] {
         // A socket's path is short, a test's directory is not.
         EXPECT_EQ(chdir(testing::TempDir().c_str()), 0);
         return absl::StrCat("unix:store", NextNumber());
       }},
  };
  return *transports;
}

}  // namespace kvarts
