#include "groupby/text/render.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "groupby/text/encoding.h"
#include "groupby/text/json_text.h"
#include "gtest/gtest.h"

namespace kvarts::groupby_text {
namespace {

// A group whose values come two at a time.
class Group final : public Groups::Cursor, public Groups::Output {
 public:
  Group(std::string key, std::vector<std::string> values)
      : key_(std::move(key)), values_(std::move(values)) {}
  absl::string_view key() const override { return key_; }
  absl::StatusOr<absl::Span<const absl::string_view>> Values() override {
    lent_.clear();
    for (; at_ < values_.size() && lent_.size() < 2; ++at_) lent_.push_back(values_[at_]);
    return absl::MakeConstSpan(lent_);
  }
  absl::Status Append(absl::string_view text) override {
    text_.append(text.data(), text.size());
    return absl::OkStatus();
  }
  const std::string& text() const { return text_; }

 private:
  const std::string key_;
  const std::vector<std::string> values_;
  size_t at_ = 0;
  std::vector<absl::string_view> lent_;
  std::string text_;
};

std::string Render(const RenderOptions& options, std::string key, std::vector<std::string> values) {
  Group group(std::move(key), std::move(values));
  const absl::Status status = NewListRender(options)(&group, &group);
  return status.ok() ? group.text() : absl::StrCat("error: ", status.message());
}

RenderOptions Options(OutputFormat format, Encoding encoding = Encoding::kNone) {
  RenderOptions options;
  options.format = format;
  options.encoding = encoding;
  return options;
}

TEST(RenderTest, LinesHaveKeyAndValues) {
  EXPECT_EQ(Render(Options(OutputFormat::kTsv), "k", {"a", "", "c", "d", "e"}), "k\ta,,c,d,e\n");
  EXPECT_EQ(Render(Options(OutputFormat::kData), "k", {"a", "b c"}), "k a,b c\n");
  RenderOptions tabs = Options(OutputFormat::kTsv);
  tabs.separator = '\t';
  EXPECT_EQ(Render(tabs, "", {"a", "b", "c"}), "\ta\tb\tc\n");
}

TEST(RenderTest, LargeValuesAreWhole) {
  const std::string large(100000, 'x');
  EXPECT_TRUE(Render(Options(OutputFormat::kTsv), large, {"a", large, large, "b"}) ==
              absl::StrCat(large, "\ta,", large, ",", large, ",b\n"));
  EXPECT_TRUE(Render(Options(OutputFormat::kNdjson), "k", {large, "b"}) ==
              absl::StrCat("{\"key\":\"k\",\"values\":[\"", large, "\",\"b\"]}\n"));
}

TEST(RenderTest, JsonStringsAreEscaped) {
  EXPECT_EQ(Render(Options(OutputFormat::kNdjson), "\"k\\", {"\n\r\t\x01\x1F", "\xC3\xA9\x7F", ""}),
            "{\"key\":\"\\\"k\\\\\",\"values\":[\"\\n\\r\\t\\u0001\\u001f\",\"\xC3\xA9\x7F\",\"\"]"
            "}\n");
}

TEST(RenderTest, InvalidUtf8IsAnErrorThatNamesTheKey) {
  for (const char* wrong :
       {"\xFF", "\x80", "\xC3", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
        "\xF0\x9F\x98", "\xC3(", "0123456789abcdef\xE2\x82"}) {
    EXPECT_TRUE(absl::StartsWith(Render(Options(OutputFormat::kNdjson), "key", {"ok", wrong}),
                                 "error: a value of the key \"key\" is not valid UTF-8"))
        << wrong;
    EXPECT_TRUE(
        absl::StartsWith(Render(Options(OutputFormat::kNdjson), wrong, {"ok"}), "error: the key "))
        << wrong;
  }
  for (const char* right : {"\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
                            "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_EQ(Render(Options(OutputFormat::kNdjson), "k", {right}),
              absl::StrCat("{\"key\":\"k\",\"values\":[\"", right, "\"]}\n"));
  }
}

TEST(RenderTest, EncodingsHoldEverything) {
  const std::string bytes("a\\\t\n\r, \xFF\0", 9);
  EXPECT_EQ(Render(Options(OutputFormat::kTsv, Encoding::kEscape), bytes, {bytes}),
            std::string("a\\\\\\t\\n\\r, \xFF\0\ta\\\\\\t\\n\\r\\x2c \xFF\0\n", 31));
  EXPECT_EQ(Render(Options(OutputFormat::kData, Encoding::kEscape), "a b", {"a b"}),
            "a\\x20b a b\n");
  EXPECT_EQ(Render(Options(OutputFormat::kNdjson, Encoding::kEscape), "k", {"\\\xFF\n\xC3\xA9"}),
            "{\"key\":\"k\",\"values\":[\"\\\\\\\\\\\\xff\\n\xC3\xA9\"]}\n");
  EXPECT_EQ(Render(Options(OutputFormat::kTsv, Encoding::kBase64), "k", {bytes, ""}),
            "aw==\tYVwJCg0sIP8A,\n");
  EXPECT_EQ(Render(Options(OutputFormat::kNdjson, Encoding::kBase64), "k", {"\xFF"}),
            "{\"key\":\"aw==\",\"values\":[\"/w==\"]}\n");
}

TEST(RenderTest, JsonTextIsWrittenAsItIs) {
  RenderOptions options = Options(OutputFormat::kNdjson);
  options.json_text = true;
  EXPECT_EQ(Render(options, "1\xFF", {"2", "\"x\"", "{}"}),
            "{\"key\":1,\"values\":[2,\"x\",{}]}\n");
  EXPECT_EQ(Render(options, "1", {"null"}), "{\"key\":\"1\",\"values\":[null]}\n");
}

TEST(RenderTest, ADataFileHoldsNoEmptyKeyAndNoValueBeyondAStores) {
  EXPECT_TRUE(absl::StartsWith(Render(Options(OutputFormat::kData), "", {"a"}), "error: "));
  const std::string half(32 << 20, 'x');
  EXPECT_TRUE(absl::StartsWith(Render(Options(OutputFormat::kData), "k", {half, half}),
                               "error: the values of the key \"k\" have more than "));
}

TEST(RenderTest, LimitsAreThoseOfTheFormat) {
  EXPECT_EQ(LimitsOf(Options(OutputFormat::kTsv)).value_bytes, "\t\n,");
  EXPECT_EQ(LimitsOf(Options(OutputFormat::kData)).value_bytes, "\n,");
  EXPECT_EQ(LimitsOf(Options(OutputFormat::kData)).key_bytes, " \n");
  EXPECT_FALSE(LimitsOf(Options(OutputFormat::kData)).empty_key);
  EXPECT_EQ(LimitsOf(Options(OutputFormat::kNdjson)).value_bytes, "");
  EXPECT_EQ(LimitsOf(Options(OutputFormat::kTsv, Encoding::kBase64)).value_bytes, "");
}

}  // namespace
}  // namespace kvarts::groupby_text
