#include "groupby/text/group_writer.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "groupby/aggregate/aggregate_functions.h"
#include "groupby/text/text_buffer.h"
#include "gtest/gtest.h"

namespace kvarts::groupby_text {
namespace {

// Where a group's text goes.
class Text final : public Groups::Output {
 public:
  absl::Status Append(absl::string_view text) override {
    text_.append(text.data(), text.size());
    return absl::OkStatus();
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

absl::Status Write(const GroupWriter& writer, absl::string_view key,
                   const std::vector<std::string>& values,
                   const std::vector<absl::string_view>& results, Text* out) {
  TextBuffer text(out);
  KVARTS_RETURN_IF_ERROR(writer.Begin(key, &text));
  for (size_t i = 0; i < values.size(); ++i) {
    KVARTS_RETURN_IF_ERROR(writer.Value(key, values[i], i == 0, &text));
  }
  KVARTS_RETURN_IF_ERROR(writer.End(key, results, &text));
  return text.Flush();
}

std::string Render(const WriterOptions& options, const std::string& key,
                   const std::vector<std::string>& values) {
  Text out;
  const absl::Status status = Write(*NewGroupWriter(options, {}), key, values, {}, &out);
  return status.ok() ? out.text() : absl::StrCat("error: ", status.message());
}

// count, sum:2, first, top:3 with the results that are given.
std::string RenderResults(WriterOptions options, bool list, const std::string& key,
                          const std::vector<std::string>& values,
                          const std::vector<absl::string_view>& results) {
  options.list = list;
  const std::vector<AggregateSpec> aggregates = {{CountFunction(), 0, "count"},
                                                 {SumFunction(), 0, "sum:\"2\""},
                                                 {FirstFunction(), 0, "first"},
                                                 {TopFunction(3), 0, "top:3"}};
  Text out;
  const absl::Status status =
      Write(*NewGroupWriter(options, aggregates), key, values, results, &out);
  return status.ok() ? out.text() : absl::StrCat("error: ", status.message());
}

WriterOptions Options(OutputFormat format, Encoding encoding = Encoding::kNone) {
  WriterOptions options;
  options.format = format;
  options.encoding = encoding;
  return options;
}

TEST(GroupWriterTest, LinesHaveKeyAndValues) {
  EXPECT_EQ(Render(Options(OutputFormat::kTsv), "k", {"a", "", "c", "d", "e"}), "k\ta,,c,d,e\n");
  EXPECT_EQ(Render(Options(OutputFormat::kData), "k", {"a", "b c"}), "k a,b c\n");
  WriterOptions tabs = Options(OutputFormat::kTsv);
  tabs.separator = '\t';
  EXPECT_EQ(Render(tabs, "", {"a", "b", "c"}), "\ta\tb\tc\n");
}

TEST(GroupWriterTest, LargeValuesAreWhole) {
  const std::string large(100000, 'x');
  EXPECT_TRUE(Render(Options(OutputFormat::kTsv), large, {"a", large, large, "b"}) ==
              absl::StrCat(large, "\ta,", large, ",", large, ",b\n"));
  EXPECT_TRUE(Render(Options(OutputFormat::kNdjson), "k", {large, "b"}) ==
              absl::StrCat("{\"key\":\"k\",\"values\":[\"", large, "\",\"b\"]}\n"));
}

TEST(GroupWriterTest, JsonStringsAreEscaped) {
  EXPECT_EQ(Render(Options(OutputFormat::kNdjson), "\"k\\", {"\n\r\t\x01\x1F", "\xC3\xA9\x7F", ""}),
            "{\"key\":\"\\\"k\\\\\",\"values\":[\"\\n\\r\\t\\u0001\\u001f\",\"\xC3\xA9\x7F\",\"\"]"
            "}\n");
}

TEST(GroupWriterTest, InvalidUtf8IsAnErrorThatNamesTheKey) {
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

TEST(GroupWriterTest, EncodingsHoldEverything) {
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

TEST(GroupWriterTest, JsonTextIsWrittenAsItIs) {
  WriterOptions options = Options(OutputFormat::kNdjson);
  options.json_text = true;
  EXPECT_EQ(Render(options, "1\xFF", {"2", "\"x\"", "{}"}),
            "{\"key\":1,\"values\":[2,\"x\",{}]}\n");
  EXPECT_EQ(Render(options, "1", {"null"}), "{\"key\":\"1\",\"values\":[null]}\n");
}

TEST(GroupWriterTest, ADataFileHoldsNoEmptyKeyAndNoValueBeyondAStores) {
  EXPECT_TRUE(absl::StartsWith(Render(Options(OutputFormat::kData), "", {"a"}), "error: "));
  const std::string half(32 << 20, 'x');
  EXPECT_TRUE(absl::StartsWith(Render(Options(OutputFormat::kData), "k", {half, half}),
                               "error: the values of the key \"k\" have more than "));
}

TEST(GroupWriterTest, ResultsFollowTheValuesOrTheKey) {
  const std::vector<absl::string_view> results = {"2", "", "x y", "3,2,1"};
  WriterOptions tsv = Options(OutputFormat::kTsv);
  EXPECT_EQ(RenderResults(tsv, true, "k", {"a", "b"}, results), "k\ta,b\t2\t\tx y\t3,2,1\n");
  EXPECT_EQ(RenderResults(tsv, false, "k", {}, results), "k\t2\t\tx y\t3,2,1\n");
  tsv.separator = ';';
  EXPECT_EQ(RenderResults(tsv, false, "k", {}, results), "k\t2\t\tx y\t3;2;1\n");
  EXPECT_EQ(RenderResults(Options(OutputFormat::kData), true, "k", {"a", "b"}, results),
            "k a,b\t2\t\tx y\t3,2,1\n");
  EXPECT_EQ(RenderResults(Options(OutputFormat::kData), false, "k", {}, results),
            "k 2\t\tx y\t3,2,1\n");
  EXPECT_EQ(RenderResults(Options(OutputFormat::kNdjson), true, "k", {"a", "b"}, results),
            "{\"key\":\"k\",\"values\":[\"a\",\"b\"],\"count\":2,\"sum:\\\"2\\\"\":null,"
            "\"first\":\"x y\",\"top:3\":[3,2,1]}\n");
  EXPECT_EQ(RenderResults(Options(OutputFormat::kNdjson), false, "k", {}, results),
            "{\"key\":\"k\",\"count\":2,\"sum:\\\"2\\\"\":null,\"first\":\"x y\","
            "\"top:3\":[3,2,1]}\n");
}

TEST(GroupWriterTest, TextsOfResultsAreHeldAgainstTheFormat) {
  const std::vector<absl::string_view> results = {"2", "1", "x\ty", "3"};
  EXPECT_TRUE(absl::StartsWith(RenderResults(Options(OutputFormat::kTsv), false, "k", {}, results),
                               "error: first of the key \"k\" holds a tab"));
  EXPECT_EQ(RenderResults(Options(OutputFormat::kTsv, Encoding::kEscape), false, "k", {}, results),
            "k\t2\t1\tx\\ty\t3\n");
  EXPECT_EQ(RenderResults(Options(OutputFormat::kTsv, Encoding::kBase64), false, "k", {}, results),
            "aw==\t2\t1\teAl5\t3\n");
}

TEST(GroupWriterTest, LimitsAreThoseOfTheFormat) {
  EXPECT_EQ(LimitsOf(Options(OutputFormat::kTsv)).value_bytes, "\t\n,");
  EXPECT_EQ(LimitsOf(Options(OutputFormat::kData)).value_bytes, "\n,");
  EXPECT_EQ(LimitsOf(Options(OutputFormat::kData)).key_bytes, " \n");
  EXPECT_FALSE(LimitsOf(Options(OutputFormat::kData)).empty_key);
  EXPECT_EQ(LimitsOf(Options(OutputFormat::kNdjson)).value_bytes, "");
  EXPECT_EQ(LimitsOf(Options(OutputFormat::kTsv, Encoding::kBase64)).value_bytes, "");
}

}  // namespace
}  // namespace kvarts::groupby_text
