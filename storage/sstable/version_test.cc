#include "storage/sstable/version.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "storage/fs/crash_policy.h"

namespace kvarts::sstable {
namespace {

// All words of up to two of these letters, in order.
std::vector<std::string> AllKeys() {
  std::vector<std::string> keys = {""};
  for (const char a : {'\0', 'm', '\xff'}) {
    keys.push_back({a});
    for (const char b : {'\0', 'm', '\xff'}) keys.push_back({a, b});
  }
  return keys;
}

// Tables on all levels: any on level 0, each a run of its own, and some without overlap on others.
std::shared_ptr<const Version> RandomVersion(const std::vector<std::string>& keys,
                                             CrashRandom* random) {
  VersionEdit edit;
  uint64_t number = 0;
  const auto add = [&](int level, size_t from, size_t to, bool open) {
    TableInfo info;
    info.number = ++number;
    info.smallest = keys[from];
    info.largest = to == keys.size() ? "" : keys[to];
    info.largest_open = open;
    info.smallest_sequence = info.largest_sequence = number;
    edit.added.push_back({level, std::make_shared<TableFile>(info, number, nullptr)});
  };
  for (uint64_t i = random->UpTo(4); i > 0; --i) {
    const size_t from = random->UpTo(keys.size() - 1);
    add(0, from, from + random->UpTo(keys.size() - 1 - from), false);
  }
  for (int level = 1; level < kLevels; ++level) {
    size_t from = random->UpTo(keys.size() - 1);
    while (from < keys.size()) {
      const size_t left = keys.size() - from;
      const bool open = random->UpTo(2) == 0;
      const size_t to = from + (open ? 1 : 0) + random->UpTo(std::min<size_t>(3, left - 1));
      add(level, from, to, open);
      from = to + (open ? 0 : 1) + random->UpTo(4);
    }
  }
  return Version::Apply(Version(), edit).value();
}

TEST(VersionTest, WhatOverlapsIsWhatALookAtEachTableFinds) {
  const std::vector<std::string> keys = AllKeys();
  uint64_t found = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    CrashRandom random(seed);
    const auto version = RandomVersion(keys, &random);
    for (size_t from = 0; from < keys.size(); ++from) {
      for (size_t to = from + 1; to <= keys.size(); ++to) {
        const std::string& begin = keys[from];
        const std::string end = to == keys.size() ? "" : keys[to];
        bool below = false;
        for (int level = kLevels - 1; level >= 0; --level) {
          ASSERT_EQ(version->HasBelow(level, begin, end), below) << seed << ", level " << level;
          std::vector<TableFilePtr> expected;
          for (const TableFilePtr& file : version->level(level)) {
            if (file->info().Overlaps(begin, end)) expected.push_back(file);
          }
          ASSERT_EQ(version->Overlapping(level, begin, end), expected) << seed << ", " << level;
          below = below || !expected.empty();
          found += expected.size();
        }
      }
      for (int level = 1; level < kLevels; ++level) {
        const TableFile* expected = nullptr;
        for (const TableFilePtr& file : version->level(level)) {
          if (file->info().Contains(keys[from])) expected = file.get();
        }
        ASSERT_EQ(version->Find(level, keys[from]), expected) << seed << ", level " << level;
      }
    }
  }
  EXPECT_GT(found, 10000u);
}

}  // namespace
}  // namespace kvarts::sstable
