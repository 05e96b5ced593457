// Tables of which a few are open at a time.

#include "storage/sstable/open_files.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"
#include "storage/sstable/sstable.h"
#include "storage/sstable/test_store.h"

namespace kvarts {
namespace {

std::string Contents(const RandomAccessFile& file) {
  char bytes[16];
  const auto n = file.Read(0, sizeof(bytes), bytes);
  return n.ok() ? std::string(bytes, *n) : n.status().ToString();
}

class OpenFilesTest : public testing::Test {
 protected:
  // Each holds its name.
  std::unique_ptr<RandomAccessFile> Keep(sstable::OpenFiles* files, const std::string& name) {
    EXPECT_TRUE(WriteFileAtomically(&fs_, name, name).ok());
    return files->Keep(name, fs_.OpenForRead(name).value());
  }

  MemoryFileSystem fs_;
};

TEST_F(OpenFilesTest, AtMostSoManyAreOpenAndAllCanBeRead) {
  sstable::OpenFiles files(&fs_, 3);
  std::vector<std::unique_ptr<RandomAccessFile>> kept;
  for (int i = 0; i < 10; ++i) {
    kept.push_back(Keep(&files, absl::StrCat("f", i)));
    EXPECT_LE(files.open(), 3u);
  }
  for (int round = 0; round < 3; ++round) {
    for (size_t i = 0; i < kept.size(); ++i) {
      EXPECT_EQ(Contents(*kept[i]), absl::StrCat("f", i));
      EXPECT_EQ(*kept[i]->Size(), 2u);
      EXPECT_LE(files.open(), 3u);
    }
  }
  kept.clear();
  EXPECT_EQ(files.open(), 0u);
}

TEST_F(OpenFilesTest, AFileOutlivesWhatKeptIt) {
  auto files = std::make_unique<sstable::OpenFiles>(&fs_, 1);
  const auto one = Keep(files.get(), "one");
  const auto two = Keep(files.get(), "two");
  files = nullptr;
  EXPECT_EQ(Contents(*one), "one");
  EXPECT_EQ(Contents(*two), "two");
}

TEST_F(OpenFilesTest, ThreadsReadWhatOthersClose) {
  sstable::OpenFiles files(&fs_, 2);
  std::vector<std::unique_ptr<RandomAccessFile>> kept;
  for (int i = 0; i < 6; ++i) kept.push_back(Keep(&files, absl::StrCat("f", i)));
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 2000; ++i) {
        const size_t which = (i * (t + 1) + t) % kept.size();
        ASSERT_EQ(Contents(*kept[which]), absl::StrCat("f", which));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(files.open(), 2u);
}

// All of it within a cache that has room for every index.
TEST_F(OpenFilesTest, AStoreOfManyTablesReadsAllOfThem) {
  SstableOptions options = SmallSstable(&fs_);
  options.memory = 64 << 20;
  options.most_open_files = 4;
  auto store = OpenSstable(kTestDir, options).value();
  State state;
  for (int i = 0; i < 2000; ++i) {
    const std::string key = absl::StrCat("key", 10'000 + i);
    state[key] = std::string(50, static_cast<char>('a' + i % 26));
    ASSERT_TRUE(store->Put(key, state[key]).ok());
  }
  ASSERT_TRUE(store->maintenance()->Flush().ok());
  EXPECT_GT(FilesOf(&fs_, ".tbl").size(), 20u);
  EXPECT_EQ(*ContentsOf(store.get()), state);
  for (const auto& [key, value] : state) ASSERT_EQ(**store->Get(key), value);
  EXPECT_LE(StatOf(store.get(), "open_tables"), 4u);
  EXPECT_GE(StatOf(store.get(), "open_tables"), 1u);
}

}  // namespace
}  // namespace kvarts
