// The routes under /v1/ that read and write single keys and ranges, over a connection.

#include <boost/json.hpp>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/http/data_fixture.h"
#include "net/http/handlers.h"

namespace kvarts {
namespace {

namespace json = boost::json;

// Parsed() takes answers that are 200 alone.
json::object BodyOf(const TestResponse& response) { return json::parse(response.body).as_object(); }

constexpr char kJsonType[] = "Content-Type: application/json\r\n";

// --- /v1/kv -------------------------------------------------------------------

TEST_F(DataRoutesTest, TheEtagIsOfTheValueAlone) {
  SetModelStore();
  auto client = Connect();
  const std::string etag = client->Get("/v1/kv/a").Field("ETag");
  EXPECT_EQ(etag, ValueEtag("1"));
  EXPECT_EQ(etag.size(), 18u);
  EXPECT_NE(client->Get("/v1/kv/a%20b/c").Field("ETag"), etag);
  ASSERT_TRUE(store_->Put("other", "1").ok());
  EXPECT_EQ(client->Get("/v1/kv/other").Field("ETag"), etag);
  EXPECT_EQ(client->Request("HEAD /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n").Field("ETag"), etag);
}

TEST_F(DataRoutesTest, AKnownValueIs304) {
  SetModelStore();
  auto client = Connect();
  const std::string etag = ValueEtag("1");
  for (const std::string& list :
       {etag, absl::StrCat("W/", etag), absl::StrCat("\"x\", ", etag), std::string("*"),
        absl::StrCat("\"a,b\",W/\"\",", etag, ", \"y\"")}) {
    const TestResponse response =
        client->Get("/v1/kv/a", absl::StrCat("If-None-Match: ", list, "\r\n"));
    EXPECT_EQ(response.status, 304) << list;
    EXPECT_EQ(response.Field("ETag"), etag);
    EXPECT_EQ(response.body, "");
  }
  for (const char* list : {"\"x\"", "x", "\"x\", \"", "W/", ""}) {
    EXPECT_EQ(client->Get("/v1/kv/a", absl::StrCat("If-None-Match: ", list, "\r\n")).status, 200)
        << list;
  }
  EXPECT_EQ(client->Get("/v1/kv/none", "If-None-Match: *\r\n").status, 404);
  EXPECT_EQ(client->Get("/v1/kv/a", "If-Match: \"x\"\r\n").status, 412);
  EXPECT_EQ(client->Get("/v1/kv/a", absl::StrCat("If-Match: W/", etag, "\r\n")).status, 412);
  EXPECT_EQ(client->Get("/v1/kv/a", absl::StrCat("If-Match: ", etag, "\r\n")).status, 200);
  EXPECT_EQ(client->Get("/v1/kv/none", "If-Match: *\r\n").status, 412);
}

TEST_F(DataRoutesTest, KeysMayBeBase64) {
  SetModelStore();
  ASSERT_TRUE(store_->Put("\xff", "bytes").ok());
  auto client = Connect();
  EXPECT_EQ(client->Get("/v1/kv/_w?key_encoding=base64").body, "bytes");
  EXPECT_EQ(client->Get("/v1/kv/%2Fw%3D%3D?key_encoding=base64").body, "bytes");
  EXPECT_EQ(client->Get("/v1/kv/*?key_encoding=base64").status, 400);
}

TEST_F(DataRoutesTest, WhatIsPutIsThereAndWhatIsDeletedIsNot) {
  SetModelStore();
  auto client = Connect();
  TestResponse put = client->WithBody("PUT", "/v1/kv/new", "v1");
  EXPECT_EQ(put.status, 201);
  EXPECT_EQ(put.Field("ETag"), ValueEtag("v1"));
  put = client->WithBody("PUT", "/v1/kv/new", "<p>", "Content-Type: text/html\r\n");
  EXPECT_EQ(put.status, 204);
  const TestResponse got = client->Get("/v1/kv/new");
  EXPECT_EQ(got.body, "<p>");
  EXPECT_TRUE(got.Has("Content-Type: text/html"));
  // What others stored is no page of this server.
  EXPECT_TRUE(got.Has("Content-Security-Policy: default-src 'none'; sandbox")) << got.head;
  const std::string del = "DELETE /v1/kv/new HTTP/1.1\r\nHost: x\r\n\r\n";
  EXPECT_EQ(client->Request(del).status, 204);
  EXPECT_EQ(client->Request(del).status, 404);
  EXPECT_EQ(client->Get("/v1/kv/new").status, 404);
  EXPECT_EQ(
      client->WithBody("PUT", "/v1/kv/?key_encoding=base64", std::string(100'000, 'v')).status,
      204);
  EXPECT_EQ(client->Get("/v1/kv/?key_encoding=base64").body.size(), 100'000u);
  EXPECT_EQ(client
                ->WithBody("PUT", "/v1/kv/a", "",
                           absl::StrCat("Content-Type: ", std::string(300, 't'), "\r\n"))
                .status,
            400);
}

TEST_F(DataRoutesTest, ConditionalWritesHoldTheirConditions) {
  SetModelStore();
  auto client = Connect();
  const auto put = [&](absl::string_view key, absl::string_view value, absl::string_view field) {
    return client->WithBody("PUT", absl::StrCat("/v1/kv/", key), value, absl::StrCat(field, "\r\n"))
        .status;
  };
  EXPECT_EQ(put("a", "2", "If-None-Match: *"), 412);
  EXPECT_EQ(put("fresh", "2", "If-None-Match: *"), 201);
  EXPECT_EQ(put("a", "2", "If-Match: \"0000000000000000\""), 412);
  EXPECT_EQ(put("none", "2", "If-Match: *"), 412);
  EXPECT_EQ(client->Get("/v1/kv/a").body, "1");
  EXPECT_EQ(put("a", "2", absl::StrCat("If-Match: ", ValueEtag("1"))), 204);
  EXPECT_EQ(client->Get("/v1/kv/a").body, "2");
  EXPECT_EQ(
      client->Request("DELETE /v1/kv/a HTTP/1.1\r\nHost: x\r\nIf-Match: \"x\"\r\n\r\n").status,
      412);
  EXPECT_EQ(client
                ->Request(absl::StrCat("DELETE /v1/kv/a HTTP/1.1\r\nHost: x\r\nIf-Match: ",
                                       ValueEtag("2"), "\r\n\r\n"))
                .status,
            204);
}

TEST_F(DataRoutesTest, OfManyWhoAddOneNoneIsLost) {
  SetModelStore();
  ASSERT_TRUE(store_->Put("n", "0").ok());
  constexpr int kClients = 4;
  constexpr int kAdds = 25;
  std::vector<std::unique_ptr<TestConnection>> clients;
  for (int i = 0; i < kClients; ++i) clients.push_back(Connect());
  std::vector<std::thread> threads;
  for (int i = 0; i < kClients; ++i) {
    threads.emplace_back([client = clients[i].get()] {
      for (int done = 0; done < kAdds;) {
        const TestResponse got = client->Get("/v1/kv/n");
        const std::string next = std::to_string(std::stoi(got.body) + 1);
        const int status = client
                               ->WithBody("PUT", "/v1/kv/n", next,
                                          absl::StrCat("If-Match: ", got.Field("ETag"), "\r\n"))
                               .status;
        ASSERT_TRUE(status == 204 || status == 412) << status;
        if (status == 204) ++done;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Connect()->Get("/v1/kv/n").body, std::to_string(kClients * kAdds));
}

TEST_F(DataRoutesTest, AReadOnlyStoreSaysSoBeforeTheBody) {
  Capabilities capabilities = ModelCapabilities();
  capabilities.write = Support::kAbsent;
  SetModelStore(capabilities);
  auto client = Connect();
  const TestResponse del = client->Request("DELETE /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(del.status, 405);
  EXPECT_EQ(del.Field("Allow"), "GET, HEAD");
  EXPECT_EQ(del.body,
            "{\"error\":\"the store is read-only; the methods here are GET, "
            "HEAD\",\"code\":\"read_only\"}\n");
  EXPECT_EQ(client->Get("/v1/kv/a").body, "1") << "the connection stays";
  const TestResponse put = client->Request(
      "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n"
      "Expect: 100-continue\r\n\r\n");
  EXPECT_EQ(put.status, 405);
  EXPECT_EQ(client->ReadToEnd(), "");
}

TEST_F(DataRoutesTest, WithoutConditionsConditionalWritesAre501) {
  Capabilities capabilities = ModelCapabilities();
  capabilities.conditions = Support::kAbsent;
  SetModelStore(capabilities);
  EXPECT_EQ(Connect()->WithBody("PUT", "/v1/kv/a", "2", "If-Match: *\r\n").status, 501);
  EXPECT_EQ(Connect()->WithBody("PUT", "/v1/kv/a", "2").status, 204);
}

TEST_F(DataRoutesTest, LargeValuesAmongPipelinedSmallOnesKeepTheirPlace) {
  for (const bool may_block : {false, true}) {
    Capabilities capabilities = ModelCapabilities();
    capabilities.may_block = may_block;
    SetModelStore(capabilities);
    ASSERT_TRUE(store_->Put("large", std::string(300'000, 'l')).ok());
    auto client = Connect();
    std::string requests;
    for (int i = 0; i < 200; ++i) {
      absl::StrAppend(&requests, i % 7 == 0 ? "HEAD" : "GET", " /v1/kv/",
                      i % 3 == 0   ? "large"
                      : i % 5 == 0 ? "none"
                                   : "a",
                      " HTTP/1.1\r\nHost: x\r\n\r\n");
      if (i % 50 == 20) requests += "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    }
    client->Send(requests);
    for (int i = 0; i < 200; ++i) {
      const TestResponse response = client->Receive(/*head_only=*/i % 7 == 0);
      ASSERT_EQ(response.status, i % 3 != 0 && i % 5 == 0 ? 404 : 200) << i;
      if (response.status == 200) {
        ASSERT_EQ(response.Field("Content-Length"), i % 3 == 0 ? "300000" : "1") << i;
      }
      if (i % 50 == 20) {
        ASSERT_EQ(client->Receive().body, "ok\n");
      }
    }
    client.reset();
    service_->SetReady(nullptr);
    RunOn(loops_->loop(0), [] {});
    runner_.reset();
  }
}

// --- /v1/scan -------------------------------------------------------------------

TEST_F(DataRoutesTest, AScanGoesOnWhereItsCursorSays) {
  SetModelStore();
  std::set<std::string> expected = {"", "a", "a b/c", "empty", std::string(kMaxKeyBytes, '\xff')};
  for (int i = 0; i < 500; ++i) {
    expected.insert(absl::StrCat("k", i));
    ASSERT_TRUE(store_->Put(absl::StrCat("k", i), absl::StrCat("v", i)).ok());
  }
  auto client = Connect();
  for (const int limit : {1, 7, 100, 505, 10'000}) {
    std::vector<std::string> seen;
    std::string target = absl::StrCat("/v1/scan?limit=", limit);
    std::string cursor;
    while (true) {
      const json::object page =
          Parsed(client->Get(absl::StrCat(target, cursor.empty() ? "" : "&cursor=", cursor)));
      for (const json::value& entry : page.at("entries").as_array()) {
        seen.push_back(Bytes(entry.as_object().at("key")));
      }
      if (page.at("cursor").is_null()) break;
      cursor = std::string(page.at("cursor").as_string());
    }
    EXPECT_EQ(seen, std::vector<std::string>(expected.begin(), expected.end())) << limit;
  }
}

TEST_F(DataRoutesTest, AScanHasItsRangeOrderAndContent) {
  SetModelStore();
  for (const char* key : {"p/1", "p/2", "p/3", "q"}) ASSERT_TRUE(store_->Put(key, "v").ok());
  auto client = Connect();
  const auto keys = [&](absl::string_view query) {
    const json::object page = Parsed(client->Get(absl::StrCat("/v1/scan?", query)));
    std::string out;
    for (const json::value& entry : page.at("entries").as_array()) {
      absl::StrAppend(&out, Bytes(entry.as_object().at("key")), " ");
    }
    return out;
  };
  EXPECT_EQ(keys("prefix=p/"), "p/1 p/2 p/3 ");
  EXPECT_EQ(keys("prefix=p%2F&start=p/2"), "p/2 p/3 ");
  EXPECT_EQ(keys("start=p/2&end=q"), "p/2 p/3 ");
  EXPECT_EQ(keys("start=p/2&end=p/2"), "");
  EXPECT_EQ(keys("prefix=p&backward=true"), "p/3 p/2 p/1 ");
  EXPECT_EQ(keys("prefix=cC8&key_encoding=base64&limit=1"), "p/1 ");
  EXPECT_EQ(keys("gt=p/1&lte=p/3"), "p/2 p/3 ");
  EXPECT_EQ(keys("gt=p/1&lte=p/2&prefix=p&end=p/2"), "");
  EXPECT_EQ(keys("gt=&lte=a"), "a ");
  EXPECT_EQ(keys("lte="), " ");
  EXPECT_EQ(keys("gt=p/3&lte=q&backward=true"), "q ");
  EXPECT_EQ(client->Get("/v1/scan?prefix=q&keys_only=true").body,
            "{\"entries\":[\n{\"key\":\"q\"}],\"cursor\":null}\n");
  EXPECT_EQ(client->Get("/v1/scan?prefix=q").body,
            "{\"entries\":[\n{\"key\":\"q\",\"value\":\"v\"}],\"cursor\":null}\n");
}

TEST_F(DataRoutesTest, AScanHasEtagsAndBytesOfOneType) {
  SetModelStore();
  ASSERT_TRUE(store_->Put("q", "v").ok());
  auto client = Connect();
  const std::string etag = client->Get("/v1/kv/q").Field("ETag");
  const json::object page = Parsed(client->Get("/v1/scan?prefix=q&etags=true"));
  EXPECT_EQ(page.at("entries").at(0).at("etag").as_string(), etag);
  EXPECT_EQ(client->Get("/v1/scan?prefix=q&bytes=base64").body,
            "{\"entries\":[\n{\"key\":{\"base64\":\"cQ==\"},\"value\":{\"base64\":\"dg==\"}}],"
            "\"cursor\":null}\n");
}

TEST_F(DataRoutesTest, AScanEndsAtSoManyBytesAndGoesOnThere) {
  SetModelStore();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(store_->Put(absl::StrCat("m", 10 + i), std::string(97, 'v')).ok());
  }
  auto client = Connect();
  std::vector<size_t> pages;
  std::string cursor;
  do {
    const json::object page = Parsed(client->Get(
        absl::StrCat("/v1/scan?prefix=m&max_bytes=500", cursor.empty() ? "" : "&cursor=", cursor)));
    pages.push_back(page.at("entries").as_array().size());
    cursor = page.at("cursor").is_null() ? "" : std::string(page.at("cursor").as_string());
  } while (!cursor.empty());
  EXPECT_EQ(pages, (std::vector<size_t>{5, 5, 5, 5, 0}));
  EXPECT_EQ(Parsed(client->Get("/v1/scan?prefix=m&max_bytes=1")).at("entries").as_array().size(),
            1u);
}

TEST_F(DataRoutesTest, LinesAreAllEntriesOfARange) {
  SetModelStore();
  std::string expected;
  for (int i = 0; i < 12'000; ++i) {
    const std::string key = absl::StrCat("n", 10'000 + i);
    ASSERT_TRUE(store_->Put(key, i % 2 == 0 ? "v" : "\xff").ok());
    absl::StrAppend(&expected, "{\"key\":\"", key,
                    "\",\"value\":", i % 2 == 0 ? "\"v\"" : "{\"base64\":\"/w==\"}", "}\n");
  }
  auto client = Connect();
  const TestResponse all = client->Get("/v1/scan?prefix=n&format=ndjson");
  EXPECT_EQ(all.status, 200);
  EXPECT_EQ(all.Field("Content-Type"), "application/x-ndjson");
  EXPECT_EQ(all.body, expected);
  EXPECT_EQ(client->Get("/v1/scan?prefix=n&format=ndjson&limit=1&gt=n10000&keys_only=true").body,
            "{\"key\":\"n10001\"}\n");
  EXPECT_EQ(client->Get("/v1/scan?prefix=none&format=ndjson").body, "");
}

// A cursor over long keys does not fit into a query.
TEST_F(DataRoutesTest, AScanOverLongKeysGoesOnByAForm) {
  SetModelStore();
  const auto key = [](int i) { return absl::StrCat("long", i, std::string(60'000, '\xff')); };
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(store_->Put(key(i), "v").ok());
  auto client = Connect();
  constexpr char kForm[] = "Content-Type: application/x-www-form-urlencoded\r\n";
  std::string cursor;
  for (int i = 0; i < 3; ++i) {
    const json::object page = Parsed(client->WithBody(
        "POST", "/v1/scan?limit=1",
        absl::StrCat("prefix=long", cursor.empty() ? "" : "&cursor=", cursor), kForm));
    ASSERT_EQ(page.at("entries").as_array().size(), 1u) << i;
    EXPECT_EQ(Bytes(page.at("entries").at(0).at("key")), key(i));
    cursor = std::string(page.at("cursor").as_string());
  }
  EXPECT_EQ(client->WithBody("POST", "/v1/scan?limit=1", "limit=2", kForm).body,
            "{\"error\":\"the body has \\\"limit\\\" twice\",\"code\":\"bad_request\"}\n");
  EXPECT_EQ(client->WithBody("POST", "/v1/scan", "limti=2", kForm).status, 400);
}

TEST_F(DataRoutesTest, ARangeIsDeletedAndOnlyThat) {
  SetModelStore();
  for (const char* key : {"p/1", "p/2", "p/3", "q"}) ASSERT_TRUE(store_->Put(key, "v").ok());
  auto client = Connect();
  const auto erase = [&](absl::string_view query) {
    return client->WithBody("DELETE", absl::StrCat("/v1/scan", query), "").status;
  };
  const auto keys = [&] {
    return client->Get("/v1/scan?start=p&end=r&keys_only=true&format=ndjson").body;
  };
  EXPECT_EQ(erase(""), 400) << "all keys are said in words";
  EXPECT_EQ(erase("?lte=p"), 400);
  EXPECT_EQ(erase("?limit=1&prefix=p"), 400);
  EXPECT_EQ(erase("?gt=p/1&lte=p/2"), 204);
  EXPECT_EQ(keys(), "{\"key\":\"p/1\"}\n{\"key\":\"p/3\"}\n{\"key\":\"q\"}\n");
  EXPECT_EQ(erase("?prefix=p/"), 204);
  EXPECT_EQ(erase("?prefix=p/"), 204) << "nothing was there";
  EXPECT_EQ(keys(), "{\"key\":\"q\"}\n");
  EXPECT_EQ(erase("?start=q&end=p"), 204);
  EXPECT_EQ(keys(), "{\"key\":\"q\"}\n");
  EXPECT_EQ(erase("?prefix="), 204);
  EXPECT_EQ(client->Get("/v1/scan?format=ndjson").body, "");
}

TEST_F(DataRoutesTest, WithoutRangeDeletionItIs501) {
  Capabilities capabilities = ModelCapabilities();
  capabilities.delete_range = Support::kAbsent;
  SetModelStore(capabilities);
  EXPECT_EQ(Connect()->WithBody("DELETE", "/v1/scan?prefix=a", "").status, 501);
}

TEST_F(DataRoutesTest, PagesAndBatchesMayBeOfOneState) {
  SetModelStore();
  auto client = Connect();
  for (const char* key : {"s1", "s2", "s3"}) ASSERT_TRUE(store_->Put(key, "old").ok());
  const TestResponse made = client->WithBody("POST", "/v1/snapshots", "{}", kJsonType);
  EXPECT_EQ(made.status, 201);
  const std::string name(BodyOf(made).at("snapshot").as_string());
  EXPECT_EQ(BodyOf(made).at("lease_ms").as_int64(), 60'000);
  for (const char* key : {"s2", "s4"}) ASSERT_TRUE(store_->Put(key, "new").ok());
  ASSERT_TRUE(store_->Delete("s3").ok());
  const auto lines = [&](absl::string_view query) {
    return client->Get(absl::StrCat("/v1/scan?prefix=s&format=ndjson", query)).body;
  };
  EXPECT_EQ(lines(absl::StrCat("&snapshot=", name)),
            "{\"key\":\"s1\",\"value\":\"old\"}\n{\"key\":\"s2\",\"value\":\"old\"}\n"
            "{\"key\":\"s3\",\"value\":\"old\"}\n");
  EXPECT_EQ(lines("&keys_only=true"), "{\"key\":\"s1\"}\n{\"key\":\"s2\"}\n{\"key\":\"s4\"}\n");
  const json::object batch = Parsed(client->WithBody(
      "POST", absl::StrCat("/v1/batch/get?snapshot=", name), R"({"keys":["s2","s4"]})"));
  EXPECT_EQ(batch.at("results").at(0).at("value").as_string(), "old");
  EXPECT_FALSE(batch.at("results").at(1).at("found").as_bool());

  EXPECT_EQ(client->WithBody("DELETE", absl::StrCat("/v1/snapshots/", name), "").status, 204);
  const TestResponse gone = client->Get(absl::StrCat("/v1/scan?snapshot=", name));
  EXPECT_EQ(gone.status, 410);
  EXPECT_EQ(BodyOf(gone).at("code").as_string(), "snapshot_gone");
  EXPECT_EQ(client->Get("/v1/scan?snapshot=x").status, 410);
  EXPECT_EQ(client->WithBody("DELETE", "/v1/snapshots/x", "").status, 204);
}

// They hold back what the store would free.
TEST_F(DataRoutesTest, SnapshotsAreAskedForInWordsAndNotWithoutEnd) {
  SetModelStore();
  auto client = Connect();
  EXPECT_EQ(client->WithBody("POST", "/v1/snapshots", "").status, 415) << "as a page could";
  for (size_t i = 0; i < HttpOptions().max_snapshots; ++i) {
    ASSERT_EQ(client->WithBody("POST", "/v1/snapshots", "{}", kJsonType).status, 201);
  }
  const TestResponse refused = client->WithBody("POST", "/v1/snapshots", "{}", kJsonType);
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(BodyOf(refused).at("code").as_string(), "too_many_snapshots");
}

TEST_F(DataRoutesTest, WithoutSnapshotsTheyAre501) {
  Capabilities capabilities = ModelCapabilities();
  capabilities.snapshot = Support::kAbsent;
  SetModelStore(capabilities);
  EXPECT_EQ(Connect()->WithBody("POST", "/v1/snapshots", "{}", kJsonType).status, 501);
}

TEST_F(DataRoutesTest, APlusInAQueryIsASpace) {
  SetModelStore();
  ASSERT_TRUE(store_->Put("p q", "space").ok());
  ASSERT_TRUE(store_->Put("p+q", "plus").ok());
  ASSERT_TRUE(store_->Put("\xfb\xef", "base64 of it is ++8=").ok());
  auto client = Connect();
  const auto first = [&](absl::string_view query) {
    const json::array entries =
        Parsed(client->Get(absl::StrCat("/v1/scan?", query))).at("entries").as_array();
    EXPECT_EQ(entries.size(), 1u) << query;
    return entries.empty() ? "" : Bytes(entries[0].as_object().at("value"));
  };
  EXPECT_EQ(first("prefix=p+"), "space");
  EXPECT_EQ(first("prefix=p%20"), "space");
  EXPECT_EQ(first("prefix=p%2B"), "plus");
  EXPECT_EQ(client->Get("/v1/kv/p+q").body, "plus");
  EXPECT_EQ(first("key_encoding=base64&prefix=%2B%2B8="), "base64 of it is ++8=");
  EXPECT_EQ(first("key_encoding=base64&prefix=--8"), "base64 of it is ++8=");
  // Never another key than the one that was meant.
  const TestResponse response = client->Get("/v1/scan?key_encoding=base64&prefix=++8=");
  EXPECT_EQ(response.status, 400);
  EXPECT_TRUE(absl::StrContains(response.body, "a plus is %2B")) << response.body;
}

TEST_F(DataRoutesTest, BadScansAre400WithTheReason) {
  SetModelStore();
  auto client = Connect();
  for (const char* query : {"limit=0",
                            "limit=10001",
                            "limit=-1",
                            "limit=x",
                            "limit=",
                            "keys_only=yes",
                            "backward=1",
                            "prefix=*&key_encoding=base64",
                            "cursor=",
                            "cursor=AAAA",
                            "cursor=AAAAAAAAAAAAAAAA",
                            "cursor=%00",
                            "key_encoding=hex",
                            "from=a",
                            "format=xml",
                            "bytes=hex",
                            "max_bytes=0",
                            "etags=true&keys_only=true",
                            "format=ndjson&limit=0",
                            "gt=*&key_encoding=base64"}) {
    const TestResponse response = client->Get(absl::StrCat("/v1/scan?", query));
    EXPECT_EQ(response.status, 400) << query;
    EXPECT_TRUE(absl::StartsWith(response.body, "{\"error\":\"")) << response.body;
  }
  // A cursor belongs to its scan.
  const std::string cursor(Parsed(client->Get("/v1/scan?limit=1")).at("cursor").as_string());
  EXPECT_EQ(client->Get(absl::StrCat("/v1/scan?cursor=", cursor)).status, 200);
  EXPECT_EQ(client->Get(absl::StrCat("/v1/scan?prefix=a&cursor=", cursor)).status, 400);
  EXPECT_EQ(client->Get(absl::StrCat("/v1/scan?backward=true&cursor=", cursor)).status, 400);
  EXPECT_EQ(
      client->Get(absl::StrCat("/v1/scan?cursor=", cursor.substr(0, cursor.size() - 2))).status,
      400);
}

TEST_F(DataRoutesTest, AStoreWithoutScansIs501) {
  Capabilities capabilities = ModelCapabilities();
  capabilities.scan = capabilities.ordered_scan = Support::kAbsent;
  capabilities.backward_scan = capabilities.slot_scan = Support::kAbsent;
  SetModelStore(capabilities);
  EXPECT_EQ(Connect()->Get("/v1/scan").status, 501);
}

TEST_F(DataRoutesTest, LargeScansAreStreamed) {
  SetModelStore();
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(store_->Put(absl::StrCat("k", i), std::string(100'000, 'v')).ok());
  }
  const TestResponse response = Connect()->Get("/v1/scan?prefix=k&limit=50");
  EXPECT_GT(response.chunks, 10);
  EXPECT_EQ(Parsed(response).at("entries").as_array().size(), 50u);
}

}  // namespace
}  // namespace kvarts
