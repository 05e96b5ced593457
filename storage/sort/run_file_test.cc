#include "storage/sort/run_file.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/fs/file_system.h"
#include "storage/fs/memory.h"

namespace kvarts::sort_internal {
namespace {

using Records = std::vector<std::pair<std::string, std::string>>;

std::string Encode(const std::string& key, const std::string& payload) {
  std::string bytes(10, '\0');
  char* end = PutVarint(PutVarint(bytes.data(), static_cast<uint32_t>(key.size())),
                        static_cast<uint32_t>(payload.size()));
  bytes.resize(static_cast<size_t>(end - bytes.data()));
  return bytes + key + payload;
}

class RunFileTest : public testing::Test {
 protected:
  RunInfo Write(const Records& records, uint64_t number, size_t block) {
    auto file = fs_->OpenForWrite(path_, FileSystem::Create::kTruncate).value();
    std::string buffer(block, '?');
    RunWriter writer(file.get(), number, buffer.data(), buffer.size());
    for (const auto& [key, payload] : records) {
      const std::string bytes = Encode(key, payload);
      Record record;
      EXPECT_TRUE(ParseRecord(bytes.data(), bytes.data() + bytes.size(), &record));
      EXPECT_TRUE(writer.Add(record).ok());
    }
    EXPECT_TRUE(writer.Finish().ok());
    return writer.run();
  }

  // Reads to the end or an error.
  absl::Status Read(const RunInfo& run, Records* records) {
    // Exactly as long as it may be, for the sanitizers.
    const std::unique_ptr<char[]> buffer(new char[run.max_block]);
    RunReader reader(fs_->OpenForRead(path_).value(), path_, run, buffer.get());
    for (Record record; reader.Next(&record);) {
      records->emplace_back(std::string(record.key, record.key_size),
                            std::string(record.payload(), record.payload_size));
    }
    return reader.status();
  }

  void Overwrite(const std::string& bytes) {
    auto file = fs_->OpenForWrite(path_, FileSystem::Create::kTruncate).value();
    ASSERT_TRUE(file->Append(bytes).ok());
    ASSERT_TRUE(file->Close().ok());
  }

  // Some small blocks, one of a large record among them.
  static Records SomeRecords() {
    Records records;
    for (int i = 0; i < 40; ++i) {
      records.emplace_back(absl::StrCat("key", 100 + i), std::string(i % 7, 'p'));
      if (i == 20) records.emplace_back("key120x", std::string(300, 'l'));
    }
    return records;
  }

  MemoryFileSystem memory_;
  FileSystem* const fs_ = &memory_;
  const std::string path_ = "/sort.run.7";
};

// The example of FORMAT.md.
TEST_F(RunFileTest, BytesAreAsSpecified) {
  Write({{"ant", "1"}, {"bee", ""}}, 3, 4096);
  EXPECT_EQ(absl::BytesToHexString(ReadFile(fs_, path_).value()),
            "4b565201"          // magic, version 1
            "0b000000"          // bytes of records
            "02000000"          // records
            "03000000"          // the run's number
            "6c854dfbbd27b291"  // checksum
            "0301616e7431"      // ant, 1
            "0300626565");      // bee, empty
}

TEST_F(RunFileTest, ReadsBackWhatWasWritten) {
  const Records records = SomeRecords();
  for (const size_t block : {64, 100, 128, 4096}) {
    const RunInfo run = Write(records, 7, block);
    EXPECT_EQ(run.records, records.size());
    EXPECT_EQ(run.size, fs_->Stat(path_)->size);
    EXPECT_EQ(run.common, 4);
    Records got;
    EXPECT_TRUE(Read(run, &got).ok());
    EXPECT_EQ(got, records);
  }
}

TEST_F(RunFileTest, EveryFlippedByteIsFoundInItsBlock) {
  const Records records = SomeRecords();
  const RunInfo run = Write(records, 7, 128);
  const std::string whole = ReadFile(fs_, path_).value();
  std::vector<size_t> blocks;
  for (size_t at = 0; at < whole.size(); at += kBlockHeader + LoadLE32(&whole[at + 4])) {
    blocks.push_back(at);
  }
  ASSERT_GT(blocks.size(), 4u);
  size_t block = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    if (block + 1 < blocks.size() && i == blocks[block + 1]) ++block;
    for (const int bits : {1, 0x80, 0xff}) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ bits);
      Overwrite(damaged);
      Records got;
      const absl::Status status = Read(run, &got);
      ASSERT_EQ(status.code(), absl::StatusCode::kDataLoss) << i;
      ASSERT_TRUE(
          absl::StrContains(status.message(), absl::StrCat(path_, ": offset ", blocks[block], ":")))
          << i << " " << status;
      ASSERT_LT(got.size(), records.size());
      ASSERT_TRUE(std::equal(got.begin(), got.end(), records.begin()));
    }
  }
}

TEST_F(RunFileTest, EveryTruncationIsFound) {
  const Records records = SomeRecords();
  const RunInfo run = Write(records, 7, 128);
  const std::string whole = ReadFile(fs_, path_).value();
  for (size_t size = 0; size < whole.size(); ++size) {
    Overwrite(whole.substr(0, size));
    Records got;
    const absl::Status status = Read(run, &got);
    ASSERT_EQ(status.code(), absl::StatusCode::kDataLoss) << size;
    ASSERT_TRUE(absl::StrContains(status.message(), path_ + ": offset ")) << status;
    ASSERT_TRUE(absl::StrContains(status.message(), absl::StrCat("the file ends at ", size, ",")))
        << status;
    ASSERT_LT(got.size(), records.size());
    ASSERT_TRUE(std::equal(got.begin(), got.end(), records.begin()));
  }
}

TEST_F(RunFileTest, WholeBlocksOutOfPlaceAreFound) {
  const Records records(40, {"key", "payload"});  // blocks of one length
  const RunInfo run = Write(records, 7, 128);
  std::string swapped = ReadFile(fs_, path_).value();
  const size_t block = kBlockHeader + LoadLE32(&swapped[4]);
  for (size_t i = 0; i < block; ++i) std::swap(swapped[i], swapped[block + i]);
  Overwrite(swapped);
  Records got;
  EXPECT_EQ(Read(run, &got).code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(got.empty());
}

TEST_F(RunFileTest, AnotherRunsFileIsFound) {
  const RunInfo run = Write(SomeRecords(), 7, 128);
  Write(SomeRecords(), 8, 128);
  Records got;
  const absl::Status status = Read(run, &got);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(absl::StrContains(status.message(), "it is of run 8, expected 7")) << status;
  EXPECT_TRUE(got.empty());
}

TEST_F(RunFileTest, RecordThatGoesBeyondItsBlockIsFound) {
  // A sound checksum over records that are not: no writer makes it.
  RunInfo run = Write({{"abc", "defg"}}, 7, 4096);
  run.records = 2;
  Records got;
  const absl::Status status = Read(run, &got);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(absl::StrContains(status.message(), "ends after 1 records, expected 2")) << status;

  const std::string bytes = Encode("abc", "defg");
  Record record;
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    EXPECT_FALSE(ParseRecord(bytes.data(), bytes.data() + cut, &record)) << cut;
  }
}

TEST_F(RunFileTest, SizesOfEveryWidthAreReadBack) {
  for (const uint32_t v :
       {0u, 127u, 128u, 16383u, 16384u, 2097151u, 2097152u, 268435455u, 268435456u, 4294967295u}) {
    char bytes[8];
    const char* end = PutVarint(bytes, v);
    EXPECT_EQ(static_cast<size_t>(end - bytes), VarintSize(v));
    uint32_t got = 0;
    EXPECT_EQ(GetVarint(bytes, end, &got), end);
    EXPECT_EQ(got, v);
    EXPECT_EQ(GetVarint(bytes, end - 1, &got), nullptr);
  }
}

}  // namespace
}  // namespace kvarts::sort_internal
