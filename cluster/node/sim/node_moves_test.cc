#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/slot.h"
#include "cluster/node/node_parts.h"
#include "cluster/node/peer_connection.h"
#include "cluster/node/sim/sim_cluster.h"
#include "cluster/placement.h"

namespace kvarts {
namespace cluster {
namespace {

constexpr int kKeys = 2000;

class NodeMovesTest : public testing::Test {
 protected:
  explicit NodeMovesTest(const SimClusterOptions& options = {}) : cluster_(1, options) {}

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

  // All of one node that the table has becomes another's, without its data.
  void GiveAway(int from, int to) {
    ClusterTable next = cluster_.Table();
    const uint16_t lost = next.FindNumber(incarnations_[from]);
    const uint16_t taker = next.NumberOf(incarnations_[to]);
    for (int slot = 0; slot < kSlots; ++slot) {
      SlotEntry& entry = next.slots.Mutable(slot);
      if (entry.primary == lost) {
        entry = {};
        entry.primary = taker;
      } else if (entry.joining == lost) {
        entry.joining = 0;
      }
    }
    Coordinator::Transaction transaction;
    ASSERT_GT(next.AddChangedGroups(cluster_.Table(), &transaction), 0);
    cluster_.Tell(std::move(transaction));
  }
  void StartAt(int place) {
    cluster_.Start(place);
    incarnations_[place] = cluster_.life(place)->incarnation;
  }
  // What a node says of slots that it gave away.
  std::map<std::string, uint64_t> GivenBy(int place) {
    std::map<std::string, uint64_t> told;
    const StoreStats stats = cluster_.life(place)->store->Stats().value();
    for (const auto& [name, value] : stats.details) {
      if (absl::StartsWith(name, "slots_given")) told[name] = std::stoull(value);
    }
    return told;
  }
  // From the first of a second node's entries to the last.
  absl::Duration TimeOfACopy(bool beside_requests) {
    StartAt(0);
    Settle();
    PutAll();
    StartAt(1);
    const auto giver = cluster_.life(0);
    const auto taker = cluster_.life(1);
    uint64_t entries = 0;
    absl::Duration first;
    absl::Duration last;
    const auto look = [&] {
      if (beside_requests) {
        ReadOptions options;
        options.no_wait = true;
        ReadResults results;
        giver->store->MultiGet({"key"}, options, &results);
      }
      const uint64_t now = EntriesUnder(*taker);
      if (now > entries) {
        last = cluster_.world()->Now();
        if (entries == 0) first = last;
        entries = now;
      }
      return taker->node->status().slots == kSlots / 2;
    };
    EXPECT_TRUE(cluster_.RunUntil(look, absl::Seconds(30)));
    EXPECT_GT(entries, kKeys / 3);
    return last - first;
  }
  static uint64_t EntriesUnder(const SimCluster::Life& life) {
    return life.under->Stats()->entries;
  }

  SimCluster cluster_;
  std::map<int, Incarnation> incarnations_;
};

TEST_F(NodeMovesTest, AFourthNodeTakesItsShareAndALeavingOneGivesAllAway) {
  for (int place = 0; place < 3; ++place) cluster_.Start(place);
  Settle();
  PutAll();
  uint64_t given = 0;
  for (int place = 0; place < 3; ++place) given -= GivenBy(place)["slots_given"];
  cluster_.Start(3);
  Settle();
  EXPECT_EQ(cluster_.life(3)->node->status().slots, kSlots / 4);
  ExpectAll();
  // Who gave slots away tells how many, and how long their requests were held.
  for (int place = 0; place < 3; ++place) {
    std::map<std::string, uint64_t> told = GivenBy(place);
    given += told["slots_given"];
    EXPECT_GE(told["slots_given_holds"], told["slots_given"] / kSlotsPerGroup);
    EXPECT_GT(told["slots_given_sent_bytes"], 0u);
    EXPECT_GT(told["slots_given_hold_median_us"], 0u);
    EXPECT_GE(told["slots_given_hold_longest_us"], told["slots_given_hold_median_us"]);
  }
  EXPECT_EQ(given, kSlots / 4);

  cluster_.Leave(1);
  Settle();
  EXPECT_EQ(cluster_.life(1), nullptr);
  ExpectAll();
}

// Half of 2000 keys in pages of 16 are some sixty turns, 5 ms apart beside requests.
TEST_F(NodeMovesTest, TurnsOfTheCopyAreApartBesideRequests) {
  const absl::Duration took = TimeOfACopy(/*beside_requests=*/true);
  EXPECT_GT(took, absl::Milliseconds(250));
  EXPECT_LT(took, absl::Milliseconds(800)) << "it ends under any load";
}

TEST_F(NodeMovesTest, TurnsOfTheCopyWaitForNothingWithoutRequests) {
  EXPECT_LT(TimeOfACopy(/*beside_requests=*/false), absl::Milliseconds(150));
}

// Clients take only a map that is newer, and get one from whoever says MOVED. While a slot's
// requests wait behind its switch, the map still has them wait here.
TEST_F(NodeMovesTest, WhoSaysMovedHasANewerMapThanThoseThatSentClientsThere) {
  for (int place = 0; place < 3; ++place) cluster_.Start(place);
  Settle();
  cluster_.Start(3);
  std::map<int, std::shared_ptr<const ClusterMap>> last;
  int moved = 0;
  const auto look = [&] {
    for (const int place : cluster_.Running()) {
      const std::shared_ptr<const ClusterMap> map = cluster_.life(place)->store->map();
      const std::shared_ptr<const ClusterMap> before = std::exchange(last[place], map);
      if (before == nullptr || before == map) continue;
      EXPECT_GE(map->revision, before->revision) << "at " << place;
      for (size_t slot = 0; slot < kSlots; slot += kSlotsPerGroup) {
        if (before->owner[slot] != before->myself || map->owner[slot] == map->myself) continue;
        ++moved;
        EXPECT_GT(map->revision, before->revision) << "at " << place;
      }
    }
    return cluster_.life(3)->node->status().slots == kSlots / 4;
  };
  EXPECT_TRUE(cluster_.RunUntil(look, absl::Seconds(30)));
  EXPECT_GT(moved, kSlotGroups / 8);
}

// Found by seed 20126 in memory.
TEST_F(NodeMovesTest, WhoLeavesWhileItRegistersIsNotLeftInTheTable) {
  StartAt(0);
  Settle();
  CoordinatorFaults slow;
  slow.delay = absl::Milliseconds(2500);
  cluster_.SetCoordinatorFaults(slow);
  StartAt(1);
  const auto is_registered = [&] { return cluster_.Table().nodes.count(incarnations_[1]) != 0; };
  ASSERT_TRUE(cluster_.RunUntil(is_registered, absl::Minutes(1)));
  ASSERT_FALSE(cluster_.life(1)->node->status().is_registered) << "it has heard of it already";
  cluster_.Leave(1);
  cluster_.RunFor(absl::Seconds(1));
  cluster_.SetCoordinatorFaults({});
  ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.life(1) == nullptr; }, absl::Minutes(1)));
  EXPECT_FALSE(is_registered());
  EXPECT_EQ(cluster_.violation(), "");
}

TEST_F(NodeMovesTest, WhoIsRefusedByTheCoordinatorTriesAgainWithAPauseAndSaysWhyOnce) {
  StartAt(0);
  Settle();
  cluster_.RefuseCommits(1, true);
  StartAt(1);
  cluster_.RunFor(absl::Seconds(4));
  EXPECT_GT(cluster_.refused_commits(), 5);
  EXPECT_LE(cluster_.refused_commits(), 30);
  const std::string events = cluster_.RecentEvents();
  const std::string said = "node-1 says: the coordinator refuses this node";
  const size_t first = events.find(said);
  ASSERT_NE(first, std::string::npos) << events;
  EXPECT_EQ(events.find(said, first + 1), std::string::npos) << events;
  cluster_.RefuseCommits(1, false);
  Settle();
}

// As when a machine has no processor time for any of them.
TEST_F(NodeMovesTest, WhoWasHeldUpItselfTakesNobodyForDeadByThat) {
  for (int place = 0; place < 3; ++place) StartAt(place);
  Settle();
  for (const bool all : {true, false}) {
    const size_t before = cluster_.RecentEvents().size();
    for (int place = all ? 0 : 2; place < 3; ++place) {
      cluster_.world()->Pause(cluster_.life(place)->process);
    }
    cluster_.RunFor(absl::Seconds(3));
    for (int place = all ? 0 : 2; place < 3; ++place) {
      cluster_.world()->Resume(cluster_.life(place)->process);
    }
    cluster_.RunFor(absl::Seconds(3));
    const std::string events = cluster_.RecentEvents().substr(before);
    for (int place = 0; place < 3; ++place) {
      const bool says_so =
          events.find(absl::StrCat("node-", place, " says: node ")) != std::string::npos;
      EXPECT_EQ(says_so, !all && place != 2) << place << "\n" << events;
    }
  }
}

// Found by seed 660 in memory, which took it for a node that leaves too early.
TEST_F(NodeMovesTest, WhoLeavesAloneTakesItsSlotsWithIt) {
  StartAt(0);
  Settle();
  cluster_.Leave(0);
  EXPECT_TRUE(cluster_.RunUntil([&] { return cluster_.life(0) == nullptr; }, absl::Seconds(10)));
  EXPECT_EQ(cluster_.violation(), "");
  EXPECT_EQ(cluster_.lost().count(), size_t{kSlots});
}

// Found by seed 288, giving up.
TEST_F(NodeMovesTest, WhoLeavesLooksForTakersInATableThatIsNotFromBefore) {
  StartAt(0);
  Settle();
  cluster_.CutOff(0, true);
  StartAt(1);
  ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.Table().nodes.count(incarnations_[1]) != 0; },
                                absl::Seconds(5)));
  cluster_.Leave(0);
  cluster_.RunFor(absl::Seconds(1));
  cluster_.CutOff(0, false);
  EXPECT_TRUE(cluster_.RunUntil([&] { return cluster_.life(0) == nullptr; }, absl::Seconds(20)));
  EXPECT_EQ(cluster_.violation(), "");
  EXPECT_EQ(cluster_.lost().count(), 0u);
}

TEST_F(NodeMovesTest, SlotsGivenOutAnewWhileTheirCopyIsOnItsWayAreEmptyNotHalfOfIt) {
  StartAt(0);
  Settle();
  PutAll();
  StartAt(1);
  const auto node = cluster_.life(1);
  ASSERT_TRUE(
      cluster_.RunUntil([&] { return EntriesUnder(*node) > 0 && node->node->status().slots == 0; },
                        absl::Seconds(10)));
  cluster_.Crash(0, SimCrash::kKilled);
  GiveAway(0, 1);
  Settle();
  EXPECT_EQ(node->node->status().slots, kSlots);
  EXPECT_EQ(EntriesUnder(*node), 0u);
}

TEST_F(NodeMovesTest, WhatWasReleasedIsNotServedFromTheOldCopyThoughTheSlotsComeBack) {
  StartAt(0);
  Settle();
  PutAll();
  StartAt(1);
  const auto taker = cluster_.life(1);
  // The word has come, and the answer to it gets lost with the node.
  ASSERT_TRUE(
      cluster_.RunUntil([&] { return taker->node->status().slots > 0; }, absl::Seconds(10)));
  std::vector<uint16_t> released;
  for (int slot = 0; slot < kSlots; ++slot) {
    const auto here = static_cast<uint16_t>(slot);
    if (taker->store->slots()->Serves(here)) released.push_back(here);
  }
  cluster_.Crash(1, SimCrash::kKilled);
  GiveAway(1, 0);
  Settle();
  NodeStore* const store = cluster_.life(0)->store.get();
  int there = 0;
  for (int i = 0; i < kKeys; ++i) {
    const bool was_released = std::binary_search(released.begin(), released.end(), KeySlot(Key(i)));
    const auto value = store->Get(Key(i));
    ASSERT_TRUE(value.ok()) << value.status();
    EXPECT_EQ(value->has_value(), !was_released) << Key(i);
    if (value->has_value()) ++there;
  }
  EXPECT_LT(there, kKeys);
  EXPECT_GT(there, 0);
}

TEST_F(NodeMovesTest, WhatATableGivesAwayByForceIsHiddenAndNotDestroyed) {
  StartAt(0);
  StartAt(1);
  Settle();
  PutAll();
  const auto node = cluster_.life(0);
  const uint64_t before = EntriesUnder(*node);
  ASSERT_GT(before, 0u);
  GiveAway(0, 1);
  cluster_.world()->RunFor(absl::Seconds(1));  // before anybody plans what to give it again
  EXPECT_EQ(node->node->status().slots, 0);
  EXPECT_EQ(node->store->Stats()->entries, 0u);
  EXPECT_EQ(EntriesUnder(*node), before);
}

// A copy takes longer here than an answer of the coordinator counts.
class SlowStoreTest : public NodeMovesTest {
 protected:
  SlowStoreTest() : NodeMovesTest(Slow()) {}

  static SimClusterOptions Slow() {
    SimClusterOptions options;
    options.store_delay = absl::Milliseconds(100);
    return options;
  }
};

TEST_F(SlowStoreTest, NothingIsHeldWhereTheCoordinatorTakesNoTransactionsThoughItCanBeRead) {
  StartAt(0);
  Settle();
  PutAll();
  StartAt(1);
  const auto giver = cluster_.life(0);
  const auto taker = cluster_.life(1);
  ASSERT_TRUE(cluster_.RunUntil([&] { return EntriesUnder(*taker) > 0; }, absl::Seconds(10)));
  cluster_.RefuseCommits(0, true);
  EXPECT_FALSE(cluster_.RunUntil([&] { return giver->store->slots()->count(SlotState::kHeld) > 0; },
                                 absl::Seconds(10)));
  EXPECT_GT(cluster_.refused_commits(), 10);
  EXPECT_LT(cluster_.refused_commits(), 250);
  cluster_.RefuseCommits(0, false);
  Settle();
  ExpectAll();
}

// Nodes that keep their data. What they had comes up again only where the table says that it is
// theirs still.
class GivenUpTest : public NodeMovesTest {
 protected:
  GivenUpTest() : NodeMovesTest(Durable()) {}

  static SimClusterOptions Durable() {
    SimClusterOptions options;
    options.durable = true;
    return options;
  }
  void GiveUpDead() {
    int64_t revision = 0;
    ASSERT_TRUE(cluster_.GiveUpDead([&](int64_t done) { revision = done; }).any());
    ASSERT_TRUE(cluster_.RunUntil([&] { return revision != 0; }, absl::Seconds(1)));
  }
  // Two nodes with all keys; the first one is lost, and all slots are the other one's.
  void LoseTheFirst() {
    StartAt(0);
    StartAt(1);
    Settle();
    PutAll();
    cluster_.Crash(0, SimCrash::kKilled);
    GiveUpDead();
    Settle();
  }
  void DeleteAll() {
    for (int i = 0; i < kKeys; ++i) ASSERT_TRUE(OwnerOf(Key(i))->Delete(Key(i)).ok());
  }
  void ExpectNothing() {
    for (int i = 0; i < kKeys; ++i) {
      NodeStore* const store = OwnerOf(Key(i));
      ASSERT_NE(store, nullptr);
      EXPECT_EQ(store->Get(Key(i)).value(), std::nullopt) << Key(i);
    }
  }
};

TEST_F(GivenUpTest, WhatWasGivenUpIsNotShownByANodeThatIsBack) {
  LoseTheFirst();
  cluster_.CutOff(1, true);  // which plans nothing, so that nothing comes to the other one
  cluster_.Start(0);
  cluster_.world()->RunFor(absl::Milliseconds(90));
  const auto node = cluster_.life(0);
  ASSERT_TRUE(node->node->status().is_registered);
  EXPECT_GT(EntriesUnder(*node), 0u);
  EXPECT_EQ(node->store->Stats()->entries, 0u);
}

TEST_F(GivenUpTest, WhatWasGivenUpDoesNotReturnWhenItsSlotsMoveBack) {
  LoseTheFirst();
  DeleteAll();
  cluster_.Start(0);
  Settle();
  cluster_.Leave(1);
  ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.life(1) == nullptr; }, absl::Seconds(10)));
  ExpectNothing();
}

TEST_F(GivenUpTest, WhatWasGivenUpDoesNotReturnWhenItsSlotsAreGivenBackByForce) {
  LoseTheFirst();
  cluster_.Start(0);
  ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.Table().IsMember(incarnations_[0]); },
                                absl::Seconds(5)));
  cluster_.Crash(1, SimCrash::kKilled);
  GiveUpDead();
  Settle();
  EXPECT_EQ(cluster_.life(0)->node->status().slots, kSlots);
  ExpectNothing();
}

// It sees neither of the two tables in which the slots were another's.
TEST_F(GivenUpTest, WhatWasGivenUpDoesNotReturnWhenAllOfThatHappensWhileTheNodeIsDown) {
  StartAt(0);
  StartAt(1);
  Settle();
  PutAll();
  cluster_.Crash(0, SimCrash::kKilled);
  // A person gives up one node, and then, knowing that the first will be back, the other.
  for (const int lost : {0, 1}) {
    if (lost == 1) cluster_.Crash(1, SimCrash::kKilled);
    ClusterTable next = cluster_.Table();
    GiveUp({incarnations_[lost]}, {incarnations_[lost]}, &next);
    Coordinator::Transaction transaction;
    next.AddChangedGroups(cluster_.Table(), &transaction);
    cluster_.Tell(std::move(transaction));
  }
  ASSERT_EQ(cluster_.Table().CountOf(cluster_.Table().FindNumber(incarnations_[0])), kSlots);
  cluster_.Start(0);
  Settle();
  ExpectNothing();
}

TEST_F(GivenUpTest, WhoCrashesWhileItEmptiesSlotsBeginsAgainAndKeepsWhatItServedSince) {
  LoseTheFirst();
  cluster_.Start(0);
  ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.Table().IsMember(incarnations_[0]); },
                                absl::Seconds(5)));
  cluster_.Crash(1, SimCrash::kKilled);
  const uint64_t before = EntriesUnder(*cluster_.life(0));
  GiveUpDead();
  ASSERT_TRUE(cluster_.RunUntil([&] { return EntriesUnder(*cluster_.life(0)) < before; },
                                absl::Seconds(5)));
  ASSERT_GT(EntriesUnder(*cluster_.life(0)), 0u);
  cluster_.Crash(0, SimCrash::kKilled);
  cluster_.Start(0);
  Settle();
  ExpectNothing();
  PutAll();
  cluster_.Crash(0, SimCrash::kKilled);
  cluster_.Start(0);
  Settle();
  ExpectAll();
}

// Found by seed 735, giving up. The other node may have served what was switched to it.
TEST_F(GivenUpTest, WhatWasSwitchedAndIsGivenUpToTheNodeThatHoldsItIsNotTakenBack) {
  StartAt(0);
  Settle();
  PutAll();
  StartAt(1);
  SlotTable* const slots = cluster_.life(0)->store->slots();
  const auto taker = cluster_.life(1);
  ASSERT_TRUE(
      cluster_.RunUntil([&] { return taker->node->status().slots > 0; }, absl::Seconds(10)));
  cluster_.Deafen(0, true);  // so that of the next group it has not sent the word
  std::vector<uint16_t> switched;
  ASSERT_TRUE(cluster_.RunUntil(
      [&] {
        switched.clear();
        const ClusterTable& table = cluster_.Table();
        const uint16_t number = table.FindNumber(incarnations_[1]);
        bool is_held = false;
        for (int i = 0; i < kSlots; ++i) {
          const auto slot = static_cast<uint16_t>(i);
          if (table.slots[i].primary != number) continue;
          switched.push_back(slot);
          is_held = is_held || (!taker->store->slots()->Serves(slot) &&
                                slots->state(slot) == SlotState::kHeld);
        }
        return is_held;
      },
      absl::Seconds(10)));
  cluster_.CutOff(0, true);
  cluster_.Crash(1, SimCrash::kKilled);
  GiveUpDead();
  cluster_.CutOff(0, false);
  cluster_.Deafen(0, false);
  Settle();
  EXPECT_EQ(cluster_.life(0)->node->status().slots, kSlots);
  for (int i = 0; i < kKeys; ++i) {
    const bool is_lost = std::binary_search(switched.begin(), switched.end(), KeySlot(Key(i)));
    EXPECT_EQ(OwnerOf(Key(i))->Get(Key(i)).value().has_value(), !is_lost) << Key(i);
  }
}

// Two nodes share the slots, and the coordinator is put back to when the first had them all.
class RestoredCoordinatorTest : public NodeMovesTest {
 protected:
  void StartTwo() {
    StartAt(0);
    Settle();
    backup_ = cluster_.Backup();
    StartAt(1);
    Settle();
    PutAll();
    known_ = cluster_.Table().revision;
  }
  void Restore() { cluster_.RestoreBackup(backup_); }
  // Makes it newer than what the nodes know.
  void MakeNewer(bool all_groups) {
    while (cluster_.Table().revision <= known_ + 10) {
      Coordinator::Transaction transaction;
      transaction.changes.push_back({"anything", "at all"});
      if (all_groups) {
        for (int group = 0; group < kSlotGroups; ++group) {
          cluster_.Table().AddGroup(group, &transaction);
        }
      }
      cluster_.Tell(std::move(transaction));
    }
  }
  void ExpectAsBefore() {
    cluster_.world()->RunFor(absl::Seconds(10));
    EXPECT_EQ(cluster_.life(0)->node->status().slots, kSlots / 2);
    EXPECT_EQ(cluster_.life(1)->node->status().slots, kSlots / 2);
    ExpectAll();
  }

 private:
  Coordinator::Contents backup_;
  int64_t known_ = 0;
};

TEST_F(RestoredCoordinatorTest, OnceItWasSeenItIsNotFollowedHoweverNewItBecomes) {
  StartTwo();
  Restore();
  cluster_.world()->RunFor(absl::Seconds(5));
  MakeNewer(/*all_groups=*/true);
  ExpectAsBefore();
}

TEST_F(RestoredCoordinatorTest, ItIsToldNothing) {
  StartTwo();
  Restore();
  cluster_.world()->RunFor(absl::Seconds(5));
  const int64_t revision = cluster_.Table().revision;
  cluster_.Leave(0);  // which a node would tell it
  cluster_.world()->RunFor(absl::Seconds(10));
  EXPECT_EQ(cluster_.Table().revision, revision);
  ExpectAsBefore();
}

TEST_F(RestoredCoordinatorTest, ItIsSeenByItsRecordsWhereItIsNewAlreadyWhenItIsRead) {
  StartTwo();
  cluster_.CutOff(0, true);
  cluster_.CutOff(1, true);
  Restore();
  MakeNewer(/*all_groups=*/false);
  cluster_.CutOff(0, false);
  cluster_.CutOff(1, false);
  ExpectAsBefore();
}

TEST_F(NodeMovesTest, ReadsThatRaiseTheRevisionLeadToNoFurtherReadsAndKeepNobodyFromPlanning) {
  cluster_.SetReadsWrite(true);
  for (int place = 0; place < 3; ++place) StartAt(place);
  Settle();
  const int64_t before = cluster_.Table().revision;
  cluster_.RunFor(absl::Seconds(20));
  // Each of the three reads every two seconds.
  EXPECT_LE(cluster_.Table().revision - before, 3 * 11);
  // A share that nobody who joins asks for: the planner does.
  ClusterTable next = cluster_.Table();
  next.nodes[incarnations_[0]].weight = 2;
  Coordinator::Transaction transaction;
  next.AddNode(incarnations_[0], &transaction);
  cluster_.Tell(std::move(transaction));
  EXPECT_TRUE(cluster_.RunUntil(
      [&] { return cluster_.life(0)->node->status().slots == kSlots / 2; }, absl::Seconds(30)));
}

// That the one before is gone is said by its own record: those of the slots stay as they are.
TEST_F(NodeMovesTest, WhoHadSlotsBeforeIsForgottenWhereItIsRemovedFromTheTable) {
  StartAt(0);
  Settle();
  PutAll();
  StartAt(1);
  const auto taker = cluster_.life(1);
  const auto old_copies = [&] {
    const ClusterTable& table = cluster_.Table();
    const uint16_t number = table.FindNumber(incarnations_[0]);
    return std::count_if(table.slots.begin(), table.slots.end(), [number](const SlotEntry& entry) {
      return number != 0 && entry.previous == number;
    });
  };
  ASSERT_TRUE(cluster_.RunUntil([&] { return taker->node->status().slots > 0 && old_copies() > 0; },
                                absl::Seconds(10)));
  cluster_.Crash(0, SimCrash::kKilled);
  // It serves them all, and has seen that the one before is dead, and still there.
  cluster_.RunFor(absl::Seconds(5));
  ASSERT_GT(old_copies(), 0);
  Coordinator::Transaction transaction;
  cluster_.Table().RemoveNode(incarnations_[0], &transaction);
  cluster_.Tell(std::move(transaction));
  EXPECT_TRUE(cluster_.RunUntil([&] { return old_copies() == 0; }, absl::Seconds(10)));
}

// Clients that ask for the map are not sent ahead of the requests that wait.
TEST_F(NodeMovesTest, SlotsWhoseRequestsStillWaitAreShownHereThoughTheTableHasThemElsewhere) {
  StartAt(0);
  Settle();
  PutAll();
  StartAt(1);
  SlotTable* const slots = cluster_.life(0)->store->slots();
  std::vector<uint16_t> switched;
  ASSERT_TRUE(cluster_.RunUntil(
      [&] {
        switched.clear();
        const ClusterTable& table = cluster_.Table();
        const uint16_t number = table.FindNumber(incarnations_[1]);
        for (int slot = 0; slot < kSlots; ++slot) {
          const auto here = static_cast<uint16_t>(slot);
          if (number != 0 && table.slots[slot].primary == number && !slots->Serves(here)) {
            switched.push_back(here);
          }
        }
        return static_cast<int>(switched.size()) == kSlotsPerGroup;
      },
      absl::Seconds(10)));
  cluster_.Crash(1, SimCrash::kSilent);
  const std::shared_ptr<const ClusterMap> before = slots->map();
  ASSERT_TRUE(cluster_.RunUntil([&] { return slots->map() != before; }, absl::Seconds(1)));
  const std::shared_ptr<const ClusterMap> map = slots->map();
  EXPECT_EQ(map->revision, static_cast<uint64_t>(cluster_.Table().revision) - 1);
  for (const uint16_t slot : switched) {
    ASSERT_EQ(slots->state(slot), SlotState::kHeld);
    EXPECT_EQ(map->owner[slot], map->myself);
  }
}

// The slots come back meanwhile, and are given away once more.
TEST_F(NodeMovesTest, ADropThatIsTriedAgainLeavesAloneWhatWasGivenAwaySince) {
  StartAt(0);
  Settle();
  PutAll();
  StartAt(1);
  const auto node = cluster_.life(0);
  const auto old_copies = [&] {
    const ClusterTable& table = cluster_.Table();
    const uint16_t number = table.FindNumber(incarnations_[0]);
    return std::count_if(table.slots.begin(), table.slots.end(),
                         [number](const SlotEntry& entry) { return entry.previous == number; });
  };
  // The last group is removed by itself, when the table has its switch.
  ASSERT_TRUE(cluster_.RunUntil([&] { return old_copies() == kSlots / 2; }, absl::Seconds(10)));
  ASSERT_TRUE(cluster_.RunUntil([&] { return old_copies() == kSlotsPerGroup; }, absl::Seconds(2)));
  const uint64_t entries = EntriesUnder(*node);
  ASSERT_TRUE(cluster_.RunUntil([&] { return EntriesUnder(*node) < entries; }, absl::Seconds(2)));
  // The node waits for an answer for three seconds, and tries again.
  cluster_.Deafen(0, true);
  ASSERT_TRUE(cluster_.RunUntil([&] { return old_copies() == 0; }, absl::Seconds(2)));
  cluster_.Deafen(0, false);
  cluster_.Leave(1);
  ASSERT_TRUE(
      cluster_.RunUntil([&] { return cluster_.life(1) == nullptr; }, absl::Milliseconds(2500)));
  StartAt(2);
  Settle();
  ExpectAll();
}

// What its node has given up comes later than what that has begun since, and meets a table from
// before the switch.
TEST_F(NodeMovesTest, ABeginThatIsLateDestroysNothing) {
  StartAt(0);
  Settle();
  PutAll();
  StartAt(1);
  const auto taker = cluster_.life(1);
  ASSERT_TRUE(cluster_.RunUntil([&] { return EntriesUnder(*taker) > 0; }, absl::Seconds(10)));
  const int64_t planned = cluster_.Table().revision;
  cluster_.CutOff(1, true);
  std::vector<uint16_t> switched;
  ASSERT_TRUE(cluster_.RunUntil(
      [&] {
        const ClusterTable& table = cluster_.Table();
        const uint16_t number = table.FindNumber(incarnations_[1]);
        for (int slot = 0; slot < kSlots; ++slot) {
          if (table.slots[slot].primary == number) switched.push_back(static_cast<uint16_t>(slot));
        }
        return !switched.empty();
      },
      absl::Seconds(10)));
  const uint64_t copies = EntriesUnder(*taker);

  PeerHello hello;
  hello.set_cluster_id(cluster_.Table().cluster_id);
  hello.set_from(incarnations_[0]);
  hello.set_to(incarnations_[1]);
  hello.set_now_ms(absl::ToUnixMillis(cluster_.life(0)->process->clock()->Now()));
  std::optional<absl::Status> answer;
  std::shared_ptr<PeerConnection> late;
  late = PeerConnection::Open(
      cluster_.net(), cluster_.life(0)->loop, "sim:node-1", hello, absl::Seconds(10),
      [&](const absl::Status& opened) {
        ASSERT_TRUE(opened.ok()) << opened;
        PeerRequest request;
        AddRanges(switched, request.mutable_begin()->mutable_slots());
        request.mutable_begin()->set_revision(planned);
        late->Send(std::move(request), {}, [&](const absl::StatusOr<PeerResponse>& response) {
          answer = response.status();
        });
      },
      [](const absl::Status&) {});
  ASSERT_TRUE(cluster_.RunUntil([&] { return answer.has_value(); }, absl::Seconds(10)));
  EXPECT_EQ(answer->code(), absl::StatusCode::kFailedPrecondition) << *answer;
  EXPECT_EQ(EntriesUnder(*taker), copies);
  late->Close();
  cluster_.CutOff(1, false);
  Settle();
  ExpectAll();
}

TEST_F(NodeMovesTest, ClientsAreToldThatSlotsAreDownWhereASwitchHasNoOutcomeForHalfASecond) {
  StartAt(0);
  Settle();
  PutAll();
  StartAt(1);
  SlotTable* const slots = cluster_.life(0)->store->slots();
  const auto taker = cluster_.life(1);
  // The first group's switch says that the next one's would get through.
  ASSERT_TRUE(
      cluster_.RunUntil([&] { return taker->node->status().slots > 0; }, absl::Seconds(10)));
  cluster_.Deafen(0, true);
  ASSERT_TRUE(
      cluster_.RunUntil([&] { return slots->count(SlotState::kElsewhere) > 0; }, absl::Seconds(1)));
  ASSERT_TRUE(
      cluster_.RunUntil([&] { return slots->count(SlotState::kHeld) > 0; }, absl::Seconds(1)));
  cluster_.RunFor(absl::Milliseconds(700));
  EXPECT_EQ(slots->count(SlotState::kHeld), 0);
  EXPECT_GT(slots->count(SlotState::kDown), 0);
  cluster_.Deafen(0, false);
  Settle();
  ExpectAll();
}

}  // namespace
}  // namespace cluster
}  // namespace kvarts
