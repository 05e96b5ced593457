#include "groupby/sorted/run_file.h"

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"

namespace kvarts::groupby_internal {
namespace {

struct Record {
  std::string key;
  // Of each record of the key.
  std::vector<std::vector<std::string>> parts;
};

std::string Encode(const std::vector<std::string>& values) {
  std::string bytes;
  for (const std::string& value : values) {
    char size[8];
    const char* const end = sort_internal::PutVarint(size, static_cast<uint32_t>(value.size()));
    bytes.append(size, static_cast<size_t>(end - size));
    bytes += value;
  }
  return bytes;
}

class RunFileTest : public testing::Test {
 protected:
  SortedRun Write(const std::vector<Record>& records, size_t block) {
    const std::unique_ptr<char[]> room(new char[SpillFile::kHeaderBytes + block]);
    RunWriter writer(SpillFile::New(&fs_, absl::StrCat("/", next_++, ".run")).value(), room.get(),
                     block, &cancelled_);
    for (const Record& record : records) {
      for (size_t i = 0; i < record.parts.size(); ++i) {
        const std::string bytes = Encode(record.parts[i]);
        EXPECT_TRUE((i == 0 ? writer.BeginGroup(record.key, bytes.size())
                            : writer.ContinueGroup(bytes.size()))
                        .ok());
        EXPECT_TRUE(writer.Put(bytes).ok());
      }
    }
    return writer.Finish().value();
  }

  // Exactly as long as it may be, for the sanitizers.
  void Open(const SortedRun& run, size_t block) {
    buffer_.reset(new char[RunReader::BufferBytes(block, run.crossing_key)]);
    reader_ = std::make_unique<RunReader>(&run, block, buffer_.get(), &cancelled_);
  }

  MemoryFileSystem fs_;
  std::atomic<bool> cancelled_{false};
  int next_ = 0;
  std::unique_ptr<char[]> buffer_;
  std::unique_ptr<RunReader> reader_;
};

std::vector<Record> SomeRecords(uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Record> records;
  std::string key;
  for (int i = 0; i < 60; ++i) {
    Record record;
    // In no order: nothing in here minds.
    record.key = std::string(random() % 4 == 0 ? random() % 90 : random() % 4, 'a' + i % 26);
    for (uint64_t parts = 1 + random() % 3; parts > 0; --parts) {
      record.parts.emplace_back();
      for (uint64_t values = 1 + random() % 4; values > 0; --values) {
        record.parts.back().emplace_back(random() % 8 == 0 ? random() % 300 : random() % 5,
                                         static_cast<char>('a' + random() % 26));
      }
    }
    records.push_back(record);
  }
  return records;
}

constexpr size_t kBlocks[] = {1, 2, 7, 19, 20, 21, 64, 100, 1000, 100'000};

// The example of FORMAT.md.
TEST_F(RunFileTest, BytesAreAsSpecified) {
  const SortedRun run = Write({{"ant", {{"1", ""}, {"22"}}}, {"bee", {{"3"}}}}, 4096);
  EXPECT_EQ(
      absl::BytesToHexString(ReadFile(&fs_, run.file->path())->substr(SpillFile::kHeaderBytes)),
      "06"      // a key of 3 bytes
      "03"      // 3 bytes of values
      "616e74"  // ant
      "0131"    // 1
      "00"      // empty
      "01"      // more of ant
      "03"      // 3 bytes of values
      "023232"  // 22
      "06"
      "02"
      "626565"  // bee
      "0133");  // 3
  EXPECT_EQ(run.common, 0u);
  EXPECT_EQ(run.crossing_key, 0u);
}

TEST_F(RunFileTest, ValuesAreReadBackForEverySizeOfBlocks) {
  for (const size_t block : kBlocks) {
    const std::vector<Record> records = SomeRecords(block);
    const SortedRun run = Write(records, block);
    Open(run, block);
    ASSERT_TRUE(reader_->Start().ok());
    char room[300];
    absl::string_view views[3];
    for (const Record& record : records) {
      ASSERT_FALSE(reader_->at_end());
      ASSERT_EQ(reader_->key(), record.key);
      for (size_t part = 0; part < record.parts.size(); ++part) {
        ASSERT_TRUE(part == 0 || reader_->More().value());
        std::vector<std::string> values;
        while (reader_->left() > 0) {
          const auto some = reader_->Values(absl::MakeSpan(views), absl::MakeSpan(room));
          ASSERT_TRUE(some.ok()) << some.status() << " block " << block;
          ASSERT_FALSE(some->empty());
          for (const absl::string_view value : *some) values.emplace_back(value);
        }
        ASSERT_EQ(values, record.parts[part]);
      }
      ASSERT_FALSE(reader_->More().value());
    }
    EXPECT_TRUE(reader_->at_end());
    EXPECT_EQ(reader_->bytes_read(), run.file->file_bytes());
  }
}

TEST_F(RunFileTest, BytesAreReadBackAndRecordsPassedOver) {
  for (const size_t block : kBlocks) {
    const std::vector<Record> records = SomeRecords(block);
    const SortedRun run = Write(records, block);
    for (const size_t skipped : {0, 1, 2, 5}) {
      Open(run, block);
      ASSERT_TRUE(reader_->Start().ok());
      size_t n = 0;
      for (const Record& record : records) {
        ASSERT_EQ(reader_->key(), record.key);
        for (size_t part = 0; part < record.parts.size(); ++part) {
          ASSERT_TRUE(part == 0 || reader_->More().value());
          std::string bytes;
          const std::string expected = Encode(record.parts[part]);
          ASSERT_EQ(reader_->left(), expected.size());
          while (reader_->left() > 0) {
            if (skipped != 0 && ++n % skipped == 0) {
              bytes = expected;
              ASSERT_TRUE(reader_->Skip().ok());
              break;
            }
            const auto some = reader_->Bytes();
            ASSERT_TRUE(some.ok()) << some.status();
            bytes.append(some->data(), some->size());
          }
          ASSERT_EQ(bytes, expected);
          ASSERT_EQ(reader_->left(), 0u);
        }
        ASSERT_FALSE(reader_->More().value());
      }
      EXPECT_TRUE(reader_->at_end());
    }
  }
}

TEST_F(RunFileTest, CommonBeginningOfTheKeysIsKnown) {
  const std::vector<std::vector<std::string>> one = {{"v"}};
  EXPECT_EQ(Write({{"user:1", one}, {"user:2", one}, {"user:20", one}}, 64).common, 5u);
  EXPECT_EQ(Write({{"user:1", one}}, 64).common, 6u);
  EXPECT_EQ(Write({{"", one}, {"user", one}}, 64).common, 0u);
  EXPECT_EQ(Write({{std::string(500, 'k'), one}, {std::string(501, 'k'), one}}, 64).common, 128u);
}

TEST_F(RunFileTest, RunThatEndsWithinARecordIsDataLoss) {
  // Each has its checksums right: no writer makes it.
  const std::vector<std::string> bad = {
      std::string("\x06\x03"
                  "a",
                  3),          // half a key
      std::string("\x06", 1),  // no sizes
      std::string("\x06\x00"
                  "abc",
                  5),  // no values
      std::string("\x06\x05"
                  "abc\x02"
                  "d",
                  7),  // half a value
      std::string("\x06\x02"
                  "abc\x02"
                  "de",
                  8),  // a value beyond its record
      std::string("\x03\x02"
                  "abc\x01"
                  "d",
                  7),  // an odd number for a key size
      std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11),
      std::string("\xfe\xff\x7f\x01", 4),  // a key of 2 MiB
      std::string("\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                  "abc\x01",
                  15),
  };
  for (size_t i = 0; i < bad.size(); ++i) {
    for (const bool skip : {false, true}) {
      SortedRun run;
      run.file = SpillFile::New(&fs_, absl::StrCat("/", next_++, ".run")).value();
      std::string room = std::string(SpillFile::kHeaderBytes, '?') + bad[i];
      ASSERT_TRUE(run.file->Append(room.data(), bad[i].size()).ok());
      ASSERT_TRUE(run.file->FinishWriting().ok());
      Open(run, bad[i].size());
      absl::Status status = reader_->Start();
      char value_room[8];
      absl::string_view views[3];
      while (status.ok() && !reader_->at_end()) {
        if (reader_->left() == 0) {
          status = reader_->More().status();
        } else if (skip) {
          status = reader_->Skip();
        } else {
          status = reader_->Values(absl::MakeSpan(views), absl::MakeSpan(value_room)).status();
        }
      }
      if (skip && i == 4) continue;  // the values themselves were not looked at
      EXPECT_TRUE(absl::IsDataLoss(status)) << i << " " << status;
      EXPECT_TRUE(absl::StrContains(status.message(), ".run: offset 0: block 0 is damaged: "))
          << status;
    }
  }
}

TEST_F(RunFileTest, CancelledWriterAndReaderEnd) {
  const std::vector<Record> records = SomeRecords(1);
  const SortedRun run = Write(records, 64);
  cancelled_ = true;
  Open(run, 64);
  EXPECT_TRUE(absl::IsCancelled(reader_->Start()));
  char room[SpillFile::kHeaderBytes + 16];
  RunWriter writer(SpillFile::New(&fs_, "/cancelled.run").value(), room, 16, &cancelled_);
  EXPECT_TRUE(absl::IsCancelled(writer.Put("more bytes than there are in a block")));
}

}  // namespace
}  // namespace kvarts::groupby_internal
