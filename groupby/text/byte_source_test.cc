#include "groupby/text/byte_source.h"

#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/memory_budget.h"
#include "groupby/text/string_source.h"
#include "gtest/gtest.h"

namespace kvarts::groupby_text {
namespace {

std::string Gzip(const std::string& text) {
  z_stream stream = {};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string packed(text.size() + 1000, '\0');
  std::string copy = text;
  stream.next_in = reinterpret_cast<Bytef*>(&copy[0]);
  stream.avail_in = static_cast<uInt>(copy.size());
  stream.next_out = reinterpret_cast<Bytef*>(&packed[0]);
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

std::string Zstd(const std::string& text, int window_log = 0) {
  ZSTD_CCtx* const context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, window_log == 0 ? 1 : 0);
  if (window_log > 0) ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  ZSTD_outBuffer out = {&packed[0], packed.size(), 0};
  ZSTD_inBuffer in = {text.data(), text.size(), 0};
  if (window_log == 0) {
    out.pos = ZSTD_compress2(context, &packed[0], packed.size(), text.data(), text.size());
  } else {
    EXPECT_EQ(ZSTD_compressStream2(context, &out, &in, ZSTD_e_flush), 0u);  // not its size
    EXPECT_EQ(ZSTD_compressStream2(context, &out, &in, ZSTD_e_end), 0u);
  }
  packed.resize(out.pos);
  ZSTD_freeCCtx(context);
  return packed;
}

absl::StatusOr<std::string> ReadAll(ByteSource* source, size_t room = 1000) {
  std::string text;
  std::string piece(room, '\0');
  while (true) {
    const absl::StatusOr<size_t> n = source->Read(&piece[0], room);
    if (!n.ok()) return n.status();
    if (*n == 0) return text;
    text.append(piece, 0, *n);
  }
}

using Wrap = std::unique_ptr<ByteSource> (*)(std::unique_ptr<ByteSource>);

std::unique_ptr<ByteSource> WrapGzip(std::unique_ptr<ByteSource> packed) {
  return NewGzipSource("file.gz", std::move(packed));
}
std::unique_ptr<ByteSource> WrapZstd(std::unique_ptr<ByteSource> packed) {
  return NewZstdSource("file.zst", std::move(packed), nullptr);
}

absl::StatusOr<std::string> Unpack(Wrap wrap, const std::string& packed, size_t step = SIZE_MAX,
                                   size_t room = 1000) {
  const std::unique_ptr<ByteSource> source = wrap(std::make_unique<StringSource>(packed, step));
  return ReadAll(source.get(), room);
}

std::string Text(size_t lines) {
  std::string text;
  for (size_t i = 0; i < lines; ++i) absl::StrAppend(&text, "key ", i % 17, "\tvalue ", i, "\n");
  return text;
}

TEST(ByteSourceTest, MembersAndFramesFollowEachOther) {
  const std::string a = Text(500), b = Text(20);
  for (const size_t step : {size_t{1}, size_t{100}, SIZE_MAX}) {
    for (const size_t room : {size_t{1}, size_t{7}, size_t{1000000}}) {
      EXPECT_EQ(*Unpack(WrapGzip, Gzip(a) + Gzip("") + Gzip(b), step, room), a + b);
      EXPECT_EQ(*Unpack(WrapZstd, Zstd(a) + Zstd("") + Zstd(b), step, room), a + b);
    }
  }
  const std::string skippable("\x50\x2A\x4D\x18\x03\0\0\0abc", 11);
  EXPECT_EQ(*Unpack(WrapZstd, skippable + Zstd(a) + skippable + Zstd(b) + skippable), a + b);
  EXPECT_EQ(*Unpack(WrapGzip, Gzip(a) + std::string(300000, '\0')), a) << "as tapes pad";
}

TEST(ByteSourceTest, EachCutIsAnErrorWithItsOffset) {
  const std::string text = Text(100);
  for (const auto& [wrap, packed] :
       {std::make_pair(&WrapGzip, Gzip(text)), std::make_pair(&WrapZstd, Zstd(text))}) {
    for (size_t size = 0; size < packed.size(); ++size) {
      const absl::Status status = Unpack(wrap, packed.substr(0, size)).status();
      ASSERT_TRUE(absl::IsDataLoss(status)) << size << " of " << packed.size() << ": " << status;
      ASSERT_TRUE(absl::StartsWith(status.message(), "file.")) << status;
      ASSERT_TRUE(absl::StrContains(status.message(), ", offset ")) << status;
      // The next member or frame is cut.
      ASSERT_TRUE(size == 0 || !Unpack(wrap, packed + packed.substr(0, size)).ok()) << size;
    }
  }
}

TEST(ByteSourceTest, EachChangedByteIsFoundOrChangesNothing) {
  const std::string text = Text(100);
  for (const auto& [wrap, packed] :
       {std::make_pair(&WrapGzip, Gzip(text)), std::make_pair(&WrapZstd, Zstd(text))}) {
    size_t found = 0;
    for (size_t i = 0; i < packed.size(); ++i) {
      for (const int bit : {1, 16, 128}) {
        std::string changed = packed;
        changed[i] = static_cast<char>(changed[i] ^ bit);
        const absl::StatusOr<std::string> unpacked = Unpack(wrap, changed);
        found += unpacked.ok() ? 0 : 1;
        ASSERT_TRUE(!unpacked.ok() || *unpacked == text) << i;
      }
    }
    EXPECT_GT(found, packed.size() * 3 - 40);  // but for the time and the like of the header
  }
}

TEST(ByteSourceTest, WhatIsBehindOrIsNothingOfTheKindIsAnError) {
  const std::string text = Text(10);
  EXPECT_EQ(Unpack(WrapGzip, "key\tvalue\n").status().message(), "file.gz, offset 0: no gzip data");
  EXPECT_EQ(Unpack(WrapZstd, "key\tvalue\n").status().message(),
            "file.zst, offset 0: no zstd data");
  const std::string gzip = Gzip(text), zstd = Zstd(text);
  EXPECT_EQ(Unpack(WrapGzip, gzip + "more").status().message(),
            absl::StrCat("file.gz, offset ", gzip.size(), ": no gzip member behind another one"));
  EXPECT_EQ(
      Unpack(WrapGzip, gzip + std::string(9, '\0') + "x").status().message(),
      absl::StrCat("file.gz, offset ", gzip.size() + 9, ": no gzip member behind another one"));
  EXPECT_EQ(Unpack(WrapZstd, zstd + "more").status().message(),
            absl::StrCat("file.zst, offset ", zstd.size(), ": no zstd frame behind another one"));
}

TEST(ByteSourceTest, ALargeWindowIsCountedInTheBudget) {
  const std::string text = Text(100);
  const std::string packed = Zstd(text, 25) + Zstd(text, 24) + Zstd(text, 10);
  MemoryBudget budget(100 << 20);
  {
    const auto source = NewZstdSource("file.zst", std::make_unique<StringSource>(packed), &budget);
    EXPECT_EQ(*ReadAll(source.get()), text + text + text);
    EXPECT_EQ(budget.used(), size_t{(32 - 8) << 20});
  }
  EXPECT_EQ(budget.used(), 0u);
  MemoryBudget small(10 << 20);
  const auto source = NewZstdSource("file.zst", std::make_unique<StringSource>(packed), &small);
  const absl::Status status = ReadAll(source.get()).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_TRUE(absl::StartsWith(status.message(),
                               "file.zst, offset 0: a zstd frame with a window of 32.0 MiB: "))
      << status;
  EXPECT_TRUE(absl::EndsWith(status.message(), "; a larger --memory allows it")) << status;
}

// A frame of one row whose header asks for a window of 2^log.
std::string ZstdOfWindow(int log) {
  return std::string("\x28\xB5\x2F\xFD\0", 5) + static_cast<char>((log - 10) << 3) +
         std::string("\x21\0\0a\tx\n", 7);
}

TEST(ByteSourceTest, TheBudgetAloneLimitsAWindow) {
  MemoryBudget budget(size_t{3} << 30);
  for (const int log : {27, 28, 31}) {
    const auto source =
        NewZstdSource("file.zst", std::make_unique<StringSource>(ZstdOfWindow(log)), &budget);
    const absl::StatusOr<std::string> text = ReadAll(source.get());
    ASSERT_TRUE(text.ok()) << log << ": " << text.status();
    EXPECT_EQ(*text, "a\tx\n");
  }
  const auto source =
      NewZstdSource("file.zst", std::make_unique<StringSource>(ZstdOfWindow(32)), &budget);
  EXPECT_EQ(
      ReadAll(source.get()).status().message(),
      "file.zst, offset 0: a zstd frame with a window of 4.0 GiB: zstd takes at most 2.0 GiB");
}

// Reads what `contents` are in a file of that name.
absl::StatusOr<std::string> ReadFileOf(const std::string& contents, const std::string& name) {
  const std::string path = absl::StrCat(testing::TempDir(), "/", name);
  std::ofstream(path, std::ios::binary) << contents;
  const Interrupt interrupt;
  const auto source = OpenInput(path, &interrupt, nullptr);
  if (!source.ok()) return source.status();
  absl::StatusOr<std::string> text = ReadAll(source->get());
  EXPECT_EQ((*source)->size(), contents.size());
  if (text.ok()) {
    EXPECT_EQ((*source)->position(), contents.size());
  }
  EXPECT_EQ((*source)->unpacks(), text.ok() && *text != contents) << name;
  return text;
}

TEST(ByteSourceTest, TheFirstBytesSayWhatIsUnpacked) {
  for (const std::string& text : {Text(1000), std::string("a\tx\n")}) {
    for (const char* name : {"file", "file.tsv", "file.GZ", "file.tgz", "file.zst", "file.gz"}) {
      EXPECT_EQ(*ReadFileOf(Gzip(text), name), text) << name;
      EXPECT_EQ(*ReadFileOf(Zstd(text), name), text) << name;
    }
    EXPECT_EQ(*ReadFileOf(text, "file.xz"), text);
  }
  EXPECT_EQ(*ReadFileOf("", "file"), "");
  const Interrupt interrupt;
  const std::string none = absl::StrCat(testing::TempDir(), "/none");
  EXPECT_EQ(OpenInput(none, &interrupt, nullptr).status().message().substr(0, none.size()), none);
  EXPECT_FALSE(OpenInput(testing::TempDir(), &interrupt, nullptr).ok());
}

TEST(ByteSourceTest, WhatANamePromisesIsThere) {
  for (const char* name : {"text.gz", "text.zst", "text.GZ"}) {
    for (const std::string& text : {Text(10), std::string()}) {
      const std::string path = absl::StrCat(testing::TempDir(), "/", name);
      std::ofstream(path, std::ios::binary) << text;
      const Interrupt interrupt;
      const auto source = OpenInput(path, &interrupt, nullptr);
      ASSERT_TRUE(source.ok());
      EXPECT_TRUE(absl::IsDataLoss(ReadAll(source->get()).status())) << name;
      EXPECT_TRUE(absl::IsDataLoss(ReadAll(source->get()).status())) << "an error stays";
    }
  }
}

TEST(ByteSourceTest, WhatIsNoTextIsNamedPackedOrNot) {
  const std::string path = absl::StrCat(testing::TempDir(), "/foreign");
  std::string tar(10240, '\0');
  tar.replace(0, 4, "name");
  tar.replace(257, 6, std::string("ustar\0", 6));
  const std::string wide(
      "\xFF\xFE"
      "a\0\t\0",
      6);
  for (const auto& [contents, format] :
       {std::make_pair(std::string("\xFD"
                                   "7zXZ\0\0",
                                   7),
                       "xz data; unpack"),
        std::make_pair(tar, "a tar archive; unpack"), std::make_pair(wide, "UTF-16 text; convert"),
        std::make_pair(Gzip("BZh91AY&SY"), "")}) {
    const std::string error = absl::StrCat(": expected text in bytes or UTF-8, found ");
    if (*format != '\0') {
      EXPECT_EQ(ReadFileOf(contents, "foreign").status().message(),
                absl::StrCat(path, error, format, " it first"));
    }
    const std::string inner = *format == '\0' ? "gzip data; unpack" : format;
    for (const std::string& packed : {Gzip(contents), Zstd(contents)}) {
      std::ofstream(path, std::ios::binary) << packed;
      const Interrupt interrupt;
      const auto source = OpenInput(path, &interrupt, nullptr);
      ASSERT_TRUE(source.ok());
      EXPECT_EQ(ReadAll(source->get()).status().message(),
                absl::StrCat(path, ", unpacked", error, inner, " it first"));
    }
  }
}

TEST(ByteSourceTest, WaitingForAPipeIsInterrupted) {
  const std::string path = absl::StrCat(testing::TempDir(), "/pipe");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  Interrupt interrupt;
  const auto source = OpenInput(path, &interrupt, nullptr);
  ASSERT_TRUE(source.ok()) << source.status();
  absl::Status status;
  std::thread reader([&] { status = ReadAll(source->get()).status(); });
  interrupt.Set();
  reader.join();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
}

}  // namespace
}  // namespace kvarts::groupby_text
