// The file under crashes, errors and damage, in one thread.

#include "cluster/coordinator/coordinator_file.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "storage/fs/crash_policy.h"
#include "storage/fs/memory.h"
#include "testing/fault/fault_file_system.h"

namespace kvarts {
namespace {

using Contents = Coordinator::Contents;
using Kind = FileOperation::Kind;
using Moment = MemoryFileSystem::Moment;

constexpr char kPath[] = "d/table";

std::unique_ptr<MemoryFileSystem> Disk() {
  auto disk = std::make_unique<MemoryFileSystem>();
  EXPECT_TRUE(disk->CreateDir("d").ok());
  disk->SyncAll();
  return disk;
}

Coordinator::Transaction Put(const std::string& bytes) {
  Coordinator::Transaction transaction;
  transaction.changes.push_back({"a", bytes});
  transaction.changes.push_back({"z", bytes});
  return transaction;
}

// The one value of both names; "" where there is none.
std::string ValueIn(const Contents& contents) {
  if (contents.values.empty()) return "";
  EXPECT_EQ(contents.values.size(), 2u);
  EXPECT_EQ(contents.values.at("a"), contents.values.at("z"));
  EXPECT_EQ(contents.values.at("a").revision, contents.revision);
  return contents.values.at("a").bytes;
}

// What each policy, and some seeds, make of a power cut now.
template <typename Visit>
int EachCrash(const MemoryFileSystem& disk, Visit visit) {
  int states = 0;
  for (const CrashPolicy policy : CrashPolicy::All()) {
    for (uint64_t seed = 0; seed < 8; ++seed) {
      visit(disk.CloneAfterCrash(seed, policy).get());
      ++states;
    }
  }
  return states;
}

TEST(CoordinatorFileTest, APowerCutAtEveryOperationLeavesWhatWasCommitted) {
  const auto disk = Disk();
  CoordinatorFile file(disk.get(), kPath);
  int committed = 0;
  int states = 0;
  const auto look = [&](bool under_way) {
    states += EachCrash(*disk, [&](MemoryFileSystem* after) {
      CoordinatorFile restarted(after, kPath);
      const auto contents = restarted.Read();
      ASSERT_TRUE(contents.ok()) << contents.status();
      const int64_t revision = contents->revision;
      EXPECT_TRUE(revision == committed || (under_way && revision == committed + 1))
          << revision << " after " << committed;
      EXPECT_EQ(ValueIn(*contents), revision == 0 ? "" : absl::StrCat(revision));
      // What was read is there after one more.
      EachCrash(*after, [&](MemoryFileSystem* twice) {
        EXPECT_EQ(CoordinatorFile(twice, kPath).Read()->revision, revision);
      });
      const auto outcome = restarted.Commit(Put("next"));
      ASSERT_TRUE(outcome.ok()) << outcome.status();
      EXPECT_GT(outcome->revision, revision);
    });
  };
  disk->SetHook([&](Moment, const FileOperation&) { look(/*under_way=*/true); });
  for (int i = 1; i <= 3; ++i) {
    const auto outcome = file.Commit(Put(absl::StrCat(i)));
    ASSERT_TRUE(outcome.ok() && outcome->succeeded) << outcome.status();
    committed = i;
    look(/*under_way=*/false);
  }
  disk->SetHook({});
  EXPECT_GT(states, 3 * 2 * 5 * 96);
}

// Each fault at every operation: what an answer says is so, now and after a power cut.
TEST(CoordinatorFileTest, AnErrorAtEveryOperationIsToldAsWhatItIs) {
  int unavailable = 0;
  int unknown = 0;
  for (const Fault fault : {Fault::kIoError, Fault::kNoSpace, Fault::kShortWrite,
                            Fault::kSyncLosesPages, Fault::kLateError, Fault::kDoneButError}) {
    for (const bool forever : {false, true}) {
      for (uint64_t k = 0;; ++k) {
        const auto disk = Disk();
        FaultFileSystem faults(disk.get(), [&](WritableFile* f) { disk->LoseUnsynced(f); });
        CoordinatorFile file(&faults, kPath);
        ASSERT_TRUE(file.Commit(Put("old")).ok());
        disk->SyncAll();
        faults.SetRule({fault, k, forever});
        const auto outcome = file.Commit(Put("new"));
        const uint64_t injected = faults.injected();
        faults.ClearRule();
        const std::string where = absl::StrCat("fault ", static_cast<int>(fault), " at ", k, ": ",
                                               outcome.status().ToString());
        const bool old_allowed = !outcome.ok();
        const bool new_allowed = outcome.ok() || absl::IsDeadlineExceeded(outcome.status());
        const auto allowed = [&](const std::string& value) {
          return (old_allowed && value == "old") || (new_allowed && value == "new");
        };
        unavailable += absl::IsUnavailable(outcome.status());
        unknown += absl::IsDeadlineExceeded(outcome.status());
        EachCrash(*disk, [&](MemoryFileSystem* after) {
          const auto contents = CoordinatorFile(after, kPath).Read();
          ASSERT_TRUE(contents.ok()) << where << "; " << contents.status();
          EXPECT_TRUE(allowed(ValueIn(*contents))) << where;
        });
        // Who reads it now may act on it: no power cut takes that back.
        const auto contents = CoordinatorFile(&faults, kPath).Read();
        ASSERT_TRUE(contents.ok()) << where << "; " << contents.status();
        const std::string read = ValueIn(*contents);
        EXPECT_TRUE(allowed(read)) << where;
        EachCrash(*disk, [&](MemoryFileSystem* after) {
          EXPECT_EQ(ValueIn(*CoordinatorFile(after, kPath).Read()), read) << where;
        });
        if (injected == 0) break;
      }
    }
  }
  EXPECT_GT(unavailable, 5);
  EXPECT_GT(unknown, 0);
}

TEST(CoordinatorFileTest, ALockThatIsTakenIsToldAndKeepsNobodyFromReading) {
  const auto disk = Disk();
  CoordinatorFile file(disk.get(), kPath);
  auto lock = disk->Lock(absl::StrCat(kPath, ".lock"));
  ASSERT_TRUE(lock.ok());
  EXPECT_EQ(file.Commit(Put("1")).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(file.Read()->revision, 0);
  lock->reset();
  EXPECT_EQ(file.Commit(Put("1"))->revision, 1);
  EXPECT_EQ(file.PeekRevision(), 1);
}

TEST(CoordinatorFileTest, DamageOfAnyByteIsDataLossThatNamesTheFile) {
  const auto disk = Disk();
  CoordinatorFile file(disk.get(), kPath);
  ASSERT_TRUE(file.Commit(Put("value")).ok());
  const std::string good = *ReadFile(disk.get(), kPath);
  const auto expect_data_loss = [&](const std::string& bytes) {
    ASSERT_TRUE(WriteFileAtomically(disk.get(), kPath, bytes).ok());
    for (const absl::Status& status : {file.Read().status(), file.Commit(Put("x")).status()}) {
      EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
      EXPECT_TRUE(absl::StartsWith(status.message(), kPath)) << status;
    }
    EXPECT_EQ(*ReadFile(disk.get(), kPath), bytes);
  };
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] ^= 1;
    expect_data_loss(bad);
    expect_data_loss(good.substr(0, i));
  }
  expect_data_loss(good + "x");
}

TEST(CoordinatorFileTest, TheFormatIsAsItIsDescribed) {
  std::ifstream in("cluster/coordinator/FORMAT.md");
  std::ostringstream text;
  text << in.rdbuf();
  // The hexadecimal digits of indented lines, up to "|".
  std::string hex;
  for (const absl::string_view line : absl::StrSplit(text.str(), '\n')) {
    if (!absl::StartsWith(line, "    ")) continue;
    for (const char c : line.substr(0, line.find('|'))) {
      if (absl::ascii_isxdigit(c)) hex.push_back(c);
    }
  }
  Contents contents;
  contents.revision = 7;
  contents.values["a"] = {"x", 5};
  contents.values["b"] = {"", 7};
  EXPECT_EQ(hex, absl::BytesToHexString(SerializeCoordinatorFile(contents)));
  const auto parsed = ParseCoordinatorFile(absl::HexStringToBytes(hex));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->revision, 7);
  EXPECT_EQ(parsed->values, contents.values);
}

}  // namespace
}  // namespace kvarts
