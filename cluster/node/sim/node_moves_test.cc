#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "base/slot.h"
#include "cluster/node/sim/sim_cluster.h"

namespace kvarts {
namespace cluster {
namespace {

constexpr int kKeys = 2000;

class NodeMovesTest : public testing::Test {
 protected:
  void Settle(absl::Duration most = absl::Seconds(30)) {
    absl::Duration next;
    std::string why;
    const bool settled = cluster_.RunUntil(
        [&] {
          if (cluster_.world()->Now() < next) return false;
          next = cluster_.world()->Now() + absl::Milliseconds(50);
          why = cluster_.Unsettled();
          return why.empty();
        },
        most);
    EXPECT_TRUE(settled) << why << cluster_.violation() << "\n" << cluster_.RecentEvents();
  }

  NodeStore* OwnerOf(absl::string_view key) {
    for (const int place : cluster_.Running()) {
      NodeStore* const store = cluster_.life(place)->store.get();
      if (store->slots()->Serves(KeySlot(key))) return store;
    }
    return nullptr;
  }
  static std::string Key(int i) { return absl::StrCat("key-", i); }

  void PutAll() {
    for (int i = 0; i < kKeys; ++i) {
      NodeStore* const store = OwnerOf(Key(i));
      ASSERT_NE(store, nullptr);
      ASSERT_TRUE(store->Put(Key(i), absl::StrCat("value-", i)).ok());
    }
  }
  void ExpectAll() {
    for (int i = 0; i < kKeys; ++i) {
      NodeStore* const store = OwnerOf(Key(i));
      ASSERT_NE(store, nullptr);
      const absl::StatusOr<std::optional<std::string>> value = store->Get(Key(i));
      ASSERT_TRUE(value.ok()) << value.status();
      EXPECT_EQ(*value, absl::StrCat("value-", i));
    }
  }

  SimCluster cluster_{1, SimClusterOptions()};
};

TEST_F(NodeMovesTest, AFourthNodeTakesItsShareAndALeavingOneGivesAllAway) {
  for (int place = 0; place < 3; ++place) cluster_.Start(place);
  Settle();
  PutAll();
  cluster_.Start(3);
  Settle();
  EXPECT_EQ(cluster_.life(3)->node->status().slots, kSlots / 4);
  ExpectAll();

  cluster_.Leave(1);
  Settle();
  EXPECT_EQ(cluster_.life(1), nullptr);
  ExpectAll();
}

}  // namespace
}  // namespace cluster
}  // namespace kvarts
