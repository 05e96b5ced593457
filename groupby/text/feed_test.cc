#include "groupby/text/feed.h"

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/cond_var.h"
#include "base/mutex.h"
#include "groupby/text/string_source.h"
#include "gtest/gtest.h"

namespace kvarts::groupby_text {
namespace {

// As Grouping::AddInOrder() does it: each call waits for those before it.
class InOrder {
 public:
  absl::Status Add(uint64_t sequence, const ParsedRows& rows, size_t* bad_row) {
    MutexLock lock(&mu_);
    while (sequence != next_ && !cancelled_) changed_.Wait(&mu_);
    if (cancelled_) return absl::CancelledError("cancelled");
    ++next_;
    changed_.SignalAll();
    if (sequence == fail_at_) return absl::ResourceExhaustedError("full");
    for (const KeyValue& row : rows.rows()) {
      if (row.key == "refused") {
        *bad_row = static_cast<size_t>(&row - rows.rows().data());
        return absl::InvalidArgumentError("refused");
      }
      absl::StrAppend(&text_, row.key, "=", row.value, ";");
    }
    return absl::OkStatus();
  }
  void Cancel() {
    MutexLock lock(&mu_);
    cancelled_ = true;
    changed_.SignalAll();
  }
  void FailAt(uint64_t sequence) {
    MutexLock lock(&mu_);
    fail_at_ = sequence;
  }
  std::string text() {
    MutexLock lock(&mu_);
    return text_;
  }

 private:
  Mutex mu_;
  CondVar changed_;
  uint64_t next_ ABSL_GUARDED_BY(mu_) = 0;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t fail_at_ ABSL_GUARDED_BY(mu_) = UINT64_MAX;
  std::string text_ ABSL_GUARDED_BY(mu_);
};

struct Fed {
  absl::Status status;
  std::string text;
  FeedReport report;
};

Fed FeedText(std::unique_ptr<ByteSource> source, const RowParser& parser, size_t chunk_bytes,
             int threads, bool quotes, InOrder* target) {
  ChunkOptions chunks;
  chunks.chunk_bytes = chunk_bytes;
  chunks.quotes = quotes;
  chunks.max_row_bytes = 1000;
  ChunkReader reader(std::move(source), chunks);
  FeedOptions options;
  options.name = "input";
  options.threads = threads;
  Fed fed;
  fed.status = Feed(
      &reader, parser, options,
      [target](uint64_t sequence, const ParsedRows& rows, size_t* bad_row) {
        return target->Add(sequence, rows, bad_row);
      },
      [target] { target->Cancel(); }, &fed.report);
  fed.text = target->text();
  return fed;
}

Fed FeedText(const std::string& text, const RowParser& parser, size_t chunk_bytes, int threads,
             bool quotes = false) {
  InOrder target;
  return FeedText(std::make_unique<StringSource>(text, 7), parser, chunk_bytes, threads, quotes,
                  &target);
}

TEST(FeedTest, RowsAreTheSameInEachSizeOfChunkAndNumberOfThreads) {
  std::string tsv, csv, json, expected;
  for (int i = 0; i < 60; ++i) {
    const std::string value(static_cast<size_t>(i) % 13, 'v');
    absl::StrAppend(&tsv, "k", i, "\t", value, "\n");
    absl::StrAppend(&csv, "\"k", i, "\",", value, "\r\n");
    absl::StrAppend(&json, "{\"key\":\"k", i, "\",\"value\":\"", value, "\"}\n");
    absl::StrAppend(&expected, "k", i, "=", value, ";");
  }
  RowParserOptions comma;
  comma.delimiter = ',';
  for (size_t chunk = 1; chunk < 120; ++chunk) {
    for (const int threads : {1, 2, 5}) {
      const Fed plain = FeedText(tsv, *NewTsvParser({}), chunk, threads);
      ASSERT_TRUE(plain.status.ok()) << plain.status;
      ASSERT_EQ(plain.text, expected) << chunk;
      EXPECT_EQ(plain.report.rows, 60u);
      ASSERT_EQ(FeedText(csv, *NewCsvParser(comma), chunk, threads, true).text, expected) << chunk;
      ASSERT_EQ(FeedText(json, *NewNdjsonParser({}), chunk, threads).text, expected) << chunk;
    }
  }
}

TEST(FeedTest, TheFirstMalformedLineIsTheOneReported) {
  std::string text;
  for (int i = 1; i <= 50; ++i) absl::StrAppend(&text, i == 23 || i == 31 ? "bad" : "k\tv", "\n");
  for (size_t chunk = 1; chunk < 250; ++chunk) {
    for (const int threads : {1, 2, 5}) {
      const Fed fed = FeedText(text, *NewTsvParser({}), chunk, threads);
      ASSERT_EQ(fed.status.message(), "input, line 23: expected a key, a tab and a value")
          << chunk << " " << threads;
    }
  }
}

TEST(FeedTest, LinesBetweenQuotesCount) {
  std::string text;
  for (int i = 0; i < 20; ++i) text += "a,\"b\n\"\"\n\"\"\"\n";
  text += "bad\n";
  RowParserOptions comma;
  comma.delimiter = ',';
  for (size_t chunk = 1; chunk < 100; ++chunk) {
    const Fed fed = FeedText(text, *NewCsvParser(comma), chunk, 3, true);
    ASSERT_EQ(fed.status.message().substr(0, 15), "input, line 61:") << fed.status;
  }
}

TEST(FeedTest, ATooLongRowIsReportedWithItsLine) {
  const std::string text = "a\tb\na\tb\n" + std::string(3000, 'x') + "\na\tb\n";
  const Fed fed = FeedText(text, *NewTsvParser({}), 16, 2);
  EXPECT_EQ(fed.status.message(), "input, line 3: longer than the limit of 1000 bytes");
}

TEST(FeedTest, AMalformedLineBeforeAnErrorOfTheInputIsReported) {
  for (const int threads : {1, 3}) {
    for (size_t chunk = 2; chunk < 40; ++chunk) {
      InOrder target;
      const Fed fed = FeedText(std::make_unique<StringSource>("a\tb\nbad\na\tb\n", SIZE_MAX,
                                                              absl::DataLossError("damaged")),
                               *NewTsvParser({}), chunk, threads, false, &target);
      // Where one chunk would have both, the input's error comes before its rows.
      if (chunk <= 12) {
        EXPECT_EQ(fed.status.message().substr(0, 14), "input, line 2:") << fed.status << chunk;
      } else {
        EXPECT_EQ(fed.status.message(), "damaged");
      }
    }
  }
}

TEST(FeedTest, AnErrorOfTheTargetEndsIt) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "k\tv\n";
  for (const int threads : {1, 4}) {
    InOrder target;
    target.FailAt(20);
    const Fed fed = FeedText(std::make_unique<StringSource>(text), *NewTsvParser({}), 8, threads,
                             false, &target);
    EXPECT_TRUE(absl::IsResourceExhausted(fed.status)) << fed.status;
    EXPECT_EQ(fed.status.message(), "full");
  }
}

TEST(FeedTest, ARowThatTheTargetRefusesIsReportedWithItsLine) {
  std::string text;
  for (int i = 1; i <= 60; ++i) {
    absl::StrAppend(&text, i == 44 || i == 50 ? "refused\tv" : i % 7 == 0 ? "bad" : "k\tv", "\n");
  }
  RowParserOptions options;
  options.skip_malformed = true;
  options.keep_lines = true;
  for (size_t chunk = 1; chunk < 320; ++chunk) {
    for (const int threads : {1, 3}) {
      const Fed fed = FeedText(text, *NewTsvParser(options), chunk, threads);
      ASSERT_EQ(fed.status.message(), "input, line 44: refused") << chunk << " " << threads;
    }
  }
}

TEST(FeedTest, SkippedRowsAreCounted) {
  RowParserOptions options;
  options.skip_malformed = true;
  const Fed fed = FeedText("a\tb\nbad\n\nc\td\n", *NewTsvParser(options), 3, 2);
  EXPECT_TRUE(fed.status.ok());
  EXPECT_EQ(fed.report.skipped, 2u);
  EXPECT_EQ(fed.text, "a=b;c=d;");
}

}  // namespace
}  // namespace kvarts::groupby_text
