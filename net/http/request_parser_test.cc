#include "net/http/request_parser.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

using Step = HttpRequestParser::Step;

// What came out of a stream of requests, given `chunk` bytes at a time.
struct Outcome {
  std::vector<HttpRequest> requests;
  int status = 0;
  std::string message;
};

Outcome ParseAll(absl::string_view stream, size_t chunk = 1 << 20, const HttpLimits& limits = {}) {
  HttpRequestParser parser(limits);
  Outcome outcome;
  std::string input;
  size_t given = 0;
  while (true) {
    size_t used = 0;
    const Step step = parser.Parse(input, &used);
    EXPECT_LE(used, input.size());
    input.erase(0, used);
    switch (step) {
      case Step::kNeedMore:
        if (given == stream.size()) return outcome;
        absl::StrAppend(&input, stream.substr(given, chunk));
        given = std::min(stream.size(), given + chunk);
        break;
      case Step::kHead:
        parser.SetBodyLimit(1000);
        break;
      case Step::kDone:
        outcome.requests.push_back(parser.request());
        parser.Reset();
        break;
      case Step::kError:
        outcome.status = parser.status();
        outcome.message = parser.message();
        return outcome;
    }
  }
}

TEST(HttpRequestParserTest, PipelinedRequestsComeOneByOneHoweverTheyAreCut) {
  const std::string stream =
      "GET /a?b=c HTTP/1.1\r\nHost: x\r\nAccept:  text/plain \r\n\r\n"
      "\r\n"
      "PUT /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab\r\nc"
      "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n"
      "HEAD /d HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
      "GET /e HTTP/1.0\r\n\r\n"
      "GET /f HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  for (size_t chunk = 1; chunk <= stream.size(); ++chunk) {
    const Outcome outcome = ParseAll(stream, chunk);
    ASSERT_EQ(outcome.status, 0) << outcome.message << " cut at " << chunk;
    ASSERT_EQ(outcome.requests.size(), 6u) << "cut at " << chunk;
    const auto& r = outcome.requests;
    EXPECT_EQ(r[0].method, "GET");
    EXPECT_EQ(r[0].target, "/a?b=c");
    ASSERT_NE(r[0].Find("accept"), nullptr);
    EXPECT_EQ(*r[0].Find("accept"), "text/plain");
    EXPECT_EQ(r[0].Find("none"), nullptr);
    EXPECT_TRUE(r[0].keep_alive);
    EXPECT_EQ(r[1].body, "ab\r\nc");
    EXPECT_EQ(r[2].body, "abcde");
    EXPECT_EQ(r[2].Find("Trailer"), nullptr);
    EXPECT_TRUE(r[3].http_1_0);
    EXPECT_TRUE(r[3].keep_alive);
    EXPECT_FALSE(r[4].keep_alive);
    EXPECT_FALSE(r[5].keep_alive);
  }
}

TEST(HttpRequestParserTest, AnEmptyChunkedBodyMayBeCutAnywhere) {
  const std::string stream =
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
  for (size_t chunk = 1; chunk <= stream.size(); ++chunk) {
    const Outcome outcome = ParseAll(absl::StrCat(stream, stream), chunk);
    EXPECT_EQ(outcome.status, 0) << outcome.message;
    EXPECT_EQ(outcome.requests.size(), 2u);
  }
}

// RFC 9112, section 9.3: "close" wins, on whichever line it is.
TEST(HttpRequestParserTest, ConnectionOptionsOfAllLinesCount) {
  for (const char* fields :
       {"Connection: close\r\nConnection: keep-alive\r\n",
        "Connection: keep-alive\r\nConnection: close\r\n", "Connection: keep-alive, Close\r\n"}) {
    for (const char* version : {"1.0", "1.1"}) {
      const Outcome outcome =
          ParseAll(absl::StrCat("GET / HTTP/", version, "\r\nHost: x\r\n", fields, "\r\n"));
      ASSERT_EQ(outcome.requests.size(), 1u) << fields;
      EXPECT_FALSE(outcome.requests[0].keep_alive) << version << fields;
    }
  }
  const Outcome kept =
      ParseAll("GET / HTTP/1.0\r\nConnection: te\r\nConnection: keep-alive\r\n\r\n");
  ASSERT_EQ(kept.requests.size(), 1u);
  EXPECT_TRUE(kept.requests[0].keep_alive);
}

TEST(HttpRequestParserTest, WhatIsNoHttpIs400) {
  for (const absl::string_view stream : {
           absl::string_view("\x16\x03\x01\x02"),  // the start of TLS
           absl::string_view("*1\r\n$4\r\nPING\r\n"),
           absl::string_view("GARBAGE\n\n"),
           absl::string_view("GET  / HTTP/1.1\r\n\r\n"),
           absl::string_view("GET / HTTP/1.1\nHost: x\n\n"),
           absl::string_view("GET /\x01 HTTP/1.1\r\n\r\n"),
           absl::string_view("GET / HTTP/1.1\r\nHost : x\r\n\r\n"),
           absl::string_view("GET / HTTP/1.1\r\n: x\r\n\r\n"),
           absl::string_view("GET / HTTP/1.1\r\nHost: a\x01\r\n\r\n"),
           absl::string_view("\r\n\r\n\r\n\r\n\r\n"),
           absl::string_view("GET / FTP/1.1\r\n\r\n"),
       }) {
    const Outcome outcome = ParseAll(stream);
    EXPECT_TRUE(outcome.status == 400 || outcome.status == 505) << outcome.status << stream;
    EXPECT_TRUE(outcome.requests.empty());
  }
}

TEST(HttpRequestParserTest, LinesThatEndInABareNewlineAreToldSo) {
  for (const absl::string_view stream : {"GET /livez HTTP/1.0\n\n", "GET / HTTP/1.1\nHost: x\n\n",
                                         "GET / HTTP/1.1\nHost: x\r\n\r\n"}) {
    const Outcome outcome = ParseAll(stream);
    EXPECT_EQ(outcome.status, 400) << stream;
    EXPECT_EQ(outcome.message, "expected a carriage return before the newline of each line");
  }
}

TEST(HttpRequestParserTest, AHostIsANameOrAddressAndAPort) {
  for (const absl::string_view host :
       {"", "a", "a.b:80", "127.0.0.1:7780", "[::1]:7780", "a_b-c.d", "%41", "x:"}) {
    EXPECT_EQ(ParseAll(absl::StrCat("GET / HTTP/1.1\r\nHost: ", host, "\r\n\r\n")).status, 0)
        << host;
  }
  for (const absl::string_view host :
       {"a b", "a/b", "a@b", "a\tb", "\"a\"", "a\xc3\xa9", "a?b", "a#b"}) {
    const Outcome outcome = ParseAll(absl::StrCat("GET / HTTP/1.1\r\nHost: ", host, "\r\n\r\n"));
    EXPECT_EQ(outcome.status, 400) << host;
    EXPECT_TRUE(outcome.requests.empty());
  }
}

TEST(HttpRequestParserTest, OtherVersionsAre505) {
  EXPECT_EQ(ParseAll("GET / HTTP/2.0\r\n\r\n").status, 505);
  EXPECT_EQ(ParseAll("GET / HTTP/0.9\r\n\r\n").status, 505);
}

TEST(HttpRequestParserTest, WhatRequestsAreSmuggledWithIsRefused) {
  const struct {
    const char* head;
    int status;
  } cases[] = {
      {"GET / HTTP/1.1\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1x\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n", 501},
      {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n", 501},
      {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n", 501},
      {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n", 501},
      {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n", 501},
      {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
       501},
      {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
       501},
      {"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", 400},
  };
  for (const auto& c : cases) {
    const Outcome outcome = ParseAll(absl::StrCat(c.head, "\r\n"));
    EXPECT_EQ(outcome.status, c.status) << c.head << outcome.message;
    EXPECT_TRUE(outcome.requests.empty()) << c.head;
  }
}

TEST(HttpRequestParserTest, LimitsHoldHoweverTheBytesAreCut) {
  HttpLimits limits;
  limits.target = 100;
  limits.fields = 200;
  limits.field_count = 5;
  const std::string good = absl::StrCat("GET /", std::string(99, 'a'), " HTTP/1.1\r\nHost: x\r\n");
  const std::string long_value(300, 'v');
  const std::string endless(100'000, 'a');
  const struct {
    std::string stream;
    int status;
  } cases[] = {
      {absl::StrCat(good, "\r\n"), 0},
      {absl::StrCat("GET /", std::string(130, 'a'), " HTTP/1.1\r\nHost: x\r\n\r\n"), 414},
      {absl::StrCat("GET /", endless), 414},
      {absl::StrCat(good, "A: ", long_value, "\r\n\r\n"), 431},
      {absl::StrCat(good, "A: ", endless), 431},
      {absl::StrCat(good, "A: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\n\r\n"), 0},
      {absl::StrCat(good, "A: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\nE: 1\r\n\r\n"), 431},
      {absl::StrCat(good, "Content-Length: 1000\r\n\r\n", std::string(1000, 'b')), 0},
      {absl::StrCat(good, "Content-Length: 1001\r\n\r\n", std::string(1001, 'b')), 413},
      {absl::StrCat(good, "Transfer-Encoding: chunked\r\n\r\n3e9\r\n", std::string(1001, 'b'),
                    "\r\n0\r\n\r\n"),
       413},
      {absl::StrCat(good, "Transfer-Encoding: chunked\r\n\r\n1;", endless), 431},
      {absl::StrCat(good, "Transfer-Encoding: chunked\r\n\r\n0\r\nT: ", endless), 431},
      {absl::StrCat(good, "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n"), 400},
  };
  for (const auto& c : cases) {
    for (const size_t chunk : {1, 7, 4096, 1 << 20}) {
      const Outcome outcome = ParseAll(c.stream, chunk, limits);
      EXPECT_EQ(outcome.status, c.status)
          << c.stream.substr(0, 300) << " cut at " << chunk << ": " << outcome.message;
      EXPECT_EQ(outcome.requests.size(), c.status == 0 ? 1u : 0u);
    }
  }
}

TEST(HttpRequestParserTest, ADeclaredLengthTakesNoMemory) {
  HttpRequestParser parser;
  size_t used = 0;
  const std::string head = "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000000000\r\n\r\n";
  ASSERT_EQ(parser.Parse(head, &used), Step::kHead);
  EXPECT_EQ(used, head.size());
  EXPECT_TRUE(parser.has_body());
  parser.SetBodyLimit(1000);
  EXPECT_TRUE(parser.body_too_large());
  parser.SetBodyLimit(uint64_t{1} << 60);
  EXPECT_FALSE(parser.body_too_large());
  ASSERT_EQ(parser.Parse("abc", &used), Step::kNeedMore);
  EXPECT_EQ(used, 3u);
  EXPECT_LT(parser.request().body.capacity(), 100u);
}

TEST(HttpRequestParserTest, BegunIsTrueFromTheFirstByteOn) {
  HttpRequestParser parser;
  size_t used = 0;
  EXPECT_EQ(parser.Parse("\r\n", &used), Step::kNeedMore);
  EXPECT_EQ(used, 2u);
  EXPECT_FALSE(parser.begun());
  EXPECT_EQ(parser.Parse("G", &used), Step::kNeedMore);
  EXPECT_TRUE(parser.begun());
  parser.Reset();
  EXPECT_FALSE(parser.begun());
}

}  // namespace
}  // namespace kvarts
