#include "storage/memory/eviction.h"

#include <algorithm>
#include <deque>
#include <random>
#include <set>
#include <vector>

#include "gtest/gtest.h"
#include "storage/memory/cache_models.h"
#include "storage/memory/ghosts.h"

namespace kvarts::memory_internal {
namespace {

constexpr uint8_t kUsesForMain = 1;

struct Entry {
  uint64_t key;
  EvictionItem item;
};

// The cache that the plan makes of a list of entries, each of one byte.
class PlannedCache {
 public:
  PlannedCache(size_t capacity, uint64_t goal) : capacity_(capacity), goal_(goal) {}

  bool Get(uint64_t key) {
    for (Entry& entry : entries_) {
      if (entry.key != key) continue;
      entry.item.uses = std::min<uint8_t>(entry.item.uses + 1, 3);
      return true;
    }
    if (entries_.size() >= capacity_) Evict();
    const bool main = std::find(ghosts_.begin(), ghosts_.end(), key) != ghosts_.end();
    entries_.push_back({key, {1, 0, main, false}});
    return false;
  }
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  void Evict() {
    std::vector<EvictionItem> items;
    for (const Entry& entry : entries_) items.push_back(entry.item);
    const EvictionPlan plan = PlanEviction(items, goal_);
    EXPECT_EQ(plan.kept.size() + plan.victims.size(), items.size());
    std::vector<Entry> kept;
    size_t main = 0;
    for (const auto& each : plan.kept) {
      kept.push_back({entries_[each.item].key, {1, each.uses, each.main, false}});
      main += each.main ? 1 : 0;
    }
    for (const auto& each : plan.victims) {
      if (!each.remember) continue;
      ghosts_.push_back(entries_[each.item].key);
      while (ghosts_.size() > std::max<size_t>(main, 1)) ghosts_.pop_front();
    }
    entries_ = kept;
  }

  const size_t capacity_;
  const uint64_t goal_;
  std::vector<Entry> entries_;
  std::deque<uint64_t> ghosts_;
};

// Keys of which some come much more often, and now and then a scan.
class Keys {
 public:
  explicit Keys(uint32_t seed) : random_(seed) {}
  uint64_t Next() {
    if (scan_ == 0 && random_() % 200 == 0) scan_ = random_() % 40;
    if (scan_ > 0) {
      --scan_;
      return next_scanned_++;
    }
    const uint64_t range = uint64_t{1} << random_() % 9;
    return random_() % range;
  }

 private:
  std::mt19937 random_;
  uint64_t scan_ = 0;
  uint64_t next_scanned_ = 1000;
};

TEST(EvictionTest, OneAtATimeIsS3Fifo) {
  for (const size_t capacity : {1, 2, 7, 40, 100}) {
    PlannedCache planned(capacity, 1);
    S3FifoModel model(capacity, kUsesForMain);
    Keys keys(static_cast<uint32_t>(capacity));
    for (int i = 0; i < 20'000; ++i) {
      const uint64_t key = keys.Next();
      ASSERT_EQ(planned.Get(key), model.Get(key)) << capacity << " " << i;
      ASSERT_EQ(planned.entries().size(), model.size());
      for (const Entry& entry : planned.entries()) ASSERT_TRUE(model.Has(entry.key)) << i;
    }
  }
}

TEST(EvictionTest, ManyAtATimeHitAlmostAsOften) {
  const size_t capacity = 104;  // 96 to 104 entries, so 100
  PlannedCache planned(capacity, 8);
  S3FifoModel model(100, kUsesForMain);
  Keys keys(1);
  int planned_hits = 0;
  int model_hits = 0;
  constexpr int kRequests = 50'000;
  for (int i = 0; i < kRequests; ++i) {
    const uint64_t key = keys.Next();
    planned_hits += planned.Get(key) ? 1 : 0;
    model_hits += model.Get(key) ? 1 : 0;
  }
  EXPECT_NEAR(planned_hits, model_hits, kRequests / 100.0);
}

TEST(EvictionTest, ReachesItsGoalOrTakesAll) {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::vector<EvictionItem> items(random() % 30);
    uint64_t total = 0;
    uint64_t expired = 0;
    uint64_t largest = 0;
    for (EvictionItem& item : items) {
      item = {static_cast<uint32_t>(1 + random() % 1000), static_cast<uint8_t>(random() % 4),
              random() % 2 == 0, random() % 8 == 0};
      total += item.bytes;
      if (item.expired) expired += item.bytes;
      largest = std::max<uint64_t>(largest, item.bytes);
    }
    const uint64_t goal = random() % (total + 100);
    const EvictionPlan plan = PlanEviction(items, goal);
    std::set<uint32_t> seen;
    uint64_t freed = 0;
    for (const auto& each : plan.victims) {
      seen.insert(each.item);
      freed += items[each.item].bytes;
      EXPECT_FALSE(each.remember && (items[each.item].expired || items[each.item].main));
    }
    for (const auto& each : plan.kept) {
      seen.insert(each.item);
      EXPECT_FALSE(items[each.item].expired);
      EXPECT_LE(each.uses, items[each.item].uses);
      EXPECT_TRUE(each.main || !items[each.item].main);
    }
    EXPECT_EQ(seen.size(), items.size());
    EXPECT_EQ(seen.size(), plan.victims.size() + plan.kept.size());
    EXPECT_GE(freed, std::min(goal, total));
    EXPECT_LE(freed, std::max(goal, expired) + largest);
  }
}

TEST(EvictionTest, WhatHasExpiredGoesFirst) {
  const std::vector<EvictionItem> items = {
      {10, 0, false, false}, {10, 3, true, true}, {10, 0, true, false}};
  const EvictionPlan plan = PlanEviction(items, 10);
  ASSERT_EQ(plan.victims.size(), 1u);
  EXPECT_EQ(plan.victims[0].item, 1u);
}

uint64_t HashOf(uint64_t i) { return (i + 1) * 0x9e3779b97f4a7c15; }

TEST(GhostsTest, RememberTheNewest) {
  for (const size_t entries : {1, 20, 100, 1000, 5000}) {
    Ghosts ghosts;
    ghosts.Fit(entries);
    for (uint64_t i = 0; i < 3 * entries; ++i) ghosts.Add(HashOf(i), 0);
    size_t newest = 0;
    size_t oldest = 0;
    for (uint64_t i = 0; i < entries; ++i) {
      oldest += ghosts.Has(HashOf(i), 0) ? 1 : 0;
      newest += ghosts.Has(HashOf(3 * entries - 1 - i), 0) ? 1 : 0;
    }
    EXPECT_GE(newest, entries * 85 / 100) << entries;
    EXPECT_LE(oldest, entries / 10 + 1) << entries;
  }
}

TEST(GhostsTest, AreSplitWithTheirSegment) {
  for (const size_t entries : {5, 700}) {
    Ghosts lower;
    lower.Fit(entries);
    for (uint64_t i = 0; i < entries; ++i) lower.Add(HashOf(i), 0);
    std::vector<uint64_t> had;
    for (uint64_t i = 0; i < entries; ++i) {
      if (lower.Has(HashOf(i), 0)) had.push_back(HashOf(i));
    }
    const auto upper = lower.SplitUpper();
    for (const uint64_t hash : had) {
      EXPECT_TRUE((hash >> 63 != 0 ? *upper : lower).Has(hash, 1)) << entries;
    }
  }
}

TEST(GhostsTest, KeepTheNewestAsTheyGrowAndShrink) {
  Ghosts ghosts;
  ghosts.Fit(2000);
  for (uint64_t i = 0; i < 2000; ++i) ghosts.Add(HashOf(i), 3);
  const size_t large = ghosts.MemoryBytes();
  ghosts.Fit(200);
  EXPECT_LT(ghosts.MemoryBytes(), large / 3);
  size_t kept = 0;
  for (uint64_t i = 1850; i < 2000; ++i) kept += ghosts.Has(HashOf(i), 3) ? 1 : 0;
  EXPECT_GE(kept, 110u);
  ghosts.Fit(2000);
  size_t seen = 0;
  for (uint64_t i = 1850; i < 2000; ++i) seen += ghosts.Has(HashOf(i), 3) ? 1 : 0;
  EXPECT_GE(seen, kept);
}

}  // namespace
}  // namespace kvarts::memory_internal
