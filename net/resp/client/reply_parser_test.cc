#include "net/resp/client/reply_parser.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace resp_client {
namespace {

std::string Text(const ReplyItem& item) {
  const std::string at = absl::StrCat(std::string(item.depth, '>'));
  const char* const end = item.last ? "." : "";
  switch (item.kind) {
    case ReplyItem::Kind::kSimple:
      return absl::StrCat(at, "+", item.text, end);
    case ReplyItem::Kind::kError:
      return absl::StrCat(at, "-", item.text, end);
    case ReplyItem::Kind::kInteger:
      return absl::StrCat(at, ":", item.number, end);
    case ReplyItem::Kind::kBulk:
      return absl::StrCat(at, "$", item.text, end);
    case ReplyItem::Kind::kNull:
      return absl::StrCat(at, "null", end);
    case ReplyItem::Kind::kArray:
      return absl::StrCat(at, "*", item.number, end);
  }
  return "?";
}

// The items of `bytes`, which come `step` at a time; at the end what is wrong
// ("! ..."), or that something is missing ("...").
std::string Items(absl::string_view bytes, size_t step = SIZE_MAX, const ReplyLimits& limits = {}) {
  ReplyParser parser(limits);
  std::vector<std::string> out;
  while (!bytes.empty()) {
    const absl::Span<char> space = parser.Space();
    const size_t n = std::min({space.size(), bytes.size(), step});
    std::copy_n(bytes.begin(), n, space.begin());
    bytes.remove_prefix(n);
    parser.Filled(n);
    ReplyParser::Result result;
    while ((result = parser.Next()) == ReplyParser::Result::kItem)
      out.push_back(Text(parser.item()));
    if (result == ReplyParser::Result::kError) {
      out.push_back(absl::StrCat("! ", parser.error()));
      break;
    }
  }
  if (out.empty() || out.back()[0] != '!') {
    if (parser.begun()) out.emplace_back("...");
  }
  return absl::StrJoin(out, " ");
}

TEST(ReplyParserTest, EachTypeIsAnItem) {
  EXPECT_EQ(Items("+OK\r\n"), "+OK.");
  EXPECT_EQ(Items("+\r\n"), "+.");
  EXPECT_EQ(Items("-ERR no\r\n"), "-ERR no.");
  EXPECT_EQ(Items(":0\r\n:-7\r\n:9223372036854775807\r\n:-9223372036854775808\r\n"),
            ":0. :-7. :9223372036854775807. :-9223372036854775808.");
  EXPECT_EQ(Items("$0\r\n\r\n$3\r\na\rb\r\n"), "$. $a\rb.");
  EXPECT_EQ(Items("$-1\r\n*-1\r\n"), "null. null.");
  EXPECT_EQ(Items("*0\r\n*2\r\n:1\r\n$1\r\nx\r\n"), "*0. *2 >:1 >$x.");
}

TEST(ReplyParserTest, ArraysWithinArraysEndWhereTheirLastElementDoes) {
  EXPECT_EQ(Items("*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n+OK\r\n"),
            "*2 >$0 >*2 >>$a >>$b. +OK.");
  EXPECT_EQ(Items("*2\r\n*0\r\n*1\r\n*0\r\n"), "*2 >*0 >*1 >>*0.");
  EXPECT_EQ(Items("*1\r\n*-1\r\n"), "*1 >null.");
}

TEST(ReplyParserTest, HoweverTheBytesComeTheyAreTheSameItems) {
  std::string bytes = "+OK\r\n*3\r\n:-12\r\n$-1\r\n*2\r\n-ERR x\r\n$5\r\nab\r\nc\r\n*0\r\n";
  absl::StrAppend(&bytes, "$100000\r\n", std::string(100000, 'v'), "\r\n:1\r\n");
  const std::string whole = Items(bytes);
  for (const size_t step : {1, 2, 3, 7, 1000}) EXPECT_TRUE(Items(bytes, step) == whole) << step;
}

TEST(ReplyParserTest, WhatIsCutIsNoItem) {
  const std::string bytes = "*2\r\n$2\r\nab\r\n:10\r\n";
  for (size_t n = 1; n < bytes.size(); ++n) {
    const std::string items = Items(bytes.substr(0, n));
    EXPECT_EQ(items.substr(items.size() - 3), "...") << n;
  }
  EXPECT_EQ(Items(bytes), "*2 >$ab >:10.");
}

TEST(ReplyParserTest, OtherBytesAreErrors) {
  for (const std::string bytes :
       {"HTTP/1.1 400\r\n", "\r\n", "%1\r\n", "_\r\n", ":\r\n", ":1a\r\n", ":+1\r\n", ": 1\r\n",
        ":9223372036854775808\r\n", ":-9223372036854775809\r\n", ":00000000000000000001\r\n",
        "$-2\r\n", "$x\r\n", "*-2\r\n", "*1.5\r\n", "+a\rb\r\n", "$1\r\nab\r\n", "$1\r\na\n\r",
        "*1\r\n!"}) {
    for (const size_t step : {size_t{1}, SIZE_MAX}) {
      EXPECT_NE(Items(bytes, step).find("! "), std::string::npos) << bytes;
    }
  }
}

TEST(ReplyParserTest, LimitsAreSaidWhenTheyAreDeclaredNotWhenTheyArrive) {
  ReplyLimits limits;
  limits.max_line_bytes = 10;
  limits.max_bulk_bytes = 5;
  limits.max_elements = 3;
  limits.max_depth = 2;
  EXPECT_EQ(Items("$5\r\nabcde\r\n", 1, limits), "$abcde.");
  EXPECT_EQ(Items("$6\r\n", 1, limits), "! a string of 6; at most 5 are taken");
  EXPECT_EQ(Items("*4\r\n", 1, limits), "! an array of 4; at most 3 are taken");
  EXPECT_EQ(Items("*1\r\n*1\r\n:1\r\n", 1, limits), "*1 >*1 >>:1.");
  EXPECT_EQ(Items("*1\r\n*1\r\n*0\r\n", 1, limits), "*1 >*1 >>*0.");
  EXPECT_EQ(Items("*1\r\n*1\r\n*1\r\n", 1, limits),
            "*1 >*1 ! arrays within arrays, more than 2 deep");
  EXPECT_NE(Items("+0123456789", 1, limits).find("! a line of more than 10"), std::string::npos);
  EXPECT_EQ(Items("+012345678\r\n", 1, limits), "+012345678.");
}

TEST(ReplyParserTest, MemoryFollowsWhatCameNotWhatIsDeclared) {
  ReplyParser parser;
  const auto feed = [&parser](absl::string_view bytes) {
    while (!bytes.empty()) {
      const absl::Span<char> space = parser.Space();
      const size_t n = std::min(space.size(), bytes.size());
      std::copy_n(bytes.begin(), n, space.begin());
      bytes.remove_prefix(n);
      parser.Filled(n);
      while (parser.Next() == ReplyParser::Result::kItem) {
      }
    }
  };
  feed("*1000000\r\n$60000000\r\nabc");
  EXPECT_LE(parser.capacity(), 64u << 10);
  feed(std::string(1 << 20, 'x'));
  parser.Space();
  EXPECT_LE(parser.capacity(), (2u << 20) + 100);
  // The rest of it, and then only small ones.
  feed(std::string(60000000 - 3 - (1 << 20), 'x') + "\r\n");
  for (int i = 0; i < 10; ++i) feed(":1\r\n");
  EXPECT_LE(parser.capacity(), 64u << 10);
}

}  // namespace
}  // namespace resp_client
}  // namespace kvarts
