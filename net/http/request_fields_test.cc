// What header fields do to a request: carried out, refused or left out, as README.md says.

#include "net/http/request_fields.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/http/handlers.h"
#include "net/http/http_fixture.h"

namespace kvarts {
namespace {

constexpr char kPutB[] = R"({"mutations":[{"put":"a","value":"B"}]})";
constexpr char kGetA[] = R"({"keys":["a"]})";

class RequestFieldsTest : public HttpTest {
 protected:
  void SetUp() override {
    StartServer();
    SetModelStore();
  }

  // The answer to a request that has "a" be "1" before it; `fields` with their ends of lines.
  // On a connection of its own, as a refusal in front of a body ends it.
  TestResponse Ask(absl::string_view method, absl::string_view target, absl::string_view fields) {
    EXPECT_TRUE(store_->Put("a", "1").ok());
    std::string body;
    std::string type;
    if (method == "PUT") body = "B";
    if (method == "POST") {
      body = target == "/v1/batch/get" ? kGetA : kPutB;
      type = "Content-Type: application/json\r\n";
    }
    auto client = Connect();
    if (body.empty()) {
      return client->Request(
          absl::StrCat(method, " ", target, " HTTP/1.1\r\nHost: x\r\n", fields, "\r\n"));
    }
    return client->WithBody(method, target, body, absl::StrCat(type, fields));
  }
  TestResponse Put(absl::string_view fields) { return Ask("PUT", "/v1/kv/a", fields); }
  TestResponse Write(absl::string_view fields) { return Ask("POST", "/v1/batch/write", fields); }

  std::string Value() { return store_->Get("a")->value_or("(absent)"); }
};

// --- What a body is -------------------------------------------------------------

// RFC 9110, section 14.5.
TEST_F(RequestFieldsTest, APartIsNotTakenForTheWhole) {
  for (const char* field : {"Content-Range: bytes 2-3/4\r\n", "Content-Range: bytes 0-0/1\r\n",
                            "CONTENT-RANGE:\r\n", "Content-Range: items 1\r\n"}) {
    const TestResponse response = Put(field);
    EXPECT_EQ(response.status, 400) << field;
    EXPECT_EQ(response.body,
              "{\"error\":\"Content-Range: no part of a body is taken; send it as a "
              "whole\",\"code\":\"bad_request\"}\n");
    EXPECT_EQ(Value(), "1") << field;
    EXPECT_EQ(Write(field).status, 400) << field;
    EXPECT_EQ(Value(), "1") << field;
    EXPECT_EQ(Ask("POST", "/v1/batch/get", field).status, 400) << field;
    // Section 14.4: of no meaning where there is no such body.
    EXPECT_EQ(Ask("GET", "/v1/kv/a", field).body, "1");
    EXPECT_EQ(Ask("DELETE", "/v1/kv/a", field).status, 204);
  }
}

TEST_F(RequestFieldsTest, AnEncodedBodyIs415) {
  for (const char* field :
       {"Content-Encoding: gzip\r\n", "content-encoding: identity, br\r\n",
        "Content-Encoding: identity\r\nContent-Encoding: zstd\r\n", "Content-Encoding: x\r\n"}) {
    const TestResponse response = Put(field);
    EXPECT_EQ(response.status, 415) << field;
    EXPECT_EQ(response.Field("Accept-Encoding"), "identity");
    EXPECT_EQ(Value(), "1") << field;
    EXPECT_EQ(Write(field).status, 415) << field;
    EXPECT_EQ(Value(), "1") << field;
    EXPECT_EQ(Ask("POST", "/v1/batch/get", field).status, 415) << field;
    EXPECT_EQ(Ask("GET", "/v1/kv/a", field).body, "1");
  }
  for (const char* field : {"Content-Encoding: identity\r\n", "Content-Encoding: , IDENTITY,\r\n",
                            "Content-Encoding:\r\n"}) {
    EXPECT_EQ(Put(field).status, 204) << field;
    EXPECT_EQ(Value(), "B");
    EXPECT_EQ(Write(field).status, 200) << field;
    EXPECT_EQ(Ask("POST", "/v1/batch/get", field).status, 200) << field;
  }
}

TEST_F(RequestFieldsTest, ARefusedBodyIsNotAskedFor) {
  auto client = Connect();
  EXPECT_EQ(client
                ->Request("PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 60000000\r\n"
                          "Content-Encoding: gzip\r\nExpect: 100-continue\r\n\r\n")
                .status,
            415);
  EXPECT_EQ(client->ReadToEnd(), "");
}

TEST_F(RequestFieldsTest, JsonOfAnotherCharsetIs415) {
  const auto ask = [&](const char* path, const char* body, const char* type) {
    return Connect()
        ->WithBody("POST", path, body, absl::StrCat("Content-Type: ", type, "\r\n"))
        .status;
  };
  for (const char* type :
       {"application/json; charset=iso-8859-1", "application/json;v=1;Charset=\"UTF-16\""}) {
    EXPECT_EQ(ask("/v1/batch/write", kPutB, type), 415) << type;
    EXPECT_EQ(ask("/v1/batch/get", kGetA, type), 415) << type;
  }
  EXPECT_EQ(Value(), "1");
  for (const char* type : {"application/json; charset=UTF-8", "application/json ;charset=\"utf-8\"",
                           "application/json; charset=us-ascii", "application/json; v=1"}) {
    EXPECT_EQ(ask("/v1/batch/get", kGetA, type), 200) << type;
    EXPECT_EQ(ask("/v1/batch/write", kPutB, type), 200) << type;
  }
  EXPECT_EQ(Value(), "B");
  // A form that is put is a value like any other.
  const std::string form = "Content-Type: application/x-www-form-urlencoded; charset=latin1";
  EXPECT_EQ(Put(absl::StrCat(form, "\r\n")).status, 204);
  EXPECT_TRUE(Connect()->Get("/v1/kv/a").Has(form));
}

// --- What a request is ------------------------------------------------------------

TEST_F(RequestFieldsTest, NoFieldChangesTheMethod) {
  for (const char* name : {"X-HTTP-Method-Override", "x-http-method", "X-Method-Override"}) {
    const std::string patch = absl::StrCat(name, ": PATCH\r\n");
    EXPECT_EQ(Put(patch).status, 400) << name;
    EXPECT_EQ(Write(patch).status, 400) << name;
    EXPECT_EQ(Ask("DELETE", "/v1/kv/a", patch).status, 400) << name;
    EXPECT_EQ(Value(), "1");
    EXPECT_EQ(Ask("GET", "/v1/kv/a", patch).status, 400) << name;
    EXPECT_EQ(Put(absl::StrCat(name, ": PUT\r\n", patch)).status, 400) << name;
    EXPECT_EQ(Put(absl::StrCat(name, ": put\r\n")).status, 204) << name;
  }
}

TEST_F(RequestFieldsTest, AnExpiryIsNotSaidInAField) {
  EXPECT_EQ(Put("X-Expires-At-Ms: 99999999999999\r\n").status, 400);
  EXPECT_EQ(Write("X-Expires-At-Ms: 99999999999999\r\n").status, 400);
  EXPECT_EQ(Value(), "1");
}

TEST_F(RequestFieldsTest, ExpectationsOfAllLinesAreLookedAt) {
  EXPECT_EQ(Put("Expect: 100-continue\r\nExpect: the-unexpected\r\n").status, 417);
  EXPECT_EQ(Put("Expect: 100-continue, the-unexpected\r\n").status, 417);
  EXPECT_EQ(Ask("GET", "/v1/kv/a", "Expect: 100-continue\r\nExpect: x\r\n").status, 417);
  EXPECT_EQ(Value(), "1");
  auto client = Connect();
  EXPECT_EQ(client
                ->Request("PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
                          "Expect: 100-continue, 100-Continue,\r\nExpect: 100-continue\r\n\r\n")
                .status,
            100);
  EXPECT_EQ(client->Request("B").status, 204);
}

TEST_F(RequestFieldsTest, OfAFieldWithOneValueTwoAreRefused) {
  EXPECT_EQ(Put("Content-Type: a/b\r\nContent-Type: c/d\r\n").status, 400);
  EXPECT_EQ(Write("Content-Type: text/plain\r\n").status, 400) << "beside application/json";
  EXPECT_EQ(Value(), "1");
  const TestResponse response = Put("Authorization: Bearer a\r\nAuthorization: Bearer a\r\n");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.body,
            "{\"error\":\"expected one Authorization field\",\"code\":\"bad_request\"}\n");
}

// What RFC 9110 has a server leave out: there are no ranges here and no dates of changes
// (13.1.3 to 13.1.5, 14.2), and what trailers and integrity fields say is nobody's order.
TEST_F(RequestFieldsTest, WhatMayBeLeftOutIs) {
  for (const char* field :
       {"Range: bytes=0-0\r\n", "Range: bytes=0-0\r\nIf-Range: \"x\"\r\n",
        "If-Modified-Since: Sat, 29 Oct 2094 19:43:31 GMT\r\n",
        "If-Unmodified-Since: Sat, 29 Oct 1994 19:43:31 GMT\r\n", "Accept: image/png\r\n",
        "Accept-Encoding: br\r\n", "TE: trailers\r\n", "Trailer: X\r\n", "Upgrade: h2c\r\n",
        "Content-MD5: x\r\n", "Cache-Control: no-store\r\n", "Prefer: respond-async\r\n"}) {
    EXPECT_EQ(Ask("GET", "/v1/kv/a", field).status, 200) << field;
    EXPECT_EQ(Ask("GET", "/v1/kv/a", field).body, "1") << field;
    EXPECT_EQ(Ask("POST", "/v1/batch/get", field).status, 200) << field;
    EXPECT_EQ(Put(field).status, 204) << field;
    EXPECT_EQ(Value(), "B") << field;
    EXPECT_EQ(Write(field).status, 200) << field;
    EXPECT_EQ(Ask("DELETE", "/v1/kv/a", field).status, 204) << field;
  }
}

// --- Conditions -------------------------------------------------------------------

// RFC 9110, section 5.3: whichever line has the tag.
TEST_F(RequestFieldsTest, ConditionsOfSeveralLinesAreOneList) {
  const std::string tag = ValueEtag("1");
  const std::vector<std::pair<std::string, std::string>> with = {
      {"\"zz\"", tag}, {tag, "\"zz\""}, {"\"x\", \"y\"", absl::StrCat("\"z\",", tag)}};
  const std::pair<std::string, std::string> without = {"\"zz\"", "\"y\", \"x\""};
  const auto status = [&](absl::string_view method, absl::string_view name, const auto& lists) {
    return Ask(method, "/v1/kv/a",
               absl::StrCat(name, ": ", lists.first, "\r\n", name, ": ", lists.second, "\r\n"))
        .status;
  };
  for (const auto& lists : with) {
    SCOPED_TRACE(absl::StrCat(lists.first, " and ", lists.second));
    EXPECT_EQ(status("GET", "If-Match", lists), 200);
    EXPECT_EQ(status("HEAD", "If-Match", lists), 200);
    EXPECT_EQ(status("PUT", "If-Match", lists), 204);
    EXPECT_EQ(status("DELETE", "If-Match", lists), 204);
    EXPECT_EQ(status("GET", "If-None-Match", lists), 304);
    EXPECT_EQ(status("HEAD", "If-None-Match", lists), 304);
    EXPECT_EQ(status("PUT", "If-None-Match", lists), 412);
    EXPECT_EQ(status("DELETE", "If-None-Match", lists), 412);
    EXPECT_EQ(Value(), "1");
  }
  for (const char* method : {"GET", "HEAD", "PUT", "DELETE"}) {
    EXPECT_EQ(status(method, "If-Match", without), 412) << method;
    EXPECT_EQ(status(method, "If-None-Match", without) / 100, 2) << method;
  }
  // One of each name: both must hold.
  EXPECT_EQ(Put(absl::StrCat("If-Match: ", tag, "\r\nIf-None-Match: \"x\"\r\nIf-None-Match: ", tag,
                             "\r\n"))
                .status,
            412);
}

// A write whose condition cannot be read is not made without it.
TEST_F(RequestFieldsTest, AConditionOfAWriteIsReadOrRefused) {
  for (const char* list : {"abc", "", ",", "\"x", "*, \"x\"", "\"x\", *", "\"x\" \"y\"", "W/",
                           "W/x", "\"x\", y", "w/\"x\""}) {
    for (const char* name : {"If-Match", "If-None-Match"}) {
      const std::string field = absl::StrCat(name, ": ", list, "\r\n");
      EXPECT_EQ(Put(field).status, 400) << field;
      EXPECT_EQ(Ask("DELETE", "/v1/kv/a", field).status, 400) << field;
      EXPECT_EQ(Value(), "1");
    }
  }
  EXPECT_EQ(Put("If-Match: \t*\r\n").status, 204);
  EXPECT_EQ(Put("If-None-Match: \"x\" , ,W/\"y\",\r\n").status, 204);
  for (const char* name : {"If-Match", "If-None-Match"}) {
    const TestResponse response = Write(absl::StrCat(name, ": *\r\n"));
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(response.body, absl::StrCat("{\"error\":\"", name,
                                          ": conditions are in the body here, as \\\"if\\\" of the "
                                          "batch\",\"code\":\"bad_request\"}\n"));
    EXPECT_EQ(Value(), "1");
  }
}

TEST_F(RequestFieldsTest, WhatHasNoEtagMatchesNone) {
  for (const char* target : {"/v1/scan", "/v1/stats", "/metrics", "/"}) {
    EXPECT_EQ(Ask("GET", target, "If-Match: \"x\"\r\n").status, 412) << target;
    EXPECT_EQ(Ask("GET", target, "If-Match: *\r\n").status, 200) << target;
    EXPECT_EQ(Ask("GET", target, "If-None-Match: \"x\"\r\n").status, 200) << target;
  }
  EXPECT_EQ(Ask("POST", "/v1/batch/get", "If-Match: \"x\"\r\n").status, 412);
}

// --- Pages --------------------------------------------------------------------------

TEST_F(RequestFieldsTest, PagesReadAllLinesToo) {
  const auto page = [&](absl::string_view fields) {
    return Ask("GET", "/pages/status.js", fields);
  };
  const std::string etag = page("").Field("ETag");
  EXPECT_EQ(page(absl::StrCat("If-None-Match: \"x\"\r\nIf-None-Match: ", etag, "\r\n")).status,
            304);
  const auto coding = [&](absl::string_view fields) {
    const TestResponse response = page(fields);
    EXPECT_EQ(response.status, 200);
    return response.Field("Content-Encoding");
  };
  EXPECT_EQ(coding("Accept-Encoding: br\r\nAccept-Encoding: gzip\r\n"), "gzip");
  EXPECT_EQ(coding("Accept-Encoding: *;q=0\r\nAccept-Encoding: gzip\r\n"), "gzip");
  EXPECT_EQ(coding("Accept-Encoding: *\r\nAccept-Encoding: gzip;q=0\r\n"), "");
  EXPECT_EQ(coding("Accept-Encoding: br\r\nAccept-Encoding: *;q=0.5\r\n"), "gzip");
}

}  // namespace
}  // namespace kvarts
