#include "storage/layers/unsynced.h"

#include <memory>
#include <utility>

#include "gtest/gtest.h"
#include "storage/layers/forwarding_store.h"
#include "storage/layers/layer_fixture.h"
#include "testing/conformance/store_suite.h"
#include "testing/model/model_fixture.h"
#include "testing/model/model_test.h"

namespace kvarts {
namespace {

std::unique_ptr<StoreFixture> NewFixture() {
  return std::make_unique<LayerFixture>(
      std::make_unique<ModelFixture>(ModelCapabilities(), 1 << 20), NewUnsyncedStore);
}

TEST(UnsyncedTest, RandomOperationsGiveWhatTheModelGives) {
  const ModelTestReport report = CheckAgainstModel(NewFixture);
  EXPECT_TRUE(report.ok) << report.text;
}

// Not thread-safe. Counts the writes that reach it, and those of them that wait for the disk.
class CountingStore final : public ForwardingStore {
 public:
  CountingStore(int* writes, int* synced)
      : ForwardingStore(NewModelStore()), writes_(writes), synced_(synced) {}

  absl::Status Write(const WriteBatch& batch, const WriteOptions& options,
                     WriteResults* results) override {
    Count(options);
    return ForwardingStore::Write(batch, options, results);
  }
  void Submit(const WriteBatch& batch, const WriteOptions& options, WriteResults* results,
              WriteDone done) override {
    Count(options);
    ForwardingStore::Submit(batch, options, results, std::move(done));
  }
  absl::Status Modify(absl::string_view key, const WriteOptions& options,
                      Modifier function) override {
    Count(options);
    return ForwardingStore::Modify(key, options, function);
  }

 private:
  void Count(const WriteOptions& options) {
    ++*writes_;
    *synced_ += options.sync ? 1 : 0;
  }

  int* const writes_;
  int* const synced_;
};

TEST(UnsyncedTest, NoWriteWaitsForTheDiskHoweverItIsMade) {
  int writes = 0;
  int synced = 0;
  const auto store = NewUnsyncedStore(std::make_unique<CountingStore>(&writes, &synced));
  WriteOptions options;
  options.sync = true;
  WriteBatch batch;
  batch.Put("a", "1");
  EXPECT_TRUE(store->Write(batch, options, nullptr).ok());
  absl::Status submitted = absl::UnknownError("not done");
  store->Submit(batch, options, nullptr, [&](const absl::Status& status) { submitted = status; });
  EXPECT_TRUE(submitted.ok()) << submitted;
  EXPECT_TRUE(
      store->Modify("a", options, [](const ReadResult&) { return Modification::Put("2"); }).ok());
  EXPECT_EQ(writes, 3);
  EXPECT_EQ(synced, 0);
  EXPECT_EQ(**store->Get("a"), "2");
}

}  // namespace
}  // namespace kvarts

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  kvarts::RegisterStoreSuite("UnsyncedOverModel", kvarts::NewFixture);
  kvarts::RegisterStoreSuite("UnsyncedOverSlowModel",
                             [] { return kvarts::NewSlowLayerFixture(kvarts::NewUnsyncedStore); });
  return RUN_ALL_TESTS();
}
