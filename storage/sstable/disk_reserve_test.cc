#include "storage/sstable/disk_reserve.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "storage/fs/memory.h"

namespace kvarts::sstable {
namespace {

class DiskReserveTest : public testing::Test {
 protected:
  static constexpr uint64_t kBytes = 100 << 10;

  DiskReserveTest() {
    disk_.SetCapacity(1 << 20);
    EXPECT_TRUE(disk_.CreateDir("store").ok());
  }

  // Others fill the disk but for so much.
  void FillBut(MemoryFileSystem* disk, uint64_t bytes) {
    auto file = disk->OpenForWrite("others", FileSystem::Create::kTruncate).value();
    const uint64_t free = disk->FreeSpace("store").value();
    ASSERT_GE(free, bytes);
    ASSERT_TRUE(file->Append(std::string(free - bytes, 'x')).ok());
  }

  MemoryFileSystem disk_;
};

TEST_F(DiskReserveTest, ItsSpaceIsNobodyElsesUntilItIsSpent) {
  DiskReserve reserve(&disk_, "store", kBytes);
  reserve.Open();
  EXPECT_EQ(reserve.held_bytes(), kBytes);
  EXPECT_FALSE(reserve.IsSpent());
  EXPECT_LE(disk_.FreeSpace("store").value(), (1 << 20) - kBytes);
  FillBut(&disk_, 0);
  EXPECT_FALSE(reserve.IsSpent());
  EXPECT_TRUE(reserve.Spend(reserve.times_spent()));
  EXPECT_GE(disk_.FreeSpace("store").value(), kBytes - 16);  // its text stays
  EXPECT_FALSE(reserve.Spend(reserve.times_spent())) << "there is no more";
  // All of it, and no space to go on with, is not enough.
  EXPECT_TRUE(reserve.IsSpent());
  EXPECT_EQ(reserve.held_bytes(), 0u);
  ASSERT_TRUE(disk_.Delete("others").ok());
  EXPECT_FALSE(reserve.IsSpent());
  EXPECT_EQ(reserve.held_bytes(), kBytes);
}

TEST_F(DiskReserveTest, AnotherOpeningKeepsWhatItHas) {
  { DiskReserve(&disk_, "store", kBytes).Open(); }
  uint64_t writes = 0;
  disk_.SetHook([&](MemoryFileSystem::Moment, const FileOperation& operation) {
    writes += operation.is_mutating() ? 1 : 0;
  });
  DiskReserve reserve(&disk_, "store", kBytes);
  reserve.Open();
  disk_.SetHook({});
  EXPECT_EQ(writes, 0u);
  EXPECT_EQ(reserve.held_bytes(), kBytes);
  // A copy of its text alone, and a smaller one, are none.
  for (const uint64_t bytes : {kBytes, kBytes / 2}) {
    {
      auto file = disk_.OpenForWrite("store/RESERVE", FileSystem::Create::kTruncate).value();
      ASSERT_TRUE(file->Append(absl::StrCat(bytes, "\n")).ok());
      if (bytes < kBytes) {
        ASSERT_TRUE(file->Preallocate(bytes).ok());
      }
    }
    DiskReserve other(&disk_, "store", kBytes);
    other.Open();
    EXPECT_EQ(other.held_bytes(), kBytes);
    EXPECT_LE(disk_.FreeSpace("store").value(), (1 << 20) - kBytes);
  }
}

TEST_F(DiskReserveTest, ItsLastQuarterIsForDeletions) {
  DiskReserve reserve(&disk_, "store", kBytes);
  reserve.Open();
  FillBut(&disk_, 0);
  EXPECT_FALSE(reserve.IsAlmostUsed()) << "it is whole";
  ASSERT_TRUE(reserve.Spend(reserve.times_spent()));
  EXPECT_FALSE(reserve.IsAlmostUsed());
  FillBut(&disk_, kBytes / 8);
  EXPECT_TRUE(reserve.IsAlmostUsed());
}

TEST_F(DiskReserveTest, AnotherOpeningKnowsThatItWasSpent) {
  {
    DiskReserve reserve(&disk_, "store", kBytes);
    reserve.Open();
    FillBut(&disk_, 0);
    ASSERT_TRUE(reserve.Spend(reserve.times_spent()));
  }
  FillBut(&disk_, kBytes / 2);
  DiskReserve reserve(&disk_, "store", kBytes);
  reserve.Open();
  EXPECT_TRUE(reserve.IsSpent());
  ASSERT_TRUE(disk_.Delete("others").ok());
  EXPECT_FALSE(reserve.IsSpent());
  EXPECT_EQ(reserve.held_bytes(), kBytes);
}

TEST_F(DiskReserveTest, ItOutlivesAPowerCutAndIsSpentBeforeItIsOpened) {
  auto reserve = std::make_unique<DiskReserve>(&disk_, "store", kBytes);
  EXPECT_TRUE(disk_.SyncDir("/").ok());
  reserve->Open();
  const auto after = disk_.CloneAfterCrash(1, {});
  FillBut(after.get(), 0);
  DiskReserve again(after.get(), "store", kBytes);
  EXPECT_TRUE(again.Spend(again.times_spent()));
  EXPECT_GE(after->FreeSpace("store").value(), kBytes - 16);
  FillBut(after.get(), kBytes / 2);
  again.Open();
  EXPECT_TRUE(again.is_spent());
}

}  // namespace
}  // namespace kvarts::sstable
