#include "cluster/busy_slots.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace kvarts {
namespace cluster {
namespace {

bool All(uint16_t) { return true; }

void AddOne(SlotSamples* samples, const std::string& key) {
  samples->Add(1, [&](size_t) { return absl::string_view(key); });
}

TEST(BusySlotsTest, TheBusiestSlotIsFoundWithItsTagAndAboutSoManyOperations) {
  SlotSamples samples;
  for (int i = 0; i < 100000; ++i) {
    AddOne(&samples, absl::StrCat("{hot}", i));
    AddOne(&samples, absl::StrCat("key", i));
  }
  const std::vector<BusySlot> busy = samples.Busiest(3, All);
  ASSERT_EQ(busy.size(), 3u);
  EXPECT_EQ(busy[0].slot, KeySlot("hot"));
  EXPECT_NEAR(static_cast<double>(busy[0].operations), 100000, 20000);
  EXPECT_EQ(busy[0].tag, "hot");
  EXPECT_LT(busy[1].operations, 10000u);
  EXPECT_EQ(busy[1].tag, "");
}

TEST(BusySlotsTest, EachKeyOfABatchIsAnOperation) {
  SlotSamples samples;
  const std::vector<std::string> keys = {"a", "b"};
  // More of them than are skipped at a time, and fewer.
  for (int i = 0; i < 100; ++i) {
    samples.Add(1000, [&](size_t k) { return absl::string_view(keys[k % 2]); });
  }
  for (int i = 0; i < 50000; ++i) {
    samples.Add(2, [&](size_t k) { return absl::string_view(keys[k % 2]); });
  }
  const std::vector<BusySlot> busy = samples.Busiest(2, All);
  ASSERT_EQ(busy.size(), 2u);
  for (const BusySlot& slot : busy) {
    EXPECT_NEAR(static_cast<double>(slot.operations), 100000, 20000);
  }
}

TEST(BusySlotsTest, APatternThatFallsInWithTheCountingIsCountedAsAnyOther) {
  SlotSamples samples;
  constexpr int kEvery = SlotSamples::kEvery;
  for (int i = 0; i < kEvery * 4000; ++i) AddOne(&samples, i % kEvery == 0 ? "a" : "b");
  const std::vector<BusySlot> busy = samples.Busiest(2, All);
  ASSERT_EQ(busy.size(), 2u);
  EXPECT_EQ(busy[0].slot, KeySlot("b"));
  EXPECT_NEAR(static_cast<double>(busy[1].operations), 4000, 3000);
}

TEST(BusySlotsTest, ATagThatHalfOfTheOperationsHaveIsNotToldOfAll) {
  SlotSamples samples;
  for (int i = 0; i < 100000; ++i) AddOne(&samples, i % 2 == 0 ? "{hot}" : "hot");
  EXPECT_EQ(samples.Busiest(1, All)[0].tag, "");
}

TEST(BusySlotsTest, OnlySlotsThatAreServedAreTold) {
  SlotSamples samples;
  for (int i = 0; i < 1000; ++i) AddOne(&samples, "a");
  EXPECT_TRUE(samples.Busiest(1, [](uint16_t) { return false; }).empty());
  EXPECT_EQ(samples.Busiest(1, All).size(), 1u);
}

TEST(BusySlotsTest, TextAndBack) {
  const std::vector<BusySlot> slots = {{7, 640, "a tag, with: all% of it"}, {16383, 64, ""}};
  const auto read = ParseBusySlots(BusySlotsToText(slots));
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ((*read)[i].slot, slots[i].slot);
    EXPECT_EQ((*read)[i].operations, slots[i].operations);
    EXPECT_EQ((*read)[i].tag, slots[i].tag);
  }
  EXPECT_TRUE(ParseBusySlots("")->empty());
  for (const char* bad : {"7", "7:1", "16384:1:", "-1:1:", "7:x:", "7:1:%zz", "7:1:a:b"}) {
    EXPECT_FALSE(ParseBusySlots(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace cluster
}  // namespace kvarts
