// A data file that fails while it is read, or shrinks while it is served: an
// error, never a wrong answer.

#include <unistd.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/bench_data.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/dict/dict.h"
#include "storage/dict/test_data.h"
#include "storage/fs/memory.h"
#include "testing/fault/fault_file_system.h"

namespace kvarts {
namespace {

using testing::HasSubstr;

std::vector<std::pair<std::string, std::string>> Records(int n, int value_bytes) {
  std::vector<std::pair<std::string, std::string>> out;
  for (int i = 0; i < n; ++i) {
    out.emplace_back(BenchUuid(i), absl::StrCat(i, std::string(value_bytes, 'v')));
  }
  return out;
}

std::string Text(const std::vector<std::pair<std::string, std::string>>& records) {
  std::string out;
  for (const auto& [key, value] : records) absl::StrAppend(&out, key, " ", value, "\n");
  return out;
}

TEST(DictFaultTest, AnErrorAtEveryOperationIsReported) {
  MemoryFileSystem fs;
  const auto records = Records(1000, 100);
  ASSERT_TRUE(WriteFileAtomically(&fs, "/data", Text(records)).ok());
  FaultFileSystem faults(&fs);
  DictOptions options;
  options.fs = &faults;
  for (uint64_t k = 0;; ++k) {
    faults.SetRule({Fault::kIoError, k});
    const auto store = OpenDict("/data", options);
    const bool injected = faults.injected() > 0;
    faults.ClearRule();
    EXPECT_EQ(store.ok(), !injected) << store.status();
    if (!injected) {
      EXPECT_GT(k, 4u);
      break;
    }
    EXPECT_THAT(std::string(store.status().message()), HasSubstr("/data"));
  }
}

TEST_F(DictTest, ADataFileThatShrinksGivesErrorsForWhatIsGone) {
  InstallSigbusHandler();
  const auto records = Records(8000, 90);
  const std::string text = Text(records);
  const size_t half = text.size() / 2;
  for (const size_t left : {half, half + 1, half & ~size_t{4095}, text.size() - 1, size_t{0}}) {
    WriteData(text);
    const auto store = Open();
    ReadResults lent;
    store->Read(records.back().first, ReadOptions(), &lent);
    ASSERT_TRUE(lent[0].found && lent.intact());
    ASSERT_EQ(truncate(data_.c_str(), left), 0);
    std::vector<absl::string_view> keys;
    for (const auto& [key, value] : records) keys.push_back(key);
    ReadResults all;
    store->MultiGet(keys, ReadOptions(), &all);
    int lost = 0;
    size_t end = 0;
    for (size_t i = 0; i < records.size(); ++i) {
      const auto& [key, value] = records[i];
      end += key.size() + value.size() + 2;
      ReadResults one;
      store->Read(key, ReadOptions(), &one);
      for (const ReadResult* got : {&one[0], &all[i]}) {
        if (got->status.ok()) {
          // Never a wrong answer: neither "absent" nor other bytes.
          ASSERT_TRUE(got->found) << key;
          ASSERT_LE(end - 1, left);
          ASSERT_EQ(std::string(got->value), value);
        } else {
          ++lost;
          ASSERT_EQ(got->status.code(), absl::StatusCode::kDataLoss);
          ASSERT_GT(end, left);
        }
      }
    }
    if (left == text.size() - 1) continue;  // but for a newline all is there
    EXPECT_GT(lost, 0);
    if (left <= half) {
      EXPECT_FALSE(lent.intact());
    }
    auto cursor = store->NewCursor(ScanOptions());
    absl::Status status = cursor.status();
    ScanPage page;
    while (status.ok()) {
      status = (*cursor)->Next(PageLimits(), &page);
      ASSERT_FALSE(status.ok() && page.empty()) << "the scan ended as if all were there";
    }
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()), HasSubstr(data_));
  }
}

TEST_F(DictTest, AFileWithGapsThatShrinksEndsNoScanEarly) {
  InstallSigbusHandler();
  options_.skip_malformed = true;
  const std::string text = absl::StrCat("malformed\n", Text(Records(2000, 90)));
  for (const size_t left : {text.size() / 2, (text.size() / 2) & ~size_t{4095}}) {
    WriteData(text);
    const auto store = Open();
    ASSERT_EQ(truncate(data_.c_str(), left), 0);
    auto cursor = store->NewCursor(ScanOptions());
    absl::Status status = cursor.status();
    ScanPage page;
    while (status.ok()) {
      status = (*cursor)->Next(PageLimits(), &page);
      ASSERT_FALSE(status.ok() && page.empty()) << "the scan ended as if all were there";
    }
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  }
}

TEST_F(DictTest, AFileReplacedByRenameIsServedAsItWas) {
  WriteData("a 1\n");
  const auto store = Open();
  ASSERT_TRUE(WriteFileAtomically(fs_, data_, "b 2\n").ok());
  EXPECT_EQ(ValueOf(*store, "a"), "1");
  EXPECT_EQ(ValueOf(*Open(), "b"), "2");
}

}  // namespace
}  // namespace kvarts
