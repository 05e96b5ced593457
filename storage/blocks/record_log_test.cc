#include "storage/blocks/record_log.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"
#include "testing/fault/fault_file_system.h"

namespace kvarts {
namespace {

constexpr RecordLogHeader::Kind kLog = RecordLogHeader::Kind::kWriteLog;
constexpr uint64_t kNumber = 7;
constexpr uint64_t kHeaderSize = 64;
constexpr uint64_t kBlock = 32 << 10;
constexpr char kPath[] = "000007.log";

std::unique_ptr<RecordLogWriter> NewLog(FileSystem* fs) {
  RecordLogHeader header;
  header.number = kNumber;
  header.first = 11;
  header.previous = 5;
  header.previous_synced = 300;
  return RecordLogWriter::Create(fs, kPath, header).value();
}

std::string Text(size_t size, uint64_t seed = 1) {
  CrashRandom random(seed);
  std::string out(size, '\0');
  for (char& c : out) c = static_cast<char>(random.Next());
  return out;
}

struct ReadBack {
  absl::Status status;
  std::vector<std::string> records;
  std::vector<uint64_t> offsets;
  uint64_t promised = 0;
  uint64_t good_size = 0;
  bool bad_tail = false;
  bool unused = false;
};

ReadBack Read(FileSystem* fs, const std::string& path = kPath, uint64_t number = kNumber) {
  ReadBack out;
  auto reader = RecordLogReader::Open(fs, path, kLog, number);
  out.status = reader.status();
  if (!reader.ok()) return out;
  out.unused = (*reader)->is_unused();
  while (true) {
    absl::string_view record;
    const auto more = (*reader)->Next(&record);
    out.status = more.status();
    if (!more.ok() || !*more) break;
    out.records.emplace_back(record);
    out.offsets.push_back((*reader)->record_offset());
  }
  out.promised = (*reader)->promised();
  out.good_size = (*reader)->good_size();
  out.bad_tail = (*reader)->has_bad_tail();
  return out;
}

ReadBack ReadBytes(const std::string& bytes) {
  MemoryFileSystem fs;
  auto file = fs.OpenForWrite(kPath, FileSystem::Create::kNew).value();
  EXPECT_TRUE(file->Append(bytes).ok());
  return Read(&fs);
}

TEST(RecordLogTest, RecordsOfAnySizeAtAnyPlaceOfABlockComeBack) {
  // So many bytes in front of the record that matters, and so many in it.
  std::vector<size_t> sizes = {0, 1, 2, 100, 3 * kBlock};
  for (size_t d = 0; d <= 40; ++d) sizes.push_back(kBlock - kHeaderSize - 7 - 1 - 7 - 2 - 20 + d);
  for (const size_t before : sizes) {
    for (const size_t size : {size_t{0}, size_t{1}, size_t{9}, size_t{kBlock - 7 - 2},
                              size_t{kBlock - 7 - 3}, size_t{2 * kBlock}}) {
      MemoryFileSystem fs;
      const auto log = NewLog(&fs);
      const std::vector<std::string> records = {Text(before), Text(size, 2), "", Text(30, 3), ""};
      for (const std::string& record : records) log->Add(record);
      ASSERT_TRUE(log->Flush().ok());
      ASSERT_TRUE(log->Sync().ok());
      const ReadBack back = Read(&fs);
      ASSERT_TRUE(back.status.ok()) << back.status;
      ASSERT_EQ(back.records, records) << before << " and " << size;
      EXPECT_FALSE(back.bad_tail);
      // So that the next log's header may say what of this one must be good.
      EXPECT_EQ(back.good_size, log->size());
      EXPECT_EQ(log->size(), log->synced_size());
    }
  }
}

TEST(RecordLogTest, AnEmptyLogHasNoRecordsAndOneWithoutAHeaderWasNeverUsed) {
  MemoryFileSystem fs;
  const auto log = NewLog(&fs);
  EXPECT_EQ(log->size(), kHeaderSize);
  const ReadBack back = Read(&fs);
  EXPECT_TRUE(back.status.ok() && back.records.empty() && !back.unused && !back.bad_tail);
  const RecordLogHeader header = RecordLogReader::Open(&fs, kPath, kLog, kNumber).value()->header();
  EXPECT_EQ(header.first, 11u);
  EXPECT_EQ(header.previous, 5u);
  EXPECT_EQ(header.previous_synced, 300u);
  const std::string bytes = *ReadFile(&fs, kPath);
  for (size_t n = 0; n < kHeaderSize; ++n) {
    const ReadBack cut = ReadBytes(bytes.substr(0, n));
    EXPECT_TRUE(cut.status.ok() && cut.unused && cut.records.empty()) << n;
  }
}

TEST(RecordLogTest, AnotherFileIsNotTakenForIt) {
  MemoryFileSystem fs;
  { NewLog(&fs); }
  EXPECT_TRUE(absl::IsDataLoss(RecordLogReader::Open(&fs, kPath, kLog, kNumber + 1).status()));
  EXPECT_TRUE(absl::IsDataLoss(
      RecordLogReader::Open(&fs, kPath, RecordLogHeader::Kind::kManifest, kNumber).status()));
  std::string bytes = *ReadFile(&fs, kPath);
  StoreLE32(&bytes[8], 2);
  StoreLE64(&bytes[kHeaderSize - 8], Checksum(absl::string_view(bytes).substr(0, kHeaderSize - 8)));
  const ReadBack newer = ReadBytes(bytes + "x");
  EXPECT_TRUE(absl::IsFailedPrecondition(newer.status)) << newer.status;
  EXPECT_TRUE(absl::StrContains(newer.status.message(), "version 2")) << newer.status;
}

TEST(RecordLogTest, WhatWasOnlyGatheredOrForgottenIsNotThere) {
  MemoryFileSystem fs;
  const auto log = NewLog(&fs);
  log->Add("forgotten");
  log->Forget();
  log->Add("written");
  ASSERT_TRUE(log->Flush().ok());
  log->Add("gathered");
  EXPECT_EQ(Read(&fs).records, std::vector<std::string>{"written"});
}

// Most syncs find the bytes of their records in the file, and change no size.
TEST(RecordLogTest, AnotherWriterGoesOnBehindTheLastRecord) {
  MemoryFileSystem fs;
  const std::string more = Text(70000);
  {
    RecordLogHeader header;
    header.kind = RecordLogHeader::Kind::kManifest;
    header.number = kNumber;
    auto log = RecordLogWriter::Create(&fs, kPath, header).value();
    for (const absl::string_view record : {"one", ""}) {
      log->Add(record);
      ASSERT_TRUE(log->Flush().ok());
      if (!record.empty()) {
        ASSERT_TRUE(log->Sync().ok());
      }
    }
  }
  const auto open = [&] {
    return RecordLogReader::Open(&fs, kPath, RecordLogHeader::Kind::kManifest, kNumber).value();
  };
  absl::string_view record;
  {
    auto reader = open();
    EXPECT_FALSE(reader->is_whole()) << "it is not at the end";
    while (reader->Next(&record).value()) {
    }
    ASSERT_TRUE(reader->is_whole());
    auto log =
        RecordLogWriter::GoOn(&fs, kPath, reader->header(), reader->good_size(), reader->promised())
            .value();
    EXPECT_EQ(log->size(), fs.Stat(kPath)->size);
    EXPECT_LT(log->synced_size(), log->size());
    log->Add(more);
    ASSERT_TRUE(log->Flush().ok());
    ASSERT_TRUE(log->Sync().ok());
  }
  auto reader = open();
  for (const absl::string_view expected :
       {absl::string_view("one"), absl::string_view(), absl::string_view(more)}) {
    ASSERT_TRUE(reader->Next(&record).value());
    EXPECT_EQ(record, expected);
  }
  ASSERT_TRUE(fs.OpenForWrite(kPath, FileSystem::Create::kAppend).value()->Append("x").ok());
  reader = open();
  while (reader->Next(&record).value()) {
  }
  EXPECT_FALSE(reader->is_whole());
}

TEST(RecordLogTest, ASyncWritesZerosAheadOfTheRecords) {
  MemoryFileSystem fs;
  const auto log = NewLog(&fs);
  std::vector<std::string> records;
  uint64_t file_size = 0;
  int grown = 0;
  for (int i = 0; i < 3000; ++i) {
    records.push_back(Text(100, i));
    log->Add(records.back());
    ASSERT_TRUE(log->Flush().ok());
    ASSERT_TRUE(log->Sync().ok());
    const uint64_t size = fs.Stat(kPath)->size;
    EXPECT_GE(size, log->size());
    EXPECT_LE(size, 2 * log->size() + 4096);
    if (size != file_size) ++grown;
    file_size = size;
  }
  EXPECT_LE(grown, 10);
  EXPECT_GT(file_size, log->size() + 100);
  ReadBack back = Read(&fs);
  ASSERT_TRUE(back.status.ok()) << back.status;
  EXPECT_EQ(back.records, records);
  EXPECT_EQ(back.good_size, log->size());
  EXPECT_FALSE(back.bad_tail);
  // What is no zero there is what a crash left of a group.
  std::string bytes = *ReadFile(&fs, kPath);
  bytes.back() = 'x';
  back = ReadBytes(bytes);
  EXPECT_TRUE(back.status.ok()) << back.status;
  EXPECT_EQ(back.records, records);
  EXPECT_TRUE(back.bad_tail);
}

TEST(RecordLogTest, AFullDiskHasRoomForTheRecordsThoughNotForTheZeros) {
  MemoryFileSystem fs;
  const auto log = NewLog(&fs);
  fs.SetCapacity(1000);
  std::vector<std::string> records;
  for (int i = 0; i < 8; ++i) {
    records.push_back(Text(100, i));
    log->Add(records.back());
    ASSERT_TRUE(log->Flush().ok()) << i;
    ASSERT_TRUE(log->Sync().ok()) << i;
  }
  EXPECT_EQ(fs.Stat(kPath)->size, log->size());
  EXPECT_EQ(Read(&fs).records, records);
}

// A log whose records were synced in groups, and what each record of it promises.
struct SyncedLog {
  std::string bytes;
  std::vector<std::string> records;
  std::vector<uint64_t> offsets;
  std::vector<uint64_t> promises;  // the size that was synced when the record was added

  uint64_t size() const { return bytes.size(); }
  size_t RecordAt(uint64_t byte) const {
    return static_cast<size_t>(std::upper_bound(offsets.begin(), offsets.end(), byte) -
                               offsets.begin()) -
           1;
  }
};

// Groups of records of these sizes; each group is synced.
SyncedLog MakeSyncedLog(const std::vector<std::vector<size_t>>& groups) {
  MemoryFileSystem fs;
  const auto log = NewLog(&fs);
  SyncedLog out;
  uint64_t seed = 0;
  for (const std::vector<size_t>& group : groups) {
    for (const size_t size : group) {
      out.records.push_back(Text(size, ++seed));
      out.promises.push_back(log->synced_size());
      log->Add(out.records.back());
    }
    EXPECT_TRUE(log->Flush().ok());
    EXPECT_TRUE(log->Sync().ok());
  }
  out.bytes = ReadFile(&fs, kPath)->substr(0, log->size());  // without what was written ahead
  out.offsets = Read(&fs).offsets;
  EXPECT_EQ(out.offsets.size(), out.records.size());
  return out;
}

// Flips bits of each byte. Every record before the damage comes back; what is behind it is either
// reported, with path and offset, or no other record promises that it was synced. Returns how many
// bytes could be damaged without an error: those of the last group, whose promise would have come
// with the next one, and those between records.
uint64_t FlipEachByte(const SyncedLog& log, uint64_t step) {
  uint64_t silent = 0;
  for (uint64_t i = 0; i < log.size(); i += step) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string bytes = log.bytes;
      bytes[i] = static_cast<char>(bytes[i] ^ flip);
      const ReadBack back = ReadBytes(bytes);
      if (!back.status.ok()) {
        EXPECT_TRUE(absl::IsDataLoss(back.status)) << i << back.status;
        EXPECT_TRUE(absl::StrContains(back.status.message(), kPath)) << back.status;
        EXPECT_TRUE(absl::StrContains(back.status.message(), "at offset ")) << back.status;
      }
      if (i < kHeaderSize) {
        EXPECT_FALSE(back.status.ok()) << i;
        continue;
      }
      // Never anything else, nor in another order.
      EXPECT_LE(back.records.size(), log.records.size());
      EXPECT_TRUE(std::equal(back.records.begin(), back.records.end(), log.records.begin())) << i;
      if (back.records.size() == log.records.size()) {
        ++silent;  // between records
        continue;
      }
      const size_t hit = log.RecordAt(i);
      EXPECT_GE(back.records.size(), hit) << i;
      if (!back.status.ok()) continue;
      ++silent;
      EXPECT_TRUE(back.bad_tail) << i;
      for (size_t r = 0; r < log.records.size(); ++r) {
        if (r == hit) continue;
        EXPECT_LE(log.promises[r], log.offsets[back.records.size()])
            << "byte " << i << " of record " << hit << ": record " << r << " promises that record "
            << back.records.size() << " was synced";
      }
    }
  }
  return silent;
}

TEST(RecordLogDamageTest, NothingPromisedAsSyncedIsLostSilentlyInALogOfOneBlock) {
  const SyncedLog log = MakeSyncedLog({{10, 0, 30}, {5}, {100, 1}, {20}});
  // The bytes without a promise are those of the last group: a fragment's header of 7, the promise
  // of 2, and its record of 20. Damage to them is the end of the log, and no error.
  const uint64_t last = log.size() - log.offsets.back();
  EXPECT_EQ(last, 7u + 2 + 20);
  EXPECT_EQ(FlipEachByte(log, 1), 3 * last);
}

TEST(RecordLogDamageTest, NothingPromisedAsSyncedIsLostSilentlyOverManyBlocks) {
  const SyncedLog log = MakeSyncedLog(
      {{100, 40000}, {kBlock, 3, 0}, {50}, {2 * kBlock + 100, 1000}, {9, 30000}, {10}});
  FlipEachByte(log, 397);
}

TEST(RecordLogDamageTest, ALogCutAnywhereGivesTheRecordsBeforeTheCut) {
  const SyncedLog small = MakeSyncedLog({{10, 0, 30}, {5}, {100, 1}, {20}});
  for (uint64_t n = kHeaderSize; n <= small.size(); ++n) {
    const ReadBack back = ReadBytes(small.bytes.substr(0, n));
    ASSERT_TRUE(back.status.ok()) << back.status;
    const size_t whole = static_cast<size_t>(
        std::upper_bound(small.offsets.begin(), small.offsets.end(), n) - small.offsets.begin());
    EXPECT_EQ(back.records.size(), n == small.size() ? whole : whole - 1) << n;
    EXPECT_TRUE(std::equal(back.records.begin(), back.records.end(), small.records.begin()));
    EXPECT_LE(back.promised, n);
    EXPECT_LE(back.good_size, n);
  }
  const SyncedLog large = MakeSyncedLog({{100, 40000}, {2 * kBlock + 100, 3}, {50}});
  for (uint64_t n = kHeaderSize; n <= large.size(); n += 997) {
    const ReadBack back = ReadBytes(large.bytes.substr(0, n));
    ASSERT_TRUE(back.status.ok()) << back.status;
    EXPECT_TRUE(std::equal(back.records.begin(), back.records.end(), large.records.begin()));
    EXPECT_LE(back.promised, n);
  }
}

// A power cut leaves noise where bytes were not synced: what is above the last promise is never
// taken for damage.
TEST(RecordLogDamageTest, NoiseAboveTheLastPromiseIsTheEndOfACrash) {
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    CrashRandom random(seed);
    MemoryFileSystem fs;
    const auto log = NewLog(&fs);
    fs.SyncAll();
    std::vector<std::string> records;
    size_t synced = 0;
    for (int group = 0; group < 6; ++group) {
      for (uint64_t i = 0; i <= random.UpTo(3); ++i) {
        records.push_back(
            Text(random.UpTo(9) == 0 ? random.UpTo(3 * kBlock) : random.UpTo(400), random.Next()));
        log->Add(records.back());
      }
      ASSERT_TRUE(log->Flush().ok());
      if (group < 3 || random.UpTo(3) == 0) {
        ASSERT_TRUE(log->Sync().ok());
        synced = records.size();
      }
    }
    const auto after =
        fs.CloneAfterCrash(seed, {CrashPolicy::Data::kGarbled, CrashPolicy::Names::kKept});
    const ReadBack back = Read(after.get());
    ASSERT_TRUE(back.status.ok()) << back.status << ", seed " << seed;
    EXPECT_GE(back.records.size(), synced);
    EXPECT_TRUE(std::equal(back.records.begin(), back.records.end(), records.begin()));
  }
}

// Values that are copies of log files, of this one too: what is in them is never a record, also
// where the record around them is damaged, and reading goes on at the next block.
TEST(RecordLogDamageTest, ARecordStoredAsAValueIsNeverReplayed) {
  MemoryFileSystem fs;
  const auto log = NewLog(&fs);
  std::vector<std::string> records;
  for (int i = 0; i < 40; ++i) records.push_back(Text(1500, static_cast<uint64_t>(i)));
  for (const std::string& record : records) log->Add(record);
  ASSERT_TRUE(log->Flush().ok() && log->Sync().ok());
  const std::string itself = ReadFile(&fs, kPath)->substr(0, log->size());
  // So that the copy begins at a block border, as the log does; and as it comes.
  records.push_back(std::string(kBlock - (log->size() + 7 + 3) % kBlock, 'x') + itself);
  log->Add(records.back());
  records.push_back(itself + itself);
  log->Add(records.back());
  ASSERT_TRUE(log->Flush().ok() && log->Sync().ok());
  const ReadBack whole = Read(&fs);
  ASSERT_EQ(whole.records, records);
  const std::string bytes = ReadFile(&fs, kPath)->substr(0, log->size());
  for (uint64_t i = whole.offsets[40]; i < bytes.size(); i += 211) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    const ReadBack back = ReadBytes(damaged);
    EXPECT_TRUE(std::equal(back.records.begin(), back.records.end(), records.begin())) << i;
  }
  // The same bytes as the file of another number, and as another life of this one.
  auto other = fs.OpenForWrite("000008.log", FileSystem::Create::kNew).value();
  ASSERT_TRUE(other->Append(bytes).ok());
  EXPECT_TRUE(absl::IsDataLoss(Read(&fs, "000008.log", 8).status));
  MemoryFileSystem second;
  { NewLog(&second); }
  const ReadBack older = ReadBytes(*ReadFile(&second, kPath) + bytes.substr(kHeaderSize));
  EXPECT_TRUE(older.records.empty());
  EXPECT_TRUE(older.status.ok() && older.bad_tail) << older.status;
}

TEST(RecordLogFaultTest, AFailedAppendIsCutBackAndItsRecordsNeverComeBack) {
  for (const Fault fault :
       {Fault::kIoError, Fault::kNoSpace, Fault::kShortWrite, Fault::kDoneButError}) {
    MemoryFileSystem disk;
    FaultFileSystem faults(&disk);
    const auto log = NewLog(&faults);
    log->Add("first");
    ASSERT_TRUE(log->Flush().ok());  // not synced: the cut makes it durable, too
    faults.SetRule({fault, 0, false, [](const FileOperation& o) { return o.is_write(); }});
    log->Add("second");
    log->Add(Text(100));
    log->Add("third");
    EXPECT_FALSE(log->Flush().ok());
    EXPECT_EQ(faults.injected(), 1u);
    faults.ClearRule();
    EXPECT_TRUE(log->ended());
    EXPECT_FALSE(log->poisoned());
    for (const CrashPolicy policy : CrashPolicy::All()) {
      const auto after = disk.CloneAfterCrash(1, policy);
      const ReadBack back = Read(after.get());
      ASSERT_TRUE(back.status.ok()) << back.status;
      EXPECT_EQ(back.records, std::vector<std::string>{"first"}) << static_cast<int>(fault);
      EXPECT_FALSE(back.bad_tail);
    }
    // It has ended.
    log->Add("fourth");
    EXPECT_TRUE(absl::IsFailedPrecondition(log->Flush()));
    EXPECT_TRUE(log->Sync().ok());
    EXPECT_EQ(Read(&disk).records.size(), 1u);
  }
}

TEST(RecordLogFaultTest, AFailedCutPoisonsTheLog) {
  using Kind = FileOperation::Kind;
  for (const Kind second : {Kind::kTruncate, Kind::kSync}) {
    MemoryFileSystem disk;
    FaultFileSystem faults(&disk);
    const auto log = NewLog(&faults);
    log->Add("first");
    ASSERT_TRUE(log->Flush().ok() && log->Sync().ok());
    faults.SetRule({Fault::kIoError, 0, true,
                    [second](const FileOperation& o) { return o.is_write() || o.kind == second; }});
    log->Add("second");
    EXPECT_FALSE(log->Flush().ok());
    EXPECT_EQ(faults.injected(), 2u);
    faults.ClearRule();
    EXPECT_TRUE(log->poisoned() && log->ended());
    log->Add("third");
    EXPECT_TRUE(absl::IsFailedPrecondition(log->Flush()));
    EXPECT_TRUE(absl::IsFailedPrecondition(log->Sync()));
  }
}

TEST(RecordLogFaultTest, AFailedSyncIsNeverTriedAgain) {
  MemoryFileSystem disk;
  FaultFileSystem faults(&disk, [&](WritableFile* file) { disk.LoseUnsynced(file); });
  const auto log = NewLog(&faults);
  log->Add("first");
  ASSERT_TRUE(log->Flush().ok() && log->Sync().ok());
  log->Add("second");
  ASSERT_TRUE(log->Flush().ok());
  faults.SetRule({Fault::kSyncLosesPages, 0, false, {}});
  EXPECT_FALSE(log->Sync().ok());
  // The system would say that all is well now.
  EXPECT_TRUE(absl::IsFailedPrecondition(log->Sync()));
  EXPECT_TRUE(log->poisoned());
  log->Add("third");
  EXPECT_FALSE(log->Flush().ok());
  const auto after = disk.CloneAfterCrash(1, {});
  EXPECT_EQ(Read(after.get()).records, std::vector<std::string>{"first"});
}

TEST(RecordLogFaultTest, AFailedCreationLeavesNoFile) {
  for (const Fault fault : {Fault::kIoError, Fault::kNoSpace, Fault::kShortWrite,
                            Fault::kSyncLosesPages, Fault::kDoneButError}) {
    for (uint64_t k = 0;; ++k) {
      MemoryFileSystem disk;
      FaultFileSystem faults(&disk);
      faults.SetRule({fault, k, false, {}});
      const auto log = RecordLogWriter::Create(&faults, kPath, {});
      if (faults.injected() == 0) break;
      if (log.ok()) continue;  // what failed was of no concern
      EXPECT_TRUE(absl::IsNotFound(disk.Stat(kPath).status())) << static_cast<int>(fault) << k;
    }
  }
}

TEST(RecordLogFaultTest, AReadErrorIsNeverTakenForTheEnd) {
  const SyncedLog log = MakeSyncedLog({{100, 40000}, {10 * kBlock, 3}, {50}});
  uint64_t k = 0;
  for (;; ++k) {
    MemoryFileSystem disk;
    {
      auto file = disk.OpenForWrite(kPath, FileSystem::Create::kNew).value();
      ASSERT_TRUE(file->Append(log.bytes).ok());
    }
    FaultFileSystem faults(&disk);
    faults.SetRule({Fault::kIoError, k, false, {}});
    const ReadBack back = Read(&faults);
    if (faults.injected() == 0) break;
    EXPECT_FALSE(back.status.ok()) << k;
    EXPECT_TRUE(absl::StrContains(back.status.message(), kPath)) << back.status;
  }
  EXPECT_GE(k, 4u);
}

// A log as FORMAT.md has it, made without the writer: records that each fit into the first block,
// and what each of them promises.
std::string ByHand(uint64_t salt, const std::vector<std::pair<std::string, uint64_t>>& records) {
  std::string out = "kvartlog";
  AppendLE32(&out, 1);
  AppendLE32(&out, 1);
  AppendLE64(&out, kNumber);
  AppendLE64(&out, 11);
  AppendLE64(&out, 5);
  AppendLE64(&out, 300);
  AppendLE64(&out, salt);
  AppendLE64(&out, Checksum(out));
  for (const auto& [record, promise] : records) {
    std::string body(1, '\0');
    AppendVarint(&body, promise);
    body += record;
    const std::string size_type_bytes = {static_cast<char>(body.size() - 1), 0, 1};
    const std::string covered = size_type_bytes + body.substr(1);
    AppendLE32(&out,
               static_cast<uint32_t>(Checksum(covered, salt ^ (out.size() * 0x9e3779b97f4a7c15))));
    out += covered;
  }
  return out;
}

// The example of FORMAT.md: bytes that the reader takes for what they are, and that the writer
// makes, but for the salt, which is random.
TEST(RecordLogFormatTest, TheExampleIsAsWritten) {
  const std::string example = absl::HexStringToBytes(
      absl::StrReplaceAll("6b 76 61 72 74 6c 6f 67 01 00 00 00 01 00 00 00 07 00 00 00 00 00 00 00"
                          "0b 00 00 00 00 00 00 00 05 00 00 00 00 00 00 00 2c 01 00 00 00 00 00 00"
                          "88 77 66 55 44 33 22 11 4c a6 d9 41 86 7e 93 5d"
                          "ec 5b 7b 43 04 00 01 40 61 6e 74"
                          "09 0d af 2e 01 00 01 4b",
                          {{" ", ""}}));
  constexpr uint64_t kSalt = 0x1122334455667788;
  EXPECT_EQ(absl::BytesToHexString(ByHand(kSalt, {{"ant", 64}, {"", 75}})),
            absl::BytesToHexString(example));
  const ReadBack back = ReadBytes(example);
  ASSERT_TRUE(back.status.ok()) << back.status;
  EXPECT_EQ(back.records, (std::vector<std::string>{"ant", ""}));
  EXPECT_EQ(back.promised, 75u);
  MemoryFileSystem fs;
  const auto log = NewLog(&fs);
  for (const char* record : {"ant", ""}) {
    log->Add(record);
    ASSERT_TRUE(log->Flush().ok() && log->Sync().ok());
  }
  EXPECT_EQ(ReadFile(&fs, kPath)->substr(0, log->size()),
            ByHand(log->header().salt, {{"ant", 64}, {"", 75}}));
}

}  // namespace
}  // namespace kvarts
