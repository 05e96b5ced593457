#include "apps/repl/quoting.h"

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> Words(absl::string_view line) {
  std::vector<std::string> words;
  WordReader reader(line);
  while (!reader.AtEnd()) {
    const absl::StatusOr<Word> word = reader.Next();
    if (!word.ok()) return {std::string(word.status().message())};
    words.push_back(word->bytes);
  }
  return words;
}

std::string Data(absl::string_view line) {
  WordReader reader(line);
  if (reader.AtEnd()) return "nothing";
  const absl::StatusOr<Word> data = reader.Data();
  return data.ok() ? data->bytes : std::string(data.status().message());
}

TEST(QuotingTest, WordsEndAtBlanks) {
  EXPECT_THAT(Words(""), ElementsAre());
  EXPECT_THAT(Words(" \t "), ElementsAre());
  EXPECT_THAT(Words("  get\tkey  "), ElementsAre("get", "key"));
  EXPECT_THAT(Words("a;b |c >d $e *"), ElementsAre("a;b", "|c", ">d", "$e", "*"));
}

TEST(QuotingTest, PiecesMakeAWord) {
  EXPECT_THAT(Words("'a b'"), ElementsAre("a b"));
  EXPECT_THAT(Words("\"a b\""), ElementsAre("a b"));
  EXPECT_THAT(Words("''"), ElementsAre(""));
  EXPECT_THAT(Words("\"\" $'' x"), ElementsAre("", "", "x"));
  EXPECT_THAT(Words(R"('it'\''s' it\'s)"), ElementsAre("it's", "it's"));
  EXPECT_THAT(Words(R"(a"b"'c'$'d'\ e)"), ElementsAre("abcd e"));
  EXPECT_THAT(Words(R"(--from='a b' --to=$'\x00')"),
              ElementsAre("--from=a b", std::string("--to=\0", 6)));
  EXPECT_THAT(Words("\xC3\xA9 '\xE2\x82\xAC'"), ElementsAre("\xC3\xA9", "\xE2\x82\xAC"));
}

TEST(QuotingTest, EscapesStandForAnyByte) {
  const std::string bytes("\a\b\x1B\f\n\r\t\v\0\xFF\x0A$", 12);
  const std::string escapes = R"(\a\b\e\f\n\r\t\v\0\xfF\x0a\$)";
  EXPECT_THAT(Words(escapes), ElementsAre(bytes));
  EXPECT_THAT(Words(absl::StrCat("\"", escapes, "\"")), ElementsAre(bytes));
  EXPECT_THAT(Words(absl::StrCat("$'", escapes, "'")), ElementsAre(bytes));
  EXPECT_THAT(Words(absl::StrCat("'", escapes, "'")), ElementsAre(escapes));
  EXPECT_THAT(Words(R"("\"\\\'" $'\'\"' \x411)"), ElementsAre("\"\\'", "'\"", "A1"));
}

TEST(QuotingTest, ErrorsNameTheColumn) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"get 'abc", "column 5: the quote ' is not closed"},
      {"get \"a'", "column 5: the quote \" is not closed"},
      {"get x$'a\\'", "column 7: the quote ' is not closed"},
      {"get a\\", "column 6: nothing follows the backslash"},
      {"get 'a'\\q", "column 8: \\q is no escape"},
      {"get \\x4", "column 5: \\x needs two hexadecimal digits"},
      {"get \\xg4", "column 5: \\x needs two hexadecimal digits"},
      {"get \\012", "column 5: \\0 with a digit behind it"},
  };
  for (const auto& [line, error] : cases) {
    EXPECT_THAT(Words(line), ElementsAre(HasSubstr(error))) << line;
  }
}

TEST(QuotingTest, DataIsAWordOrTheRestOfTheLine) {
  EXPECT_EQ(Data(""), "nothing");
  EXPECT_EQ(Data("two words"), "two words");
  EXPECT_EQ(Data("  blanks behind \t"), "blanks behind \t");
  EXPECT_EQ(Data("it's C:\\new \"x\""), "it's C:\\new \"x\"");
  EXPECT_EQ(Data(R"({"a": "b\n"})"), R"({"a": "b\n"})");
  EXPECT_EQ(Data("$5 'x'"), "$5 'x'");
  EXPECT_EQ(Data("'two words'  "), "two words");
  EXPECT_EQ(Data(R"('it'\''s')"), "it's");
  EXPECT_EQ(Data(R"($'\x00')"), std::string(1, '\0'));
  EXPECT_EQ(Data("''"), "");
  EXPECT_THAT(Data("'a' b"), HasSubstr("column 5: something follows the quoted DATA"));
  EXPECT_THAT(Data("'a"), HasSubstr("is not closed"));
}

TEST(QuotingTest, AnOpenWordIsRead) {
  for (const std::string line : {"'two w", "\"two w", "$'two w", "two\\ w", "'two w'", "two\\x20w",
                                 "'two w'\\", "$'two w\\x", "$'two w\\"}) {
    WordReader reader(line, true);
    const absl::StatusOr<Word> word = reader.Next();
    ASSERT_TRUE(word.ok()) << line;
    EXPECT_EQ(word->bytes, "two w") << line;
  }
}

TEST(QuotingTest, QuotesAsLittleAsItCan) {
  EXPECT_EQ(QuoteWord("user:1/a.b"), "user:1/a.b");
  EXPECT_EQ(QuoteWord("-5"), "-5");
  EXPECT_EQ(QuoteWord("--x"), "'--x'");
  EXPECT_EQ(QuoteWord(""), "''");
  EXPECT_EQ(QuoteWord("#"), "'#'");
  EXPECT_EQ(QuoteWord("two words"), "'two words'");
  EXPECT_EQ(QuoteWord("it's"), "\"it's\"");
  EXPECT_EQ(QuoteWord("'\""), R"($'\'"')");
  EXPECT_EQ(QuoteWord("\xC3\xA9"), "\xC3\xA9");
  EXPECT_EQ(QuoteWord("\xFF\n"), R"($'\xff\n')");
  EXPECT_EQ(QuoteWord(std::string("\0", 1)), R"($'\x00')");
  EXPECT_EQ(QuoteWord("\x1B[31m"), R"($'\x1b[31m')");
  EXPECT_EQ(QuoteWord("\xC2\x9B"), R"($'\xc2\x9b')");          // CSI in one character
  EXPECT_EQ(QuoteWord("\xE2\x80\xAE"), R"($'\xe2\x80\xae')");  // right to left from here on
  EXPECT_EQ(QuoteData("two words"), "two words");
  EXPECT_EQ(QuoteData("it's \"so\" \\n"), "it's \"so\" \\n");
  EXPECT_EQ(QuoteData(" x"), "' x'");
  EXPECT_EQ(QuoteData("x "), "'x '");
  EXPECT_EQ(QuoteData("'x'"), "\"'x'\"");
  EXPECT_EQ(QuoteData("(absent)"), "'(absent)'");
  EXPECT_EQ(QuoteData("a\nb"), R"($'a\nb')");
  EXPECT_EQ(QuoteOpen("user:"), "user:");
  EXPECT_EQ(QuoteOpen("two "), "'two ");
  EXPECT_EQ(QuoteOpen("\n"), "$'\\n");
  EXPECT_EQ(QuoteOpen(""), "");
}

TEST(QuotingTest, TellsText) {
  EXPECT_TRUE(IsText(""));
  EXPECT_TRUE(IsText("two\n\tlines \xE2\x82\xAC \xF0\x9F\x99\x82"));
  EXPECT_FALSE(IsText("\r"));
  EXPECT_FALSE(IsText(std::string("a\0", 2)));
  EXPECT_FALSE(IsText("\x1B"));
  EXPECT_FALSE(IsText("\x7F"));
  EXPECT_FALSE(IsText("\xFF"));
  EXPECT_FALSE(IsText("\xE2\x82"));
  EXPECT_FALSE(IsText("\xC2\x80"));
}

// Bytes that the quoting has rules for come often.
std::string RandomBytes(std::mt19937_64& random) {
  static constexpr absl::string_view kPieces[] = {"'",        "\"",
                                                  "\\",       "$",
                                                  "$'",       " ",
                                                  "\t",       "\n",
                                                  "--",       "#",
                                                  "a",        "x41",
                                                  "0",        "\x1B",
                                                  "\xC3\xA9", "\xF0\x9F\x99\x82",
                                                  "\xC2\x9B", "\xE2\x80\xAE",
                                                  "\xE2\x82", "(absent)",
                                                  "\r"};
  std::string bytes;
  for (uint64_t left = random() % 8; left > 0; --left) {
    if (random() % 4 == 0) {
      bytes += static_cast<char>(random() % 256);
    } else {
      absl::StrAppend(&bytes, kPieces[random() % std::size(kPieces)]);
    }
  }
  return bytes;
}

TEST(QuotingTest, WhatIsQuotedReadsBack) {
  std::vector<std::string> all;
  for (int byte = 0; byte < 256; ++byte) all.emplace_back(1, static_cast<char>(byte));
  std::mt19937_64 random(13);
  for (int i = 0; i < 20000; ++i) all.push_back(RandomBytes(random));
  for (const std::string& bytes : all) {
    const std::string word = QuoteWord(bytes);
    EXPECT_THAT(Words(absl::StrCat("x ", word, " y")), ElementsAre("x", bytes, "y")) << word;
    EXPECT_EQ(Data(word), bytes) << word;
    const std::string data = QuoteData(bytes);
    EXPECT_EQ(Data(data), bytes) << data;
    for (const std::string& shown : {word, data}) {
      EXPECT_TRUE(IsText(shown)) << word;
      EXPECT_FALSE(absl::StrContains(shown, '\n') || absl::StrContains(shown, '\t')) << word;
    }
    const std::string begun = QuoteOpen(bytes);
    WordReader open(begun, true);
    if (!bytes.empty()) {
      ASSERT_FALSE(open.AtEnd()) << word;
      const absl::StatusOr<Word> read = open.Next();
      ASSERT_TRUE(read.ok());
      EXPECT_EQ(read->bytes, bytes) << word;
    }
  }
}

// Whatever is typed is read, or refused with one line.
TEST(QuotingTest, AnyLineIsReadOrRefused) {
  std::mt19937_64 random(14);
  for (int i = 0; i < 20000; ++i) {
    const std::string line = RandomBytes(random);
    WordReader reader(line);
    while (!reader.AtEnd()) {
      const absl::StatusOr<Word> word = reader.Next();
      if (!word.ok()) {
        EXPECT_EQ(word.status().code(), absl::StatusCode::kInvalidArgument);
        EXPECT_TRUE(absl::StartsWith(word.status().message(), "column "));
        break;
      }
    }
  }
}

}  // namespace
}  // namespace kvarts
