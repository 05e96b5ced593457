#include "groupby/text/chunk_reader.h"

#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "groupby/text/string_source.h"
#include "gtest/gtest.h"

namespace kvarts::groupby_text {
namespace {

// Row by row as the words of RowEnds have it, a byte at a time.
std::vector<std::string> Rows(absl::string_view text, bool quotes) {
  std::vector<std::string> rows;
  std::string row;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char byte = text[i];
    if (quotes && byte == '"') {
      if (!quoted) {
        quoted = row.empty() || row.back() == ',';
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        row += '"';
        ++i;
      } else {
        quoted = false;
      }
    }
    row += byte;
    if (byte == '\n' && !quoted) {
      rows.push_back(row);
      row.clear();
    }
  }
  if (!row.empty()) rows.push_back(row);
  return rows;
}

// Reads all, and holds each chunk against the rows.
void Check(const std::string& text, const ChunkOptions& options, size_t step, bool header) {
  const std::vector<std::string> rows = Rows(text, options.quotes);
  ChunkReader reader(std::make_unique<StringSource>(text, step), options);
  size_t row = 0;
  if (header) {
    const std::string first = rows.empty() ? "" : rows[row++];
    const std::string taken = *reader.TakeHeader();
    // Of a row that is never closed the last newline is not its end.
    ASSERT_TRUE(first == taken || first == taken + "\n") << taken;
  }
  Chunk chunk;
  uint64_t number = 0;
  while (*reader.Next(&chunk)) {
    ASSERT_EQ(chunk.number, number++);
    absl::string_view left(chunk.text, chunk.size);
    ASSERT_FALSE(left.empty());
    const size_t first = row;
    while (!left.empty()) {
      ASSERT_LT(row, rows.size());
      ASSERT_TRUE(absl::StartsWith(left, rows[row])) << left << " and not " << rows[row];
      left.remove_prefix(rows[row++].size());
    }
    // More than is read at a time there is only for a row that is longer.
    if (chunk.size > options.chunk_bytes && !header) {
      ASSERT_LE(chunk.size - rows[first].size(), options.chunk_bytes);
    }
  }
  EXPECT_EQ(row, rows.size());
  EXPECT_FALSE(*reader.Next(&chunk)) << "the end stays the end";
}

TEST(ChunkReaderTest, ChunksAreWholeRowsAtEachSizeAndStep) {
  for (const char* text :
       {"", "\n", "a", "a\n", "\n\n\n", "a\tb\nccc\tdd\n\ne\tf", "a\r\nb\r\n",
        "one long line only, with no end", "short\nand then a longer one\nx\n"}) {
    const size_t size = std::string(text).size();
    for (size_t chunk = 1; chunk <= size + 2; ++chunk) {
      for (const size_t step : {size_t{1}, size_t{3}, SIZE_MAX}) {
        for (const bool header : {false, true}) {
          ChunkOptions options;
          options.chunk_bytes = chunk;
          SCOPED_TRACE(testing::Message() << text << "|" << chunk << " " << step << " " << header);
          Check(text, options, step, header);
        }
      }
    }
  }
}

TEST(ChunkReaderTest, NewlinesBetweenQuotesEndNoRow) {
  for (const char* text :
       {"a,\"b\nc\"\nd,e\n", "\"\n\n\n\",x\n", "\"a\"\"\n\"\"b\",c\n\"d\"\n", "a\"b\nc\"d\n",
        "\"never closed\n\n\n", "\"a\"x\"\n\"\n", "\"\"\n\"\",\"\"\n", "\"\"\"\n\"\"\"\nx", "\""}) {
    const size_t size = std::string(text).size();
    for (size_t chunk = 1; chunk <= size + 2; ++chunk) {
      for (const size_t step : {size_t{1}, size_t{2}, SIZE_MAX}) {
        for (const bool header : {false, true}) {
          ChunkOptions options;
          options.chunk_bytes = chunk;
          options.quotes = true;
          SCOPED_TRACE(testing::Message() << text << "|" << chunk << " " << step << " " << header);
          Check(text, options, step, header);
        }
      }
    }
  }
}

TEST(ChunkReaderTest, RandomTextsAreCutAtTheirRows) {
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (size_t size = random() % 60; size > 0; --size) text += "a,\"\"\n\nb"[random() % 7];
    ChunkOptions options;
    options.chunk_bytes = 1 + random() % 20;
    options.quotes = round % 2 == 0;
    SCOPED_TRACE(testing::Message() << text << "|" << options.chunk_bytes);
    Check(text, options, 1 + random() % 9, round % 3 == 0);
  }
}

TEST(ChunkReaderTest, ALongRowIsCountedAndItsMemoryGivenBack) {
  MemoryBudget budget(1 << 20);
  ChunkOptions options;
  options.chunk_bytes = 4096;
  options.budget = &budget;
  const std::string longer(500 << 10, 'x');
  ChunkReader reader(std::make_unique<StringSource>("a\n" + longer + "\nb\n"), options);
  Chunk chunk;
  ASSERT_TRUE(*reader.Next(&chunk));
  EXPECT_EQ(budget.used(), 0u);
  ASSERT_TRUE(*reader.Next(&chunk));
  EXPECT_GE(chunk.size, longer.size());
  EXPECT_GE(budget.used(), longer.size() - options.chunk_bytes);
  EXPECT_LE(budget.used(), longer.size() + options.chunk_bytes);
  while (*reader.Next(&chunk)) {
  }
  EXPECT_EQ(budget.used(), 0u);
}

TEST(ChunkReaderTest, ARowForWhichThereIsNoMemoryIsAnError) {
  MemoryBudget budget(100 << 10);
  ChunkOptions options;
  options.chunk_bytes = 4096;
  options.budget = &budget;
  ChunkReader reader(std::make_unique<StringSource>("a\n" + std::string(200 << 10, 'x')), options);
  Chunk chunk;
  ASSERT_TRUE(*reader.Next(&chunk));
  EXPECT_TRUE(absl::IsResourceExhausted(reader.Next(&chunk).status()));
  EXPECT_EQ(chunk.number, 1u);
  EXPECT_TRUE(chunk.row_failed);
  EXPECT_FALSE(*reader.Next(&chunk));
}

TEST(ChunkReaderTest, OneLongRowIsInMemoryAtATime) {
  MemoryBudget budget(1 << 20);
  ChunkOptions options;
  options.chunk_bytes = 4096;
  options.budget = &budget;
  std::string text;
  for (int i = 0; i < 40; ++i) text += std::string(600 << 10, 'x') + "\na\n";
  ChunkReader reader(std::make_unique<StringSource>(text), options);
  std::atomic<size_t> bytes{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      Chunk chunk;
      while (true) {
        const absl::StatusOr<bool> more = reader.Next(&chunk);
        ASSERT_TRUE(more.ok()) << more.status();
        if (!*more) return;
        bytes += chunk.size;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(bytes, text.size());
  EXPECT_EQ(budget.used(), 0u);
}

TEST(ChunkReaderTest, ATooLongRowIsToldApart) {
  ChunkOptions options;
  options.chunk_bytes = 16;
  options.max_row_bytes = 100;
  for (const bool ends : {false, true}) {
    ChunkReader reader(
        std::make_unique<StringSource>("a\n" + std::string(200, 'x') + (ends ? "\nb\n" : "")),
        options);
    Chunk chunk;
    ASSERT_TRUE(*reader.Next(&chunk));
    const absl::Status status = reader.Next(&chunk).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_TRUE(chunk.row_failed);
    EXPECT_EQ(chunk.number, 1u);
  }
}

TEST(ChunkReaderTest, AnErrorOfTheInputComesBehindTheChunksBeforeIt) {
  ChunkOptions options;
  options.chunk_bytes = 4;
  ChunkReader reader(
      std::make_unique<StringSource>("a\nb\nc\n", SIZE_MAX, absl::DataLossError("damaged")),
      options);
  Chunk chunk;
  ASSERT_TRUE(*reader.Next(&chunk));
  EXPECT_EQ(absl::string_view(chunk.text, chunk.size), "a\nb\n");
  EXPECT_TRUE(absl::IsDataLoss(reader.Next(&chunk).status()));
}

TEST(ChunkReaderTest, AByteOrderMarkIsLeftOut) {
  for (const size_t step : {size_t{1}, SIZE_MAX}) {
    for (const size_t size : {size_t{1}, size_t{4}, size_t{100}}) {
      ChunkOptions options;
      options.chunk_bytes = size;
      for (const auto& [text, wanted] : {std::make_pair("\xEF\xBB\xBFkey", "key"),
                                         std::make_pair("key\xEF\xBB\xBF", "key\xEF\xBB\xBF"),
                                         std::make_pair("\xEF\xBBkey", "\xEF\xBBkey")}) {
        ChunkReader reader(std::make_unique<StringSource>(text, step), options);
        Chunk chunk;
        ASSERT_TRUE(*reader.Next(&chunk));
        EXPECT_EQ(absl::string_view(chunk.text, chunk.size), wanted);
        // Quotes behind it hold newlines all the same.
        options.quotes = true;
        ChunkReader quoted(std::make_unique<StringSource>("\xEF\xBB\xBF\"a\nb\",\"\n\"", step),
                           options);
        ASSERT_TRUE(*quoted.Next(&chunk));
        EXPECT_EQ(absl::string_view(chunk.text, chunk.size), "\"a\nb\",\"\n\"");
        options.quotes = false;
      }
    }
  }
}

TEST(ChunkReaderTest, StopEndsIt) {
  ChunkReader reader(std::make_unique<StringSource>("a\nb\n"), ChunkOptions());
  reader.Stop();
  Chunk chunk;
  EXPECT_FALSE(*reader.Next(&chunk));
}

}  // namespace
}  // namespace kvarts::groupby_text
