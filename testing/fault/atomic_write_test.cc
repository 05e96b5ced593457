// WriteFileAtomically under crashes and I/O errors; and, in short, how an engine is
// tested with the two file systems.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"
#include "testing/fault/fault_file_system.h"

namespace kvarts {
namespace {

using ::testing::ElementsAre;
using Kind = FileOperation::Kind;
using Moment = MemoryFileSystem::Moment;

constexpr char kPath[] = "d/file";
constexpr uint64_t kSeeds = 100;

std::string Contents(FileSystem* fs) {
  auto bytes = ReadFile(fs, kPath);
  return bytes.ok() ? *bytes : bytes.status().ToString();
}

// A disk on which everything is durable: "d/file", and nothing else.
std::unique_ptr<MemoryFileSystem> Disk(const std::string& contents) {
  auto fs = std::make_unique<MemoryFileSystem>();
  EXPECT_TRUE(fs->CreateDir("d").ok());
  EXPECT_TRUE(WriteFileAtomically(fs.get(), kPath, contents).ok());
  fs->SyncAll();
  return fs;
}

class Crashes {
 public:
  // Visits what every policy and seed make of a crash of `fs` now.
  template <typename Visit>
  void Each(const MemoryFileSystem& fs, uint64_t seeds, Visit visit) {
    for (const CrashPolicy policy : CrashPolicy::All()) {
      // Without chance in it, one is enough.
      const bool random = policy.data == CrashPolicy::Data::kPrefix ||
                          policy.data == CrashPolicy::Data::kGarbled ||
                          policy.names == CrashPolicy::Names::kPrefix;
      for (uint64_t seed = 0; seed < (random ? seeds : 1); ++seed) {
        ++states_;
        visit(fs.CloneAfterCrash(seed, policy).get());
      }
    }
  }
  uint64_t states() const { return states_; }

 private:
  uint64_t states_ = 0;
};

// Writes `fresh` over `old` through `faults`, and looks after a crash at every
// operation. Returns how many crashes left something that may not be.
uint64_t WrongStates(const std::string& old, const std::string& fresh, FaultRule* rule,
                     Crashes* crashes, uint64_t seeds = kSeeds) {
  const auto disk = Disk(old);
  FaultFileSystem faults(disk.get(), [&](WritableFile* file) { disk->LoseUnsynced(file); });
  if (rule != nullptr) faults.SetRule(*rule);
  uint64_t wrong = 0;
  disk->SetHook([&](Moment, const FileOperation&) {
    crashes->Each(*disk, seeds, [&](MemoryFileSystem* after) {
      const std::string now = Contents(after);
      wrong += now != old && now != fresh;
    });
  });
  const absl::Status status = WriteFileAtomically(&faults, kPath, fresh);
  disk->SetHook({});
  crashes->Each(*disk, seeds, [&](MemoryFileSystem* after) {
    const std::string now = Contents(after);
    wrong += status.ok() ? now != fresh : now != old && now != fresh;
  });
  return wrong;
}

TEST(AtomicWriteTest, ACrashAtEveryOperationLeavesTheOldOrTheNewContents) {
  Crashes crashes;
  const std::string old(700, 'o');
  const std::string fresh(2000, 'n');
  EXPECT_EQ(WrongStates(old, fresh, nullptr, &crashes), 0u);
  EXPECT_EQ(WrongStates(fresh, old, nullptr, &crashes), 0u);
  EXPECT_EQ(WrongStates("", "x", nullptr, &crashes), 0u);
  EXPECT_EQ(WrongStates("x", "", nullptr, &crashes), 0u);
  RecordProperty("states", static_cast<int>(crashes.states()));
  EXPECT_GT(crashes.states(), 25'000u);
}

TEST(AtomicWriteTest, AFirstWriteIsThereWholeOrNotAtAll) {
  MemoryFileSystem disk;
  ASSERT_TRUE(disk.CreateDir("d").ok());
  disk.SyncAll();
  Crashes crashes;
  disk.SetHook([&](Moment, const FileOperation&) {
    crashes.Each(disk, kSeeds, [&](MemoryFileSystem* after) {
      EXPECT_TRUE(!after->Stat(kPath).ok() || Contents(after) == "contents");
    });
  });
  ASSERT_TRUE(WriteFileAtomically(&disk, kPath, "contents").ok());
  disk.SetHook({});
  crashes.Each(disk, kSeeds, [&](MemoryFileSystem* after) {
    EXPECT_EQ(Contents(after), "contents");
    EXPECT_THAT(*after->List("d"), ElementsAre("file"));
  });
}

TEST(AtomicWriteTest, ACrashAfterACrashAndWhateverItLeftIsOverwritten) {
  const auto disk = Disk("old");
  Crashes first, second;
  disk->SetHook([&](Moment, const FileOperation&) {
    first.Each(*disk, 2, [&](MemoryFileSystem* after) {
      const std::string before = Contents(after);
      after->SetHook([&](Moment, const FileOperation&) {
        second.Each(*after, 2, [&](MemoryFileSystem* twice) {
          const std::string now = Contents(twice);
          EXPECT_TRUE(now == before || now == "newest") << now;
        });
      });
      ASSERT_TRUE(WriteFileAtomically(after, kPath, "newest").ok());
      after->SetHook({});
      EXPECT_THAT(*after->List("d"), ElementsAre("file"));
      second.Each(*after, 2,
                  [&](MemoryFileSystem* twice) { EXPECT_EQ(Contents(twice), "newest"); });
    });
  });
  ASSERT_TRUE(WriteFileAtomically(disk.get(), kPath, "new").ok());
  RecordProperty("states", static_cast<int>(second.states()));
  EXPECT_GT(second.states(), 10'000u);
}

// Each fault, once and for ever, at every operation.
TEST(AtomicWriteTest, AnErrorAtEveryOperationLeavesOldOrNewAndNothingElse) {
  uint64_t runs = 0;
  for (const Fault fault : {Fault::kIoError, Fault::kNoSpace, Fault::kShortWrite,
                            Fault::kSyncLosesPages, Fault::kLateError, Fault::kDoneButError}) {
    for (const bool forever : {false, true}) {
      for (uint64_t k = 0;; ++k) {
        const auto disk = Disk("old");
        FaultFileSystem faults(disk.get(), [&](WritableFile* file) { disk->LoseUnsynced(file); });
        FaultRule rule{fault, k, forever};
        // For ever: but deleting works, as on a disk that is full.
        if (forever) {
          rule.matches = [](const FileOperation& o) { return o.kind != Kind::kDelete; };
        }
        faults.SetRule(rule);
        const absl::Status status = WriteFileAtomically(&faults, kPath, "new");
        if (faults.injected() == 0) {
          EXPECT_TRUE(status.ok()) << status;
          break;
        }
        ++runs;
        const std::string where =
            absl::StrCat("fault ", static_cast<int>(fault), " at ", k, ": ", status.ToString());
        EXPECT_FALSE(status.ok()) << where;
        EXPECT_THAT(Contents(disk.get()), ::testing::AnyOf("old", "new")) << where;
        EXPECT_THAT(*disk->List("d"), ElementsAre("file")) << where;
        // And the next one works.
        faults.ClearRule();
        EXPECT_TRUE(WriteFileAtomically(&faults, kPath, "newest").ok()) << where;
        EXPECT_EQ(Contents(disk.get()), "newest") << where;
      }
    }
  }
  EXPECT_GE(runs, 2u * (6 + 5 + 1 + 2 + 1 + 5));
}

TEST(AtomicWriteTest, AnErrorAndThenACrashLeaveTheOldOrTheNewContents) {
  Crashes crashes;
  for (const Fault fault : {Fault::kIoError, Fault::kShortWrite, Fault::kSyncLosesPages,
                            Fault::kLateError, Fault::kDoneButError}) {
    for (uint64_t k = 0; k < 6; ++k) {
      FaultRule rule{fault, k};
      EXPECT_EQ(WrongStates("old", "new", &rule, &crashes, 20), 0u)
          << "fault " << static_cast<int>(fault) << " at " << k;
    }
  }
  RecordProperty("states", static_cast<int>(crashes.states()));
}

// The test of the test: a disk that only says that it has synced is noticed, for
// the file's sync and for the directory's.
TEST(AtomicWriteTest, ASyncThatIsSkippedIsNoticed) {
  for (const Kind kind : {Kind::kSync, Kind::kSyncDir}) {
    Crashes crashes;
    FaultRule rule{Fault::kIgnored, 0, /*forever=*/true};
    rule.matches = [kind](const FileOperation& operation) { return operation.kind == kind; };
    EXPECT_GT(WrongStates("old", "new", &rule, &crashes), 0u) << OperationName(kind);
  }
}

TEST(AtomicWriteTest, AFullDiskKeepsTheOldContentsAtEverySize) {
  for (uint64_t room = 0; room < 12; ++room) {
    const auto disk = Disk("old");
    disk->SetCapacity(3 + room);
    const absl::Status status = WriteFileAtomically(disk.get(), kPath, "0123456789");
    EXPECT_EQ(status.ok(), room >= 10) << room << ": " << status;
    EXPECT_EQ(Contents(disk.get()), room >= 10 ? "0123456789" : "old");
    EXPECT_EQ(disk->used_bytes(), room >= 10 ? 10u : 3u);
  }
}

}  // namespace
}  // namespace kvarts
