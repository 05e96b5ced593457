#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "net/loopback/loopback.h"
#include "net/remote/remote_store.h"
#include "net/remote/served_store.h"
#include "testing/model/fake_maintenance.h"
#include "testing/model/model_store.h"

namespace kvarts {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;

// A store with maintenance, served, and opened from afar.
class RemoteMaintenanceTest : public testing::TestWithParam<bool> {
 protected:
  RemoteMaintenanceTest() {
    ModelStoreOptions model;
    model.capabilities.may_block = GetParam();
    auto store = std::make_unique<MaintainedStore>(NewModelStore(model));
    fake_ = store->maintenance();
    served_ = ServedStore::Start(std::move(store), transport_.get(), "loopback:s").value();
    RemoteOptions options;
    options.timeout = absl::Milliseconds(1);  // of other calls: work on files may take longer
    store_ = OpenRemoteStore(transport_.get(), served_->address(), options).value();
  }

  const std::unique_ptr<Transport> transport_ = NewLoopbackTransport();
  std::unique_ptr<ServedStore> served_;
  FakeMaintenance* fake_ = nullptr;
  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(All, RemoteMaintenanceTest, testing::Bool(), [](const auto& info) {
  return info.param ? "OfAStoreThatBlocks" : "OfAStoreThatDoesNot";
});

TEST_P(RemoteMaintenanceTest, EachCallReachesTheServedStore) {
  Maintenance* const maintenance = store_->maintenance();
  ASSERT_NE(maintenance, nullptr);
  EXPECT_TRUE(maintenance->Flush().ok());
  EXPECT_TRUE(maintenance->Compact({"a", "b"}).ok());
  EXPECT_EQ(*maintenance->ApproximateBytes({"c", ""}), 12345u);
  const auto report = maintenance->Verify();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->files, 3u);
  EXPECT_EQ(report->bytes, 4096u);
  EXPECT_EQ(report->entries, 17u);
  EXPECT_EQ(*maintenance->Checkpoint("today"), "/checkpoints/today");
  EXPECT_EQ(*maintenance->Checkpoint(""), "/checkpoints/of-now");
  EXPECT_THAT(fake_->Calls(), ElementsAre("flush", "compact a to b", "bytes c to ", "verify",
                                          "checkpoint today", "checkpoint "));
}

TEST_P(RemoteMaintenanceTest, ErrorsAreTheStores) {
  fake_->LetGo(absl::DataLossError("000012.table, offset 4096"));
  const absl::Status status = store_->maintenance()->Verify().status();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_THAT(status.message(), HasSubstr("000012.table, offset 4096"));
}

TEST_P(RemoteMaintenanceTest, ACheckpointIsNamedWithinTheDirectoryForThem) {
  for (const char* name : {"..", ".", "/etc/x", "a/b", "../x"}) {
    EXPECT_EQ(store_->maintenance()->Checkpoint(name).status().code(), StatusCode::kInvalidArgument)
        << name;
  }
  EXPECT_TRUE(fake_->Calls().empty());
}

TEST_P(RemoteMaintenanceTest, WorkOnFilesHoldsNoOtherCallUp) {
  fake_->Hold();
  absl::Status status;
  std::thread compacts([&] { status = store_->maintenance()->Compact({}); });
  fake_->AwaitCalls(1);
  RemoteOptions options;
  const auto other = OpenRemoteStore(transport_.get(), served_->address(), options);
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_TRUE((*other)->Put("k", "v").ok());
  EXPECT_EQ(**(*other)->Get("k"), "v");
  EXPECT_EQ((*other)->maintenance()->Flush().code(), StatusCode::kUnavailable) << "one at a time";
  fake_->LetGo();
  compacts.join();
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(RemoteMaintenanceTest, ALostConnectionMeansThatItMayHaveBeenDone) {
  fake_->Hold();
  absl::Status status;
  std::thread checkpoints([&] { status = store_->maintenance()->Checkpoint("x").status(); });
  fake_->AwaitCalls(1);
  std::thread ends([&] { served_.reset(); });  // waits for the work
  checkpoints.join();
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded) << status;
  fake_->LetGo();
  ends.join();
  EXPECT_EQ(store_->maintenance()->Flush().code(), StatusCode::kUnavailable)
      << "it does not wait for a server that is gone";
}

TEST_P(RemoteMaintenanceTest, AfterCloseItFails) {
  EXPECT_TRUE(store_->Close().ok());
  EXPECT_EQ(store_->maintenance()->Flush().code(), StatusCode::kFailedPrecondition);
}

TEST_P(RemoteMaintenanceTest, TheIndexIsLoadedAndSavedFromAfar) {
  Maintenance* const maintenance = store_->maintenance();
  const auto loaded = maintenance->LoadIndex();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->tables, 3u);
  EXPECT_EQ(loaded->keys, 1000u);
  EXPECT_EQ(loaded->bytes, 65536u);
  EXPECT_EQ(loaded->from_file, 0u);
  ASSERT_TRUE(maintenance->SaveIndexSnapshot("f").ok());
  EXPECT_EQ(maintenance->LoadIndexSnapshot("f")->from_file, 2u);
  EXPECT_THAT(fake_->Calls(), ElementsAre("load index", "save index f", "load index f"));
  for (const char* name : {"..", "/etc/x", "a/b"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(maintenance->SaveIndexSnapshot(name).status())) << name;
    EXPECT_TRUE(absl::IsInvalidArgument(maintenance->LoadIndexSnapshot(name).status())) << name;
  }
  EXPECT_EQ(fake_->Calls().size(), 3u);
}

TEST(RemoteStoreTest, AStoreWithoutFilesHasNoMaintenanceFromAfar) {
  const std::unique_ptr<Transport> transport = NewLoopbackTransport();
  const auto served = ServedStore::Start(NewModelStore(), transport.get(), "loopback:s");
  ASSERT_TRUE(served.ok()) << served.status();
  const auto store = OpenRemoteStore(transport.get(), (*served)->address());
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->maintenance(), nullptr);
}

}  // namespace
}  // namespace kvarts
