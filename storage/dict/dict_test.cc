#include "storage/dict/dict.h"

#include <functional>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/bench_data.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/dict/table.h"
#include "storage/dict/test_data.h"

namespace kvarts {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

std::map<std::string, std::string> Uuids(int n) {
  std::map<std::string, std::string> out;
  for (int i = 0; i < n; ++i) out[BenchUuid(i)] = absl::StrCat("value ", i);
  return out;
}

void ExpectHolds(Store& store, const std::map<std::string, std::string>& records) {
  std::vector<absl::string_view> keys;
  for (const auto& [key, value] : records) keys.push_back(key);
  ReadResults batch;
  store.MultiGet(keys, ReadOptions(), &batch);
  ReadResults one;
  size_t i = 0;
  for (const auto& [key, value] : records) {
    ASSERT_TRUE(batch[i].found) << key;
    ASSERT_EQ(std::string(batch[i].value), value) << key;
    store.Read(key, ReadOptions(), &one);
    ASSERT_TRUE(one[0].found) << key;
    ASSERT_EQ(one[0].value.data(), batch[i].value.data());
    ++i;
  }
}

TEST_F(DictTest, FindsEveryRecordAtManySizes) {
  for (const int n : {1, 2, 7, 8, 9, 63, 64, 65, 100, 1000, 3333, 20000}) {
    const auto records = Uuids(n);
    WriteData(Lines(records));
    const auto store = Open();
    ExpectHolds(*store, records);
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(ValueOf(*store, BenchUuid(n + i)), "(absent)");
    EXPECT_EQ(report_.entries, static_cast<uint64_t>(n));
    EXPECT_EQ((*store->Stats()).entries, static_cast<uint64_t>(n));
  }
}

TEST_F(DictTest, AnEmptyFileHasNoKeys) {
  WriteData("");
  const auto store = Open();
  EXPECT_EQ(ValueOf(*store, "a"), "(absent)");
  EXPECT_EQ(ValueOf(*store, ""), "(absent)");
  EXPECT_TRUE(Scan(*store).empty());
  ASSERT_EQ(report_.warnings.size(), 1u);
  EXPECT_THAT(report_.warnings[0], HasSubstr("empty"));
}

TEST_F(DictTest, OneRecordIsFoundWithAndWithoutItsNewline) {
  for (const char* text : {"key the value\n", "key the value"}) {
    WriteData(text);
    const auto store = Open();
    EXPECT_EQ(ValueOf(*store, "key"), "the value");
    EXPECT_EQ(ValueOf(*store, "ke"), "(absent)");
    EXPECT_EQ(ValueOf(*store, "key the"), "(absent)");
    EXPECT_THAT(Scan(*store), ElementsAre(Pair("key", "the value")));
  }
  EXPECT_THAT(report_.warnings.back(), HasSubstr("newline"));
}

TEST_F(DictTest, TheLastLineOfARepeatedKeyWins) {
  std::string text;
  for (int i = 0; i < 6000; ++i) absl::StrAppend(&text, "k", i % 1000, " ", i, "\n");
  WriteData(text);
  const auto store = Open();
  for (int i = 0; i < 1000; ++i)
    EXPECT_EQ(ValueOf(*store, absl::StrCat("k", i)), absl::StrCat(5000 + i));
  EXPECT_EQ(report_.entries, 1000u);
  EXPECT_EQ(report_.repeated, 5000u);
  const auto scanned = Scan(*store);
  ASSERT_EQ(scanned.size(), 1000u) << "lines that do not count";
  EXPECT_EQ(scanned[7], std::make_pair(std::string("k7"), std::string("5007")));
  EXPECT_THAT(report_.warnings.back(), HasSubstr("5000 lines with a key that is repeated later"));
}

// More lines than are sorted at once.
TEST_F(DictTest, AKeyOfMillionsOfLinesIsOne) {
  std::string text;
  for (int i = 0; i < 2200000; ++i) text += i % 1000 == 3 ? "b 2\n" : "a 1\n";
  text += "a last\n";
  WriteData(text);
  const auto store = Open();
  EXPECT_EQ(ValueOf(*store, "a"), "last");
  EXPECT_EQ(ValueOf(*store, "b"), "2");
  EXPECT_EQ(report_.entries, 2u);
  EXPECT_EQ(report_.lines, 2200001u);
  EXPECT_EQ(Scan(*store).size(), 2u);
}

TEST_F(DictTest, AMalformedLineIsNamedOrSkipped) {
  WriteData("a 1\n\nno_space\n b\nc 3\n\n\n");
  const auto refused = TryOpen();
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("line 2 (offset 4)"));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr(data_));
  options_.skip_malformed = true;
  const auto store = Open();
  EXPECT_EQ(ValueOf(*store, "a"), "1");
  EXPECT_EQ(ValueOf(*store, "c"), "3");
  EXPECT_EQ(report_.malformed, 5u);
  EXPECT_EQ(report_.lines, 7u);
  EXPECT_THAT(Scan(*store), ElementsAre(Pair("a", "1"), Pair("c", "3")));
}

TEST_F(DictTest, MalformedLinesAtTheEndAreSkippedByScansToo) {
  options_.skip_malformed = true;
  for (const char* end : {"x", "\nx\n", " y", "\n", "x\n\n y"}) {
    WriteData(absl::StrCat("a 1\n", end));
    EXPECT_THAT(Scan(*Open()), ElementsAre(Pair("a", "1"))) << end;
  }
}

TEST_F(DictTest, PartsOfAFileAreReadByThreads) {
  const std::string filler(200, 'v');
  std::string text;
  for (int i = 0; i < 180000; ++i) absl::StrAppend(&text, "k", i % 170000, " ", i, filler, "\n");
  WriteData(text);
  for (const int threads : {1, 2, 3}) {
    options_.threads = threads;
    const auto store = Open();
    EXPECT_EQ(report_.entries, 170000u);
    EXPECT_EQ(report_.repeated, 10000u);
    EXPECT_EQ(report_.lines, 180000u);
    for (int i = 0; i < 170000; i += 997) {
      ASSERT_EQ(ValueOf(*store, absl::StrCat("k", i)),
                absl::StrCat(i < 10000 ? i + 170000 : i, filler));
    }
  }
  // A fault in the last part has the number of its line in the file.
  WriteData(absl::StrCat(text, "malformed\n"));
  EXPECT_THAT(std::string(TryOpen().status().message()), HasSubstr("line 180001 "));
}

TEST_F(DictTest, ValuesOfEverySizeAreWhole) {
  std::map<std::string, std::string> records;
  for (int size = 0; size < 600; ++size) records[absl::StrCat("k", size)] = std::string(size, 'v');
  for (const int size : {4095, 4096, 65535, 65536, 1 << 20, (1 << 24) + 3}) {
    records[absl::StrCat("k", size)] = std::string(size, 'w');
  }
  WriteData(Lines(records));
  ExpectHolds(*Open(), records);
}

TEST_F(DictTest, MemoryIsTwelveBytesAnEntryAtMostWhateverTheValues) {
  for (const int value_bytes : {0, 10, 1000}) {
    std::string text;
    const std::string value(value_bytes, 'v');
    for (int i = 0; i < 30000; ++i) absl::StrAppend(&text, BenchUuid(i), " ", value, "\n");
    WriteData(text);
    const auto store = Open();
    EXPECT_LE(report_.table_bytes, 12u * 30000) << value_bytes;
    EXPECT_EQ((*store->Stats()).memory_bytes, report_.table_bytes);
  }
}

// Keys that share a home under a known seed: found all the same, if slowly.
TEST_F(DictTest, KeysThatCollideUnderAKnownSeedAreFoundUnderAnyOther) {
  options_.seed = 12345;
  std::map<std::string, std::string> records;
  for (int i = 0; records.size() < 2000; ++i) {
    const std::string key = BenchUuid(i);
    if (Checksum(key, options_.seed) >> 54 == 77) records[key] = absl::StrCat(i);
  }
  WriteData(Lines(records));
  ExpectHolds(*Open(), records);
  options_.seed = 0;
  ExpectHolds(*Open(), records);
}

TEST_F(DictTest, ScansAreInTheOrderOfTheFile) {
  WriteData("c 1\na 2\nb 3\nd 4\n");
  const auto store = Open();
  EXPECT_THAT(Scan(*store),
              ElementsAre(Pair("c", "1"), Pair("a", "2"), Pair("b", "3"), Pair("d", "4")));
  EXPECT_EQ(store->capabilities().ordered_scan, Support::kAbsent);
}

TEST_F(DictTest, PositionsAreOfOneFile) {
  WriteData("a 1\nb 2\nc 3\n");
  auto store = Open();
  auto cursor = store->NewCursor(ScanOptions());
  ScanPage page;
  PageLimits one;
  one.entries = 1;
  ASSERT_TRUE((*cursor)->Next(one, &page).ok());
  ScanOptions options;
  options.resume_after = (*cursor)->position();
  EXPECT_TRUE(Open()->NewCursor(options).ok()) << "the same file, opened again";
  ASSERT_TRUE(WriteFileAtomically(fs_, data_, "b 1\na 2\nc 3\nd 4\n").ok());
  EXPECT_EQ(Open()->NewCursor(options).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(store->NewCursor(options).ok()) << "who holds the old file goes on";
}

// Does something when it is told of progress for the first time.
class Interloper final : public ProgressSink {
 public:
  explicit Interloper(std::function<void()> act) : act_(std::move(act)) {}
  void Report(absl::string_view, absl::string_view, uint64_t, uint64_t) override {
    if (act_) std::exchange(act_, nullptr)();
  }

 private:
  std::function<void()> act_;
};

TEST_F(DictTest, AFileThatChangesWhileItIsReadIsUnavailable) {
  WriteData("a 1\nb 2\n");
  for (const bool rename : {true, false}) {
    Interloper interloper([&] {
      if (rename) {
        ASSERT_TRUE(WriteFileAtomically(fs_, data_, "a 3\nb 4\n").ok());
      } else {
        WriteData("a 1\nb 2\nc 3\n");
      }
    });
    options_.progress = &interloper;
    EXPECT_EQ(TryOpen().status().code(), absl::StatusCode::kUnavailable);
  }
}

TEST_F(DictTest, WhatIsNoFileIsRefused) {
  EXPECT_EQ(TryOpen().status().code(), absl::StatusCode::kNotFound);
  data_ = dir_;
  EXPECT_EQ(TryOpen().status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(DictTest, ReadsStayWhenTheStoreIsGone) {
  WriteData("a 1\nb 2\n");
  auto store = Open();
  ReadResults results;
  store->Read("b", ReadOptions(), &results);
  store.reset();
  ASSERT_TRUE(fs_->Delete(data_).ok());
  EXPECT_EQ(results[0].value, "2");
  EXPECT_TRUE(results.intact());
}

TEST_F(DictTest, ThreadsReadTogether) {
  const auto records = Uuids(5000);
  WriteData(Lines(records));
  const auto store = Open();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) threads.emplace_back([&] { ExpectHolds(*store, records); });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace kvarts
