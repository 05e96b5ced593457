// What is left of a store after damage is got out of it, and what is lost is told: no more than
// that may be missing.

#include "storage/sstable/salvage.h"

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"
#include "storage/sstable/test_store.h"

namespace kvarts {
namespace {

constexpr char kOther[] = "/other";

// Keys of which all but the newest version would be wrong, on several levels and in a log.
class SalvageTest : public testing::Test {
 protected:
  SalvageTest() {
    store_ = OpenSstable(kTestDir, SmallSstable(&fs_)).value();
    // While it is held nothing is compacted for what it deletes.
    const auto snapshot = store_->GetSnapshot().value();
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < 60; ++i) Put(absl::StrCat("key", 100 + i), round);
      const std::string begin = absl::StrCat("key", 110 + 10 * round);
      EXPECT_TRUE(DeleteRangeOf(store_.get(), begin, absl::StrCat(begin, "5")).ok());
      contents_.erase(begin);
      EXPECT_TRUE(DeleteRangeOf(store_.get(), "key102", "key104").ok());
      WriteBatch batch;
      const std::string deleted = absl::StrCat("key", 150 + round);
      batch.Delete(deleted);
      EXPECT_TRUE(store_->Write(batch, {}, nullptr).ok());
      contents_.erase(deleted);
      contents_.erase("key102");
      contents_.erase("key103");
      if (round == 0) {
        EXPECT_TRUE(store_->maintenance()->Compact(KeyRange::All()).ok());
      } else {
        EXPECT_TRUE(store_->maintenance()->Flush().ok());
      }
    }
    for (int i = 0; i < 30; ++i) Put(absl::StrCat("key", 130 + i), 9);
    // The last word on some keys is a range, in a log and, from the round before, in a table.
    EXPECT_TRUE(DeleteRangeOf(store_.get(), "key105", "key107").ok());
    contents_.erase("key105");
    contents_.erase("key106");
  }

  void Put(const std::string& key, int round) {
    const std::string value = absl::StrCat(key, " of ", round);
    EXPECT_TRUE(PutWith(store_.get(), key, value, true).ok());
    contents_[key] = value;
  }
  // As a kill leaves it.
  State Files() {
    State files = BytesOf(&fs_);
    store_ = nullptr;
    return files;
  }
  // A directory with these files, and what is got out of it.
  SstableSalvage Salvage(const State& files, State* contents) {
    MemoryFileSystem fs;
    EXPECT_TRUE(fs.CreateDir(kTestDir).ok());
    for (const auto& [name, bytes] : files) {
      auto out = fs.OpenForWrite(JoinPath(kTestDir, name), FileSystem::Create::kNew).value();
      EXPECT_TRUE(out->Append(bytes).ok());
    }
    const auto to = OpenSstable(kOther, SmallSstable(&fs)).value();
    const auto salvage = SalvageSstable(&fs, kTestDir, to.get());
    EXPECT_TRUE(salvage.ok()) << salvage.status();
    EXPECT_EQ(BytesOf(&fs), files);
    *contents = ContentsOf(to.get()).value();
    EXPECT_EQ(salvage->keys, contents->size());
    return *salvage;
  }

  MemoryFileSystem fs_;
  std::unique_ptr<Store> store_;
  State contents_;
};

TEST_F(SalvageTest, OfAStoreWithoutDamageThereIsEverything) {
  Metadata metadata;
  metadata.expiry = Metadata::Change::kSet;
  metadata.expires_at_ms = int64_t{1} << 50;
  metadata.content_type = Metadata::Change::kSet;
  metadata.type = "text/plain";
  ASSERT_TRUE(PutWith(store_.get(), "with", "metadata", true, metadata).ok());
  metadata.expires_at_ms = 1;
  ASSERT_TRUE(PutWith(store_.get(), "expired", "long ago", true, metadata).ok());
  contents_["with"] = "metadata";
  const State files = Files();
  State got;
  const SstableSalvage salvage = Salvage(files, &got);
  EXPECT_EQ(got, contents_);
  EXPECT_TRUE(salvage.losses.empty()) << salvage.losses[0];
  EXPECT_GE(salvage.tables, 2u);
  EXPECT_EQ(salvage.logs, 1u);
  EXPECT_GT(salvage.versions, salvage.keys);

  MemoryFileSystem fs;
  const auto to = OpenSstable(kOther, SmallSstable(&fs)).value();
  ASSERT_TRUE(SalvageSstable(&fs_, kTestDir, to.get()).ok());
  ScanOptions scan;
  scan.range = KeyRange::From("with");
  ScanPage page;
  ASSERT_TRUE(to->NewCursor(scan).value()->Next(PageLimits(), &page).ok());
  ASSERT_EQ(page.size(), 1u);
  EXPECT_EQ(page[0].expires_at_ms, int64_t{1} << 50);
  EXPECT_EQ(page[0].content_type, "text/plain");
}

// A block that is damaged takes its own keys with it and no others. What they have then is an
// earlier value, or none, or one that was deleted.
TEST_F(SalvageTest, ADamagedBlockCostsItsOwnKeysAlone) {
  const State files = Files();
  int blocks = 0;
  for (const auto& [name, bytes] : files) {
    if (!absl::EndsWith(name, ".tbl")) continue;
    for (size_t at = 3; at < bytes.size(); at += 40) {
      State damaged = files;
      damaged[name][at] ^= 0x10;
      State got;
      const SstableSalvage salvage = Salvage(damaged, &got);
      ASSERT_EQ(salvage.losses.size(), 1u) << name << " " << at;
      const std::string& loss = salvage.losses[0];
      ASSERT_TRUE(absl::StrContains(loss, name)) << loss;
      if (absl::StrContains(loss, "a damaged block at offset ")) ++blocks;
      // The keys that the loss names.
      const size_t from = loss.find("keys from \"") + 11;
      const std::string begin = loss.substr(from, loss.find('"', from) - from);
      const std::string end =
          loss.substr(loss.rfind(" \"") + 2, loss.size() - loss.rfind(" \"") - 3);
      std::set<std::string> keys;
      for (const auto& [key, value] : contents_) keys.insert(key);
      for (const auto& [key, value] : got) keys.insert(key);
      for (const std::string& key : keys) {
        if (key >= begin && key <= end) continue;
        ASSERT_EQ(got.count(key), contents_.count(key)) << key << " " << loss;
        ASSERT_EQ(got[key], contents_[key]) << loss;
      }
    }
  }
  EXPECT_GT(blocks, 50);
}

TEST_F(SalvageTest, WhatIsGoneIsTold) {
  const State files = Files();
  for (const auto& [name, bytes] : files) {
    if (!absl::EndsWith(name, ".tbl")) continue;
    State damaged = files;
    damaged.erase(name);
    State got;
    const SstableSalvage salvage = Salvage(damaged, &got);
    ASSERT_EQ(salvage.losses.size(), 1u);
    EXPECT_TRUE(absl::StrContains(salvage.losses[0], name)) << salvage.losses[0];
    EXPECT_TRUE(absl::StrContains(salvage.losses[0], "keys from \"key")) << salvage.losses[0];
  }
}

TEST_F(SalvageTest, WithoutAManifestEveryTableAndLogCounts) {
  const State files = Files();
  for (const bool current : {true, false}) {
    State damaged = files;
    for (auto& [name, bytes] : damaged) {
      if (current ? name == "CURRENT" : absl::StartsWith(name, "MANIFEST-")) bytes[12] ^= 1;
    }
    State got;
    const SstableSalvage salvage = Salvage(damaged, &got);
    EXPECT_EQ(got, contents_);  // nothing that is over was left there
    ASSERT_EQ(salvage.losses.size(), 1u);
    EXPECT_TRUE(absl::StrContains(salvage.losses[0], "what was deleted may be there again"));
  }
}

// Damage that a store does not open with, since more was known to be synced behind it.
TEST_F(SalvageTest, DamageInALogCostsWhatIsInItsBlock) {
  for (int i = 0; i < 300; ++i) Put(absl::StrCat("log", 1000 + i, std::string(400, 'x')), 0);
  State files = Files();
  std::string log;
  for (const auto& [name, bytes] : files) {
    if (absl::EndsWith(name, ".log")) log = name;
  }
  ASSERT_GT(files[log].size(), size_t{4} << 15);
  for (const size_t at : {size_t{1} << 15, (size_t{2} << 15) + 7, (size_t{2} << 15) + 20000}) {
    State damaged = files;
    damaged[log][at] ^= 0x20;
    State got;
    const SstableSalvage salvage = Salvage(damaged, &got);
    ASSERT_GE(salvage.losses.size(), 1u);
    EXPECT_TRUE(absl::StrContains(salvage.losses[0], log)) << salvage.losses[0];
    size_t missing = 0;
    for (const auto& [key, value] : contents_) {
      if (!absl::StartsWith(key, "log")) continue;
      const auto it = got.find(key);
      if (it == got.end()) {
        ++missing;
      } else {
        EXPECT_EQ(it->second, value);
      }
    }
    EXPECT_GE(missing, 1u);
    EXPECT_LE(missing, (size_t{1} << 15) / 400 + 2) << at;
    EXPECT_EQ(got.count(contents_.rbegin()->first), 1u) << "what is behind the damage";
  }
}

TEST_F(SalvageTest, AnEmptyStoreIsAStore) {
  MemoryFileSystem fs;
  SstableOptions options = SmallSstable(&fs);
  options.log = false;
  ASSERT_TRUE(OpenSstable(kTestDir, options).value()->Close().ok());
  State got;
  const SstableSalvage salvage = Salvage(BytesOf(&fs), &got);
  EXPECT_TRUE(salvage.losses.empty());
  EXPECT_EQ(salvage.keys, 0u);
}

TEST_F(SalvageTest, AStoreThatIsOpenAndADirectoryOfOtherThingsAreRefused) {
  MemoryFileSystem fs;
  const auto to = OpenSstable(kOther, SmallSstable(&fs)).value();
  const auto open = SalvageSstable(&fs_, kTestDir, to.get());
  EXPECT_TRUE(absl::IsFailedPrecondition(open.status())) << open.status();
  EXPECT_TRUE(absl::IsNotFound(SalvageSstable(&fs_, "/none", to.get()).status()));
  ASSERT_TRUE(fs.CreateDir("/empty").ok());
  EXPECT_TRUE(absl::IsNotFound(SalvageSstable(&fs, "/empty", to.get()).status()));
  EXPECT_TRUE(ContentsOf(to.get())->empty());
}

}  // namespace
}  // namespace kvarts
