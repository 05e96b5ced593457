#include "net/resp/parser.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace resp {
namespace {

using testing::ElementsAre;
using Result = RequestParser::Result;
using Request = std::vector<std::string>;

// What a parser makes of bytes: its requests and, at the end, an error.
struct Parsed {
  std::vector<Request> requests;
  std::string error;
  bool begun = false;

  friend bool operator==(const Parsed& a, const Parsed& b) {
    return a.requests == b.requests && a.error == b.error && a.begun == b.begun;
  }
};

void Take(RequestParser* parser, Parsed* parsed) {
  while (true) {
    const Result result = parser->Next();
    if (result == Result::kError) parsed->error = parser->error();
    if (result != Result::kRequest) break;
    ASSERT_FALSE(parser->args().empty());
    parsed->requests.emplace_back(parser->args().begin(), parser->args().end());
  }
  parsed->begun = parsed->error.empty() && parser->begun();
}

// Feeds at most `step` bytes at once.
Parsed Parse(absl::string_view bytes, const RequestLimits& limits = {}, size_t step = SIZE_MAX) {
  RequestParser parser;
  parser.SetLimits(limits);
  Parsed parsed;
  while (!bytes.empty() && parsed.error.empty()) {
    const absl::Span<char> space = parser.Space();
    const size_t n = std::min({space.size(), bytes.size(), step});
    std::copy_n(bytes.begin(), n, space.begin());
    bytes.remove_prefix(n);
    parser.Filled(n);
    Take(&parser, &parsed);
  }
  return parsed;
}

std::string Error(absl::string_view bytes, const RequestLimits& limits = {}) {
  const Parsed parsed = Parse(bytes, limits);
  return parsed.error.empty() ? "no error" : parsed.error;
}

std::string Multibulk(const Request& args) {
  std::string bytes = absl::StrCat("*", args.size(), "\r\n");
  for (const std::string& arg : args) absl::StrAppend(&bytes, "$", arg.size(), "\r\n", arg, "\r\n");
  return bytes;
}

TEST(RequestParserTest, ArraysOfBulkStringsAreRequests) {
  const Parsed parsed = Parse("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPING\r\n");
  EXPECT_THAT(parsed.requests, ElementsAre(Request{"GET", "k"}, Request{"PING"}));
  EXPECT_FALSE(parsed.begun);
}

TEST(RequestParserTest, ArgumentsHoldAnyBytes) {
  const Request request = {"SET", std::string("\0\r\n$*\xff", 6), "", "*1\r\n$4\r\nPING\r\n"};
  EXPECT_THAT(Parse(Multibulk(request) + Multibulk({"x"})).requests,
              ElementsAre(request, Request{"x"}));
}

TEST(RequestParserTest, EmptyArraysAndBlankLinesAreNoRequests) {
  EXPECT_THAT(Parse("\r\n\n  \r\n*0\r\n*-1\r\n*-7\r\nPING\r\n").requests,
              ElementsAre(Request{"PING"}));
}

TEST(RequestParserTest, InlineRequestsAreWords) {
  EXPECT_THAT(Parse("PING\r\n").requests, ElementsAre(Request{"PING"}));
  EXPECT_THAT(Parse("  GET \t key  \r\nQUIT\n").requests,
              ElementsAre(Request{"GET", "key"}, Request{"QUIT"}));
  // A carriage return inside ends a word; vertical tabs do not.
  EXPECT_THAT(Parse("a\rb\vc\r\n").requests, ElementsAre(Request{"a", "b\vc"}));
}

TEST(RequestParserTest, InlineWordsMayBeQuoted) {
  EXPECT_THAT(Parse("SET \"a b\" 'c d'\r\n").requests, ElementsAre(Request{"SET", "a b", "c d"}));
  EXPECT_THAT(Parse("\"\" ''\r\n").requests, ElementsAre(Request{"", ""}));
  EXPECT_THAT(Parse(R"("\x41\xfF\xzz\n\r\t\b\a\"\\\q" x)"
                    "\n")
                  .requests,
              ElementsAre(Request{"A\xffxzz\n\r\t\b\a\"\\q", "x"}));
  EXPECT_THAT(Parse(R"('a\'b\n\x41' pre"fix")"
                    "\n")
                  .requests,
              ElementsAre(Request{R"(a'b\n\x41)", "prefix"}));
}

TEST(RequestParserTest, UnbalancedQuotesAreAnError) {
  for (const char* line : {"\"a\n", "'a\n", "\"a\"b\n", "'a'b c\n", "a\"b\n", "\"a\\\"\n", "\"\\\n",
                           "'\\'\n", "\"a\"\"b\"\n"}) {
    EXPECT_EQ(Error(line), "Protocol error: unbalanced quotes in request") << line;
  }
}

TEST(RequestParserTest, WhatIsNoRequestIsSaidInTheWordsClientsKnow) {
  EXPECT_EQ(Error("*1\r\nGET\r\n"), "Protocol error: expected '$', got 'G'");
  EXPECT_EQ(Error("*x\r\n"), "Protocol error: invalid multibulk length");
  EXPECT_EQ(Error("*\r\n"), "Protocol error: invalid multibulk length");
  EXPECT_EQ(Error("*01\r\n"), "Protocol error: invalid multibulk length");
  EXPECT_EQ(Error("*+1\r\n"), "Protocol error: invalid multibulk length");
  EXPECT_EQ(Error("*1 \r\n"), "Protocol error: invalid multibulk length");
  EXPECT_EQ(Error("*1048577\r\n"), "Protocol error: invalid multibulk length");
  EXPECT_EQ(Error("*99999999999999999999\r\n"), "Protocol error: invalid multibulk length");
  EXPECT_EQ(Error("*1\r\n$-1\r\n"), "Protocol error: invalid bulk length");
  EXPECT_EQ(Error("*1\r\n$\r\n"), "Protocol error: invalid bulk length");
  EXPECT_EQ(Error("*1\r\n$1x\r\n"), "Protocol error: invalid bulk length");
  EXPECT_EQ(Error("*1\r\n$67108865\r\n"), "Protocol error: invalid bulk length");
  EXPECT_EQ(Error("*1\r\n\r\n"), "Protocol error: expected '$', got '\r'");
  const std::string line((64 << 10) + 1, 'x');
  EXPECT_EQ(Error(line), "Protocol error: too big inline request");
  EXPECT_EQ(Error(line + "\n"), "Protocol error: too big inline request");
  EXPECT_EQ(Error("*" + line), "Protocol error: too big mbulk count string");
  EXPECT_EQ(Error("*1\r\n$" + line), "Protocol error: too big bulk count string");
  EXPECT_EQ(Error("*1\r\n" + line), "Protocol error: too big bulk count string");
}

TEST(RequestParserTest, WhatIsWrongIsSaidOnceItsLineIsWhole) {
  for (const char* part : {"*x", "*x\r", "*1\r\nGET", "*1\r\nGET\r", "*1\r\n\r", "*1\r\n$x\r"}) {
    EXPECT_EQ(Error(part), "no error") << part;
    EXPECT_NE(Error(absl::StrCat(part, "\r\n")), "no error") << part;
  }
}

TEST(RequestParserTest, TlsIsNotWaitedForAsALine) {
  const std::string hello("\x16\x03\x01\x02\x00", 5);
  const std::string want = "Protocol error: TLS, which is not spoken at this port";
  EXPECT_EQ(Error(hello), want);
  EXPECT_EQ(Parse(hello, {}, 1).error, want);
  EXPECT_EQ(Error(Multibulk({"PING"}) + hello), want);
  EXPECT_THAT(Parse("\x16 a\n").requests, ElementsAre(Request{"\x16", "a"}));
  EXPECT_THAT(Parse(Multibulk({hello})).requests, ElementsAre(Request{hello}));
}

TEST(RequestParserTest, ALineMayHave64KiB) {
  const std::string word(64 << 10, 'x');
  EXPECT_THAT(Parse(word + "\n").requests, ElementsAre(Request{word}));
}

TEST(RequestParserTest, WhoIsNotLetInYetMaySendLittle) {
  const RequestLimits limits = RequestLimits::BeforeAuthentication();
  EXPECT_EQ(Error("*11\r\n", limits), "Protocol error: unauthenticated multibulk length");
  EXPECT_EQ(Error("*1\r\n$16385\r\n", limits), "Protocol error: unauthenticated bulk length");
  // What nobody may send.
  EXPECT_EQ(Error("*2147483647\r\n", limits), "Protocol error: unauthenticated multibulk length");
  EXPECT_EQ(Error("*2147483648\r\n", limits), "Protocol error: invalid multibulk length");
  EXPECT_EQ(Error("*1\r\n$67108864\r\n", limits), "Protocol error: unauthenticated bulk length");
  EXPECT_EQ(Error("*1\r\n$67108865\r\n", limits), "Protocol error: invalid bulk length");
  const Request most(10, std::string(16384, 'x'));
  EXPECT_THAT(Parse(Multibulk(most), limits).requests, ElementsAre(most));
}

TEST(RequestParserTest, LimitsMayChangeBetweenRequests) {
  RequestParser parser;
  parser.SetLimits(RequestLimits::BeforeAuthentication());
  const std::string bytes = "AUTH x\r\n*11\r\n$1\r\n";
  std::copy(bytes.begin(), bytes.end(), parser.Space().begin());
  parser.Filled(bytes.size());
  ASSERT_EQ(parser.Next(), Result::kRequest);
  parser.SetLimits({});
  EXPECT_EQ(parser.Next(), Result::kNeedMore);
}

TEST(RequestParserTest, ARequestHasALimitAsAWhole) {
  RequestLimits limits;
  limits.max_request_bytes = 100;
  EXPECT_EQ(Error("*2\r\n$10\r\n0123456789\r\n$90\r\n", limits),
            "Protocol error: a request of more than 100 bytes");
  EXPECT_EQ(Error(Multibulk(Request(50, "")), limits),
            "Protocol error: a request of more than 100 bytes");
  EXPECT_EQ(Error(Multibulk({"0123456789"}) + Multibulk({std::string(80, 'x')}), limits),
            "no error");
}

// Conversations whose bytes may come in any pieces.
std::vector<std::string> Conversations() {
  return {
      Multibulk({"SET", "key", std::string("\r\n\0$5", 5)}) + "\r\n" + Multibulk({"GET", ""}) +
          "PING\r\nSET \"a\\x00b\" 'c d'\r\n*0\r\n*-1\r\n" + Multibulk(Request(12, "ab")),
      "PING\r\n*2\r\n$3\r\nGET\r\n:1\r\n",
      "\"a b\"c\r\n",
      "*1\r\n$4\r\nPING\r\n*1x\r\n",
      "*2\r\n$4\r\nECHO\r\n$01\r\n",
      Multibulk({"ECHO", std::string(9000, 'x')}) + "PING " + std::string(5000, 'y') + "\r\n" +
          Multibulk({"a"}),
  };
}

TEST(RequestParserTest, BytesMayComeInAnyPieces) {
  for (const std::string& bytes : Conversations()) {
    const Parsed whole = Parse(bytes);
    for (const size_t step : {1, 2, 3, 5, 7, 100, 1023, 4096}) {
      EXPECT_TRUE(Parse(bytes, {}, step) == whole) << step << " at once: " << bytes;
    }
    if (bytes.size() > 1000) continue;
    for (size_t cut = 0; cut <= bytes.size(); ++cut) {
      RequestParser parser;
      Parsed parsed;
      for (const std::string& part : {bytes.substr(0, cut), bytes.substr(cut)}) {
        if (part.empty() || !parsed.error.empty()) continue;
        std::copy(part.begin(), part.end(), parser.Space().begin());
        parser.Filled(part.size());
        Take(&parser, &parsed);
      }
      EXPECT_TRUE(parsed == whole) << "cut at " << cut << ": " << bytes;
    }
  }
}

TEST(RequestParserTest, WhatIsDeclaredIsNotAllocated) {
  RequestParser parser;
  const std::string bytes = "*1000000\r\n$67000000\r\n";
  std::copy(bytes.begin(), bytes.end(), parser.Space().begin());
  parser.Filled(bytes.size());
  EXPECT_EQ(parser.Next(), Result::kNeedMore);
  size_t received = bytes.size();
  for (int i = 0; i < 2000; ++i) {
    const size_t n = std::min<size_t>(parser.Space().size(), 1000);
    parser.Filled(n);
    received += n;
    ASSERT_EQ(parser.Next(), Result::kNeedMore);
    ASSERT_LE(parser.capacity(), std::max<size_t>(64 << 10, 2 * received));
  }
}

TEST(RequestParserTest, TheBufferIsSmallAgainAfterALargeRequest) {
  RequestParser parser;
  const std::string large = Multibulk({"SET", "k", std::string(1 << 20, 'x')});
  absl::string_view left = large;
  while (!left.empty()) {
    const absl::Span<char> space = parser.Space();
    const size_t n = std::min(space.size(), left.size());
    std::copy_n(left.begin(), n, space.begin());
    left.remove_prefix(n);
    parser.Filled(n);
    const Result result = parser.Next();
    ASSERT_EQ(result, left.empty() ? Result::kRequest : Result::kNeedMore);
  }
  EXPECT_GT(parser.capacity(), 1u << 20);
  ASSERT_EQ(parser.Next(), Result::kNeedMore);
  const std::string small = Multibulk({"PING"});
  for (int i = 0; i < 200; ++i) {
    std::copy(small.begin(), small.end(), parser.Space().begin());
    parser.Filled(small.size());
    ASSERT_EQ(parser.Next(), Result::kRequest);
    ASSERT_EQ(parser.Next(), Result::kNeedMore);
  }
  parser.Space();
  EXPECT_EQ(parser.capacity(), 4u << 10);
}

}  // namespace
}  // namespace resp
}  // namespace kvarts
