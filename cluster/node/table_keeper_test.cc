#include "cluster/node/table_keeper.h"

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cluster/coordinator/simulated_coordinator.h"
#include "gtest/gtest.h"
#include "testing/sim/world.h"

namespace kvarts {
namespace cluster {
namespace {

class TableKeeperTest : public testing::Test {
 protected:
  TableKeeperTest() {
    Do([this] { keeper_.Start(); });
  }
  ~TableKeeperTest() override {
    Do([this] { keeper_.Stop(); });
  }

  template <typename What>
  void Do(What what) {
    loop_->Post(what);
    world_.RunFor(absl::Seconds(1));
  }
  // What came of a transaction; nothing where nobody was told.
  std::optional<absl::Status> Commit(bool stop = false) {
    auto told = std::make_shared<std::optional<absl::Status>>();
    Do([this, told, stop] {
      Coordinator::Transaction transaction;
      transaction.changes.push_back({"name", "bytes"});
      keeper_.Commit(std::move(transaction),
                     [told](const absl::StatusOr<Coordinator::Outcome>& outcome) {
                       *told = outcome.status();
                     });
      if (stop) keeper_.Stop();
    });
    return *told;
  }

  SimWorld world_{1};
  EventLoop* const loop_ = world_.NewLoop(world_.NewProcess("node"));
  SimulatedCoordinator coordinator_{loop_};
  const std::unique_ptr<Coordinator> client_ = coordinator_.NewClient(loop_);
  TableKeeper keeper_{client_.get(), loop_, [] {}, [](absl::string_view) {}};
};

TEST_F(TableKeeperTest, ARestoredCoordinatorIsToldNothing) {
  EXPECT_EQ(Commit(), absl::OkStatus());
  coordinator_.Restore(Coordinator::Contents());
  Do([this] { keeper_.ReadNow(); });
  const std::optional<absl::Status> status = Commit();
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(coordinator_.contents().revision, 0);
}

TEST_F(TableKeeperTest, NothingIsCalledOnceItHasStopped) {
  EXPECT_EQ(Commit(/*stop=*/false), absl::OkStatus());
  coordinator_.Restore(Coordinator::Contents());
  Do([this] { keeper_.ReadNow(); });
  EXPECT_FALSE(Commit(/*stop=*/true).has_value());
}

}  // namespace
}  // namespace cluster
}  // namespace kvarts
