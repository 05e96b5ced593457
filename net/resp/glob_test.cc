#include "net/resp/glob.h"

#include <string>

#include "gtest/gtest.h"

namespace kvarts {
namespace resp {
namespace {

TEST(GlobTest, PlainPatternsMatchThemselves) {
  EXPECT_TRUE(GlobMatches("", ""));
  EXPECT_TRUE(GlobMatches("abc", "abc"));
  EXPECT_FALSE(GlobMatches("abc", "abd"));
  EXPECT_FALSE(GlobMatches("abc", "ab"));
  EXPECT_FALSE(GlobMatches("abc", "abcd"));
  EXPECT_FALSE(GlobMatches("", "a"));
  EXPECT_FALSE(GlobMatches("ABC", "abc"));
}

TEST(GlobTest, StarsAndQuestionMarks) {
  EXPECT_TRUE(GlobMatches("*", ""));
  EXPECT_TRUE(GlobMatches("***", "abc"));
  EXPECT_TRUE(GlobMatches("a*c", "ac"));
  EXPECT_TRUE(GlobMatches("a*c", "abcbc"));
  EXPECT_FALSE(GlobMatches("a*c", "abcb"));
  EXPECT_TRUE(GlobMatches("*b*d*", "abcde"));
  EXPECT_FALSE(GlobMatches("*d*b*", "abcde"));
  EXPECT_TRUE(GlobMatches("a?c", "abc"));
  EXPECT_FALSE(GlobMatches("a?c", "ac"));
  EXPECT_TRUE(GlobMatches("??*", "ab"));
  EXPECT_FALSE(GlobMatches("??*", "a"));
  EXPECT_TRUE(GlobMatches("*ab", "aab"));
  EXPECT_TRUE(GlobMatches(std::string("*\0b", 3), std::string("a\0\0b", 4)));
}

TEST(GlobTest, Classes) {
  EXPECT_TRUE(GlobMatches("h[ae]llo", "hallo"));
  EXPECT_FALSE(GlobMatches("h[ae]llo", "hillo"));
  EXPECT_TRUE(GlobMatches("h[^e]llo", "hallo"));
  EXPECT_FALSE(GlobMatches("h[^e]llo", "hello"));
  EXPECT_TRUE(GlobMatches("h[a-c]llo", "hbllo"));
  EXPECT_TRUE(GlobMatches("h[c-a]llo", "hbllo"));
  EXPECT_FALSE(GlobMatches("h[a-c]llo", "hdllo"));
  EXPECT_TRUE(GlobMatches("[\x80-\xff]", "\xa0"));
  EXPECT_TRUE(GlobMatches("[\\]x]", "]"));
  EXPECT_TRUE(GlobMatches("[a-]", "_"));  // a range to "]", and unclosed
  EXPECT_TRUE(GlobMatches("a[b", "ab"));  // unclosed: ends with the pattern
  EXPECT_FALSE(GlobMatches("a[b", "ac"));
  EXPECT_FALSE(GlobMatches("a[", "a["));
  EXPECT_FALSE(GlobMatches("[]", "a"));
  EXPECT_TRUE(GlobMatches("[^]*", "abc"));
}

TEST(GlobTest, EscapesTakeTheNextByteAsItIs) {
  EXPECT_TRUE(GlobMatches("\\*", "*"));
  EXPECT_FALSE(GlobMatches("\\*", "a"));
  EXPECT_TRUE(GlobMatches("a\\?b*", "a?bc"));
  EXPECT_TRUE(GlobMatches("a\\", "a\\"));
  EXPECT_TRUE(GlobMatches("\\\\", "\\"));
}

// Every pattern and text of a few letters, against the plain definition.
bool Reference(absl::string_view pattern, absl::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*') {
    return Reference(pattern.substr(1), text) ||
           (!text.empty() && Reference(pattern, text.substr(1)));
  }
  if (text.empty()) return false;
  return (pattern[0] == '?' || pattern[0] == text[0]) &&
         Reference(pattern.substr(1), text.substr(1));
}

std::string Word(int number, absl::string_view letters, int size) {
  std::string word;
  for (int i = 0; i < size; ++i, number /= static_cast<int>(letters.size())) {
    word.push_back(letters[static_cast<size_t>(number) % letters.size()]);
  }
  return word;
}

TEST(GlobTest, AgreesWithTheDefinition) {
  for (int p = 0; p < 4 * 4 * 4 * 4 * 4; ++p) {
    const std::string pattern = Word(p, "ab*?", 5);
    for (int size = 0; size <= 5; ++size) {
      for (int t = 0; t < 1 << size; ++t) {
        const std::string text = Word(t, "ab", size);
        ASSERT_EQ(GlobMatches(pattern, text), Reference(pattern, text)) << pattern << " " << text;
      }
    }
  }
}

TEST(GlobTest, ManyStarsCostAProductNotAPower) {
  std::string pattern;
  for (int i = 0; i < 300; ++i) pattern += "a*";
  EXPECT_FALSE(GlobMatches(pattern + "b", std::string(10000, 'a')));
  EXPECT_TRUE(GlobMatches(pattern, std::string(10000, 'a')));
}

TEST(GlobTest, WhatItCostsIsCounted) {
  uint64_t steps = 0;
  EXPECT_FALSE(GlobMatches("*[" + std::string(1000, 'b') + "]", std::string(30, 'a'), &steps));
  EXPECT_GE(steps, 30'000u);
  EXPECT_LT(steps, 40'000u);
  steps = 0;
  EXPECT_TRUE(GlobMatches("*", std::string(1000, 'a'), &steps));
  EXPECT_TRUE(GlobMatches("abc", "abc", &steps));
  EXPECT_LT(steps, 1100u);
}

TEST(GlobTest, PrefixesAreWhatEveryMatchBeginsWith) {
  EXPECT_EQ(GlobPrefix("user:*"), "user:");
  EXPECT_EQ(GlobPrefix("user"), "user");
  EXPECT_EQ(GlobPrefix("user:\\*1?*"), "user:*1");
  EXPECT_EQ(GlobPrefix("a[bc]"), "a");
  EXPECT_EQ(GlobPrefix("a\\"), "a\\");
  EXPECT_EQ(GlobPrefix("*"), "");
  EXPECT_EQ(GlobPrefix(""), "");
  EXPECT_TRUE(GlobMatchesAll("*"));
  EXPECT_TRUE(GlobMatchesAll("**"));
  EXPECT_FALSE(GlobMatchesAll(""));
  EXPECT_FALSE(GlobMatchesAll("*a"));
}

}  // namespace
}  // namespace resp
}  // namespace kvarts
