#include "apps/common/address.h"

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
