#include "apps/common/record_reader.h"

#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/store.h"

namespace kvarts {
namespace {

using Records = std::vector<std::pair<std::string, std::string>>;

// The records of a file of these contents, or the error.
absl::StatusOr<Records> ReadAll(const std::string& contents) {
  const std::string path = absl::StrCat(testing::TempDir(), "/records");
  std::ofstream(path, std::ios::binary) << contents;
  auto reader = RecordReader::Open(path);
  if (!reader.ok()) return reader.status();
  EXPECT_EQ((*reader)->size(), contents.size());
  Records records;
  absl::string_view key;
  absl::string_view value;
  while (true) {
    const absl::StatusOr<bool> more = (*reader)->Next(&key, &value);
    if (!more.ok()) return more.status();
    if (!*more) break;
    records.emplace_back(key, value);
    EXPECT_EQ((*reader)->line(), records.size());
  }
  EXPECT_EQ((*reader)->bytes_read(), contents.size());
  return records;
}

TEST(RecordReaderTest, AValueIsTheRestOfItsLine) {
  EXPECT_EQ(
      *ReadAll("a 1\nb two words\tand, more \nc \nd 4\r\na 5\n"),
      (Records{{"a", "1"}, {"b", "two words\tand, more "}, {"c", ""}, {"d", "4\r"}, {"a", "5"}}));
  EXPECT_EQ(*ReadAll(""), Records());
  EXPECT_EQ(*ReadAll("a 1\nb 2"), (Records{{"a", "1"}, {"b", "2"}}));
}

TEST(RecordReaderTest, AByteOrderMarkIsNoPartOfTheFirstKey) {
  EXPECT_EQ(*ReadAll("\xEF\xBB\xBF"
                     "a 1\nb 2\n"),
            (Records{{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(*ReadAll("\xEF\xBB\xBF"), Records());
  EXPECT_EQ(*ReadAll("a 1\n\xEF\xBB\xBF"
                     "b 2\n"),
            (Records{{"a", "1"},
                     {"\xEF\xBB\xBF"
                      "b",
                      "2"}}));
}

TEST(RecordReaderTest, WhatIsNoTextIsNamed) {
  const std::string path = absl::StrCat(testing::TempDir(), "/records");
  for (const auto& [start, format] : {std::make_pair("\x1F\x8B\x08 packed\n", "gzip data; unpack"),
                                      std::make_pair("\xFF\xFE"
                                                     "a b\n",
                                                     "UTF-16 text; convert")}) {
    EXPECT_EQ(ReadAll(start).status().message(),
              absl::StrCat(path, ": expected text in bytes or UTF-8, found ", format, " it first"));
  }
}

TEST(RecordReaderTest, LongLinesAreWhole) {
  Records want;
  std::string contents;
  for (const size_t size : {0, 1, 262'100, 262'144, 300'000, 5'000'000, 7}) {
    want.emplace_back(absl::StrCat("key", want.size()), std::string(size, 'v'));
    absl::StrAppend(&contents, want.back().first, " ", want.back().second, "\n");
  }
  EXPECT_TRUE(*ReadAll(contents) == want);
}

TEST(RecordReaderTest, TheLongestKeyAndValueAreRead) {
  const std::string key(kMaxKeyBytes, 'k');
  const std::string value(kMaxValueBytes, 'v');
  const auto records = ReadAll(absl::StrCat(key, " ", value, "\n"));
  ASSERT_TRUE(records.ok()) << records.status();
  EXPECT_TRUE((*records)[0] == std::make_pair(key, value));
}

TEST(RecordReaderTest, MalformedLinesAreNamed) {
  const std::string path = absl::StrCat(testing::TempDir(), "/records");
  EXPECT_EQ(ReadAll("a 1\nb\nc 3\n").status().message(),
            absl::StrCat(path, ", line 2: expected a key, a space and a value"));
  EXPECT_EQ(ReadAll("a 1\n\n").status().message(),
            absl::StrCat(path, ", line 2: expected a key, a space and a value"));
  EXPECT_EQ(ReadAll(" 1\n").status().message(),
            absl::StrCat(path, ", line 1: expected a key in front of the space"));
  EXPECT_EQ(ReadAll(absl::StrCat(std::string(kMaxKeyBytes + 1, 'k'), " \n")).status().message(),
            absl::StrCat(path, ", line 1: expected a key of at most 65536 bytes"));
  EXPECT_EQ(ReadAll(absl::StrCat("k ", std::string(kMaxValueBytes + 1, 'v'))).status().message(),
            absl::StrCat(path, ", line 1: expected a value of at most 67108864 bytes"));
  EXPECT_FALSE(ReadAll(std::string(100 << 20, 'x')).ok());
}

TEST(RecordReaderTest, WhatCannotBeReadIsNamed) {
  const std::string none = absl::StrCat(testing::TempDir(), "/none");
  const auto absent = RecordReader::Open(none);
  EXPECT_EQ(absent.status().code(), absl::StatusCode::kNotFound);
  EXPECT_NE(absent.status().message().find(none), absl::string_view::npos);
  auto directory = RecordReader::Open(testing::TempDir());
  ASSERT_TRUE(directory.ok());
  absl::string_view key;
  EXPECT_FALSE((*directory)->Next(&key, &key).ok());
}

}  // namespace
}  // namespace kvarts
