#include "storage/sstable/merge.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/fs/crash_policy.h"
#include "storage/fs/memory.h"

namespace kvarts::sstable {
namespace {

constexpr int64_t kNowMs = 1000;

struct Version {
  std::string key;
  Trailer trailer;
  std::string blob;

  Sequence sequence() const { return SequenceOf(trailer); }
  bool expired() const {
    const Entry entry{key, trailer, blob};
    return entry.expires_at_ms() != 0 && entry.expires_at_ms() <= kNowMs;
  }
};

// Everything of a merge, in front of it or behind it.
struct Content {
  std::vector<Version> versions;  // in any order
  std::vector<RangeTombstone> ranges;

  // What a reader at `at` gets of it: a value, "deleted", or "" where nothing is said here and what
  // is below decides.
  std::string Read(const std::string& key, Sequence at) const {
    const Version* newest = nullptr;
    for (const Version& v : versions) {
      if (v.key == key && v.sequence() <= at &&
          (newest == nullptr || v.sequence() > newest->sequence())) {
        newest = &v;
      }
    }
    Sequence covering = 0;
    for (const RangeTombstone& r : ranges) {
      if (r.sequence <= at && key >= r.begin && (r.end.empty() || key < r.end)) {
        covering = std::max(covering, r.sequence);
      }
    }
    if (newest == nullptr) return covering == 0 ? "" : "deleted";
    if (covering > newest->sequence() || KindOf(newest->trailer) == kDelete || newest->expired()) {
      return "deleted";
    }
    return absl::StrCat("value ", newest->blob);
  }
};

// Over a sorted list.
class ListIterator final : public Iterator {
 public:
  explicit ListIterator(std::vector<Version> versions) : versions_(std::move(versions)) {
    std::sort(versions_.begin(), versions_.end(), [](const Version& a, const Version& b) {
      return EntryLess(a.key, a.trailer, b.key, b.trailer);
    });
  }
  void Seek(absl::string_view key, Trailer trailer) override {
    size_t place = 0;
    while (place < versions_.size() &&
           EntryLess(versions_[place].key, versions_[place].trailer, key, trailer)) {
      ++place;
    }
    GoTo(place);
  }
  void SeekBefore(absl::string_view key, Trailer trailer) override {
    Seek(key, trailer);
    GoTo(place_ - 1);
  }
  void SeekToLast() override { GoTo(versions_.size() - 1); }
  void Next() override { GoTo(place_ + 1); }
  void Prev() override { GoTo(place_ - 1); }

 private:
  void GoTo(size_t place) {
    place_ = place;
    if (place >= versions_.size()) return ShowNothing();
    const Version& version = versions_[place];
    Show({version.key, version.trailer, version.blob});
  }

  std::vector<Version> versions_;
  size_t place_ = 0;
};

struct Merged {
  Content content;
  MergeResult result;
};

Merged MergeAll(const Content& input, const std::vector<Sequence>& snapshots,
                const std::set<std::string>& below, uint64_t table_bytes, int children) {
  MemoryFileSystem fs;
  const auto owned = std::make_unique<TableCache>(&fs, "/", 1 << 20);
  TableCache& tables = *owned;
  MergeJob job;
  // In several runs, as levels come.
  std::vector<std::unique_ptr<Iterator>> iterators;
  for (int i = 0; i < children; ++i) {
    std::vector<Version> part;
    for (size_t j = static_cast<size_t>(i); j < input.versions.size();
         j += static_cast<size_t>(children)) {
      part.push_back(input.versions[j]);
    }
    iterators.push_back(std::make_unique<ListIterator>(std::move(part)));
  }
  job.input = NewMergingIterator(std::move(iterators));
  job.ranges = input.ranges;
  job.snapshots = snapshots;
  job.is_bottom = [&](absl::string_view begin, absl::string_view end) {
    const auto it = below.lower_bound(std::string(begin));
    return it == below.end() || (!end.empty() && *it >= std::string(end));
  };
  job.now_ms = kNowMs;
  uint64_t number = 0;
  job.new_number = [&] { return ++number; };
  job.table.block_bytes = 64;
  job.table_bytes = table_bytes;
  auto result = Merge(std::move(job), &tables);
  EXPECT_TRUE(result.ok()) << result.status();
  Merged out;
  out.result = *std::move(result);
  VersionEdit edit;
  for (const TableInfo& info : out.result.tables) {
    const auto table = tables.Open(info, false).value();
    const auto it = Table::NewIterator(table, nullptr, tables.counters());
    for (it->SeekToFirst(); it->valid(); it->Next()) {
      const Entry entry = it->entry();
      out.content.versions.push_back(
          {std::string(entry.key), entry.trailer, std::string(entry.blob)});
      EXPECT_TRUE(info.Contains(entry.key));
    }
    AppendRanges(*table->ranges(), &out.content.ranges);
    edit.added.push_back({1, std::make_shared<TableFile>(info, 1, nullptr)});
  }
  // No two of them overlap, range tombstones included.
  const auto version = sstable::Version::Apply({}, edit);
  EXPECT_TRUE(version.ok()) << version.status();
  EXPECT_EQ(fs.List("/")->size(), out.result.tables.size());
  return out;
}

// What any reader sees is the same behind a merge, whatever lies below; and nothing is kept that
// none can see.
void CheckMerge(const Content& input, const std::vector<Sequence>& snapshots,
                const std::set<std::string>& below, const std::vector<std::string>& keys,
                uint64_t table_bytes, int children) {
  const Merged merged = MergeAll(input, snapshots, below, table_bytes, children);
  std::vector<Sequence> readers = snapshots;
  readers.push_back(kMaxSequence);
  size_t needed_everywhere = 0;
  for (const std::string& key : keys) {
    std::set<Sequence> needed;
    for (const Sequence at : readers) {
      std::string before = input.Read(key, at);
      std::string after = merged.content.Read(key, at);
      if (below.count(key) == 0) {
        if (before == "deleted") before = "";
        if (after == "deleted") after = "";
      }
      ASSERT_EQ(after, before) << key << " at " << at;
    }
    // One version of a key a stripe at the most.
    size_t kept = 0;
    bool puts = false;
    for (const Version& v : merged.content.versions) {
      if (v.key != key) continue;
      ++kept;
      puts = puts || KindOf(v.trailer) == kPut;
      EXPECT_FALSE(v.expired()) << key;
    }
    ASSERT_LE(kept, readers.size()) << key;
    needed_everywhere += kept;
    // The last trace of a key: nothing of it is left, and it was there.
    Sequence newest = 0;
    for (const Version& v : input.versions) {
      if (v.key == key) newest = std::max(newest, v.sequence());
    }
    if (kept == 0 && newest != 0) {
      const auto floor = merged.result.floors.find(FloorBucket(KeyHash(key)));
      ASSERT_NE(floor, merged.result.floors.end()) << key;
      EXPECT_GE(floor->second, newest) << key;
    }
    if (snapshots.empty() && below.empty()) {
      // The bottom: what is live, alone.
      EXPECT_EQ(kept, merged.content.Read(key, kMaxSequence).empty() ? 0u : 1u) << key;
      EXPECT_EQ(puts, kept == 1) << key;
    }
  }
  EXPECT_EQ(needed_everywhere, merged.content.versions.size());
  // A floor is of a version that was there, and is not any more.
  const auto holds = [](const Content& content, const std::pair<const uint32_t, Sequence>& floor) {
    return std::any_of(content.versions.begin(), content.versions.end(), [&](const Version& v) {
      return v.sequence() == floor.second && FloorBucket(KeyHash(v.key)) == floor.first;
    });
  };
  for (const auto& floor : merged.result.floors) {
    EXPECT_TRUE(holds(input, floor) && !holds(merged.content, floor)) << floor.first;
  }
  if (snapshots.empty() && below.empty()) {
    EXPECT_TRUE(merged.content.ranges.empty());
  }
}

TEST(MergeTest, WhatReadersSeeNeverChangesAndNothingElseIsKept) {
  const std::vector<std::string> keys = {"", "a", "b", "c", "cc", "d", "e", "f"};
  for (uint64_t seed = 1; seed <= 2500; ++seed) {
    CrashRandom random(seed);
    Content input;
    const uint64_t count = random.UpTo(30);
    for (Sequence s = 1; s <= count; ++s) {
      const std::string& key = keys[random.UpTo(keys.size() - 1)];
      const uint64_t kind = random.UpTo(9);
      if (kind == 0) {
        const std::string& end = keys[random.UpTo(keys.size() - 1)];
        if (end.empty() || key < end) input.ranges.push_back({key, end, s});
      } else if (kind <= 2) {
        input.versions.push_back({key, MakeTrailer(s, kDelete), ""});
      } else if (kind <= 4) {
        std::string blob;
        AppendLE64(&blob, kNowMs - 1 + random.UpTo(2));
        input.versions.push_back({key, MakeTrailer(s, kPut | kHasExpiry), blob + "e"});
      } else {
        input.versions.push_back({key, MakeTrailer(s, kPut), absl::StrCat("v", s)});
      }
    }
    std::set<Sequence> snapshots;
    for (uint64_t i = random.UpTo(3); i > 0; --i) snapshots.insert(random.UpTo(count));
    std::set<std::string> below;
    for (uint64_t i = random.UpTo(2) * random.UpTo(3); i > 0; --i) {
      below.insert(keys[random.UpTo(keys.size() - 1)]);
    }
    CheckMerge(input, {snapshots.begin(), snapshots.end()}, below, keys,
               random.UpTo(1) == 0 ? 1 : 150, 1 + static_cast<int>(random.UpTo(3)));
    ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed;
  }
}

// Where a key's versions and a tombstone's range come to a border of tables.
TEST(MergeTest, RangesAreCutAtTheBordersOfTables) {
  Content input;
  input.ranges.push_back({"b", "y", 500});
  for (int i = 0; i < 100; ++i) {
    input.versions.push_back({absl::StrCat("k", 100 + i), MakeTrailer(501 + i, kPut), "v"});
  }
  std::set<std::string> below = {"b", "k", "x"};
  const Merged merged = MergeAll(input, {}, below, 1, 1);
  ASSERT_EQ(merged.result.tables.size(), 100u);
  EXPECT_EQ(merged.result.tables.front().smallest, "b");
  EXPECT_EQ(merged.result.tables.back().largest, "y");
  EXPECT_TRUE(merged.result.tables.back().largest_open);
  for (const char* key : {"b", "j", "k1", "k1000", "k1500", "k199", "k2", "x"}) {
    const bool live = merged.content.Read(key, kMaxSequence) != "deleted";
    EXPECT_EQ(live, std::string(key) == "k199") << key;
  }
}

TEST(MergeTest, AnErrorOrACancelLeavesNoFile) {
  MemoryFileSystem fs;
  const auto owned = std::make_unique<TableCache>(&fs, "/", 1 << 20);
  TableCache& tables = *owned;
  std::vector<Version> versions;
  for (int i = 0; i < 5000; ++i) {
    versions.push_back({absl::StrCat("k", 10000 + i), MakeTrailer(1 + i, kPut), "v"});
  }
  MergeJob job;
  job.input = std::make_unique<ListIterator>(versions);
  job.is_bottom = [](absl::string_view, absl::string_view) { return false; };
  uint64_t number = 0;
  job.new_number = [&] { return ++number; };
  job.is_cancelled = [&] { return number >= 3; };
  job.table_bytes = 1024;
  EXPECT_TRUE(absl::IsCancelled(Merge(std::move(job), &tables).status()));
  EXPECT_GE(number, 3u);
  EXPECT_TRUE(fs.List("/")->empty());
}

}  // namespace
}  // namespace kvarts::sstable
