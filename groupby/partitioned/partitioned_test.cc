// What is particular to hash partitions; what every grouping does is in the suite.

#include "groupby/partitioned/partitioned.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "groupby/partitioned/row.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"
#include "testing/fault/fault_file_system.h"

namespace kvarts::groupby_internal {
namespace {

using Rows = std::vector<std::pair<std::string, std::string>>;

class PartitionedTest : public testing::Test {
 protected:
  PartitionedTest() : fs_(std::make_unique<MemoryFileSystem>()) {
    EXPECT_TRUE(fs_->CreateDir("/tmp").ok());
    options_.fs = fs_.get();
    options_.temp_dir = "/tmp";
    options_.memory_bytes = 1 << 20;
  }

  std::unique_ptr<Grouping> New() {
    auto grouping = NewPartitioned(options_);
    EXPECT_TRUE(grouping.ok()) << grouping.status();
    return *std::move(grouping);
  }

  static void AddAll(const Rows& rows, Grouping* grouping) {
    std::vector<KeyValue> some;
    for (const auto& [key, value] : rows) {
      some.push_back({key, value});
      if (some.size() == 500) {
        ASSERT_TRUE(grouping->Add(some).ok());
        some.clear();
      }
    }
    ASSERT_TRUE(grouping->Add(some).ok());
  }

  // "key:value,value,..." of each group.
  static std::vector<std::string> ReadAll(Groups* groups) {
    std::vector<std::string> result;
    absl::string_view key;
    while (true) {
      const auto more = groups->Next(&key);
      EXPECT_TRUE(more.ok()) << more.status();
      if (!more.ok() || !*more) return result;
      std::string text = absl::StrCat(key, ":");
      while (true) {
        const auto values = groups->Values();
        EXPECT_TRUE(values.ok()) << values.status();
        if (!values.ok() || values->empty()) break;
        for (const absl::string_view value : *values) absl::StrAppend(&text, value, ",");
      }
      result.push_back(std::move(text));
    }
  }

  static std::vector<std::string> Expected(const Rows& rows) {
    std::map<std::string, std::string> groups;
    for (const auto& [key, value] : rows) absl::StrAppend(&groups[key], value, ",");
    std::vector<std::string> result;
    for (const auto& [key, values] : groups) result.push_back(absl::StrCat(key, ":", values));
    std::sort(result.begin(), result.end());
    return result;
  }

  std::vector<std::string> Run(const Rows& rows, GroupingStats* stats) {
    const auto grouping = New();
    AddAll(rows, grouping.get());
    auto groups = grouping->Finish();
    EXPECT_TRUE(groups.ok()) << groups.status();
    std::vector<std::string> result = ReadAll(groups->get());
    *stats = grouping->stats();
    EXPECT_LE(stats->peak_memory, options_.memory_bytes);
    return result;
  }

  const std::unique_ptr<MemoryFileSystem> fs_;
  GroupingOptions options_;
};

Rows UniformRows(int rows, int keys, size_t value_bytes) {
  Rows result;
  uint64_t state = 1;
  for (int i = 0; i < rows; ++i) {
    state = state * 6364136223846793005 + 1442695040888963407;
    std::string value = absl::StrCat(i);
    value.resize(std::max(value.size(), value_bytes), 'v');
    result.emplace_back(absl::StrCat("key", (state >> 33) % keys), std::move(value));
  }
  return result;
}

TEST_F(PartitionedTest, WhatFitsTouchesNoDisk) {
  const Rows rows = UniformRows(5000, 700, 60);
  GroupingStats stats;
  std::vector<std::string> groups = Run(rows, &stats);
  std::sort(groups.begin(), groups.end());
  EXPECT_TRUE(groups == Expected(rows));
  EXPECT_EQ(stats.spilled_bytes, 0);
  EXPECT_EQ(stats.levels, 0);
  EXPECT_EQ(stats.partitions, 0);
  EXPECT_EQ(fs_->operations(), 1) << "the directory of this test alone";
}

// The formula of the README: a level of partitioning takes what is an eighth of the
// fan-out times the memory, and writes each row once.
TEST_F(PartitionedTest, LevelsAndSpilledBytesAreAsTheFormulaSays) {
  constexpr double kFanout = 32 / 4.0;  // at 1 MiB
  for (const double ratio : {0.2, 2.0, 7.0, 30.0}) {
    const int count = static_cast<int>(ratio * (1 << 20) / 110);
    const Rows rows = UniformRows(count, std::max(count / 4, 1), 100);
    GroupingStats stats;
    std::vector<std::string> groups = Run(rows, &stats);
    std::sort(groups.begin(), groups.end());
    EXPECT_TRUE(groups == Expected(rows));
    EXPECT_EQ(stats.groups, groups.size());
    const double input = static_cast<double>(stats.bytes) / (1 << 20);
    const double levels = input < 1 ? 0 : std::ceil(std::log(input) / std::log(kFanout));
    EXPECT_LE(stats.levels, std::max(levels, ratio < 0.5 ? 0.0 : 1.0)) << ratio;
    EXPECT_LE(static_cast<double>(stats.spilled_bytes),
              1.1 * static_cast<double>(stats.bytes) * static_cast<double>(stats.levels))
        << ratio;
  }
}

TEST_F(PartitionedTest, AKeyThatHasMostRowsGetsAFileOfItsOwnAndNoFurtherLevel) {
  Rows rows = UniformRows(40000, 5000, 100);
  for (size_t i = 0; i < rows.size(); i += 2) rows[i].first = "heavy";
  GroupingStats stats;
  std::vector<std::string> groups = Run(rows, &stats);
  std::sort(groups.begin(), groups.end());
  EXPECT_TRUE(groups == Expected(rows));
  EXPECT_GE(stats.heavy_keys, 1);
  EXPECT_EQ(stats.levels, 1);
  EXPECT_LE(stats.spilled_bytes, stats.bytes * 11 / 10);
}

// What need not be written stays: there is no step where the memory ends.
TEST_F(PartitionedTest, AnInputALittleLargerThanMemoryIsWrittenALittle) {
  options_.memory_bytes = 8 << 20;
  Rows rows = UniformRows(92000, 20000, 90);
  for (const bool one_key : {false, true}) {
    SCOPED_TRACE(one_key);
    if (one_key) {
      for (auto& row : rows) row.first = "the key";
    }
    GroupingStats stats;
    std::vector<std::string> groups = Run(rows, &stats);
    std::sort(groups.begin(), groups.end());
    EXPECT_TRUE(groups == Expected(rows));
    EXPECT_GT(stats.bytes, options_.memory_bytes);
    EXPECT_GT(stats.spilled_bytes, 0);
    EXPECT_LT(stats.spilled_bytes, stats.bytes * 2 / 5);
  }
}

TEST_F(PartitionedTest, HeavyKeysOfAPartitionThatIsPartitionedAgainKeepTheirOrder) {
  options_.threads = 3;
  Rows rows = UniformRows(700000, 200000, 100);
  for (size_t i = 0; i < rows.size(); i += 3) rows[i].first = absl::StrCat("heavy", i % 4);
  GroupingStats stats;
  std::vector<std::string> groups = Run(rows, &stats);
  std::sort(groups.begin(), groups.end());
  EXPECT_TRUE(groups == Expected(rows));
  EXPECT_GE(stats.heavy_keys, 4);
  EXPECT_EQ(stats.levels, 2);
}

// A key that was found heavy late, and once more, earlier, among the rows that came before.
TEST_F(PartitionedTest, TailsOfAKeyAtTwoLevelsComeInTheirOrder) {
  const std::string heavy = "heavy";
  const uint64_t partition = HashKey(heavy) >> 59;
  Rows rows;
  const auto add = [&](const std::string& key) {
    std::string value = absl::StrCat(rows.size());
    value.resize(90, 'v');
    rows.emplace_back(key, std::move(value));
  };
  // A fifth of all rows of its partition is not a fourth; then it is all of them.
  for (int i = 0; rows.size() < 5000; ++i) {
    const std::string key = absl::StrCat("k", i);
    if (HashKey(key) >> 59 != partition) continue;
    add(key);
    if (rows.size() % 5 == 4) add(heavy);
  }
  for (int i = 0; i < 12000; ++i) add(heavy);
  GroupingStats stats;
  std::vector<std::string> groups = Run(rows, &stats);
  std::sort(groups.begin(), groups.end());
  EXPECT_TRUE(groups == Expected(rows));
  EXPECT_EQ(stats.heavy_keys, 2) << "one of each level";
}

// Keys whose hashes share what tells partitions apart and what a table looks at first.
TEST_F(PartitionedTest, KeysMadeToCollideAreSorted) {
  Rows rows;
  for (int i = 0; rows.size() < 1500; ++i) {
    std::string key = absl::StrCat("k", i);
    const uint64_t hash = HashKey(key);
    if (hash >> 59 == 0 && (hash & 0x7ff) == 0) rows.emplace_back(std::move(key), absl::StrCat(i));
  }
  GroupingStats stats;
  std::vector<std::string> groups = Run(rows, &stats);
  std::sort(groups.begin(), groups.end());
  EXPECT_TRUE(groups == Expected(rows));
  EXPECT_GT(stats.comparisons, 0) << "the table took them after all";
  EXPECT_LT(stats.probes, 1000 * rows.size());
}

// Keys that only their bytes tell apart: of one partition, with the same tag.
TEST_F(PartitionedTest, KeysOfOneTagAreDifferentGroups) {
  std::vector<std::pair<uint64_t, int>> seen;
  for (int i = 0; i < 1500000; ++i) {
    const uint64_t hash = HashKey(absl::StrCat("k", i));
    seen.emplace_back(hash >> 59 << 32 | (hash & 0xffffffff), i);
  }
  std::sort(seen.begin(), seen.end());
  Rows rows;
  for (size_t i = 1; i < seen.size(); ++i) {
    if (seen[i].first != seen[i - 1].first) continue;
    for (int value = 0; value < 100; ++value) {
      rows.emplace_back(absl::StrCat("k", seen[i - value % 2].second), absl::StrCat(value));
    }
  }
  ASSERT_GT(rows.size(), 200);
  GroupingStats stats;
  std::vector<std::string> groups = Run(rows, &stats);
  std::sort(groups.begin(), groups.end());
  EXPECT_TRUE(groups == Expected(rows));
}

TEST_F(PartitionedTest, DrainGoesOnWhereNextStopped) {
  const Rows rows = UniformRows(30000, 8000, 100);
  for (const int threads : {1, 3}) {
    options_.threads = threads;
    GroupingStats stats;
    const std::vector<std::string> all = Run(rows, &stats);
    for (const size_t before : {size_t{0}, size_t{1}, size_t{700}, all.size()}) {
      const auto grouping = New();
      AddAll(rows, grouping.get());
      const auto groups = *grouping->Finish();
      std::vector<std::string> got(all.begin(), all.begin() + static_cast<ptrdiff_t>(before));
      absl::string_view key;
      for (size_t i = 0; i < before; ++i) {
        ASSERT_TRUE(*groups->Next(&key));
        EXPECT_EQ(all[i].substr(0, key.size()), key);
      }
      std::string text;
      const absl::Status status = groups->Drain(
          [](Groups::Cursor* group, Groups::Output* output) {
            std::string line = absl::StrCat(group->key(), ":");
            while (true) {
              const auto values = group->Values();
              if (!values.ok()) return values.status();
              if (values->empty()) break;
              for (const absl::string_view value : *values) absl::StrAppend(&line, value, ",");
            }
            return output->Append(absl::StrCat(line, "\n"));
          },
          [&](absl::string_view piece) {
            absl::StrAppend(&text, piece);
            return absl::OkStatus();
          });
      ASSERT_TRUE(status.ok()) << status;
      std::string want;
      for (size_t i = before; i < all.size(); ++i) absl::StrAppend(&want, all[i], "\n");
      EXPECT_TRUE(text == want) << threads << " threads, after " << before;
    }
  }
}

// The memory of one that goes is asked for by one that stays, at any moment.
TEST_F(PartitionedTest, OneThatSharesABudgetMayGoWhileOthersAskForMemory) {
  MemoryBudget budget(3 << 20);
  options_.budget = &budget;
  const Rows rows = UniformRows(2000, 700, 60);
  std::atomic<bool> done{false};
  std::thread others([&] {
    while (!done) AddAll(rows, New().get());
  });
  for (int i = 0; i < 8; ++i) AddAll(UniformRows(40000, 5000, 100), New().get());
  done = true;
  others.join();
  EXPECT_EQ(budget.used(), 0);
}

// Its pages are freed unread, while another user's want of memory has them written.
TEST_F(PartitionedTest, HeavyKeysThatAreNotReadMayBeSpilledMeanwhile) {
  MemoryBudget budget(24 << 20);
  options_.budget = &budget;
  Rows rows = UniformRows(60000, 1000, 100);
  for (size_t i = 0; i < rows.size(); i += 2) rows[i].first = absl::StrCat("heavy", i % 64);
  const auto other = budget.Open(nullptr);
  for (int round = 0; round < 3; ++round) {
    const auto grouping = New();
    AddAll(rows, grouping.get());
    const auto groups = *grouping->Finish();
    EXPECT_GE(grouping->stats().heavy_keys, 4);
    std::atomic<bool> done{false};
    std::thread asks([&] {
      for (size_t more = 0; !done; more += 16 << 10) {
        const size_t bytes = budget.total() / 3 + more;
        if (more < (2 << 20) && other->Reserve(bytes).ok()) other->Release(bytes);
      }
    });
    absl::string_view key;
    size_t read = 0;
    while (*groups->Next(&key)) ++read;
    done = true;
    asks.join();
    EXPECT_GE(read, 1000u);
  }
}

// Rows that a failed write has lost must not just be missing.
TEST_F(PartitionedTest, ADiskThatIsFullForAMomentWhileGroupsAreReadIsAnError) {
  Rows rows = UniformRows(30000, 5000, 100);
  for (size_t i = 0; i < rows.size(); i += 2) rows[i].first = absl::StrCat("heavy", i % 64);
  FaultFileSystem faults(fs_.get());
  options_.fs = &faults;
  uint64_t writes = 1;
  for (uint64_t k = 0; k < writes; ++k) {
    const auto grouping = New();
    AddAll(rows, grouping.get());
    const auto groups = *grouping->Finish();
    FaultRule rule{Fault::kNoSpace, k, false};
    rule.matches = [](const FileOperation& operation) {
      return operation.kind == FileOperation::Kind::kAppend;
    };
    faults.SetRule(rule);
    absl::Status status;
    size_t read = 0;
    absl::string_view key;
    while (status.ok()) {
      const auto more = groups->Next(&key);
      status = more.status();
      if (!more.ok() || !*more) break;
      while (status.ok()) {
        const auto values = groups->Values();
        status = values.status();
        if (!values.ok() || values->empty()) break;
        read += values->size();
      }
    }
    if (status.ok()) {
      EXPECT_EQ(read, rows.size());
    }
    if (faults.injected() == 0) break;
    writes = faults.matched() + 1;
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << k << ": " << status;
    faults.ClearRule();
  }
  EXPECT_GT(writes, 1u) << "nothing is written while groups are read";
}

// Each thread has a page for its row in its hands for a moment.
TEST_F(PartitionedTest, ManyThreadsAddLargeRowsInLittleMemory) {
  const std::string value(300 << 10, 'v');
  for (int round = 0; round < 20; ++round) {
    const auto grouping = New();
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 20; ++i) {
          const std::string key = absl::StrCat(t, " ", i);
          const KeyValue row{key, value};
          const absl::Status status = grouping->Add(absl::MakeSpan(&row, 1));
          ASSERT_TRUE(status.ok()) << status;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
}

// A table of half of the memory, a part that was read ahead, and the rest of a heavy
// key in large rows, all at a time.
TEST_F(PartitionedTest, LargeRowsOfAHeavyKeyHaveRoomBesideWhatIsReadAhead) {
  options_.threads = 2;
  // Those of the first two partitions.
  std::vector<std::string> keys[2];
  for (int i = 0; keys[0].size() < 3000 || keys[1].size() < 3000; ++i) {
    std::string key = absl::StrCat("k", i);
    const uint64_t part = HashKey(key) >> 59;
    if (part < 2) keys[part].push_back(std::move(key));
  }
  const std::string& heavy = keys[0][0];
  Rows rows;
  for (int i = 0; i < 2; ++i) rows.emplace_back(heavy, std::string(60000, 'h'));
  for (int i = 0; i < 12; ++i) rows.emplace_back(heavy, std::string(120000, 'h'));
  for (size_t i = 1; i < 2100; ++i) rows.emplace_back(keys[0][i], std::string(150, 'v'));
  for (size_t i = 1; i < 1700; ++i) rows.emplace_back(keys[1][i], std::string(150, 'v'));
  const auto grouping = New();
  AddAll(rows, grouping.get());
  const auto groups = *grouping->Finish();
  absl::string_view key;
  ASSERT_TRUE(*groups->Next(&key));
  EXPECT_EQ(key, heavy);
  // Where the other one is read ahead, it is there now.
  for (int i = 0; i < 100000 && grouping->stats().probes < 5600; ++i) std::this_thread::yield();
  size_t bytes = 0;
  while (true) {
    const auto values = groups->Values();
    ASSERT_TRUE(values.ok()) << values.status();
    if (values->empty()) break;
    for (const absl::string_view value : *values) bytes += value.size();
  }
  EXPECT_EQ(bytes, 2 * 60000 + 12 * 120000);
  EXPECT_EQ(grouping->stats().heavy_keys, 1u);
  EXPECT_EQ(grouping->stats().levels, 1u);
}

// What is left of the key in memory must not keep what is in the file from being read.
TEST_F(PartitionedTest, AKeyWhoseLargeRowsFillTheMemoryIsReadToItsEnd) {
  for (const size_t large : {3000, 20000, 90000, 130000, 170000, 200000, 250000, 300000}) {
    for (const size_t count : {1, 2, 3, 5}) {
      Rows rows;
      for (size_t i = 0; i < count * 1'000'000 / large; ++i) {
        rows.emplace_back("k", absl::StrCat(i, std::string(large - 50 * (i % 40), 'v')));
      }
      GroupingStats stats;
      EXPECT_TRUE(Run(rows, &stats) == Expected(rows)) << large << " " << count;
      EXPECT_EQ(stats.heavy_keys, 1u);
    }
  }
}

TEST_F(PartitionedTest, CancelInADrainEndsItWithinItsPartition) {
  options_.memory_bytes = 64 << 20;
  const Rows rows = UniformRows(200000, 100000, 10);
  const auto grouping = New();
  AddAll(rows, grouping.get());
  const auto groups = *grouping->Finish();
  int rendered = 0;
  const absl::Status status = groups->Drain(
      [&](Groups::Cursor*, Groups::Output* output) {
        if (++rendered == 10) grouping->Cancel();
        return output->Append(absl::string_view());
      },
      [](absl::string_view) { return absl::OkStatus(); });
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(rendered, 10);
}

TEST_F(PartitionedTest, ARefusedCallOfASequenceDoesNotHoldUpTheOthers) {
  const auto grouping = New();
  const std::string large(Grouping::kMaxKeyBytes + 1, 'k');
  const KeyValue bad[] = {{"a", "lost"}, {large, "v"}};
  const KeyValue good[] = {{"a", "1"}};
  EXPECT_EQ(grouping->AddInOrder(0, bad).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(grouping->AddInOrder(1, good).ok());
  const auto groups = *grouping->Finish();
  EXPECT_THAT(ReadAll(groups.get()), testing::ElementsAre("a:1,"));
}

}  // namespace
}  // namespace kvarts::groupby_internal
