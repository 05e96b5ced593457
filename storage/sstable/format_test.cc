// The examples of FORMAT.md: what is written is as it says, and what it says is read.

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "gtest/gtest.h"
#include "storage/blocks/record_log.h"
#include "storage/fs/memory.h"
#include "storage/sstable/log_set.h"
#include "storage/sstable/manifest.h"
#include "storage/sstable/table.h"
#include "storage/sstable/table_format.h"
#include "storage/sstable/test_store.h"

namespace kvarts::sstable {
namespace {

std::string Bytes(absl::string_view hex) {
  return absl::HexStringToBytes(absl::StrReplaceAll(hex, {{" ", ""}}));
}
std::string Hex(absl::string_view bytes) { return absl::BytesToHexString(bytes); }

TEST(SstableFormatTest, TheRecordOfABatchIsAsWritten) {
  std::string blob;
  AppendLE64(&blob, 1700000000000);
  blob += std::string("\x04json", 5) + "{}";
  const std::vector<Entry> entries = {
      {"ant", MakeTrailer(11, kPut), "1"},
      {"bee", MakeTrailer(12, kDelete), ""},
      {"c", MakeTrailer(13, kDeleteRange), "d"},
      {"eel", MakeTrailer(14, kPut | kHasExpiry | kHasType), blob},
  };
  const std::string example = Bytes(
      "0b 04"
      "01 03 61 6e 74 01 31"
      "00 03 62 65 65 00"
      "02 01 63 01 64"
      "31 03 65 65 6c 0f 00 68 e5 cf 8b 01 00 00 04 6a 73 6f 6e 7b 7d");
  EXPECT_EQ(Hex(EncodeLogRecord(entries)), Hex(example));
  std::vector<Entry> decoded;
  ASSERT_TRUE(DecodeLogRecord(example, &decoded));
  ASSERT_EQ(decoded.size(), 4u);
  int64_t expires_at_ms = 0;
  absl::string_view type;
  absl::string_view value;
  ASSERT_TRUE(decoded[3].Decode(&expires_at_ms, &type, &value));
  EXPECT_EQ(expires_at_ms, 1700000000000);
  EXPECT_EQ(type, "json");
  EXPECT_EQ(value, "{}");
}

// A table with this id, which is random: the checksums are seeded with it.
constexpr uint64_t kId = 0x1122334455667788;

std::string WithId(std::string bytes, uint64_t block_size, uint64_t id) {
  char* const p = bytes.data();
  char* const footer = p + bytes.size() - kFooterBytes;
  StoreLE64(footer + 16, id);
  StoreLE64(footer + 40, Checksum(absl::string_view(footer, 40)));
  StoreLE64(p + block_size - 8, BlockChecksum(id, 0, absl::string_view(p, block_size - 8)));
  const size_t meta = bytes.size() - kFooterBytes - kMetaTrailer - block_size;
  StoreLE64(footer - 8, BlockChecksum(id, block_size, absl::string_view(p + block_size, meta)));
  return bytes;
}

TableInfo BuildExample(FileSystem* fs) {
  auto builder = TableBuilder::Create(fs, "/", 5, {}).value();
  EXPECT_TRUE(builder->Add({"ant", MakeTrailer(11, kPut), "1"}).ok());
  EXPECT_TRUE(builder->Add({"bee", MakeTrailer(12, kDelete), ""}).ok());
  builder->AddRange({"c", "d", 13});
  return builder->Finish().value();
}

TEST(SstableFormatTest, ATableIsAsWritten) {
  const std::string example = Bytes(
      "00 03 01 01 0b 00 00 00 00 00 00 61 6e 74 31"
      "00 03 00 00 0c 00 00 00 00 00 00 62 65 65"
      "00 00 00 00 01 00 00 00"
      "00"
      "21 72 91 5d 01 f1 bd f7"
      "03 61 6e 74 01 64 01"
      "0b 0d 02 01 01 07 00"
      "a4 17 86 c1 ce 00 7d 0d"
      "01 2e"
      "00"
      "01 01 63 01 64 0d"
      "1c"
      "d5 ee 3e e1 25 c0 fd e5"
      "04 00 00 00 04 00 00 00"
      "00 00 00 00 00 00 cf 00 00 00 00 fa"
      "07 1d 55 49 74 32 3a cd"
      "6b 76 61 72 74 74 62 6c"
      "01 00 00 00 00 00 00 00"
      "88 77 66 55 44 33 22 11"
      "2e 00 00 00 00 00 00 00"
      "3c 00 00 00 00 00 00 00"
      "24 84 15 7b fe f8 d1 ea");
  MemoryFileSystem fs;
  TableInfo info = BuildExample(&fs);
  const std::string written = *ReadFile(&fs, TablePath("/", 5));
  constexpr uint64_t kBlock = 15 + 14 + 8 + 1 + 8;
  EXPECT_EQ(Hex(WithId(written, kBlock, kId)), Hex(example));
  MemoryFileSystem other;
  auto file = other.OpenForWrite(TablePath("/", 5), FileSystem::Create::kNew).value();
  ASSERT_TRUE(file->Append(example).ok());
  info.id = kId;
  ReadCounters counters;
  const auto table = Table::Open(&other, "/", info, &counters);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_TRUE(Table::Verify(*table, &counters).ok());
  EXPECT_EQ((*table)->ranges()->Covering("cat", 20), 13u);
}

std::vector<std::string> RecordsOf(FileSystem* fs, const std::string& path, uint64_t number) {
  auto reader = RecordLogReader::Open(fs, path, RecordLogHeader::Kind::kManifest, number).value();
  std::vector<std::string> records;
  absl::string_view record;
  while (reader->Next(&record).value()) records.push_back(Hex(record));
  return records;
}

TEST(SstableFormatTest, EditsOfAManifestAreAsWritten) {
  MemoryFileSystem fs;
  ASSERT_TRUE(fs.CreateDir("store").ok());
  auto manifest = Manifest::Create(&fs, "store", nullptr).value();
  VersionEdit edit;
  TableInfo info;
  info.number = manifest->NewNumber();
  info.size = 300;
  info.id = kId;
  info.smallest = "ant";
  info.largest = "d";
  info.largest_open = true;
  info.smallest_sequence = 11;
  info.largest_sequence = 13;
  info.entries = 2;
  info.deletions = 1;
  info.ranges = 1;
  info.data_bytes = 7;
  info.entry_hash = 0x0102030405060708;
  edit.added.push_back({0, std::make_shared<TableFile>(info, 9, nullptr)});
  edit.log_number = 4;
  edit.log_first_sequence = 14;
  edit.floors[FloorBucket(KeyHash("bee"))] = 12;
  edit.ceiling = 1000;
  ASSERT_TRUE(manifest->Apply(edit).ok());
  VersionEdit second;
  second.removed.emplace_back(0, info.number);
  second.no_log = true;
  ASSERT_TRUE(manifest->Apply(second).ok());
  const std::string add =
      Hex(Bytes("01 04 0e"
                "02 03"
                "03 e8 07"
                "04 01 c9 0c 0c"
                "05 00 09 02 ac 02 88 77 66 55 44 33 22 11"
                "03 61 6e 74 01 64 01 0b 0d 02 01 01 07 00 08 07 06 05 04 03 02 01"));
  const std::string remove = Hex(Bytes("01 00 00 02 03 06 00 02"));
  EXPECT_EQ(RecordsOf(&fs, "store/MANIFEST-000001", 1),
            (std::vector<std::string>{Hex(Bytes("02 02")), "", add, "", remove, ""}));
  EXPECT_EQ(*ReadFile(&fs, "store/CURRENT"), "MANIFEST-000001\n");
  // No edit lowers a floor.
  VersionEdit third;
  third.floors[FloorBucket(KeyHash("bee"))] = 11;
  ASSERT_TRUE(manifest->Apply(third).ok());
  EXPECT_EQ(manifest->state().floors[FloorBucket(KeyHash("bee"))], 12u);
}

TEST(SstableFormatTest, AnIndexSnapshotIsAsWritten) {
  MemoryFileSystem fs;
  auto store = OpenSstable(kTestDir, SmallSstable(&fs)).value();
  for (const char* key : {"ant", "bee"}) {
    ASSERT_TRUE(store->Put(key, "1").ok());
    ASSERT_TRUE(store->maintenance()->Flush().ok());
  }
  ASSERT_TRUE(store->maintenance()->SaveIndexSnapshot("index").ok());
  // The newest table first, as the version has them.
  std::string expected = "kvartidx";
  AppendLE32(&expected, 1);
  AppendLE32(&expected, 0);
  AppendLE64(&expected, 2);
  AppendLE64(&expected, Checksum(expected));
  const auto tables = FilesOf(&fs, ".tbl");
  ASSERT_EQ(tables.size(), 2u);
  for (auto it = tables.rbegin(); it != tables.rend(); ++it) {
    const std::string bytes = *ReadFile(&fs, JoinPath(kTestDir, *it));
    const char* const footer = bytes.data() + bytes.size() - kFooterBytes;
    const size_t start = expected.size();
    AppendLE64(&expected, std::stoull(*it));
    AppendLE64(&expected, bytes.size());
    expected.append(footer + 16, 8);  // the id
    expected.append(footer + 32, 8);  // how much of it is the index
    expected += bytes.substr(LoadLE64(footer + 24), LoadLE64(footer + 32));
    AppendLE64(&expected, Checksum(absl::string_view(expected).substr(start), start));
  }
  EXPECT_EQ(Hex(*ReadFile(&fs, "index")), Hex(expected));
}

}  // namespace
}  // namespace kvarts::sstable
