// Builds of an index under crashes, I/O errors and full disks: what is left is
// the old index or the new one, whole, and nothing beside it.

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/bench_data.h"
#include "gtest/gtest.h"
#include "storage/bisect/bisect.h"
#include "storage/bisect/builder.h"
#include "storage/fs/crash_policy.h"
#include "storage/fs/memory.h"
#include "testing/fault/fault_file_system.h"

namespace kvarts {
namespace {

constexpr char kData[] = "/my.data";
constexpr char kIndex[] = "/my.data.bisect";

std::string Text(int records, absl::string_view value) {
  std::string out;
  for (int i = 0; i < records; ++i) absl::StrAppend(&out, BenchUuid(i), " ", value, i, "\n");
  return out;
}

void WriteData(FileSystem* fs, absl::string_view text) {
  ASSERT_TRUE(WriteFileAtomically(fs, kData, text).ok());
}

BuildOptions Options(FileSystem* fs) {
  BuildOptions options;
  options.fs = fs;
  options.memory_bytes = kMinBuildMemory;
  return options;
}

// That the index, where there is one, is whole and of the data file.
void ExpectSound(FileSystem* fs) {
  const absl::Status status = VerifyBisect(kData, Options(fs));
  EXPECT_TRUE(status.ok() || status.code() == absl::StatusCode::kNotFound ||
              status.code() == absl::StatusCode::kFailedPrecondition)
      << status;
}

void ExpectServes(FileSystem* fs, int records, absl::string_view value) {
  BisectOptions options;
  options.fs = fs;
  const auto store = OpenBisect(kData, options);
  ASSERT_TRUE(store.ok()) << store.status();
  for (int i = 0; i < records; i += records / 10 + 1) {
    ASSERT_EQ(**(*store)->Get(BenchUuid(i)), absl::StrCat(value, i));
  }
}

TEST(BisectFaultTest, ACrashAtEveryOperationLeavesTheOldIndexOrTheNew) {
  MemoryFileSystem fs;
  WriteData(&fs, Text(700, "old"));
  ASSERT_TRUE(BuildBisect(kData, Options(&fs)).ok());
  WriteData(&fs, Text(900, "new"));
  fs.SyncAll();
  uint64_t states = 0;
  uint64_t seed = 0;
  fs.SetHook([&](MemoryFileSystem::Moment, const FileOperation&) {
    for (const CrashPolicy& policy : CrashPolicy::All()) {
      for (int i = 0; i < 3; ++i) {
        const auto after = fs.CloneAfterCrash(++seed, policy);
        ++states;
        ExpectSound(after.get());
        const auto report = EnsureBisect(kData, Options(after.get()));
        ASSERT_TRUE(report.ok()) << report.status();
        ExpectServes(after.get(), 900, "new");
        // Two files, and the lock of the dead at most until the next build.
        ASSERT_LE(after->List("/")->size(), report->built ? 2u : 4u);
      }
    }
  });
  ASSERT_TRUE(BuildBisect(kData, Options(&fs)).ok());
  fs.SetHook({});
  EXPECT_GT(states, 300u);
}

TEST(BisectFaultTest, AnErrorAtEveryOperationLeavesTheOldIndexAndNothingElse) {
  for (const Fault fault : {Fault::kIoError, Fault::kNoSpace, Fault::kShortWrite,
                            Fault::kSyncLosesPages, Fault::kLateError}) {
    for (uint64_t k = 0;; ++k) {
      MemoryFileSystem fs;
      FaultFileSystem faults(&fs, [&fs](WritableFile* file) { fs.LoseUnsynced(file); });
      // Enough to spill runs at the least memory.
      WriteData(&fs, Text(k % 7 == 0 ? 120000 : 700, "v"));
      faults.SetRule({fault, k});
      const auto report = BuildBisect(kData, Options(&faults));
      const bool injected = faults.injected() > 0;
      faults.ClearRule();
      ExpectSound(&fs);
      if (!report.ok()) {
        ASSERT_TRUE(injected) << report.status();
        ASSERT_FALSE(report.status().message().empty());
      }
      ASSERT_TRUE(EnsureBisect(kData, Options(&faults)).ok());
      ExpectServes(&fs, 700, "v");
      ASSERT_LE(fs.List("/")->size(), 3u) << "more than data, index and a lock file";
      if (!injected) {
        ASSERT_TRUE(report.ok()) << report.status();
        break;
      }
    }
  }
}

TEST(BisectFaultTest, AFullDiskIsSaidAndCleanedUp) {
  MemoryFileSystem fs;
  const std::string text = Text(150000, "value ");
  WriteData(&fs, text);
  uint64_t failures = 0;
  for (uint64_t room = 0;; room += 300 << 10) {
    fs.SetCapacity(text.size() + room);
    const auto report = BuildBisect(kData, Options(&fs));
    if (report.ok()) {
      EXPECT_GT(report->spilled_bytes, 0u);
      break;
    }
    ++failures;
    ASSERT_EQ(report.status().code(), absl::StatusCode::kResourceExhausted) << report.status();
    ASSERT_EQ(fs.List("/")->size(), 1u) << "something was left behind";
    ASSERT_EQ(fs.used_bytes(), text.size());
  }
  EXPECT_GT(failures, 3u);
  ExpectServes(&fs, 150000, "value ");
}

TEST(BisectFaultTest, AnUnfinishedBuildKeepsTheOldIndexInUse) {
  MemoryFileSystem fs;
  WriteData(&fs, Text(700, "v"));
  ASSERT_TRUE(BuildBisect(kData, Options(&fs)).ok());
  const std::string before = *ReadFile(&fs, kIndex);
  FaultFileSystem faults(&fs);
  faults.SetRule({Fault::kIoError, 0, false,
                  [](const FileOperation& op) { return op.kind == FileOperation::Kind::kRename; }});
  EXPECT_EQ(BuildBisect(kData, Options(&faults)).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(*ReadFile(&fs, kIndex), before);
  ExpectServes(&fs, 700, "v");
}

}  // namespace
}  // namespace kvarts
