#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <new>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/fs/file_system.h"
#include "storage/sort/sorter.h"

// The cost formula of README.md, written down a second time, against what the
// sorter does; and its heap, counted by replacing operator new.

namespace {

size_t heap_now = 0;
size_t heap_peak = 0;

}  // namespace

// Not inlined: GCC warns of a mismatch where it sees only one of them.
__attribute__((noinline)) void* operator new(size_t size) {
  auto* block = static_cast<size_t*>(std::malloc(size + 16));
  if (block == nullptr) throw std::bad_alloc();
  *block = size;
  heap_now += size;
  heap_peak = std::max(heap_peak, heap_now);
  return block + 2;
}
__attribute__((noinline)) void operator delete(void* p) noexcept {
  if (p == nullptr) return;
  size_t* block = static_cast<size_t*>(p) - 2;
  heap_now -= *block;
  std::free(block);
}
void operator delete(void* p, size_t) noexcept { operator delete(p); }

namespace kvarts {
namespace {

struct Model {
  Model(uint64_t memory, uint64_t key_size, uint64_t payload_size) {
    const uint64_t size =
        (key_size < 128 ? 1 : 2) + (payload_size < 128 ? 1 : 2) + key_size + payload_size;
    uint64_t block = 16 << 10;
    while (block < (256 << 10) && 2 * block <= memory / 64) block *= 2;
    table = 2 * (4 * std::min<uint64_t>(256, memory / (block + 512)) + 1) * 32;
    const uint64_t arena = (memory - (24 << 10) - table) / 4096 * 4096 - block;
    run_records = arena / (size + 16);
    block_records = (block - 24) / size;
    record = size;
    fan_in = std::min<uint64_t>(256, arena / (24 + block_records * size + 512));
  }
  uint64_t RunBytes(uint64_t records) const {
    return records * record + (records + block_records - 1) / block_records * 24;
  }
  uint64_t run_records, block_records, record, fan_in, table;
};

struct Case {
  uint64_t records, memory, key_size, payload_size;
};

class SorterStatsTest : public testing::TestWithParam<Case> {};

TEST_P(SorterStatsTest, RunsPassesAndBytesFollowTheFormula) {
  const Case& c = GetParam();
  const Model model(c.memory, c.key_size, c.payload_size);
  const uint64_t runs =
      c.records <= model.run_records ? 0 : (c.records + model.run_records - 1) / model.run_records;
  uint64_t spilled = 0;
  for (uint64_t left = c.records; runs > 0 && left > 0;) {
    const uint64_t n = std::min(left, model.run_records);
    spilled += model.RunBytes(n);
    left -= n;
  }
  // Runs beyond what one merge takes are merged first, as few as will do: each
  // merge of k takes k - 1 away.
  uint64_t passes = 0;
  uint64_t again = 0;
  if (runs > model.fan_in) {
    ASSERT_LE(runs, model.fan_in * model.fan_in);
    passes = 1;
    const uint64_t excess = runs - model.fan_in;
    again = excess + (excess + model.fan_in - 2) / (model.fan_in - 1);
  }

  SorterOptions options;
  options.memory_bytes = c.memory;
  options.temp_dir = testing::TempDir();
  options.temp_prefix = absl::StrCat("stats", c.records, "-", c.memory, "-", c.payload_size);
  std::string key(c.key_size, 'k');
  const std::string payload(c.payload_size, 'p');
  SorterStats stats;
  const size_t before = heap_now;
  heap_peak = heap_now;
  {
    auto sorter = Sorter::New(options).value();
    uint64_t state = 1;
    for (uint64_t i = 0; i < c.records; ++i) {
      for (char& byte : key) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        byte = static_cast<char>(state >> 56);
      }
      ASSERT_TRUE(sorter->Add(key, payload).ok());
    }
    auto sorted = sorter->Finish().value();
    absl::string_view k, p;
    uint64_t n = 0;
    while (sorted->Next(&k, &p).value()) ++n;
    EXPECT_EQ(n, c.records);
    stats = sorter->stats();
  }
  EXPECT_EQ(stats.records, c.records);
  EXPECT_EQ(stats.bytes, c.records * (c.key_size + c.payload_size));
  EXPECT_EQ(stats.runs, runs);
  EXPECT_EQ(stats.merge_passes, passes);
  // The last run is shorter than the others, and may or may not be merged twice.
  EXPECT_NEAR(static_cast<double>(stats.spilled_bytes),
              static_cast<double>(spilled + again * model.RunBytes(model.run_records)),
              passes == 0 ? 0 : static_cast<double>(model.RunBytes(model.run_records)));
  EXPECT_LE(stats.peak_memory, c.memory);
  if (runs > 0) {
    EXPECT_GE(stats.peak_memory, c.memory - (8 << 10) - model.record);
  }
  // The heap has what was set aside beside the arena, or what was given back of it.
  EXPECT_LE(heap_peak - before, (24 << 10) + model.table + std::min(runs, model.fan_in) * 512);
  EXPECT_EQ(heap_now, before);
}

uint64_t ResidentBytes() {
  uint64_t size = 0;
  uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> size >> pages;
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

#ifndef __SANITIZE_THREAD__  // whose shadow memory is resident too
// With wide margins: what is measured is the process.
TEST(SorterMemoryTest, ArenaIsGivenBackBeforeTheMerge) {
  SorterOptions options;
  options.memory_bytes = 128 << 20;
  options.temp_dir = testing::TempDir();
  const uint64_t before = ResidentBytes();
  auto sorter = Sorter::New(options).value();
  EXPECT_LT(ResidentBytes(), before + (16 << 20));
  const std::string payload(1000, 'p');
  for (int i = 0; i < 200000; ++i) ASSERT_TRUE(sorter->Add(absl::StrCat(i), payload).ok());
  EXPECT_GT(ResidentBytes(), before + (64 << 20));
  auto sorted = sorter->Finish().value();
  EXPECT_LT(ResidentBytes(), before + (16 << 20));
}

#endif

INSTANTIATE_TEST_SUITE_P(
    Sizes, SorterStatsTest,
    testing::Values(Case{0, 1 << 20, 16, 8}, Case{1000, 1 << 20, 16, 8},
                    Case{22000, 1 << 20, 16, 8}, Case{24000, 1 << 20, 16, 8},
                    Case{500000, 1 << 20, 16, 8}, Case{500000, 8 << 20, 16, 8},
                    Case{500000, 64 << 20, 16, 8}, Case{2000000, 64 << 20, 16, 8},
                    // More runs than one merge takes: a few, and many.
                    Case{67000, 1 << 20, 16, 990}, Case{200000, 1 << 20, 16, 990},
                    Case{1000000, 1 << 20, 100, 50}, Case{40000, 2 << 20, 200, 4000}),
    [](const testing::TestParamInfo<Case>& info) {
      const Case& c = info.param;
      return absl::StrCat(c.records, "_of_", c.key_size, "_", c.payload_size, "_in_",
                          c.memory >> 20, "MiB");
    });

}  // namespace
}  // namespace kvarts
