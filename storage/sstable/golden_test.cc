// Stores that earlier versions wrote are opened for ever. testdata/v1 is a store of the first
// version, as a process that was killed left it: tables on several levels in each compression,
// range deletions, expiries, content types, a key that left no trace, and a log that was not
// flushed.
//
// A new version of a format gets a directory of its own beside it:
//   KVARTS_WRITE_GOLDEN=$PWD/storage/sstable/testdata/v2 bazel-bin/storage/sstable/golden_test

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/sstable/test_store.h"
#include "testing/model/manual_clock.h"

namespace kvarts {
namespace {

// Never expires, at ManualClock's time.
constexpr int64_t kLater = ManualClock::kStartMs + int64_t{1000} * 3600 * 24 * 365 * 100;

SstableOptions Options(const ManualClock* clock) {
  SstableOptions options = SmallSstable(FileSystem::Posix());
  options.clock = clock;
  options.memory = 8 << 20;
  options.memtable_bytes = 1 << 20;
  options.block_bytes = 512;
  options.table_bytes = 2048;
  return options;
}

std::string ValueOf(int i) {
  std::string value = absl::StrCat("value ", i, ":");
  for (int n = i; value.size() < 40 + static_cast<size_t>(i) % 97; n = n * 7919 % 100003 + i) {
    absl::StrAppend(&value, n);
  }
  return value;
}

// What it holds.
State Expected() {
  State state;
  for (int i = 0; i < 200; ++i) state[absl::StrCat("key", 1000 + i)] = ValueOf(i);
  for (int i = 50; i < 60; ++i) state.erase(absl::StrCat("key", 1000 + i));
  for (int i = 55; i < 57; ++i) state[absl::StrCat("key", 1000 + i)] = "put again";
  state.erase("key1100");
  state["typed"] = "{}";
  state["later"] = "expires";
  state["large"] = std::string(70000, 'l');
  state["log1"] = "in the log";
  for (int i = 150; i < 160; ++i) state.erase(absl::StrCat("key", 1000 + i));
  state["key1155"] = "put in the log";
  state[""] = "the empty key";
  return state;
}

void WriteGolden(const std::string& dir) {
  ManualClock clock;
  const std::string work = dir + ".work";
  SstableOptions options = Options(&clock);
  options.create = SstableOptions::Create::kNew;
  options.compress = SstableOptions::Compress::kZstd;
  auto store = OpenSstable(work, options).value();
  const auto put = [&](const std::string& key, const std::string& value,
                       const Metadata& metadata = {}) {
    ASSERT_TRUE(PutWith(store.get(), key, value, true, metadata).ok());
  };
  for (int i = 0; i < 200; ++i) put(absl::StrCat("key", 1000 + i), ValueOf(i));
  put("gone", "g", Metadata::Of(ManualClock::kStartMs + 1000, ""));
  put("forgotten", "f");
  ASSERT_TRUE(store->Delete("forgotten").ok());
  ASSERT_TRUE(store->maintenance()->Compact(KeyRange::All()).ok());
  ASSERT_TRUE(store->Close().ok());
  options.create = SstableOptions::Create::kNever;
  options.compress = SstableOptions::Compress::kLz4;
  store = OpenSstable(work, options).value();
  for (int i = 0; i < 50; ++i) put(absl::StrCat("key", 1000 + i), ValueOf(i));
  ASSERT_TRUE(DeleteRangeOf(store.get(), "key1050", "key1060").ok());
  for (int i = 55; i < 57; ++i) put(absl::StrCat("key", 1000 + i), "put again");
  ASSERT_TRUE(store->Delete("key1100").ok());
  put("typed", "{}", Metadata::Of(0, "application/json"));
  put("later", "expires", Metadata::Of(kLater, "text/plain"));
  ASSERT_TRUE(store->maintenance()->Flush().ok());
  ASSERT_TRUE(store->maintenance()->SaveIndexSnapshot(JoinPath(work, "index")).ok());
  put("large", std::string(70000, 'l'));  // over three blocks of the log
  put("log1", "in the log");
  ASSERT_TRUE(DeleteRangeOf(store.get(), "key1150", "key1160").ok());
  put("key1155", "put in the log");
  put("", "the empty key");
  FileSystem* const fs = FileSystem::Posix();
  ASSERT_TRUE(fs->CreateDir(dir).ok());
  for (const auto& [name, bytes] : BytesOf(fs, work)) {
    ASSERT_TRUE(WriteFileAtomically(fs, JoinPath(dir, name), bytes).ok());
  }
}

// A copy that the test may change.
std::string CopyOf(const std::string& golden, const std::string& name) {
  FileSystem* const fs = FileSystem::Posix();
  const std::string copy = JoinPath(std::getenv("TEST_TMPDIR"), name);
  EXPECT_TRUE(fs->CreateDir(copy).ok());
  const State files = BytesOf(fs, golden);
  EXPECT_GT(files.size(), 4u) << golden;
  for (const auto& [file, bytes] : files) {
    EXPECT_TRUE(WriteFileAtomically(fs, JoinPath(copy, file), bytes).ok());
  }
  return copy;
}

void Check(Store* store, const State& expected) {
  EXPECT_EQ(*ContentsOf(store), expected);
  for (const auto& [key, value] : expected) EXPECT_EQ(**store->Get(key), value);
  ReadResults results;
  store->Read("later", {}, &results);
  EXPECT_EQ(results[0].expires_at_ms, kLater);
  EXPECT_EQ(results[0].content_type, "text/plain");
  store->Read("typed", {}, &results);
  EXPECT_EQ(results[0].content_type, "application/json");
  const absl::Status verified = store->maintenance()->Verify().status();
  EXPECT_TRUE(verified.ok()) << verified;
}

TEST(SstableGoldenTest, AStoreOfTheFirstVersionOpens) {
  if (const char* const dir = std::getenv("KVARTS_WRITE_GOLDEN"); dir != nullptr) {
    WriteGolden(dir);
    GTEST_SKIP() << "written, not read";
  }
  ManualClock clock;
  clock.Advance(absl::Minutes(1));
  const std::string golden = "storage/sstable/testdata/v1";
  State expected = Expected();
  {
    SstableOptions options = Options(&clock);
    options.read_only = true;
    const std::string dir = CopyOf(golden, "read_only");
    const State before = BytesOf(options.fs, dir);
    auto store = OpenSstable(dir, options);
    ASSERT_TRUE(store.ok()) << store.status();
    Check(store->get(), expected);
    const auto index = (*store)->maintenance()->LoadIndexSnapshot(JoinPath(dir, "index"));
    ASSERT_TRUE(index.ok()) << index.status();
    EXPECT_GT(index->from_file, 3u);
    EXPECT_LE(index->from_file, index->tables);
    Check(store->get(), expected);
    EXPECT_EQ(BytesOf(options.fs, dir), before);
    for (const auto& [name, bytes] : before) {
      std::string text;
      if (name == "CURRENT") continue;
      EXPECT_TRUE(InspectSstableFile(options.fs, JoinPath(dir, name), &text).ok()) << name;
    }
  }
  const std::string dir = CopyOf(golden, "writable");
  auto store = OpenSstable(dir, Options(&clock));
  ASSERT_TRUE(store.ok()) << store.status();
  Check(store->get(), expected);
  ReadOptions with_stamp;
  with_stamp.stamp = true;
  ReadResults results;
  (*store)->Read("never", with_stamp, &results);
  const Stamp never = results[0].stamp;
  (*store)->Read("forgotten", with_stamp, &results);
  EXPECT_NE(results[0].stamp, never);  // no table has a trace of it
  ASSERT_TRUE((*store)->Put("new", "version").ok());
  expected["new"] = "version";
  ASSERT_TRUE((*store)->maintenance()->Compact(KeyRange::All()).ok());
  Check(store->get(), expected);
  ASSERT_TRUE((*store)->Close().ok());
  store = OpenSstable(dir, Options(&clock));
  ASSERT_TRUE(store.ok()) << store.status();
  Check(store->get(), expected);
}

}  // namespace
}  // namespace kvarts
