#include "net/http/json.h"

#include <boost/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "net/http/batch_request.h"
#include "storage/store.h"

namespace kvarts {
namespace {

using Strings = std::vector<std::string>;

std::string Json(absl::string_view bytes) {
  std::string out;
  AppendJsonBytes(bytes, &out);
  return out;
}

TEST(Utf8Test, OnlyWhatTheStandardHasIsText) {
  for (const char* text :
       {"", "a", "abcdefghijklmnop", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
        "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
        "abcdefgh\xc3\xa9ijklmnop\xe2\x82\xac"}) {
    EXPECT_TRUE(IsUtf8(text)) << text;
  }
  for (const char* bytes :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2z", "\xe0\x9f\xbf", "\xe0\xa0",
        "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
        "abcdefgh\xff", "abcdefghi\xe2\x82", "\xf0\x90\x80z"}) {
    EXPECT_FALSE(IsUtf8(bytes)) << bytes;
  }
}

TEST(JsonBytesTest, TextIsAStringAndOtherBytesAreBase64) {
  EXPECT_EQ(Json(""), "\"\"");
  EXPECT_EQ(Json("caf\xc3\xa9"), "\"caf\xc3\xa9\"");
  EXPECT_EQ(Json(absl::string_view("a\"b\\c\n\t\0\x1f\x7f/", 11)),
            "\"a\\\"b\\\\c\\n\\t\\u0000\\u001f\x7f/\"");
  EXPECT_EQ(Json("\xff"), "{\"base64\":\"/w==\"}");
  EXPECT_EQ(Json("ab\xff"), "{\"base64\":\"YWL/\"}");
}

// Each control byte takes six bytes in a string.
TEST(JsonBytesTest, TextIsBase64WhereThatIsShorter) {
  EXPECT_EQ(Json(std::string(2, '\0')), R"("\u0000\u0000")");
  EXPECT_EQ(Json(std::string(3, '\0')), R"({"base64":"AAAA"})");
  for (size_t n = 0; n < 300; ++n) {
    std::string bytes(n, '\1');
    for (size_t i = 0; i < n; i += 3) bytes[i] = i % 2 == 0 ? '\n' : 'a';
    std::string base64;
    AppendJsonBytes(bytes, &base64, /*base64=*/true);
    EXPECT_LE(Json(bytes).size(), base64.size()) << n;
  }
  EXPECT_EQ(Json(std::string(1000, '\n')).substr(0, 11), "{\"base64\":\"");
  EXPECT_EQ(Json("a\nb\nc\n"), R"("a\nb\nc\n")");
}

TEST(JsonBytesTest, PartsGiveTheSameAsTheWhole) {
  for (const bool text : {true, false}) {
    std::string bytes;
    for (int i = 0; i < 100'000; ++i) bytes += static_cast<char>(text ? 28 + i % 100 : i % 256);
    JsonBytesWriter writer;
    writer.Start(bytes);
    std::string all;
    std::string part;
    int parts = 0;
    while (!writer.Append(1000, &part)) {
      EXPECT_LT(part.size(), 200'000u);
      all += part;
      part.clear();
      ++parts;
    }
    EXPECT_EQ(all + part, Json(bytes));
    EXPECT_GT(parts, 4);
    const boost::json::value value = boost::json::parse(all + part);
    if (text) {
      EXPECT_EQ(value.as_string(), boost::json::string_view(bytes.data(), bytes.size()));
    }
  }
}

TEST(BatchKeysTest, StringsAndBase64AreKeys) {
  EXPECT_EQ(*ParseBatchKeys("{\"keys\":[]}"), Strings{});
  EXPECT_EQ(*ParseBatchKeys(" { \"keys\" : [ \"a\" , \"\" , { \"base64\" : \"/w==\" },"
                            "\"\\u00e9\\n\\ud83d\\ude00\", {\"base64\":\"_w\"} ] } \n"),
            (Strings{"a", "", "\xff", "\xc3\xa9\n\xf0\x9f\x98\x80", "\xff"}));
  const std::string longest(kMaxKeyBytes, 'k');
  EXPECT_EQ(*ParseBatchKeys(absl::StrCat("{\"keys\":[\"", longest, "\"]}")), Strings{longest});
}

TEST(BatchKeysTest, WhatIsOfAnotherFormIsToldWithItsPlace) {
  const auto error = [](absl::string_view json) {
    const auto keys = ParseBatchKeys(json, 3);
    EXPECT_FALSE(keys.ok()) << json;
    return std::string(keys.status().message());
  };
  const std::string form = "expected {\"keys\": [\"...\", ...]} and nothing beside it";
  for (const char* json :
       {"[]", "1", "null", "\"keys\"", "{}", "{\"keys\":1}", "{\"keys\":{}}", "{\"keys\":null}",
        "{\"kesy\":[]}", "{\"keys\":[],\"x\":1}", "{\"keys\":[],\"keys\":[]}", "true", "-1.5"}) {
    EXPECT_EQ(error(json), form) << json;
  }
  for (const char* json :
       {"{\"keys\":[\"a\",1]}", "{\"keys\":[\"a\",null]}", "{\"keys\":[\"a\",[]]}",
        "{\"keys\":[\"a\",{}]}", "{\"keys\":[\"a\",{\"base64\":1}]}",
        "{\"keys\":[\"a\",{\"hex\":\"1\"}]}", "{\"keys\":[\"a\",{\"base64\":{}}]}"}) {
    EXPECT_EQ(error(json), "keys[1] is neither a string nor an object {\"base64\": \"...\"}")
        << json;
  }
  EXPECT_EQ(error("{\"keys\":[{\"base64\":\"*\"}]}"), "keys[0] is not base64");
  EXPECT_EQ(error("{\"keys\":[\"1\",\"2\",\"3\",\"4\"]}"), "more than 3 keys in a request");
  EXPECT_EQ(error(absl::StrCat("{\"keys\":[\"", std::string(200'000, 'k'), "\"]}")),
            "keys[0] is longer than 65536 bytes");
  EXPECT_NE(error(absl::StrCat("{\"keys\":[\"", std::string(kMaxKeyBytes + 1, 'k'), "\"]}"))
                .find("keys[0]: "),
            std::string::npos);
  for (const char* json :
       {"", "{", "{\"keys\":[\"a\"", "{\"keys\":[\"a\"]} x", "{\"keys\":[\"\xff\"]}",
        "{\"keys\":[\"\\ud800\"]}", "{\"keys\":[\"a\",]}"}) {
    EXPECT_EQ(error(json).substr(0, 8), "the body") << json;
  }
  // Deep nesting is refused where it begins.
  EXPECT_EQ(error(std::string(1'000'000, '[')), form);
}

}  // namespace
}  // namespace kvarts
