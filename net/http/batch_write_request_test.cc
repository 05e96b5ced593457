#include "net/http/batch_write_request.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/store.h"

namespace kvarts {
namespace {

constexpr int64_t kNowMs = 1'700'000'000'000;

using Change = Metadata::Change;

BatchWriteRequest Parse(absl::string_view json) {
  auto request = ParseBatchWrite(json, kNowMs);
  EXPECT_TRUE(request.ok()) << request.status() << "\n" << json;
  return request.ok() ? *std::move(request) : BatchWriteRequest();
}

std::string Error(absl::string_view json) {
  const auto request = ParseBatchWrite(json, kNowMs, 3);
  EXPECT_FALSE(request.ok()) << json;
  EXPECT_EQ(request.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(request.status().message());
}
// Of one mutation, the second, or one condition, the first.
std::string MutationError(absl::string_view json) {
  return Error(absl::StrCat("{\"mutations\":[{\"delete\":\"x\"},", json, "]}"));
}
std::string ConditionError(absl::string_view json) {
  return Error(absl::StrCat("{\"if\":[", json, "],\"mutations\":[]}"));
}

TEST(BatchWriteRequestTest, EachKindOfMutationIsRead) {
  const BatchWriteRequest request = Parse(R"({"mutations":[
    {"put":"a","value":"1"},
    {"value":{"base64":"/w=="},"put":{"base64":"AA"}},
    {"delete":""},
    {"touch":"t","ttl_ms":5},
    {"put":"\u00e9","value":"","content_type":"text/plain","expires_at_ms":9007199254740991}]})");
  EXPECT_FALSE(request.atomic);
  EXPECT_TRUE(request.conditions.empty());
  ASSERT_EQ(request.mutations.size(), 5u);
  EXPECT_EQ(request.mutations[0].kind, Mutation::Kind::kPut);
  EXPECT_EQ(request.mutations[0].key, "a");
  EXPECT_EQ(request.mutations[0].value, "1");
  EXPECT_EQ(request.mutations[0].metadata.expiry, Change::kClear);
  EXPECT_EQ(request.mutations[0].metadata.content_type, Change::kClear);
  EXPECT_EQ(request.mutations[1].key, std::string(1, '\0'));
  EXPECT_EQ(request.mutations[1].value, "\xff");
  EXPECT_EQ(request.mutations[2].kind, Mutation::Kind::kDelete);
  EXPECT_EQ(request.mutations[2].key, "");
  EXPECT_EQ(request.mutations[3].kind, Mutation::Kind::kTouch);
  EXPECT_EQ(request.mutations[3].metadata.expiry, Change::kSet);
  EXPECT_EQ(request.mutations[3].metadata.expires_at_ms, kNowMs + 5);
  EXPECT_EQ(request.mutations[3].metadata.content_type, Change::kKeep);
  EXPECT_EQ(request.mutations[4].key, "\xc3\xa9");
  EXPECT_EQ(request.mutations[4].content_type, "text/plain");
  EXPECT_EQ(request.mutations[4].metadata.content_type, Change::kSet);
  EXPECT_EQ(request.mutations[4].metadata.expires_at_ms, kMaxTimeMs);
}

TEST(BatchWriteRequestTest, ATouchKeepsWhatItDoesNotNameAndNullTakesAway) {
  const BatchWriteRequest request = Parse(R"({"mutations":[
    {"touch":"a","content_type":"x/y"},
    {"expires_at_ms":null,"touch":"a"},
    {"touch":"a","content_type":null,"ttl_ms":1},
    {"put":"a","value":"","content_type":null,"expires_at_ms":null}]})");
  EXPECT_EQ(request.mutations[0].metadata.expiry, Change::kKeep);
  EXPECT_EQ(request.mutations[0].metadata.content_type, Change::kSet);
  EXPECT_EQ(request.mutations[1].metadata.expiry, Change::kClear);
  EXPECT_EQ(request.mutations[1].metadata.content_type, Change::kKeep);
  EXPECT_EQ(request.mutations[2].metadata.expiry, Change::kSet);
  EXPECT_EQ(request.mutations[2].metadata.content_type, Change::kClear);
  EXPECT_EQ(request.mutations[3].metadata.expiry, Change::kClear);
  EXPECT_EQ(request.mutations[3].metadata.content_type, Change::kClear);
}

TEST(BatchWriteRequestTest, ConditionsAreReadAndMakeTheBatchAtomic) {
  const BatchWriteRequest request = Parse(R"({"if":[{"absent":"a"},{"present":{"base64":"/w"}},
    {"etag":"\"12\"","unchanged":"c"},{"unchanged":"d","etag":"12"}],"mutations":[]})");
  EXPECT_TRUE(request.atomic);
  EXPECT_TRUE(request.mutations.empty());
  ASSERT_EQ(request.conditions.size(), 4u);
  EXPECT_EQ(request.conditions[0].kind, Precondition::Kind::kAbsent);
  EXPECT_EQ(request.conditions[0].key, "a");
  EXPECT_EQ(request.conditions[1].kind, Precondition::Kind::kPresent);
  EXPECT_EQ(request.conditions[1].key, "\xff");
  for (const size_t i : {2, 3}) {
    EXPECT_EQ(request.conditions[i].kind, Precondition::Kind::kUnchanged);
    EXPECT_EQ(request.conditions[i].etag, "\"12\"");
  }
  EXPECT_EQ(request.conditions[3].key, "d");
  EXPECT_TRUE(Parse("{\"mutations\":[],\"atomic\":true}").atomic);
  EXPECT_FALSE(Parse("{\"atomic\":false,\"mutations\":[],\"if\":[]}").atomic);
  EXPECT_TRUE(Parse("{\"atomic\":true,\"mutations\":[],\"if\":[{\"absent\":\"\"}]}").atomic);
}

struct BadCase {
  const char* json;
  const char* error;
};

TEST(BatchWriteRequestTest, BadRequestsAreToldWithTheirPlace) {
  for (const BadCase& bad : {
           BadCase{"[]", "the request: expected an object"},
           {"1", "the request: expected an object"},
           {"null", "the request: expected an object"},
           {"\"mutations\"", "the request: expected an object"},
           {"{}", "the request: there is no \"mutations\""},
           {"{\"if\":[]}", "the request: there is no \"mutations\""},
           {"{\"mutations\":{}}", "mutations: expected an array"},
           {"{\"mutations\":\"x\"}", "mutations: expected an array"},
           {"{\"mutations\":null}", "mutations: expected an array"},
           {"{\"mutations\":[],\"if\":1}", "if: expected an array"},
           {"{\"mutations\":[],\"mutations\":[]}", "the request: it has \"mutations\" twice"},
           {"{\"mutation\":[]}",
            "the request: there is no member \"mutation\" here; known are mutations, atomic, if"},
           {"{\"put\":\"a\"}",
            "the request: there is no member \"put\" here; known are mutations, atomic, if"},
           {"{\"atomic\":1}", "atomic: expected true or false"},
           {"{\"atomic\":\"true\"}", "atomic: expected true or false"},
           {"{\"atomic\":null}", "atomic: expected true or false"},
           {"{\"mutations\":[],\"atomic\":false,\"if\":[{\"absent\":\"a\"}]}",
            "the request: a batch with conditions is atomic; \"atomic\" says it is not"},
           {"{\"mutations\":[1]}", "mutations[0]: expected an object"},
           {"{\"mutations\":[[]]}", "mutations[0]: expected an object"},
           {"{\"mutations\":[{\"delete\":\"x\"},null]}", "mutations[1]: expected an object"},
           {"{\"mutations\":[],\"if\":[\"a\"]}", "if[0]: expected an object"},
           {"{\"a member with a name of many letters\":1}",
            "the request: the name of a member is too long"},
       }) {
    EXPECT_EQ(Error(bad.json), bad.error) << bad.json;
  }
}

TEST(BatchWriteRequestTest, BadMutationsAreToldWithTheirPlace) {
  const std::string verbs = "expected one of \"put\", \"delete\" and \"touch\"";
  const std::string time = "expected a whole number from 1 to 9007199254740991";
  const std::string bytes = "expected a string or {\"base64\": \"...\"}";
  for (const auto& [json, error] : std::vector<std::pair<std::string, std::string>>{
           {R"({})", ": " + verbs},
           {R"({"value":"v"})", ": " + verbs},
           {R"({"put":"a","value":"v","delete":"b"})", ": " + verbs},
           {R"({"put":"a","value":"v","touch":"a","ttl_ms":1})", ": " + verbs},
           {R"({"put":"a"})", ": a put needs a \"value\""},
           {R"({"delete":"a","value":"v"})", ": only a put has a \"value\""},
           {R"({"touch":"a","value":"v","ttl_ms":1})", ": only a put has a \"value\""},
           {R"({"delete":"a","ttl_ms":1})", ": a delete has nothing beside its key"},
           {R"({"delete":"a","content_type":null})", ": a delete has nothing beside its key"},
           {R"({"touch":"a"})",
            ": a touch needs a \"content_type\", \"expires_at_ms\" or \"ttl_ms\""},
           {R"({"put":"a","value":"v","ttl_ms":1,"expires_at_ms":1})",
            ": \"expires_at_ms\" and \"ttl_ms\" at once"},
           {R"({"put":"a","value":"v","expires_at_ms":null,"ttl_ms":1})",
            ": \"expires_at_ms\" and \"ttl_ms\" at once"},
           {R"({"put":"a","put":"b","value":"v"})", ": it has \"put\" twice"},
           {R"({"put":"a","vlaue":"v"})",
            ": there is no member \"vlaue\" here; known are put, delete, touch, value, "
            "content_type, expires_at_ms, ttl_ms"},
           {R"({"absent":"a"})",
            ": there is no member \"absent\" here; known are put, delete, touch, value, "
            "content_type, expires_at_ms, ttl_ms"},
           {R"({"put":1})", ".put: " + bytes},
           {R"({"put":null})", ".put: " + bytes},
           {R"({"put":[]})", ".put: " + bytes},
           {R"({"put":{}})", ".put: " + bytes},
           {R"({"put":{"hex":"00"}})", ".put: " + bytes},
           {R"({"put":{"base64":1}})", ".put: " + bytes},
           {R"({"put":{"base64":{}}})", ".put: " + bytes},
           {R"({"put":{"base64":"*"}})", ".put: not base64"},
           {R"({"put":{"base64":"aa","x":1}})", ".put: " + bytes},
           {R"({"value":true})", ".value: " + bytes},
           {R"({"value":1.5})", ".value: " + bytes},
           {R"({"value":{"a name that is longer than any that is known":1}})", ".value: " + bytes},
           {R"({"ttl_ms":0})", ".ttl_ms: " + time},
           {R"({"ttl_ms":-1})", ".ttl_ms: " + time},
           {R"({"ttl_ms":1.0})", ".ttl_ms: " + time},
           {R"({"ttl_ms":1e3})", ".ttl_ms: " + time},
           {R"({"ttl_ms":null})", ".ttl_ms: " + time},
           {R"({"ttl_ms":"1"})", ".ttl_ms: " + time},
           {R"({"ttl_ms":9007199254740992})", ".ttl_ms: " + time},
           {R"({"expires_at_ms":18446744073709551615})", ".expires_at_ms: " + time},
           {R"({"expires_at_ms":99999999999999999999999})", ".expires_at_ms: " + time},
           {R"({"content_type":1})", ".content_type: expected a string"},
           {R"({"content_type":{"base64":"aa"}})", ".content_type: expected a string"},
           {R"({"content_type":""})",
            ".content_type: expected a content type: text without control characters"},
           {R"({"content_type":"a\r\nb"})",
            ".content_type: expected a content type: text without control characters"},
           {absl::StrCat("{\"content_type\":\"", std::string(256, 't'), "\"}"),
            ".content_type: too long"},
           {absl::StrCat("{\"delete\":\"", std::string(kMaxKeyBytes + 1, 'k'), "\"}"),
            ".delete: a key of 65537 bytes; at most 65536 are allowed"},
           {absl::StrCat("{\"delete\":\"", std::string(200'000, 'k'), "\"}"), ".delete: too long"},
       }) {
    EXPECT_EQ(MutationError(json), absl::StrCat("mutations[1]", error)) << json.substr(0, 100);
  }
}

TEST(BatchWriteRequestTest, BadConditionsAreToldWithTheirPlace) {
  for (const BadCase& bad : {
           BadCase{"{}", "if[0]: expected one of \"absent\", \"present\" and \"unchanged\""},
           {R"({"absent":"a","present":"a"})",
            "if[0]: expected one of \"absent\", \"present\" and \"unchanged\""},
           {R"({"etag":"1"})", "if[0]: expected one of \"absent\", \"present\" and \"unchanged\""},
           {R"({"absent":"a","etag":"1"})", "if[0]: an \"etag\" is for \"unchanged\""},
           {R"({"unchanged":"a"})", "if[0]: \"unchanged\" needs an \"etag\""},
           {R"({"present":"a"},{"absent":7})",
            "if[1].absent: expected a string or {\"base64\": \"...\"}"},
           {R"({"unchanged":"a","etag":1})", "if[0].etag: expected a string"},
           {R"({"delete":"a"})",
            "if[0]: there is no member \"delete\" here; known are absent, present, unchanged, "
            "etag"},
       }) {
    EXPECT_EQ(ConditionError(bad.json), bad.error) << bad.json;
  }
  for (const char* etag : {"", "*", "\\\"\\\"", "W/\\\"1\\\"", "\\\"1\\\",\\\"2\\\"", "\\\""}) {
    EXPECT_EQ(ConditionError(absl::StrCat("{\"unchanged\":\"a\",\"etag\":\"", etag, "\"}")),
              "if[0].etag: expected an ETag that was given for this key's value")
        << etag;
  }
}

TEST(BatchWriteRequestTest, LimitsHold) {
  const std::string mutation = "{\"delete\":\"a\"}";
  const std::string condition = "{\"absent\":\"a\"}";
  EXPECT_EQ(Error(absl::StrCat("{\"mutations\":[", mutation, ",", mutation, ",", mutation, ",",
                               mutation, "]}")),
            "more than 3 mutations in a request");
  EXPECT_EQ(Error(absl::StrCat("{\"mutations\":[],\"if\":[", condition, ",", condition, ",",
                               condition, ",", condition, "]}")),
            "more than 3 conditions in a request");
  const std::string longest(kMaxKeyBytes, 'k');
  EXPECT_EQ(
      Parse(absl::StrCat("{\"mutations\":[{\"delete\":\"", longest, "\"}]}")).mutations[0].key,
      longest);
  const std::string large(5 << 20, 'v');
  EXPECT_EQ(Parse(absl::StrCat("{\"mutations\":[{\"put\":\"a\",\"value\":\"", large, "\"}]}"))
                .mutations[0]
                .value,
            large);
  // Deep nesting is refused where it begins.
  EXPECT_EQ(Error(std::string(1'000'000, '[')), "the request: expected an object");
}

TEST(BatchWriteRequestTest, WhatIsNoJsonIsToldWithItsOffset) {
  for (const char* json :
       {"", "{", "{\"mutations\":[", "{\"mutations\":[]} x", "{\"mutations\":[{\"put\":\"\xff\"}]}",
        "{\"mutations\":[{\"put\":\"\\ud800\"}]}", "{\"mutations\":[],}", "{\"mutations\":[]}}",
        "{mutations:[]}", "{\"mutations\":[{\"put\":\"a\" \"value\":\"\"}]}", "{\"atomic\":tru}"}) {
    EXPECT_EQ(Error(json).substr(0, 8), "the body") << json;
  }
  // Cut anywhere it is an error, and no more than that.
  const std::string whole = R"({"mutations":[{"put":"a","value":{"base64":"AAEC"},"ttl_ms":12}],)"
                            R"("if":[{"unchanged":"\u00e9","etag":"\"1\""}],"atomic":true})";
  Parse(whole);
  for (size_t cut = 0; cut < whole.size(); ++cut) Error(whole.substr(0, cut));
}

}  // namespace
}  // namespace kvarts
