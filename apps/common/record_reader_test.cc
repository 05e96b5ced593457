#include "apps/common/record_reader.h"

#include <cstdint>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "apps/common/record_format.h"
#include "gtest/gtest.h"
#include "storage/store.h"

namespace kvarts {
namespace {

using Records = std::vector<std::pair<std::string, std::string>>;

// The records of a file of these contents, or the error.
absl::StatusOr<Records> ReadAll(const std::string& contents,
                                std::optional<RecordFormat> format = RecordFormat::kData) {
  const std::string path = absl::StrCat(testing::TempDir(), "/records");
  std::ofstream(path, std::ios::binary) << contents;
  auto reader = RecordReader::Open(path, format);
  if (!reader.ok()) return reader.status();
  EXPECT_EQ((*reader)->size(), contents.size());
  Records records;
  Record record;
  while (true) {
    const absl::StatusOr<bool> more = (*reader)->Next(&record);
    if (!more.ok()) return more.status();
    if (!*more) break;
    records.emplace_back(record.key, record.value);
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

// Whatever an entry is, NDJSON holds it, and a data file holds it or it is an error.
TEST(RecordReaderTest, WhatIsWrittenIsRead) {
  std::string all_bytes;
  for (int c = 0; c < 256; ++c) all_bytes.push_back(static_cast<char>(c));
  const std::string texts[] = {"",
                               "a",
                               "a b",
                               "a\nb",
                               "\xff\xfe",
                               "\xc3\xa9",
                               "\r",
                               all_bytes,
                               "\"\\",
                               "{\"key\":",
                               " lead",
                               std::string("\xef\xbb\xbf") + "bom",
                               std::string("\0", 1),
                               std::string(300000, '\n')};
  int held = 0;
  for (const std::string& key : texts) {
    for (const std::string& value : texts) {
      if (key.size() > kMaxKeyBytes) continue;
      for (const char* const type : {"", "text/plain", "\xff\n"}) {
        for (const int64_t expires : {int64_t{0}, int64_t{1}, INT64_MAX}) {
          const ScanEntry entry{key, value, type, expires};
          for (const RecordFormat format : {RecordFormat::kData, RecordFormat::kNdjson}) {
            std::string file;
            const absl::Status status = AppendRecord(entry, format, /*is_first=*/true, &file);
            if (format == RecordFormat::kData) held += status.ok() ? 1 : 0;
            if (!status.ok()) {
              EXPECT_EQ(format, RecordFormat::kData);
              EXPECT_EQ(file, "");
              continue;
            }
            const std::string path = absl::StrCat(testing::TempDir(), "/records");
            std::ofstream(path, std::ios::binary) << file;
            auto reader = RecordReader::Open(path, std::nullopt);
            ASSERT_TRUE(reader.ok());
            Record record;
            const absl::StatusOr<bool> more = (*reader)->Next(&record);
            ASSERT_TRUE(more.ok()) << more.status();
            ASSERT_TRUE(*more);
            EXPECT_EQ(record.key, key);
            EXPECT_EQ(record.value, value);
            EXPECT_EQ(record.content_type, type);
            EXPECT_EQ(record.expires_at_ms, expires);
            EXPECT_FALSE(*(*reader)->Next(&record));
          }
        }
      }
    }
  }
  EXPECT_GT(held, 50);
}

TEST(RecordReaderTest, MalformedNdjsonIsNamed) {
  const std::string path = absl::StrCat(testing::TempDir(), "/records");
  const std::pair<const char*, const char*> cases[] = {
      {"", "the line is not JSON: incomplete JSON at byte 0"},
      {"{\"key\":\"b\"}", "there is no \"value\""},
      {"{\"value\":\"b\"}", "there is no \"key\""},
      {"{\"key\":\"b\",\"value\":1}",
       "\"value\" is neither a string nor an object {\"base64\": \"...\"}"},
      {"{\"key\":\"b\",\"value\":{\"base64\":\"?\"}}", "\"value\" is not base64"},
      {"{\"key\":\"b\",\"value\":\"\",\"ttl\":1}",
       "there is no member \"ttl\"; known are key, value, content_type and expires_at_ms"},
      {"{\"key\":\"b\",\"key\":\"c\"}", "it has \"key\" twice"},
      {"{\"key\":\"b\",\"value\":\"\",\"expires_at_ms\":1.5}",
       "\"expires_at_ms\" is not a time: a whole number of milliseconds"},
      {"[1]", "expected an object {\"key\": ..., \"value\": ...}"},
      {"b 1", "the line is not JSON: syntax error at byte 0"},
  };
  for (const auto& [line, message] : cases) {
    const auto records =
        ReadAll(absl::StrCat("{\"key\":\"a\",\"value\":\"1\"}\n", line, "\n"), std::nullopt);
    EXPECT_EQ(records.status().message(), absl::StrCat(path, ", line 2: ", message));
  }
}

// However another program writes it.
TEST(RecordReaderTest, WhatBeginsAsAnObjectIsNdjsonOrAnError) {
  EXPECT_EQ(
      *ReadAll("{\"content_type\": \"a/b\", \"key\": \"k 1\", \"value\": \"v\"}\n", std::nullopt),
      (Records{{"k 1", "v"}}));
  EXPECT_EQ(*ReadAll("{ \"key\" : \"k\", \"value\" : \"v\" }\n", std::nullopt),
            (Records{{"k", "v"}}));
  const std::string path = absl::StrCat(testing::TempDir(), "/records");
  EXPECT_EQ(ReadAll("{key} v\n", std::nullopt).status().message(),
            absl::StrCat(path,
                         ", line 1: the line is not JSON: syntax error at byte 1; with "
                         "--format=data it is a line of a data file"));
  EXPECT_EQ(*ReadAll("{key} v\n"), (Records{{"{key}", "v"}}));
}

TEST(RecordReaderTest, WhatCannotBeReadIsNamed) {
  const std::string none = absl::StrCat(testing::TempDir(), "/none");
  const auto absent = RecordReader::Open(none, std::nullopt);
  EXPECT_EQ(absent.status().code(), absl::StatusCode::kNotFound);
  EXPECT_NE(absent.status().message().find(none), absl::string_view::npos);
  auto directory = RecordReader::Open(testing::TempDir(), std::nullopt);
  ASSERT_TRUE(directory.ok());
  Record record;
  EXPECT_FALSE((*directory)->Next(&record).ok());
}

}  // namespace
}  // namespace kvarts
