#include "cluster/table.h"

#include <limits>
#include <string>

#include "cluster/coordinator.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace cluster {
namespace {

// Carries a transaction out as a coordinator does.
void Apply(const Coordinator::Transaction& transaction, Coordinator::Contents* contents) {
  for (const auto& compare : transaction.compares) {
    const auto it = contents->values.find(compare.name);
    ASSERT_EQ(it == contents->values.end() ? 0 : it->second.revision, compare.revision)
        << compare.name;
  }
  ++contents->revision;
  for (const auto& change : transaction.changes) {
    if (change.bytes.has_value()) {
      contents->values[change.name] = {*change.bytes, contents->revision};
    } else {
      contents->values.erase(change.name);
    }
  }
}

ClusterTable Example() {
  ClusterTable table;
  table.cluster_id = std::string(20, 'c');
  table.empty_on_loss = true;
  table.lost_slots = 7;
  table.capabilities = "write=native";
  for (const char c : {'a', 'b'}) {
    NodeInfo& info = table.nodes[std::string(20, c)];
    info.state = NodeState::kMember;
    info.host = "127.0.0.1";
    info.native_port = 7000 + c;
    info.resp_port = 1;
    info.http_port = 2;
    info.internal_host = "127.0.0.2";
    info.internal_port = 3;
    info.native_host = "native.example";
    info.http_host = "http.example";
    info.native_tls = info.http_tls = c == 'b';
    info.internal_secret = c == 'a';
    info.memory_limit = 1 << 20;
    info.resp_tls = c == 'a';
    info.durable = true;
    info.openings = 4;
    info.weight = 1.5;
    info.registered_ms = 5;
    info.store = "memory:";
  }
  const uint16_t a = table.NumberOf(std::string(20, 'a'));
  const uint16_t b = table.NumberOf(std::string(20, 'b'));
  for (int slot = 0; slot < kSlots; ++slot) table.slots.Mutable(slot).primary = a;
  table.slots.Mutable(300) = {b, 0, a, true, 0};
  table.slots.Mutable(301) = {a, b, 0, false, 0};
  table.slots.Mutable(302) = {b, 0, 0, false, 0, /*fresh=*/true};
  return table;
}

TEST(TableTest, WhatWasWrittenIsReadAgain) {
  const ClusterTable table = Example();
  Coordinator::Transaction transaction;
  table.AddCluster(&transaction);
  for (const auto& [node, info] : table.nodes) table.AddNode(node, &transaction);
  EXPECT_EQ(table.AddChangedGroups(ClusterTable(), &transaction), kSlotGroups);
  EXPECT_LE(transaction.changes.size(), 120u);  // a coordinator takes so many
  Coordinator::Contents contents;
  contents.revision = 41;
  Apply(transaction, &contents);
  const auto read = ClusterTable::Parse(contents);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->revision, 42);
  EXPECT_EQ(read->cluster_revision, 42);
  EXPECT_EQ(read->cluster_id, table.cluster_id);
  EXPECT_TRUE(read->empty_on_loss);
  EXPECT_EQ(read->lost_slots, 7u);
  EXPECT_EQ(read->capabilities, "write=native");
  EXPECT_TRUE(read->nodes == table.nodes);
  for (int slot = 0; slot < kSlots; ++slot) {
    const SlotEntry& was = table.slots[slot];
    const SlotEntry& is = read->slots[slot];
    ASSERT_EQ(read->NameOf(is.primary), table.NameOf(was.primary)) << slot;
    ASSERT_EQ(is.joining != 0, was.joining != 0) << slot;
    ASSERT_EQ(is.previous != 0, was.previous != 0) << slot;
    ASSERT_EQ(is.adopted, was.adopted) << slot;
    ASSERT_EQ(is.fresh, was.fresh) << slot;
    ASSERT_EQ(is.epoch, 42u) << slot;  // the revision that wrote it
  }
}

TEST(TableTest, ANodeWhoseRecordHasNoWeightHasOne) {
  ClusterTable table = Example();
  NodeInfo& info = table.nodes[std::string(20, 'a')];
  for (const double weight : {0.0, -1.0, std::numeric_limits<double>::infinity(),
                              std::numeric_limits<double>::quiet_NaN()}) {
    info.weight = weight;  // 0 is not in the record
    Coordinator::Transaction transaction;
    table.AddCluster(&transaction);
    table.AddNode(std::string(20, 'a'), &transaction);
    Coordinator::Contents contents;
    Apply(transaction, &contents);
    const auto read = ClusterTable::Parse(contents);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->nodes.at(std::string(20, 'a')).weight, 1) << weight;
  }
}

TEST(TableTest, OnlySlotsThatChangeGetANewEpoch) {
  ClusterTable first = Example();
  Coordinator::Transaction transaction;
  first.AddCluster(&transaction);
  first.AddChangedGroups(ClusterTable(), &transaction);
  Coordinator::Contents contents;
  Apply(transaction, &contents);
  const auto read = ClusterTable::Parse(contents);
  ASSERT_TRUE(read.ok());
  ClusterTable next = *read;
  next.slots.Mutable(5).joining = next.NumberOf(std::string(20, 'b'));
  next.slots.Mutable(5).epoch = 0;
  Coordinator::Transaction second;
  EXPECT_EQ(next.AddChangedGroups(*read, &second), 1);
  Apply(second, &contents);
  const auto again = ClusterTable::Parse(contents);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->slots[4].epoch, 1u);
  EXPECT_EQ(again->slots[5].epoch, 2u);
  EXPECT_EQ(again->slots[6].epoch, 1u);
}

TEST(TableTest, ACopyThatIsChangedLeavesTheOtherAsItIs) {
  const ClusterTable table = Example();
  ClusterTable copy = table;
  copy.slots.Mutable(5).joining = 7;
  EXPECT_EQ(copy.slots[5].joining, 7);
  EXPECT_EQ(table.slots[5].joining, 0);
  EXPECT_EQ(copy.slots.group(1), table.slots.group(1));
}

TEST(TableTest, ACopyOfTheCoordinatorsValuesThatIsChangedLeavesTheOtherAsItIs) {
  Coordinator::Values values;
  values["a"] = {"x", 1};
  values["b"] = {"y", 1};
  Coordinator::Values copy = values;
  copy["a"] = {"z", 2};
  values.erase("b");
  EXPECT_EQ(values, (Coordinator::Values::Map{{"a", {"x", 1}}}));
  EXPECT_EQ(copy, (Coordinator::Values::Map{{"a", {"z", 2}}, {"b", {"y", 1}}}));
}

TEST(TableTest, GroupsThatAreAsTheyWereAreSharedWhereTheirNodesHaveTheSameNumbers) {
  ClusterTable first;
  first.cluster_id = std::string(20, 'c');
  const uint16_t a = first.NumberOf(std::string(20, 'a'));
  const uint16_t b = first.NumberOf(std::string(20, 'b'));
  for (int slot = 0; slot < kSlots; ++slot) {
    first.slots.Mutable(slot).primary = slot < 2 * kSlotsPerGroup ? a : b;
  }
  Coordinator::Transaction all;
  first.AddCluster(&all);
  first.AddChangedGroups(ClusterTable(), &all);
  Coordinator::Contents contents;
  Apply(all, &contents);
  const auto read = ClusterTable::Parse(contents);
  ASSERT_TRUE(read.ok());

  // The last group has node b alone, which was number 2 and is number 1 where it comes first.
  for (const int changed : {1, 0}) {
    ClusterTable next = *ClusterTable::Parse(contents);
    const uint16_t last = next.FindNumber(std::string(20, 'b'));
    for (int i = 0; i < kSlotsPerGroup; ++i) {
      next.slots.Mutable(changed * kSlotsPerGroup + i) = {last, 0, 0, false, 0};
    }
    Coordinator::Transaction change;
    ASSERT_EQ(next.AddChangedGroups(*ClusterTable::Parse(contents), &change), 1);
    Apply(change, &contents);
    const auto again = ClusterTable::Parse(contents, &*read);
    ASSERT_TRUE(again.ok());
    const SlotEntry& entry = again->slots[kSlots - 1];
    EXPECT_EQ(again->NameOf(entry.primary), std::string(20, 'b'));
    EXPECT_EQ(again->slots.group(63) == read->slots.group(63), changed == 1);
    EXPECT_FALSE(again->slots.group(changed) == read->slots.group(changed));
  }
}

TEST(TableTest, ANodeIsRemovedOnlyWhereNoSlotHasComeToItMeanwhile) {
  ClusterTable table = Example();
  Coordinator::Transaction transaction;
  table.AddCluster(&transaction);
  for (const auto& [node, info] : table.nodes) table.AddNode(node, &transaction);
  table.AddChangedGroups(ClusterTable(), &transaction);
  Coordinator::Contents contents;
  Apply(transaction, &contents);
  const auto read = ClusterTable::Parse(contents);
  ASSERT_TRUE(read.ok());
  Coordinator::Transaction removal;
  read->RemoveNode(std::string(20, 'b'), &removal);
  int groups = 0;
  for (const auto& compare : removal.compares) {
    if (compare.name.rfind("slots/", 0) == 0) ++groups;
  }
  EXPECT_EQ(groups, kSlotGroups);
}

TEST(TableTest, ACutGroupOfSlotsIsNamed) {
  const ClusterTable table = Example();
  Coordinator::Transaction transaction;
  table.AddCluster(&transaction);
  table.AddChangedGroups(ClusterTable(), &transaction);
  Coordinator::Contents good;
  Apply(transaction, &good);
  for (size_t cut = 0; cut < good.values["slots/07"].bytes.size(); ++cut) {
    Coordinator::Contents contents = good;
    contents.values["slots/07"].bytes.resize(cut);
    const auto read = ClusterTable::Parse(contents);
    ASSERT_EQ(read.status().code(), absl::StatusCode::kDataLoss) << cut;
    EXPECT_NE(read.status().message().find("slots/07"), std::string::npos) << read.status();
  }
  Coordinator::Contents contents = good;
  contents.values["node/zz"] = {"", 1};
  EXPECT_EQ(ClusterTable::Parse(contents).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace cluster
}  // namespace kvarts
