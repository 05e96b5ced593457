#include "net/http/routes.h"

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/http/message.h"
#include "net/http/output_queue.h"
#include "testing/model/model_store.h"

namespace kvarts {
namespace {

HttpMatch Match(absl::string_view method, absl::string_view target) {
  return MatchRoute(HttpRoutes(), method, target);
}

TEST(MatchRouteTest, TheKeyIsAllOfTheRestDecoded) {
  EXPECT_EQ(Match("GET", "/v1/kv/abc").parameter, "abc");
  EXPECT_EQ(Match("GET", "/v1/kv/a%20b%2Fc+%25").parameter, "a b/c+%");
  EXPECT_EQ(Match("GET", "/v1/kv/a/b/").parameter, "a/b/");
  EXPECT_EQ(Match("GET", "/v1/kv/%00%ff").parameter, std::string("\0\xff", 2));
  EXPECT_EQ(Match("GET", "/v1/kv/").parameter, "");
  EXPECT_NE(Match("GET", "/v1/kv/").route, nullptr);
  EXPECT_EQ(Match("HEAD", "/v1/kv/abc?x=1#y").parameter, "abc");
  EXPECT_EQ(Match("GET", "http://host:1/v1/kv/abc").parameter, "abc");
}

TEST(MatchRouteTest, UnknownPathsAre404AndListTheKnown) {
  for (const char* target :
       {"/", "/v1/kv", "/v1", "/livez/", "/LIVEZ", "/nothing", "http://host"}) {
    const HttpMatch match = Match("GET", target);
    EXPECT_EQ(match.route, nullptr) << target;
    EXPECT_EQ(match.error.status, 404) << target;
    EXPECT_EQ(match.error.body,
              "{\"error\":\"there is no such path; known are /v1/kv/{key}, /livez, /readyz\"}\n");
  }
}

TEST(MatchRouteTest, OtherMethodsAre405WithAllow) {
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "get", "X"}) {
    const HttpMatch match = Match(method, "/v1/kv/a");
    EXPECT_EQ(match.route, nullptr);
    EXPECT_EQ(match.error.status, 405);
    ASSERT_EQ(match.error.fields.size(), 1u);
    EXPECT_EQ(match.error.fields[0].first, "Allow");
    EXPECT_EQ(match.error.fields[0].second, "GET, HEAD");
  }
}

TEST(MatchRouteTest, BadTargetsAndKeysAreRefused) {
  EXPECT_EQ(Match("GET", "*").error.status, 400);
  EXPECT_EQ(Match("GET", "livez").error.status, 400);
  EXPECT_EQ(Match("GET", "/v1/kv/%zz").error.status, 400);
  EXPECT_EQ(Match("GET", "/v1/kv/%zz").route, nullptr);
  EXPECT_EQ(Match("GET", absl::StrCat("/v1/kv/", std::string(kMaxKeyBytes, 'k'))).parameter.size(),
            kMaxKeyBytes);
  EXPECT_EQ(Match("GET", absl::StrCat("/v1/kv/", std::string(kMaxKeyBytes + 1, 'k'))).error.status,
            414);
}

TEST(MatchRouteTest, EveryRouteIsDescribedAndFoundByItsOwnPath) {
  std::set<std::string> seen;
  for (const HttpRoute& route : HttpRoutes()) {
    EXPECT_TRUE(seen.insert(absl::StrCat(route.method, " ", route.path)).second);
    EXPECT_EQ(Match(route.method, route.path).route, &route) << route.path;
    EXPECT_NE(absl::string_view(route.summary), "");
  }
}

TEST(StoreErrorTest, CodesHaveTheirStatus) {
  EXPECT_EQ(StoreError(absl::InvalidArgumentError("x")).status, 400);
  EXPECT_EQ(StoreError(absl::DataLossError("x")).status, 503);
  EXPECT_EQ(StoreError(absl::UnimplementedError("x")).status, 501);
  EXPECT_EQ(StoreError(absl::DeadlineExceededError("x")).status, 504);
  EXPECT_EQ(StoreError(absl::UnavailableError("x")).status, 503);
  EXPECT_EQ(StoreError(absl::FailedPreconditionError("x")).body, "{\"error\":\"x\"}\n");
}

TEST(JsonQuoteTest, AnyBytesGiveAnAsciiString) {
  EXPECT_EQ(JsonQuote("a\"b\\c\n\x7f\xff"), "\"a\\\"b\\\\c\\u000a\\u007f\\u00ff\"");
}

TEST(HttpHeadTest, HasWhatAResponseNeeds) {
  HttpResponse response;
  response.body = "abc";
  EXPECT_EQ(HttpHead(response, "D", false, false),
            "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Type: text/plain; charset=utf-8\r\n"
            "Content-Length: 3\r\n\r\n");
  EXPECT_NE(HttpHead(response, "D", true, true).find("\r\nConnection: close\r\n"),
            std::string::npos);
  EXPECT_NE(HttpHead(response, "D", false, true).find("\r\nConnection: keep-alive\r\n"),
            std::string::npos);
}

TEST(HttpHeadTest, AStoredContentTypeCannotAddFields) {
  HttpResponse response;
  response.content_type = "text/plain\r\nX: y";
  response.fields = {{"Good", "1"}, {"Bad", "1\r\nZ: 2"}};
  EXPECT_EQ(HttpHead(response, "D", false, false),
            "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Type: application/octet-stream\r\n"
            "Content-Length: 0\r\nGood: 1\r\n\r\n");
}

std::string Joined(OutputQueue* queue, size_t limit) {
  std::string all;
  for (const absl::string_view piece : queue->Front(limit)) absl::StrAppend(&all, piece);
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
  const auto pieces = queue.Front(100);
  for (int i = 0; i < 1000; ++i) queue.Append("more");
  EXPECT_EQ(pieces[0], "first");
  queue.Consume(5);
  EXPECT_EQ(Joined(&queue, 6), "moremo");
  EXPECT_EQ(queue.size(), 4000u);
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
  const HttpContext context = {store.get()};
  for (const char* key : {"small", "large", "empty"}) {
    HttpMatch match = Match("GET", absl::StrCat("/v1/kv/", key));
    ASSERT_NE(match.route, nullptr);
    HttpCall call;
    call.parameter = match.parameter;
    match.route->handle(context, &call);
    EXPECT_EQ(call.response.status, 200);
    EXPECT_EQ(call.response.has_lent, absl::string_view(key) == "large");
    EXPECT_EQ(call.response.body_size(), absl::string_view(key) == "large"   ? 1u << 20
                                         : absl::string_view(key) == "small" ? 1u
                                                                             : 0u);
  }
}

}  // namespace
}  // namespace kvarts
