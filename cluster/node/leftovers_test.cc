#include "cluster/node/leftovers.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/slot.h"
#include "cluster/node/node_parts.h"
#include "cluster/node/pace.h"
#include "gtest/gtest.h"
#include "net/store_runner.h"
#include "storage/memory/memory.h"
#include "testing/sim/world.h"

namespace kvarts {
namespace cluster {
namespace {

using Slots = std::vector<uint16_t>;

class LeftoversTest : public testing::Test {
 protected:
  // Does all at once, in the thread that asks for it.
  class Runner final : public StoreRunner {
   public:
    explicit Runner(Store* store) : store_(store) {}
    Store* store() const override { return store_; }
    bool full() const override { return false; }
    void Run(EventLoop*, Task work, Task done) override {
      work();
      done();
    }

   private:
    Store* const store_;
  };

  LeftoversTest() {
    leftovers_.Init({});
    leftovers_.Settle();
  }

  NodeParts Parts() {
    NodeParts parts;
    parts.store = &store_;
    parts.loop = loop_;
    parts.runner = &runner_;
    return parts;
  }
  // A key of a slot of its own.
  uint16_t Put(const std::string& key) {
    EXPECT_TRUE(under_->Put(key, "value").ok());
    return KeySlot(key);
  }
  uint64_t Entries() { return under_->Stats()->entries; }

  SimWorld world_{1};
  EventLoop* const loop_ = world_.NewLoop(world_.NewProcess("node"));
  const std::unique_ptr<Store> under_ = *OpenMemoryStore(MemoryOptions());
  Runner runner_{under_.get()};
  NodeStore store_{under_.get(), [](Task) { FAIL() << "the store does not block"; }};
  NodeParts parts_ = Parts();
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

TEST_F(LeftoversTest, WhoIsToldThatSlotsAreCleanMayHaveOthersCleanedAtOnce) {
  const uint16_t first = Put("first");
  const uint16_t second = Put("second");
  int told = 0;
  leftovers_.Clean({first}, [&](const absl::Status& status) {
    EXPECT_TRUE(status.ok());
    ++told;
    leftovers_.Clean({second}, [&](const absl::Status& also) {
      EXPECT_TRUE(also.ok());
      ++told;
    });
  });
  world_.RunFor(absl::Seconds(1));
  EXPECT_EQ(told, 2);
  EXPECT_EQ(Entries(), 0u);
  EXPECT_FALSE(leftovers_.is_cleaning());
}

// Five turns and more; how long they take, on a clock that stands still in each.
TEST_F(LeftoversTest, TurnsOfRemovingAreApartBesideRequestsAndOnlyThen) {
  const auto time_to_clean = [this] {
    for (int i = 0; i < 2600; ++i) Put("{tag}" + std::to_string(i));
    bool done = false;
    leftovers_.Clean({KeySlot("{tag}")}, [&](const absl::Status& status) { done = status.ok(); });
    const absl::Duration began = world_.Now();
    EXPECT_TRUE(world_.RunUntil([&] { return done; }, absl::Seconds(1)));
    EXPECT_EQ(Entries(), 0u);
    return world_.Now() - began;
  };
  EXPECT_LT(time_to_clean(), Pace::kPause);
  bool asks = true;
  std::function<void()> ask = [&] {
    store_.Get("key").IgnoreError();  // the slot is not the node's: a request all the same
    if (asks) world_.After(absl::Milliseconds(1), ask);
  };
  ask();
  const absl::Duration beside_requests = time_to_clean();
  EXPECT_GE(beside_requests, 5 * Pace::kPause);
  EXPECT_LT(beside_requests, 7 * Pace::kPause);
  asks = false;
  world_.RunFor(absl::Milliseconds(1));
}

TEST_F(LeftoversTest, OfSuspectedSlotsThoseWithEntriesAreMarked) {
  const uint16_t dirty = Put("dirty");
  const uint16_t cleaned = Put("cleaned");
  const uint16_t own = Put("own");
  const uint16_t clean = KeySlot("clean");
  Slots suspected = {dirty, cleaned, clean};
  leftovers_.Suspect(suspected);
  EXPECT_EQ(store_.slots()->foreign(), 3);
  EXPECT_TRUE(leftovers_.is_marked(clean)) << "nobody has looked yet";
  // One that is used meanwhile is not what the pass saw of it.
  leftovers_.Unmark({cleaned});
  world_.RunFor(absl::Seconds(1));
  EXPECT_TRUE(leftovers_.is_marked(dirty));
  for (const uint16_t slot : {cleaned, clean, own}) EXPECT_FALSE(leftovers_.is_marked(slot));
  EXPECT_EQ(store_.slots()->foreign(), 1);
  saves_.front().second(absl::OkStatus());
  EXPECT_EQ(saves_.back().first, Slots({dirty}));
}

}  // namespace
}  // namespace cluster
}  // namespace kvarts
