#include "cluster/coordinator/etcd_json.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"

namespace kvarts {
namespace {

// As etcd 3.4.23 answers a transaction.
constexpr char kAnswer[] =
    R"({"header":{"cluster_id":"14841639068965178418","member_id":"10276657743932975437",)"
    R"("revision":"9223372036854775807","raft_term":"2"},"succeeded":true,"responses":[)"
    R"({"response_put":{"header":{"revision":"3"}}},{"response_range":{"header":{"revision":"3"},)"
    R"("kvs":[{"key":"YQ==","create_revision":"2","mod_revision":"2","version":"1","value":"AP8="})"
    R"(,{"key":"Yg==","mod_revision":"3"}],"count":"2"}}]})";

TEST(EtcdJsonTest, AnAnswersValuesAreFoundByTheirNames) {
  const auto answer = ParseEtcdJson(kAnswer);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ((*answer)["header"]["revision"].AsInt(), INT64_MAX);
  EXPECT_EQ((*answer)["header"]["cluster_id"].text, "14841639068965178418");
  EXPECT_TRUE((*answer)["succeeded"].AsBool());
  ASSERT_EQ((*answer)["responses"].items.size(), 2u);
  const EtcdJson& entries = (*answer)["responses"].At(1)["response_range"]["kvs"];
  ASSERT_EQ(entries.items.size(), 2u);
  EXPECT_EQ(entries.At(0)["key"].AsBytes(), "a");
  EXPECT_EQ(entries.At(0)["value"].AsBytes(), std::string("\0\xff", 2));
  EXPECT_EQ(entries.At(1)["mod_revision"].AsInt(), 3);
}

TEST(EtcdJsonTest, WhatIsNotThereIsEmptyFalseAndZero) {
  const auto answer = ParseEtcdJson(kAnswer);
  ASSERT_TRUE(answer.ok()) << answer.status();
  const EtcdJson& entry = (*answer)["responses"].At(1)["response_range"]["kvs"].At(1);
  EXPECT_EQ(entry["value"].AsBytes(), "");
  EXPECT_EQ(entry["version"].AsInt(), 0);
  EXPECT_FALSE((*answer)["no"]["such"].At(7)["thing"].AsBool());
  EXPECT_EQ(entry["key"]["deeper"].At(0).text, "");
}

TEST(EtcdJsonTest, NestedListsObjectsAndPlainNumbersAreKept) {
  const auto json =
      ParseEtcdJson(R"({"a":[[1,2],[],{"b":[{"c":-3}]}],"d":4.5,"e":null,"f":false})");
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ((*json)["a"].items.size(), 3u);
  EXPECT_EQ((*json)["a"].At(0).At(1).AsInt(), 2);
  EXPECT_EQ((*json)["a"].At(2)["b"].At(0)["c"].AsInt(), -3);
  EXPECT_EQ((*json)["d"].text, "4.5");
  EXPECT_EQ((*json)["e"].text, "");
  EXPECT_FALSE((*json)["f"].AsBool());
}

TEST(EtcdJsonTest, WhatIsNoJsonIsInvalid) {
  const std::string answer = kAnswer;
  for (size_t n = 0; n < answer.size(); ++n) {
    EXPECT_FALSE(ParseEtcdJson(answer.substr(0, n)).ok()) << n;
  }
  EXPECT_FALSE(ParseEtcdJson(answer + "{}").ok());
  EXPECT_FALSE(ParseEtcdJson(std::string(1000, '[')).ok());
}

TEST(EtcdJsonTest, BytesAndTextsAreQuoted) {
  EXPECT_EQ(EtcdBytes("hello"), "\"aGVsbG8=\"");
  const std::string text = "q\" b\\ n\n é";
  const auto parsed = ParseEtcdJson(absl::StrCat("[", EtcdText(text), "]"));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->At(0).text, text);
}

}  // namespace
}  // namespace kvarts
