// POST /v1/batch/get, over a connection.

#include <boost/json.hpp>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "net/http/batch_request.h"
#include "net/http/data_fixture.h"
#include "net/turning_store.h"

namespace kvarts {
namespace {

namespace json = boost::json;

using BatchGetTest = DataRoutesTest;

TEST_F(BatchGetTest, ABatchHasAResultForEachKeyInItsOrder) {
  SetModelStore();
  Metadata metadata;
  metadata.content_type = Metadata::Change::kSet;
  metadata.type = "image/png";
  ASSERT_TRUE(store_->Put("\xff", "\x89PNG", metadata).ok());
  auto client = Connect();
  const TestResponse response = client->WithBody(
      "POST", "/v1/batch/get", "{\"keys\":[\"a\",\"none\",{\"base64\":\"/w==\"},\"a\",\"empty\"]}");
  const json::array results = Parsed(response).at("results").as_array();
  ASSERT_EQ(results.size(), 5u);
  EXPECT_EQ(results[0], json::parse("{\"key\":\"a\",\"found\":true,\"value\":\"1\"}"));
  EXPECT_EQ(results[1], json::parse("{\"key\":\"none\",\"found\":false}"));
  EXPECT_EQ(results[2],
            json::parse("{\"key\":{\"base64\":\"/w==\"},\"found\":true,"
                        "\"content_type\":\"image/png\",\"value\":{\"base64\":\"iVBORw==\"}}"));
  EXPECT_EQ(results[3], results[0]);
  EXPECT_EQ(results[4].as_object().at("value").as_string(), "");
  EXPECT_EQ(Parsed(client->WithBody("POST", "/v1/batch/get", "{\"keys\":[]}")).at("results"),
            json::array());
}

TEST_F(BatchGetTest, ABatchMayAskWhichKeysAreThereAlone) {
  SetModelStore();
  auto client = Connect();
  EXPECT_EQ(client->WithBody("POST", "/v1/batch/get?values=false", R"({"keys":["a","none"]})").body,
            "{\"results\":[\n{\"key\":\"a\",\"found\":true},\n"
            "{\"key\":\"none\",\"found\":false}]}\n");
  EXPECT_EQ(client->WithBody("POST", "/v1/batch/get?bytes=base64", R"({"keys":["a"]})").body,
            "{\"results\":[\n{\"key\":{\"base64\":\"YQ==\"},\"found\":true,"
            "\"value\":{\"base64\":\"MQ==\"}}]}\n");
  const json::object tagged = Parsed(
      client->WithBody("POST", "/v1/batch/get?values=false&etags=true", R"({"keys":["a"]})"));
  EXPECT_EQ(tagged.at("results").at(0).at("etag").as_string(),
            client->Get("/v1/kv/a").Field("ETag"));
  EXPECT_FALSE(tagged.at("results").at(0).as_object().contains("value"));
  EXPECT_EQ(client->WithBody("POST", "/v1/batch/get?values=no", R"({"keys":[]})").status, 400);
}

// What the store shows at once is shown at once, however many keys and parts of an answer
// that is; and it is said whether it is so.
TEST_F(BatchGetTest, NoHalfOfAnAtomicBatchIsShownWhereTheStoreShowsNone) {
  for (const bool atomic : {true, false}) {
    auto store = std::make_unique<TurningStore>(kMaxBatchKeys, atomic);
    TurningStore* const raw = store.get();
    const std::vector<std::string>& keys = raw->keys();
    SetStore(std::move(store));
    auto client = Connect();
    EXPECT_EQ(Parsed(client->Get("/v1/stats"))
                  .at("capabilities")
                  .as_object()
                  .at("atomic_multi_get")
                  .as_string(),
              atomic ? "yes" : "no");
    for (const size_t n : {size_t{1}, size_t{64}, size_t{65}, size_t{1000}, kMaxBatchKeys}) {
      raw->reads = 0;
      const std::string body = absl::StrCat(
          "{\"keys\":[\"", absl::StrJoin(keys.begin(), keys.begin() + n, "\",\""), "\"]}");
      const json::array results =
          Parsed(client->WithBody("POST", "/v1/batch/get", body)).at("results").as_array();
      ASSERT_EQ(results.size(), n);
      std::set<std::string> states;
      for (const json::value& result : results) {
        states.insert(Bytes(result.as_object().at("value")));
      }
      EXPECT_EQ(states.size(), atomic || n <= 64 ? 1 : (n + 63) / 64) << n;
      EXPECT_EQ(raw->reads, static_cast<int>(states.size()));
    }
    client.reset();
    service_->SetReady(nullptr);
    RunOn(loops_->loop(0), [] {});
    runner_.reset();
  }
}

TEST_F(BatchGetTest, BadBatchesAre400WithTheReason) {
  SetModelStore();
  auto client = Connect();
  const TestResponse response = client->WithBody("POST", "/v1/batch/get", "{\"keys\":[1]}");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.body,
            "{\"error\":\"keys[0] is neither a string nor an object {\\\"base64\\\": "
            "\\\"...\\\"}\",\"code\":\"bad_request\"}\n");
  EXPECT_EQ(client->WithBody("POST", "/v1/batch/get", "").status, 400);
  EXPECT_EQ(client->Get("/v1/batch/get").status, 405);
  EXPECT_EQ(Connect()
                ->Request("POST /v1/batch/get HTTP/1.1\r\nHost: x\r\n"
                          "Content-Length: 99999999\r\n\r\n")
                .status,
            413);
}

TEST_F(BatchGetTest, AKeyThatFailsFailsAlone) {
  SetGatedStore(false);
  const json::array results =
      Parsed(Connect()->WithBody("POST", "/v1/batch/get", "{\"keys\":[\"x\",\"fails\",\"y\"]}"))
          .at("results")
          .as_array();
  EXPECT_EQ(results[0].as_object().at("value").as_string(), "value");
  EXPECT_EQ(
      results[1],
      json::parse(
          "{\"key\":\"fails\",\"error\":\"the disk is on holiday\",\"code\":\"unavailable\"}"));
  EXPECT_EQ(results[2].as_object().at("value").as_string(), "value");
}

TEST_F(BatchGetTest, ALargeBatchIsStreamedInBoundedMemory) {
  for (const bool may_block : {false, true}) {
    GatedStore* const store = SetGatedStore(may_block);
    store->value->assign(100'000, 'v');
    std::string keys = "\"0\"";
    for (int i = 1; i < 100; ++i) absl::StrAppend(&keys, ",\"", i, "\"");
    auto client = Connect(/*reads=*/false);
    const std::string body = absl::StrCat("{\"keys\":[", keys, "]}");
    client->Send(absl::StrCat("POST /v1/batch/get HTTP/1.1\r\nHost: x\r\nContent-Length: ",
                              body.size(), "\r\n\r\n", body));
    EXPECT_TRUE(store->waiting.Await([](int n) { return n > 0; }));
    for (int i = 0; i < 10; ++i) RunOn(loops_->loop(0), [] {});
    EXPECT_LT(service_->buffered().load(), 2 << 20);
    client->StartReading();
    const TestResponse response = client->Receive();
    EXPECT_GT(response.chunks, 100);
    EXPECT_FALSE(response.broken);
    const json::array results = Parsed(response).at("results").as_array();
    ASSERT_EQ(results.size(), 100u);
    EXPECT_EQ(results[99].as_object().at("key").as_string(), "99");
    EXPECT_EQ(results[99].as_object().at("value").as_string().size(), 100'000u);
    // The connection goes on.
    EXPECT_EQ(client->Get("/livez").status, 200);
    client.reset();
    service_->SetReady(nullptr);
    RunOn(loops_->loop(0), [] {});
    runner_.reset();
  }
}

TEST_F(BatchGetTest, AStreamedAnswerInHttp10EndsWithTheConnection) {
  GatedStore* const store = SetGatedStore(false);
  store->value->assign(1 << 20, 'v');
  auto client = Connect();
  const std::string body = "{\"keys\":[\"a\",\"b\"]}";
  client->Send(
      absl::StrCat("POST /v1/batch/get HTTP/1.0\r\nConnection: keep-alive\r\n"
                   "Content-Length: ",
                   body.size(), "\r\n\r\n", body));
  const std::string all = client->ReadToEnd();
  EXPECT_FALSE(absl::StrContains(all, "chunked"));
  EXPECT_TRUE(absl::StrContains(all, "Connection: close\r\n"));
  EXPECT_EQ(
      json::parse(all.substr(all.find("\r\n\r\n") + 4)).as_object().at("results").as_array().size(),
      2u);
}

TEST_F(BatchGetTest, AStreamedAnswerWhoseBytesAreLostHasNoEnd) {
  GatedStore* const store = SetGatedStore(false);
  store->value->assign(8 << 20, 'v');
  auto client = Connect(/*reads=*/false);
  client->Send(
      "POST /v1/batch/get HTTP/1.1\r\nHost: x\r\nContent-Length: "
      "18\r\n\r\n{\"keys\":[\"a\",\"b\"]}");
  EXPECT_TRUE(store->waiting.AwaitValue(1));
  RunOn(loops_->loop(0), [&] { store->losses = 1; });
  client->StartReading();
  EXPECT_TRUE(client->Receive().broken);
}

}  // namespace
}  // namespace kvarts
