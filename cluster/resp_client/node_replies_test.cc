#include "cluster/resp_client/node_replies.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/resp/client/command.h"

namespace kvarts {
namespace resp_cluster {
namespace {

std::optional<Refusal> Of(const std::string& error) {
  return RefusalOf(resp_client::ErrorStatus(error), "tcp://10.0.0.1:7000");
}

TEST(RefusalTest, NamesTheNode) {
  EXPECT_EQ(Of("MOVED 5 10.0.0.2:7001")->kind, Refusal::Kind::kMoved);
  EXPECT_EQ(Of("MOVED 5 10.0.0.2:7001")->address, "tcp://10.0.0.2:7001");
  EXPECT_EQ(Of("ASK 5 2001:db8::17:7001")->kind, Refusal::Kind::kAsk);
  EXPECT_EQ(Of("ASK 5 2001:db8::17:7001")->address, "tcp://[2001:db8::17]:7001");
  // Where it was asked, and at another port.
  EXPECT_EQ(Of("MOVED 5 :7001")->address, "tcp://10.0.0.1:7001");
  EXPECT_EQ(Of("MOVED 5 ?:7001")->address, "tcp://10.0.0.1:7001");
  EXPECT_EQ(Of("MOVED 5 example.org:7001")->address, "tcp://example.org:7001");
}

TEST(RefusalTest, WhatNamesNobodyIsForLater) {
  for (const char* error : {"TRYAGAIN x", "CLUSTERDOWN Hash slot not served", "LOADING x",
                            "MOVED 5", "MOVED 5 nonsense", "ASK 5 host:x"}) {
    ASSERT_TRUE(Of(error).has_value()) << error;
    EXPECT_EQ(Of(error)->kind, Refusal::Kind::kLater) << error;
  }
}

TEST(RefusalTest, OtherErrorsAreNone) {
  for (const char* error : {"ERR x", "WRONGTYPE x", "NOREPLICAS x", "OOM x", "READONLY x"}) {
    EXPECT_FALSE(Of(error).has_value()) << error;
  }
  EXPECT_FALSE(RefusalOf(absl::UnavailableError("tcp://h:1: no connection"), "").has_value());
}

TEST(OwnSlotsTest, AreThoseOfTheNodeItself) {
  const std::string text =
      "aa 10.0.0.1:7000@17000,name.example myself,master - 0 1 2 connected 0-5 7 "
      "[7->-bb] [9-<-cc]\n"
      "bb :7001@17001 master - 0 1 2 connected 8-20\r\n"
      "cc [2001:db8::1]:7002@17002 slave aa 0 1 2 connected\n"
      "dd\n";
  const OwnSlots own = OwnSlots::Parse(text, "tcp://10.0.0.9:7000");
  EXPECT_EQ(own.id, "aa");
  EXPECT_EQ(own.held.count(), 7u);
  EXPECT_TRUE(own.held[7]);
  EXPECT_EQ(own.importing.count(), 1u);
  EXPECT_TRUE(own.importing[9]);
  ASSERT_EQ(own.migrating.size(), 1u);
  EXPECT_EQ(own.migrating.at(7), "bb");
  EXPECT_EQ(own.addresses.at("aa"), "tcp://10.0.0.1:7000");
  EXPECT_EQ(own.addresses.at("bb"), "tcp://10.0.0.9:7001");
  EXPECT_EQ(own.addresses.at("cc"), "tcp://[2001:db8::1]:7002");
}

TEST(OwnSlotsTest, NonsenseIsLeftOut) {
  const OwnSlots own = OwnSlots::Parse(
      "aa h:1@2 myself - 0 1 2 connected 20000 5-20000 9-5 x [ [5 [5- [5-> [x->-y] [20000->-y] "
      "[-1->-y]\n",
      "tcp://h:1");
  EXPECT_EQ(own.held.count(), 0u);
  EXPECT_EQ(own.migrating.size(), 0u);
  EXPECT_EQ(own.importing.count(), 0u);
}

}  // namespace
}  // namespace resp_cluster
}  // namespace kvarts
