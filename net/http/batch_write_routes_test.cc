// POST /v1/batch/write over a connection, on stores of every kind.

#include <boost/json.hpp>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/http/handlers.h"
#include "net/http/write_fixture.h"
#include "storage/memory/memory.h"

namespace kvarts {
namespace {

namespace json = boost::json;

// Lets somebody else write in front of each write.
class MeddledStore final : public Store {
 public:
  explicit MeddledStore(std::unique_ptr<Store> base) : base_(std::move(base)) {}

  Capabilities capabilities() const override { return base_->capabilities(); }
  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    base_->MultiGet(keys, options, results);
  }
  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override {
    ++writes;
    if (meddle) meddle(base_.get());
    return base_->Write(batch, options, results);
  }
  absl::StatusOr<StoreStats> Stats() override { return base_->Stats(); }
  absl::Status Close() override { return base_->Close(); }

  std::function<void(Store*)> meddle;
  int writes = 0;

 private:
  const std::unique_ptr<Store> base_;
};

class MeddlingTest : public WriteRoutesTest {
 protected:
  MeddledStore* SetMeddled() {
    ModelStoreOptions options;
    options.records = {{"a", "1"}, {"b", "2"}};
    auto store = std::make_unique<MeddledStore>(NewModelStore(std::move(options)));
    MeddledStore* const raw = store.get();
    SetStore(std::move(store));
    return raw;
  }
};

INSTANTIATE_TEST_SUITE_P(Stores, EachStoreTest, testing::Values("model", "waiting", "memory"),
                         [](const auto& info) { return std::string(info.param); });

// --- POST /v1/batch/write ---------------------------------------------------------

TEST_P(EachStoreTest, EachMutationHasTheStatusOfARequestOfItsOwn) {
  auto client = Connect();
  const TestResponse response = Write(client.get(), R"({"mutations":[
    {"put":"new","value":"n"}, {"put":"a","value":"2"}, {"delete":"a"}, {"delete":"a"},
    {"put":{"base64":"/w=="},"value":{"base64":"/v8="},"content_type":"image/png"},
    {"touch":"new","ttl_ms":1000}, {"touch":"none","ttl_ms":1000}]})");
  EXPECT_EQ(Statuses(response), "201 204 204 404 201 204 404");
  EXPECT_EQ(
      response.body,
      absl::StrCat(
          "{\"results\":[\n{\"status\":201,\"existed\":false,\"etag\":", JsonQuote(ValueEtag("n")),
          "},\n{\"status\":204,\"existed\":true,\"etag\":", JsonQuote(ValueEtag("2")),
          "},\n{\"status\":204,\"existed\":true},\n"
          "{\"status\":404,\"existed\":false},\n"
          "{\"status\":201,\"existed\":false,\"etag\":",
          JsonQuote(ValueEtag("\xfe\xff")),
          "},\n{\"status\":204,\"existed\":true,\"expires_at_ms\":", kStartMs + 1000,
          "},\n{\"status\":404,\"existed\":false}]}\n"));
  EXPECT_EQ(Value("a"), "(absent)");
  const TestResponse bytes = client->Get("/v1/kv/%FF");
  EXPECT_EQ(bytes.body, "\xfe\xff");
  EXPECT_TRUE(bytes.Has("Content-Type: image/png"));
  EXPECT_EQ(client->Get("/v1/kv/new").Field("X-Expires-At-Ms"), absl::StrCat(kStartMs + 1000));
  EXPECT_EQ(Statuses(Write(client.get(), "{\"mutations\":[]}")), "");
}

TEST_P(EachStoreTest, AConditionThatFailsIsNamedAndNothingIsApplied) {
  auto client = Connect();
  const std::string put = Put("x", "1");
  const struct {
    std::string condition;
    const char* why;
  } cases[] = {
      {"{\"absent\":\"a\"}", "the key is there"},
      {"{\"present\":\"none\"}", "the key is absent"},
      {Unchanged("a", "2"), "the value has another ETag, or is gone"},
      {Unchanged("none", ""), "the value has another ETag, or is gone"},
      {"{\"unchanged\":\"a\",\"etag\":\"1\"}", "the value has another ETag, or is gone"},
  };
  for (const auto& failing : cases) {
    const TestResponse response =
        Write(client.get(),
              Batch({put, "{\"delete\":\"a\"}"}, {"{\"absent\":\"none\"}", "{\"present\":\"a\"}",
                                                  Unchanged("a", "1"), failing.condition}));
    EXPECT_EQ(response.status, 412) << failing.condition;
    EXPECT_EQ(response.body, absl::StrCat("{\"error\":\"if[3] does not hold: ", failing.why,
                                          "\",\"code\":\"precondition_failed\",\"failed\":3}\n"));
    EXPECT_TRUE(response.Has("Content-Type: application/json"));
    EXPECT_EQ(Value("a"), "1");
    EXPECT_EQ(Value("x"), "(absent)");
  }
  EXPECT_EQ(Statuses(Write(client.get(), Batch({put, "{\"delete\":\"a\"}"},
                                               {"{\"absent\":\"none\"}", "{\"present\":\"a\"}",
                                                Unchanged("a", "1")}))),
            "201 204");
  EXPECT_EQ(Value("a"), "(absent)");
  EXPECT_EQ(Value("x"), "1");
  // Conditions alone are a question.
  EXPECT_EQ(Statuses(Write(client.get(), Batch({}, {Unchanged("x", "1")}))), "");
  EXPECT_EQ(Write(client.get(), Batch({}, {"{\"present\":\"a\"}"})).status, 412);
}

TEST_P(EachStoreTest, ManyConditionsAreReadInParts) {
  auto client = Connect();
  std::vector<std::string> puts;
  std::vector<std::string> conditions;
  for (int i = 0; i < 200; ++i) {
    // Large ones too, so that parts become smaller.
    const std::string value(i % 10 == 0 ? 1 << 20 : i, 'v');
    ASSERT_TRUE(store_->Put(absl::StrCat("k", i), value).ok());
    puts.push_back(Put(absl::StrCat("k", i), "new"));
    conditions.push_back(i % 3 == 0 ? absl::StrCat("{\"present\":\"k", i, "\"}")
                                    : Unchanged(absl::StrCat("k", i), value));
  }
  ASSERT_TRUE(store_->Put("k199", "other").ok());
  TestResponse response = Write(client.get(), Batch(puts, conditions));
  EXPECT_EQ(response.status, 412);
  EXPECT_EQ(json::parse(response.body).as_object().at("failed").as_int64(), 199);
  conditions.back() = Unchanged("k199", "other");
  response = Write(client.get(), Batch(puts, conditions));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(Value("k0"), "new");
  EXPECT_EQ(Value("k199"), "new");
}

// Each client moves one from here to there and counts, under the ETags it has read.
TEST_P(EachStoreTest, OfClientsWhoReadAndWriteBackNoneLosesAStep) {
  constexpr int kClients = 3;
  constexpr int kSteps = 20;
  ASSERT_TRUE(store_->Put("from", "1000").ok());
  ASSERT_TRUE(store_->Put("to", "0").ok());
  std::vector<std::unique_ptr<TestConnection>> clients;
  for (int i = 0; i < kClients; ++i) clients.push_back(Connect());
  std::vector<std::thread> threads;
  for (int i = 0; i < kClients; ++i) {
    threads.emplace_back([client = clients[i].get()] {
      for (int done = 0; done < kSteps;) {
        const TestResponse got =
            client->WithBody("POST", "/v1/batch/get?etags=true", "{\"keys\":[\"from\",\"to\"]}");
        const json::array results = json::parse(got.body).as_object().at("results").as_array();
        const auto number = [&](int at) {
          return std::stoi(std::string(results[at].as_object().at("value").as_string()));
        };
        const auto condition = [&](int at) {
          return absl::StrCat("{\"unchanged\":", at == 0 ? "\"from\"" : "\"to\"",
                              ",\"etag\":", json::serialize(results[at].as_object().at("etag")),
                              "}");
        };
        const int status = Write(client, Batch({Put("from", absl::StrCat(number(0) - 1)),
                                                Put("to", absl::StrCat(number(1) + 1))},
                                               {condition(0), condition(1)}))
                               .status;
        ASSERT_TRUE(status == 200 || status == 412) << status;
        if (status == 200) ++done;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Value("from"), absl::StrCat(1000 - kClients * kSteps));
  EXPECT_EQ(Value("to"), absl::StrCat(kClients * kSteps));
}

TEST_P(EachStoreTest, LimitsHold) {
  auto client = Connect();
  std::vector<std::string> mutations;
  for (int i = 0; i < 10'000; ++i) mutations.push_back(absl::StrCat("{\"delete\":\"", i, "\"}"));
  EXPECT_EQ(Write(client.get(), Batch(mutations)).status, 200);
  mutations.push_back("{\"delete\":\"x\"}");
  const TestResponse many = Write(client.get(), Batch(mutations));
  EXPECT_EQ(many.status, 400);
  EXPECT_EQ(many.body,
            "{\"error\":\"more than 10000 mutations in a request\",\"code\":\"bad_request\"}\n");
  const std::string large(8'000'000, 'v');
  EXPECT_EQ(Statuses(Write(client.get(), Batch({Put("large", large)}))), "201");
  EXPECT_EQ(Value("large"), large);
  EXPECT_EQ(Connect()
                ->Request("POST /v1/batch/write HTTP/1.1\r\nHost: x\r\nContent-Length: 8388609\r\n"
                          "\r\n")
                .status,
            413);
}

TEST_P(EachStoreTest, BadBodiesAre400WithTheReasonAndTheConnectionStays) {
  auto client = Connect();
  TestResponse response = Write(client.get(), R"({"mutations":[{"put":"a"}]})");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.body,
            "{\"error\":\"mutations[0]: a put needs a \\\"value\\\"\",\"code\":\"bad_request\"}\n");
  EXPECT_EQ(Write(client.get(), "").status, 400);
  EXPECT_EQ(client->Get("/v1/batch/write").status, 405);
  EXPECT_EQ(client->WithBody("POST", "/v1/batch/write?x=1", "{\"mutations\":[]}", kJson).status,
            400);
  EXPECT_EQ(Value("a"), "1");
}

// What a page of another site may send without asking does not write.
TEST_P(EachStoreTest, OnlyJsonIsTaken) {
  auto client = Connect();
  const std::string body = Batch({Put("a", "2")});
  for (const char* field :
       {"", "Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Type: text/plain; application/json\r\n", "Content-Type: application/jsonp\r\n"}) {
    const TestResponse response = client->WithBody("POST", "/v1/batch/write", body, field);
    EXPECT_EQ(response.status, 415) << field;
    EXPECT_TRUE(absl::StartsWith(response.head, "HTTP/1.1 415 Unsupported Media Type\r\n"));
  }
  EXPECT_EQ(Value("a"), "1");
  EXPECT_EQ(client
                ->WithBody("POST", "/v1/batch/write", body,
                           "Content-Type: Application/JSON ; charset=utf-8\r\n")
                .status,
            200);
  EXPECT_EQ(Value("a"), "2");
}

TEST_F(WriteRoutesTest, ConditionsOnTooManyBytesAreRefused) {
  SetStore(NewMemoryStore());
  const std::string value(16 << 20, 'v');
  ASSERT_TRUE(store_->Put("large", value).ok());
  const std::string condition = Unchanged("large", value);
  auto client = Connect();
  EXPECT_EQ(Statuses(Write(client.get(), Batch({Put("x", "1")}, {condition, condition}))), "201");
  const TestResponse response =
      Write(client.get(), Batch({Put("x", "1")}, std::vector<std::string>(65, condition)));
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.body,
            "{\"error\":\"if: the values that are to be unchanged are more than 1 GiB to "
            "read\",\"code\":\"bad_request\"}\n");
}

// --- Others in between ---------------------------------------------------------------

TEST_F(MeddlingTest, WhoWritesTheSameValueInBetweenDoesNotBreakAnEtag) {
  MeddledStore* const store = SetMeddled();
  store->meddle = [&](Store* base) {
    if (store->writes == 5) return;
    ASSERT_TRUE(base->Put("a", "1").ok());
  };
  EXPECT_EQ(Statuses(Write(Connect().get(), Batch({Put("b", "3")}, {Unchanged("a", "1")}))), "204");
  EXPECT_EQ(store->writes, 5);
  EXPECT_EQ(Value("b"), "3");
}

TEST_F(MeddlingTest, WhoWritesAnotherValueInBetweenDoes) {
  MeddledStore* const store = SetMeddled();
  store->meddle = [&](Store* base) { ASSERT_TRUE(base->Put("a", "other").ok()); };
  const TestResponse response =
      Write(Connect().get(), Batch({Put("b", "3")}, {"{\"present\":\"b\"}", Unchanged("a", "1")}));
  EXPECT_EQ(response.status, 412);
  EXPECT_EQ(json::parse(response.body).as_object().at("failed").as_int64(), 1);
  EXPECT_EQ(store->writes, 1);
  EXPECT_EQ(Value("b"), "2");
  store->meddle = [&](Store* base) { ASSERT_TRUE(base->Delete("b").ok()); };
  EXPECT_EQ(Write(Connect().get(), Batch({Put("c", "3")}, {"{\"present\":\"b\"}"})).status, 412);
  EXPECT_EQ(Value("c"), "(absent)");
}

TEST_F(MeddlingTest, WhoIsAlwaysFasterMakesIt503) {
  MeddledStore* const store = SetMeddled();
  store->meddle = [&](Store* base) { ASSERT_TRUE(base->Put("a", "1").ok()); };
  auto client = Connect();
  EXPECT_EQ(Write(client.get(), Batch({Put("b", "3")}, {Unchanged("a", "1")})).status, 503);
  EXPECT_EQ(store->writes, kMaxTries);
  EXPECT_EQ(Value("b"), "2");
  EXPECT_EQ(client->WithBody("PUT", "/v1/kv/a", "2", "If-Match: *\r\n").status, 503);
}

// --- What stores cannot do ---------------------------------------------------------------

TEST_F(WriteRoutesTest, WhatFailsByItselfIsSaidByItself) {
  Capabilities capabilities = ModelCapabilities();
  capabilities.expiry = Support::kAbsent;
  SetModel(capabilities);
  auto client = Connect();
  const std::string body =
      R"("mutations":[{"put":"x","value":"1"},{"put":"y","value":"2","ttl_ms":5}])";
  const TestResponse response = Write(client.get(), absl::StrCat("{", body, "}"));
  EXPECT_EQ(Statuses(response), "201 501");
  EXPECT_TRUE(absl::StrContains(response.body, "{\"status\":501,\"error\":\"")) << response.body;
  EXPECT_EQ(Value("x"), "1");
  EXPECT_EQ(Value("y"), "(absent)");
  ASSERT_TRUE(store_->Delete("x").ok());
  EXPECT_EQ(Write(client.get(), absl::StrCat("{", body, ",\"atomic\":true}")).status, 501);
  EXPECT_EQ(Value("x"), "(absent)");
  // Where nothing could be done, it is the answer's.
  EXPECT_EQ(Write(client.get(), "{\"mutations\":[{\"touch\":\"a\",\"ttl_ms\":5}]}").status, 501);
}

TEST_F(WriteRoutesTest, AReadOnlyStoreSaysSoBeforeTheBody) {
  Capabilities capabilities = ModelCapabilities();
  capabilities.write = Support::kAbsent;
  SetModel(capabilities);
  auto client = Connect();
  const TestResponse response = client->Request(
      "POST /v1/batch/write HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n"
      "Expect: 100-continue\r\n\r\n");
  EXPECT_EQ(response.status, 405);
  EXPECT_TRUE(response.Has("Allow: ")) << response.head;
  EXPECT_EQ(response.body,
            "{\"error\":\"the store is read-only; there is nothing else "
            "here\",\"code\":\"read_only\"}\n");
  EXPECT_EQ(client->ReadToEnd(), "");
}

TEST_F(WriteRoutesTest, StoresWithoutConditionsOrAtomicBatchesSaySo) {
  Capabilities capabilities = ModelCapabilities();
  capabilities.conditions = Support::kAbsent;
  SetModel(capabilities);
  auto client = Connect();
  for (const std::string& condition : {std::string("{\"absent\":\"x\"}"),
                                       std::string("{\"present\":\"a\"}"), Unchanged("a", "1")}) {
    EXPECT_EQ(Write(client.get(), Batch({Put("x", "1")}, {condition})).status, 501) << condition;
  }
  EXPECT_EQ(Statuses(Write(client.get(), Batch({Put("x", "1")}))), "201");
}

TEST_F(WriteRoutesTest, TheScopeOfAtomicBatchesHolds) {
  Capabilities capabilities = ModelCapabilities();
  capabilities.batch_scope = BatchScope::kKey;
  SetModel(capabilities);
  auto client = Connect();
  const TestResponse response = Write(client.get(), Batch({Put("b", "1")}, {Unchanged("a", "1")}));
  EXPECT_EQ(response.status, 400);
  EXPECT_TRUE(absl::StrContains(response.body, "this spans several")) << response.body;
  EXPECT_EQ(Statuses(Write(client.get(), Batch({Put("a", "2")}, {Unchanged("a", "1")}))), "204");
  EXPECT_EQ(Statuses(Write(client.get(), Batch({Put("b", "1"), Put("c", "1")}))), "201 201");
}

TEST_F(WriteRoutesTest, WithoutAtomicBatchesTheyAre501) {
  Capabilities capabilities = ModelCapabilities();
  capabilities.batch_scope = BatchScope::kNone;
  SetModel(capabilities);
  auto client = Connect();
  const std::string put = Put("x", "1");
  EXPECT_EQ(Write(client.get(), absl::StrCat("{\"atomic\":true,\"mutations\":[", put, "]}")).status,
            501);
  EXPECT_EQ(Write(client.get(), Batch({put}, {"{\"absent\":\"x\"}"})).status, 501);
  EXPECT_EQ(Value("x"), "(absent)");
  EXPECT_EQ(Statuses(Write(client.get(), Batch({put}))), "201");
}

TEST_F(WriteRoutesTest, AFullStoreIs507AndGoesOnReading) {
  MemoryOptions options;
  options.max_memory = 1 << 20;
  SetStore(NewMemoryStore(options));
  auto client = Connect();
  ASSERT_EQ(Statuses(Write(client.get(), Batch({Put("a", "1")}))), "201");
  const std::string large(2 << 20, 'v');
  TestResponse response = Write(client.get(), Batch({Put("b", large)}));
  EXPECT_EQ(response.status, 507);
  EXPECT_EQ(
      response.body,
      "{\"error\":\"the store's memory limit (max_memory) is reached\",\"code\":\"no_space\"}\n");
  EXPECT_EQ(client->WithBody("PUT", "/v1/kv/b", large).status, 507);
  response = Write(client.get(), Batch({Put("b", large), Put("c", "1")}));
  EXPECT_EQ(Statuses(response), "507 201");
  response = Write(client.get(), Batch({Put("d", "1"), Put("b", large)}, {"{\"absent\":\"b\"}"}));
  EXPECT_EQ(response.status, 507);
  EXPECT_EQ(Value("d"), "(absent)") << "all or nothing";
  EXPECT_EQ(client->Get("/v1/kv/a").body, "1");
}

}  // namespace
}  // namespace kvarts
