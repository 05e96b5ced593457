#include "storage/layers/cache.h"

#include <atomic>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/layers/forwarding_store.h"
#include "storage/layers/layer_fixture.h"
#include "testing/conformance/store_suite.h"
#include "testing/model/model_fixture.h"
#include "testing/model/model_test.h"

namespace kvarts {
namespace {

// `bytes` so few that most is evicted, or enough for all.
std::unique_ptr<StoreFixture> NewFixture(uint64_t bytes, const Capabilities& capabilities) {
  auto under = std::make_unique<ModelFixture>(capabilities, 1 << 20);
  CacheOptions options;
  options.bytes = bytes;
  options.clock = under->clock();
  return std::make_unique<LayerFixture>(std::move(under), [options](std::unique_ptr<Store> store) {
    return NewCacheStore(std::move(store), options);
  });
}

Capabilities WithoutAtomicReads() {
  Capabilities capabilities = ModelCapabilities();
  capabilities.atomic_multi_get = false;
  return capabilities;
}

constexpr uint64_t kAmple = 64 << 20;
constexpr uint64_t kScarce = 6000;

TEST(CacheTest, RandomOperationsGiveWhatTheModelGives) {
  for (const uint64_t bytes : {kAmple, kScarce}) {
    for (const bool atomic : {true, false}) {
      const ModelTestReport report = CheckAgainstModel(
          [&] { return NewFixture(bytes, atomic ? ModelCapabilities() : WithoutAtomicReads()); });
      EXPECT_TRUE(report.ok) << report.text;
    }
  }
}

// Counts the keys that reach the store, and calls a hook beside its calls.
class Spy final : public ForwardingStore {
 public:
  struct Log {
    std::atomic<uint64_t> keys{0};
    std::function<void()> after_read;  // before it returns
    std::function<void()> in_write;    // behind it, before it returns
    absl::Status write_fails;          // although it was applied
  };
  Spy(std::unique_ptr<Store> under, Log* log) : ForwardingStore(std::move(under)), log_(log) {}

  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    log_->keys += keys.size();
    under().MultiGet(keys, options, results);
    if (log_->after_read) std::exchange(log_->after_read, nullptr)();
  }
  void Read(absl::string_view key, const ReadOptions& options, ReadResults* results) override {
    MultiGet({&key, 1}, options, results);
  }
  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override {
    absl::Status status = under().Write(batch, options, results);
    if (log_->in_write) std::exchange(log_->in_write, nullptr)();
    if (log_->write_fails.ok()) return status;
    return FailWrite(batch, std::exchange(log_->write_fails, absl::OkStatus()), results);
  }

 private:
  Log* const log_;
};

class CacheSpyTest : public testing::Test {
 protected:
  void Open(uint64_t bytes = kAmple, const Capabilities& capabilities = ModelCapabilities()) {
    ModelStoreOptions options;
    options.capabilities = capabilities;
    options.records = {{"a", "1"}, {"b", "2"}, {"large", std::string(3000, 'v')}};
    CacheOptions cache;
    cache.bytes = bytes;
    store_ = NewCacheStore(std::make_unique<Spy>(NewModelStore(options), &log_), cache);
  }
  std::string Get(absl::string_view key) {
    const auto value = store_->Get(key);
    EXPECT_TRUE(value.ok()) << value.status();
    return value->has_value() ? **value : "(absent)";
  }
  uint64_t Detail(const std::string& name) {
    const auto stats = store_->Stats();
    EXPECT_TRUE(stats.ok());
    for (const auto& [key, value] : stats->details) {
      uint64_t out;
      if (key == name && absl::SimpleAtoi(value, &out)) return out;
    }
    ADD_FAILURE() << "no " << name;
    return 0;
  }

  Spy::Log log_;
  std::unique_ptr<Store> store_;
};

TEST_F(CacheSpyTest, ASecondReadDoesNotReachTheStore) {
  Open();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Get("a"), "1");
    EXPECT_EQ(Get("absent"), "(absent)");
    EXPECT_EQ(Get("large"), std::string(3000, 'v'));
  }
  EXPECT_EQ(log_.keys, 3u);
  EXPECT_EQ(Detail("cache_hits"), 6u);
  EXPECT_EQ(Detail("cache_misses"), 3u);
  EXPECT_EQ(Detail("cache_entries"), 3u);
}

TEST_F(CacheSpyTest, OnlyWhatIsMissingIsReadWhereBatchesNeedNotBeAtomic) {
  Open(kAmple, WithoutAtomicReads());
  Get("b");
  ReadResults results;
  store_->MultiGet({"a", "b", "absent"}, ReadOptions(), &results);
  EXPECT_EQ(log_.keys, 3u);
  EXPECT_EQ(results[0].value, "1");
  EXPECT_EQ(results[1].value, "2");
  EXPECT_FALSE(results[2].found);
}

TEST_F(CacheSpyTest, AnAtomicBatchComesFromOnePlace) {
  Open();
  Get("b");
  ReadResults results;
  store_->MultiGet({"a", "b"}, ReadOptions(), &results);
  EXPECT_EQ(log_.keys, 3u) << "all of it from the store";
  store_->MultiGet({"a", "b"}, ReadOptions(), &results);
  EXPECT_EQ(log_.keys, 3u) << "all of it from the cache";
  EXPECT_EQ(results[0].value, "1");
  EXPECT_EQ(results[1].value, "2");
}

TEST_F(CacheSpyTest, LargeValuesOutliveTheirEviction) {
  Open();
  Get("large");
  ReadResults results;
  store_->Read("large", ReadOptions(), &results);
  ASSERT_TRUE(store_->Put("large", "new").ok());
  EXPECT_EQ(results[0].value, std::string(3000, 'v'));
  store_.reset();
  EXPECT_EQ(results[0].value, std::string(3000, 'v'));
}

// The classic race: read from the store, then written by another, then taken up.
TEST_F(CacheSpyTest, WhatWasReadBeforeAWriteIsNotTakenUpBehindIt) {
  Open();
  log_.after_read = [this] { ASSERT_TRUE(store_->Put("a", "new").ok()); };
  EXPECT_EQ(Get("a"), "1") << "the read began before the write";
  EXPECT_EQ(Get("a"), "new");
  log_.after_read = [this] {
    WriteBatch batch;
    batch.DeleteRange("a", "c");
    ASSERT_TRUE(store_->Write(batch, WriteOptions(), nullptr).ok());
  };
  EXPECT_EQ(Get("b"), "2");
  EXPECT_EQ(Get("b"), "(absent)");
}

TEST_F(CacheSpyTest, NothingIsTakenUpWhileItIsWritten) {
  Open();
  Get("a");
  log_.in_write = [this] { EXPECT_EQ(Get("a"), "new") << "older than what others may have seen"; };
  ASSERT_TRUE(store_->Put("a", "new").ok());
  EXPECT_EQ(Get("a"), "new");
}

TEST_F(CacheSpyTest, AWriteThatMayComeLaterIsNeverCachedOver) {
  Open();
  Get("a");
  log_.write_fails = absl::DeadlineExceededError("who knows");
  EXPECT_FALSE(store_->Put("a", "new").ok());
  const uint64_t before = log_.keys;
  Get("a");
  Get("a");
  EXPECT_EQ(log_.keys, before + 2);
  log_.write_fails = absl::UnavailableError("not done");
  EXPECT_FALSE(store_->Put("b", "new").ok());
  Get("b");
  Get("b");
  EXPECT_EQ(log_.keys, before + 3);
}

TEST_F(CacheSpyTest, ErrorsAndBareAnswersAreNotCached) {
  Open();
  const std::string too_long(kMaxKeyBytes + 1, 'k');
  EXPECT_FALSE(store_->Get(too_long).ok());
  EXPECT_FALSE(store_->Get(too_long).ok());
  ReadOptions no_value;
  no_value.value = false;
  ReadResults results;
  store_->Read("a", no_value, &results);
  EXPECT_EQ(Get("a"), "1");
  store_->Read("a", no_value, &results);
  EXPECT_TRUE(results[0].found);
  EXPECT_EQ(results[0].value, "");
  EXPECT_EQ(log_.keys, 4u);
}

TEST_F(CacheSpyTest, MemoryStaysInsideTheBudget) {
  Open(100000);
  for (int i = 0; i < 5000; ++i) {
    Get(absl::StrCat("absent", i));
    if (i % 100 == 0) {
      ASSERT_LE(Detail("cache_bytes"), 100000u);
    }
  }
  EXPECT_GT(Detail("cache_bytes"), 80000u);
  Get("large");
  EXPECT_LE(Detail("cache_bytes"), 100000u);
}

TEST_F(CacheSpyTest, AScanDoesNotPushOutWhatIsReadAgainAndAgain) {
  Open(200000);
  const auto read_hot = [this] {
    for (int i = 0; i < 100; ++i) Get(absl::StrCat("hot", i));
  };
  for (int i = 0; i < 4; ++i) read_hot();
  for (int i = 0; i < 20000; ++i) Get(absl::StrCat("cold", i));
  const uint64_t before = log_.keys;
  read_hot();
  EXPECT_LT(log_.keys - before, 10u);
}

// A key's value only grows; nobody may see one that is less than what a write
// had returned before the read began, or than what was read before.
TEST(CacheTest, ThreadsNeverReadStaleValues) {
  for (const bool atomic : {true, false}) {
    ModelStoreOptions options;
    if (!atomic) options.capabilities = WithoutAtomicReads();
    const auto store = NewCacheStore(NewModelStore(options), CacheOptions());
    constexpr int kKeys = 4;
    std::array<std::atomic<int>, kKeys> written{};
    std::atomic<bool> done{false};
    for (int k = 0; k < kKeys; ++k) ASSERT_TRUE(store->Put(absl::StrCat("{t}", k), "0").ok());
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&] {
        std::vector<std::string> names;
        for (int k = 0; k < kKeys; ++k) names.push_back(absl::StrCat("{t}", k));
        const std::vector<absl::string_view> keys(names.begin(), names.end());
        ReadResults results;
        int seen[kKeys] = {};
        while (!done) {
          int floor[kKeys];
          for (int k = 0; k < kKeys; ++k) floor[k] = std::max(written[k].load(), seen[k]);
          store->MultiGet(keys, ReadOptions(), &results);
          for (int k = 0; k < kKeys; ++k) {
            ASSERT_TRUE(absl::SimpleAtoi(results[k].value, &seen[k]));
            ASSERT_GE(seen[k], floor[k]) << "stale";
            // Writers keep the keys equal.
            if (atomic) {
              ASSERT_EQ(seen[k], seen[0]) << "half of a batch";
            }
          }
          store->Read(keys[1], ReadOptions(), &results);
          int value;
          ASSERT_TRUE(absl::SimpleAtoi(results[0].value, &value));
          ASSERT_GE(value, seen[1]) << "stale";
        }
      });
    }
    WriteOptions together;
    together.atomic = true;
    for (int n = 1; n <= 3000; ++n) {
      const std::string value = absl::StrCat(n);
      WriteBatch batch;
      std::vector<std::string> names;
      for (int k = 0; k < kKeys; ++k) names.push_back(absl::StrCat("{t}", k));
      for (const std::string& name : names) batch.Put(name, value);
      ASSERT_TRUE(store->Write(batch, together, nullptr).ok());
      for (auto& w : written) w = n;
    }
    done = true;
    for (std::thread& thread : threads) thread.join();
  }
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  using namespace kvarts;  // NOLINT(google-build-using-namespace)
  testing::InitGoogleTest(&argc, argv);
  RegisterStoreSuite("CacheOverModel", [] { return NewFixture(kAmple, ModelCapabilities()); });
  RegisterStoreSuite("ScarceCacheOverModel",
                     [] { return NewFixture(kScarce, ModelCapabilities()); });
  RegisterStoreSuite("CacheOverModelWithoutAtomicReads",
                     [] { return NewFixture(kAmple, WithoutAtomicReads()); });
  RegisterStoreSuite("CacheOverSlowModel", [] {
    CacheOptions options;
    options.bytes = kAmple;
    return NewSlowLayerFixture([options](std::unique_ptr<Store> under) {
      return NewCacheStore(std::move(under), options);
    });
  });
  return RUN_ALL_TESTS();
}
