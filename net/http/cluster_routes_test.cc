// A node of a cluster over HTTP.

#include <boost/json.hpp>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/slot.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/fixed_cluster.h"
#include "net/http/write_fixture.h"
#include "storage/slot_status.h"
#include "testing/model/model_store.h"
#include "testing/model/slot_store.h"

namespace kvarts {
namespace {

namespace json = boost::json;
using testing::HasSubstr;

// Node 0, over a store that does not block and one that may.
class ClusterRoutesTest : public WriteRoutesTest, public testing::WithParamInterface<bool> {
 protected:
  ~ClusterRoutesTest() override { Stop(); }

  void SetUp() override {
    HttpOptions options;
    options.clock = &clock_;
    options.cluster = &cluster_;
    StartServer(options);
    ModelStoreOptions model;
    model.capabilities.may_block = GetParam();
    model.clock = &clock_;
    auto store = std::make_unique<SlotStore>(NewModelStore(model));
    slots_ = store.get();
    SetStore(std::move(store));
    client_ = Connect();
  }

  void GiveUpFoo(absl::string_view http = "http://127.0.0.1:8002") {
    slots_->GiveUp({KeySlot("foo"), "127.0.0.1:7002", std::string(http)});
  }

  FixedCluster cluster_;
  SlotStore* slots_ = nullptr;
  std::unique_ptr<TestConnection> client_;
};

INSTANTIATE_TEST_SUITE_P(All, ClusterRoutesTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "OnAPool" : "OnTheLoop"; });

TEST_P(ClusterRoutesTest, AKeyOfAnotherNodeIsThere) {
  GiveUpFoo();
  const std::string target = "/v1/kv/%66oo?ttl_ms=1000";
  const std::string there = "Location: http://127.0.0.1:8002/v1/kv/%66oo?ttl_ms=1000";
  for (const TestResponse& response :
       {client_->WithBody("PUT", target, "value", ""),
        client_->WithBody("PUT", target, "value", "If-None-Match: *\r\n")}) {
    EXPECT_EQ(response.status, 307);
    EXPECT_TRUE(response.Has(there)) << response.head;
    EXPECT_THAT(response.body,
                HasSubstr("slot 12182 is held by the node at http://127.0.0.1:8002"));
  }
  const TestResponse got = client_->Get("http://this.host/v1/kv/foo?key_encoding=percent");
  EXPECT_EQ(got.status, 307);
  EXPECT_TRUE(got.Has("Location: http://127.0.0.1:8002/v1/kv/foo?key_encoding=percent"));
  EXPECT_EQ(client_->WithBody("DELETE", "/v1/kv/foo", "", "").status, 307);
  slots_->TakeBack(KeySlot("foo"));
  EXPECT_EQ(client_->Get("/v1/kv/foo").status, 404) << "nothing was done";
}

TEST_P(ClusterRoutesTest, WhereThatNodeHasNoHttpItIsNamed) {
  GiveUpFoo("");
  for (const TestResponse& response :
       {client_->Get("/v1/kv/foo"), client_->WithBody("PUT", "/v1/kv/foo", "value", "")}) {
    EXPECT_EQ(response.status, 421);
    EXPECT_EQ(response.Field("Location"), "");
    EXPECT_THAT(response.body, HasSubstr("slot 12182 is held by the node 127.0.0.1:7002"));
  }
}

TEST_P(ClusterRoutesTest, ASlotThatNobodyServesMayBeTriedAgain) {
  slots_->TakeDown(KeySlot("foo"));
  for (const TestResponse& response :
       {client_->Get("/v1/kv/foo"), client_->WithBody("PUT", "/v1/kv/foo", "value", ""),
        Write(client_.get(), Batch({Put("foo", "1")}))}) {
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(response.Field("Retry-After"), "1");
  }
}

TEST_P(ClusterRoutesTest, PipelinedReadsAreEachTheirOwn) {
  ASSERT_TRUE(store_->Put("bar", "here").ok());
  GiveUpFoo();
  client_->Send(
      "GET /v1/kv/bar HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/kv/foo HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client_->Receive().body, "here");
  EXPECT_EQ(client_->Receive().status, 307);
}

TEST_P(ClusterRoutesTest, ABatchOfReadsSaysOfEachKeyWhereItIs) {
  ASSERT_TRUE(store_->Put("bar", "here").ok());
  GiveUpFoo();
  const TestResponse response =
      client_->WithBody("POST", "/v1/batch/get", R"({"keys":["foo","bar"]})", kJson);
  EXPECT_EQ(response.status, 200);
  const json::value answer = json::parse(response.body);
  const json::array& results = answer.as_object().at("results").as_array();
  EXPECT_EQ(results[0].as_object().at("error").as_string(),
            "slot 12182 is held by the node at http://127.0.0.1:8002");
  EXPECT_EQ(results[1].as_object().at("value").as_string(), "here");
}

TEST_P(ClusterRoutesTest, ABatchOfWritesHidesNothingThatWasNotDone) {
  GiveUpFoo();
  const std::string both = Batch({Put("foo", "1"), Put("bar", "1")});
  EXPECT_EQ(Statuses(Write(client_.get(), both)), "421 201");
  EXPECT_EQ(Value("bar"), "1");
  // Where nothing was done, the whole is the error.
  for (const std::string& body :
       {Batch({Put("foo", "1")}), Batch({Put("foo", "1"), Put("{foo}2", "1")}),
        Batch({Put("foo", "1")}, {R"({"absent":"foo"})"}),
        Batch({Put("foo", "1")}, {Unchanged("foo", "x")})}) {
    const TestResponse response = Write(client_.get(), body);
    EXPECT_EQ(response.status, 421) << body;
    EXPECT_THAT(response.body, HasSubstr("http://127.0.0.1:8002"));
  }
  // An atomic one over several slots is none.
  EXPECT_EQ(
      Write(client_.get(), Batch({Put("bar", "2"), Put("baz", "2")}, {R"({"present":"bar"})"}))
          .status,
      400);
  EXPECT_EQ(Value("bar"), "1");
}

TEST_P(ClusterRoutesTest, TheMapIsThereForAllToRead) {
  cluster_.Change([](ClusterMap* map) {
    map->nodes[1].is_alive = false;
    map->nodes[1].http_host = "node-1.example";
    map->nodes[1].http_tls = true;
    map->owner[0] = ClusterMap::kNobody;
    map->lost_slots = 3;
  });
  const TestResponse response = client_->Get("/v1/cluster");
  EXPECT_EQ(response.status, 200);
  const json::value answer = json::parse(response.body);
  const json::object& map = answer.as_object();
  EXPECT_EQ(map.at("id").as_string(), std::string(40, 'c'));
  EXPECT_EQ(map.at("revision").as_int64(), 8);
  EXPECT_EQ(map.at("myself").as_string(), std::string(40, '0'));
  EXPECT_EQ(map.at("nobodys_slots").as_int64(), 1);
  EXPECT_EQ(map.at("lost_slots").as_int64(), 3);
  ASSERT_EQ(map.at("nodes").as_array().size(), 3u);
  const json::object& node = map.at("nodes").as_array()[1].as_object();
  EXPECT_EQ(json::serialize(node),
            absl::StrCat("{\"id\":\"", std::string(40, '1'),
                         "\",\"host\":\"127.0.0.1\",\"native\":\"127.0.0.1:9002\",",
                         "\"native_port\":9002,\"native_tls\":false,\"resp\":\"127.0.0.1:7002\",",
                         "\"resp_port\":7002,\"resp_tls\":false,",
                         "\"http\":\"https://node-1.example:8002\",\"http_port\":8002,",
                         "\"internal_port\":17002,",
                         "\"alive\":false,\"member\":true,\"leaving\":false,\"epoch\":2,",
                         "\"slots\":5461,\"runs\":[[5462,10922]]}"));
  cluster_.Change([](ClusterMap* changed) { changed->myself = -1; });
  EXPECT_TRUE(json::parse(client_->Get("/v1/cluster").body).as_object().at("myself").is_null());
}

TEST_P(ClusterRoutesTest, TheStatusPageHasTheNodes) {
  const json::value status = json::parse(client_->Get("/v1/status").body);
  const json::object& cluster = status.as_object().at("cluster").as_object();
  const json::object& node = cluster.at("nodes").as_array()[0].as_object();
  EXPECT_EQ(node.at("slots").as_int64(), 5462);
  EXPECT_FALSE(node.contains("runs"));
  EXPECT_THAT(client_->Get("/").body, HasSubstr("id=\"nodes\""));
  EXPECT_THAT(client_->Get("/metrics").body, HasSubstr("\nkvarts_cluster_lost_slots_total 0\n"));
}

TEST_F(WriteRoutesTest, WithoutAClusterThereIsNoMap) {
  SetModel();
  const auto client = Connect();
  EXPECT_EQ(client->Get("/v1/cluster").status, 404);
  EXPECT_FALSE(json::parse(client->Get("/v1/status").body).as_object().contains("cluster"));
}

}  // namespace
}  // namespace kvarts
