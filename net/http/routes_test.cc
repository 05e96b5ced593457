#include "net/http/routes.h"

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/http/handlers.h"
#include "net/http/message.h"
#include "net/http/output_queue.h"
#include "testing/model/model_store.h"

namespace kvarts {
namespace {

HttpMatch Match(absl::string_view method, absl::string_view target) {
  HttpMatch match;
  MatchRoute(HttpRoutes(), method, target, &match);
  return match;
}

TEST(MatchRouteTest, TheKeyIsAllOfTheRestDecoded) {
  EXPECT_EQ(Match("GET", "/v1/kv/abc").parameter, "abc");
  EXPECT_EQ(Match("GET", "/v1/kv/a%20b%2Fc+%25").parameter, "a b/c+%");
  EXPECT_EQ(Match("GET", "/v1/kv/a/b/").parameter, "a/b/");
  EXPECT_EQ(Match("GET", "/v1/kv/%00%ff").parameter, std::string("\0\xff", 2));
  EXPECT_EQ(Match("HEAD", "/v1/kv/abc?#y").parameter, "abc");
  EXPECT_EQ(Match("GET", "http://host:1/v1/kv/abc").parameter, "abc");
}

TEST(MatchRouteTest, UnknownPathsAre404) {
  for (const char* target :
       {"/v1/kv", "/v1", "/livez/", "/LIVEZ", "/nothing", "//", "/index.html"}) {
    const HttpMatch match = Match("GET", target);
    EXPECT_EQ(match.route, nullptr) << target;
    ASSERT_TRUE(match.error.has_value());
    EXPECT_EQ(match.error->status, 404) << target;
    EXPECT_EQ(match.error->body,
              "{\"error\":\"there is no such path; /docs lists those there "
              "are\",\"code\":\"no_such_path\"}\n");
  }
}

TEST(MatchRouteTest, TheRootIsThePathOfAHostAlone) {
  for (const char* target : {"/", "/?a=b", "http://host", "http://host?a=b", "HTTPS://host/"}) {
    ASSERT_NE(Match("GET", target).route, nullptr) << target;
    EXPECT_EQ(Match("GET", target).route->path, absl::string_view("/"));
  }
}

TEST(MatchRouteTest, OtherMethodsAre405WithAllow) {
  for (const char* method : {"POST", "PATCH", "OPTIONS", "get", "X"}) {
    const HttpMatch match = Match(method, "/v1/kv/a");
    EXPECT_EQ(match.route, nullptr);
    EXPECT_EQ(match.error->status, 405);
    EXPECT_EQ(match.error->fields, "Allow: GET, HEAD, PUT, DELETE\r\n");
  }
  EXPECT_EQ(Match("GET", "/v1/batch/get").error->fields, "Allow: POST\r\n");
  EXPECT_EQ(AllowedMethods(HttpRoutes(), "/v1/kv/{key}", /*reads_only=*/true), "GET, HEAD");
}

TEST(MatchRouteTest, TheQueryIsDecodedAndHeldAgainstTheRoute) {
  const HttpMatch match = Match("GET", "/v1/scan?prefix=a%26b=c&limit=7&start=");
  ASSERT_NE(match.route, nullptr);
  using Query = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(match.query, (Query{{"prefix", "a&b=c"}, {"limit", "7"}, {"start", ""}}));
  EXPECT_EQ(Match("GET", "/v1/scan?limti=7").error->body,
            "{\"error\":\"the query has \\\"limti\\\"; known here: prefix, start, end, gt, lte, "
            "limit, max_bytes, cursor, keys_only, backward, etags, format, bytes, "
            "snapshot, key_encoding\",\"code\":\"bad_request\"}\n");
  EXPECT_EQ(Match("GET", "/v1/stats?x").error->status, 400);
  EXPECT_EQ(Match("GET", "/v1/scan?limit=1&limit=1").error->status, 400);
  EXPECT_EQ(Match("GET", "/v1/scan?limit=%1").error->status, 400);
  // Pages do not mind.
  EXPECT_NE(Match("GET", "/docs?utm=1").route, nullptr);
}

// Form encoders write a space so; in a path it is no more than a plus.
TEST(MatchRouteTest, APlusIsASpaceInTheQueryAlone) {
  using Query = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(Match("GET", "/v1/scan?prefix=a+b&start=a%2Bb&end=%20+").query,
            (Query{{"prefix", "a b"}, {"start", "a+b"}, {"end", "  "}}));
  EXPECT_EQ(Match("GET", "/v1/kv/a+b?key_encoding=percent").parameter, "a+b");
  EXPECT_EQ(Match("GET", "/v1/scan?key+encoding=base64").error->status, 400);
}

// Clients make "/v1/kv/" of "/v1/kv/." and "/v1/kv/a/..".
TEST(MatchRouteTest, TheEmptyKeyIsSaidInBase64) {
  for (const char* method : {"GET", "HEAD", "PUT", "DELETE"}) {
    for (const char* target : {"/v1/kv/", "/v1/kv/?key_encoding=percent", "/v1/kv/?"}) {
      const HttpMatch match = Match(method, target);
      EXPECT_EQ(match.route, nullptr) << method << target;
      ASSERT_TRUE(match.error.has_value());
      EXPECT_EQ(match.error->status, 400);
      EXPECT_EQ(
          match.error->body,
          "{\"error\":\"the key is empty: the empty key needs ?key_encoding=base64, and so do "
          "the keys \\\".\\\" and \\\"..\\\", which clients take out of a "
          "path\",\"code\":\"bad_request\"}\n");
    }
    const HttpMatch match = Match(method, "/v1/kv/?key_encoding=base64");
    ASSERT_NE(match.route, nullptr) << method;
    EXPECT_EQ(match.parameter, "");
    EXPECT_EQ(Match(method, "/v1/kv/Lg?key_encoding=base64").parameter, ".");
    EXPECT_EQ(Match(method, "/v1/kv/.").parameter, ".");
  }
}

TEST(MatchRouteTest, KeysMayBeBase64InEitherAlphabet) {
  for (const char* key : {"%2F%2B%3D%3D", "_-==", "_-", "/%2b"}) {
    const HttpMatch match = Match("GET", absl::StrCat("/v1/kv/", key, "?key_encoding=base64"));
    ASSERT_NE(match.route, nullptr) << key;
    EXPECT_EQ(match.parameter, "\xff") << key;
  }
  EXPECT_EQ(Match("GET", "/v1/kv/a*?key_encoding=base64").error->status, 400);
  EXPECT_EQ(Match("GET", "/v1/kv/YW%20Jj?key_encoding=base64").error->status, 400);
  EXPECT_EQ(Match("GET", "/v1/kv/YQ==?key_encoding=hex").error->status, 400);
  EXPECT_EQ(Match("GET", "/v1/kv/YQ==?key_encoding=percent").parameter, "YQ==");
}

TEST(MatchRouteTest, BadTargetsAndKeysAreRefused) {
  EXPECT_EQ(Match("GET", "*").error->status, 400);
  EXPECT_EQ(Match("GET", "livez").error->status, 400);
  EXPECT_EQ(Match("GET", "/v1/kv/%zz").error->status, 400);
  EXPECT_EQ(Match("GET", "/v1/kv/%zz").route, nullptr);
  EXPECT_EQ(Match("GET", absl::StrCat("/v1/kv/", std::string(kMaxKeyBytes, 'k'))).parameter.size(),
            kMaxKeyBytes);
  EXPECT_EQ(Match("GET", absl::StrCat("/v1/kv/", std::string(kMaxKeyBytes + 1, 'k'))).error->status,
            414);
}

TEST(MatchRouteTest, EveryRouteIsDescribedAndFoundByItsOwnPath) {
  std::set<std::string> seen;
  std::set<std::string> ids;
  for (const HttpRoute& route : HttpRoutes()) {
    EXPECT_NE(route.handle, nullptr) << route.path;
    EXPECT_TRUE(seen.insert(absl::StrCat(route.method, " ", route.path)).second);
    EXPECT_TRUE(ids.insert(route.id).second) << route.id;
    EXPECT_EQ(Match(route.method, route.path).route, &route) << route.path;
  }
}

TEST(StoreErrorTest, CodesHaveTheirStatus) {
  EXPECT_EQ(StoreError(absl::InvalidArgumentError("x")).status, 400);
  EXPECT_EQ(StoreError(absl::DataLossError("x")).status, 503);
  EXPECT_EQ(StoreError(absl::UnimplementedError("x")).status, 501);
  EXPECT_EQ(StoreError(absl::DeadlineExceededError("x")).status, 504);
  EXPECT_EQ(StoreError(absl::ResourceExhaustedError("x")).status, 507);
  EXPECT_EQ(StoreError(absl::UnavailableError("x")).status, 503);
  EXPECT_EQ(StoreError(absl::FailedPreconditionError("x")).body,
            "{\"error\":\"x\",\"code\":\"unavailable\"}\n");
}

TEST(JsonQuoteTest, AnyBytesGiveAnAsciiString) {
  EXPECT_EQ(JsonQuote("a\"b\\c\n\x7f\xff"), "\"a\\\"b\\\\c\\u000a\\u007f\\u00ff\"");
}

std::string Head(const HttpResponse& response, bool close = false, bool http_1_0 = false) {
  std::string out;
  AppendHttpHead(response, {"D", close, http_1_0}, &out);
  return out;
}

TEST(HttpHeadTest, HasWhatAResponseNeeds) {
  HttpResponse response;
  response.body = "abc";
  EXPECT_EQ(Head(response),
            "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Type: text/plain; charset=utf-8\r\n"
            "Content-Length: 3\r\n\r\n");
  EXPECT_NE(Head(response, true, true).find("\r\nConnection: close\r\n"), std::string::npos);
  EXPECT_NE(Head(response, false, true).find("\r\nConnection: keep-alive\r\n"), std::string::npos);
  response.status = 304;
  response.AddField("ETag", "\"x\"");
  EXPECT_EQ(Head(response), "HTTP/1.1 304 Not Modified\r\nDate: D\r\nETag: \"x\"\r\n\r\n");
}

TEST(HttpHeadTest, AStoredContentTypeCannotAddFields) {
  HttpResponse response;
  response.content_type = "text/plain\r\nX: y";
  response.AddField("Good", "1");
  response.AddField("Bad", "1\r\nZ: 2");
  EXPECT_EQ(Head(response),
            "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Type: application/octet-stream\r\n"
            "Content-Length: 0\r\nGood: 1\r\n\r\n");
}

std::string Joined(OutputQueue* queue, size_t limit) {
  std::string all;
  size_t size = 0;
  for (const absl::string_view piece : queue->Front(limit, &size)) absl::StrAppend(&all, piece);
  EXPECT_EQ(all.size(), size);
  return all;
}

TEST(OutputQueueTest, TextAndLentBytesComeInOrderWhateverTheLimit) {
  for (size_t limit = 1; limit < 30; ++limit) {
    const auto pin = std::make_shared<std::string>("lent bytes");
    OutputQueue queue;
    queue.Append("head ");
    ReadResults owner;
    owner.bytes().AddPin(pin);
    queue.AppendLent(*pin, std::move(owner));
    queue.Append(" tail");
    std::string written;
    while (!queue.empty()) {
      const std::string part = Joined(&queue, limit);
      ASSERT_LE(part.size(), limit);
      ASSERT_FALSE(part.empty());
      written += part;
      queue.Consume(part.size());
      // Lent bytes are held while some of them are to be written, no longer.
      EXPECT_EQ(pin.use_count() > 1, written.size() < 15) << written;
    }
    EXPECT_EQ(written, "head lent bytes tail");
  }
}

TEST(OutputQueueTest, BytesBeingWrittenStayWhereTheyAre) {
  OutputQueue queue;
  queue.Append("first");
  size_t size = 0;
  const auto pieces = queue.Front(100, &size);
  for (int i = 0; i < 1000; ++i) queue.Append("more");
  queue.AppendLent("x", ReadResults());
  EXPECT_EQ(pieces[0], "first");
  EXPECT_EQ(queue.size(), 4006u);
  queue.Consume(5);
  EXPECT_EQ(Joined(&queue, 6), "moremo");
  EXPECT_EQ(queue.size(), 4001u);
}

TEST(OutputQueueTest, ManyPiecesAreWrittenInTurns) {
  OutputQueue queue;
  const auto pin = std::make_shared<std::string>("x");
  for (int i = 0; i < 200; ++i) {
    ReadResults owner;
    owner.bytes().AddPin(pin);
    queue.AppendLent(*pin, std::move(owner));
  }
  size_t written = 0;
  while (!queue.empty()) {
    const std::string part = Joined(&queue, 1000);
    ASSERT_FALSE(part.empty());
    written += part.size();
    queue.Consume(part.size());
  }
  EXPECT_EQ(written, 200u);
  EXPECT_EQ(pin.use_count(), 1);
}

TEST(GetKeyTest, LargeValuesAreLentAndSmallOnesCopied) {
  ModelStoreOptions options;
  options.records = {{"small", "s"}, {"large", std::string(1 << 20, 'l')}, {"empty", ""}};
  const std::unique_ptr<Store> store = NewModelStore(std::move(options));
  HttpContext context;
  context.store = store.get();
  for (const char* key : {"small", "large", "empty"}) {
    HttpMatch match = Match("GET", absl::StrCat("/v1/kv/", key));
    ASSERT_NE(match.route, nullptr);
    HttpCall call;
    call.parameter = match.parameter;
    match.route->handle(context, absl::MakeSpan(&call, 1));
    EXPECT_EQ(call.response.status, 200);
    EXPECT_EQ(call.response.has_lent, absl::string_view(key) == "large");
    EXPECT_EQ(call.response.body_size(), absl::string_view(key) == "large"   ? 1u << 20
                                         : absl::string_view(key) == "small" ? 1u
                                                                             : 0u);
  }
}

}  // namespace
}  // namespace kvarts
