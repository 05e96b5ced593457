#include "net/resp/scan_cursors.h"

#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace kvarts {
namespace resp {
namespace {

ScanPlace At(const std::string& position) { return {KeyRange::All(), position}; }

TEST(ScanCursorsTest, ANumberLeadsToItsPlace) {
  ScanCursors cursors(10, 1 << 20);
  const uint64_t number = cursors.Add({KeyRange::Prefix("a"), "position"}, 0);
  const auto place = cursors.Find(number);
  ASSERT_TRUE(place.has_value());
  EXPECT_EQ(place->position, "position");
  EXPECT_TRUE(place->range == KeyRange::Prefix("a"));
  EXPECT_TRUE(cursors.Find(number).has_value()) << "a client may ask twice";
  EXPECT_FALSE(cursors.Find(number + 1).has_value());
  EXPECT_FALSE(cursors.Find(0).has_value());
}

TEST(ScanCursorsTest, NumbersFitIntoADouble) {
  ScanCursors cursors(2000, 1 << 20);
  std::set<uint64_t> numbers;
  for (int i = 0; i < 1000; ++i) {
    const uint64_t number = cursors.Add(At("p"), 0);
    EXPECT_NE(number, 0u);
    EXPECT_LT(number, uint64_t{1} << 53);
    EXPECT_TRUE(numbers.insert(number).second);
  }
}

TEST(ScanCursorsTest, ALongScanHoldsTwoPlaces) {
  ScanCursors cursors(10, 1 << 20);
  const uint64_t slow = cursors.Add(At("slow"), 0);
  uint64_t number = 0;
  for (int i = 0; i < 1000; ++i) {
    const uint64_t before = number;
    number = cursors.Add(At("fast"), number);
    ASSERT_TRUE(before == 0 || cursors.Find(before).has_value()) << "the answer may have been lost";
  }
  EXPECT_TRUE(cursors.Find(slow).has_value());
  EXPECT_EQ(cursors.size(), 3u);
}

TEST(ScanCursorsTest, OfAScanThatEndedOnePlaceIsHeldAndOfFewScans) {
  ScanCursors cursors(10'000, 1 << 20);
  const uint64_t slow = cursors.Add(At("slow"), 0);
  uint64_t first = 0;
  uint64_t last = 0;
  for (int i = 0; i < 5000; ++i) {
    const uint64_t begun = cursors.Add(At("a"), 0);
    last = cursors.Add(At("b"), begun);
    cursors.End(last);
    if (first == 0) first = last;
    ASSERT_TRUE(cursors.Find(last).has_value()) << "the answer may have been lost";
    ASSERT_FALSE(cursors.Find(begun).has_value());
  }
  EXPECT_LE(cursors.size(), ScanCursors::kMaxEnded + 1);
  EXPECT_FALSE(cursors.Find(first).has_value());
  EXPECT_TRUE(cursors.Find(slow).has_value());
  cursors.End(0);  // one of a single page
  cursors.End(last + 1);
}

TEST(ScanCursorsTest, TheOldestAreForgottenWhenThereAreTooMany) {
  ScanCursors cursors(2, 1 << 20);
  std::vector<uint64_t> numbers;
  for (int i = 0; i < 4; ++i) numbers.push_back(cursors.Add(At("p"), 0));
  EXPECT_TRUE(cursors.Find(numbers[0]).has_value());  // used: no longer the oldest
  cursors.Add(At("p"), 0);
  EXPECT_TRUE(cursors.Find(numbers[0]).has_value());
  EXPECT_FALSE(cursors.Find(numbers[1]).has_value());
  EXPECT_EQ(cursors.size(), 4u);
}

TEST(ScanCursorsTest, BytesAreBoundedToo) {
  ScanCursors cursors(1000, 100000);
  uint64_t last = 0;
  for (int i = 0; i < 100; ++i) {
    last = cursors.Add({KeyRange::Prefix(std::string(5000, 'r')), std::string(20000, 'p')}, 0);
  }
  EXPECT_LE(cursors.size(), 4u);
  EXPECT_TRUE(cursors.Find(last).has_value());
}

}  // namespace
}  // namespace resp
}  // namespace kvarts
