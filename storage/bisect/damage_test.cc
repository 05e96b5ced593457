// What a damaged index may do: be refused, or give kDataLoss. Never a wrong
// answer, never a crash.

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "bench/bench_data.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/bisect/builder.h"
#include "storage/bisect/format.h"
#include "storage/bisect/test_data.h"

namespace kvarts {
namespace {

using testing::HasSubstr;

class DamageTest : public BisectTest {
 protected:
  void SetUp() override {
    BisectTest::SetUp();
    for (int i = 0; i < 530; ++i) records_[BenchUuid(i)] = absl::StrCat("value ", i);
    WriteData(Lines(records_));
    Build();
    whole_ = Slurp(index_);
    for (const auto& [key, value] : records_) keys_.push_back(key);
  }

  void WriteIndex(absl::string_view bytes) {
    auto file = fs_->OpenForWrite(index_, FileSystem::Create::kTruncate);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE((*file)->Append(bytes).ok());
  }

  // Whether the index was refused, or a read of it was; no read may be wrong.
  bool Detected() {
    auto store = OpenBisect(data_, BisectOptions());
    if (!store.ok()) {
      EXPECT_THAT(std::string(store.status().message()), HasSubstr(index_));
      return true;
    }
    bool detected = false;
    ReadResults results;
    (*store)->MultiGet(keys_, ReadOptions(), &results);
    for (size_t i = 0; i < keys_.size(); ++i) {
      if (!results[i].status.ok()) {
        EXPECT_EQ(results[i].status.code(), absl::StatusCode::kDataLoss);
        EXPECT_THAT(std::string(results[i].status.message()), HasSubstr(index_));
        detected = true;
        continue;
      }
      EXPECT_TRUE(results[i].found);
      EXPECT_EQ(results[i].value, records_[std::string(keys_[i])]);
    }
    if (detected) return true;
    auto cursor = (*store)->NewCursor(ScanOptions());
    if (!cursor.ok()) return true;
    ScanPage page;
    auto next = records_.begin();
    do {
      if (!(*cursor)->Next(PageLimits(), &page).ok()) return true;
      for (const ScanEntry& entry : page) {
        EXPECT_EQ(entry.key, next->first);
        EXPECT_EQ(entry.value, next->second);
        ++next;
      }
    } while (!page.empty());
    EXPECT_TRUE(next == records_.end());
    return false;
  }

  std::map<std::string, std::string> records_;
  std::vector<absl::string_view> keys_;
  std::string whole_;
};

TEST_F(DamageTest, AFlipOfEveryByteIsDetected) {
  ASSERT_FALSE(Detected());
  for (size_t at = 0; at < whole_.size(); ++at) {
    std::string bytes = whole_;
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << at % 8));
    WriteIndex(bytes);
    ASSERT_TRUE(Detected()) << "byte " << at;
  }
}

TEST_F(DamageTest, ACutAtEveryLengthIsRefused) {
  for (size_t size = 0; size < whole_.size(); size += size < 5000 ? 1 : 61) {
    WriteIndex(absl::string_view(whole_).substr(0, size));
    const auto store = OpenBisect(data_, BisectOptions());
    ASSERT_EQ(store.status().code(), absl::StatusCode::kDataLoss) << size;
  }
  WriteIndex(absl::StrCat(whole_, "x"));
  EXPECT_EQ(OpenBisect(data_, BisectOptions()).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(DamageTest, PagesThatChangePlacesAreDetected) {
  std::string bytes = whole_;
  const size_t first = bytes.size() - 2 * kIndexPageBytes;
  std::swap_ranges(bytes.begin() + first, bytes.begin() + first + kIndexPageBytes,
                   bytes.begin() + first + kIndexPageBytes);
  WriteIndex(bytes);
  EXPECT_TRUE(Detected());
}

TEST_F(DamageTest, ADamagedIndexIsBuiltAgain) {
  std::string bytes = whole_;
  bytes[100] ^= 1;
  WriteIndex(bytes);
  const auto report = EnsureBisect(data_, BuildOptions());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->built);
  EXPECT_THAT(report->reason, HasSubstr("damaged"));
  EXPECT_EQ(Slurp(index_), whole_);
}

TEST_F(DamageTest, ForeignFilesAreNoIndexes) {
  WriteIndex(std::string(3 * kIndexPageBytes, 'x'));
  const auto store = OpenBisect(data_, BisectOptions());
  EXPECT_EQ(store.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(store.status().message()), HasSubstr("not a bisect index"));
}

TEST_F(DamageTest, ANewerVersionIsRefusedAndKept) {
  std::string bytes = whole_;
  StoreLE32(&bytes[8], kIndexVersion + 1);
  StoreLE64(&bytes[kIndexPageBytes - 8],
            Checksum(absl::string_view(bytes).substr(0, kIndexPageBytes - 8)));
  WriteIndex(bytes);
  for (const absl::Status& status : {OpenBisect(data_, BisectOptions()).status(),
                                     EnsureBisect(data_, BuildOptions()).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), HasSubstr("format version 2"));
    EXPECT_THAT(std::string(status.message()), HasSubstr("reads version 1"));
  }
  EXPECT_EQ(Slurp(index_), bytes);
}

// Whoever can write an index can make its checksums right. Then answers may be
// wrong, but nothing outside the files is read.
TEST_F(DamageTest, WrongRanksAndOffsetsUnderRightChecksumsDoNotCrash) {
  const auto header = IndexHeader::Decode(whole_);
  ASSERT_TRUE(header.ok());
  for (uint64_t page = 1; page < header->pages(); ++page) {
    for (const char fill : {'\0', '\x7f', '\xff'}) {
      std::string bytes = whole_;
      char* const p = &bytes[page * kIndexPageBytes];
      std::fill(p + 8, p + kIndexPageBytes, fill);
      StoreLE64(p, IndexPageChecksum(*header, page, p));
      WriteIndex(bytes);
      auto store = OpenBisect(data_, BisectOptions());
      ASSERT_TRUE(store.ok());
      ReadResults results;
      (*store)->MultiGet(keys_, ReadOptions(), &results);
      auto cursor = (*store)->NewCursor(ScanOptions());
      ScanPage scan;
      if (cursor.ok()) (*cursor)->Next(PageLimits(), &scan).IgnoreError();
    }
  }
}

// A wrong size of a value costs a search for its end, not the value.
TEST_F(DamageTest, WrongSizesUnderRightChecksumsAreSeenThroughAndFoundByVerify) {
  const auto header = IndexHeader::Decode(whole_);
  ASSERT_TRUE(header.ok());
  ASSERT_GT(header->length_bits, 0);
  ASSERT_TRUE(VerifyBisect(data_, BuildOptions()).ok());
  std::string bytes = whole_;
  for (uint64_t page = header->first_entry_page(); page < header->pages(); ++page) {
    char* const p = &bytes[page * kIndexPageBytes];
    const uint64_t first = (page - header->first_entry_page()) * kEntriesPerPage;
    for (uint64_t i = 0; i < kEntriesPerPage && first + i < header->entries; ++i) {
      char* const entry = p + 8 + 8 * i;
      StoreLE64(entry, LoadLE64(entry) ^ uint64_t{1} << header->offset_bits);
    }
    StoreLE64(p, IndexPageChecksum(*header, page, p));
  }
  WriteIndex(bytes);
  EXPECT_FALSE(Detected());  // every value is right
  const absl::Status verified = VerifyBisect(data_, BuildOptions());
  EXPECT_EQ(verified.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(verified.message()), HasSubstr("has another size"));
}

TEST_F(DamageTest, RanksThatFallUnderARightChecksumAreDamage) {
  const auto header = IndexHeader::Decode(whole_);
  ASSERT_TRUE(header.ok());
  ASSERT_GT(header->radix_bits, 1);
  std::string bytes = whole_;
  char* const p = &bytes[kIndexPageBytes];
  StoreLE32(p + 8 + 4, static_cast<uint32_t>(header->entries) + 1);  // the second bucket's
  StoreLE64(p, IndexPageChecksum(*header, 1, p));
  WriteIndex(bytes);
  auto store = OpenBisect(data_, BisectOptions());
  ASSERT_TRUE(store.ok());
  ReadResults results;
  (*store)->MultiGet(keys_, ReadOptions(), &results);
  // All: the page is not used at all.
  for (const ReadResult& result : results) {
    EXPECT_EQ(result.status.code(), absl::StatusCode::kDataLoss);
  }
}

}  // namespace
}  // namespace kvarts
