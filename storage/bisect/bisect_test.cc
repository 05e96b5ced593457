#include "storage/bisect/bisect.h"

#include <fcntl.h>
#include <unistd.h>

#include <cmath>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/checksum.h"
#include "base/coding.h"
#include "bench/bench_data.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/bisect/builder.h"
#include "storage/bisect/dataset.h"
#include "storage/bisect/index_writer.h"
#include "storage/bisect/test_data.h"

namespace kvarts {
namespace {

using testing::HasSubstr;

std::map<std::string, std::string> Uuids(int n) {
  std::map<std::string, std::string> records;
  for (int i = 0; i < n; ++i) records[BenchUuid(i)] = BenchValue(i, i % 100);
  return records;
}

// Every record by single calls and in batches, keys beside them, and a scan.
void ExpectHolds(Store* store, const std::map<std::string, std::string>& records) {
  ASSERT_NE(store, nullptr);
  std::vector<std::string> keys;
  for (const auto& [key, value] : records) {
    keys.push_back(key);
    keys.push_back(key + "x");
    keys.push_back(key.substr(0, key.size() - 1));
  }
  std::vector<absl::string_view> views(keys.begin(), keys.end());
  ReadResults all;
  store->MultiGet(views, ReadOptions(), &all);
  ReadResults one;
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto want = records.find(keys[i]);
    store->Read(keys[i], ReadOptions(), &one);
    for (const ReadResult* got : {&all[i], &one[0]}) {
      ASSERT_TRUE(got->status.ok()) << got->status;
      ASSERT_EQ(got->found, want != records.end()) << keys[i];
      if (got->found) {
        ASSERT_EQ(got->value, want->second) << keys[i];
      }
    }
  }
  auto cursor = store->NewCursor(ScanOptions());
  ASSERT_TRUE(cursor.ok());
  ScanPage page;
  auto next = records.begin();
  while (true) {
    PageLimits limits;
    limits.entries = 7;
    ASSERT_TRUE((*cursor)->Next(limits, &page).ok());
    if (page.empty()) break;
    for (const ScanEntry& entry : page) {
      ASSERT_NE(next, records.end());
      ASSERT_EQ(entry.key, next->first);
      ASSERT_EQ(entry.value, next->second);
      ++next;
    }
  }
  EXPECT_EQ(next, records.end());
}

// The most probes of any lookup of a key that is there, and of neighbours.
ProbeCounts MostProbes(const std::string& data, const std::string& index,
                       const std::map<std::string, std::string>& records) {
  auto dataset = Dataset::Open(FileSystem::Posix(), data, index);
  EXPECT_TRUE(dataset.ok());
  ProbeCounts most;
  for (const auto& [key, value] : records) {
    for (const std::string& asked : {key, key.substr(0, key.size() - 1), key + "0"}) {
      ProbeCounts counts;
      absl::string_view found;
      const auto outcome = (*dataset)->Find(asked, &found, &counts);
      EXPECT_EQ(outcome == Dataset::Outcome::kFound, records.count(asked) > 0) << asked;
      most.index = std::max(most.index, counts.index);
      most.data = std::max(most.data, counts.data);
    }
  }
  return most;
}

TEST_F(BisectTest, FindsEveryRecordAtManySizes) {
  // Around the pages: 511 entries, 1022 buckets.
  for (const int n : {0, 1, 2, 47, 48, 96, 510, 511, 512, 1023, 5000, 60000}) {
    const auto records = Uuids(n);
    ReplaceData(Lines(records));
    EXPECT_EQ(Build().entries, records.size());
    const auto store = Open();
    ExpectHolds(store.get(), records);
    EXPECT_EQ(store->Stats()->entries, records.size());
  }
}

TEST_F(BisectTest, TextKeysOfAllSortsAreFound) {
  std::mt19937_64 random(1);
  std::map<std::string, std::string> records;
  for (int i = 0; i < 3000; ++i) {
    std::string key;
    for (uint64_t n = 1 + random() % 40; n > 0; --n) {
      char c = static_cast<char>(random());
      while (c == ' ' || c == '\n') c = static_cast<char>(random());
      key.push_back(c);
    }
    records[key] = absl::StrCat("value ", i, "\t,\0");
  }
  WriteData(Lines(records));
  Build();
  ExpectHolds(Open().get(), records);
}

TEST_F(BisectTest, SkewedKeysStayWithinTheBoundOfBisection) {
  struct Shape {
    std::string name;
    std::function<std::string(int)> key;
  };
  constexpr int kKeys = 30000;
  const std::vector<Shape> shapes = {
      {"sequential", [](int i) { return absl::StrCat("user:", 1000000 + i); }},
      {"one code for all",
       [](int i) { return absl::StrCat(std::string(300, 'a' + i % 2), "/", i); }},
      {"two clusters",
       [](int i) { return absl::StrCat(i % 2 == 0 ? "0000000000000000" : "zzzzzzzzzzzzzzzz", i); }},
      {"one far key", [](int i) { return i == 0 ? "zzz" : absl::StrCat("aaaaaaaaaaaaaaaaaa", i); }},
      {"powers",
       [](int i) {
         return std::string(1 + i % 3000, 'a') + (i < 3000 ? "" : "b") + std::string(i / 3000, 'c');
       }},
  };
  for (const Shape& shape : shapes) {
    SCOPED_TRACE(shape.name);
    std::map<std::string, std::string> records;
    for (int i = 0; i < kKeys; ++i) records[shape.key(i)] = absl::StrCat(i);
    ReplaceData(Lines(records));
    Build();
    ExpectHolds(Open().get(), records);
    const ProbeCounts most = MostProbes(data_, index_, records);
    const double bound = std::log2(static_cast<double>(records.size()));
    EXPECT_LE(most.index, bound + 1);
    EXPECT_LE(most.data, bound + 1);
  }
}

TEST_F(BisectTest, UniformKeysTakeOneProbeOfIndexAndData) {
  const auto records = Uuids(60000);
  WriteData(Lines(records));
  Build();
  auto dataset = Dataset::Open(fs_, data_, index_);
  ASSERT_TRUE(dataset.ok());
  uint64_t index_probes = 0;
  uint64_t data_probes = 0;
  for (const auto& [key, value] : records) {
    ProbeCounts counts;
    absl::string_view found;
    ASSERT_EQ((*dataset)->Find(key, &found, &counts), Dataset::Outcome::kFound);
    index_probes += counts.index;
    data_probes += counts.data;
  }
  EXPECT_LE(index_probes, records.size() * 105 / 100);  // a bucket may lie on two pages
  // One tag in 4096 is another key's too.
  EXPECT_LE(data_probes, records.size() + records.size() / 1000);
}

TEST_F(BisectTest, ValuesOfEverySizeAreWholeWithAndWithoutTheirSizesInTheIndex) {
  std::map<std::string, std::string> records;
  for (uint64_t i = 0; i < 6000; ++i) {
    records[BenchUuid(i)] = std::string(i < 4200 ? i : Mix(i) % 70000, 'a' + i % 26);
  }
  std::string text = Lines(records);
  text.pop_back();  // the last line's newline
  WriteData(text);
  Build();
  std::string index = *ReadFile(fs_, index_);
  const auto header = IndexHeader::Decode(index);
  ASSERT_TRUE(header.ok());
  ASSERT_EQ(header->length_bits, 12);
  for (const bool told : {true, false}) {
    if (!told) {
      index[kLengthBitsInHeader] = 0;  // as in indexes of before
      StoreLE64(&index[kIndexPageBytes - 8],
                Checksum(absl::string_view(index).substr(0, kIndexPageBytes - 8)));
      ASSERT_TRUE(WriteFileAtomically(fs_, index_, index).ok());
    }
    const auto store = Open();
    std::vector<absl::string_view> keys;
    for (const auto& [key, value] : records) keys.push_back(key);
    ReadResults all;
    store->MultiGet(keys, ReadOptions(), &all);
    size_t i = 0;
    for (const auto& [key, value] : records) {
      EXPECT_EQ(**store->Get(key), value);
      EXPECT_EQ(all[i++].value, value);
    }
    EXPECT_TRUE(VerifyBisect(data_, BuildOptions()).ok());
  }
}

TEST_F(BisectTest, RangesPrefixesAndDirectionsMeetTheirBounds) {
  std::map<std::string, std::string> records;
  for (int i = 0; i < 2000; ++i) records[absl::StrCat("k", i * 7919 % 10007)] = absl::StrCat(i);
  WriteData(Lines(records));
  Build();
  const auto store = Open();
  std::mt19937_64 random(3);
  for (int round = 0; round < 300; ++round) {
    const std::string a = absl::StrCat("k", random() % 11000);
    const std::string b = random() % 4 == 0 ? "" : absl::StrCat("k", random() % 11000);
    ScanOptions options;
    options.range = round % 3 == 0 ? KeyRange::Prefix(a.substr(0, 2 + round % 3)) : KeyRange{a, b};
    options.backward = round % 2 == 0;
    options.keys_only = round % 5 == 0;
    std::vector<std::string> want;
    for (const auto& [key, value] : records) {
      if (options.range.Contains(key)) want.push_back(key);
    }
    if (options.backward) std::reverse(want.begin(), want.end());
    std::vector<std::string> got;
    // A new cursor for each page, from the position of the last.
    while (true) {
      auto cursor = store->NewCursor(options);
      ASSERT_TRUE(cursor.ok()) << cursor.status();
      PageLimits limits;
      limits.entries = 1 + random() % 200;
      ScanPage page;
      ASSERT_TRUE((*cursor)->Next(limits, &page).ok());
      if (page.empty()) break;
      for (const ScanEntry& entry : page) {
        got.push_back(std::string(entry.key));
        ASSERT_EQ(entry.value, options.keys_only ? "" : records[got.back()]);
      }
      options.resume_after = (*cursor)->position();
    }
    ASSERT_EQ(got, want) << "from " << options.range.begin << " to " << options.range.end;
  }
}

TEST_F(BisectTest, ReadsStayWhenTheStoreIsGone) {
  WriteData("a 1\nb 2\n");
  Build();
  auto store = Open();
  ReadResults results;
  const absl::string_view keys[] = {"b", "a"};
  store->MultiGet(keys, ReadOptions(), &results);
  auto cursor = store->NewCursor(ScanOptions());
  ASSERT_TRUE(cursor.ok());
  ASSERT_TRUE(store->Close().ok());
  ReadResults closed;
  store->Read("a", ReadOptions(), &closed);
  EXPECT_EQ(closed[0].status.code(), absl::StatusCode::kFailedPrecondition);
  store.reset();
  EXPECT_EQ(results[0].value, "2");
  EXPECT_EQ(results[1].value, "1");
  ScanPage page;
  ASSERT_TRUE((*cursor)->Next(PageLimits(), &page).ok());
  cursor->reset();
  ASSERT_EQ(page.size(), 2u);
  EXPECT_EQ(page[1].value, "2");
}

TEST_F(BisectTest, ReadersOnManyThreadsVerifyPagesTogether) {
  const auto records = Uuids(20000);
  WriteData(Lines(records));
  Build();
  const auto store = Open();
  std::vector<std::string> keys;
  for (const auto& [key, value] : records) keys.push_back(key);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(t);
      ReadResults results;
      for (int i = 0; i < 500; ++i) {
        std::vector<absl::string_view> batch;
        for (int j = 0; j < 20; ++j) batch.push_back(keys[random() % keys.size()]);
        store->MultiGet(batch, ReadOptions(), &results);
        for (size_t j = 0; j < batch.size(); ++j) {
          ASSERT_TRUE(results[j].found);
          ASSERT_EQ(results[j].value, records.at(std::string(batch[j])));
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST_F(BisectTest, ADataFileThatShrinksGivesErrorsForWhatIsGone) {
  InstallSigbusHandler();
  const auto records = Uuids(20000);
  const std::string text = Lines(records);
  for (const size_t left : {text.size() / 2, (text.size() / 2) & ~size_t{4095}, size_t{0}}) {
    WriteData(text);
    Build();
    const auto store = Open();
    ReadResults lent;
    const std::string last = records.rbegin()->first;
    store->Read(last, ReadOptions(), &lent);
    ASSERT_TRUE(lent[0].found && lent.intact());
    ASSERT_EQ(truncate(data_.c_str(), left), 0);
    int lost = 0;
    size_t at = 0;
    std::vector<absl::string_view> keys;
    for (const auto& [key, value] : records) keys.push_back(key);
    ReadResults all;
    store->MultiGet(keys, ReadOptions(), &all);
    size_t i = 0;
    for (const auto& [key, value] : records) {
      const size_t end = at + key.size() + value.size() + 2;
      ReadResults one;
      store->Read(key, ReadOptions(), &one);
      for (const ReadResult* got : {&one[0], &all[i]}) {
        if (got->status.ok()) {
          // Never a wrong answer: neither "absent" nor other bytes.
          ASSERT_TRUE(got->found) << key;
          ASSERT_LE(end - 1, left);
          ASSERT_EQ(std::string(got->value), value);
        } else {
          ++lost;
          ASSERT_EQ(got->status.code(), absl::StatusCode::kDataLoss);
          ASSERT_GT(end, left);
        }
      }
      at = end;
      ++i;
    }
    EXPECT_GT(lost, 0);
    EXPECT_FALSE(lent.intact());
    auto cursor = store->NewCursor(ScanOptions());
    absl::Status status = cursor.status();
    ScanPage page;
    while (status.ok()) {
      status = (*cursor)->Next(PageLimits(), &page);
      ASSERT_FALSE(status.ok() && page.empty()) << "the scan ended as if all were there";
    }
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()), HasSubstr(data_));
  }
}

TEST_F(BisectTest, OffsetsAroundOneTebibyteAreExact) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "ThreadSanitizer maps several bytes for each of the tebibyte";
#endif
  constexpr uint64_t kTebibyte = uint64_t{1} << 40;
  const std::vector<uint64_t> offsets = {
      0, 4096, kTebibyte - 5000, kTebibyte - 20, kTebibyte + 70, kTebibyte + (uint64_t{1} << 33)};
  const int fd = open(data_.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0644);
  ASSERT_GE(fd, 0);
  std::map<std::string, uint64_t> keys;
  for (size_t i = 0; i < offsets.size(); ++i) {
    const std::string key = BenchUuid(i);
    keys[key] = offsets[i];
    const std::string line = absl::StrCat(key, " value ", i, "\n");
    ASSERT_EQ(pwrite(fd, line.data(), line.size(), offsets[i]), static_cast<ssize_t>(line.size()))
        << "a sparse file of 1 TiB is needed";
  }
  close(fd);
  IndexHeader header;
  auto identity = IdentifyData(fs_, data_);
  ASSERT_TRUE(identity.ok());
  header.data = *identity;
  header.ChooseWidths(keys.size());
  EXPECT_EQ(header.offset_bits, 41);
  auto writer = IndexWriter::New(fs_, index_, header);
  ASSERT_TRUE(writer.ok());
  for (const auto& [key, offset] : keys) {
    uint64_t code = 0;
    ASSERT_TRUE(header.coding.Code(key, &code));
    ASSERT_TRUE((*writer)->Add(code, offset, offset % 2 == 0 ? 7 : 1 << 20).ok());
  }
  ASSERT_TRUE((*writer)->Finish().ok());
  const auto store = Open();
  for (size_t i = 0; i < offsets.size(); ++i) {
    EXPECT_EQ(**store->Get(BenchUuid(i)), absl::StrCat("value ", i));
  }
  EXPECT_FALSE(store->Get(BenchUuid(99))->has_value());
  fs_->Delete(data_).IgnoreError();
}

}  // namespace
}  // namespace kvarts
