#include "groupby/text/row_parser.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "groupby/text/row_limits.h"
#include "gtest/gtest.h"

namespace kvarts::groupby_text {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct Parsed {
  Pairs rows;
  std::string error;
  uint64_t lines = 0;
  uint64_t skipped = 0;
};

Parsed Parse(const RowParser& parser, const std::string& text) {
  std::vector<char> bytes(text.begin(), text.end());  // of the exact size
  ParsedRows rows;
  parser.Parse(absl::MakeSpan(bytes), &rows);
  Parsed parsed;
  for (const KeyValue& row : rows.rows()) {
    parsed.rows.emplace_back(std::string(row.key), std::string(row.value));
  }
  parsed.error = rows.error();
  parsed.lines = rows.lines();
  parsed.skipped = rows.skipped();
  return parsed;
}

RowParserOptions Options(size_t key, size_t value, char delimiter = '\t') {
  RowParserOptions options;
  options.columns = {key, {value}};
  options.delimiter = delimiter;
  return options;
}

TEST(TsvParserTest, TheValueIsTheRestOfTheLine) {
  const auto parser = NewTsvParser({});
  const Parsed parsed = Parse(*parser, "a\tx\n\tno key\nb\t\nc\tx\ty\t\n\"q\t\"z,\\n\r\nlast\tone");
  EXPECT_EQ(parsed.error, "");
  EXPECT_EQ(parsed.rows, (Pairs{{"a", "x"},
                                {"", "no key"},
                                {"b", ""},
                                {"c", "x\ty\t"},
                                {"\"q", "\"z,\\n\r"},
                                {"last", "one"}}));
  EXPECT_EQ(parsed.lines, 5u);
  EXPECT_EQ(Parse(*parser, "").rows, Pairs());
}

TEST(TsvParserTest, ALineWithoutADelimiterIsMalformed) {
  const Parsed parsed = Parse(*NewTsvParser({}), "a\tx\n\nb\ty\n");
  EXPECT_EQ(parsed.error, "expected a key, a tab and a value");
  EXPECT_EQ(parsed.lines, 1u);
  EXPECT_EQ(parsed.rows, (Pairs{{"a", "x"}}));
  EXPECT_EQ(Parse(*NewTsvParser({}), "a\tx\nb").error, "expected a key, a tab and a value");
  RowParserOptions options;
  options.skip_malformed = true;
  const Parsed skips = Parse(*NewTsvParser(options), "a\tx\n\nb\ty\nc");
  EXPECT_EQ(skips.error, "");
  EXPECT_EQ(skips.rows, (Pairs{{"a", "x"}, {"b", "y"}}));
  EXPECT_EQ(skips.skipped, 2u);
  EXPECT_EQ(skips.lines, 3u);
}

TEST(TsvParserTest, ColumnsArePickedInEachOrder) {
  const std::string text = "a\tb\tc\n1\t\t3\t4\n";
  EXPECT_EQ(Parse(*NewTsvParser(Options(0, 1)), text).rows, (Pairs{{"a", "b"}, {"1", ""}}));
  EXPECT_EQ(Parse(*NewTsvParser(Options(2, 0)), text).rows, (Pairs{{"c", "a"}, {"3", "1"}}));
  EXPECT_EQ(Parse(*NewTsvParser(Options(1, 1)), text).rows, (Pairs{{"b", "b"}, {"", ""}}));
  const Parsed missing = Parse(*NewTsvParser(Options(0, 3)), text);
  EXPECT_TRUE(absl::StartsWith(missing.error, "expected 4 columns or more")) << missing.error;
  EXPECT_TRUE(absl::EndsWith(missing.error, "found 3")) << missing.error;
  EXPECT_EQ(Parse(*NewTsvParser(Options(1, 0, ' ')), "a b\tc d").rows, (Pairs{{"b\tc", "a"}}));
}

TEST(TsvParserTest, WhatTheOutputCannotHoldIsAnErrorOfItsRow) {
  RowParserOptions options;
  options.limits = {"\t\n", "\t\n,", true};
  options.skip_malformed = true;  // such rows are well-formed
  const auto parser = NewTsvParser(options);
  EXPECT_EQ(Parse(*parser, "a,b\tx\n").rows, (Pairs{{"a,b", "x"}}));
  for (const std::string& value :
       std::vector<std::string>{"x,y", ",", "x\ty", std::string(100, 'x') + ","}) {
    const Parsed parsed = Parse(*parser, absl::StrCat("ok\t1\nbad\t", value, "\n"));
    EXPECT_TRUE(absl::StartsWith(parsed.error, "a value of the key \"bad\" holds a "))
        << parsed.error;
    EXPECT_EQ(parsed.lines, 1u);
  }
  options.columns = {0, {2}};
  const auto columns = NewTsvParser(options);
  EXPECT_EQ(Parse(*columns, "k\tx,y\tz\tu,v\n").error, "") << "other columns may hold it";
  EXPECT_NE(Parse(*columns, "k\tx\ty,z\tu\n").error, "");
  options.delimiter = ' ';
  EXPECT_NE(Parse(*NewTsvParser(options), "k x y\tz u\n").error, "");
  EXPECT_NE(Parse(*NewTsvParser(options), "k\tx y z u\n").error, "");

  options = RowParserOptions();
  options.limits = {" \n", "\n,", false};
  const auto data = NewTsvParser(options);
  EXPECT_EQ(Parse(*data, "a\tx y\tz\n").error, "");
  EXPECT_TRUE(absl::StartsWith(Parse(*data, "a b\tx\n").error, "the key \"a b\" holds a space"));
  EXPECT_NE(Parse(*data, "\tx\n").error, "");
}

TEST(TsvParserTest, KeysAndRowsBeyondTheLimitsAreErrors) {
  const auto parser = NewTsvParser({});
  EXPECT_EQ(Parse(*parser, std::string(Grouping::kMaxKeyBytes, 'k') + "\tv\n").error, "");
  EXPECT_TRUE(absl::StartsWith(
      Parse(*parser, std::string(Grouping::kMaxKeyBytes + 1, 'k') + "\tv\n").error, "a key of "));
  const std::string value(Grouping::kMaxRowBytes, 'v');
  EXPECT_TRUE(absl::StartsWith(Parse(*parser, "k\t" + value).error, "a key and a value of "));
  EXPECT_EQ(Parse(*parser, "\t" + value).error, "");
}

TEST(CsvParserTest, QuotesAreAsRfc4180HasThem) {
  const auto parser = NewCsvParser(Options(0, 1, ','));
  const Parsed parsed = Parse(*parser,
                              "a,b\r\n"
                              "\"a\",\"b\"\n"
                              "\"a,\"\"x\"\"\",\"line\nline\r\n\"\r\n"
                              "\"\",\"\"\"\"\n"
                              ",\n"
                              "a\tb,\"c\rd\",more,\"\"\n"
                              "last,\"one\"");
  EXPECT_EQ(parsed.error, "");
  EXPECT_EQ(parsed.rows, (Pairs{{"a", "b"},
                                {"a", "b"},
                                {"a,\"x\"", "line\nline\r\n"},
                                {"", "\""},
                                {"", ""},
                                {"a\tb", "c\rd"},
                                {"last", "one"}}));
  EXPECT_EQ(parsed.lines, 8u);
}

TEST(CsvParserTest, WithoutAChosenValueThereAreTwoColumns) {
  RowParserOptions options;
  options.delimiter = ',';
  const auto parser = NewCsvParser(options);
  EXPECT_EQ(Parse(*parser, "a,b\n").rows, (Pairs{{"a", "b"}}));
  EXPECT_TRUE(absl::StartsWith(Parse(*parser, "a,b,c\n").error, "expected 2 columns, found 3"));
  EXPECT_TRUE(absl::StartsWith(Parse(*parser, "a\n").error, "expected 2 columns, found 1"));
  EXPECT_TRUE(absl::StartsWith(Parse(*parser, "\n").error, "expected 2 columns, found 1"));
}

TEST(CsvParserTest, WrongQuotesAreMalformedAndTheNextRowIsFound) {
  for (const char* row : {"a\"b,c", "\"a\"b,c", "\"a\" ,c", "a,\"b\"c\"", "\"a\"\r,b", "a"}) {
    const std::string text = absl::StrCat("x,1\n", row, "\ny,\"2\"\n");
    const Parsed parsed = Parse(*NewCsvParser(Options(0, 1, ',')), text);
    EXPECT_NE(parsed.error, "") << row;
    EXPECT_EQ(parsed.lines, 1u) << row;
    RowParserOptions options = Options(0, 1, ',');
    options.skip_malformed = true;
    const Parsed skips = Parse(*NewCsvParser(options), text);
    EXPECT_EQ(skips.error, "") << row;
    EXPECT_EQ(skips.rows, (Pairs{{"x", "1"}, {"y", "2"}})) << row;
    EXPECT_EQ(skips.skipped, 1u) << row;
  }
  const Parsed open = Parse(*NewCsvParser(Options(0, 1, ',')), "x,1\na,\"b\n\nc,d\n");
  EXPECT_EQ(open.error, "a quote is not closed");
  EXPECT_EQ(open.lines, 1u) << "the line of the row's beginning";
}

// What three rows give whose middle one holds a carriage return that ends no line.
void ExpectBareReturn(std::unique_ptr<RowParser> (*make)(const RowParserOptions&),
                      RowParserOptions options, const std::string& text) {
  const Parsed parsed = Parse(*make(options), text);
  EXPECT_EQ(parsed.error, kBareReturn) << text;
  EXPECT_EQ(parsed.lines, 1u) << text;
  options.skip_malformed = true;
  const Parsed skips = Parse(*make(options), text);
  EXPECT_EQ(skips.error, "") << text;
  EXPECT_EQ(skips.rows.size(), 2u) << text;
  EXPECT_EQ(skips.skipped, 1u) << text;
}

TEST(RowParserTest, ABareCarriageReturnIsMalformedWhereverItStands) {
  for (const char* row : {"b,2\rc,3", "b\r,2", "\rb,2", "b,2\r\r", "b,2,\r3", "\r\r"}) {
    for (const char* end : {"\n", "\r\n"}) {
      const std::string csv = absl::StrCat("a,1", end, row, end, "d,4", end);
      const std::string tsv = absl::StrReplaceAll(csv, {{",", "\t"}});
      for (const size_t field : {size_t{1}, size_t{0}}) {
        ExpectBareReturn(&NewCsvParser, Options(0, field, ','), csv);
        ExpectBareReturn(&NewTsvParser, Options(0, field), tsv);
      }
      ExpectBareReturn(&NewTsvParser, Options(0, Columns::kRest), tsv);
      RowParserOptions limited = Options(0, Columns::kRest);
      limited.limits = {"\t\n", "\n\r,", true};  // a separator of the output
      limited.crlf = true;
      ExpectBareReturn(&NewTsvParser, limited, tsv);
    }
  }
  EXPECT_EQ(Parse(*NewCsvParser(Options(0, 1, ',')), "a,1\r\nb,2\r").rows,
            (Pairs{{"a", "1"}, {"b", "2"}}));
}

TEST(TsvParserTest, RowsEndAsTheirHeaderDoes) {
  RowParserOptions options = Options(0, Columns::kRest);
  for (const bool crlf : {false, true}) {
    options.crlf = crlf;
    const std::string r = crlf ? "" : "\r";
    options.columns.fields = {Columns::kRest};
    EXPECT_EQ(Parse(*NewTsvParser(options), "a\t1\r\nb\t\r\nc\t3\td\r\ne\t5\n\tf\r").rows,
              (Pairs{{"a", "1" + r}, {"b", r}, {"c", "3\td" + r}, {"e", "5"}, {"", "f" + r}}));
    options.columns.fields = {1};
    EXPECT_EQ(Parse(*NewTsvParser(options), "a\t1\r\nb\t\r\nc\t3\td\r\n").rows,
              (Pairs{{"a", "1" + r}, {"b", r}, {"c", "3"}}));
  }
}

TEST(CsvParserTest, LinesAreCountedThroughQuotes) {
  const Parsed parsed =
      Parse(*NewCsvParser(Options(0, 1, ',')), "\"a\n\"\"\n\"\"\",\"\n\n\",\"\n\"\nb,c\nbad\n");
  EXPECT_EQ(parsed.rows, (Pairs{{"a\n\"\n\"", "\n\n"}, {"b", "c"}}));
  EXPECT_EQ(parsed.lines, 7u);
  EXPECT_NE(parsed.error, "");
}

TEST(CsvParserTest, HeadersAreSplitAsRowsAre) {
  std::vector<std::string> names;
  EXPECT_TRUE(SplitCsvHeader("a,\"b \"\"c\"\"\nd\",\r", ',', &names));
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b \"c\"\nd", ""}));
  EXPECT_FALSE(SplitCsvHeader("a,\"b", ',', &names));
  EXPECT_EQ(SplitTsvHeader("a\t\tb", '\t'), (std::vector<std::string>{"a", "", "b"}));
}

TEST(NdjsonParserTest, TakesTwoMembersOfEachLine) {
  const auto parser = NewNdjsonParser({});
  const Parsed parsed =
      Parse(*parser, R"({"key":"a","value":"x"})"
                     "\n\n \t\r\n"
                     R"( { "other" : [1,{"key":2}], "value" : "\u00e9\n\ud83d\ude00\/" , )"
                     R"("key" : "b" } )"
                     "\r\n"
                     R"({"k\u0065y":1.50,"value":{"a": [true]}})"
                     "\n"
                     R"({"key":null,"value":"\"\\"})");
  EXPECT_EQ(parsed.error, "");
  EXPECT_EQ(parsed.rows, (Pairs{{"a", "x"},
                                {"b", "\xC3\xA9\n\xF0\x9F\x98\x80/"},
                                {"1.50", "{\"a\": [true]}"},
                                {"null", "\"\\"}}));
  EXPECT_EQ(parsed.lines, 5u);
}

TEST(NdjsonParserTest, JsonTextKeepsWhatValuesAre) {
  RowParserOptions options;
  options.json_keys = options.json_values = true;
  EXPECT_EQ(Parse(*NewNdjsonParser(options),
                  "{\"key\":\"\\u0061\",\"value\":\"\\u0061\"}\n{\"key\":1,\"value\":2}\n"
                  "{\"value\":[ ],\"key\":[1]}")
                .rows,
            (Pairs{{"a", "\"\\u0061\""}, {"1\xFF", "2"}, {"[1]\xFF", "[ ]"}}));
}

TEST(NdjsonParserTest, MembersHaveOtherNamesWhereAsked) {
  RowParserOptions options;
  options.key_member = "a b";
  options.field_members = {""};
  const auto parser = NewNdjsonParser(options);
  EXPECT_EQ(Parse(*parser, R"({"key":1,"":"v","a b":"k"})").rows, (Pairs{{"k", "v"}}));
  EXPECT_EQ(Parse(*parser, R"({"":"v","key":1})").error, "expected a member \"a b\"");
}

TEST(NdjsonParserTest, WhatIsNoSuchObjectIsMalformed) {
  for (const char* line : {"[]",
                           "1",
                           "{",
                           "{}",
                           R"({"key":"a"})",
                           R"({"value":"a"})",
                           R"({"key":1,"key":1,"value":2})",
                           R"({"key":1,"value":2,"value":2})",
                           R"({"key":1,"value":2}x)",
                           R"({"key":1,"value":2,})",
                           R"({"key":01,"value":2})",
                           R"({"key":"a","value":"\x"})",
                           R"({"key":"a","value":"\u12"})",
                           R"({"key":"a","value":"\ud800"})",
                           R"({"key":"a","value":"\udc00"})",
                           R"({"key":"a","value":"\ud800\u0041"})",
                           R"({"key":1.,"value":2})",
                           R"({"key":-,"value":2})",
                           R"({"key":1e,"value":2})",
                           R"({"key":tru,"value":2})",
                           R"({"key":"a,"value":2})",
                           R"({"key":[1,2,"value":2})",
                           R"({"key":{"a":1],"value":2})",
                           R"({"key":{1:1},"value":2})",
                           "{\"key\":\"a\tb\",\"value\":1}",
                           "{\"key\":\"\xFF\",\"value\":1}",
                           "{\"key\":\"\xC0\x80\",\"value\":1}",
                           "{\"key\":\"\xED\xA0\x80\",\"value\":1}",
                           R"({'key':1,"value":2})",
                           R"({"key":1 "value":2})",
                           R"({"key" 1,"value":2})"}) {
    const std::string text =
        absl::StrCat("{\"key\":0,\"value\":0}\n", line, "\n", "{\"key\":9,\"value\":9}\n");
    const Parsed parsed = Parse(*NewNdjsonParser({}), text);
    EXPECT_NE(parsed.error, "") << line;
    EXPECT_EQ(parsed.lines, 1u) << line;
    RowParserOptions options;
    options.skip_malformed = true;
    EXPECT_EQ(Parse(*NewNdjsonParser(options), text).rows, (Pairs{{"0", "0"}, {"9", "9"}})) << line;
  }
}

TEST(NdjsonParserTest, DepthHasALimit) {
  const auto nested = [](size_t depth) {
    return absl::StrCat("{\"key\":1,\"value\":", std::string(depth, '['), std::string(depth, ']'),
                        "}");
  };
  EXPECT_EQ(Parse(*NewNdjsonParser({}), nested(1000)).error, "");
  EXPECT_NE(Parse(*NewNdjsonParser({}), nested(1001)).error, "");
  EXPECT_NE(Parse(*NewNdjsonParser({}), nested(1000000)).error, "");
}

// The fields of each row, and the lines before it.
std::vector<std::string> Fields(const RowParser& parser, const std::string& text) {
  std::vector<char> bytes(text.begin(), text.end());
  ParsedRows rows;
  parser.Parse(absl::MakeSpan(bytes), &rows);
  EXPECT_EQ(rows.error(), "");
  std::vector<std::string> shown;
  for (size_t i = 0; i < rows.rows().size(); ++i) {
    shown.push_back(absl::StrCat(rows.lines_before(i), ": ", rows.rows()[i].key, "=",
                                 absl::StrJoin(rows.fields(i), "|")));
  }
  return shown;
}

TEST(RowParserTest, SomeFieldsOrNoneAreTaken) {
  RowParserOptions options = Options(1, 0);
  options.keep_lines = true;
  options.skip_malformed = true;
  RowParserOptions comma = options;
  comma.delimiter = ',';
  const std::string tsv = "a\tb\tc\td\nbad\n1\t2\t3\t\n";
  const std::string csv = "a,b,\"c\"\"\n\",d\nbad\n1,2,3,\n";
  const std::string json =
      "{\"a\":1,\"b\":\"\\n\",\"c\":3}\n\n{\"c\":\"\\n\\n\",\"a\":4,\"b\":5}\n";
  using Shown = std::vector<std::string>;

  options.columns.fields = comma.columns.fields = {3, 1, 0};
  EXPECT_EQ(Fields(*NewTsvParser(options), tsv), (Shown{"0: b=d|b|a", "2: 2=|2|1"}));
  comma.columns.fields = {2, 0};
  EXPECT_EQ(Fields(*NewCsvParser(comma), csv), (Shown{"0: b=c\"\n|a", "3: 2=3|1"}));
  options.key_member = "a";
  options.field_members = {"c", "b"};
  EXPECT_EQ(Fields(*NewNdjsonParser(options), json), (Shown{"0: 1=3|\n", "2: 4=\n\n|5"}));

  options.columns.fields = comma.columns.fields = {Columns::kRest, 2};
  options.columns.key = comma.columns.key = 0;
  EXPECT_EQ(Fields(*NewTsvParser(options), tsv), (Shown{"0: a=b\tc\td|c", "2: 1=2\t3\t|3"}));
  EXPECT_EQ(Fields(*NewCsvParser(comma), csv), (Shown{"0: a=b|c\"\n", "3: 1=2|3"}));
  options.columns.key = comma.columns.key = 1;
  options.columns.fields = comma.columns.fields = {};
  options.field_members = {};
  EXPECT_EQ(Fields(*NewTsvParser(options), tsv), (Shown{"0: b=", "2: 2="}));
  EXPECT_EQ(Fields(*NewCsvParser(comma), csv), (Shown{"0: b=", "3: 2="}));
  EXPECT_EQ(Fields(*NewNdjsonParser(options), json), (Shown{"0: 1=", "2: 4="}));
}

TEST(RowParserTest, LimitsAreThoseOfTheFirstFieldAlone) {
  RowParserOptions options;
  options.limits = {"\t\n", "\t\n,", true};
  options.columns.fields = {Columns::kRest, 1};
  EXPECT_EQ(Parse(*NewTsvParser(options), "a,b\tc\n").error, "");
  EXPECT_NE(Parse(*NewTsvParser(options), "a\tb,c\n").error, "");
  EXPECT_NE(Parse(*NewTsvParser(options), "a\tb\tc\n").error, "");
  options.columns.fields = {1, 2};
  EXPECT_EQ(Parse(*NewTsvParser(options), "a\tb\tc,d\te,f\n").error, "");
  EXPECT_NE(Parse(*NewTsvParser(options), "a\tb,c\td\n").error, "");
  options.delimiter = ',';
  EXPECT_EQ(Parse(*NewCsvParser(options), "a,b,\"c,d\"\n").error, "");
  EXPECT_NE(Parse(*NewCsvParser(options), "a,\"b,c\",d\n").error, "");
}

TEST(RowParserTest, RowsOfALongTextHaveTheirRoom) {
  const std::string large(1 << 20, 'x');
  const auto parser = NewTsvParser({});
  EXPECT_EQ(Parse(*parser, absl::StrCat("k\t", large, "\na\tb\nc\td")).rows,
            (Pairs{{"k", large}, {"a", "b"}, {"c", "d"}}));
  const Parsed newlines = Parse(*NewTsvParser(Options(0, 0)), std::string(1 << 20, '\n'));
  EXPECT_EQ(newlines.rows.size(), size_t{1} << 20);
}

TEST(RowLimitsTest, KeysAreShownOnOneShortLine) {
  EXPECT_EQ(ShowKey("a\"\n\xC3\xA9"), "\"a\\\"\\n\xC3\xA9\"");
  EXPECT_EQ(ShowKey("\xFF"), "\"\\xff\"");
  EXPECT_LT(ShowKey(std::string(1000, 'k')).size(), 80u);
}

}  // namespace
}  // namespace kvarts::groupby_text
