// Expiry and metadata over HTTP: of puts and touches, and what reads tell of them.

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "net/http/batch_write_request.h"
#include "net/http/handlers.h"
#include "net/http/write_fixture.h"

namespace kvarts {
namespace {

INSTANTIATE_TEST_SUITE_P(Stores, EachStoreTest, testing::Values("model", "waiting", "memory"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(EachStoreTest, APutMayExpireAndAGetSaysWhen) {
  auto client = Connect();
  const std::string at = absl::StrCat(kStartMs + 5000);
  TestResponse put = client->WithBody("PUT", "/v1/kv/k?ttl_ms=5000", "v", "Content-Type: x/y\r\n");
  EXPECT_EQ(put.status, 201);
  EXPECT_EQ(put.Field("X-Expires-At-Ms"), at);
  TestResponse got = client->Get("/v1/kv/k");
  EXPECT_EQ(got.Field("X-Expires-At-Ms"), at);
  EXPECT_TRUE(got.Has("Content-Type: x/y"));
  got = client->Request("HEAD /v1/kv/k HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(got.Field("X-Expires-At-Ms"), at);
  EXPECT_EQ(client->WithBody("POST", "/v1/batch/get?etags=true", "{\"keys\":[\"k\",\"a\"]}").body,
            absl::StrCat("{\"results\":[\n{\"key\":\"k\",\"found\":true,\"content_type\":\"x/y\","
                         "\"expires_at_ms\":",
                         at, ",\"etag\":", JsonQuote(ValueEtag("v")),
                         ",\"value\":\"v\"},\n{\"key\":\"a\",\"found\":true,\"etag\":",
                         JsonQuote(ValueEtag("1")), ",\"value\":\"1\"}]}\n"));
  EXPECT_TRUE(absl::StrContains(client->Get("/v1/scan").body,
                                absl::StrCat("\"expires_at_ms\":", at, ",\"value\":\"v\"")));
  EXPECT_EQ(client->Get("/v1/kv/a").Field("X-Expires-At-Ms"), "");

  clock_.Advance(absl::Milliseconds(4999));
  EXPECT_EQ(client->Get("/v1/kv/k").status, 200);
  clock_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(client->Get("/v1/kv/k").status, 404);
  EXPECT_EQ(client->WithBody("PUT", "/v1/kv/k", "v").status, 201) << "it was absent";

  put = client->WithBody("PUT", absl::StrCat("/v1/kv/k?expires_at_ms=", kMaxTimeMs), "v",
                         absl::StrCat("If-Match: ", ValueEtag("v"), "\r\n"));
  EXPECT_EQ(put.status, 204);
  EXPECT_EQ(client->Get("/v1/kv/k").Field("X-Expires-At-Ms"), absl::StrCat(kMaxTimeMs));
  EXPECT_EQ(client->WithBody("PUT", "/v1/kv/k", "v").status, 204);
  EXPECT_EQ(client->Get("/v1/kv/k").Field("X-Expires-At-Ms"), "") << "a plain put clears it";
  // The past is no error: the key is absent at once.
  EXPECT_EQ(client->WithBody("PUT", "/v1/kv/k?expires_at_ms=1", "v").status, 204);
  EXPECT_EQ(client->Get("/v1/kv/k").status, 404);
}

TEST_P(EachStoreTest, ATouchChangesWhatItNames) {
  auto client = Connect();
  ASSERT_EQ(client->WithBody("PUT", "/v1/kv/k?ttl_ms=50", "v", "Content-Type: x/y\r\n").status,
            201);
  const auto touch = [&](absl::string_view what) {
    EXPECT_EQ(Statuses(Write(client.get(),
                             absl::StrCat("{\"mutations\":[{\"touch\":\"k\",", what, "}]}"))),
              "204");
    const TestResponse got = client->Get("/v1/kv/k");
    EXPECT_EQ(got.body, "v");
    return absl::StrCat(got.Field("Content-Type"), " ", got.Field("X-Expires-At-Ms"));
  };
  EXPECT_EQ(touch("\"ttl_ms\":70"), absl::StrCat("x/y ", kStartMs + 70));
  EXPECT_EQ(touch("\"content_type\":\"z/z\""), absl::StrCat("z/z ", kStartMs + 70));
  EXPECT_EQ(touch("\"expires_at_ms\":null"), "z/z ");
  EXPECT_EQ(touch("\"content_type\":null,\"ttl_ms\":9"),
            absl::StrCat("text/plain; charset=utf-8 ", kStartMs + 9));
  clock_.Advance(absl::Milliseconds(9));
  EXPECT_EQ(Statuses(Write(client.get(), "{\"mutations\":[{\"touch\":\"k\",\"ttl_ms\":1}]}")),
            "404");
}

TEST_P(EachStoreTest, BadTimesAre400) {
  auto client = Connect();
  for (const char* query :
       {"ttl_ms=0", "ttl_ms=-1", "ttl_ms=", "ttl_ms=x", "ttl_ms=1.5", "ttl_ms=9007199254740992",
        "ttl_ms=99999999999999999999", "expires_at_ms=0", "expires_at_ms=1&ttl_ms=1",
        "ttl_ms=1&ttl_ms=1", "ttl=1"}) {
    // Some are refused before the body is read, and end the connection.
    EXPECT_EQ(Connect()->WithBody("PUT", absl::StrCat("/v1/kv/a?", query), "2").status, 400)
        << query;
  }
  EXPECT_EQ(client->Get("/v1/kv/a?ttl_ms=1").status, 400) << "only of PUT";
  EXPECT_EQ(client->WithBody("POST", "/v1/batch/get?etags=1", "{\"keys\":[]}").status, 400);
  EXPECT_EQ(Value("a"), "1");
}

TEST_F(WriteRoutesTest, WithoutExpiryTimesAre501) {
  Capabilities capabilities = ModelCapabilities();
  capabilities.expiry = Support::kAbsent;
  SetModel(capabilities);
  EXPECT_EQ(Connect()->WithBody("PUT", "/v1/kv/a?ttl_ms=1", "2").status, 501);
  EXPECT_EQ(Value("a"), "1");
}

}  // namespace
}  // namespace kvarts
