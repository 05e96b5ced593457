#include "storage/sort/sorter.h"

#include <algorithm>
#include <iostream>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/fs/file_system.h"

namespace kvarts {
namespace {

using Records = std::vector<std::pair<std::string, std::string>>;

class SorterTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    options_.temp_dir = JoinPath(testing::TempDir(), info->name());
    ASSERT_TRUE(options_.fs->CreateDir(options_.temp_dir).ok());
    options_.memory_bytes = SorterOptions::kMinMemory;
  }
  void TearDown() override {
    EXPECT_EQ(Files(), std::vector<std::string>());
    EXPECT_TRUE(options_.fs->DeleteDir(options_.temp_dir).ok());
  }

  std::vector<std::string> Files() { return options_.fs->List(options_.temp_dir).value(); }

  std::unique_ptr<Sorter> NewSorter() {
    auto sorter = Sorter::New(options_);
    EXPECT_TRUE(sorter.ok()) << sorter.status();
    return *std::move(sorter);
  }

  static Records ReadAll(SortedRecords* sorted) {
    Records all;
    absl::string_view key, payload;
    while (true) {
      const auto more = sorted->Next(&key, &payload);
      EXPECT_TRUE(more.ok()) << more.status();
      if (!more.ok() || !*more) return all;
      all.emplace_back(std::string(key), std::string(payload));
    }
  }

  // Sorts `records` and compares with std::stable_sort; returns the stats.
  SorterStats Check(Records records) {
    auto sorter = NewSorter();
    uint64_t bytes = 0;
    for (const auto& [key, payload] : records) {
      EXPECT_TRUE(sorter->Add(key, payload).ok());
      bytes += key.size() + payload.size();
    }
    auto sorted = sorter->Finish();
    EXPECT_TRUE(sorted.ok()) << sorted.status();
    const SorterStats stats = sorter->stats();
    sorter.reset();
    const Records got = ReadAll(sorted->get());
    std::stable_sort(records.begin(), records.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    EXPECT_TRUE(got == records) << "wrong order or records";
    EXPECT_EQ(stats.records, records.size());
    EXPECT_EQ(stats.bytes, bytes);
    EXPECT_LE(stats.peak_memory, options_.memory_bytes);
    return stats;
  }

  SorterOptions options_;
};

// `n` records of random shape; the order of adding is in the payloads.
Records RandomRecords(std::mt19937_64& random, size_t n) {
  const auto below = [&](size_t limit) { return static_cast<size_t>(random() % limit); };
  const size_t key_limit = std::vector<size_t>{1, 2, 9, 17, 41, 201}[below(6)];
  const size_t payload_limit = std::vector<size_t>{1, 9, 9, 65, 301, 10001}[below(6)];
  const bool fixed = below(2) == 0;
  const size_t prefix_limit = std::vector<size_t>{1, 8, 9, 100}[below(4)];
  // Few letters make many equal keys and prefixes; zeros tell keys from padding.
  const std::string letters = std::vector<std::string>{
      std::string(1, '\0'), std::string("\0\1", 2), std::string("\0\xff", 2), "abc", ""}[below(5)];
  const std::string prefix(below(prefix_limit), static_cast<char>(below(256)));
  std::vector<std::string> pool(below(3) == 0 ? 1 + below(50) : 0);
  const auto new_key = [&] {
    std::string key = prefix.substr(0, below(8) == 0 ? below(prefix.size() + 1) : prefix.size());
    key.resize(key.size() + (fixed ? key_limit - 1 : below(key_limit)));
    for (char& c : key) {
      if (&c - key.data() < static_cast<ptrdiff_t>(prefix.size())) continue;
      c = letters.empty() ? static_cast<char>(random()) : letters[below(letters.size())];
    }
    return key;
  };
  for (auto& key : pool) key = new_key();
  Records records(n);
  uint64_t i = 0;
  size_t total = 0;
  for (auto& [key, payload] : records) {
    key = pool.empty() ? new_key() : pool[below(pool.size())];
    payload = absl::StrCat(i++, ":");
    if (total < (6 << 20)) payload.resize(payload.size() + below(payload_limit), 'p');
    total += payload.size();
  }
  switch (below(4)) {
    case 0:
      std::sort(records.begin(), records.end());
      break;
    case 1:
      std::sort(records.rbegin(), records.rend());
      break;
    default:
      break;
  }
  return records;
}

TEST_F(SorterTest, AgreesWithStableSortOnRandomShapesAndBudgets) {
  const uint64_t seed = std::random_device()();
  std::cerr << "seed " << seed << "\n";
  std::mt19937_64 random(seed);
  for (int round = 0; round < 40; ++round) {
    SCOPED_TRACE(absl::StrCat("seed ", seed, " round ", round));
    options_.memory_bytes = SorterOptions::kMinMemory << (random() % 3);
    const size_t n = std::vector<size_t>{0, 1, 2, 30, 1000, 20000, 60000}[random() % 7];
    Check(RandomRecords(random, n));
    if (HasFailure()) return;
  }
}

TEST_F(SorterTest, RecordsThatFitMakeNoFile) {
  auto sorter = NewSorter();
  for (int i = 0; i < 10000; ++i)
    ASSERT_TRUE(sorter->Add(absl::StrCat(i * 7919 % 10000), "p").ok());
  auto sorted = sorter->Finish();
  ASSERT_TRUE(sorted.ok());
  EXPECT_TRUE(Files().empty());
  EXPECT_EQ(sorter->stats().runs, 0u);
  EXPECT_EQ(sorter->stats().spilled_bytes, 0u);
  EXPECT_EQ(ReadAll(sorted->get()).size(), 10000u);
}

TEST_F(SorterTest, EmptyKeysAndPayloadsAreRecords) {
  Records records(100000);
  EXPECT_GT(Check(records).runs, 0u);
}

TEST_F(SorterTest, KeysThatPadEqualOrderByLength) {
  Records records;
  for (size_t n = 0; n < 40; ++n) records.emplace_back(std::string(40 - n, '\0'), "");
  Check(records);
}

TEST_F(SorterTest, LargestRecordsPassThroughTheSmallestMemory) {
  Records records;
  const size_t payload = options_.memory_bytes / 4;
  for (int i = 0; i < 12; ++i) {
    records.emplace_back(std::string(64 << 10, static_cast<char>('z' - i)),
                         std::string(payload, static_cast<char>('a' + i)));
    records.emplace_back(absl::StrCat(i), "small");
  }
  const SorterStats stats = Check(records);
  EXPECT_GE(stats.runs, 4u);
  EXPECT_GE(stats.merge_passes, 1u);
}

TEST_F(SorterTest, TooLargeRecordsAreRefusedAndTheSortGoesOn) {
  auto sorter = NewSorter();
  EXPECT_EQ(sorter->Add(std::string((64 << 10) + 1, 'k'), "").code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(sorter->Add("k", std::string(options_.memory_bytes / 4 + 1, 'p')).code(),
            absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(sorter->Add("k", "p").ok());
  auto sorted = sorter->Finish();
  ASSERT_TRUE(sorted.ok());
  EXPECT_EQ(ReadAll(sorted->get()), (Records{{"k", "p"}}));
}

TEST_F(SorterTest, FinishedSorterRefusesMore) {
  auto sorter = NewSorter();
  ASSERT_TRUE(sorter->Finish().ok());
  EXPECT_EQ(sorter->Add("k", "p").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(sorter->Finish().status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(SorterTest, OptionsThatCannotWorkAreRefused) {
  const auto code = [](SorterOptions options) { return Sorter::New(options).status().code(); };
  SorterOptions options = options_;
  options.memory_bytes = SorterOptions::kMinMemory - 1;
  EXPECT_EQ(code(options), absl::StatusCode::kInvalidArgument);
  options = options_;
  options.temp_dir = "";
  EXPECT_EQ(code(options), absl::StatusCode::kInvalidArgument);
  options.temp_dir = JoinPath(options_.temp_dir, "absent");
  EXPECT_EQ(code(options), absl::StatusCode::kNotFound);
  options = options_;
  options.temp_prefix = "a/b";
  EXPECT_EQ(code(options), absl::StatusCode::kInvalidArgument);
  options = options_;
  options.fs = nullptr;
  EXPECT_EQ(code(options), absl::StatusCode::kInvalidArgument);
}

TEST_F(SorterTest, RunFilesGoWithTheSorterOrItsRecords) {
  const std::string payload(1000, 'p');
  auto sorter = NewSorter();
  for (int i = 0; i < 3000; ++i) ASSERT_TRUE(sorter->Add(absl::StrCat(i), payload).ok());
  EXPECT_FALSE(Files().empty());
  for (const std::string& name : Files()) EXPECT_EQ(name.substr(0, 9), "sort.run.");
  sorter.reset();
  EXPECT_TRUE(Files().empty());

  sorter = NewSorter();
  for (int i = 0; i < 3000; ++i) ASSERT_TRUE(sorter->Add(absl::StrCat(i), payload).ok());
  auto sorted = sorter->Finish();
  ASSERT_TRUE(sorted.ok());
  sorter.reset();
  EXPECT_FALSE(Files().empty());
  absl::string_view key, value;
  ASSERT_TRUE((*sorted)->Next(&key, &value).value());
  sorted->reset();
  EXPECT_TRUE(Files().empty());
}

TEST_F(SorterTest, FilesOfOthersUnderTheSameNamesAreLeftAlone) {
  const std::string theirs = JoinPath(options_.temp_dir, "sort.run.1");
  ASSERT_TRUE(WriteFileAtomically(options_.fs, theirs, "not a run").ok());
  Records records;
  for (int i = 0; i < 4000; ++i) records.emplace_back(absl::StrCat(i), std::string(1000, 'p'));
  EXPECT_GT(Check(records).runs, 2u);
  EXPECT_EQ(ReadFile(options_.fs, theirs).value(), "not a run");
  ASSERT_TRUE(options_.fs->Delete(theirs).ok());
}

TEST_F(SorterTest, TwoSortersShareADirectoryAndPrefix) {
  std::unique_ptr<Sorter> sorters[] = {NewSorter(), NewSorter()};
  for (int i = 0; i < 60000; ++i) {
    for (int s = 0; s < 2; ++s) {
      ASSERT_TRUE(sorters[s]->Add(absl::StrCat(s, ":", i * 7919 % 60000), "p").ok());
    }
  }
  for (int s = 0; s < 2; ++s) {
    auto sorted = sorters[s]->Finish();
    ASSERT_TRUE(sorted.ok());
    const Records all = ReadAll(sorted->get());
    EXPECT_EQ(all.size(), 60000u);
    for (const auto& record : all) ASSERT_EQ(record.first.substr(0, 2), absl::StrCat(s, ":"));
  }
}

// 1 MiB has room for a table of 248 runs.
TEST_F(SorterTest, MoreRunsThanTheTableHoldsAreMergedWhileAdding) {
  auto sorter = NewSorter();
  const std::string payload(9900, 'p');
  constexpr uint64_t kRecords = 34000;
  size_t most_files = 0;
  for (uint64_t i = 0; i < kRecords; ++i) {
    // Each key twice, far apart; the payload tells them apart.
    const std::string key = absl::StrCat(i * 7919 % (kRecords / 2));
    ASSERT_TRUE(sorter->Add(key, i < kRecords / 2 ? payload : "second").ok());
    if (i % 100 == 0) most_files = std::max(most_files, Files().size());
  }
  for (uint64_t i = 0; i < kRecords / 2; ++i) ASSERT_TRUE(sorter->Add("\x7f", payload).ok());
  auto sorted = sorter->Finish();
  ASSERT_TRUE(sorted.ok()) << sorted.status();
  EXPECT_GT(sorter->stats().runs, 248u);
  EXPECT_LE(most_files, 249u);
  EXPECT_LE(sorter->stats().peak_memory, options_.memory_bytes);
  absl::string_view key, value;
  std::string last;
  for (uint64_t i = 0; i < kRecords; ++i) {
    ASSERT_TRUE((*sorted)->Next(&key, &value).value());
    ASSERT_EQ(value == "second", i % 2 == 1) << i;
    if (i % 2 == 0) {
      ASSERT_LT(last, key);
      last = std::string(key);
    } else {
      ASSERT_EQ(last, key);
    }
  }
  for (uint64_t i = 0; i < kRecords / 2; ++i) ASSERT_TRUE((*sorted)->Next(&key, &value).value());
  EXPECT_FALSE((*sorted)->Next(&key, &value).value());
}

TEST_F(SorterTest, ProgressEndsAtItsTotal) {
  std::vector<std::pair<uint64_t, uint64_t>> calls;
  options_.progress = [&](uint64_t done, uint64_t total) { calls.emplace_back(done, total); };
  Records records;
  for (int i = 0; i < 400000; ++i) records.emplace_back(absl::StrCat(i), std::string(150, 'p'));
  EXPECT_EQ(Check(records).merge_passes, 1u);
  ASSERT_GT(calls.size(), 6u);
  EXPECT_TRUE(std::is_sorted(calls.begin(), calls.end()));
  EXPECT_EQ(calls.back().first, calls.back().second);
  EXPECT_EQ(calls.front().second, calls.back().second);
  EXPECT_GT(calls.back().second, records.size());
}

}  // namespace
}  // namespace kvarts
