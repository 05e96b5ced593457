#include <algorithm>
#include <functional>
#include <iostream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"
#include "storage/sort/sorter.h"
#include "testing/fault/fault_file_system.h"

namespace kvarts {
namespace {

using Records = std::vector<std::pair<std::string, std::string>>;

constexpr int kRecords = 16;

// Large payloads: some runs, a merge of three at a time, few operations.
const Records& Input() {
  static const Records* const records = [] {
    auto* made = new Records;
    for (int i = 0; i < kRecords; ++i) {
      made->emplace_back(absl::StrCat("key", i * 7 % 9), std::string(250000 + i, 'a' + i % 26));
    }
    return made;
  }();
  return *records;
}

const Records& Expected() {
  static const Records* const records = [] {
    auto* made = new Records(Input());
    std::stable_sort(made->begin(), made->end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    return made;
  }();
  return *records;
}

SorterOptions OptionsFor(FileSystem* fs) {
  SorterOptions options;
  options.memory_bytes = SorterOptions::kMinMemory;
  options.fs = fs;
  options.temp_dir = "/";
  return options;
}

// Sorts Input() and checks that what comes out is Expected() up to an error,
// which stays. `before_reading` is called between Finish() and the first Next().
absl::Status SortAll(FileSystem* fs, SorterStats* stats,
                     const std::function<void()>& before_reading = {}) {
  auto sorter = Sorter::New(OptionsFor(fs));
  if (!sorter.ok()) return sorter.status();
  for (const auto& [key, payload] : Input()) {
    const absl::Status status = (*sorter)->Add(key, payload);
    if (!status.ok()) {
      EXPECT_EQ((*sorter)->Add(key, payload), status);
      EXPECT_EQ((*sorter)->Finish().status(), status);
      return status;
    }
  }
  auto sorted = (*sorter)->Finish();
  *stats = (*sorter)->stats();
  if (!sorted.ok()) {
    EXPECT_EQ((*sorter)->Finish().status(), sorted.status());
    return sorted.status();
  }
  if (before_reading) before_reading();
  absl::string_view key, payload;
  for (const auto& [expected_key, expected_payload] : Expected()) {
    const auto more = (*sorted)->Next(&key, &payload);
    if (!more.ok()) {
      EXPECT_EQ((*sorted)->Next(&key, &payload).status(), more.status());
      EXPECT_TRUE(fs->List("/")->empty());
      return more.status();
    }
    EXPECT_TRUE(*more);
    EXPECT_TRUE(key == expected_key && payload == expected_payload);
    if (testing::Test::HasFailure()) break;
  }
  EXPECT_FALSE((*sorted)->Next(&key, &payload).value());
  return absl::OkStatus();
}

class SorterFaultTest : public testing::TestWithParam<std::pair<Fault, bool>> {};

TEST_P(SorterFaultTest, AnErrorAtEveryOperationLeavesNoFileAndNoWrongOutput) {
  const auto [fault, forever] = GetParam();
  int errors = 0;
  for (uint64_t k = 0;; ++k) {
    SCOPED_TRACE(absl::StrCat("operation ", k));
    MemoryFileSystem memory;
    FaultFileSystem faults(&memory, [&](WritableFile* file) { memory.LoseUnsynced(file, true); });
    FaultRule rule{fault, k, forever};
    // Where nothing can be deleted, nothing is; listing is the test's own.
    rule.matches = [forever = forever](const FileOperation& operation) {
      return operation.kind != FileOperation::Kind::kList &&
             !(forever && operation.kind == FileOperation::Kind::kDelete);
    };
    faults.SetRule(rule);
    SorterStats stats;
    const absl::Status status = SortAll(&faults, &stats);
    if (HasFailure()) return;
    EXPECT_TRUE(memory.List("/")->empty()) << status;
    EXPECT_EQ(memory.used_bytes(), 0u);
    if (faults.injected() == 0) {
      EXPECT_TRUE(status.ok()) << status;
      EXPECT_GE(stats.merge_passes, 1u);
      break;
    }
    if (status.ok()) continue;  // a delete that failed at the end and was tried again
    ++errors;
    EXPECT_TRUE(absl::IsDataLoss(status) || absl::IsResourceExhausted(status)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "/")) << status;
  }
  EXPECT_GT(errors, 10);
}

INSTANTIATE_TEST_SUITE_P(Faults, SorterFaultTest,
                         testing::Values(std::make_pair(Fault::kIoError, false),
                                         std::make_pair(Fault::kIoError, true),
                                         std::make_pair(Fault::kNoSpace, false),
                                         std::make_pair(Fault::kNoSpace, true),
                                         std::make_pair(Fault::kShortWrite, false),
                                         std::make_pair(Fault::kLateError, false),
                                         std::make_pair(Fault::kDoneButError, false)));

TEST(SorterDiskTest, FullDiskIsResourceExhaustedAndIsEmptiedAgain) {
  uint64_t needed = 0;
  for (uint64_t capacity = 0; needed == 0; capacity += 500000) {
    MemoryFileSystem fs;
    fs.SetCapacity(capacity);
    SorterStats stats;
    const absl::Status status = SortAll(&fs, &stats);
    if (status.ok()) {
      needed = capacity;
    } else {
      EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
    }
    EXPECT_TRUE(fs.List("/")->empty());
    EXPECT_EQ(fs.used_bytes(), 0u);
  }
  EXPECT_GT(needed, kRecords * 250000u);
}

// Bytes that change between writing and reading.
TEST(SorterDiskTest, DamagedRunFilesAreDataLossNeverWrongOutput) {
  const uint64_t seed = std::random_device()();
  std::cerr << "seed " << seed << "\n";
  std::mt19937_64 random(seed);
  for (int round = 0; round < 60; ++round) {
    SCOPED_TRACE(absl::StrCat("seed ", seed, " round ", round));
    MemoryFileSystem fs;
    SorterStats stats;
    std::string damaged;
    const absl::Status status = SortAll(&fs, &stats, [&] {
      const auto names = fs.List("/").value();
      damaged = names[random() % names.size()];
      const uint64_t size = fs.Stat(damaged)->size;
      auto file = fs.OpenForWrite(damaged, FileSystem::Create::kAppend).value();
      if (random() % 4 == 0) {
        EXPECT_TRUE(file->Truncate(random() % size).ok());
      } else {
        const uint64_t at = random() % size;
        char byte;
        EXPECT_EQ(fs.OpenForRead(damaged).value()->Read(at, 1, &byte).value(), 1u);
        byte = static_cast<char>(byte ^ (1 + random() % 255));
        EXPECT_TRUE(file->WriteAt(at, absl::string_view(&byte, 1)).ok());
      }
    });
    if (status.ok()) continue;  // it was the first block, which had been read
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), absl::StrCat("/", damaged, ": offset ")))
        << status;
    EXPECT_TRUE(fs.List("/")->empty());
  }
}

}  // namespace
}  // namespace kvarts
