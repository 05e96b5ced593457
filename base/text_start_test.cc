#include "base/text_start.h"

#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

// NOLINTNEXTLINE(misc-unused-using-decls): clang-tidy 14 does not see the literals.
using std::string_literals::operator""s;

// ASCII as units of `unit` bytes, of which number `place` is not zero.
std::string Wide(const std::string& text, size_t unit, size_t place) {
  std::string wide(text.size() * unit, '\0');
  for (size_t i = 0; i < text.size(); ++i) wide[i * unit + place] = text[i];
  return wide;
}

TEST(TextStartTest, AByteOrderMarkHasThreeBytes) {
  EXPECT_EQ(ByteOrderMarkBytes("\xEF\xBB\xBFkey"), 3u);
  EXPECT_EQ(ByteOrderMarkBytes("\xEF\xBB\xBF"), 3u);
  for (const char* text : {"", "key", "\xEF\xBB", "\xEF\xBBkey", "k\xEF\xBB\xBF"}) {
    EXPECT_EQ(ByteOrderMarkBytes(text), 0u) << text;
  }
}

TEST(TextStartTest, CompressedFilesAndArchivesAreKnown) {
  EXPECT_EQ(ForeignFormat("\x1F\x8B\x08\0\0"s), "gzip data");
  EXPECT_EQ(ForeignFormat("\x28\xB5\x2F\xFD\x04"s), "zstd data");
  EXPECT_EQ(ForeignFormat("\x5E\x2A\x4D\x18\0\0\0\0"s), "zstd data");
  EXPECT_EQ(ForeignFormat("\xFD"
                          "7zXZ\0\0"s),
            "xz data");
  EXPECT_EQ(ForeignFormat("BZh91AY&SY\x01"s), "bzip2 data");
  EXPECT_EQ(ForeignFormat("BZh9\x17\x72\x45\x38\x50\x90\0\0\0\0"s), "bzip2 data");
  EXPECT_EQ(ForeignFormat("\x04\x22\x4D\x18\x60"s), "lz4 data");
  EXPECT_EQ(ForeignFormat("\x5D\0\0\x80\0"s), "lzma data");
  EXPECT_EQ(ForeignFormat("\x1F\x9D\x90"s), "compress data");
  EXPECT_EQ(ForeignFormat("PK\x03\x04\x14"s), "a zip archive");
  EXPECT_EQ(ForeignFormat("7z\xBC\xAF\x27\x1C\0"s), "a 7z archive");
  std::string tar(512, '\0');
  tar.replace(0, 4, "name");
  tar.replace(257, 8, "ustar  \0"s);
  EXPECT_EQ(ForeignFormat(tar), "a tar archive");
  tar.replace(257, 8,
              "ustar\0"
              "00"s);
  EXPECT_EQ(ForeignFormat(tar), "a tar archive");
}

TEST(TextStartTest, WideTextIsKnownWithAMarkAndWithout) {
  EXPECT_EQ(ForeignFormat("\xFF\xFE"
                          "a\0"s),
            "UTF-16 text");
  EXPECT_EQ(ForeignFormat("\xFE\xFF\0a"s), "UTF-16 text");
  EXPECT_EQ(ForeignFormat("\xFF\xFE\0\0a\0\0\0"s), "UTF-32 text");
  EXPECT_EQ(ForeignFormat("\0\0\xFE\xFF\0\0\0a"s), "UTF-32 text");
  for (const size_t place : {0u, 1u})
    EXPECT_EQ(ForeignFormat(Wide("a\tx\n", 2, place)), "UTF-16 text");
  for (const size_t place : {0u, 3u})
    EXPECT_EQ(ForeignFormat(Wide("a\tx\n", 4, place)), "UTF-32 text");
}

TEST(TextStartTest, TextIsNothingElse) {
  for (const std::string& text :
       {""s, "a"s, "key\tvalue\n"s, "BZh9 is a key\n"s, "PK,1\n"s, "7zXZ\n"s, "LZIP\t1\n"s,
        "]\t1\n"s, "\xEF\xBB\xBFkey\tvalue\n"s, "\x1F\x8B"s, "a\0b\0c\0"s, "\0\0\0\0\0\0\0\0"s,
        "a\0b\0\x01\0\x02\0\t\0"s, std::string(257, 'x') + "ustar is here\n"}) {
    EXPECT_EQ(ForeignFormat(text), "") << text;
    EXPECT_TRUE(CheckTextStart("file", text).ok());
  }
}

TEST(TextStartTest, TheErrorNamesTheFileAndTheFormat) {
  const absl::Status packed = CheckTextStart("file", "PK\x03\x04");
  EXPECT_TRUE(absl::IsFailedPrecondition(packed));
  EXPECT_EQ(packed.message(),
            "file: expected text in bytes or UTF-8, found a zip archive; unpack it first");
  EXPECT_EQ(CheckTextStart("file", "\xFF\xFE").message(),
            "file: expected text in bytes or UTF-8, found UTF-16 text; convert it first");
}

}  // namespace
}  // namespace kvarts
