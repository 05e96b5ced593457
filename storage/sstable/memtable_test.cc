#include "storage/sstable/memtable.h"

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/sstable/range_tombstones.h"

namespace kvarts::sstable {
namespace {

// In the order of entries: a key's versions from the newest down.
struct Before {
  bool operator()(const std::pair<std::string, Trailer>& a,
                  const std::pair<std::string, Trailer>& b) const {
    return EntryLess(a.first, a.second, b.first, b.second);
  }
};

class MemtableTest : public testing::TestWithParam<size_t> {
 protected:
  // Adds `count` entries in one call, some to keys of the same call, some range deletions.
  void AddGroup(size_t count) {
    std::vector<std::pair<std::string, std::string>> bytes(count);
    std::vector<Entry> entries;
    for (auto& [key, blob] : bytes) {
      const Sequence sequence = ++last_;
      // Most keys begin alike, so that what comes behind the first eight bytes decides.
      key = absl::StrCat(random_() % 8 == 0 ? "" : "key:0000", random_() % 300);
      blob = absl::StrCat("value ", sequence);
      const unsigned char kind = random_() % 50 == 0  ? kDeleteRange
                                 : random_() % 5 == 0 ? kDelete
                                                      : kPut;
      if (kind == kDeleteRange) blob = key + "5";
      if (kind == kDelete) blob.clear();
      entries.push_back({key, MakeTrailer(sequence, kind), blob});
      if (kind == kDeleteRange) {
        ranges_.push_back({key, blob, sequence});
      } else {
        model_[{key, entries.back().trailer}] = blob;
      }
    }
    memtable_->Add(entries);
  }

  const std::shared_ptr<Memtable> memtable_ = std::make_shared<Memtable>(1, 4096);
  std::map<std::pair<std::string, Trailer>, std::string, Before> model_;
  std::vector<RangeTombstone> ranges_;
  std::mt19937 random_{static_cast<uint32_t>(GetParam())};
  Sequence last_ = 0;
};

TEST_P(MemtableTest, HasWhatGroupsOfAnySizeAdded) {
  while (last_ < 3000) {
    AddGroup(1 + random_() % GetParam());
    if (last_ % 7 != 0) continue;
    const std::string key = absl::StrCat("key:0000", random_() % 300);
    const Sequence at = random_() % (last_ + 1);
    Entry entry;
    const bool found = memtable_->Get(key, KeyHash(key), at, &entry);
    const auto it = model_.lower_bound({key, SeekTrailer(at)});
    ASSERT_EQ(found, it != model_.end() && it->first.first == key) << key << " at " << at;
    if (found) {
      EXPECT_EQ(entry.trailer, it->first.second);
      EXPECT_EQ(entry.blob, it->second);
    }
    EXPECT_EQ(memtable_->Covering(key, at), RangeTombstones(ranges_).Covering(key, at));
  }
  EXPECT_EQ(memtable_->entries(), model_.size());
  EXPECT_EQ(memtable_->last_sequence(), last_);
  EXPECT_EQ(memtable_->range_count(), ranges_.size());

  const auto iterator = memtable_->NewIterator();
  iterator->SeekToFirst();
  for (const auto& [place, blob] : model_) {
    ASSERT_TRUE(iterator->valid());
    EXPECT_EQ(iterator->entry().key, place.first);
    EXPECT_EQ(iterator->entry().trailer, place.second);
    EXPECT_EQ(iterator->entry().blob, blob);
    iterator->Next();
  }
  EXPECT_FALSE(iterator->valid());
  iterator->SeekToLast();
  for (auto it = model_.rbegin(); it != model_.rend(); ++it) {
    ASSERT_TRUE(iterator->valid());
    EXPECT_EQ(iterator->entry().trailer, it->first.second);
    iterator->Prev();
  }
  EXPECT_FALSE(iterator->valid());
}

INSTANTIATE_TEST_SUITE_P(GroupsUpTo, MemtableTest, testing::Values(1, 3, 8, 9, 60));

}  // namespace
}  // namespace kvarts::sstable
