#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "groupby/testing/grouping_suite.h"
#include "testing/fault/fault_file_system.h"

namespace kvarts {
namespace {

using Kind = FileOperation::Kind;

// Some files, of few blocks.
SuiteRows FaultRows() {
  SuiteRows rows = MakeSuiteRows(RowShape::kLargeValues, 2'000'000, 4);
  const SuiteRows small = MakeSuiteRows(RowShape::kAllDistinct, 100'000, 4);
  rows.insert(rows.end(), small.begin(), small.end());
  return rows;
}

// At most so many operations of a loop are tried, spread over all; every one with
// --test_env=KVARTS_EVERY_FAULT=1 (some minutes).
constexpr uint64_t kTried = 120;

TEST_P(GroupingSuite, AnErrorAtEveryOperationIsAnErrorAndLeavesNothing) {
  const SuiteRows rows = FaultRows();
  for (const auto& [fault, forever] :
       {std::make_pair(Fault::kIoError, false), std::make_pair(Fault::kIoError, true),
        std::make_pair(Fault::kNoSpace, false), std::make_pair(Fault::kShortWrite, false),
        std::make_pair(Fault::kLateError, false), std::make_pair(Fault::kDoneButError, false)}) {
    if (kFewerRounds > 1 && fault != Fault::kIoError) continue;
    int errors = 0;
    uint64_t step = kFewerRounds;
    for (uint64_t k = 0;; k += step) {
      SCOPED_TRACE(absl::StrCat("fault ", static_cast<int>(fault), " operation ", k));
      FaultFileSystem faults(&fs_);
      FaultRule rule{fault, k, forever};
      // Where nothing can be deleted, nothing is.
      rule.matches = [forever = forever](const FileOperation& operation) {
        return !forever || (operation.kind != Kind::kDelete && operation.kind != Kind::kDeleteDir &&
                            operation.kind != Kind::kList);
      };
      faults.SetRule(rule);
      GroupingOptions options = Options();
      options.fs = &faults;
      const absl::Status status = GroupAndCheck(options, rows);
      ExpectNothingLeft();
      if (HasFailure()) return;
      if (k == 20 && std::getenv("KVARTS_EVERY_FAULT") == nullptr) {
        step = 1 + faults.matched() / kTried;
      }
      if (faults.injected() == 0) {
        EXPECT_TRUE(status.ok()) << status;
        break;
      }
      if (status.ok()) continue;  // a delete that failed at the end and was tried again
      ++errors;
      EXPECT_TRUE(absl::IsDataLoss(status) || absl::IsResourceExhausted(status)) << status;
      EXPECT_TRUE(absl::StrContains(status.message(), "/kvarts-groupby.")) << status;
    }
    // A late error that lost no bytes may go unseen: checksums tell when it did.
    if (fault != Fault::kLateError) {
      EXPECT_GT(errors * kFewerRounds, 5) << static_cast<int>(fault);
    }
  }
}

TEST_P(GroupingSuite, FullDiskIsAnErrorAndIsEmptiedAgain) {
  const SuiteRows rows = FaultRows();
  int errors = 0;
  for (uint64_t capacity = 0;; capacity += 300'000) {
    fs_.SetCapacity(capacity);
    const absl::Status status = GroupAndCheck(Options(), rows);
    ExpectNothingLeft();
    if (status.ok()) break;
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
    ++errors;
  }
  EXPECT_GT(errors, 2);
}

// Flips a byte of the last `bytes` of the file: those before them may have been read.
void Damage(FileSystem* fs, const std::string& path, uint64_t bytes, std::mt19937_64* random) {
  const uint64_t at = fs->Stat(path)->size - 1 - (*random)() % bytes;
  char byte = 0;
  EXPECT_EQ(fs->OpenForRead(path).value()->Read(at, 1, &byte).value(), 1u);
  byte = static_cast<char>(byte ^ (1 + (*random)() % 255));
  const auto file = fs->OpenForWrite(path, FileSystem::Create::kAppend).value();
  EXPECT_TRUE(file->WriteAt(at, absl::string_view(&byte, 1)).ok());
}

// Bytes that change after they were written, at any stage.
TEST_P(GroupingSuite, DamagedFilesAreDataLossNeverWrongGroups) {
  const SuiteRows rows = FaultRows();
  std::atomic<uint64_t> appends{0};
  const auto was_appended = [](MemoryFileSystem::Moment moment, const FileOperation& operation) {
    return moment == MemoryFileSystem::Moment::kAfter && operation.kind == Kind::kAppend;
  };
  fs_.SetHook([&](MemoryFileSystem::Moment moment, const FileOperation& operation) {
    if (was_appended(moment, operation)) ++appends;
  });
  ASSERT_TRUE(GroupAndCheck(Options(), rows).ok());
  ASSERT_GT(appends, 4u);

  const uint64_t seed = std::random_device()();
  std::cerr << "seed " << seed << "\n";
  std::mt19937_64 random(seed);
  for (int round = 0; round < SuiteRounds(40); ++round) {
    SCOPED_TRACE(absl::StrCat("seed ", seed, " round ", round));
    // With several threads there are not always quite as many.
    std::atomic<uint64_t> left{random() % (appends * 9 / 10)};
    std::string damaged;
    fs_.SetHook([&](MemoryFileSystem::Moment moment, const FileOperation& operation) {
      if (!was_appended(moment, operation) || left-- != 0) return;
      damaged = std::string(operation.path);
      Damage(&fs_, damaged, operation.size, &random);
    });
    const absl::Status status = GroupAndCheck(Options(), rows);
    fs_.SetHook({});
    ASSERT_FALSE(damaged.empty());
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), absl::StrCat(damaged, ": offset "))) << status;
    ExpectNothingLeft();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace kvarts
