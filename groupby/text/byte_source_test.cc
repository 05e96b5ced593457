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
}

TEST(ByteSourceTest, FilesAreOpenedByTheirSuffix) {
  const std::string text = Text(1000);
  const Interrupt interrupt;
  for (const auto& [suffix, contents] :
       {std::make_pair(".tsv", text), std::make_pair(".tsv.gz", Gzip(text)),
        std::make_pair(".zst", Zstd(text))}) {
    const std::string path = absl::StrCat(testing::TempDir(), "/file", suffix);
    std::ofstream(path, std::ios::binary) << contents;
    const auto source = OpenInput(path, &interrupt, nullptr);
    ASSERT_TRUE(source.ok()) << source.status();
    EXPECT_EQ(*ReadAll(source->get()), text);
    EXPECT_EQ((*source)->size(), contents.size());
    EXPECT_EQ((*source)->position(), contents.size());
  }
  const std::string none = absl::StrCat(testing::TempDir(), "/none");
  EXPECT_EQ(OpenInput(none, &interrupt, nullptr).status().message().substr(0, none.size()), none);
  EXPECT_FALSE(OpenInput(testing::TempDir(), &interrupt, nullptr).ok());
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
