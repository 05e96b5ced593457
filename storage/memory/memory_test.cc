// What atomic batches promise to readers beside them.

#include "storage/memory/memory.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace {

constexpr size_t kKeys = 300;

class MemoryTest : public testing::Test {
 protected:
  MemoryTest() : store_(NewMemoryStore()) {
    for (size_t i = 0; i < kKeys; ++i) names_.push_back(absl::StrCat("key", i));
    // So many that the keys are in several segments.
    for (size_t i = 0; i < 5000; ++i) {
      EXPECT_TRUE(store_->Put(absl::StrCat("other", i), std::string(200, 'o')).ok());
    }
    keys_.assign(names_.begin(), names_.end());
  }

  void PutAll(absl::string_view value) {
    WriteBatch batch;
    for (const absl::string_view key : keys_) batch.Put(key, value);
    WriteOptions options;
    options.atomic = true;
    EXPECT_TRUE(store_->Write(batch, options, nullptr).ok());
  }

  const std::unique_ptr<Store> store_;
  std::vector<std::string> names_;
  std::vector<absl::string_view> keys_;
};

// Readers that only try again would wait until there is a moment without a batch.
TEST_F(MemoryTest, MultiGetEndsBesideBatchesThatFollowEachOther) {
  PutAll("0");
  std::atomic<bool> stop{false};
  std::atomic<int> batches{0};
  std::vector<std::thread> writers;
  for (int t = 0; t < 3; ++t) {
    writers.emplace_back([&, t] {
      while (!stop) {
        PutAll(absl::StrCat(t));
        ++batches;
      }
    });
  }
  while (batches < 10) std::this_thread::yield();
  ReadResults results;
  for (int i = 0; i < 300; ++i) {
    store_->MultiGet(keys_, ReadOptions(), &results);
    for (const ReadResult& result : results) EXPECT_EQ(result.value, results[0].value);
  }
  stop = true;
  for (std::thread& writer : writers) writer.join();
}

TEST_F(MemoryTest, AnAtomicRangeGoesAsAWhole) {
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    ReadResults results;
    while (!stop) {
      store_->MultiGet(keys_, ReadOptions(), &results);
      for (const ReadResult& result : results) ASSERT_EQ(result.found, results[0].found);
    }
  });
  for (int i = 0; i < 300; ++i) {
    PutAll("value");
    WriteBatch batch;
    batch.DeleteRange("key", "kez");
    WriteOptions options;
    options.atomic = true;
    EXPECT_TRUE(store_->Write(batch, options, nullptr).ok());
  }
  stop = true;
  reader.join();
}

}  // namespace
}  // namespace kvarts
