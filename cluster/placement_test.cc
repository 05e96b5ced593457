#include "cluster/placement.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "cluster/table.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace cluster {
namespace {

Incarnation Name(int i) {
  std::string name = absl::StrCat("node ", i);
  name.resize(20, '.');
  return name;
}

void AddMember(int i, double weight, ClusterTable* table) {
  NodeInfo info;
  info.state = NodeState::kMember;
  info.weight = weight;
  table->nodes[Name(i)] = info;
}

int CountOf(const ClusterTable& table, int i) { return table.CountOf(table.FindNumber(Name(i))); }

// All moves that are planned are done.
void Move(ClusterTable* table) {
  for (int i = 0; i < kSlots; ++i) {
    SlotEntry& slot = table->slots.Mutable(i);
    if (slot.joining != 0) slot = {slot.joining, 0, 0, false, 0};
  }
}

TEST(PlacementTest, TheNthNodeTakesItsShareAndNothingMovesBetweenTheOthers) {
  ClusterTable table;
  for (int n = 1; n <= 32; ++n) {
    AddMember(n, 1, &table);
    Rebalance({}, &table);
    const uint16_t last = table.FindNumber(Name(n));
    int moved = 0;
    for (const SlotEntry& slot : table.slots) {
      ASSERT_NE(slot.primary, 0);
      if (slot.joining == 0) continue;
      ++moved;
      ASSERT_EQ(slot.joining, last);
    }
    if (n > 1) {
      EXPECT_GE(moved, kSlots / n);
      EXPECT_LE(moved, kSlots / n + 1);
    }
    Move(&table);
    for (int i = 1; i <= n; ++i) {
      EXPECT_GE(CountOf(table, i), kSlots / n) << "node " << i << " of " << n;
      EXPECT_LE(CountOf(table, i), kSlots / n + 1) << "node " << i << " of " << n;
    }
  }
}

TEST(PlacementTest, AnEvenTableIsLeftAsItIs) {
  ClusterTable table;
  for (int n = 1; n <= 7; ++n) AddMember(n, 1, &table);
  Rebalance({}, &table);
  const ClusterTable before = table;
  Rebalance({}, &table);
  EXPECT_TRUE(before.slots == table.slots);
}

TEST(PlacementTest, WhoLeavesGivesAllAndTheOthersGetAlike) {
  ClusterTable table;
  for (int n = 1; n <= 4; ++n) AddMember(n, 1, &table);
  Rebalance({}, &table);
  table.nodes[Name(2)].state = NodeState::kLeaving;
  Rebalance({}, &table);
  Move(&table);
  EXPECT_EQ(CountOf(table, 2), 0);
  for (const int i : {1, 3, 4}) EXPECT_NEAR(CountOf(table, i), kSlots / 3.0, 1);
}

TEST(PlacementTest, SharesFollowWeights) {
  ClusterTable table;
  AddMember(1, 1, &table);
  AddMember(2, 3, &table);
  Rebalance({}, &table);
  EXPECT_EQ(CountOf(table, 1), kSlots / 4);
  EXPECT_EQ(CountOf(table, 2), kSlots * 3 / 4);
}

TEST(PlacementTest, WithAnyWeightsNodesAreWithinOneSlotOfEvenAsTheyComeAndChange) {
  ClusterTable table;
  const double weights[] = {1, 2, 0.01, 3.7, 100, 1, 0.5, 2};
  double sum = 0;
  const auto expect_even = [&](int n) {
    Rebalance({}, &table);
    Move(&table);
    for (int i = 1; i <= n; ++i) {
      const double weight = table.nodes[Name(i)].weight;
      EXPECT_NEAR(CountOf(table, i), kSlots * weight / sum, 1) << "node " << i << " of " << n;
    }
  };
  int n = 0;
  for (const double weight : weights) {
    AddMember(++n, weight, &table);
    sum += weight;
    expect_even(n);
  }
  // A node that was started anew with another one.
  table.nodes[Name(5)].weight = 1;
  sum -= 99;
  expect_even(n);
}

TEST(PlacementTest, TheDeadNeitherGiveNorTake) {
  ClusterTable table;
  for (int n = 1; n <= 3; ++n) AddMember(n, 1, &table);
  Rebalance({}, &table);
  const uint16_t dead = table.FindNumber(Name(1));
  const int before = CountOf(table, 1);
  AddMember(4, 1, &table);
  Rebalance({Name(1)}, &table);
  for (const SlotEntry& slot : table.slots) {
    if (slot.primary == dead) {
      EXPECT_EQ(slot.joining, 0);
    }
    EXPECT_NE(slot.joining, dead);
  }
  Move(&table);
  EXPECT_EQ(CountOf(table, 1), before);
  for (const int i : {2, 3, 4}) EXPECT_NEAR(CountOf(table, i), (kSlots - before) / 3.0, 1);
}

TEST(PlacementTest, SlotsUnderWayAreNotPlannedAgain) {
  ClusterTable table;
  for (int n = 1; n <= 3; ++n) AddMember(n, 1, &table);
  Rebalance({}, &table);
  AddMember(4, 1, &table);
  Rebalance({}, &table);
  const ClusterTable before = table;
  Rebalance({}, &table);
  EXPECT_TRUE(before.slots == table.slots);
  // And one whose last owner still has a copy does not go on before that has ended.
  Move(&table);
  for (int i = 0; i < kSlots; ++i) {
    table.slots.Mutable(i).previous = table.FindNumber(Name(1));
  }
  AddMember(5, 1, &table);
  Rebalance({}, &table);
  for (const SlotEntry& slot : table.slots) EXPECT_EQ(slot.joining, 0);
}

TEST(PlacementTest, WhatIsOnItsWayToANodeThatLeavesGoesElsewhere) {
  ClusterTable table;
  for (int n = 1; n <= 2; ++n) AddMember(n, 1, &table);
  Rebalance({}, &table);
  AddMember(3, 1, &table);
  Rebalance({}, &table);
  table.nodes[Name(3)].state = NodeState::kLeaving;
  Rebalance({}, &table);
  for (const SlotEntry& slot : table.slots) EXPECT_NE(slot.joining, table.FindNumber(Name(3)));
  Move(&table);
  EXPECT_EQ(CountOf(table, 1), kSlots / 2);
  EXPECT_EQ(CountOf(table, 2), kSlots / 2);
}

TEST(PlacementTest, WhatIsGivenUpBeginsEmptyAtOthersAndMovesOnOnceItIsEmptied) {
  ClusterTable table;
  for (int n = 1; n <= 3; ++n) AddMember(n, 1, &table);
  Rebalance({}, &table);
  for (const SlotEntry& slot : table.slots) ASSERT_FALSE(slot.fresh) << "of nobody, and never was";
  const ClusterTable before = table;
  const uint16_t dead = table.FindNumber(Name(1));
  const uint16_t other = table.FindNumber(Name(2));
  const int lost = CountOf(table, 1);
  int coming = -1;
  int had = -1;
  for (int i = 0; i < kSlots; ++i) {
    if (table.slots[i].primary != other) continue;
    (coming < 0 ? coming : had) = i;
    if (had >= 0) break;
  }
  table.slots.Mutable(coming).joining = dead;
  table.slots.Mutable(had).previous = dead;
  GiveUp({Name(1)}, {Name(1)}, &table);
  EXPECT_EQ(table.lost_slots, static_cast<uint64_t>(lost));
  EXPECT_EQ(table.slots[coming].joining, 0);
  EXPECT_EQ(table.slots[had].previous, 0);
  EXPECT_TRUE(table.slots[had].adopted);
  for (int i = 0; i < kSlots; ++i) {
    ASSERT_NE(table.slots[i].primary, dead);
    ASSERT_EQ(table.slots[i].fresh, before.slots[i].primary == dead) << i;
  }
  EXPECT_EQ(CountOf(table, 1), 0);

  table.nodes[Name(2)].state = NodeState::kLeaving;
  Rebalance({Name(1)}, &table);
  for (const SlotEntry& slot : table.slots) EXPECT_FALSE(slot.fresh && slot.joining != 0);
  for (int i = 0; i < kSlots; ++i) table.slots.Mutable(i).fresh = false;
  table.slots.Mutable(had).adopted = false;
  Rebalance({Name(1)}, &table);
  for (const SlotEntry& slot : table.slots) {
    if (slot.primary == other) {
      EXPECT_NE(slot.joining, 0);
    }
  }
}

}  // namespace
}  // namespace cluster
}  // namespace kvarts
