#include <algorithm>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "groupby/aggregate/aggregate.h"
#include "groupby/aggregate/aggregate_hash.h"
#include "groupby/aggregate/aggregate_model.h"
#include "gtest/gtest.h"
#include "storage/fs/memory.h"
#include "testing/fault/fault_file_system.h"

namespace kvarts {
namespace {

// So small that an error at each of its operations takes seconds in all, and yet with
// parts that are divided again, or fields that are counted in slices.

// Keys of one part, which alone are more than memory.
std::vector<ModelRow> OneLargePart() {
  std::vector<std::string> keys;
  for (int i = 0; keys.size() < 2500; ++i) {
    std::string key = absl::StrCat(i, std::string(500, 'k'));
    if (groupby_internal::HashGroup(key) >> 60 == 3) keys.push_back(std::move(key));
  }
  for (int i = 0; i < 300; ++i) keys.push_back(absl::StrCat("other", i));
  std::vector<ModelRow> rows;
  for (int i = 0; i < 4000; ++i) {
    rows.push_back({keys[static_cast<size_t>(i) % keys.size()], {absl::StrCat(i), "a field"}});
  }
  return rows;
}
// Of all parts about as many.
std::vector<ModelRow> ManyKeys(size_t bytes, int count) {
  std::vector<ModelRow> rows;
  for (int i = 0; i < count; ++i) {
    rows.push_back(
        {absl::StrCat(i % (count / 3 * 2), std::string(bytes, 'k')), {absl::StrCat(i), "a field"}});
  }
  return rows;
}
std::vector<ModelRow> ManyFields() {
  std::vector<ModelRow> rows;
  for (int i = 0; i < 60000; ++i) {
    rows.push_back({"key", {absl::StrCat(i), absl::StrCat(i % 59000)}});
  }
  return rows;
}

struct Shape {
  const char* aggregates;
  std::vector<ModelRow> rows;
  GroupingOptions::Order order;
  size_t memory;
  uint64_t levels;  // at least
};

std::vector<Shape> Shapes() {
  return {{"sum,last:2", OneLargePart(), GroupingOptions::Order::kAny, 1 << 20, 2},
          {"distinct:2", ManyFields(), GroupingOptions::Order::kAny, 1 << 20, 2},
          {"count,first", ManyKeys(500, 6000), GroupingOptions::Order::kKey, 2 << 20, 1},
          {"count,sum", ManyKeys(20, 20000), GroupingOptions::Order::kAny, 1 << 20, 1}};
}

// One by one, or with `threads` by Drain().
absl::StatusOr<ModelResults> Aggregated(FileSystem* fs, const Shape& shape, int threads,
                                        AggregationStats* stats) {
  AggregationOptions options;
  options.fs = fs;
  options.temp_dir = "/temp";
  options.memory_bytes = shape.memory;
  options.order = shape.order;
  options.threads = std::max(threads, 1);
  auto aggregation = Aggregation::New(options, SpecsOf(shape.aggregates, 2));
  if (!aggregation.ok()) return aggregation.status();
  const absl::Span<const ModelRow> rows(shape.rows);
  for (size_t i = 0; i < rows.size(); i += 1000) {
    const absl::Status added = AddModelRows(aggregation->get(), rows.subspan(i, 1000));
    if (!added.ok()) {
      // It stays, and nothing is left behind even before the end.
      EXPECT_EQ((*aggregation)->Finish().status(), added);
      return added;
    }
  }
  auto groups = (*aggregation)->Finish();
  if (!groups.ok()) return groups.status();
  auto all = threads == 0 ? ReadAllGroups(groups->get()) : DrainAllGroups(groups->get());
  if (!all.ok()) {
    absl::string_view key;
    absl::Span<const absl::string_view> results;
    EXPECT_EQ((*groups)->Next(&key, &results).status(), all.status());
    return all.status();
  }
  *stats = (*aggregation)->stats();
  return ModelResults(all->begin(), all->end());
}

// A fault, a shape by its number, threads.
class AggregateFaultTest : public testing::TestWithParam<std::tuple<Fault, size_t, int>> {};

TEST_P(AggregateFaultTest, AnErrorAtAnyOperationIsReportedAndLeavesNothing) {
  const auto [fault, number, threads] = GetParam();
  const Shape shape = Shapes()[number];
  const ModelResults model = ModelAggregate(shape.aggregates, shape.rows);
  uint64_t errors = 0;
  // Not each: operations of one kind are many.
  // All with --test_env=KVARTS_EVERY_FAULT=1.
  const bool all = std::getenv("KVARTS_EVERY_FAULT") != nullptr;
  for (uint64_t k = 0, step = 1;; k += step, step = all ? 1 : 1 + k / 12) {
    MemoryFileSystem memory;
    ASSERT_TRUE(memory.CreateDir("/temp").ok());
    FaultFileSystem fs(&memory);
    fs.SetRule({fault, k});
    AggregationStats stats;
    const absl::StatusOr<ModelResults> results = Aggregated(&fs, shape, threads, &stats);
    const bool injected = fs.injected() > 0;
    fs.ClearRule();
    const std::vector<std::string> left = memory.List("/temp").value();
    // Of a folder that could not be removed, or was locked, the next one takes care.
    if (!left.empty()) {
      EXPECT_TRUE(injected) << k;
      AggregationStats ignored;
      ASSERT_TRUE(Aggregated(&fs, shape, threads, &ignored).ok());
      EXPECT_TRUE(memory.List("/temp").value().empty()) << k;
    }
    if (results.ok()) {
      EXPECT_TRUE(*results == model) << k;
      EXPECT_GE(stats.levels, shape.levels);
    } else {
      ASSERT_TRUE(injected) << results.status();
      ++errors;
      EXPECT_TRUE(absl::StrContains(results.status().message(), "/temp")) << results.status();
    }
    if (!injected) break;
  }
  EXPECT_GT(errors, 10u);
}

std::string NameOf(const testing::TestParamInfo<std::tuple<Fault, size_t, int>>& info) {
  const auto [fault, shape, threads] = info.param;
  return absl::StrCat(fault == Fault::kIoError   ? "IoError"
                      : fault == Fault::kNoSpace ? "NoSpace"
                                                 : "ShortWrite",
                      "OfShape", shape, threads == 0 ? "OneByOne" : "Drained");
}

INSTANTIATE_TEST_SUITE_P(
    Faults, AggregateFaultTest,
    testing::Combine(testing::Values(Fault::kIoError, Fault::kNoSpace, Fault::kShortWrite),
                     testing::Values<size_t>(0, 1, 2, 3), testing::Values(0, 2)),
    NameOf);

TEST(AggregateDamageTest, ABitThatIsFlippedInAnyFileIsFound) {
  MemoryFileSystem fs;
  ASSERT_TRUE(fs.CreateDir("/temp").ok());
  const Shape shape = Shapes()[0];
  uint64_t seed = 1;
  for (int i = 0; i < 20; ++i) {
    AggregationOptions options;
    options.fs = &fs;
    options.temp_dir = "/temp";
    options.memory_bytes = shape.memory;
    auto aggregation = Aggregation::New(options, SpecsOf(shape.aggregates, 2));
    ASSERT_TRUE(aggregation.ok());
    ASSERT_TRUE(AddModelRows(aggregation->get(), shape.rows).ok());
    const std::string folder = JoinPath("/temp", fs.List("/temp").value()[0]);
    std::vector<std::string> files;
    const std::vector<std::string> names = fs.List(folder).value();
    for (const std::string& name : names) {
      if (name != "lock") files.push_back(JoinPath(folder, name));
    }
    seed = seed * 6364136223846793005 + 1442695040888963407;
    const std::string& path = files[(seed >> 33) % files.size()];
    const std::string bytes = ReadFile(&fs, path).value();
    const size_t at = (seed >> 20) % bytes.size();
    {
      auto file = fs.OpenForWrite(path, FileSystem::Create::kAppend);
      ASSERT_TRUE(file.ok());
      const char flipped = static_cast<char>(bytes[at] ^ (1 << (i % 8)));
      ASSERT_TRUE((*file)->WriteAt(at, absl::string_view(&flipped, 1)).ok());
    }
    auto groups = (*aggregation)->Finish();
    ASSERT_TRUE(groups.ok());
    const auto all = ReadAllGroups(groups->get());
    EXPECT_TRUE(absl::IsDataLoss(all.status())) << all.status();
    EXPECT_TRUE(absl::StrContains(all.status().message(), path)) << all.status();
    EXPECT_TRUE(absl::StrContains(all.status().message(), "offset")) << all.status();
    aggregation->reset();
    groups->reset();
    EXPECT_TRUE(fs.List("/temp").value().empty());
  }
}

}  // namespace
}  // namespace kvarts
