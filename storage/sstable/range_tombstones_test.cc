#include "storage/sstable/range_tombstones.h"

#include <algorithm>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "storage/fs/crash_policy.h"

namespace kvarts::sstable {
namespace {

// Looks at every tombstone.
Sequence Naive(const std::vector<RangeTombstone>& tombstones, const std::string& key, Sequence at) {
  Sequence newest = 0;
  for (const RangeTombstone& t : tombstones) {
    if (t.sequence <= at && key >= t.begin && (t.end.empty() || key < t.end)) {
      newest = std::max(newest, t.sequence);
    }
  }
  return newest;
}

TEST(RangeTombstonesTest, AnyTombstonesCoverWhatEachOfThemDoes) {
  const std::vector<std::string> texts = {"",     std::string(1, '\0'),
                                          "a",    std::string("a\0", 2),
                                          "aa",   "b",
                                          "c",    "c1",
                                          "d",    "e",
                                          "\x7f", "\x80",
                                          "\xff"};
  CrashRandom random(1);
  for (int round = 0; round < 3000; ++round) {
    std::vector<RangeTombstone> tombstones;
    const uint64_t n = random.UpTo(8);
    for (uint64_t i = 0; i < n; ++i) {
      tombstones.push_back({texts[random.UpTo(texts.size() - 1)],
                            texts[random.UpTo(texts.size() - 1)], 1 + random.UpTo(9)});
    }
    // One whose end is before its begin is over nothing.
    std::vector<RangeTombstone> real;
    for (const RangeTombstone& t : tombstones) {
      if (t.end.empty() || t.begin < t.end) real.push_back(t);
    }
    const RangeTombstones fragmented(tombstones);
    EXPECT_EQ(fragmented.empty(), real.empty());
    size_t size = 0;
    for (size_t i = 0; i < fragmented.fragments().size(); ++i) {
      const auto& fragment = fragmented.fragments()[i];
      EXPECT_TRUE(std::is_sorted(fragment.sequences.rbegin(), fragment.sequences.rend()));
      EXPECT_TRUE(fragment.end.empty() || fragment.begin < fragment.end);
      if (i > 0) {
        EXPECT_FALSE(EndLess(fragment.begin, fragmented.fragments()[i - 1].end));
      }
      size += fragment.sequences.size();
    }
    EXPECT_EQ(fragmented.size(), size);
    for (const std::string& key : texts) {
      for (Sequence at = 0; at <= 11; ++at) {
        ASSERT_EQ(fragmented.Covering(key, at), Naive(real, key, at)) << round << ", " << key << at;
      }
    }
  }
}

}  // namespace
}  // namespace kvarts::sstable
