#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"
#include "storage/memory/snapshot_reader.h"
#include "storage/memory/snapshot_writer.h"
#include "storage/memory/uuid_key.h"

namespace kvarts::memory_internal {
namespace {

using ::testing::HasSubstr;

constexpr char kPath[] = "d/snapshot";
constexpr int64_t kCreated = 1700000000000;

struct Kept {
  std::string key, value, type;
  bool is_uuid;
  int64_t expires_at;

  SnapshotEntry entry() const { return {is_uuid, key, value, expires_at, type}; }
  bool operator==(const Kept& o) const {
    return std::tie(key, value, type, is_uuid, expires_at) ==
           std::tie(o.key, o.value, o.type, o.is_uuid, o.expires_at);
  }
};

std::vector<Kept> Some() {
  return {
      {"", "", "", false, 0},
      {"k", std::string("a\0b\n", 4), "", false, 0},
      {std::string(16, '\x81'), "of a UUID", "", true, 0},
      {"typed", "{}", "application/json", false, 0},
      {"expires", "soon", "", false, 1700000000001},
      {std::string(16, '\0'), "all", std::string(255, 't'), true, INT64_MAX},
      {std::string(200, 'k'), std::string(300, 'v'), "", false, 0},
  };
}

absl::Status Write(FileSystem* fs, const std::vector<Kept>& entries) {
  absl::StatusOr<std::unique_ptr<SnapshotWriter>> writer = SnapshotWriter::New(fs, kPath, kCreated);
  if (!writer.ok()) return writer.status();
  for (const Kept& each : entries) {
    if (absl::Status status = (*writer)->Add(each.entry()); !status.ok()) return status;
  }
  return (*writer)->Finish();
}

absl::StatusOr<std::vector<Kept>> Read(FileSystem* fs, SnapshotTotals* totals = nullptr) {
  std::vector<Kept> all;
  const absl::StatusOr<SnapshotTotals> read =
      ReadSnapshot(fs, kPath, nullptr, [&](absl::Span<const SnapshotEntry> entries) {
        for (const SnapshotEntry& e : entries) {
          all.push_back({std::string(e.key), std::string(e.value), std::string(e.content_type),
                         e.is_uuid, e.expires_at_ms});
        }
        return absl::OkStatus();
      });
  if (!read.ok()) return read.status();
  if (totals != nullptr) *totals = *read;
  return all;
}

class SnapshotFileTest : public testing::Test {
 protected:
  SnapshotFileTest() { EXPECT_TRUE(fs_.CreateDir("d").ok()); }

  std::string Bytes() { return *ReadFile(&fs_, kPath); }
  void SetBytes(absl::string_view bytes) {
    ASSERT_TRUE(WriteFileAtomically(&fs_, kPath, bytes).ok());
  }

  MemoryFileSystem fs_;
};

TEST_F(SnapshotFileTest, GivesBackWhatWasWritten) {
  ASSERT_TRUE(Write(&fs_, Some()).ok());
  SnapshotTotals totals;
  EXPECT_EQ(*Read(&fs_, &totals), Some());
  EXPECT_EQ(totals.created_ms, kCreated);
  EXPECT_EQ(totals.entries, Some().size());
  EXPECT_EQ(totals.blocks, 1u);
  EXPECT_THAT(*fs_.List("d"), testing::ElementsAre("snapshot"));
  ASSERT_TRUE(Write(&fs_, {}).ok());
  EXPECT_TRUE(Read(&fs_)->empty());
}

TEST_F(SnapshotFileTest, GivesBackManyBlocksAndTheLargestEntry) {
  std::vector<Kept> many;
  for (int i = 0; i < 3000; ++i) {
    many.push_back({absl::StrCat("key", i), std::string(i % 700, 'v'), "", false, i % 3});
  }
  many.push_back({std::string(kMaxKeyBytes, 'k'), std::string(kMaxValueBytes, 'v'),
                  std::string(255, 't'), false, 1});
  many.push_back({"last", "one", "", false, 0});
  ASSERT_TRUE(Write(&fs_, many).ok());
  SnapshotTotals totals;
  EXPECT_TRUE(*Read(&fs_, &totals) == many);
  EXPECT_GT(totals.blocks, 4u);
}

TEST_F(SnapshotFileTest, AnAbsentOneIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(Read(&fs_).status()));
}

// What a damaged file may be called: never OK, never anything else than damaged, and where.
void ExpectDamaged(const absl::Status& status, const std::string& how) {
  EXPECT_TRUE(absl::IsDataLoss(status)) << how << ": " << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "d/snapshot: the snapshot is damaged at offset "))
      << how << ": " << status;
}

TEST_F(SnapshotFileTest, EachFlippedBitIsDetected) {
  ASSERT_TRUE(Write(&fs_, Some()).ok());
  const std::string good = Bytes();
  ASSERT_LT(good.size(), 2000u);
  for (size_t at = 0; at < good.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ 1 << bit);
      SetBytes(bad);
      ExpectDamaged(Read(&fs_).status(), absl::StrCat("bit ", bit, " of byte ", at));
    }
  }
}

TEST_F(SnapshotFileTest, EachCutAndEachByteTooManyIsDetected) {
  ASSERT_TRUE(Write(&fs_, Some()).ok());
  const std::string good = Bytes();
  for (size_t size = 0; size < good.size(); ++size) {
    SetBytes(absl::string_view(good).substr(0, size));
    ExpectDamaged(Read(&fs_).status(), absl::StrCat("cut to ", size));
    std::string zeros = good.substr(0, size);
    zeros.resize(good.size());
    if (zeros == good) continue;
    SetBytes(zeros);
    ExpectDamaged(Read(&fs_).status(), absl::StrCat("zeros from ", size));
  }
  SetBytes(good + "x");
  ExpectDamaged(Read(&fs_).status(), "one more");
  SetBytes(good + good);
  ExpectDamaged(Read(&fs_).status(), "twice");
}

TEST_F(SnapshotFileTest, ABlockThatIsMissingOrDoubledOrOfAnotherFileIsDetected) {
  std::vector<Kept> many;
  for (int i = 0; i < 4; ++i) {
    many.push_back({absl::StrCat("k", i), std::string(kBlockBytes, 'v'), "", false, 0});
  }
  ASSERT_TRUE(Write(&fs_, many).ok());
  const std::string good = Bytes();
  // Each entry has a block of its own, all of one size.
  const size_t block =
      (good.size() - kSnapshotHeaderBytes - kBlockHeadBytes - kEndPayloadBytes) / 4;
  const size_t first = kSnapshotHeaderBytes;
  SetBytes(good.substr(0, first) + good.substr(first + block));
  ExpectDamaged(Read(&fs_).status(), "missing");
  SetBytes(good.substr(0, first + block) + good.substr(first));
  ExpectDamaged(Read(&fs_).status(), "doubled");
  std::string swapped = good;
  swapped.replace(first, block, good, first + block, block);
  SetBytes(swapped);
  ExpectDamaged(Read(&fs_).status(), "another");
  // The same entries a second later: a block of it does not fit, though it is whole.
  auto writer = SnapshotWriter::New(&fs_, kPath, kCreated + 1000);
  for (const Kept& each : many) ASSERT_TRUE((*writer)->Add(each.entry()).ok());
  ASSERT_TRUE((*writer)->Finish().ok());
  std::string mixed = good;
  mixed.replace(first, block, Bytes(), first, block);
  SetBytes(mixed);
  ExpectDamaged(Read(&fs_).status(), "of another file");
  EXPECT_THAT(Read(&fs_).status().message(), HasSubstr(absl::StrCat("offset ", first, ":")));
}

TEST_F(SnapshotFileTest, ANewerVersionIsRefusedWithBothNamed) {
  ASSERT_TRUE(Write(&fs_, Some()).ok());
  std::string newer = Bytes();
  StoreLE32(&newer[8], 7);
  StoreLE64(&newer[24], Checksum(absl::string_view(newer).substr(0, 24)));
  SetBytes(newer);
  const absl::Status status = Read(&fs_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(),
              HasSubstr("the snapshot has format version 7; this program reads version 1"));
}

TEST_F(SnapshotFileTest, AnotherFileIsNoSnapshot) {
  SetBytes(std::string(100, 'x'));
  const absl::Status status = Read(&fs_).status();
  ExpectDamaged(status, "text");
  EXPECT_THAT(status.message(), HasSubstr("not a snapshot"));
}

// The example of FORMAT.md.
TEST_F(SnapshotFileTest, TheExampleIsWrittenAsDocumented) {
  char packed[kUuidBytes];
  ASSERT_TRUE(PackUuid("01234567-89ab-4def-8123-456789abcdef", packed));
  ASSERT_TRUE(Write(&fs_, {{std::string(packed, kUuidBytes), "one", "", true, 0},
                           {"b", "two", "text/plain", false, 1700000000001}})
                  .ok());
  const std::string bytes = Bytes();
  std::string hex;
  for (size_t i = 0; i < bytes.size(); ++i) {
    absl::StrAppend(&hex, absl::Hex(static_cast<unsigned char>(bytes[i]), absl::kZeroPad2),
                    i % 16 == 15 ? "\n" : "");
  }
  EXPECT_EQ(hex,
            "4b56534e415053480100000000000000\n"
            "0068e5cf8b010000e12773a927046c63\n"
            "010000002f0000000200000000000000\n"
            "6ea1d43c388a6fdb23a6a47133df8c62\n"
            "010123456789ab4def8123456789abcd\n"
            "ef036f6e65060168e5cf8b0100000a74\n"
            "6578742f706c61696e01620374776f02\n"
            "000000180000000000000000000000aa\n"
            "b7315d6c2bf1cdf708c584055ed25502\n"
            "00000000000000170000000000000001\n"
            "00000000000000");
}

}  // namespace
}  // namespace kvarts::memory_internal
