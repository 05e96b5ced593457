#include "storage/sstable/index_snapshot.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"
#include "storage/sstable/test_store.h"

namespace kvarts::sstable {
namespace {

TEST(IndexSnapshotTest, WhatIsWrittenIsReadAndNothingElse) {
  const std::vector<TableIndex> tables = {
      {7, 300, 1, "some meta"}, {5, 200, 2, ""}, {6, 0, 3, "m"}};
  for (size_t n = 0; n <= tables.size(); ++n) {
    std::string good = BeginIndexSnapshot(n);
    for (size_t i = 0; i < n; ++i) AppendTableIndex(&good, tables[i]);
    const auto parsed = ParseIndexSnapshot("file", good);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    ASSERT_EQ(parsed->size(), n);
    for (size_t i = 0; i < n; ++i) {
      EXPECT_EQ((*parsed)[i].number, tables[i].number);
      EXPECT_EQ((*parsed)[i].size, tables[i].size);
      EXPECT_EQ((*parsed)[i].id, tables[i].id);
      EXPECT_EQ((*parsed)[i].meta, tables[i].meta);
    }
    const auto expect_damage = [](const std::string& bytes) {
      const absl::Status status = ParseIndexSnapshot("file", bytes).status();
      EXPECT_TRUE(absl::IsDataLoss(status)) << status;
      EXPECT_TRUE(absl::StartsWith(status.message(), "file: ")) << status;
      EXPECT_TRUE(absl::StrContains(status.message(), " at offset ")) << status;
    };
    expect_damage(good + "x");
    for (size_t i = 0; i < good.size(); ++i) {
      expect_damage(good.substr(0, i));
      std::string bytes = good;
      bytes[i] = static_cast<char>(bytes[i] ^ 0x81);
      expect_damage(bytes);
    }
  }
}

TEST(IndexSnapshotTest, ANameLiesAmongTheCheckpointsAndAPathWhereItSays) {
  MemoryFileSystem fs;
  SstableOptions options = SmallSstable(&fs);
  options.checkpoints = "kept";
  auto store = OpenSstable(kTestDir, options).value();
  ASSERT_TRUE(store->Put("ant", "1").ok());
  Maintenance* const maintenance = store->maintenance();
  const absl::Status saved = maintenance->SaveIndexSnapshot("index").status();
  ASSERT_TRUE(saved.ok()) << saved;
  EXPECT_TRUE(ReadFile(&fs, "kept/index").ok());
  EXPECT_FALSE(ReadFile(&fs, "index").ok());
  // The directory, which was made for it, outlives a power cut too.
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    EXPECT_TRUE(ReadFile(fs.CloneAfterCrash(seed, {}).get(), "kept/index").ok()) << seed;
  }
  EXPECT_EQ(maintenance->LoadIndexSnapshot("index")->from_file, 1u);
  ASSERT_TRUE(maintenance->SaveIndexSnapshot("./index").ok());
  EXPECT_TRUE(ReadFile(&fs, "./index").ok());
  EXPECT_TRUE(absl::IsInvalidArgument(maintenance->SaveIndexSnapshot("").status()));
}

TEST(IndexSnapshotTest, ReplacesNothingButAnOlderOne) {
  MemoryFileSystem fs;
  auto store = OpenSstable(kTestDir, SmallSstable(&fs)).value();
  ASSERT_TRUE(store->Put("ant", "1").ok());
  Maintenance* const maintenance = store->maintenance();
  ASSERT_TRUE(maintenance->Flush().ok());
  for (const std::string& name : FilesOf(&fs, "")) {
    const std::string path = JoinPath(kTestDir, name);
    const std::string before = ReadFile(&fs, path).value();
    if (before.empty()) continue;
    const absl::Status status = maintenance->SaveIndexSnapshot(path).status();
    EXPECT_TRUE(absl::IsAlreadyExists(status)) << status;
    EXPECT_TRUE(absl::StartsWith(status.message(), path)) << status;
    EXPECT_EQ(ReadFile(&fs, path).value(), before);
  }
  EXPECT_TRUE(absl::IsAlreadyExists(maintenance->SaveIndexSnapshot(kTestDir).status()));
  ASSERT_TRUE(maintenance->SaveIndexSnapshot("index").ok());
  ASSERT_TRUE(store->Put("bee", "1").ok());
  ASSERT_TRUE(maintenance->SaveIndexSnapshot("index").ok());
  EXPECT_EQ(maintenance->LoadIndexSnapshot("index")->from_file, 2u);
}

TEST(IndexSnapshotTest, PeopleSeeItsTablesWhateverItsNameAndDamageIsAnError) {
  MemoryFileSystem fs;
  auto store = OpenSstable(kTestDir, SmallSstable(&fs)).value();
  for (const char* key : {"ant", "bee"}) {
    ASSERT_TRUE(store->Put(key, "1").ok());
    ASSERT_TRUE(store->maintenance()->Flush().ok());
  }
  for (const std::string name : {"a snapshot", "000001.tbl", "MANIFEST-1"}) {
    ASSERT_TRUE(store->maintenance()->SaveIndexSnapshot(name).ok());
    const std::string good = *ReadFile(&fs, name);
    std::string expected =
        absl::StrCat("snapshot of the index, ", good.size(), " bytes\ntables 2\n");
    const auto indexes = ParseIndexSnapshot(name, good);
    for (const TableIndex& index : *indexes) {
      absl::StrAppend(&expected, "table ", index.number, " of ", index.size,
                      " bytes: entries 1, index ", index.meta.size(), " bytes\n");
    }
    std::string text;
    const absl::Status status = InspectSstableFile(&fs, name, &text);
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(text, expected);
    for (size_t i = 0; i < good.size(); ++i) {
      std::string bytes = good;
      bytes[i] = static_cast<char>(bytes[i] ^ 0x81);
      ASSERT_TRUE(WriteFileAtomically(&fs, name, bytes).ok());
      const absl::Status damaged = InspectSstableFile(&fs, name, &text);
      EXPECT_FALSE(damaged.ok()) << i;
      EXPECT_TRUE(absl::StrContains(damaged.message(), name)) << damaged;
      EXPECT_TRUE(i < 8 || absl::IsDataLoss(damaged)) << damaged;
    }
  }
  // The checksums are right, and an index is none.
  std::string bytes = BeginIndexSnapshot(1);
  AppendTableIndex(&bytes, {5, 100, 1, "x"});
  ASSERT_TRUE(WriteFileAtomically(&fs, "odd", bytes).ok());
  std::string text;
  const absl::Status odd = InspectSstableFile(&fs, "odd", &text);
  EXPECT_EQ(odd.message(), "odd: a bad index at offset 64");
  ASSERT_TRUE(WriteFileAtomically(&fs, "another", "hello").ok());
  EXPECT_TRUE(absl::IsInvalidArgument(InspectSstableFile(&fs, "another", &text)));
  EXPECT_TRUE(absl::IsNotFound(InspectSstableFile(&fs, "none", &text)));
}

}  // namespace
}  // namespace kvarts::sstable
