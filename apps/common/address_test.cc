#include "apps/common/address.h"

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

TEST(AddressTest, FlagsMayLeaveOutTheScheme) {
  EXPECT_EQ(ToAddress("127.0.0.1:7780"), "tcp://127.0.0.1:7780");
  EXPECT_EQ(ToAddress("tcp://[::1]:0"), "tcp://[::1]:0");
  EXPECT_EQ(ToAddress("unix:a/b"), "unix:a/b");
  EXPECT_EQ(WithoutTcp("tcp://127.0.0.1:7780"), "127.0.0.1:7780");
  EXPECT_EQ(WithoutTcp("unix:a/b"), "unix:a/b");
}

TEST(AddressTest, APortWithoutAHostIsToldApartFromOtherMistakes) {
  for (const char* flag : {"7379", ":7379", "tcp://7379", "tcp://:7379"}) {
    const absl::Status status = CheckHost(flag);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << flag;
    EXPECT_EQ(status.message(),
              "HOST: is missing in front of the port: 127.0.0.1:7379 is for this machine's "
              "clients, 0.0.0.0:7379 for all");
  }
  for (const char* flag : {"127.0.0.1:7379", "tcp://[::1]:0", "unix:7379", "7379a", "", ":",
                           "a:", "localhost", "::1"}) {
    EXPECT_TRUE(CheckHost(flag).ok()) << flag;
  }
}

TEST(AddressTest, OnlyThisMachineIsLocal) {
  for (const char* address : {"unix:/x", "tcp://127.0.0.1:1", "tcp://127.8.9.1:0", "tcp://[::1]:5",
                              "tcp://localhost:80"}) {
    EXPECT_TRUE(IsLocal(address)) << address;
  }
  for (const char* address :
       {"tcp://0.0.0.0:1", "tcp://[::]:1", "tcp://10.0.0.1:1", "tcp://:1", "tcp://example.org:1",
        "tcp://127.0.0.1.example.org:1", "tcp://localhost.example.org:1", "tcp://128.0.0.1:1"}) {
    EXPECT_FALSE(IsLocal(address)) << address;
  }
}

}  // namespace
}  // namespace kvarts
