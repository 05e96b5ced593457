#include "cluster/client/nodes.h"

#include <atomic>
#include <memory>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cluster/client/test_cluster.h"
#include "gtest/gtest.h"
#include "net/waiting.h"

namespace kvarts {
namespace cluster_client {
namespace {

constexpr absl::Duration kLong = absl::Hours(1);

class NodesTest : public testing::Test {
 protected:
  NodesTest() {
    auto nodes = Nodes::Open(cluster_.transport(), cluster_.seeds(), {});
    EXPECT_TRUE(nodes.ok()) << nodes.status();
    nodes_ = *std::move(nodes);
    seen_ = nodes_->route();
  }

  void Refresh(absl::Duration left, absl::Duration pause, StatusWaiter* done, RoutePtr* found) {
    nodes_->Refresh(seen_, nullptr, absl::Now() + left, pause,
                    [done, found](const RoutePtr& route) {
                      *found = route;
                      done->Done(absl::OkStatus());
                    });
  }

  TestCluster cluster_{3};
  std::shared_ptr<Nodes> nodes_;
  RoutePtr seen_;
};

TEST_F(NodesTest, CallsAtOnceShareOneReadingOfTheMap) {
  StatusWaiter all;
  RunOnLoop(nodes_->loop(), [&] {
    const auto left = std::make_shared<int>(100);
    for (int i = *left; i > 0; --i) {
      nodes_->Refresh(seen_, nullptr, absl::Now() + kLong, absl::ZeroDuration(),
                      [&all, left](const RoutePtr&) {
                        if (--*left == 0) all.Done(absl::OkStatus());
                      });
    }
  });
  all.Wait().IgnoreError();
  uint64_t asked = 0;
  for (int i = 0; i < cluster_.size(); ++i) {
    cluster_.Stop(i);
    asked += cluster_.requests(i);
  }
  EXPECT_EQ(asked, 3u) << "one to open, and two that agree";
}

TEST_F(NodesTest, WhoWaitsGoesOnWithTheMapThatAnotherCallHasFound) {
  StatusWaiter waits;
  RoutePtr found;
  Refresh(kLong, kLong, &waits, &found);
  StatusWaiter asks;
  RoutePtr newer;
  Refresh(kLong, absl::ZeroDuration(), &asks, &newer);  // the same reading, or the next one
  asks.Wait().IgnoreError();
  EXPECT_EQ(newer, seen_);
  cluster_.Move(SlotRange(), 1);
  StatusWaiter asks_again;
  Refresh(kLong, absl::ZeroDuration(), &asks_again, &newer);
  asks_again.Wait().IgnoreError();
  EXPECT_NE(newer, seen_);
  waits.Wait().IgnoreError();
  EXPECT_EQ(found, newer);
}

TEST_F(NodesTest, ACallThatWaitsEndsAtItsDeadlineThoughNothingComes) {
  for (int i = 0; i < cluster_.size(); ++i) cluster_.Stop(i);
  StatusWaiter done;
  RoutePtr found;
  Refresh(absl::Milliseconds(20), kLong, &done, &found);
  done.Wait().IgnoreError();
  EXPECT_EQ(found, seen_);
}

}  // namespace
}  // namespace cluster_client
}  // namespace kvarts
