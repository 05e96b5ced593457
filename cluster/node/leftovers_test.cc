#include "cluster/node/leftovers.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "cluster/node/node_parts.h"
#include "gtest/gtest.h"
#include "storage/memory/memory.h"

namespace kvarts {
namespace cluster {
namespace {

using Slots = std::vector<uint16_t>;

class LeftoversTest : public testing::Test {
 protected:
  LeftoversTest() {
    parts_.store = &store_;
    leftovers_.Init({});
    leftovers_.Settle();
  }

  const std::unique_ptr<Store> under_ = *OpenMemoryStore(MemoryOptions());
  NodeStore store_{under_.get(), [](Task) { FAIL() << "the store does not block"; }};
  NodeParts parts_;
  // Lists that are being saved, and who is to be told.
  std::vector<std::pair<Slots, absl::AnyInvocable<void(absl::Status)>>> saves_;
  Leftovers leftovers_{&parts_,
                       [this](const Slots& slots, absl::AnyInvocable<void(absl::Status)> done) {
                         saves_.emplace_back(slots, std::move(done));
                       }};
};

// Two of them on their way to a disk could come there in either order.
TEST_F(LeftoversTest, ListsAreSavedOneAfterTheOtherAndTheNewestLast) {
  int told = 0;
  leftovers_.Mark({1}, [&](const absl::Status&) { ++told; });
  leftovers_.Mark({2}, [&](const absl::Status&) { ++told; });
  leftovers_.Unmark({1});
  ASSERT_EQ(saves_.size(), 1u);
  EXPECT_EQ(saves_[0].first, Slots({1}));
  saves_[0].second(absl::OkStatus());
  EXPECT_EQ(told, 1);
  ASSERT_EQ(saves_.size(), 2u);
  EXPECT_EQ(saves_[1].first, Slots({2}));
  saves_[1].second(absl::OkStatus());
  EXPECT_EQ(told, 2);
  EXPECT_EQ(saves_.size(), 2u);
}

TEST_F(LeftoversTest, WhoMarksIsToldThatItIsNotOnTheDisk) {
  absl::Status status;
  leftovers_.Mark({7}, [&](const absl::Status& s) { status = s; });
  saves_[0].second(absl::DataLossError("the disk"));
  EXPECT_EQ(status, absl::DataLossError("the disk"));
}

TEST_F(LeftoversTest, MarkedSlotsAreForeignToTheStore) {
  leftovers_.Mark({7, 8}, [](const absl::Status&) {});
  EXPECT_EQ(store_.slots()->foreign(), 2);
  leftovers_.Unmark({7, 8});
  EXPECT_EQ(store_.slots()->foreign(), 0);
}

}  // namespace
}  // namespace cluster
}  // namespace kvarts
