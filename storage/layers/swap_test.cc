#include "storage/layers/swap.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/layers/layer_fixture.h"
#include "testing/conformance/store_suite.h"
#include "testing/model/model_fixture.h"
#include "testing/model/model_test.h"

namespace kvarts {
namespace {

constexpr int kKeys = 40;

// A store in which each key has the generation for its value.
std::unique_ptr<Store> Generation(int n) {
  ModelStoreOptions options;
  for (int i = 0; i < kKeys; ++i) options.records.emplace_back(absl::StrCat(i), absl::StrCat(n));
  return NewModelStore(std::move(options));
}

// Straight over the model, and over one that was swapped in.
std::unique_ptr<StoreFixture> NewFixture(bool swapped) {
  return std::make_unique<LayerFixture>(
      std::make_unique<ModelFixture>(ModelCapabilities(), 1 << 20),
      [swapped](std::unique_ptr<Store> under) {
        if (!swapped) return SwapStore::New(std::move(under));
        auto store = SwapStore::New(Generation(0));
        EXPECT_TRUE(store->Swap(std::move(under)).ok());
        return store;
      });
}

TEST(SwapTest, RandomOperationsGiveWhatTheModelGives) {
  for (const bool swapped : {false, true}) {
    const auto report = CheckAgainstModel([swapped] { return NewFixture(swapped); });
    EXPECT_TRUE(report.ok) << report.text;
  }
}

TEST(SwapTest, CursorsAndSnapshotsStayWithTheirStore) {
  auto store = SwapStore::New(Generation(1));
  ReadResults lent;
  store->Read("7", ReadOptions(), &lent);
  auto cursor = store->NewCursor(ScanOptions());
  const auto snapshot = store->GetSnapshot();
  ASSERT_TRUE(cursor.ok() && snapshot.ok());
  ASSERT_TRUE(store->Swap(Generation(2)).ok());
  EXPECT_EQ(store->swaps(), 1u);
  const absl::StatusOr<StoreStats> stats = store->Stats();
  ASSERT_TRUE(stats.ok() && !stats->details.empty());
  EXPECT_EQ(stats->details.back(), std::make_pair(std::string("swaps"), std::string("1")));
  EXPECT_EQ(**store->Get("7"), "2");
  EXPECT_EQ(lent[0].value, "1");
  ScanPage page;
  ASSERT_TRUE((*cursor)->Next(PageLimits(), &page).ok());
  ASSERT_EQ(page.size(), static_cast<size_t>(kKeys));
  EXPECT_EQ(page[0].value, "1");
  ReadOptions at;
  at.snapshot = *snapshot;
  ReadResults results;
  store->Read("7", at, &results);
  EXPECT_EQ(results[0].value, "1");
  ScanOptions scan;
  scan.snapshot = *snapshot;
  auto again = store->NewCursor(scan);
  ASSERT_TRUE(again.ok()) << again.status();
  ASSERT_TRUE((*again)->Next(PageLimits(), &page).ok());
  EXPECT_EQ(page[0].value, "1");
}

// Says when it is destroyed.
class Witness final : public Store {
 public:
  explicit Witness(bool* gone) : under_(Generation(1)), gone_(gone) {}
  ~Witness() override { *gone_ = true; }
  Capabilities capabilities() const override { return under_->capabilities(); }
  void MultiGet(absl::Span<const absl::string_view> keys, const ReadOptions& options,
                ReadResults* results) override {
    under_->MultiGet(keys, options, results);
  }
  absl::StatusOr<std::unique_ptr<Cursor>> NewCursor(const ScanOptions& options) override {
    return under_->NewCursor(options);
  }
  absl::StatusOr<StoreStats> Stats() override { return under_->Stats(); }
  absl::Status Close() override { return under_->Close(); }

 private:
  const std::unique_ptr<Store> under_;
  bool* const gone_;
};

TEST(SwapTest, TheOldStoreEndsWithTheLastThatUsesIt) {
  bool gone = false;
  auto store = SwapStore::New(std::make_unique<Witness>(&gone));
  auto cursor = store->NewCursor(ScanOptions());
  ASSERT_TRUE(cursor.ok());
  auto old = store->Swap(Generation(2));
  ASSERT_TRUE(old.ok());
  old->reset();
  EXPECT_FALSE(gone) << "a cursor of it is left";
  cursor->reset();
  EXPECT_TRUE(gone);
}

TEST(SwapTest, OtherCapabilitiesAreRefused) {
  auto store = SwapStore::New(Generation(1));
  ModelStoreOptions options;
  options.capabilities.snapshot = Support::kAbsent;
  EXPECT_EQ(store->Swap(NewModelStore(options)).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(**store->Get("7"), "1");
}

TEST(SwapTest, AClosedStoreIsNotSwapped) {
  auto store = SwapStore::New(Generation(1));
  ASSERT_TRUE(store->Close().ok());
  EXPECT_EQ(store->Swap(Generation(2)).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(store->Get("7").status().code(), absl::StatusCode::kFailedPrecondition);
}

// Every call sees one generation, and none fails, while stores come and go.
TEST(SwapTest, CallsOnManyThreadsNeverSeeHalfOfASwap) {
  auto store = SwapStore::New(Generation(0));
  std::atomic<bool> done{false};
  std::atomic<uint64_t> rounds{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::vector<std::string> names;
      for (int i = 0; i < kKeys; ++i) names.push_back(absl::StrCat(i));
      const std::vector<absl::string_view> keys(names.begin(), names.end());
      ReadResults results;
      ScanPage page;
      int last = 0;
      for (int i = 0; !done; ++i) {
        store->MultiGet(keys, ReadOptions(), &results);
        for (const ReadResult& result : results) {
          ASSERT_TRUE(result.status.ok() && result.found) << result.status;
          ASSERT_EQ(result.value, results[0].value) << "of two stores";
        }
        const int now = std::stoi(std::string(results[0].value));
        ASSERT_GE(now, last) << "an older store than before";
        last = now;
        ReadOptions at;
        if (i % 3 == t % 3) {
          const auto snapshot = store->GetSnapshot();
          ASSERT_TRUE(snapshot.ok()) << snapshot.status();
          at.snapshot = *snapshot;
        }
        store->Read("5", at, &results);
        ASSERT_TRUE(results[0].found) << results[0].status;
        if (i % 5 == t % 5) {
          auto cursor = store->NewCursor(ScanOptions());
          ASSERT_TRUE(cursor.ok());
          PageLimits limits;
          limits.entries = 11;
          std::string value;
          size_t entries = 0;
          do {
            ASSERT_TRUE((*cursor)->Next(limits, &page).ok());
            for (const ScanEntry& entry : page) {
              if (entries++ == 0) value = std::string(entry.value);
              ASSERT_EQ(entry.value, value);
            }
          } while (!page.empty());
          ASSERT_EQ(entries, static_cast<size_t>(kKeys));
        }
        ++rounds;
      }
    });
  }
  for (int n = 1; n <= 200 || rounds < 200; ++n) {
    auto old = store->Swap(Generation(n));
    ASSERT_TRUE(old.ok());
    ASSERT_TRUE((*old)->Stats().ok()) << "closed while it may be in use";
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  kvarts::RegisterStoreSuite("SwapOverModel", [] { return kvarts::NewFixture(false); });
  kvarts::RegisterStoreSuite("SwappedModel", [] { return kvarts::NewFixture(true); });
  kvarts::RegisterStoreSuite("SwapOverSlowModel", [] {
    return kvarts::NewSlowLayerFixture([](std::unique_ptr<kvarts::Store> under) {
      return std::unique_ptr<kvarts::Store>(kvarts::SwapStore::New(std::move(under)));
    });
  });
  return RUN_ALL_TESTS();
}
